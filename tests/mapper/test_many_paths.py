"""Ways to spread loops part by part, fewest steps first: what is decided is the best."""

from __future__ import annotations

import itertools
import math

import pytest

from procrustes_model import SpecError, load_architecture, load_problem
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.optimal import many_paths
from procrustes_model.mapper.optimal.many_paths import ManyPaths
from procrustes_model.mapper.optimal.paths import is_eligible
from procrustes_model.mapper.optimal.spreads import list_spreads
from procrustes_model.mapper.optimal.tables import Tables
from procrustes_model.mapper.space import Space
from procrustes_model.objective import parse_objective
from tests.amount import amount
from tests.mapper.cases import count_combinations, find, make_case
from tests.mapper.test_furnished import make_machine

LARGEST = 4_000


def _make_small(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Make parts small, so that there are some; of every second case also what is listed at a time."""
    sizes = {"AT_ONCE": 0, "FIRST_WAYS": 2, "LATER_WAYS": 3, "FIRST_CHOICES": 1, "SHELL": 2.0}
    for name, value in {**sizes, "ALL_WAYS": 0 if seed % 2 else 1_000}.items():
        monkeypatch.setattr(many_paths, name, value)


def _check(space: Space, objective: str, value: float | None, seed: int) -> int:
    incumbent = Incumbent(parse_objective(objective), power=space.power)
    queue = [(0.0, number, keep) for number, keep in space.numbered_patterns()]
    left = ManyPaths(Tables(space), incumbent).decide(queue)
    if value is None:
        assert incumbent.nests is None, (seed, objective)
        return 0
    assert incumbent.value >= value * (1 - 1e-9), (seed, objective)
    assert min([incumbent.value, *(row[0] for row in left)]) <= value * (1 + 1e-9), (seed, objective)
    return not left


@pytest.mark.parametrize("furnished", [False, True])
def test_what_parts_decide_is_the_best(furnished: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    decided = 0
    for seed in range(amount(120, 10)):
        _make_small(monkeypatch, seed)
        try:
            if furnished:
                architecture, problem = make_machine(seed)
            else:
                specs = make_case(seed)
                architecture, problem = load_architecture(specs[0]), load_problem(specs[1])
            space = Space(architecture, problem, load_constraints(None, architecture, problem))
        except SpecError:
            continue
        if count_combinations(space) > LARGEST or not is_eligible(space):
            continue
        for objective in ("energy", "edp", "cycles")[: 3 if seed % 3 == 0 else 2]:
            best = find(architecture, problem, None, objective, method="exhaustive")
            decided += _check(space, objective, None if best is None else best.certificate.value, seed)
    assert decided > 0


def test_too_many_ways_are_not_listed() -> None:
    specs = make_case(1)
    architecture, problem = load_architecture(specs[0]), load_problem(specs[1])
    tables = Tables(Space(architecture, problem, load_constraints(None, architecture, problem)))
    spreads = list_spreads(tables, 1_000)
    assert spreads is not None and len(spreads) > 1
    assert list_spreads(tables, 1) is None


@pytest.mark.parametrize("least", [1, 4])
def test_ways_are_all_combinations_that_divide_the_bounds(least: int) -> None:
    held = 0
    for seed in range(30):
        specs = make_case(seed)
        architecture, problem = load_architecture(specs[0]), load_problem(specs[1])
        space = Space(architecture, problem, load_constraints(None, architecture, problem))
        tables, value, bounds = Tables(space), space.lattice.value, space.model.bounds
        points = [tables.spatial_points(level).tolist() for level in range(space.levels)]
        if space.model.machine.home.any() or math.prod(map(len, points)) > 3_000:
            continue
        wanted = set()
        for way in itertools.product(*points):
            spread = value[list(way)]
            if (bounds % spread.prod(axis=0) == 0).all() and least <= spread.prod() < 9:
                wanted.add(tuple(map(tuple, spread.tolist())))
        found = list_spreads(tables, 1_000_000, least, 9)
        assert found is not None
        listed = {tuple(map(tuple, value[way].tolist())) for way in found}
        mirror = space.orders.mirror
        if mirror[0] >= 0:  # of a way and its mirror image one is enough
            listed |= {tuple(tuple(row[d] for d in mirror) for row in way) for way in listed}
        assert listed == wanted, seed
        held += len(wanted)
    assert held > 100
