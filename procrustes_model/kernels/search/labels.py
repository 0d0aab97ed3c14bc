"""Labels: the outer part of a mapping, down to a boundary, with all that its future depends on.

A label is a row of integers (`search_arrays.Columns`) and a row of three floats: the energy that is certain,
a lower bound of the whole energy, and a lower bound of the cycles.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from procrustes_model.kernels.dense.arrays import READ, Bools, Floats, Ints
from procrustes_model.kernels.dense.nest import is_beyond
from procrustes_model.kernels.dense.sharing import distinct_positions
from procrustes_model.kernels.dense.wires import price_wire
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.search.arrays import (
    POINT,
    SIMPLE,
    SKEWED,
    SLIDING,
    SPREAD,
    UNITS,
    Lattice,
    Model,
    Orders,
    Pairs,
    Pattern,
)
from procrustes_model.kernels.search.lattice import box_words, overlap_words

Rows = TypeVar("Rows", Ints, Floats)

SPENT, BOUND, STEPS = range(3)
"""Columns of a label's floats."""


@kernel
def _sums_dimensions(coefficient: Ints, dimension: int) -> bool:
    """Say whether the rank that `dimension` indexes has another dimension."""
    for r in range(coefficient.shape[0]):
        if coefficient[r, dimension] != 0:
            for d in range(coefficient.shape[1]):
                if d != dimension and coefficient[r, d] != 0:
                    return True
    return False


@kernel
def _note(
    label: Ints, columns: tuple[int, ...], tensor: int, whole: int, part: int, step: int, run: int
) -> None:
    whole_at, part_at, step_at, run_at = columns
    label[whole_at + tensor] = whole
    label[part_at + tensor] = part
    label[step_at + tensor] = step
    label[run_at + tensor] = run


@kernel
def repeat_tile(
    model: Model, lattice: Lattice, orders: Orders, label: Ints, level: int, tensor: int, scratch: Ints
) -> None:
    """Note how often the loops of levels up to `level` fetch a tile of a tensor with a sliding window.

    The tile lies inside M(level). The rule is that of `nest.count_transfers`, in two numbers: fetches of a
    whole tile, and of a tile less the overlap that the step of the innermost relevant loop leaves.

    Parameters
    ----------
    model : Model
    lattice : Lattice
    orders : Orders
    label : int64[W]
        At M(level); changed in place.
    level, tensor : int
    scratch : int64[2, R]
    """
    at = model.columns
    columns = (at.whole, at.part, at.step, at.run)
    coefficient = model.coefficient[tensor]
    ranks, dimensions = coefficient.shape
    outside = model.computes // label[UNITS]
    for d in range(dimensions):
        outside //= lattice.value[label[at.path + 2 * level + 1], d]
    reached, first = scratch
    reached[:] = 0
    whole, part, step, rank, between = 1, 0, 0, -1, 1
    run = 1469598103934665603
    for j in range(level, -1, -1):
        inner, outer = label[at.path + 2 * j + 1], label[at.path + 2 * j]
        for d in orders.loops[label[at.order + j]]:
            if d < 0:
                break
            bound = lattice.value[outer, d] // lattice.value[inner, d]
            outside //= bound
            weight = (bound - 1) * outside
            if model.irrelevant[tensor, d]:
                whole += weight if step else 0
                between *= bound
                continue
            along = -1
            still = same = True
            for r in range(ranks):
                move = coefficient[r, d] * lattice.value[inner, d]
                along = r if move else along
                if step == 0:
                    first[r] = move
                still = still and move == reached[r]
                same = same and move - reached[r] == first[r]
                reached[r] += move
            if step == 0:
                step = j * dimensions + d + 1
                rank = along
                if model.kind[tensor] == SLIDING and not _sums_dimensions(coefficient, d):
                    _note(label, columns, tensor, bound * outside, 0, step, 0)
                    return
            if same:
                part += weight
            elif not still:
                whole += weight
            if model.kind[tensor] != SKEWED and along != rank:
                # from here outwards every step fetches a whole tile
                _note(label, columns, tensor, whole + outside - 1, part, step, run)
                return
            run = (run ^ (between * 1315423911 + bound * 2654435761 + d * 97 + 1)) * 1099511628211
            for r in range(ranks):
                run = (run ^ (coefficient[r, d] * lattice.value[inner, d] + 77)) * 1099511628211
            between = 1
    _note(label, columns, tensor, whole, part, step, run or 1)


@kernel
def part_words(model: Model, lattice: Lattice, label: Ints, tensor: int, child: int) -> int:
    """Return the words of a fetch that keeps the overlap, for the tile of point `child`."""
    at = model.columns
    vector = lattice.value[child]
    words = box_words(model.coefficient[tensor], vector)
    if label[at.step + tensor] == 0:
        return words
    level, dimension = divmod(label[at.step + tensor] - 1, len(vector))
    step = lattice.value[label[at.path + 2 * level + 1], dimension]
    return words - overlap_words(model.coefficient[tensor], vector, dimension, step)


@kernel
def fetched_words(model: Model, lattice: Lattice, label: Ints, tensor: int, child: int) -> int:
    """Return the words transferred into one instance whose tile is that of point `child`; -1 beyond 2^62."""
    at = model.columns
    whole = box_words(model.coefficient[tensor], lattice.value[child])
    # As the model counts, what overlaps is fetched first and given back then.
    if is_beyond(label[at.whole + tensor] + label[at.part + tensor], whole):
        return -1
    total = label[at.whole + tensor] * whole
    if label[at.part + tensor]:
        total += label[at.part + tensor] * part_words(model, lattice, label, tensor, child)
    return int(total)


@kernel
def repeat_simple(
    model: Model, loops: Ints, looped: Ints, outside: int, before: Ints, label: Ints, code: int
) -> None:
    """Note how often the loops up to a level fetch tiles of the tensors that have no sliding window.

    Parameters
    ----------
    model : Model
    loops : int64[D]
        Order of the level's loops, innermost first, then -1.
    looped : int64[D]
        Their bounds.
    outside : int
        Product of all loops at this level and outside.
    before : int64[W]
        The label at the level's boundary outside: kept where no loop of this level is relevant.
    label : int64[W]
        Changed in place.
    code : int
        What `Columns.step` holds for dimension 0 of this level.
    """
    at = model.columns
    irrelevant, kind = model.irrelevant, model.kind
    for t in range(len(kind)):
        if kind[t] != SIMPLE:
            continue
        visits = outside
        moved = -1
        for d in loops:
            if d < 0:
                break
            if not irrelevant[t, d]:
                moved = d
                break
            visits //= looped[d]
        label[at.whole + t] = visits if moved >= 0 else before[at.whole + t]
        label[at.step + t] = code + moved if moved >= 0 else before[at.step + t]
        label[at.run + t] = 0 if moved >= 0 else before[at.run + t]


@kernel
def pair_energy(model: Model, lattice: Lattice, label: Ints, pairs: Pairs, row: int) -> float:
    """Bound the energy of going on from `label`, at M(l), through one pair; refetches are exact."""
    at = model.columns
    total = 0.0
    for t in range(len(model.kind)):
        if pairs.fetch[row, t]:
            visits = float(label[at.whole + t])
            if label[at.part + t]:
                part = part_words(model, lattice, label, t, pairs.child[row])
                whole = box_words(model.coefficient[t], lattice.value[pairs.child[row]])
                visits += float(label[at.part + t]) * part / whole
            total += visits * pairs.fetch[row, t]
    return float(pairs.base[row] + label[UNITS] * total)


@kernel
def least_cycles(model: Model, label: Ints, steps: float) -> float:
    """Bound cycles by the steps of the nest and by the words that levels have to move already."""
    cycles = steps
    if model.limited:
        for level in range(len(model.pack)):
            read = label[model.columns.traffic + 2 * level]
            write = label[model.columns.traffic + 2 * level + 1]
            for port in range(3):
                words = (read, write, read + write)[port]
                if np.isfinite(model.bandwidth[level, port]):
                    cycles = max(cycles, words / model.bandwidth[level, port] * (1 - 1e-12))
    return cycles


@kernel
def pending_rebate(model: Model, pattern: Pattern, label: Ints, level: int) -> float:
    """Return what first accumulations will save at the parent of `level` and are not in the energy spent."""
    at = model.columns
    for t in range(len(model.kind)):
        if model.output[t]:
            p = pattern.parent[level, t]
            if p < 0 or model.rough[p]:
                return 0.0
            words = float(label[at.home + t]) * label[at.fresh + t]
            return float(words * model.word[p, t, READ])
    return 0.0


@kernel
def _instances_between(lattice: Lattice, model: Model, label: Ints, level: int) -> int:
    """Return the instances used below one instance of a level that a label has passed."""
    at = model.columns.path + 2 * level
    spread = label[at + 1] - label[at + 2]
    units = 1
    for d in range(len(lattice.stride)):
        units *= lattice.value[spread, d]
    return units


@kernel
def network_price(
    model: Model, lattice: Lattice, label: Ints, tensor: int, parent: int, level: int
) -> tuple[float, float]:
    """Return pJ per bit from one instance of a tensor's parent over the networks down to `level`.

    Parameters
    ----------
    model : Model
    lattice : Lattice
    label : int64[W]
        At B(level + 1).
    tensor, parent, level : int

    Returns
    -------
    shared, alone : float
        Of a bit that reaches all instances with the same tile, and of one that reaches one instance.
    """
    shared = alone = 0.0
    copies = 1.0
    for j in range(parent, level + 1):
        at = model.columns.path + 2 * j
        spread = label[at + 1] - label[at + 2]
        units = float(_instances_between(lattice, model, label, j))
        different = distinct_positions(
            model.problem, tensor, lattice.value[spread], lattice.value[label[at + 2]]
        )
        receivers = units / different
        shared += copies * price_wire(model.machine, j, units, receivers)
        alone += price_wire(model.machine, j, units, 1.0) if model.machine.wires.sums_return[j] else 0.0
        copies *= receivers
    return shared, alone


@kernel
def _goes_no_farther(model: Model, lattice: Lattice, pattern: Pattern, a: Ints, b: Ints, level: int) -> bool:
    """Say whether words that have passed some networks but not arrived pay no more under `a` than `b`."""
    at = model.columns
    for t in range(len(model.kind)):
        p = pattern.parent[level + 1, t]
        if p < 0 or pattern.keep[level + 1, t]:
            continue
        of_a = network_price(model, lattice, a, t, p, level)
        of_b = network_price(model, lattice, b, t, p, level)
        sent_a, sent_b = a[at.home + t] * a[at.shared + t], b[at.home + t] * b[at.shared + t]
        if sent_a * of_a[0] > sent_b * of_b[0] * (1 + 1e-12) or of_a[1] > of_b[1] * (1 + 1e-12):
            return False
    return True


@kernel
def _is_as_good(model: Model, a: Ints, b: Ints) -> bool:
    """Say whether label `a` costs no more than `b` in every future that both share."""
    at = model.columns
    for t in range(len(model.kind)):
        if a[at.shared + t] > b[at.shared + t] or a[at.home + t] > b[at.home + t]:
            return False
        if model.output[t] and a[at.fresh + t] < b[at.fresh + t]:
            return False
        if b[at.run + t]:
            same = a[at.run + t] == b[at.run + t] and a[at.step + t] == b[at.step + t]
            if not (same and a[at.whole + t] == b[at.whole + t] and a[at.part + t] == b[at.part + t]):
                return False
        elif a[at.whole + t] + a[at.part + t] > b[at.whole + t]:
            return False
    if model.limited:
        for i in range(2 * len(model.pack)):
            if a[at.traffic + i] > b[at.traffic + i]:
                return False
    return True


@kernel
def _touches_no_less(model: Model, lattice: Lattice, a: Ints, b: Ints) -> bool:
    """Say whether instances further in touch no fewer output elements, and are as even, under `a` as `b`.

    Where an output's rank sums dimensions, or its tiles have gaps, it counts at which steps they are spread.
    """
    path = model.columns.path
    slides = model.problem.gapped
    for t in range(len(model.kind)):
        slides = slides or (model.output[t] and model.kind[t] != SIMPLE)
    if a[SPREAD] == b[SPREAD]:
        for level in range(len(model.pack) - 1 if slides else 0):
            spread = a[path + 2 * level + 1] - a[path + 2 * level + 2]
            if spread != b[path + 2 * level + 1] - b[path + 2 * level + 2]:
                return False
            if spread and a[path + 2 * level + 2] != b[path + 2 * level + 2]:
                return False
        return True
    if model.uneven or slides:
        return False
    for t in range(len(model.kind)):
        if not model.output[t]:
            continue
        for r in range(model.coefficient.shape[1]):
            spread_a = spread_b = 1
            for d in range(len(model.bounds)):
                if model.coefficient[t, r, d]:
                    spread_a *= lattice.value[a[SPREAD], d]
                    spread_b *= lattice.value[b[SPREAD], d]
            if spread_a > spread_b:
                return False
    return True


@kernel
def find_undominated(
    model: Model, lattice: Lattice, pattern: Pattern, level: int, labels: Ints, by_cost: Ints, kept: Bools,
    position: Ints, most: int,
) -> None:  # fmt: skip
    """Find the labels that no cheaper one at the same point, with as many instances, replaces.

    Ends early after about `most` comparisons; another call goes on.

    Parameters
    ----------
    model : Model
    lattice : Lattice
    pattern : Pattern
    level : int
        Whose network they have passed last; -1: none.
    labels : int64[n, W]
    by_cost : int64[n]
        Rows by point, then instances, then energy spent.
    kept : bool[n]
        By position in `by_cost`: True at first, changed where a label is replaced.
    position : int64[2]
        Where in `by_cost` to go on, and where labels of the same point and instances begin; changed.
    most : int
    """
    start = position[1]
    while position[0] < len(by_cost) and most > 0:
        i = position[0]
        position[0] = i + 1
        label = labels[by_cost[i]]
        leader = labels[by_cost[start]]
        if leader[POINT] != label[POINT] or leader[UNITS] != label[UNITS]:
            start = position[1] = i
        most -= 1
        for j in range(start, i):
            most -= 1
            other = labels[by_cost[j]]
            if (
                kept[j]
                and _is_as_good(model, other, label)
                and _touches_no_less(model, lattice, other, label)
                and (
                    not model.machine.wires.any
                    or _goes_no_farther(model, lattice, pattern, other, label, level)
                )
            ):
                kept[i] = False
                break


@kernel
def double(rows: Rows) -> Rows:
    """Return rows (number[n, k]) with as much room again after them."""
    n, width = rows.shape
    more = np.empty((2 * n, width), rows.dtype)
    for i in range(n):
        for k in range(width):
            more[i, k] = rows[i, k]
    return more


@kernel
def grow(labels: Ints, marks: Floats) -> tuple[Ints, Floats]:
    """Double the room for labels."""
    return double(labels), double(marks)
