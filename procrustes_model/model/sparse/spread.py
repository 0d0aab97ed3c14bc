"""Whose zeros leave more work on one processing element than on another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from procrustes_model.kernels.imbalance.tiles import find_tiles
from procrustes_model.kernels.sparse.arrays import SKIPPED, TileArrays
from procrustes_model.policies import NO_POLICY

if TYPE_CHECKING:
    from procrustes_model.kernels.dense.arrays import Ints
    from procrustes_model.model.sparse.buffers import SparseBuffers
    from procrustes_model.model.sparse.lower import SparseDesign


def find_uneven(design: SparseDesign, buffers: SparseBuffers) -> tuple[int, ...]:
    """Return the tensors whose zeros save cycles, more on one processing element than on another.

    Parameters
    ----------
    design : SparseDesign
    buffers : SparseBuffers
        Of one mapping, evaluated.
    """
    busy = float(buffers.counts.computes[0, 0] + buffers.counts.computes[0, 1])
    if busy >= design.problem.computes:
        return ()
    densities = design.densities
    uncertain = densities.varies & (densities.met > 0) & (densities.met < 1)
    return tuple(
        int(t)
        for t in np.flatnonzero(uncertain)
        if any(_differ(design, buffers, int(t), box) for box in _saving_boxes(design, buffers, int(t)))
    )


def _saving_boxes(design: SparseDesign, buffers: SparseBuffers, t: int) -> list[Ints]:
    """Return the boxes, int64[D], that save computations where a tensor is empty in them."""
    actions, boxes = design.actions, buffers.boxes
    found = [
        boxes.extent[0, a, t]
        for a, target in enumerate(actions.target)
        if boxes.effective[0, a, t] and buffers.empty[0, a, t] > 0
        if target != design.problem.output and (actions.dropped or actions.kind[a] == SKIPPED)
    ]
    if actions.skip_compute[t] and (buffers.compressed[0, t] or t == design.problem.output):
        found.append(np.ones_like(design.problem.bounds))
    return found


def _differ(design: SparseDesign, buffers: SparseBuffers, t: int, box: Ints) -> bool:
    """Say whether processing elements, or compute units, meet different boxes of a tensor."""
    problem, loops = design.problem, buffers.loops
    first, end = problem.term_start[problem.rank_start[t]], problem.term_start[problem.rank_start[t + 1]]
    own = np.unique(problem.term_dimension[first:end])
    spread, below = loops.spread[0][:, own], loops.below[0][1:, own]
    apart = ((spread > 1) & (box[own] < spread * below)).any(axis=1)
    if not apart.any():
        return False
    if apart[-1] or (box[own] > 1).any():
        return True
    # Groups of n:m that each element holds whole leave the same work on all.
    tiles = TileArrays(*(np.zeros(1, np.int64) for _ in TileArrays._fields))
    alone = design.balance._replace(
        tensor=t,
        array=len(spread) - 1,
        pieces=NO_POLICY.pieces,
        assignment=int(NO_POLICY.assignment),
    )
    find_tiles(problem, loops, alone, design.densities.group, tiles)
    return bool(tiles.alike[0] > 0)
