"""From a mapping as Timeloop has it to one of this program."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from procrustes_model.importers.timeloop.directives import Directive, DirectiveReader, Factor, latest
from procrustes_model.importers.timeloop.machine import Level, Machine
from procrustes_model.importers.timeloop.node import Node
from procrustes_model.importers.timeloop.problem import TranslatedProblem
from procrustes_model.importers.timeloop.words import Year
from procrustes_model.spec.text.words import did_you_mean


@dataclass
class Loops:
    """What one level does.

    Attributes
    ----------
    temporal, spatial_x, spatial_y : list of Factor
        Outermost first; loops of 1 are left out.
    keep : list of str
    """

    temporal: list[Factor] = field(default_factory=list)
    spatial_x: list[Factor] = field(default_factory=list)
    spatial_y: list[Factor] = field(default_factory=list)
    keep: list[str] = field(default_factory=list)

    def content(self, level: str) -> dict[str, Any]:
        """Return what a mapping file has for the level."""
        found: dict[str, Any] = {"level": level}
        for key in ("temporal", "spatial_x", "spatial_y"):
            loops = getattr(self, key)
            if loops:
                found[key] = " ".join(_written(factor) for factor in loops)
        return found | {"keep": self.keep}


def _written(factor: Factor) -> str:
    """Return a loop as a mapping file has it."""
    return f"{factor.dimension}={factor.value}" + (f"/{factor.last}" if factor.last is not None else "")


def ordered(directive: Directive, dimensions: list[str]) -> list[str]:
    """Return all dimensions, innermost first: those that the permutation leaves out are outermost."""
    return [*directive.permutation, *(one for one in dimensions if one not in directive.permutation)]


def read_directives(
    nodes: list[Node], machine: Machine, problem: TranslatedProblem
) -> dict[tuple[str, str], Directive]:
    """Return directives by the name of their level and their kind, aims checked."""
    reader = DirectiveReader(problem.bounds, problem.tensors)
    found = []
    for node in nodes:
        directive = reader.read(node)
        if directive is None:
            continue
        level = machine.find(directive.target, directive.kind)
        if level is None:
            node.refuse(
                f"unknown target '{directive.target[:60]}'", did_you_mean(directive.target, machine.targets)
            )
            continue
        directive.target = level.part.name
        found.append(directive)
    return latest(found)


def read_mapping(
    nodes: list[Node], machine: Machine, problem: TranslatedProblem, year: Year, name: str, ones: bool = False
) -> dict[str, Any] | None:
    """Return the mapping; None where there are no directives.

    Parameters
    ----------
    nodes : list of Node
        The directives.
    machine : Machine
    problem : TranslatedProblem
    year : Year
    name : str
    ones : bool
        Write loops of one iteration, too: their order decides which accesses that tool saves.
    """
    if not nodes:
        return None
    findings = nodes[0].findings
    known = len(findings.issues)
    directives = read_directives(nodes, machine, problem)
    understood = len(findings.issues) == known
    levels = []
    for level in machine.levels:
        kept = directives.get((level.part.name, "keep"))
        loops = Loops(keep=_kept(level, kept, problem))
        if kept is not None:
            _pass_through(kept, level, problem, year)
        temporal = directives.get((level.part.name, "temporal"))
        if temporal is None and ones and level.holds:
            temporal = Directive(level.part.node, level.part.name, "temporal")
        if temporal is not None:
            loops.temporal = _loops(temporal, problem, ones)
        spatial = directives.get((level.part.name, "spatial"))
        if spatial is not None:
            _spread(spatial, problem, loops)
        levels.append((level, loops))
    if understood:  # else what is missing follows from what was not understood
        _check_bounds(nodes[0], levels, problem)
    _check_kept(nodes[0], levels, problem)
    return {"name": name, "levels": [loops.content(level.part.name) for level, loops in levels]}


def _kept(level: Level, directive: Directive | None, problem: TranslatedProblem) -> list[str]:
    """Return the tensors that a level keeps: all that no directive says it bypasses."""
    if not level.holds:
        if directive is not None and directive.keep:
            directive.node.refuse(f"'{level.part.name}' has no room to keep {', '.join(directive.keep)}")
        return []
    bypass = () if directive is None else directive.bypass
    return [tensor for tensor in problem.tensors if tensor not in bypass]


def _pass_through(directive: Directive, level: Level, problem: TranslatedProblem, year: Year) -> None:
    """Let words of tensors pass a level that streams and does not keep them; where kept they count anyway."""
    for tensor in directive.stream if year.streams else ():
        if tensor not in directive.bypass:
            continue
        if problem.writes(tensor):
            directive.node.refuse(
                f"{tensor} streams through '{directive.target}', is read and written there but not kept",
                "that can be said of operands only; rules 2025 count nothing there",
            )
        else:
            level.content.setdefault("through", []).append(tensor)


def _factors(directive: Directive) -> dict[str, Factor]:
    for factor in directive.factors:
        if factor.relation != "=":
            directive.node.refuse(f"'{factor}' is no factor, it bounds one")
    return {factor.dimension: factor for factor in directive.factors}


def _loops(directive: Directive, problem: TranslatedProblem, ones: bool) -> list[Factor]:
    """Return loops, outermost first; those of one iteration only where they are asked for."""
    factors = _factors(directive)
    outermost_first = reversed(ordered(directive, list(problem.bounds)))
    named = [factors.get(name, Factor(name, "=", 1)) for name in outermost_first]
    return [factor for factor in named if ones or factor.value > 1]


def _spread(directive: Directive, problem: TranslatedProblem, loops: Loops) -> None:
    """Put spatial loops on X and Y: those before the split of the permutation lie on X."""
    factors = {name: factor for name, factor in _factors(directive).items() if factor.value > 1}
    for factor in factors.values():
        if factor.last is not None:
            directive.node.findings.note(
                f"'{factor}': each instance is counted here as what it does in a last pass; that"
                " program takes one for all"
            )
    names = ordered(directive, list(problem.bounds))
    split = len(names) if directive.split is None else directive.split
    for axis, part in (("spatial_x", names[:split]), ("spatial_y", names[split:])):
        setattr(loops, axis, [factors[name] for name in reversed(part) if name in factors])


def _check_bounds(node: Node, levels: list[tuple[Level, Loops]], problem: TranslatedProblem) -> None:
    """Refuse factors that do not multiply to their bound; of shorter passes, `load_mapping` does."""
    for name, bound in problem.bounds.items():
        factors = [
            factor
            for _, loops in levels
            for factor in (*loops.temporal, *loops.spatial_x, *loops.spatial_y)
            if factor.dimension == name
        ]
        product = math.prod(factor.value for factor in factors)
        if product != bound and all(factor.last is None for factor in factors):
            node.refuse(f"the factors of {name} multiply to {product}, its bound is {bound}")


def _check_kept(node: Node, levels: list[tuple[Level, Loops]], problem: TranslatedProblem) -> None:
    if not levels:
        return
    for tensor in problem.tensors:
        if not any(tensor in loops.keep for _, loops in levels):
            node.refuse(f"no level keeps {tensor}")
