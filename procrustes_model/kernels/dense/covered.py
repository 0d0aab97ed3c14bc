"""How many words of the output the tiles of one instance cover, with what no computation reaches.

A tile is a bounding box. Where a rank's index has a coefficient above 1, as in the backward phase of a
strided convolution, or a dimension indexes two ranks, a box may have gaps: words that are moved with it,
although nothing is ever added to them.
"""

from __future__ import annotations

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, Ints, LoopArrays, ProblemArrays
from procrustes_model.kernels.dense.sharing import MOST_MARKED, is_held, touched_positions
from procrustes_model.kernels.jit import kernel


@kernel
def has_gaps(problem: ProblemArrays, extent: Ints) -> bool:
    """Say whether a box of the output over `extent`, int64[D], has words that no computation reaches.

    Sums are without gaps where, from the smallest step on, none is longer than what the smaller ones reach.
    """
    output = problem.output
    for rank in range(problem.rank_start[output], problem.rank_start[output + 1]):
        length, done = 1, 0
        while True:
            least, along = 0, -1
            for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
                d, step = problem.term_dimension[term], problem.term_coefficient[term]
                if extent[d] > 1 and step > done and (least == 0 or step < least):
                    least, along = step, d
            if along < 0:
                break
            if least > length or (problem.skewed[output] and _ranks_of(problem, along) > 1):
                return True
            for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
                if problem.term_coefficient[term] == least:
                    length += least * (extent[problem.term_dimension[term]] - 1)
            done = least
    return False


@kernel
def _ranks_of(problem: ProblemArrays, dimension: int) -> int:
    """Return how many ranks of the output a dimension indexes."""
    first, end = problem.rank_start[problem.output], problem.rank_start[problem.output + 1]
    ranks = 0
    for term in range(problem.term_start[first], problem.term_start[end]):
        ranks += 1 if problem.term_dimension[term] == dimension else 0
    return ranks


@kernel
def _list_starts(
    below: Ints, spread: Ints, level: int, dimension: int, bound: int, length: int, start: Ints
) -> int:
    """List where the pieces of a dimension start that an instance comes to; return how many."""
    count = 0
    for at in range(0, bound, length):
        if is_held(below, spread, level, dimension, at):
            start[count] = at
            count += 1
    return count


@kernel
def _cover_rank(problem: ProblemArrays, rank: int, starts: Ints, count: Ints, within: Ints) -> int:
    """Count the different values of one rank in boxes over `within`: their ends are noted, and added up."""
    most = largest = 1
    for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
        d = problem.term_dimension[term]
        most *= count[d]
        largest += problem.term_coefficient[term] * (problem.bounds[d] - 1)
    if largest > MOST_MARKED or most > MOST_MARKED:
        return int(largest)
    ends = np.zeros(largest + 1, np.int64)
    for number in range(most):
        first, last, rest = 0, 0, number
        for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
            d, step = problem.term_dimension[term], problem.term_coefficient[term]
            at = starts[d, rest % count[d]]
            rest //= count[d]
            first += step * at
            last += step * (min(at + within[d], problem.bounds[d]) - 1)
        ends[first] += 1
        ends[last + 1] -= 1
    covered = boxes = 0
    for end in ends:
        boxes += int(end)
        covered += 1 if boxes > 0 else 0
    return covered


@kernel
def _cover_skewed(problem: ProblemArrays, starts: Ints, count: Ints, within: Ints, size: int) -> int:
    """Count the different words in boxes over `within`: of `size` words, each is marked."""
    output = problem.output
    first_rank, end_rank = problem.rank_start[output], problem.rank_start[output + 1]
    ranks = end_rank - first_rank
    reached = np.zeros(size, np.bool_)
    side, at, low, high = np.ones((4, ranks), np.int64)
    place = np.zeros(len(within), np.int64)
    for number in range(count.prod()):
        rest = number
        for d in range(len(within)):
            place[d] = starts[d, rest % count[d]]
            rest //= count[d]
        words = 1
        for r in range(ranks):
            low[r] = high[r] = 0
            side[r] = 1
            for term in range(problem.term_start[first_rank + r], problem.term_start[first_rank + r + 1]):
                d, step = problem.term_dimension[term], problem.term_coefficient[term]
                low[r] += step * place[d]
                high[r] += step * (min(place[d] + within[d], problem.bounds[d]) - 1)
                side[r] += step * (problem.bounds[d] - 1)
            words *= high[r] - low[r] + 1
            at[r] = low[r]
        for _ in range(words):
            key = 0
            for r in range(ranks):
                key = key * side[r] + at[r]
            reached[key] = True
            for r in range(ranks - 1, -1, -1):
                at[r] += 1
                if at[r] <= high[r]:
                    break
                at[r] = low[r]
    return int(reached.sum())


@kernel
def cover_boxes(problem: ProblemArrays, starts: Ints, count: Ints, within: Ints) -> int:
    """Count the different words of the output in boxes that begin at some positions of every dimension.

    Parameters
    ----------
    problem : ProblemArrays
    starts : int64[D, ...]
        Where they begin, of dimensions of the output.
    count : int64[D]
        How many positions these are; 1 of other dimensions.
    within : int64[D]
        Positions that a box covers; what lies beyond the bounds is cut off.

    Returns
    -------
    int
        Exact up to `MOST_MARKED` values, boxes or words; beyond, the most that there can be.
    """
    output = problem.output
    size = 1
    for rank in range(problem.rank_start[output], problem.rank_start[output + 1]):
        side = 1
        for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
            side += problem.term_coefficient[term] * (problem.bounds[problem.term_dimension[term]] - 1)
        size *= side
    if problem.skewed[output] and size <= MOST_MARKED:
        return _cover_skewed(problem, starts, count, within, size)
    covered = 1
    for rank in range(problem.rank_start[output], problem.rank_start[output + 1]):
        covered *= _cover_rank(problem, rank, starts, count, within)
    return covered


@kernel
def covered_positions(
    problem: ProblemArrays, below: Ints, spread: Ints, level: int, reach: Ints, within: Ints
) -> int:
    """Count the different words of the output in the tiles that come to one instance of a level over the run.

    Parameters
    ----------
    problem : ProblemArrays
    below : int64[L + 1, D]
        Positions inside a level, of all its loops.
    spread : int64[L, D]
        Over the instances below a level.
    level : int
    reach : int64[D]
        Positions that the instance comes to.
    within : int64[D]
        Positions that a tile covers, at this level or further in.

    Returns
    -------
    int
        Exact up to `MOST_MARKED` values, boxes or words; beyond, the most that there can be.
    """
    output = problem.output
    if not has_gaps(problem, within):
        return touched_positions(problem, output, below, spread, level, reach)
    starts = np.zeros((len(within), problem.bounds.max()), np.int64)
    count = np.ones(len(within), np.int64)
    for d in range(len(within)):
        if problem.rank[output, d] >= 0:
            count[d] = _list_starts(below, spread, level, d, problem.bounds[d], within[d], starts[d])
    return cover_boxes(problem, starts, count, within)


@kernel
def count_covered(problem: ProblemArrays, loops: LoopArrays, keep: Bools, touched: Ints) -> None:
    """Count the output words that are moved with tiles which have gaps.

    Parameters
    ----------
    problem : ProblemArrays
    loops : LoopArrays
    keep : bool[N, L, T]
    touched : int64[N, L, 2]
        Replaced; see `Room`.
    """
    if not problem.gapped:
        return
    mappings, levels, _ = keep.shape
    for n in range(mappings):
        child = levels
        for level in range(levels - 1, -1, -1):
            for side in range(2):
                touched[n, level, side] = covered_positions(
                    problem,
                    loops.below[n],
                    loops.spread[n],
                    level,
                    loops.reach[n, level],
                    loops.below[n, level if side else child],
                )
            if keep[n, level, problem.output]:
                child = level
