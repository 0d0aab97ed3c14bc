"""Shortest paths over the lattice of divisors: never above the best nest, and equal where they say so."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from procrustes_model import SpecError, evaluate, load_architecture, load_mapping, load_problem, search
from procrustes_model.kernels.search.path import NOWHERE, find_path
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.mapper.deadline import Deadline
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.optimal.paths import Paths, is_eligible
from procrustes_model.mapper.optimal.search import Optimal
from procrustes_model.mapper.optimal.tables import Tables
from procrustes_model.mapper.space import Space
from procrustes_model.objective import parse_objective
from tests.amount import amount, first_quick
from tests.furnished import add_beside
from tests.mapper.cases import SHAPES, count_combinations, find, make_case
from tests.naive.nests import least_costs

Furnish = Callable[[random.Random, dict[str, Any], list[str]], None]

CASES, LARGEST = 200, amount(40_000, 3_000)


def make_machine(rng: random.Random, tensors: list[str]) -> dict[str, Any]:
    """Return an architecture without bandwidths: of two to five levels, and no or one fan-out."""
    count, levels = rng.choice([2, 3, 3, 4, 5]), []
    fan = rng.randint(1, count)
    for i in range(count):
        energy = rng.uniform(1, 9) * 5 ** (count - 1 - i)
        prices = {"read": energy, "write": energy * rng.uniform(0.5, 1.5)}
        level: dict[str, Any] = {"name": f"L{i}", "word_bits": 16, "energy_pj": prices}
        level["words_per_access"] = rng.choice([1, 1, 2, 4])
        if i:
            level["capacity_words"] = rng.randint(3, 30)
            level["tensors"] = [tensor for tensor in tensors if rng.random() < (0.7 if count < 4 else 0.4)]
        if i == fan:
            level |= {"mesh_x": rng.choice([2, 3, 4]), "mesh_y": rng.choice([1, 2])}
        levels.append(level)
    return {"architecture": {"name": "case", "levels": levels, "compute": {"name": "MAC", "energy_pj": 1}}}


def make_window(seed: int, furnish: Furnish | None = None) -> Space:
    """Return a small space of a problem with a sliding window, or of a matrix product.

    `furnish`: changes the machine's content.
    """
    rng = random.Random(seed)  # noqa: S311
    name = rng.choice(["matmul", "slide", "slide", "filter", "depthwise", "backward"])
    dimensions, tensors = SHAPES[name]
    bounds = dict.fromkeys(dimensions, 1)
    for d in rng.sample(dimensions, 2):
        bounds[d] = rng.choice([2, 3, 4])
    if "R" in bounds:
        bounds |= {"R": rng.choice([2, 3, 4]), "P": rng.choice([2, 3, 4, 6])}
    coefficients = {"s": rng.choice([1, 1, 2]), "d": rng.choice([1, 1, 2])} if "R" in bounds else {}
    projections: dict[str, Any] = {name: {"projection": ranks.split()} for name, ranks in tensors.items()}
    projections[list(tensors)[-1]]["output"] = True
    shape = {
        "name": "case",
        "dimensions": dimensions,
        "coefficients": coefficients,
        "tensors": projections,
    }
    content = make_machine(rng, list(tensors))
    if furnish is not None:
        furnish(rng, content, list(tensors))
    machine = load_architecture(content)
    problem = load_problem({"problem": {"name": name, "shape": shape, "dimensions": bounds}})
    return Space(machine, problem, load_constraints(None, machine, problem))


def is_exact(space: Space, spread: Any) -> bool:
    """Say whether a path is: no window in the output, and no two spatial loops over a rank."""
    model = space.model
    output = model.coefficient[model.problem.output]
    for t, matrix in enumerate(model.coefficient):
        for rank in matrix:
            moving = np.flatnonzero((rank != 0) & (model.bounds > 1))
            if len(moving) > 1 and (t == model.problem.output or (np.array(spread)[:, moving] > 1).sum() > 1):
                return False
    return not model.problem.gapped and bool((output <= 1).all())


def compare(space: Space, seed: int) -> tuple[int, int]:
    """Hold paths of all choices to the best of all nests; return how many there are, and are equal."""
    if count_combinations(space) > LARGEST:
        return 0, 0
    compared = exact = 0
    best = least_costs(space)
    paths = Paths(Tables(space), Incumbent(parse_objective("energy")))
    assert paths.road is not None
    mirrored, knows_room = space.orders.mirror[0] >= 0, space.model.machine.sums.output < 0
    for keep in space.patterns():
        road, least = paths.lay_road(keep)
        for way, points in enumerate(road.ways.spread):
            spread = tuple(map(tuple, space.lattice.value[points].tolist()))
            wanted, cycles = best.get((keep.tobytes(), spread), (math.inf, math.inf))
            assert road.ways.steps[way] <= cycles, (seed, keep, spread)
            energy, node = find_path(space.model, road, way, math.inf)
            assert least[way] <= wanted * (1 + 1e-12), (seed, keep, spread)
            assert energy <= wanted * (1 + 1e-12), (seed, keep, spread)
            assert (node == NOWHERE) == math.isinf(energy)
            if math.isfinite(wanted):  # bounds on the way do not cut it off
                within, node = paths.find_path(road, way, least[way], wanted * (1 + 1e-12))
                assert node >= 0 and within <= wanted * (1 + 1e-12), (seed, keep, spread)
            compared += math.isfinite(wanted)
            if is_exact(space, spread) and not mirrored and (knows_room or math.isfinite(wanted)):
                assert energy == pytest.approx(wanted, rel=1e-9), (seed, keep, spread)
                exact += math.isfinite(wanted)
    return compared, exact


@pytest.mark.parametrize("first", first_quick(range(0, 60, 20), 1))
def test_paths_equal_the_best_of_all_nests(first: int) -> None:
    found = [compare(make_window(seed), seed) for seed in range(first, first + amount(20, 12))]
    compared, exact = np.sum(found, axis=0)
    assert compared > 0 and exact > 0


@pytest.mark.parametrize("first", first_quick(range(0, 200, 50), 1))
def test_paths_know_wide_sums_networks_residents_and_ports(first: int) -> None:
    found = []
    for seed in range(first, first + amount(50, 20)):
        with suppress(SpecError):  # where a sum would be narrower than an element
            found.append(compare(make_window(seed, add_beside), seed))
    compared, exact = np.sum(found, axis=0)
    assert compared > 0 and exact > 0


@pytest.mark.parametrize("first", first_quick(range(0, CASES, 100), 1))
@pytest.mark.parametrize("constrained", [False, True])
def test_what_paths_decide_is_the_best(first: int, constrained: bool) -> None:
    decided = 0
    for seed in range(first, first + amount(100, 25)):
        *specs, rules = make_case(seed)
        architecture, problem = load_architecture(specs[0]), load_problem(specs[1])
        given = load_constraints(rules if constrained else None, architecture, problem)
        space = Space(architecture, problem, given)
        if count_combinations(space) > LARGEST / 10 or not is_eligible(space):
            continue
        for objective in ("energy", "edp", "cycles")[: 3 if seed % 3 == 0 else 2]:
            best = find(architecture, problem, given, objective, method="exhaustive")
            incumbent = Incumbent(parse_objective(objective), power=space.power)
            queue = [(0.0, number, keep) for number, keep in space.numbered_patterns()]
            left = Paths(Tables(space), incumbent).decide(queue)
            if best is None:
                assert incumbent.nests is None
                continue
            value = best.certificate.value
            assert incumbent.value >= value * (1 - 1e-9), (seed, objective)
            assert min([incumbent.value, *(row[0] for row in left)]) <= value * (1 + 1e-9), (seed, objective)
            if not left:
                assert incumbent.energy <= best.result.energy_pj * (1 + 1e-9), (seed, objective)
                decided += 1
    assert decided > 0


@pytest.mark.parametrize("seed", [11, 15, 23])
def test_paths_and_labels_agree(seed: int) -> None:
    space = make_window(seed)
    values = []
    for paths in (True, False):
        incumbent = Incumbent(parse_objective("edp"))
        certificate = Optimal(space, incumbent, paths=paths).run()
        assert certificate.proven
        values.append(certificate.value)
    assert values[0] == pytest.approx(values[1], rel=1e-9)


def _layer(**bounds: int) -> dict[str, Any]:
    return {"problem": {"name": "layer", "shape": "conv", "dimensions": dict.fromkeys("RSPQCKN", 1) | bounds}}


def test_deep_machines_are_proven() -> None:
    problem = load_problem(_layer(C=512, K=1000, N=64))
    machine = load_architecture("eyeriss_like")
    found = search(machine, problem, threads=1)
    assert found.certificate.proven and found.certificate.proof == "paths"
    again = evaluate(machine, problem, load_mapping(found.mapping.to_dict(), machine, problem))
    assert (again.energy_pj, again.cycles) == (found.result.energy_pj, found.result.cycles)


def test_a_path_keeps_to_its_time() -> None:
    machine, problem = load_architecture("eyeriss_like"), load_problem(_layer(R=3, S=3, P=8, Q=8, C=64, K=64))
    space = Space(machine, problem, load_constraints(None, machine, problem))
    incumbent = Incumbent(parse_objective("edp"))
    paths = Paths(Tables(space), incumbent)
    queue = [(1.0, number, keep) for number, keep in space.numbered_patterns()]
    incumbent.deadline = Deadline(-1.0)
    assert paths.decide(queue) == queue  # nothing is decided, and no bound is lost


def test_what_paths_do_not_know_is_left_to_labels() -> None:
    specs = make_case(1)
    machine, problem = dict(specs[0]["architecture"]), load_problem(specs[1])
    levels = [dict(level) for level in machine["levels"]]
    levels[1]["through"] = [next(tensor.name for tensor in problem.tensors if not tensor.is_output)]
    passed = load_architecture({"architecture": machine | {"levels": levels}})
    plain = load_architecture(specs[0])
    for architecture, eligible in ((plain, True), (passed, False)):
        space = Space(architecture, problem, load_constraints(None, architecture, problem))
        assert is_eligible(space) == eligible
