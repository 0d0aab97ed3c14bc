"""Mappings of larger bounds, cut to those that there are; and the fewest steps of all nests."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import numpy as np
import pytest

from procrustes_model import load_architecture, load_problem
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.mapper.imperfect.padded import fit_nests, list_paddings
from procrustes_model.mapper.imperfect.steps import find_fewest_steps, list_shares
from procrustes_model.mapper.search import search
from procrustes_model.mapper.space import Space
from procrustes_model.model.evaluator import Evaluator
from tests.amount import amount

pytestmark = pytest.mark.quick


def machine(columns: int, rows: int, inner: int = 1) -> dict[str, Any]:
    """Return an array of columns and rows, with so many units in each of its elements."""
    cost = {"word_bits": 16, "energy_pj": {"read": 3, "write": 2}}
    levels = [{"name": "L0", **cost}, {"name": "L1", "mesh_x": columns, "mesh_y": rows, **cost}]
    compute = {"mesh_x": inner, "energy_pj": 1}
    return {"architecture": {"name": "a", "levels": levels, "compute": compute}}


def matmul(bounds: tuple[int, ...]) -> dict[str, Any]:
    dimensions = dict(zip("MKN", bounds, strict=True))
    return {"problem": {"name": "p", "shape": "matmul", "dimensions": dimensions}}


def space_of(architecture: dict[str, Any], bounds: tuple[int, ...], rules: Any = None) -> Space:
    one, work = load_architecture(architecture), load_problem(matmul(bounds))
    return Space(one, work, load_constraints(rules, one, work))


def try_all(bounds: tuple[int, ...], axes: list[int]) -> int:
    """Return the fewest steps, all ways to share every axis being tried."""
    every = itertools.product(range(1, max(axes) + 1), repeat=len(bounds))
    shares = [s for s in every if math.prod(s) <= max(axes)]
    best = math.prod(bounds)
    for chosen in itertools.product(*([s for s in shares if math.prod(s) <= size] for size in axes)):
        spread = [math.prod(share) for share in zip(*chosen, strict=True)]
        best = min(best, math.prod(-(-b // s) for b, s in zip(bounds, spread, strict=True)))
    return best


@pytest.mark.parametrize("seed", range(amount(40, 10)))
def test_the_fewest_steps_are_those_of_trying_all_shares(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311
    bounds = tuple(rng.randint(1, 30) for _ in range(3))
    columns, rows, inner = rng.randint(1, 9), rng.randint(1, 7), rng.choice([1, 1, 2, 3])
    space = space_of(machine(columns, rows, inner), bounds)
    found = find_fewest_steps(space)
    assert found.bound == found.steps == try_all(bounds, [columns, rows, inner])
    nests = space.nests(1)
    nests.spatial[0], nests.temporal[:, 0] = found.spatial, space.model.bounds
    fitted, last = fit_nests(space, nests)
    batch = Evaluator(space.architecture, space.problem).evaluate_batch(*fitted, last=last)
    assert batch.status.tolist() == [0]
    assert batch.cycles.tolist() == [found.steps]


def test_rules_on_spatial_loops_bound_the_fewest_steps() -> None:
    rules = {"constraints": {"levels": [{"level": "L0", "spatial_x": {"dimensions": ["M"]}}]}}
    found = find_fewest_steps(space_of(machine(8, 1), (9, 16, 2), rules))
    assert (found.bound, found.steps) == (2 * 16 * 2, 2 * 16 * 2)


def test_shares_of_an_axis_are_those_that_cannot_grow() -> None:
    shares = list_shares(6, np.array([9, 2]))
    assert shares is not None
    assert sorted(map(tuple, shares.tolist())) == [(3, 2), (6, 1)]


def test_a_machine_too_wide_to_list_still_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("procrustes_model.mapper.imperfect.steps.MOST_VECTORS", 3)
    found = find_fewest_steps(space_of(machine(5, 3), (7, 4, 2)))
    assert (found.bound, found.steps) == (4, 56)  # 56 operations on 15 units
    monkeypatch.undo()
    monkeypatch.setattr("procrustes_model.mapper.imperfect.steps.MOST_STATES", 1)
    found = find_fewest_steps(space_of(machine(5, 3), (7, 4, 2)))
    assert found.bound <= try_all((7, 4, 2), [5, 3]) <= found.steps


@pytest.mark.parametrize("seed", range(amount(60, 10)))
def test_a_mapping_of_larger_bounds_costs_no_less(seed: int) -> None:
    rng = np.random.default_rng(seed)
    factors = rng.integers(1, 4, (3, 2, 3))  # dimension, level, in time and over columns and rows
    factors[:, 1, 1:] = 1
    whole = tuple(int(row.prod()) for row in factors)
    bounds = tuple(int(rng.integers(1, bound + 1)) for bound in whole)
    one = machine(27, 27)
    larger, space = space_of(one, whole), space_of(one, bounds)
    nests = larger.nests(1)
    nests.temporal[0], nests.spatial[0] = factors[:, :, 0].T, factors[:, :, 1:].transpose(1, 2, 0)
    nests.order[0] = [rng.permutation(3) for _ in range(2)]
    nests.keep[0, 1] = rng.integers(0, 2, 3)
    padded = Evaluator(larger.architecture, larger.problem).evaluate_batch(*nests)
    fitted, last = fit_nests(space, nests)
    cut = Evaluator(space.architecture, space.problem).evaluate_batch(*fitted, last=last)
    assert padded.status.tolist() == cut.status.tolist() == [0]
    assert cut.cycles[0] <= padded.cycles[0]
    assert cut.energy_pj[0] <= padded.energy_pj[0] * (1 + 1e-12)


def test_paddings_are_larger_by_little() -> None:
    space = space_of(machine(16, 16), (17, 4, 131))
    fewest = find_fewest_steps(space)
    found = list_paddings(space.model.bounds, fewest)
    assert found and (17, 4, 131) not in found
    assert all(one[1] >= 4 and one[0] >= 17 and one[2] >= 131 for one in found)
    assert any(one[2] in range(132, 141) for one in found)


def test_prime_bounds_cost_no_more_than_those_of_the_next_larger_problem() -> None:
    ask: dict[str, Any] = {"imperfect": True, "mappings": amount(4_000, 64), "threads": 1}
    for objective in ("cycles", "energy", "edp") if amount(True, False) else ("cycles",):
        prime = search("procrustes_16x16", matmul((17, 4, 17)), objective=objective, **ask)
        larger = search("procrustes_16x16", matmul((18, 4, 18)), objective=objective, threads=1)
        assert prime.certificate.value <= larger.certificate.value
        if objective == "cycles":
            # 1,156 operations on 256 units would take five; no way to share the array takes fewer than six.
            assert (prime.result.cycles, prime.certificate.proven) == (6, True)
            assert larger.result.cycles == 9
            assert "last passes of any length, in time and in space" in prime.claim
