"""Says which numbers hang on the rounding errors of that tool's probabilities.

That tool rounds the words that zeros remove down, and those of partial sums that are read up. Where a share
of them is a whole number, the error of a probability decides: some 1e-13 of a hypergeometric distribution, up
to 1e-10 after differences. This program takes a whole number for what it is. What differs is explained if
shares that are off by `OFF`, up and down, lead to the expected number, or to numbers with it between them.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from reference.compare import Mismatch

from procrustes_model.model.evaluator import Evaluator
from procrustes_model.model.sparse.lower import SparseDesign

if TYPE_CHECKING:
    from collections.abc import Callable

OFF = 1e-10
"""How much a share may be off."""
_TOLERANCE = 1e-6
"""Of energies, relative."""


def explain(found: list[Mismatch], evaluator: Evaluator, compare: Callable[[], list[Mismatch]]) -> bool:
    """Say whether all that differs hangs on rounding errors.

    Parameters
    ----------
    found : list of Mismatch
        What differs.
    evaluator : Evaluator
        Its design is changed, and changed back.
    compare : callable
        Returns what differs now.
    """
    design = evaluator.design
    if not isinstance(design, SparseDesign) or not design.actions.whole or not _counts_differ(found):
        return False
    left = {one.where: [one] for one in found}
    for off in product((-OFF, 0.0, OFF), repeat=len(design.actions.off)):
        evaluator.design = replace(design, actions=design.actions._replace(off=np.array(off)))
        now = {one.where: one for one in compare()}
        left = {
            where: [*seen, now[where]]
            for where, seen in left.items()
            if where in now and not _is_between(seen[0].expected, where, [*seen, now[where]])
        }
        if not left:
            break
    evaluator.design = design
    return not left


def _counts_differ(found: list[Mismatch]) -> bool:
    """Say whether energies and cycles differ only beside counts: these alone are a matter of rounding."""
    energies = {one.where for one in found if "energy" in one.where}
    counts = [one.where for one in found if one.where not in energies and not one.where.endswith("cycles")]
    for where in energies - {"energy in uJ"}:
        place = "computes" if where == "compute energy" else where.rsplit(" ", 1)[0]
        if not any(place in count for count in counts):
            return False
    return bool(counts)


def _is_between(expected: object, where: str, seen: list[Mismatch]) -> bool:
    """Say whether the expected number lies between those that are found with shares that are off."""
    numbers = [one.found for one in seen if isinstance(one.found, int | float)]
    if not isinstance(expected, int | float) or not numbers:
        return False
    slack = _TOLERANCE * abs(expected) if "energy" in where or "network" in where else 0.0
    if where.endswith("cycles"):
        slack = 1.0  # quotients of steps and of a slowdown are rounded up as they come
    return min(numbers) - slack <= expected <= max(numbers) + slack
