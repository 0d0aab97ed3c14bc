"""Searches where time costs energy: the optimal search finds what trying all mappings finds."""

from __future__ import annotations

import random
from typing import Any

import pytest

from procrustes_model import evaluate, load_architecture, load_mapping, load_problem
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.mapper.space import Space
from tests.mapper.cases import count_combinations, find, make_case

LARGEST = 20_000
"""Mappings of a space that is tried exhaustively."""


def leaking(seed: int) -> tuple[Any, Any]:
    """Return a random machine that leaks about as much as it works, and a problem."""
    rng = random.Random(seed + 1)  # noqa: S311
    machine, problem, _ = make_case(seed)
    content = machine["architecture"]
    content["clock"] = f"{rng.choice([100, 500, 2000])} MHz"
    for part in (*content["levels"], content["compute"]):
        part["leakage_mw"] = rng.choice([0, 0.5, 20, "1 W"])
    content["components"] = [{"name": "Other", "power_pj_per_cycle": 2, "leakage_mw": rng.choice([0, 1])}]
    return load_architecture(machine), load_problem(problem)


@pytest.mark.parametrize("first", range(0, 60, 10))
def test_optimal_equals_exhaustive_where_parts_leak(first: int) -> None:
    tried = 0
    for seed in range(first, first + 10):
        architecture, problem = leaking(seed)
        rules = load_constraints(None, architecture, problem)
        if count_combinations(Space(architecture, problem, rules)) > LARGEST:
            continue
        for objective in ("energy", "edp", "energy^2*cycles"):
            given = (architecture, problem, rules, objective)
            best, found = find(*given, method="exhaustive"), find(*given, method="optimal")
            assert (best is None) == (found is None), (seed, objective)
            if best is None or found is None:
                break
            tried += 1
            assert found.certificate.proven
            assert found.certificate.value <= best.certificate.value * (1 + 1e-9), (seed, objective)
            mapping = load_mapping(found.mapping.to_dict(), architecture, problem)
            again = evaluate(architecture, problem, mapping)
            assert again.energy_pj == pytest.approx(found.result.energy_pj, rel=1e-12)
            leaked = architecture.power_pj_per_cycle * again.cycles
            assert sum(one.energy_pj for one in again.leakage) + again.components[
                0
            ].energy_pj == pytest.approx(leaked, rel=1e-12)
    assert tried
