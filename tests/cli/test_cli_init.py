"""What ``procrustes init`` writes can be checked, evaluated, searched and swept as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run

FILES = ["machine.yaml", "layer.yaml", "mapping.yaml", "design.yaml", "network.yaml", "sweep.yaml"]


@pytest.fixture
def mine(run: Run, tmp_path: Path) -> Path:
    done = run("init", ".")
    assert done.returncode == 0, done.stderr
    assert " ".join(done.stdout.split()).startswith(f"Wrote {', '.join(FILES)} into ./ Try")
    return tmp_path


def test_files_are_valid_and_evaluate(run: Run, mine: Path) -> None:
    assert sorted(path.name for path in mine.iterdir()) == sorted(FILES)
    done = run("validate", *FILES, "--arch", "machine.yaml", "--problem", "layer.yaml")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    words = ("machine.yaml", "layer.yaml", "mapping.yaml")
    assert "warning" not in run("evaluate", *words).stderr
    assert run("evaluate", *words, "--sparsity", "design.yaml", "--phase", "all").returncode == 0
    assert run("search", *words[:2], "--sparsity", "design.yaml", "--seconds", "0.2", "-q").returncode == 0


def test_commands_that_are_shown_are_those_of_the_files(run: Run, mine: Path) -> None:
    assert sorted(path.name for path in mine.iterdir()) == sorted(FILES)
    shown = [
        line.split() for line in run("init", "sub").stdout.splitlines() if line.startswith("  procrustes")
    ]
    assert [words[1] for words in shown] == ["evaluate", "search", "network", "sweep"]
    assert {word for words in shown for word in words if word.endswith(".yaml")} == {*FILES, "best.yaml"}
    assert sorted(path.name for path in (mine / "sub").iterdir()) == sorted(FILES)


def test_nothing_is_overwritten(run: Run, mine: Path) -> None:
    (mine / "machine.yaml").write_text("mine")
    (mine / "sweep.yaml").unlink()
    done = run("init", str(mine))
    assert done.returncode == 2
    assert done.stderr.count("this file is there already; give another folder") == len(FILES) - 1
    assert (mine / "machine.yaml").read_text() == "mine"
    assert not (mine / "sweep.yaml").exists()
