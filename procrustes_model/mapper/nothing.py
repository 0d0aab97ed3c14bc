"""Why no mapping is valid: what each condition lets through, and which one is fatal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from procrustes_model.errors import Issue
from procrustes_model.mapper.constraints import Constraints, LoopRules
from procrustes_model.mapper.incumbent import OBJECTIVES, Incumbent
from procrustes_model.mapper.random_search import search_random
from procrustes_model.mapper.space import Space

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
                weaker.append((f"dimensions {' '.join(loops.dimensions)}", replace(loops, dimensions=None)))
            for words, rules in weaker:
                changed = replace(level, loops={**level.loops, kind: rules})
                less = replace(constraints, levels=(*before, changed, *after))
                yield f"'{level.level}' {kind} {words}", less
        for tensor in level.keep:
            changed = replace(level, keep=tuple(name for name in level.keep if name != tensor))
            less = replace(constraints, levels=(*before, changed, *after))
            yield f"'{level.level}' keep {tensor}", less


def _valid(space: Space) -> int:
    """Return how many valid mappings a short walk meets."""
    if any(space.count_factorisations(d) == 0 for d in range(len(space.model.bounds))):
        return 0
    incumbent = Incumbent(OBJECTIVES["edp"])
    search_random(space, incumbent, mappings=EFFORT)
    return incumbent.measured


def _least_capacity(space: Space, level: int) -> int | None:
    """Return the least capacity of a level with which a walk finds a valid mapping."""
    storage = space.architecture.levels[level]
    low = storage.capacity_words or 0
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


def _with_capacity(space: Space, level: int, words: int | None) -> Space:
    levels = list(space.architecture.levels)
    levels[level] = levels[level].model_copy(update={"capacity_words": words})
    architecture = space.architecture.model_copy(update={"levels": tuple(levels)})
    return Space(architecture, space.problem, space.constraints, space.design)


def _impossible_dimensions(space: Space) -> list[Issue]:
    """Return the dimensions whose bound cannot be written as factors that are allowed, with counts."""
    issues = []
    free = Space(space.architecture, space.problem, Constraints(), space.design)
    for d, name in enumerate(space.problem.dimensions):
        if space.count_factorisations(d):
            continue
        counts = []
        for words, rest in _without_rules(space.constraints):
            left = Space(space.architecture, space.problem, rest, space.design).count_factorisations(d)
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
    free = Space(space.architecture, space.problem, Constraints(), space.design)
    issues = [Issue(f"no mapping is valid, of {free.size():.3g} that the bounds and the fan-out allow")]
    if impossible := _impossible_dimensions(space):
        return issues + impossible
    for words, rest in _without_rules(space.constraints):
        if found := _valid(Space(space.architecture, space.problem, rest, space.design)):
            issues.append(
                Issue(
                    f"fatal: {words}",
                    f"without it {found:,} of {EFFORT:,} mappings tried are valid",
                    space.constraints.name,
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
                    f"fatal: capacity of '{storage.name}', {storage.capacity_words:,} words{nearest}",
                    f"without it {found:,} of {EFFORT:,} mappings tried are valid",
                    space.architecture.name,
                )
            )
    if len(issues) == 1:
        issues.append(Issue("no single condition is fatal: several together leave nothing"))
    return issues
