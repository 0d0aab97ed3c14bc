"""Whole numbers from counts that may carry rounding errors."""

from __future__ import annotations

import math

from procrustes_model.kernels.jit import kernel

_NEAR = 1e-13
"""A count this near to a whole number, relative to itself, is that number: it carries rounding errors."""


@kernel
def round_up(count: float) -> float:
    """Return the next whole number, or the one that `count` is but for rounding errors."""
    nearest = math.floor(count + 0.5)
    return nearest if abs(count - nearest) <= _NEAR * count else math.ceil(count)


@kernel
def round_down(count: float) -> float:
    """Return the last whole number, or the one that `count` is but for rounding errors."""
    nearest = math.floor(count + 0.5)
    return nearest if abs(count - nearest) <= _NEAR * count else math.floor(count)


@kernel
def count_packs(words: float, pack: int, whole: bool) -> float:
    """Return how many times `pack` words are moved to move `words`, the last time perhaps fewer.

    `whole` : whether words are a whole number without rounding errors.
    """
    if whole:
        return float((words + pack - 1) // pack) if pack > 1 else float(words)
    rounded = round_up(words)
    if pack == 1:
        return rounded
    return math.ceil(rounded / pack) if rounded - words < 0.5 else math.ceil(words / pack)
