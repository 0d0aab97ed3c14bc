"""Everything that ships loads, fits, and is found by name."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from procrustes_model.errors import SpecError
from procrustes_model.shipped import KINDS, list_shipped, resolve
from procrustes_model.spec.load import load_architecture, load_mapping, load_problem
from procrustes_model.spec.mapping import Mapping
from procrustes_model.spec.problem import Problem

MAPPED = {
    "vgg_s_conv3_2_kn": "vgg_s/conv3_2",
    "vgg_s_conv3_2_bw_cn": "vgg_s/conv3_2_bw",
    "vgg_s_conv3_2_wu_ck": "vgg_s/conv3_2_wu",
    "vgg_s_conv3_2_row_stationary": "vgg_s/conv3_2",
    "matmul_512": "matmul/512",
    "resnet18_conv4_2_weight_stationary": "resnet18/conv4_2",
    "resnet18_conv4_2_row_stationary": "resnet18/conv4_2",
    "resnet18_conv4_2_output_stationary": "resnet18/conv4_2",
    "resnet18_conv2_2": "resnet18/conv2_2",
    "resnet18_conv2_2_row_stationary": "resnet18/conv2_2",
    "resnet18_conv4_2_outer_product": "resnet18/conv4_2",
    "resnet18_fc_gustavson": "resnet18/fc",
    "txsim_fc": "txsim/fc",
    "txsim_fc_sliced": "txsim/fc_sliced",
}
USED = {
    "ipu_like/resnet18_conv2_2": 16 * 64 * 64,
    "crossbar_64x64/resnet18_conv2_2": 9 * 64 * 64,
    "tensor_core_like/resnet18_conv4_2_output_stationary": 98 * 4 * 256,
}
"""Units that mappings use whose layer has no work for all."""


def tile_words(mapping: Mapping, problem: Problem, level: int) -> int:
    """Return the words of all tiles that one instance of a level holds."""
    extent = dict.fromkeys(problem.dimensions, 1)
    for inner in mapping.levels[level:]:
        for loop in (*inner.temporal, *inner.spatial_x, *inner.spatial_y):
            extent[loop.dimension] *= loop.factor
    return sum(
        math.prod(
            1 + sum(term.coefficient * (extent[term.dimension] - 1) for term in rank) for rank in tensor.ranks
        )
        for tensor in problem.tensors
        if tensor.name in mapping.levels[level].keep
    )


@pytest.mark.parametrize("name", list_shipped("mapping"))
def test_shipped_mappings_fit_and_use_every_pe(name: str) -> None:
    folder, stem = name.split("/")
    architecture, problem = load_architecture(folder), load_problem(MAPPED[stem])
    mapping = load_mapping(name, architecture, problem)
    assert mapping.name == stem
    for index, level in enumerate(architecture.levels):
        assert level.capacity_words is None or tile_words(mapping, problem, index) <= level.capacity_words
    spatial = [loop.factor for level in mapping.levels for loop in (*level.spatial_x, *level.spatial_y)]
    assert math.prod(spatial) == USED.get(name, architecture.instances(len(architecture.levels)))


def test_every_architecture_has_a_mapping() -> None:
    assert {name.split("/")[0] for name in list_shipped("mapping")} == set(list_shipped("architecture"))


@pytest.mark.parametrize("name", list_shipped("architecture"))
def test_every_number_has_a_source(name: str) -> None:
    architecture = load_architecture(name)
    assert architecture.name == name
    assert architecture.description
    assert architecture.compute.source and all(level.source for level in architecture.levels)


def test_procrustes_numbers() -> None:
    published, horowitz = (
        load_architecture("procrustes_16x16"),
        load_architecture("procrustes_16x16_horowitz"),
    )
    assert published.levels == horowitz.levels
    assert (published.compute.energy_pj, horowitz.compute.energy_pj) == (32.328, 4.6)
    assert [level.capacity_words for level in published.levels] == [None, 32768, 256]
    assert published.instances(3) == 256


def test_a_file_wins_over_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "simple_3level").mkdir()
    assert resolve("architecture", "simple_3level").name == "simple_3level.yaml"
    (tmp_path / "eyeriss_like").write_text("")
    assert resolve("architecture", "eyeriss_like") == Path("eyeriss_like")


def test_names_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for kind, name, hint in [
        ("architecture", "procrustes16x16", "did you mean 'procrustes_16x16'"),
        ("problem", "vgg/conv3_2", "did you mean 'vgg_s/conv3_2'"),
        ("problem", "conv3_2", "did you mean 'vgg_s/conv3_2'"),
        ("mapping", "matmul_512", "did you mean 'simple_3level/matmul_512'"),
        ("shape", "../shapes/conv", "neither a file nor a shape that ships"),
        ("architecture", "matmul/512", "there is a shipped problem of this name; are the arguments in order"),
    ]:
        with pytest.raises(SpecError, match=hint):
            resolve(kind, name)


def test_every_kind_ships_something() -> None:
    assert all(list_shipped(kind) for kind in KINDS)
