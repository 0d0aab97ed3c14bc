"""How many different positions a tensor takes: what neighbours can share, and what a run touches."""

from __future__ import annotations

import numpy as np

from procrustes_model.kernels.dense.arrays import Ints, LoopArrays, ProblemArrays
from procrustes_model.kernels.jit import kernel


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
def count_distinct(problem: ProblemArrays, loops: LoopArrays, distinct: Ints, touched: Ints) -> None:
    """Count the different tiles that siblings hold, and the output elements that an instance touches.

    Parameters
    ----------
    problem : ProblemArrays
    loops : LoopArrays
    distinct : int64[N, L, T]
        Filled in: different tiles among the instances below one instance of a level.
    touched : int64[N, L]
        Filled in: different elements of the output that one instance of a level accumulates over the run.
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
                total = distinct_positions(problem, output, reach[n, level], below[n, levels])
            touched[n, level] = total
