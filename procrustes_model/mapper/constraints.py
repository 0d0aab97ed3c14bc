"""Constraints on mappings as the searches obey them."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Mapping as AbstractMapping
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from procrustes_model.errors import Issue, SpecError
from procrustes_model.kernels.dense.arrays import Bools, Ints
from procrustes_model.mapper.constraints_reader import read_constraints
from procrustes_model.mapper.level_rules import KINDS, Constraints, LevelRules, LoopRules
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.homes import find_home, may_keep
from procrustes_model.spec.problem import Problem
from procrustes_model.spec.text.document import open_document
from procrustes_model.spec.text.words import did_you_mean


@dataclass(frozen=True)
class Rules:
    """Constraints as arrays.

    Attributes
    ----------
    factors : bool[L, 3, D, n]
        Divisors allowed as factor: temporal, x, y.
    outside : bool[L, D, D]
        Whether the loop over the first dimension must be outside that over the second.
    keep : int64[L, T]
        1 keep, 0 bypass, -1 free.
    least_units : int
    """

    factors: Bools
    outside: Bools
    keep: Ints
    least_units: int


def load_constraints(
    source: str | os.PathLike[str] | AbstractMapping[str, Any] | Constraints | None,
    architecture: Architecture | None = None,
    problem: Problem | Sequence[Problem] | None = None,
) -> Constraints:
    """Return the constraints that a file, a shipped name or a dict describes.

    Parameters
    ----------
    source : path, str, mapping, Constraints or None
        A YAML file, a name, parsed content, or constraints, whose names are checked; None means none.
    architecture : Architecture, optional
    problem : Problem or sequence of Problem, optional
        What the names of levels, tensors and dimensions are checked against. Of several problems each must be
        one of some; `for_problem` then leaves to each what it has.

    Returns
    -------
    Constraints

    Raises
    ------
    SpecError
        With every issue found.
    """
    if source is None:
        return Constraints()
    problems = [problem] if isinstance(problem, Problem) else problem
    if isinstance(source, Constraints):
        if architecture is not None and problems is not None:
            _check_names(source, architecture, problems)
        return source
    return read_constraints(open_document(source, "constraints"), architecture, problems)


def _check_names(constraints: Constraints, architecture: Architecture, problems: Sequence[Problem]) -> None:
    """Raise where constraints made in Python name what does not exist."""
    levels = [level.name for level in architecture.levels]
    dimensions = [name for problem in problems for name in problem.dimensions]
    tensors = [tensor.name for problem in problems for tensor in problem.tensors]
    issues = []
    for rules in constraints.levels:
        named = [("level", (rules.level,), levels), ("tensor", (*rules.keep, *rules.bypass), tensors)]
        for loops in rules.loops.values():
            of_loops = (rule.dimension for rule in loops.factors)
            named.append(("dimension", (*of_loops, *loops.order, *(loops.dimensions or ())), dimensions))
        issues += [
            Issue(
                f"unknown {sort} '{name[:60]}'", did_you_mean(name, known), f"constraints {constraints.name}"
            )
            for sort, names, known in named
            for name in names
            if name not in known
        ]
    if issues:
        raise SpecError(list(dict.fromkeys(issues)))


def for_problem(constraints: Constraints, problem: Problem) -> Constraints:
    """Return constraints without the rules on dimensions and tensors that a problem lacks.

    Parameters
    ----------
    constraints : Constraints
        Made for several problems, such as those of the layers of a network.
    problem : Problem
    """
    tensors = {tensor.name for tensor in problem.tensors}
    levels = []
    for rules in constraints.levels:
        loops = {}
        for kind, one in rules.loops.items():
            only = one.dimensions
            loops[kind] = LoopRules(
                tuple(rule for rule in one.factors if rule.dimension in problem.dimensions),
                None if only is None else tuple(name for name in only if name in problem.dimensions),
                tuple(name for name in one.order if name in problem.dimensions),
            )
        keep, bypass = (
            tuple(name for name in names if name in tensors) for names in (rules.keep, rules.bypass)
        )
        levels.append(LevelRules(rules.level, loops, keep, bypass))
    return replace(constraints, levels=tuple(levels))


def with_machine(constraints: Constraints, architecture: Architecture) -> Constraints:
    """Return constraints with what the machine itself says of loops.

    Loops of levels that lie side by side stand at the last of them.
    """
    alone = {kind: LoopRules(dimensions=()) for kind in KINDS}
    own = (
        LevelRules(outer.name, alone)
        for outer, level in itertools.pairwise(architecture.levels)
        if level.beside
    )
    more = tuple(rules for rules in own if rules not in constraints.levels)
    return replace(constraints, levels=(*constraints.levels, *more)) if more else constraints


def make_rules(
    constraints: Constraints, architecture: Architecture, problem: Problem, divisors: Ints
) -> Rules:
    """Return constraints, and what the architecture itself demands, as arrays.

    Parameters
    ----------
    constraints : Constraints
    architecture : Architecture
    problem : Problem
    divisors : int64[D, n]

    Returns
    -------
    Rules
    """
    dimensions, tensors = list(problem.dimensions), [tensor.name for tensor in problem.tensors]
    names = [level.name for level in architecture.levels]
    factors = np.ones((len(names), 3, *divisors.shape), np.bool_)
    outside = np.zeros((len(names), len(dimensions), len(dimensions)), np.bool_)
    keep = np.array(
        [
            [-1 if may_keep(architecture, problem, level, tensor) else 0 for tensor in tensors]
            for level in range(len(names))
        ],
        np.int64,
    )
    for rules in constraints.levels:
        level = names.index(rules.level)
        for tensor in tensors:
            if tensor in rules.keep or tensor in rules.bypass:
                keep[level, tensors.index(tensor)] = int(tensor in rules.keep)
        for kind, loops in rules.loops.items():
            table = factors[level, KINDS.index(kind)]
            for d, name in enumerate(dimensions):
                if loops.dimensions is not None and name not in loops.dimensions:
                    table[d] &= divisors[d] == 1
            for rule in loops.factors:
                d = dimensions.index(rule.dimension)
                table[d] &= [rule.allows(int(factor)) for factor in divisors[d]]
            if kind == "temporal":
                for i, outer in enumerate(loops.order):
                    for inner in loops.order[i + 1 :]:
                        outside[level, dimensions.index(outer), dimensions.index(inner)] = True
    for t, tensor in enumerate(tensors):
        keep[find_home(architecture, problem, tensor), t] = 1
    units = architecture.instances(len(names))
    return Rules(factors, outside, keep, math.ceil(constraints.min_utilization * units - 1e-9))
