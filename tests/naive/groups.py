"""n:m groups by listing every pattern that they allow."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def list_groups(length: int, m: int) -> list[int]:
    """Return the sizes of the groups of so many elements in a row; the last may be shorter."""
    return [min(m, length - start) for start in range(0, length, m)]


def fibre_patterns(n: int, m: int, length: int) -> list[tuple[bool, ...]]:
    """Return every way to keep n of each m elements in a row, and min(n, r) of a last group of r."""
    ways = []
    for size in list_groups(length, m):
        kept = itertools.combinations(range(size), min(n, size))
        ways.append([[i in chosen for i in range(size)] for chosen in kept])
    return [tuple(itertools.chain(*groups)) for groups in itertools.product(*ways)]


def count_patterns(shape: tuple[int, ...], n: int, m: int, axis: int) -> int:
    """Return how many masks `mask_patterns` yields."""
    one = math.prod(math.comb(size, min(n, size)) for size in list_groups(shape[axis], m))
    return int(one ** (math.prod(shape) // shape[axis]))


def mask_patterns(shape: tuple[int, ...], n: int, m: int, axis: int) -> Iterator[Mask]:
    """Yield every mask of a tensor whose groups run along an axis."""
    others = [length for i, length in enumerate(shape) if i != axis]
    fibres = fibre_patterns(n, m, shape[axis])
    for chosen in itertools.product(fibres, repeat=math.prod(others)):
        yield np.moveaxis(np.array(chosen).reshape(*others, shape[axis]), -1, axis)


def empty_share(n: int, m: int, length: int, along: int, fibres: int) -> Fraction:
    """Return how often a box is empty, over all patterns and boxes side by side, the last maybe shorter."""
    patterns = fibre_patterns(n, m, length)
    starts = range(0, length, along)
    total = Fraction(0)
    for start in starts:
        empty = sum(not any(pattern[start : start + along]) for pattern in patterns)
        total += Fraction(empty, len(patterns)) ** fibres
    return total / len(starts)
