"""Layers whose tensors start and end on the chip, from a network's file to records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from procrustes_model import SpecError, load_architecture, load_network
from procrustes_model.network.run import run_network
from procrustes_model.spec.stays import ENDS, STARTS, Stays, phases_of
from procrustes_model.vocabulary import PHASES, Phase
from procrustes_model.workloads.layer import problem_content

LEVEL: dict[str, Any] = {"word_bits": 16}
MACHINE = {
    "architecture": {
        "name": "two_levels",
        "levels": [
            {"name": "DRAM", "energy_pj": {"read": 100, "write": 100}, **LEVEL},
            {"name": "Buffer", "capacity_words": 512, "energy_pj": {"read": 1, "write": 1}, **LEVEL},
        ],
        "compute": {"energy_pj": 1},
    }
}


def network(**layer: Any) -> Any:
    first = {"name": "a", "kind": "fully_connected", "input_channels": 8, "channels": 4, **layer}
    content = {"name": "chain", "layers": [first, {"name": "b", "kind": "fully_connected", "channels": 4}]}
    return load_network({"network": content})


def test_tensors_start_where_phases_read_them_and_end_where_one_writes_them() -> None:
    assert phases_of(STARTS, "Inputs") == (Phase.FORWARD, Phase.WEIGHT_UPDATE)
    assert phases_of(ENDS, "Weights") == (Phase.WEIGHT_UPDATE,)
    stated = network(
        starts={"Inputs": "Buffer", "backward": {"Outputs": "Near"}},
        ends={"Outputs": "Buffer", "backward": {"Inputs": "Far"}},
    )
    found = {
        phase: {key: problem_content(stated.layers[0], phase).get(key, {}) for key in (STARTS, ENDS)}
        for phase in PHASES
    }
    assert found == {
        "forward": {"starts": {"Inputs": "Buffer"}, "ends": {"Outputs": "Buffer"}},
        "backward": {"starts": {"Outputs": "Near"}, "ends": {"Inputs": "Far"}},
        "weight_update": {"starts": {"Inputs": "Buffer"}, "ends": {}},
    }
    assert load_network(yaml.safe_load(stated.to_yaml())) == stated


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"starts": {"Input": "Buffer"}}, "no tensor 'Input' for 'starts'; did you mean 'Inputs'"),
        ({"starts": {"forward": {"Outputs": "Buffer"}}}, "'Outputs' is not read in the phase forward"),
        ({"ends": {"backward": {"Outputs": "Buffer"}}}, "'Outputs' is not written in the phase backward"),
        ({"ends": {"Outputs": 3}}, "'Outputs' must be the name of a level, is 3"),
        ({"ends": []}, "'ends' must be"),
        ({"starts": {"forward": {}}}, "'forward' must be levels by tensor"),
    ],
)
def test_what_makes_no_sense_is_refused(layer: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        network(**layer)


def test_a_run_leaves_out_what_never_leaves_the_chip(tmp_path: Path) -> None:
    asked: dict[str, Any] = {"batch": 4, "dataflow": "any", "seconds": None, "workers": 1}
    machine = load_architecture(MACHINE)
    free = run_network(machine, network(), **asked)
    stays = network(starts={"forward": {"Inputs": "Buffer"}}, ends={"Outputs": "Buffer"})
    held = run_network(machine, stays, out=tmp_path / "run", **asked)
    words = (8 * 4 + 4 * 4) * 100
    by_row = {(row.layer, row.phase): row.case.energy_pj for row in free.rows}
    assert held.rows[0].case.problem["starts"] == {"Inputs": "Buffer"}
    for row in held.rows:
        saved = by_row[row.layer, row.phase] - row.case.energy_pj
        buffer = 8 * 4  # inputs that no longer fill it
        expected = words + buffer if (row.layer, row.phase) == ("a", "forward") else 0
        assert saved == pytest.approx(expected)
    again = run_network(machine, stays, out=tmp_path / "run", **asked)
    assert [row.case for row in again.rows] == [row.case for row in held.rows]


def test_levels_that_a_machine_lacks_are_named_before_anything_starts() -> None:
    with pytest.raises(SpecError, match="begins or ends at 'Bufer', no level of two_levels"):
        run_network(load_architecture(MACHINE), network(ends={"Outputs": "Bufer"}), batch=4, workers=1)


def test_stays_are_read_as_they_are_written() -> None:
    stated = Stays.model_validate({"Inputs": "B", "backward": {"Outputs": "C"}})
    assert Stays.model_validate(stated.written) == stated
