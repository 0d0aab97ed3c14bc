"""Specifications that the tests of this folder start from."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.load import load_architecture, load_problem
from procrustes_model.spec.problem import Problem

ARCHITECTURE = {
    "architecture": {
        "name": "small",
        "levels": [
            {"name": "DRAM", "word_bits": 16, "energy_pj": {"read": 100, "write": 100}},
            {"name": "Buffer", "word_bits": 16, "capacity_words": 1024, "energy_pj": {"read": 6, "write": 7}},
            {
                "name": "RegFile",
                "mesh_x": 4,
                "mesh_y": 2,
                "word_bits": 16,
                "energy_pj": {"read": 1, "write": 1},
            },
        ],
        "compute": {"energy_pj": 1},
    }
}
PROBLEM = {"problem": {"name": "small", "shape": "matmul", "dimensions": {"M": 8, "K": 12, "N": 6}}}


@pytest.fixture
def architecture_data() -> dict[str, Any]:
    return copy.deepcopy(ARCHITECTURE)


@pytest.fixture
def problem_data() -> dict[str, Any]:
    return copy.deepcopy(PROBLEM)


@pytest.fixture
def architecture() -> Architecture:
    return load_architecture(ARCHITECTURE)


@pytest.fixture
def problem() -> Problem:
    return load_problem(PROBLEM)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Return a function that writes text to a file and returns its path."""

    def to_file(text: str | bytes) -> Path:
        path = tmp_path / "spec.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return to_file
