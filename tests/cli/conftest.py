"""Runs the command line as a user does, in an empty folder: in this process, or in one of its own.

A process costs a second before it does anything. Few tests need one: of start-up, encodings, signals, pipes.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
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


def _run_here(arguments: tuple[str, ...], patch: pytest.MonkeyPatch) -> subprocess.CompletedProcess[str]:
    """Run the command line in this process; what it does not report itself is raised."""
    from procrustes_model.cli import main

    encoding = os.environ["PYTHONIOENCODING"]
    stdout, stderr = (io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n") for _ in range(2))
    patch.setattr(sys, "argv", ["procrustes", *arguments])
    patch.setattr(sys, "stdout", stdout)
    patch.setattr(sys, "stderr", stderr)
    status: int | str | None = 0
    try:
        main()
    except SystemExit as end:
        status = end.code
    printed = []
    for stream in (stdout, stderr):
        stream.flush()
        printed.append(stream.buffer.getvalue().decode(encoding))  # type: ignore[attr-defined]
    assert status is None or isinstance(status, int), "a text would be printed as an error"
    return subprocess.CompletedProcess(arguments, status or 0, *printed)


def _run_there(arguments: tuple[str, ...], python: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, *python, "-m", "procrustes_model", *arguments],
        capture_output=True,
        encoding="utf-8",
        timeout=900,
        check=False,
    )


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Let interrupts reach the processes that a test starts, however the tests themselves were started.

    A shell starts what runs in the background with interrupts ignored, and children inherit that.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def run(tmp_path: Path, root: Path) -> Run:
    """Return a function that runs ``procrustes`` with arguments and returns what it did.

    With `process`, or options of the interpreter in `python`, it runs in a process of its own.
    """

    def call(
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        python: tuple[str, ...] = (),
        process: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path)
            for name in ("COLUMNS", "NO_COLOR"):
                patch.delenv(name, raising=False)
            variables = {"PYTHONPATH": str(root), "PYTHONIOENCODING": "utf-8"} | dict(environment or {})
            for name, value in variables.items():
                patch.setenv(name, value)
            done = _run_there(arguments, python) if process or python else _run_here(arguments, patch)
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
