"""Searches on machines that read sums before they send them up."""

from __future__ import annotations

import random

import pytest

from procrustes_model import SpecError, load_architecture, load_problem, search
from procrustes_model.mapper.constraints import Constraints, load_constraints
from procrustes_model.mapper.optimal import search as optimal
from procrustes_model.mapper.optimal.paths import is_eligible
from procrustes_model.mapper.request import Method
from procrustes_model.mapper.result import SearchResult
from procrustes_model.mapper.space import Space
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.problem import Problem
from procrustes_model.spec.sparsity import Sparsity
from tests.amount import amount, first_quick
from tests.mapper.cases import count_combinations, find, make_case
from tests.mapper.test_sparse_search import case

CASES, LARGEST = 40, amount(60_000, 250)


@pytest.mark.parametrize("first", first_quick(range(0, CASES, 20), 1))
def test_optimal_equals_exhaustive(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(first, first + 20):
        rng = random.Random(seed)  # noqa: S311
        content, product, _ = make_case(1000 + seed)
        for level in content["architecture"]["levels"]:
            level["drain_read"] = rng.random() < 0.7
        architecture, problem = load_architecture(content), load_problem(product)
        constraints = load_constraints(None, architecture, problem)
        if count_combinations(Space(architecture, problem, constraints)) > LARGEST:
            continue
        monkeypatch.setattr(optimal, "is_eligible", is_eligible if seed % 2 else lambda _: False)
        for objective in ("energy", "edp"):
            given = (architecture, problem, constraints, objective)
            best, found = find(*given, method="exhaustive"), find(*given, method="optimal")
            assert (best is None) == (found is None), (seed, objective)
            if best is None or found is None:
                break
            assert found.certificate.proven
            assert found.certificate.value <= best.certificate.value * (1 + 1e-9), (seed, objective)
            assert found.certificate.lower_bound <= best.certificate.value * (1 + 1e-9), (seed, objective)


@pytest.mark.parametrize("seed", first_quick(range(3), 1))
def test_under_a_sparse_design(seed: int) -> None:
    """Bounds know nothing of such reads, and stay bounds."""
    for number in range(20 * seed, 20 * seed + 20):
        machine, problem, constraints, design = case(number)
        levels = tuple(level.model_copy(update={"drain_read": True}) for level in machine.levels)
        drained = machine.model_copy(update={"levels": levels})
        if count_combinations(Space(machine, problem, constraints)) > amount(3_000, 150):
            continue
        found, best = (
            _search_sparse(drained, problem, constraints, design, method)
            for method in ("optimal", "exhaustive")
        )
        assert (found is None) == (best is None), number
        if found is None or best is None:
            continue
        assert found.certificate.value == pytest.approx(best.certificate.value, rel=1e-9), number
        assert found.certificate.lower_bound <= best.certificate.value * (1 + 1e-9), number


def _search_sparse(
    machine: Architecture, problem: Problem, constraints: Constraints, design: Sparsity, method: Method
) -> SearchResult | None:
    try:
        return search(machine, problem, constraints, "energy", sparsity=design, method=method, threads=1)
    except SpecError:
        return None
