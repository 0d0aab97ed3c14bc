"""Time and leakage: energy is what is done plus power times time, in evaluations and in searches."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from procrustes_model import (
    evaluate,
    evaluate_batch,
    find_pareto_front,
    load_architecture,
    load_mapping,
    load_problem,
    search,
)
from procrustes_model.model.lower import lower_mapping
from procrustes_model.model.time import TIME_COLUMNS
from procrustes_model.report.tables.csv import WIDE_COLUMNS, wide_text
from procrustes_model.report.terminal.table import format_summary, format_table

MACHINE: dict[str, Any] = {
    "architecture": {
        "name": "leaky",
        "clock": "500 MHz",
        "levels": [
            {"name": "Far", "word_bits": 16, "energy_pj": {"read": 100, "write": 90}, "leakage_mw": 3},
            {"name": "Near", "word_bits": 16, "capacity_words": 64, "mesh_x": 4, "read_bandwidth": 0.5}
            | {"energy_pj": {"read": 5, "write": 4, "update": 6}, "leakage_mw": "250 uW"},
        ],
        "compute": {"name": "MAC", "energy_pj": 1, "leakage_mw": 0.125, "mesh_y": 2},
        "components": [
            {"name": "Clock", "power_pj_per_cycle": 3, "instances": 2, "leakage_mw": 0.5},
        ],
    }
}
LEAK_MW = {"Far": 3.0, "Near": 1.0, "MAC": 1.0, "Clock": 1.0}
"""Of all instances, by hand: 1 x 3, 4 x 0.25, 8 x 0.125, 2 x 0.5."""

PROBLEM = {"problem": {"name": "little", "shape": "matmul", "dimensions": {"M": 8, "K": 6, "N": 4}}}
LITTLE = {
    "mapping": {
        "levels": [
            {"level": "Far", "temporal": "M=2 N=2 K=3", "spatial_x": "M=2 N=2"},
            {"level": "Near", "temporal": "M=2", "spatial_y": "K=2"},
        ]
    }
}
HALF = {"sparsity": {"name": "half", "densities": {"B": 0.5}, "formats": {"B": {"Near": "bitmask"}}}}


def still(machine: dict[str, Any]) -> dict[str, Any]:
    """Return the same machine without leakage or a clock."""
    machine = copy.deepcopy(machine)
    content = machine["architecture"]
    content.pop("clock", None)
    for part in (*content["levels"], content["compute"], *content.get("components", [])):
        part.pop("leakage_mw", None)
    return machine


@pytest.mark.quick
@pytest.mark.parametrize("design", [None, HALF])
def test_energy_is_what_is_done_and_power_times_time(design: Any) -> None:
    leaky = evaluate(MACHINE, PROBLEM, LITTLE, sparsity=design)
    dry = evaluate(still(MACHINE), PROBLEM, LITTLE, sparsity=design)
    assert leaky.cycles == dry.cycles
    # Power in mW over GHz is pJ per cycle.
    expected = {name: power / 0.5 * leaky.cycles for name, power in LEAK_MW.items()}
    assert {one.name: one.energy_pj for one in leaky.leakage} == pytest.approx(expected, rel=1e-12)
    assert {one.name: one.power_mw for one in leaky.leakage} == LEAK_MW
    assert leaky.energy_pj == pytest.approx(dry.energy_pj + sum(expected.values()), rel=1e-12)
    assert dict(leaky.extras)["leakage"] == pytest.approx(sum(expected.values()), rel=1e-12)
    rows = leaky.to_records()
    assert sum(row["energy_pj"] for row in rows) == pytest.approx(leaky.energy_pj, rel=1e-12)
    leaks = {row["level"]: (row["count"], row["instances"]) for row in rows if row["action"] == "leak"}
    assert leaks == {"Far": (leaky.cycles, 1), "Near": (leaky.cycles, 4), "MAC": (leaky.cycles, 8)} | {
        "Clock": (leaky.cycles, 2)
    }


@pytest.mark.quick
def test_a_batch_has_the_same_energy() -> None:
    architecture, problem = load_architecture(MACHINE), load_problem(PROBLEM)
    mapping = load_mapping(LITTLE, architecture, problem)
    result = evaluate(architecture, problem, mapping)
    batch = evaluate_batch(architecture, problem, *lower_mapping(problem, mapping))
    assert batch.energy_pj[0] == pytest.approx(result.energy_pj, rel=1e-12)


@pytest.mark.quick
def test_half_the_clock_leaks_twice_as_much() -> None:
    machine = load_architecture(MACHINE)
    slow, fast = (evaluate(machine.at_clock(clock), PROBLEM, LITTLE) for clock in (0.25, 0.5))
    assert sum(one.energy_pj for one in slow.leakage) == 2 * sum(one.energy_pj for one in fast.leakage)
    assert slow.time is not None and fast.time is not None
    assert slow.time.seconds == 2 * fast.time.seconds


@pytest.mark.quick
def test_time_by_hand() -> None:
    result = evaluate(MACHINE, PROBLEM, LITTLE)
    time = result.time
    assert time is not None
    assert time.seconds == pytest.approx(result.cycles * 2e-9, rel=1e-15)
    assert time.power_w == pytest.approx(result.energy_pj * 1e-12 / time.seconds, rel=1e-12)
    assert time.tops == pytest.approx(2 * 192 / time.seconds * 1e-12, rel=1e-12)
    assert time.tops_per_w == pytest.approx(time.tops / time.power_w, rel=1e-12)
    assert time.edp_j_s == pytest.approx(result.edp_j_cycles * 2e-9, rel=1e-12)
    data = result.to_dict()
    assert {name: data[name] for name in TIME_COLUMNS} == time.to_dict()
    assert data["clock_ghz"] == 0.5
    assert json.dumps(data)
    sparse = evaluate(MACHINE, PROBLEM, LITTLE, sparsity=HALF)
    assert sparse.time is not None
    assert sparse.time.computes == 192  # those that zeros save included


@pytest.mark.quick
def test_tables_have_time_where_there_is_a_clock() -> None:
    leaky, dry = evaluate(MACHINE, PROBLEM, LITTLE), evaluate(still(MACHINE), PROBLEM, LITTLE)
    head = wide_text([leaky]).splitlines()[0].split(",")
    assert head[-len(TIME_COLUMNS) :] == list(TIME_COLUMNS)
    assert "energy_pj_leakage" in head
    plain = wide_text([dry]).splitlines()[0].split(",")
    assert not {*TIME_COLUMNS, "energy_pj_leakage"} & set(plain)
    assert plain[: len(WIDE_COLUMNS)] == list(WIDE_COLUMNS)
    assert not {"clock_ghz", "leakage", *TIME_COLUMNS} & set(dry.to_dict())
    summary = format_summary(leaky)
    assert "Time " in summary and " at 0.5 GHz, " in summary and " TOPS/W, " in summary
    assert "Time " not in format_summary(dry)
    assert "leakage" in format_table(leaky) and "leakage" not in format_table(dry)


def test_leakage_changes_what_is_best() -> None:
    """Where waiting costs, fewer cycles are worth more accesses."""
    machine = copy.deepcopy(MACHINE)
    machine["architecture"]["levels"][0]["leakage_mw"] = 1e4
    leaky, dry = (
        search(machine, PROBLEM, objective="energy"),
        search(still(machine), PROBLEM, objective="energy"),
    )
    assert leaky.result.cycles < dry.result.cycles
    front = find_pareto_front(machine, PROBLEM)
    assert min(point.result.energy_pj for point in front) == pytest.approx(leaky.result.energy_pj, rel=1e-9)
