"""How many different positions a tensor takes: what neighbours can share, and what a run touches."""

from __future__ import annotations

import numpy as np

from procrustes_model.kernels.dense.arrays import Ints, LoopArrays, ProblemArrays
from procrustes_model.kernels.jit import kernel

MOST_MARKED = 1 << 24
"""Values that are marked, or combinations that are listed, to count the elements that an instance touches."""


@kernel
def _distinct_sums(problem: ProblemArrays, rank: int, factors: Ints, steps: Ints) -> int:
    """Count the different values of one rank's expression, by marking those that are reached."""
    largest = 0
    for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
        d = problem.term_dimension[term]
        largest += (factors[d] - 1) * problem.term_coefficient[term] * steps[d]
    reached = np.zeros(largest + 1, np.bool_)
    reached[0] = True
    for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
        d = problem.term_dimension[term]
        step = problem.term_coefficient[term] * steps[d]
        once = reached.copy()
        for i in range(1, factors[d]):
            for value in range(i * step, largest + 1):
                if once[value - i * step]:
                    reached[value] = True
    distinct = 0
    for hit in reached:
        distinct += 1 if hit else 0
    return distinct


@kernel
def _enumerate_distinct(problem: ProblemArrays, tensor: int, factors: Ints, steps: Ints) -> int:
    """Count different positions by listing them all: where one dimension indexes several ranks."""
    total = 1
    for d in range(len(factors)):
        if problem.rank[tensor, d] >= 0:
            total *= factors[d]
    keys = np.zeros(total, np.int64)
    scale = 1
    for rank in range(problem.rank_start[tensor], problem.rank_start[tensor + 1]):
        extent = 1
        for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
            along = problem.term_dimension[term]
            step = problem.term_coefficient[term] * steps[along]
            period = 1
            for d in range(along):
                if problem.rank[tensor, d] >= 0:
                    period *= factors[d]
            for i in range(total):
                keys[i] += i // period % factors[along] * step * scale
            extent += (factors[along] - 1) * step
        scale *= extent
    keys.sort()
    distinct = 1
    for i in range(1, total):
        if keys[i] != keys[i - 1]:
            distinct += 1
    return distinct


@kernel
def _distinct_in_general(problem: ProblemArrays, tensor: int, factors: Ints, steps: Ints) -> int:
    """Count different positions in general: the rare index expressions, or large ones."""
    if problem.skewed[tensor]:
        return _enumerate_distinct(problem, tensor, factors, steps)
    distinct = 1
    for rank in range(problem.rank_start[tensor], problem.rank_start[tensor + 1]):
        distinct *= _distinct_sums(problem, rank, factors, steps)
    return distinct


@kernel
def _distinct_pairs(problem: ProblemArrays, tensor: int, factors: Ints, steps: Ints) -> int:
    """Count different positions where a rank sums two spread dimensions at most; -1 where one sums more.

    Two dimensions that share a rank, with m and n positions and steps a and b, reach
    ``m n - max(0, m - b/g) max(0, n - a/g)`` different offsets, g = gcd(a, b): each collision is a
    position that another one reaches by b/g steps less along a and a/g more along b.
    """
    distinct = 1
    for rank in range(problem.rank_start[tensor], problem.rank_start[tensor + 1]):
        m = n = a = b = 1
        spread = 0
        for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
            d = problem.term_dimension[term]
            if factors[d] > 1:
                m, a = n, b
                n, b = factors[d], problem.term_coefficient[term] * steps[d]
                spread += 1
        if spread > 2:
            return -1
        distinct *= m * n
        if spread == 2:
            g, rest = a, b
            while rest:
                g, rest = rest, g % rest
            distinct -= distinct // (m * n) * (max(0, m - b // g) * max(0, n - a // g))
    return distinct


@kernel
def distinct_positions(problem: ProblemArrays, tensor: int, factors: Ints, steps: Ints) -> int:
    """Count different positions by the cheapest way that is exact."""
    distinct = -1
    if not problem.skewed[tensor]:
        distinct = _distinct_pairs(problem, tensor, factors, steps)
    return distinct if distinct > 0 else _distinct_in_general(problem, tensor, factors, steps)


@kernel
def is_held(below: Ints, spread: Ints, level: int, dimension: int, position: int) -> bool:
    """Say whether the first instance of a level comes to a position of a dimension.

    Spatial loops further out give it to others unless their index is 0. `below` : int64[L + 1, D]. `spread`:
    int64[L, D].
    """
    for outer in range(level):
        step, factor = below[outer + 1, dimension], spread[outer, dimension]
        if factor > 1 and position // step % factor != 0:
            return False
    return True


@kernel
def _mark_sums(
    problem: ProblemArrays, rank: int, below: Ints, spread: Ints, level: int, bounds: Ints, largest: int
) -> int:
    """Count the different values of one rank's expression over what an instance comes to, by marking them."""
    reached = np.zeros(largest + 1, np.bool_)
    reached[0] = True
    once = np.empty(largest + 1, np.bool_)
    for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
        d = problem.term_dimension[term]
        for value in range(largest + 1):
            once[value] = reached[value]
        for i in range(1, bounds[d]):
            if not is_held(below, spread, level, d, i):
                continue
            step = i * problem.term_coefficient[term]
            for value in range(step, largest + 1):
                if once[value - step]:
                    reached[value] = True
    distinct = 0
    for hit in reached:
        distinct += 1 if hit else 0
    return distinct


@kernel
def _list_held(
    problem: ProblemArrays, tensor: int, below: Ints, spread: Ints, level: int, bounds: Ints, total: int
) -> int:
    """Count different positions over what an instance comes to by listing all `total` of its combinations."""
    keys = np.zeros(total, np.int64)
    period = 1
    for d in range(len(bounds)):
        if problem.rank[tensor, d] < 0:
            continue
        held = 0
        for position in range(bounds[d]):
            held += 1 if is_held(below, spread, level, d, position) else 0
        at = np.empty(held, np.int64)
        held = 0
        for position in range(bounds[d]):
            if is_held(below, spread, level, d, position):
                at[held] = position
                held += 1
        scale = 1
        for rank in range(problem.rank_start[tensor], problem.rank_start[tensor + 1]):
            side = 1
            for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
                along = problem.term_dimension[term]
                side += problem.term_coefficient[term] * (bounds[along] - 1)
                if along == d:
                    for i in range(total):
                        keys[i] += at[i // period % held] * problem.term_coefficient[term] * scale
            scale *= side
        period *= held
    keys.sort()
    distinct = 1
    for i in range(1, total):
        if keys[i] != keys[i - 1]:
            distinct += 1
    return distinct


@kernel
def touched_positions(
    problem: ProblemArrays, tensor: int, below: Ints, spread: Ints, level: int, reach: Ints
) -> int:
    """Count the different elements of a tensor that one instance of a level comes to over the run.

    Where a spatial loop lies inside a temporal one of the same dimension, what it comes to along the
    dimension has holes, and sums of two such dimensions are counted by marking them.

    Parameters
    ----------
    problem : ProblemArrays
    tensor : int
    below : int64[L + 1, D]
        Positions inside a level, of all its loops.
    spread : int64[L, D]
        Over the instances below a level.
    level : int
    reach : int64[D]
        Positions that the instance comes to.

    Returns
    -------
    int
        Exact up to `MOST_MARKED` values or combinations; beyond, the most that there can be.
    """
    bounds = problem.bounds
    dimensions = len(bounds)
    one = np.ones(dimensions, np.int64)
    holes = False
    total = 1.0
    for d in range(dimensions):
        if problem.rank[tensor, d] < 0 or reach[d] == 1:
            continue
        total *= reach[d]
        last = bounds[d] - 1
        for outer in range(level):
            last -= (spread[outer, d] - 1) * below[outer + 1, d]
        holes = holes or last + 1 != reach[d]
    if not holes:
        return distinct_positions(problem, tensor, reach, one)
    if problem.skewed[tensor] and total <= MOST_MARKED:
        return _list_held(problem, tensor, below, spread, level, bounds, int(total))
    distinct = 1
    for rank in range(problem.rank_start[tensor], problem.rank_start[tensor + 1]):
        most = largest = 1
        moving = 0
        for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
            d = problem.term_dimension[term]
            most *= reach[d]
            largest += problem.term_coefficient[term] * (bounds[d] - 1)
            moving += 1 if reach[d] > 1 else 0
        if moving > 1:
            marked = not problem.skewed[tensor] and largest <= MOST_MARKED
            most = min(most, largest)
            if marked:
                most = _mark_sums(problem, rank, below, spread, level, bounds, largest)
        distinct *= most
    return distinct


@kernel
def count_distinct(problem: ProblemArrays, loops: LoopArrays, distinct: Ints, touched: Ints) -> None:
    """Count the different tiles that siblings hold, and the output elements that an instance touches.

    Parameters
    ----------
    problem : ProblemArrays
    loops : LoopArrays
    distinct : int64[N, L, T]
        Filled in: different tiles among the instances below one instance of a level.
    touched : int64[N, L, 2]
        Filled in, twice: different elements of the output that one instance of a level accumulates over the
        run.
    """
    rank_start, term_start = problem.rank_start, problem.term_start
    term_dimension, sliding, skewed = problem.term_dimension, problem.sliding, problem.skewed
    spread, below, reach, output = loops.spread, loops.below, loops.reach, problem.output
    mappings, levels, tensors = distinct.shape
    dimensions = spread.shape[2]
    for n in range(mappings):
        for level in range(levels):
            instances = 1
            for d in range(dimensions):
                instances *= spread[n, level, d]
            for tensor in range(tensors):
                distinct[n, level, tensor] = 1
                if instances == 1:
                    continue
                total = 1
                for term in range(term_start[rank_start[tensor]], term_start[rank_start[tensor + 1]]):
                    total *= spread[n, level, term_dimension[term]]
                crowded = skewed[tensor] and total > 1
                if sliding[tensor] and total > 1:
                    for rank in range(rank_start[tensor], rank_start[tensor + 1]):
                        shared = 0
                        for term in range(term_start[rank], term_start[rank + 1]):
                            shared += spread[n, level, term_dimension[term]] > 1
                        crowded = crowded or shared > 1
                if crowded:
                    total = distinct_positions(problem, tensor, spread[n, level], below[n, level + 1])
                distinct[n, level, tensor] = total
            total = 1
            for term in range(term_start[rank_start[output]], term_start[rank_start[output + 1]]):
                total *= reach[n, level, term_dimension[term]]
            if sliding[output] or skewed[output]:
                total = touched_positions(problem, output, below[n], spread[n], level, reach[n, level])
            touched[n, level, 0] = touched[n, level, 1] = total
