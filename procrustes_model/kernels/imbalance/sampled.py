"""The work of the slowest processing element, from samples that are always the same.

For tensors so small that their known number of nonzeros matters, and for rules of balancing that have no
closed form. Results are functions of the arguments: nothing is left to chance.
"""

from __future__ import annotations

import numpy as np

from procrustes_model.kernels.dense.arrays import Floats
from procrustes_model.kernels.imbalance.expected import binomial
from procrustes_model.kernels.imbalance.policies import BUCKETS, OWN, assign
from procrustes_model.kernels.jit import kernel

_TRIALS = 4000
_THROWS = 10_000

_DRAWS = 1 << 17
"""Pieces whose work is drawn, all array-level tiles together."""

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
