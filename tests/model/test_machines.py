"""Machines that ship, and what a crossbar counts: facts of TxSim (arXiv 2002.11151) by arithmetic."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
import yaml

from procrustes_model import (
    SpecError,
    evaluate,
    explain,
    load_architecture,
    load_mapping,
    load_problem,
    search,
)
from procrustes_model.report.terminal.resolved import format_resolved
from procrustes_model.spec.architecture_written import write_architecture
from tests.furnished import furnish

CROSSBAR: dict[str, Any] = {
    "architecture": {
        "name": "crossbars",
        "levels": [
            {"name": "Buffer", "word_bits": 32, "energy_pj": {"read": 10, "write": 10}},
            {
                "name": "Tile",
                "mesh_x": 16,
                "word_bits": 32,
                "energy_pj": {"read": 0.1, "write": 0.1},
                "tensors": ["Inputs", "Outputs"],
            },
            {
                "name": "Cell",
                "mesh_x": 64,
                "mesh_y": 64,
                "capacity_words": 1,
                "word_bits": 32,
                "energy_pj": {"read": 0, "write": 100},
                "tensors": ["Weights"],
                "resident": ["Weights"],
            },
        ],
        "compute": {"energy_pj": 0.001},
        "components": [
            {"name": "DAC", "energy_pj": 0.4, "use": {"level": "Tile", "role": "read", "action": "read"}},
            {"name": "ADC", "energy_pj": 2, "use": {"level": "Tile", "role": "written", "action": "update"}},
        ],
    }
}
LAYER = {"problem": {"name": "fc", "shape": "fully_connected", "dimensions": {"C": 64, "K": 1024, "N": 32}}}
NEST = {
    "mapping": {
        "levels": [
            {"level": "Buffer", "spatial_x": "K=16"},
            {"level": "Tile", "temporal": "N=32", "spatial_x": "K=64", "spatial_y": "C=64"},
            {"level": "Cell"},
        ]
    }
}
SLICED = {
    "problem": {
        "name": "sliced",
        "shape": {
            "name": "crossbar_fc",
            "phase": "forward",
            "dimensions": ["C", "K", "N", "W", "B"],
            "tensors": {
                "Weights": {"projection": ["K", "C", "W"]},
                "Inputs": {"projection": ["N", "C", "B"]},
                "Outputs": {"projection": ["N", "K"], "output": True},
            },
        },
        "dimensions": {"C": 64, "K": 64, "N": 32, "W": 16, "B": 32},
    }
}
SLICES = {
    "mapping": {
        "levels": [
            {"level": "Buffer", "temporal": "N=2", "spatial_x": "W=16"},
            {"level": "Tile", "temporal": "N=16 B=32", "spatial_x": "K=64", "spatial_y": "C=64"},
            {"level": "Cell"},
        ]
    }
}


def test_resident_weights_are_not_written_in_every_evaluation() -> None:
    result = evaluate(CROSSBAR, LAYER, NEST)
    uses = {one.name: one.uses for one in result.components}
    assert uses["ADC"] == 32_768
    assert result.tensor("Cell", "Weights").fills == 0
    assert result.energy_pj == pytest.approx(0.439e6, rel=1e-3)
    content = copy.deepcopy(CROSSBAR)
    content["architecture"]["levels"][2]["loaded"] = True
    assert evaluate(content, LAYER, NEST).energy_pj == result.energy_pj + 65_536 * 100
    del content["architecture"]["levels"][2]["loaded"], content["architecture"]["levels"][2]["resident"]
    assert evaluate(content, LAYER, NEST).energy_pj == pytest.approx(7.648e6, rel=1e-3)


def test_bit_slices_are_converted_one_by_one() -> None:
    result = evaluate(CROSSBAR, SLICED, SLICES)
    assert next(one.uses for one in result.components if one.name == "ADC") == 16 * 64 * 32 * 32


def test_what_is_resident_must_be_whole() -> None:
    nest = copy.deepcopy(NEST)
    nest["mapping"]["levels"][0] = {"level": "Buffer", "temporal": "K=16"}  # type: ignore[call-overload]
    with pytest.raises(SpecError, match="not whole where it begins and ends"):
        evaluate(CROSSBAR, LAYER, nest)


def test_chained_layers_start_and_end_on_the_chip() -> None:
    problem = copy.deepcopy(LAYER)
    problem["problem"] |= {"starts": {"Inputs": "Tile"}, "ends": {"Outputs": "Tile"}}
    result = evaluate(CROSSBAR, problem, NEST)
    assert [one.tensor for one in result.level("Buffer").tensors] == []
    assert result.tensor("Tile", "Inputs").fills == 0
    problem["problem"]["starts"] = {"Inputs": "Cell"}
    with pytest.raises(SpecError, match="which may not keep it"):
        evaluate(CROSSBAR, problem, NEST)


@pytest.mark.parametrize("machine", ["tpu_like", "ipu_like", "crossbar_64x64"])
def test_machines_that_ship_are_searched(machine: str) -> None:
    architecture = load_architecture(machine)
    layer = {
        "name": "tiny",
        "shape": "conv",
        "dimensions": {"N": 2, "K": 8, "C": 8, "P": 2, "Q": 1, "R": 1, "S": 1},
    }
    found = search(architecture, {"problem": layer}, threads=1)
    assert found.certificate.proven
    assert found.result.energy_pj > 0
    assert architecture.levels[0].source


def test_what_is_resident_is_explained() -> None:
    for loaded in (False, True):
        content = copy.deepcopy(CROSSBAR)
        content["architecture"]["levels"][2]["loaded"] = loaded
        machine, layer = load_architecture(content), load_problem(LAYER)
        found = explain(machine, layer, load_mapping(NEST, machine, layer), "Cell", "Weights")
        assert (found.reads.value, found.fills.value) == (32, loaded)


def test_all_of_a_machine_is_written_and_read_again() -> None:
    rng = random.Random(5)  # noqa: S311
    for _ in range(20):
        content = copy.deepcopy(CROSSBAR)
        furnish(rng, content, ["Weights", "Inputs", "Outputs"], "Outputs")
        machine = load_architecture(content)
        again = load_architecture({"architecture": write_architecture(machine.model_dump(mode="json"))})
        assert again == machine
        text = format_resolved(machine)
        assert load_architecture(yaml.safe_load(text)).model_copy(update={"components": ()}) == (
            machine.model_copy(update={"components": ()})
        )
