"""How many mappings a mapspace has: each once, whatever loops of one iteration would make of it.

A mapping is its factors, the order of the loops of every level, and what levels keep. Loops of one
iteration are not there, so k loops of a level have k! orders. Which levels a dimension has a loop at is
counted for each dimension by itself; products of these counts, added up by the number of loops at every
level, are weighted with the orders of as many loops.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, Ints
from procrustes_model.mapper.deadline import Deadline

MOST_STATES = 4_000_000
"""Combinations of numbers of loops per level above which mappings are not counted."""


class Packing:
    """Counts by the set of levels that have a temporal loop, side by side in one integer.

    Parameters
    ----------
    levels : int
    bits : int
        Of the largest count.
    """

    def __init__(self, levels: int, bits: int) -> None:
        self.levels, self.bits = levels, bits

    def with_loop(self, counts: int, level: int) -> int:
        """Return the counts after a loop at a level, which none had before."""
        return counts << (self.bits << level)

    def unpack(self, counts: int) -> dict[int, int]:
        """Return the counts by set of levels, a bit each; those of 0 are left out."""
        mask = (1 << self.bits) - 1
        found = {loops: counts >> (self.bits * loops) & mask for loops in range(1 << self.levels)}
        return {loops: count for loops, count in found.items() if count}


def list_products(divisors: Ints, bound: int) -> list[tuple[int, int, int]]:
    """Return all pairs of divisors whose product divides a bound, and that product, by their places.

    Parameters
    ----------
    divisors : int64[n]
        All of them, in any order; the first is 1.
    bound : int

    Returns
    -------
    list of tuple of int
    """
    place = {int(value): i for i, value in enumerate(divisors)}
    found = []
    for i, value in enumerate(divisors.tolist()):
        fits = np.flatnonzero(bound // value % divisors == 0).tolist()
        found += [(i, j, place[value * int(divisors[j])]) for j in fits]
    return found


def count_splits(
    divisors: Ints, bound: int, allowed: Sequence[Bools], packing: Packing, deadline: Deadline
) -> list[int]:
    """Count the ways to write each divisor of a bound as a product of factors, packed by loops.

    Parameters
    ----------
    divisors : int64[n]
        The first is 1.
    bound : int
    allowed : sequence of bool[n]
        By factor, three a level: temporal, x, y.
    packing : Packing
    deadline : Deadline

    Returns
    -------
    list of int
        By divisor.
    """
    products = list_products(divisors, bound)
    ways = [1] + [0] * (len(divisors) - 1)
    for slot, good in enumerate(allowed):
        deadline.check()
        level, kind = divmod(slot, 3)
        may, after = good.tolist(), [0] * len(divisors)
        for i, j, k in products:
            if may[j] and ways[i]:
                looped = kind == 0 and j > 0
                after[k] += packing.with_loop(ways[i], level) if looped else ways[i]
        ways = after
    return ways


def count_orders(
    loops: Iterable[dict[int, int]], chains: Sequence[frozenset[int]], deadline: Deadline
) -> int | None:
    """Count the factorisations of all dimensions with the orders of their loops.

    Parameters
    ----------
    loops : iterable of dict of int to int
        For each dimension: ways to split it, by the set of levels that have a loop of it.
    chains : sequence of frozenset of int
        By level, the dimensions whose loops stand in one order there.
    deadline : Deadline

    Returns
    -------
    int or None
        None beyond `MOST_STATES`.
    """
    # Per level an axis for the number of free loops, and one for those of the chain.
    levels = len(chains)
    counts: Any = np.ones((1,) * (2 * levels), object)
    rows = sorted(enumerate(loops), key=lambda row: -len(row[1]))  # large tables meet short rows
    for d, ways in rows:
        axes = [2 * level + (d in chains[level]) for level in range(levels)]
        grown = list(counts.shape)
        for level, axis in enumerate(axes):
            grown[axis] += any(mask >> level & 1 for mask in ways)
        if math.prod(grown) > MOST_STATES:
            return None
        after: Any = np.zeros(grown, object)
        for mask, number in ways.items():
            deadline.check()
            shift = [0] * (2 * levels)
            for level, axis in enumerate(axes):
                shift[axis] = mask >> level & 1
            place = tuple(slice(s, s + n) for s, n in zip(shift, counts.shape, strict=True))
            after[place] += counts * number
        counts = after
    for level in range(levels):
        free, chained = counts.shape[2 * level : 2 * level + 2]
        orders = [[math.factorial(f + c) // math.factorial(c) for c in range(chained)] for f in range(free)]
        shape = [1] * (2 * levels)
        shape[2 * level : 2 * level + 2] = free, chained
        counts = counts * np.array(orders, object).reshape(shape)
    return int(counts.sum())


def list_chains(outside: Bools) -> list[frozenset[int]]:
    """Return by level the dimensions whose loops stand in one order there (`outside`: bool[L, D, D])."""
    return [frozenset(np.flatnonzero(rule.any(axis=0) | rule.any(axis=1)).tolist()) for rule in outside]
