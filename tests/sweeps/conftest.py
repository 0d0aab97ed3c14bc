"""Small sweeps whose searches take no time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import ARCHITECTURE, MAPPING, PROBLEM

BUFFER = "architecture.levels.Buffer.capacity"
SEARCH: dict[str, Any] = {"architecture": "machine.yaml", "problem": "little.yaml", "seconds": 0}


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder with a machine, a problem and a mapping."""
    for name, text in (("machine", ARCHITECTURE), ("little", PROBLEM), ("by_hand", MAPPING)):
        (tmp_path / f"{name}.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)


def sweep_of(**content: Any) -> dict[str, Any]:
    """Return the content of a sweep; what is run is a search where nothing else is."""
    run = {} if {"evaluate", "network"} & set(content) else {"search": SEARCH}
    return {"sweep": {"name": "little", **run, **content}}


def grid() -> dict[str, Any]:
    """Return a sweep of two buffers and two widths of the array, with one search for two of its points."""
    return sweep_of(axes={BUFFER: ["16 words", "32 words"], "architecture.compute.mesh_x": [2, 4]})
