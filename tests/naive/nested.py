"""Groups through several ranks, and of blocks, by listing every pattern that they allow."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from tests.naive.groups import fibre_patterns

Levels = Sequence[tuple[int, int]]
Mask = NDArray[np.bool_]
Pattern = tuple[bool, ...]


def block_patterns(levels: Levels) -> list[Pattern]:
    """Return every way to fill an outermost group: n and m of every level, outermost first."""
    if not levels:
        return [(True,)]
    (n, m), inner = levels[0], block_patterns(levels[1:])
    empty = (False,) * len(inner[0])
    found = []
    for chosen in itertools.combinations(range(m), n):
        ways = [inner if i in chosen else [empty] for i in range(m)]
        found += [tuple(itertools.chain(*parts)) for parts in itertools.product(*ways)]
    return found


def series_patterns(levels: Levels) -> list[Pattern]:
    """Return every way to take a sum of terms, the last one first; ways that end alike stand there each."""
    if not levels:
        return [(False,)]
    (n, m), inner = levels[0], series_patterns(levels[1:])
    found = []
    for parts in itertools.product(inner, repeat=m):
        held = list(itertools.chain(*parts))
        left = [i for i, one in enumerate(held) if not one]
        chances = itertools.combinations(left, n)
        found += [tuple(one or i in chosen for i, one in enumerate(held)) for chosen in chances]
    return found


def nested_patterns(levels: Levels, length: int, summed: bool = False) -> list[Pattern]:
    """Return every pattern of so many elements in a row; only plain groups may have a shorter last one."""
    if len(levels) == 1:
        return fibre_patterns(*levels[0], length)
    blocks = length // math.prod(m for _, m in levels)
    ways = series_patterns(levels) if summed else block_patterns(levels)
    parts = itertools.product(ways, repeat=blocks)
    return [tuple(itertools.chain(*one)) for one in parts]


def list_boxes(lengths: Sequence[int], sides: Sequence[int]) -> Iterator[list[int]]:
    """Yield, box by box, where its elements lie; boxes lie side by side, and end where a rank does."""
    where = np.arange(math.prod(lengths)).reshape(lengths)
    starts = (range(0, length, side) for length, side in zip(lengths, sides, strict=True))
    for start in itertools.product(*starts):
        box = tuple(slice(one, one + side) for one, side in zip(start, sides, strict=True))
        yield where[box].ravel().tolist()


def empty_share(
    patterns: list[Pattern], lengths: Sequence[int], sides: Sequence[int], fibres: int
) -> Fraction:
    """Return how often a box with so many independent fibres is empty, in the mean over boxes."""
    total, boxes = Fraction(0), 0
    for box in list_boxes(lengths, sides):
        empty = sum(not any(pattern[i] for i in box) for pattern in patterns)
        total += Fraction(empty, len(patterns)) ** fibres
        boxes += 1
    return total / boxes


def least_fitting(
    patterns: list[Pattern], lengths: Sequence[int], sides: Sequence[int], fibres: int, share: Fraction
) -> int:
    """Return the least number that the nonzeros of a share of all boxes do not exceed."""
    chances: dict[int, Fraction] = {}
    boxes = list(list_boxes(lengths, sides))
    for box in boxes:
        one: dict[int, Fraction] = {}
        for pattern in patterns:
            held = sum(pattern[i] for i in box)
            one[held] = one.get(held, Fraction(0)) + Fraction(1, len(patterns))
        summed = {0: Fraction(1)}
        for _ in range(fibres):
            added: dict[int, Fraction] = {}
            for (a, p), (b, q) in itertools.product(summed.items(), one.items()):
                added[a + b] = added.get(a + b, Fraction(0)) + p * q
            summed = added
        for held, p in summed.items():
            chances[held] = chances.get(held, Fraction(0)) + p / len(boxes)
    below = Fraction(0)
    for held in sorted(chances):
        below += chances[held]
        if below >= share:
            return held
    raise AssertionError


def mask_patterns(patterns: list[Pattern], shape: tuple[int, ...], axes: Sequence[int]) -> Iterator[Mask]:
    """Yield every mask of a tensor whose groups run through some axes, the last one fastest."""
    others = [axis for axis in range(len(shape)) if axis not in axes]
    order = [*others, *axes]
    rows = math.prod(shape[axis] for axis in others)
    back = np.argsort(order)
    for chosen in itertools.product(patterns, repeat=rows):
        mask = np.array(chosen, np.bool_).reshape([shape[axis] for axis in order])
        yield np.ascontiguousarray(mask.transpose(back))
