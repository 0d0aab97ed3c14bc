"""The least energy of all nests whose loops need not divide the bounds: a shortest path over passes left.

A dimension is split from the inside out. Of n passes that are left a loop of factor b leaves ceil(n / b),
whatever came before: so a point is how many passes of each dimension are left, in time and over instances
together. Where the innermost loop that moves a tile is placed, all words of the tensor are moved once in each
of the passes that are left in the dimensions that do not index it, and the path pays for that.

What is exact: shares of instances, also where some of them make a pass less (`Labels.idle`), the part of a
tensor that a loop of one iteration in its last pass does not move (`Labels.waiting`), and the last tile that
is charged as a whole one. What is a bound: tiles cover as little as leaves so many passes; windows move every
element once, and half of the repetitions may be spared; what is left by such a loop is left by the next one.
"""

from __future__ import annotations

import math

import numpy as np

from procrustes_model.kernels.dense.arrays import FILL, READ, UNLIMITED, UPDATE, Floats, Ints
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.search.arrays import SIMPLE, SKEWED, Goal, Model
from procrustes_model.kernels.search.goal import energy_limit, score
from procrustes_model.kernels.search.passes_arrays import AFTER, BLOCK, FACTOR, LAST, Grid, Labels, Plan

NOWHERE, CROWDED = -1, -2
"""What `find_fewest_passes` returns in place of a label."""

ROUNDING = 1e-12
"""Relative room for the rounding of sums."""


@kernel
def _passes(grid: Grid, point: int, d: int) -> int:
    """Return how many passes of a dimension are left at a point."""
    return int(grid.passes[d, point // grid.stride[d] % grid.counts[d]])


@kernel
def _spend(model: Model, plan: Plan, level: int, t: int, action: int, words: float, whole: bool) -> float:
    """Return the energy of accesses to words, in all instances of a level."""
    if whole and plan.whole[level, t] and plan.units[level] == 1.0:
        accesses = math.ceil(words / model.pack[level, t] * (1 - ROUNDING))
        return float(
            accesses * model.energy[level, t, action] + words * model.served[level, t, action]
        )
    return float(words * model.word[level, t, action])


@kernel
def _over(plan: Plan, idle: Ints, d: int, n: int, first: int, end: int) -> float:
    """Return how often n passes of a dimension are made by the instances below some levels, in all."""
    instances, networks, short = 1, 0, 0
    for j in range(first, end):
        if plan.spread[j, d] > 1:
            instances *= plan.spread[j, d]
            networks += 1
            short = idle[j, d]
    if networks > 1:
        short = instances - 1
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
        n = 1 if point < 0 else _passes(grid, point, d)
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
def _serve_units(model: Model, plan: Plan, t: int, share: float) -> float:
    """Return the least energy of what compute units take, or give, of a tensor.

    `share`: the part of the operations for which a word is moved, as far as dimensions that do not index it
    are spread.
    """
    levels = len(model.pack)
    p, words = plan.parent[levels, t], float(model.computes) * share
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
    if model.kind[t] == SKEWED:
        words = 1.0
    if not model.output[t]:
        return _spend(model, plan, p, t, READ, words, True)
    energy = _spend(model, plan, p, t, UPDATE, words, True)
    if plan.sums[t]:
        energy += _spend(model, plan, p, t, READ, max(0.0, words - plan.fresh[p, t]), True)
    return energy


@kernel
def _serve_inside(model: Model, plan: Plan) -> float:
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
def _serve_outside(model: Model, plan: Plan, start: Ints, shares: Floats) -> float:
    """Return what compute units take of the other tensors, if the innermost loops lead to a point, by indices."""
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
def _share_of_units(begun: int, n: int, spread: int) -> float:
    """Return the passes that the unit with most of them makes at least, of those that lead to n over instances."""
    factor, left = -(-begun // n), -(-n // spread)
    if spread == 1:
        return float(begun)
    if n - (left - 1) * spread > 1:
        return float(left * factor)
    largest = (begun - 1) // (n - 1) if n > 1 else begun
    return float(max(begun - (n - left) * largest, (left - 1) * factor + 1))


@kernel
def _idle(plan: Plan, idle: Ints, d: int, first: int, end: int) -> tuple[int, int]:
    """Return how many instances below some levels make a pass less at most, and how many there are."""
    instances, networks, short = 1, 0, 0
    for j in range(first, end):
        if plan.spread[j, d] > 1:
            instances *= plan.spread[j, d]
            networks += 1
            short = idle[j, d]
    return (instances - 1 if networks > 1 else short), instances


@kernel
def _count_networks(plan: Plan, d: int, first: int, end: int) -> int:
    """Return over how many networks below some levels a dimension is spread."""
    networks = 0
    for j in range(first, end):
        networks += plan.spread[j, d] > 1
    return networks


@kernel
def _idle_share(bound: int, n: int, short: int, instances: int) -> float:
    """Return which part of a dimension at most is in the last tiles of instances that make a pass less."""
    if short == 0:
        return 0.0
    others = (n - 1) * instances + instances - short - 1
    largest = (bound - 1) // others if others > 0 else bound
    return min(1.0, float(short * largest) / bound)


@kernel
def _last_share(bound: int, n: int) -> float:
    """Return which part of a dimension is in the last of n passes, at most."""
    return float(bound - (n - 1) * -(-bound // n)) / bound


@kernel
def _spared(model: Model, grid: Grid, plan: Plan, idle: Ints, slot: int, level: int, point: int, d: int) -> float:
    """Return which part of a tensor a loop over a dimension may leave where it is, at most."""
    n, bound = _passes(grid, point, d), model.bounds[d]
    short, instances = _idle(plan, idle, d, level, slot // len(model.kind))
    spared = _idle_share(bound, n, short, instances)
    if level > 0 and n > 2:
        spared = max(spared, _last_share(bound, n))
    return spared


@kernel
def _limit(model: Model, grid: Grid, plan: Plan, goal: Goal, level: int, point: int, steps: float) -> float:
    """Return the energy above which a label is of no interest."""
    for d in range(len(model.bounds)):
        outside = 1
        for j in range(level):
            outside *= plan.spread[j, d]
        steps *= -(-_passes(grid, point, d) // outside)
    if model.work != 1.0:
        steps = math.ceil(steps * model.work * (1 - ROUNDING))
    return energy_limit(goal, steps) * (1 + ROUNDING)


@kernel
def _hope(
    model: Model, grid: Grid, plan: Plan, labels: Labels, row: int, level: int, point: int
) -> tuple[float, float]:  # fmt: skip
    """Return the least energy of all that waits: if a loop of the level comes next, and if a boundary does.

    Fills in `full` and `least`.
    """
    tensors, dimensions = len(model.kind), len(model.bounds)
    idle, waiting, none = labels.idle[row], labels.waiting[row], 0.0
    some = False
    for slot in range(len(waiting)):
        if waiting[slot] == 0.0:
            continue
        some = True
        whole = waiting[slot] == 1.0
        labels.full[slot] = price(model, grid, plan, idle, slot, level, point, 1.0, whole)
        labels.least[slot] = price(model, grid, plan, idle, slot, level, -1, 1.0, False)
        none += waiting[slot] * labels.least[slot]
    if not some:
        return 0.0, 0.0
    best = further = math.inf
    for d in range(dimensions):
        if _passes(grid, point, d) == 1:
            continue
        total = 0.0
        for slot in range(len(waiting)):
            if waiting[slot] == 0.0:
                continue
            t, share = slot % tensors, 0.0
            if not model.irrelevant[t, d]:
                share = 1.0 - _spared(model, grid, plan, idle, slot, level, point, d)
                if share < 1.0 and labels.partly[row, slot] >> d & 1:
                    stays = level > 0 and _passes(grid, point, d) > 2
                    stays = stays or _count_networks(plan, d, level, slot // tensors) > 1
                    share = 0.0 if stays else 1.0
                elif share < 1.0 and model.kind[t] != SIMPLE:
                    share = 0.5
            part = share * labels.full[slot] + (1.0 - share) * labels.least[slot]
            total += waiting[slot] * part
        further = min(further, total)
        if not labels.used[row] >> d & 1:
            best = min(best, total)
    if plan.units[level] > 1.0 or further == math.inf:  # more instances may share what comes next
        further = none
    return best, further


@kernel
def _is_replaced(labels: Labels, one: int, other: int) -> bool:
    """Say whether a label is no worse than another one of its point, so that the other is not needed."""
    if labels.cost[one] > labels.cost[other] or labels.steps[one] > labels.steps[other]:
        return False
    if labels.used[one] & ~labels.used[other]:
        return False
    if labels.level[one] > 0:
        for d in range(labels.cover.shape[1]):
            if labels.cover[one, d] > labels.cover[other, d]:
                return False
    waits = False
    for slot in range(labels.waiting.shape[1]):
        if labels.waiting[one, slot] > labels.waiting[other, slot]:
            return False
        if labels.waiting[one, slot] > 0.0:
            waits = True
            if labels.waiting[other, slot] < 1.0 and labels.partly[other, slot] & ~labels.partly[one, slot]:
                return False
    if waits:
        for level in range(labels.idle.shape[1]):
            for d in range(labels.idle.shape[2]):
                if labels.idle[one, level, d] < labels.idle[other, level, d]:
                    return False
    return True


@kernel
def _enter(labels: Labels, count: int) -> int:
    """Keep the label in row `count` unless another one is as good; return how many labels there are."""
    side, point = labels.level[count] & 1, labels.point[count]
    other = labels.heads[side, point]
    while other >= 0:
        if _is_replaced(labels, other, count):
            return count
        other = labels.beside[other]
    other = labels.heads[side, point]
    while other >= 0:
        if _is_replaced(labels, count, other):
            labels.cost[other] = math.inf
        other = labels.beside[other]
    labels.beside[count], labels.heads[side, point] = labels.heads[side, point], count
    labels.blocks[side, point // BLOCK] = True
    return count + 1


@kernel
def _copy(labels: Labels, source: int, row: int) -> None:
    """Fill in a row with what it has of the label before."""
    labels.cost[row], labels.steps[row] = labels.cost[source], labels.steps[source]
    labels.waiting[row] = labels.waiting[source]
    labels.partly[row] = labels.partly[source]
    labels.cover[row] = labels.cover[source]
    labels.idle[row] = labels.idle[source]
    labels.level[row], labels.before[row] = labels.level[source], source


@kernel
def _holds(model: Model, plan: Plan, level: int, cover: Ints) -> bool:
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


@kernel
def _cross(model: Model, grid: Grid, plan: Plan, goal: Goal, labels: Labels, node: int, count: int) -> int:
    """Let tiles stand in the level, and pass the network outside of it; return how many labels there are."""
    level, point = labels.level[node], labels.point[node]
    if not plan.fits[level, point] or not _holds(model, plan, level, labels.cover[node]):
        return count
    after = 0
    for d in range(len(model.bounds)):
        n = -(-_passes(grid, point, d) // plan.spread[level - 1, d])
        after += grid.at[d, n] * grid.stride[d]
    dimensions = len(model.bounds)
    cost, togo = labels.cost[node], plan.togo[level - 1, after]
    limit = _limit(model, grid, plan, goal, level - 1, after, labels.steps[node]) - togo
    if cost + plan.once[level] > limit:
        return count
    _copy(labels, node, count)
    labels.point[count], labels.level[count], labels.used[count] = after, level - 1, 1 << dimensions
    labels.dimension[count], labels.factor[count] = -1, 1
    for t in range(len(model.kind)):
        if plan.keep[level, t] and plan.parent[level, t] >= 0:
            labels.waiting[count, level * len(model.kind) + t] = 1.0
            labels.partly[count, level * len(model.kind) + t] = 0
    for d in range(dimensions):
        labels.cover[count, d] *= plan.spread[level - 1, d]
        spread, n = plan.spread[level - 1, d], _passes(grid, after, d)
        labels.idle[count, level - 1, d] = spread * n - _passes(grid, point, d) if spread > 1 else 0
    some, further = _hope(model, grid, plan, labels, count, level - 1, after)
    if cost + (min(some, further) if level > 1 or some == math.inf else some) > limit:
        return count
    return _enter(labels, count)


@kernel
def _pay(
    model: Model, grid: Grid, plan: Plan, labels: Labels, node: int, count: int, d: int, move: Ints
) -> None:  # fmt: skip
    """Fill in what a loop over a dimension costs, and what waits after it, in row `count`."""
    tensors, level, point = len(model.kind), labels.level[node], labels.point[node]
    n, last, idle = _passes(grid, point, d), move[LAST], labels.idle[node]
    ends = move[AFTER] == grid.counts[d] - 1
    alone = labels.used[node] >> len(model.bounds) & 1 != 0
    for other in range(len(model.bounds)):
        alone = alone and plan.spread[level, other] == 1
    for slot in range(labels.waiting.shape[1]):
        waiting, t = labels.waiting[node, slot], slot % tensors
        if waiting == 0.0 or model.irrelevant[t, d]:
            continue
        spared = 0.0
        if last == 1 and not ends:
            spared = _last_share(model.bounds[d], n)
        elif last == 2:
            short, instances = _idle(plan, idle, d, level, slot // tensors)
            spared = _idle_share(model.bounds[d], n, short, instances)
        again = labels.partly[node, slot] >> d & 1 != 0 and waiting < 1.0
        if again and last != 1 and _count_networks(plan, d, level, slot // tensors) <= 1:
            spared = 0.0  # what waits is of instances that make all passes
        if spared > 0.0 and waiting == 1.0:  # nothing is repeated: there is nothing to be spared
            none = price(model, grid, plan, idle, slot, level, -1, 1.0, True)
            spared = 0.0 if labels.full[slot] <= none else spared
        if spared == 0.0:
            full, least_tile = labels.full[slot], -(-model.bounds[d] // n)
            if alone and slot // tensors == level + 1 and last >= 3 and model.kind[t] == SIMPLE:
                scale = float(n * least_tile) / model.bounds[d]
                if scale > 1.0:
                    full = price(model, grid, plan, idle, slot, level, point, scale, waiting == 1.0)
            labels.cost[count] += waiting * full
            labels.waiting[count, slot] = 0.0
        elif model.kind[t] == SIMPLE and not again:
            full = price(model, grid, plan, idle, slot, level, point, 1.0, False)
            labels.cost[count] += (1.0 - spared) * waiting * full
            labels.waiting[count, slot] *= spared
            labels.partly[count, slot] |= 1 << d
        elif model.kind[t] != SIMPLE:
            full = price(model, grid, plan, idle, slot, level, point, 1.0, False)
            labels.cost[count] += 0.5 * waiting * (full + labels.least[slot])
            labels.waiting[count, slot] = 0.0


@kernel
def _place(model: Model, grid: Grid, plan: Plan, goal: Goal, labels: Labels, node: int, count: int) -> int:
    """Place one more loop of a level outside a label; return how many labels there are."""
    level, point, dimensions = labels.level[node], labels.point[node], len(model.bounds)
    idle_before = False
    for slot in range(labels.waiting.shape[1]):
        idle_before = idle_before or labels.waiting[node, slot] > 0.0
    for d in range(dimensions):
        index = point // grid.stride[d] % grid.counts[d]
        if index == grid.counts[d] - 1 or labels.used[node] >> d & 1:
            continue
        for i in range(grid.first[d, index], grid.first[d, index + 1]):
            move = grid.moves[d, i]
            if level == 0 and move[AFTER] != grid.counts[d] - 1:
                continue
            after = point + (move[AFTER] - index) * grid.stride[d]
            steps = labels.steps[node] * (move[FACTOR] if plan.timed else 1)
            limit = _limit(model, grid, plan, goal, level, after, steps) - plan.togo[level, after]
            if labels.cost[node] > limit:
                continue
            if count >= len(labels.cost) - 1:
                return count
            _copy(labels, node, count)
            if idle_before:
                _pay(model, grid, plan, labels, node, count, d, move)
                if labels.cost[count] > limit:
                    continue
            labels.steps[count], labels.point[count] = steps, after
            labels.cover[count, d] *= move[FACTOR]
            labels.dimension[count], labels.factor[count] = d, move[FACTOR]
            labels.used[count] = (labels.used[node] | 1 << d) & ~(1 << dimensions)
            if not idle_before:
                labels.used[count] |= (1 << (d + 1)) - 1
            if move[LAST] != 1:
                for j in range(labels.idle.shape[1]):
                    labels.idle[count, j, d] = 0
            count = _enter(labels, count)
    return count


@kernel
def _lead(model: Model, grid: Grid, plan: Plan) -> tuple[Ints, Floats, Floats]:
    """Return where the innermost loops and the network outside of them lead, by dimension and index.

    Returns
    -------
    int64[3, D, n]
        The part of the point inside that network, and outside, -1 where no loop leads there; whether some
        instances never work.
    float64[D, n]
        Iterations of the loop, and what is left outside at least.
    float64[D, n]
        The part of the operations over the dimension that the unit with most of them does.
    """
    dimensions, longest = grid.passes.shape
    level = len(model.pack) - 1
    leads, steps = np.full((3, dimensions, longest), -1), np.ones((dimensions, longest))
    shares = np.ones((dimensions, longest))
    for d in range(dimensions):
        begun, outside = -(-model.bounds[d] // plan.spread[level, d]), 1
        for j in range(level):
            outside *= plan.spread[j, d]
        # a loop inside of which all that stands stays where it is may as well be the next one further out
        free = plan.spread[level - 1, d] > 1
        for t in range(len(model.kind)):
            free = free or (plan.keep[level, t] and not model.irrelevant[t, d])
        for i in range(grid.counts[d]):
            n = grid.passes[d, i]
            factor = -(-begun // n)
            if -(-begun // factor) == n and (free or n == begun):
                leads[0, d, i] = i * grid.stride[d]
                leads[1, d, i] = grid.at[d, -(-n // plan.spread[level - 1, d])] * grid.stride[d]
                leads[2, d, i] = plan.spread[level - 1, d] > n
                steps[d, i] = float(factor * -(-n // outside))
                shares[d, i] = _share_of_units(begun, n, plan.spread[level - 1, d]) / model.bounds[d]
    return leads, steps, shares


@kernel
def _fill_once(model: Model, grid: Grid, plan: Plan) -> float:
    """Return the least energy of filling the innermost level in all instances, if all of them work."""
    level, energy = len(model.pack) - 1, 0.0
    idle = np.zeros((level + 1, len(model.bounds)), np.int64)
    for t in range(len(model.kind)):
        if plan.keep[level, t] and plan.parent[level, t] >= 0:
            slot = level * len(model.kind) + t
            energy += price(model, grid, plan, idle, slot, level - 1, -1, 1.0, False)
    return max(energy, plan.once[level])


@kernel
def spread_out(model: Model, plan: Plan, spread: Ints) -> None:
    """Let a plan spread loops over instances as `spread`, int64[L, D], says."""
    levels, dimensions = spread.shape
    plan.spread[:] = spread
    plan.units[0] = 1.0
    for level in range(levels):
        plan.units[level + 1] = plan.units[level]
        for d in range(dimensions):
            plan.units[level + 1] *= spread[level, d]
        for t in range(len(model.kind)):
            plan.fresh[level, t] = plan.elements[t]
            for d in range(dimensions):
                outside = 1
                for j in range(level):
                    outside *= spread[j, d]
                if model.irrelevant[t, d]:
                    plan.fresh[level, t] *= min(outside, model.bounds[d])


@kernel
def _bound_spread(model: Model, grid: Grid, plan: Plan, goal: Goal) -> float:
    """Return what the objective of no nest falls below that keeps and spreads as a plan says."""
    level, dimensions = len(model.pack) - 1, len(model.bounds)
    leads, passes, shares = _lead(model, grid, plan)
    base, least, most = _serve_inside(model, plan), math.inf, goal.value * (1 + ROUNDING)
    filled = _fill_once(model, grid, plan)
    fewest = np.ones((dimensions, 1))
    for d in range(dimensions):
        for i in range(grid.counts[d]):
            fewest[d, 0] = min(fewest[d, 0], shares[d, i])
    base += _serve_outside(model, plan, np.zeros(dimensions, np.int64), fewest)
    if score(goal, base + filled + plan.togo[level - 1, 0], 1.0) > most:
        return math.inf
    for row in range(len(plan.starts)):
        energy = base + plan.filling[row] + plan.togo[level - 1, 0]
        if score(goal, energy, 1.0) > most or score(goal, energy, 1.0) > least:
            break
        after, steps, idle = 0, 1.0, False
        for d in range(dimensions):
            i = plan.starts[row, d]
            idle = idle or leads[2, d, i] > 0
            part = leads[1, d, i]
            after = after + part if part >= 0 and after >= 0 else -1
            steps *= passes[d, i]
        if after < 0:
            continue
        if model.work != 1.0:
            steps = math.ceil(steps * model.work * (1 - ROUNDING))
        energy = base + plan.togo[level - 1, after]
        energy += max(plan.filling[row], plan.once[level] if idle else filled)
        if energy > goal.most_energy or steps > goal.most_cycles:
            continue
        value = score(goal, energy + goal.power * steps, steps)
        if value <= most:
            least = min(least, value)
    return least


@kernel
def bound_spreads(
    model: Model, grid: Grid, plan: Plan, goal: Goal, spreads: Ints, scores: Floats
) -> None:  # fmt: skip
    """Find what the objective of no nest falls below, for many ways to spread loops over instances.

    Parameters
    ----------
    model : Model
    grid : Grid
    plan : Plan
        Changed.
    goal : Goal
    spreads : int64[n, L, D]
    scores : float64[n]
        What is known. Grows; infinite above the goal.
    """
    for way in range(len(spreads)):
        if scores[way] <= goal.value:
            spread_out(model, plan, spreads[way])
            scores[way] = max(scores[way], _bound_spread(model, grid, plan, goal))


@kernel
def _begin(model: Model, grid: Grid, plan: Plan, goal: Goal, labels: Labels) -> int:
    """Place all loops of the innermost level, which move nothing; return how many labels there are."""
    level, dimensions = len(model.pack) - 1, len(model.bounds)
    leads, passes, shares = _lead(model, grid, plan)
    base = _serve_inside(model, plan)
    labels.waiting[0], labels.partly[0], labels.idle[0], labels.used[0] = 0.0, 0, 0, 0
    labels.cover[0] = 1
    labels.cost[0], labels.steps[0], labels.level[0] = base, 1.0, level
    labels.before[0], labels.beside[0], labels.dimension[0], labels.factor[0] = -1, -1, -1, 1
    count, filled = 1, _fill_once(model, grid, plan)
    for row in range(len(plan.starts)):
        if count >= len(labels.cost) - 2:
            return count
        if base + plan.filling[row] + plan.togo[level - 1, 0] > energy_limit(goal, 1.0):
            break
        point, after, steps, idle = 0, 0, 1.0, False
        for d in range(dimensions):
            i = plan.starts[row, d]
            idle = idle or leads[2, d, i] > 0
            part = leads[1, d, i]
            after = after + part if part >= 0 and after >= 0 else -1
            point += leads[0, d, i]
            steps *= passes[d, i]
        if after < 0:
            continue
        if model.work != 1.0:
            steps = math.ceil(steps * model.work * (1 - ROUNDING))
        limit = energy_limit(goal, steps) * (1 + ROUNDING)
        spent = max(plan.filling[row], plan.once[level] if idle else filled)
        if base + spent + plan.togo[level - 1, after] > limit:
            continue
        cost = base + _serve_outside(model, plan, plan.starts[row], shares)
        # what the innermost loops leave has a row of its own if anything follows from it
        _copy(labels, 0, count)
        labels.cost[count], labels.point[count], labels.steps[count] = cost, point, 1.0
        for d in range(dimensions):
            begun = -(-model.bounds[d] // plan.spread[level, d])
            factor = -(-begun // _passes(grid, point, d))
            labels.cover[count, d] = factor * plan.spread[level, d]
            labels.steps[count] *= factor if plan.timed else 1
        labels.used[count] = 0
        labels.dimension[count], labels.factor[count], labels.beside[count] = -1, 1, -1
        if _cross(model, grid, plan, goal, labels, count, count + 1) > count + 1:
            count += 2
    return count


@kernel
def _end(model: Model, grid: Grid, plan: Plan, labels: Labels, node: int, goal: Goal) -> float:
    """Return the objective of a label all of whose tiles have been moved, or none is moved any more."""
    point, waits = labels.point[node], False
    for slot in range(labels.waiting.shape[1]):
        waits = waits or labels.waiting[node, slot] > 0.0
    steps, passes = labels.steps[node], 1.0
    for d in range(len(model.bounds)):
        passes *= _passes(grid, point, d)
    if waits and passes > 1.0:
        return math.inf
    if waits:
        for slot in range(labels.waiting.shape[1]):
            share = labels.waiting[node, slot]
            if share > 0.0:
                idle = labels.idle[node]
                labels.cost[node] += share * price(
                    model, grid, plan, idle, slot, 0, point, 1.0, share == 1.0
                )
                labels.waiting[node, slot] = 0.0
    steps *= passes
    if model.work != 1.0:
        steps = math.ceil(steps * model.work * (1 - ROUNDING))
    return score(goal, labels.cost[node] + goal.power * steps, steps)


@kernel
def _go_on(
    model: Model, grid: Grid, plan: Plan, goal: Goal, labels: Labels, node: int, count: int
) -> tuple[float, int]:  # fmt: skip
    """Follow a label; return its objective, infinite where it does not end, and how many labels there are."""
    level, point = labels.level[node], labels.point[node]
    if level == 0:
        value = _end(model, grid, plan, labels, node, goal)
        if value < math.inf:
            return value, count
    some, further = _hope(model, grid, plan, labels, node, level, point)
    limit = _limit(model, grid, plan, goal, level, point, labels.steps[node])
    if labels.cost[node] + some + plan.togo[level, point] <= limit:
        count = _place(model, grid, plan, goal, labels, node, count)
    if level > 0 and labels.cost[node] + further <= limit:
        count = _cross(model, grid, plan, goal, labels, node, count)
    return math.inf, count


@kernel
def find_fewest_passes(model: Model, grid: Grid, plan: Plan, goal: Goal, labels: Labels) -> tuple[float, int, int]:
    """Find the best path of one choice of what levels keep and one way to spread.

    Parameters
    ----------
    model : Model
    grid : Grid
    plan : Plan
    goal : Goal
        What a path must not exceed.
    labels : Labels

    Returns
    -------
    score : float
        The least objective; infinite where none is within the goal.
    label : int
        Where the path ends; NOWHERE without one, CROWDED where there was no room.
    work : int
        Points and labels that were looked at.
    """
    levels, points = len(model.pack), plan.fits.shape[1]
    count = _begin(model, grid, plan, goal, labels)
    best, found, most = math.inf, NOWHERE, len(labels.cost) - 2
    for level in range(levels - 2, -1, -1):
        heads, blocks = labels.heads[level & 1], labels.blocks[level & 1]
        for block in range(len(blocks)):
            if not blocks[block]:
                continue
            for point in range(block * BLOCK, min((block + 1) * BLOCK, points)):
                node = heads[point]
                heads[point] = -1
                while node >= 0:
                    if labels.cost[node] < math.inf and count < most:
                        value, count = _go_on(model, grid, plan, goal, labels, node, count)
                        if value < best:
                            best, found = value, node
                    node = labels.beside[node]
            blocks[block] = False
    if count >= most:
        return math.inf, CROWDED, count
    return best, found, count + len(plan.starts)
