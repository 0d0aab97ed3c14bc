"""The kernels against the naive twin, on random nests."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from procrustes_model import evaluate, load_architecture, load_mapping, load_problem
from tests.naive import dense as naive
from tests.strategies import Spec, cases


@settings(max_examples=300)
@given(cases())
def test_counts_energy_and_cycles_equal_the_naive_twin(case: tuple[Spec, Spec, Spec]) -> None:
    architecture, problem = load_architecture(case[0]), load_problem(case[1])
    mapping = load_mapping(case[2], architecture, problem)
    result = evaluate(architecture, problem, mapping)
    expected = naive.evaluate(architecture, problem, mapping)
    found = {
        (level.name, t.tensor): {
            "tile_words": t.tile_words,
            "reads": t.reads,
            "fills": t.fills,
            "updates": t.updates,
            "instances": t.instances,
        }
        for level in result.levels
        for t in level.tensors
    }
    assert found == expected["counts"]
    for level in result.levels:
        assert level.cycles == expected["cycles"][level.name]
        for tensor in level.tensors:
            assert tensor.energy_pj == pytest.approx(expected["energy"][level.name, tensor.tensor], rel=1e-9)
    assert result.compute.cycles == expected["steps"]
    assert result.cycles == expected["total_cycles"]
    assert result.energy_pj == pytest.approx(expected["total_energy"], rel=1e-9)


@settings(max_examples=200)
@given(cases())
def test_transfers_are_those_of_a_buffer_that_forgets(case: tuple[Spec, Spec, Spec]) -> None:
    """A buffer that always keeps its overlap is never worse, and the same where tiles cannot overlap."""
    architecture, problem = load_architecture(case[0]), load_problem(case[1])
    mapping = load_mapping(case[2], architecture, problem)
    loops = naive.list_loops(problem, mapping)
    for level in range(len(mapping.levels)):
        outer = [loop for loop in loops if loop.level < level and not loop.spatial]
        inner = [loop for loop in loops if loop.level >= level]
        for tensor in problem.tensors:
            tile = naive.bounding_box(naive.touched(tensor, inner))
            modelled = naive.walk_transfers(tensor, tile, outer)
            best = naive.walk_transfers_in_order(tensor, tile, outer)
            assert best <= modelled or problem.shape in ("three_in_a_rank", "diagonal")
            if all(len(rank) == 1 for rank in tensor.ranks) and problem.shape in ("matmul", "five"):
                assert best == modelled
