"""One path of many ways to spread, up to the outermost network: never above the best nest of any of them."""

from __future__ import annotations

import math
import random
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from procrustes_model import SpecError, load_architecture, load_problem
from procrustes_model.kernels.dense.arrays import OK, Bools, Floats, Ints
from procrustes_model.kernels.search.path import find_path
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.optimal.inner_paths import bound_together, raise_bounds
from procrustes_model.mapper.optimal.paths import Paths, is_eligible
from procrustes_model.mapper.optimal.spreads import list_spreads
from procrustes_model.mapper.optimal.tables import Tables
from procrustes_model.mapper.space import Space
from procrustes_model.objective import parse_objective
from tests.amount import amount
from tests.furnished import add_beside
from tests.mapper.cases import count_combinations
from tests.mapper.test_paths import Furnish, make_window
from tests.naive.nests import least_costs

SMALL = 500
"""Combinations of factors up to which all nests of a space are tried."""


def _spread(rng: random.Random, machine: dict[str, Any], _: list[str]) -> None:
    """Let the network lie outside of a level, and mostly have another one further in."""
    levels = machine["architecture"]["levels"]
    for level in levels:
        level.pop("mesh_x", None)
        level.pop("mesh_y", None)
    levels[rng.randrange(len(levels) - 1)] |= {
        "mesh_x": rng.choice([2, 4, 6]),
        "mesh_y": rng.choice([1, 2, 3]),
    }
    if rng.random() < 0.6:
        levels[rng.randrange(len(levels))] |= {"mesh_x": rng.choice([2, 3])}


def _spread_furnished(rng: random.Random, machine: dict[str, Any], tensors: list[str]) -> None:
    _spread(rng, machine, tensors)
    add_beside(rng, machine, tensors)


def _best_nests(space: Space, paths: Paths, keep: Bools) -> Floats:
    """Return the energy of the best nest of every way: of all nests, or of more where they are too many."""
    road, _ = paths.lay_road(keep)
    if count_combinations(space) <= SMALL:
        best = least_costs(space)
        spreads = [tuple(map(tuple, space.lattice.value[row].tolist())) for row in road.ways.spread]
        return np.array([best.get((keep.tobytes(), one), (math.inf, math.inf))[0] for one in spreads])
    found = np.full(len(road.ways.steps), math.inf)
    for way in range(len(found)):
        _, node = find_path(space.model, road, way, math.inf)
        if node >= 0:
            one = space.evaluator.evaluate(*paths._trace(keep, way, node))
            if one.status[0] == OK:
                found[way] = one.energy_pj[0] - space.power * one.cycles[0]
    return found


def _hold(space: Space, seed: int) -> tuple[int, int, int]:
    """Hold bounds of groups to nests; return how many there are, raised, and equal."""
    if not is_eligible(space):
        return 0, 0, 0
    rng, paths = random.Random(seed), Paths(Tables(space), Incumbent(parse_objective("energy")))  # noqa: S311
    keeps = list(space.patterns())
    found = [_hold_choice(space, paths, keep, rng) for keep in rng.sample(keeps, min(4, len(keeps)))]
    held, raised, equal = np.sum(found, axis=0).tolist()
    return held, raised, equal


def _hold_choice(space: Space, paths: Paths, keep: Bools, rng: random.Random) -> tuple[int, int, int]:
    """Hold the bounds of one choice of what levels keep, of groups and of parts of them."""
    held = raised = equal = 0
    road, least = paths.lay_road(keep)
    groups = paths._group(road)
    if groups is None:
        return 0, 0, 0
    computing = paths._computing[road.parent[-1].tobytes()]
    wanted = _best_nests(space, paths, keep)
    valid = np.isfinite(wanted)
    for group in np.unique(groups.of[valid]).tolist():
        members = groups.members(group)
        some: Ints = np.array(sorted(rng.sample(members.tolist(), rng.randint(1, len(members)))))
        for chosen in (members[valid[members]], some[valid[some]]):
            for limits in (np.full(len(chosen), math.inf), wanted[chosen] * (1 + 1e-12)):
                if not len(chosen):
                    continue
                bounds = bound_together(groups, road, chosen, computing[chosen], limits)
                if bounds is not None:
                    assert (bounds <= wanted[chosen] * (1 + 1e-12)).all(), (keep, chosen, bounds)
                    held += len(chosen)
                    raised += int((bounds > least[chosen] * (1 + 1e-9)).sum())
                    equal += int((bounds >= wanted[chosen] * (1 - 1e-9)).sum())
        together = least.copy()
        raise_bounds(groups, road, members, computing, wanted * (1 + 1e-12), together)
        assert (together[valid] <= wanted[valid] * (1 + 1e-12)).all(), keep
    return held, raised, equal


@pytest.mark.parametrize("furnish", [_spread, _spread_furnished])
def test_no_bound_of_a_group_is_above_the_best_of_a_way(furnish: Furnish) -> None:
    found = []
    for seed in (*range(amount(40, 30)), 1592):  # of the last, only exact numbers of tiles are rounded
        with suppress(SpecError):  # where a sum would be narrower than an element
            found.append(_hold(make_window(seed, furnish), seed))
    held, raised, equal = np.sum(found, axis=0)
    assert held > 0 and (furnish is not _spread or (raised > 0 and equal > 0))


def test_bounds_of_groups_know_networks_and_wide_sums() -> None:
    bounds = dict.fromkeys("RSPQCKN", 1) | {"R": 3, "P": 8, "C": 16, "K": 16}
    specs = (
        load_architecture("eyeriss_v2"),
        load_problem({"problem": {"name": "layer", "shape": "conv", "dimensions": bounds}}),
    )
    space = Space(*specs, load_constraints(None, *specs))
    tables = Tables(space)
    spreads = list_spreads(tables, 1_000_000)
    assert spreads is not None
    spreads = np.ascontiguousarray(spreads[:: max(1, len(spreads) // 200)])
    paths = Paths(tables, Incumbent(parse_objective("energy")), spreads=spreads)
    keeps = sorted(space.patterns(), key=paths.bound)
    held, raised, _ = np.sum(
        [_hold_choice(space, paths, keep, random.Random(1)) for keep in keeps[:2]],  # noqa: S311
        axis=0,
    )
    assert held > 0 and raised > 0
