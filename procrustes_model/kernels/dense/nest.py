"""Geometry of loop nests: the loops, how tiles move, and which neighbours hold the same tile.

A tile is the bounding box of what the loops at and below a level touch: per rank, one more than the
sum over its dimensions of coefficient times (covered elements - 1).
"""

from __future__ import annotations

import numpy as np

from procrustes_model.kernels.dense.arrays import (
    BAD_FACTORS,
    BAD_FANOUT,
    BAD_HOME,
    BAD_KEEP,
    COUNT_LIMIT,
    OK,
    OVERFLOW,
    Ints,
    LoopArrays,
    MachineArrays,
    NestArrays,
    ProblemArrays,
)
from procrustes_model.kernels.jit import kernel


@kernel
def copy_row(source: Ints, target: Ints) -> None:
    """Copy the numbers of a row: in a loop, which compiles ten times faster than a slice."""
    for i in range(len(source)):
        target[i] = source[i]


@kernel
def copy_nest(source: NestArrays, target: NestArrays, n: int, to: int) -> None:
    """Copy mapping `n` of `source` to place `to` of `target`."""
    levels, dimensions = source.order.shape[1:]
    for level in range(levels):
        for d in range(dimensions):
            target.temporal[to, level, d] = source.temporal[n, level, d]
            target.order[to, level, d] = source.order[n, level, d]
            target.spatial[to, level, 0, d] = source.spatial[n, level, 0, d]
            target.spatial[to, level, 1, d] = source.spatial[n, level, 1, d]
        for t in range(source.keep.shape[2]):
            target.keep[to, level, t] = source.keep[n, level, t]


@kernel
def is_beyond(a: int, b: int) -> bool:
    """Say whether the product of two counts is beyond 2^62, exactly."""
    return bool(float(a) * float(b) > COUNT_LIMIT or a * b > COUNT_LIMIT)


@kernel
def flatten(nests: NestArrays, loops: LoopArrays) -> None:
    """List each mapping's temporal loops with a bound above 1, and what each level covers.

    Parameters
    ----------
    nests : NestArrays
    loops : LoopArrays
        Filled in.
    """
    temporal, order, spatial = nests.temporal, nests.order, nests.spatial
    below, spread, reach = loops.below, loops.spread, loops.reach
    mappings, levels, dimensions = temporal.shape
    for n in range(mappings):
        for d in range(dimensions):
            below[n, levels, d] = 1
        count = 0
        for level in range(levels - 1, -1, -1):
            loops.start[n, level + 1] = count
            for d in range(dimensions):
                spread[n, level, d] = spatial[n, level, 0, d] * spatial[n, level, 1, d]
                below[n, level, d] = below[n, level + 1, d] * spread[n, level, d]
            for position in range(dimensions - 1, -1, -1):
                d = order[n, level, position]
                bound = temporal[n, level, d]
                if bound > 1:
                    loops.dimension[n, count] = d
                    loops.bound[n, count] = bound
                    loops.step[n, count] = below[n, level, d]
                    below[n, level, d] *= bound
                    count += 1
        loops.start[n, 0] = count
        loops.listed[n] = count
        outer = 1
        for loop in range(count - 1, -1, -1):
            loops.outer[n, loop] = outer
            outer *= loops.bound[n, loop]
        for d in range(dimensions):
            reach[n, 0, d] = below[n, 0, d]
        for level in range(1, levels):
            for d in range(dimensions):
                outside = spread[n, level - 1, d]
                reach[n, level, d] = (
                    reach[n, level - 1, d] // outside if outside > 1 else reach[n, level - 1, d]
                )


@kernel
def are_well_formed(nests: NestArrays) -> tuple[bool, bool]:
    """Say whether all factors are positive, and all orders permutations: what other kernels rely on."""
    temporal, order, spatial = nests.temporal, nests.order, nests.spatial
    mappings, levels, dimensions = temporal.shape
    positive = ordered = True
    for n in range(mappings):
        for level in range(levels):
            seen = 0
            for d in range(dimensions):
                smallest = min(temporal[n, level, d], spatial[n, level, 0, d], spatial[n, level, 1, d])
                positive = positive and smallest > 0
                ordered = ordered and 0 <= order[n, level, d] < dimensions
                seen |= 1 << order[n, level, d]
            ordered = ordered and seen == (1 << dimensions) - 1
    return positive, ordered


@kernel
def check_nests(
    problem: ProblemArrays, machine: MachineArrays, nests: NestArrays, loops: LoopArrays, status: Ints
) -> None:
    """Check that factors multiply to the bounds and fit the fan-out, and that tensors are kept at home.

    Parameters
    ----------
    problem : ProblemArrays
    machine : MachineArrays
    nests : NestArrays
    loops : LoopArrays
        As `flatten` leaves them.
    status : int64[N]
        Filled in: OK or what is wrong.
    """
    spatial, keep, home_of, fanout = nests.spatial, nests.keep, machine.home, machine.fanout
    mappings, levels, _, dimensions = spatial.shape
    for n in range(mappings):
        status[n] = OK
        for tensor in range(keep.shape[2]):
            home = home_of[tensor]
            if not keep[n, home, tensor]:
                status[n] = BAD_KEEP
            for level in range(home):
                if keep[n, level, tensor]:
                    status[n] = BAD_KEEP
        for level in range(levels):
            x = y = 1
            for d in range(dimensions):
                x *= spatial[n, level, 0, d]
                y *= spatial[n, level, 1, d]
            if x > fanout[level, 0] or y > fanout[level, 1]:
                status[n] = BAD_FANOUT
        for d in range(dimensions):
            if loops.below[n, 0, d] != problem.bounds[d]:
                status[n] = BAD_FACTORS


@kernel
def check_homes(problem: ProblemArrays, machine: MachineArrays, loops: LoopArrays, status: Ints) -> None:
    """Check that a tensor which begins further in is whole there: no instance comes to more than its tile.

    Nor may sums of one element lie in several instances of the level where an output ends. `status`,
    int64[N], becomes BAD_HOME where that does not hold.
    """
    for n in range(len(status)):
        for tensor in range(len(problem.sliding)):
            home = machine.home[tensor]
            if home == 0:
                continue
            for loop in range(loops.start[n, home], loops.listed[n]):
                if problem.rank[tensor, loops.dimension[n, loop]] >= 0 and status[n] == OK:
                    status[n] = BAD_HOME
            for level in range(home if tensor == problem.output else 0):
                for d in range(len(problem.bounds)):
                    apart = loops.spread[n, level, d] > 1 and problem.rank[tensor, d] < 0
                    if apart and status[n] == OK:
                        status[n] = BAD_HOME


@kernel
def measure_tiles(problem: ProblemArrays, below: Ints, tile: Ints) -> None:
    """Measure the bounding box of every tile.

    Parameters
    ----------
    problem : ProblemArrays
    below : int64[N, L + 1, D]
        Elements covered.
    tile : int64[N, L, T]
        Filled in, words.
    """
    rank_start, term_start = problem.rank_start, problem.term_start
    dimension, coefficient = problem.term_dimension, problem.term_coefficient
    mappings, levels, tensors = tile.shape
    for n in range(mappings):
        for level in range(levels):
            for tensor in range(tensors):
                words = 1
                for rank in range(rank_start[tensor], rank_start[tensor + 1]):
                    side = 1
                    for term in range(term_start[rank], term_start[rank + 1]):
                        side += coefficient[term] * (below[n, level, dimension[term]] - 1)
                    words *= side
                tile[n, level, tensor] = words


@kernel
def _skewed_transfers(problem: ProblemArrays, loops: LoopArrays, n: int, tensor: int, level: int) -> int:
    """Count the transfers of a tensor with a dimension that moves several ranks: moves as vectors."""
    first, last = problem.rank_start[tensor], problem.rank_start[tensor + 1]
    side = np.ones(last - first, np.int64)
    reached = np.zeros(last - first, np.int64)
    step = np.zeros(last - first, np.int64)
    words = kept = 1
    for r in range(last - first):
        for term in range(problem.term_start[first + r], problem.term_start[first + r + 1]):
            side[r] += problem.term_coefficient[term] * (
                loops.below[n, level, problem.term_dimension[term]] - 1
            )
        words *= side[r]
    total = words
    found = False
    for loop in range(loops.start[n, level], loops.listed[n]):
        still = same = True
        for r in range(last - first):
            along = 0
            for term in range(problem.term_start[first + r], problem.term_start[first + r + 1]):
                if problem.term_dimension[term] == loops.dimension[n, loop]:
                    along += problem.term_coefficient[term] * loops.step[n, loop]
            move = along - reached[r]
            reached[r] += along
            if not found:
                step[r] = move
            still = still and move == 0
            same = same and move == step[r]
        if still:
            continue
        if not found:
            found = True
            for r in range(last - first):
                kept *= max(0, side[r] - step[r])
        total += (loops.bound[n, loop] - 1) * loops.outer[n, loop] * (words - kept if same else words)
    return total


@kernel
def count_transfers(problem: ProblemArrays, loops: LoopArrays, tile: Ints, moved: Ints, status: Ints) -> None:
    """Count the words of each tensor that are moved into one instance of each level over the run.

    A tile that does not move is free. A tile that moves by the step of the innermost loop that moves it
    keeps what overlaps; any other move fetches it whole. When a loop steps, the loops inside it fall back
    from their second iteration, which stands for all later ones; so a step that equals their sum leaves
    the tile where it was. Only loops over the rank that the innermost one moves can do that.

    Parameters
    ----------
    problem : ProblemArrays
    loops : LoopArrays
        As `flatten` leaves them.
    tile : int64[N, L, T]
    moved : int64[N, L, T]
        Filled in.
    status : int64[N]
        Set to OVERFLOW where a count exceeds 2^62.
    """
    rank_of, coefficient_of = problem.rank, problem.coefficient
    dimension, bound, step_of, outer = loops.dimension, loops.bound, loops.step, loops.outer
    mappings, levels, tensors = tile.shape
    for n in range(mappings):
        count = loops.listed[n]
        for tensor in range(tensors):
            for level in range(levels):
                words = tile[n, level, tensor]
                inner = loops.start[n, level]
                while inner < count and rank_of[tensor, dimension[n, inner]] < 0:
                    inner += 1
                if inner == count:
                    moved[n, level, tensor] = words
                    continue
                visits = bound[n, inner] * outer[n, inner]
                if is_beyond(words, visits):
                    status[n] = OVERFLOW
                    continue
                total = words * visits
                moved[n, level, tensor] = total
                if problem.skewed[tensor]:
                    moved[n, level, tensor] = _skewed_transfers(problem, loops, n, tensor, level)
                if not problem.sliding[tensor] or problem.skewed[tensor]:
                    continue
                rank = rank_of[tensor, dimension[n, inner]]
                step = coefficient_of[tensor, dimension[n, inner]] * step_of[n, inner]
                side = 1
                for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
                    covered = loops.below[n, level, problem.term_dimension[term]]
                    side += problem.term_coefficient[term] * (covered - 1)
                kept = words // side * (side - step) if step < side else 0
                total -= (bound[n, inner] - 1) * outer[n, inner] * kept
                reached = step
                for loop in range(inner + 1, count):
                    d = dimension[n, loop]
                    if rank_of[tensor, d] == rank:
                        along = coefficient_of[tensor, d] * step_of[n, loop]
                        if along == reached:
                            total -= (bound[n, loop] - 1) * outer[n, loop] * words
                        elif along - reached == step:
                            total -= (bound[n, loop] - 1) * outer[n, loop] * kept
                        reached += along
                    elif rank_of[tensor, d] >= 0:
                        break
                moved[n, level, tensor] = total
