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

Works = NDArray[Any]
"""Nonzeros of boxes, as uint16."""

MOST_COUNTED = 65535
"""Elements of a box that are counted in two bytes."""

_FEW_NUMBERS = 16
"""Different numbers of nonzeros up to which those of a row are noted side by side."""

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
def _rank_rows(problem: ProblemArrays, masks: MaskArrays, tensor: int) -> tuple[Ints, int, int]:
    """Return a tensor's first, end and longest rank, int64[3], how many rows it has and how wide."""
    ranks = np.empty(3, np.int64)
    ranks[0], ranks[1] = problem.rank_start[tensor], problem.rank_start[tensor + 1]
    ranks[2] = longest_rank(masks.side, ranks[0], ranks[1])
    rows: int = 1
    for rank in range(ranks[0], ranks[1]):
        rows *= 1 if rank == ranks[2] else masks.side[rank]
    return ranks, rows, masks.side[ranks[2]]


@kernel
def _block_of_row(problem: ProblemArrays, rank: int, width: int, extent: Ints) -> int:
    """Return how many neighbours in a row lie in one box over `extent`; `rank`: along which rows lie."""
    return int(extent[problem.term_dimension[problem.term_start[rank]]]) if width > 1 else 1


@kernel
def _add_rows(masks: MaskArrays, first: int, order: Ints, block: int, row: Works, room: Works) -> None:
    """Count the nonzeros of the boxes that some rows lie in, at the start of `row`.

    Parameters
    ----------
    masks : MaskArrays
    first : int
        Where the rows of the tensor begin.
    order : int64[...]
        Which of them these are.
    block : int
        Neighbours in a row that lie in one box.
    row, room : uint16[...]
        As long as a row, and half as long.
    """
    width = len(row)
    for i in range(len(order)):
        start = first + order[i] * width
        source = masks.rows[start : start + width]
        if i == 0:
            for j in range(width):
                row[j] = source[j]
        else:
            for j in range(width):
                row[j] += source[j]
    _add_neighbours(row, room, block)


@kernel
def count_boxes(
    problem: ProblemArrays, masks: MaskArrays, tensor: int, extent: Ints, along: Ints, counts: Works
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
    ranks, rows, width = _rank_rows(problem, masks, tensor)
    place = masks.side[ranks[0] : ranks[2]].sum()
    number, order = np.empty(rows, np.int64), np.empty(rows, np.int64)
    groups = _list_rows(problem, masks, ranks, extent, along, number, order)
    block = _block_of_row(problem, ranks[2], width, extent)
    within = along[place : place + width : block].copy()
    row, room = np.empty(width, np.uint16), np.empty(width // 2 + 1, np.uint16)
    size = rows // groups
    for group in range(groups):
        members = order[group * size : (group + 1) * size]
        _add_rows(masks, masks.bit_start[tensor], members, block, row, room)
        at = number[members[0]]
        for j in range(len(within)):
            counts[at + within[j]] = row[j]


@kernel
def _tally_row(row: Works, seen: Works, most: int) -> None:
    """Note, for every place of a row, which number stands there: `seen`, uint16[most * places], grows."""
    places = len(row)
    for number in range(1, most + 1):
        times, one = seen[(number - 1) * places : number * places], np.uint16(number)
        for j in range(places):
            times[j] += np.uint16(row[j] == one)


@kernel
def tally_boxes(problem: ProblemArrays, masks: MaskArrays, tensor: int, extent: Ints, most: int) -> Ints:
    """Return how many boxes over `extent`, side by side in a mask, have each number of nonzeros.

    Parameters
    ----------
    problem : ProblemArrays
    masks : MaskArrays
    tensor : int
        For which `is_passed` holds.
    extent : int64[D]
    most : int
        Elements of a box.

    Returns
    -------
    int64[most + 1]
    """
    ranks, rows, width = _rank_rows(problem, masks, tensor)
    number, order = np.empty(rows, np.int64), np.empty(rows, np.int64)
    along = number_boxes(problem, masks, tensor, extent)
    groups = _list_rows(problem, masks, ranks, extent, along, number, order)
    block = _block_of_row(problem, ranks[2], width, extent)
    row, room = np.empty(width, np.uint16), np.empty(width // 2 + 1, np.uint16)
    size, places = rows // groups, width // block
    tally = np.zeros(most + 1, np.int64)
    side_by_side = most <= _FEW_NUMBERS and groups <= MOST_COUNTED
    seen = np.zeros(most * places if side_by_side else 0, np.uint16)
    for group in range(groups):
        members = order[group * size : (group + 1) * size]
        _add_rows(masks, masks.bit_start[tensor], members, block, row, room)
        if side_by_side:
            _tally_row(row[:places], seen, most)
        else:
            for j in range(places):
                tally[row[j]] += 1
    if side_by_side:
        for one in range(1, most + 1):
            tally[one] = seen[(one - 1) * places : one * places].sum()
        tally[0] = groups * places - tally.sum()
    return tally
