"""What must hold whatever the densities: the dense model at density 1, and less work with more zeros."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from procrustes_model import SpecError, evaluate, load_architecture, load_mapping, load_problem, load_sparsity
from procrustes_model.model.sparse.masks import tensor_shape
from tests.amount import amount
from tests.strategies import Spec, cases, with_drains


def skip_design(problem: Any, levels: list[str], density: float) -> dict[str, Any]:
    """Return a design in which every operand is compressed and skipped, without metadata."""
    operands = [tensor.name for tensor in problem.tensors if not tensor.is_output]
    return {
        "sparsity": {
            "name": "all",
            "densities": {name: {"model": "hypergeometric", "density": density} for name in operands},
            "formats": {
                name: {"*": {"kind": "csb", "block": 1 << 31, "partial_blocks": "dropped"}}
                for name in operands
            },
            "actions": [{"level": name, "skip": problem.output.name, "on": operands} for name in levels],
            "compute": {"skip": operands},
            "balancing": {"policy": "half_tile", "tensor": operands[0]},
        }
    }


@pytest.mark.quick
@settings(max_examples=amount(100, 8))
@given(cases().flatmap(with_drains))
def test_density_one_equals_the_dense_model(case: tuple[Spec, Spec, Spec]) -> None:
    architecture, problem = load_architecture(case[0]), load_problem(case[1])
    mapping = load_mapping(case[2], architecture, problem)
    dense = evaluate(architecture, problem, mapping)
    levels = [level.level for level in mapping.levels if problem.output.name in level.keep]
    full = {
        tensor.name: np.ones(tensor_shape(problem, tensor.name), np.bool_)
        for tensor in problem.tensors
        if not tensor.is_output
    }
    results = [evaluate(architecture, problem, mapping, sparsity=load_sparsity("dense"))]
    design = load_sparsity(skip_design(problem, levels, 1.0))
    results.append(evaluate(architecture, problem, mapping, sparsity=design))
    if problem.name != "diagonal":
        results.append(evaluate(architecture, problem, mapping, sparsity=design, masks=full))
    for result in results:
        assert result.cycles == dense.cycles
        assert result.bottleneck == dense.bottleneck
        assert result.energy_pj == pytest.approx(dense.energy_pj, rel=1e-12)
        assert result.compute.computes == dense.compute.computes
        for mine, theirs in zip(result.levels, dense.levels, strict=True):
            assert (mine.cycles, mine.limited_by) == (theirs.cycles, theirs.limited_by)
            for one, other in zip(mine.tensors, theirs.tensors, strict=True):
                assert (one.reads, one.fills, one.updates) == (other.reads, other.fills, other.updates)
                assert result.sparse(one.level, one.tensor).dense == (other.reads, other.fills, other.updates)
                assert one.energy_pj == other.energy_pj


@settings(max_examples=60)
@given(cases(), st.floats(0.05, 0.9), st.floats(0.05, 0.9))
def test_counts_fall_with_density(case: tuple[Spec, Spec, Spec], one: float, other: float) -> None:
    architecture, problem = load_architecture(case[0]), load_problem(case[1])
    mapping = load_mapping(case[2], architecture, problem)
    levels = [level.level for level in mapping.levels if problem.output.name in level.keep]
    sparser, denser = (
        evaluate(
            architecture, problem, mapping, sparsity=load_sparsity(skip_design(problem, levels, density))
        )
        for density in sorted((one, other))
    )
    assert sparser.computes.actual <= denser.computes.actual * (1 + 1e-12)
    assert sparser.energy_pj <= denser.energy_pj * (1 + 1e-12)
    assert sparser.cycles <= denser.cycles
    for mine, theirs in zip(sparser.levels, denser.levels, strict=True):
        for few, many in zip(mine.tensors, theirs.tensors, strict=True):
            low, high = sparser.sparse(few.level, few.tensor), denser.sparse(many.level, many.tensor)
            for action in range(3):
                assert low.actual[action] <= high.actual[action] * (1 + 1e-9) + 1e-9


@pytest.mark.quick
@pytest.mark.parametrize("phase", ["forward", "update"])
def test_speed_up_is_at_most_that_of_the_zeros(phase: str, request: pytest.FixtureRequest) -> None:
    architecture, problem, mapping = request.getfixturevalue(phase)
    tensor = "Weights" if phase == "forward" else "Inputs"
    for density in (0.05, 0.1, 0.3, 0.6):
        design = load_sparsity("procrustes")
        balanced = evaluate(architecture, problem, mapping, sparsity=design, densities={tensor: density})
        alone = evaluate(
            architecture,
            problem,
            mapping,
            sparsity=design.with_balancing("none"),
            densities={tensor: density},
        )
        steps = balanced.computes.dense / balanced.compute.instances_used
        assert steps * density <= balanced.cycles <= alone.cycles <= steps
        assert balanced.imbalance is not None
        assert 1 <= balanced.imbalance.after <= balanced.imbalance.before


@pytest.mark.quick
def test_shipped_designs_differ_as_their_files_say(forward: Any, update: Any) -> None:
    published, own = load_sparsity("procrustes_2020"), load_sparsity("procrustes")
    architecture, problem, mapping = forward
    old, new = (evaluate(architecture, problem, mapping, sparsity=one) for one in (published, own))
    assert old.cycles == new.cycles
    assert old.sparse("RegFile", "Inputs").actual[0] == old.sparse("RegFile", "Inputs").dense[0]
    assert new.sparse("RegFile", "Inputs").actual[0] == pytest.approx(
        0.1 * new.sparse("RegFile", "Inputs").dense[0], rel=1e-4
    )
    architecture, problem, mapping = update
    old, new = (evaluate(architecture, problem, mapping, sparsity=one) for one in (published, own))
    written = new.sparse("DRAM", "Weights")
    first = written.dense[2] - written.dense[0]
    assert written.actual[2] == pytest.approx(written.dense[0] + first * 0.1, rel=1e-4)
    assert written.metadata[2] > 0
    assert old.sparse("DRAM", "Weights").actual[2] == written.dense[2]
    assert old.sparse("DRAM", "Weights").metadata[2] == 0


@pytest.mark.quick
def test_bandwidth_limits_what_zeros_do_not_save(forward: Any) -> None:
    architecture, problem, mapping = forward
    far = architecture.levels[0].model_copy(update={"read_bandwidth": 0.5})
    slow = architecture.model_copy(update={"levels": (far, *architecture.levels[1:])})
    result = evaluate(slow, problem, mapping, sparsity=load_sparsity("procrustes"))
    traffic = sum(
        result.sparse("DRAM", name).actual[0] + result.sparse("DRAM", name).metadata[0]
        for name in ("Weights", "Inputs", "Outputs")
    )
    assert result.bottleneck == "DRAM"
    assert result.levels[0].limited_by == "read bandwidth"
    assert result.cycles == pytest.approx(traffic / 0.5, rel=1e-6)
    with pytest.raises(SpecError, match="need a sparse design"):
        evaluate(architecture, problem, mapping, densities={"Weights": 0.5})  # type: ignore[call-overload]
