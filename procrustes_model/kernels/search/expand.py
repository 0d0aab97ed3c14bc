"""From labels at one boundary to labels at the next one inside."""

from __future__ import annotations

import math

import numpy as np

from procrustes_model.kernels.dense.arrays import COUNT_LIMIT, FILL, READ, UPDATE, Bools, Floats, Ints
from procrustes_model.kernels.dense.covered import covered_positions
from procrustes_model.kernels.dense.nest import copy_row, is_beyond
from procrustes_model.kernels.dense.sharing import distinct_positions, touched_positions
from procrustes_model.kernels.dense.wires import sum_bits
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.search.arrays import (
    POINT,
    SIMPLE,
    SPREAD,
    UNITS,
    Goal,
    Lattice,
    Model,
    Orders,
    Pairs,
    Pattern,
)
from procrustes_model.kernels.search.bounds import least_steps
from procrustes_model.kernels.search.goal import energy_limit
from procrustes_model.kernels.search.labels import (
    BOUND,
    SPENT,
    STEPS,
    fetched_words,
    grow,
    least_cycles,
    network_price,
    pair_energy,
    pending_rebate,
    repeat_simple,
    repeat_tile,
)
from procrustes_model.kernels.search.lattice import box_words, next_inside

LISTED = 16
"""Points that are listed in a step: an order that is tried, or a pair that is judged, is a step."""

SPREAD_STEPS = 8
"""Steps that a pair takes which a label passes."""

TRIED, NARROWED, ORDERS, HOPELESS, STRETCHED, MEASURED = range(6)
"""What is counted: temporal steps tried, cut by the bound of their point, orders tried, cut by the bound
with exact refetches; spatial steps tried; whole mappings measured."""


@kernel
def _loops_between(lattice: Lattice, outer: int, inner: int, allowed: Bools) -> int:
    """Return the set of dimensions with a loop between two points; -1 where a factor is not allowed."""
    loops = 0
    for d in range(len(lattice.stride)):
        i, k = lattice.indices[outer, d], lattice.indices[inner, d]
        if not allowed[d, i - k]:
            return -1
        if i != k:
            loops |= 1 << d
    return loops


@kernel
def _is_mirrored(lattice: Lattice, mirror: Ints, point: int) -> bool:
    """Say whether the exchange of dimensions maps `point` to one that is preferred."""
    for d in range(len(mirror)):
        i, k = lattice.indices[point, d], lattice.indices[point, mirror[d]]
        if i != k:
            return bool(i < k)
    return False


@kernel
def _class_outside(model: Model, orders: Orders, label: Ints, level: int) -> int:
    """Return the class of the innermost loop outside `level`; -1 where there is none."""
    for j in range(level - 1, -1, -1):
        d = orders.loops[label[model.columns.order + j], 0]
        if d >= 0:
            return int(orders.kind[d])
    return -1


@kernel
def _least_energy(model: Model, label: Ints, pairs: Pairs, spent: float) -> float:
    """Bound the energy of all ways on before fetches of tiles with a sliding window are counted."""
    kind, least, point, whole = model.kind, pairs.least, label[POINT], model.columns.whole
    energy = 0.0
    for t in range(len(kind)):
        visits = label[whole + t] if kind[t] == SIMPLE else 1
        energy += visits * least[point, 1 + t]
    return float(spent + least[point, 0] + label[UNITS] * energy)


@kernel
def _judge(
    model: Model, lattice: Lattice, label: Ints, pairs: Pairs, within: float, spent: float, steps: float,
    goal: Goal,
) -> tuple[float, float]:  # fmt: skip
    """Return the least bounds on energy and on cycles over all ways on; infinite when none is of interest."""
    whole, part = model.columns.whole, model.columns.part
    fetch, thin, base, reach, work = pairs.fetch, pairs.thin, pairs.base, pairs.units, pairs.work
    units = float(label[UNITS])
    slides = label[part : part + fetch.shape[1]].any()
    least = quickest = math.inf
    for row in range(pairs.start[label[POINT]], pairs.start[label[POINT] + 1]):
        energy = spent + base[row]
        for t in range(fetch.shape[1]):
            visits = label[whole + t] + label[part + t] * thin[row, t]
            energy += units * visits * fetch[row, t]
        cycles = max(steps, least_steps(model.computes, units * reach[row] * within, work[row]))
        limit = energy_limit(goal, cycles)
        if slides and energy <= limit:
            energy = spent + pair_energy(model, lattice, label, pairs, row)
        if energy <= limit:
            least, quickest = min(least, energy), min(quickest, cycles)
    return least, quickest


@kernel
def _list_inside(
    lattice: Lattice, inside: Floats, by_inside: Ints, limit: float, outer: int, found: Ints, counted: Ints
) -> int:
    """List the points that divide `outer` and leave a bound within the limit; return how many.

    Either all divisors are looked at, or all points within the limit, whichever are fewer.

    Parameters
    ----------
    lattice : Lattice
    inside : float64[V]
    by_inside : int64[V]
        Points by `inside`.
    limit : float
    outer : int
    found : int64[V]
        Filled in.
    counted : int64[6]
        Added to.
    """
    exponents = lattice.exponents[outer]
    divisors = 1
    for axis in range(len(exponents)):
        divisors *= exponents[axis] + 1
    n = 0
    if lattice.spare and (divisors >= len(inside) or inside[by_inside[divisors]] > limit):
        packed, spare = lattice.packed, lattice.spare
        for m in by_inside:
            if inside[m] > limit:
                break
            counted[TRIED] += 1
            if ((packed[outer] | spare) - packed[m]) & spare == spare:
                found[n] = m
                n += 1
        counted[NARROWED] += divisors - n
        return n
    digits = np.zeros(len(exponents), np.int64)
    m = 0
    while m >= 0:
        if inside[m] <= limit:
            found[n] = m
            n += 1
        m = next_inside(lattice.axis_stride, exponents, digits, m)
    counted[TRIED] += divisors
    counted[NARROWED] += divisors - n
    return n


@kernel
def expand_temporal(
    model: Model,
    lattice: Lattice,
    orders: Orders,
    pattern: Pattern,
    pairs: Pairs,
    within: float,
    allowed: Bools,
    level: int,
    labels: Ints,
    marks: Floats,
    goal: Goal,
    position: Ints,
    effort: int,
    room: int,
    counted: Ints,
) -> tuple[Ints, Floats]:
    """Place the temporal loops of a level, in every order that can matter.

    Ends where the labels end, or after about `effort` steps or `room` labels found: then `position` says
    where another call, with the same goal, goes on.

    Parameters
    ----------
    model : Model
    lattice : Lattice
    orders : Orders
    pattern : Pattern
    pairs : Pairs
        Of this level.
    within : float
        Most instances that levels further in add.
    allowed : bool[D, n]
        Temporal factors that may be used, by divisor.
    level : int
    labels : int64[n, W]
        At B(level).
    marks : float64[n, 3]
    goal : Goal
    position : int64[2]
        Row of `labels`, and how many of its points are done; changed.
    effort, room : int
    counted : int64[6]
        Added to.

    Returns
    -------
    labels, marks
        At M(level).
    """
    at = model.columns
    out, out_marks = np.empty((256, at.width), np.int64), np.empty((256, 3))
    points, looped = np.empty(len(lattice.indices), np.int64), np.empty(len(model.bounds), np.int64)
    anyone, scratch = len(orders.members), np.empty((2, model.coefficient.shape[1]), np.int64)
    mirrored = level == 0 and orders.mirror[0] >= 0
    n = 0
    while position[0] < len(labels) and effort > 0 and n < room:
        i, begun = position[0], position[1]
        position[0], position[1] = i + 1, 0
        limit = energy_limit(goal, marks[i, STEPS])
        if marks[i, BOUND] > limit:
            continue
        label, outer = labels[i].copy(), labels[i, POINT]
        spent = marks[i, SPENT] - pending_rebate(model, pattern, label, level + 1)
        outside = _class_outside(model, orders, label, level)
        narrow = pattern.inside[level, anyone]
        before, narrowed = counted[TRIED], counted[NARROWED]
        count = _list_inside(lattice, narrow, pattern.by_inside[level], limit - spent, outer, points, counted)
        effort -= int(counted[TRIED] - before) // LISTED + 1
        if begun:  # counted by an earlier call
            counted[TRIED], counted[NARROWED] = before, narrowed
        for k in range(begun, count):
            if k > begun and (effort <= 0 or n >= room):
                position[0], position[1] = i, k
                break
            m = points[k]
            effort -= 1
            loops = _loops_between(lattice, outer, m, allowed)
            if loops < 0 or (mirrored and _is_mirrored(lattice, orders.mirror, m)):
                continue
            pace = label[UNITS] * pattern.pace[level, m]
            steps = max(marks[i, STEPS], least_steps(model.computes, pace, model.work))
            most = energy_limit(goal, steps)
            if spent + narrow[m] > most:
                continue
            label[POINT] = label[at.path + 2 * level + 1] = m
            repeats = model.computes // label[UNITS]
            for d in range(len(looped)):
                repeats //= lattice.value[m, d]
                looped[d] = lattice.value[outer, d] // lattice.value[m, d]
            for row in range(orders.rows[level, loops, 0], orders.rows[level, loops, 1]):
                counted[ORDERS] += 1
                effort -= 1
                kind = orders.kind[orders.loops[row, 0]] if loops else outside
                if spent + pattern.inside[level, kind if kind >= 0 else anyone, m] > most:
                    continue
                label[at.order + level] = row
                repeat_simple(
                    model, orders.loops[row], looped, repeats, labels[i], label, level * len(looped) + 1
                )
                if _least_energy(model, label, pairs, spent) > most:
                    counted[HOPELESS] += 1
                    continue
                for t in range(len(model.kind)):
                    if model.kind[t] != SIMPLE:
                        repeat_tile(model, lattice, orders, label, level, t, scratch)
                effort -= pairs.start[m + 1] - pairs.start[m]
                bound, cycles = _judge(model, lattice, label, pairs, within, spent, steps, goal)
                counted[HOPELESS] += bound == math.inf
                if bound < math.inf:
                    if n == len(out):
                        out, out_marks = grow(out, out_marks)
                    copy_row(label, out[n])
                    out_marks[n, SPENT], out_marks[n, BOUND] = marks[i, SPENT], bound
                    out_marks[n, STEPS] = cycles
                    n += 1
    return out[:n], out_marks[:n]


@kernel
def _spend(
    model: Model, level: int, tensor: int, action: int, words: int, instances: int, wide: bool
) -> float:
    """Return the energy of words that each of some instances reads, fills or updates.

    Where `wide`, words are partial sums.
    """
    pack, price = model.pack[level, tensor], model.energy[level, tensor, action]
    machine = model.machine
    if wide and model.whole and tensor == machine.sums.output:
        pack, price = (
            machine.sums.pack[level],
            machine.price[level, tensor, action] * machine.sums.split[level],
        )
    packs = float(-((-words) // pack)) if model.whole else words / pack
    charged = min(instances, machine.ports[level])
    return float(charged * packs * price + instances * (words * model.served[level, tensor, action]))


@kernel
def _arrives_home(model: Model, lattice: Lattice, label: Ints, tensor: int) -> bool:
    """Say whether nothing outside divides a tensor over time, nor sums of an output over instances."""
    at = model.columns
    if label[at.whole + tensor] != 1 or label[at.part + tensor] != 0:
        return False
    for d in range(len(model.bounds) if model.output[tensor] else 0):
        if model.irrelevant[tensor, d] and lattice.value[label[SPREAD], d] > 1:
            return False
    return True


@kernel
def _pay_wires(
    model: Model, lattice: Lattice, label: Ints, tensor: int, parent: int, level: int, read: int,
    updated: int, leaves: bool,
) -> float:  # fmt: skip
    """Return the energy of networks that words of a tensor pass, from all instances of its parent."""
    machine = model.machine
    shared, alone = network_price(model, lattice, label, tensor, parent, level)
    down = float(read) * sum_bits(machine, parent, tensor, False)
    up = float(updated) * sum_bits(machine, parent, tensor, leaves)
    spent = down * alone + up * shared if model.output[tensor] else down * shared
    return float(label[model.columns.home + tensor] * spent)


@kernel
def _note_traffic(model: Model, label: Ints, level: int, tensor: int, read: int, written: int) -> None:
    """Add the words of a level that elements take of its bandwidth at least."""
    at = model.columns.traffic + 2 * level
    for port in range(2):
        words, share = (read, written)[port], model.moved[level, tensor, port]
        label[at + port] += words if share == 1 else int(min(words * share, float(COUNT_LIMIT)))


@kernel
def _touched(model: Model, lattice: Lattice, label: Ints, level: int, tensor: int, point: int) -> int:
    """Return the words of the output in tiles at `point` that come to an instance of a level."""
    dimensions = len(model.bounds)
    path = model.columns.path
    below, spread = np.ones((level + 1, dimensions), np.int64), np.ones((level, dimensions), np.int64)
    reach = model.bounds.copy()
    for outer in range(level):
        around, within = label[path + 2 * outer + 1], label[path + 2 * outer + 2]
        for d in range(dimensions):
            below[outer + 1, d] = lattice.value[within, d]
            spread[outer, d] = lattice.value[around, d] // lattice.value[within, d]
            reach[d] //= spread[outer, d]
    if model.problem.gapped:
        return covered_positions(model.problem, below, spread, level, reach, lattice.value[point])
    if model.kind[tensor] != SIMPLE:
        return touched_positions(model.problem, tensor, below, spread, level, reach)
    return distinct_positions(model.problem, tensor, reach, lattice.value[0])


@kernel
def _cross(
    model: Model, lattice: Lattice, pattern: Pattern, level: int, label: Ints, child: int, spread: int
) -> float:
    """Let a label pass the network below `level`; return the energy of links into the level inside it.

    Infinite where a count exceeds 2^62: no such mapping is valid.
    """
    at = model.columns
    inner = level + 1
    dimensions = len(lattice.stride)
    label[SPREAD] += spread
    for d in range(dimensions):
        label[UNITS] *= lattice.value[spread, d]
    label[POINT] = label[at.path + 2 * inner] = child
    energy = 0.0
    for t in range(len(model.kind)):
        if model.machine.home[t] > level and not _arrives_home(model, lattice, label, t):
            return math.inf
        label[at.shared + t] *= distinct_positions(
            model.problem, t, lattice.value[spread], lattice.value[child]
        )
        if not pattern.keep[inner, t]:
            continue
        p = pattern.parent[inner, t]
        if p < 0:  # it begins here
            if model.output[t]:
                label[at.fresh + t] = _touched(model, lattice, label, inner, t, child)
            elif model.machine.loads[inner]:
                filled = box_words(model.coefficient[t], lattice.value[child])
                energy += _spend(model, inner, t, FILL, filled, label[UNITS], False)
                _note_traffic(model, label, inner, t, 0, filled)
            label[at.shared + t] = 1
            label[at.home + t] = label[UNITS]
            continue
        filled = fetched_words(model, lattice, label, t, child)
        if filled < 0 or is_beyond(filled, label[at.shared + t]):
            return math.inf
        served = filled * label[at.shared + t]
        read, updated, moved = served, 0, filled
        leaves = arrives = True
        if model.output[t]:
            fresh = _touched(model, lattice, label, inner, t, child)
            new = label[at.fresh + t]
            if model.problem.gapped:
                new = _touched(model, lattice, label, p, t, child)
            read, updated = max(0, served - new), served
            filled = max(0, filled - fresh)
            label[at.fresh + t] = fresh
            if model.machine.sums.output >= 0:
                size = box_words(model.coefficient[t], model.bounds)
                leaves = size % label[UNITS] == 0 and moved == size // label[UNITS]
                arrives = size % label[at.home + t] == 0 and served == size // label[at.home + t]
        energy += _spend(model, p, t, READ, read, label[at.home + t], True)
        energy += _spend(model, p, t, UPDATE, updated, label[at.home + t], not arrives)
        energy += _spend(model, inner, t, FILL, filled, label[UNITS], True)
        if model.output[t] and model.machine.drains[inner]:
            # They share whole accesses with other reads: no more than these are sure to take.
            pack = model.pack[inner, t]
            sure = max(0, moved - pack + 1) // pack * pack
            energy += _spend(model, inner, t, READ, sure, label[UNITS], False)
            _note_traffic(model, label, inner, t, moved, 0)
        if model.machine.wires.any and model.whole:
            energy += _pay_wires(model, lattice, label, t, p, level, read, updated, leaves)
        _note_traffic(model, label, p, t, read, updated)
        _note_traffic(model, label, inner, t, 0, filled)
        label[at.shared + t] = 1
        label[at.home + t] = label[UNITS]
    return energy


@kernel
def expand_spatial(
    model: Model,
    lattice: Lattice,
    pattern: Pattern,
    pairs: Pairs,
    level: int,
    labels: Ints,
    marks: Floats,
    goal: Goal,
    position: Ints,
    effort: int,
    room: int,
    counted: Ints,
) -> tuple[Ints, Floats]:
    """Place the spatial loops of a level; the traffic into the next level is exact from then on.

    Ends early, and goes on, as `expand_temporal` does.

    Parameters
    ----------
    model : Model
    lattice : Lattice
    pattern : Pattern
    pairs : Pairs
        Of this level.
    level : int
        Not the innermost.
    labels : int64[n, W]
        At M(level).
    marks : float64[n, 3]
    goal : Goal
    position : int64[2]
        Row of `labels` to go on with, and 0; changed.
    effort, room : int
    counted : int64[6]
        Added to.

    Returns
    -------
    labels, marks
        At B(level + 1).
    """
    out, out_marks = np.empty((256, model.columns.width), np.int64), np.empty((256, 3))
    label = np.empty(model.columns.width, np.int64)
    n = 0
    while position[0] < len(labels) and effort > 0 and n < room:
        i = position[0]
        position[0] = i + 1
        if marks[i, BOUND] > energy_limit(goal, marks[i, STEPS]):
            continue
        effort -= SPREAD_STEPS * (pairs.start[labels[i, POINT] + 1] - pairs.start[labels[i, POINT]])
        rebate = pending_rebate(model, pattern, labels[i], level + 1)
        for row in range(pairs.start[labels[i, POINT]], pairs.start[labels[i, POINT] + 1]):
            child = pairs.child[row]
            units = labels[i, UNITS] * pairs.units[row] * pattern.reach[level + 1, child]
            pace = labels[i, UNITS] * pairs.units[row] * pattern.pace[level + 1, child]
            steps = max(marks[i, STEPS], least_steps(model.computes, pace, pairs.work[row]))
            bound = marks[i, SPENT] - rebate + pair_energy(model, lattice, labels[i], pairs, row)
            if units < model.least_units or bound > energy_limit(goal, steps):
                continue
            counted[STRETCHED] += 1
            copy_row(labels[i], label)
            spent = marks[i, SPENT] + _cross(model, lattice, pattern, level, label, child, pairs.spread[row])
            bound = spent - pending_rebate(model, pattern, label, level + 2) + pattern.below[level + 1, child]
            steps = least_cycles(model, label, steps)
            if bound <= energy_limit(goal, steps):
                if n == len(out):
                    out, out_marks = grow(out, out_marks)
                copy_row(label, out[n])
                out_marks[n, SPENT], out_marks[n, BOUND], out_marks[n, STEPS] = spent, bound, steps
                n += 1
    return out[:n], out_marks[:n]
