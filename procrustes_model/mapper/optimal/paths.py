"""Choices of what levels keep, decided by shortest paths over the lattice of divisors.

For each choice and each way to spread loops over instances, a shortest path has the least energy that a nest
takes, or a little less where it is not exact. Of bandwidths only the least traffic counts, so that the cycles
of its nest may be more. The nest is evaluated by the model: where it comes to what the path says, nothing is
left to search.
"""

from __future__ import annotations

import heapq
import itertools
import math
from dataclasses import dataclass, field

import numpy as np

from procrustes_model.kernels.dense.arrays import OK, Bools, Floats, Ints, NestArrays
from procrustes_model.kernels.jit import once
from procrustes_model.kernels.search.arrays import SKEWED, SLACK
from procrustes_model.kernels.search.goal import energy_limit
from procrustes_model.kernels.search.path import CROWDED, NOWHERE, ROUNDING, find_first_path
from procrustes_model.kernels.search.path_arrays import Road
from procrustes_model.kernels.search.path_exits import limit_energies
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.optimal.inner_paths import FEW, Groups, choose_network, raise_bounds
from procrustes_model.mapper.optimal.roads import STATE_BITS, Roads
from procrustes_model.mapper.space import Space

OPEN_WAYS = 30
"""Paths of a choice that their nests do not come to, before the choice is left to labels."""

AT_ONCE = 1_000_000
"""Ways, times points, of which the first path is looked for together, at most: some tenths of a second."""


def is_eligible(space: Space) -> bool:
    """Say whether shortest paths bound the energy of all mappings of a space.

    Words have prices that no mapping undercuts, or tiles spill and tensors begin and end outermost; passing
    words cost nothing; a rank has two dimensions at most, and a dimension one rank; a state has room for all.
    """
    model, machine, problem = space.model, space.model.machine, space.model.problem
    cost = space.cost
    inside = machine.home.any() or machine.loads.any()
    if cost is not None and (cost.design.packs or (inside and not cost.relaxation.has_prices)):
        return False
    if machine.through.any() or machine.loads[0] or (model.kind == SKEWED).any():
        return False
    if 2 * len(model.kind) * (space.levels - 1) > STATE_BITS:
        return False
    ranks = (model.coefficient[:, :, model.bounds > 1] != 0).sum(axis=2)
    if model.rules.forgetful and ((ranks > 1).sum(axis=1) > 2).any():
        return False
    return bool((ranks <= 2).all() and (model.coefficient.sum(axis=1) == problem.coefficient).all())


class _Limits:
    """What a mapping must keep to that is better than the best so far, or on the front so far.

    Attributes
    ----------
    ceiling : float
        The objective above which nothing is of interest.
    """

    def __init__(self, incumbent: Incumbent) -> None:
        self.ceiling, self._goal = incumbent.ceiling, incumbent.goal
        self._known: dict[float, float] = {}

    def energy(self, steps: float) -> float:
        """Return the dynamic energy above which a mapping of so many cycles is of no interest."""
        if steps not in self._known:
            self._known[steps] = energy_limit(self._goal, steps)
        return self._known[steps]


@dataclass
class Paths(Roads):
    """Decides choices of what levels keep.

    Attributes
    ----------
    walked : int
        Paths whose nest was evaluated.
    """

    walked: int = 0
    _grouped: Ints | None = field(default=None, init=False)
    _groups: dict[int, Groups] = field(default_factory=dict, init=False)

    def decide(self, queue: list[tuple[float, int, Bools]]) -> list[tuple[float, int, Bools]]:
        """Return the choices that are not decided, with higher bounds of the objective, least first.

        Parameters
        ----------
        queue : list of (float, int, bool[L, T])
            Bound, number and what levels keep.
        """
        if self.road is None:
            return queue
        incumbent, ranked, left = self.incumbent, [], []
        for bound, number, keep in queue:
            if incumbent.late:
                left.append((bound, number, keep))
                continue
            bound = max(bound, self.bound(keep))
            if bound < math.inf:
                ranked.append((bound, number, keep))
        ranked.sort(key=lambda row: row[:2])
        undecided: list[tuple[float, int, Bools, Floats]] = []
        for i, (bound, number, keep) in enumerate(ranked):
            incumbent.share = i / len(ranked)
            incumbent.tell()
            if incumbent.late:
                left.append((bound, number, keep))
            elif bound * (1 - SLACK) <= incumbent.ceiling:
                undecided.append((bound, number, keep, self._decide(keep)))
        for bound, number, keep, ways in undecided:
            ways = ways[incumbent.may_improve(ways[:, 0], ways[:, 1])]
            if len(ways):
                bound = max(bound, float(incumbent.score_bounds(ways[:, 0], ways[:, 1]).min()))
                left.append((bound, number, keep))
        left = [row for row in left if row[0] <= incumbent.improvable]
        return sorted(left, key=lambda row: row[:2])

    def find_path(self, road: Road, way: int, least: float, limit: float) -> tuple[float, int]:
        """Find the shortest path of one way to spread; see `kernels.search.path.find_first_path`.

        Parameters
        ----------
        road : Road
        way : int
        least, limit : float
            Energy that no path falls below, and above which one is of no interest.

        Returns
        -------
        energy : float
            Where there was no room, what no path falls below.
        node : int
        """
        _, energy, node = find_first_path(
            self.space.model, road, np.array([way]), np.array([least]), np.array([limit])
        )
        return energy, node

    def probe(self, keeps: list[Bools], most: int) -> None:
        """Evaluate the nests of the most promising ways of some choices: what they find excludes others."""
        ranked = sorted((self.bound(keep), i) for i, keep in enumerate(keeps))
        for bound, i in ranked:
            if bound <= self.incumbent.ceiling and not self.incumbent.late:
                self._decide(keeps[i], most)

    def _decide(self, keep: Bools, most: int | None = None) -> Floats:
        """Return bounds on energy and cycles, float64[n, 2], of the ways that are not decided.

        `most`: how many are looked at.
        """
        incumbent = self.incumbent
        road, least = self.lay_road(keep)
        ways, scores = road.ways, self._score(road, least)
        hopeful = np.flatnonzero(np.isfinite(least) & incumbent.may_beat(least, ways.steps))
        hopeful = hopeful[np.lexsort((hopeful, scores[hopeful]))][:most]
        queue, looked_at = list(zip(scores[hopeful].tolist(), hopeful.tolist(), strict=True)), set[int]()
        left: list[tuple[float, float]] = []
        groups, size = self._group(road) if most is None else None, 1
        largest = max(1, AT_ONCE // len(self.space.lattice.indices))
        while queue:
            if incumbent.late or len(left) == OPEN_WAYS:
                rest = np.array([way for _, way in queue])
                left.extend(zip(least[rest].tolist(), ways.steps[rest].tolist(), strict=True))
                break
            together = self._next_ways(queue, groups, road, least, scores, looked_at, size)
            if not together:
                break
            chosen = np.array([way for _, way, _ in together])
            limits = np.array([limit for *_, limit in together])
            place, energy, node = find_first_path(self.space.model, road, chosen, least[chosen], limits)
            size = min(2 * size, largest) if node == NOWHERE else 1
            for score, way, _ in together[place + 1 :]:
                heapq.heappush(queue, (score, way))
            if node == NOWHERE:
                continue
            way, steps = int(chosen[place]), float(ways.steps[chosen[place]])
            if node == CROWDED or not self._comes_to(energy, steps, self._trace(keep, way, node)):
                left.append((energy, steps))
        return np.array(left).reshape(-1, 2)

    def _next_ways(
        self,
        queue: list[tuple[float, int]],
        groups: Groups | None,
        road: Road,
        least: Floats,
        scores: Floats,
        looked_at: set[int],
        size: int,
    ) -> list[tuple[float, int, float]]:
        """Take the next ways of which paths are looked for out of a queue, with scores and limits of energy.

        Parameters
        ----------
        queue : list of (float, int)
            Scores and ways, a heap.
        groups : Groups or None
        road : Road
        least, scores, looked_at
            As `_bound_group` takes them.
        size : int
            Ways at most.
        """
        together: list[tuple[float, int, float]] = []
        limits, steps = _Limits(self.incumbent), road.ways.steps
        while queue and len(together) < size:
            score, way = heapq.heappop(queue)
            if scores[way] > score:  # its bound has been raised since
                if scores[way] < math.inf:
                    heapq.heappush(queue, (float(scores[way]), way))
                continue
            if score * (1 - SLACK) > limits.ceiling:
                queue.clear()
                break
            limit = limits.energy(float(steps[way]))
            if least[way] > limit * (1 + ROUNDING):
                continue
            if groups is not None and self._bound_group(groups, road, way, least, scores, looked_at):
                heapq.heappush(queue, (score, way))
                continue
            together.append((score, way, limit))
        return together

    def _bound_group(
        self, groups: Groups, road: Road, way: int, least: Floats, scores: Floats, looked_at: set[int]
    ) -> bool:
        """Raise the bounds of all ways that have the inner levels in common with one, once for each group.

        Parameters
        ----------
        groups : Groups
        road : Road
        way : int
        least, scores : float64[S]
            Bounds of energy and of the objective, by way; changed.
        looked_at : set of int
            Groups that have been looked at; changed.

        Returns
        -------
        bool
            Whether any was raised.
        """
        group, steps = int(groups.of[way]), road.ways.steps
        if group in looked_at:
            return False
        goal = self.incumbent.goal
        if not math.isfinite(energy_limit(goal, float(steps[way]))):
            return False
        looked_at.add(group)
        members, limits = groups.members(group), np.empty(len(least))
        if len(members) < FEW:
            return False
        groups.compile(road, goal)
        limit_energies(goal, steps, limits)
        computing = self._computing[road.parent[-1].tobytes()]
        if not raise_bounds(groups, road, members, computing, limits * (1 + ROUNDING), least):
            return False
        scores[members] = self._score(road, least)[members]
        return True

    def _group(self, road: Road) -> Groups | None:
        """Return the ways to spread by what they have in common further in; None where that is nothing."""
        spread = road.ways.spread
        if self._grouped is not spread:
            self._grouped, self._groups = spread, {}
        network = choose_network(self.space, road.ways, road.parent)
        if network not in self._groups and network >= 0:
            self._groups[network] = Groups(self.space, road.ways, road.terrain.volume, network)
        return self._groups.get(network)

    def _comes_to(self, dynamic: float, steps: float, nests: NestArrays) -> bool:
        """Evaluate the nest of a path; say whether it is within limits and comes to what the path says."""
        self.walked += 1
        if not self._is_allowed(nests):
            return False
        found, incumbent = once(lambda: self.space.evaluator.evaluate(*nests)), self.incumbent
        if found.status[0] != OK:
            return False
        energy, cycles = float(found.energy_pj[0]), float(found.cycles[0])
        incumbent.offer(energy, cycles, nests)
        aim = incumbent.objective
        if cycles > aim.most_cycles or energy > aim.most_energy:
            return False
        return incumbent.reaches(energy, cycles, dynamic, steps)

    def _trace(self, keep: Bools, way: int, node: int) -> NestArrays:
        """Return the nest of a path as a batch of one."""
        assert self.road is not None
        space, trails, value = self.space, self.road.trails, self.space.lattice.value
        nests = space.nests(1)
        orders: list[list[int]] = [[] for _ in range(space.levels)]
        while (before := int(trails.before[node])) >= 0:
            level, point = int(trails.level[before]), int(trails.point[node])
            if trails.level[node] < level:
                point -= int(self.road.ways.spread[way, level - 1])
            factor = value[point] // value[trails.point[before]]
            nests.temporal[0, level] *= factor
            for d in np.flatnonzero(factor > 1).tolist():
                if d in orders[level]:  # of a dimension's loops the innermost place is kept
                    orders[level].remove(d)
                orders[level].append(d)
            node = before
        for level, order in enumerate(orders):  # outermost first
            rest = [d for d in range(len(space.model.bounds)) if d not in order]
            nests.order[0, level] = [*rest, *order]
            spread = int(self.road.ways.spread[way, level])
            x = int(space.parts[level, spread])
            nests.spatial[0, level, 0] = value[x]
            nests.spatial[0, level, 1] = value[spread] // value[x]
        nests.keep[0] = keep
        return nests

    def _is_allowed(self, nests: NestArrays) -> bool:
        """Say whether a nest obeys the rules on temporal factors and orders."""
        rules, lattice = self.space.rules, self.space.lattice
        for level in range(self.space.levels):
            for d, factor in enumerate(nests.temporal[0, level].tolist()):
                index = int(np.flatnonzero(lattice.divisors[d, : lattice.counts[d]] == factor)[0])
                if not rules.factors[level, 0, d, index]:
                    return False
            order = [d for d in nests.order[0, level].tolist() if nests.temporal[0, level, d] > 1]
            for outer, inner in itertools.combinations(order, 2):
                if rules.outside[level, inner, outer]:
                    return False
        return True
