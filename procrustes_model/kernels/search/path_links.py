"""What moves over a link between two levels costs, on a shortest path over the lattice of divisors."""

from __future__ import annotations

import math

from procrustes_model.kernels.dense.arrays import FILL, READ, UPDATE, Bools, Floats, Ints
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.search.arrays import Model
from procrustes_model.kernels.search.bounds import least_steps
from procrustes_model.kernels.search.path_arrays import (
    ACROSS,
    FIRST,
    LEVEL,
    LOOSE,
    TILE,
    Links,
    Road,
    Terrain,
)
from procrustes_model.kernels.search.path_wires import describe_wires, is_complete, wire_energy

NEW, UNKNOWN = -1.0, -2.0
"""What `link_energy` takes for words that have been charged: none, and a number that is not known."""


@kernel
def link_energy(
    model: Model, road: Road, way: int, t: int, level: int, words: float, different: float, charged: float
) -> float:
    """Return the energy of moving words of a tensor from its parent into each instance of a level.

    Parameters
    ----------
    model : Model
    road : Road
    way, t : int
    level : int
        That of the compute units is one beyond the last.
    words : float
    different : float
        Tiles below one instance of the parent.
    charged : float
        NEW: the words are all that move. Else they are some of those that have been charged, and what is
        returned is the difference that they make: how many have been charged, modulo what accesses hold; or
        UNKNOWN, for no less than that difference.
    """
    parent, output, inside = road.parent[level, t], model.output[t], level < len(model.pack)
    machine, energy = model.machine, 0.0
    for action in (READ, UPDATE, FILL):
        at, moved = (level, words) if action == FILL else (parent, words * different)
        if (action == FILL and not inside) or (action == UPDATE and not output):
            continue
        pack, price, units = model.pack[at, t], model.energy[at, t, action], road.ways.units[way, at]
        if road.special is not None and t == machine.sums.output and model.whole:
            if charged != NEW:
                charged = UNKNOWN
            if action != UPDATE or charged != NEW or not is_complete(model, road, t, moved * units):
                pack, price = machine.sums.pack[at], machine.price[at, t, action] * machine.sums.split[at]
        elif road.special is not None and t == machine.sums.output and action == UPDATE and charged == NEW:
            wide = not is_complete(model, road, t, moved * units)  # what is read has the price of sums anyway
            more = machine.sums.split[at] * pack / (machine.sums.pack[at] * machine.split[at, t])
            price *= more if wide else 1.0
        fresh = road.ways.fresh[way, at] if output and action != UPDATE else 0.0
        if action == FILL and model.rules.all_fills:
            fresh = 0.0
        if charged == NEW:
            moved = max(0.0, moved - fresh)
            packs = math.ceil(moved / pack - 1e-9) if model.whole else moved / pack
        elif not model.whole:
            packs = moved / pack
        elif charged == UNKNOWN or pack == 1:
            packs = (moved + pack - 1) / pack
        else:
            before = (charged if action == FILL else charged * different) - fresh
            before += pack * math.ceil((moved - before) / pack)
            packs = math.ceil(before / pack - 1e-9) - math.ceil((before - moved) / pack - 1e-9)
        if road.special is not None and machine.wires.any and action != FILL:
            energy += wire_energy(model, road, way, t, level, action, words, moved, different, charged == NEW)
        ported = min(units, float(machine.ports[at]))
        energy += ported * packs * price + units * moved * model.served[at, t, action]
    if road.special is not None and inside and output and machine.drains[level]:
        energy += _drain_energy(model, road.ways.units[way, level], t, level, words, charged == NEW)
    return float(energy)


@kernel
def _drain_energy(model: Model, units: float, t: int, level: int, words: float, new: bool) -> float:
    """Return the energy of reading the words that each instance of a level sends up.

    They share whole accesses with other words that are read: where one holds several, no more than these are
    sure to take if they are new, else no less than they may spare.
    """
    pack = model.pack[level, t]
    packs = (words - pack + 1 if new else words + pack - 1) / pack
    ported = min(units, float(model.machine.ports[level]))
    spent = ported * max(0.0, packs) * model.energy[level, t, READ]
    return float(spent + units * words * model.served[level, t, READ])


@kernel
def load_energy(model: Model, road: Road, way: int, t: int, level: int, words: float) -> float:
    """Return the energy of writing the tile of a tensor that begins in a level, once in each instance."""
    units = road.ways.units[way, level]
    packs = math.ceil(words / model.pack[level, t]) if model.whole else words / model.pack[level, t]
    spent = min(units, float(model.machine.ports[level])) * packs * model.energy[level, t, FILL]
    return float(spent + units * words * model.served[level, t, FILL])


@kernel
def side_words(model: Model, terrain: Terrain, t: int, d: int, along: int, across: int) -> int:
    """Return the side of a tile in the rank of `d`: it covers `along` of it, of its partner `across`."""
    coefficient = model.problem.coefficient
    return int(1 + coefficient[t, d] * (along - 1) + coefficient[t, terrain.partner[t, d]] * (across - 1))


@kernel
def _covered(road: Road, run: Ints, t: int, d: int, point: int, between: int) -> int:
    """Return what a tile covers of a dimension: in the rank of a run, what it did when that began."""
    if run[FIRST] == d:
        return int(run[TILE] * road.lattice.value[between, d])
    if run[FIRST] >= 0 and road.terrain.partner[t, run[FIRST]] == d:
        return int(run[ACROSS] * road.lattice.value[between, d])
    return int(road.lattice.value[point, d])


@kernel
def _sums(m: int, n: int, a: int, b: int) -> int:
    """Return the different sums of m multiples of a and n multiples of b; see `sharing._distinct_pairs`."""
    g, rest = b, a
    while rest:
        g, rest = rest, g % rest
    return int(m * n - max(0, m - b // g) * max(0, n - a // g))


@kernel
def _different(model: Model, road: Road, spread: int, t: int, run: Ints, point: int, between: int) -> float:
    """Return how many different tiles at `point` the instances below a level hold."""
    coefficient, partner, value = model.problem.coefficient, road.terrain.partner, road.lattice.value
    total = 1.0
    for d in range(len(model.bounds)):
        if model.irrelevant[t, d]:
            continue
        e = partner[t, d]
        if e < 0:
            total *= value[spread, d]
        elif d < e:
            a = coefficient[t, d] * _covered(road, run, t, d, point, between)
            b = coefficient[t, e] * _covered(road, run, t, e, point, between)
            total *= _sums(value[spread, d], value[spread, e], a, b)
    return float(total)


@kernel
def different_tiles(
    model: Model, road: Road, way: int, level: int, t: int, child: int, point: int, run: Ints, most: bool
) -> float:  # fmt: skip
    """Return the different tiles below one instance of a tensor's parent, among instances of a level.

    Parameters
    ----------
    model : Model
    road : Road
    way : int
    level : int
        The level whose temporal loops are being placed: networks further in are known.
    t, child : int
    point : int
        What has been placed.
    run : int64[18]
        The run that the tile is in: a row of `Trails.runs`.
    most : bool
        Whether to return the most, or the least, of what is not known.
    """
    ways, total = road.ways, 1.0
    known = run[LEVEL] if run[FIRST] >= 0 else level
    at, between = point, 0
    for j in range(level, child):
        at -= ways.spread[way, j]
    for j in range(child - 1, road.parent[child, t] - 1, -1):
        alike = ways.least[way, j, t] == ways.most[way, j, t]
        if alike or j < known or run[LOOSE] > 0:
            total *= ways.most[way, j, t] if most else ways.least[way, j, t]
        else:  # what instances of the next level cover: nothing has moved the tile since
            total *= _different(model, road, ways.spread[way, j], t, run, at, between)
        if j >= level:
            at += ways.spread[way, j]
        between += ways.spread[way, j]
    return float(total)


@kernel
def compute_energy(model: Model, road: Road, way: int, level: int, point: int) -> float:
    """Return what serving the compute units costs more than at least once the network below a level is known.

    Parameters
    ----------
    model : Model
    road : Road
    way, level : int
        With the level of the compute units, all that it costs at least.
    point : int
        Inside that network.
    """
    levels, ways = len(model.pack), road.ways
    words = model.computes / ways.units[way, levels]
    energy = 0.0
    for t in range(len(model.kind)):
        least, shared = 1.0, 0
        for j in range(road.parent[levels, t], levels):
            least *= ways.least[way, j, t]
            shared += ways.least[way, j, t] < ways.most[way, j, t]
        if level == levels:
            energy += link_energy(model, road, way, t, levels, words, least, NEW)
        elif level >= road.parent[levels, t] and ways.least[way, level, t] < ways.most[way, level, t]:
            none = road.trails.runs[len(road.trails.runs) - 1]
            exact = _different(model, road, ways.spread[way, level], t, none, point, 0)
            exact *= least / ways.least[way, level, t]
            more = link_energy(model, road, way, t, levels, words, exact, NEW)
            more -= link_energy(model, road, way, t, levels, words, least, NEW)
            if shared > 1:  # of a product what each factor adds to it at least, the others being least
                parent = road.parent[levels, t]
                access = min(ways.units[way, parent], float(model.machine.ports[parent]))
                access *= model.energy[parent, t, READ]
                more = 0.0 if model.output[t] else max(0.0, more - 2 * access)  # each is rounded by itself
            energy += more
    return energy


@kernel
def _fill_energy(
    model: Model, links: Links, c: int, level: int, t: int, tile: int, share: float, wired: float
) -> float:  # fmt: skip
    """Return the least energy of filling a level with a tensor if the next loop outside is of class `c`."""
    words, elements = links.floor.words[c, t, tile], links.elements[t]
    if model.irrelevant[t, links.first[c]]:
        words /= links.floor.rest[t, tile]
    words = max(words, elements)
    energy = (links.fetched[level, t] + wired) * words
    energy += links.served[level, t] * max(words / share, elements)
    return float(energy - links.spared[level, t])


@kernel
def tabulate_filling(model: Model, road: Road, level: int, share: Floats, fits: Bools, least: Floats) -> None:
    """Fill in `Road.filling` of one level (float64[V]).

    Parameters
    ----------
    model : Model
    road : Road
    level : int
    share : float64[T]
        Instances that are served together, at most, whatever the way.
    fits : bool[V]
    least : float64[V]
    """
    links = road.links
    for point in range(len(least)):
        best = math.inf
        if fits[point]:
            for c in range(len(links.first)):
                if links.floor.open[c, point]:
                    total = 0.0
                    for t in range(len(share)):
                        if road.keep[level, t]:
                            total += _fill_energy(model, links, c, level, t, point, share[t], 0.0)
                    best = min(best, total)
        least[point] = max(0.0, best)


@kernel
def fill_by_class(model: Model, road: Road, level: int, point: int, state: int, new: bool) -> float:
    """Bound what filling a level costs, and what tiles further in do that wait, by class of the next loop.

    Of what waits, only what is beyond `Road.waiting`.

    Parameters
    ----------
    model : Model
    road : Road
        `Links.least` is filled in.
    level, point : int
        The level, and what has been placed: if its tiles are new, what they cover.
    state : int
        Before these stand there.
    new : bool
        Whether tiles of the level come to stand; else only what waits counts.

    Returns
    -------
    float
        The least of all classes: the next loop further out is of one, and moves some of all these tiles.
    """
    links, terrain, waiting, best = road.links, road.terrain, road.waiting, math.inf
    for c in range(len(links.first)):
        links.least[c] = math.inf
        if not links.floor.open[c, point]:
            continue
        total = 0.0
        for inner in range(level if new else level + 1, len(model.pack)):
            tile = point - road.inside[level] + road.inside[inner]
            for t in range(len(model.kind)):
                if inner == level and not road.keep[level, t]:
                    continue
                if inner > level and (state >> terrain.shift[t, inner]) & terrain.mask[t] != 1:
                    continue
                share, wired = links.share[inner, t], links.wired[inner, t]
                energy = _fill_energy(model, links, c, inner, t, tile, share, wired)
                total += max(energy, waiting[inner, t])
                if inner > level:
                    total -= waiting[inner, t]
        links.least[c] = total
        best = min(best, total)
    return best


@kernel
def _fresh_words(model: Model, road: Road, reached: int) -> float:
    """Return the output elements that an instance comes to at most: `reached` is what it covers."""
    value, bounds, output = road.lattice.value, model.bounds, model.problem.output
    coefficient, partner = model.problem.coefficient[output], road.terrain.partner[output]
    if model.problem.gapped:
        return float(road.terrain.tile[output, len(value) - 1])
    fresh = 1.0
    for d in range(len(bounds)):
        e = partner[d]
        if model.irrelevant[output, d] or 0 <= e < d:
            continue
        if e < 0:
            fresh *= value[reached, d]
        elif value[reached, d] == bounds[d] and value[reached, e] == bounds[e]:
            fresh *= _sums(bounds[d], bounds[e], coefficient[d], coefficient[e])
        else:
            side = side_words(model, road.terrain, output, d, bounds[d], bounds[e])
            fresh *= min(side, value[reached, d] * value[reached, e])
    return fresh


@kernel
def describe_ways(model: Model, road: Road) -> None:
    """Fill in all of `Road.ways` but the spatial vectors."""
    ways, value = road.ways, road.lattice.value
    levels, partner = len(model.pack), road.terrain.partner
    for way in range(len(ways.spread)):
        ways.units[way, 0] = 1.0
        reached = len(value) - 1
        for level in range(levels):
            spread = ways.spread[way, level]
            ways.fresh[way, level] = _fresh_words(model, road, reached)
            ways.units[way, level + 1] = ways.units[way, level] * road.terrain.volume[spread]
            reached -= spread
            for t in range(len(model.kind)):
                least = most = 1.0
                for d in range(len(model.bounds)):
                    if model.irrelevant[t, d]:
                        continue
                    e = partner[t, d]
                    most *= value[spread, d]
                    if e < 0:
                        least *= value[spread, d]
                    elif d < e:
                        least *= value[spread, d] + value[spread, e] - 1
                ways.least[way, level, t], ways.most[way, level, t] = least, most
        ways.steps[way] = least_steps(model.computes, ways.units[way, levels], model.work)


@kernel
def bound_computing(model: Model, road: Road, least: Floats) -> None:
    """Fill in (float64[S]) what serving the compute units costs at least, by way."""
    for way in range(len(least)):
        if road.special is not None:
            describe_wires(model, road, way)
        least[way] = compute_energy(model, road, way, len(model.pack), 0)
