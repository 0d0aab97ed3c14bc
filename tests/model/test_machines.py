"""Machines that ship, and what a crossbar counts: facts of TxSim (arXiv 2002.11151) by arithmetic."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from procrustes_model import (
    SpecError,
    evaluate,
    evaluate_batch,
    explain,
    load_architecture,
    load_mapping,
    load_problem,
    search,
)
from procrustes_model.model.lower import lower_mapping
from procrustes_model.report.terminal.resolved import format_resolved
from procrustes_model.spec.architecture_written import write_architecture
from procrustes_model.workloads.phases import in_phase
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


def test_a_role_that_no_tensor_has_is_an_error() -> None:
    content = copy.deepcopy(CROSSBAR)
    content["architecture"]["components"][0]["use"]["role"] = "weights"
    problem = {
        "problem": {
            "name": "copy",
            "shape": {
                "name": "copy",
                "dimensions": ["A"],
                "tensors": {
                    "Inputs": {"projection": ["A"]},
                    "Results": {"projection": ["A"], "output": True},
                },
            },
            "dimensions": {"A": 4},
        }
    }
    for level in content["architecture"]["levels"]:
        level.pop("tensors", None)
        level.pop("resident", None)
    nest = {"mapping": {"levels": [{"level": "Buffer", "temporal": "A=4"}]}}
    with pytest.raises(SpecError, match="no tensor of copy has the role 'weights' of component 'DAC'"):
        evaluate(content, problem, nest)


@pytest.mark.parametrize("key", ["resident", "through"])
def test_what_names_no_tensor_is_an_error(key: str) -> None:
    content = copy.deepcopy(CROSSBAR)
    del content["architecture"]["levels"][2]["tensors"]
    content["architecture"]["levels"][2][key] = ["Anything"]
    with pytest.raises(SpecError, match=f"fc has no tensor 'Anything' for '{key}' of Cell"):
        evaluate(content, LAYER, NEST)


def test_sums_narrower_than_elements_are_refused_in_their_line(tmp_path: Path) -> None:
    content = copy.deepcopy(CROSSBAR)
    content["architecture"]["sum_bits"] = 4
    (tmp_path / "narrow.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    with pytest.raises(SpecError, match=r"narrow\.yaml:\d+:\d+: partial sums have 4 bits"):
        evaluate(load_architecture(tmp_path / "narrow.yaml"), LAYER, NEST)


def test_only_operands_pass_through() -> None:
    content = copy.deepcopy(CROSSBAR)
    content["architecture"]["levels"][1] |= {"tensors": ["Inputs"], "through": ["Outputs"]}
    content["architecture"]["components"] = []
    result = evaluate(content, LAYER, NEST)
    assert [one.tensor for one in result.level("Tile").tensors] == ["Inputs"]


def test_homes_hold_in_all_phases() -> None:
    problem = copy.deepcopy(LAYER)
    problem["problem"] |= {"starts": {"Inputs": "Tile"}, "ends": {"Outputs": "Tile"}}
    backward = in_phase(load_problem(problem), "backward")
    assert backward.to_dict()["starts"] == {"Outputs": "Tile"}
    assert backward.to_dict()["ends"] == {"Inputs": "Tile"}
    assert load_problem({"problem": backward.to_dict()}).homes == backward.homes


SIDE_BY_SIDE: dict[str, Any] = {
    "architecture": {
        "name": "side by side",
        "levels": [
            {"name": "Far", "word_bits": 8, "energy_pj": {"read": 9, "write": 9}},
            {"name": "One", "word_bits": 8, "tensors": ["A"], "energy_pj": {"read": 1, "write": 1}},
            {
                "name": "Two",
                "word_bits": 8,
                "tensors": ["B"],
                "energy_pj": {"read": 1, "write": 1},
                "beside": True,
            },
        ],
        "compute": {"energy_pj": 1},
    }
}
PRODUCT = {"problem": {"name": "product", "shape": "matmul", "dimensions": {"M": 4, "K": 3, "N": 2}}}


@pytest.mark.parametrize("options", [{}, {"imperfect": True}, {"method": "random", "mappings": 500}])
def test_levels_side_by_side_share_their_loops(options: dict[str, Any]) -> None:
    found = search(SIDE_BY_SIDE, PRODUCT, threads=1, **options)
    one = found.mapping.levels[1]
    assert (one.temporal, one.spatial_x, one.spatial_y) == ((), (), ())


def test_batches_refuse_loops_that_a_level_lies_beside() -> None:
    machine, problem = load_architecture(SIDE_BY_SIDE), load_problem(PRODUCT)
    levels = [{"level": "Far", "temporal": "M=4 K=3"}, {"level": "Two", "temporal": "N=2"}]
    nest = lower_mapping(problem, load_mapping({"mapping": {"levels": levels}}, machine, problem))
    assert evaluate_batch(machine, problem, *nest).status[0] == 0
    nest.temporal[0, [1, 2]] = nest.temporal[0, [2, 1]]
    with pytest.raises(ValueError, match="Two lies beside the level before"):
        evaluate_batch(machine, problem, *nest)


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
