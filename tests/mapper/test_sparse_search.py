"""Searches under sparse designs: bounds hold, and what is found is what was measured."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from procrustes_model import (
    SpecError,
    evaluate,
    load_architecture,
    load_mapping,
    load_problem,
    load_sparsity,
    search,
)
from procrustes_model.kernels.dense.arrays import NestArrays
from procrustes_model.kernels.search.walk import accept, propose
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.random_search import begin, make_ways
from procrustes_model.mapper.space import Space
from procrustes_model.model.evaluate import evaluate_batch
from procrustes_model.model.sparse.lower import lower_sparsity
from procrustes_model.objective import OBJECTIVES
from tests.amount import amount, first_quick
from tests.mapper.cases import count_combinations, make_case
from tests.mapper.sparse_cases import drop_idle, make_design

LARGEST = amount(60_000, 150)


def case(seed: int) -> tuple[Any, Any, Any, Any]:
    """Return an architecture, a problem, constraints and a sparse design."""
    architecture, problem, rules = make_case(seed)
    rng = random.Random(seed * 7 + 1)  # noqa: S311
    names = [level["name"] for level in architecture["architecture"]["levels"]]
    design = make_design(rng, problem, names)
    machine, work = load_architecture(architecture), load_problem(problem)
    constraints = load_constraints(rules if rng.random() < 0.4 else None, machine, work)
    drop_idle(design, machine, work, constraints)
    if rng.random() < 0.5:
        bits = {tensor.name: rng.choice([4, 7, 40]) for tensor in work.tensors}
        machine = machine.model_copy(update={"bits": bits})
    return machine, work, constraints, load_sparsity(design)


def random_nests(space: Space, steps: int) -> list[NestArrays]:
    """Return mappings that walks pass, most of them valid."""
    freedom = space.freedom()
    ways, nests = make_ways(space, freedom, range(16)), space.nests(16)
    begin(space, freedom, ways, nests)
    met, goal = [], Incumbent(OBJECTIVES["energy"]).goal
    for step in range(steps):
        propose(space.model, space.divisors, freedom, ways, nests, step == 0)
        met.append(NestArrays(*(part.copy() for part in nests)))
        nothing = np.zeros(16)
        accept(goal, 1.0, ways, nests, nothing, np.ones((16, 2), np.int64), np.zeros(16, np.int64))
    return met


@pytest.mark.parametrize("first", first_quick(range(0, 60, 20), 1))
def test_no_mapping_costs_less_than_its_relaxation(first: int) -> None:
    compared = 0
    for seed in range(first, first + 20):
        machine, problem, constraints, sparsity = case(seed)
        space = Space(machine, problem, constraints, lower_sparsity(machine, problem, sparsity))
        assert space.cost is not None
        for nests in random_nests(space, amount(12, 2)):
            found = space.cost.measure(nests)
            dense = evaluate_batch(machine, problem, *nests)
            for n in np.flatnonzero(found.valid & dense.valid):
                model = space.model
                spread = nests.spatial[n].prod(axis=(1, 2))
                instances = np.concatenate([[1], np.cumprod(spread)])
                words = dense.accesses[n] * instances[:-1, None, None]
                least = model.base + (words * model.word).sum()
                assert found.energy_pj[n] >= least * (1 - 1e-9), (seed, n)
                steps = problem.computes / instances[-1] * model.work
                assert found.cycles[n] >= steps * (1 - 1e-9), (seed, n)
                compared += 1
    assert compared > amount(500, 50)


@pytest.mark.parametrize("first", first_quick(range(0, 60, 15), 2))
def test_the_best_of_a_small_space_lies_between_bound_and_value(first: int) -> None:
    compared = exact = 0
    for seed in range(first, first + 15):
        machine, problem, constraints, sparsity = case(seed)
        design = lower_sparsity(machine, problem, sparsity)
        if count_combinations(Space(machine, problem, constraints, design)) > LARGEST:
            continue
        for objective in ("energy", "edp", "cycles"):
            found = {}
            for method in ("exhaustive", "optimal"):
                try:
                    found[method] = search(
                        machine,
                        problem,
                        constraints,
                        objective,
                        sparsity=sparsity,
                        method=method,
                        threads=1,
                    )
                except SpecError:
                    found[method] = None
            best, one = found["exhaustive"], found["optimal"]
            assert (best is None) == (one is None), (seed, objective)
            if best is None or one is None:
                continue
            compared += 1
            assert one.certificate.lower_bound <= best.certificate.value * (1 + 1e-9), (seed, objective)
            assert best.certificate.value <= one.certificate.value * (1 + 1e-9), (seed, objective)
            exact += one.certificate.value <= best.certificate.value * (1 + 1e-9)
            again = load_mapping(one.mapping.to_dict(), machine, problem)
            result = evaluate(machine, problem, again, sparsity=sparsity)
            assert (result.energy_pj, result.cycles) == (one.result.energy_pj, one.result.cycles)
    assert compared >= amount(6, 0)
    assert exact >= 0.9 * compared


@pytest.mark.parametrize("method", ["optimal", "random"])
def test_threads_do_not_change_what_is_found(method: Any) -> None:
    bounds = {"K": 32, "C": 16, "R": 3, "S": 3, "P": 7, "Q": 7, "N": 16}
    problem = load_problem({"problem": {"name": "small", "shape": "conv", "dimensions": bounds}})
    given: Any = ("procrustes_16x16", problem, "dataflow_kn")
    budget = 10_000 if method == "random" else None
    found = [
        search(*given, sparsity="procrustes", method=method, mappings=budget, threads=threads)
        for threads in (1, 2)
    ]
    assert found[0].mapping == found[1].mapping
    assert found[0].certificate == found[1].certificate


def test_masks_drive_the_search() -> None:
    bounds = {"K": 32, "C": 32, "R": 3, "S": 3, "P": 7, "Q": 7, "N": 16}
    problem = load_problem({"problem": {"name": "small", "shape": "conv", "dimensions": bounds}})
    mask = np.random.default_rng(0).random((32, 32, 3, 3)) < 0.1
    mask[:8] = False
    found = search("procrustes_16x16", problem, "dataflow_kn", sparsity="procrustes", masks={"Weights": mask})
    assert found.result.imbalance.counted  # type: ignore[attr-defined]
    assert 0 < found.certificate.lower_bound <= found.certificate.value
    assert found.certificate.gap < 0.25


def test_densities_without_a_design_are_refused() -> None:
    with pytest.raises(SpecError, match="need a sparse design"):
        search("procrustes_16x16", "vgg_s/conv3_2", densities={"Weights": 0.1})
