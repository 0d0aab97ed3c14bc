"""Choices of what levels keep, decided by shortest paths where something is zero.

Paths are of the relaxed machine, whose prices no mapping undercuts (`relaxation`), so that they are bounds.
What they do not exclude is measured: of every way to spread loops whose path might be better, the choices of
boundaries through which some path stays within the limit are listed, and of these all orders that do
(`kernels.search.near`). Where the slowest processing element counts, its work follows from what it holds: a
boundary, too, so that behind it a path has a limit of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, Floats, Ints, NestArrays
from procrustes_model.kernels.search.arrays import SLACK, Goal
from procrustes_model.kernels.search.bounds import least_steps
from procrustes_model.kernels.search.goal import energy_limit, raised
from procrustes_model.kernels.search.near import find_togo, list_near, pass_level
from procrustes_model.kernels.search.path import CROWDED, MORE_ROOM, NOWHERE, ROUNDING, find_path
from procrustes_model.kernels.search.path_arrays import Road
from procrustes_model.mapper.deadline import OutOfTime
from procrustes_model.mapper.incumbent import select
from procrustes_model.mapper.optimal.paths import OPEN_WAYS, Paths
from procrustes_model.mapper.optimal.spilling import least_spilled, may_spill, spilling
from procrustes_model.mapper.optimal.tables import Tables
from procrustes_model.mapper.optimal.variants import Variants
from procrustes_model.mapper.optimal.waiting import Waits
from procrustes_model.mapper.space import Space
from procrustes_model.mapper.sparse_cost import BATCH, SparseCost

EDGES = 1_000_000
"""Moves of one search that are kept."""

MOST_ROWS, ALL_ROWS = 100_000, 400_000
"""Choices of boundaries that are listed, of one way to spread and of all."""

FIRST_ROWS, LARGEST_ROWS = 32, 2048
"""Choices of boundaries that are measured at a time: what the first ones find excludes others."""

FIRST_NEAR = 0.02
"""Relative room above the least bound in which nests are measured first."""

MANY_WAYS = 5_000
"""Ways of which it is asked first how long units wait: few are measured sooner."""

MOST_LOST = 255
"""Nests of paths of a choice that are measured in a row though none is better."""

NO_WAY = -1
"""In place of a way: all that have not been looked at."""

Queue = list[tuple[float, int, Bools]]


@dataclass
class _Trunk:
    """Boundaries that are decided, from the innermost on, and the nodes behind them.

    Attributes
    ----------
    points : tuple of int
        What lies at each level decided and further in, innermost first.
    nodes : int64[n]
    spent : float64[n]
    steps : float
        Least cycles.
    """

    points: tuple[int, ...]
    nodes: Ints
    spent: Floats
    steps: float


@dataclass
class _Row:
    """One choice of all boundaries: what lies at each level and further in, least energy, least cycles."""

    points: tuple[int, ...]
    energy: float
    steps: float


class _CrowdedError(Exception):
    """Raised where too much is near the shortest path, or the time is out."""


@dataclass
class SparsePaths(Paths):
    """Decides choices of what levels keep where something is zero."""

    _laid: tuple[bytes, Road, Floats] | None = None
    _waits: Waits | None = None
    _room: NestArrays | None = None
    _rows_left: int = ALL_ROWS
    original: Space | None = field(default=None, init=False)
    _kept_moves: int = field(default=EDGES, init=False)

    def __post_init__(self) -> None:
        if may_spill(self.tables.space):
            self.original = self.tables.space
            self.tables = Tables(spilling(self.original))
        super().__post_init__()

    def lay_road(self, keep: Bools) -> tuple[Road, Floats]:
        """Return where paths lead if levels keep `keep`, and bounds of their energy, by way to spread."""
        road, least = super().lay_road(keep)
        if self.original is not None:
            tiles = self.tables.floor.tile
            road = road._replace(extra=least_spilled(self.original, self.space, keep, road.parent, tiles))
        return road, least

    def spread_over(self, spreads: Ints) -> None:
        """Take other ways to spread loops over instances, int64[S, L]."""
        super().spread_over(spreads)
        self._laid = None

    def _waits_too_long(self, keep: Bools, road: Road, way: int, energy: float) -> bool:
        """Say whether no mapping that spreads so may be better, since compute units wait for the slowest."""
        waits = self.cost.relaxation.waits and self.cost.design.balance.array < self.space.levels
        if not waits or len(road.ways.steps) < MANY_WAYS:
            return False
        if self._waits is None:
            self._waits = Waits(self.tables, self.cost)

        def may_do(steps: float) -> bool:
            return self._may_beat(self.incumbent.score_bound(energy, steps))

        return self._waits.excludes(keep, road.ways.spread[way], float(road.ways.units[way, -1]), may_do)

    @property
    def cost(self) -> SparseCost:
        """What mappings cost."""
        assert self.space.cost is not None
        return self.space.cost

    def decide(self, queue: Queue) -> Queue:
        """Return the choices that are not decided, with higher bounds of the objective, least first.

        Parameters
        ----------
        queue : list of (float, int, bool[L, T])
            Bound, number and what levels keep.
        """
        if self.road is None:
            return queue
        incumbent = self.incumbent
        keeps = {number: keep for _, number, keep in queue}
        left: dict[int, float] = {}
        ways: list[tuple[float, int, int]] = []
        ranked = [(max(bound, self._bound_in_time(keep)), number) for bound, number, keep in queue]
        for i, (bound, number) in enumerate(sorted(ranked)):
            if bound * (1 - SLACK) > incumbent.value or bound == math.inf:
                break
            if incumbent.nests is not None:
                incumbent.share = i / len(queue) / 2
                incumbent.tell()
            if incumbent.late:
                left[number] = bound
            else:
                ways += [(max(bound, score), number, way) for score, way in self._walk(keeps[number])]
        self._look_at(sorted(ways), keeps, left)
        most = incumbent.value * (1 if incumbent.objective.energy_power == 0 else 1 - SLACK)
        rows = [(bound, number, keeps[number]) for number, bound in left.items() if bound <= most]
        return sorted(rows, key=lambda row: row[:2])

    def _look_at(
        self, ways: list[tuple[float, int, int]], keeps: dict[int, Bools], left: dict[int, float]
    ) -> None:
        """Measure what is near the paths of ways, with their bounds and choices; note what is left of these.

        At first what is nearest, in all of them: what that finds excludes most of what is further away.
        """
        incumbent, room, least = self.incumbent, FIRST_NEAR, ways[0][0] if ways else math.inf
        while ways and self._may_beat(ways[0][0]):
            aim, waiting = max(least * (1 + room), ways[0][0] * (1 + FIRST_NEAR)), []
            for i, (score, number, way) in enumerate(ways):
                if number in left or not self._may_beat(score):
                    continue  # it is left as a whole
                if score > aim:
                    waiting.append((score, number, way))
                    continue
                incumbent.lower_bound = min([ways[0][0], *left.values()])
                incumbent.share = 0.5 + i / len(ways) / 2
                incumbent.tell()
                unknown = incumbent.late or way == NO_WAY
                found = score if unknown else self._look_near(keeps[number], way, score, aim)
                if found is None:
                    waiting.append((aim, number, way))
                elif found < math.inf:
                    left[number] = min(left.get(number, math.inf), max(score, found))
            ways, room = sorted(waiting), room * MORE_ROOM

    def probe(self, keeps: list[Bools], most: int) -> None:
        """Measure nothing ahead: nests of paths are measured before all others anyway."""

    def _bound_in_time(self, keep: Bools) -> float:
        return 0.0 if self.incumbent.late else self.bound(keep)

    def _may_beat(self, score: float) -> bool:
        """Say whether a bound of the objective leaves room to be better: of equals one is enough."""
        aim, value = self.incumbent.objective, self.incumbent.value
        return score <= value if aim.energy_power == 0 else score < value * (1 - SLACK)

    @staticmethod
    def _limit(goal: Goal, steps: float) -> float:
        """Return the energy that a path may take if its nest, of at least so many steps, is to be better."""
        limit = energy_limit(goal, steps) * (1 + ROUNDING)
        if goal.energy_power == 0 or not math.isfinite(goal.value):
            return limit
        equal = (goal.value / raised(steps, goal.cycles_power)) ** (1 / goal.energy_power)
        return float(min(limit, equal * (1 - SLACK / goal.energy_power) - goal.power * steps))

    def _lay(self, keep: Bools) -> tuple[Road, Floats]:
        key = keep.tobytes()
        if self._laid is None or self._laid[0] != key:
            self._laid = key, *self.lay_road(keep)
        return self._laid[1], self._laid[2].copy()

    def _walk(self, keep: Bools) -> list[tuple[float, int]]:
        """Return ways to spread that may be better with their bounds; the nests of paths are measured."""
        incumbent = self.incumbent
        road, least = self._lay(keep)
        ways = road.ways
        scores = self._score(road, least)
        found, nests, crowded, size, lost = [], [], 0, 1, 0
        for way in np.lexsort((np.arange(len(least)), scores))[: int(np.isfinite(scores).sum())].tolist():
            score, steps = float(scores[way]), float(ways.steps[way])
            if score * (1 - SLACK) > incumbent.value:
                break
            if incumbent.late or crowded == OPEN_WAYS:
                found.append((score, NO_WAY))
                break
            if lost >= MOST_LOST:  # what comes nearer is looked at first
                found.append((score, way))
                continue
            limit = energy_limit(incumbent.goal, steps)
            if least[way] > limit * (1 + ROUNDING):
                continue
            if self._waits_too_long(keep, road, way, float(least[way])):
                continue
            energy, node = self.find_path(road, way, float(least[way]), limit)
            if node == NOWHERE:
                continue
            found.append((incumbent.score_bound(energy, steps), way))
            crowded += node == CROWDED
            if node != CROWDED:
                nest = self._trace(keep, way, node)
                if self._is_allowed(nest):
                    nests.append(nest)
            if len(nests) == size:
                value = incumbent.value
                self._measure_paths(nests)
                lost = lost + size if incumbent.value == value else 0
                nests, size = [], 2 * size  # the first ones exclude most others
        self._measure_paths(nests)
        return found

    def _measure_paths(self, nests: list[NestArrays]) -> None:
        """Measure the nests of paths."""
        if not nests:
            return
        batch = NestArrays(*(np.concatenate(parts) for parts in zip(*nests, strict=True)))
        if self.cost.on_masks:
            batch = self.cost.most_promising(batch, self.incumbent)
        self.walked += len(batch.temporal)
        for part in self.cost.batches(batch):
            if not self.incumbent.late:
                self.cost.choose(part, self.incumbent)

    def _look_near(self, keep: Bools, way: int, score: float, aim: float) -> float | None:
        """Measure all nests that spread so and may come to less than `aim`, if they may be better.

        Returns
        -------
        float or None
            A bound of those left, or infinity; None where some may come to more than `aim`, and be better.
        """
        model, (road, least) = self.space.model, self._lay(keep)
        steps = float(road.ways.steps[way])
        if self._waits_too_long(keep, road, way, float(least[way])):
            return math.inf
        if self.cost.minds(keep).innermost or self._rows_left < 0:
            return score
        _, node = find_path(model, road, way, self._limit(self._goal(aim), steps))
        trails = road.trails
        if node == CROWDED or trails.edges[0] > len(trails.edge_from):
            return score
        found = math.inf
        if node != NOWHERE:
            togo = np.empty(int(trails.edges[1]))
            find_togo(trails, togo)
            try:
                rows = self._list_rows(road, way, togo, aim)
            except _CrowdedError:
                return score
            found = self._measure(keep, road, way, rows, aim)
        return found if found < math.inf or not self._may_beat(aim) else None

    def _goal(self, aim: float) -> Goal:
        """Return what to look for: what is better than the best so far, and comes to no more than `aim`."""
        goal = self.incumbent.goal
        return goal if goal.value <= aim else goal._replace(value=aim, energy=math.inf)

    def _list_rows(self, road: Road, way: int, togo: Floats, aim: float) -> list[_Row]:
        """Return the choices of boundaries through which paths are within the limit."""
        levels, last = self.space.levels, len(road.lattice.value) - 1
        rows: list[_Row] = []
        start = _Trunk((), np.zeros(1, np.int64), road.trails.cost[:1].copy(), float(road.ways.steps[way]))
        trunks = [start]
        if levels == 1:
            return [_Row((last,), float(togo[0] + start.spent[0]), start.steps)]
        while trunks:
            if self.incumbent.late:
                raise _CrowdedError
            trunk = trunks.pop()
            for found, energy in self._branch(road, way, trunk, togo, self._goal(aim)):
                if len(found.points) < levels - 1:
                    trunks.append(found)
                else:
                    rows.append(_Row((last, *found.points[::-1]), energy, found.steps))
                    self._rows_left -= 1
                    if len(rows) > MOST_ROWS or self._rows_left < 0:
                        raise _CrowdedError
        return rows

    def _branch(
        self, road: Road, way: int, trunk: _Trunk, togo: Floats, goal: Goal
    ) -> list[tuple[_Trunk, float]]:
        """Return trunks with the next boundary decided that keep to the limit, with least energies."""
        level = self.space.levels - 1 - len(trunk.points)
        trails = road.trails
        cost = np.full(len(togo), math.inf)
        cost[trunk.nodes] = trunk.spent
        limit = self._limit(goal, trunk.steps)
        most = int(trails.edge_start[level - 1] - trails.edge_start[level])
        place, spent = np.empty((most, 2), np.int64), np.empty((most, 2))
        spread = int(road.ways.spread[way, level - 1])
        count = pass_level(trails, level, spread, cost, togo, limit, place, spent)
        if not count:
            return []
        place, spent = place[:count], spent[:count]
        by_point = np.argsort(place[:, 0], kind="stable")
        place, spent = place[by_point], spent[by_point]
        cuts = [0, *(np.flatnonzero(np.diff(place[:, 0])) + 1).tolist(), count]
        points = place[cuts[:-1], 0]
        steps = self._least_steps(road, way, level, points, trunk.steps)
        energy = np.minimum.reduceat(spent[:, 1], cuts[:-1])
        values, index = np.unique(steps, return_inverse=True)
        limits = np.array([self._limit(goal, float(value)) for value in values])
        found = []
        for i in np.flatnonzero(energy <= limits[index]).tolist():
            a, b = cuts[i], cuts[i + 1]
            branch = _Trunk((*trunk.points, int(points[i])), place[a:b, 1], spent[a:b, 0], float(steps[i]))
            found.append((branch, float(energy[i])))
        return found

    def _least_steps(self, road: Road, way: int, level: int, points: Ints, before: float) -> Floats:
        """Return the least cycles once what lies at a level and further in is decided."""
        model, design = self.space.model, self.cost.design
        if not self.cost.relaxation.waits or level != design.balance.array:
            return np.full(len(points), before)
        spread = np.full(len(points), road.ways.spread[way, :level].sum())  # exponents are digits
        try:
            share = self.cost.least_work(road.lattice, points, spread, self.space.deadline)
        except OutOfTime:
            return np.full(len(points), before)
        units, work = float(road.ways.units[way, -1]), share * model.machine.cycles_per_compute
        return np.array([max(before, least_steps(model.computes, units, float(one))) for one in work])

    def _measure(self, keep: Bools, road: Road, way: int, rows: list[_Row], aim: float) -> float:
        """Measure the nests of some boundaries, best first; return a bound of those left, else infinite."""
        incumbent, space = self.incumbent, self.space
        if self._room is None:
            self._room = space.nests(BATCH)
        variants = Variants(space, keep)
        least = np.array([(row.energy, row.steps) for row in rows]).reshape(-1, 2)
        scores = incumbent.score_bounds(least[:, 0], least[:, 1]).tolist()
        scored = sorted((score, row.points, row.steps) for score, row in zip(scores, rows, strict=True))
        first, size = 0, FIRST_ROWS
        open_bound = math.inf
        while first < len(scored) and self._may_beat(scored[first][0]):
            part = scored[first : first + size]
            points = np.array([row[1] for row in part], np.int64)
            position = np.zeros(2, np.int64)
            while position[0] < len(part):
                if incumbent.late:
                    return float(min(open_bound, part[int(position[0])][0]))
                goal = self._goal(aim)
                limit = np.array([self._limit(goal, row[2]) for row in part])
                written = list_near(
                    space.model,
                    road,
                    space.orders,
                    space.parts,
                    space.rules.factors[:, 0],
                    way,
                    points,
                    limit,
                    position,
                    self._room,
                )
                if written:
                    self._room.keep[:written] = keep
                    self._measure_nests(variants, select(self._room, slice(written)))
                    if variants.left_out:
                        open_bound = min(open_bound, part[0][0])
            first, size = first + size, min(4 * size, LARGEST_ROWS)
        return open_bound

    def _measure_nests(self, variants: Variants, nests: NestArrays) -> None:
        for batch in variants.expand(nests):
            for part in self.cost.batches(batch):
                self.walked += len(part.temporal)
                self.incumbent.deadline.spend(len(part.temporal))
                self.cost.choose(part, self.incumbent)
