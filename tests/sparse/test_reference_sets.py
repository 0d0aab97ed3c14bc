"""The two sparse reference sets, through the public API."""

from __future__ import annotations

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference import procrustes_2020, sparseloop

DATA = Path(__file__).parent.parent / "data"
RUNS: list[dict[str, Any]] = json.loads((DATA / "procrustes_2020" / "cases.json").read_text())
CASES: list[dict[str, Any]] = json.loads(
    gzip.decompress((DATA / "sparseloop_saf" / "cases.json.gz").read_bytes())
)


def mask_of(run: dict[str, Any]) -> Any:
    """Return the mask of a run."""
    with np.load(DATA / "procrustes_2020" / "masks.npz") as masks:
        return procrustes_2020.case_mask(run, masks[run["mask"]["key"]])


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run["id"])
def test_runs_of_the_procrustes_authors_match(run: dict[str, Any]) -> None:
    assert procrustes_2020.check_procrustes_2020(run, mask_of(run)) == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_sparseloop_cases_match_exactly(case: dict[str, Any]) -> None:
    assert sparseloop.check_sparseloop(case) == []


def numbers(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all numbers in nested data."""
    if isinstance(tree, dict):
        return [found for key, value in tree.items() for found in numbers(value, (*path, key))]
    return [path] if isinstance(tree, int | float) else []


def planted(case: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    """Return a copy of a case with the expected number at `path` wrong."""
    wrong = copy.deepcopy(case)
    place = wrong["expected"]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = place[path[-1]] * 1.00001 + 2
    return wrong


def test_every_planted_error_in_a_run_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The evaluation is the same each time, and made once."""
    run = RUNS[0]
    mask = mask_of(run)
    result = procrustes_2020.evaluate_case(run, mask)
    monkeypatch.setattr(procrustes_2020, "evaluate_case", lambda *_: result)
    assert procrustes_2020.check_procrustes_2020(run, mask) == []
    unchecked = ("overflow", "MACs")
    for path in numbers(run["expected"]):
        if path[1] in unchecked or path == ("MACs", "cycles"):
            continue
        assert procrustes_2020.check_procrustes_2020(planted(run, path), mask) != [], path


def test_every_planted_error_in_a_case_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    result = sparseloop.evaluate_case(CASES[0])
    monkeypatch.setattr(sparseloop, "evaluate_case", lambda *_: result)
    assert sparseloop.check_sparseloop(CASES[0]) == []
    for path in numbers(CASES[0]["expected"]):
        assert sparseloop.check_sparseloop(planted(CASES[0], path)) != [], path
