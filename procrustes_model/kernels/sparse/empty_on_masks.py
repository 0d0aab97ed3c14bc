"""Densities and empty boxes, counted on masks."""

from __future__ import annotations

import numpy as np

from procrustes_model.kernels.dense.arrays import OK, Floats, Ints, LoopArrays, ProblemArrays
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.arrays import BoxArrays, DensityArrays
from procrustes_model.kernels.sparse.masks import MaskArrays, count_work, list_corners, walked_dimensions


@kernel
def met_density(problem: ProblemArrays, masks: MaskArrays, tensor: int) -> float:
    """Return the share of all computations that meet a nonzero of `tensor`."""
    dimensions = len(problem.bounds)
    corner, sign = np.empty(1 << dimensions, np.int64), np.empty(1 << dimensions, np.int64)
    walked = np.empty(len(problem.term_dimension), np.int64)
    walks = walked_dimensions(problem, masks, tensor, walked)
    corners = list_corners(problem, masks, tensor, problem.bounds, corner, sign)
    origin = np.zeros(dimensions, np.int64)
    found = count_work(problem, masks, tensor, origin, problem.bounds, walked, walks, corner, sign, corners)
    whole = 1.0
    for d in range(dimensions):
        if problem.rank[tensor, d] >= 0:
            whole *= problem.bounds[d]
    return found / whole


@kernel
def find_empty_by_mask(
    problem: ProblemArrays,
    densities: DensityArrays,
    masks: MaskArrays,
    boxes: BoxArrays,
    status: Ints,
    empty: Floats,
) -> None:
    """Find the share of each leader's boxes that are empty, over all positions of the box, side by side.

    Boxes at the end of a dimension that they do not divide are shorter.

    Parameters
    ----------
    problem : ProblemArrays
    densities : DensityArrays
    masks : MaskArrays
    boxes : BoxArrays
    status : int64[N]
        Mappings that are not valid are left out.
    empty : float64[N, A, T]
        Replaced for leaders that have a mask.
    """
    bounds, rank = problem.bounds, problem.rank
    mappings, count, tensors, dimensions = boxes.extent.shape
    corner, sign = np.empty(1 << dimensions, np.int64), np.empty(1 << dimensions, np.int64)
    walked = np.empty(len(problem.term_dimension), np.int64)
    origin, extent, end = (
        np.empty(dimensions, np.int64),
        np.empty(dimensions, np.int64),
        np.empty(dimensions, np.int64),
    )
    for n in range(mappings):
        for a in range(count):
            for t in range(tensors):
                if status[n] != OK or not masks.known[t] or not boxes.effective[n, a, t]:
                    continue
                positions = one = 1
                for d in range(dimensions):
                    extent[d] = min(boxes.extent[n, a, t, d], bounds[d])
                    if rank[t, d] >= 0:
                        positions *= (bounds[d] + extent[d] - 1) // extent[d]
                        one *= extent[d]
                if one == 1:
                    empty[n, a, t] = 1 - densities.met[t]
                    continue
                walks = walked_dimensions(problem, masks, t, walked)
                zero = 0
                for position in range(positions):
                    rest = position
                    origin[:] = 0
                    for d in range(dimensions):
                        end[d] = extent[d]
                        if rank[t, d] >= 0:
                            times = (bounds[d] + extent[d] - 1) // extent[d]
                            origin[d] = rest % times * extent[d]
                            end[d] = min(extent[d], bounds[d] - origin[d])
                            rest //= times
                    corners = list_corners(problem, masks, t, end, corner, sign)
                    work = count_work(problem, masks, t, origin, end, walked, walks, corner, sign, corners)
                    zero += 1 if work == 0 else 0
                empty[n, a, t] = zero / positions


@kernel
def fill_density(densities: DensityArrays, dense: Floats) -> None:
    """Take every tile of a tensor, and what compute units take, to be as dense as the whole.

    Parameters
    ----------
    densities : DensityArrays
    dense : float64[N, L + 1, T]
        Filled in.
    """
    mappings, levels, tensors = dense.shape
    for n in range(mappings):
        for t in range(tensors):
            for level in range(levels - 1):
                dense[n, level, t] = densities.average[t]
            dense[n, levels - 1, t] = densities.met[t]


@kernel
def _cover(problem: ProblemArrays, rank: int, extent: Ints, weight: Ints) -> int:
    """Count in `weight` how many positions of a tile cover each index of a rank.

    Return the positions times the tile's side.

    `extent` : int64[D], of the tile; it divides the bounds.
    """
    weight[:] = 0
    side = positions = 1
    for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
        d = problem.term_dimension[term]
        side += problem.term_coefficient[term] * (extent[d] - 1)
        positions *= problem.bounds[d] // extent[d]
    for position in range(positions):
        rest = position
        low = 0
        for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
            d = problem.term_dimension[term]
            times = problem.bounds[d] // extent[d]
            low += problem.term_coefficient[term] * (rest % times) * extent[d]
            rest //= times
        for index in range(low, low + side):
            weight[index] += 1
    return positions * side


@kernel
def fill_density_by_mask(
    problem: ProblemArrays, loops: LoopArrays, masks: MaskArrays, status: Ints, dense: Floats
) -> None:
    """Count how dense the tiles of sliding tensors are in the mean over all positions; tiles overlap there.

    Parameters
    ----------
    problem : ProblemArrays
    loops : LoopArrays
    masks : MaskArrays
    status : int64[N]
        Mappings that are not valid are left out.
    dense : float64[N, L + 1, T]
        Replaced for storage levels and sliding tensors that have a mask.
    """
    side, rank_start = masks.side, problem.rank_start
    mappings, levels, tensors = dense.shape
    longest = 1
    for rank in range(len(side)):
        longest = max(longest, side[rank])
    weight = np.empty((len(side), longest), np.int64)
    for n in range(mappings):
        for t in range(tensors):
            if status[n] != OK or not masks.known[t] or not problem.sliding[t]:
                continue
            last = rank_start[t + 1] - 1
            rows = 1
            for rank in range(rank_start[t], last):
                rows *= side[rank]
            for level in range(levels - 1):
                covered = 1.0
                for rank in range(rank_start[t], last + 1):
                    covered *= _cover(problem, rank, loops.below[n, level], weight[rank])
                found = 0
                for row in range(rows):
                    rest = row
                    times = 1
                    for rank in range(last - 1, rank_start[t] - 1, -1):
                        times *= weight[rank, rest % side[rank]]
                        rest //= side[rank]
                    along = 0
                    first = masks.bit_start[t] + row * side[last]
                    for index in range(side[last]):
                        if masks.bits[first + index]:
                            along += weight[last, index]
                    found += along * times
                dense[n, level, t] = found / covered
