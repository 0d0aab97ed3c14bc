"""The optimal search finds what trying every mapping finds."""

from __future__ import annotations

import pytest

from procrustes_model import SpecError, evaluate, load_architecture, load_mapping, load_problem
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.mapper.result import SearchResult
from procrustes_model.mapper.search import search
from procrustes_model.mapper.space import Space
from tests.mapper.cases import make_case

CASES, LARGEST = 120, 200_000_000


def _find(*given: object, method: str) -> SearchResult | None:
    try:
        return search(*given, method=method, threads=1)  # type: ignore[arg-type]
    except SpecError:
        return None


@pytest.mark.parametrize("first", range(0, CASES, 20))
@pytest.mark.parametrize("constrained", [False, True])
def test_optimal_equals_exhaustive(first: int, constrained: bool) -> None:
    compared = 0
    for seed in range(first, first + 20):
        architecture, problem, rules = make_case(seed)
        architecture, problem = load_architecture(architecture), load_problem(problem)
        constraints = load_constraints(rules if constrained else None, architecture, problem)
        if Space(architecture, problem, constraints).size() > LARGEST:
            continue
        compared += 1
        for objective in ("energy", "edp", "cycles"):
            given = (architecture, problem, constraints, objective)
            best, found = _find(*given, method="exhaustive"), _find(*given, method="optimal")
            assert (best is None) == (found is None), (seed, objective)
            if best is None or found is None:
                continue
            assert found.certificate.proven
            # equal sums may differ in the last bit, where a ceiling makes a whole cycle of it
            assert found.certificate.value <= best.certificate.value * (1 + 1e-9), (seed, objective)
            if objective == "cycles" and found.result.cycles == best.result.cycles:
                assert found.result.energy_pj <= best.result.energy_pj * (1 + 1e-9), seed
            text = found.mapping.to_dict()
            again = evaluate(architecture, problem, load_mapping(text, architecture, problem))
            assert (again.energy_pj, again.cycles) == (found.result.energy_pj, found.result.cycles)
    assert compared > 5
