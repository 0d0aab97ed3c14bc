"""Why no mapping is valid: what each condition lets through, and which one is fatal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import copy
from dataclasses import replace

from procrustes_model.errors import Issue
from procrustes_model.kernels.dense.arrays import UNLIMITED
from procrustes_model.mapper.deadline import OutOfTime
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.level_rules import Constraints, LevelRules, LoopRules
from procrustes_model.mapper.random_search import begin, make_ways, search_random
from procrustes_model.mapper.space import Space
from procrustes_model.objective import OBJECTIVES, Objective
from procrustes_model.vocabulary import Status

EFFORT = 10_000
"""Mappings that a walk looks at to find one that is valid without a condition."""


def _without_rules(constraints: Constraints) -> Iterator[tuple[str, Constraints]]:
    """Yield every single condition in words, with the constraints that are left without it."""
    if constraints.min_utilization:
        yield f"min_utilization {constraints.min_utilization}", replace(constraints, min_utilization=0.0)
    for i, level in enumerate(constraints.levels):
        before, after = constraints.levels[:i], constraints.levels[i + 1 :]
        for kind, loops in level.loops.items():
            weaker: list[tuple[str, LoopRules]] = []
            for k, rule in enumerate(loops.factors):
                rest = loops.factors[:k] + loops.factors[k + 1 :]
                weaker.append((str(rule), replace(loops, factors=rest)))
            if loops.dimensions is not None:
                only = " ".join(loops.dimensions) or "none"
                weaker.append((f"dimensions {only}", replace(loops, dimensions=None)))
            if loops.order:
                weaker.append((f"order {' '.join(loops.order)}", replace(loops, order=())))
            for words, rules in weaker:
                changed = replace(level, loops={**level.loops, kind: rules})
                less = replace(constraints, levels=(*before, changed, *after))
                yield f"'{level.level}' {kind} {words}", less
        for tensor in level.keep:
            changed = replace(level, keep=tuple(name for name in level.keep if name != tensor))
            less = replace(constraints, levels=(*before, changed, *after))
            yield f"'{level.level}' keep {tensor}", less
        for tensor in level.bypass:
            changed = replace(level, bypass=tuple(name for name in level.bypass if name != tensor))
            less = replace(constraints, levels=(*before, changed, *after))
            yield f"'{level.level}' bypass {tensor}", less


def _valid(space: Space) -> int:
    """Return how many valid mappings a short walk meets."""
    if any(space.count_factorisations(d) == 0 for d in range(len(space.model.bounds))):
        return 0
    incumbent = Incumbent(OBJECTIVES["edp"], space.deadline, power=space.power)
    space.deadline.check()
    search_random(space, incumbent, mappings=EFFORT)
    return incumbent.measured


def _best_share(space: Space) -> float:
    """Return the largest share of the compute units that a short walk meets."""
    incumbent = Incumbent(OBJECTIVES["cycles"], space.deadline, power=space.power)
    search_random(space, incumbent, mappings=EFFORT)
    used = 1 if incumbent.nests is None else math.prod(incumbent.nests.spatial.ravel().tolist())
    return used / space.architecture.instances(space.levels)


def _least_capacity(space: Space, level: int) -> int | None:
    """Return the least capacity of a level with which a walk finds a valid mapping."""
    storage = space.architecture.levels[level]
    low = storage.usable_words or 0
    high = low
    for _ in range(40):
        high *= 2
        if _valid(_with_capacity(space, level, high)):
            break
    else:
        return None
    while high - low > max(1, low // 100):
        middle = (low + high) // 2
        if _valid(_with_capacity(space, level, middle)):
            high = middle
        else:
            low = middle
    return high


def _is_beyond_counting(space: Space) -> bool:
    """Say whether counts exceed 2^62 where walks begin, with all loops at the outermost level."""
    nests = space.nests(1)
    begin(space, make_ways(space, space.freedom(), [0]), nests)
    found = space.cost.measure(nests) if space.cost is not None else space.evaluator.evaluate(*nests)
    return bool(found.status[0] == Status.OVERFLOW)


def _with_capacity(space: Space, level: int, words: int | None) -> Space:
    if space.design is not None:
        levels = list(space.architecture.levels)
        whole = None if words is None else words * levels[level].copies
        levels[level] = levels[level].model_copy(update={"capacity_words": whole})
        architecture = space.architecture.model_copy(update={"levels": tuple(levels)})
        return Space(architecture, space.problem, space.constraints, space.design, space.deadline)
    capacity = space.model.machine.capacity.copy()
    capacity[level] = UNLIMITED if words is None else words
    changed = copy(space)
    changed.model = space.model._replace(machine=space.model.machine._replace(capacity=capacity))
    return changed


def _with_fanout(space: Space, level: int) -> Space:
    """Return the space with as many instances below a level as there are operations."""
    fanout = space.model.machine.fanout.copy()
    fanout[level] = space.model.computes
    changed = copy(space)
    changed.model = space.model._replace(machine=space.model.machine._replace(fanout=fanout))
    return changed


def _with_rules(space: Space, constraints: Constraints) -> Space:
    """Return the space under other constraints, as far as walks and counts need it."""
    if space.design is not None:
        return Space(space.architecture, space.problem, constraints, space.design, space.deadline)
    return space.under(constraints)


def _impossible_dimensions(space: Space) -> list[Issue]:
    """Return the dimensions whose bound cannot be written as factors that are allowed, with counts."""
    issues = []
    free = _with_rules(space, Constraints())
    for d, name in enumerate(space.problem.dimensions):
        if space.count_factorisations(d):
            continue
        counts = []
        for words, rest in _without_rules(space.constraints):
            left = _with_rules(space, rest).count_factorisations(d)
            if left:
                counts.append(f"{words} (without it {left:,})")
        total = free.count_factorisations(d)
        fatal = ", ".join(counts) if counts else "several together"
        issues.append(
            Issue(
                f"no factorisation of {name}={space.problem.dimensions[name]} is left of {total:,}",
                f"fatal: {fatal}",
                space.constraints.name,
            )
        )
    return issues


def _lets_through(space: Space, free: int) -> Iterator[str]:
    """Say of every rule how many mappings it lets through where it is the only one."""
    for words, alone in _single_rules(space.constraints):
        size = _with_rules(space, alone).size()
        if size is not None and size < free:
            yield f"{words} {size:.3g}"


def _single_rules(constraints: Constraints) -> Iterator[tuple[str, Constraints]]:
    """Yield every rule on factors, dimensions or tensors in words, and as the only one."""
    for level in constraints.levels:
        for kind, loops in level.loops.items():
            single = [(str(rule), LoopRules((rule,))) for rule in loops.factors]
            if loops.dimensions is not None:
                only = " ".join(loops.dimensions) or "none"
                single.append((f"dimensions {only}", LoopRules((), loops.dimensions)))
            for words, rules in single:
                alone = LevelRules(level.level, {kind: rules})
                yield f"'{level.level}' {kind} {words}", Constraints((alone,))
        for tensor in level.keep:
            yield f"'{level.level}' keep {tensor}", Constraints((LevelRules(level.level, keep=(tensor,)),))
        for tensor in level.bypass:
            yield (
                f"'{level.level}' bypass {tensor}",
                Constraints((LevelRules(level.level, bypass=(tensor,)),)),
            )


def explain_limits(space: Space, objective: Objective) -> list[Issue]:
    """Return how far the limits of an objective are from what a short random walk finds.

    Parameters
    ----------
    space : Space
        In which a search found nothing within the limits.
    objective : Objective

    Returns
    -------
    list of Issue
        One per limit, with the least that the other one allows; empty where no mapping is valid at all, or
        there is no limit.
    """
    issues = []
    for name, limit in objective.limits:
        alone = OBJECTIVES[name]
        within = (
            replace(alone, most_energy=objective.most_energy)
            if name == "cycles"
            else replace(alone, most_cycles=objective.most_cycles)
        )
        for aim in (within, alone):
            incumbent = Incumbent(aim, space.deadline, power=space.power)
            space.deadline.check()
            search_random(space, incumbent, mappings=EFFORT)
            if incumbent.nests is not None:
                break
        if incumbent.nests is None:
            return []
        unit = OBJECTIVES[name].unit
        least = f"the least that {EFFORT:,} tried mappings take is {incumbent.value:,.10g} {unit}"
        if incumbent.value <= limit:
            least += "; search longer, or with the method 'optimal'"
        issues.append(Issue(f"no mapping was found with at most {limit:,.10g} {unit}", least))
    return issues


def explain(space: Space, objective: Objective, tried: str | None = None) -> list[Issue]:
    """Return why a search has found nothing, as far as there is time to find out.

    Parameters
    ----------
    space : Space
    objective : Objective
    tried : str, optional
        The budget of a search that knows nothing of what it did not try; None: it knows that there is none.

    Returns
    -------
    list of Issue
    """
    try:
        space.deadline.check()
        if issues := explain_limits(space, objective):
            return issues
        if tried is not None and not (_impossible_dimensions(space) or _is_beyond_counting(space)):
            # Rules may still leave nothing; random walks cannot tell.
            message = f"no mapping was found at random, with {tried}"
            hint = "method 'optimal' finds one, or says why none is valid; or more mappings"
            return [Issue(message, hint)]
        return explain_nothing(space)
    except OutOfTime:
        return [
            Issue(
                f"no mapping was found in {space.deadline.limit}",
                "more of it; without a limit, the reason is found where no mapping is valid",
            )
        ]


def explain_nothing(space: Space) -> list[Issue]:
    """Return what keeps every mapping of a space from being valid.

    Parameters
    ----------
    space : Space
        In which a search found nothing.

    Returns
    -------
    list of Issue
        First a summary; then each condition without which a short random walk finds valid mappings, with how
        many of those it looked at were valid, and for a capacity the least that was enough.
    """
    free = _with_rules(space, Constraints()).size()
    many = "" if free is None else f", of {free:.3g} that the bounds and the fan-out allow"
    issues = [Issue(f"no mapping is valid{many}")]
    if free is not None and (alone := list(_lets_through(space, free))):
        issues[0] = replace(issues[0], hint="each rule alone lets through: " + ", ".join(alone))
    if impossible := _impossible_dimensions(space):
        return issues + impossible
    for words, rest in _without_rules(space.constraints):
        if found := _valid(left := _with_rules(space, rest)):
            lost = space.constraints.min_utilization != rest.min_utilization
            nearest = f"; the nearest miss found uses {_best_share(left):.1%}" if lost else ""
            issues.append(
                Issue(
                    f"fatal: {words}{nearest}",
                    f"without it {found:,} of {EFFORT:,} mappings tried are valid",
                    space.constraints.name,
                )
            )
    for level, storage in enumerate(space.architecture.levels):
        columns, rows = space.architecture.fanout(level)
        if columns * rows > 1 and space.design is None and (found := _valid(_with_fanout(space, level))):
            issues.append(
                Issue(
                    f"fatal: fan-out of '{storage.name}', {columns} x {rows}",
                    f"without it {found:,} of {EFFORT:,} mappings tried are valid",
                    space.architecture.name,
                )
            )
    for level, storage in enumerate(space.architecture.levels):
        if storage.capacity_words is None:
            continue
        if found := _valid(_with_capacity(space, level, None)):
            need = _least_capacity(space, level)
            nearest = f"; the nearest miss needs {need:,} words" if need else ""
            issues.append(
                Issue(
                    f"fatal: capacity of '{storage.name}', {storage.usable_words:,} words{nearest}",
                    f"without it {found:,} of {EFFORT:,} mappings tried are valid",
                    space.architecture.name,
                )
            )
    if _is_beyond_counting(space):
        issues.append(Issue(f"fatal: {Status.OVERFLOW.text}", "smaller bounds, or more bandwidth"))
    if len(issues) == 1:
        issues.append(Issue("no single condition is fatal: several together leave nothing"))
    return issues
