"""Mappings: what may be left out, what is kept, and that what is written is read back."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from procrustes_model.errors import SpecError
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.load import check_mapping, load_architecture, load_mapping, load_problem
from procrustes_model.spec.mapping import LevelMapping, Loop, Mapping
from procrustes_model.spec.problem import Problem

FULL = [{"level": "DRAM", "temporal": "M=8 K=12 N=6"}]


def load(levels: list[dict[str, Any]], architecture: Architecture, problem: Problem) -> Mapping:
    return load_mapping({"mapping": {"levels": levels}}, architecture, problem)


def test_a_level_left_out_has_no_loops_and_keeps_everything(
    architecture: Architecture, problem: Problem
) -> None:
    mapping = load(FULL, architecture, problem)
    assert [level.level for level in mapping.levels] == ["DRAM", "Buffer", "RegFile"]
    assert mapping.levels[1] == LevelMapping(level="Buffer", keep=("A", "B", "Z"))


def test_keep_and_bypass_say_the_same(architecture: Architecture, problem: Problem) -> None:
    keep = load([*FULL, {"level": "Buffer", "keep": ["Z", "A"]}], architecture, problem)
    bypass = load([*FULL, {"level": "Buffer", "bypass": ["B"]}], architecture, problem)
    assert keep == bypass
    assert keep.levels[1].keep == ("A", "Z")
    assert load([*FULL, {"level": "Buffer", "keep": []}], architecture, problem).levels[1].keep == ()


@pytest.mark.parametrize(
    "text", ["M=8 K=12 N=6", "M=8, K=12, N=6", " M = 8  K =12 N=6 ", ["M=8", "K=12 N=6"]]
)
def test_ways_to_write_loops(text: Any, architecture: Architecture, problem: Problem) -> None:
    mapping = load([{"level": "DRAM", "temporal": text, "spatial_x": None}], architecture, problem)
    loops = [(loop.dimension, loop.factor) for loop in mapping.levels[0].temporal]
    assert loops == [("M", 8), ("K", 12), ("N", 6)]


def test_the_architecture_says_which_tensors_a_level_may_keep(
    architecture_data: dict[str, Any], problem: Problem
) -> None:
    architecture_data["architecture"]["levels"][1]["tensors"] = ["B", "Weights"]
    architecture = load_architecture(architecture_data)
    assert load(FULL, architecture, problem).levels[1].keep == ("B",)
    with pytest.raises(SpecError, match="Buffer may not keep A; it may keep B"):
        load([*FULL, {"level": "Buffer", "keep": ["A"]}], architecture, problem)


def test_an_architecture_that_names_a_tensor_almost_right(architecture_data: dict[str, Any]) -> None:
    architecture_data["architecture"]["levels"][1]["tensors"] = ["Wieghts"]
    architecture = load_architecture(architecture_data)
    layer = load_problem("resnet18/fc")
    with pytest.raises(SpecError, match=r"allows 'Wieghts' at Buffer.*did you mean 'Weights'\?"):
        load([{"level": "DRAM", "temporal": "C=512 K=1000 N=16"}], architecture, layer)


def test_the_outermost_level_must_be_allowed_every_tensor(
    architecture_data: dict[str, Any], problem: Problem
) -> None:
    architecture_data["architecture"]["levels"][0]["tensors"] = ["A", "B"]
    with pytest.raises(SpecError, match="Z is kept only at Buffer, RegFile; DRAM is outermost: add it"):
        load(FULL, load_architecture(architecture_data), problem)


def test_a_dimension_that_has_no_loop(architecture: Architecture, problem: Problem) -> None:
    with pytest.raises(SpecError, match=r"K has no loop, its bound is 12; write K=12"):
        load([{"level": "DRAM", "temporal": "M=8 N=6"}], architecture, problem)
    with pytest.raises(SpecError, match=r"every factor must divide 12: 1, 2, 3, 4, 6, 12"):
        load(
            [{"level": "DRAM", "temporal": "M=8 N=6 K=5"}, {"level": "Buffer", "temporal": "K=7"}],
            architecture,
            problem,
        )


def test_levels_in_another_order(architecture: Architecture, problem: Problem) -> None:
    with pytest.raises(SpecError, match="not in the architecture's order; write DRAM, Buffer, RegFile"):
        load([{"level": "RegFile"}, *FULL], architecture, problem)


def test_the_name_comes_from_the_file(tmp_path: Path, architecture: Architecture, problem: Problem) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("mapping:\n  levels:\n    - level: DRAM\n      temporal: M=8 K=12 N=6\n")
    assert load_mapping(path, architecture, problem).name == "mine"


def test_a_mapping_checks_itself() -> None:
    loop = Loop(dimension="K", factor=2)
    with pytest.raises(pydantic.ValidationError, match="a dimension stands twice"):
        LevelMapping(level="DRAM", temporal=(loop, loop), keep=())
    with pytest.raises(pydantic.ValidationError, match="a tensor stands twice"):
        LevelMapping(level="DRAM", keep=("A", "A"))


def test_a_mapping_made_in_python_is_checked(architecture: Architecture, problem: Problem) -> None:
    good = load(FULL, architecture, problem)
    check_mapping(good, architecture, problem)
    with pytest.raises(SpecError, match="K has no loop"):
        check_mapping(Mapping(levels=(LevelMapping(level="DRAM", keep=("A",)),)), architecture, problem)


NAMES = st.text(min_size=1, max_size=30).filter(lambda text: text.isprintable() and text == text.strip())


@st.composite
def mappings(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any], Mapping]:
    """Draw an architecture and a problem, as data, and a valid mapping of theirs, with names of all sorts."""
    tensors = draw(st.lists(NAMES, min_size=2, max_size=4, unique=True))
    names = draw(st.lists(NAMES.filter(lambda name: name != "MAC"), min_size=1, max_size=4, unique=True))
    dimensions = ["N", "y", "on", "null_"][: draw(st.integers(1, 4))]
    cost = {"word_bits": 1, "energy_pj": {"read": 0, "write": 0}}
    storage: list[dict[str, Any]] = [{"name": name, **cost} for name in names]
    for level in storage[1:3]:
        level.update(mesh_x=24**2, mesh_y=24)
    architecture = {"architecture": {"name": "a", "levels": storage, "compute": {"energy_pj": 0}}}
    shape: dict[str, Any] = {"dimensions": dimensions}
    shape["tensors"] = {name: {"projection": dimensions[:1]} for name in tensors}
    shape["tensors"][tensors[-1]]["output"] = True
    bounds = dict.fromkeys(dimensions, 1)
    levels = []
    for index, name in enumerate(names):
        spatial = index < min(len(names) - 1, 2)
        loops: dict[str, tuple[Loop, ...]] = {}
        for kind in ("temporal", "spatial_x", "spatial_y")[: 3 if spatial else 1]:
            width = 1 if kind == "spatial_y" else 2
            chosen = draw(st.permutations(dimensions))[: draw(st.integers(0, width))]
            loops[kind] = tuple(Loop(dimension=one, factor=draw(st.integers(1, 24))) for one in chosen)
            for loop in loops[kind]:
                bounds[loop.dimension] *= loop.factor
        kept = [tensor for tensor in tensors if index == 0 or draw(st.booleans())]
        levels.append(LevelMapping(level=name, keep=tuple(kept), **loops))
    problem = {"problem": {"name": "p", "shape": shape, "dimensions": bounds}}
    return architecture, problem, Mapping(name=draw(NAMES), levels=tuple(levels))


@settings(max_examples=60, deadline=None)
@given(mappings())
def test_what_is_written_is_read_back(case: tuple[dict[str, Any], dict[str, Any], Mapping]) -> None:
    architecture, problem = load_architecture(case[0]), load_problem(case[1])
    mapping = case[2]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "mapping.yaml"
        path.write_text(mapping.to_yaml(), encoding="utf-8")
        read = load_mapping(path, architecture, problem)
    assert read == mapping
    assert read.to_yaml() == mapping.to_yaml()
    assert load_mapping(mapping.to_dict(), architecture, problem) == mapping
