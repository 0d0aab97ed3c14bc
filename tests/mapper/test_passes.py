"""Shortest paths over numbers of passes: against every mapping, random nests and a plain recursion."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from procrustes_model import load_architecture, load_problem
from procrustes_model.kernels.search.passes import CROWDED, NOWHERE, find_fewest_passes
from procrustes_model.kernels.search.passes_bounds import spread_out
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.mapper.deadline import Deadline
from procrustes_model.mapper.imperfect.grid import list_moves, list_passes, list_spreads
from procrustes_model.mapper.imperfect.passes import PassPaths, is_eligible
from procrustes_model.mapper.imperfect.space import search_imperfect_exhaustive
from procrustes_model.mapper.imperfect.walk import Walker
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.space import Space
from procrustes_model.objective import OBJECTIVES
from tests.amount import amount, first_quick
from tests.mapper.cases import make_architecture, make_problem
from tests.mapper.test_imperfect_search import _small_case
from tests.naive import passes as naive

pytestmark = pytest.mark.quick

MATMUL = {"A": "MK", "B": "KN", "Z": "MN"}


def _space(machine: Any, work: Any, rules: Any = None) -> Space:
    return Space(machine, work, load_constraints(rules, machine, work))


def _matmul(bounds: dict[str, int]) -> dict[str, Any]:
    return {"problem": {"name": "p", "shape": "matmul", "dimensions": bounds}}


@pytest.mark.parametrize("bound", [1, 2, 7, 12, 100, 137])
def test_passes_and_moves_are_those_of_all_factors(bound: int) -> None:
    passes = list_passes(bound)
    assert passes == sorted({-(-bound // z) for z in range(1, bound + 1)}, reverse=True)
    for n, moves in zip(passes, list_moves(passes), strict=True):
        reached = {-(-n // b) for b in range(2, n + 1)}
        assert {passes[after] for after, _, _ in moves} == reached
        for after, factor, last in moves:
            assert -(-n // factor) == passes[after] and last == (n - 1) % factor + 1
        for b in range(2, n + 1):  # of each the least factor, and those with a short last pass
            left, last = -(-n // b), (n - 1) % b + 1
            same = [f for after, f, _ in moves if passes[after] == left]
            assert min(same) <= b
            assert last > 2 or left == 1 or b in same


def test_ways_to_spread_are_all_products_that_fit_the_axes() -> None:
    bounds = np.array([5, 3])
    ways = list_spreads([(2, 2), (1, 3)], np.full((2, 2, 2), 5), bounds, 1000)
    assert ways is not None
    products = {tuple(map(tuple, row)) for row in ways.prod(axis=2).tolist()}
    outer = {(x[0] * y[0], x[1] * y[1]) for x in [(1, 1), (2, 1), (1, 2)] for y in [(1, 1), (2, 1), (1, 2)]}
    every = {(a, b) for a in outer for b in [(1, 1), (2, 1), (3, 1), (1, 2), (1, 3)]}
    assert products == every - {((1, 4), (1, 3))}  # of three passes three instances leave one
    assert list_spreads([(2, 2), (1, 3)], np.full((2, 2, 2), 5), bounds, 10) is None


@pytest.mark.parametrize("seed", first_quick(range(0, 24, 3), 3))
def test_paths_are_the_least_of_a_recursion_over_passes(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311
    bounds = {d: rng.choice([1, 2, 3, 5, 6, 7]) for d in "MKN"}
    prices = [{a: rng.randint(1, 9) * 10 ** (2 - i) for a in ("read", "write", "update")} for i in range(3)]
    room = [None, rng.choice([None, rng.randint(6, 40)]), rng.choice([3, rng.randint(3, 12)])]
    levels = rng.choice([2, 3])
    keep = [sorted(rng.sample("ABZ", rng.randint(1, 3))) for _ in range(levels - 1)]
    parts = []
    for i in range(levels):
        level: dict[str, Any] = {"name": f"L{i}", "word_bits": 8, "energy_pj": prices[i]}
        level |= {"capacity_words": room[i]} if room[i] is not None else {}
        parts.append(level | ({"tensors": keep[i - 1]} if i else {}))
    text = {"architecture": {"name": "a", "levels": parts, "compute": {"energy_pj": 0}}}
    space = _space(load_architecture(text), load_problem(_matmul(bounds)))
    paths = PassPaths(space, Incumbent(OBJECTIVES["energy"]))
    least = []
    for pattern in space.patterns():
        plan = paths.plan(pattern)
        spread_out(space.model, plan, np.ones_like(plan.spread))
        score, label, _ = find_fewest_passes(
            space.model, paths.grid, plan, paths.incumbent.goal, paths.labels
        )
        names = [tensor.name for tensor in space.problem.tensors]
        kept = tuple(frozenset(n for n, k in zip(names, row, strict=True) if k) for row in pattern.tolist())
        machine = naive.Machine(
            {d: bounds[d] for d in space.problem.dimensions},
            {t: frozenset(ranks) for t, ranks in MATMUL.items()},
            "Z",
            kept,
            *(tuple(Fraction(p[a]) for p in prices[:levels]) for a in ("read", "write", "update")),
            tuple(float("inf") if r is None else r for r in room[:levels]),
        )
        twin = naive.least_energy(machine)
        assert (twin is None) == (label == NOWHERE)
        if twin is not None:
            assert score == pytest.approx(float(twin), rel=1e-12)
            least.append(twin)
    if seed % 6 == 0 and least:  # and the recursion is what the model says of every mapping
        best = Incumbent(OBJECTIVES["energy"])
        small = search_imperfect_exhaustive(space, best)
        assert small and best.value == pytest.approx(float(min(least)), rel=1e-12)


def _walk(space: Space, seed: int, rounds: int) -> int:
    """Hold random nests to the path of what they keep and of how they spread; return how many."""
    walker, paths = (
        Walker(space, np.random.default_rng(seed)),
        PassPaths(space, Incumbent(OBJECTIVES["energy"])),
    )
    known: dict[bytes, float] = {}
    ways, compared = walker.start(16), 0
    for _ in range(rounds):
        for _ in range(4):
            walker.disturb(ways)
        batch = space.evaluator.evaluate(*ways.nests, last=ways.last, threads=1, accesses=False)
        for i in np.flatnonzero(batch.valid & (walker.count_wrong(ways) == 0)).tolist():
            spread, keep = ways.nests.spatial[i].prod(axis=1), ways.nests.keep[i]
            key = spread.tobytes() + keep.tobytes()
            if key not in known:
                plan = paths.plan(keep)
                spread_out(space.model, plan, spread)
                goal = paths.incumbent.goal
                score, end, _ = find_fewest_passes(space.model, paths.grid, plan, goal, paths.labels)
                known[key] = 0.0 if end == CROWDED else score
            assert known[key] <= batch.energy_pj[i] * (1 + 1e-9), (seed, i)
            compared += 1
    return compared


@pytest.mark.parametrize("seed", first_quick(range(12), 3))
def test_no_nest_is_cheaper_than_the_path_of_what_it_keeps_and_spreads(seed: int) -> None:
    compared = 0
    while not compared:
        rng = random.Random(seed)  # noqa: S311
        problem = make_problem(rng)
        dimensions = problem["problem"]["dimensions"]
        dimensions.update({d: rng.choice([2, 3, 5, 7, 11, 13]) for d in dimensions})
        machine = load_architecture(make_architecture(rng, list(problem["problem"]["shape"]["tensors"])))
        space = _space(machine, load_problem(problem))
        compared = _walk(space, seed, amount(12, 2)) if is_eligible(space) else 0
        seed += 100
    assert compared > 0


@pytest.mark.parametrize("constrained", [False, True])
def test_bounds_hold_for_every_mapping_and_mostly_are_reached(constrained: bool) -> None:
    compared = proven = 0
    for seed in range(amount(10, 3)):
        levels, bounds = (3, [1, 2, 3, 5, 7]) if seed % 2 else (2, amount([4, 5, 7, 7], [1, 2, 3, 3, 5]))
        machine, work, rules = _small_case(seed, amount(range(200, 2_000), range(20, 400)), levels, bounds)
        for objective in ("energy", "edp"):
            space = _space(machine, work, rules if constrained else None)
            best, found = (Incumbent(OBJECTIVES[objective], power=space.power) for _ in range(2))
            search_imperfect_exhaustive(space, best)
            if best.nests is None or not is_eligible(space):
                continue
            bound = PassPaths(space, found).decide()
            assert bound <= best.value * (1 + 1e-9)
            assert found.value >= best.value * (1 - 1e-9)
            compared += 1
            proven += bound >= best.value * (1 - 1e-9)
    assert compared > (3 if amount(True, False) else 0) and (constrained or proven >= compared / 2)


def test_a_search_that_is_cut_short_keeps_a_bound() -> None:
    machine, work = load_architecture("procrustes_16x16"), load_problem(_matmul({"M": 17, "K": 13, "N": 11}))
    best = Incumbent(OBJECTIVES["energy"])
    assert PassPaths(_space(machine, work), best).decide() == pytest.approx(best.value, rel=1e-9)
    space = _space(machine, work)
    space.deadline = Deadline(effort=500)
    some = Incumbent(OBJECTIVES["energy"], space.deadline)
    bound = PassPaths(space, some).decide()
    assert 0 < bound <= best.value <= some.value


def test_a_machine_of_one_level_has_no_paths() -> None:
    level = {"name": "L0", "word_bits": 8, "energy_pj": {"read": 1, "write": 1}}
    text = {"architecture": {"name": "a", "levels": [level], "compute": {"energy_pj": 1}}}
    space = _space(load_architecture(text), load_problem(_matmul({"M": 3, "K": 2, "N": 2})))
    assert not is_eligible(space)
