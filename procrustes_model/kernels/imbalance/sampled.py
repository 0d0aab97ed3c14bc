"""The work of the slowest processing element, from samples that are always the same.

For tensors so small that their known number of nonzeros matters, and for rules of balancing that have no
closed form. Results are functions of the arguments: nothing is left to chance.
"""

from __future__ import annotations

import math

import numpy as np

from procrustes_model.kernels.dense.arrays import Floats, Ints
from procrustes_model.kernels.imbalance.expected import binomial
from procrustes_model.kernels.imbalance.policies import BUCKETS, OWN, assign
from procrustes_model.kernels.jit import kernel

_TRIALS = 4000
_THROWS = 10_000

_DRAWS = 1 << 17
"""Pieces whose work is drawn, all array-level tiles together."""

_GROUP_DRAWS = 1 << 16
"""Elements of n:m groups that are drawn, about."""

_LEAST_TRIALS, _MOST_TRIALS = 16, 1000
_LEAST_FIBRES = 8
_MOST_PARTS = 2048
"""Array-level tiles of groups that are drawn, fibres of each piece in them, and tiles over the array."""

_LEAST_TILES = 100
_MOST_TILES = 10_000
"""Array-level tiles that are drawn."""


@kernel
def _next_uniform(before: np.uint64) -> tuple[np.uint64, float]:
    """Step a splitmix64 generator; return its state and a number below 1."""
    state = before + np.uint64(0x9E3779B97F4A7C15)
    z = state
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return state, float(z >> np.uint64(11)) / 9007199254740992.0


@kernel
def sampled_largest(
    elements: int, parts: int, pieces: int, assignment: int, nonzeros: int, size: int
) -> float:
    """Return the mean largest load where the number of nonzeros of a tensor is known.

    Parameters
    ----------
    elements : int
        Of a piece.
    parts, pieces : int
        Processing elements, and pieces of each one's tile.
    assignment : int
        One of `vocabulary.Assignment`.
    nonzeros, size : int
        Of the tensor.
    """
    state = np.uint64(12345)
    count = np.zeros(parts * pieces, np.int64)
    loads, bucket = np.empty(parts, np.int64), np.empty(BUCKETS, np.int64)
    total = 0.0
    for _ in range(_TRIALS):
        left, rest = nonzeros, size
        for i in range(parts * pieces):
            found = 0
            for _ in range(elements):
                state, draw = _next_uniform(state)
                if draw * rest < left:
                    found += 1
                    left -= 1
                rest -= 1
            count[i] = found
        total += assign(assignment, pieces, count, elements, bucket, loads)
    return total / _TRIALS


@kernel
def thrown_largest(
    elements: int, parts: int, pieces: int, assignment: int, nonzeros: int, rounds: int
) -> float:
    """Return the same as `sampled_largest` for few nonzeros, placed one by one in all array-level tiles."""
    state = np.uint64(54321)
    total_pieces = parts * pieces
    size = elements * total_pieces * rounds
    count = np.zeros(total_pieces, np.int64)
    place = np.zeros(nonzeros, np.int64)
    loads, bucket = np.empty(parts, np.int64), np.empty(BUCKETS, np.int64)
    # With as many elements as nonzeros, every piece that is not empty has one to itself.
    alone = pieces == 1 or (assignment != OWN and parts >= nonzeros)
    total = 0.0
    for _ in range(_THROWS):
        placed = 0
        while placed < nonzeros:
            state, draw = _next_uniform(state)
            at = min(size - 1, int(draw * size))
            free = True
            for i in range(placed):
                free = free and place[i] != at
            if free:
                place[placed] = at
                placed += 1
        place.sort()
        first = 0
        while first < nonzeros:
            number, end, largest = place[first] // (elements * total_pieces), first, 0
            while end < nonzeros and place[end] // (elements * total_pieces) == number:
                piece = place[end] // elements % total_pieces
                count[piece] += 1
                largest = max(largest, count[piece])
                end += 1
            if not alone:
                largest = assign(assignment, pieces, count, elements, bucket, loads)
                count[:] = 0
            for i in range(first, end):
                count[place[i] // elements % total_pieces] = 0
            first = end
            total += largest
    return total / (_THROWS * float(rounds))


@kernel
def _expected_nonzeros(n: int, m: int, length: int, first: int, end: int) -> float:
    """Return the mean nonzeros of elements `first` up to `end` of a fibre of n:m groups."""
    rest = length % m
    whole = length - rest
    mean = (min(end, whole) - min(first, whole)) * (n / m)
    if rest:
        mean += (max(end, whole) - max(first, whole)) * (min(n, rest) / rest)
    return mean


@kernel
def _draw_fibre(
    n: int,
    m: int,
    length: int,
    side: int,
    parts: int,
    pieces: int,
    first: int,
    step: int,
    found: Ints,
    state: np.uint64,
) -> np.uint64:
    """Draw one fibre of n:m groups as far as tiles of an array-level tile hold it; return the generator.

    Parameters
    ----------
    n, m, length : int
        Nonzeros of each group, and elements of the fibre; the last group may be shorter.
    side : int
        Elements of a piece.
    parts, pieces : int
        Tiles, and pieces of each, one after the other.
    first, step : int
        Where the first tile begins, and how much further on the next one.
    found : int64[parts * pieces]
        Nonzeros of the pieces are added.
    state : uint64
        Of the generator.
    """
    group, rest, left = -1, 0, 0
    for piece in range(parts * pieces):
        at = first + piece // pieces * step + piece % pieces * side
        end = at + side
        while at < end:
            if at % m == 0 and end - at >= m:
                found[piece] += (end - at) // m * n
                at += (end - at) // m * m
                continue
            if at // m != group:
                group = at // m
                rest = min(m, length - group * m)
                left = min(n, rest)
            taken = min(end, (group + 1) * m) - at
            at += taken
            if taken == rest:
                found[piece] += left
                continue
            for _ in range(taken):
                state, draw = _next_uniform(state)
                if draw * rest < left:
                    found[piece] += 1
                    left -= 1
                rest -= 1
    return state


@kernel
def grouped_largest(
    group: Ints,
    length: int,
    along: int,
    across: int,
    apart: int,
    fibres: int,
    others: int,
    pieces: int,
    is_cut_along: bool,
    assignment: int,
) -> float:
    """Return the mean largest load where tiles cut n:m groups: groups are drawn, the whole array at once.

    Of many fibres some are drawn, and what they have more or less than on average grows with the root of
    their number.

    Parameters
    ----------
    group : int64[2 or more]
        n and m.
    length : int
        Elements along the groups; m need not divide it.
    along, across, apart : int
        As `TileArrays` has them.
    fibres : int
        Rows of elements along the groups, of a tile.
    others : int
        Tiles over the array that differ in other dimensions.
    pieces : int
        Of each tile.
    is_cut_along : bool
        Whether pieces cut the groups' dimension.
    assignment : int
        One of `vocabulary.Assignment`.
    """
    n, m = int(group[0]), int(group[1])
    turns = length // (along * across)
    others = min(others, max(1, _MOST_PARTS // across))
    inner = pieces if is_cut_along else 1
    split = pieces // inner
    side, parts = along // inner, others * across
    cost = parts * inner * min(side, 2 * m)
    drawn = min(fibres, max(_LEAST_FIBRES, _GROUP_DRAWS // (_LEAST_TRIALS * cost)) * split)
    root = math.sqrt(fibres / drawn)
    trials = min(_MOST_TRIALS, max(_LEAST_TRIALS, _GROUP_DRAWS // (drawn * cost)))
    trials = max(1, trials // turns) * turns if turns <= trials else trials
    most = (fibres + split - 1) // split * side
    found = np.zeros(across * inner, np.int64)
    count, loads = np.zeros(parts * pieces, np.int64), np.empty(parts, np.int64)
    bucket = np.empty(BUCKETS, np.int64)
    state = np.uint64(24680)
    total = excess = 0.0
    for trial in range(trials):
        turn = trial % turns
        if trials < turns:
            state, draw = _next_uniform(state)
            turn = int(draw * turns)
        first = (turn // apart * across * apart + turn % apart) * along
        for other in range(others):
            for part in range(split):
                rows = (part + 1) * drawn // split - part * drawn // split
                found[:] = 0
                for _ in range(rows):
                    state = _draw_fibre(n, m, length, side, across, inner, first, apart * along, found, state)
                for i in range(across * inner):
                    at = first + i // inner * apart * along + i % inner * side
                    mean = _expected_nonzeros(n, m, length, at, at + side) * rows
                    own = mean * fibres / drawn + root * (found[i] - mean)
                    place = (other * across + i // inner) * pieces + (i % inner if inner > 1 else part)
                    count[place] = min(most, max(0, int(own + 0.5)))
                    excess += count[place] - mean * fibres / drawn
        total += assign(assignment, pieces, count, most, bucket, loads)
    # The mean is known: what the sample has more or less of is not the largest load's.
    return total / trials - excess / (trials * float(parts))


@kernel
def _cumulate(elements: int, density: float) -> Floats:
    """Return the probabilities of at most 0 to `elements` nonzeros; float64[elements + 1], the last 1."""
    below = binomial(elements, density)
    for k in range(1, elements + 1):
        below[k] += below[k - 1]
    below[elements] = 1.0
    return below


@kernel
def drawn_largest(elements: int, parts: int, pieces: int, assignment: int, density: float) -> float:
    """Return the mean largest load where the work of every piece is binomial, for any assignment.

    Parameters
    ----------
    elements : int
        Of a piece.
    parts, pieces, assignment : int
        As `sampled_largest` takes them.
    density : float
    """
    below = _cumulate(elements, density)
    count = np.zeros(parts * pieces, np.int64)
    loads, bucket = np.empty(parts, np.int64), np.empty(BUCKETS, np.int64)
    trials = min(_MOST_TILES, max(_LEAST_TILES, _DRAWS // len(count)))
    state = np.uint64(98765)
    total = drawn = 0.0
    for _ in range(trials):
        for i in range(len(count)):
            state, draw = _next_uniform(state)
            count[i] = np.searchsorted(below, draw, side="right")
            drawn += count[i]
        total += assign(assignment, pieces, count, elements, bucket, loads)
    # The mean is known: what the sample has more or less of is not the largest load's.
    mean = elements * pieces * density
    return total / trials - (drawn / (trials * float(parts)) - mean)
