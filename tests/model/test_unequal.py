"""Instances that differ in what they do: kernels against the naive twin, sums over instances, and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from procrustes_model import (
    SpecError,
    evaluate,
    evaluate_batch,
    explain,
    load_architecture,
    load_mapping,
    load_problem,
)
from procrustes_model.model.lower import lower_last_passes, lower_mapping
from tests.amount import amount
from tests.naive import unequal as naive
from tests.naive.compare import assert_same
from tests.strategies import Spec, imperfect_cases, unequal_cases, with_drains

pytestmark = pytest.mark.quick


@settings(max_examples=amount(120, 25))
@given(unequal_cases(most=60).flatmap(with_drains))
def test_counts_energy_and_cycles_equal_the_naive_twin(case: tuple[Spec, Spec, Spec]) -> None:
    architecture, problem = load_architecture(case[0]), load_problem(case[1])
    mapping = load_mapping(case[2], architecture, problem)
    expected = naive.evaluate(architecture, problem, mapping)
    assert expected["operations"] == problem.computes, "every operation is done once"
    assert_same(evaluate(architecture, problem, mapping), expected)


@settings(max_examples=amount(20, 4))
@given(imperfect_cases(most=60))
def test_the_twin_agrees_with_that_of_equal_instances(case: tuple[Spec, Spec, Spec]) -> None:
    architecture, problem = load_architecture(case[0]), load_problem(case[1])
    mapping = load_mapping(case[2], architecture, problem)
    if not any(len(rank) > 1 for tensor in problem.tensors if tensor.is_output for rank in tensor.ranks):
        assert_same(evaluate(architecture, problem, mapping), naive.evaluate(architecture, problem, mapping))


@settings(max_examples=amount(20, 4))
@given(unequal_cases(most=60))
def test_a_walk_in_order_moves_as_much(case: tuple[Spec, Spec, Spec]) -> None:
    """Where tiles do not overlap: but for a last short tile that is charged as a whole one."""
    architecture, problem = load_architecture(case[0]), load_problem(case[1])
    nest = naive.Nest(problem, load_mapping(case[2], architecture, problem))
    for level in range(1, len(architecture.levels)):
        for one in nest.instances(level):
            above = one.outside[-1] if one.outside else None
            if above is not None and above.level == level - 1 and not above.spatial:
                continue
            for tensor in problem.tensors:
                if all(len(rank) == 1 for rank in tensor.ranks):
                    assert nest.transfers(one, tensor) == nest.transfers_in_order(one, tensor)


@settings(max_examples=amount(20, 4))
@given(unequal_cases().flatmap(with_drains))
def test_a_batch_holds_what_a_single_evaluation_gives(case: tuple[Spec, Spec, Spec]) -> None:
    architecture, problem = load_architecture(case[0]), load_problem(case[1])
    mapping = load_mapping(case[2], architecture, problem)
    nests = lower_mapping(problem, mapping)._asdict() | {"last": lower_last_passes(problem, mapping)}
    nests = {name: np.repeat(array, 4, axis=0) for name, array in nests.items()}
    nests["last"][1, :, 0], nests["last"][1, :, 1:] = nests["temporal"][1], nests["spatial"][1]
    batch, single = evaluate_batch(architecture, problem, **nests), evaluate(architecture, problem, mapping)
    assert batch.status.tolist() == [0, 2 if mapping.imperfect else 0, 0, 0]
    assert batch.energy_pj[3] == pytest.approx(single.energy_pj, rel=1e-12)
    assert batch.cycles[3] == single.cycles
    level = single.levels[0]
    for t, tensor in enumerate(problem.tensors):
        counts = level.tensors[t]
        assert counts.tensor == tensor.name
        assert batch.accesses[3, 0, t].tolist() == [counts.reads, counts.fills, counts.updates]


def machine(**inner: Any) -> Spec:
    """Return an outer level over an array of 16 columns and 4 rows of inner ones."""
    cost: Spec = {"word_bits": 16, "energy_pj": {"read": 1, "write": 1}}
    levels = [{"name": "L0", **cost}, {"name": "L1", "mesh_x": 16, "mesh_y": 4, **cost, **inner}]
    return {"architecture": {"name": "a", "levels": levels, "compute": {"energy_pj": 1}}}


def matmul(m: int, k: int, n: int) -> Spec:
    return {"problem": {"name": "p", "shape": "matmul", "dimensions": {"M": m, "K": k, "N": n}}}


def schedule(outer: Spec, inner: Spec) -> Spec:
    return {"mapping": {"levels": [{"level": "L0"} | outer, {"level": "L1"} | inner]}}


def test_a_last_pass_over_half_of_the_columns_by_hand() -> None:
    """Forty rows of A over 16 columns: all work twice, and eight of them a third time."""
    architecture, problem = load_architecture(machine()), load_problem(matmul(40, 5, 3))
    spread = schedule({"temporal": "M=3", "spatial_x": "M=16/8"}, {"temporal": "K=5 N=3"})
    result = evaluate(architecture, problem, load_mapping(spread, architecture, problem))
    assert (result.cycles, result.compute.computes) == (3 * 15, 600)
    assert result.level("L1").instances_used == 16
    assert result.tensor("L1", "A").fills == 40 * 5 / 16
    assert result.tensor("L0", "A").reads == 40 * 5
    # The tile of B stays. Each of the columns is given it once, in one read.
    assert result.tensor("L1", "B").fills == 15
    assert result.tensor("L0", "B").reads == 15
    assert result.tensor("L0", "Z").updates == 40 * 3


def test_sums_over_fewer_instances_by_hand() -> None:
    """Nine terms of a sum over four columns: three passes, the last one of a single column."""
    architecture, problem = load_architecture(machine()), load_problem(matmul(2, 9, 1))
    spread = schedule({"temporal": "K=3 M=2", "spatial_x": "K=4/1"}, {})
    result = evaluate(architecture, problem, load_mapping(spread, architecture, problem))
    outer, inner = result.tensor("L0", "Z"), result.tensor("L1", "Z")
    # In each pass the columns add up what they have before it leaves: one word for each row of A.
    assert (outer.updates, outer.reads) == (3 * 2, 3 * 2 - 2)
    # The first column works six times and the others four times. Of these, two are first accumulations.
    assert inner.instances == 4
    assert inner.updates == 18 / 4
    assert inner.fills == (18 - 4 * 2) / 4


def test_what_is_short_inside_a_spatial_loop_by_hand() -> None:
    """Seventeen rows over nine columns: eight do two of them and the last one does one."""
    architecture, problem = load_architecture(machine(capacity_words=4)), load_problem(matmul(17, 1, 1))
    spread = schedule({"spatial_x": "M=9"}, {"temporal": "M=2/1", "keep": ["A"]})
    result = evaluate(architecture, problem, load_mapping(spread, architecture, problem))
    assert (result.cycles, result.compute.instances_used) == (2, 9)
    assert result.tensor("L1", "A").tile_words == 2
    assert result.tensor("L1", "A").fills == 17 / 9
    # The output goes by, and B comes once for all columns, as often as the fullest of them takes it.
    assert result.tensor("L0", "Z").updates == 17
    assert result.tensor("L0", "B").reads == 2


def test_instances_that_never_work_are_not_used() -> None:
    """Seven of two rows of four columns."""
    architecture, problem = load_architecture(machine()), load_problem(matmul(7, 2, 1))
    spread = schedule({"spatial_x": "M=4/3", "spatial_y": "M=2"}, {"temporal": "K=2"})
    result = evaluate(architecture, problem, load_mapping(spread, architecture, problem))
    assert (result.cycles, result.level("L1").instances_used, result.compute.instances_used) == (2, 7, 7)


def test_accesses_of_several_words_are_rounded_up_by_every_instance() -> None:
    architecture, problem = load_architecture(machine(words_per_access=4)), load_problem(matmul(17, 3, 1))
    spread = schedule({"spatial_x": "M=9"}, {"temporal": "M=2/1 K=3", "keep": ["A"]})
    result = evaluate(architecture, problem, load_mapping(spread, architecture, problem))
    # Eight columns fill six words in two accesses, and one of them three words in one.
    assert result.tensor("L1", "A").fill_energy_pj == 8 * 2 + 1


def test_the_ports_of_a_level_are_those_of_its_first_instance() -> None:
    problem = load_problem(matmul(40, 4, 1))
    spread = schedule({"temporal": "M=3", "spatial_x": "M=16/8"}, {"temporal": "K=4", "keep": ["A"]})
    narrow = load_architecture(machine(write_bandwidth=0.5))
    result = evaluate(narrow, problem, load_mapping(spread, narrow, problem))
    assert result.level("L1").cycles == 3 * 4 / 0.5


def test_explain_says_that_it_cannot() -> None:
    architecture, problem = load_architecture(machine()), load_problem(matmul(40, 1, 1))
    spread = schedule({"temporal": "M=3", "spatial_x": "M=16/8"}, {})
    with pytest.raises(SpecError, match="cannot explain M=16/8 of level 'L0'"):
        explain(architecture, problem, load_mapping(spread, architecture, problem), "L1", "A")


def test_rules_that_charge_one_instance_for_all_are_refused() -> None:
    spread = schedule({"temporal": "M=3", "spatial_x": "M=16/8"}, {})
    work = matmul(40, 1, 1)
    with pytest.raises(SpecError, match="access_energy: largest"):
        evaluate(machine(), work, spread, rules={"rules": {"access_energy": "largest"}})
