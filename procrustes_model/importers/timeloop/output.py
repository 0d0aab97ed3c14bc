"""A translation as text: the files to write, and a report of what became of everything."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from procrustes_model.errors import Issue, SpecError
from procrustes_model.files import write_atomically
from procrustes_model.importers.timeloop.node import Findings
from procrustes_model.importers.timeloop.translate import Translation
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.spec.load import load_architecture, load_mapping, load_problem, load_sparsity
from procrustes_model.versions import with_version

_SHOWN = 8


def check_translation(translation: Translation) -> None:
    """Load what would be written, so that no file is written that could not be read.

    Raises
    ------
    SpecError
        When a number or a name is beyond what this program's files may hold.
    """
    files = translation.files
    try:
        architecture = load_architecture(files["architecture.yaml"])
        problem = load_problem(files["problem.yaml"])
        sparse = files.get("sparsity.yaml", files.get("rules.yaml"))
        roomy = set() if sparse is None else load_sparsity(sparse).forward.roomy
        if "mapping.yaml" in files:
            load_mapping(files["mapping.yaml"], architecture, problem, roomy)
        if "constraints.yaml" in files:
            load_constraints(files["constraints.yaml"], architecture, problem)
    except SpecError as error:
        raise SpecError(
            [Issue(f"what it translates to cannot be read: {one.message}", one.hint) for one in error.issues]
        ) from None


def file_texts(translation: Translation) -> dict[str, str]:
    """Return the text of every file by its name."""
    head = f"# From Timeloop, rules {translation.rules}: procrustes import timeloop\n"
    return {name: head + _yaml(content) for name, content in translation.files.items()}


def _yaml(content: dict[str, Any]) -> str:
    import yaml

    plain = json.loads(json.dumps(with_version(content)))
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None)
    return str(text)


def check_folder(folder: Path) -> None:
    """Find out before the work whether the files can be written into a folder that is new or empty.

    Raises
    ------
    SpecError
        When something lies there already, or its parent does not exist.
    """
    if folder.is_dir():
        if any(folder.iterdir()):
            hint = "what lies there could be taken for a part of what is written: give a new folder"
            raise SpecError(Issue("--out: the folder is not empty", hint, str(folder)))
    elif folder.exists():
        raise SpecError(Issue("--out: this is no folder", None, str(folder)))
    elif not folder.absolute().parent.is_dir():
        raise SpecError(Issue("--out: the folder that it belongs in does not exist", None, str(folder)))


def write_files(translation: Translation, folder: Path) -> list[Path]:
    """Write a translation into a folder and return the files; all text is complete before one is touched.

    Raises
    ------
    OSError
        When the folder cannot be written.
    """
    texts = file_texts(translation)
    folder.mkdir(exist_ok=True)
    written = []
    for name, text in texts.items():
        write_atomically(folder / name, text)
        written.append(folder / name)
    for tensor, mask in translation.masks.items():
        data = io.BytesIO()
        np.save(data, mask)
        write_atomically(folder / f"{tensor}.npy", data.getvalue())
        written.append(folder / f"{tensor}.npy")
    return written


def report_lines(translation: Translation) -> list[str]:
    """Return what became of the files: translated, left out, without effect, good to know."""
    findings = translation.findings
    lines = [f"Read {len(translation.inputs)} files, rules {translation.rules}:"]
    if len(translation.inputs) == 1:
        lines = [f"Read {translation.inputs[0]}, rules {translation.rules}:"]
    lines.append(f"  {_summary(translation.files)}")
    lines += _left_out(findings)
    if findings.dropped:
        lines.append("Without effect on the numbers, dropped:")
        lines += [f"  {reason}: {_few(names)}" for reason, names in findings.dropped.items()]
    if findings.notes:
        lines += ["To know:", *(f"  {note}" for note in findings.notes)]
    return lines


def _summary(files: dict[str, dict[str, Any]]) -> str:
    machine = files["architecture.yaml"]["architecture"]
    problem = files["problem.yaml"]["problem"]
    holding = [one["name"] for one in machine["levels"] if one.get("tensors") != []]
    fanning = len(machine["levels"]) - len(holding)
    parts = [f"levels {', '.join(holding)}"]
    if fanning:
        parts.append(f"{fanning} fan-outs without storage" if fanning > 1 else "1 fan-out without storage")
    parts.append(f"compute {machine['compute']['name']}")
    if "components" in machine:
        parts.append(", ".join(one["name"] for one in machine["components"]))
    bounds = " ".join(f"{name}={bound}" for name, bound in problem["dimensions"].items())
    parts.append(f"problem {bounds}")
    parts.append("a mapping" if "mapping.yaml" in files else "no mapping")
    if "constraints.yaml" in files:
        parts.append("constraints")
    if "sparsity.yaml" in files:
        parts.append("a sparse design")
    return "; ".join(parts)


def _left_out(findings: Findings) -> list[str]:
    if not findings.left_out:
        return []
    issues = list(dict.fromkeys(findings.left_out))
    shown = [f"  {one.file}:{one.line}:{one.column}: {one.message}" for one in issues[:_SHOWN]]
    more = [f"  and {len(issues) - _SHOWN} more"] if len(issues) > _SHOWN else []
    return ["Left out, so that results lack it:", *shown, *more]


def _few(names: list[str]) -> str:
    more = f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
