"""Everything that is printed fits terminals of 60, 80 and 120 columns; nothing is lost on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from procrustes_model.report.terminal.style import Style
from tests.cli.conftest import Run

PAIR = ("procrustes_16x16", "vgg_s/conv3_2")
NEST = (*PAIR, "procrustes_16x16/vgg_s_conv3_2_kn")
NETWORK = """\
network:
  name: one_layer
  input: {channels: 4, height: 1, width: 1}
  layers: [{name: a_layer_of_a_rather_long_name, kind: fully_connected, channels: 8}]
"""
SWEEP = """\
sweep:
  name: by_hand
  evaluate: {architecture: arch.yaml, problem: problem.yaml, mapping: mapping.yaml}
  axes:
    architecture.levels.Buffer.word_bits: [8, 4]
    architecture.levels.DRAM.energy_pj: [{read: 10, write: 10}, {read: 100, write: 120}]
"""
ONE = ("simple_3level", "one.yaml", "--phases", "fw", "--workers", "1", "--out", "run")
MACS = ("procrustes_16x16", "vgg_s", "--macs", "--sparsity", "procrustes")
COMMANDS: list[tuple[str, ...]] = [
    ("evaluate", *NEST, "--json", "a.json"),
    ("evaluate", *NEST, "--sparsity", "procrustes", "--phase", "all"),
    ("evaluate", "arch.yaml", "problem.yaml", "mapping.yaml", "--json", "b.json"),
    ("diff", "b.json", "b.json", "--all"),
    ("explain", *NEST, "GlobalBuffer", "Inputs"),
    ("imbalance", *NEST, "--sparsity", "procrustes"),
    ("search", "arch.yaml", "problem.yaml"),
    ("search", "arch.yaml", "problem.yaml", "--pareto", "front.csv"),
    ("network", *ONE),
    ("diff", "run", "run", "--all"),
    ("network", *MACS),
    ("train-cost", *MACS, "--schedule", "acdc"),
    ("memory", "vgg_s"),
    ("sweep", "sweep.yaml", "--workers", "1"),
    ("reproduce",),
    ("init", "made"),
    ("list",),
]


@pytest.fixture(params=[60, 80, 120])
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Print as on a terminal of some columns."""
    style = Style(width=request.param, bars=True)
    monkeypatch.setattr(Style, "of", classmethod(lambda _, __: style))
    columns: int = request.param
    return columns


def too_wide(text: str, width: int) -> list[str]:
    """Return lines that do not fit; commands to copy and names of files are never broken."""
    lines = text.splitlines()
    return [line for line in lines if len(line) > width and not line.startswith(("Wrote ", "  procrustes "))]


@pytest.mark.usefixtures("specs")
def test_everything_fits(run: Run, width: int, tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(NETWORK, encoding="utf-8")
    (tmp_path / "sweep.yaml").write_text(SWEEP, encoding="utf-8")
    for words in COMMANDS:
        done = run(*words)
        assert done.returncode == 0, done.stderr
        assert done.stdout, words
        assert not too_wide(done.stdout, width), words
