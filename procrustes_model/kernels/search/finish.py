"""From a label at the innermost level to a whole mapping, measured by the model itself."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from procrustes_model.kernels.dense.arrays import (
    OK,
    Bools,
    CostArrays,
    Floats,
    Ints,
    NestArrays,
    Room,
)
from procrustes_model.kernels.dense.nest import copy_row
from procrustes_model.kernels.jit import by_reference, kernel, step
from procrustes_model.kernels.pipeline import Scope, evaluate_nests
from procrustes_model.kernels.search.arrays import UNITS, Goal, Lattice, Model, Orders, Pattern
from procrustes_model.kernels.search.expand import MEASURED
from procrustes_model.kernels.search.goal import advance, energy_limit, is_better
from procrustes_model.kernels.search.labels import BOUND, STEPS, grow

MEASURED_SCOPE = Scope(known=True, fit=True)
"""Factors and outermost tensors are right as searches make them."""


@by_reference
class Bench(NamedTuple):
    """Room to evaluate N mappings.

    Attributes
    ----------
    nests : NestArrays
    room : Room
    costs : CostArrays
    """

    nests: NestArrays
    room: Room
    costs: CostArrays


@step
def measure_batch(model: Model, bench: Bench) -> None:
    """Evaluate the mappings on the bench, whose factors and outermost tensors are taken to be right.

    Where a status is not OK, the mapping does not fit or overflows, and its costs mean nothing.
    """
    evaluate_nests(
        model.problem,
        model.machine,
        model.rules,
        MEASURED_SCOPE,
        bench.nests,
        None,
        bench.room,
        bench.costs,
    )


@kernel
def slowest(cycles: Ints, n: int) -> float:
    """Return the cycles of mapping `n`: those of its slowest level."""
    most = 0
    for level in range(cycles.shape[1]):
        most = max(most, cycles[n, level])
    return float(most)


@step
def measure(model: Model, bench: Bench) -> tuple[float, float]:
    """Return energy and cycles of the one mapping on the bench; infinite where it is not valid."""
    measure_batch(model, bench)
    if bench.room.status[0] != OK:
        return math.inf, math.inf
    return bench.costs.total[0], slowest(bench.costs.cycles, 0)


@kernel
def unpack(
    model: Model,
    lattice: Lattice,
    orders: Orders,
    parts: Ints,
    label: Ints,
    last: int,
    nests: NestArrays,
    n: int,
) -> None:
    """Write a label, with the spatial vector `last` of the innermost level, as a mapping.

    Parameters
    ----------
    model : Model
    lattice : Lattice
    orders : Orders
    parts : int64[L, V]
        Of every spatial vector the part on x.
    label : int64[W]
        At B(L - 1).
    last : int
        Point.
    nests : NestArrays
        Filled in but for `keep`.
    n : int
        Which of the mappings of `nests`.
    """
    levels, dimensions = nests.temporal.shape[1:]
    path = model.columns.path
    for level in range(levels):
        spread = last
        if level < levels - 1:
            spread = label[path + 2 * level + 1] - label[path + 2 * level + 2]
        inner = label[path + 2 * level + 1] if level < levels - 1 else last
        x = parts[level, spread]
        for d in range(dimensions):
            outer = label[path + 2 * level]
            nests.temporal[n, level, d] = lattice.value[outer, d] // lattice.value[inner, d]
            nests.spatial[n, level, 0, d] = lattice.value[x, d]
            nests.spatial[n, level, 1, d] = lattice.value[spread, d] // lattice.value[x, d]
        row = label[model.columns.order + level]
        position = dimensions
        for d in orders.loops[row]:
            if d >= 0:
                position -= 1
                nests.order[n, level, position] = d
        for d in range(dimensions):
            if not (orders.loops[row] == d).any():
                position -= 1
                nests.order[n, level, position] = d


@kernel
def finish(
    model: Model,
    lattice: Lattice,
    orders: Orders,
    pattern: Pattern,
    parts: Ints,
    last: Ints,
    allowed: Bools,
    labels: Ints,
    marks: Floats,
    goal: Goal,
    bench: Bench,
    counted: Ints,
) -> tuple[Ints, Floats]:
    """Place the innermost loops and measure each mapping exactly.

    Parameters
    ----------
    model : Model
    lattice : Lattice
    orders : Orders
    pattern : Pattern
    parts : int64[L, V]
    last : int64[n]
        Spatial vectors of the innermost level.
    allowed : bool[D, n]
        Temporal factors of the innermost level.
    labels : int64[n, W]
        At B(L - 1).
    marks : float64[n, 3]
    goal : Goal
    bench : Bench
    counted : int64[6]
        Added to.

    Returns
    -------
    found : int64[n, 2]
        Row and spatial vector of each mapping that is better than the goal and those before it.
    costs : float64[n, 2]
        Their energy and cycles.
    """
    found, costs, n = np.empty((4, 2), np.int64), np.empty((4, 2)), 0
    innermost = len(model.pack) - 1
    for level in range(len(pattern.keep)):
        for t in range(pattern.keep.shape[1]):
            bench.nests.keep[0, level, t] = pattern.keep[level, t]
    label = np.empty(model.columns.width, np.int64)
    for i in range(len(labels)):
        if marks[i, BOUND] > energy_limit(goal, marks[i, STEPS]):
            continue
        copy_row(labels[i], label)
        outer = label[model.columns.path + 2 * innermost]
        for s in last:
            loops, units = 0, label[UNITS]
            for d in range(len(lattice.stride)):
                k = lattice.indices[outer, d] - lattice.indices[s, d]
                if lattice.value[outer, d] % lattice.value[s, d] or not allowed[d, k]:
                    loops = -1
                    break
                loops |= (1 << d) if k else 0
                units *= lattice.value[s, d]
            if loops < 0 or units < model.least_units:
                continue
            label[model.columns.order + innermost] = orders.rows[innermost, loops, 0]
            unpack(model, lattice, orders, parts, label, s, bench.nests, 0)
            energy, cycles = measure(model, bench)
            counted[MEASURED] += 1
            if is_better(goal, energy, cycles):
                if n == len(found):
                    found, costs = grow(found, costs)
                found[n, 0], found[n, 1], costs[n, 0], costs[n, 1] = i, s, energy, cycles
                n += 1
                goal = advance(goal, energy, cycles)
    return found[:n], costs[:n]
