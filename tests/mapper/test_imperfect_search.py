"""Searches among mappings with shorter last passes: against trying everything, and their bounds."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from procrustes_model import SpecError, evaluate, load_architecture, load_mapping, load_problem
from procrustes_model.kernels.cache import COMPILED
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.mapper.imperfect.search import bound_imperfect
from procrustes_model.mapper.imperfect.space import (
    LARGEST,
    count_splits,
    factor_limits,
    list_splits,
)
from procrustes_model.mapper.imperfect.walk import fit_splits
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.optimal.compulsory import Compulsory, make_cells
from procrustes_model.mapper.search import search
from procrustes_model.mapper.space import Space
from procrustes_model.objective import OBJECTIVES
from tests.amount import amount, first_quick
from tests.mapper.cases import (
    count_combinations,
    make_architecture,
    make_case,
    make_constraints,
    make_problem,
)
from tests.naive import imperfect_space as naive


def _small_case(seed: int, sizes: range, levels: int, bounds: list[int]) -> tuple[Any, Any, Any]:
    """Return a case that is small enough to try everything, shorter last passes included."""
    rng = random.Random(seed)  # noqa: S311
    while True:
        problem = make_problem(rng)
        dimensions = problem["problem"]["dimensions"]
        dimensions.update({d: rng.choice(bounds) for d in dimensions})
        tensors = list(problem["problem"]["shape"]["tensors"])
        architecture = make_architecture(rng, tensors)
        names = [level["name"] for level in architecture["architecture"]["levels"]]
        rules = make_constraints(rng, problem, names)
        if (
            rng.random() < 0.8 and len(names) > 1
        ):  # a small buffer of everything, whose tiles whole passes fill badly
            inner = {"tensors": tensors, "capacity_words": rng.randint(5, 30)}
            architecture["architecture"]["levels"][1] |= inner
        machine, work = load_architecture(architecture), load_problem(problem)
        if not 1 < len(names) <= levels:
            continue
        if (
            count_combinations(Space(machine, work, load_constraints(None, machine, work)), imperfect=True)
            in sizes
        ):
            return machine, work, rules


def _naive_best(machine: Any, work: Any) -> dict[str, float]:
    best: dict[str, float] = {}
    for text in naive.list_mappings(machine, work):
        try:
            result = evaluate(machine, work, load_mapping(text, machine, work))
        except SpecError:
            continue
        values = {"energy": result.energy_pj, "cycles": float(result.cycles)}
        values["edp"] = values["energy"] * values["cycles"]
        best = {name: min(value, best.get(name, value)) for name, value in values.items()}
    return best


@pytest.mark.parametrize("seed", first_quick(range(12), 3))
def test_exhaustive_equals_trying_every_mapping_file(seed: int) -> None:
    machine, work, _ = _small_case(seed, range(amount(3000, 200)), 2, [1, 2, 3, 3, 5])
    best = _naive_best(machine, work)
    for objective in ("energy", "edp", "cycles"):
        if not best:
            with pytest.raises(SpecError):
                search(machine, work, None, objective, method="exhaustive", imperfect=True)
            continue
        found = search(machine, work, None, objective, method="exhaustive", imperfect=True)
        assert found.certificate.proven
        assert found.certificate.value == pytest.approx(best[objective], rel=1e-9)


@pytest.mark.parametrize("first", first_quick(range(0, 30, 10), 1))
@pytest.mark.parametrize("constrained", [False, True])
def test_optimal_lies_between_its_bound_and_the_best_of_all(first: int, constrained: bool) -> None:
    compared = shorter = 0
    for seed in range(first, first + 4):
        levels, bounds = (3, [1, 2, 3, 5, 7]) if seed % 3 == 0 else (2, amount([4, 5, 7, 7], [1, 2, 3, 3, 5]))
        machine, work, rules = _small_case(seed, amount(range(500, 6_000), range(20, 600)), levels, bounds)
        rules = rules if constrained else None
        for objective in ("energy", "edp", "cycles"):
            given: Any = {"constraints": rules, "objective": objective, "threads": 1}
            try:
                best = search(machine, work, method="exhaustive", imperfect=True, **given)
            except SpecError:
                with pytest.raises(SpecError):
                    search(machine, work, imperfect=True, mappings=amount(1000, 64), **given)
                continue
            compared += 1
            shorter += best.mapping.imperfect
            space = Space(machine, work, load_constraints(rules, machine, work))
            assert bound_imperfect(space, Incumbent(OBJECTIVES[objective])) <= best.certificate.value * (
                1 + 1e-9
            )
            try:
                whole = search(machine, work, **given).certificate.value
            except SpecError:
                whole = float("inf")  # rules that only shorter passes can obey
            assert best.certificate.value <= whole * (1 + 1e-9)
            found = search(machine, work, imperfect=True, mappings=amount(1000, 64), **given)
            certificate = found.certificate
            assert best.certificate.value * (1 - 1e-9) <= certificate.value <= whole * (1 + 1e-9)
            assert certificate.lower_bound <= best.certificate.value * (1 + 1e-9)
            again = evaluate(machine, work, load_mapping(found.mapping.to_dict(), machine, work))
            assert (again.energy_pj, again.cycles) == (found.result.energy_pj, found.result.cycles)
    assert compared > 3 and (shorter or constrained or first or not COMPILED)


def test_bound_of_whole_passes_holds_for_every_choice_of_what_is_kept() -> None:
    for seed in range(40):
        architecture, problem, _ = make_case(seed)
        machine, work = load_architecture(architecture), load_problem(problem)
        space = Space(machine, work, load_constraints(None, machine, work))
        if count_combinations(space) > 1_000_000:
            continue
        try:
            best = search(machine, work, None, "energy", method="exhaustive").certificate.value
        except SpecError:
            continue
        assert Compulsory(space).least() <= Compulsory(space, whole=True).least() <= best * (1 + 1e-9)


@pytest.mark.parametrize("bound", [1, 2, 7, 12, 30])
def test_splits_are_counted_and_are_those_of_the_naive_twin(bound: int) -> None:
    rng = random.Random(bound)  # noqa: S311
    machine = load_architecture(make_architecture(rng, ["A", "B", "Z"]))
    work = load_problem(
        {"problem": {"name": "m", "shape": "matmul", "dimensions": {"M": bound, "K": 1, "N": 1}}}
    )
    limits = factor_limits(Space(machine, work, load_constraints(None, machine, work)))
    dimension = list(work.dimensions).index("M")
    splits = list_splits(bound, limits[..., dimension])
    assert len(set(splits)) == len(splits) == sum(count_splits(bound, limits[..., dimension]).values())
    fanout = [machine.fanout(i) for i in range(len(machine.levels))]
    assert all(naive.covers(bound, split) for split in splits)
    if bound <= 7 and len(fanout) <= 2:
        assert sorted(splits) == sorted(naive.list_parts(bound, fanout))


def test_fitted_splits_cover_the_bound() -> None:
    rng = np.random.default_rng(0)
    bounds = rng.integers(1, 200, 500)
    temporal, spatial = rng.integers(1, 50, (500, 4)), rng.integers(1, 7, (500, 4, 2))
    last = fit_splits(bounds, temporal, spatial)
    for i in range(500):
        factors = zip(temporal[i], spatial[i], last[i], strict=True)
        parts = tuple(tuple(int(number) for number in (n, r, x, p, y, q)) for n, (x, y), (r, p, q) in factors)
        assert naive.covers(int(bounds[i]), parts), (bounds[i], parts)


def test_cells_partition_the_tiles() -> None:
    low, high = make_cells(np.array([7, 1, 12]), 60)
    sizes = (high - low + 1).prod(axis=1)
    assert sizes.sum() == 7 * 12 and len(low) <= 60


def test_prime_bounds_gain_and_a_large_space_is_refused() -> None:
    work = {"problem": {"name": "m", "shape": "matmul", "dimensions": {"M": 127, "K": 131, "N": 137}}}
    found = search("procrustes_16x16", work, objective="energy", imperfect=True, mappings=6_000, threads=1)
    assert found.mapping.imperfect
    assert found.certificate.whole is not None
    assert found.certificate.value < 0.95 * found.certificate.whole
    assert found.certificate.proven and found.certificate.gap == 0
    with pytest.raises(SpecError, match=f"more than the {LARGEST:,}"):
        search("procrustes_16x16", work, method="exhaustive", imperfect=True)
