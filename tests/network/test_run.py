"""Sums, quotients and the folder of a run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from procrustes_model import SpecError, load_architecture, load_network
from procrustes_model.network.densities import LayerState
from procrustes_model.network.plan import make_plan
from procrustes_model.network.progress import RunProgress
from procrustes_model.network.request import RunRequest
from procrustes_model.network.result import NetworkResult, load_run
from procrustes_model.network.run import run_network
from procrustes_model.network.work import load_work
from procrustes_model.objective import parse_objective
from tests.network.conftest import TINY

ONE: dict[str, Any] = {
    "network": {
        "name": "one",
        "input": {"channels": 2, "height": 2, "width": 2},
        "layers": [{"name": "only", "kind": "conv", "channels": 2, "kernel": 1}],
    }
}


def test_totals_are_the_sums_of_rows(tiny_run: NetworkResult) -> None:
    for design in tiny_run.designs:
        rows = [row for row in tiny_run.rows if row.design == design]
        total = tiny_run.totals(design)
        assert total.rows == len(rows) == 5 * 3
        assert total.energy_pj == sum(row.case.energy_pj for row in rows)
        assert total.cycles == sum(row.case.cycles for row in rows)
        assert math.isclose(sum(total.energy_by_level.values()), total.energy_pj, rel_tol=1e-12)
        by_phase = [tiny_run.totals(design, phase) for phase in tiny_run.phases]
        assert sum(part.cycles for part in by_phase) == total.cycles
        by_layer = [tiny_run.totals(design, layer=layer) for layer in tiny_run.layers]
        assert math.isclose(sum(part.energy_pj for part in by_layer), total.energy_pj, rel_tol=1e-12)


def test_layers_that_repeat_are_searched_once_and_counted_twice(tiny_run: NetworkResult) -> None:
    first, second = tiny_run.select("dense", "forward", "mid_1"), tiny_run.select("dense", "forward", "mid_2")
    assert first[0].case is second[0].case
    assert tiny_run.totals("dense", "forward").macs == 8 * (9 * 4 * 2 * 9 + 2 * 9 * 16 + 9 * 4 + 36 * 4)


def test_a_second_run_searches_nothing(tmp_path: Path) -> None:
    seen: list[RunProgress] = []
    results = [
        run_network(
            "procrustes_16x16",
            TINY,
            phases=["fw"],
            workers=1,
            seconds=None,
            out=tmp_path,
            progress=seen.append,
        )
        for _ in range(2)
    ]
    assert results[0].rows == results[1].rows == load_run(tmp_path).rows
    assert seen[-1].kept == seen[-1].total == 4
    assert results[0].totals() == load_run(tmp_path).totals()


@pytest.mark.parametrize("damage", ["", "{}", '{"format": "procrustes_case"'])
def test_a_damaged_case_is_searched_again(tmp_path: Path, damage: str) -> None:
    first = run_network("procrustes_16x16", TINY, phases=["fw"], workers=1, seconds=None, out=tmp_path)
    case = next((tmp_path / "cases").iterdir())
    case.write_text(damage)
    seen: list[RunProgress] = []
    second = run_network(
        "procrustes_16x16", TINY, phases=["fw"], workers=1, seconds=None, out=tmp_path, progress=seen.append
    )
    assert seen[-1].kept == seen[-1].total - 1
    assert first.totals() == second.totals()


def test_what_was_not_proven_goes_on_with_more_time(tmp_path: Path) -> None:
    hurried = run_network("procrustes_16x16", TINY, phases=["fw"], workers=1, seconds=0.001, out=tmp_path)
    unproven = {row.case.key for row in hurried.rows if not row.case.proven}
    seen: list[RunProgress] = []
    patient = run_network(
        "procrustes_16x16", TINY, phases=["fw"], workers=1, seconds=None, out=tmp_path, progress=seen.append
    )
    assert seen[-1].total - seen[-1].kept == len(unproven)
    assert patient.totals().proven == patient.totals().rows
    for before, after in zip(hurried.rows, patient.rows, strict=True):
        assert after.case.edp_j_cycles <= before.case.edp_j_cycles
    again = run_network("procrustes_16x16", TINY, phases=["fw"], workers=1, seconds=0.001, out=tmp_path)
    assert again.rows == patient.rows


def test_cases_have_the_objective_of_the_run() -> None:
    machine, net = load_architecture("simple_3level"), load_network(ONE)
    plans = [
        make_plan(load_work(RunRequest(machine, net, objective=text)), {"only": LayerState()})
        for text in ("ed2p", "cycles^2*energy", "energy, cycles<=1e6")
    ]
    assert [plan.work.objective for plan in plans] == ["ed2p", "ed2p", "energy, cycles<=1000000"]
    assert list(plans[0].cases) == list(plans[1].cases)
    assert {case.objective for case in plans[2].cases.values()} == {plans[2].work.objective}
    with pytest.raises(SpecError, match="unknown objective 'least'"):
        run_network(machine, net, objective="least")


def test_the_objective_of_a_run_is_kept(tmp_path: Path) -> None:
    aim = parse_objective("ed2p, cycles<=1e6")
    run = run_network(
        "simple_3level", ONE, batch=1, phases=["fw"], objective=aim, workers=1, seconds=None, out=tmp_path
    )
    assert run.objective == run.rows[0].case.objective == load_run(tmp_path).objective == str(aim)
    assert run.totals().cycles <= 1e6
