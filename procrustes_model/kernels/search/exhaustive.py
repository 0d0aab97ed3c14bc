"""Every mapping, one after the other: for small spaces, and as the measure of cleverer searches."""

from __future__ import annotations

import math

from procrustes_model.kernels.dense.arrays import OK, Bools, Ints
from procrustes_model.kernels.dense.nest import copy_nest
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.search.arrays import Goal, Model
from procrustes_model.kernels.search.finish import Bench, measure
from procrustes_model.kernels.search.goal import advance, is_better


@kernel
def place(bench: Bench, splits: Ints, position: Ints) -> None:
    """Write the chosen split of every dimension as factors."""
    for d in range(splits.shape[0]):
        for level in range(bench.nests.temporal.shape[1]):
            bench.nests.temporal[0, level, d] = splits[d, position[d], 3 * level]
            bench.nests.spatial[0, level, 0, d] = splits[d, position[d], 3 * level + 1]
            bench.nests.spatial[0, level, 1, d] = splits[d, position[d], 3 * level + 2]


@kernel
def next_splits(position: Ints, count: Ints) -> bool:
    """Go on to the next choice of splits, the last dimension's first; False where it was the last choice."""
    for d in range(len(count) - 1, -1, -1):
        position[d] += 1
        if position[d] < count[d]:
            return True
        position[d] = 0
    return False


@kernel
def used_units(model: Model, bench: Bench) -> int:
    """Return the compute units used; 0 where the fan-out is exceeded."""
    units = 1
    for level in range(len(model.pack)):
        for axis in range(2):
            product = 1
            for d in range(len(model.bounds)):
                product *= bench.nests.spatial[0, level, axis, d]
            if product > model.machine.fanout[level, axis]:
                return 0
            units *= product
    return units


@kernel
def set_orders(bench: Bench, orders: Ints, outside: Bools, number: int) -> bool:
    """Write the orders of all levels; False where an equal order has a lower number.

    Loops with one iteration come outermost, in ascending order.
    """
    levels, dimensions = bench.nests.temporal.shape[1:]
    for level in range(levels):
        row = number % len(orders)
        number //= len(orders)
        last, begun = -1, False
        for i in range(dimensions):
            d = orders[row, i]
            bench.nests.order[0, level, i] = d
            if bench.nests.temporal[0, level, d] > 1:
                begun = True
                for k in range(i):
                    e = orders[row, k]
                    if outside[level, d, e] and bench.nests.temporal[0, level, e] > 1:
                        return False
            elif begun or d < last:
                return False
            else:
                last = d
    return True


@kernel
def try_all(
    model: Model,
    splits: Ints,
    count: Ints,
    orders: Ints,
    outside: Bools,
    position: Ints,
    most: int,
    goal: Goal,
    bench: Bench,
    best: Bench,
) -> tuple[float, float, int, bool]:
    """Measure mappings, from the splits at `position` on.

    Parameters
    ----------
    model : Model
    splits : int64[D, n, 3 L]
        Factorisations of each dimension: per level temporal, x, y.
    count : int64[D]
        How many there are.
    orders : int64[m, D]
        Permutations, outermost first.
    outside : bool[L, D, D]
    position : int64[D]
        Changed: where to go on.
    most : int
        Combinations of splits to look at in this call.
    goal : Goal
    bench : Bench
        Its `keep` is used.
    best : Bench
        Its `nests` are filled in where a mapping is better than the goal.

    Returns
    -------
    energy, cycles : float
    valid : int
        Valid mappings measured.
    more : bool
        Whether there are combinations left.
    """
    energy, cycles, valid = math.inf, math.inf, 0
    levels = len(model.pack)
    total = len(orders) ** levels
    for _ in range(most):
        place(bench, splits, position)
        units = used_units(model, bench)
        if units and units >= model.least_units:
            for number in range(total):
                if not set_orders(bench, orders, outside, number):
                    continue
                found = measure(model, bench)
                if bench.room.status[0] != OK:
                    break
                valid += 1
                if is_better(goal, found[0], found[1]):
                    energy, cycles = found
                    goal = advance(goal, energy, cycles)
                    copy_nest(bench.nests, best.nests, 0, 0)
        if not next_splits(position, count):
            return energy, cycles, valid, False
    return energy, cycles, valid, True
