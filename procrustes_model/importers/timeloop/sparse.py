"""From what Timeloop calls sparse optimizations to a sparse design of this program."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from procrustes_model.importers.timeloop.densities import Mask, read_densities
from procrustes_model.importers.timeloop.files import Inputs
from procrustes_model.importers.timeloop.machine import Machine
from procrustes_model.importers.timeloop.node import Node
from procrustes_model.importers.timeloop.problem import TranslatedProblem
from procrustes_model.importers.timeloop.ranks import Fields, read_ranks
from procrustes_model.importers.timeloop.words import (
    ACTIONS,
    COMPUTE_ACTIONS,
    METADATA_BITS,
    METADATA_WIDTH,
    RANKS,
    SPARSE,
    Year,
)
from procrustes_model.spec.text.words import did_you_mean

_SECTIONS = ("representation_format", "action_optimization", "compute_optimization")


@dataclass
class Design:
    """What sparse optimizations say, in this program's terms.

    Attributes
    ----------
    formats : dict
        By tensor and level.
    actions : list of dict
    compute : dict of str to list of str
        Operands whose zeros save computations, by kind.
    gated_energy : float
        Of a gated computation, as a share of a done one; 0 where the machine states a price.
    hyphens : bool
        As `words.Year` has it.
    """

    formats: dict[str, dict[str, Any]] = field(default_factory=dict)
    actions: list[dict[str, Any]] = field(default_factory=list)
    compute: dict[str, list[str]] = field(default_factory=dict)
    gated_energy: float = 0.0
    hyphens: bool = True

    @property
    def saves(self) -> bool:
        """Whether there is anything at all."""
        return bool(self.formats or self.actions or self.compute)

    @property
    def useful(self) -> set[str]:
        """Tensors whose zeros matter: that are compressed, or save something of others or of themselves."""
        names = {name for action in self.actions for name in action.get("on", ())}
        names |= {action["skip_positions"] for action in self.actions if "skip_positions" in action}
        return names | set(self.formats) | {name for some in self.compute.values() for name in some}

    @property
    def accesses(self) -> list[dict[str, Any]]:
        """Actions that save accesses."""
        return [action for action in self.actions if "gate" in action or "skip" in action]

    @property
    def gates(self) -> bool:
        """Whether accesses are gated."""
        return any("gate" in action for action in self.actions)

    @property
    def compresses(self) -> bool:
        """Whether any rank leaves empty coordinates out."""
        return any(RANKS[rank["kind"]] for rank in self._ranks)

    def compresses_at(self, level: str, tensor: str) -> bool:
        """Say whether a level leaves out zeros of a tensor."""
        format_ = self.formats.get(tensor, {}).get(level, {"ranks": []})
        return any(RANKS[rank["kind"]] for rank in format_["ranks"])

    @property
    def runs(self) -> bool:
        """Whether any rank holds lengths of runs."""
        return any(rank["kind"] == "RLE" for rank in self._ranks)

    @property
    def _ranks(self) -> list[dict[str, Any]]:
        return [rank for some in self.formats.values() for one in some.values() for rank in one["ranks"]]


def read_design(inputs: Inputs, machine: Machine, problem: TranslatedProblem, year: Year) -> Design:
    """Return what the files and components say; what cannot be said is noted in the findings."""
    design = Design(hyphens=year.hyphens)
    seen: dict[tuple[str, str], Node] = {}
    for name, target in _targets(inputs, machine):
        for key, node in target.items():
            if key in ("name", "version") or (key in _SECTIONS and not node.data):
                continue
            if key not in _SECTIONS:
                node.refuse(f"unknown key '{node.path[-1]}'", did_you_mean(key, _SECTIONS), key=True)
            elif (name, key) in seen:
                node.refuse(
                    f"'{node.path[-1]}' of '{name}' stands in {seen[name, key].place} already", key=True
                )
            elif (key == "compute_optimization") != (name == machine.compute.get("name")):
                node.refuse(f"'{node.path[-1]}' cannot be said of '{name}'", key=True)
            else:
                seen[name, key] = node
                _READERS[key](node, name, problem, machine, design)
    return design


def _targets(inputs: Inputs, machine: Machine) -> list[tuple[str, Node]]:
    """Return what stands for each level or compute unit, in files and in components, with its name."""
    found: list[tuple[str, Node]] = []
    for section in (node for key in SPARSE for node in inputs.sections.get(key, ())):
        listed = section.get("targets")
        for key, node in section.items():
            if key not in ("targets", "version"):
                node.refuse(f"unknown key '{node.path[-1]}'", "levels stand below 'targets'", key=True)
        for target in listed.list() if listed is not None else ():
            aim = target.get("name")
            if aim is None:
                target.refuse("a target has no 'name'")
            elif aim.text() in machine.nodes:
                found.append((aim.text(), target))
            else:
                aim.refuse(f"unknown target '{aim.text()[:60]}'", did_you_mean(aim.text(), machine.nodes))
    for name, part in machine.nodes.items():
        inside = part.get(*SPARSE)
        if inside is not None:
            found.append((name, inside))
    return found


def _tensors(node: Node | None, problem: TranslatedProblem) -> list[str]:
    """Return names of tensors, written as one or as a list."""
    if node is None:
        return []
    names = [part.text() for part in (node.list() if isinstance(node.data, list) else [node])]
    for name in names:
        if name not in problem.tensors:
            node.refuse(f"unknown data space '{name[:60]}'", did_you_mean(name, problem.tensors))
    return [name for name in names if name in problem.tensors]


def _fields(machine: Machine, name: str, hyphens: bool) -> Fields:
    """Return how wide fields of metadata of a level are."""
    part = next((level.part for level in machine.levels if level.part.name == name), None)
    if part is None:
        return Fields()
    return Fields(part.find(METADATA_WIDTH, 0) or 0, part.find(METADATA_BITS, 0) or 0, hyphens)


def _read_formats(
    node: Node, level: str, problem: TranslatedProblem, machine: Machine, design: Design
) -> None:
    spaces = node.get("data_spaces")
    for space in spaces.list() if spaces is not None else ():
        for name in _tensors(space.get("name"), problem):
            format_ = read_ranks(space, problem, _fields(machine, level, design.hyphens))
            if format_ is not None:
                design.formats.setdefault(name, {})[level] = format_


def _read_actions(node: Node, level: str, problem: TranslatedProblem, _: Machine, design: Design) -> None:
    for one in node.list():
        word = one.get("type")
        kind = "" if word is None else word.text().lower().replace("-", "_")
        if kind not in ACTIONS:
            (word or one).refuse(f"unknown type '{kind[:60]}' of an action", did_you_mean(kind, ACTIONS))
            continue
        options = one.get("options")
        alternatives = [one] if options is None else options.list()
        if len(alternatives) > 1:
            (options or one).refuse(
                "several options, of which that tool picks the one that saves most",
                "that cannot be said yet: leave the one that it picks",
            )
            continue
        for option in alternatives:
            _add_action(option, kind, level, problem, design)


def _add_action(node: Node, kind: str, level: str, problem: TranslatedProblem, design: Design) -> None:
    for key, part in node.items():
        if key not in ("type", "target", "condition_on", "options"):
            part.refuse(f"'{part.path[-1]}' of an action cannot be said here", key=True)
    targets = _tensors(node.get("target"), problem)
    if not targets:
        node.refuse("an action has no 'target'")
        return
    written = node.get("condition_on")
    on = _tensors(written, problem)
    if bool(written is not None and written.data) == (ACTIONS[kind] == "skip_positions"):
        node.refuse(
            f"an action of type '{kind}' is conditioned on {', '.join(on) or 'nothing'}",
            "positions are chosen of what the level stores, everything else is on other data spaces",
        )
        return
    action: dict[str, Any] = {"level": level, ACTIONS[kind]: targets[0]}
    design.actions.append(action | ({"on": on} if on else {}))


def _read_compute(node: Node, _: str, problem: TranslatedProblem, __: Machine, design: Design) -> None:
    operands = [tensor for tensor in problem.tensors if not problem.writes(tensor)]
    for one in node.list():
        word = one.get("type")
        kind = "" if word is None else word.text().lower().replace("-", "_")
        if kind not in COMPUTE_ACTIONS:
            (word or one).refuse(
                f"unknown type '{kind[:60]}' of what saves computations", did_you_mean(kind, COMPUTE_ACTIONS)
            )
            continue
        design.compute[COMPUTE_ACTIONS[kind]] = operands


_READERS = {
    "representation_format": _read_formats,
    "action_optimization": _read_actions,
    "compute_optimization": _read_compute,
}


def move_actions(design: Design, machine: Machine, mapped: dict[str, Any] | None) -> None:
    """Let actions on what a level bypasses save accesses where the tensor comes from, as that tool does.

    Parameters
    ----------
    design : Design
        Its actions change.
    machine : Machine
    mapped : dict or None
        The mapping that comes with the design; without one nothing is known to be bypassed.
    """
    kept = {} if mapped is None else {one["level"]: one["keep"] for one in mapped["levels"]}
    names = [level.part.name for level in machine.levels]
    for action in design.accesses:
        tensor, name = action.get("gate", action.get("skip")), action["level"]
        if not kept or tensor in kept[name]:
            continue
        outside = [one for one in names[: names.index(name)] if tensor in kept[one]]
        if outside:
            action["level"] = outside[-1]
            machine.nodes[name].findings.note(
                f"'{name}' bypasses {tensor}: what it saves is saved at '{outside[-1]}', in this mapping"
            )


def write_design(
    design: Design,
    inputs: Inputs,
    machine: Machine,
    problem: TranslatedProblem,
    year: Year,
    title: dict[str, str],
    masks: dict[str, Mask],
) -> dict[str, Any]:
    """Return what a file of a sparse design has under its key.

    Computations skip operands that arrive with metadata, and gate the others. `masks` is filled in.
    """
    content: dict[str, Any] = {**title}
    densities = read_densities(inputs, problem, design.useful, set(design.formats), masks)
    compute = _computes(design)
    parts = {"densities": densities, "formats": design.formats, "actions": design.actions, "compute": compute}
    content |= {key: part for key, part in parts.items() if part}
    if design.formats:
        content["capacity"] = {"size": "maximum"}
    rules = year.rules.model_dump(exclude_defaults=True)
    rules |= {"rounding": "whole_words", "network_words": "dense"}
    if design.accesses:
        rules["access_box"] = "joined"
    if design.gates:
        rules["gated_operands"] = "dropped"
    if any(one.get("model", "") == "hypergeometric" for one in densities.values()):
        rules["probabilities"] = "boost"
    if design.runs:
        rules["stored_zeros"] = "metadata_only"
    if design.accesses:
        rules["several_actions"] = "strongest"
    if any("skip_positions" in action for action in design.actions):
        rules["position_use"] = "mean"
    if design.formats:
        rules |= {"format_ranks": year.ranks, "last_accesses": "by_tile"}
        formatted = {name for levels in design.formats.values() for name in levels}
        if any("metadata" in one.content and one.part.name in formatted for one in machine.levels):
            rules["metadata_ports"] = year.ports
        absent = "absent_2022" if year.ranks == "loops_2022" else "absent"
        rules |= {"partial_sums": "compressed", "empty_tiles": "unused", "absent_operands": absent}
    return content | {"rules": rules}


def _computes(design: Design) -> dict[str, Any]:
    """Return operands by what their zeros do: those without metadata cannot be skipped."""
    skip = [name for name in design.compute.get("skip", ()) if name in design.formats]
    gate = [name for name in design.compute.get("gate", ()) if name not in skip]
    found: dict[str, Any] = {key: names for key, names in (("skip", skip), ("gate", gate)) if names}
    return found | ({"gated_energy": design.gated_energy} if gate and design.gated_energy else {})
