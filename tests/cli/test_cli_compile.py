"""Kernels that are compiled ahead."""

from __future__ import annotations

from pathlib import Path

import pytest

from procrustes_model.mapper import ahead
from tests.cli.conftest import Run

CACHE = "procrustes_model.kernels.cache"


def test_every_part_is_compiled_once(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    names = [name for name, _ in ahead.list_parts()]
    assert names[0] == "dense searches" and len(set(names)) == len(names)
    monkeypatch.setattr(ahead, "list_parts", lambda: ((name, lambda: done.append("x")) for name in names))
    monkeypatch.setattr(f"{CACHE}.COMPILED", True)
    monkeypatch.setattr(f"{CACHE}.cache_directory", lambda: tmp_path)
    found = run("compile")
    assert (found.returncode, len(done)) == (0, len(names))
    assert [line for line in found.stderr.splitlines() if line.endswith(" ...")] == [
        f"{name} ..." for name in names
    ]
    assert found.stdout == f"Compiled into {tmp_path}\n"


@pytest.mark.parametrize(
    ("compiled", "said"),
    [(True, "there is no folder to keep compiled kernels in"), (False, "kernels are plain Python here")],
)
def test_what_cannot_be_compiled(
    run: Run, monkeypatch: pytest.MonkeyPatch, compiled: bool, said: str
) -> None:
    monkeypatch.setattr(f"{CACHE}.COMPILED", compiled)
    monkeypatch.setattr(f"{CACHE}.cache_directory", lambda: None)
    found = run("compile")
    assert found.returncode == 2
    assert found.stderr.startswith(f"error: {said}")
