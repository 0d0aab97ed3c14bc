"""Every mapping of a mapspace, in the most obvious way: all factors, then all orders of their loops."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from procrustes_model.mapper.constraints import KINDS, Constraints
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.problem import Problem
from tests.naive.imperfect_space import Parts, list_parts


def is_allowed(name: str, parts: Parts, architecture: Architecture, constraints: Constraints) -> bool:
    """Say whether the split of a dimension obeys the rules on factors."""
    for level, (temporal, _, x, _, y, _) in zip(architecture.levels, parts, strict=True):
        for rules in (rules for rules in constraints.levels if rules.level == level.name):
            for kind, factor in zip(KINDS, (temporal, x, y), strict=True):
                loops = rules.loops.get(kind)
                if loops is None:
                    continue
                if loops.dimensions is not None and name not in loops.dimensions and factor > 1:
                    return False
                if not all(rule.allows(factor) for rule in loops.factors if rule.dimension == name):
                    return False
    return True


def follows(order: tuple[str, ...], level: str, constraints: Constraints) -> bool:
    """Say whether the loops of a level, outermost first, stand as the rules say."""
    for rules in (rules for rules in constraints.levels if rules.level == level):
        wanted = rules.loops["temporal"].order if "temporal" in rules.loops else ()
        if [name for name in wanted if name in order] != [name for name in order if name in wanted]:
            return False
    return True


def list_mappings(
    architecture: Architecture, problem: Problem, constraints: Constraints, *, imperfect: bool
) -> Iterator[tuple[object, ...]]:
    """Yield every mapping: splits, orders, what is kept; fan-out together and capacity may be exceeded."""
    levels, names = architecture.levels, list(problem.dimensions)
    fanout = [architecture.fanout(i) for i in range(len(levels))]
    splits = []
    for name, bound in problem.dimensions.items():
        parts = list_parts(bound, fanout)
        if not imperfect:
            parts = [one for one in parts if all(p[::2] == p[1::2] for p in one)]
        splits.append([one for one in parts if is_allowed(name, one, architecture, constraints)])
    keeps = itertools.product(*[_kept(i, architecture, problem, constraints) for i in range(len(levels))])
    kept = list(keeps)
    for chosen in itertools.product(*splits):
        orders = []
        for i, level in enumerate(levels):
            looped = [name for name, parts in zip(names, chosen, strict=True) if parts[i][0] > 1]
            every = itertools.permutations(looped)
            orders.append([order for order in every if follows(order, level.name, constraints)])
        for order in itertools.product(*orders):
            for keep in kept:
                yield chosen, order, keep


def _kept(
    i: int, architecture: Architecture, problem: Problem, constraints: Constraints
) -> list[tuple[str, ...]]:
    level, tensors = architecture.levels[i], [tensor.name for tensor in problem.tensors]
    rules = next((rules for rules in constraints.levels if rules.level == level.name), None)
    found = []
    for count in range(len(tensors) + 1):
        for chosen in itertools.combinations(tensors, count):
            able = level.tensors is None or set(chosen) <= set(level.tensors) | set(
                rules.keep if rules else ()
            )
            obeys = rules is None or (set(rules.keep) <= set(chosen) and not set(rules.bypass) & set(chosen))
            if i == 0:
                able = obeys = len(chosen) == len(tensors)
            if able and obeys:
                found.append(chosen)
    return found
