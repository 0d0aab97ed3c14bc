"""Closed forms give the numbers of the kernels, and say truly why."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import sympy
from hypothesis import given, settings

from procrustes_model.errors import SpecError
from procrustes_model.explanation.explain import explain
from procrustes_model.explanation.explanation import Explanation
from procrustes_model.model.evaluate import evaluate
from procrustes_model.shipped import list_shipped
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.load import load_architecture, load_mapping, load_problem
from procrustes_model.spec.mapping import Mapping
from procrustes_model.spec.problem import Problem
from tests.strategies import Spec, cases, strided_cases

Specs = tuple[Architecture, Problem, Mapping]


def shipped_specs() -> list[tuple[str, str]]:
    """Return every shipped mapping with every shipped problem that it maps."""
    found = []
    for name, problem in product(list_shipped("mapping"), list_shipped("problem")):
        try:
            load_mapping(name, load_architecture(name.partition("/")[0]), load_problem(problem))
        except SpecError:
            continue
        found.append((name, problem))
    return found


def check(specs: Specs) -> None:
    """Compare every level and tensor with the kernels."""
    architecture, problem, mapping = specs
    result = evaluate(architecture, problem, mapping, check_capacity=False)
    for level in result.levels:
        for counts in level.tensors:
            found = explain(architecture, problem, mapping, level.name, counts.tensor)
            parts = (found.tile, found.reads, found.fills, found.updates, found.instances)
            expected = (counts.tile_words, counts.reads, counts.fills, counts.updates, counts.instances)
            assert tuple(part.value for part in parts) == expected
            assert tuple(part.expression.xreplace(found.bounds).doit() for part in parts) == expected
            text = found.to_text()
            assert max(len(line) for line in text.split("\n")) <= 100
            assert f"reads {counts.reads:,}   fills {counts.fills:,}   updates {counts.updates:,}" in text


@pytest.mark.parametrize(("mapping", "problem"), shipped_specs())
def test_equals_the_kernels_on_what_ships(mapping: str, problem: str) -> None:
    architecture, work = load_architecture(mapping.partition("/")[0]), load_problem(problem)
    check((architecture, work, load_mapping(mapping, architecture, work)))


def test_every_shipped_mapping_is_covered() -> None:
    assert {mapping for mapping, _ in shipped_specs()} == set(list_shipped("mapping"))


@given(cases(most=4000))
@settings(max_examples=150)
def test_equals_the_kernels_on_random_cases(case: tuple[Spec, Spec, Spec]) -> None:
    architecture, problem = load_architecture(case[0]), load_problem(case[1])
    check((architecture, problem, load_mapping(case[2], architecture, problem)))


@given(strided_cases())
@settings(max_examples=60)
def test_equals_the_kernels_where_tiles_have_gaps(case: tuple[Spec, Spec, Spec]) -> None:
    architecture, problem = load_architecture(case[0]), load_problem(case[1])
    check((architecture, problem, load_mapping(case[2], architecture, problem)))


@pytest.fixture
def sliding() -> Specs:
    """Return a strided convolution whose inputs slide along Q, with Q and S side by side on the array."""
    architecture = load_architecture("procrustes_16x16")
    content: dict[str, Any] = {
        "name": "strided",
        "shape": "conv",
        "dimensions": {"R": 3, "S": 3, "P": 8, "Q": 8, "C": 4, "K": 4, "N": 2},
        "coefficients": {"stride_w": 2},
    }
    problem = load_problem({"problem": content})
    levels = [
        {"level": "DRAM", "temporal": "K=2 N=2 P=4 Q=4"},
        {"level": "GlobalBuffer", "temporal": "C=4", "spatial_x": "Q=2 S=3", "spatial_y": "K=2"},
        {"level": "RegFile", "temporal": "P=2 R=3"},
    ]
    return architecture, problem, load_mapping({"mapping": {"levels": levels}}, architecture, problem)


def test_says_which_loops_fetch_again(sliding: Specs) -> None:
    found = explain(*sliding, "GlobalBuffer", "Inputs")
    assert found.arrivals is not None
    moves = {str(move.loop.symbol): (move.brings, move.times) for move in found.arrivals.moves}
    assert moves == {
        "K_DRAM": ("whole tile", 1),
        "N_DRAM": ("whole tile", 2),
        "P_DRAM": ("whole tile", 12),
        "Q_DRAM": ("new part", 48),
    }
    assert found.arrivals.overlap is not None
    assert (found.tile.value, found.arrivals.overlap.value) == (80, 16)
    assert found.fills.value == 16 * (80 + 3 * (80 - 16))


def test_forms_are_in_the_loops_symbols(sliding: Specs) -> None:
    found = explain(*sliding, "GlobalBuffer", "Inputs")
    named = {str(symbol): symbol for symbol in found.bounds}
    q, s, p, r, c = (
        named[name]
        for name in ("Q_GlobalBuffer_x", "S_GlobalBuffer_x", "P_RegFile", "R_RegFile", "C_GlobalBuffer")
    )
    assert sympy.expand(found.tile.expression - c * (p + r - 1) * (2 * q + s - 2)) == 0
    assert found.fills.expression.free_symbols <= set(found.bounds)


def test_says_what_stays(sliding: Specs) -> None:
    found = explain(*sliding, "RegFile", "Outputs")
    assert found.arrivals is not None
    assert [move.brings for move in found.arrivals.moves] == ["whole tile"] * 4 + ["nothing"]
    assert "C does not index it: the tile stays" in found.to_text()
    assert found.touched is not None
    assert found.updates.value - found.reads.value == found.touched.value


def test_says_which_instances_share(sliding: Specs) -> None:
    (inputs,) = explain(*sliding, "GlobalBuffer", "Inputs").sharing
    assert (inputs.instances, inputs.distinct.value) == (12, 5)
    assert [str(loop.symbol) for loop in inputs.shared] == ["K_GlobalBuffer_y"]
    text = explain(*sliding, "GlobalBuffer", "Inputs").to_text()
    assert "5 different tiles, and those with the same share one read (multicast)" in " ".join(text.split())
    (outputs,) = explain(*sliding, "GlobalBuffer", "Outputs").sharing
    assert [str(loop.symbol) for loop in outputs.shared] == ["S_GlobalBuffer_x"]
    assert "spatial reduction" in explain(*sliding, "GlobalBuffer", "Outputs").to_text()


def test_outermost_level_has_no_arrivals(sliding: Specs) -> None:
    found = explain(*sliding, "DRAM", "Weights")
    assert found.arrivals is None
    assert found.fills.value == 0
    assert "Arrivals: none" in found.to_text()


def test_text_is_pinned() -> None:
    architecture, problem = load_architecture("simple_3level"), load_problem("matmul/512")
    mapping = load_mapping("simple_3level/matmul_512", architecture, problem)
    lines = explain(architecture, problem, mapping, "RegFile", "A").to_text().split("\n")
    assert lines[0].startswith("A at RegFile: tile 16 words")
    assert "  tile_RegFile = M_RegFile * K_RegFile = 4 * 4 = 16" in lines
    assert "  K_DRAM         16      960  whole tile  moves the tile on" in lines
    assert "  updates = 0" in lines


@pytest.mark.parametrize(
    ("level", "tensor", "messages"),
    [
        ("Gram", "Weights", ["has no level 'Gram'; did you mean 'DRAM'?"]),
        ("MAC", "Weights", ["computes and stores nothing"]),
        ("dram", "weights", ["did you mean 'DRAM'?", "did you mean 'Weights'?"]),
    ],
)
def test_unknown_names(sliding: Specs, level: str, tensor: str, messages: list[str]) -> None:
    with pytest.raises(SpecError) as caught:
        explain(*sliding, level, tensor)
    assert len(caught.value.issues) == len(messages)
    for issue, message in zip(caught.value.issues, messages, strict=True):
        assert message in str(issue)


def test_tensor_that_passes_by(sliding: Specs) -> None:
    architecture, problem, mapping = sliding
    data = mapping.to_dict()
    data["mapping"]["levels"][1]["keep"] = ["Inputs"]
    mapping = load_mapping(data, architecture, problem)
    with pytest.raises(SpecError, match="does not keep tensor 'Weights'; it is kept at DRAM, RegFile"):
        explain(architecture, problem, mapping, "GlobalBuffer", "Weights")
    found = explain(architecture, problem, mapping, "DRAM", "Weights")
    assert isinstance(found, Explanation)
    assert found.served.level == "RegFile"
    assert "GlobalBuffer, which Weights passes by, fans out to 12 RegFile" in " ".join(
        found.to_text().split()
    )


def test_levels_of_like_names_keep_apart() -> None:
    energy = {"read": 1, "write": 1}
    levels = [{"name": name, "word_bits": 8, "energy_pj": energy} for name in ("L 1", "L_1")]
    compute = {"energy_pj": 1, "mesh_x": 2}
    architecture = load_architecture({"architecture": {"name": "a", "levels": levels, "compute": compute}})
    bounds = {"M": 24, "K": 1, "N": 1}
    problem = load_problem({"problem": {"name": "p", "shape": "matmul", "dimensions": bounds}})
    nest = [
        {"level": "L 1", "temporal": "M=3"},
        {"level": "L_1", "temporal": "M=4", "spatial_x": "M=2"},
    ]
    mapping = load_mapping({"mapping": {"levels": nest}}, architecture, problem)
    check((architecture, problem, mapping))
    found = explain(architecture, problem, mapping, "L 1", "A")
    assert sorted(map(str, found.bounds)) == ["M_L_1", "M_L_1_2", "M_L_1_x"]
