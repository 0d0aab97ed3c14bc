"""One rule of exponents and limits is every objective: in kernels, searches, options and files."""

from __future__ import annotations

import dataclasses
import json
import math
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procrustes_model import SearchResult, SpecError, load_architecture, load_problem, search
from procrustes_model.kernels.search.arrays import Goal
from procrustes_model.kernels.search.goal import advance, energy_limit, is_better, raised
from procrustes_model.mapper.constraints import Constraints
from procrustes_model.mapper.imperfect.search import bound_imperfect
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.optimal.compulsory import Compulsory
from procrustes_model.mapper.optimal.tables import Tables
from procrustes_model.mapper.space import Space
from procrustes_model.objective import LEAST_POWER, MOST_POWER, OBJECTIVES, Objective, parse_objective
from procrustes_model.report.terminal.search import format_certificate
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.problem import Problem
from tests.mapper.cases import count_combinations, make_case
from tests.naive import objective as naive

OLD = ("energy", "edp", "cycles")
LARGEST = 6_000
"""Mappings of a space that is tried exhaustively here."""

energies = st.one_of(st.floats(1, 9), st.just(5.0))
few = st.integers(1, 9).map(float)
limits = st.one_of(few, st.just(math.inf))
powers = st.one_of(st.just(0.0), st.floats(LEAST_POWER, MOST_POWER), st.integers(1, 3).map(float))


def _goal(objective: Objective, energy: float, cycles: float, power: float = 0.0) -> Goal:
    return Incumbent(objective, power=power, energy=energy, cycles=cycles).goal


@pytest.fixture(autouse=True)
def short_walks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the random walks short, so that bounds have work to do, and kernels may run as plain Python."""
    monkeypatch.setattr("procrustes_model.mapper.optimal.search.WALK", 400)
    monkeypatch.setattr("procrustes_model.mapper.nothing.EFFORT", 500)


@given(st.sampled_from(OLD), energies, few, energies, few, limits)
def test_the_rule_is_what_each_comparison_was(
    name: str, energy: float, cycles: float, other_energy: float, other_cycles: float, most: float
) -> None:
    goal = _goal(dataclasses.replace(OBJECTIVES[name], most_cycles=most), energy, cycles)
    best = naive.Best(energy, cycles, most)
    assert is_better(goal, other_energy, other_cycles) == naive.better(name, best, other_energy, other_cycles)
    assert energy_limit(goal, other_cycles) == naive.limit(name, best, other_cycles)
    assert goal.value == naive.value(name, energy, cycles)
    assert advance(goal, other_energy, other_cycles) == _goal(
        dataclasses.replace(OBJECTIVES[name], most_cycles=most), other_energy, other_cycles
    )


@given(st.floats(0, 1e25))
def test_whole_powers_are_exact(base: float) -> None:
    assert raised(base, 0.0) == 1
    assert raised(base, 1.0) == base
    assert raised(base, 2.0) == base * base


@given(powers, powers, energies, few, energies, few, few, limits, limits, st.sampled_from([0.0, 0.25, 3.0]))
def test_no_limit_excludes_what_is_better(
    a: float,
    b: float,
    energy: float,
    cycles: float,
    dynamic: float,
    other_cycles: float,
    fewer: float,
    most_cycles: float,
    most_energy: float,
    power: float,
) -> None:
    if not a and not b:
        return
    objective = Objective("any", a, b, most_cycles=most_cycles, most_energy=most_energy)
    incumbent = Incumbent(objective, power=power, energy=energy, cycles=cycles)
    whole, fewer = dynamic + power * other_cycles, min(fewer, other_cycles)
    assert incumbent.score_bound(dynamic, fewer) <= incumbent.score(whole, other_cycles)
    if is_better(incumbent.goal, whole, other_cycles):
        assert whole <= most_energy
        assert other_cycles <= most_cycles
        assert not incumbent.excludes(dynamic, fewer)


@given(powers, powers, limits, limits)
def test_texts_read_back_as_the_same(a: float, b: float, most_cycles: float, most_energy: float) -> None:
    if not a and not b:
        return
    given_ = Objective("any", a, b, most_cycles=most_cycles, most_energy=most_energy)
    read = parse_objective(str(given_))
    assert str(read) == str(given_)
    for field in ("energy_power", "cycles_power", "most_cycles", "most_energy"):
        assert getattr(read, field) == getattr(given_, field)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_names_read_back_as_the_same(name: str) -> None:
    assert str(OBJECTIVES[name]) == name
    assert parse_objective(name) is not None
    limited = parse_objective(f" {name} , energy <= 5e9,cycles<=2e5 ")
    assert str(limited) == f"{name}, cycles<=200000, energy<=5000000000"
    assert limited.within == " within 200,000 cycles and 5,000,000,000 pJ"


def test_products_that_have_a_name_get_it() -> None:
    assert str(parse_objective("cycles^2*energy")) == "ed2p"
    assert str(parse_objective("cycles * energy")) == "edp"
    assert str(parse_objective("energy^2*cycles")) == "e2dp"
    assert str(parse_objective("energy^2*cycles^.5")) == "energy^2*cycles^0.5"
    assert parse_objective("energy^2*cycles").unit == "pJ^2 x cycles"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("edq", f"unknown objective 'edq'; one of {', '.join(OBJECTIVES)}, or energy\\^3\\*cycles"),
        ("", "unknown objective ''"),
        ("edp,", "unknown objective 'edp,'"),
        ("energy*energy", "unknown objective"),
        ("energy, cycles<5", "unknown objective"),
        ("energy, cycles<=5, cycles<=6", "unknown objective"),
        ("energy, cycles<=0", "nothing has cycles<=0"),
        ("energy^9", "exponents are 0 or from 0.01 to 6"),
        ("energy^0*cycles^0", "not both 0"),
        (None, "(unknown objective|objective must be text, is) 'None'"),
    ],
)
def test_what_is_no_objective_is_explained(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_objective(text)
    with pytest.raises(SpecError, match=message):
        search("simple_3level", "matmul/512", objective=text)


def _small(first: int, count: int) -> list[tuple[int, Architecture, Problem]]:
    found = []
    for seed in range(first, first + count):
        specs = make_case(seed)
        machine, work = load_architecture(specs[0]), load_problem(specs[1])
        if 10 < count_combinations(Space(machine, work, Constraints())) <= LARGEST:
            found.append((seed, machine, work))
    return found


def _find(machine: Architecture, work: Problem, objective: str, method: str) -> SearchResult | None:
    try:
        return search(machine, work, objective=objective, method=method, threads=1)  # type: ignore[arg-type]
    except SpecError as error:
        assert "no mapping" in str(error)  # noqa: PT017
        return None


@pytest.mark.parametrize("first", range(0, 60, 15))
def test_optimal_equals_exhaustive_for_every_objective(first: int) -> None:
    for seed, machine, work in _small(first, 15):
        quick = _find(machine, work, "cycles", "exhaustive")
        frugal = _find(machine, work, "energy", "exhaustive")
        if quick is None or frugal is None:
            continue
        rng = random.Random(seed)  # noqa: S311
        share = rng.choice([0.0, 0.3, 0.9])
        cycles = round(quick.result.cycles + share * (frugal.result.cycles - quick.result.cycles))
        energy = frugal.result.energy_pj + share * (quick.result.energy_pj - frugal.result.energy_pj)
        named = (
            f"energy, cycles<={cycles}",
            f"cycles, energy<={energy * (1 + 1e-9)!r}",
            "energy^2*cycles^0.5",
        )
        steps = Tables(Space(machine, work, Constraints())).fewest_steps()
        least = Compulsory(Space(machine, work, Constraints()), whole=True).least()
        for name in (*OBJECTIVES, *named):
            best, found = (_find(machine, work, name, method) for method in ("exhaustive", "optimal"))
            assert best is not None, (seed, name)
            assert found is not None, (seed, name)
            assert found.certificate.proven
            assert found.certificate.value == pytest.approx(best.certificate.value, rel=1e-9), (seed, name)
            aim = parse_objective(found.objective)
            assert aim == parse_objective(name)
            assert found.result.cycles <= aim.most_cycles
            assert found.result.energy_pj <= aim.most_energy
            if name in OBJECTIVES:
                value = naive.value(name, found.result.energy_pj, float(found.result.cycles))
                assert found.certificate.value == pytest.approx(value, rel=1e-12)
            bound = Incumbent(aim).score_bound(least, steps)
            assert bound <= best.certificate.value * (1 + 1e-9), (seed, name)
            space = Space(machine, work, Constraints())
            assert bound_imperfect(space, Incumbent(aim)) <= best.certificate.value * (1 + 1e-9), (seed, name)


SMALL = {"problem": {"name": "small", "shape": "matmul", "dimensions": {"M": 4, "K": 4, "N": 2}}}


def test_what_lies_within_no_limit_is_said() -> None:
    with pytest.raises(SpecError) as raised_:
        search("simple_3level", SMALL, objective="edp, cycles<=1, energy<=2", method="random", mappings=500)
    few_cycles, little_energy = raised_.value.issues
    assert few_cycles.message == "no mapping was found with at most 1 cycles"
    assert little_energy.message == "no mapping was found with at most 2 pJ"
    assert re.fullmatch(r"the least that 500 tried mappings take is [\d,.]+ pJ", str(little_energy.hint))


def test_walks_find_the_way_to_a_limit() -> None:
    fewest = search("simple_3level", SMALL, objective="cycles").result.cycles
    found = search(
        "simple_3level", SMALL, objective=f"energy, cycles<={fewest}", method="random", mappings=2000
    )
    assert found.result.cycles == fewest


@pytest.mark.parametrize("name", [*OBJECTIVES, "energy, cycles<=1000", "energy^3*cycles"])
def test_results_say_what_was_minimised(name: str) -> None:
    aim = parse_objective(name)
    found = search("simple_3level", SMALL, objective=aim)
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert parse_objective(data["objective"]) == aim
    assert data["certificate"]["unit"] == aim.unit
    known = f"no mapping with {found.certificate.searched}{aim.within} has {aim.better}"
    assert known in " ".join(format_certificate(found).split())
