"""The kernels against the naive twin, on random nests."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from procrustes_model import evaluate, load_architecture, load_mapping, load_problem
from tests.amount import amount
from tests.naive import dense as naive
from tests.naive.compare import assert_same
from tests.strategies import SHAPES, Spec, cases, strided_cases

pytestmark = pytest.mark.quick


@settings(max_examples=amount(300, 120))
@given(cases())
def test_counts_energy_and_cycles_equal_the_naive_twin(case: tuple[Spec, Spec, Spec]) -> None:
    architecture, problem = load_architecture(case[0]), load_problem(case[1])
    mapping = load_mapping(case[2], architecture, problem)
    assert_same(evaluate(architecture, problem, mapping), naive.evaluate(architecture, problem, mapping))


@settings(max_examples=amount(200, 5))
@given(cases())
def test_transfers_are_those_of_a_buffer_that_forgets(case: tuple[Spec, Spec, Spec]) -> None:
    """Where tiles of a tensor cannot overlap in part, that is one that always keeps what it holds.

    Elsewhere it may need more, or less: the second iteration of a loop stands for all later ones.
    """
    architecture, problem = load_architecture(case[0]), load_problem(case[1])
    mapping = load_mapping(case[2], architecture, problem)
    loops = naive.list_loops(problem, mapping)
    for level in range(len(mapping.levels)):
        outer = [loop for loop in loops if loop.level < level and not loop.spatial]
        inner = [loop for loop in loops if loop.level >= level]
        for tensor in problem.tensors:
            tile = naive.bounding_box(naive.touched(tensor, inner))
            modelled = naive.walk_transfers(tensor, tile, outer)
            if all(len(rank) == 1 for rank in tensor.ranks):
                assert naive.walk_transfers_in_order(tensor, tile, outer) == modelled


def test_an_interleaved_share_of_a_sliding_output() -> None:
    """Columns that take every second position reach more of a sliding output than neighbours would."""
    machine, problem, nest = (
        {
            "architecture": {
                "name": "two columns",
                "levels": [
                    {"name": f"L{i}", "class": "memory", "mesh_x": 1 + i, "word_bits": 16, "source": "test"}
                    | {"energy_pj": {"read": 1, "write": 1}}
                    for i in range(2)
                ],
                "compute": {"energy_pj": 1, "source": "test"},
            }
        },
        {
            "problem": {
                "name": "transposed",
                "shape": SHAPES["transposed"] | {"name": "transposed"},
                "dimensions": {"C": 1, "K": 1, "R": 3, "P": 4},
            }
        },
        {
            "mapping": {
                "levels": [
                    {"level": "L0", "temporal": "P=2", "spatial_x": "P=2"},
                    {"level": "L1", "temporal": "R=3"},
                ]
            }
        },
    )
    architecture, transposed = load_architecture(machine), load_problem(problem)
    mapping = load_mapping(nest, architecture, transposed)
    loops, output = naive.list_loops(transposed, mapping), transposed.output
    assert naive.count_covered(transposed, loops, output, 1, within=2) == 5
    counts = evaluate(architecture, transposed, mapping).tensor("L1", output.name)
    assert (counts.reads, counts.fills, counts.updates) == (1, 0, 6)


@pytest.mark.parametrize(
    ("temporal", "spread", "accumulated"),
    [("R=3 S=3", 14, 9), ("P=2 Q=2 R=3 S=3", 7, 36), ("R=3 S=3 P=2 Q=2", 7, 36)],
)
def test_elements_that_a_backward_convolution_accumulates(
    temporal: str, spread: int, accumulated: int
) -> None:
    """Each element of 16 channels comes to p + r for its own p: 3 values, or twice 3 that lie 7 apart."""
    bounds = {"R": 3, "S": 3, "P": 14, "Q": 14, "C": 16, "N": 1}
    steps = {"stride_h": 1, "stride_w": 1}
    problem = load_problem(
        {
            "problem": {
                "name": "b",
                "shape": "depthwise_backward",
                "dimensions": bounds,
                "coefficients": steps,
            }
        }
    )
    array = {"level": "GlobalBuffer", "temporal": temporal}
    array |= {"spatial_x": f"P={spread}", "spatial_y": f"Q={spread}"}
    nest = {"levels": [{"level": "DRAM", "temporal": "C=16"}, array, {"level": "RegFile"}]}
    counts = evaluate("procrustes_16x16_horowitz", problem, {"mapping": nest}).tensor("RegFile", "Inputs")
    assert counts.updates - counts.reads == 16 * accumulated
    assert counts.fills >= 0


@settings(max_examples=amount(300, 60))
@given(strided_cases())
def test_gaps_in_tiles_of_an_output_are_fetched_once_they_were_written(
    case: tuple[Spec, Spec, Spec],
) -> None:
    architecture, problem = load_architecture(case[0]), load_problem(case[1])
    mapping = load_mapping(case[2], architecture, problem)
    assert_same(evaluate(architecture, problem, mapping), naive.evaluate(architecture, problem, mapping))


@pytest.mark.parametrize(("inner", "fills"), [("P=4", 0), ("P=2", 0)])
def test_every_second_word_of_an_output(inner: str, fills: int) -> None:
    """Of boxes of 7 or 3 words, 4 or 2 are added to; the others come along, for the first time."""
    problem = load_problem(
        {
            "problem": {
                "name": "p",
                "shape": {
                    "name": "every second",
                    "dimensions": ["P"],
                    "tensors": {"X": {"projection": ["P"]}, "Z": {"projection": ["P*2"], "output": True}},
                },
                "dimensions": {"P": 8},
            }
        }
    )
    steps = 8 // int(inner[2:])
    nest = [{"level": "DRAM", "temporal": f"P={steps}"}, {"level": "GlobalBuffer", "temporal": inner}]
    nest.append({"level": "RegFile"})
    counts = evaluate("procrustes_16x16_horowitz", problem, {"mapping": {"levels": nest}})
    outer = counts.tensor("DRAM", "Z")
    assert counts.tensor("GlobalBuffer", "Z").fills == fills
    assert (outer.reads, outer.updates) == (0, steps * (2 * int(inner[2:]) - 1))
