"""Elementwise layers: beside the pipeline and counts by hand, from a file to tables."""

from __future__ import annotations

import csv
from typing import Any

import pytest
import yaml

from procrustes_model import SpecError, evaluate, load_architecture, load_network
from procrustes_model.model.elementwise import Stream, evaluate_elementwise
from procrustes_model.network.result import load_run
from procrustes_model.network.run import run_network
from procrustes_model.report.page.network import html_text
from procrustes_model.report.tables.network import write_tables
from procrustes_model.report.terminal.network import format_run
from procrustes_model.shipped import list_shipped
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.network_elementwise import ElementwiseLayer

LEVEL: dict[str, Any] = {"word_bits": 16}
MACHINE: dict[str, Any] = {
    "architecture": {
        "name": "by_hand",
        "levels": [
            {"name": "DRAM", "read_bandwidth": 4, "energy_pj": {"read": 100, "write": 200}, **LEVEL},
            {"name": "Buffer", "capacity_words": 512, "energy_pj": {"read": 1, "write": 3}, **LEVEL},
        ],
        "compute": {"energy_pj": 0.5, "mesh_x": 8},
    }
}
NETWORK: dict[str, Any] = {
    "network": {
        "name": "steps",
        "batch": 4,
        "input": {"channels": 8},
        "layers": [
            {"name": "fc", "kind": "fully_connected", "channels": 6},
            {"name": "relu", "kind": "elementwise", "reads": ["Inputs"], "writes": ["Outputs"]},
            {
                "name": "lif",
                "kind": "elementwise",
                "steps": 5,
                "reads": ["Currents"],
                "writes": ["Spikes"],
                "states": ["Membrane"],
                "operations": 3,
                "bits": {"Spikes": 1},
                "at": {"Membrane": "Buffer"},
            },
            {
                "name": "adam",
                "kind": "elementwise",
                "phase": "weight_update",
                "weights_of": "all",
                "reads": ["Gradients"],
                "states": ["Weights", "Momentum", "Variance"],
                "operations": 12,
                "bits": {"Momentum": 32, "Variance": 32},
            },
            {
                "name": "masks",
                "kind": "elementwise",
                "phase": "weight_update",
                "weights_of": ["fc"],
                "reads": ["Weights"],
                "writes": ["Masks"],
                "operations_per_cycle": 32,
                "energy_pj": 0.25,
                "bits": {"Masks": 1},
            },
        ],
    }
}


def item(**changed: Any) -> Any:
    layer = {"name": "e", "kind": "elementwise", "elements": 8, "reads": ["A"], "writes": ["B"], **changed}
    return {"network": {"name": "one", "layers": [{k: v for k, v in layer.items() if v is not None}]}}


def nest(machine: Architecture, homes: dict[str, str]) -> dict[str, Any]:
    """Return the mapping that keeps a tensor where it begins and ends only, with six steps on all units."""
    levels = []
    for index, level in enumerate(machine.levels):
        one: dict[str, Any] = {"level": level.name}
        one["keep"] = [name for name, at in homes.items() if at == level.name]
        columns, rows = machine.fanout(index)
        one |= {"temporal": "E=6"} if index == 0 else {}
        one |= {"spatial_x": f"E={columns}"} if columns > 1 else {}
        one |= {"spatial_y": f"E={rows}"} if rows > 1 else {}
        levels.append(one)
    return {"mapping": {"name": "all", "levels": levels}}


@pytest.mark.parametrize("name", list_shipped("architecture"))
def test_a_product_of_elements_costs_what_the_mapping_costs_that_keeps_nothing_between(name: str) -> None:
    if name in ("ipu_like", "crossbar_64x64", "txsim"):
        pytest.skip("no mapping divides the tensors among tiles where they begin; weights exceed the cells")
    machine = load_architecture(name)
    count = 6 * machine.instances(len(machine.levels))
    projection = {tensor: {"projection": ["E"]} for tensor in ("Weights", "Inputs", "Outputs")}
    projection["Outputs"]["output"] = True  # type: ignore[assignment]
    shape = {"name": "product", "dimensions": ["E"], "tensors": projection}
    layer = ElementwiseLayer(name="x", elements=count, reads=("Weights", "Inputs"), writes=("Outputs",))
    ours = evaluate_elementwise(machine, Stream("x", layer, count, {}))
    homes = {tensor.tensor: level.name for level in ours.levels for tensor in level.tensors}
    problem = {"problem": {"name": "p", "shape": shape, "dimensions": {"E": count}}}
    theirs = evaluate(machine, problem, nest(machine, homes), check_capacity=False)
    assert ours.energy_pj == pytest.approx(theirs.energy_pj, rel=1e-12)
    assert ours.cycles == theirs.cycles
    assert ours.bottleneck == theirs.bottleneck
    for mine, other in zip(ours.levels, theirs.levels, strict=True):
        assert mine.energy_pj == pytest.approx(other.energy_pj, rel=1e-12)
    assert dict(ours.extras) == pytest.approx(dict(theirs.extras), rel=1e-12)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("steps")
    result = run_network(MACHINE, NETWORK, out=folder, seconds=None, workers=1)
    write_tables(result, folder)
    return result, folder


def test_counts_by_hand(ran: Any) -> None:
    """On DRAM at 100 pJ a read and 200 a write of 16 bits; 4 words a cycle; 8 units at 0.5 pJ."""
    rows = {row.layer: row for row in ran[0].rows if not row.case.searched}
    relu, lif, adam, masks = (rows[name].case for name in ("relu", "lif", "adam", "masks"))
    assert relu.energy_pj == 24 * (100 + 200 + 0.5)
    assert relu.cycles == 24 // 4  # reads of 24 words; computing takes 3
    spikes = -(-120 // 16)  # of one bit, 16 in an access
    assert lif.energy_pj == 120 * 100 + spikes * 200 + 120 * (1 + 3) + 120 * 3 * 0.5
    assert lif.cycles == 120 // 8 * 3
    # Gradients and weights of a word, momentum and variance of two: read; all but gradients written.
    assert adam.energy_pj == 48 * (100 * 6 + 200 * 5 + 12 * 0.5)
    assert adam.cycles == 48 * 6 // 4 == 48 // 8 * 12
    assert masks.energy_pj == 48 * 100 + 3 * 200 + 48 * 0.25
    assert masks.cycles == 48 // 4  # at 4 words a cycle; the unit takes 48 / 32
    assert masks.result["compute"]["cycles"] == 2
    assert [rows[name].operations for name in rows] == [24, 360, 576, 48]


def test_they_add_up_and_are_no_multiply_accumulates(ran: Any) -> None:
    result, folder = ran
    assert [row.layer for row in result.rows] == ["fc"] * 3 + ["relu", "lif", "adam", "masks"]
    alone = run_network(
        MACHINE, {"network": {**NETWORK["network"], "layers": NETWORK["network"]["layers"][:1]}}
    )
    extra = sum(row.case.energy_pj for row in result.rows if not row.case.searched)
    assert result.totals().energy_pj == pytest.approx(alone.totals().energy_pj + extra)
    assert result.totals().macs == alone.totals().macs == 3 * 4 * 48
    assert result.totals().computes == alone.totals().computes
    with (folder / "layers.csv").open(encoding="utf-8") as file:
        table = {one["layer"]: one for one in csv.DictReader(file)}
    assert (table["adam"]["macs"], table["adam"]["operations"]) == ("0", "576")
    assert table["fc"]["operations"] == ""
    assert "elementwise layers: 1,008 operations" in format_run(result)
    assert "elementwise" in html_text(result)


def test_a_folder_holds_them(ran: Any) -> None:
    result, folder = ran
    assert load_run(folder).rows == result.rows
    again = run_network(MACHINE, NETWORK, out=folder, seconds=None, workers=1)
    assert again.rows == result.rows
    assert not list((folder / "mappings").glob("adam*"))


def test_they_are_written_as_they_are_read() -> None:
    network = load_network(NETWORK)
    assert load_network(yaml.safe_load(network.to_yaml())) == network
    assert [layer.elements for layer in network.elementwise] == [6, 6, 48, 48]
    assert [layer.per for layer in network.elementwise] == ["sample", "sample", "step", "step"]
    assert network.macs == 48


def test_a_network_may_have_no_other_layers() -> None:
    result = run_network(MACHINE, item(elements=64, per="step"), baseline="dense", sparsity="procrustes")
    assert result.totals().energy_pj == 64 * (100 + 200 + 0.5)
    assert result.ratio("backward").energy == 1
    assert "elementwise layers: 64 operations" in format_run(result)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"elements": None}, "the input of 'e' is not known from what stands before it"),
        ({"weights_of": "all"}, "'elements' and 'weights_of' are both given"),
        ({"elements": None, "weights_of": ["fc"]}, "no layer with weights is called 'fc'"),
        ({"elements": None, "weights_of": "all"}, "there are no weights"),
        ({"elements": 0}, "'elements' must be at least 1, is 0"),
        ({"reads": None, "writes": None}, "nothing is read or written"),
        ({"states": ["A"]}, "'A' stands in 'reads' and in 'states'"),
        ({"bits": {"C": 1}}, "no tensor 'C' for 'bits'"),
        ({"at": {"C": "DRAM"}}, "no tensor 'C' for 'at'"),
        ({"phase": "foreward"}, "'phase' must be one of 'forward', 'backward' or 'weight_update'"),
        ({"operation": 3}, "unknown key 'operation'; did you mean 'operations'"),
        ({"kernel": 3}, "unknown key 'kernel'; choose from"),
        ({"elements": None, "per": "step"}, "'per' has no effect without 'elements'"),
    ],
)
def test_what_makes_no_sense_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_network(item(**changed))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"at": {"A": "Bufer"}}, "'A' begins or ends at 'Bufer', no level of by_hand; did you mean 'Buffer'"),
        ({"at": {"A": "Buffer"}, "elements": 513}, "A take 513 words of each Buffer; it has 512"),
    ],
)
def test_what_a_machine_lacks_is_named(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        run_network(MACHINE, item(**changed))
