"""Boxes of a mask that lie side by side, counted in one pass: each element is added once.

Along each rank a table says what number a position adds to that of its box. Rows along the longest rank are
added up as a whole, those that belong to the same boxes; then neighbours within a row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from procrustes_model.kernels.dense.arrays import Ints, ProblemArrays
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.masks import MaskArrays

MOST_COUNTED = 65535
"""Elements of a box that are counted in two bytes."""

_CORNER_COSTS = 8
"""What a corner in a table of sums costs, over an element that is passed."""


@kernel
def is_passed(problem: ProblemArrays, masks: MaskArrays, tensor: int, extent: Ints) -> bool:
    """Say whether one pass over a mask costs less than a table of sums, read at the corners of every box.

    Every element must lie in one box over `extent`, int64[D]: ranks are single dimensions, without steps.
    """
    elements = volume = corners = 1
    for rank in range(problem.rank_start[tensor], problem.rank_start[tensor + 1]):
        first, end = problem.term_start[rank], problem.term_start[rank + 1]
        if end - first > 1 or (end > first and problem.term_coefficient[first] > 1):
            return False
        side = extent[problem.term_dimension[first]] if end > first else 1
        elements *= masks.side[rank]
        volume *= side
        corners *= 1 if side == masks.side[rank] else 2
    return bool(volume <= MOST_COUNTED and elements // volume * corners * _CORNER_COSTS > elements)


@kernel
def number_boxes(problem: ProblemArrays, masks: MaskArrays, tensor: int, extent: Ints) -> Ints:
    """Return numbers of boxes side by side, int64[...], as `count_boxes` takes them."""
    first, end = problem.rank_start[tensor], problem.rank_start[tensor + 1]
    along = np.zeros(masks.side[first:end].sum(), np.int64)
    place, boxes = len(along), 1
    for rank in range(end - 1, first - 1, -1):
        term, side = problem.term_start[rank], masks.side[rank]
        place -= side
        block = extent[problem.term_dimension[term]] if term < problem.term_start[rank + 1] else 1
        for x in range(side):
            along[place + x] = x // block * boxes
        boxes *= side // block
    return along


@kernel
def longest_rank(side: Ints, first: int, end: int) -> int:
    """Return the longest rank of a tensor, the last of them: along which rows lie. `side`: int64[K]."""
    longest = first
    for rank in range(first, end):
        if side[rank] >= side[longest]:
            longest = rank
    return longest


@kernel
def _list_rows(
    problem: ProblemArrays,
    masks: MaskArrays,
    ranks: Ints,
    extent: Ints,
    along: Ints,
    number: Ints,
    order: Ints,
) -> int:
    """List a tensor's rows, those of the same boxes together; return how many such groups there are.

    `ranks` : int64[3], the first, the end and the longest. `number`: what a row adds to the number of a box,
    `order`: the rows, group by group; both int64[rows], filled in.
    """
    group = np.zeros(len(number), np.int64)
    number[:] = 0
    listed = groups = 1
    place = len(along)
    for rank in range(ranks[1] - 1, ranks[0] - 1, -1):
        side = masks.side[rank]
        place -= side
        if rank == ranks[2]:
            continue
        term = problem.term_start[rank]
        block = extent[problem.term_dimension[term]] if term < problem.term_start[rank + 1] else 1
        for x in range(side - 1, -1, -1):
            for i in range(listed):
                number[x * listed + i] = number[i] + along[place + x]
                group[x * listed + i] = group[i] + x // block * groups
        listed *= side
        groups *= side // block
    start = np.zeros(groups + 1, np.int64)
    for row in range(len(group)):
        start[group[row] + 1] += 1
    for one in range(groups):
        start[one + 1] += start[one]
    for row in range(len(group)):
        order[start[group[row]]] = row
        start[group[row]] += 1
    return groups


@kernel
def _add_neighbours(row: NDArray[Any], room: NDArray[Any], block: int) -> None:
    """Add up every `block` neighbours of a row, in place at its start; `room` is half as long."""
    count, left = len(row), block
    while left % 2 == 0:
        count //= 2
        left //= 2
        for i in range(count):
            room[i] = row[2 * i] + row[2 * i + 1]
        for i in range(count):
            row[i] = room[i]
    if left == 1:
        return
    for i in range(count // left):
        total = 0
        for j in range(left):
            total += int(row[i * left + j])
        row[i] = total


@kernel
def count_boxes(
    problem: ProblemArrays, masks: MaskArrays, tensor: int, extent: Ints, along: Ints, counts: NDArray[Any]
) -> None:
    """Count the nonzeros of all boxes over `extent` that lie side by side in a mask.

    Parameters
    ----------
    problem : ProblemArrays
    masks : MaskArrays
    tensor : int
        For which `is_passed` holds.
    extent : int64[D]
    along : int64[...]
        For every position along every rank of the tensor, one rank after the other, what it adds to the
        number of its box; the same within a box.
    counts : uint16[boxes]
        Filled in.
    """
    ranks = np.empty(3, np.int64)
    ranks[0], ranks[1] = problem.rank_start[tensor], problem.rank_start[tensor + 1]
    longest = longest_rank(masks.side, ranks[0], ranks[1])
    ranks[2] = longest
    width, rows, place = masks.side[longest], 1, 0
    for rank in range(ranks[0], ranks[1]):
        rows *= 1 if rank == longest else masks.side[rank]
        place += masks.side[rank] if rank < longest else 0
    number, order = np.empty(rows, np.int64), np.empty(rows, np.int64)
    groups = _list_rows(problem, masks, ranks, extent, along, number, order)
    block = extent[problem.term_dimension[problem.term_start[longest]]] if width > 1 else 1
    within = along[place : place + width : block].copy()
    row, room = np.empty(width, np.uint16), np.empty(width // 2 + 1, np.uint16)
    size = rows // groups
    for group in range(groups):
        for i in range(size):
            start = masks.bit_start[tensor] + order[group * size + i] * width
            source = masks.rows[start : start + width]
            if i == 0:
                for j in range(width):
                    row[j] = source[j]
            else:
                for j in range(width):
                    row[j] += source[j]
        _add_neighbours(row, room, block)
        at = number[order[group * size]]
        for j in range(len(within)):
            counts[at + within[j]] = row[j]
