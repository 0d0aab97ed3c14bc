"""How many words are moved into each level when loops are shorter in their last pass."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from procrustes_model.kernels.dense.arrays import (
    BAD_FACTORS,
    OK,
    Bools,
    Ints,
    LoopArrays,
    ProblemArrays,
)
from procrustes_model.kernels.imperfect.walk import walk_transfers
from procrustes_model.kernels.jit import kernel


class PassArrays(NamedTuple):
    """What the last passes add to `LoopArrays`; the loops are listed there, innermost first.

    Attributes
    ----------
    last : int64[N, L * D]
        Bound of a listed loop in the last pass over its dimension.
    differs : bool[N, L * D]
        Whether its last iteration there is shorter inside: an inner loop of its dimension is partial.
    rest : int64[N, L + 1, D]
        Elements of each dimension that the loops at and below a level cover in the last pass.
    """

    last: Ints
    differs: Bools
    rest: Ints


@kernel
def make_passes(mappings: int, levels: int, dimensions: int) -> PassArrays:
    """Allocate the last passes of a batch."""
    return PassArrays(
        np.empty((mappings, levels * dimensions), np.int64),
        np.empty((mappings, levels * dimensions), np.bool_),
        np.empty((mappings, levels + 1, dimensions), np.int64),
    )


@kernel
def list_passes(loops: LoopArrays, last: Ints, passes: PassArrays, fits: Bools) -> None:
    """Follow the last passes outwards.

    Parameters
    ----------
    loops : LoopArrays
        As `flatten` leaves them.
    last : int64[N, L, D]
        Temporal factors in the last pass.
    passes : PassArrays
        Filled in.
    fits : bool[N]
        Filled in: no loop is partial inside a spatial loop of its dimension or as its outermost one.
    """
    mappings, levels, dimensions = last.shape
    rest = np.empty(dimensions, np.int64)
    open_end = np.empty(dimensions, np.bool_)
    for n in range(mappings):
        rest[:] = 1
        open_end[:] = False
        passes.rest[n, levels] = 1
        fits[n] = True
        for level in range(levels - 1, -1, -1):
            for d in range(dimensions):
                spread, covered = loops.spread[n, level, d], loops.below[n, level + 1, d]
                if spread > 1:
                    fits[n] = fits[n] and rest[d] == covered
                    rest[d] += (spread - 1) * covered
            for loop in range(loops.start[n, level + 1], loops.start[n, level]):
                d = loops.dimension[n, loop]
                bound = last[n, level, d]
                passes.last[n, loop] = bound
                passes.differs[n, loop] = rest[d] != loops.step[n, loop]
                open_end[d] = bound < loops.bound[n, loop]
                rest[d] += (bound - 1) * loops.step[n, loop]
            passes.rest[n, level] = rest
        fits[n] = fits[n] and not open_end.any()


@kernel
def fit_bounds(problem: ProblemArrays, loops: LoopArrays) -> None:
    """Limit what levels cover to the problem's bounds, and derive what their instances see from these.

    A level that has all loops over a dimension covers its bound. Further in, no loop being partial as the
    outermost one of its dimension, the first tile is a whole one.

    Parameters
    ----------
    problem : ProblemArrays
    loops : LoopArrays
        `below` and `reach` are changed.
    """
    mappings, levels, dimensions = loops.reach.shape
    for n in range(mappings):
        for d in range(dimensions):
            reach = problem.bounds[d]
            for level in range(levels):
                loops.below[n, level, d] = min(loops.below[n, level, d], problem.bounds[d])
                loops.reach[n, level, d] = reach
                reach = max(1, reach // loops.spread[n, level, d])


@kernel
def check_passes(problem: ProblemArrays, passes: PassArrays, fits: Bools, status: Ints) -> None:
    """Check that the loops cover the bounds, their last passes being as short as they are.

    Parameters
    ----------
    problem : ProblemArrays
    passes : PassArrays
    fits : bool[N]
        As `list_passes` leaves it.
    status : int64[N]
        Set to BAD_FACTORS where they do not.
    """
    for n in range(len(status)):
        for d in range(len(problem.bounds)):
            if passes.rest[n, 0, d] != problem.bounds[d] or not fits[n]:
                status[n] = BAD_FACTORS


@kernel
def list_coefficients(problem: ProblemArrays) -> Ints:
    """Return the coefficient of every dimension in every rank of all tensors, int64[K, D]."""
    rows = np.zeros((len(problem.term_start) - 1, len(problem.bounds)), np.int64)
    for rank in range(len(rows)):
        for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
            rows[rank, problem.term_dimension[term]] += problem.term_coefficient[term]
    return rows


@kernel
def may_overlap(rows: Ints, bounds: Ints, outside: Ints) -> bool:
    """Return whether a rank sums two dimensions and moves: else tiles are equal or have nothing in common."""
    for rank in range(len(rows)):
        users = 0
        moved = False
        for d in range(len(bounds)):
            if rows[rank, d] and bounds[d] > 1:
                users += 1
                moved = moved or outside[d] > 1
        if users > 1 and moved:
            return True
    return False


@kernel
def disjoint_transfers(
    rows: Ints, loops: LoopArrays, passes: PassArrays, outside: Ints, n: int, level: int, adds_up: bool
) -> int:
    """Count the transfers of tiles that are equal or have nothing in common.

    Every tile is fetched when it is visited anew: from the innermost loop that moves it outwards, all
    iterations do that. The words of one sweep over the dimensions that move the tile are a product over
    dimensions: of all passes but the last times the whole extent, plus the short one. A loop with one
    iteration in its last pass does not move the tile there, so that this share of the sweep is only
    repeated by loops further out.

    Parameters
    ----------
    rows : int64[R, D]
    loops : LoopArrays
    passes : PassArrays
    outside : int64[L * D + 1, D]
        Iterations of the loops outside loop i and of loop i, dimension by dimension.
    n, level : int
    adds_up : bool
        Whether the loop right above the level charges its short last iteration as a whole one.
    """
    dimensions = rows.shape[1]
    inner, count = loops.start[n, level], loops.listed[n]
    moves = np.zeros(dimensions, np.bool_)
    whole = np.ones(dimensions, np.int64)
    short = np.ones(dimensions, np.int64)
    sweep = 1
    for rank in range(len(rows)):
        side = 1
        for d in range(dimensions):
            extent = rows[rank, d] * (loops.below[n, level, d] - 1)
            if rows[rank, d] and outside[inner, d] > 1:
                moves[d] = True
                whole[d] *= 1 + extent
                short[d] *= 1 + rows[rank, d] * (passes.rest[n, level, d] - 1)
            else:  # the one pass is the last
                side += rows[rank, d] * (passes.rest[n, level, d] - 1)
        sweep *= side
    sums = np.ones(dimensions, np.int64)
    for d in range(dimensions):
        if moves[d]:
            sums[d] = (outside[inner, d] - 1) * whole[d] + short[d]
            charged_whole = adds_up and passes.differs[n, inner] and passes.last[n, inner] >= 3
            if charged_whole and d == loops.dimension[n, inner]:
                sums[d] = outside[inner, d] * whole[d]
            sweep *= sums[d]
    total = 0
    for loop in range(inner, count):
        d = loops.dimension[n, loop]
        if not moves[d]:
            continue
        repeats = 1
        for other in range(dimensions):
            if not moves[other]:
                repeats *= outside[loop + 1, other]
        if passes.last[n, loop] > 1:
            return total + sweep * repeats
        still = sweep // sums[d] * short[d]
        sums[d] = short[d]
        total += (sweep - still) * repeats
        sweep = still
    return total + sweep


@kernel
def count_passes(loops: LoopArrays, passes: PassArrays, n: int, outside: Ints) -> int:
    """Fill in `outside` of one mapping; return the outermost loop up to which none is affected, exclusive."""
    count = loops.listed[n]
    affected = 0
    outside[count] = 1
    for loop in range(count - 1, -1, -1):
        d, bound, last = loops.dimension[n, loop], loops.bound[n, loop], passes.last[n, loop]
        outside[loop] = outside[loop + 1]
        outside[loop, d] = (outside[loop + 1, d] - 1) * bound + last
        if affected == 0 and (last < bound or passes.differs[n, loop]):
            affected = loop + 1
    return affected


@kernel
def count_imperfect_transfers(
    problem: ProblemArrays, loops: LoopArrays, passes: PassArrays, moved: Ints, status: Ints
) -> None:
    """Correct the transfers into levels below loops that are shorter in a last pass.

    Parameters
    ----------
    problem : ProblemArrays
    loops : LoopArrays
        As `fit_bounds` leaves them.
    passes : PassArrays
    moved : int64[N, L, T]
        As `count_transfers` leaves it, changed where a loop above the level is affected.
    status : int64[N]
        Only mappings that are OK are looked at.
    """
    rows = list_coefficients(problem)
    mappings, levels, tensors = moved.shape
    outside = np.empty((passes.last.shape[1] + 1, len(problem.bounds)), np.int64)
    for n in range(mappings):
        if status[n] != OK:
            continue
        affected = count_passes(loops, passes, n, outside)
        for level in range(1, levels):
            inner = loops.start[n, level]
            if inner >= affected:
                continue
            # The loop right above adds up what the level fetches, unless a fan-out lies between.
            adds_up = loops.start[n, level - 1] > inner and loops.spread[n, level - 1].prod() == 1
            for tensor in range(tensors):
                ranks = rows[problem.rank_start[tensor] : problem.rank_start[tensor + 1]]
                if may_overlap(ranks, problem.bounds, outside[inner]):
                    moved[n, level, tensor] = walk_transfers(
                        ranks,
                        loops,
                        passes.last[n],
                        passes.differs[n],
                        passes.rest[n, level],
                        n,
                        level,
                        adds_up,
                    )
                else:
                    moved[n, level, tensor] = disjoint_transfers(
                        ranks, loops, passes, outside, n, level, adds_up
                    )
