"""The Sparseloop cases on random masks: what the model expects is the mean of what a walk finds."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference import dense, sparseloop

from procrustes_model import (
    Mapping,
    Problem,
    SparseResult,
    evaluate,
    load_architecture,
    load_mapping,
    load_problem,
    load_sparsity,
)
from procrustes_model.model.sparse.masks import tensor_shape
from procrustes_model.spec.problem import Tensor
from tests.naive.sparse_random import Mask, done_shares, random_mask, saved_shares, stays

CASES: list[dict[str, Any]] = json.loads(
    gzip.decompress((Path(__file__).parent.parent / "data" / "sparseloop_saf" / "cases.json.gz").read_bytes())
)
SMALL = [case for case in CASES if math.prod(case["problem"]["dims"].values()) <= 6_000]
MASKS = 300
SHARED_WINDOW = {("s01001", "Inputs")}
"""Where instances along two dimensions of one rank share an element: see "What is checked" in
docs/explanation/sparse.md."""


def evaluated(case: dict[str, Any]) -> tuple[Problem, Mapping, SparseResult]:
    """Return a case's problem, mapping and result by this model's own rules."""
    architecture = load_architecture(dense.architecture_spec(case))
    problem = load_problem(dense.problem_spec(case))
    mapping = load_mapping(sparseloop.mapping_spec(case), architecture, problem)
    content = sparseloop.sparsity_spec(case)
    del content["sparsity"]["rules"]
    return problem, mapping, evaluate(architecture, problem, mapping, sparsity=load_sparsity(content))


def draw(case: dict[str, Any], problem: Problem, tensors: list[Tensor]) -> list[list[Mask]]:
    """Return masks with the number of nonzeros that the case says, by tensor; always the same."""
    rng = np.random.default_rng(1)
    drawn = []
    for tensor in tensors:
        shape = tensor_shape(problem, tensor.name)
        nonzeros = math.ceil(case["sparsity"]["densities"][tensor.name]["density"] * math.prod(shape))
        drawn.append([random_mask(shape, nonzeros, rng) for _ in range(MASKS)])
    return drawn


def is_random(case: dict[str, Any], names: list[str]) -> bool:
    densities = case["sparsity"]["densities"]
    return all(densities.get(name, {}).get("distribution") == "hypergeometric" for name in names)


ACTIONS = [
    (case, action)
    for case in SMALL
    for action in case["sparsity"]["actions"]
    if is_random(case, action["condition_on"])
]


@pytest.mark.parametrize(
    ("case", "action"), ACTIONS, ids=[f"{case['id']}-{action['target']}" for case, action in ACTIONS]
)
def test_expected_savings_are_the_mean_over_masks(case: dict[str, Any], action: dict[str, Any]) -> None:
    """Four standard errors of the mean are allowed."""
    problem, mapping, result = evaluated(case)
    tensors = {tensor.name: tensor for tensor in problem.tensors}
    names = [level.level for level in mapping.levels]
    level = names.index(action["level"])
    while action["target"] not in mapping.levels[level].keep:
        level -= 1
    target, leaders = tensors[action["target"]], [tensors[name] for name in action["condition_on"]]
    words = case["arch"]["levels"][level]["block_size"]
    met = stays(problem, mapping, level, target, leaders, words)
    found = saved_shares(met, draw(case, problem, leaders))
    counts = result.sparse(names[level], target.name)
    kind = 2 if target.is_output else 0
    expected = (counts.gated[kind] + counts.skipped[kind]) / counts.dense[kind]
    error = 4 * found.std() / math.sqrt(MASKS) + 1e-9
    if (case["id"], target.name) in SHARED_WINDOW:
        error = 0.04
    assert expected == pytest.approx(found.mean(), abs=error)


GATED = [
    case
    for case in SMALL
    if case["sparsity"]["compute"] == "gating"
    and case["sparsity"]["densities"]
    and is_random(case, list(case["sparsity"]["densities"]))
]


@pytest.mark.parametrize("case", GATED, ids=lambda case: case["id"])
def test_expected_computations_are_the_mean_over_masks(case: dict[str, Any]) -> None:
    problem, _, result = evaluated(case)
    operands = [tensor for tensor in problem.tensors if tensor.name in case["sparsity"]["densities"]]
    found = done_shares(problem, operands, draw(case, problem, operands))
    error = 4 * found.std() / math.sqrt(MASKS) + 1e-9
    assert result.computes.actual / problem.computes == pytest.approx(found.mean(), abs=error)
