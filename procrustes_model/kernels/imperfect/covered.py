"""How many elements of an output an instance accumulates where its loops leave it a part of its own."""

from __future__ import annotations

import numpy as np

from procrustes_model.kernels.dense.arrays import Ints, ProblemArrays
from procrustes_model.kernels.dense.sharing import MOST_MARKED
from procrustes_model.kernels.imperfect.instances import ChainArrays, follow_class, stand_for
from procrustes_model.kernels.jit import kernel


@kernel
def _list_starts(
    chains: ChainArrays, level: int, d: int, bound: int, length: int, index: Ints, start: Ints
) -> int:
    """List where the pieces of a dimension start that an instance comes to; return how many."""
    count = 0
    for at in range(0, bound, length):
        held = True
        for j in range(level):
            held = held and at // chains.below[j + 1, d] % chains.spread[j, d] == index[j]
        if held:
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
    """Count the different words in boxes over `within`, of `size`, where a dimension moves several ranks."""
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
def count_accumulated(
    problem: ProblemArrays, chains: ChainArrays, level: int, names: Ints, within: Ints
) -> int:
    """Count the different elements of the output that one instance of a level accumulates over the run.

    Parameters
    ----------
    problem : ProblemArrays
    chains : ChainArrays
        `lasts` is changed.
    level : int
    names : int64[D]
        The instance's class in each dimension.
    within : int64[D]
        Elements that the tiles cover whose words count too where tiles of the output have gaps.

    Returns
    -------
    int
        Exact up to `MOST_MARKED` values or words; beyond, the most that there can be.
    """
    output = problem.output
    if not (problem.sliding[output] or problem.skewed[output] or problem.gapped):
        words = 1
        for d in range(len(names)):
            if problem.rank[output, d] >= 0:
                words *= follow_class(chains, d, names[d], level)
        return words
    length = np.ones_like(within)
    if problem.gapped:
        length[:] = within
    dimensions, levels = len(names), len(chains.whole)
    starts = np.zeros((dimensions, problem.bounds.max()), np.int64)
    count, index = np.ones(dimensions, np.int64), np.zeros(levels, np.int64)
    size = 1
    for rank in range(problem.rank_start[output], problem.rank_start[output + 1]):
        side = 1
        for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
            d = problem.term_dimension[term]
            stand_for(chains, d, names[d], index)
            count[d] = _list_starts(chains, level, d, problem.bounds[d], length[d], index, starts[d])
            side += problem.term_coefficient[term] * (problem.bounds[d] - 1)
        size *= side
    if problem.skewed[output] and size <= MOST_MARKED:
        return _cover_skewed(problem, starts, count, length, size)
    covered = 1
    for rank in range(problem.rank_start[output], problem.rank_start[output + 1]):
        covered *= _cover_rank(problem, rank, starts, count, length)
    return covered
