"""The most obvious way to do what procrustes_model.training does."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np


def select_by_quantile(values: list[float], keep: float, q: float, rate: float) -> tuple[list[bool], float]:
    """Walk a stream value by value, as the estimator is published."""
    p = 1 - keep
    selected = []
    for x in values:
        selected.append(x > q)
        q = q * (1 + rate * p) if x > q else q * (1 - rate * (1 - p))
    return selected, q


def select_exactly(values: list[float], keep: float) -> set[int]:
    """Sort, and take the largest; of equal ones the first."""
    count = max(1, round(keep * len(values)))
    return set(sorted(range(len(values)), key=lambda i: (-values[i], i))[:count])


def encode(dense: Any, block: tuple[int, ...]) -> tuple[list[int], list[bool], list[Any]]:
    """Walk blocks, then positions, and append."""
    pointers: list[int] = []
    bits: list[bool] = []
    values: list[Any] = []
    for corner in product(*(range(0, side, length) for side, length in zip(dense.shape, block, strict=True))):
        pointers.append(len(values))
        ends = [min(at + length, side) for at, length, side in zip(corner, block, dense.shape, strict=True)]
        for index in product(*(range(at, end) for at, end in zip(corner, ends, strict=True))):
            bits.append(dense[index] != 0)
            if dense[index] != 0:
                values.append(dense[index])
    return pointers, bits, values


def balance(halves: list[int]) -> list[int]:
    """Pair the largest half with the smallest until none is left; return the work of all pairs."""
    left = sorted(halves)
    work = []
    while left:
        work.append(left.pop(0) + left.pop())
    return work


def train(
    inputs: Any, weights: list[Any], prune: Callable[[Any], Any] = lambda gradients: gradients
) -> list[tuple[Any, Any]]:
    """Run fully connected layers with ReLU between them; the loss is half the sum of the outputs' squares.

    Return what the products of each layer receive beside its weights: inputs, and gradients of its outputs,
    which `prune` makes of those that arrive.
    """
    received, before = [], inputs
    for place, layer in enumerate(weights):
        received.append(before if place == 0 else np.maximum(before, 0))
        before = received[-1] @ layer.T
    gradients, result = before, []
    for place in reversed(range(len(weights))):
        result.append((received[place], prune(gradients)))
        gradients = (result[-1][1] @ weights[place]) * (received[place] > 0)
    return result[::-1]
