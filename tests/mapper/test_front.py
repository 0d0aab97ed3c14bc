"""The front of energy against cycles, in one search: all of it, and nothing else."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from procrustes_model import SpecError, find_pareto_front, load_architecture, load_problem, search
from procrustes_model.kernels.dense.arrays import Ints, NestArrays
from procrustes_model.kernels.search.goal import energy_limit, extend_front, front_energy
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.mapper.exhaustive import search_exhaustive
from procrustes_model.mapper.front import FrontIncumbent
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.optimal import search as optimal
from procrustes_model.mapper.optimal.paths import is_eligible
from procrustes_model.mapper.space import Space
from procrustes_model.model.sparse.lower import lower_sparsity
from procrustes_model.objective import OBJECTIVES, parse_limits
from tests.amount import amount, first_quick
from tests.mapper.cases import count_combinations, make_case
from tests.mapper.test_sparse_search import case
from tests.naive.nests import find_front, without_dominated

LARGEST = amount(20_000, 500)
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

    def offer(self, energy: float, cycles: float, nests: NestArrays, last: Ints | None = None) -> None:
        """Note what a mapping costs."""
        self.met.append((cycles, energy))


def _check(found: list[tuple[float, float]], wanted: list[tuple[float, float]], seed: int) -> None:
    """Compare fronts: equal sums may differ in their last bits, and then one of two points may be left out."""
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
        found = find_pareto_front(machine, problem, threads=1)
        assert all(point.certificate.proven for point in found)
        costs = [(point.result.cycles, point.result.energy_pj) for point in reversed(found)]
        _check(costs, find_front(space), seed)
        points, compared = points + len(found), compared + 1
    assert points > compared > 0


LOADERS = (load_architecture, load_problem)


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
        found = find_pareto_front(machine, problem, constraints, sparsity=sparsity, threads=1)
        costs = [(point.result.cycles, point.result.energy_pj) for point in reversed(found)]
        _check(costs, without_dominated(every.met), seed)
        compared += bool(found)
    assert compared > 0
