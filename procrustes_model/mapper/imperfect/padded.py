"""Good mappings to begin walks from: those of larger bounds, cut to the bounds that there are.

A mapping of whole passes over bounds that are a little larger becomes one with shorter last passes: its
factors, from the innermost on, take what is left. It costs no more than it did, but where a window slides:
moves that were equal may no longer be.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import numpy as np

from procrustes_model.errors import SpecError
from procrustes_model.kernels.dense.arrays import Ints, NestArrays
from procrustes_model.mapper.deadline import Deadline, OutOfTime
from procrustes_model.mapper.imperfect.space import offer_batch
from procrustes_model.mapper.imperfect.steps import Fewest
from procrustes_model.mapper.imperfect.walk import Walker, Ways, fit_splits
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.lattice import list_primes
from procrustes_model.mapper.optimal.search import Optimal
from procrustes_model.mapper.space import Space
from procrustes_model.mapper.task import compile_labels

WIDER = 0.07
"""Share by which a bound is made larger at most, beside one that few steps ask for."""

SHARE = 0.2
"""Of the time or work that is left, what one larger problem may take."""

EFFORT = 2_000_000
"""What it may take of an unlimited one, in mappings and parts of them."""


def fit_nests(space: Space, nests: NestArrays) -> tuple[NestArrays, Ints]:
    """Return nests with factors that cover the bounds, and their last passes, int64[N, L, 3, D].

    Parameters
    ----------
    space : Space
    nests : NestArrays
        Whose factors may cover more, or less.
    """
    temporal, spatial = nests.temporal.copy(), nests.spatial.copy()
    mappings, levels, dimensions = temporal.shape
    last = np.ones((mappings, levels, 3, dimensions), np.int64)
    for d, bound in enumerate(space.model.bounds.tolist()):
        one, two = temporal[:, :, d].copy(), spatial[:, :, :, d].copy()
        last[..., d] = fit_splits(np.full(mappings, bound), one, two)
        temporal[:, :, d], spatial[:, :, :, d] = one, two
    return NestArrays(temporal, nests.order.copy(), spatial, nests.keep.copy()), last


def list_paddings(bounds: Ints, fewest: Fewest) -> list[tuple[int, ...]]:
    """Return larger bounds to try: those of the nest of fewest steps, and those with many divisors."""
    spread = fewest.spatial.prod(axis=(0, 1))
    in_time = -(-bounds // spread)
    # no more instances than what is left in time needs
    filled = [t * -(-b // t) for b, t in zip(bounds.tolist(), in_time.tolist(), strict=True)]
    smooth = [_find_smooth(bound) for bound in bounds.tolist()]
    both = [max(f, s) if s % f == 0 else f for f, s in zip(filled, smooth, strict=True)]
    whole = tuple(bounds.tolist())
    found = dict.fromkeys(tuple(one) for one in (filled, smooth, both))
    return [one for one in found if one != whole]


def _find_smooth(bound: int) -> int:
    """Return the number from a bound on, within `WIDER`, that has most prime factors; of equals the least."""
    most = max(bound, int(bound * (1 + WIDER)), bound + 1 if bound > 2 else bound)
    return max(range(bound, most + 1), key=lambda n: (len(list_primes(n)), -n))


def _spread_out(space: Space, fewest: Fewest) -> Iterator[tuple[NestArrays, Ints]]:
    """Yield the nest of fewest steps with all that is left in time at each level in turn."""
    for level in range(space.levels):
        nests = space.nests(1)
        nests.spatial[0] = fewest.spatial
        nests.keep[:] = space.rules.keep != 0
        nests.temporal[:, level] = space.model.bounds
        yield fit_nests(space, nests)


def offer_padded(space: Space, incumbent: Incumbent, fewest: Fewest, threads: int, seed: int) -> None:
    """Offer mappings of larger bounds, each the best that a short search finds there.

    Parameters
    ----------
    space : Space
    incumbent : Incumbent
        Changed in place.
    fewest : Fewest
        Of the space.
    threads, seed : int
    """
    for nests, last in _spread_out(space, fewest):
        _offer(space, incumbent, nests, last)
    for bounds in list_paddings(space.model.bounds, fewest):
        if incumbent.late:
            return
        deadline = space.deadline.part(SHARE)
        if not deadline.limited:
            deadline = Deadline(None, deadline.clock, EFFORT)
        dimensions = dict(zip(space.problem.dimensions, bounds, strict=True))
        problem = space.problem.model_copy(update={"dimensions": dimensions})
        with suppress(SpecError, OutOfTime):  # too large for a proof, or nothing valid is found there
            larger = Space(space.architecture, problem, space.constraints, deadline=deadline)
            best = Incumbent(incumbent.objective, deadline, None, larger.power)
            Optimal(larger, best, threads, before_labels=compile_labels).run(seed)
            if best.nests is not None:
                _offer(space, incumbent, *fit_nests(space, best.nests))


def _offer(space: Space, incumbent: Incumbent, nests: NestArrays, last: Ints) -> None:
    """Offer a mapping if rules on factors and orders allow it."""
    walker = Walker(space, np.random.default_rng(0))
    offer_batch(space, incumbent, nests, last, walker.count_wrong(Ways(nests, last)) == 0)
