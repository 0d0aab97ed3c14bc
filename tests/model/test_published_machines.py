"""Machines that ship after published ones: peak, sizes, dataflow, and a small ResNet-18."""

from __future__ import annotations

from typing import Any

import pytest

from procrustes_model import load_architecture, load_mapping, load_network, load_problem, run_network, search
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.mapper.obey import find_breach

PUBLISHED = {
    "simba_like": 2.048,
    "eyeriss_v2": 0.1536,
    "nvdla_like": 4.096,
    "tensor_core_like": 311.9,
}
"""TOPS at the machine's clock, a multiply-accumulate as two: Simba's 4 at 2 GHz, the others' as published."""
MAPPED = {
    "simba_like": ("simba_like", "resnet18/conv4_2", "resnet18_conv4_2_weight_stationary"),
    "eyeriss_like": ("row_stationary", "vgg_s/conv3_2", "vgg_s_conv3_2_row_stationary"),
    "eyeriss_v1": ("row_stationary", "resnet18/conv4_2", "resnet18_conv4_2_row_stationary"),
    "eyeriss_v2": ("eyeriss_v2", "resnet18/conv2_2", "resnet18_conv2_2_row_stationary"),
    "nvdla_like": ("nvdla_like", "resnet18/conv4_2", "resnet18_conv4_2_weight_stationary"),
    "tensor_core_like": ("tensor_core_like", "resnet18/conv4_2", "resnet18_conv4_2_output_stationary"),
}
"""Constraints, layer and mapping of each."""
CONSTRAINTS: dict[str, str | None] = {name: of[0] for name, of in MAPPED.items()} | {
    "tpu_like": None,
    "ipu_like": None,
    "crossbar_64x64": None,
}
LAYERS = (
    {"name": "conv1", "kind": "conv", "channels": 8, "kernel": 7, "stride": 2, "padding": 3},
    {"name": "conv2", "kind": "conv", "channels": 8, "kernel": 3, "padding": 1},
    {"name": "downsample3", "kind": "conv", "branch": True, "channels": 16, "kernel": 1, "stride": 2},
    {"name": "conv3", "kind": "conv", "channels": 16, "kernel": 3, "padding": 1, "stride": 2},
    {"kind": "global_pool"},
    {"name": "fc", "kind": "fully_connected", "channels": 8},
)
"""A layer of each kind that ResNet-18 has."""
SMALL: dict[str, Any] = {
    "name": "resnet18_small",
    "batch": 2,
    "input": {"channels": 3, "height": 4, "width": 4},
    "layers": list(LAYERS),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_peaks_are_as_published(name: str) -> None:
    machine = load_architecture(name)
    assert machine.clock_ghz is not None
    peak = 2 * machine.instances(len(machine.levels)) * machine.clock_ghz / 1000
    assert peak == pytest.approx(PUBLISHED[name], rel=1e-3)


def kib(name: str, *levels: str) -> float:
    """Return what all instances of some levels hold, in KB."""
    machine = load_architecture(name)
    names = [level.name for level in machine.levels]
    bits = 0
    for index in map(names.index, levels):
        level = machine.levels[index]
        assert level.capacity_words is not None
        bits += machine.instances(index) * level.capacity_words * level.word_bits
    return bits / 8192


def test_sizes_are_as_published() -> None:
    assert kib("simba_like", "WeightBuffer") == 16 * 32
    assert kib("simba_like", "InputBuffer") == 16 * 8
    assert kib("simba_like", "AccumulationBuffer") == 16 * 3
    assert kib("eyeriss_v2", "InputBuffer", "SumBuffer") == 192
    assert kib("nvdla_like", "ConvolutionBuffer") == 16 * 32
    assert kib("tensor_core_like", "RegisterFile") == 108 * 256


PARTS = [
    ("nvdla_like", "ConvolutionBuffer", "22 nm", "16 KB", 8, "512 bits"),
    ("eyeriss_v2", "InputBuffer", "65 nm", "1536 B", 8, "24 bits"),
    ("eyeriss_v2", "SumBuffer", "65 nm", "1920 B", 20, "20 bits"),
    ("tensor_core_like", "L2", "22 nm", "512 KB", 8, "512 bits"),
]
"""Levels that are several memories, and one of these."""


@pytest.mark.parametrize(("name", "level", "technology", "capacity", "word_bits", "width"), PARTS)
def test_levels_of_several_memories_have_the_energies_of_one(
    name: str, level: str, technology: str, capacity: str, word_bits: int, width: str
) -> None:
    mine = next(one for one in load_architecture(name).levels if one.name == level)
    memory = {"name": "Memory", "class": "sram", "capacity": capacity, "word_bits": word_bits, "width": width}
    machine = {
        "name": "one",
        "technology": technology,
        "device": "lstp",
        "clock": "1 GHz",
        "levels": [{"name": "Outer", "word_bits": 8, "energy_pj": {"read": 0, "write": 0}}, memory],
        "compute": {"energy_pj": 0},
    }
    part = load_architecture({"architecture": machine}).levels[1]
    assert mine.energy == part.energy
    assert mine.words_per_access * mine.word_bits == part.words_per_access * part.word_bits


def test_eyeriss_v1_is_eyeriss_like_at_relative_costs() -> None:
    relative, absolute = load_architecture("eyeriss_v1"), load_architecture("eyeriss_like")
    for mine, other in zip(relative.levels, absolute.levels, strict=True):
        same = ("name", "mesh_x", "mesh_y", "capacity_words", "word_bits", "tensors")
        assert [getattr(mine, key) for key in same] == [getattr(other, key) for key in same]
    assert [level.energy.read for level in relative.levels] == [200, 6, 1, 1, 1]
    network = relative.levels[1].network
    assert network is not None
    assert network.hop_pj_per_bit * 16 == 2
    assert relative.compute.energy_pj == 1


@pytest.mark.parametrize("name", MAPPED)
def test_mappings_obey_the_dataflow_of_their_machine(name: str) -> None:
    rules, layer, stem = MAPPED[name]
    machine, problem = load_architecture(name), load_problem(layer)
    mapping = load_mapping(f"{name}/{stem}", machine, problem)
    assert find_breach(mapping, load_constraints(rules, machine, problem), machine, problem) is None


@pytest.mark.parametrize("name", sorted(set(MAPPED) - {"eyeriss_like"}))
def test_machines_are_searched_within_their_dataflow(name: str) -> None:
    layer = {
        "name": "tiny",
        "shape": "conv",
        "dimensions": {"N": 2, "K": 8, "C": 8, "P": 2, "Q": 1, "R": 1, "S": 1},
    }
    found = search(name, {"problem": layer}, MAPPED[name][0], threads=1)
    assert found.certificate.proven


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_small_resnet18(name: str) -> None:
    network = load_network({"network": SMALL})
    found = run_network(name, network, constraints=CONSTRAINTS[name], phases="fw", workers=1, seconds=0.1)
    assert [row.layer for row in found.rows] == ["conv1", "conv2", "downsample3", "conv3", "fc"]
    assert all(row.case.energy_pj > 0 for row in found.rows)
