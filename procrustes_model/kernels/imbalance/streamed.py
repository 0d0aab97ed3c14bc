"""Work of pieces of tiles, counted in one pass over a mask, and the slowest element of every tile.

Which piece an element lies in, and of which array-level tile, is a sum over the ranks of the tensor.
"""

from __future__ import annotations

import numpy as np

from procrustes_model.kernels.dense.arrays import Ints, LoopArrays, ProblemArrays
from procrustes_model.kernels.imbalance.policies import BUCKETS, FOLD, OWN, assign
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.arrays import BalanceArrays
from procrustes_model.kernels.sparse.masks import MaskArrays
from procrustes_model.kernels.sparse.passes import Works, count_boxes, longest_rank

_COLUMNS = 256
"""Array-level tiles that are sorted side by side."""

_LINE = 32
"""Counts in a line of the cache."""

_MOST_SORTED = 256
"""Elements up to whose number that is faster than to count how many pieces have as much work."""


@kernel
def _number_rounds(
    loops: LoopArrays, rank: Ints, n: int, array: int, row: int, d: int, apart: int, index: Ints
) -> None:
    """Add, for every position along dimension `d`, what it adds to the number of its piece by its round.

    Array-level tiles that follow each other along dimension `row` are neighbours, `apart` from each other:
    those of a row of the mask lie close together.
    """
    weight = apart
    for first in (True, False):
        for loop in range(loops.start[n, array], loops.listed[n]):
            along = loops.dimension[n, loop]
            if rank[along] < 0 or (along == row) != first:
                continue
            bound, step = loops.bound[n, loop], loops.step[n, loop]
            if along == d:
                for x in range(len(index)):
                    index[x] += x // step % bound * weight
            weight *= bound


@kernel
def _number_parts(loops: LoopArrays, rank: Ints, n: int, array: int, d: int, apart: int, index: Ints) -> None:
    """Add the same by the processing element that it falls to, in the order of `place_pieces`."""
    weight = apart
    for level in range(array):
        for along in range(len(rank)):
            spread = loops.spread[n, level, along]
            if rank[along] < 0 or spread == 1:
                continue
            if along == d:
                step = loops.below[n, level + 1, d]
                for x in range(len(index)):
                    index[x] += x // step % spread * weight
            weight *= spread


@kernel
def count_pieces(
    problem: ProblemArrays, loops: LoopArrays, masks: MaskArrays, balance: BalanceArrays, n: int, cut: int,
    extent: Ints, apart: tuple[int, int], counts: Works,
) -> None:  # fmt: skip
    """Count the nonzeros of every piece of every array-level tile of mapping `n`.

    Parameters
    ----------
    problem : ProblemArrays
    loops : LoopArrays
    masks : MaskArrays
    balance : BalanceArrays
    n : int
    cut : int
        The dimension along which tiles are cut; -1: they are whole.
    extent : int64[D]
        Of a piece.
    apart : (int, int)
        From `lay_out`.
    counts : uint16[...]
        Filled in.
    """
    tensor, array = balance.tensor, balance.array
    pieces = balance.pieces if cut >= 0 else 1
    first, end = problem.rank_start[tensor], problem.rank_start[tensor + 1]
    along = np.zeros(masks.side[first:end].sum(), np.int64)
    longest = longest_rank(masks.side, first, end)
    row = -1
    if problem.term_start[longest] < problem.term_start[longest + 1]:
        row = int(problem.term_dimension[problem.term_start[longest]])
    place = 0
    for rank in range(first, end):
        part = along[place : place + masks.side[rank]]
        place += masks.side[rank]
        if problem.term_start[rank] == problem.term_start[rank + 1]:
            continue
        d = problem.term_dimension[problem.term_start[rank]]
        _number_rounds(loops, problem.rank[tensor], n, array, row, d, apart[0], part)
        _number_parts(loops, problem.rank[tensor], n, array, d, apart[1] * pieces, part)
        if d == cut:
            for x in range(len(part)):
                part[x] += x // extent[d] % pieces * apart[1]
    count_boxes(problem, masks, tensor, extent, along, counts)


@kernel
def _fold_halves(counts: Works, first: int, parts: int, bucket: Ints) -> tuple[int, int]:
    """Return the most work of an element whose tile has two halves, as they are and once they are folded.

    The k-th largest half is paired with the k-th smallest: a histogram is walked from both ends. `bucket`:
    int64[BUCKETS], zero before and after.
    """
    alone = top = 0
    for i in range(first, first + 2 * parts, 2):
        one, other = int(counts[i]), int(counts[i + 1])
        bucket[one] += 1
        bucket[other] += 1
        alone = max(alone, one + other)
        top = max(top, one, other)
    low, high, left, most = 0, top, parts, 0
    while left > 0 and low < high:
        few, many = bucket[low], bucket[high]
        if few == 0:
            low += 1
        elif many == 0:
            high -= 1
        else:
            pairs = min(few, many, left)
            most = max(most, low + high)
            bucket[low] -= pairs
            bucket[high] -= pairs
            left -= pairs
    if left > 0:
        most = max(most, 2 * low)
    for work in range(top + 1):
        bucket[work] = 0
    return alone, most


@kernel
def _sort_columns(works: Works, count: int, width: int) -> None:
    """Sort each of `width` columns of `count` works, by exchanging whole rows (Knuth's merge exchange)."""
    half = 1
    while 2 * half < count:
        half *= 2
    apart = half
    while apart > 0:
        reach, remainder, distance = half, 0, apart
        while True:
            for i in range(count - distance):
                if i & apart != remainder:
                    continue
                low = works[i * width : (i + 1) * width]
                high = works[(i + distance) * width : (i + distance + 1) * width]
                for j in range(width):
                    one, other = low[j], high[j]
                    low[j], high[j] = min(one, other), max(one, other)
            if reach == apart:
                break
            distance, reach, remainder = reach - apart, reach // 2, apart
        apart //= 2


@kernel
def _add_pairs(one: Works, other: Works, most: Works) -> None:
    """Let `most` be at least the sum of two rows."""
    for j in range(len(most)):
        most[j] = max(most[j], one[j] + other[j])


@kernel
def _is_little(total: int, most: int) -> bool:
    """Say whether to count how many of `total` works are as large takes fewer steps than to sort them.

    `most` : the largest they can be. Merge exchange compares some n log(n)^2 / 4 times.
    """
    bits = 0
    while 1 << bits < total:
        bits += 1
    return 4 * most <= bits * (bits + 1)


@kernel
def _fold_little(number: Works, total: int, width: int, most: int, folded: Works) -> None:
    """Find what `_fold_halves` does of halves with little work, column by column, without sorting them.

    Of 2 n halves in order, some k-th largest and k-th smallest have s together where at least a works are in
    i of them, at least s - a in j of them, and i + j > 2 n.

    Parameters
    ----------
    number : uint16[(most + 1) * width]
        Row by row, how many halves of every column have at least so much work.
    total, width : int
        Halves, and columns.
    most : int
        Work of a half at most.
    folded : uint16[width]
        Filled in: the most of a pair.
    """
    limit = np.uint16(total)  # numbers of one kind are compared side by side
    folded[:] = 0
    reached = np.empty(width, np.uint16)
    for pair in range(1, 2 * most + 1):
        reached[:] = 0
        for larger in range((pair + 1) // 2, min(pair, most) + 1):
            smaller = pair - larger
            one = number[larger * width : (larger + 1) * width]
            other = number[smaller * width : (smaller + 1) * width]
            for j in range(width):
                reached[j] |= np.uint16(np.uint16(one[j] + other[j]) > limit)
        for j in range(width):
            folded[j] += reached[j]


@kernel
def _count_at_least(one: Works, other: Works, most: int, number: Works) -> None:
    """Add to `number`, as `_fold_little` takes it, in which columns of two rows there is so much work."""
    width = len(one)
    for least in range(1, most + 1):
        many, work = number[least * width : (least + 1) * width], np.uint16(least)
        for j in range(width):
            many[j] += np.uint16(one[j] >= work) + np.uint16(other[j] >= work)


@kernel
def _fold_columns(counts: Works, apart: int, rounds: int, parts: int, most: int) -> tuple[int, int]:
    """Do what `_fold_halves` does for many array-level tiles at a time, one a column; add up what it returns.

    `counts` : uint16, the rows of pieces `apart` from each other. `most`: work of a piece at most.
    """
    slowest = slowest_after = 0
    total = 2 * parts
    little = _is_little(total, most)
    works = np.empty((most + 1 if little else total) * _COLUMNS, np.uint16)
    alone, folded = np.zeros(_COLUMNS, np.uint16), np.zeros(_COLUMNS, np.uint16)
    for first in range(0, rounds, _COLUMNS):
        width = min(_COLUMNS, rounds - first)
        alone[:] = 0
        folded[:] = 0
        if little:
            works[:width] = total
            works[width:] = 0
        for i in range(parts):
            start = 2 * i * apart + first
            one, other = counts[start : start + width], counts[start + apart : start + apart + width]
            _add_pairs(one, other, alone[:width])
            if little:
                _count_at_least(one, other, most, works)
                continue
            row, next_row = works[2 * i * width :], works[(2 * i + 1) * width :]
            for j in range(width):
                row[j], next_row[j] = one[j], other[j]
        if little:
            _fold_little(works, total, width, most, folded[:width])
        else:
            _sort_columns(works, total, width)
            for i in range(parts):
                _add_pairs(works[i * width :], works[(total - 1 - i) * width :], folded[:width])
        for j in range(width):
            slowest += int(alone[j])
            slowest_after += int(folded[j])
    return slowest, slowest_after


@kernel
def lay_out(rounds: int, parts: int, pieces: int, rule: int, volume: int) -> tuple[int, int]:
    """Return how far apart counts of array-level tiles lie, and those of their pieces.

    Halves of many array-level tiles lie side by side where they are sorted so: few halves, many tiles. Rows
    of these are an odd number of lines of the cache apart, so that they do not fall into the same places.
    """
    if rule == FOLD and pieces == 2 and rounds >= _COLUMNS and parts <= _MOST_SORTED and volume < 32768:
        return 1, ((rounds + _LINE - 1) // _LINE | 1) * _LINE
    return parts * pieces, 1


@kernel
def add_slowest(
    counts: Works, apart: tuple[int, int], rounds: int, parts: int, pieces: int, rule: int, volume: int,
    bucket: Ints,
) -> tuple[int, int]:  # fmt: skip
    """Add up the work of the slowest element of every array-level tile, as it is and once it is balanced.

    Parameters
    ----------
    counts : uint16[...]
        Work of pieces, from `count_pieces`.
    apart : (int, int)
        From `lay_out`.
    rounds, parts, pieces : int
    rule : int
        One of `vocabulary.Assignment`.
    volume : int
        The most work that a piece can be.
    bucket : int64[BUCKETS]
        Room to sort in.
    """
    if apart[1] > 1:
        return _fold_columns(counts, apart[1], rounds, parts, volume)
    total = parts * pieces
    slowest = slowest_after = 0
    if rule == FOLD and pieces == 2 and volume < BUCKETS:
        bucket[:] = 0
        for number in range(rounds):
            alone, folded = _fold_halves(counts, number * total, parts, bucket)
            slowest += alone
            slowest_after += folded
        return slowest, slowest_after
    works, loads = np.empty(total, np.int64), np.empty(parts, np.int64)
    for number in range(rounds):
        for i in range(total):
            works[i] = int(counts[number * total + i])
        alone = assign(OWN, pieces, works, volume, bucket, loads)
        slowest += alone
        slowest_after += alone if rule == OWN else assign(rule, pieces, works, volume, bucket, loads)
    return slowest, slowest_after
