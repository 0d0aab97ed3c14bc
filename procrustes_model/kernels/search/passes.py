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

from procrustes_model.kernels.dense.arrays import Ints
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.search.arrays import SIMPLE, Goal, Model
from procrustes_model.kernels.search.goal import energy_limit, score
from procrustes_model.kernels.search.passes_arrays import AFTER, BLOCK, FACTOR, LAST, Grid, Labels, Plan
from procrustes_model.kernels.search.passes_bounds import fill_once, lead, lead_on
from procrustes_model.kernels.search.passes_cost import (
    ROUNDING,
    count_idle,
    count_networks,
    holds,
    idle_share,
    last_share,
    passes_left,
    price,
    serve_inside,
    serve_outside,
    spared_share,
)

NOWHERE, CROWDED = -1, -2
"""What `find_fewest_passes` returns in place of a label."""


@kernel
def _limit(model: Model, grid: Grid, plan: Plan, goal: Goal, level: int, point: int, steps: float) -> float:
    """Return the energy above which a label is of no interest."""
    for d in range(len(model.bounds)):
        outside = 1
        for j in range(level):
            outside *= plan.spread[j, d]
        steps *= -(-passes_left(grid, point, d) // outside)
    if model.work != 1.0:
        steps = math.ceil(steps * model.work * (1 - ROUNDING))
    steps = max(steps, plan.floor[0])
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
        if passes_left(grid, point, d) == 1:
            continue
        total = 0.0
        for slot in range(len(waiting)):
            if waiting[slot] == 0.0:
                continue
            t, share = slot % tensors, 0.0
            if not model.irrelevant[t, d]:
                share = 1.0 - spared_share(model, grid, plan, idle, slot, level, point, d)
                if share < 1.0 and labels.partly[row, slot] >> d & 1:
                    stays = level > 0 and passes_left(grid, point, d) > 2
                    stays = stays or count_networks(plan, d, level, slot // tensors) > 1
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
def _cross(model: Model, grid: Grid, plan: Plan, goal: Goal, labels: Labels, node: int, count: int) -> int:
    """Let tiles stand in the level, and pass the network outside of it; return how many labels there are."""
    level, point = labels.level[node], labels.point[node]
    if not plan.fits[level, point] or not holds(model, plan, level, labels.cover[node]):
        return count
    after = 0
    for d in range(len(model.bounds)):
        n = -(-passes_left(grid, point, d) // plan.spread[level - 1, d])
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
        spread, n = plan.spread[level - 1, d], passes_left(grid, after, d)
        labels.idle[count, level - 1, d] = spread * n - passes_left(grid, point, d) if spread > 1 else 0
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
    n, last, idle = passes_left(grid, point, d), move[LAST], labels.idle[node]
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
            spared = last_share(model.bounds[d], n)
        elif last == 2:
            short, instances = count_idle(plan, idle, d, level, slot // tensors)
            spared = idle_share(model.bounds[d], n, short, instances)
        again = labels.partly[node, slot] >> d & 1 != 0 and waiting < 1.0
        if again and last != 1 and count_networks(plan, d, level, slot // tensors) <= 1:
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
    waits = False
    for slot in range(labels.waiting.shape[1]):
        waits = waits or labels.waiting[node, slot] > 0.0
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
            if waits:
                _pay(model, grid, plan, labels, node, count, d, move)
                if labels.cost[count] > limit:
                    continue
            labels.steps[count], labels.point[count] = steps, after
            labels.cover[count, d] *= move[FACTOR]
            labels.dimension[count], labels.factor[count] = d, move[FACTOR]
            labels.used[count] = (labels.used[node] | 1 << d) & ~(1 << dimensions)
            if not waits:
                labels.used[count] |= (1 << (d + 1)) - 1
            if move[LAST] != 1:
                for j in range(labels.idle.shape[1]):
                    labels.idle[count, j, d] = 0
            count = _enter(labels, count)
    return count


@kernel
def _begin(model: Model, grid: Grid, plan: Plan, goal: Goal, labels: Labels) -> int:
    """Place all loops of the innermost level, which move nothing; return how many labels there are."""
    level, dimensions = len(model.pack) - 1, len(model.bounds)
    leads, passes, shares = lead(model, grid, plan)
    base = serve_inside(model, plan)
    labels.waiting[0], labels.partly[0], labels.idle[0], labels.used[0] = 0.0, 0, 0, 0
    labels.cover[0] = 1
    labels.cost[0], labels.steps[0], labels.level[0] = base, 1.0, level
    labels.before[0], labels.beside[0], labels.dimension[0], labels.factor[0] = -1, -1, -1, 1
    count, filled = 1, fill_once(model, grid, plan)
    for row in range(len(plan.starts)):
        if count >= len(labels.cost) - 2:
            return count
        if base + plan.filling[row] + plan.togo[level - 1, 0] > energy_limit(goal, 1.0):
            break
        point, after, steps, idle = lead_on(plan, leads, passes, row)
        if after < 0:
            continue
        if model.work != 1.0:
            steps = math.ceil(steps * model.work * (1 - ROUNDING))
        steps = max(steps, plan.floor[0])
        limit = energy_limit(goal, steps) * (1 + ROUNDING)
        spent = max(plan.filling[row], plan.once[level] if idle else filled)
        if base + spent + plan.togo[level - 1, after] > limit:
            continue
        cost = base + serve_outside(model, plan, plan.starts[row], shares)
        # what the innermost loops leave has a row of its own if anything follows from it
        _copy(labels, 0, count)
        labels.cost[count], labels.point[count], labels.steps[count] = cost, point, 1.0
        for d in range(dimensions):
            begun = -(-model.bounds[d] // plan.spread[level, d])
            factor = -(-begun // passes_left(grid, point, d))
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
        passes *= passes_left(grid, point, d)
    if waits and passes > 1.0:
        return math.inf
    if waits:
        for slot in range(labels.waiting.shape[1]):
            share = labels.waiting[node, slot]
            if share > 0.0:
                idle = labels.idle[node]
                labels.cost[node] += share * price(model, grid, plan, idle, slot, 0, point, 1.0, share == 1.0)
                labels.waiting[node, slot] = 0.0
    steps *= passes
    if model.work != 1.0:
        steps = math.ceil(steps * model.work * (1 - ROUNDING))
    steps = max(steps, plan.floor[0])
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
def find_fewest_passes(
    model: Model, grid: Grid, plan: Plan, goal: Goal, labels: Labels
) -> tuple[float, int, int]:
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
