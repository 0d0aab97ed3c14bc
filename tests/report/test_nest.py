"""The printed loop nest."""

from __future__ import annotations

from typing import Any

from procrustes_model.report.nest import format_operation, index_names, tile_extents, tile_words
from procrustes_model.report.terminal.nest import format_nest
from procrustes_model.spec.load import load_architecture, load_mapping, load_problem

ARCHITECTURE: dict[str, Any] = {
    "architecture": {
        "name": "toy",
        "levels": [
            {"name": "DRAM", "word_bits": 8, "energy_pj": {"read": 1, "write": 1}},
            {"name": "Buffer", "word_bits": 8, "energy_pj": {"read": 1, "write": 1}},
            {"name": "Reg", "mesh_x": 2, "mesh_y": 3, "word_bits": 8, "energy_pj": {"read": 1, "write": 1}},
        ],
        "compute": {"energy_pj": 1},
    }
}
PROBLEM: dict[str, Any] = {
    "problem": {
        "name": "strided",
        "shape": "conv",
        "dimensions": {"R": 3, "S": 1, "P": 4, "Q": 1, "C": 2, "K": 6, "N": 1},
        "coefficients": {"stride_h": 2, "dilation_w": 3},
    }
}
MAPPING: dict[str, Any] = {
    "mapping": {
        "levels": [
            {"level": "DRAM", "temporal": "K=2 C=2"},
            {
                "level": "Buffer",
                "temporal": "P=2 K=1",
                "spatial_x": "P=2",
                "spatial_y": "K=3",
                "keep": ["Inputs"],
            },
            {"level": "Reg", "temporal": "R=3", "bypass": ["Weights", "Inputs", "Outputs"]},
        ]
    }
}

EXPECTED = """\
DRAM [ Weights 36 | Inputs 18 | Outputs 24 ]
--------------------------------------------

for k in 0..2
  for c in 0..2

Buffer [ Inputs 9 ]
-------------------

    for p in 0..2
      parallel-for p in 0..2 (x)
        parallel-for k in 0..3 (y)

Reg [ keeps nothing ]
---------------------

          for r in 0..3

MAC
---

            Outputs[n,k,p,q] += Weights[k,c,r,s] * Inputs[n,c,2*p+r,q+3*s]"""


def test_nest_is_printed_as_it_runs() -> None:
    architecture, problem = load_architecture(ARCHITECTURE), load_problem(PROBLEM)
    assert format_nest(architecture, problem, load_mapping(MAPPING, architecture, problem)) == EXPECTED


def test_an_uneven_level_has_a_header_for_each_place() -> None:
    levels = MAPPING["mapping"]["levels"]
    entries = [
        {"level": "Buffer", "temporal": "P=2", "keep": ["Outputs"]},
        levels[1] | {"temporal": "K=1"},
    ]
    nest = {"mapping": {"levels": [levels[0], *entries, levels[2]]}}
    architecture, problem = load_architecture(ARCHITECTURE), load_problem(PROBLEM)
    text = format_nest(architecture, problem, load_mapping(nest, architecture, problem))
    places = ["Buffer [ Outputs 12 ]", "for p in 0..2", "Buffer [ Inputs 5 ]", "parallel-for p in 0..2 (x)"]
    lines = [line.strip() for line in text.splitlines()]
    assert [line for line in lines if line in places] == places


def test_level_without_loops_has_a_header_only() -> None:
    architecture = load_architecture("simple_3level")
    problem = load_problem(
        {"problem": {"name": "one", "shape": "matmul", "dimensions": {"M": 1, "K": 1, "N": 1}}}
    )
    mapping = load_mapping(
        {"mapping": {"levels": [{"level": architecture.levels[0].name}]}}, architecture, problem
    )
    lines = format_nest(architecture, problem, mapping).split("\n")
    assert not [line for line in lines if "for" in line]
    assert lines[-1] == "Z[m,n] += A[m,k] * B[k,n]"


def test_dimensions_that_differ_in_case_keep_theirs() -> None:
    shape = {
        "name": "odd",
        "dimensions": ["K", "k"],
        "tensors": {
            "A": {"projection": ["K"]},
            "B": {"projection": ["k"]},
            "Z": {"projection": ["K"], "output": True},
        },
    }
    problem = load_problem({"problem": {"name": "odd", "shape": shape, "dimensions": {"K": 2, "k": 2}}})
    assert format_operation(problem, index_names(problem)) == "Z[K] += A[K] * B[k]"


def test_tiles_are_boxes() -> None:
    architecture, problem = load_architecture(ARCHITECTURE), load_problem(PROBLEM)
    extents = tile_extents(problem, load_mapping(MAPPING, architecture, problem))
    assert [one["P"] for one in extents] == [4, 4, 1]
    inputs = next(tensor for tensor in problem.tensors if tensor.name == "Inputs")
    assert [tile_words(inputs, one) for one in extents] == [2 * 9, 9, 3]
