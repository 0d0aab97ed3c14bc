"""``procrustes diff``: two results, or two runs, side by side."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

from procrustes_model.network.result import NetworkResult, load_run
from procrustes_model.network.run import run_network
from tests.cli.conftest import ARCHITECTURE, MAPPING, PROBLEM, Run

Numbers = dict[tuple[str, str, str], float]
ACTIONS = {"read": "reads", "fill": "fills", "update": "updates", "compute": "computes"}


def numbers_of(rows: list[Mapping[str, str]]) -> Numbers:
    """Return counts of all instances and energies, from tables that other code writes."""
    found: Numbers = defaultdict(float)
    for row in rows:
        found["", "", "energy_pj"] += float(row["energy_pj"])
        found[row["level"], "", "energy_pj"] += float(row["energy_pj"])
        if row["action"] in ACTIONS:
            count = float(row["count"]) * float(row["instances"])
            found[row["level"], row["tensor"], ACTIONS[row["action"]]] += count
    return found


@pytest.fixture
def files(run: Run, tmp_path: Path) -> None:
    for name, text in (("machine", ARCHITECTURE), ("little", PROBLEM), ("by_hand", MAPPING)):
        (tmp_path / f"{name}.yaml").write_text(text)
    words = ("evaluate", "machine.yaml", "little.yaml", "by_hand.yaml", "-q")
    run(*words, "--json", "a.json", "--csv", "a.csv")
    changes = ("--set", "architecture.levels.DRAM.energy_pj.read=7", "--set", "problem.dimensions.N=3")
    run(
        *words,
        *changes,
        "--set",
        "mapping.levels.DRAM.temporal=M=4 N=3 K=2",
        "--json",
        "b.json",
        "--csv",
        "b.csv",
    )


@pytest.mark.usefixtures("files")
def test_evaluations(run: Run, tmp_path: Path) -> None:
    done = run("diff", "a.json", "b.json", "--csv", "d.csv", "--json", "d.json")
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "more numbers are equal; --all shows them" in run("diff", "a.json", "a.json").stdout
    sides = [
        numbers_of(list(csv.DictReader((tmp_path / name).read_text().splitlines())))
        for name in ("a.csv", "b.csv")
    ]
    lines = {
        (one["level"], one["tensor"], one["quantity"]): one
        for one in json.loads((tmp_path / "d.json").read_text())["numbers"]
    }
    for key in set(sides[0]) | set(sides[1]):
        assert (lines[key]["a"], lines[key]["b"]) == pytest.approx((sides[0][key], sides[1][key])), key
        if sides[0][key]:
            assert lines[key]["ratio"] == pytest.approx(sides[1][key] / sides[0][key])
    rows = list(csv.DictReader((tmp_path / "d.csv").read_text().splitlines()))
    assert [(row["level"], row["tensor"], row["quantity"]) for row in rows] == list(lines)
    assert {key for key in lines if key not in sides[0]} == {
        (level, "", quantity) for level in ("", "DRAM", "Buffer", "MAC") for quantity in ("cycles",)
    } | {("", "", "edp_j_cycles")}


@pytest.mark.usefixtures("files")
def test_searches_and_what_is_no_result(run: Run, tmp_path: Path) -> None:
    assert run("search", "machine.yaml", "little.yaml", "-q", "--json", "s.json").returncode == 0
    assert "mapping by_hand" in run("diff", "s.json", "a.json").stdout
    for text in ("", "[]", "{}", "3", '{"result": 3}', '[{"phase": ""}]'):
        (tmp_path / "wrong.json").write_text(text)
        done = run("diff", "a.json", "wrong.json")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("error: wrong.json: this is no result; JSON of 'evaluate --json'")
    assert run("diff", "a.json", "b.jsn").stderr == "error: b.jsn: no such file; did you mean 'b.json'?\n"


def test_runs_of_networks(run: Run, tmp_path: Path) -> None:
    network = {
        "network": {
            "name": "n",
            "layers": [{"name": "a", "kind": "fully_connected", "input_channels": 4, "channels": 4}],
        }
    }
    for folder, batch in (("one", 2), ("two", 4)):
        run_network("simple_3level", network, batch=batch, phases="fw,bw", workers=1, out=tmp_path / folder)
    done = run("diff", "one", "two", "--json", "d.json")
    assert done.returncode == 0, done.stderr
    lines = json.loads((tmp_path / "d.json").read_text())["numbers"]
    runs: list[NetworkResult] = [load_run(tmp_path / folder) for folder in ("one", "two")]
    for part, phases in (
        ("forward", ["forward"]),
        ("backward", ["backward"]),
        ("all", ["forward", "backward"]),
    ):
        totals = [
            sum(result.totals(phase=phase).energy_pj for phase in result.phases if phase.text in phases)
            for result in runs
        ]
        (line,) = [
            one for one in lines if (one["part"], one["level"], one["quantity"]) == (part, "", "energy_pj")
        ]
        assert (line["a"], line["b"]) == pytest.approx(totals)
    assert "All phases" in done.stdout and "Forward" in run("diff", "one", "two", "--all").stdout
    assert "Different    batches: 2 and 4\n" in done.stdout


@pytest.mark.usefixtures("files")
def test_different_questions_are_said(run: Run, tmp_path: Path) -> None:
    told = " ".join(run("diff", "a.json", "b.json", "--json", "d.json").stdout.split())
    assert "Different problems of one name: 192 and 96 computations" in told
    assert "ratios compare different questions" in told
    assert json.loads((tmp_path / "d.json").read_text())["different"] == [
        "problems of one name: 192 and 96 computations"
    ]
    assert "Different" not in run("diff", "a.json", "a.json").stdout
    words = ("evaluate", "machine.yaml", "little.yaml", "by_hand.yaml", "-q", "--json", "c.json")
    run(*words, "--set", "architecture.name=other", "--set", "problem.name=large")
    told = " ".join(run("diff", "a.json", "c.json").stdout.split())
    assert "Different problems: little and large machines: two_levels and other" in told
