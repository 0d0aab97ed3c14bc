"""The least energy of all nests that spread alike: a shortest path over the lattice of divisors.

The path goes from the inside out. Where it stands is a point, what all loops placed so far cover, and a state: of
every tensor at every level, whether a tile stands there that no loop has moved yet. Such a tile is *pending*. The
first loop that moves it *settles* it, and the energy of filling it follows from the point alone: what lies between
the tile and the point does not index the tensor, so that the tile is known, and the number of visits is what remains
outside. A move places one prime of a temporal loop; at the boundary of a level tiles that fit become pending, and
the spatial loops multiply the point.

A tile with a sliding window is settled by a whole loop, since its bound counts. A later loop over the same rank may
continue the run (`nest.count_transfers`); as long as one can, the state names the run.

What is not exact is a lower bound: first accumulations where a window slides in the output, and different tiles of
neighbours where two spatial loops share a rank and the tile settles inside of them; accesses of several words while
a run continues.
"""

from __future__ import annotations

import math

import numpy as np

from procrustes_model.kernels.dense.arrays import FILL, READ, UPDATE, Bools, Floats, Ints
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.search.arrays import Goal, Lattice, Model
from procrustes_model.kernels.search.bounds import least_steps
from procrustes_model.kernels.search.goal import energy_limit
from procrustes_model.kernels.search.lattice import divide_bounds
from procrustes_model.kernels.search.path_arrays import Terrain, Trails, Ways

ROUNDING = 1e-12
"""Relative room for the rounding of sums."""

FIRST, TILE, PARTNER, STEP, REACHED, TENSOR, LEVEL = range(7)
"""Columns of `Trails.runs`."""

OPEN = 96
"""Continuations of a run that are looked at; with more it is taken to go on."""

DONE, PAUSED, CROWDED = -1, -2, -3
"""What `find_path` returns for a row: no more rows, time for a look at the clock, no room for a row's nodes."""


@kernel
def _charge(
    model: Model, ways: Ways, way: int, level: int, t: int, action: int, words: float, whole: bool
) -> float:
    """Return the energy of words that each instance of a level moves; in whole accesses where `whole`."""
    packs = words / model.pack[level, t]
    if whole:
        packs = math.ceil(packs - 1e-9)
    units = ways.units[way, level]
    ported = min(units, float(model.machine.ports[level]))
    return float(
        ported * packs * model.energy[level, t, action] + units * words * model.served[level, t, action]
    )


@kernel
def link_energy(
    model: Model, ways: Ways, way: int, t: int, parent: int, level: int, words: float, different: float,
    whole: bool,
) -> float:  # fmt: skip
    """Return the energy of moving words of a tensor from its parent into each instance of a level.

    Parameters
    ----------
    model : Model
    ways : Ways
    way : int
    t, parent, level : int
        The level of the compute units is one beyond the last.
    words : float
    different : float
        Tiles below one instance of the parent.
    whole : bool
        Whether accesses are whole; else it is linear in `words`, and never more.
    """
    read, updated, filled = words * different, 0.0, words
    output, inside = model.output[t], level < len(model.pack)
    if output:
        updated = read
        read -= ways.fresh[way, parent]
        filled -= ways.fresh[way, level] if inside else 0.0
        if whole:
            read, filled = max(0.0, read), max(0.0, filled)
    energy = _charge(model, ways, way, parent, t, READ, read, whole)
    if output:
        energy += _charge(model, ways, way, parent, t, UPDATE, updated, whole)
    if inside:
        energy += _charge(model, ways, way, level, t, FILL, filled, whole)
    return float(energy)


@kernel
def _word_energy(
    model: Model, ways: Ways, way: int, t: int, parent: int, level: int, different: float
) -> float:  # fmt: skip
    """Return the energy of one more word into each instance of a level: `link_energy` without whole accesses."""
    one = link_energy(model, ways, way, t, parent, level, 1.0, different, False)
    return float(one - link_energy(model, ways, way, t, parent, level, 0.0, different, False))


@kernel
def _covered(lattice: Lattice, terrain: Terrain, run: Ints, t: int, d: int, point: int, between: int) -> int:
    """Return what a tile at `point` covers of a dimension: of the rank of a run what it did when that began."""
    if run[FIRST] == d:
        return int(run[TILE] * lattice.value[between, d])
    if run[FIRST] >= 0 and terrain.partner[t, run[FIRST]] == d:
        return int(run[PARTNER] * lattice.value[between, d])
    return int(lattice.value[point, d])


@kernel
def _different(
    model: Model, lattice: Lattice, terrain: Terrain, spread: int, t: int, run: Ints, point: int, between: int
) -> float:
    """Return how many different tiles at `point` the instances below a level hold; ranks of two dimensions."""
    coefficient, partner = model.problem.coefficient, terrain.partner
    total = 1.0
    for d in range(len(lattice.stride)):
        m = lattice.value[spread, d]
        if m == 1 or model.irrelevant[t, d]:
            continue
        e = partner[t, d]
        n = lattice.value[spread, e] if e >= 0 else 1
        if n == 1:
            total *= m
        elif d < e:
            a = rest = coefficient[t, d] * _covered(lattice, terrain, run, t, d, point, between)
            g = b = coefficient[t, e] * _covered(lattice, terrain, run, t, e, point, between)
            while rest:
                g, rest = rest, g % rest
            total *= m * n - max(0, m - b // g) * max(0, n - a // g)
    return float(total)


@kernel
def different_tiles(
    model: Model, lattice: Lattice, terrain: Terrain, level: int, t: int, parent: int, child: int, ways: Ways,
    way: int, point: int, run: Ints, most: bool,
) -> float:  # fmt: skip
    """Return the different tiles below one instance of a tensor's parent, among instances of a level.

    Parameters
    ----------
    model : Model
    lattice : Lattice
    terrain : Terrain
    level : int
        The level whose temporal loops are being placed: networks further in are known.
    t, parent, child : int
    ways : Ways
    way : int
    point : int
        What has been placed.
    run : int64[7]
        The run that the tile is in: a row of `Trails.runs`.
    most : bool
        Whether to return the most, or the least, of what is not known.
    """
    total = 1.0
    known = run[LEVEL] if run[FIRST] >= 0 else level
    at, inner = point, 0
    for j in range(level, child):
        at -= ways.spread[way, j]
    for j in range(child - 1, parent - 1, -1):
        spread = ways.spread[way, j]
        least, all_tiles = ways.least[way, j, t], ways.most[way, j, t]
        if least == all_tiles or j < known:
            total *= all_tiles if most else least
        else:
            # what instances of the next level cover: nothing has moved it since
            total *= _different(model, lattice, terrain, spread, t, run, at, inner)
        if j >= level:
            at += spread
        inner += spread
    return float(total)


@kernel
def _side(model: Model, t: int, d: int, e: int, along: int, across: int) -> int:
    """Return the side of a tile in the rank of `d` and its partner `e`."""
    coefficient = model.problem.coefficient
    return int(1 + coefficient[t, d] * (along - 1) + coefficient[t, e] * (across - 1))


@kernel
def _search_match(model: Model, lattice: Lattice, key: Ints) -> bool:
    """Say whether loops further out may continue a run; see `_may_match`."""
    t, d, e = key[0], key[1], key[2]
    coefficient, bounds = model.problem.coefficient, model.bounds
    step, apart, beside = key[6], key[7], key[8]
    # what is covered of d, of e, the sum of steps, whether spatial loops are passed
    stack_d, stack_e = [key[3]], [key[4]]
    stack_sum, stack_in = [key[5]], [apart * beside > 1]
    first = 0
    while first < len(stack_d):
        if len(stack_d) > OPEN:
            return True
        along, across, reached, inside = stack_d[first], stack_e[first], stack_sum[first], stack_in[first]
        first += 1
        if inside:
            stack_d.append(along * apart)
            stack_e.append(across * beside)
            stack_sum.append(reached)
            stack_in.append(False)
        for k in range(2):
            dimension = d if k == 0 else e
            covered = along if k == 0 else across
            rest = bounds[dimension] // covered
            if inside:
                rest //= apart if k == 0 else beside
            if rest <= 1:
                continue
            move = coefficient[t, dimension] * covered
            if move in (reached, reached + step):
                return True
            for i in range(lattice.counts[dimension]):
                n = lattice.divisors[dimension, i]
                if n > 1 and rest % n == 0:
                    stack_d.append(along * n if k == 0 else along)
                    stack_e.append(across if k == 0 else across * n)
                    stack_sum.append(reached + move)
                    stack_in.append(inside)
    return False


@kernel
def _may_match(
    model: Model, lattice: Lattice, trails: Trails, t: int, d: int, e: int, point: int, step: int, reached: int,
    apart: int,
) -> bool:  # fmt: skip
    """Say whether a loop outside `point` may leave a tile of a run in place, or keep its overlap.

    Parameters
    ----------
    model : Model
    lattice : Lattice
    trails : Trails
        What is found is noted in `known`.
    t, d, e : int
        Tensor; dimension of the first loop, and its partner.
    point : int
        What has been placed, with the last loop of the run.
    step, reached : int
        Of the first loop; sum of all steps.
    apart : int
        Spatial loops still to come, as a point.
    """
    known = trails.known
    row = known[len(known) - 1]  # the last row is the question
    row[0], row[1], row[2] = t, d, e
    row[3], row[4], row[5] = lattice.value[point, d], lattice.value[point, e], reached
    row[6], row[7], row[8] = step, lattice.value[apart, d], lattice.value[apart, e]
    code = 0
    for i in range(9):
        code = (code * 1000003 + row[i]) & 0x7FFFFFFF
    for probe in range(8):
        at = (code + probe) % (len(known) - 1)
        if known[at, 9] == 0:
            for i in range(9):
                known[at, i] = row[i]
            known[at, 9] = 2 if _search_match(model, lattice, row) else 1
            return bool(known[at, 9] == 2)
        same = True
        for i in range(9):
            same = same and known[at, i] == row[i]
        if same:
            return bool(known[at, 9] == 2)
    return _search_match(model, lattice, row)


@kernel
def _name_run(
    trails: Trails, t: int, count: int, d: int, tile: int, partner: int, step: int, reached: int, level: int
) -> int:
    """Return the number of a run, which is entered if it is new; -1 where there is no room."""
    runs = trails.runs
    for i in range(count):
        if runs[i, TENSOR] < 0:
            runs[i, FIRST], runs[i, TILE], runs[i, PARTNER] = d, tile, partner
            runs[i, STEP], runs[i, REACHED], runs[i, TENSOR], runs[i, LEVEL] = step, reached, t, level
            return i
        if (
            runs[i, TENSOR] == t
            and runs[i, FIRST] == d
            and runs[i, TILE] == tile
            and runs[i, PARTNER] == partner
            and runs[i, STEP] == step
            and runs[i, REACHED] == reached
            and runs[i, LEVEL] == level
        ):
            return i
    return -1


@kernel
def _enter(
    trails: Trails, side: int, count: int, point: int, state: int, cost: float, level: int, before: int
) -> int:
    """Reach a node, if that is cheaper than what is known; return how many nodes there are."""
    node = trails.heads[side, point]
    while node >= 0:
        if trails.state[node] == state:
            if cost < trails.cost[node]:
                trails.cost[node], trails.before[node] = cost, before
            return count
        node = trails.beside[node]
    trails.cost[count], trails.state[count], trails.point[count] = cost, state, point
    trails.level[count], trails.before[count] = level, before
    trails.beside[count], trails.heads[side, point] = trails.heads[side, point], count
    return count + 1


@kernel
def _settle(
    model: Model, lattice: Lattice, terrain: Terrain, trails: Trails, parent: Ints, ways: Ways, way: int,
    level: int, point: int, inside: Ints, waiting: Floats, state: int, t: int,
) -> float:  # fmt: skip
    """Return the energy of all pending tiles of a tensor when a loop outside `point` moves it as a whole."""
    visits = model.computes / (terrain.volume[point] * ways.units[way, level])
    none = trails.runs[len(trails.runs) - 1]
    energy = 0.0
    for c in range(level + 1, len(model.pack)):
        if (state >> terrain.shift[t, c]) & terrain.mask[t] != 1:
            continue
        words = math.floor(terrain.tile[t, point - inside[level] + inside[c]] * visits + 0.5)
        different = different_tiles(
            model, lattice, terrain, level, t, parent[c, t], c, ways, way, point, none, False
        )
        energy += link_energy(model, ways, way, t, parent[c, t], c, words, different, True) - waiting[c, t]
    return energy


@kernel
def _slide(
    model: Model, lattice: Lattice, terrain: Terrain, trails: Trails, parent: Ints, ways: Ways, way: int,
    level: int, point: int, after: int, inside: Ints, state: int, t: int, d: int,
) -> tuple[float, int]:  # fmt: skip
    """Let a loop over `d`, which takes a path from `point` to `after`, move the tiles of a sliding tensor.

    Returns
    -------
    energy : float
    state : int
        With the tensor's tiles settled but for runs that may continue.
    """
    e, f = terrain.partner[t, d], lattice.value[after, d] // lattice.value[point, d]
    visits = model.computes / (terrain.volume[point] * ways.units[way, level])
    repeats = visits * (f - 1) / f  # of the loop, without its first iteration
    move = model.problem.coefficient[t, d] * lattice.value[point, d]
    apart, several = inside[0] - inside[level], False
    for j in range(level):
        parts = lattice.value[ways.spread[way, j], d] * lattice.value[ways.spread[way, j], e]
        whole = lattice.value[apart, d] * lattice.value[apart, e]
        several = several or 1 < parts < whole  # spatial loops of several levels are not told apart
    energy, new, mask = 0.0, state, terrain.mask[t]
    for c in range(level + 1, len(model.pack)):
        shift = terrain.shift[t, c]
        code = (state >> shift) & mask
        if code == 0:
            continue
        new &= ~(mask << shift)
        at = point - inside[level] + inside[c]
        p, first, partner, step, reached, began = parent[c, t], d, e, move, move, level
        along, across = lattice.value[at, d], lattice.value[at, e]
        run = trails.runs[code - 2 if code > 1 else len(trails.runs) - 1]
        if code > 1:
            began = run[LEVEL]
            first, along, across, step, reached = run[FIRST], run[TILE], run[PARTNER], run[STEP], run[REACHED]
            partner = terrain.partner[t, first]
            if d not in (first, partner):
                continue  # a loop over another rank ends the run
        side = _side(model, t, first, partner, along, across)
        size = terrain.tile[t, at] // _side(model, t, d, e, lattice.value[at, d], lattice.value[at, e]) * side
        kept = float(size // side * max(0, side - step))
        saved = kept
        if code > 1:
            saved = float(size) if move == reached else kept if move == reached + step else 0.0
            reached += move
        goes_on = several or _may_match(
            model, lattice, trails, t, first, partner, after, step, reached, apart
        )
        most = different_tiles(model, lattice, terrain, level, t, p, c, ways, way, point, run, True)
        if code > 1:  # the tile has been paid
            energy -= _word_energy(model, ways, way, t, p, c, most) * repeats * saved
        else:
            words = size * visits - repeats * saved
            if not goes_on:
                words = math.floor(words + 0.5)
            least = different_tiles(model, lattice, terrain, level, t, p, c, ways, way, point, run, False)
            energy += link_energy(model, ways, way, t, p, c, words, least, not goes_on)
        if goes_on:
            number = _name_run(trails, t, mask - 1, first, along, across, step, reached, began)
            if number >= 0:
                new |= (number + 2) << shift
            else:  # no room to follow it: the most that it may save
                energy -= _word_energy(model, ways, way, t, p, c, most) * (visits - repeats) * size
    return energy, new


@kernel
def _hope(
    model: Model, lattice: Lattice, terrain: Terrain, trails: Trails, parent: Ints, ways: Ways, way: int,
    level: int, point: int, inside: Ints, state: int,
) -> float:  # fmt: skip
    """Return the most energy that runs may still save outside `point`."""
    hope = 0.0
    for t in range(len(model.kind)):
        if terrain.mask[t] == 1:
            continue
        for c in range(level + 1, len(model.pack)):
            code = (state >> terrain.shift[t, c]) & terrain.mask[t]
            if code < 2:
                continue
            run = trails.runs[code - 2]
            d = run[FIRST]
            e, at = terrain.partner[t, d], point - inside[level] + inside[c]
            size = terrain.tile[t, at] // _side(model, t, d, e, lattice.value[at, d], lattice.value[at, e])
            size *= _side(model, t, d, e, run[TILE], run[PARTNER])
            visits = model.computes / (terrain.volume[point] * ways.units[way, level])
            rest = model.bounds[d] * model.bounds[e] / (lattice.value[point, d] * lattice.value[point, e])
            most = different_tiles(
                model, lattice, terrain, level, t, parent[c, t], c, ways, way, point, run, True
            )
            price = _word_energy(model, ways, way, t, parent[c, t], c, most)
            hope += price * size * visits * (1 - 1 / rest)
    return hope


@kernel
def compute_energy(
    model: Model, lattice: Lattice, terrain: Terrain, trails: Trails, parent: Ints, ways: Ways, way: int,
    level: int, point: int,
) -> float:  # fmt: skip
    """Return what serving the compute units costs more than at least once the network below a level is known.

    Parameters
    ----------
    model : Model
    lattice : Lattice
    terrain : Terrain
    trails : Trails
    parent : int64[L + 1, T]
    ways : Ways
    way, level : int
        With the level of the compute units, all that it costs at least.
    point : int
        Inside that network.
    """
    levels = len(model.pack)
    words = model.computes / ways.units[way, levels]
    energy = 0.0
    for t in range(len(model.kind)):
        p, least, shared = parent[levels, t], 1.0, 0
        for j in range(p, levels):
            least *= ways.least[way, j, t]
            shared += ways.least[way, j, t] < ways.most[way, j, t]
        if level == levels:
            energy += link_energy(model, ways, way, t, p, levels, words, least, True)
        elif shared == 1 and level >= p and ways.least[way, level, t] < ways.most[way, level, t]:
            none = trails.runs[len(trails.runs) - 1]
            exact = _different(model, lattice, terrain, ways.spread[way, level], t, none, point, 0)
            exact *= least / ways.least[way, level, t]
            energy += link_energy(model, ways, way, t, p, levels, words, exact, True)
            energy -= link_energy(model, ways, way, t, p, levels, words, least, True)
    return energy


@kernel
def describe_ways(model: Model, lattice: Lattice, terrain: Terrain, ways: Ways) -> None:
    """Fill in all of `ways` but the spatial vectors."""
    levels, tensors = len(model.pack), len(model.kind)
    last, output = len(terrain.volume) - 1, model.problem.output
    partner = terrain.partner[output]
    for way in range(len(ways.spread)):
        ways.units[way, 0] = 1.0
        reached = last
        for level in range(levels):
            spread = ways.spread[way, level]
            fresh = 1.0
            for d in range(len(model.bounds)):
                if model.irrelevant[output, d] or 0 <= partner[d] < d:
                    continue
                values = float(lattice.value[reached, d])
                if partner[d] >= 0:
                    values *= lattice.value[reached, partner[d]]
                    side = _side(model, output, d, partner[d], model.bounds[d], model.bounds[partner[d]])
                    values = min(values, float(side))
                fresh *= values
            ways.fresh[way, level] = terrain.tile[output, last] if model.problem.gapped else fresh
            ways.units[way, level + 1] = ways.units[way, level] * terrain.volume[spread]
            reached -= spread
            for t in range(tensors):
                least = most = 1.0
                for d in range(len(model.bounds)):
                    n = lattice.value[spread, d]
                    if model.irrelevant[t, d] or n == 1:
                        continue
                    most *= n
                    e = terrain.partner[t, d]
                    m = lattice.value[spread, e] if e >= 0 else 1
                    if m == 1:
                        least *= n
                    elif d < e:
                        least *= m + n - 1
                ways.least[way, level, t], ways.most[way, level, t] = least, most
        ways.steps[way] = least_steps(model.computes, ways.units[way, levels], model.work)


@kernel
def bound_computing(
    model: Model, lattice: Lattice, terrain: Terrain, trails: Trails, parent: Ints, ways: Ways, least: Floats
) -> None:
    """Fill in (float64[S]) what serving the compute units costs at least, by row."""
    for way in range(len(least)):
        least[way] = compute_energy(model, lattice, terrain, trails, parent, ways, way, len(model.pack), 0)


@kernel
def least_outside(values: Floats, lattice: Lattice) -> None:
    """Replace each point's value (float64[V]) by the least among the points that it divides."""
    for axis in range(len(lattice.axis_stride)):
        stride = lattice.axis_stride[axis]
        for point in range(len(values) - stride - 1, -1, -1):
            if lattice.exponents[point, axis] < lattice.exponents[-1, axis]:
                values[point] = min(values[point], values[point + stride])


@kernel
def _reach(
    model: Model, lattice: Lattice, terrain: Terrain, trails: Trails, parent: Ints, ways: Ways, way: int,
    level: int, node: int, inside: Ints, after: int, state: int, cost: float, room: float, count: int,
) -> int:  # fmt: skip
    """Reach a node of a level's temporal loops from another one, if what is left over is not negative.

    `room`: the most energy that may be spent until then, but for what runs may save. Returns the nodes.
    """
    if cost > room:
        hope = _hope(model, lattice, terrain, trails, parent, ways, way, level, after, inside, state)
        if cost - hope > room:
            return count
    return _enter(trails, level & 1, count, after, state, cost, level, node)


@kernel
def _place_loops(
    model: Model, lattice: Lattice, terrain: Terrain, trails: Trails, parent: Ints, ways: Ways, way: int,
    level: int, node: int, inside: Ints, waiting: Floats, togo: Floats, limit: float, count: int,
) -> int:  # fmt: skip
    """Place one more prime, or one whole loop where a window slides, outside a node; return the nodes."""
    point, state, cost = trails.point[node], trails.state[node], trails.cost[node]
    tensors, dimensions = model.irrelevant.shape
    for d in range(dimensions):
        if not terrain.loops[level, d] or lattice.value[point, d] == model.bounds[d]:
            continue
        spent, new, slides = cost, state, False
        for t in range(tensors):
            mine = terrain.every[t]
            if model.irrelevant[t, d] or state & mine == 0:
                continue
            if terrain.partner[t, d] >= 0:
                slides = True
                continue
            new &= ~mine
            spent += _settle(
                model, lattice, terrain, trails, parent, ways, way, level, point, inside, waiting, state, t
            )
        if not slides:
            for axis in range(len(terrain.axis_dimension)):
                if terrain.axis_dimension[axis] != d:
                    continue
                if lattice.exponents[point, axis] < lattice.exponents[-1, axis]:
                    after = point + lattice.axis_stride[axis]
                    count = _reach(
                        model, lattice, terrain, trails, parent, ways, way, level, node, inside, after, new,
                        spent, limit - togo[after], count,
                    )  # fmt: skip
            continue
        for i in range(lattice.counts[d]):
            n = lattice.divisors[d, i]
            if n == lattice.value[point, d] or n % lattice.value[point, d]:
                continue
            after, energy, final = point + (i - lattice.indices[point, d]) * lattice.stride[d], spent, new
            for t in range(tensors):
                if not model.irrelevant[t, d] and terrain.partner[t, d] >= 0 and state & terrain.every[t]:
                    more, final = _slide(
                        model, lattice, terrain, trails, parent, ways, way, level, point, after, inside, final,
                        t, d,
                    )  # fmt: skip
                    energy += more
            count = _reach(
                model, lattice, terrain, trails, parent, ways, way, level, node, inside, after, final, energy,
                limit - togo[after], count,
            )  # fmt: skip
    return count


@kernel
def _pass_boundary(
    model: Model, lattice: Lattice, terrain: Terrain, trails: Trails, keep: Bools, parent: Ints, ways: Ways,
    way: int, level: int, node: int, inside: Ints, waiting: Floats, togo: Floats, limit: float, count: int,
) -> int:  # fmt: skip
    """Let tiles stand in a level, and pass the network outside of it; return the nodes."""
    point, state, cost = trails.point[node], trails.state[node], trails.cost[node]
    if not divide_bounds(
        lattice.exponents, lattice.packed, lattice.spare, point, ways.spread[way, level - 1]
    ):
        return count
    for t in range(len(model.kind)):
        if keep[level, t]:
            state |= 1 << terrain.shift[t, level]
            cost += waiting[level, t]
    cost += compute_energy(model, lattice, terrain, trails, parent, ways, way, level - 1, point)
    after = point + ways.spread[way, level - 1]
    return _reach(
        model, lattice, terrain, trails, parent, ways, way, level - 1, node, inside, after, state, cost,
        limit - togo[after], count,
    )  # fmt: skip


@kernel
def _prepare(
    model: Model, lattice: Lattice, terrain: Terrain, trails: Trails, keep: Bools, parent: Ints, ways: Ways,
    way: int, inside: Ints, waiting: Floats,
) -> None:  # fmt: skip
    """Fill in the points inside each boundary that are spatial, and what tiles that wait cost at least."""
    levels, last = len(model.pack), len(terrain.volume) - 1
    inside[levels] = 0
    for level in range(levels - 1, -1, -1):
        inside[level] = inside[level + 1] + ways.spread[way, level]
    for c in range(1, levels):
        for t in range(len(model.kind)):
            waiting[c, t] = 0.0
            if keep[c, t] and terrain.mask[t] == 1:
                words = 1.0  # where a stride leaves gaps between words, tiles have no fewer
                for d in range(len(model.bounds)):
                    if not model.irrelevant[t, d]:
                        words *= lattice.value[last - inside[0] + inside[c], d]
                p = parent[c, t]
                different = different_tiles(
                    model,
                    lattice,
                    terrain,
                    levels,
                    t,
                    p,
                    c,
                    ways,
                    way,
                    0,
                    trails.runs[len(trails.runs) - 1],
                    False,
                )
                waiting[c, t] = link_energy(model, ways, way, t, p, c, words, different, True)
    for i in range(len(trails.runs)):
        trails.runs[i, TENSOR] = -1
    trails.runs[len(trails.runs) - 1, FIRST] = -1


@kernel
def _walk(
    model: Model, lattice: Lattice, terrain: Terrain, trails: Trails, keep: Bools, fits: Bools, parent: Ints,
    ways: Ways, way: int, togo: Floats, limit: float,
) -> tuple[float, int, int]:  # fmt: skip
    """Find the shortest path of one row of `ways`.

    Returns
    -------
    energy : float
        Infinite where it is above the limit.
    node : int
        Where the path ends, with all loops placed; `CROWDED` where there was no room.
    count : int
        Nodes reached.
    """
    levels, points, tensors = len(model.pack), len(terrain.volume), len(model.kind)
    inside, waiting = np.empty(levels + 1, np.int64), np.zeros((levels, tensors))
    _prepare(model, lattice, terrain, trails, keep, parent, ways, way, inside, waiting)
    cost = model.base + compute_energy(model, lattice, terrain, trails, parent, ways, way, levels, 0)
    cost += compute_energy(model, lattice, terrain, trails, parent, ways, way, levels - 1, 0)
    start = inside[levels - 1]
    count = 0
    if cost + togo[levels - 1, start] <= limit:
        count = _enter(trails, (levels - 1) & 1, 0, start, 0, cost, levels - 1, -1)
    most = len(trails.cost) - len(lattice.axis_stride) - lattice.divisors.size - 2
    best, end, crowded = math.inf, DONE, False
    for level in range(levels - 1, -1, -1):
        heads = trails.heads[level & 1]
        for point in range(inside[level], points):
            node = heads[point]
            heads[point] = -1
            while node >= 0 and not crowded:
                crowded = count > most
                if level > 0 and fits[level, point]:
                    count = _pass_boundary(
                        model, lattice, terrain, trails, keep, parent, ways, way, level, node, inside, waiting,
                        togo[level - 1], limit, count,
                    )  # fmt: skip
                elif level == 0 and point == points - 1 and fits[0, point]:
                    cost, state = trails.cost[node], trails.state[node]
                    for t in range(tensors):
                        cost += _settle(  # fmt: skip
                            model,
                            lattice,
                            terrain,
                            trails,
                            parent,
                            ways,
                            way,
                            0,
                            point,
                            inside,
                            waiting,
                            state,
                            t,
                        )
                    if cost < best:
                        best, end = cost, node
                count = _place_loops(
                    model, lattice, terrain, trails, parent, ways, way, level, node, inside, waiting,
                    togo[level], limit, count,
                )  # fmt: skip
                node = trails.beside[node]
    if crowded:
        return math.inf, CROWDED, count
    return (best, end, count) if best <= limit else (math.inf, DONE, count)


@kernel
def find_path(
    model: Model, lattice: Lattice, terrain: Terrain, trails: Trails, keep: Bools, fits: Bools, parent: Ints,
    ways: Ways, by_bound: Ints, least: Floats, togo: Floats, goal: Goal, position: Ints, effort: int,
) -> tuple[int, float, int]:  # fmt: skip
    """Find the next way to spread of which a nest may be better than the best known.

    Parameters
    ----------
    model : Model
    lattice : Lattice
    terrain : Terrain
    trails : Trails
    keep : bool[L, T]
    fits : bool[L, V]
        Whether what a level keeps fits.
    parent : int64[L + 1, T]
    ways : Ways
    by_bound : int64[n]
        Rows of `ways` to look at, in this order.
    least : float64[S]
        Lower bounds of energy, by row.
    togo : float64[L, V]
        Least energy of filling the levels from `level` outwards when loops at `level` have covered a point.
    goal : Goal
    position : int64[1]
        Where in `by_bound` to go on; changed.
    effort : int
        Nodes before another look at the time.

    Returns
    -------
    row : int
        DONE without one, PAUSED when there is time for a look at the clock.
    energy : float
        Least of all nests of the row.
    node : int
        Where its path ends; CROWDED, without a path, where there is no room for it.
    """
    while position[0] < len(by_bound):
        way = by_bound[position[0]]
        limit = energy_limit(goal, ways.steps[way])
        limit += abs(limit) * ROUNDING
        if least[way] <= limit:
            if effort <= 0:
                return PAUSED, math.inf, DONE
            energy, node, count = _walk(
                model, lattice, terrain, trails, keep, fits, parent, ways, way, togo, limit
            )
            effort -= count + len(terrain.volume) // 16
            if node != DONE:
                position[0] += 1
                return int(way), energy, node
        position[0] += 1
    return DONE, math.inf, DONE
