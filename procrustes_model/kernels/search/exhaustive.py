"""Every mapping, one after the other: for small spaces, and as the measure of cleverer searches."""

from __future__ import annotations

import math

from procrustes_model.kernels.dense.arrays import BAD_CAPACITY, OK, Bools, Ints, NestArrays
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
def begin_orders(nests: NestArrays) -> None:
    """Write the first order of every level: loops with one iteration outermost, all in ascending order."""
    for level in range(nests.order.shape[1]):
        _begin_order(nests.temporal[0, level], nests.order[0, level])


@kernel
def _begin_order(temporal: Ints, order: Ints) -> None:
    position = 0
    for looped in range(2):
        for d in range(len(order)):
            if (temporal[d] > 1) == (looped == 1):
                order[position] = d
                position += 1


@kernel
def next_orders(nests: NestArrays) -> bool:
    """Go on to the next orders of the loops, the outermost level's first; False after the last ones.

    Loops with one iteration stay where they are: no two orders differ in them alone.
    """
    for level in range(nests.order.shape[1]):
        if _next_order(nests.temporal[0, level], nests.order[0, level]):
            return True
        _begin_order(nests.temporal[0, level], nests.order[0, level])
    return False


@kernel
def _next_order(temporal: Ints, order: Ints) -> bool:
    """Go on to the next order of a level's loops, int64[D] each, as in a dictionary; False after the last."""
    i = len(order) - 2
    while i >= 0 and order[i] > order[i + 1]:
        i -= 1
    if i < 0 or temporal[order[i]] == 1:
        return False
    k = len(order) - 1
    while order[k] < order[i]:
        k -= 1
    order[i], order[k] = order[k], order[i]
    low, high = i + 1, len(order) - 1
    while low < high:
        order[low], order[high] = order[high], order[low]
        low, high = low + 1, high - 1
    return True


@kernel
def are_ordered(nests: NestArrays, outside: Bools) -> bool:
    """Say whether the orders obey the rules, bool[L, D, D]."""
    levels, dimensions = nests.order.shape[1:]
    for level in range(levels):
        for i in range(dimensions):
            d = nests.order[0, level, i]
            for k in range(i if nests.temporal[0, level, d] > 1 else 0):
                e = nests.order[0, level, k]
                if outside[level, d, e] and nests.temporal[0, level, e] > 1:
                    return False
    return True


@kernel
def try_all(
    model: Model,
    splits: Ints,
    count: Ints,
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
    outside : bool[L, D, D]
    position : int64[D + 1]
        Splits, and whether orders of them are left on the bench; changed: where to go on.
    most : int
        Combinations of splits and orders to look at in this call.
    goal : Goal
    bench : Bench
        Its `keep` is used. It stays as it is from call to call.
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
    while most > 0:
        most -= 1
        usable = next_mapping(model, splits, count, position, bench)
        if usable and are_ordered(bench.nests, outside):
            found = measure(model, bench)
            status = bench.room.status[0]
            if status == OK:
                valid += 1
                if is_better(goal, found[0], found[1]):
                    energy, cycles = found
                    goal = advance(goal, energy, cycles)
                    copy_nest(bench.nests, best.nests, 0, 0)
            usable = status != BAD_CAPACITY  # else the same in every order
        if not leave_mapping(count, position, bench.nests, usable):
            return energy, cycles, valid, False
    return energy, cycles, valid, True


@kernel
def next_mapping(model: Model, splits: Ints, count: Ints, position: Ints, bench: Bench) -> bool:
    """Write the mapping at a position; False where its factors do not fit the machine's fan-out or rules."""
    if position[len(count)]:
        return True
    place(bench, splits, position)
    begin_orders(bench.nests)
    units = used_units(model, bench)
    return bool(units and units >= model.least_units)


@kernel
def leave_mapping(count: Ints, position: Ints, nests: NestArrays, usable: bool) -> bool:
    """Go on to the next mapping, of other factors where these are not usable; False after the last one."""
    if usable and next_orders(nests):
        position[len(count)] = 1
        return True
    position[len(count)] = 0
    return next_splits(position, count)
