"""Searches under sparse designs: bounds hold, and what is found is what was measured."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import numpy as np
import pytest

from procrustes_model import (
    SpecError,
    evaluate,
    load_architecture,
    load_mapping,
    load_problem,
    load_sparsity,
    search,
)
from procrustes_model.kernels.dense.arrays import NestArrays
from procrustes_model.kernels.search.walk import accept, propose
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.mapper.deadline import Deadline
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.optimal.search import Optimal
from procrustes_model.mapper.random_search import begin, make_ways
from procrustes_model.mapper.result import SearchResult
from procrustes_model.mapper.space import Space
from procrustes_model.model.evaluate import evaluate_batch
from procrustes_model.model.sparse.lower import lower_sparsity
from procrustes_model.model.sparse.masks import tensor_shape
from procrustes_model.objective import OBJECTIVES, parse_objective
from tests.amount import amount, first_quick
from tests.furnished import add_beside
from tests.mapper.cases import count_combinations, make_case
from tests.mapper.sparse_cases import add_prices, add_rules, drop_idle, list_ranks, make_design

LARGEST = amount(60_000, 150)


def case(
    seed: int, *, listed: bool = False, ruled: bool = False, furnished: bool = False
) -> tuple[Any, Any, Any, Any]:
    """Return an architecture, a problem, constraints and a sparse design.

    `listed`: that lists ranks. `ruled`: by the rules of Timeloop. `furnished`: with wide sums, networks,
    bandwidths, or tensors that begin further in; without constraints.
    """
    architecture, problem, rules = make_case(seed)
    rng = random.Random(seed * 7 + 1)  # noqa: S311
    names = [level["name"] for level in architecture["architecture"]["levels"]]
    if seed % 5 == 2:
        add_prices(random.Random(seed * 7 + 2), architecture)  # noqa: S311
    if furnished:
        tensors = [tensor.name for tensor in load_problem(problem).tensors]
        add_beside(random.Random(seed + 5), architecture, tensors)  # noqa: S311
    design = make_design(rng, problem, names)
    if listed:
        list_ranks(random.Random(seed), design)  # noqa: S311
    if ruled:
        add_rules(random.Random(seed + 1), design)  # noqa: S311
    machine, work = load_architecture(architecture), load_problem(problem)
    constrained = rng.random() < 0.4 and not furnished
    constraints = load_constraints(rules if constrained else None, machine, work)
    drop_idle(design, machine, work, constraints)
    if seed % 4 == 3 and design["sparsity"]["actions"]:
        design["sparsity"].setdefault("rules", {})["access_box"] = "joined"
    if furnished:
        if rng.random() < 0.15:
            design["sparsity"].setdefault("rules", {})["network_words"] = "dense"
    elif rng.random() < 0.5:
        bits = {tensor.name: rng.choice([4, 7, 40]) for tensor in work.tensors}
        machine = machine.model_copy(update={"bits": bits})
    return machine, work, constraints, load_sparsity(design)


def random_nests(space: Space, steps: int) -> list[NestArrays]:
    """Return mappings that walks pass, most of them valid."""
    freedom = space.freedom()
    ways, nests = make_ways(space, freedom, range(16)), space.nests(16)
    begin(space, ways, nests)
    met, goal = [], Incumbent(OBJECTIVES["energy"]).goal
    for step in range(steps):
        propose(space.model, space.divisors, freedom, ways, nests, step == 0)
        met.append(NestArrays(*(part.copy() for part in nests)))
        nothing = np.zeros(16)
        accept(goal, 1.0, ways, nests, nothing, np.ones((16, 2), np.int64), np.zeros(16, np.int64))
    return met


@pytest.mark.parametrize("form", ["kinds", "listed", "ruled"])
@pytest.mark.parametrize("first", first_quick(range(0, 60, 20), 1))
def test_no_mapping_costs_less_than_its_relaxation(first: int, form: str) -> None:
    compared = 0
    for seed in range(first, first + 20):
        given = case(seed, listed=form == "listed", ruled=form == "ruled")
        machine, problem, constraints, sparsity = given
        space = Space(machine, problem, constraints, lower_sparsity(machine, problem, sparsity))
        assert space.cost is not None
        for nests in random_nests(space, amount(12, 2)):
            found = space.cost.measure(nests)
            dense = evaluate_batch(machine, problem, *nests)
            for n in np.flatnonzero(found.valid & dense.valid):
                model = space.model
                spread = nests.spatial[n].prod(axis=(1, 2))
                instances = np.concatenate([[1], np.cumprod(spread)])
                words = dense.accesses[n] * instances[:-1, None, None]
                least = model.base + (words * model.word).sum()
                assert found.energy_pj[n] >= least * (1 - 1e-9), (seed, n)
                steps = problem.computes / instances[-1] * model.work
                assert found.cycles[n] >= steps * (1 - 1e-9), (seed, n)
                compared += 1
    assert compared > amount(500, 50)


def small_case(seed: int, largest: int, **forms: bool) -> tuple[Any, ...] | None:
    """Return `case(seed)` unless its space is too large to try all of it."""
    machine, problem, constraints, sparsity = case(seed, **forms)
    design = lower_sparsity(machine, problem, sparsity)
    small = count_combinations(Space(machine, problem, constraints, design)) <= largest
    return (machine, problem, constraints, sparsity) if small else None


def compare(given: tuple[Any, ...], objective: str, seed: int, masks: Any = None) -> SearchResult | None:
    """Return the best mapping, held to that of an exhaustive search; None where there is none."""
    *specs, sparsity = given
    found: dict[str, SearchResult | None] = {}
    for method in ("exhaustive", "optimal"):
        try:
            request: Any = {"sparsity": sparsity, "masks": masks, "method": method, "threads": 1}
            found[method] = search(*specs, objective, **request)
        except SpecError:
            found[method] = None
    best, one = found["exhaustive"], found["optimal"]
    assert (best is None) == (one is None), (seed, objective)
    if best is None or one is None:
        return None
    assert one.certificate.proven, (seed, objective)
    assert one.certificate.gap <= 1e-12
    assert one.certificate.value == pytest.approx(best.certificate.value, rel=1e-9), (seed, objective)
    machine, problem, _ = specs
    again = load_mapping(one.mapping.to_dict(), machine, problem)
    result = evaluate(machine, problem, again, sparsity=sparsity, masks=masks)
    assert (result.energy_pj, result.cycles) == (one.result.energy_pj, one.result.cycles)
    return one


@pytest.mark.parametrize("first", first_quick(range(0, 60, 15), 2))
def test_the_best_of_a_small_space_is_proven(first: int) -> None:
    compared = 0
    for seed in range(first, first + 15):
        given = small_case(seed, LARGEST)
        found = given and compare(given, "energy", seed)
        if not given or not found:
            continue
        energy = found.result.energy_pj
        limits = (f"cycles, energy<={energy * 1.2:.6g}", f"energy, cycles<={found.result.cycles}")
        for objective in ("edp", ("cycles", "ed2p")[seed % 2], limits[seed % 2]):
            compare(given, objective, seed)
        compared += 4
    assert compared >= amount(12, 0)


@pytest.mark.parametrize("first", first_quick(range(200, 320, 40), 1))
def test_the_best_on_furnished_machines_is_proven(first: int) -> None:
    tried = 0
    for seed in range(first, first + amount(40, 34)):
        try:
            given = small_case(seed, LARGEST // 6, furnished=True)
        except SpecError:  # a sum would be narrower than an element
            continue
        if given is not None:
            found = [compare(given, objective, seed) for objective in ("energy", "edp")]
            tried += sum(one is not None for one in found)
    assert tried > 0


def test_the_best_under_lists_of_ranks_is_proven() -> None:
    compared = 0
    for seed in range(amount(60, 15)):
        given = small_case(seed, amount(10_000, 150), listed=True)
        compared += bool(given and compare(given, ("edp", "energy")[seed % 2], seed))
    assert compared >= amount(12, 0)


@pytest.mark.parametrize("first", first_quick(range(0, 200, 100), 1))
def test_the_best_by_the_rules_of_timeloop_is_proven(first: int) -> None:
    compared = 0
    for seed in range(first, first + amount(100, 10)):
        given = small_case(seed, amount(10_000, 150), ruled=True)
        compared += bool(given and compare(given, ("edp", "energy")[seed % 2], seed))
    assert compared >= amount(12, 0)


@pytest.mark.parametrize("first", first_quick(range(0, 300, 100), 1))
def test_the_best_on_masks_is_proven(first: int) -> None:
    compared = 0
    for seed in range(first, first + amount(60, 20)):
        given = small_case(seed, amount(10_000, 150))
        if not given:
            continue
        rng, masks = np.random.default_rng(seed), {}
        for tensor in given[1].tensors:
            if not tensor.is_output and rng.random() < 0.7:
                mask = rng.random(tensor_shape(given[1], tensor.name)) < rng.choice([0.1, 0.3, 0.5, 0.8])
                mask[: len(mask) // 3] = False
                masks[tensor.name] = mask
        compared += compare(given, ("edp", "energy")[seed % 2], seed, masks) is not None
    assert compared >= amount(4, 0)


@pytest.mark.parametrize("share", first_quick([0.1, 0.3, 0.5, 0.7, 0.9, 0.99], 2))
def test_what_was_not_measured_in_time_lowers_the_certificate(share: float) -> None:
    cut = 0
    for seed in range(amount(60, 20)):
        given = small_case(seed, amount(10_000, 150))
        if not given:
            continue
        *specs, sparsity = given
        design = lower_sparsity(specs[0], specs[1], sparsity)
        found, ticks = [], math.inf
        for part in (1.0, share):
            # A clock that goes on by a second whenever it is looked at.
            deadline = Deadline(ticks * part, itertools.count(1).__next__)
            incumbent = Incumbent(parse_objective("edp"), deadline)
            found.append((Optimal(Space(*specs, design, deadline), incumbent).run(), incumbent))
            ticks = deadline.elapsed
        (whole, _), (early, incumbent) = found
        if incumbent.nests is None:
            continue
        assert early.lower_bound <= whole.value * (1 + 1e-9), seed
        assert early.complete or incumbent.late
        cut += not early.complete
    assert cut >= amount(1, 0)


def test_formats_that_tell_ranks_apart_tell_dimensions_apart() -> None:
    tensors = {"W": {"projection": ["R", "S"]}, "I": {"projection": ["P+R", "Q+S"]}}
    shape = {
        "name": "image",
        "dimensions": ["P", "R", "Q", "S"],
        "tensors": tensors | {"O": {"projection": ["P", "Q"], "output": True}},
    }
    bounds = dict.fromkeys("PRQS", 2)
    problem = load_problem({"problem": {"name": "case", "shape": shape, "dimensions": bounds}})
    levels = [
        {"name": name, "word_bits": 4, "energy_pj": {"read": energy, "write": energy}}
        for name, energy in (("Far", 100), ("Near", 1))
    ]
    levels[1] |= {"capacity_words": 10}
    compute = {"name": "MAC", "energy_pj": 1}
    machine = load_architecture({"architecture": {"name": "case", "levels": levels, "compute": compute}})
    formats = {"I": {"Far": {"kind": "csr"}, "Near": {"kind": "csr"}}}
    sparsity = load_sparsity({"sparsity": {"name": "case", "densities": {"I": 0.5}, "formats": formats}})
    constraints = load_constraints(None, machine, problem)
    space = Space(machine, problem, constraints, lower_sparsity(machine, problem, sparsity))
    assert space.cost is not None and space.cost.minds_dimensions
    assert compare((machine, problem, constraints, sparsity), "energy", 0) is not None


@pytest.mark.parametrize("method", ["optimal", "random"])
def test_threads_do_not_change_what_is_found(method: Any) -> None:
    bounds = {"K": 32, "C": 16, "R": 3, "S": 3, "P": 7, "Q": 7, "N": 16}
    problem = load_problem({"problem": {"name": "small", "shape": "conv", "dimensions": bounds}})
    given: Any = ("procrustes_16x16", problem, "dataflow_kn")
    budget = 10_000 if method == "random" else None
    found = [
        search(*given, sparsity="procrustes", method=method, mappings=budget, threads=threads)
        for threads in (1, 2)
    ]
    assert found[0].mapping == found[1].mapping
    assert found[0].certificate == found[1].certificate


def test_masks_drive_the_search() -> None:
    bounds = {"K": 32, "C": 32, "R": 3, "S": 3, "P": 7, "Q": 7, "N": 16}
    problem = load_problem({"problem": {"name": "small", "shape": "conv", "dimensions": bounds}})
    mask = np.random.default_rng(0).random((32, 32, 3, 3)) < 0.1
    mask[:8] = False
    found = search("procrustes_16x16", problem, "dataflow_kn", sparsity="procrustes", masks={"Weights": mask})
    assert found.result.imbalance.counted  # type: ignore[attr-defined]
    assert found.certificate.proven


def test_densities_without_a_design_are_refused() -> None:
    with pytest.raises(SpecError, match="need a sparse design"):
        search("procrustes_16x16", "vgg_s/conv3_2", densities={"Weights": 0.1})
