"""Imports one set, evaluates it, and compares it with that tool's output."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from reference.compare import Mismatch

from procrustes_model import SpecError, load_problem
from procrustes_model.importers.timeloop import Translation, translate
from procrustes_model.importers.timeloop.output import check_translation
from procrustes_model.importers.timeloop.words import NEWEST
from procrustes_model.model.evaluator import Evaluator
from timeloop_sets.compare import compare
from timeloop_sets.expected import Wires, is_older, read_expected, write_nest
from timeloop_sets.prices import complete_table
from timeloop_sets.rounding import explain

EQUAL, DIFFERS, REFUSED, KNOWN, ROUNDED = "equal", "differs", "refused", "known", "rounded"
"""Outcomes; `KNOWN` is one that differs from a stored output that the set itself says is wrong, `ROUNDED` one
whose differences all hang on rounding errors of that tool."""


OLDER = "2021"
"""Rules of outputs that are filed as of 2022, and have the form of earlier ones."""


@dataclass
class Verdict:
    """What came out for one output of a set.

    Attributes
    ----------
    name : str
        The set, and what of it.
    outcome : str
        'equal', 'differs', 'refused', 'known' or 'rounded'.
    reasons : list of str
        Numbers that differ, or what is missing.
    but : str
        What an equal one leaves out, or does not compare.
    """

    name: str
    outcome: str
    reasons: list[str] = field(default_factory=list)
    but: str = ""


def read_readme(folder: Path) -> dict[str, str]:
    """Return what the README of a set states, line by line."""
    lines = (folder / "README").read_text(encoding="utf-8").splitlines()
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {key.strip(): value.strip() for key, _, value in pairs}


def check_set(folder: Path) -> list[Verdict]:
    """Check every output of a set: the stored one under its rules, and one of 2025 under those of 2025."""
    readme = read_readme(folder)
    verdicts = []
    for file, rules in (("expected.json", readme.get("rules", NEWEST)), ("expected-head.json", NEWEST)):
        path = folder / file
        if not path.is_file():
            continue
        name = f"{folder.name}" if file == "expected.json" else f"{folder.name} (2025)"
        known = readme.get("known", "") if file == "expected.json" else ""
        rules = OLDER if rules == "2022" and is_older(path) else rules
        verdicts.append(_check(name, folder, path, rules, known))
    if not verdicts:
        verdicts.append(Verdict(folder.name, REFUSED, ["there is no expected.json"]))
    return verdicts


def _check(name: str, folder: Path, path: Path, rules: str, known: str) -> Verdict:
    with TemporaryDirectory() as room:
        table = Path(room) / "ERT.yaml"
        may = (folder / "ERT.yaml").is_file() or "no ERT" in read_readme(folder).get("energies", "")
        stated = complete_table(folder, path, table, rules) if may else []
        try:
            table = table if stated else folder / "ERT.yaml"
            translation, form = _translate(folder, rules, table, folder / "found.map.yaml")
            nest = Path(room) / "nest.yaml"
            if "mapping.yaml" not in translation.files and _write_nest(translation, path, nest):
                translation, form = _translate(folder, rules, table, nest)
        except SpecError as error:
            reasons = [str(issue).replace(f"{folder}/", "").replace(f"{room}/", "") for issue in error.issues]
            return Verdict(name, REFUSED, reasons)
    try:
        found, rounded = _differences(translation, path)
    except SpecError as error:
        return Verdict(name, REFUSED, [f"cannot be evaluated: {issue}" for issue in error.issues])
    except (ValueError, KeyError, TypeError, IndexError, StopIteration) as error:
        return Verdict(name, DIFFERS, [f"cannot be compared: {type(error).__name__}: {error}"])
    if form.endswith(".yaml"):
        found.append(Mismatch("second form", "the same", form))
    left_out = _left_out(translation)
    if left_out and read_expected(path).wires:
        left_out = "networks at the price of a hop that the output states"
    priced = f"prices of {', '.join(stated)} that the output states" if stated else ""
    but = "; ".join(one for one in (form, left_out, priced) if one)
    if rounded and not form.endswith(".yaml"):
        return Verdict(name, ROUNDED, [str(one) for one in found], but)
    if found and known:
        return Verdict(name, KNOWN, [str(one) for one in found], known)
    return Verdict(name, DIFFERS if found else EQUAL, [str(one) for one in found], but)


def _left_out(translation: Translation) -> str:
    left = dict.fromkeys(issue.message for issue in translation.findings.left_out)
    return f"without {'; '.join(left)}" if left else ""


def _write_nest(translation: Translation, path: Path, target: Path) -> bool:
    """Write the nest of an output as a mapping of that tool, and say whether there is one."""
    levels = translation.files["architecture.yaml"]["architecture"]["levels"]
    problem = load_problem(translation.files["problem.yaml"])
    return write_nest(
        read_expected(path).mapping([level["name"] for level in levels], problem.dimensions), target
    )


def _translate(folder: Path, rules: str, table: Path, mapping: Path) -> tuple[Translation, str]:
    """Return the translation of a set's inputs with a table of energies, and what its second form says of it.

    Raises
    ------
    SpecError
        When the inputs cannot be imported, nor a complete second form of them.
    """
    tables = [table] if table.is_file() else []

    def read(path: Path) -> Translation:
        found = mapping if mapping.is_file() else None
        translation = translate([path, *tables], rules=rules, mapping=found, partial=True)
        check_translation(translation)
        return translation

    second = [path for path in sorted(folder.glob("also/*.yaml")) if _is_complete(path)]
    try:
        first = read(folder / "inputs")
    except SpecError as error:
        if not second or not all("there is no problem" in issue.message for issue in error.issues):
            raise
        return read(second[0]), f"from also/{second[0].name}: its inputs have no problem"
    for path in second:
        other = read(path)
        for file in ("architecture.yaml", "problem.yaml", "mapping.yaml", "sparsity.yaml"):
            if _content(first, file) != _content(other, file):
                return first, f"{path.name} imports to another {file}"
    return first, ""


def _is_complete(path: Path) -> bool:
    """Say whether a second form has all of a design, and not only its architecture."""
    return "\nproblem:" in path.read_text(encoding="utf-8")


def _content(translation: Translation, file: str) -> dict[str, Any]:
    return translation.files.get(file, {})


def _differences(translation: Translation, path: Path) -> tuple[list[Mismatch], bool]:
    """Return what differs, and whether all of it hangs on rounding errors of that tool."""
    files = translation.files
    expected = read_expected(path)
    evaluator = Evaluator(
        _with_wires(files["architecture.yaml"], expected.wires),
        files["problem.yaml"],
        sparsity=files.get("sparsity.yaml", files.get("rules.yaml")),
        masks=translation.masks or None,
    )
    names = [level.name for level in evaluator.architecture.levels]
    mapping = (
        files["mapping.yaml"]
        if "mapping.yaml" in files
        else expected.mapping(names, evaluator.problem.dimensions)
    )
    networks = not (translation.findings.left_out and expected.network and not expected.wires)

    def differences() -> list[Mismatch]:
        result = evaluator.evaluate(mapping)
        return compare(expected, evaluator.architecture, result, networks=networks)

    found = differences()
    return found, explain(found, evaluator, differences)


def _with_wires(content: dict[str, Any], wires: dict[str, Wires]) -> dict[str, Any]:
    """Return an architecture with networks whose hops cost what the output says.

    That tool finds the price of a hop from areas that its estimator knows and no set holds; how many hops
    words take, and how many words go where, is what is compared.
    """
    if not wires:
        return content
    changed = deepcopy(content)
    for level in changed["architecture"]["levels"]:
        if level["name"] in wires:
            price = wires[level["name"]].hop_pj / level["word_bits"]
            level["network"] = {"topology": "mesh", "hop_pj_per_bit": price, "sums": "stay"}
    return changed
