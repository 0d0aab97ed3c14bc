"""Tiles in formats whose ranks are loops, as Sparseloop counts them (Wu et al., MICRO 2022).

The ranks of a tile are the loops that divide it: those of its level, and those of levels on the way to the
next one inside that keeps the tensor. Where a level leaves zeros out, its tile is cut as the tile inside is,
and takes the inner ranks of that one; else its own loops take what lies inside along. Ranks that no loop is
left for are empty and, but for the one that takes loops first, store nothing.
"""

from __future__ import annotations

import numpy as np

from procrustes_model.kernels.dense.arrays import Ints, LoopArrays, NestArrays, ProblemArrays
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.arrays import LOOPS_2022, RankArrays
from procrustes_model.kernels.sparse.entries import count_fibers
from procrustes_model.kernels.sparse.listed import is_compressed


@kernel
def words_over(problem: ProblemArrays, tensor: int, extent: Ints) -> int:
    """Return the words of a tensor over `extent`, int64[D]."""
    return count_fibers(problem, tensor, extent, problem.rank_start[tensor + 1] - problem.rank_start[tensor])


@kernel
def _leaves_out(ranks: RankArrays, level: int, tensor: int) -> bool:
    """Say whether a rank of a format is compressed."""
    found = False
    for r in range(ranks.listed[level, tensor]):
        found = found or is_compressed(ranks.kind[level, tensor, r])
    return found


@kernel
def list_own_loops(
    problem: ProblemArrays, nests: NestArrays, fanout: Ints, n: int, outer: int, inner: int, tensor: int,
    below: Ints, dimension: Ints, bound: Ints, words: Ints,
) -> int:  # fmt: skip
    """List the loops of levels `outer` to `inner` that move a tensor, innermost first; return how many.

    Loops of one iteration are listed, too. Those in space lie inside those in time; a level has them where
    there are instances below it, those of one iteration first.

    Parameters
    ----------
    problem : ProblemArrays
    nests : NestArrays
    fanout : int64[L, 2]
    n, outer, inner, tensor : int
    below : int64[D]
        Elements that lie inside of these loops.
    dimension, bound, words : int64[...]
        Filled in: the loop's dimension and bound, and the words of the tile that the loop begins.
    """
    dimensions = len(problem.bounds)
    extent = below.copy()
    count = 0
    for level in range(inner, outer - 1, -1):
        blocks = 4 if fanout[level, 0] * fanout[level, 1] > 1 else 1
        for block in range(blocks):  # in space, one iteration; on x; on y; in time
            for i in range(dimensions):
                in_time = block == blocks - 1
                d = nests.order[n, level, dimensions - 1 - i] if in_time else i
                factor = nests.temporal[n, level, d]
                if not in_time:
                    x, y = nests.spatial[n, level, 0, d], nests.spatial[n, level, 1, d]
                    factor = x if block < 2 else y
                    if (x * y == 1) != (block == 0) or (block > 0 and factor == 1):
                        continue
                if problem.rank[tensor, d] < 0:
                    continue
                extent[d] *= factor
                dimension[count], bound[count] = d, factor
                words[count] = words_over(problem, tensor, extent)
                count += 1
    return count


@kernel
def _group_of(ranks: RankArrays, level: int, tensor: int, r: int, d: int) -> int:
    """Return the list of dimensions with which a rank flattens a dimension; 0: it lists others, -1: none."""
    some = False
    for one in range(ranks.group.shape[3]):
        some = some or ranks.group[level, tensor, r, one] > 0
    return int(ranks.group[level, tensor, r, d]) if some else -1


@kernel
def give_loops(
    ranks: RankArrays, level: int, tensor: int, innermost: int, count: int, dimension: Ints, bound: Ints,
    words: Ints, inside: int, extent: Ints, begin: Ints,
) -> bool:  # fmt: skip
    """Give loops to the ranks of a format; return whether all found one.

    A rank that lists dimensions takes loops of these one after the other; the first loop has to be one of
    them. In outputs of 2022 it need not be, a dimension is taken once, and ranks that are left over begin
    inside of all loops rather than with the innermost.

    Parameters
    ----------
    ranks : RankArrays
    level, tensor, innermost : int
        The ranks from the innermost of them on take loops.
    count : int
        Of the loops.
    dimension, bound, words : int64[...]
        As `list_own_loops` lists them.
    inside : int
        Words of the tile inside of all these loops.
    extent : int64[R, D]
        Of the loops that a rank has, filled in.
    begin : int64[R + 1]
        Words of the tile that a rank begins with, filled in from that of the first rank's subtile on; the
        subtile of a rank is what the rank inside of it begins with, which `begin` has at the rank's place.
    """
    every = ranks.listed[level, tensor]
    inward, older = ranks.inward[level, tensor], ranks.are == LOOPS_2022
    unused = inside if older or count == 0 else words[0]
    step = 1 if inward else -1
    at = 0 if inward else count - 1
    used = np.zeros(extent.shape[1], np.bool_)
    taken = empty = 0
    free = every - innermost
    while taken < free:
        while 0 <= at < count and bound[at] == 1:
            at += step
        if not 0 <= at < count:
            break
        r = innermost + taken if inward else every - 1 - taken
        group = _group_of(ranks, level, tensor, r, dimension[at])
        taken += 1
        if group == 0 and not older:
            # A rank that does not take the loop: from outside, it is as if it were the outermost of all.
            place = r
            if not inward:
                place = every - 1
                for moved in range(r, every - 1):
                    extent[moved], begin[moved + 1] = extent[moved + 1], begin[moved + 2]
            extent[place] = 1
            begin[place + 1] = 1 if inward else unused
            empty += 1
            continue
        begin[r + 1] = words[at]
        extent[r, dimension[at]] *= bound[at]
        used[:] = False
        used[dimension[at]] = older
        at += step
        while group > 0 and 0 <= at < count:
            d = dimension[at]
            listed = ranks.group[level, tensor, r, d] == group and not used[d]
            if bound[at] > 1 and not listed:
                break
            if bound[at] > 1:
                extent[r, d] *= bound[at]
                used[d] = older
            at += step
    for left in range(taken, free):
        r = innermost + left if inward else every - 1 - left
        begin[r + 1] = unused
    while 0 <= at < count and bound[at] == 1:
        at += step
    return not 0 <= at < count


@kernel
def bind_loops(
    problem: ProblemArrays, nests: NestArrays, loops: LoopArrays, fanout: Ints, ranks: RankArrays, n: int,
    tensor: int, level: int, child: int, fiber: Ints, begin: Ints,
) -> bool:  # fmt: skip
    """Find the fibers and subtiles of the ranks of a tile; return whether every loop has a rank.

    Parameters
    ----------
    problem : ProblemArrays
    nests : NestArrays
    loops : LoopArrays
    fanout : int64[L, 2]
    ranks : RankArrays
    n, tensor, level, child : int
        `child` : the next level inside that keeps the tensor; -1: none.
    fiber : int64[L, R]
        Positions of the fibers of the ranks of tiles; those of `child` are read, those of `level` filled in.
    begin : int64[L, R + 1]
        Words of the subtiles of ranks, and last of the outermost rank's own tile.
    """
    levels, dimensions = nests.temporal.shape[1], len(problem.bounds)
    below = loops.below[n, child] if child >= 0 else loops.below[n, levels]
    inside = words_over(problem, tensor, below)
    cut = child >= 0 and _leaves_out(ranks, level, tensor) and inside > 1
    most = 2 * dimensions * levels + 1
    dimension, bound, words = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
    inner = child - 1 if child >= 0 else levels - 1
    count = list_own_loops(problem, nests, fanout, n, level, inner, tensor, below, dimension, bound, words)
    every, innermost = max(1, ranks.listed[level, tensor]), 0
    begin[level, 0] = 1
    fits = True
    if cut:
        innermost = max(1, ranks.listed[child, tensor])
        if innermost > every:
            return False
        fiber[level, :innermost] = fiber[child, :innermost]
        begin[level, : innermost + 1] = begin[child, : innermost + 1]
    elif child >= 0:
        met = np.zeros(dimensions, np.bool_)
        for i in range(count):
            if not met[dimension[i]]:
                bound[i] *= below[dimension[i]]
                met[dimension[i]] = True
    extent = np.ones((every, dimensions), np.int64)
    if ranks.listed[level, tensor] == 0:
        for i in range(count):
            extent[0, dimension[i]] *= bound[i]
        begin[level, 1] = words[count - 1] if count > 0 else 1
    else:
        fits = give_loops(
            ranks, level, tensor, innermost, count, dimension, bound, words, inside, extent, begin[level]
        )
    for r in range(innermost, every):
        fiber[level, r] = words_over(problem, tensor, extent[r])
    return fits
