"""``procrustes search``."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from procrustes_model.cli.search import _ProgressLine
from procrustes_model.mapper.incumbent import Progress
from procrustes_model.objective import OBJECTIVES
from tests.cli.conftest import Run

SMALL = """problem:
  name: small
  shape: matmul
  dimensions: {M: 16, K: 16, N: 8}
"""


@pytest.fixture
def small(tmp_path: Path) -> str:
    """Write a small problem and return its file's name."""
    (tmp_path / "small.yaml").write_text(SMALL, encoding="utf-8")
    return "small.yaml"


@pytest.mark.parametrize("objective", [*OBJECTIVES, "energy, cycles<=1000"])
def test_what_it_writes_evaluates_to_the_same(run: Run, tmp_path: Path, small: str, objective: str) -> None:
    files = ("--out", "best.yaml", "--csv", "found.csv", "--json", "found.json")
    done = run("search", "simple_3level", small, "--objective", objective, *files)
    assert done.returncode == 0, done.stderr
    assert "Proven       no mapping" in done.stdout
    again = run("evaluate", "simple_3level", small, "best.yaml", "--csv", "again.csv", "-q")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "found.csv").read_text() == (tmp_path / "again.csv").read_text()
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert found["certificate"]["proven"] and found["certificate"]["gap"] == 0
    assert found["objective"] == objective


def test_uneven_mappings_say_so(run: Run, tmp_path: Path) -> None:
    near = "{name: Near, word_bits: 16, capacity_words: 22, energy_pj: {read: 1, write: 1}}"
    (tmp_path / "two.yaml").write_text(
        "architecture:\n  name: two\n  levels:\n"
        "    - {name: Far, word_bits: 16, energy_pj: {read: 20, write: 20}}\n"
        f"    - {near}\n  compute: {{energy_pj: 1}}\n",
        encoding="utf-8",
    )
    (tmp_path / "cube.yaml").write_text(SMALL.replace("16", "4").replace("8", "4"), encoding="utf-8")
    done = run("search", "two.yaml", "cube.yaml", "--uneven", "--objective", "energy", "--out", "best.yaml")
    assert done.returncode == 0, done.stderr
    words = " ".join(done.stdout.split())
    assert "Proven no mapping with factors that divide the bounds, even or uneven, has less energy" in words
    assert "Even best mapping proven; this one has 20.6% less" in words
    again = run("evaluate", "two.yaml", "cube.yaml", "best.yaml")
    assert again.stdout.split("Proven")[0].strip() == done.stdout.split("Proven")[0].strip()
    assert run("validate", "best.yaml", "--arch", "two.yaml", "--problem", "cube.yaml").returncode == 0
    refused = run("search", "two.yaml", "cube.yaml", "--uneven", "--pareto", "front.csv")
    assert refused.returncode == 2
    assert "--pareto knows even mappings only" in refused.stderr


def test_an_unknown_objective_is_one_line(run: Run, small: str) -> None:
    done = run("search", "simple_3level", small, "--objective", "ed3p")
    assert done.returncode == 2
    assert done.stderr.startswith(
        f"error: unknown objective 'ed3p'; one of {', '.join(OBJECTIVES)}, or energy^3*"
    )
    assert done.stderr.count("\n") == 1


def test_help_names_every_objective(run: Run) -> None:
    for verb in ("search", "network", "train-cost"):
        assert "|".join(OBJECTIVES) in run(verb, "--help", environment={"COLUMNS": "200"}).stdout


def test_methods_agree_on_a_small_space(run: Run, tmp_path: Path, small: str) -> None:
    values = {}
    for method in ("optimal", "random"):
        options = ("--method", method, "--json", "found.json", "--quiet", "--seed", "3")
        assert run("search", "simple_3level", small, *options).returncode == 0
        values[method] = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))["result"][
            "edp_j_cycles"
        ]
    assert values["optimal"] <= values["random"] * (1 + 1e-12)


def test_shorter_last_passes_evaluate_to_the_same(run: Run, tmp_path: Path) -> None:
    (tmp_path / "prime.yaml").write_text(SMALL.replace("{M: 16, K: 16, N: 8}", "{M: 127, K: 131, N: 137}"))
    files = ("--out", "best.yaml", "--csv", "found.csv")
    done = run("search", "simple_3level", "prime.yaml", "--imperfect", "--mappings", "4000", *files)
    assert done.returncode == 0, done.stderr
    assert "Whole passes best mapping proven; this one has" in done.stdout
    assert "Proven" in done.stdout and "Not proven" not in done.stdout
    again = run("evaluate", "simple_3level", "prime.yaml", "best.yaml", "--csv", "again.csv", "-q")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "found.csv").read_text() == (tmp_path / "again.csv").read_text()
    refused = run("search", "simple_3level", "prime.yaml", "--imperfect", "--pareto", "front.csv")
    assert refused.returncode == 2 and "whole passes only" in refused.stderr


def test_constraints_are_obeyed(run: Run, tmp_path: Path) -> None:
    options = ("--constraints", "dataflow_kn", "--out", "kn.yaml", "-q")
    done = run("search", "procrustes_16x16", "resnet18/fc", *options)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "kn.yaml").read_text(encoding="utf-8")
    assert "spatial_x: K=" in text and "spatial_y: N=" in text


def test_the_front_is_a_front(run: Run, tmp_path: Path, small: str) -> None:
    done = run("search", "simple_3level", small, "--pareto", "front.csv")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "front.csv").open(encoding="utf-8", newline="") as file:
        rows = [(float(row["energy_pj"]), int(row["cycles"])) for row in csv.DictReader(file)]
    assert rows == sorted(rows)
    assert [cycles for _, cycles in rows] == sorted((cycles for _, cycles in rows), reverse=True)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ("levels: [{level: Bufer, keep: A}]", "did you mean 'Buffer'?"),
        ("levels: [{level: Buffer, temporal: M=3}]", "M"),
        ("min_utilization: 2", "from 0 to 1"),
    ],
)
def test_bad_and_impossible_constraints(
    run: Run, tmp_path: Path, small: str, rules: str, message: str
) -> None:
    (tmp_path / "rules.yaml").write_text(f"constraints:\n  {rules}\n", encoding="utf-8")
    done = run("search", "simple_3level", small, "--constraints", "rules.yaml", "--out", "best.yaml")
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "best.yaml").exists()


def test_time_that_is_over_leaves_a_gap(run: Run, tmp_path: Path) -> None:
    options = ("--seconds", "0.05", "--out", "best.yaml")
    done = run("search", "procrustes_16x16", "resnet18/conv2_2", *options)
    assert done.returncode == 0, done.stderr
    assert "Not proven" in done.stdout
    assert (tmp_path / "best.yaml").exists()


@pytest.mark.xdist_group("formats")  # compiled there
def test_formats_are_chosen_and_written(run: Run, tmp_path: Path, small: str) -> None:
    design = "sparsity: {name: few, densities: {A: 0.2}, actions: [{level: RegFile, skip: B, on: A}]}"
    (tmp_path / "few.yaml").write_text(design, encoding="utf-8")
    (tmp_path / small).write_text(SMALL.replace("16", "4"), encoding="utf-8")
    files = ("--out", "best.yaml", "--design", "found.yaml", "--json", "found.json")
    done = run("search", "simple_3level", small, "--sparsity", "few.yaml", "--formats", "auto", *files)
    assert done.returncode == 0, done.stderr
    assert "Formats      A at DRAM: " in done.stdout
    assert "in any lists of ranks, has" in " ".join(done.stdout.split())
    again = run(
        "evaluate", "simple_3level", small, "best.yaml", "--sparsity", "found.yaml", "--json", "again.json"
    )
    assert again.returncode == 0, again.stderr
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    one = json.loads((tmp_path / "again.json").read_text(encoding="utf-8"))
    assert found["result"]["energy_pj"] == one["energy_pj"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--formats", "auto"), "formats are chosen under a sparse design; state one: it says what is zero"),
        (("--design", "found.yaml"), "--design writes formats that were chosen; add --formats auto"),
        (
            ("--sparsity", "procrustes", "--formats", "auto", "--method", "random"),
            "method 'random' chooses no formats: it knows no bounds; method 'optimal'",
        ),
    ],
)
def test_formats_that_cannot_be_chosen(run: Run, small: str, options: tuple[str, ...], said: str) -> None:
    done = run("search", "simple_3level", small, *options)
    assert (done.returncode, done.stderr) == (2, f"error: {said}\n")


def test_a_limit_that_ends_a_search_is_said(run: Run) -> None:
    done = run("search", "simple_3level", "matmul/512", "--effort", "100", "--json", "found.json")
    told = " ".join(done.stdout.split())
    assert "Not proven a mapping with factors" in told
    assert "Stopped after an effort of 100, its limit: with a larger one the gap may close" in told
    done = run("search", "simple_3level", "matmul/512", "--effort", "100", "--json", "-")
    assert json.loads(done.stdout)["stopped"] == "an effort of 100"
    assert "Stopped" not in run("search", "simple_3level", "matmul/512").stdout


def test_progress_is_a_line_a_minute_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    line = _ProgressLine()
    line.limit = 600.0
    for seconds in (1.0, 59.0, 61.0, 100.0, 122.0, 30.0, 95.0):  # the last two of another search
        line(Progress(seconds, 1e6, 10.0, 1e7, 5e6, 100, 0.25))
    line.clear()
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 3
    assert told[0].startswith("best 1.000 uJ, 10 cycles, gap 50.0%; 25% done")
    assert told[0].endswith("61 s of 600 s, about 3 min left")
