"""Other tools' results, through the script that users run."""

from __future__ import annotations

import copy
import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from reference import dense


def run(root: Path, *files: Path) -> subprocess.CompletedProcess[str]:
    """Run the reference check on `files`."""
    command = [sys.executable, str(root / "tools" / "check_reference.py"), *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def cases(data: Path) -> list[dict[str, Any]]:
    """Return the dense reference cases."""
    return json.loads(gzip.decompress((data / "timeloop_dense.json.gz").read_bytes()))


@pytest.mark.parametrize(
    ("file", "cases"),
    [
        ("timeloop_dense.json.gz", 400),
        ("timeloop_imperfect.json.gz", 150),
        ("sparseloop_saf/cases.json.gz", 160),
        ("procrustes_2020/cases.json", 20),
    ],
)
def test_all_cases_match(root: Path, data: Path, file: str, cases: int) -> None:
    done = run(root, data / file)
    assert done.returncode == 0, done.stdout
    assert f"{cases} of {cases} cases match" in done.stdout


def numbers(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all numbers in nested data."""
    if isinstance(tree, dict):
        return [found for key, value in tree.items() for found in numbers(value, (*path, key))]
    return [path] if isinstance(tree, int | float) else []


def test_every_planted_error_is_found(cases: list[dict[str, Any]]) -> None:
    case = cases[0]
    assert dense.check_case(case) == []
    for path in numbers(case["expected"]):
        wrong = copy.deepcopy(case)
        place = wrong["expected"]
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = place[path[-1]] * (1 + 1e-6) + (1 if path[-1] != "energy_pj" else 1e-3)
        assert len(dense.check_case(wrong)) == 1, path


def test_planted_errors_change_the_exit_status(
    root: Path, cases: list[dict[str, Any]], tmp_path: Path
) -> None:
    wrong = copy.deepcopy(cases[:3])
    wrong[1]["expected"]["levels"]["DRAM"]["tensors"].popitem()
    wrong[2]["mapping"][0]["temporal"] = {}
    (tmp_path / "wrong.json").write_text(json.dumps(wrong))
    done = run(root, tmp_path / "wrong.json")
    assert done.returncode == 1
    assert "1 of 3 cases match" in done.stdout
    assert f"case {cases[1]['id']}" in done.stdout and f"case {cases[2]['id']}" in done.stdout


@pytest.mark.parametrize("content", ["", "{", "{}", "[1]", "\0"])
def test_unreadable_files_are_said_to_be_so(root: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "broken.json").write_text(content)
    done = run(root, tmp_path / "broken.json")
    assert done.returncode == 2
    assert "cannot be read" in done.stderr and "Traceback" not in done.stderr


def test_no_cases_are_no_match(root: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.json").write_text("[]")
    assert run(root, tmp_path / "empty.json").returncode == 1
