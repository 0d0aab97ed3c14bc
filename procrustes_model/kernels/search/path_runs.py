"""What a loop that moves tiles costs on a shortest path, and runs of loops over which a window slides.

A tile with a sliding window is settled by a whole loop, since its bound counts. A later loop over the same
rank may continue the run (`nest.count_transfers`); as long as one can, the state names the run.
"""

from __future__ import annotations

import math

import numpy as np

from procrustes_model.kernels.dense.arrays import Ints
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.search.arrays import Model
from procrustes_model.kernels.search.path_arrays import (
    ACROSS,
    ACROSS_AT,
    ALONG_AT,
    CHARGED,
    FIRST,
    LEVEL,
    LOOSE,
    REACHED,
    STEP,
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
from procrustes_model.kernels.search.path_loose import (
    hope_loosely,
    name_run,
    slide_loosely,
)

OPEN = 96
"""Continuations of a run that are looked at; with more it is taken to go on."""


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
        along, across = stack[first, 0], stack[first, 1]
        reached, inside = stack[first, 2], stack[first, 3]
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
        if road.special is not None and (begins or run[LOOSE] > 0):
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
def hope(model: Model, road: Road, way: int, level: int, point: int, state: int) -> float:
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
            if road.special is not None and run[LOOSE] > 0:
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
