"""All nests near the shortest path: what no bound excludes, to be measured.

A path names the boundaries of a nest, what lies at each level and further in, and an order of the loops in
between. Moves between the nodes of a search say how little every choice of boundaries costs at least
(`pass_level`); of each that is left the orders are priced one by one (`list_near`).
"""

from __future__ import annotations

import math

from procrustes_model.kernels.dense.arrays import Bools, Floats, Ints, NestArrays
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.search.arrays import Model, Orders
from procrustes_model.kernels.search.path_arrays import Road, Trails
from procrustes_model.kernels.search.path_links import compute_energy
from procrustes_model.kernels.search.path_loose import forget_runs, loosen, return_loosely
from procrustes_model.kernels.search.path_runs import settle, slide


@kernel
def find_togo(trails: Trails, togo: Floats) -> None:
    """Fill in (float64[N]) the least energy from every node of the last search to the end of a path."""
    for node in range(trails.edges[1]):
        togo[node] = trails.final[node]
    for move in range(trails.edges[0] - 1, -1, -1):
        start, end = trails.edge_from[move], trails.edge_to[move]
        togo[start] = min(togo[start], trails.edge_cost[move] + togo[end])


@kernel
def pass_level(
    trails: Trails, level: int, spread: int, cost: Floats, togo: Floats, limit: float, place: Ints,
    spent: Floats,
) -> int:  # fmt: skip
    """Go from some nodes of a level past its boundary, as far as paths keep to a limit.

    Parameters
    ----------
    trails : Trails
        Of the last search.
    level : int
        1 or more.
    spread : int
        The spatial loops outside of it, as a point.
    cost : float64[N]
        What reaching the nodes to begin with has cost; elsewhere infinite. Changes.
    togo : float64[N]
    limit : float
    place : int64[E, 2]
        Filled in: what lies at the level and further in, as a point, and the node past the boundary.
    spent : float64[E, 2]
        Filled in: what reaching that node has cost, and the least of paths through it.

    Returns
    -------
    int
        Rows filled in.
    """
    rows = 0
    for move in range(trails.edge_start[level], trails.edge_start[level - 1]):
        start, end = trails.edge_from[move], trails.edge_to[move]
        here = cost[start] + trails.edge_cost[move]
        if here + togo[end] > limit or here + togo[end] == math.inf:
            continue
        if trails.level[end] == level:
            cost[end] = min(cost[end], here)
            continue
        place[rows, 0], place[rows, 1] = trails.point[end] - spread, end
        spent[rows, 0], spent[rows, 1] = here, here + togo[end]
        rows += 1
    return rows


@kernel
def price_nest(model: Model, road: Road, way: int, nests: NestArrays, n: int) -> float:
    """Return what the path of a nest costs, the way being that of the last search."""
    levels, lattice, terrain = len(model.pack), road.lattice, road.terrain
    tensors, dimensions = model.irrelevant.shape
    energy = model.base + compute_energy(model, road, way, levels, 0)
    energy += compute_energy(model, road, way, levels - 1, 0)
    point, state = road.inside[levels - 1], 0
    for level in range(levels - 1, -1, -1):
        for position in range(dimensions - 1, -1, -1):
            d = nests.order[n, level, position]
            factor = nests.temporal[n, level, d]
            if factor == 1:
                continue
            i = 0
            while lattice.divisors[d, i] != factor:
                i += 1
            after = point + i * lattice.stride[d]
            for t in range(tensors):
                if state & terrain.every[t] == 0:
                    continue
                if model.irrelevant[t, d]:
                    if road.special is not None:
                        energy += return_loosely(model, road, way, level, point, after, state, t)
                        state = loosen(model, road, level, state, t)
                elif terrain.partner[t, d] < 0:
                    energy += settle(model, road, way, level, point, state, t)
                    state &= ~terrain.every[t]
                else:
                    more, state = slide(model, road, way, level, point, after, state, t, d)
                    energy += more
            point = after
        if level > 0:
            for t in range(tensors):
                if road.keep[level, t]:
                    energy += road.waiting[level, t]
                    if road.parent[level, t] >= 0:
                        state |= 1 << terrain.shift[t, level]
            energy += compute_energy(model, road, way, level - 1, point) + road.extra[level, point]
            point += road.ways.spread[way, level - 1]
    for t in range(tensors):
        energy += settle(model, road, way, 0, point, state, t)
    return energy


@kernel
def _write_factors(
    road: Road, parts: Ints, allowed: Bools, way: int, row: Ints, nests: NestArrays, n: int
) -> bool:
    """Write a nest's factors; False where rules on temporal ones forbid them. Arguments as of `list_near`."""
    lattice, levels = road.lattice, len(row)
    value = lattice.value
    for level in range(levels):
        spread = road.ways.spread[way, level]
        inner = (row[level + 1] if level + 1 < levels else 0) + spread
        x = parts[level, spread]
        for d in range(len(lattice.stride)):
            if not allowed[level, d, lattice.indices[row[level], d] - lattice.indices[inner, d]]:
                return False
            nests.temporal[n, level, d] = value[row[level], d] // value[inner, d]
            nests.spatial[n, level, 0, d] = value[x, d]
            nests.spatial[n, level, 1, d] = value[spread, d] // value[x, d]
    return True


@kernel
def _write_order(orders: Orders, candidate: int, nests: NestArrays, n: int, level: int) -> None:
    """Write a candidate order of a level's loops: outermost first, those with one iteration outside."""
    dimensions = nests.temporal.shape[2]
    at = 0
    for d in range(dimensions):
        if nests.temporal[n, level, d] == 1:
            nests.order[n, level, at] = d
            at += 1
    last = dimensions - 1
    for k in range(dimensions):
        d = orders.loops[candidate, k]
        if d >= 0:
            nests.order[n, level, last] = d
            last -= 1


@kernel
def list_near(
    model: Model,
    road: Road,
    orders: Orders,
    parts: Ints,
    allowed: Bools,
    way: int,
    rows: Ints,
    limit: Floats,
    position: Ints,
    nests: NestArrays,
) -> int:
    """Write nests with given boundaries whose path keeps to a limit, until there is no more room.

    Parameters
    ----------
    model : Model
    road : Road
    orders : Orders
    parts : int64[L, V]
        Of every spatial vector the part on x.
    allowed : bool[L, D, n]
        Temporal factors.
    way : int
        That of the last search.
    rows : int64[n, L]
        What lies at each level and further in.
    limit : float64[n]
    position : int64[2]
        Row, and number of its combination of orders, to begin with; changed to where to go on.
    nests : NestArrays
        Filled in but for `keep`.

    Returns
    -------
    int
        Nests written.
    """
    levels, n = rows.shape[1], 0
    forget_runs(road.trails.runs)
    while position[0] < len(rows):
        row = rows[position[0]]
        if n == len(nests.temporal):
            return n
        fits = _write_factors(road, parts, allowed, way, row, nests, n)
        combinations = 1 if fits else 0
        for level in range(levels - 1):  # innermost, no order matters
            loops = 0
            for d in range(len(road.lattice.stride)):
                loops |= (1 << d) if nests.temporal[n, level, d] > 1 else 0
            combinations *= orders.rows[level, loops, 1] - orders.rows[level, loops, 0]
        while position[1] < combinations:
            if n == len(nests.temporal):
                return n
            _write_factors(road, parts, allowed, way, row, nests, n)
            rest = position[1]
            position[1] += 1
            for level in range(levels):
                loops = 0
                for d in range(len(road.lattice.stride)):
                    loops |= (1 << d) if nests.temporal[n, level, d] > 1 else 0
                first = orders.rows[level, loops, 0]
                choices = orders.rows[level, loops, 1] - first if level < levels - 1 else 1
                _write_order(orders, first + rest % choices, nests, n, level)
                rest //= choices
            if price_nest(model, road, way, nests, n) <= limit[position[0]]:
                n += 1
        position[0], position[1] = position[0] + 1, 0
    return n
