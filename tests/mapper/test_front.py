"""The front of energy against cycles, in one search: all of it, and nothing else."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from procrustes_model import (
    Architecture,
    Problem,
    SpecError,
    find_pareto_front,
    load_architecture,
    load_problem,
    search,
)
from procrustes_model.kernels.dense.arrays import NestArrays
from procrustes_model.kernels.search.goal import energy_limit, extend_front, front_energy
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.mapper.exhaustive import search_exhaustive
from procrustes_model.mapper.front import FrontIncumbent
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.level_rules import Constraints
from procrustes_model.mapper.optimal import search as optimal
from procrustes_model.mapper.optimal.paths import is_eligible
from procrustes_model.mapper.space import Space
from procrustes_model.model.sparse.lower import lower_sparsity
from procrustes_model.objective import OBJECTIVES, parse_limits, parse_objective
from tests.amount import amount, first_quick
from tests.mapper.cases import count_combinations, make_case
from tests.mapper.test_sparse_search import case
from tests.naive.nests import find_front, without_dominated

LARGEST = amount(20_000, 500)
LOADERS = (load_architecture, load_problem)
FEW = st.integers(1, 9).map(float)


@pytest.fixture(autouse=True)
def short_walks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the random walks short, so that bounds have work to do."""
    monkeypatch.setattr("procrustes_model.mapper.optimal.search.WALK", 400)
    monkeypatch.setattr("procrustes_model.mapper.optimal.search.SPARSE_WALK", 20)


@dataclass
class Everything(Incumbent):
    """Takes every mapping."""

    met: list[tuple[float, float]] = field(default_factory=list)

    def offer(self, energy: float, cycles: float, *_: object) -> None:
        """Note what a mapping costs."""
        self.met.append((cycles, energy))


def _check(found: list[tuple[float, float]], wanted: list[tuple[float, float]], seed: int) -> None:
    """Compare fronts: where sums differ in their last bits, one of two points may be left out."""
    assert [one[0] for one in found] == sorted(one[0] for one in found)
    for some, others in ((found, wanted), (wanted, found)):
        for cycles, energy in some:
            assert any(c <= cycles and e <= energy * (1 + 1e-9) for c, e in others), (seed, cycles, energy)


@pytest.mark.parametrize("first", first_quick(range(0, 400, 100), 1))
def test_dense_fronts_equal_those_of_all_nests(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    points = compared = 0
    for seed in range(first, first + amount(100, 25)):
        machine, problem = (load(given) for load, given in zip(LOADERS, make_case(seed)[:2], strict=True))
        space = Space(machine, problem, load_constraints(None, machine, problem))
        if count_combinations(space) > LARGEST:
            continue
        # every other case by labels alone: shortest paths leave them little to do
        monkeypatch.setattr(optimal, "is_eligible", is_eligible if seed % 2 else lambda _: False)
        wanted = find_front(space)
        if not wanted:
            with pytest.raises(SpecError):
                find_pareto_front(machine, problem, threads=1)
            continue
        found = find_pareto_front(machine, problem, threads=1)
        assert all(point.certificate.proven for point in found)
        costs = [(point.result.cycles, point.result.energy_pj) for point in reversed(found)]
        _check(costs, wanted, seed)
        points, compared = points + len(found), compared + 1
    assert points > compared > 0


@pytest.mark.parametrize("first", first_quick(range(0, 60, 20), 1))
def test_sparse_fronts_equal_those_of_all_mappings(first: int) -> None:
    compared = 0
    for seed in range(first, first + 20):
        machine, problem, constraints, sparsity = case(seed)
        space = Space(machine, problem, constraints, lower_sparsity(machine, problem, sparsity))
        if count_combinations(space) > LARGEST / 4:
            continue
        every = Everything(OBJECTIVES["edp"], power=space.power)
        search_exhaustive(space, every)
        if not every.met:
            continue
        found = find_pareto_front(machine, problem, constraints, sparsity=sparsity, threads=1)
        costs = [(point.result.cycles, point.result.energy_pj) for point in reversed(found)]
        _check(costs, without_dominated(every.met), seed)
        compared += 1
    assert compared > 0


@for_all(st.lists(st.tuples(FEW, FEW), max_size=12), FEW)
def test_a_front_grows_as_a_list_does(points: list[tuple[float, float]], cycles: float) -> None:
    front = FrontIncumbent(OBJECTIVES["edp"])
    rows = np.array([[0.0, math.inf]])
    nests = NestArrays(*(np.zeros((1, 1)) for _ in range(4)))  # type: ignore[arg-type]
    for at, energy in points:
        if energy < front_energy(front.goal, at):
            rows = extend_front(rows, energy, at)
        front.offer(energy, at, nests)
    wanted = without_dominated(points)
    assert [tuple(row) for row in rows[1:].tolist()] == wanted
    assert [(point.cycles, point.energy) for point in front.points] == wanted
    least = min([energy for at, energy in points if at <= cycles], default=math.inf)
    assert front_energy(front.goal, cycles) == least
    assert energy_limit(front.goal, cycles) == pytest.approx(least, rel=1e-9)


def _several_points(seed: int) -> tuple[Architecture, Problem]:
    """Return a machine and a problem whose front has four points (131) or five (104)."""
    architecture, problem, _ = make_case(seed)
    return load_architecture(architecture), load_problem(problem)


def test_limits_cut_a_front() -> None:
    machine, problem = _several_points(104)
    whole = find_pareto_front(machine, problem, threads=1)
    assert len(whole) == 5
    first, *_, last = whole
    inner = [one for one in whole if one.result.cycles < first.result.cycles]
    given = f"cycles<={first.result.cycles - 1}, energy<={last.result.energy_pj - 1e-6}"
    found = find_pareto_front(machine, problem, threads=1, limits=given)
    costs = [(one.result.energy_pj, one.result.cycles) for one in found]
    assert costs == [(one.result.energy_pj, one.result.cycles) for one in inner if one is not last]
    with pytest.raises(SpecError, match="no mapping was found with at most 1 cycles"):
        find_pareto_front(machine, problem, threads=1, limits="cycles<=1")


def test_points_are_what_searches_within_their_limits_find() -> None:
    machine, problem = _several_points(131)
    for point in find_pareto_front(machine, problem, threads=1):
        alone = search(machine, problem, objective=point.objective, threads=1)
        assert alone.result.energy_pj == pytest.approx(point.result.energy_pj, rel=1e-12)
        assert point.certificate.proven and point.mapping.name.endswith("_optimal")


def test_a_cut_front_says_what_may_be_missing() -> None:
    machine, problem = _several_points(131)
    space = Space(machine, problem, Constraints())
    wanted = find_front(space)
    for effort in (0, 1_000, 3_000, 10_000):
        found = find_pareto_front(machine, problem, threads=1, effort=effort)
        for point in found:
            most = parse_objective(point.objective).most_cycles
            least = min((energy for cycles, energy in wanted if cycles <= most), default=math.inf)
            assert point.certificate.lower_bound <= least * (1 + 1e-9), effort
            assert not point.certificate.proven or point.result.energy_pj == pytest.approx(least)


@pytest.mark.parametrize(
    ("text", "said"),
    [("cycles<200", "are no limits"), ("edp", "are no limits"), ("cycles<=0", "nothing has cycles<=0")],
)
def test_what_is_no_limit_is_refused(text: str, said: str) -> None:
    machine, problem = _several_points(131)
    with pytest.raises(SpecError, match=said):
        find_pareto_front(machine, problem, limits=text)
    assert parse_limits(None) == dataclasses.replace(OBJECTIVES["edp"])
