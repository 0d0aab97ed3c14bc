"""``procrustes sweep`` as a user runs it."""

from __future__ import annotations

from pathlib import Path

from procrustes_model.files import json_text
from tests.cli.conftest import ARCHITECTURE, PROBLEM, Run

SWEEP = {
    "name": "little",
    "search": {"architecture": "machine.yaml", "problem": "beside.yaml", "seconds": 0},
    "axes": {"architecture.compute.mesh_x": [1, 2]},
}


def test_command_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "machine.yaml").write_text(ARCHITECTURE)
    (tmp_path / "sub" / "beside.yaml").write_text(PROBLEM)
    (tmp_path / "sub" / "sweep.yaml").write_text(json_text({"sweep": SWEEP}))
    words = ("sweep", "sub/sweep.yaml", "--workers", "1", "--set", "sweep.search.objective=cycles")
    done = run(*words, "--csv", "a.csv", "--html", "a.html", "--out", "out")
    assert done.returncode == 0, done.stderr
    assert "2 different cases" in done.stderr and "the least cycles" in done.stdout
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "out" / "points.csv").read_bytes()
    assert (tmp_path / "a.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert "2 of them already in out/" in run(*words, "--out", "out").stderr
    wrong = run("sweep", "sub/sweep.yaml", "--set", "sweep.search.objektive=cycles")
    said = "--set sweep.search.objektive=cycles: search has no 'objektive'; did you mean 'objective'?"
    assert wrong.stderr == f"error: {said}\n"
    assert "ok, sweep little" in run("validate", "sub/sweep.yaml").stdout
    assert "--over says what --plot draws" in run("sweep", "sub/sweep.yaml", "--over", "mesh_x").stderr
    assert (
        "--plot has no ending of a figure; one of .png"
        in run("sweep", "sub/sweep.yaml", "--plot", "a.gif").stderr
    )
