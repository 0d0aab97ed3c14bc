"""A sum of n:m terms: each keeps n of every m elements, among those that the terms before it leave.

So a tensor without structure is taken apart for hardware that runs n:m groups only (TASD, arXiv 2403.07953).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from procrustes_model.densities.hypergeometric import draw_anywhere
from procrustes_model.densities.rule import DensityRule
from procrustes_model.vocabulary import DensityModel

Chances = list[float]


def kept_share(terms: Sequence[tuple[int, int]], density: float) -> float:
    """Return the share of nonzeros that a sum of terms holds, of a tensor with nonzeros anywhere.

    Parameters
    ----------
    terms : sequence of (int, int)
        n and m of every term, in order; every m is a multiple of the one before it.
    density : float
        Nonzeros / elements of the tensor, every element being one independently of the others.

    Returns
    -------
    float
        From 0 to 1; 1 where there are no nonzeros.

    Raises
    ------
    ValueError
        Where an m is no multiple of the one before it.
    """
    if density <= 0:
        return 1.0
    size, left = 1, [1 - density, density]
    lost = density
    for n, m in terms:
        if m % size:
            raise ValueError(f"groups of {m} are not made of those of {size} before them")
        within = [1.0]
        for _ in range(m // size):
            within = _added(within, left)
        left = [sum(within[: n + 1]), *within[n + 1 :]]
        size = m
        lost = sum(k * p for k, p in enumerate(left)) / size
    return 1 - lost / density


def _added(a: Chances, b: Chances) -> Chances:
    """Return the distribution of the sum of two independent numbers."""
    found = [0.0] * (len(a) + len(b) - 1)
    for i, p in enumerate(a):
        for j, q in enumerate(b):
            found[i + j] += p * q
    return found


DENSITY = DensityRule(
    name="series",
    rule="a sum of n:m terms, each of what the ones before it leave",
    keys=("terms", "along"),
    code=DensityModel.NESTED,
    average=lambda given: math.fsum(n / m for n, m in given["terms"]),
    draw=draw_anywhere,
)
