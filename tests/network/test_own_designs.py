"""Layers of a network that have a design, or phases, of their own."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from procrustes_model import NetworkResult, count_macs, load_network, load_run, run_network
from procrustes_model.errors import SpecError
from procrustes_model.network import engine
from procrustes_model.report.page.inputs import input_files, repeat_command
from procrustes_model.report.page.network import html_text
from procrustes_model.report.tables.macs import COLUMNS, macs_text
from procrustes_model.report.tables.network import write_tables
from procrustes_model.report.terminal.macs import format_macs
from procrustes_model.report.terminal.network import format_run
from procrustes_model.vocabulary import PHASES, Phase

HALF = {
    "name": "half",
    "densities": {"Weights": 0.5},
    "formats": {"Weights": {"*": "bitmask"}},
    "compute": {"skip": "Weights"},
}
NETWORK: dict[str, Any] = {
    "network": {
        "name": "own",
        "batch": 4,
        "layers": [
            {"name": "a", "kind": "fully_connected", "input_channels": 8, "channels": 8, "sparsity": "dense"},
            {"name": "b", "kind": "fully_connected", "channels": 8, "sparsity": HALF},
            {"name": "c", "kind": "fully_connected", "channels": 8, "phases": ["fw", "bw"]},
        ],
    }
}
REQUEST: dict[str, Any] = {
    "sparsity": "nm_weights",
    "baseline": "dense",
    "first_data_gradient": False,
    "workers": 1,
}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> NetworkResult:
    return run_network("procrustes_16x16", NETWORK, out=tmp_path_factory.mktemp("own"), **REQUEST)


def test_rows_know_their_design_and_phases(result: NetworkResult) -> None:
    ours = [(row.layer, row.phase.short, row.entry.own) for row in result.select("nm_weights")]
    assert ours == [
        *(("a", phase, "dense") for phase in ("fw", "wu")),
        *(("b", phase, "half") for phase in ("fw", "bw", "wu")),
        *(("c", phase, "") for phase in ("fw", "bw")),
    ]
    assert {row.entry.own for row in result.select("dense")} == {""}  # a baseline is one design
    done = {
        (row.layer, row.phase): row.case.result["compute"]["computes"] for row in result.select("nm_weights")
    }
    assert [done[name, Phase.FORWARD] for name in "abc"] == [256, 128, 128]
    assert result.totals("dense").computes == 7 * 256
    assert not result.first_data_gradient


def test_a_run_is_kept_and_repeated(
    result: NetworkResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    run_network("procrustes_16x16", NETWORK, out=tmp_path / "run", **REQUEST)
    kept = load_run(tmp_path / "run")
    assert [row.entry for row in kept.rows] == [row.entry for row in result.rows]
    for name, text in input_files(kept).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert load_network(tmp_path / "network.yaml") == load_network(NETWORK)
    assert "--no-first-data-gradient" in repeat_command(kept)
    monkeypatch.setattr(engine, "solve", lambda case, _: pytest.fail(f"{case.key} is searched again"))
    again = run_network("procrustes_16x16", tmp_path / "network.yaml", out=tmp_path / "run", **REQUEST)
    assert again.to_run_json() == kept.to_run_json()


def test_reports_tell_designs_and_the_first_gradient(result: NetworkResult, tmp_path: Path) -> None:
    text = format_run(result)
    assert "2 of 3 layers have their own: dense, half" in " ".join(text.split())
    assert "The data gradient of the first layer is not counted." in text
    page = html_text(result)
    assert "design half" in page and "2 of 3 layers have designs of their own: dense, half." in page
    write_tables(result, tmp_path)
    tables = {}
    for path in tmp_path.glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            tables[path.stem] = list(csv.DictReader(file))
    designs = {row["layer"]: row["own_design"] for row in tables["layers"] if row["design"] == "nm_weights"}
    assert designs == {"a": "dense", "b": "half", "c": ""}
    assert {row["first_data_gradient"] for row in tables["totals"] + tables["ratios"]} == {"false"}
    assert len(tables["ratios"]) == 7 + 3 + 4  # layers' phases, and sums


def test_computations_of_a_network(result: NetworkResult) -> None:
    """Those of the searched mappings, without a search."""
    options = {name: value for name, value in REQUEST.items() if name != "workers"}
    counted = count_macs("procrustes_16x16", NETWORK, **options)
    assert [row.entry for row in counted.rows] == [row.entry for row in result.rows]
    for design in counted.designs:
        for phase in PHASES:
            total = result.totals(design, phase)
            one = counted.totals(design, phase)
            assert (one.dense, one.done) == (total.macs, pytest.approx(total.computes))
    text = format_macs(counted)
    assert "2 of 3 layers have designs of their own: dense, half." in text
    assert "The data gradient of the first layer is not counted." in text
    rows = list(csv.DictReader(macs_text(counted).splitlines()))
    assert list(rows[0]) == list(COLUMNS) and len(rows) == 14
    with pytest.raises(SpecError, match="count_macs counts computations alone"):
        run_network("procrustes_16x16", NETWORK, macs=True)


def test_a_density_needs_some_layer_with_a_use_for_it() -> None:
    found = count_macs("procrustes_16x16", NETWORK, densities={"Weights": 0.25})  # the run itself is dense
    done = {(row.layer, row.phase): row.computations.done for row in found.rows}
    assert [done[name, Phase.FORWARD] for name in "abc"] == [256, 64, 256]
    plain = {"network": {**NETWORK["network"], "layers": NETWORK["network"]["layers"][:1]}}
    with pytest.raises(SpecError, match="densities and masks need a sparse design"):
        count_macs("procrustes_16x16", plain, densities={"Weights": 0.25}, sparsity="dense")


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"sparsity": "dnse"}, "'dnse' is neither a file nor a sparsity that ships; did you mean 'dense'?"),
        ({"sparsity": {"name": "x", "density": {}}}, "unknown key 'density'"),
        ({"phases": ["forwards"]}, "'phases' must be a list of phases, some of forward, backward"),
    ],
)
def test_what_is_wrong_with_a_layer(item: dict[str, Any], said: str) -> None:
    layer = {"name": "a", "kind": "fully_connected", "input_channels": 8, "channels": 8, **item}
    with pytest.raises(SpecError) as caught:
        load_network({"network": {"name": "n", "layers": [layer]}})
    assert said in str(caught.value)
    assert len(caught.value.issues) == 1


def test_nothing_is_left() -> None:
    layer = {"name": "a", "kind": "fully_connected", "input_channels": 8, "channels": 8, "phases": ["bw"]}
    with pytest.raises(SpecError, match="no layer takes part in any of the phases"):
        count_macs(
            "procrustes_16x16", {"network": {"name": "n", "layers": [layer]}}, first_data_gradient=False
        )
