"""Shortest paths where something is zero, or by the published rule: never above what is measured."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from procrustes_model import Rules, SpecError, load_architecture, load_problem, load_sparsity, search
from procrustes_model.kernels.dense.arrays import NestArrays
from procrustes_model.kernels.search.near import price_nest
from procrustes_model.kernels.search.path import find_path
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.mapper.deadline import Deadline
from procrustes_model.mapper.incumbent import Incumbent, select
from procrustes_model.mapper.lattice import list_primes
from procrustes_model.mapper.optimal.paths import is_eligible
from procrustes_model.mapper.optimal.search import Optimal
from procrustes_model.mapper.optimal.sparse_paths import SparsePaths
from procrustes_model.mapper.optimal.tables import Tables
from procrustes_model.mapper.space import Space
from procrustes_model.model.batch import BatchResult
from procrustes_model.model.sparse.lower import lower_sparsity
from procrustes_model.objective import parse_objective
from tests.amount import amount
from tests.mapper import test_sparse_search
from tests.mapper.cases import SHAPES, count_combinations
from tests.mapper.sparse_cases import make_design
from tests.mapper.test_paths import make_machine
from tests.mapper.test_sparse_search import case, random_nests, small_case
from tests.naive.nests import least_energies

NOTHING_ZERO = {"sparsity": {"name": "none"}}
INNERMOST = [
    Rules(overlap="innermost", output_fills=fills, access_energy=energy)
    for fills in ("all", "after_first")
    for energy in ("largest", "by_action")
]


def _by_older_rule(seed: int, sizes: tuple[int, ...] = (1, 2, 3), last: tuple[int, ...] = (2, 3, 4)) -> Space:
    """Return a small space of a sliding window, or of two, whose tiles forget how they moved before."""
    rng = random.Random(seed)  # noqa: S311
    name = rng.choice(["slide", "filter", "depthwise", "image", "image", "backward"])
    dimensions, tensors = SHAPES[name]
    bounds = {d: rng.choice(sizes) for d in dimensions} | {"P": rng.choice(last)}
    projections: dict[str, Any] = {name: {"projection": ranks.split()} for name, ranks in tensors.items()}
    projections[list(tensors)[-1]]["output"] = True
    coefficients = {"s": rng.choice([1, 1, 2]), "d": rng.choice([1, 1, 2])}
    shape = {"name": name, "dimensions": dimensions, "coefficients": coefficients, "tensors": projections}
    content = make_machine(rng, list(tensors))
    for level in content["architecture"]["levels"]:
        level["words_per_access"] = 1  # accesses that are not full cost what full ones do
    machine = load_architecture(content)
    problem = load_problem({"problem": {"name": name, "shape": shape, "dimensions": bounds}})
    design = lower_sparsity(machine, problem, load_sparsity(NOTHING_ZERO), rules=rng.choice(INNERMOST))
    return Space(machine, problem, load_constraints(None, machine, problem), design)


def _paths(space: Space) -> SparsePaths:
    paths = SparsePaths(Tables(space), Incumbent(parse_objective("energy")))
    assert paths.road is not None
    return paths


@pytest.mark.quick
def test_paths_by_the_older_rule_equal_the_best_of_all_nests() -> None:
    compared = exact = 0
    for seed in range(amount(50, 15)):
        space = _by_older_rule(seed)
        if count_combinations(space) > amount(20_000, 3_000) or not is_eligible(space):
            continue
        best, paths = least_energies(space), _paths(space)
        alone = max(space.mesh) == 1 and space.problem.name != "backward"
        for keep in space.patterns():
            road, least = paths.lay_road(keep)
            for way, points in enumerate(road.ways.spread):
                spread = tuple(map(tuple, space.lattice.value[points].tolist()))
                wanted = best.get((keep.tobytes(), spread), math.inf)
                energy, _ = find_path(space.model, road, way, math.inf)
                assert max(energy, least[way]) <= wanted * (1 + 1e-12), (seed, keep, spread)
                if math.isfinite(wanted):  # bounds on the way do not cut it off
                    energy, node = paths.find_path(road, way, least[way], wanted * (1 + 1e-12))
                    assert node >= 0 and energy <= wanted * (1 + 1e-12), (seed, keep, spread)
                compared += math.isfinite(wanted)
                if alone and math.isfinite(wanted):
                    assert energy == pytest.approx(wanted, rel=1e-9), (seed, keep, spread)
                    exact += 1
    assert compared > 0 and exact > 0


def _draw_nest(space: Space, rng: random.Random) -> NestArrays:
    """Return a nest whose loops over one dimension may stand at several levels, in any order."""
    nests, dimensions = space.nests(1), range(len(space.model.bounds))
    for d in dimensions:
        for prime in list_primes(int(space.model.bounds[d])):
            level, axis = rng.randrange(space.levels), rng.choice([-1, -1, -1, 0, 1])
            spread = nests.spatial[0, level]
            if axis >= 0 and spread[axis].prod() * prime <= space.architecture.fanout(level)[axis]:
                spread[axis, d] *= prime
            else:
                nests.temporal[0, level, d] *= prime
    for level in range(space.levels):
        nests.order[0, level] = rng.sample(dimensions, len(dimensions))
    nests.keep[0] = rng.choice(list(space.patterns()))
    return nests


def _measure_nests(
    space: Space, paths: SparsePaths, rng: random.Random, count: int
) -> Iterator[tuple[int, NestArrays, BatchResult]]:
    """Yield ways, nests that are valid, and what they come to."""
    assert paths.road is not None and space.cost is not None
    spreads = space.lattice.value[paths.road.ways.spread]
    by_spread = {row.tobytes(): way for way, row in enumerate(spreads)}
    for _ in range(count):
        nest = _draw_nest(space, rng)
        found = space.cost.measure(nest)
        way = by_spread.get(nest.spatial[0].prod(axis=1).tobytes())
        if way is not None and found.valid[0]:  # else its mirror image is listed
            yield way, nest, found


@pytest.mark.parametrize("seed", [27, 78, 100, 220, 245, *range(3)])
def test_a_loop_beside_takes_a_window_back(seed: int) -> None:
    """By the older rule, loops that do not index a tensor stand inside and outside of those that slide it."""
    space, rng, compared = _by_older_rule(seed, (1, 2, 4, 6), (2, 4, 6)), random.Random(seed), 0  # noqa: S311
    if not is_eligible(space):
        return
    paths = _paths(space)
    for way, nest, found in _measure_nests(space, paths, rng, 60):
        road, _ = paths.lay_road(nest.keep[0])
        most = float(found.energy_pj[0]) * (1 + 1e-9)
        assert find_path(space.model, road, way, most)[1] >= 0
        assert price_nest(space.model, road, way, nest, 0) <= most
        compared += 1
    assert compared > 0


@pytest.mark.quick
@pytest.mark.parametrize("rules", [None, INNERMOST[0]], ids=["own", "innermost"])
def test_no_nest_costs_less_than_its_path(rules: Rules | None) -> None:
    compared = found_too = 0
    for seed in range(amount(14, 8)):
        machine, problem, constraints, sparsity = case(seed)
        design = lower_sparsity(machine, problem, sparsity, **({} if rules is None else {"rules": rules}))
        space = Space(machine, problem, constraints, design)
        if not is_eligible(space):
            continue
        paths = _paths(space)
        assert space.cost is not None
        by_spread = {
            row.tobytes(): way for way, row in enumerate(space.lattice.value[paths.road.ways.spread])
        }
        for nests in random_nests(space, amount(6, 2)):
            found = space.cost.measure(nests)
            for n in np.flatnonzero(found.valid).tolist():
                one = select(nests, np.array([n]))
                way = by_spread.get(one.spatial[0].prod(axis=1).tobytes())
                if way is None:
                    continue  # its mirror image is listed
                road, _ = paths.lay_road(one.keep[0])
                find_path(space.model, road, way, 0.0)  # which lays out the way
                energy = price_nest(space.model, road, way, one, 0)
                most = float(found.energy_pj[n]) * (1 + 1e-9)
                assert energy <= most, (seed, n)
                if not constraints.levels:  # bounds on the way do not cut the path off
                    assert find_path(space.model, road, way, most)[1] >= 0, (seed, n)
                    found_too += 1
                compared += 1
    assert compared > amount(60, 10) and found_too > 0


@pytest.mark.parametrize("seed", [2, 43, 121, *range(60, 66)])
def test_no_nest_on_a_furnished_machine_costs_less_or_is_faster_than_its_path(seed: int) -> None:
    machine, problem, constraints, sparsity = case(seed, furnished=True)
    space = Space(machine, problem, constraints, lower_sparsity(machine, problem, sparsity))
    if not is_eligible(space) or not list(space.patterns()):
        return
    paths, rng = _paths(space), random.Random(seed)  # noqa: S311
    for way, nest, found in _measure_nests(space, paths, rng, 40):
        road, _ = paths.lay_road(nest.keep[0])
        cycles = float(found.cycles[0])
        most = (float(found.energy_pj[0]) - space.power * cycles) * (1 + 1e-9)
        assert find_path(space.model, road, way, most)[1] >= 0
        assert price_nest(space.model, road, way, nest, 0) <= most
        assert road.ways.steps[way] <= cycles


def test_paths_and_labels_find_the_same() -> None:
    agreed = 0
    for seed in range(amount(20, 4)):
        given = small_case(seed, amount(20_000, 150))
        if not given:
            continue
        *specs, sparsity = given
        values = []
        for paths in (True, False):
            space = Space(*specs, lower_sparsity(specs[0], specs[1], sparsity))
            incumbent = Incumbent(parse_objective(("edp", "energy")[seed % 2]))
            certificate = Optimal(space, incumbent, paths=paths).run()
            if incumbent.nests is not None:
                assert certificate.proven, seed
                values.append((certificate.value, certificate.proof))
        if values:
            assert values[0][0] == pytest.approx(values[1][0], rel=1e-9), seed
            agreed += values[0][1] == "paths"
    assert agreed >= amount(3, 0)


@pytest.mark.parametrize("design", ["procrustes", "procrustes_2020", "dense_2020"])
@pytest.mark.parametrize("objective", ["edp", "cycles"])
def test_layers_of_the_publication_are_proven(design: str, objective: str) -> None:
    bounds = {"R": 3, "S": 3, "P": 7, "Q": 7, "C": 32, "K": 32, "N": 16}
    problem = load_problem({"problem": {"name": "layer", "shape": "conv", "dimensions": bounds}})
    found = search("procrustes_16x16", problem, "dataflow_kn", objective, sparsity=design, threads=1)
    assert found.certificate.proven and found.certificate.proof == "paths"


def test_where_tiles_spill_bounds_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    def spilling(rng: random.Random, problem: dict[str, Any], levels: list[str]) -> dict[str, Any]:
        design = make_design(rng, problem, levels)
        design["sparsity"]["capacity"] = {"size": rng.choice(["average", "maximum"]), "overflow": "spill"}
        return design

    monkeypatch.setattr(test_sparse_search, "make_design", spilling)
    compared = proven = 0
    for seed in range(amount(40, 8)):
        given = small_case(seed, amount(4_000, 150))
        if not given:
            continue
        *specs, sparsity = given
        request: Any = {"sparsity": sparsity, "threads": 1}
        try:
            best = search(*specs, "edp", method="exhaustive", **request).certificate
        except SpecError:
            continue
        found = search(*specs, "edp", **request).certificate
        assert found.lower_bound <= best.value * (1 + 1e-9) <= found.value * (1 + 2e-9), seed
        compared, proven = compared + 1, proven + found.proven
    assert proven >= 0.5 * compared


def test_what_paths_have_not_looked_at_keeps_its_bound() -> None:
    machine, problem, constraints, sparsity = case(4)
    space = Space(machine, problem, constraints, lower_sparsity(machine, problem, sparsity))
    assert is_eligible(space)
    paths = _paths(space)
    queue = [(1.0, number, keep) for number, keep in space.numbered_patterns()]
    paths.incumbent.deadline = Deadline(-1.0)
    assert paths.decide(queue) == queue
