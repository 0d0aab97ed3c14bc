"""CSV tables of a run: their rows add up, and ratios are quotients of them."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace

import pytest

from procrustes_model.network.result import NetworkResult
from procrustes_model.network.run import run_network
from procrustes_model.report.page.network import html_text
from procrustes_model.report.tables.network import (
    LAYER_COLUMNS,
    TIDY_COLUMNS,
    layers_text,
    ratios_text,
    tidy_text,
    totals_text,
)
from procrustes_model.report.terminal.network import format_layers, format_notes, format_run, format_totals
from procrustes_model.report.terminal.style import Style
from procrustes_model.report.terminal.units import format_energy
from procrustes_model.spec.load import load_architecture
from procrustes_model.vocabulary import Phase
from tests.network.conftest import TINY


def _read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def _sum(rows: list[dict[str, str]], column: str) -> float:
    return math.fsum(float(row[column]) for row in rows)


def test_tidy_rows_add_up_to_the_layers(tiny_run: NetworkResult) -> None:
    tidy, layers = _read(tidy_text(tiny_run)), _read(layers_text(tiny_run))
    assert list(tidy[0]) == list(TIDY_COLUMNS)
    assert {row["version"] for row in (*tidy, *layers)} == {"2"}
    assert list(layers[0])[: len(LAYER_COLUMNS)] == list(LAYER_COLUMNS)
    for row in layers:
        mine = [one for one in tidy if all(one[key] == row[key] for key in ("layer", "phase", "design"))]
        assert math.isclose(_sum(mine, "energy_pj"), float(row["energy_pj"]), rel_tol=1e-12)
        levels = [float(row[name]) for name in row if name.startswith("energy_pj_") and row[name]]
        assert math.isclose(math.fsum(levels), float(row["energy_pj"]), rel_tol=1e-12)


def test_layers_add_up_to_totals(tiny_run: NetworkResult) -> None:
    layers = _read(layers_text(tiny_run))
    for total in _read(totals_text(tiny_run)):
        mine = [
            row
            for row in layers
            if row["design"] == total["design"] and total["phase"] in (row["phase"], "all")
        ]
        for column in ("energy_pj", "energy_pj_DRAM", "energy_pj_MAC", "computes"):
            assert math.isclose(_sum(mine, column), float(total[column]), rel_tol=1e-12)
        for column in ("cycles", "macs"):
            assert sum(int(row[column]) for row in mine) == int(total[column])
        assert int(total["rows"]) == len(mine)


def test_ratios_are_quotients_of_layers(tiny_run: NetworkResult) -> None:
    layers = _read(layers_text(tiny_run))
    ratios = _read(ratios_text(tiny_run))
    assert len(ratios) == (len(tiny_run.layers) + 1) * (len(tiny_run.phases) + 1)
    for ratio in ratios:
        parts = {}
        for design in ("procrustes", "dense"):
            parts[design] = [
                row
                for row in layers
                if row["design"] == design
                and ratio["layer"] in (row["layer"], "all")
                and ratio["phase"] in (row["phase"], "all")
            ]
        energy = _sum(parts["dense"], "energy_pj") / _sum(parts["procrustes"], "energy_pj")
        cycles = _sum(parts["dense"], "cycles") / _sum(parts["procrustes"], "cycles")
        assert math.isclose(float(ratio["energy_ratio"]), energy, rel_tol=1e-12)
        assert math.isclose(float(ratio["cycles_ratio"]), cycles, rel_tol=1e-12)
        assert float(ratio["cycles_ratio"]) == int(ratio["baseline_cycles"]) / int(ratio["cycles"])


def test_terminal_tables_name_everything(tiny_run: NetworkResult) -> None:
    layers, totals = format_layers(tiny_run), format_totals(tiny_run, Style(unicode=False))
    for word in ("first", "mid_1", "depth", "last", "DRAM", "fw", "wu", "E gain", "Speedup"):
        assert word in layers
    assert "mid_2" not in layers
    assert all(word in totals for word in ("procrustes", "dense", "all", "dense / procrustes"))
    assert totals.isascii()
    notes = format_notes(tiny_run)
    assert "KN: C over columns, N over rows in 3 of 15 searches" in notes
    assert "assumed" not in notes


@pytest.mark.parametrize(
    ("phases", "sparse", "said"),
    [
        (("fw",), ["Weights"], ["weights"]),
        (("fw", "bw"), ["Weights", "Inputs"], ["weights", "activations"]),
        (("bw",), ["Inputs"], []),
        (("bw",), ["Outputs"], ["gradients"]),
    ],
)
def test_what_the_design_states_is_said_only_where_it_does(
    phases: tuple[str, ...], sparse: list[str], said: list[str]
) -> None:
    design = {"name": "own", "densities": dict.fromkeys(sparse, 0.5), "compute": {"gate": sparse[0]}}
    result = run_network(
        "procrustes_16x16",
        TINY,
        phases=phases,
        batch=2,
        dataflow="KN",
        sparsity={"sparsity": design},
        workers=1,
        seconds=None,
    )
    lines = [line for line in format_notes(result).splitlines() if line.startswith("Densities")]
    assert lines == [f"Densities    of {what}: what own states, the same for all layers" for what in said]


@pytest.fixture
def unbalanced_run(tiny_run: NetworkResult) -> NetworkResult:
    """Return the run as if its design stated no balancing, on a machine of which some parts state areas."""
    told = {"work_spread": "even (ideal)", "assumed_even": ["Weights"], "imbalance": None}
    rows = tuple(
        replace(row, case=replace(row.case, result=row.case.result | told))
        if (row.design, row.phase) == ("procrustes", Phase.FORWARD)
        else row
        for row in tiny_run.rows
    )
    machine = tiny_run.inputs["architecture"]
    levels = [level | {"area_um2": 3000.0} for level in machine["levels"][-1:]]
    machine = machine | {"levels": [*machine["levels"][:-1], *levels]}
    return replace(tiny_run, rows=rows, inputs=tiny_run.inputs | {"architecture": machine})


@pytest.mark.parametrize("width", [80, 120])
def test_terminal_tables_fit(tiny_run: NetworkResult, width: int) -> None:
    text = format_run(tiny_run, Style(width=width))
    assert max(map(len, text.splitlines())) <= width
    assert text.count("\n\n") == (
        4 if width == 80 else 2
    )  # at 80, energies by level have tables of their own
    assert "Other" not in text  # balancing takes no energy here


def test_what_other_is(tiny_run: NetworkResult) -> None:
    one = next(row for row in tiny_run.rows if row.design == "procrustes")
    case = replace(one.case, energy_by_level=one.case.energy_by_level | {"balancing": 1500.0})
    run = replace(
        tiny_run, rows=tuple(replace(one, case=case) if row is one else row for row in tiny_run.rows)
    )
    text = format_run(run, Style())
    assert text.count(" Other") == 2
    assert f"Other        procrustes, all phases: balancing {format_energy(1500.0)}" in text


def test_counts_of_proofs_agree(tiny_run: NetworkResult) -> None:
    assert all(row.case.proven for row in tiny_run.rows) == ("gap" not in format_layers(tiny_run))
    case = replace(tiny_run.rows[0].case, proven=False, gap=0.25)
    run = replace(tiny_run, rows=(replace(tiny_run.rows[0], case=case), *tiny_run.rows[1:]))
    total = run.totals(phase=Phase.FORWARD)
    (line,) = [one for one in format_totals(run).splitlines() if one.split()[:2] == ["procrustes", "fw"]][:1]
    assert f"{total.proven} of {total.rows}  " in f"{line}  "
    assert line.endswith("25.0%") or total.proven < total.rows - 1
    assert "gap 25.0%" in format_layers(run)


def test_work_that_is_taken_to_be_spread_evenly(
    tiny_run: NetworkResult, unbalanced_run: NetworkResult
) -> None:
    layers, totals = _read(layers_text(unbalanced_run)), _read(totals_text(unbalanced_run))
    spread = {(row["design"], row["phase"]): row["work_spread"] for row in layers}
    assert spread["procrustes", "forward"] == "even (ideal)"
    assert spread["procrustes", "backward"] == "expected"
    assert spread["dense", "forward"] == "even"
    ideal = {(row["design"], row["phase"]): int(row["ideal"]) for row in totals}
    layers_there = len(unbalanced_run.layers)
    assert ideal["procrustes", "forward"] == ideal["procrustes", "all"] == layers_there
    assert ideal["procrustes", "backward"] == ideal["dense", "all"] == 0
    assert "ideal" in format_layers(unbalanced_run)
    assert "ideal" not in format_layers(tiny_run)
    notes = format_notes(unbalanced_run)
    assert notes.count("cycles are a lower bound") == 1
    assert "Imbalance    cycles are a lower bound: procrustes skips" in notes
    page = html_text(unbalanced_run)
    assert page.count("Cycles are a lower bound: procrustes skips") == 1
    assert page.count(">ideal</td>") == layers_there


def test_a_balanced_run_says_nothing_of_it(tiny_run: NetworkResult) -> None:
    assert "lower bound:" not in format_notes(tiny_run)
    assert {row["ideal"] for row in _read(totals_text(tiny_run))} == {"0"}


def test_cases_of_older_programs_know_no_spread(tiny_run: NetworkResult) -> None:
    first = tiny_run.rows[0]
    plain = {key: value for key, value in first.case.result.items() if key != "work_spread"}
    old = replace(tiny_run, rows=(replace(first, case=replace(first.case, result=plain)),))
    assert _read(layers_text(old))[0]["work_spread"] == ""
    assert "lower bound:" not in format_notes(old)


def test_areas(tiny_run: NetworkResult, unbalanced_run: NetworkResult) -> None:
    assert "Area" not in format_notes(tiny_run)
    assert {(row["area_um2"], row["area_unstated"]) for row in _read(totals_text(tiny_run))} == {("", "")}
    last = load_architecture("procrustes_16x16").levels[-1].name
    notes = format_notes(unbalanced_run)
    assert "Area         0.7680 mm2 of the parts that state one" in notes
    assert f"all instances: {last} 0.7680 mm2" in notes
    assert "not stated: DRAM, GlobalBuffer, MAC" in notes
    for row in _read(totals_text(unbalanced_run)):
        assert (row["area_um2"], row["area_unstated"]) == ("768000.0", "DRAM;GlobalBuffer;MAC")
    assert "Area of the machine: 0.7680 mm2" in html_text(unbalanced_run)
