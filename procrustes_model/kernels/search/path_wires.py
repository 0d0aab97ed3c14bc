"""What words pay on the networks between two levels, and which sums are complete, on a shortest path.

Both follow from the spatial loops and from the words that move over a link. Where different tiles are told
apart by what they cover, the least and the most that it may be are known.
"""

from __future__ import annotations

import math

from procrustes_model.kernels.dense.arrays import UPDATE, Floats, Ints
from procrustes_model.kernels.dense.wires import price_wire
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.search.arrays import SIMPLE, Model
from procrustes_model.kernels.search.path_arrays import Road
from procrustes_model.vocabulary import Topology

_MESH = Topology.MESH.value

LEAST, MOST, ALONE = range(3)
"""Last axis of `Road.wires`."""

ROUNDING = 1e-9
"""Relative room for the rounding of products."""


@kernel
def _price_link(model: Model, road: Road, way: int, t: int, level: int) -> tuple[float, float, float]:
    """Return `Road.wires` of a link from a tensor's parent into a level.

    Of d different tiles below an instance whose network reaches n, each goes to n / d. What they pay
    together, d times the price of one, is concave in d on a mesh, does not fall with d on a bus, a link and
    a crossbar, nor in a tree between whole numbers: it is least at one end. A tile pays no more the fewer
    it goes to.
    """
    low = high = alone = 0.0
    parent, ways, volume = road.parent[level, t], road.ways, road.terrain.volume
    fewest = most = outside = 1.0
    for j in range(parent, level):
        outside *= volume[ways.spread[way, j]]
    for j in range(level - 1, parent - 1, -1):
        spread, few, many = volume[ways.spread[way, j]], ways.least[way, j, t], ways.most[way, j, t]
        outside /= spread
        if model.machine.wires.topology[j] >= 0:
            price_few, price_many = few * price_wire(model.machine, j, spread, spread / few), 0.0
            if few < many:
                price_many = many * price_wire(model.machine, j, spread, spread / many)
                low += outside * fewest * min(price_few, price_many)
                high += outside * most * price_few / few * many
            else:
                low += outside * fewest * price_few
                high += outside * most * price_few
            if model.output[t] and model.machine.wires.sums_return[j]:
                alone += price_wire(model.machine, j, spread, 1.0)
        fewest, most = fewest * few, most * many
    return low, high, alone


@kernel
def describe_wires(model: Model, road: Road, way: int) -> None:
    """Fill in `Road.wires` of a way."""
    levels, wires = len(model.pack), road.wires
    if not model.machine.wires.any or road.together:
        return
    for level in range(1, levels + 1):
        for t in range(len(model.kind)):
            if road.parent[level, t] >= 0 and (level == levels or road.keep[level, t]):
                low, high, alone = _price_link(model, road, way, t, level)
                wires[level, t, LEAST], wires[level, t, MOST], wires[level, t, ALONE] = low, high, alone


@kernel
def own_words(model: Model, road: Road, way: int, t: int, level: int) -> float:
    """Return the least elements of a tensor that come to one instance of a level.

    Sums of one of m numbers and one of n others have m + n - 1 different values at least.
    """
    words, partner = 1.0, road.terrain.partner
    for d in range(len(model.bounds)):
        e = partner[t, d]
        if model.irrelevant[t, d] or 0 <= e < d:
            continue
        along, across = float(model.bounds[d]), float(model.bounds[e]) if e >= 0 else 1.0
        for j in range(level):
            along /= road.lattice.value[road.ways.spread[way, j], d]
            across /= road.lattice.value[road.ways.spread[way, j], e] if e >= 0 else 1
        words *= along + across - 1
    return float(max(words, road.links.elements[t] / road.ways.units[way, level]))


@kernel
def _excess(model: Model, road: Road, way: int, t: int, level: int, low: float) -> float:
    """Return what networks take for each word of an instance's tile beyond what bounds have of them, in pJ.

    `low`: `Road.wires`, at least.
    """
    parent, most = road.parent[level, t], 1.0
    for j in range(parent, level):
        most *= road.ways.most[way, j, t]
    bits = model.moved[parent, t, 3 if model.output[t] else 2]
    beyond = max(0.0, low - road.links.tolls[parent] * most) * bits
    each = beyond * road.ways.units[way, parent] / road.ways.units[way, level]
    return float(max(0.0, each - road.links.common[level, t]))


@kernel
def least_excess(model: Model, road: Road, level: int, t: int) -> float:
    """Return what networks take beyond `Links.tolls` for a word of an instance's tile, whatever the way."""
    road.links.common[level, t], least = 0.0, math.inf
    for way in range(len(road.ways.steps)):
        least = min(
            least, _excess(model, road, way, t, level, _price_link(model, road, way, t, level)[LEAST])
        )
    return least


@kernel
def bound_wires(model: Model, road: Road, level: int, least: Floats) -> None:
    """Add (float64[S]) what networks take for the tiles that a level keeps beyond `Links.tolls`, by way."""
    for t in range(len(model.kind)):
        if not road.keep[level, t] or road.parent[level, t] < 0:
            continue
        for way in range(len(least)):
            beyond = _excess(model, road, way, t, level, _price_link(model, road, way, t, level)[LEAST])
            least[way] += beyond * road.ways.units[way, level] * own_words(model, road, way, t, level)


@kernel
def describe_later(model: Model, road: Road, way: int) -> None:
    """Fill in `Links.wired` and `Links.later` of a way, whose wires are known."""
    links = road.links
    if road.together:
        return
    for level in range(1, len(model.pack)):
        links.later[level] = links.later[level - 1]
        for t in range(len(model.kind)):
            if not road.keep[level, t] or road.parent[level, t] < 0:
                continue
            links.wired[level, t] = _excess(model, road, way, t, level, road.wires[level, t, LEAST])
            fetched = road.ways.units[way, level] * own_words(model, road, way, t, level)
            links.later[level] += links.wired[level, t] * fetched


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


@kernel
def _price_tiles(
    model: Model, j: int, spread: float, tiles: float, few: float, many: float, new: bool
) -> float:
    """Return what tiles pay together on one network, where their number is known from one side.

    Parameters
    ----------
    model : Model
    j : int
        The network below this level.
    spread : float
        Instances that it reaches.
    tiles, few, many : float
        What is known of their number, the least and the most that it can be.
    new : bool
        Whether there may be more, and no less than their price is sought; else fewer, and no more.
    """
    price = tiles * price_wire(model.machine, j, spread, spread / tiles)
    if model.machine.wires.topology[j] != _MESH or 2 * (tiles if not new else many) <= spread:
        return float(price)  # more tiles pay no less
    if new:
        return float(min(price, many * price_wire(model.machine, j, spread, spread / many)))
    return float(tiles * price_wire(model.machine, j, spread, spread / few))


@kernel
def _counted_wires(
    model: Model, road: Road, way: int, t: int, level: int, different: float, new: bool
) -> float:
    """Return `Road.wires` of a tensor where tiles of one network alone are counted; else below 0."""
    parent, counted, rest = road.parent[level, t], -1, 1.0
    ways = road.ways
    if road.together:
        return -1.0
    for j in range(parent, level):
        if ways.least[way, j, t] == ways.most[way, j, t]:
            rest *= ways.least[way, j, t]
        elif counted >= 0:
            return -1.0
        else:
            counted = j
    if counted < 0:
        return -1.0
    paid, inside = 0.0, 1.0
    for j in range(level - 1, parent - 1, -1):
        spread, few, many = (
            road.terrain.volume[ways.spread[way, j]],
            ways.least[way, j, t],
            ways.most[way, j, t],
        )
        tiles = different / rest if j == counted else few
        each = inside * _price_tiles(model, j, spread, tiles, few, many, new)
        for i in range(parent, j):
            each *= road.terrain.volume[ways.spread[way, i]]
        paid, inside = paid + each, inside * tiles
    return paid


@kernel
def is_complete(model: Model, road: Road, t: int, words: float) -> bool:
    """Say whether `words` that all instances send are sums that may be complete: every element comes once."""
    whole = road.terrain.tile[t, len(road.lattice.value) - 1]
    return bool(model.kind[t] != SIMPLE or words <= whole * (1 + ROUNDING))


@kernel
def wire_energy(
    model: Model, road: Road, way: int, t: int, level: int, action: int, words: float, moved: float,
    different: float, new: bool,
) -> float:  # fmt: skip
    """Return the energy of networks for words that a tensor's parent reads or updates.

    Parameters
    ----------
    model : Model
    road : Road
    way, t, level, action : int
        As `path_links.link_energy` has them.
    words : float
        That move into, or out of, an instance of the level.
    moved : float
        Read by an instance of the parent: sums that come back.
    different : float
        Tiles below one instance of the parent.
    new : bool
        Whether words are charged, and so no more than they pay; else they are spared, and no less.
    """
    machine, parent = model.machine, road.parent[level, t]
    bits, each = model.moved[parent, t, 3 if action == UPDATE else 2], road.wires[level, t, ALONE] * moved
    if action == UPDATE or not model.output[t]:
        shared = -1.0
        if model.kind[t] != SIMPLE:
            shared = _counted_wires(model, road, way, t, level, different, new)
        each = words * (shared if shared >= 0 else road.wires[level, t, LEAST if new else MOST])
    complete = action == UPDATE and new and is_complete(model, road, t, words * road.ways.units[way, level])
    if t == machine.sums.output and not complete:
        wide = float(machine.sums.bits[parent])
        if model.whole:
            bits = wide
        elif action == UPDATE and new:  # those of what is read are known
            bits *= wide / machine.bits[parent, t]
    return float(road.ways.units[way, parent] * each * bits)


@kernel
def is_partial(model: Model, road: Road, way: int, level: int, point: int, state: int) -> bool:
    """Say whether the output's tile at a level holds sums for sure that are not complete.

    Parameters
    ----------
    model : Model
    road : Road
    way, level, point : int
    state : int
        Before the level's own tile stands.
    """
    t, levels = model.machine.sums.output, len(model.pack)
    if t < 0 or not road.keep[level, t] or model.kind[t] != SIMPLE:
        return False
    child = level + 1
    while child < levels and not road.keep[child, t]:
        child += 1
    if child == levels:  # what compute units send comes once, or it does not
        words = model.computes / road.ways.units[way, levels] * road.ways.units[way, level]
        for j in range(level, levels):
            words *= road.ways.least[way, j, t]
        return not is_complete(model, road, t, words)
    if (state >> road.terrain.shift[t, child]) & 1:
        return False  # it may still wait for all loops that add something up
    if level > 0 and (state >> road.terrain.shift[t, level]) & 1:
        return True
    return _adds_outside(model, road, t, point, 0)


@kernel
def _adds_outside(model: Model, road: Road, t: int, point: int, spread: int) -> bool:
    """Say whether loops add up what an output has at a point, beside spatial ones right outside of it."""
    value = road.lattice.value
    for d in range(len(model.bounds)):
        if model.irrelevant[t, d] and value[point, d] * value[spread, d] < model.bounds[d]:
            return True
    return False


@kernel
def note_partial(model: Model, road: Road, level: int, point: int, state: int) -> int:
    """Return the bit to add to a state when a loop outside `point` moves the output's tiles: 0 if none.

    It says, until the next level that keeps the output has its tile, that sums come there which are not
    complete. That level's own code has no other use so far.
    """
    t, levels = model.machine.sums.output, len(model.pack)
    if t < 0 or model.kind[t] != SIMPLE:
        return 0
    child = level + 1
    while child < levels and not road.keep[child, t]:
        child += 1
    if child == levels or road.parent[child, t] <= 0:
        return 0
    parent, shift = road.parent[child, t], road.terrain.shift
    bit = 1 << shift[t, parent]
    if state & bit:
        return int(bit)
    if (state >> shift[t, child]) & 1 == 0:
        return 0
    between = road.inside[parent] - road.inside[level]  # networks, which add up, too
    return int(bit) if _adds_outside(model, road, t, point, between) else 0
