"""What loops cost where they move tiles, by how many passes they leave: see `kernels.search.passes`."""

from __future__ import annotations

import math

from procrustes_model.kernels.dense.arrays import FILL, READ, UNLIMITED, UPDATE, Floats, Ints
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.search.arrays import SKEWED, Model
from procrustes_model.kernels.search.passes_arrays import Grid, Plan

ROUNDING = 1e-12
"""Relative room for the rounding of sums."""


@kernel
def passes_left(grid: Grid, point: int, d: int) -> int:
    """Return how many passes of a dimension are left at a point."""
    return int(grid.passes[d, point // grid.stride[d] % grid.counts[d]])


@kernel
def _spend(model: Model, plan: Plan, level: int, t: int, action: int, words: float, whole: bool) -> float:
    """Return the energy of accesses to words, in all instances of a level."""
    if whole and plan.whole[level, t] and plan.units[level] == 1.0:
        accesses = math.ceil(words / model.pack[level, t] * (1 - ROUNDING))
        return float(accesses * model.energy[level, t, action] + words * model.served[level, t, action])
    return float(words * model.word[level, t, action])


@kernel
def count_idle(plan: Plan, idle: Ints, d: int, first: int, end: int) -> tuple[int, int]:
    """Return how many instances below some levels make a pass less at most, and how many there are."""
    instances, networks, short = 1, 0, 0
    for j in range(first, end):
        if plan.spread[j, d] > 1:
            instances *= plan.spread[j, d]
            networks += 1
            short = idle[j, d]
    return (instances - 1 if networks > 1 else short), instances


@kernel
def _over(plan: Plan, idle: Ints, d: int, n: int, first: int, end: int) -> float:
    """Return how often n passes of a dimension are made by the instances below some levels, in all."""
    short, instances = count_idle(plan, idle, d, first, end)
    return float(max(1, instances * n - short))


@kernel
def price(
    model: Model, grid: Grid, plan: Plan, idle: Ints, slot: int, level: int, point: int, scale: float,
    whole: bool,
) -> float:  # fmt: skip
    """Return the energy of filling a level with a tensor whose tile a loop of `level` moves first.

    Parameters
    ----------
    model : Model
    grid : Grid
    plan : Plan
    idle : int64[L, D]
    slot : int
    level : int
    point : int
        -1: no passes are left.
    scale : float
        Words that are moved in each pass, over those of the tensor.
    whole : bool
        Whether all words are moved at once, so that accesses are known.
    """
    tensors = len(model.kind)
    c, t = slot // tensors, slot % tensors
    p = plan.parent[c, t]
    words = plan.elements[t] * scale
    filled = served = words
    for d in range(len(model.bounds)):
        if not model.irrelevant[t, d]:
            continue
        n = 1 if point < 0 else passes_left(grid, point, d)
        filled *= _over(plan, idle, d, n, level, c)
        if level <= p:
            served *= _over(plan, idle, d, n, level, p)
        else:
            shared = 1
            for j in range(p, level):
                shared *= plan.spread[j, d]
            served *= -(-n // shared)
    if not model.output[t]:
        energy = _spend(model, plan, c, t, FILL, filled, whole)
        return energy + _spend(model, plan, p, t, READ, served, whole)
    energy = _spend(model, plan, p, t, UPDATE, served, whole)
    if plan.sums[t]:
        again, more = max(0.0, filled - plan.fresh[c, t]), max(0.0, served - plan.fresh[p, t])
        energy += _spend(model, plan, c, t, FILL, again, whole)
        energy += _spend(model, plan, p, t, READ, more, whole)
    return energy


@kernel
def _words_of_units(model: Model, plan: Plan, t: int, share: float) -> float:
    """Return the least words of a tensor that go to compute units, or come from them; see `_serve_units`."""
    levels = len(model.pack)
    p, words = plan.parent[levels, t], float(model.computes) * share
    if model.kind[t] == SKEWED:
        return 1.0
    for r in range(model.coefficient.shape[1]):
        least, most, users = math.inf, 1.0, 0
        for d in range(len(model.bounds)):
            if model.coefficient[t, r, d] != 0 and model.bounds[d] > 1:
                shared = 1
                for j in range(p, levels):
                    shared *= plan.spread[j, d]
                users += 1
                most *= shared
                least = min(least, float(shared))
        if users > 1:
            words /= least if users == 2 else most
    return words


@kernel
def _serve_units(model: Model, plan: Plan, t: int, share: float) -> float:
    """Return the least energy of what compute units take, or give, of a tensor.

    `share`: the part of the operations for which a word is moved, as far as dimensions that do not index it
    are spread.
    """
    p, words = plan.parent[len(model.pack), t], _words_of_units(model, plan, t, share)
    if not model.output[t]:
        return _spend(model, plan, p, t, READ, words, True)
    energy = _spend(model, plan, p, t, UPDATE, words, True)
    if plan.sums[t]:
        energy += _spend(model, plan, p, t, READ, max(0.0, words - plan.fresh[p, t]), True)
    return energy


@kernel
def port_cycles(model: Model, plan: Plan, level: int) -> float:
    """Return the cycles that the ports of a level take at least: for what units move, and each element."""
    machine, read, write = model.machine, 0.0, 0.0
    for t in range(len(model.kind)):
        if not plan.keep[level, t]:
            continue
        once = plan.fresh[level, t] if model.kind[t] != SKEWED else 1.0
        words = once
        if plan.parent[len(model.pack), t] == level:
            share = 1.0
            for d in range(len(model.bounds)):
                if model.irrelevant[t, d]:
                    inside = 1
                    for j in range(level, len(model.pack)):
                        inside *= plan.spread[j, d]
                    share *= float(-(-model.bounds[d] // inside)) / model.bounds[d]
            words = _words_of_units(model, plan, t, share)
        scale = machine.scale[level, t]
        if t == machine.sums.output:
            scale = min(scale, machine.sums.scale[level])
        if model.output[t]:
            write += words * scale
            read += max(0.0, words - once) * scale if plan.sums[t] else 0.0
        else:
            read += words * scale
            write += once * scale if plan.parent[level, t] >= 0 else 0.0
    cycles = 0.0
    for port in range(3):
        if model.bandwidth[level, port] < math.inf:
            moved = (read, write, read + write)[port] / plan.units[level]
            cycles = max(cycles, moved / model.bandwidth[level, port])
    return math.ceil(cycles * (1 - ROUNDING))


@kernel
def serve_inside(model: Model, plan: Plan) -> float:
    """Return what compute units take of tensors that the innermost level keeps, and what they spend."""
    level, energy = len(model.pack) - 1, model.base
    for t in range(len(model.kind)):
        if plan.parent[level + 1, t] == level:
            share = 1.0
            for d in range(len(model.bounds)):
                if model.irrelevant[t, d]:
                    share *= float(-(-model.bounds[d] // plan.spread[level, d])) / model.bounds[d]
            energy += _serve_units(model, plan, t, share)
    return energy


@kernel
def serve_outside(model: Model, plan: Plan, start: Ints, shares: Floats) -> float:
    """Return what compute units take of other tensors; `start`, int64[D]: where innermost loops lead."""
    level, energy = len(model.pack) - 1, 0.0
    for t in range(len(model.kind)):
        p = plan.parent[level + 1, t]
        if p < level:
            share = 1.0
            for d in range(len(model.bounds)):
                if model.irrelevant[t, d]:
                    outside = 1
                    for j in range(p, level - 1):
                        outside *= plan.spread[j, d]
                    share *= max(shares[d, start[d]] / outside, 1.0 / model.bounds[d])
            energy += _serve_units(model, plan, t, share)
    return energy


@kernel
def share_of_units(begun: int, n: int, spread: int) -> float:
    """Return the passes of the unit that makes most, at least, if the innermost loop leaves n."""
    factor, left = -(-begun // n), -(-n // spread)
    if spread == 1:
        return float(begun)
    if n - (left - 1) * spread > 1:
        return float(left * factor)
    largest = (begun - 1) // (n - 1) if n > 1 else begun
    return float(max(begun - (n - left) * largest, (left - 1) * factor + 1))


@kernel
def count_networks(plan: Plan, d: int, first: int, end: int) -> int:
    """Return over how many networks below some levels a dimension is spread."""
    networks = 0
    for j in range(first, end):
        networks += plan.spread[j, d] > 1
    return networks


@kernel
def idle_share(bound: int, n: int, short: int, instances: int) -> float:
    """Return which part of a dimension at most is in the last tiles of instances that make a pass less."""
    if short == 0:
        return 0.0
    others = (n - 1) * instances + instances - short - 1
    largest = (bound - 1) // others if others > 0 else bound
    return min(1.0, float(short * largest) / bound)


@kernel
def last_share(bound: int, n: int) -> float:
    """Return which part of a dimension is in the last of n passes, at most."""
    return float(bound - (n - 1) * -(-bound // n)) / bound


@kernel
def spared_share(
    model: Model, grid: Grid, plan: Plan, idle: Ints, slot: int, level: int, point: int, d: int
) -> float:
    """Return which part of a tensor a loop over a dimension may leave where it is, at most."""
    n, bound = passes_left(grid, point, d), model.bounds[d]
    short, instances = count_idle(plan, idle, d, level, slot // len(model.kind))
    spared = idle_share(bound, n, short, instances)
    if level > 0 and n > 2:
        spared = max(spared, last_share(bound, n))
    return spared


@kernel
def holds(model: Model, plan: Plan, level: int, cover: Ints) -> bool:
    """Say whether a level has room for the tiles that loops cover."""
    capacity, held = model.machine.capacity[level], 0.0
    if capacity == UNLIMITED:
        return True
    for t in range(len(model.kind)):
        if not plan.keep[level, t]:
            continue
        words = 1.0
        for r in range(model.coefficient.shape[1]):
            side = 1
            for d in range(len(cover)):
                side += model.coefficient[t, r, d] * (min(cover[d], model.bounds[d]) - 1)
            words *= side
        held += words * model.machine.scale[level, t]
    return bool(held <= capacity * (1 + ROUNDING))
