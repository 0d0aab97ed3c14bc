"""Transfers of tiles that overlap and change their size: a walk over the loops, with a memory.

Every loop is walked for its first and second iteration, and the second stands for all later ones, except
the last of a loop whose last iteration differs: there a loop inside it, over its own dimension, is
shorter. What a subnest transfers depends on little: which dimensions are in their last pass, and how the
tile moved before. So each such state is walked once. The walk keeps a stack of its own, because compiled
functions that call themselves cannot be cached.

Loops are numbered outermost first here. Flags are bits, one per dimension: it is in its last pass.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, Ints, LoopArrays
from procrustes_model.kernels.jit import kernel


class SubnestArrays(NamedTuple):
    """The J loops above one level, and one tensor of R ranks; D dimensions.

    Attributes
    ----------
    dimension, bound, last, step : int64[J]
        `last` is the bound in the last pass over the loop's dimension.
    differs : bool[J]
        Whether the last iteration is shorter inside.
    rows : int64[R, D]
        Coefficient of each dimension in each rank.
    whole, short : int64[R, D]
        What a dimension adds to the tile's extent in a rank, normally and in the last pass.
    matters : int64[J + 1]
        The flags that make a difference in loop j and inside it.
    position : int64[J + 1, D, 2]
        How far loop j and those inside it have gone at their end, with the flag not set or set.
    ends_short, starts_short : bool[J + 1, D, 2]
        Whether the tile that they see last, or first, is short.
    charges_second : bool
        Whether the innermost loop counts its second iteration in place of its last.
    """

    dimension: Ints
    bound: Ints
    last: Ints
    step: Ints
    differs: Bools
    rows: Ints
    whole: Ints
    short: Ints
    matters: Ints
    position: Ints
    ends_short: Bools
    starts_short: Bools
    charges_second: bool


class MemoryArrays(NamedTuple):
    """What is known of subnests, as a hash table of H places; and the moves met, numbered from 1.

    Attributes
    ----------
    key : int64[H]
        The loop, the flags and the move before; -1 where the place is free.
    words, move : int64[H]
        Transferred by all visits but the first; the move before, at the end.
    moves : int64[H / 8, R]
    used : int64[2]
        Places taken, and numbers given to moves.
    """

    key: Ints
    words: Ints
    move: Ints
    moves: Ints
    used: Ints


class StackArrays(NamedTuple):
    """Where the walk stands in each loop, all int64[J].

    Attributes
    ----------
    flags, key, bound : int64[J]
        When the loop was entered.
    visits, visit : int64[J]
        Iterations to walk, and the number of the current one.
    at, weight, inside : int64[J]
        Of the current iteration: its index, how many it stands for, and the flags inside it.
    fetched, words : int64[J]
        Words that the step to the current iteration transfers, and those of the iterations before it.
    """

    flags: Ints
    key: Ints
    bound: Ints
    visits: Ints
    visit: Ints
    at: Ints
    weight: Ints
    inside: Ints
    fetched: Ints
    words: Ints


@kernel
def _make_memory(places: int, ranks: int) -> MemoryArrays:
    """Return an empty memory; the move number 0 stands for none."""
    return MemoryArrays(
        np.full(places, -1, np.int64),
        np.empty(places, np.int64),
        np.empty(places, np.int64),
        np.zeros((places // 8, ranks), np.int64),
        np.array([0, 1]),
    )


@kernel
def _make_stack(loops: int) -> StackArrays:
    """Return a stack for a nest of `loops` loops."""
    rows = np.zeros((10, loops), np.int64)
    return StackArrays(
        rows[0], rows[1], rows[2], rows[3], rows[4], rows[5], rows[6], rows[7], rows[8], rows[9]
    )


@kernel
def _find(memory: MemoryArrays, key: int) -> int:
    """Return the place of `key`, or the free one where it belongs."""
    mask = len(memory.key) - 1
    place = (key * 0x9E3779B1) & mask
    while memory.key[place] not in (-1, key):
        place = (place + 1) & mask
    return place


@kernel
def _number(memory: MemoryArrays, moved: Ints) -> int:
    """Return the number of a move, a new one if need be; -1 where there is no room."""
    known = int(memory.used[1])
    for number in range(1, known):
        same = True
        for rank in range(len(moved)):
            same = same and memory.moves[number, rank] == moved[rank]
        if same:
            return number
    if known == len(memory.moves):
        return -1
    memory.moves[known] = moved
    memory.used[1] = known + 1
    return known


@kernel
def _compare_tiles(nest: SubnestArrays, loop: int, before: int, after: int, along: int, moved: Ints) -> Ints:
    """Return the words of the tile after a step, and those of them that the tile before it held.

    Parameters
    ----------
    nest : SubnestArrays
    loop : int
        The loop that steps; those inside it fall back to their first iteration.
    before, after : int
        Flags inside the loop.
    along : int
        Elements that the step moves.
    moved : int64[R]
        Filled in: how far the tile's centre moves, rounded half away from zero.
    """
    words = kept = 1
    inner = loop + 1
    ranks, dimensions = nest.rows.shape
    for rank in range(ranks):
        low = nest.rows[rank, nest.dimension[loop]] * along
        old = new = 1
        for d in range(dimensions):
            was, is_now = (before >> d) & 1, (after >> d) & 1
            low -= nest.rows[rank, d] * nest.position[inner, d, was]
            old += nest.short[rank, d] if nest.ends_short[inner, d, was] else nest.whole[rank, d]
            new += nest.short[rank, d] if nest.starts_short[inner, d, is_now] else nest.whole[rank, d]
        double = 2 * low + new - old
        half = (abs(double) + 1) // 2
        moved[rank] = half if double >= 0 else -half
        words *= new
        kept *= max(0, min(low + new, old) - max(low, 0))
    return np.array([words, kept])


@kernel
def _take_step(
    nest: SubnestArrays, memory: MemoryArrays, stack: StackArrays, loop: int, move: int, moved: Ints
) -> int:
    """Go to the next iteration of a loop, note what it transfers, and return the move before the next step.

    -1 is returned where the memory has no room for a new move.
    """
    visit, bound, flags = stack.visit[loop], stack.bound[loop], stack.flags[loop]
    charges_second = nest.charges_second and loop == len(nest.dimension) - 1
    index = visit if visit < 2 else bound - 1
    weight = 1
    if visit == 1:
        weight = bound - 1 if stack.visits[loop] == 2 or charges_second else bound - 2
    elif visit == 2 and charges_second:
        weight = 0
    after = flags if index == bound - 1 else flags & ~(1 << nest.dimension[loop])
    fetched = 0
    if visit > 0:
        along = (index - stack.at[loop]) * nest.step[loop]
        words, kept = _compare_tiles(nest, loop, stack.inside[loop], after, along, moved)
        if moved.any() and move == 0:
            move = _number(memory, moved)
            if move < 0:
                return -1
        elif moved.any() and (memory.moves[move] != moved).any():
            kept = move = 0
        fetched = words - kept
    stack.at[loop], stack.weight[loop], stack.inside[loop] = index, weight, after
    stack.fetched[loop] = fetched
    return move


@kernel
def _walk(nest: SubnestArrays, memory: MemoryArrays) -> int:
    """Return the words of all visits but the first; -1 where the memory is too small."""
    loops, dimensions = len(nest.dimension), nest.rows.shape[1]
    stack = _make_stack(loops)
    moved = np.empty(len(nest.rows), np.int64)
    loop = move = 0
    flags = (1 << dimensions) - 1
    while True:
        words = 0
        done = loop == loops
        if not done:
            flags &= nest.matters[loop]
            key = ((move * (loops + 1) + loop) << dimensions) | flags
            place = _find(memory, key)
            done = memory.key[place] == key
            if done:
                words, move = memory.words[place], memory.move[place]
            else:
                in_last_pass = (flags >> nest.dimension[loop]) & 1
                bound = nest.last[loop] if in_last_pass else nest.bound[loop]
                stack.flags[loop], stack.key[loop], stack.bound[loop] = flags, key, bound
                stack.visits[loop] = 3 if bound >= 3 and nest.differs[loop] else min(bound, 2)
                stack.visit[loop] = stack.words[loop] = 0
        while done:
            loop -= 1
            if loop < 0:
                return words
            stack.words[loop] += stack.weight[loop] * (stack.fetched[loop] + words)
            stack.visit[loop] += 1
            done = stack.visit[loop] == stack.visits[loop]
            if done:
                if 2 * memory.used[0] >= len(memory.key):
                    return -1
                words = stack.words[loop]
                place = _find(memory, stack.key[loop])
                memory.key[place], memory.words[place], memory.move[place] = stack.key[loop], words, move
                memory.used[0] += 1
        move = _take_step(nest, memory, stack, loop, move, moved)
        if move < 0:
            return -1
        flags = stack.inside[loop]
        loop += 1


@kernel
def _follow_ends(nest: SubnestArrays, moves: Bools) -> None:
    """Fill in where subnests begin and end, and which flags matter in them, from the innermost outwards.

    Parameters
    ----------
    nest : SubnestArrays
        `matters`, `position`, `ends_short` and `starts_short` are filled in.
    moves : bool[D]
        Whether a dimension indexes the tensor.
    """
    loops, dimensions = len(nest.dimension), nest.rows.shape[1]
    nest.position[loops] = 0
    nest.matters[loops] = 0
    for d in range(dimensions):
        for flag in range(2):
            nest.ends_short[loops, d, flag] = nest.starts_short[loops, d, flag] = flag == 1
        for rank in range(len(nest.rows)):
            if moves[d] and nest.whole[rank, d] != nest.short[rank, d]:
                nest.matters[loops] |= 1 << d
    for loop in range(loops - 1, -1, -1):
        d = nest.dimension[loop]
        nest.matters[loop] = nest.matters[loop + 1]
        if nest.last[loop] != nest.bound[loop]:
            nest.matters[loop] |= 1 << d
        nest.position[loop] = nest.position[loop + 1]
        nest.ends_short[loop] = nest.ends_short[loop + 1]
        nest.starts_short[loop] = nest.starts_short[loop + 1]
        for flag in range(2):
            bound = nest.last[loop] if flag else nest.bound[loop]
            final = bound - 1 if bound <= 2 or nest.differs[loop] else 1
            inside = 1 if flag and final == bound - 1 else 0
            first = 1 if flag and bound == 1 else 0
            nest.position[loop, d, flag] = final * nest.step[loop] + nest.position[loop + 1, d, inside]
            nest.ends_short[loop, d, flag] = nest.ends_short[loop + 1, d, inside]
            nest.starts_short[loop, d, flag] = nest.starts_short[loop + 1, d, first]


@kernel
def walk_transfers(
    rows: Ints, loops: LoopArrays, last: Ints, differs: Bools, rest: Ints, n: int, level: int, adds_up: bool
) -> int:
    """Count the words of a tensor that are moved into one instance of a level.

    Parameters
    ----------
    rows : int64[R, D]
        Coefficients of the tensor's ranks.
    loops : LoopArrays
        Of the whole batch.
    last, differs : int64[L * D], bool[L * D]
        Of the listed loops of mapping n.
    rest : int64[D]
        Elements that the level covers in the last pass.
    n, level : int
    adds_up : bool
        Whether the loop right above the level adds up what the level fetches.

    Returns
    -------
    int
    """
    ranks, dimensions = rows.shape
    moves = np.zeros(dimensions, np.bool_)
    for rank in range(ranks):
        moves |= rows[rank] != 0
    inner, count = loops.start[n, level], loops.listed[n]
    while inner < count and not moves[loops.dimension[n, inner]]:
        inner += 1
    size = count - inner
    outwards = slice(inner, count)
    nest = SubnestArrays(
        loops.dimension[n, outwards][::-1].copy(),
        loops.bound[n, outwards][::-1].copy(),
        last[outwards][::-1].copy(),
        loops.step[n, outwards][::-1].copy(),
        differs[outwards][::-1].copy(),
        rows,
        rows * (loops.below[n, level] - 1),
        rows * (rest - 1),
        np.empty(size + 1, np.int64),
        np.empty((size + 1, dimensions, 2), np.int64),
        np.empty((size + 1, dimensions, 2), np.bool_),
        np.empty((size + 1, dimensions, 2), np.bool_),
        adds_up and inner == loops.start[n, level],
    )
    _follow_ends(nest, moves)
    first = 1
    for rank in range(ranks):
        side = 1
        for d in range(dimensions):
            side += nest.short[rank, d] if nest.starts_short[0, d, 1] else nest.whole[rank, d]
        first *= side
    places = 256
    words = -1
    while words < 0:
        words = _walk(nest, _make_memory(places, ranks))
        places *= 4
    return first + words
