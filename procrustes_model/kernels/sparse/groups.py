"""Tiles of n:m groups: where they begin in a group, and how likely neighbours in their order are zero."""

from __future__ import annotations

import numpy as np

from procrustes_model.kernels.arithmetic import power
from procrustes_model.kernels.dense.arrays import Ints, ProblemArrays
from procrustes_model.kernels.jit import kernel

_MOST_ROWS = 1 << 15
"""Rows of windows that are looked at; with more of them, positions are taken to be independent."""


@kernel
def measure_groups(problem: ProblemArrays, rank: int, extent: Ints) -> tuple[int, int]:
    """Return the side of a tile over int64[D] in a rank, and a number that tells all such tiles apart."""
    side, code = 1, 0
    for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
        d = problem.term_dimension[term]
        side += problem.term_coefficient[term] * (extent[d] - 1)
        code = code * (problem.bounds[d] + 1) + extent[d]
    return side, code


@kernel
def count_starts(problem: ProblemArrays, rank: int, extent: Ints, m: int) -> Ints:
    """Count, int64[m], how many tiles start at every position of a group, over int64[D], side by side."""
    starts = np.zeros(m, np.int64)
    starts[0] = 1
    for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
        d = problem.term_dimension[term]
        step = problem.term_coefficient[term] * extent[d] % m
        times = problem.bounds[d] // extent[d]
        moved = np.zeros(m, np.int64)
        for i in range(min(times, m)):
            # The i-th of every m positions starts at the same place of a group.
            alike = (times - i + m - 1) // m
            for start in range(m):
                moved[(start + i * step) % m] += starts[start] * alike
        starts = moved
    return starts


@kernel
def split_last(problem: ProblemArrays, rank: int, side: int, m: int) -> tuple[int, int]:
    """Return the length of a shorter last group, and the row of the last tile in which it begins.

    Parameters
    ----------
    problem : ProblemArrays
    rank : int
        Along which groups run.
    side : int
        Of the tile in it.
    m : int

    Returns
    -------
    short, row : int
        0 and `side` where the last group is whole, or dimensions are summed in the rank: tiles at the end
        are then taken to be like the others. `row` is at least 0.
    """
    length = 1
    moving = 0
    for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
        bound = problem.bounds[problem.term_dimension[term]]
        length += problem.term_coefficient[term] * (bound - 1)
        moving += 1 if bound > 1 or problem.term_coefficient[term] > 1 else 0
    short = length % m
    if short == 0 or moving > 1:
        return 0, side
    return int(short), int(max(0, side - short))


@kernel
def _column_empty(
    n: int, m: int, start: int, side: int, first: int, rows: int, short: int, last: int
) -> float:
    """Return how likely so many rows of a column are zero, from row `first` on.

    Groups run down the column; every `side` rows it begins anew, at position `start` of a group. From row
    `last` on there is a group of `short` positions.
    """
    p = 1.0
    while rows > 0 and p > 0:
        within = first % side
        piece, group = min(rows, m - (start + within) % m, side - within), m
        if within >= last:
            piece, group = min(rows, side - within), short
        elif last < side:
            piece = min(piece, last - within)
        kept = min(n, group)
        for i in range(kept):
            p *= max(0, group - piece - i) / (group - i)
        first += piece
        rows -= piece
    return p


@kernel
def _find_period(m: int, start: int, side: int, inner: int) -> int:
    """Return after how many positions of a fiber groups lie alike again; parameters as in `sum_windows`."""
    return inner * (m if side % m == 0 and start == 0 else side)


@kernel
def sum_windows(
    n: int, m: int, start: int, side: int, inner: int, length: int, window: int, short: int, last: int
) -> float:
    """Return the expected number of places in a fiber at which so many neighbours in a row are zero.

    Parameters
    ----------
    n, m : int
        Nonzeros in every group of m.
    start : int
        Position of a group at which the tile begins.
    side : int
        Rows of the tile along the groups; the fiber may go through several sets of them.
    inner : int
        Columns, the positions of a row: neighbours in the fiber lie in neighbouring columns.
    length : int
        Positions of the fiber.
    window : int
        Neighbours.
    short, last : int
        Positions of a shorter last group, and the row in which it begins; of `split_last`.
    """
    places = length - window + 1
    if places <= 0:
        return 0.0
    if window <= inner and last >= side:  # all in different groups
        return places * power(1 - n / m, float(window))
    period = _find_period(m, start, side, inner) if last >= side else inner * side
    rows, more = window // inner, window % inner
    total = 0.0
    for place in range(min(period, places)):
        row, column = place // inner, place % inner
        # Columns from this one on begin here, those before it a row later; `more` of them have a row more.
        longer = min(more, inner - column)
        later = more - longer
        p = power(_column_empty(n, m, start, side, row, rows + 1, short, last), float(longer))
        p *= power(_column_empty(n, m, start, side, row + 1, rows + 1, short, last), float(later))
        p *= power(_column_empty(n, m, start, side, row, rows, short, last), float(inner - column - longer))
        p *= power(_column_empty(n, m, start, side, row + 1, rows, short, last), float(column - later))
        total += p * ((places - 1 - place) // period + 1)
    return total


@kernel
def _zeros_from(
    n: int, m: int, start: int, side: int, inner: int, length: int, run: int, short: int, last: int
) -> float:
    """Return the expected zeros that end a run in a fiber of a tile; below 0 where it is too long.

    Parameters as in `sum_windows`; `run` : positions that an entry covers at most.
    """
    total = 0.0
    for j in range(1, length // run + 1):
        places = min(_find_period(m, start, side, inner) if last >= side else length, length)
        if (j * run > inner or last < side) and places * (j * run // inner + 1) > _MOST_ROWS:
            return -1.0
        begun = sum_windows(n, m, start, side, inner, length, j * run, short, last)
        if begun < 1e-17 * length:
            break
        total += begun - sum_windows(n, m, start, side, inner, length, j * run + 1, short, last)
    return total


@kernel
def zeros_in_groups(
    n: int, m: int, starts: Ints, side: int, inner: int, length: int, run: int, short: int, last: int
) -> float:
    """Return the expected zeros that end a run in a fiber of n:m groups; see `entries.expected_zeros`.

    Parameters
    ----------
    n, m, side, inner, length, short, last : int
        As in `sum_windows`; one of the tiles has the shorter group.
    starts : int64[m]
        How many tiles start at every position of a group.
    run : int
        Positions that an entry covers at most.
    """
    total = 0.0
    ends = (short - side) % m if last < side else -1
    for start in range(m):
        many = starts[start] - (1 if start == ends else 0)
        if many > 0 and n < m:
            found = _zeros_from(n, m, start, side, inner, length, run, 0, side)
            if found < 0:
                return -1.0
            total += many * found
    if ends >= 0 and n < m:
        found = _zeros_from(n, m, ends, side, inner, length, run, short, last)
        if found < 0:
            return -1.0
        total += found
    return float(total / starts.sum())
