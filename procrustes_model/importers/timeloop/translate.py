"""Timeloop's files to this program's: what there is, what was found on the way, and the text to write."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.importers.timeloop.constraints import check_kept, read_constraints
from procrustes_model.importers.timeloop.densities import Mask, drop_densities
from procrustes_model.importers.timeloop.files import Inputs, read_files
from procrustes_model.importers.timeloop.leakage import add_leakage
from procrustes_model.importers.timeloop.machine import Machine, read_machine
from procrustes_model.importers.timeloop.mapping import read_mapping
from procrustes_model.importers.timeloop.node import Findings, Node
from procrustes_model.importers.timeloop.problem import TranslatedProblem, read_problem
from procrustes_model.importers.timeloop.sparse import move_actions, read_design, write_design
from procrustes_model.importers.timeloop.sparse_prices import add_codecs, add_prices
from procrustes_model.importers.timeloop.words import NEWEST, NO_EFFECT, SETTINGS, SPARSE, YEARS, Year
from procrustes_model.spec.text.words import did_you_mean

_TRANSLATED = (
    "architecture",
    "arch",
    "problem",
    "mapping",
    "ERT",
    "architecture_constraints",
    "mapspace_constraints",
    "mapspace",
    "constraints",
)


@dataclass(frozen=True)
class Translation:
    """What Timeloop's files say, in this program's terms.

    Attributes
    ----------
    files : dict of str to dict
        Content by name: architecture.yaml, problem.yaml, and where the files have them mapping.yaml,
        constraints.yaml and sparsity.yaml, or rules.yaml where nothing is saved at zeros.
    findings : Findings
        What was dropped, left out, and noted.
    inputs : tuple of str
        The files read.
    rules : str
        The year whose rules were taken.
    masks : dict of str to bool array
        By tensor, of densities that a file lists: to be written beside as NAME.npy.
    """

    files: dict[str, dict[str, Any]]
    findings: Findings
    inputs: tuple[str, ...]
    rules: str
    masks: dict[str, Mask] = field(default_factory=dict)


def translate(
    paths: Iterable[str | os.PathLike[str]],
    *,
    name: str = "imported",
    rules: str = NEWEST,
    mapping: str | os.PathLike[str] | None = None,
    partial: bool = False,
) -> Translation:
    """Translate the files of one Timeloop design.

    Parameters
    ----------
    paths : iterable of path
        Files, or folders of them: architecture, problem, table of energies, and what there is besides.
    name : str
        What results call the architecture, the problem and the mapping.
    rules : {'2025', '2022', '2021', '2020'}
        The year of the tool whose way to count and to price is taken.
    mapping : path, optional
        The file whose mapping is taken in place of that of `paths`.
    partial : bool
        Leave out what only adds to the results and cannot be said, such as energies of networks, and list it.

    Returns
    -------
    Translation

    Raises
    ------
    SpecError
        With everything that would change a number and cannot be said.
    """
    if rules not in YEARS:
        raise SpecError(f"unknown rules '{rules[:60]}'; {did_you_mean(rules, YEARS)}")
    year = YEARS[rules]
    inputs = read_files(paths)
    findings = inputs.findings
    directives = inputs.listed("mapping")
    if mapping is not None:
        other = read_files([mapping])
        directives = [Node(one.document, one.path, one.data, findings) for one in other.listed("mapping")]
        findings.issues += other.findings.issues
        if not directives and not other.findings.issues:
            missing = Issue("there is no mapping", "the file has no key 'mapping'", str(mapping))
            findings.issues.append(missing)
    _check_keys(inputs)
    machine, problem = read_machine(inputs, year), read_problem(inputs, name)
    mapped = limits = design = None
    if problem is not None and machine.levels and machine.complete:
        design = read_design(inputs, machine, problem, year)
        mapped = read_mapping(directives, machine, problem, year, name, ones=bool(design.actions))
        move_actions(design, machine, mapped)
        add_leakage(machine, mapped)
        limits = read_constraints(inputs, machine, problem)
        _settle(machine, mapped, limits, problem)
        check_kept(machine, mapped, limits)
    sparse = None
    masks: dict[str, Mask] = {}
    if design is not None and problem is not None and design.saves:
        add_prices(machine, design, year)
        add_codecs(machine, design, mapped, problem)
        title = {"name": name, "description": f"imported from Timeloop, rules {rules}"}
        sparse = write_design(design, inputs, machine, problem, year, title, masks)
    elif problem is not None:
        drop_densities(inputs)
    if not partial:
        findings.issues += findings.left_out
    findings.refuse()
    assert problem is not None
    description = f"imported from Timeloop, rules {rules}"
    files = {
        "architecture.yaml": {"architecture": machine.content(name, _with_left_out(description, findings))},
        "problem.yaml": {"problem": problem.content},
    }
    if mapped is not None:
        files["mapping.yaml"] = {"mapping": mapped}
    if limits is not None:
        files["constraints.yaml"] = {"constraints": limits}
    if sparse is not None:
        files["sparsity.yaml"] = {"sparsity": sparse}
    else:
        files |= _rules_file(year, rules)
    return Translation(files, findings, inputs.files, rules, masks)


def _settle(
    machine: Machine,
    mapped: dict[str, Any] | None,
    limits: dict[str, Any] | None,
    problem: TranslatedProblem,
) -> None:
    """State where tensors begin that the outermost storage does not keep: at the first level that does."""
    stated = {} if mapped is None else {one["level"]: one["keep"] for one in mapped["levels"]}
    rules = {} if limits is None else {one["level"]: one for one in limits["levels"]}
    holding = [level for level in machine.levels if level.holds]
    for tensor in problem.tensors:
        outside = []
        for level in holding:
            name = level.part.name
            kept = tensor in stated[name] if stated else tensor not in rules.get(name, {}).get("bypass", ())
            if kept:
                break
            outside.append(name)
        else:
            continue
        if outside:
            level.content.setdefault("resident", []).append(tensor)
            level.content["loaded"] = True  # that tool counts it
        for name in outside:  # what the architecture says already
            if tensor in (bypass := rules.get(name, {}).get("bypass", [])):
                bypass.remove(tensor)


def _with_left_out(description: str, findings: Findings) -> str:
    left = dict.fromkeys(issue.message for issue in findings.left_out)
    return f"{description}; left out: {'; '.join(left)}"[:10_000] if left else description


def _rules_file(year: Year, name: str) -> dict[str, dict[str, Any]]:
    """Return a sparse design that saves nothing, with rules of counting; none for this model's own."""
    differing = year.rules.model_dump(exclude_defaults=True)
    if not differing:
        return {}
    description = "no zeros, only how that year's version counts"
    content = {"name": f"timeloop_{name}", "description": description, "rules": differing}
    return {"rules.yaml": {"sparsity": content}}


def _check_keys(inputs: Inputs) -> None:
    """Drop what has no effect, and refuse what is unknown."""
    for key, nodes in inputs.sections.items():
        for node in nodes:
            written = str(node.path[0])
            if key in _TRANSLATED:
                continue
            if key in SETTINGS and all(one in SETTINGS[key] for one, _ in node.items()):
                inputs.findings.drop(
                    f"{written}: what that tool prints", Path(node.document.file or written).name
                )
            elif key in NO_EFFECT:
                file = Path(node.document.file or written).name
                inputs.findings.drop(f"{written}: {NO_EFFECT[key]}", file)
            elif key not in SPARSE:
                node.refuse(
                    f"unknown key '{written}'", did_you_mean(written, [*_TRANSLATED, *NO_EFFECT]), key=True
                )
