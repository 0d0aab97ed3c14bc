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

from procrustes_model.kernels.dense.arrays import Ints
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.search.arrays import Model
from procrustes_model.kernels.search.lattice import divide_bounds
from procrustes_model.kernels.search.path_arrays import (
    ACROSS,
    ACROSS_AT,
    ALONG_AT,
    BLOCK,
    CHARGED,
    FIRST,
    LEVEL,
    LOOSE,
    REACHED,
    STEP,
    TENSOR,
    TILE,
    Road,
    Trails,
)
from procrustes_model.kernels.search.path_links import (
    NEW,
    UNKNOWN,
    compute_energy,
    different_tiles,
    fill_by_class,
    link_energy,
    load_energy,
    side_words,
)
from procrustes_model.kernels.search.path_loose import (
    forget_runs,
    hope_loosely,
    loosen,
    name_run,
    slide_loosely,
)
from procrustes_model.kernels.search.path_wires import (
    describe_later,
    describe_wires,
    is_partial,
    note_partial,
)

OPEN = 96
"""Continuations of a run that are looked at; with more it is taken to go on."""

NOWHERE, CROWDED = -1, -2
"""What `find_path` returns in place of a node."""


@kernel
def _search_match(model: Model, road: Road, key: Ints) -> bool:
    """Say whether loops further out may continue a run; see `_may_match`."""
    t, d = key[0], key[1]
    e, lattice = road.terrain.partner[t, d], road.lattice
    coefficient, bounds = model.problem.coefficient, model.bounds
    step, apart, beside = key[5], key[6], key[7]
    # what is covered of d, of e, the sum of steps, whether spatial loops are still to come
    stack = np.empty((OPEN + 2, 4), np.int64)
    stack[0, 0], stack[0, 1], stack[0, 2], stack[0, 3] = key[2], key[3], key[4], apart * beside > 1
    first, count = 0, 1
    while first < count:
        along, across, reached, inside = stack[first]
        first += 1
        if inside:
            stack[count, 0], stack[count, 1], stack[count, 2] = along * apart, across * beside, reached
            stack[count, 3] = 0
            count += 1
        for k in range(2):
            dimension, covered, spread = (d, along, apart) if k == 0 else (e, across, beside)
            rest = bounds[dimension] // (covered * spread if inside else covered)
            move = coefficient[t, dimension] * covered
            if rest > 1 and (move == reached or move == reached + step):
                return True
            for i in range(lattice.counts[dimension]):
                n = lattice.divisors[dimension, i]
                if n == 1 or rest % n:
                    continue
                if count >= OPEN:
                    return True
                stack[count, 0] = along * n if k == 0 else along
                stack[count, 1] = across if k == 0 else across * n
                stack[count, 2], stack[count, 3] = reached + move, inside
                count += 1
    return False


@kernel
def _may_match(
    model: Model, road: Road, t: int, d: int, point: int, step: int, reached: int, apart: int
) -> bool:
    """Say whether a loop outside `point` may leave a tile of a run in place, or keep its overlap.

    Parameters
    ----------
    model : Model
    road : Road
        What is found is noted in `Trails.known`.
    t, d : int
        Tensor; dimension of the first loop.
    point : int
        What has been placed, with the last loop of the run.
    step, reached : int
        Of the first loop; sum of all steps.
    apart : int
        Spatial loops still to come, as a point.
    """
    known, value, e = road.trails.known, road.lattice.value, road.terrain.partner[t, d]
    row = known[len(known) - 1]  # the last row is the question
    row[0], row[1], row[2], row[3], row[4] = t, d, value[point, d], value[point, e], reached
    row[5], row[6], row[7] = step, value[apart, d], value[apart, e]
    code = 0
    for i in range(8):
        code = (code * 1000003 + row[i]) & 0x7FFFFFFF
    for probe in range(8):
        at = (code + probe) % (len(known) - 1)
        same = known[at, 8] != 0
        for i in range(8):
            same = same and known[at, i] == row[i]
        if same:
            return bool(known[at, 8] == 2)
        if known[at, 8] == 0:
            for i in range(8):
                known[at, i] = row[i]
            known[at, 8] = 2 if _search_match(model, road, row) else 1
            return bool(known[at, 8] == 2)
    return _search_match(model, road, row)


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
def settle(model: Model, road: Road, way: int, level: int, point: int, state: int, t: int) -> float:
    """Return the energy of all pending tiles of a tensor when a loop outside `point` moves it as a whole."""
    terrain = road.terrain
    visits = model.computes / (terrain.volume[point] * road.ways.units[way, level])
    none = road.trails.runs[len(road.trails.runs) - 1]
    energy = 0.0
    for c in range(level + 1, len(model.pack)):
        code = (state >> terrain.shift[t, c]) & terrain.mask[t]
        if code == 1 or (code == terrain.mask[t] and model.rules.forgetful):
            words = math.floor(terrain.tile[t, point - road.inside[level] + road.inside[c]] * visits + 0.5)
            different = road.shared[c, t]
            if different < 0:
                different = different_tiles(model, road, way, level, t, c, point, none, False)
            energy += link_energy(model, road, way, t, c, words, different, NEW) - road.waiting[c, t]
    return energy


@kernel
def _spread_twice(road: Road, way: int, level: int, d: int, e: int) -> bool:
    """Say whether two levels outside of one have spatial loops over two dimensions."""
    value, found = road.lattice.value, 0
    for j in range(level):
        spread = road.ways.spread[way, j]
        found += value[spread, d] * value[spread, e] > 1
    return found > 1


@kernel
def slide(
    model: Model, road: Road, way: int, level: int, point: int, after: int, state: int, t: int, d: int
) -> tuple[float, int]:  # fmt: skip
    """Let a loop over `d`, which takes a path from `point` to `after`, move the tiles of a sliding tensor.

    Returns
    -------
    energy : float
        Infinite where the level has a loop over `d` in a run already: of one loop they are no parts.
    state : int
        With the tensor's tiles settled but for runs that may continue.
    """
    terrain, value, inside, runs = road.terrain, road.lattice.value, road.inside, road.trails.runs
    e, f = terrain.partner[t, d], value[after, d] // value[point, d]
    forgetful = model.rules.forgetful
    visits = model.computes / (terrain.volume[point] * road.ways.units[way, level])
    repeats = visits * (f - 1) / f  # of the loop, without its first iteration
    move = model.problem.coefficient[t, d] * value[point, d]
    several = _spread_twice(road, way, level, d, e)  # these are not told apart
    energy, new, mask = 0.0, state, terrain.mask[t]
    asked = runs[len(runs) - 2]
    for c in range(level + 1, len(model.pack)):
        shift = terrain.shift[t, c]
        code = (state >> shift) & mask
        new &= ~(mask << shift)
        begins = forgetful and code == mask  # no loop has moved the tile, but others have been placed
        run = runs[code - 2 if code > 1 and not begins else len(runs) - 1]
        if begins or run[LOOSE] > 0:
            more, code = slide_loosely(model, road, way, level, point, after, t, c, d, code)
            energy += more
            new |= code << shift
            continue
        if code == 0 or (code > 1 and d != run[FIRST] and d != terrain.partner[t, run[FIRST]]):
            continue  # a loop over another rank ends the run
        at = point - inside[level] + inside[c]
        for k in range(runs.shape[1]):
            asked[k] = run[k]
        if code == 1:
            asked[FIRST], asked[TILE], asked[ACROSS], asked[STEP] = d, value[at, d], value[at, e], move
            asked[REACHED], asked[TENSOR], asked[LEVEL] = 0, t, level
            asked[ALONG_AT] = asked[ACROSS_AT] = -1
        last = ALONG_AT if d == asked[FIRST] else ACROSS_AT
        if asked[last] == level:
            return math.inf, state
        asked[last] = level
        side = side_words(model, terrain, t, asked[FIRST], asked[TILE], asked[ACROSS])
        size = terrain.tile[t, at] // side_words(model, terrain, t, d, value[at, d], value[at, e]) * side
        kept = size // side * max(0, side - asked[STEP])
        least = different_tiles(model, road, way, level, t, c, point, run, False)
        most = different_tiles(model, road, way, level, t, c, point, run, True)
        modulus, spared = terrain.modulus[t], 0.0  # of what has been charged
        if code == 1:
            words = math.floor(size * visits - repeats * kept + 0.5)
            energy += link_energy(model, road, way, t, c, words, least, NEW)
            asked[CHARGED] = words % modulus
        if code > 1 and move == asked[REACHED]:
            spared = math.floor(repeats * size + 0.5)
        elif code > 1 and move == asked[REACHED] + asked[STEP]:
            spared = math.floor(repeats * kept + 0.5)
        if spared > 0:
            charged = float(asked[CHARGED]) if least == most and modulus > 1 else UNKNOWN
            energy -= link_energy(model, road, way, t, c, spared, most, charged)
            asked[CHARGED] = (asked[CHARGED] - spared) % modulus
        asked[REACHED] += move
        if several or _may_match(
            model, road, t, asked[FIRST], after, asked[STEP], asked[REACHED], inside[0] - inside[level]
        ):
            number = name_run(runs, mask - 2 if forgetful else mask - 1)
            if number >= 0:
                new |= (number + 2) << shift
            else:  # no room to follow it: the most that it may spare
                energy -= link_energy(model, road, way, t, c, (visits - repeats) * size, most, UNKNOWN)
    return energy, new


@kernel
def _hope(model: Model, road: Road, way: int, level: int, point: int, state: int) -> float:
    """Return the most energy that runs may still spare outside `point`."""
    terrain, value = road.terrain, road.lattice.value
    hope = 0.0
    for t in range(len(model.kind)):
        if terrain.mask[t] == 1:
            continue
        for c in range(level + 1, len(model.pack)):
            code = (state >> terrain.shift[t, c]) & terrain.mask[t]
            if code < 2 or (code == terrain.mask[t] and model.rules.forgetful):
                continue
            run = road.trails.runs[code - 2]
            if run[LOOSE] > 0:
                hope += hope_loosely(model, road, way, level, point, t, c, run)
                continue
            d = run[FIRST]
            e, at = terrain.partner[t, d], point - road.inside[level] + road.inside[c]
            size = terrain.tile[t, at] // side_words(model, terrain, t, d, value[at, d], value[at, e])
            size *= side_words(model, terrain, t, d, run[TILE], run[ACROSS])
            visits = model.computes / (terrain.volume[point] * road.ways.units[way, level])
            rest = model.bounds[d] * model.bounds[e] / (value[point, d] * value[point, e])
            most = different_tiles(model, road, way, level, t, c, point, run, True)
            hope += link_energy(model, road, way, t, c, size * visits * (1 - 1 / rest), most, UNKNOWN)
            # each loop that goes on may spare a part of an access more
            hope += math.log2(rest) * link_energy(model, road, way, t, c, 1.0, most, UNKNOWN)
    return hope


@kernel
def _reach(
    model: Model, road: Road, way: int, level: int, node: int, after: int, state: int, cost: float,
    room: float, count: int,
) -> int:  # fmt: skip
    """Reach a node of a level's temporal loops from another one, unless it is too dear; return the nodes.

    `room`: the most energy that may be spent until there, but for what runs may spare.
    """
    if cost > room and cost - _hope(model, road, way, level, after, state) > room:
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
    most = limit + _hope(model, road, way, level, point, state)
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
    if not divide_bounds(lattice.exponents, lattice.packed, lattice.spare, point, spread):
        return count
    if not road.roomy[level, point] and is_partial(model, road, way, level, point, state):
        return count
    after = point + spread
    room = limit - road.togo[level - 1, after]
    cost += road.extra[level, point]
    if state == 0 and cost + road.filling[level, point] > room:
        return count  # at once, for most points of the innermost level
    cost += compute_energy(model, road, way, level - 1, point)
    room += _hope(model, road, way, level - 1, after, state)
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
    lattice, level = road.lattice, len(model.pack) - 1
    start, last = road.inside[level], len(road.fits[0]) - 1
    for point in range(start, last + 1):
        if level > 0 and not road.fits[level, point]:
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
    levels, last, runs, value = len(model.pack), len(road.fits[0]) - 1, road.trails.runs, road.lattice.value
    forget_runs(runs)
    if model.machine.wires.any and model.whole:
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
    return road.roomy[0, last] or not is_partial(model, road, way, 0, last, trails.state[node])


@kernel
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
