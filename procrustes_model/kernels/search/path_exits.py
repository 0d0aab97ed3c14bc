"""Where paths leave the levels that ways to spread have in common, and what goes on from there at least."""

from __future__ import annotations

from procrustes_model.kernels.dense.arrays import Floats, Ints
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.search.arrays import Goal, Model
from procrustes_model.kernels.search.goal import energy_limit
from procrustes_model.kernels.search.path_arrays import Road
from procrustes_model.kernels.search.path_links import fill_by_class
from procrustes_model.kernels.search.path_runs import hope


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
