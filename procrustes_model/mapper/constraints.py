"""Constraints on mappings: as a user writes them, and as the searches obey them."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, Ints
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.problem import Problem
from procrustes_model.spec.text.document import Document, open_document, unknown_key
from procrustes_model.spec.text.words import PAIRS, did_you_mean, shorten
from procrustes_model.spec.text.yaml_text import Path

KINDS = ("temporal", "spatial_x", "spatial_y")
_FACTOR = re.compile(r"([^\s,=<>]+)\s*(=|<=|>=)\s*(\d+)")
_KEYS = ("factors", "order", "dimensions")


@dataclass(frozen=True)
class FactorRule:
    """A bound on one factor.

    Attributes
    ----------
    dimension : str
    relation : str
        '=', '<=' or '>='.
    value : int
    """

    dimension: str
    relation: str
    value: int

    def allows(self, factor: int) -> bool:
        """Say whether `factor` obeys the rule."""
        if self.relation == "=":
            return factor == self.value
        return factor <= self.value if self.relation == "<=" else factor >= self.value

    def __str__(self) -> str:
        return f"{self.dimension}{self.relation}{self.value}"


@dataclass(frozen=True)
class LoopRules:
    """Rules for the loops of one kind at one level.

    Attributes
    ----------
    factors : tuple of FactorRule
    dimensions : tuple of str, optional
        The only dimensions that may have a loop; None means any.
    order : tuple of str
        Dimensions in the order in which their loops must nest, outermost first; others stand anywhere.
    """

    factors: tuple[FactorRule, ...] = ()
    dimensions: tuple[str, ...] | None = None
    order: tuple[str, ...] = ()


@dataclass(frozen=True)
class LevelRules:
    """Rules for one level.

    Attributes
    ----------
    level : str
    loops : dict
        'temporal', 'spatial_x', 'spatial_y' to `LoopRules`.
    keep, bypass : tuple of str
        Tensors that must, or must not, be kept; the others are free.
    """

    level: str
    loops: dict[str, LoopRules] = field(default_factory=dict)
    keep: tuple[str, ...] = ()
    bypass: tuple[str, ...] = ()


@dataclass(frozen=True)
class Constraints:
    """All rules that a search obeys.

    Attributes
    ----------
    levels : tuple of LevelRules
    min_utilization : float
        Least share of the compute units that a mapping must use.
    name : str
    """

    levels: tuple[LevelRules, ...] = ()
    min_utilization: float = 0.0
    name: str = "constraints"


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


def _words(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(value.replace(",", " ").split())
    return tuple(str(item) for item in value or ())


class _Reader:
    """Turns a document into `Constraints`, noting every issue with its place.

    Without an architecture and a problem, only the form is checked.
    """

    def __init__(
        self, document: Document, architecture: Architecture | None, problem: Problem | None
    ) -> None:
        self.document, self.architecture, self.problem = document, architecture, problem
        self.levels = [level.name for level in architecture.levels] if architecture else None
        self.dimensions = list(problem.dimensions) if problem else None
        self.tensors = [tensor.name for tensor in problem.tensors] if problem else None

    def names(self, value: Any, known: list[str] | None, what: str, path: Path) -> tuple[str, ...]:
        names = _words(value)
        for name in names:
            if known is not None and name not in known:
                self.document.complain(path, f"unknown {what} '{name}'", did_you_mean(name, known))
        return tuple(name for name in names if known is None or name in known)

    def keys(self, content: AbstractMapping[str, Any], known: tuple[str, ...], path: Path) -> None:
        for key in content:
            if key not in known:
                unknown_key(self.document, (*path, key), list(known))

    def pairs(self, value: Any, path: Path) -> AbstractMapping[str, Any]:
        if isinstance(value, AbstractMapping):
            return value
        self.document.complain(path, f"must be {PAIRS}, is {shorten(value)}")
        return {}

    def factors(self, value: Any, path: Path) -> tuple[FactorRule, ...]:
        text = value if isinstance(value, str) else " ".join(_words(value))
        rules = []
        for name, relation, number in _FACTOR.findall(text):
            if self.names([name], self.dimensions, "dimension", path):
                rules.append(FactorRule(name, relation, int(number[:20])))
        rest = _FACTOR.sub(" ", text).replace(",", " ").strip()
        if rest:
            self.document.complain(
                path, f"'{rest[:60]}' is no rule for a factor", "write K=16, K<=16 or K>=2"
            )
        return tuple(rules)

    def loops(self, content: Any, path: Path) -> LoopRules:
        if not isinstance(content, AbstractMapping):
            return LoopRules(self.factors(content, path))
        self.keys(content, _KEYS, path)
        only, order = content.get("dimensions"), _words(content.get("order"))
        for name in dict.fromkeys(name for name in order if order.count(name) > 1):
            self.document.complain((*path, "order"), f"'{name}' stands twice in this order", "once is enough")
        return LoopRules(
            self.factors(content.get("factors") or "", (*path, "factors")),
            None if only is None else self.names(only, self.dimensions, "dimension", (*path, "dimensions")),
            self.names(content.get("order"), self.dimensions, "dimension", (*path, "order")),
        )

    def level(self, value: Any, path: Path) -> LevelRules | None:
        content = self.pairs(value, path)
        self.keys(content, ("level", *KINDS, "keep", "bypass"), path)
        if "level" not in content:
            self.document.complain(path, "the level that is constrained is missing", "write level: NAME")
            return None
        name = str(content["level"])
        if not self.names([name], self.levels, "level", (*path, "level")):
            return None
        rules = {kind: self.loops(content[kind], (*path, kind)) for kind in KINDS if kind in content}
        keep = self.names(content.get("keep"), self.tensors, "tensor", (*path, "keep"))
        bypass = self.names(content.get("bypass"), self.tensors, "tensor", (*path, "bypass"))
        self.check_keep(name, keep, bypass, path)
        return LevelRules(name, rules, keep, bypass)

    def check_keep(self, name: str, keep: tuple[str, ...], bypass: tuple[str, ...], path: Path) -> None:
        for tensor in keep:
            if tensor in bypass:
                self.document.complain((*path, "bypass"), f"'{tensor}' cannot be both kept and bypassed")
        if self.architecture is None or self.levels is None:
            return
        allowed = self.architecture.levels[self.levels.index(name)].tensors
        for tensor in keep:
            if allowed is not None and tensor not in allowed:
                self.document.complain(
                    (*path, "keep"),
                    f"{name} cannot keep '{tensor}': the architecture allows {', '.join(allowed)}",
                )
        if bypass and self.levels[0] == name:
            self.document.complain(
                (*path, "bypass"), "the outermost level keeps every tensor", "remove the bypass"
            )

    def read(self) -> Constraints:
        content, path = self.document.section("constraints"), ("constraints",)
        self.keys(content, ("name", "min_utilization", "levels"), path)
        share = content.get("min_utilization", 0.0)
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            self.document.complain(
                (*path, "min_utilization"),
                f"'min_utilization' must be a number from 0 to 1, is {shorten(share)}",
            )
            share = 0.0
        written = content.get("levels") or ()
        if not isinstance(written, list | tuple):
            self.document.complain((*path, "levels"), f"'levels' must be a list, is {shorten(written)}")
            written = ()
        rules = [self.level(level, (*path, "levels", i)) for i, level in enumerate(written)]
        seen: set[str] = set()
        for i, rule in enumerate(rules):
            if rule and rule.level in seen:
                self.document.complain((*path, "levels", i), f"level '{rule.level}' stands twice")
            if rule:
                seen.add(rule.level)
        self.document.raise_issues()
        return Constraints(
            tuple(rule for rule in rules if rule), float(share), str(content.get("name", "constraints"))
        )


def load_constraints(
    source: str | os.PathLike[str] | AbstractMapping[str, Any] | Constraints | None,
    architecture: Architecture | None = None,
    problem: Problem | None = None,
) -> Constraints:
    """Return the constraints that a file, a shipped name or a dict describes.

    Parameters
    ----------
    source : path, str, mapping, Constraints or None
        A YAML file, a name, parsed content, or constraints, which are returned as is; None means none.
    architecture : Architecture, optional
    problem : Problem, optional
        What the names of levels, tensors and dimensions are checked against.

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
    if isinstance(source, Constraints):
        return source
    return _Reader(open_document(source, "constraints"), architecture, problem).read()


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
        [[-1 if level.may_keep(tensor) else 0 for tensor in tensors] for level in architecture.levels],
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
    keep[0] = 1
    units = architecture.instances(len(names))
    return Rules(factors, outside, keep, math.ceil(constraints.min_utilization * units - 1e-9))
