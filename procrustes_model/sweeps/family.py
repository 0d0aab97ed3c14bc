"""A family of machines and designs as a user writes it: a sweep's file, without what is run."""

from __future__ import annotations

from typing import Any

from procrustes_model.errors import SpecError
from procrustes_model.spec.sweep import RUNS, WrittenSweep, load_sweep
from procrustes_model.spec.text.changes import parse_path
from procrustes_model.spec.text.document import open_document

OPEN = ("architecture", "sparsity", "densities", "constraints", "dataflow")
"""What members of a family may differ in: the question stays the same."""


def is_family(source: Any) -> bool:
    """Say whether a sweep's file leaves out what is run."""
    content = open_document(source, "sweep").data
    inside = content.get("sweep") if isinstance(content, dict) else None
    return isinstance(inside, dict) and not set(inside).intersection(RUNS)


def load_family(source: Any) -> WrittenSweep:
    """Return the family that a file, a name or a dict describes, as a sweep of searches.

    Raises
    ------
    SpecError
        With every issue found.
    """
    written = load_sweep(source, run="search")
    _check(written)
    return written


def _check(written: WrittenSweep) -> None:
    """Raise where members would not answer the same question, or a key has no effect."""
    issues = []
    listed = [("set", name) for name in written.sweep.same]
    if written.sweep.points:
        listed += [("points", name) for name in written.sweep.points[0]]
    listed += [("axes", name) for name in written.sweep.axes]
    for key, name in listed:
        paths = written.sweep.axes[name].paths if key == "axes" else (name,)
        place = ("points", 0, name) if key == "points" else (key, name)
        said = written.said(*place, key=True)
        issues += [
            said.issue(f"a family shares its '{head}'", f"its members differ in {', '.join(OPEN)}")
            for head in (str(parse_path(path, said)[0]) for path in paths)
            if head not in OPEN
        ]
    if "pareto" in written.sweep.model_fields_set:
        said = written.said("pareto", key=True)
        issues.append(said.issue("'pareto' is of sweeps", "a family is searched for one objective"))
    if issues:
        raise SpecError(issues)
