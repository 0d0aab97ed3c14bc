"""Distributions of the nonzeros of groups, and of sums of independent ones."""

from __future__ import annotations

import math

import numpy as np

from procrustes_model.kernels.arithmetic import add_up
from procrustes_model.kernels.dense.arrays import Floats, Ints
from procrustes_model.kernels.jit import kernel

NOTHING = 1e-18
"""What a probability may be below that of the likeliest number before a sum ends."""


@kernel
def least_and_most(n: int, m: int, rest: int) -> tuple[int, int]:
    """Return the fewest and the most nonzeros that `rest` positions of a group of m can have."""
    return max(0, n - (m - rest)), min(n, rest)


@kernel
def of_group(n: int, m: int, rest: int) -> Floats:
    """Return how likely `rest` positions of a group have 0, 1, ... of its n nonzeros."""
    low, high = least_and_most(n, m, rest)
    p = np.zeros(high + 1)
    p[low] = 1.0
    for k in range(low, high):
        p[k + 1] = p[k] * (rest - k) * (n - k) / ((k + 1.0) * (m - rest - n + k + 1))
    p /= add_up(p)
    return p


@kernel
def added(a: Floats, b: Floats) -> Floats:
    """Return the distribution of the sum of two independent numbers."""
    out = np.zeros(len(a) + len(b) - 1)
    for i in range(len(a)):
        if a[i] > 0:
            out[i : i + len(b)] += a[i] * b
    return out


@kernel
def trimmed(p: Floats) -> tuple[int, Floats]:
    """Return a distribution without its ends that do not matter, and where it then begins."""
    least = p.max() * NOTHING
    first, last = 0, len(p)
    while p[first] <= least:
        first += 1
    while p[last - 1] <= least:
        last -= 1
    return first, p[first:last]


@kernel
def of_many(p: Floats, times: int) -> tuple[int, Floats]:
    """Return the distribution of the sum of many independent alike numbers, and where it begins."""
    begin, total = 0, np.ones(1)
    first, square = trimmed(p)
    while times > 0:
        if times % 2:
            begin += first
            skipped, total = trimmed(added(total, square))
            begin += skipped
        times //= 2
        if times:
            skipped, square = trimmed(added(square, square))
            first = 2 * first + skipped
    return begin, total


@kernel
def mixed_quantile(mean: Floats, variance: Floats, starts: Ints, low: int, high: int, share: float) -> int:
    """Return the quantile, from `low` to `high`, of numbers that are normally distributed.

    `mean`, `variance`, `starts` : float64[m], float64[m], int64[m], of each sort of number, and how many of
    it there are.
    """
    while low < high:
        middle = (low + high) // 2
        below = 0.0
        for i in range(len(starts)):
            above = middle + 0.5 - mean[i]
            if variance[i] > 0:
                below += starts[i] * 0.5 * math.erfc(-above / math.sqrt(2 * variance[i]))
            elif above > 0:
                below += starts[i]
        if below >= share * starts.sum():
            high = middle
        else:
            low = middle + 1
    return low


@kernel
def of_hypergeometric(size: int, nonzeros: int, words: int) -> tuple[int, Floats]:
    """Return the least nonzeros of a tile that matter, and how likely it has 0, 1, ... more."""
    low, high = max(0, words - (size - nonzeros)), min(words, nonzeros)
    v, z, others = float(words), float(nonzeros), float(size - nonzeros)
    mode = max(low, min(high, int((v + 1) * ((z + 1) / (size + 2.0)))))
    first, weight = mode, 1.0
    while first > low and weight > NOTHING:
        weight *= first * (others - v + first) / ((v - first + 1) * (z - first + 1))
        first -= 1
    last, weight = mode, 1.0
    while last < high and weight > NOTHING:
        weight *= (v - last) * (z - last) / ((last + 1) * (others - v + last + 1))
        last += 1
    shares = np.ones(last - first + 1)
    for k in range(mode, first, -1):
        factor = k * (others - v + k) / ((v - k + 1) * (z - k + 1))
        shares[k - 1 - first] = shares[k - first] * factor
    for k in range(mode, last):
        factor = (v - k) * (z - k) / ((k + 1) * (others - v + k + 1))
        shares[k + 1 - first] = shares[k - first] * factor
    return first, shares / add_up(shares)
