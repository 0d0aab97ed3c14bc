"""The work of processing elements where the zeros of several masked tensors save cycles."""

from __future__ import annotations

import numpy as np

from procrustes_model.kernels.dense.arrays import OK, Bools, Floats, Ints, LoopArrays, ProblemArrays
from procrustes_model.kernels.imbalance.counted import place_pieces, round_origin
from procrustes_model.kernels.imbalance.policies import BUCKETS, OWN, assign
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.arrays import BalanceArrays, TileArrays
from procrustes_model.kernels.sparse.joint import count_jointly
from procrustes_model.kernels.sparse.masks import MaskArrays


@kernel
def measure_joint_work(
    problem: ProblemArrays,
    loops: LoopArrays,
    balance: BalanceArrays,
    tiles: TileArrays,
    masks: MaskArrays,
    chosen: Bools,
    before: Floats,
    after: Floats,
    met: Floats,
    status: Ints,
) -> None:
    """Find the work of the slowest processing element in the mean over all array-level tiles.

    A position is work where it meets a nonzero of every chosen tensor. Tiles are cut and pieces are given to
    elements as `measure_work` does it.

    Parameters
    ----------
    problem : ProblemArrays
    loops : LoopArrays
    balance : BalanceArrays
    tiles : TileArrays
    masks : MaskArrays
    chosen : bool[T]
        Tensors with masks, the balanced one among them.
    before, after : float64[N]
        Filled in: without and with balancing, as a share of the work if nothing were zero.
    met : float64[N]
        Filled in: share of positions that are work.
    status : int64[N]
        Mappings that are not valid are left out.
    """
    tensors, dimensions = problem.rank.shape
    array = balance.array
    moves = np.full(dimensions, -1, np.int64)
    for t in range(tensors):
        for d in range(dimensions):
            if chosen[t] and problem.rank[t, d] >= 0:
                moves[d] = 0
    box = np.ones((tensors, dimensions), np.int64)
    bucket = np.empty(BUCKETS, np.int64)
    at, extent, place = np.empty((3, dimensions), np.int64)
    for n in range(len(status)):
        before[n] = after[n] = met[n] = 1.0
        if status[n] != OK:
            continue
        cut = tiles.cut[n]
        pieces, rule = (balance.pieces, balance.assignment) if cut >= 0 else (1, OWN)
        parts = rounds = volume = 1
        for d in range(dimensions):
            extent[d] = 1
            if moves[d] < 0:
                continue
            extent[d] = loops.below[n, array, d]
            spread = 1
            for level in range(array):
                spread *= loops.spread[n, level, d]
            parts *= spread
            rounds *= problem.bounds[d] // (extent[d] * spread)
            if d == cut:
                extent[d] //= pieces
            volume *= extent[d]
        origin = np.empty((parts * pieces, dimensions), np.int64)
        place_pieces(loops.spread[n], loops.below[n], moves, array, cut, pieces, extent, origin)
        count = np.empty(parts * pieces, np.int64)
        loads = np.empty(parts, np.int64)
        slowest = slowest_after = total = 0
        first, last = loops.start[n, array], loops.listed[n]
        for number in range(rounds):
            round_origin(loops.dimension[n], loops.bound[n], loops.step[n], moves, first, last, number, at)
            for i in range(len(count)):
                place[:] = at + origin[i]
                count[i] = int(count_jointly(problem, masks, chosen, box, place, extent))
                total += count[i]
            most = assign(OWN, pieces, count, volume, bucket, loads)
            slowest += most
            if rule != OWN:
                most = assign(rule, pieces, count, volume, bucket, loads)
            slowest_after += most
        whole = float(rounds) * volume * pieces
        before[n] = slowest / whole
        after[n] = slowest_after / whole
        met[n] = total / (whole * parts)
