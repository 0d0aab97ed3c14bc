"""Where innermost loops lead, and what nests that spread alike cost at least, before a path is looked for."""

from __future__ import annotations

import math

import numpy as np

from procrustes_model.kernels.dense.arrays import Floats, Ints
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.search.arrays import Goal, Model
from procrustes_model.kernels.search.goal import score
from procrustes_model.kernels.search.passes_arrays import Grid, Plan
from procrustes_model.kernels.search.passes_cost import (
    ROUNDING,
    port_cycles,
    price,
    serve_inside,
    serve_outside,
    share_of_units,
)


@kernel
def lead(model: Model, grid: Grid, plan: Plan) -> tuple[Ints, Floats, Floats]:
    """Return where the innermost loops and the network outside of them lead, by dimension and index.

    Returns
    -------
    int64[3, D, n]
        The part of the point inside that network, and outside, -1 where no loop leads there; whether some
        instances never work.
    float64[D, n]
        Iterations of the loop, and what is left outside at least.
    float64[D, n]
        The part of the operations over the dimension that the unit with most of them does.
    """
    dimensions, longest = grid.passes.shape
    level = len(model.pack) - 1
    leads, steps = np.full((3, dimensions, longest), -1), np.ones((dimensions, longest))
    shares = np.ones((dimensions, longest))
    for d in range(dimensions):
        begun, outside = -(-model.bounds[d] // plan.spread[level, d]), 1
        for j in range(level):
            outside *= plan.spread[j, d]
        # a loop inside of which all that stands stays where it is may as well be the next one further out
        free = plan.spread[level - 1, d] > 1
        for t in range(len(model.kind)):
            free = free or (plan.keep[level, t] and not model.irrelevant[t, d])
        for i in range(grid.counts[d]):
            n = grid.passes[d, i]
            factor = -(-begun // n)
            if -(-begun // factor) == n and (free or n == begun):
                leads[0, d, i] = i * grid.stride[d]
                leads[1, d, i] = grid.at[d, -(-n // plan.spread[level - 1, d])] * grid.stride[d]
                leads[2, d, i] = plan.spread[level - 1, d] > n
                steps[d, i] = float(factor * -(-n // outside))
                shares[d, i] = share_of_units(begun, n, plan.spread[level - 1, d]) / model.bounds[d]
    return leads, steps, shares


@kernel
def lead_on(plan: Plan, leads: Ints, passes: Floats, row: int) -> tuple[int, int, float, bool]:
    """Return where all of a start leads: inside that network and outside, -1 if nowhere; steps; who idles."""
    point, after, steps, idle = 0, 0, 1.0, False
    for d in range(len(passes)):
        i = plan.starts[row, d]
        idle = idle or leads[2, d, i] > 0
        part = leads[1, d, i]
        after = after + part if part >= 0 and after >= 0 else -1
        point += leads[0, d, i]
        steps *= passes[d, i]
    return point, after, steps, idle


@kernel
def fill_once(model: Model, grid: Grid, plan: Plan) -> float:
    """Return the least energy of filling the innermost level in all instances, if all of them work."""
    level, energy = len(model.pack) - 1, 0.0
    idle = np.zeros((level + 1, len(model.bounds)), np.int64)
    for t in range(len(model.kind)):
        if plan.keep[level, t] and plan.parent[level, t] >= 0:
            slot = level * len(model.kind) + t
            energy += price(model, grid, plan, idle, slot, level - 1, -1, 1.0, False)
    return max(energy, float(plan.once[level]))


@kernel
def spread_out(model: Model, plan: Plan, spread: Ints) -> None:
    """Let a plan spread loops over instances as `spread`, int64[L, D], says."""
    levels, dimensions = spread.shape
    plan.spread[:] = spread
    plan.units[0] = 1.0
    for level in range(levels):
        plan.units[level + 1] = plan.units[level]
        for d in range(dimensions):
            plan.units[level + 1] *= spread[level, d]
        for t in range(len(model.kind)):
            plan.fresh[level, t] = plan.elements[t]
            for d in range(dimensions):
                outside = 1
                for j in range(level):
                    outside *= spread[j, d]
                if model.irrelevant[t, d]:
                    plan.fresh[level, t] *= min(outside, model.bounds[d])
    plan.floor[0] = 1.0
    for level in range(levels):
        if model.limited:
            plan.floor[0] = max(plan.floor[0], port_cycles(model, plan, level))


@kernel
def _bound_spread(model: Model, grid: Grid, plan: Plan, goal: Goal) -> float:
    """Return what the objective of no nest falls below that keeps and spreads as a plan says."""
    level, dimensions = len(model.pack) - 1, len(model.bounds)
    leads, passes, shares = lead(model, grid, plan)
    base, least, most = serve_inside(model, plan), math.inf, goal.value * (1 + ROUNDING)
    filled = fill_once(model, grid, plan)
    fewest = np.ones((dimensions, 1))
    for d in range(dimensions):
        for i in range(grid.counts[d]):
            fewest[d, 0] = min(fewest[d, 0], shares[d, i])
    base += serve_outside(model, plan, np.zeros(dimensions, np.int64), fewest)
    if score(goal, base + filled + plan.togo[level - 1, 0], 1.0) > most:
        return math.inf
    for row in range(len(plan.starts)):
        energy = base + plan.filling[row] + plan.togo[level - 1, 0]
        if score(goal, energy, 1.0) > most or score(goal, energy, 1.0) > least:
            break
        _, after, steps, idle = lead_on(plan, leads, passes, row)
        if after < 0:
            continue
        if model.work != 1.0:
            steps = math.ceil(steps * model.work * (1 - ROUNDING))
        steps = max(steps, plan.floor[0])
        energy = base + plan.togo[level - 1, after]
        energy += max(plan.filling[row], plan.once[level] if idle else filled)
        if energy > goal.most_energy or steps > goal.most_cycles:
            continue
        value = score(goal, energy + goal.power * steps, steps)
        if value <= most:
            least = min(least, value)
    return least


@kernel
def bound_spreads(
    model: Model, grid: Grid, plan: Plan, goal: Goal, spreads: Ints, scores: Floats
) -> None:  # fmt: skip
    """Find what the objective of no nest falls below, for many ways to spread loops over instances.

    Parameters
    ----------
    model : Model
    grid : Grid
    plan : Plan
        Changed.
    goal : Goal
    spreads : int64[n, L, D]
    scores : float64[n]
        What is known. Grows; infinite above the goal.
    """
    for way in range(len(spreads)):
        if scores[way] <= goal.value:
            spread_out(model, plan, spreads[way])
            scores[way] = max(scores[way], _bound_spread(model, grid, plan, goal))
