"""The least energy of all nests that spread alike: a shortest path over the lattice of divisors.

The path goes from the inside out. Where it stands is a point, what all loops placed so far cover, and a
state: of every tensor at every level, whether a tile stands there that no loop has moved yet. Such a tile is
*pending*. The first loop that moves it *settles* it, and the energy of filling it follows from the point
alone: what lies between the tile and the point does not index the tensor, so that the tile is known, and the
number of visits is what remains outside. A move places one prime of a temporal loop, or all loops of the
innermost level, which move nothing; at the boundary of a level tiles that fit become pending, and the spatial
loops multiply the point.

A tile with a sliding window is settled by a whole loop, since its bound counts. A later loop over the same
rank may continue the run (`nest.count_transfers`); as long as one can, the state names the run.

What is not exact is a lower bound: first accumulations where tiles of the output have gaps, or spatial loops
lie over what slides in it; different tiles of neighbours where two spatial loops share a rank and the tile
settles inside of them.
"""

from __future__ import annotations

import math

import numpy as np

from procrustes_model.kernels.dense.arrays import Floats, Ints
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.search.arrays import Model
from procrustes_model.kernels.search.lattice import divide_bounds
from procrustes_model.kernels.search.path_arrays import (
    BLOCK,
    Road,
    Trails,
)
from procrustes_model.kernels.search.path_links import (
    NEW,
    compute_energy,
    fill_by_class,
    link_energy,
    load_energy,
)
from procrustes_model.kernels.search.path_loose import (
    forget_runs,
    loosen,
    return_loosely,
)
from procrustes_model.kernels.search.path_runs import hope, settle, slide
from procrustes_model.kernels.search.path_wires import (
    describe_later,
    describe_wires,
    is_partial,
    note_partial,
)

NOWHERE, CROWDED = -1, -2
"""What `find_path` returns in place of a node."""

DIRECT = 0.5
"""Relative room above its bound within which a path has all of it at once."""

FIRST_ROOM, MORE_ROOM = 0.05, 3.0
"""Relative room above its bound that a path gets first; how much more, each time that it was too little."""

ROUNDING = 1e-12
"""Relative room for the rounding of sums."""


@kernel
def _keep_move(trails: Trails, before: int, node: int, cost: float) -> None:
    """Keep the move from one node to another, where moves are kept."""
    if before >= 0 and len(trails.edge_from):
        move = trails.edges[0]
        if move < len(trails.edge_from):
            trails.edge_from[move], trails.edge_to[move] = before, node
            trails.edge_cost[move] = cost - trails.cost[before]
        trails.edges[0] = move + 1


@kernel
def _enter(road: Road, count: int, point: int, state: int, cost: float, level: int, before: int) -> int:
    """Reach a node, if that is cheaper than what is known; return how many nodes there are."""
    trails = road.trails
    side = level & 1
    node = trails.heads[side, point]
    while node >= 0:
        if trails.state[node] == state:
            if cost < trails.cost[node]:
                trails.cost[node], trails.before[node] = cost, before
            _keep_move(trails, before, node, cost)
            return count
        node = trails.beside[node]
    _keep_move(trails, before, count, cost)
    trails.final[count] = math.inf
    trails.cost[count], trails.state[count], trails.point[count] = cost, state, point
    trails.level[count], trails.before[count] = level, before
    trails.beside[count], trails.heads[side, point] = trails.heads[side, point], count
    trails.blocks[side, point // BLOCK] = True
    return count + 1


@kernel
def _reach(
    model: Model, road: Road, way: int, level: int, node: int, after: int, state: int, cost: float,
    room: float, count: int,
) -> int:  # fmt: skip
    """Reach a node of a level's temporal loops from another one, unless it is too dear; return the nodes.

    `room`: the most energy that may be spent until there, but for what runs may spare.
    """
    if cost > room and cost - hope(model, road, way, level, after, state) > room:
        return count
    return _enter(road, count, after, state, cost, level, node)


@kernel
def _place_loops(
    model: Model, road: Road, way: int, level: int, node: int, limit: float, count: int
) -> int:  # fmt: skip
    """Place one more prime, or one whole loop where a window slides, outside a node; return the nodes."""
    lattice, terrain, trails, settled = road.lattice, road.terrain, road.trails, road.settled
    point, state, cost, togo = trails.point[node], trails.state[node], trails.cost[node], road.togo[level]
    tensors, dimensions = model.irrelevant.shape
    ahead = road.inside[0] - road.inside[level]  # all that spreads outside
    most = limit + hope(model, road, way, level, point, state)
    partial = 0
    if road.special is not None:
        partial = note_partial(model, road, level, point, state)
    if state and cost + fill_by_class(model, road, level, point, state, False) + togo[point] > most:
        return count
    for t in range(tensors):
        settled[t] = 0.0
        if state & terrain.every[t]:
            settled[t] = settle(model, road, way, level, point, state, t)
    for d in range(dimensions):
        if not terrain.loops[level, d] or lattice.value[point, d] == model.bounds[d]:
            continue
        if state and cost + road.links.least[road.links.of[d]] + togo[point] > most:
            continue
        spent, rest, slides = cost, state, False
        for t in range(tensors):
            if state & terrain.every[t] == 0:
                continue
            if model.irrelevant[t, d]:
                if road.special is not None:
                    rest = loosen(model, road, level, rest, t)
                continue
            if terrain.partner[t, d] >= 0:
                slides = True
            else:
                rest &= ~terrain.every[t]
                rest |= partial if model.output[t] else 0
                spent += settled[t]
        for i in range(1, lattice.counts[d] - lattice.indices[point, d]):
            if not (slides or terrain.prime[d, i]):
                continue
            factor = lattice.divisors[d, i]  # exponents are digits of a point
            if lattice.divisors[d, lattice.indices[point, d] + i] != factor * lattice.value[point, d]:
                continue
            after, energy, new = point + i * lattice.stride[d], spent, rest
            if spent + togo[after] > most:
                continue
            if not divide_bounds(lattice.exponents, lattice.packed, lattice.spare, after, ahead):
                continue
            if road.special is not None and model.rules.forgetful:
                for t in range(tensors):
                    if model.irrelevant[t, d]:
                        energy += return_loosely(model, road, way, level, point, after, state, t)
            if slides:
                for t in range(tensors):
                    if not model.irrelevant[t, d] and terrain.partner[t, d] >= 0 and state & terrain.every[t]:
                        more, new = slide(model, road, way, level, point, after, new, t, d)
                        energy += more
            if energy < math.inf:
                count = _reach(model, road, way, level, node, after, new, energy, limit - togo[after], count)
    return count


@kernel
def _pass_boundary(
    model: Model, road: Road, way: int, level: int, node: int, point: int, limit: float, count: int
) -> int:  # fmt: skip
    """Let tiles that cover `point` stand in a level, and pass the network outside of it; return the nodes."""
    trails, lattice, spread = road.trails, road.lattice, road.ways.spread[way, level - 1]
    state, cost = trails.state[node], trails.cost[node]
    ahead = road.inside[0] - road.inside[level]  # all that spreads outside
    if not divide_bounds(lattice.exponents, lattice.packed, lattice.spare, point, ahead):
        return count
    partial = False
    if road.special is not None and not road.roomy[level, point]:
        partial = is_partial(model, road, way, level, point, state)
    if partial:
        return count
    after = point + spread
    room = limit - road.togo[level - 1, after]
    if state:
        room += hope(model, road, way, level - 1, after, state)
    cost += road.extra[level, point]
    if cost + road.filling[level, point] > room:
        return count  # what waits may cost nothing more
    cost += compute_energy(model, road, way, level - 1, point)
    if cost + fill_by_class(model, road, level, point, state, True) > room:
        return count
    for t in range(len(model.kind)):
        if road.keep[level, t]:
            cost += road.waiting[level, t]
            if road.parent[level, t] >= 0:  # else it begins here
                state |= 1 << road.terrain.shift[t, level]
    return _enter(road, count, after, state, cost, level - 1, node)


@kernel
def _place_innermost(model: Model, road: Road, way: int, limit: float, count: int) -> int:
    """Place all temporal loops of the innermost level at once: none moves a tile; return the nodes."""
    lattice, level, filling, togo = road.lattice, len(model.pack) - 1, road.filling, road.togo
    start, last = road.inside[level], len(road.fits[0]) - 1
    room = limit - road.trails.cost[0]
    for point in road.starts:
        if level > 0 and filling[level, point] + togo[level - 1, point] > room:
            continue  # at once, for most points
        if point < start or not road.fits[level, point]:
            continue
        if not divide_bounds(lattice.exponents, lattice.packed, lattice.spare, start, point - start):
            continue
        allowed = True
        for d in range(len(model.bounds)):
            more = lattice.indices[point, d] > lattice.indices[start, d]
            allowed = allowed and (road.terrain.loops[level, d] or not more)
        if allowed and level > 0 and count <= _most_nodes(road):
            count = _pass_boundary(model, road, way, level, 0, point, limit, count)
        elif allowed and start < point == last:  # of one level
            count = _enter(road, count, point, 0, road.trails.cost[0], level, 0)
            road.trails.heads[level & 1, point] = -1
    road.trails.heads[level & 1, start] = -1
    return count


@kernel
def _sweep(model: Model, road: Road, way: int, level: int, limit: float, count: int) -> int:
    """Go on from all nodes of a level, in the order of their points; return the nodes."""
    trails, most, later = road.trails, _most_nodes(road), road.links.later
    heads, blocks = trails.heads[level & 1], trails.blocks[level & 1]
    for block in range(road.inside[level] // BLOCK, len(blocks)):
        if not blocks[block]:
            continue
        for point in range(block * BLOCK, min((block + 1) * BLOCK, len(heads))):
            node = heads[point]
            heads[point] = -1
            while node >= 0 and count <= most:
                if level > 0 and road.fits[level, point]:
                    outside = limit - later[level - 1]
                    count = _pass_boundary(model, road, way, level, node, point, outside, count)
                count = _place_loops(model, road, way, level, node, limit - later[level], count)
                node = trails.beside[node]
        blocks[block] = False
    return count


@kernel
def _most_nodes(road: Road) -> int:
    """Return the nodes beyond which one more might not find room for all that follow it."""
    return len(road.trails.cost) - road.lattice.divisors.size - 2


@kernel
def _prepare(model: Model, road: Road, way: int) -> None:
    """Fill in the spatial loops inside each boundary, and what tiles that wait cost at least."""
    levels, last, value = len(model.pack), len(road.fits[0]) - 1, road.lattice.value
    if road.terrain.mask.max() > 1:
        forget_runs(road.trails.runs)
    if road.special is not None and model.machine.wires.any:
        describe_wires(model, road, way)
        describe_later(model, road, way)
    road.inside[levels] = 0
    for level in range(levels - 1, -1, -1):
        road.inside[level] = road.inside[level + 1] + road.ways.spread[way, level]
    for c in range(1, levels):
        for t in range(len(model.kind)):
            road.waiting[c, t], road.shared[c, t] = 0.0, 1.0
            for j in range(max(0, road.parent[c, t]), c):
                road.shared[c, t] *= road.ways.most[way, j, t]
                if road.ways.least[way, j, t] < road.ways.most[way, j, t]:
                    road.shared[c, t] = -math.inf
            if not road.keep[c, t]:
                continue
            if road.parent[c, t] < 0:  # it begins here
                road.links.share[c, t] = 1.0
                if model.machine.loads[c] and not model.output[t]:
                    tile = road.terrain.tile[t, last - road.inside[0] + road.inside[c]]
                    road.waiting[c, t] = load_energy(model, road, way, t, c, float(tile))
                continue
            parents, different = road.ways.units[way, road.parent[c, t]], 1.0
            for j in range(road.parent[c, t], c):
                different *= road.ways.least[way, j, t]
            road.links.share[c, t] = road.ways.units[way, c] / (parents * different)
            if road.terrain.mask[t] == 1:
                words = 1.0  # where a stride leaves gaps between words, tiles have no fewer
                for d in range(len(model.bounds)):
                    if not model.irrelevant[t, d]:
                        words *= value[last - road.inside[0] + road.inside[c], d]
                road.waiting[c, t] = link_energy(model, road, way, t, c, words, road.shared[c, t], NEW)


@kernel
def _may_end(model: Model, road: Road, way: int, node: int) -> bool:
    """Say whether all loops have been placed at a node, and what the outermost level keeps fits."""
    trails, last = road.trails, len(road.fits[0]) - 1
    if trails.level[node] > 0 or trails.point[node] < last or not road.fits[0, last]:
        return False
    if road.special is not None and not road.roomy[0, last]:
        return not is_partial(model, road, way, 0, last, trails.state[node])
    return True


@kernel
def _find_path(model: Model, road: Road, way: int, limit: float) -> tuple[float, int]:
    """Find the shortest path of one way to spread; see `find_path`."""
    trails, levels, points = road.trails, len(model.pack), len(road.fits[0])
    _prepare(model, road, way)
    trails.edges[0] = 0
    cost = model.base + compute_energy(model, road, way, levels, 0)
    cost += compute_energy(model, road, way, levels - 1, 0)
    start, count = road.inside[levels - 1], 0
    later = road.links.later
    if cost + road.togo[levels - 1, start] + later[levels - 1] <= limit:
        count = _enter(road, 0, start, 0, cost, levels - 1, -1)
    for level in range(levels - 1, -1, -1):
        trails.edge_start[level] = trails.edges[0]
        if level == levels - 1 and count:
            count = _place_innermost(model, road, way, limit - later[max(0, level - 1)], count)
        elif count:
            count = _sweep(model, road, way, level, limit, count)
    trails.edges[1] = count
    if count > _most_nodes(road):
        return math.inf, CROWDED
    best, end = math.inf, NOWHERE
    for node in range(count):
        if not _may_end(model, road, way, node):
            continue
        last = 0.0
        for t in range(len(model.kind)):
            last += settle(model, road, way, 0, points - 1, trails.state[node], t)
        trails.final[node] = last
        if trails.cost[node] + last < best:
            best, end = trails.cost[node] + last, node
    return (best, end) if best <= limit else (math.inf, NOWHERE)


@kernel
def find_first_path(
    model: Model, road: Road, ways: Ints, least: Floats, limits: Floats
) -> tuple[int, float, int]:
    """Find the shortest path of the first of some ways to spread that has one within its limit.

    The closer the limit, the fewer nodes a path is looked for among: it is raised from what no path falls
    below.

    Parameters
    ----------
    model : Model
    road : Road
    ways : int64[n]
    least, limits : float64[n]
        Energy that no path falls below, and above which one is of no interest.

    Returns
    -------
    place : int
        Of the way among all of them; n without a path.
    energy : float
        The least of all nests that spread so; where there was no room, what none falls below.
    node : int
        Where the path ends, with all loops placed; NOWHERE without one, CROWDED where there was no room.
    """
    for i in range(len(ways)):
        bound, room = least[i], DIRECT if limits[i] <= least[i] * (1 + DIRECT) else FIRST_ROOM
        while True:
            within = min(limits[i], bound * (1 + room)) if bound > 0 else limits[i]
            energy, node = _find_path(model, road, ways[i], within * (1 + ROUNDING))
            if node == CROWDED:
                return i, bound, node
            if node != NOWHERE:
                return i, energy, node
            if within >= limits[i]:
                break
            bound, room = within, room * MORE_ROOM
    return len(ways), math.inf, NOWHERE


def find_path(model: Model, road: Road, way: int, limit: float) -> tuple[float, int]:
    """Find the shortest path of one way to spread.

    Parameters
    ----------
    model : Model
    road : Road
    way : int
    limit : float
        Energy above which it is of no interest.

    Returns
    -------
    energy : float
        The least of all nests that spread so; infinite where it is above the limit.
    node : int
        Where the path ends, with all loops placed; NOWHERE without one, CROWDED where there was no room.
    """
    limits = np.array([limit])
    _, energy, node = find_first_path(model, road, np.array([way]), limits, limits)
    return (math.inf if node == CROWDED else energy), node
