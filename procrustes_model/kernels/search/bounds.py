"""Lower bounds on energy, level by level from inside, and the pairs of boundaries that stay within them."""

from __future__ import annotations

import math

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, Floats, Ints
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.search.arrays import (
    Floor,
    Goal,
    Lattice,
    Link,
    Model,
    Orders,
    Spatial,
)
from procrustes_model.kernels.search.goal import energy_limit
from procrustes_model.kernels.search.labels import double
from procrustes_model.kernels.search.lattice import divide_bounds


@kernel
def least_steps(computes: int, units: float, work: float) -> float:
    """Return the cycles of a nest that uses `units` compute units, of which each does a share of the work."""
    steps = computes / units
    if work != 1:
        steps *= work * (1 - 1e-12)
    return max(1.0, math.ceil(steps - 1e-9))


@kernel
def _slack(model: Model, spatial: Spatial, link: Link, goal: Goal) -> Floats:
    """Return for each spatial vector the energy that is left for everything else."""
    slack = np.empty(len(spatial.point))
    for s in range(len(slack)):
        units = spatial.units[s] * link.units_inside * link.units_outside
        slack[s] = -math.inf
        if units >= model.least_units:
            limit = energy_limit(goal, least_steps(model.computes, units, model.work))
            spent = model.base - link.pending + spatial.toll[s] - spatial.rebate[s]
            slack[s] = limit - spent
    return slack


@kernel
def _charge(floor: Floor, members: Ints, irrelevant: Bools, link: Link, b: int, fill: Floats, read: Floats,
            widest: Floats) -> float:  # fmt: skip
    """Fill in what link traffic into tile `b` costs by class and tensor; return a bound over all classes."""
    low = math.inf
    for c in range(len(members)):
        total = 0.0
        for t in range(len(irrelevant)):
            fill[c, t] = read[c, t] = 0.0
            if link.kept[t]:
                fill[c, t] = floor.words[c, t, b] * link.child[t]
                read[c, t] = floor.words[c, t, b] * link.parent[t]
                least = fill[c, t] + read[c, t] / widest[t]
                total += least / floor.rest[t, b] if irrelevant[t, members[c, 0]] else least
        low = min(low, total)
    return low


@kernel
def bound_stage(
    model: Model,
    lattice: Lattice,
    orders: Orders,
    floor: Floor,
    spatial: Spatial,
    link: Link,
    fits: Bools,
    below: Floats,
    goal: Goal,
    inside: Floats,
    listed: bool,
    position: Ints,
    most: int,
) -> Ints:
    """Bound the energy of everything inside M(l) from what is known inside B(l + 1).

    Only pairs that stay within the goal count; a point without such a pair gets infinity. Ends after about
    `most` steps; another call goes on at `position`, and finishes where that is the last point.

    Parameters
    ----------
    model : Model
    lattice : Lattice
    orders : Orders
    floor : Floor
    spatial : Spatial
        Vectors of level l.
    link : Link
        Into level l + 1.
    fits : bool[n]
        Whether the tiles of a point fit level l + 1; n is 1 where that is the compute units.
    below : float64[n]
        Bounds inside B(l + 1).
    goal : Goal
    inside : float64[C + 1, V]
        Infinite at first; filled in.
    listed : bool
        Whether to return the pairs.
    position : int64[1]
        First point B(l + 1) to look at; changed.
    most : int

    Returns
    -------
    int64[n, 3]
        Of this call: numbers of M(l), of B(l + 1), and the row of the spatial vector.
    """
    classes, tensors = len(orders.members), len(model.kind)
    exponents, packed, spare = lattice.exponents, lattice.packed, lattice.spare
    slack = _slack(model, spatial, link, goal)
    by_slack = np.argsort(-slack, kind="mergesort")
    widest = np.ones(tensors)
    for s in range(len(slack)):
        for t in range(tensors):
            widest[t] = max(widest[t], spatial.multicast[s, t])
    fill, read = np.empty((classes, tensors)), np.empty((classes, tensors))
    pairs = np.empty((1024 if listed else 1, 3), np.int64)
    n = 0
    while position[0] < len(fits) and most > 0:
        b = position[0]
        position[0] = b + 1
        most -= 1
        if not fits[b] or below[b] == np.inf:
            continue
        low = below[b] + _charge(floor, orders.members, model.irrelevant, link, b, fill, read, widest)
        for s in by_slack:
            if not low <= slack[s]:
                break
            most -= 1
            if not divide_bounds(exponents, packed, spare, b, spatial.point[s]):
                continue
            m = b + spatial.point[s]
            hit = False
            for c in range(classes):
                if not floor.open[c, m]:
                    continue
                total = below[b]
                for t in range(tensors):
                    spent = fill[c, t] + read[c, t] / spatial.multicast[s, t]
                    if model.irrelevant[t, orders.members[c, 0]]:
                        spent /= floor.rest[t, m]
                    total += spent
                if total <= slack[s]:
                    hit = True
                    inside[c, m] = min(inside[c, m], total + spatial.toll[s] - spatial.rebate[s])
            if hit and listed:
                if n == len(pairs):
                    pairs = double(pairs)
                pairs[n, 0], pairs[n, 1], pairs[n, 2] = m, b, s
                n += 1
    for c in range(classes if position[0] == len(fits) else 0):
        for m in range(inside.shape[1]):
            inside[classes, m] = min(inside[classes, m], inside[c, m])
    return pairs[:n]
