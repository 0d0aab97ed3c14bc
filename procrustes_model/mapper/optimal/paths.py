"""Choices of what levels keep, decided by shortest paths over the lattice of divisors.

For each choice and each way to spread loops over instances, a shortest path has the least energy that a nest
takes, or a little less where it is not exact. Bandwidths are left out, so that the cycles of its nest may
be more. The nest is evaluated by the model: where it comes to what the path says, nothing is left to search.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

import numpy as np

from procrustes_model.kernels.dense.arrays import FILL, OK, READ, UPDATE, Bools, Floats, Ints, NestArrays
from procrustes_model.kernels.dense.sharing import distinct_positions
from procrustes_model.kernels.jit import once
from procrustes_model.kernels.search.arrays import SIMPLE, SKEWED, SLACK
from procrustes_model.kernels.search.goal import energy_limit
from procrustes_model.kernels.search.path import CROWDED, NOWHERE, find_path
from procrustes_model.kernels.search.path_arrays import BLOCK, RUN_COLUMNS, Links, Road, Terrain, Trails, Ways
from procrustes_model.kernels.search.path_links import bound_computing, describe_ways, tabulate_filling
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.lattice import least_outside, list_primes
from procrustes_model.mapper.optimal.tables import Tables
from procrustes_model.mapper.space import Space

STATE_BITS = 62
"""Bits of a state."""

RUN_BITS = 12
"""Bits of it for a level and a tensor with a sliding window, at most."""

MOST_MODULUS = 64
"""Remainders of accesses that are told apart: each may name a run of its own."""

NODES = 200_000
"""Nodes of one path: a tenth of a second."""

MOST_ENTRIES = 20_000_000
"""Entries of the tables over the lattice that are kept."""

KNOWN = 1 << 14
"""Answers about runs that are kept."""

MOST_WAYS = 200_000
"""Ways to spread loops over instances, over all levels, that are looked at."""

ROUNDING = 1e-12
"""Relative room for the rounding of sums."""

OPEN_WAYS = 30
"""Paths of a choice that their nests do not come to, before the choice is left to labels."""

FIRST_ROOM, MORE_ROOM = 0.05, 3.0
"""Relative room above its bound that a path gets first; how much more, each time that it was too little."""


def is_eligible(space: Space) -> bool:
    """Say whether shortest paths bound the energy of all mappings of a space.

    Words have prices that no mapping undercuts; networks and passing words cost nothing; all tensors begin
    and end outermost; sums are as wide as elements; a rank has two dimensions at most, and a dimension one
    rank; a state has room for all.
    """
    model, machine, problem = space.model, space.model.machine, space.model.problem
    if space.cost is not None and space.cost.design.packs:
        return False
    if machine.wires.any or machine.through.any() or machine.home.any() or machine.loads.any():
        return False
    if machine.sums.output >= 0 or (model.kind == SKEWED).any():
        return False
    if 2 * len(model.kind) * (space.levels - 1) > STATE_BITS:
        return False
    ranks = (model.coefficient[:, :, model.bounds > 1] != 0).sum(axis=2)
    if model.rules.forgetful and ((ranks > 1).sum(axis=1) > 2).any():
        return False
    return bool((ranks <= 2).all() and (model.coefficient.sum(axis=1) == problem.coefficient).all())


@dataclass
class Paths:
    """Decides choices of what levels keep.

    Attributes
    ----------
    tables : Tables
    incumbent : Incumbent
    walked : int
        Paths whose nest was evaluated.
    """

    tables: Tables
    incumbent: Incumbent
    walked: int = 0
    space: Space = field(init=False)
    road: Road | None = field(init=False)
    inner: Ints = field(init=False)
    _filling: dict[bytes, tuple[Floats, Floats]] = field(default_factory=dict)
    _inside: dict[bytes, Floats] = field(default_factory=dict)
    _computing: dict[bytes, Floats] = field(default_factory=dict)
    _kept_moves: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.space = self.tables.space
        self.road = None
        ways = self._list_ways()
        if ways is None:
            return
        space, model = self.space, self.space.model
        levels, tensors, points = space.levels, len(model.kind), len(space.lattice.indices)
        trails = Trails(
            np.empty(NODES),
            np.empty(NODES, np.int64),
            np.empty(NODES, np.int64),
            np.empty(NODES, np.int64),
            np.empty(NODES, np.int64),
            np.empty(NODES, np.int64),
            np.full((2, points), -1, np.int64),
            np.zeros((2, -(-points // BLOCK)), np.bool_),
            np.empty(NODES),
            np.empty(self._kept_moves, np.int64),
            np.empty(self._kept_moves, np.int64),
            np.empty(self._kept_moves),
            np.zeros(levels, np.int64),
            np.zeros(2, np.int64),
            np.full((1 << RUN_BITS, RUN_COLUMNS), -1, np.int64),
            np.zeros((KNOWN, 9), np.int64),
        )
        self.road = Road(
            space.lattice,
            self._describe(),
            trails,
            ways,
            self._describe_links(),
            np.ones((levels, tensors), np.bool_),
            np.zeros((levels + 1, tensors), np.int64),
            np.ones((levels, points), np.bool_),
            np.zeros((levels, points)),
            np.zeros((levels, points)),
            np.zeros((levels, points)),
            np.zeros(levels + 1, np.int64),
            np.zeros((levels, tensors)),
            np.zeros((levels, tensors)),
            np.zeros(tensors),
        )
        describe_ways(model, self.road)
        self.inner = np.cumsum(ways.spread[:, ::-1], axis=1)[:, ::-1]

    def _describe(self) -> Terrain:
        space, model = self.space, self.space.model
        lattice, levels = space.lattice, space.levels
        tensors, dimensions = model.irrelevant.shape
        partner = np.full((tensors, dimensions), -1, np.int64)
        for t, rank in itertools.product(range(tensors), range(model.coefficient.shape[1])):
            pair = np.flatnonzero((model.coefficient[t, rank] != 0) & (model.bounds > 1))
            if len(pair) == 2:
                partner[t, pair] = pair[::-1]
        slides = (partner >= 0).any(axis=1)
        spare = STATE_BITS - int((~slides).sum()) * (levels - 1)
        bits = min(RUN_BITS, spare // max(1, int(slides.sum()) * (levels - 1)))
        width = np.where(slides, bits, 1)
        shift, mask = np.zeros((tensors, levels), np.int64), (1 << width) - 1
        shift[:, 1:] = (np.cumsum(np.repeat(width, levels - 1)) - np.repeat(width, levels - 1)).reshape(
            tensors, -1
        )
        every = np.array(
            [sum(int(mask[t]) << int(at) for at in shift[t, 1:]) for t in range(tensors)], np.int64
        )
        modulus = np.lcm.reduce(model.pack, axis=0)
        prime = np.array([[len(list_primes(int(n))) == 1 for n in row] for row in lattice.divisors])
        return Terrain(
            lattice.value.astype(float).prod(axis=1),
            self.tables.floor.tile,
            prime,
            partner,
            np.asarray((space.rules.factors[:, 0] & (lattice.divisors > 1)).any(axis=2)),
            shift,
            mask,
            every,
            np.where(modulus <= MOST_MODULUS, modulus, 1),
        )

    def _describe_links(self) -> Links:
        model, levels = self.space.model, self.space.levels
        ones, none = np.ones_like(model.bounds), np.zeros((4, levels, len(model.kind)))
        elements = once(
            lambda: [
                float(distinct_positions(model.problem, t, model.bounds, ones))
                for t in range(len(model.kind))
            ]
        )
        members, of = self.space.orders.members, np.full(len(model.bounds), -1, np.int64)
        for c, row in enumerate(members):
            of[row[row >= 0]] = c
        first, least = np.ascontiguousarray(members[:, 0]), np.empty(len(members))
        return Links(self.tables.floor, first, of, least, np.array(elements), *none)

    def _list_ways(self) -> Ways | None:
        """Return the ways to spread loops over instances; None where there are too many."""
        space, lattice, levels = self.space, self.space.lattice, self.space.levels
        known = np.zeros((1, 0), np.int64)
        most = lattice.exponents[-1]
        for level in range(levels):
            points = self.tables.spatial_points(level)
            if len(known) * len(points) > MOST_WAYS:
                return None
            known = np.column_stack((np.repeat(known, len(points), axis=0), np.tile(points, len(known))))
            known = known[(lattice.exponents[known].sum(axis=1) <= most).all(axis=1)]
        mirror = space.orders.mirror
        if mirror[0] >= 0:  # of a way and its mirror image one is enough
            values = lattice.value[known]
            apart = (values - values[:, :, mirror]).reshape(len(known), -1)
            first = np.argmax(apart != 0, axis=1)
            known = known[apart[np.arange(len(known)), first] >= 0]
        tensors = len(space.model.kind)
        return Ways(
            np.ascontiguousarray(known),
            np.empty(len(known)),
            np.empty((len(known), levels + 1)),
            np.empty((len(known), levels)),
            np.empty((len(known), levels, tensors)),
            np.empty((len(known), levels, tensors)),
        )

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

    def lay_road(self, keep: Bools) -> tuple[Road, Floats]:
        """Return where paths lead if levels keep `keep`, and bounds of their energy, by way to spread."""
        least, road, levels = self._least_energy(keep), self._lay_links(keep), self.space.levels
        filling, togo = np.zeros((2, levels, len(self.space.lattice.indices)))
        for level in range(1, levels):
            filling[level], outside = self._tabulate(road, level)
            togo[level] = togo[level - 1] + outside
        fits = np.array([self.tables.fits(level, keep[level]) for level in range(levels)])
        return road._replace(fits=fits, filling=filling, togo=togo), least

    def _lay_links(self, keep: Bools) -> Road:
        """Return where paths lead as far as no point matters."""
        assert self.road is not None
        fetched, served, spared = np.zeros((3, *keep.shape))
        links = self.road.links._replace(fetched=fetched, served=served, spared=spared)
        road = self.road._replace(keep=keep, parent=self._list_parents(keep), links=links)
        for level, t in np.argwhere(keep).tolist():
            if level > 0:
                self._price_link(road, level, t)
        return road

    def _list_parents(self, keep: Bools) -> Ints:
        parent = np.full((len(keep) + 1, keep.shape[1]), -1, np.int64)
        for level in range(len(keep)):
            parent[level + 1] = np.where(keep[level], level, parent[level])
        return parent

    def _least_energy(self, keep: Bools) -> Floats:
        """Return bounds of the energy by way to spread."""
        parent, model = self._list_parents(keep), self.space.model
        links, key = np.where(keep, parent[:-1], -1), parent[-1].tobytes()
        if key not in self._computing:
            road = self._lay_links(keep)
            computing = np.empty(len(road.ways.steps))
            bound_computing(model, road, computing)
            computing[road.ways.units[:, -1] < model.least_units] = math.inf
            self._computing[key] = computing + model.base
        least = self._computing[key].copy()
        for level in range(1, len(keep)):
            key = bytes([level]) + links[level].tobytes()
            if key not in self._inside:
                self._inside[key] = self._tabulate(self._lay_links(keep), level)[1][self.inner[:, level]]
            least += self._inside[key]
        return least

    def bound(self, keep: Bools) -> float:
        """Return what the objective of no mapping falls below if levels keep `keep`."""
        assert self.road is not None
        return float(self._score(self.road, self._least_energy(keep)).min(initial=math.inf))

    def _score(self, road: Road, least: Floats) -> Floats:
        """Return bounds of the objective by way to spread, from those of the energy."""
        scores, finite = np.full(len(least), math.inf), np.isfinite(least)
        scores[finite] = self.incumbent.score_bounds(least[finite], road.ways.steps[finite])
        return scores

    def find_path(self, road: Road, way: int, least: float, limit: float) -> tuple[float, int]:
        """Find the shortest path of one way to spread; see `kernels.search.path.find_path`.

        The closer the limit, the fewer nodes a path is looked for among: it is raised from what no path
        falls below.

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
        room = FIRST_ROOM
        while True:
            within = min(limit, least * (1 + room)) if least > 0 else limit
            energy, node = find_path(self.space.model, road, way, within * (1 + ROUNDING))
            if node == CROWDED:
                return least, node
            if node != NOWHERE or within >= limit:
                return energy, node
            least, room = within, room * MORE_ROOM

    def _decide(self, keep: Bools) -> Floats:
        """Return bounds on energy and cycles, float64[n, 2], of the ways that are not decided."""
        incumbent = self.incumbent
        road, least = self.lay_road(keep)
        ways = road.ways
        hopeful = np.flatnonzero(np.isfinite(least) & incumbent.may_beat(least, ways.steps))
        scores = incumbent.score_bounds(least[hopeful], ways.steps[hopeful])
        hopeful = hopeful[np.lexsort((hopeful, scores))]
        left: list[tuple[float, float]] = []
        for i, (way, score) in enumerate(zip(hopeful.tolist(), np.sort(scores).tolist(), strict=True)):
            if score * (1 - SLACK) > incumbent.ceiling:
                break
            if incumbent.late or len(left) == OPEN_WAYS:
                left.extend(zip(least[hopeful[i:]].tolist(), ways.steps[hopeful[i:]].tolist(), strict=True))
                break
            steps = float(ways.steps[way])
            limit = energy_limit(incumbent.goal, steps)
            if least[way] > limit * (1 + ROUNDING):
                continue
            energy, node = self.find_path(road, way, float(least[way]), limit)
            if node == NOWHERE:
                continue
            if node == CROWDED or not self._comes_to(energy, steps, self._trace(keep, way, node)):
                left.append((energy, steps))
        return np.array(left).reshape(-1, 2)

    def _price_link(self, road: Road, level: int, t: int) -> None:
        """Fill in what words of a tensor cost that a level fetches and that it is served."""
        model, links = self.space.model, road.links
        if model.rules.forgetful and model.kind[t] != SIMPLE:
            return  # in which it may keep nearly all
        parent, child = model.word[int(road.parent[level, t]), t], model.word[level, t]
        if not model.output[t]:
            links.fetched[level, t], links.served[level, t] = child[FILL], parent[READ]
            return
        links.served[level, t] = parent[UPDATE]
        if model.machine.drains[level] and model.pack[level, t] == 1:
            links.fetched[level, t] += child[READ]
        if math.prod(self.space.mesh[:level]) == 1:  # what is read and fetched, but for first accumulations
            links.fetched[level, t] += parent[READ] + child[FILL]
            spared = parent[READ] + (0.0 if model.rules.all_fills else child[FILL])
            links.spared[level, t] = float(self.tables.floor.tile[t, -1]) * spared

    def _tabulate(self, road: Road, level: int) -> tuple[Floats, Floats]:
        """Return for every point the least energy of filling a level whose tiles are it, or hold it."""
        kept, points = road.keep[level], len(self.space.lattice.indices)
        key = bytes([level]) + np.where(kept, road.parent[level], -1).tobytes()
        if key not in self._filling:
            if 2 * len(self._filling) * points > MOST_ENTRIES:
                self._filling.clear()
            share = [self._most_shared(t, int(road.parent[level, t]), level) for t in range(len(kept))]
            least = np.empty(points)
            fits = self.tables.fits(level, kept)
            tabulate_filling(self.space.model, road, level, np.array(share), fits, least)
            outside = least.copy()
            least_outside(outside, self.space.lattice)
            self._filling[key] = least, outside
        return self._filling[key]

    def _most_shared(self, t: int, parent: int, level: int) -> float:
        """Return how many instances may share a tile between two levels, at most."""
        model, shared = self.space.model, 1.0
        for outer in range(parent, level):
            most = float(self.space.mesh[outer])
            if model.kind[t] == SIMPLE:
                most = min(most, float(model.bounds[model.irrelevant[t]].prod()))
            shared *= most
        return shared

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
