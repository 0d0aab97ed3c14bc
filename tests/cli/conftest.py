"""Runs the command line as a user does: in a process of its own, in an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

PROBLEM = """\
problem:
  name: little
  shape: matmul
  dimensions: {M: 8, K: 4, N: 6}
"""
ARCHITECTURE = """\
architecture:
  name: two_levels
  levels:
    - name: DRAM
      word_bits: 8
      read_bandwidth: 1
      energy_pj: {read: 10, write: 10}
    - name: Buffer
      capacity: 32 words
      word_bits: 8
      energy_pj: {read: 1, write: 1}
  compute: {energy_pj: 0.5, mesh_x: 4}
"""
MAPPING = """\
mapping:
  name: by_hand
  levels:
    - level: DRAM
      temporal: M=4 N=6 K=2
    - level: Buffer
      temporal: K=2
      spatial_x: M=2
"""


@pytest.fixture
def run(tmp_path: Path, root: Path) -> Run:
    """Return a function that runs ``procrustes`` with arguments and returns what it did."""

    def call(
        *arguments: str, environment: Mapping[str, str] | None = None, python: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        variables = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "NO_COLOR")}
        variables |= {"PYTHONPATH": str(root), "PYTHONIOENCODING": "utf-8"} | dict(environment or {})
        done = subprocess.run(
            [sys.executable, *python, "-m", "procrustes_model", *arguments],
            cwd=tmp_path,
            env=variables,
            capture_output=True,
            encoding="utf-8",
            timeout=900,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done

    return call


@pytest.fixture
def specs(tmp_path: Path) -> tuple[str, str, str]:
    """Write a small architecture, problem and mapping, and return their names."""
    names = ("arch.yaml", "problem.yaml", "mapping.yaml")
    for name, text in zip(names, (ARCHITECTURE, PROBLEM, MAPPING), strict=True):
        (tmp_path / name).write_text(text, encoding="utf-8")
    return names
