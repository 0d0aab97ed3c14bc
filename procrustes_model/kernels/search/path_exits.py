"""What many ways to spread have in common: what networks take, and where paths leave the levels inside."""

from __future__ import annotations

from procrustes_model.kernels.dense.arrays import Floats, Ints
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.search.arrays import Goal, Model
from procrustes_model.kernels.search.goal import energy_limit
from procrustes_model.kernels.search.path_arrays import Road
from procrustes_model.kernels.search.path_links import fill_by_class
from procrustes_model.kernels.search.path_runs import hope
from procrustes_model.kernels.search.path_wires import (
    ALONE,
    LEAST,
    MOST,
    describe_later,
    describe_wires,
)


@kernel
def list_exits(
    model: Model, road: Road, level: int, count: int, points: Ints, states: Ints, least: Floats
) -> int:
    """List the nodes of a level, and what paths through them cost at least but for levels further out.

    Parameters
    ----------
    model : Model
    road : Road
        Of one way.
    level, count : int
        The level; nodes of the path.
    points, states : int64[N]
        Filled in.
    least : float64[N]
        Filled in: what has been spent, and what tiles that wait cost more, less what runs may spare.

    Returns
    -------
    int
        Nodes that are listed.
    """
    trails, found = road.trails, 0
    for node in range(count):
        if trails.level[node] != level:
            continue
        point, state = trails.point[node], trails.state[node]
        points[found], states[found] = point, state
        least[found] = trails.cost[node] + fill_by_class(model, road, level, point, state, False)
        least[found] -= hope(model, road, 0, level, point, state)
        found += 1
    return found


@kernel
def limit_energies(goal: Goal, cycles: Floats, limits: Floats) -> None:
    """Fill in (float64[N]) the dynamic energies above which mappings of so many cycles cannot be better."""
    for n in range(len(limits)):
        limits[n] = energy_limit(goal, cycles[n])


@kernel
def share_wires(
    model: Model, road: Road, chosen: Ints, units: Floats, wires: Floats, wired: Floats, later: Floats
) -> None:
    """Fill in what networks take of some ways at least, as far as one way that stands for them pays it.

    Parameters
    ----------
    model : Model
    road : Road
        Its own room for what networks take is filled in.
    chosen : int64[n]
        Ways.
    units : float64[L + 1]
        Instances of the way that stands for them.
    wires : float64[L + 1, T, 3]
        As `Road.wires`; filled in: the most of `MOST`.
    wired, later : float64[L, T], float64[L]
        As in `Links`; filled in.
    """
    levels, real = len(model.pack), road.ways.units
    for n in range(len(chosen)):
        way = chosen[n]
        describe_wires(model, road, way)
        describe_later(model, road, way)
        for level in range(1, levels + 1):
            if level < levels:
                later[level] = (
                    road.links.later[level] if n == 0 else min(later[level], road.links.later[level])
                )
            for t in range(len(model.kind)):
                parent = road.parent[level, t]
                if parent < 0 or (level < levels and not road.keep[level, t]):
                    continue
                if level < levels:
                    excess = road.links.wired[level, t]
                    wired[level, t] = excess if n == 0 else min(wired[level, t], excess)
                # of a word that all instances take, and so of one of the other way's
                scale = real[way, parent] / real[way, level] * units[level] / units[parent]
                low, high = road.wires[level, t, LEAST] * scale, road.wires[level, t, MOST] * scale
                alone = road.wires[level, t, ALONE]
                if n > 0:
                    low, high = min(low, wires[level, t, LEAST]), max(high, wires[level, t, MOST])
                    alone = min(alone, wires[level, t, ALONE])
                wires[level, t, LEAST], wires[level, t, MOST], wires[level, t, ALONE] = low, high, alone
