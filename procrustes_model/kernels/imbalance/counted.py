"""The work of every processing element in every array-level tile, counted on a mask."""

from __future__ import annotations

import numpy as np

from procrustes_model.kernels.dense.arrays import OK, Floats, Ints, LoopArrays, ProblemArrays
from procrustes_model.kernels.imbalance.policies import BUCKETS, OWN, assign
from procrustes_model.kernels.imbalance.streamed import add_slowest, count_pieces, lay_out
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.arrays import BalanceArrays, TileArrays
from procrustes_model.kernels.sparse.masks import (
    MaskArrays,
    bit_strides,
    count_work,
    find_base,
    list_corners,
    repeat_offsets,
    sum_boxes,
    walked_dimensions,
)
from procrustes_model.kernels.sparse.passes import is_passed


@kernel
def place_pieces(
    spread: Ints,
    below: Ints,
    rank: Ints,
    array: int,
    cut: int,
    pieces: int,
    extent: Ints,
    origin: Ints,
) -> None:
    """Fill `origin`, int64[parts * pieces, D], with where the pieces of tiles start.

    `cut` : the dimension along which a tile is cut into `pieces` neighbouring entries. `extent`: of a piece.
    """
    dimensions = len(rank)
    count = 1
    origin[0] = 0
    for level in range(array):
        for d in range(dimensions):
            if rank[d] < 0 or spread[level, d] == 1:
                continue
            for i in range(1, spread[level, d]):
                for j in range(count):
                    origin[i * count + j] = origin[j]
                    origin[i * count + j, d] += i * below[level + 1, d]
            count *= spread[level, d]
    if pieces == 1:
        return
    for i in range(count - 1, -1, -1):
        for piece in range(pieces - 1, -1, -1):
            origin[pieces * i + piece] = origin[i]
            origin[pieces * i + piece, cut] += piece * extent[cut]


@kernel
def round_origin(
    loops_dimension: Ints,
    loops_bound: Ints,
    loops_step: Ints,
    rank: Ints,
    first: int,
    last: int,
    number: int,
    at: Ints,
) -> None:
    """Set `at`, int64[D], to where array-level tile `number` starts."""
    at[:] = 0
    for loop in range(first, last):
        d = loops_dimension[loop]
        if rank[d] >= 0:
            at[d] += number % loops_bound[loop] * loops_step[loop]
            number //= loops_bound[loop]


@kernel
def _find_element(problem: ProblemArrays, masks: MaskArrays, tensor: int, origin: Ints, stride: Ints) -> int:
    """Return where in the masks the element lies that the position `origin`, int64[D], meets."""
    at = masks.bit_start[tensor]
    for rank in range(problem.rank_start[tensor], problem.rank_start[tensor + 1]):
        for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
            at += problem.term_coefficient[term] * origin[problem.term_dimension[term]] * stride[rank]
    return int(at)


@kernel
def _list_elements(problem: ProblemArrays, tensor: int, extent: Ints, stride: Ints, offset: Ints) -> int:
    """List where the elements of a box lie in the mask, relative to its first one; return how many.

    Every rank has at most one term. `extent`: int64[D].
    """
    count = 1
    offset[0] = 0
    for rank in range(problem.rank_start[tensor], problem.rank_start[tensor + 1]):
        for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
            step = problem.term_coefficient[term] * stride[rank]
            count = repeat_offsets(offset, count, extent[problem.term_dimension[term]], step)
    return count


@kernel
def measure_work(
    problem: ProblemArrays,
    loops: LoopArrays,
    balance: BalanceArrays,
    tiles: TileArrays,
    masks: MaskArrays,
    before: Floats,
    after: Floats,
    status: Ints,
    work_before: Ints,
    work_after: Ints,
) -> None:
    """Find the work of the slowest processing element in the mean over all array-level tiles.

    Parameters
    ----------
    problem : ProblemArrays
    loops : LoopArrays
    balance : BalanceArrays
    tiles : TileArrays
    masks : MaskArrays
        With a mask of the balanced tensor.
    before, after : float64[N]
        Filled in: without and with balancing, as a share of the work if nothing were zero.
    status : int64[N]
        Mappings that are not valid are left out.
    work_before, work_after : int64[rounds, parts]
        Filled in for a batch of one: every element's work. With no entries, nothing is kept.
    """
    t, array, dimensions = balance.tensor, balance.array, loops.below.shape[2]
    rank = problem.rank[t]
    ranks = problem.rank_start[t + 1] - problem.rank_start[t]
    corner, sign = np.empty(1 << ranks, np.int64), np.empty(1 << ranks, np.int64)
    walked = np.empty(len(problem.term_dimension), np.int64)
    walks = walked_dimensions(problem, masks, t, walked)
    stride = np.empty(len(masks.side), np.int64)
    bit_strides(problem, masks, t, stride)
    at, extent, place = np.empty((3, dimensions), np.int64)
    dimension, bound, step = loops.dimension, loops.bound, loops.step
    start, listed = loops.start, loops.listed
    bucket = np.empty(BUCKETS, np.int64)
    for n in range(len(before)):
        before[n] = after[n] = 1.0
        if status[n] != OK:
            continue
        cut, parts = tiles.cut[n], tiles.parts[n]
        extent[:] = loops.below[n, array]
        pieces, rule = (balance.pieces, balance.assignment) if cut >= 0 else (1, OWN)
        volume = tiles.volume[n] // pieces
        if cut >= 0:
            extent[cut] //= pieces
        total = parts * pieces
        whole = float(tiles.rounds[n]) * tiles.volume[n]
        if len(work_before) == 0 and is_passed(problem, masks, t, extent):
            rounds = tiles.rounds[n]
            apart = lay_out(rounds, parts, pieces, rule, volume)
            counts = np.empty(max(rounds * apart[0], total * apart[1]), np.uint16)
            count_pieces(problem, loops, masks, balance, n, cut, extent, apart, counts)
            alone, after_all = add_slowest(counts, apart, rounds, parts, pieces, rule, volume, bucket)
            before[n], after[n] = alone / whole, after_all / whole
            continue
        origin = np.empty((total, dimensions), np.int64)
        place_pieces(loops.spread[n], loops.below[n], rank, array, cut, pieces, extent, origin)
        corners = list_corners(problem, masks, t, extent, corner, sign)
        base = np.empty(total, np.int64)
        # A piece with fewer elements than its box has corners is counted element by element.
        single_elements = walks == 0 and volume < corners
        if single_elements:
            corners = _list_elements(problem, t, extent, stride, corner)
            sign[:corners] = 1
            for i in range(total):
                base[i] = _find_element(problem, masks, t, origin[i], stride)
        elif walks == 0:
            for i in range(total):
                base[i] = find_base(problem, masks, t, origin[i])
        count = np.empty(total, np.int64)
        loads = balanced = np.empty(parts, np.int64)
        slowest = slowest_after = 0
        for number in range(tiles.rounds[n]):
            round_origin(dimension[n], bound[n], step[n], rank, start[n, array], listed[n], number, at)
            if single_elements:
                shift = _find_element(problem, masks, t, at, stride) - masks.bit_start[t]
                sum_boxes(masks.bits, base, shift, corner[:corners], sign, count)
            elif walks == 0:
                shift = find_base(problem, masks, t, at) - masks.start[t]
                sum_boxes(masks.table, base, shift, corner[:corners], sign, count)
            else:
                for i in range(total):
                    place[:] = at + origin[i]
                    count[i] = count_work(
                        problem, masks, t, place, extent, walked, walks, corner, sign, corners
                    )
            if len(work_before):
                loads, balanced = work_before[number], work_after[number]
            most = assign(OWN, pieces, count, volume, bucket, loads)
            slowest += most
            if rule == OWN:
                balanced[:] = loads
            else:
                most = assign(rule, pieces, count, volume, bucket, balanced)
            slowest_after += most
        before[n] = slowest / whole
        after[n] = slowest_after / whole
