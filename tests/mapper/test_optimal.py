"""The optimal search finds what trying every mapping finds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from procrustes_model import SpecError, evaluate, load_architecture, load_mapping, load_problem
from procrustes_model.mapper.constraints import Constraints, load_constraints
from procrustes_model.mapper.optimal import search as optimal
from procrustes_model.mapper.optimal.paths import is_eligible
from procrustes_model.mapper.result import SearchResult
from procrustes_model.mapper.search import search
from procrustes_model.mapper.space import Space
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.problem import Problem
from tests.amount import amount, first_quick
from tests.mapper.cases import count_combinations, make_case

CASES, LARGEST = 600, amount(200_000, 250)


def _find(*given: object, method: str) -> SearchResult | None:
    try:
        return search(*given, method=method, threads=1)  # type: ignore[arg-type]
    except SpecError:
        return None


def _cases(seeds: range, constrained: bool) -> Iterator[tuple[Architecture, Problem, Constraints, int]]:
    """Yield the cases that are small enough to try every mapping of."""
    for seed in seeds:
        *specs, rules = make_case(seed)
        architecture, problem = load_architecture(specs[0]), load_problem(specs[1])
        constraints = load_constraints(rules if constrained else None, architecture, problem)
        if count_combinations(Space(architecture, problem, constraints)) <= LARGEST:
            yield architecture, problem, constraints, seed


@pytest.mark.parametrize("constrained", [False, True])
def test_there_are_two_hundred_cases(constrained: bool) -> None:
    assert sum(1 for _ in _cases(range(CASES), constrained)) >= 200


@pytest.mark.parametrize("first", first_quick(range(0, CASES, 20), 2))
@pytest.mark.parametrize("constrained", [False, True])
def test_optimal_equals_exhaustive(first: int, constrained: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for architecture, problem, constraints, seed in _cases(range(first, first + 20), constrained):
        # every other case by labels alone: shortest paths leave them little to do
        with_paths = seed % 2 == 0
        monkeypatch.setattr(optimal, "is_eligible", is_eligible if with_paths else lambda _: False)
        for objective in ("energy", "edp", "cycles")[: 3 if seed % 3 == 0 else 2]:
            given = (architecture, problem, constraints, objective)
            best, found = _find(*given, method="exhaustive"), _find(*given, method="optimal")
            assert (best is None) == (found is None), (seed, objective)
            if best is None or found is None:
                break  # nothing is valid, whatever is minimised
            assert found.certificate.proven
            assert with_paths or found.certificate.proof == "labels"
            # equal sums may differ in the last bit, where a ceiling makes a whole cycle of it
            assert found.certificate.value <= best.certificate.value * (1 + 1e-9), (seed, objective)
            if objective == "cycles" and found.result.cycles == best.result.cycles:
                assert found.result.energy_pj <= best.result.energy_pj * (1 + 1e-9), seed
            text = found.mapping.to_dict()
            again = evaluate(architecture, problem, load_mapping(text, architecture, problem))
            assert (again.energy_pj, again.cycles) == (found.result.energy_pj, found.result.cycles)
