"""CSV tables of a run: their rows add up, and ratios are quotients of them."""

from __future__ import annotations

import csv
import io
import math

from procrustes_model.network.result import NetworkResult
from procrustes_model.report.tables.network import (
    LAYER_COLUMNS,
    TIDY_COLUMNS,
    layers_text,
    ratios_text,
    tidy_text,
    totals_text,
)
from procrustes_model.report.terminal.network import format_layers, format_notes, format_totals
from procrustes_model.report.terminal.table import Style


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
