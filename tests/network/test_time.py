"""Runs of networks at a clock: time in tables and notes, leakage in energies, and which cases are shared."""

from __future__ import annotations

import copy
import csv
import io
from typing import Any

import pytest

from procrustes_model import load_architecture, run_network, train_cost
from procrustes_model.model.time import TIME_COLUMNS
from procrustes_model.network.plan import make_plan
from procrustes_model.network.request import RunRequest
from procrustes_model.network.work import load_work, states_of
from procrustes_model.report.page.inputs import input_files
from procrustes_model.report.page.network import _cards
from procrustes_model.report.tables.network import totals_text
from procrustes_model.report.terminal.network import format_notes, format_totals
from procrustes_model.report.terminal.train_cost import format_train_cost
from procrustes_model.report.terminal.units import format_seconds
from procrustes_model.spec.architecture import Architecture

MACHINE: dict[str, Any] = {
    "architecture": {
        "name": "leaky",
        "clock": "2 GHz",
        "levels": [
            {"name": "Far", "word_bits": 16, "energy_pj": {"read": 100, "write": 90}},
            {"name": "Near", "word_bits": 16, "capacity_words": 64, "mesh_x": 4, "mesh_y": 2}
            | {"energy_pj": {"read": 5, "write": 4}, "leakage_mw": 3},
        ],
        "compute": {"name": "MAC", "energy_pj": 1},
    }
}
NETWORK: dict[str, Any] = {
    "network": {
        "name": "one",
        "layers": [{"name": "only", "kind": "fully_connected", "input_channels": 8, "channels": 12}],
    }
}
ASKED: dict[str, Any] = {"batch": 8, "phases": "fw", "dataflow": "KN", "seconds": None, "workers": 1}


def machine(**changes: Any) -> Architecture:
    """Return the machine with other leakage or another clock."""
    data = copy.deepcopy(MACHINE)
    if "leakage_mw" in changes:
        data["architecture"]["levels"][1]["leakage_mw"] = changes["leakage_mw"]
    read = load_architecture(data)
    return read.at_clock(changes["clock"]) if "clock" in changes else read


def keys(architecture: Architecture) -> set[str]:
    """Return the keys of the cases of a run."""
    work = load_work(RunRequest(architecture, NETWORK, **ASKED))
    return set(make_plan(work, states_of(work)).cases)


def test_a_run_has_time_and_leakage() -> None:
    run = run_network(machine(), NETWORK, **ASKED)
    total = run.totals()
    assert total.energy_by_level["leakage"] == pytest.approx(8 * 3 / 2 * total.cycles, rel=1e-12)
    assert sum(total.energy_by_level.values()) == pytest.approx(total.energy_pj, rel=1e-12)
    time = total.time(run.clock_ghz)
    assert time is not None
    assert time.seconds == pytest.approx(total.cycles / 2e9, rel=1e-12)
    (row, _) = csv.DictReader(io.StringIO(totals_text(run)))
    assert list(row)[-len(TIME_COLUMNS) :] == list(TIME_COLUMNS)
    assert {name: float(row[name]) for name in TIME_COLUMNS} == time.to_dict()
    assert f"Time         {format_seconds(time.seconds)} at 2 GHz, " in format_notes(run)
    assert "Other" in format_totals(run)
    cards = {card.meaning: card.number for card in _cards(run)}
    assert cards["at 2 GHz, dense"] == format_seconds(time.seconds)
    assert any("TOPS/W" in meaning for meaning in cards)
    again = load_architecture_text(input_files(run)["architecture.yaml"])
    assert again == machine()


def load_architecture_text(text: str) -> Architecture:
    """Return the architecture that YAML describes."""
    import yaml

    return load_architecture(yaml.safe_load(text))


def test_clocks_share_cases_where_nothing_leaks() -> None:
    still = [keys(machine(leakage_mw=0, clock=clock)) for clock in (1.0, 2.0)]
    assert still[0] == still[1]
    leaking = [keys(machine(clock=clock)) for clock in (1.0, 2.0)]
    assert not leaking[0] & leaking[1]


def test_a_run_without_a_clock_tells_no_time() -> None:
    dry = copy.deepcopy(MACHINE)
    del dry["architecture"]["clock"], dry["architecture"]["levels"][1]["leakage_mw"]
    run = run_network(dry, NETWORK, **ASKED)
    assert run.clock_ghz is None
    assert not set(TIME_COLUMNS) & set(totals_text(run).splitlines()[0].split(","))
    assert "Time" not in format_notes(run)


def test_the_clock_of_a_training_run_is_the_machines() -> None:
    schedule: dict[str, Any] = {"schedule": {"name": "short", "parts": [{"iterations": 10}]}}
    design = {
        "sparsity": {
            "name": "half",
            "densities": {"Weights": 0.5},
            "formats": {"Weights": {"Near": "bitmask"}},
        }
    }
    schedule["schedule"]["parts"][0]["weights"] = {"overall": 0.5}
    costs = [
        train_cost(
            machine(clock=clock),
            NETWORK,
            schedule,
            sparsity=design,
            batch=8,
            mappings="dense",
            dataflow="KN",
            workers=1,
        )
        for clock in (1.0, 2.0)
    ]
    assert [cost.clock_ghz for cost in costs] == [1.0, 2.0]
    leaked = [
        part.step().energy_by_level["leakage"] / part.step().cycles for cost in costs for part in cost.parts
    ]
    assert leaked == pytest.approx([24.0, 12.0], rel=1e-12)
    text = format_train_cost(costs[1])
    assert "Time at 2 GHz: " in text and "\nPower: " in text
