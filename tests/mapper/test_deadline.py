"""A time limit ends a search wherever it is, with the best so far and only what is known of the rest."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from procrustes_model import (
    Evaluator,
    SearchResult,
    SpecError,
    find_pareto_front,
    load_architecture,
    load_problem,
    search,
)
from procrustes_model.mapper import exhaustive, random_search, task
from procrustes_model.mapper import space as space_module
from procrustes_model.mapper.constraints import Constraints
from procrustes_model.mapper.deadline import Deadline, OutOfTime, slices
from procrustes_model.mapper.optimal import labels, tables
from procrustes_model.mapper.optimal import search as optimal
from procrustes_model.mapper.space import Space
from tests.amount import amount
from tests.mapper.test_methods import DESIGN, MACHINE, MATMUL, SLIDE

PUBLISHED: dict[str, Any] = {
    "sparsity": DESIGN["sparsity"] | {"name": "published", "rules": {"overlap": "innermost"}}
}
MASK = {"A": np.array([[True, False], [True, True]])}
PRIME = {"problem": MATMUL["problem"] | {"dimensions": {"M": 3, "K": 2, "N": 1}}}
LOOKS = 120
"""How often the clock may be looked at when it is late: once in every stage, and to have a first mapping."""

WAYS: dict[str, tuple[Any, dict[str, Any]]] = {
    "optimal": (MATMUL, {}),
    "random": (MATMUL, {"method": "random", "mappings": 400}),
    "exhaustive": (PRIME, {"method": "exhaustive"}),
    "sparse": (MATMUL, {"sparsity": DESIGN}),
    "sparse exhaustive": (PRIME, {"sparsity": DESIGN, "method": "exhaustive"}),
    "masks": (MATMUL, {"sparsity": DESIGN, "masks": MASK}),
    "published rules": (SLIDE, {"sparsity": PUBLISHED}),
    "imperfect": (PRIME, {"imperfect": True, "mappings": 64}),
    "imperfect random": (PRIME, {"imperfect": True, "method": "random", "mappings": 64}),
    "imperfect exhaustive": (PRIME, {"imperfect": True, "method": "exhaustive"}),
}


class Ticks:
    """A clock that goes on by a second whenever it is looked at."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> float:
        """Return the time."""
        self.now += 1
        return float(self.now)


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> list[Ticks]:
    """Let searches look at clocks that tick; the fixture lists them."""
    clocks: list[Ticks] = []

    def make(seconds: float | None, effort: int | None) -> Deadline:
        clocks.append(Ticks())
        return Deadline(seconds, clocks[-1], effort)

    monkeypatch.setattr(task, "Deadline", make)
    return clocks


def _search(way: str, seconds: float | None) -> SearchResult:
    problem, options = WAYS[way]
    return search(MACHINE, problem, None, "energy", threads=1, seconds=seconds, **options)


@pytest.mark.parametrize("way", WAYS)
def test_wherever_it_ends_the_answer_is_sound(way: str, ticks: list[Ticks]) -> None:
    whole = _search(way, None)
    looked = ticks[-1].now
    problem, options = WAYS[way]
    best = whole.certificate.value
    given = {name: options[name] for name in ("sparsity", "masks") if name in options}
    evaluator = Evaluator(MACHINE, problem, **given)
    moments = sorted(
        {*range(0, 12, amount(1, 4)), *np.linspace(12, looked, amount(25, 4), dtype=int).tolist()}
    )
    for seconds in moments:
        found = _search(way, seconds)
        certificate, result = found.certificate, evaluator.evaluate(found.mapping)
        assert (result.energy_pj, result.cycles) == (found.result.energy_pj, found.result.cycles), seconds
        # After the time is out, a few more looks: one in every stage that ends, and a first mapping.
        assert ticks[-1].now <= seconds + LOOKS, seconds
        if certificate.lower_bound:
            assert certificate.lower_bound <= best * (1 + 1e-9), seconds
        if certificate.proven:
            assert certificate.value == pytest.approx(best, rel=1e-9), seconds
            assert found.mapping.name == "energy_optimal"
        else:
            assert found.claim.startswith("Not proven")
            assert found.mapping.name == "energy_best_found"
        assert certificate.value >= certificate.lower_bound


def test_a_front_is_cut_short(ticks: list[Ticks]) -> None:
    whole = find_pareto_front(MACHINE, MATMUL, threads=1)
    looked = ticks[-1].now
    for seconds in (0, 5, looked // 2):
        front = find_pareto_front(MACHINE, MATMUL, threads=1, seconds=seconds)
        assert 1 <= len(front) <= len(whole)
        assert ticks[-1].now <= seconds + 2 * LOOKS


@pytest.mark.quick
@pytest.mark.usefixtures("ticks")
def test_nothing_found_in_time_is_said() -> None:
    impossible = {
        "constraints": {"levels": [{"level": "Register", "temporal": "M=2 K=2 N=2", "keep": ["A", "B"]}]}
    }
    with pytest.raises(SpecError, match="no mapping was found in 3 s"):
        search(MACHINE, MATMUL, impossible, threads=1, seconds=3)
    with pytest.raises(SpecError, match="fatal: capacity of 'Register'"):
        search(MACHINE, MATMUL, impossible, threads=1, seconds=0)


SMALLEST = (
    (labels, "STEPS_AT_A_TIME", 1),
    (labels, "FINISHED", 1),
    (tables, "STEPS_AT_A_TIME", 1),
    (tables, "POINTS", 1),
    (random_search, "PART", 1),
    (exhaustive, "DENSE_TRIED", 1),
    (exhaustive, "TRIED", 1),
)
"""What is done between two looks at the time, at the least."""


@pytest.mark.parametrize("way", ["optimal", "exhaustive", "sparse", "sparse exhaustive", "masks"])
def test_how_much_is_done_at_a_time_does_not_change_the_answer(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = _search(way, None)
    for module, name, value in SMALLEST:
        assert getattr(module, name) > value
        monkeypatch.setattr(module, name, value)
    found = _search(way, None)
    assert found.mapping == usual.mapping
    assert replace(found.certificate, measured=0) == replace(usual.certificate, measured=0)


@pytest.fixture
def without_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave everything to partial mappings."""
    monkeypatch.setattr(optimal, "is_eligible", lambda _: False)


@pytest.mark.usefixtures("without_paths")
@pytest.mark.parametrize("problem", [MATMUL, SLIDE], ids=["matmul", "slide"])
def test_few_labels_at_a_time_prove_the_same(problem: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = search(MACHINE, problem, threads=1)
    monkeypatch.setattr(labels, "MOST_LABELS", labels.SLICES)
    found = search(MACHINE, problem, threads=1)
    assert found.certificate.proven and usual.certificate.proven
    assert found.certificate.value == pytest.approx(usual.certificate.value, rel=1e-12)


@pytest.mark.quick
@pytest.mark.usefixtures("without_paths")
def test_what_there_is_no_memory_for_is_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = search(MACHINE, MATMUL, threads=1)
    monkeypatch.setattr(tables, "MOST_PAIRS", 0)
    found = search(MACHINE, MATMUL, threads=1)
    assert found.certificate.crowded and not found.certificate.complete and not found.certificate.proven
    assert found.certificate.lower_bound <= whole.certificate.value <= found.certificate.value


@pytest.mark.parametrize("method", ["random", "optimal"])
def test_highly_composite_bounds(method: Any) -> None:
    dimensions = {"R": 3, "S": 3, "P": 48, "Q": 48, "C": 55440, "K": 55440, "N": 5040}
    work = {"problem": {"name": "composite", "shape": "conv", "dimensions": dimensions}}
    if method == "optimal":
        with pytest.raises(
            SpecError, match=r"345,600,000 combinations of divisors \(K=55440 has 120, C=55440"
        ):
            search("procrustes_16x16", work)
        return
    found = search("procrustes_16x16", work, method="random", mappings=amount(5_000, 50), threads=1)
    assert found.certificate.mapspace is not None and found.certificate.mapspace > 1e27


@pytest.mark.quick
def test_many_dimensions() -> None:
    names = [f"D{i}" for i in range(20)]
    shape = {
        "name": "many",
        "dimensions": names,
        "tensors": {"A": {"projection": names}, "Z": {"projection": names[:1], "output": True}},
    }
    bounds = {name: 2 if i < 3 else 1 for i, name in enumerate(names)}
    work = load_problem({"problem": {"name": "many", "shape": shape, "dimensions": bounds}})
    with pytest.raises(SpecError, match="20 dimensions, more than the 16"):
        search(MACHINE, work, threads=1)
    assert search(MACHINE, work, method="random", mappings=64, threads=1).result.energy_pj > 0


@pytest.mark.quick
def test_orders_are_listed_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space_module, "_ORDERS", {})
    space = Space(
        load_architecture(MACHINE), load_problem(SLIDE), Constraints(), None, Deadline(0.0, Ticks())
    )
    with pytest.raises(OutOfTime):
        _ = space.orders
    with pytest.raises(OutOfTime):
        _ = space.lattice


@pytest.mark.quick
def test_slices_look_at_the_time() -> None:
    clock = Ticks()
    found = []
    with pytest.raises(OutOfTime):
        found += itertools.islice(slices(100, 10, Deadline(4.0, clock)), 99)
    parts = list(slices(25, 10, Deadline(None, clock)))
    assert [(part.start, part.stop) for part in parts] == [(0, 10), (10, 20), (20, 25)]


@pytest.mark.quick
def test_what_is_excepted_takes_no_time() -> None:
    clock = Ticks()
    deadline = Deadline(10.0, clock)
    with deadline.suspended():
        clock.now += 1000
    assert not deadline.late
    assert deadline.part(0.5).seconds < 5  # type: ignore[operator]
