"""Sliding tiles on a shortest path by the rule of an older model (`overlap: innermost`).

Where the innermost loop outside does not move a tile, it keeps what overlaps in every move, along any of its
ranks, until a loop over a rank that does not slide has moved it (`kernels.sparse.forgetful`). A loop that
does not index the tensor takes it back to where it began, and what overlaps there stays, too. So the state
names, beside what a run is anyway, what the tile covers in a second rank and how far it has moved there. A
tile that the innermost loop outside does move follows this model's own rule.
"""

from __future__ import annotations

import math

from procrustes_model.kernels.dense.arrays import Ints
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.search.arrays import Model
from procrustes_model.kernels.search.path_arrays import (
    ACROSS,
    ACROSS_AT,
    ALONG_AT,
    FIRST,
    LEVEL,
    LOOSE,
    OTHER,
    OTHER_ACROSS,
    OTHER_ACROSS_AT,
    OTHER_ALONG_AT,
    OTHER_REACHED,
    OTHER_TILE,
    REACHED,
    TENSOR,
    TILE,
    Road,
)
from procrustes_model.kernels.search.path_links import (
    NEW,
    UNKNOWN,
    different_tiles,
    link_energy,
    side_words,
)

PROBES = 32
"""Places of the table of runs that are looked at for one run."""


@kernel
def forget_runs(runs: Ints) -> None:
    """Empty the table of runs."""
    for i in range(len(runs)):
        runs[i, TENSOR] = runs[i, FIRST] = -1


@kernel
def name_run(runs: Ints, most: int) -> int:
    """Return the number of the run in the row before the last, entered if it is new; -1 without room."""
    asked = runs[len(runs) - 2]
    places = min(most, len(runs) - 2)
    code = 0
    for k in range(runs.shape[1]):
        code = (code * 1000003 + asked[k] + 1) & 0x7FFFFFFF
    code ^= code >> 15
    for probe in range(min(places, PROBES)):
        i = (code + probe) % places
        new = runs[i, TENSOR] < 0
        same = True
        for k in range(runs.shape[1]):
            if new:
                runs[i, k] = asked[k]
            same = same and runs[i, k] == asked[k]
        if same:
            return i
    return -1


@kernel
def loosen(model: Model, road: Road, level: int, state: int, t: int) -> int:
    """Return a state in which the tiles of a tensor that wait have met a loop that does not move them."""
    terrain = road.terrain
    mask = terrain.mask[t]
    if not model.rules.forgetful or mask == 1:
        return state
    for c in range(level + 1, len(model.pack)):
        if (state >> terrain.shift[t, c]) & mask == 1:
            state |= mask << terrain.shift[t, c]
    return state


@kernel
def _other_rank(road: Road, t: int, d: int) -> int:
    """Return a dimension of the sliding rank of a tensor that `d` is not in; -1 where there is none."""
    partner = road.terrain.partner[t]
    for g in range(len(partner)):
        if partner[g] >= 0 and g != d and partner[g] != d:
            return g
    return -1


@kernel
def _sides(model: Model, road: Road, t: int, run: Ints) -> tuple[int, int]:
    """Return the sides of a tile in the two ranks of a run."""
    first = side_words(model, road.terrain, t, run[FIRST], run[TILE], run[ACROSS])
    if run[OTHER] < 0:
        return first, 1
    return first, side_words(model, road.terrain, t, run[OTHER], run[OTHER_TILE], run[OTHER_ACROSS])


@kernel
def _size(model: Model, road: Road, t: int, run: Ints, at: int) -> int:
    """Return the words of a tile that covers what `at` does but for the ranks of a run."""
    terrain, value = road.terrain, road.lattice.value
    first, second = _sides(model, road, t, run)
    size = terrain.tile[t, at]
    for i in range(2):
        d = run[FIRST] if i == 0 else run[OTHER]
        if d >= 0:
            now = side_words(model, terrain, t, d, value[at, d], value[at, terrain.partner[t, d]])
            size = size // now * (first if i == 0 else second)
    return int(size)


@kernel
def _is_left(model: Model, road: Road, t: int, point: int, d: int) -> bool:
    """Say whether loops over the rank of `d` are still to come."""
    if d < 0:
        return False
    value, bounds, e = road.lattice.value, model.bounds, road.terrain.partner[t, d]
    return bool(value[point, d] < bounds[d] or value[point, e] < bounds[e])


@kernel
def _rest_beside(model: Model, road: Road, t: int, point: int) -> int:
    """Return how often loops outside of a point that do not index a tensor run, at most."""
    value, bounds, rest = road.lattice.value, model.bounds, 1
    for d in range(len(bounds)):
        if model.irrelevant[t, d]:
            rest *= bounds[d] // value[point, d]
    return rest


@kernel
def return_loosely(
    model: Model, road: Road, way: int, level: int, point: int, after: int, state: int, t: int
) -> float:
    """Return what a loop that does not index a tensor spares: a negative energy, or 0.

    Each of its iterations takes tiles back to where a run began (`slide_loosely`).

    Parameters
    ----------
    model : Model
    road : Road
    way, level : int
    point, after : int
        Without and with the loop.
    state : int
    t : int
    """
    terrain, runs, energy = road.terrain, road.trails.runs, 0.0
    if not model.rules.forgetful or state & terrain.every[t] == 0 or terrain.mask[t] == 1:
        return 0.0
    visits = model.computes / (terrain.volume[point] * road.ways.units[way, level])
    repeats = visits * (1 - terrain.volume[point] / terrain.volume[after])
    for c in range(level + 1, len(model.pack)):
        code = (state >> terrain.shift[t, c]) & terrain.mask[t]
        if code < 2 or code == terrain.mask[t] or runs[code - 2, LOOSE] < 1:
            continue
        run = runs[code - 2]
        side, across = _sides(model, road, t, run)
        size = _size(model, road, t, run, point - road.inside[level] + road.inside[c])
        kept = max(0, side - run[REACHED]) * max(0, across - run[OTHER_REACHED])
        if kept > 0:
            most = different_tiles(model, road, way, level, t, c, point, run, True)
            words = repeats * (size / (side * across) * kept)
            energy -= link_energy(model, road, way, t, c, words, most, UNKNOWN)
    return energy


@kernel
def slide_loosely(
    model: Model, road: Road, way: int, level: int, point: int, after: int, t: int, c: int, d: int, code: int
) -> tuple[float, int]:  # fmt: skip
    """Let a loop over `d` move a tile of level `c` that keeps what overlaps in all moves.

    Parameters
    ----------
    model : Model
    road : Road
    way, level : int
    point, after : int
        Without and with the loop.
    t, c, d : int
        Tensor, level of the tile, dimension.
    code : int
        Of the tile.

    Returns
    -------
    energy : float
        Infinite where the level has a loop over `d` in the run already.
    code : int
        Of the tile, once it has moved.
    """
    terrain, value, runs = road.terrain, road.lattice.value, road.trails.runs
    mask, asked = terrain.mask[t], runs[len(runs) - 2]
    begins = code == mask
    run = runs[len(runs) - 1 if begins else code - 2]
    for k in range(runs.shape[1]):
        asked[k] = run[k]
    at = point - road.inside[level] + road.inside[c]
    if begins:
        e, g = terrain.partner[t, d], _other_rank(road, t, d)
        asked[FIRST], asked[TILE], asked[ACROSS], asked[REACHED] = d, value[at, d], value[at, e], 0
        asked[TENSOR], asked[LEVEL], asked[LOOSE], asked[OTHER] = t, level, 1, g
        asked[OTHER_REACHED] = 0
        if g >= 0:
            asked[OTHER_TILE], asked[OTHER_ACROSS] = value[at, g], value[at, terrain.partner[t, g]]
    first = d == asked[FIRST] or d == terrain.partner[t, asked[FIRST]]
    if first:
        last = ALONG_AT if d == asked[FIRST] else ACROSS_AT
    else:
        last = OTHER_ALONG_AT if d == asked[OTHER] else OTHER_ACROSS_AT
    if asked[last] == level:
        return math.inf, 0
    asked[last] = level
    mine, other = (REACHED, OTHER_REACHED) if first else (OTHER_REACHED, REACHED)
    side, across = _sides(model, road, t, asked)
    if not first:
        side, across = across, side
    f = value[after, d] // value[point, d]
    visits = model.computes / (terrain.volume[point] * road.ways.units[way, level])
    repeats = visits * (f - 1) / f  # of the loop, without its first iteration
    along = model.problem.coefficient[t, d] * value[point, d]
    move, back, size = abs(along - asked[mine]), asked[other], _size(model, road, t, asked, at)
    kept = size if move + back == 0 else size / (side * across) * max(0, side - move) * max(0, across - back)
    most = different_tiles(model, road, way, level, t, c, point, asked, True)
    if begins:
        least = different_tiles(model, road, way, level, t, c, point, asked, False)
        energy = link_energy(model, road, way, t, c, size * visits - repeats * kept, least, NEW)
    else:
        energy = -link_energy(model, road, way, t, c, repeats * kept, most, UNKNOWN)
    asked[mine] += along
    first_left = _is_left(model, road, t, after, asked[FIRST])
    other_left = _is_left(model, road, t, after, asked[OTHER])
    side, across = _sides(model, road, t, asked)
    over_first = first_left and asked[OTHER_REACHED] < across
    over_other = other_left and asked[REACHED] < side
    beside = (
        asked[OTHER_REACHED] < across and asked[REACHED] < side and _rest_beside(model, road, t, after) > 1
    )
    if not (over_first or over_other or beside):
        return energy, 0
    number = name_run(runs, mask - 2)
    if number >= 0:
        return energy, number + 2
    return energy - link_energy(model, road, way, t, c, (visits - repeats) * size, most, UNKNOWN), 0


@kernel
def hope_loosely(
    model: Model, road: Road, way: int, level: int, point: int, t: int, c: int, run: Ints
) -> float:
    """Return the most energy that moves of such a tile may still spare outside `point`."""
    terrain, value, bounds = road.terrain, road.lattice.value, model.bounds
    side, across = _sides(model, road, t, run)
    share, rest = 0.0, 1.0
    for i in range(2):
        d = run[FIRST] if i == 0 else run[OTHER]
        if not _is_left(model, road, t, point, d):
            continue
        e = terrain.partner[t, d]
        rest *= bounds[d] * bounds[e] / (value[point, d] * value[point, e])
        if i == 0:
            share = max(share, (across - run[OTHER_REACHED]) / across)
        else:
            share = max(share, (side - run[REACHED]) / side)
    beside = _rest_beside(model, road, t, point)
    if beside > 1:
        rest *= beside
        back = max(0.0, (side - run[REACHED]) / side)
        share = max(share, back * max(0.0, (across - run[OTHER_REACHED]) / across))
    at = point - road.inside[level] + road.inside[c]
    visits = model.computes / (terrain.volume[point] * road.ways.units[way, level])
    spared = _size(model, road, t, run, at) * visits * (1 - 1 / rest) * max(0.0, share)
    most = different_tiles(model, road, way, level, t, c, point, run, True)
    return float(link_energy(model, road, way, t, c, spared, most, UNKNOWN))
