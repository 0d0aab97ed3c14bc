"""The way of a stranger, from nothing to a sweep: a page of the tutorial, followed in one folder."""

from __future__ import annotations

import csv
import os
import re
import shlex
from pathlib import Path

import pytest

from procrustes_model.network import engine
from tests.cli.conftest import _run_here
from tests.conftest import ROOT
from tests.docs.blocks import read_blocks

PAGE = ROOT / "docs" / "tutorial" / "sweep.md"
STEPS = [block for block in read_blocks(PAGE) if "followed" in block.marks]


def test_every_step_is_followed() -> None:
    assert len(STEPS) == len(read_blocks(PAGE))
    words = " ".join(block.text for block in STEPS if block.kind == "console")
    for step in ("init", "validate", "search", "network", "sweep", "--plot", "diff"):
        assert step in words


def test_from_nothing_to_a_plot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8")
    monkeypatch.setattr(engine, "count_processors", lambda: 1)  # searches run here, and not in new processes
    for block in STEPS:
        if block.kind == "yaml":
            Path(block.marks["file"]).write_text(block.text, encoding="utf-8")
            continue
        for line in re.findall(r"(?m)^\$ (.*)$", block.text):
            program, *words = shlex.split(line)
            if program == "cd":
                os.chdir(words[0])
                continue
            assert program == "procrustes"
            done = _run_here(tuple(words), monkeypatch)
            assert done.returncode == 0, f"{line}\n{done.stderr}"
            assert "Traceback" not in done.stderr
    rows = list(csv.DictReader(Path("results/points.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 27 and {row["error"] for row in rows} == {""}
    assert 1 <= sum(row["front"].lower() == "true" for row in rows) < 27
    assert Path("front.png").read_bytes().startswith(b"\x89PNG")
    for name in ("drawn.svg", "energy.svg", "run.html", "points.html"):
        assert Path(name).stat().st_size > 1000
