"""From constraints on mappings as Timeloop has them to those of this program."""

from __future__ import annotations

from typing import Any

from procrustes_model.importers.timeloop.directives import Directive, DirectiveReader, latest
from procrustes_model.importers.timeloop.files import Inputs
from procrustes_model.importers.timeloop.machine import Machine
from procrustes_model.importers.timeloop.node import Node
from procrustes_model.importers.timeloop.problem import TranslatedProblem
from procrustes_model.importers.timeloop.tree import Part
from procrustes_model.spec.text.words import did_you_mean

_SECTIONS = ("architecture_constraints", "mapspace_constraints", "mapspace", "constraints")
_LISTS = ("targets", "constraints")
_BESIDE = ("version", "template", *_LISTS)
_KINDS = {"temporal": "temporal", "spatial": "spatial", "dataspace": "keep"}


def read_constraints(inputs: Inputs, machine: Machine, problem: TranslatedProblem) -> dict[str, Any] | None:
    """Return the constraints of all files and components; None where there are none."""
    rules: dict[str, dict[str, Any]] = {}
    # Constraints of different files hold together; in one of them a later directive replaces an earlier one.
    for directives in [_in_components(machine, problem), *_in_sections(inputs, machine, problem)]:
        for (target, _), directive in latest(directives).items():
            _add(rules.setdefault(target, {}), directive, problem)
    for level in machine.levels:
        if not level.holds:
            # That tool's front end puts no loop over time where instances only fan out.
            rules.setdefault(level.part.name, {})["temporal"] = {"dimensions": []}
    levels = [
        {"level": level.part.name, **rules[level.part.name]}
        for level in machine.levels
        if rules.get(level.part.name)
    ]
    return {"name": "imported", "levels": levels} if levels else None


def check_kept(machine: Machine, mapping: dict[str, Any] | None, limits: dict[str, Any] | None) -> None:
    """Refuse a mapping that keeps what constraints forbid, or the other way round: either may be meant."""
    demanded = {one["level"]: one for one in (limits or {}).get("levels", ())}
    for level, mapped in zip(machine.levels, (mapping or {}).get("levels", ()), strict=False):
        rules = demanded.get(level.part.name, {})
        for tensor in rules.get("bypass", ()):
            if tensor in mapped["keep"]:
                level.part.node.refuse(
                    f"the mapping keeps {tensor} at '{level.part.name}', constraints forbid it"
                )
        for tensor in rules.get("keep", ()):
            if tensor not in mapped["keep"]:
                level.part.node.refuse(
                    f"the mapping bypasses {tensor} at '{level.part.name}', constraints keep it"
                )


def _in_sections(inputs: Inputs, machine: Machine, problem: TranslatedProblem) -> list[list[Directive]]:
    reader = DirectiveReader(problem.bounds, problem.tensors)
    found = []
    for node in (node for key in _SECTIONS for node in inputs.sections.get(key, ())):
        directives = []
        for item in _items(node):
            directive = reader.read(item)
            if directive is None:
                continue
            level = machine.find(directive.target, directive.kind)
            if level is None:
                hint = did_you_mean(directive.target, machine.targets)
                item.refuse(f"unknown target '{directive.target[:60]}'", hint)
                continue
            directive.target = level.part.name
            directives.append(directive)
        found.append(directives)
    return found


def _items(node: Node) -> list[Node]:
    if isinstance(node.data, list):
        return node.list()
    found: list[Node] = []
    for key, part in node.items():
        if key in _LISTS:
            found += part.list()
        elif key not in _BESIDE:
            part.refuse(f"unknown key '{part.path[-1]}' among constraints", key=True)
    return found


def _in_components(machine: Machine, problem: TranslatedProblem) -> list[Directive]:
    """Return the constraints that stand in components, as in version 0.4."""
    reader = DirectiveReader(problem.bounds, problem.tensors)
    found = []
    for level in machine.levels:
        found += _passing(level.part, problem)
        part = level.part.constraints
        for key, node in part.items() if part is not None else ():
            if node.data is None or not node.data:
                continue
            if key not in _KINDS:
                node.refuse(f"the constraint '{node.path[-1]}' cannot be said here", key=True)
                continue
            if (key == "spatial") != bool(level.part.holder):
                # A component that fans out has its spatial constraint above it, the others at it.
                continue
            directive = reader.read(node, level.part.name, _KINDS[key])
            if directive is not None:
                found.append(directive)
    return found


def _passing(part: Part, problem: TranslatedProblem) -> list[Directive]:
    """Return that what parallel branches keep passes a part by, where its own constraints do not say more."""
    for name in part.beside:
        if name not in problem.tensors:
            part.node.refuse(f"unknown data space '{name[:60]}'", did_you_mean(name, problem.tensors))
    return [Directive(part.node, part.name, "beside", bypass=list(part.beside))] if part.beside else []


def _add(rules: dict[str, Any], directive: Directive, problem: TranslatedProblem) -> None:
    """Add what a directive demands to the rules of its level."""
    kind = directive.kind
    if kind in ("keep", "beside"):
        for key in ("keep", "bypass"):
            merged = [*rules.get(key, ()), *(one for one in getattr(directive, key))]
            if merged:
                rules[key] = list(dict.fromkeys(merged))
        return
    if kind == "temporal":
        _limit(rules, "temporal", directive, [factor.dimension for factor in directive.factors])
        _order(rules, directive, problem)
        return
    _spread(rules, directive, problem)


def _limit(rules: dict[str, Any], key: str, directive: Directive, dimensions: list[str]) -> None:
    """Bound the factors of some dimensions."""
    for factor in directive.factors:
        if factor.last is not None:
            directive.node.refuse(f"'{factor}': a shorter last pass cannot be demanded")
    bounds = [
        f"{one.dimension}{one.relation}{one.value}"
        for one in directive.factors
        if one.dimension in dimensions
    ]
    if bounds:
        place = rules.setdefault(key, {})
        place["factors"] = " ".join(dict.fromkeys([*place.get("factors", "").split(), *bounds]))


def _order(rules: dict[str, Any], directive: Directive, problem: TranslatedProblem) -> None:
    """State the order of loops, outermost first."""
    names = directive.permutation
    if len(names) < 2:
        return
    if len(names) < len(problem.bounds):
        directive.node.findings.note(
            f"{directive.node.place}: the other dimensions may stand anywhere, not only outside these"
        )
    rules.setdefault("temporal", {})["order"] = list(reversed(names))


def _spread(rules: dict[str, Any], directive: Directive, problem: TranslatedProblem) -> None:
    """State which dimensions may lie on X and which on Y, and their factors."""
    if directive.split is not None:
        rest = [one for one in problem.bounds if one not in directive.permutation]
        names = [*directive.permutation, *rest]
        axes = (("spatial_x", names[: directive.split]), ("spatial_y", names[directive.split :]))
        for key, part in axes:
            rules.setdefault(key, {})["dimensions"] = part
            _limit(rules, key, directive, part)
        return
    for factor in directive.factors:
        if factor.value == 1 and factor.relation in ("=", "<="):
            for key in ("spatial_x", "spatial_y"):
                _limit(rules, key, directive, [factor.dimension])
        elif factor.relation == "<=":
            for key in ("spatial_x", "spatial_y"):
                _limit(rules, key, directive, [factor.dimension])
            directive.node.findings.note(
                f"{directive.node.place}: {factor.dimension}<={factor.value} holds on each axis, not on both"
            )
        else:
            directive.node.leave_out(
                f"the spatial factor {factor.dimension}{factor.relation}{factor.value} without 'split'",
                "constraints here bound each axis by itself; --partial leaves it out",
            )
