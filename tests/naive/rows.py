"""Rows with known numbers of nonzeros, by listing every mask that they allow."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def count_masks(nonzeros: Sequence[int], length: int) -> int:
    """Return how many masks there are."""
    return math.prod(math.comb(length, one) for one in nonzeros)


def row_masks(nonzeros: Sequence[int], length: int) -> Iterator[Mask]:
    """Yield every mask, bool[rows, length], with so many nonzeros in each row."""
    ways = [list(itertools.combinations(range(length), one)) for one in nonzeros]
    for chosen in itertools.product(*ways):
        mask = np.zeros((len(nonzeros), length), np.bool_)
        for row, places in zip(mask, chosen, strict=True):
            row[list(places)] = True
        yield mask


def held_by_boxes(nonzeros: Sequence[int], length: int, side: int, width: int) -> dict[int, Fraction]:
    """Return how likely a box of so many rows, and elements in each, has each number of nonzeros."""
    masks = list(row_masks(nonzeros, length))
    starts = range(0, len(nonzeros), side)
    found: dict[int, Fraction] = {}
    for mask, start in itertools.product(masks, starts):
        held = int(mask[start : start + side, :width].sum())
        found[held] = found.get(held, Fraction(0)) + Fraction(1, len(masks) * len(starts))
    return found
