"""What is said of work that no balancing is stated for: whether it is even, or only taken to be."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from procrustes_model import SparseResult, evaluate, load_architecture, load_mapping, load_problem
from procrustes_model.densities.hypergeometric import draw_anywhere
from procrustes_model.model.sparse.masks import tensor_shape
from procrustes_model.report.terminal.sparse import describe_ideal, format_sparse
from tests.amount import amount
from tests.naive.sparse import is_uneven
from tests.strategies import Spec, cases

MASKS = 50


@settings(max_examples=amount(100, 8))
@given(cases(most=96))
def test_uneven_is_what_a_walk_finds_uneven(case: tuple[Spec, Spec, Spec]) -> None:
    architecture, problem = load_architecture(case[0]), load_problem(case[1])
    mapping = load_mapping(case[2], architecture, problem)
    operands = [tensor for tensor in problem.tensors if not tensor.is_output]
    names = [tensor.name for tensor in operands]
    design = {
        "name": "skips",
        "densities": dict.fromkeys(names, 0.5),
        "formats": {name: {"*": "bitmask"} for name in names},
        "compute": {"skip": names},
    }
    result = evaluate(architecture, problem, mapping, sparsity={"sparsity": design})
    rng = np.random.default_rng(1)
    uneven = []
    for tensor in operands:
        shape = tensor_shape(problem, tensor.name)
        nonzeros = math.ceil(math.prod(shape) / 2)
        masks = (draw_anywhere(shape, nonzeros, (-1, -1), -1, rng) for _ in range(MASKS))
        if any(is_uneven(problem, mapping, tensor, mask) for mask in masks):
            uneven.append(tensor.name)
    assert list(result.assumed_even) == uneven
    assert result.work_spread == ("even (ideal)" if uneven else "even")


def matmul(mapping: list[dict[str, str]], **design: Any) -> SparseResult:
    """Evaluate A (M, K) times B (K, N), 8 x 8 x 4, on 4 x 4 elements with registers under a buffer."""
    energy = {"word_bits": 8, "energy_pj": {"read": 1, "write": 1}}
    levels = [{"name": "DRAM"}, {"name": "Buffer"}, {"name": "Regs", "mesh_x": 4, "mesh_y": 4}]
    architecture = {"name": "array", "levels": [one | energy for one in levels], "compute": {"energy_pj": 1}}
    problem = {"name": "small", "shape": "matmul", "dimensions": {"M": 8, "K": 8, "N": 4}}
    nest = [{"level": level["name"]} | loops for level, loops in zip(levels, mapping, strict=True)]
    defaults = {
        "name": "half",
        "densities": {"A": 0.5},
        "formats": {"A": {"*": "bitmask"}},
        "compute": {"skip": "A"},
    }
    return evaluate(
        {"architecture": architecture},
        {"problem": problem},
        {"mapping": {"name": "by_hand", "levels": nest}},
        sparsity={"sparsity": defaults | design},
    )


OVER_MK = [{}, {"spatial_x": "M=4", "spatial_y": "K=4"}, {"temporal": "M=2 K=2 N=4"}]
"""Elements have different parts of A, 2 of K each."""
OVER_N = [{}, {"spatial_x": "N=4"}, {"temporal": "M=8 K=8"}]
"""Elements have the same part of A."""
OVER_M = [{}, {"spatial_x": "M=4"}, {"temporal": "M=2 K=8 N=4"}]
"""Elements have different parts of A, all of K each."""
ALONE = [{}, {}, {"temporal": "M=8 K=8 N=4"}]


def groups(nonzeros: int, group: int) -> dict[str, Any]:
    return {"A": {"model": "structured", "nonzeros": nonzeros, "group": group, "along": "K"}}


def read_of_b(level: str) -> list[dict[str, str]]:
    return [{"level": level, "skip": "B", "on": "A"}]


@pytest.mark.parametrize(
    ("mapping", "design", "spread"),
    [
        (OVER_MK, {}, "even (ideal)"),
        (OVER_N, {}, "even"),
        (ALONE, {}, "even"),
        (OVER_MK, {"compute": {"gate": "A"}}, "even"),
        (OVER_MK, {"densities": {"A": 1.0}}, "even"),
        (OVER_MK, {"densities": {"A": 0.0}}, "even"),
        (OVER_MK, {"densities": {"A": {"model": "fixed", "density": 0.5}}}, "even"),
        (OVER_MK, {"densities": groups(2, 4)}, "even (ideal)"),
        (OVER_MK, {"densities": groups(1, 2)}, "even"),
        (OVER_M, {"densities": groups(2, 4)}, "even"),
        (OVER_MK, {"compute": {}, "actions": read_of_b("Regs")}, "even (ideal)"),
        (OVER_N, {"compute": {}, "actions": read_of_b("Regs")}, "even"),
        (OVER_MK, {"compute": {}, "actions": [{"level": "Regs", "skip": "Z", "on": "A"}]}, "even"),
        (OVER_MK, {"balancing": {"tensor": "A"}}, "expected"),
        (OVER_MK, {"balancing": {"tensor": "A"}, "compute": {"gate": "A"}}, "even"),
        (OVER_MK, {"balancing": {"tensor": "B"}, "densities": {"A": 0.5, "B": 0.25}}, "even (ideal)"),
    ],
)
def test_spread(mapping: list[dict[str, str]], design: dict[str, Any], spread: str) -> None:
    result = matmul(mapping, **design)
    assert result.work_spread == result.to_dict()["work_spread"] == spread
    assert result.assumed_even == (("A",) if spread == "even (ideal)" else ())
    assert (describe_ideal([result.to_dict()]) is not None) == (spread == "even (ideal)")


def test_even_is_what_balancing_finds_even() -> None:
    """Cycles without balancing are those of the slowest where work is even, and fewer where it is ideal."""
    for mapping, densities in (
        (OVER_N, {"A": 0.5}),
        (OVER_M, groups(2, 4)),
        (OVER_MK, groups(1, 2)),
        (OVER_MK, {"A": 0.5}),
        (OVER_MK, groups(2, 4)),
    ):
        without = matmul(mapping, densities=densities)
        stated = matmul(mapping, densities=densities, balancing={"tensor": "A"})
        even = without.work_spread == "even"
        assert even == (without.cycles == stated.cycles) == (without.cycles >= stated.cycles)


def test_the_rest_of_two_operands_is_taken_to_be_even() -> None:
    """Work is that of one operand's zeros; what the other's save besides is spread evenly."""
    result = matmul(
        [{}, {"spatial_x": "M=4", "spatial_y": "N=4"}, {"temporal": "M=2 K=8"}],
        densities={"A": 0.5, "B": 0.5},
        formats={"A": {"*": "bitmask"}, "B": {"*": "bitmask"}},
        compute={"skip": ["A", "B"]},
        balancing={"tensor": "A"},
    )
    assert (result.work_spread, result.assumed_even) == ("expected", ("B",))
    assert "work that zeros of B leave spread evenly (ideal)" in " ".join(format_sparse(result).split())


def test_what_the_terminal_says() -> None:
    assert "Imbalance    no balancing stated: work spread evenly (ideal)" in format_sparse(matmul(OVER_MK))
    even = "Imbalance    none: all processing elements have the same work"
    assert even in format_sparse(matmul(OVER_N))
    ideal = describe_ideal([matmul(OVER_N).to_dict(), matmul(OVER_MK).to_dict()])
    assert ideal is not None
    assert ideal.startswith("cycles are a lower bound: half skips computations for zeros of A on an array")
    assert ideal.endswith("balancing: {tensor: A}")


def test_balancing_that_does_not_count_is_said() -> None:
    """Reads of B that are skipped where A is empty save less than all zeros of A: boxes of two are met."""
    result = matmul(
        [{}, {"spatial_x": "K=4", "temporal": "N=4"}, {"temporal": "K=2 M=8"}],
        compute={},
        actions=read_of_b("Buffer"),
        balancing={"tensor": "A"},
    )
    assert result.imbalance is not None and not result.imbalance.in_cycles
    assert result.computes.actual < result.computes.dense
    assert result.work_spread == "even (ideal)"
    assert "not in the cycles: not all zeros of A save one" in " ".join(format_sparse(result).split())
    assert "balancing does not count, as not all zeros of A save a cycle" in str(
        describe_ideal([result.to_dict()])
    )
