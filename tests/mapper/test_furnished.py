"""Searches on machines with all there is beside plain storage: optimal finds what exhaustive finds."""

from __future__ import annotations

import random
from typing import Any

import pytest

from procrustes_model import SpecError, evaluate, load_architecture, load_mapping, load_problem
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.mapper.space import Space
from tests.amount import amount
from tests.furnished import furnish, settle
from tests.mapper.cases import count_combinations, find, make_case

LARGEST = 20_000
"""Mappings of a space that is tried exhaustively."""


def make_machine(seed: int) -> tuple[Any, Any]:
    """Return a random machine and a problem."""
    rng = random.Random(seed + 1)  # noqa: S311
    machine, content, _ = make_case(seed)
    problem = load_problem(content)
    tensors = [tensor.name for tensor in problem.tensors]
    furnish(rng, machine, tensors, problem.output.name)
    machine["architecture"].pop("sum_bits" if rng.random() < 0.3 else "", None)
    if rng.random() < 0.3:
        settle(rng, machine, tensors)
    return load_architecture(machine), problem


def check(seed: int) -> int:
    """Search one case by every objective, both ways; return how many searches found a mapping."""
    try:
        architecture, problem = make_machine(seed)
        space = Space(architecture, problem, load_constraints(None, architecture, problem))
    except SpecError:
        return 0
    if count_combinations(space) > LARGEST:
        return 0
    tried = 0
    for objective in ("energy", "cycles", "edp"):
        given = (architecture, problem, None, objective)
        best, found = find(*given, method="exhaustive"), find(*given, method="optimal")
        assert (best is None) == (found is None), (seed, objective)
        if best is None or found is None:
            break
        tried += 1
        assert found.certificate.proven, (seed, objective)
        assert found.certificate.value <= best.certificate.value * (1 + 1e-9), (seed, objective)
        mapping = load_mapping(found.mapping.to_dict(), architecture, problem)
        again = evaluate(architecture, problem, mapping)
        assert again.energy_pj == pytest.approx(found.result.energy_pj, rel=1e-12)
    return tried


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_optimal_equals_exhaustive_on_furnished_machines(first: int) -> None:
    assert sum(check(seed) for seed in range(first, first + amount(10, 6)))
