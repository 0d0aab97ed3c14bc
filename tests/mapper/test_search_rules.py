"""Searches under the rules of another model: bounds hold, and what is found is what that model says."""

from __future__ import annotations

import random
from typing import Any, get_args

import pytest

from procrustes_model import (
    Evaluator,
    Rules,
    SearchRequest,
    SpecError,
    load_architecture,
    load_problem,
    search,
)
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.mapper.request import Method
from procrustes_model.mapper.space import Space
from tests.amount import amount
from tests.mapper.cases import count_combinations, make_case
from tests.mapper.test_methods import DESIGN, MACHINE, MATMUL

LARGEST = amount(60_000, 150)


def _make_rules(rng: random.Random) -> Rules:
    """Return rules of which some differ from this model's own."""
    return Rules(
        **{name: rng.choice(get_args(field.annotation)) for name, field in Rules.model_fields.items()}
    )


def _search(request: SearchRequest) -> Any:
    try:
        return search(request)
    except SpecError:
        return None


def test_the_best_of_a_small_space_lies_between_bound_and_value() -> None:
    compared = exact = 0
    for seed in range(60):
        architecture, content, limits = make_case(seed)
        machine, problem = load_architecture(architecture), load_problem(content)
        rng = random.Random(seed)  # noqa: S311
        constraints = load_constraints(limits if rng.random() < 0.4 else None, machine, problem)
        rules = _make_rules(rng)
        if rules == Rules() or count_combinations(Space(machine, problem, constraints)) > LARGEST:
            continue
        evaluator = Evaluator(machine, problem, rules=rules)
        best, found = (
            _search(
                SearchRequest(machine, problem, constraints, "energy", rules=rules, method=method, threads=1)
            )
            for method in ("exhaustive", "optimal")
        )
        assert (best is None) == (found is None), seed
        if best is None:
            continue
        compared += 1
        low, least, value = found.certificate.lower_bound, best.certificate.value, found.certificate.value
        assert best.certificate.proven
        assert low <= least * (1 + 1e-9), seed
        assert least <= value * (1 + 1e-9), seed
        exact += value <= least * (1 + 1e-9)
        for one in (best, found):
            result = evaluator.evaluate(one.mapping)
            assert (result.energy_pj, result.cycles) == (one.result.energy_pj, one.result.cycles), seed
            assert one.certificate.value == pytest.approx(result.energy_pj, rel=1e-9), seed
    assert compared >= amount(6, 1)
    assert exact >= 0.9 * compared


@pytest.mark.quick
@pytest.mark.parametrize(("method", "budget"), [("optimal", None), ("random", 64)])
def test_own_rules_change_nothing(method: Method, budget: int | None) -> None:
    found = [
        search(MACHINE, MATMUL, method=method, mappings=budget, threads=1, rules=rules)
        for rules in (None, {"rules": {}})
    ]
    assert found[0].mapping == found[1].mapping
    assert found[0].certificate == found[1].certificate


@pytest.mark.quick
def test_rules_replace_those_of_a_design() -> None:
    rules = Rules(output_fills="all", access_energy="largest")
    given: Any = {"sparsity": DESIGN, "rules": rules}
    found = search(MACHINE, MATMUL, method="random", mappings=64, threads=1, **given)
    result = Evaluator(MACHINE, MATMUL, **given).evaluate(found.mapping)
    assert (result.energy_pj, result.cycles) == (found.result.energy_pj, found.result.cycles)
    own = Evaluator(MACHINE, MATMUL, sparsity=DESIGN).evaluate(found.mapping)
    assert own.energy_pj < result.energy_pj


@pytest.mark.quick
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"imperfect": True, "rules": {"rules": {}}}, "not searched under other rules"),
        ({"imperfect": True, "sparsity": "procrustes"}, "not searched under a sparse design"),
        ({"mappings": 9}, "has no budget of mappings"),
        ({"masks": {"A": "a.npy"}}, "need a sparse design"),
        ({"densities": "A=0.1"}, "need a sparse design"),
        ({"method": "best"}, "one of optimal, random, exhaustive"),
        ({"threads": 0}, "threads must be a whole number of at least 1"),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        SearchRequest(MACHINE, MATMUL, **options)
