"""``procrustes train-cost``."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from procrustes_model.report.tables.train_cost import COLUMNS
from tests.cli.conftest import Run

NETWORK = """\
network:
  name: tiny
  batch: 4
  layers:
    - {name: a, kind: fully_connected, input_channels: 8, channels: 4}
    - {name: b, kind: fully_connected, channels: 4}
"""
SCHEDULE = """\
schedule:
  name: tenfold
  parts:
    - {iterations: 100}
    - {iterations: 900, weights: {times_fewer: 10}, activations: {default: 0.5}}
"""


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    for name, text in (("net.yaml", NETWORK), ("run.yaml", SCHEDULE)):
        (tmp_path / name).write_text(text, encoding="utf-8")


def test_command(run: Run, tmp_path: Path) -> None:
    arguments = ("train-cost", "procrustes_16x16", "net.yaml", "--schedule", "run.yaml", "--workers", "1")
    done = run(*arguments, "--clock-ghz", "1", "--csv", "cost.csv", "--out", "cases")
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [row[:2] for row in rows if row and row[0] in ("run", "dense")] == [
        ["run", "1,000"],
        ["dense", "1,000"],
    ]
    assert "Density of activations not known in 1 part: 0.5 assumed." in done.stdout
    assert "Time at 1 GHz: " in done.stdout
    with (tmp_path / "cost.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == list(COLUMNS)
    assert [row["iterations"] for row in table] == ["100"] * 3 + ["900"] * 3
    quiet = run(*arguments, "--out", "cases", "--mappings", "dense", "-q")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")


def test_computations_alone(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    arguments = ("train-cost", "procrustes_16x16", "net.yaml", "--schedule", "acdc_2_4", "--macs")
    done = run(*arguments, "--plot", "run.png", "--json", "run.json", "--no-first-data-gradient")
    assert done.returncode == 0, done.stderr
    assert "The data gradient of the first layer is not counted." in done.stdout
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")
    data = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    # Of a 32 forward and 32 weight update, of b 16 in each phase; half of the steps halve what reads weights.
    assert data["dense"]["done"] / data["run"]["done"] == pytest.approx(112 / (112 - (32 + 32) / 4))
    wrong = run(*arguments, "--clock-ghz", "1")
    assert (wrong.returncode, "--clock-ghz has no effect with --macs" in wrong.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--schedule", "run.yaml", "--plot", "run.txt"), "--plot has no ending of a figure"),
        (("--schedule", "none.yaml"), "'none.yaml' is neither a file nor a schedule that ships"),
        ((), "Missing option '--schedule'"),
        (("--schedule", "net.yaml"), "net.yaml:1:1: this describes a network, not a schedule"),
        (("--schedule", "wrong.yaml"), "wrong.yaml:5:76: part 2: tiny has no layer 'd'; choose from a, b"),
        (("--schedule", "run.yaml", "--iterations", "5"), "a schedule file says its own"),
        (("--schedule", "run.yaml", "--sparsity", "procrustez"), "did you mean 'procrustes'?"),
        (("--schedule", "run.yaml", "--csv", "run.yaml"), "--csv would overwrite run.yaml"),
        (("--schedule", "run.yaml", "--clock-ghz", "0"), "--clock-ghz"),
        (("--schedule", "run.npz"), "run.npz: this is no valid file of masks"),
    ],
)
def test_wrong_input(run: Run, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    (tmp_path / "run.npz").write_text("nothing")
    wrong = SCHEDULE.replace("default: 0.5", "layers: {d: 0.5}")
    (tmp_path / "wrong.yaml").write_text(wrong, encoding="utf-8")
    done = run("train-cost", "procrustes_16x16", "net.yaml", *arguments, "--out", "cases")
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert not list(tmp_path.glob("cases/**/*.json"))


def test_a_schedule_is_validated(run: Run) -> None:
    assert run("validate", "run.yaml").stdout == "run.yaml: ok, schedule tenfold\n"
