"""Batches under sparse designs on lanes against the kernels of single evaluations: every bit is the same."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from bench import nest_spec
from bench_work import convolution, random_nests, roomy_procrustes

from procrustes_model import (
    Evaluator,
    SpecError,
    load_architecture,
    load_mapping,
    load_problem,
    load_sparsity,
)
from procrustes_model.kernels.lanes.vectors import LANES
from procrustes_model.model import lanes
from procrustes_model.model.batch import BatchResult
from procrustes_model.vocabulary import Status
from tests.amount import amount, first_quick
from tests.mapper.sparse_cases import add_prices, make_design
from tests.model.test_lanes import assert_same_bits, damage, draw_machine_spec, draw_problem_spec
from tests.naive import dense as naive


def is_on_lanes(evaluator: Evaluator) -> bool:
    """Say whether there is code on lanes for all that a design has."""
    return lanes.DesignOnLanes(evaluator.design)._shape is not None


def draw_case(seed: int) -> tuple[Any, Any, Any] | None:
    """Draw a machine, a problem and a design of any kind; None where the design has no effect there."""
    rng = random.Random(seed)  # noqa: S311
    content, problem = draw_machine_spec(rng), draw_problem_spec(rng)
    add_prices(rng, content)
    names = [level["name"] for level in content["architecture"]["levels"]]
    for level in content["architecture"]["levels"]:
        level.pop("double_buffered", None)
    if rng.random() < 0.8:  # most elements have one unit of their own
        content["architecture"]["compute"].pop("mesh_x", None)
    design = make_design(rng, problem, names if len(names) > 1 else names * 2)
    for action in design["sparsity"]["actions"]:
        action["level"] = names[-1] if rng.random() < 0.8 else action["level"]
    if rng.random() < 0.3:
        design["sparsity"]["rules"] = {
            "output_fills": rng.choice(["after_first", "all"]),
            "overlap": rng.choice(["relevant", "innermost", "innermost"]),
            "access_energy": rng.choice(["by_action", "largest"]),
        }
    try:
        case = load_architecture(content), load_problem(problem), load_sparsity(design)
        Evaluator(*case[:2], sparsity=case[2])
    except SpecError:
        return None
    return case


def both(
    monkeypatch: pytest.MonkeyPatch, machine: Any, problem: Any, nests: Any, design: Any, **options: Any
) -> tuple[BatchResult, BatchResult]:
    """Return what is found on lanes, however few mappings there are, and one by one."""
    results = []
    for worth in (0, 1 << 60):
        monkeypatch.setattr(lanes, "WORTH", worth)
        evaluator = Evaluator(machine, problem, sparsity=design)
        results.append(evaluator.evaluate_batch(*nests, **options))
    return results[0], results[1]


@pytest.mark.parametrize("seed", first_quick(range(22), 6))
def test_every_bit_is_that_of_single_evaluations(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Designs of any kind; those that are not counted on lanes are left to the kernels."""
    case = draw_case(seed)
    if case is None:
        return
    machine, problem, design = case
    drawn = random_nests(machine, problem, amount(403, 43), seed)
    if amount(True, False):
        drawn = damage(np.random.default_rng(seed), drawn)
    vectors, single = both(monkeypatch, machine, problem, drawn, design, threads=1 + seed % 3)
    assert_same_bits(vectors, single)


@pytest.mark.quick
def test_enough_of_what_is_drawn_is_counted_on_lanes() -> None:
    cases = [case for case in map(draw_case, range(30)) if case is not None]
    counted = [is_on_lanes(Evaluator(*case[:2], sparsity=case[2])) for case in cases]
    assert len(cases) > 15 and sum(counted) > 3


@pytest.mark.parametrize(
    ("name", "phase"),
    [
        ("procrustes", "conv"),
        ("procrustes", "conv_backward"),
        ("procrustes", "conv_weight_update"),
        ("procrustes_2020", "conv"),
        ("procrustes_2020", "conv_weight_update"),
        ("masked_weights", "conv"),
        ("spikes", "conv"),
        ("dense", "conv"),
    ],
)
def test_shipped_designs_are_counted_on_lanes(name: str, phase: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where levels are left out, and tiles do not fit."""
    machine, bounds = roomy_procrustes(), dict(convolution(C=32, K=64).dimensions)
    problem = load_problem({"problem": {"name": "layer", "shape": phase, "dimensions": bounds}})
    full = load_architecture("procrustes_16x16")
    nests = random_nests(machine, problem, amount(151, 40))
    keep = nests.keep.copy()
    keep[:, 1:] = np.random.default_rng(0).random(keep[:, 1:].shape) < 0.8
    for one in (machine, full):
        evaluator = Evaluator(one, problem, sparsity=name)
        assert is_on_lanes(evaluator)
        vectors, single = both(monkeypatch, one, problem, nests._replace(keep=keep), name)
        assert_same_bits(vectors, single)
    assert (single.status == Status.BAD_CAPACITY.value).any() or name == "dense"


@pytest.mark.quick
@pytest.mark.parametrize("count", [0, 1, LANES - 1, LANES, LANES + 1])
def test_any_number_of_mappings(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    machine, problem = roomy_procrustes(), convolution(C=8, K=4)
    nests = random_nests(machine, problem, count)
    assert_same_bits(*both(monkeypatch, machine, problem, nests, amount("procrustes", "spikes")))


@pytest.mark.quick
def test_what_is_moved_of_compressed_weights_is_their_density(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: of weights in bitmasks all accesses shrink to the density, those of other tensors do not."""
    monkeypatch.setattr(lanes, "WORTH", 0)
    machine, problem = roomy_procrustes(), convolution(C=4, K=4, N=2, P=2, Q=1)
    nests = random_nests(machine, problem, 8)
    sparse = Evaluator(machine, problem, sparsity="masked_weights", densities={"W": 0.25})
    assert is_on_lanes(sparse)
    found = sparse.evaluate_batch(*nests).accesses
    for n in range(len(found)):
        mapping = load_mapping(nest_spec(machine, problem, nests, n), machine, problem)
        counts = naive.evaluate(machine, problem, mapping)["counts"]
        for level, spec in enumerate(machine.levels):
            for t, tensor in enumerate(problem.tensors):
                dense = counts[spec.name, tensor.name]
                words = np.array([dense[one] for one in ("reads", "fills", "updates")])
                share = 0.25 if tensor.name == "Weights" else 1.0
                np.testing.assert_allclose(found[n, level, t], share * words, rtol=1e-15)
