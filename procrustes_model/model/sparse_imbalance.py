"""The work of every processing element, before and after balancing: what a histogram is drawn from."""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from procrustes_model.errors import SpecError
from procrustes_model.kernels.arrays import Floats, Ints
from procrustes_model.kernels.imbalance_masks import measure_work
from procrustes_model.kernels.imbalance_tiles import find_tiles
from procrustes_model.kernels.nest import flatten
from procrustes_model.model.lower import lower_mapping
from procrustes_model.model.sparse_lower import lower_sparsity
from procrustes_model.model.sparse_steps import make_buffers

if TYPE_CHECKING:
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.mapping import Mapping
    from procrustes_model.spec.problem import Problem
    from procrustes_model.spec.sparsity import Sparsity


@dataclass(frozen=True, slots=True)
class WorkArrays:
    """Work of processing elements with different tiles, in every array-level tile.

    Attributes
    ----------
    before, after : float64[rounds, parts]
        Work relative to the mean of the array-level tile, without and with balancing. A tile without work
        is even.
    cycles_before, cycles_after : int64[rounds]
        Work of the slowest one, in computation positions of the tensor.
    """

    before: Floats
    after: Floats
    cycles_before: Ints
    cycles_after: Ints

    def histogram(self, bins: int = 50) -> tuple[Floats, Ints, Ints]:
        """Return the edges of bins from 0 up, and how many elements fall in each, before and after."""
        top = max(1.0, float(self.before.max()), float(self.after.max()))
        edges = np.linspace(0.0, top, bins + 1)
        return edges, np.histogram(self.before, edges)[0], np.histogram(self.after, edges)[0]


def measure_imbalance(
    architecture: Architecture,
    problem: Problem,
    mapping: Mapping,
    sparsity: Sparsity,
    masks: AbstractMapping[str, Any],
) -> WorkArrays:
    """Count the work of every processing element on a mask.

    Parameters
    ----------
    architecture : Architecture
    problem : Problem
    mapping : Mapping
    sparsity : Sparsity
        With balancing of a tensor.
    masks : mapping
        As `evaluate` takes them; with one of the balanced tensor.

    Returns
    -------
    WorkArrays

    Raises
    ------
    SpecError
        When nothing is balanced, or the balanced tensor has no mask.
    """
    design = lower_sparsity(architecture, problem, sparsity, None, masks)
    if design.balance.tensor < 0:
        raise SpecError(
            sparsity.issue(
                "nothing is balanced in this phase",
                "give 'balancing' a 'tensor'",
                problem.phase,
                ("balancing",),
            )
        )
    if not design.is_counted:
        name = problem.tensors[design.balance.tensor].name
        raise SpecError(sparsity.issue(f"tensor '{name}' has no mask", "its work can only be counted on one"))
    buffers = make_buffers(design, 1)
    flatten(lower_mapping(problem, mapping), buffers.loops)
    find_tiles(design.problem, buffers.loops, design.balance, buffers.tiles)
    shape = int(buffers.tiles.rounds[0]), int(buffers.tiles.parts[0])
    before, after = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    measure_work(
        design.problem,
        buffers.loops,
        design.balance,
        buffers.tiles,
        design.masks,
        buffers.before,
        buffers.counts.work,
        buffers.status,
        before,
        after,
    )
    mean = before.mean(axis=1, keepdims=True)
    even = np.where(mean > 0, mean, 1.0)
    return WorkArrays(
        np.where(mean > 0, before / even, 1.0),
        np.where(mean > 0, after / even, 1.0),
        before.max(axis=1),
        after.max(axis=1),
    )
