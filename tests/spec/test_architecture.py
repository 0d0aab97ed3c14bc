"""Architectures: units, expressions, defaults, instances."""

from __future__ import annotations

from typing import Any

import pydantic
import pytest

from procrustes_model.spec.architecture import Architecture, ComputeLevel
from procrustes_model.spec.load import load_architecture
from procrustes_model.spec.prices import AccessEnergy


def test_defaults(architecture: Architecture) -> None:
    dram = architecture.levels[0]
    assert (dram.mesh_x, dram.mesh_y, dram.words_per_access) == (1, 1, 1)
    assert (dram.capacity_words, dram.read_bandwidth, dram.tensors) == (None, None, None)
    assert architecture.levels[1].energy == AccessEnergy(read=6, write=7, update=7)
    assert architecture.compute.name == "MAC"


def test_instances_multiply_down(architecture: Architecture) -> None:
    assert [architecture.instances(level) for level in range(4)] == [1, 1, 8, 8]
    assert [architecture.fanout(level) for level in range(3)] == [(1, 1), (4, 2), (1, 1)]


@pytest.mark.parametrize(
    ("capacity", "words"),
    [
        ("128 KB", 65536),
        ("128KB", 65536),
        ("1 MB", 524288),
        ("100 words", 100),
        ("1 word", 1),
        ("1600 bits", 100),
        ("200 bytes", 100),
        ("depth * width / 8 B", 131072 // 2),
        ("(depth*width)/8 B", 131072 // 2),
        ("2 * pes KB", 4096),
    ],
)
def test_capacity(capacity: str, words: int, architecture_data: dict[str, Any]) -> None:
    content = architecture_data["architecture"]
    content["attributes"] = {"pes": 4, "width": 1}
    content["levels"][1].pop("capacity_words")
    content["levels"][1].update(capacity=capacity, attributes={"depth": 16384, "width": "pes * 16"})
    level = load_architecture(architecture_data).levels[1]
    assert level.capacity_words == words
    assert level.attributes == {"depth": 16384.0, "width": 64.0}


def test_every_number_may_be_an_expression(architecture_data: dict[str, Any]) -> None:
    content = architecture_data["architecture"]
    content["attributes"] = {"n": 2, "twice": "2 * n", "note": "45nm", "made": "by hand"}
    level = content["levels"][2]
    level.update(
        mesh_x="twice", read_bandwidth="n / 4", area_um2="n ** 2", energy_pj={"read": "n/2", "write": "1.5*n"}
    )
    content["compute"] = {"energy_pj": "n * 2.3", "mesh_y": "n"}
    architecture = load_architecture(architecture_data)
    inner = architecture.levels[2]
    assert (inner.mesh_x, inner.read_bandwidth, inner.area_um2) == (4, 0.5, 4.0)
    assert (inner.energy.read, inner.energy.write, inner.energy.update) == (1.0, 3.0, 3.0)
    assert architecture.compute.energy_pj == 4.6
    assert architecture.instances(3) == 16


def test_area_is_that_of_all_instances(architecture_data: dict[str, Any]) -> None:
    assert load_architecture(architecture_data).area.total_um2 is None
    assert load_architecture(architecture_data).area.unstated == ()
    content = architecture_data["architecture"]
    names = [level["name"] for level in content["levels"]]
    content["levels"][2]["area_um2"] = 2.5
    content["compute"]["area_um2"] = 10
    content["components"] = [
        {"name": "Unit", "instances": 3, "power_pj_per_cycle": 1, "area_um2": 0},
        {"name": "Other", "power_pj_per_cycle": 1},
    ]
    area = load_architecture(architecture_data).area
    assert area.parts == {names[0]: None, names[1]: None, names[2]: 20.0, "MAC": 80, "Unit": 0, "Other": None}
    assert area.total_um2 == 100
    assert area.unstated == (names[0], names[1], "Other")


def test_an_architecture_checks_itself(architecture: Architecture) -> None:
    with pytest.raises(pydantic.ValidationError, match="names of levels and components must differ"):
        Architecture(name="x", levels=architecture.levels, compute=ComputeLevel(name="DRAM", energy_pj=1))
    with pytest.raises(pydantic.ValidationError, match="at least one storage level"):
        Architecture(name="x", levels=(), compute=architecture.compute)
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        architecture.name = "y"
    with pytest.raises(pydantic.ValidationError, match=r"whole|integer"):
        ComputeLevel(energy_pj=1, mesh_x="3")  # type: ignore[arg-type]


def test_every_field_is_described() -> None:
    for model in (
        Architecture,
        ComputeLevel,
        AccessEnergy,
        type(load_architecture("simple_3level").levels[0]),
    ):
        assert all(field.description for field in model.model_fields.values())


def test_loading_an_architecture_returns_it(architecture: Architecture) -> None:
    assert load_architecture(architecture) is architecture
