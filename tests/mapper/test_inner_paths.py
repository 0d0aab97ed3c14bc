"""One path of many ways to spread, up to the outermost network: never above the best nest of any of them."""

from __future__ import annotations

import math
import random
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from procrustes_model import SpecError
from procrustes_model.kernels.dense.arrays import OK, Bools, Floats, Ints
from procrustes_model.kernels.search.path import find_path
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.optimal.inner_paths import Groups, bound_together, raise_bounds
from procrustes_model.mapper.optimal.paths import Paths, is_eligible
from procrustes_model.mapper.optimal.tables import Tables
from procrustes_model.mapper.space import Space
from procrustes_model.objective import parse_objective
from tests.amount import amount
from tests.mapper.cases import count_combinations
from tests.mapper.test_paths import Furnish, add_beside, make_window
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
    if rng.random() < 0.5:
        levels[-1] |= {"mesh_x": rng.choice([2, 3])}


def _spreadadd_besideed(rng: random.Random, machine: dict[str, Any], tensors: list[str]) -> None:
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
    assert paths.road is not None
    groups = Groups(space, paths.road.ways, paths.road.terrain.volume)
    held = raised = equal = 0
    keeps = list(space.patterns()) if groups.any else []
    for keep in rng.sample(keeps, min(4, len(keeps))):
        road, least = paths.lay_road(keep)
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
                        assert (bounds <= wanted[chosen] * (1 + 1e-12)).all(), (seed, keep, chosen, bounds)
                        held += len(chosen)
                        raised += int((bounds > least[chosen] * (1 + 1e-9)).sum())
                        equal += int((bounds >= wanted[chosen] * (1 - 1e-9)).sum())
            together = least.copy()
            raise_bounds(groups, road, members, computing, wanted * (1 + 1e-12), together)
            assert (together[valid] <= wanted[valid] * (1 + 1e-12)).all(), (seed, keep)
    return held, raised, equal


@pytest.mark.parametrize("furnish", [_spread, _spreadadd_besideed])
def test_no_bound_of_a_group_is_above_the_best_of_a_way(furnish: Furnish) -> None:
    found = []
    for seed in range(amount(40, 30)):
        with suppress(SpecError):  # where a sum would be narrower than an element
            found.append(_hold(make_window(seed, furnish), seed))
    held, raised, equal = np.sum(found, axis=0)
    assert held > 0 and raised > 0 and equal > 0
