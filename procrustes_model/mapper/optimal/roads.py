"""Where shortest paths lead, and what no path falls below: tables over the lattice of divisors.

They hold for one choice of what levels keep, and are kept as far as other choices share them.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

import numpy as np

from procrustes_model.kernels.dense.arrays import (
    FILL,
    READ,
    UNLIMITED,
    UPDATE,
    Bools,
    Floats,
    Ints,
)
from procrustes_model.kernels.search.arrays import SIMPLE, SLACK
from procrustes_model.kernels.search.path import ROUNDING
from procrustes_model.kernels.search.path_arrays import BLOCK, RUN_COLUMNS, Links, Road, Terrain, Trails, Ways
from procrustes_model.kernels.search.path_links import bound_computing, describe_ways, tabulate_filling
from procrustes_model.kernels.search.path_ports import count_port_cycles
from procrustes_model.kernels.search.path_wires import bound_wires, least_excess
from procrustes_model.mapper.dense_model import least_tolls, least_wires
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.lattice import least_outside, list_primes
from procrustes_model.mapper.optimal.spreads import list_spreads
from procrustes_model.mapper.optimal.tables import Tables
from procrustes_model.mapper.space import Space
from procrustes_model.mapper.supply import count_elements, list_parents

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
"""Ways to spread loops over instances that one table holds."""


def is_special(space: Space) -> bool:
    """Say whether paths in a space need what most do without; see `Road.special`."""
    machine = space.model.machine
    beside = machine.drains.any() or machine.wires.any or machine.sums.output >= 0
    return bool(space.model.rules.forgetful or beside)


@dataclass
class Roads:
    """Lays roads.

    Attributes
    ----------
    tables : Tables
    incumbent : Incumbent
    spreads : int64[S, L], optional
        Ways to spread loops over instances; all, if there are not too many.
    road : Road or None
        What all choices share; None where there are too many ways.
    """

    tables: Tables
    incumbent: Incumbent
    spreads: Ints | None = None
    space: Space = field(init=False)
    road: Road | None = field(init=False)
    inner: Ints = field(init=False)
    _wired: bool = field(init=False)
    _filling: dict[bytes, tuple[Floats, Floats]] = field(default_factory=dict)
    _inside: dict[bytes, Floats] = field(default_factory=dict)
    _computing: dict[bytes, Floats] = field(default_factory=dict)
    _common: dict[tuple[int, int, int], float] = field(default_factory=dict)
    _ports: dict[bytes, tuple[Floats, Floats]] = field(default_factory=dict)
    _kept_moves: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.space = self.tables.space
        self.road = None
        self._wired = self.space.model.machine.wires.any
        spreads = self.spreads if self.spreads is not None else list_spreads(self.tables, MOST_WAYS)
        if spreads is None:
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
            self._make_ways(spreads),
            self._describe_links(),
            np.ones((levels, tensors), np.bool_),
            np.zeros((levels + 1, tensors), np.int64),
            np.ones((levels, points), np.bool_),
            np.arange(points),
            np.zeros((levels, points)),
            np.zeros((levels, points)),
            np.zeros((levels, points)),
            np.zeros(levels + 1, np.int64),
            np.zeros((levels, tensors)),
            np.zeros((levels, tensors)),
            np.zeros(tensors),
            np.ones((levels, points), np.bool_),
            np.zeros((levels + 1, tensors, 3)),
            True if is_special(space) else None,
            False,
        )
        self.spread_over(spreads)

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
        loops = np.asarray((space.rules.factors[:, 0] & (lattice.divisors > 1)).any(axis=2))
        for t, home in enumerate(model.machine.home.tolist()):
            loops[:home] &= model.irrelevant[t]  # nothing outside divides it over time
        prime = np.array([[len(list_primes(int(n))) == 1 for n in row] for row in lattice.divisors])
        return Terrain(
            lattice.value.astype(float).prod(axis=1),
            self.tables.floor.tile,
            prime,
            partner,
            loops,
            shift,
            mask,
            every,
            np.where(modulus <= MOST_MODULUS, modulus, 1),
        )

    def _describe_links(self) -> Links:
        model, levels = self.space.model, self.space.levels
        shape, elements = (
            (levels, len(model.kind)),
            [count_elements(model, t) for t in range(len(model.kind))],
        )
        members, of = self.space.orders.members, np.full(len(model.bounds), -1, np.int64)
        for c, row in enumerate(members):
            of[row[row >= 0]] = c
        first, least = np.ascontiguousarray(members[:, 0]), np.empty(len(members))
        tolls = least_tolls(model.machine) if self._wired else np.zeros(levels)
        fetched, served, spared, share, wired, common = np.zeros((6, *shape))
        return Links(
            self.tables.floor,
            first,
            of,
            least,
            np.array(elements),
            fetched,
            served,
            spared,
            share,
            wired,
            common,
            tolls,
            np.zeros(levels),
        )

    def spread_over(self, spreads: Ints) -> None:
        """Take other ways to spread loops over instances, int64[S, L]."""
        assert self.road is not None
        self.road = self.road._replace(ways=self._make_ways(spreads))
        describe_ways(self.space.model, self.road)
        self.inner = np.cumsum(spreads[:, ::-1], axis=1)[:, ::-1]
        for known in (self._computing, self._inside, self._ports, self._common):
            known.clear()
        if self._wired:
            self._filling.clear()

    def _make_ways(self, spreads: Ints) -> Ways:
        (count, levels), tensors = spreads.shape, len(self.space.model.kind)
        return Ways(
            spreads,
            np.empty(count),
            np.empty((count, levels + 1)),
            np.empty((count, levels)),
            np.empty((count, levels, tensors)),
            np.empty((count, levels, tensors)),
        )

    def lay_road(self, keep: Bools) -> tuple[Road, Floats]:
        """Return where paths lead if levels keep `keep`, and bounds of their energy, by way to spread."""
        least, road, levels = self._least_energy(keep), self._lay_links(keep), self.space.levels
        filling, togo = np.zeros((2, levels, len(self.space.lattice.indices)))
        for level in range(1, levels):
            filling[level], outside = self._tabulate(road, level)
            togo[level] = togo[level - 1] + outside
        fits = np.array([self.tables.fits(level, keep[level]) for level in range(levels)])
        starts = np.flatnonzero(fits[-1])
        road = road._replace(
            fits=fits, starts=starts, filling=filling, togo=togo, roomy=self._roomy(keep, fits)
        )
        return self._stretch(road, keep), least

    def _lay_links(self, keep: Bools) -> Road:
        """Return where paths lead as far as no point matters."""
        assert self.road is not None
        fetched, served, spared, common = np.zeros((4, *keep.shape))
        links = self.road.links._replace(fetched=fetched, served=served, spared=spared, common=common)
        road = self.road._replace(keep=keep, parent=list_parents(keep), links=links)
        for level, t in np.argwhere(keep).tolist():
            if road.parent[level, t] >= 0:  # else it begins here
                self._price_link(road, level, t)
                if self._wired:
                    common[level, t] = self._least_wires(road, level, t)
        fetched += common
        return road

    def _least_wires(self, road: Road, level: int, t: int) -> float:
        """Return what networks take for a word that a level fetches, of all ways, beyond what prices have."""
        key = level, t, int(road.parent[level, t])
        if key not in self._common:
            self._common[key] = least_excess(self.space.model, road, level, t)
        return self._common[key]

    def _least_energy(self, keep: Bools) -> Floats:
        """Return bounds of the energy by way to spread."""
        parent, model = list_parents(keep), self.space.model
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
                road = self._lay_links(keep)
                self._inside[key] = self._tabulate(road, level)[1][self.inner[:, level]]
                if self._wired:
                    bound_wires(model, road, level, self._inside[key])
            least += self._inside[key]
        return least

    def bound(self, keep: Bools) -> float:
        """Return what the objective of no mapping falls below if levels keep `keep`."""
        assert self.road is not None
        road = self._stretch(self.road, keep)
        return float(self._score(road, self._least_energy(keep)).min(initial=math.inf))

    def _stretch(self, road: Road, keep: Bools) -> Road:
        """Return the same with the least cycles of ways that ports and components allow."""
        model, parent = self.space.model, list_parents(keep)
        rates, cost = model.machine.rates, self.space.cost
        if cost is not None and not cost.relaxation.has_prices:
            return road
        if not (model.limited or len(rates.per_cycle)):
            return road
        steps, uses = road.ways.steps.copy(), np.zeros((len(road.ways.steps), len(rates.per_cycle)))
        uses += model.computes * rates.computes
        for level, kept in enumerate(keep):
            # what the level keeps, and where that goes
            key = bytes([level]) + kept.tobytes() + (kept & (parent[level + 1 :] == level)).tobytes()
            if key not in self._ports:
                found = np.ones(len(steps)), np.zeros_like(uses)
                count_port_cycles(model, road._replace(keep=keep, parent=parent), level, *found)
                self._ports[key] = found
            np.maximum(steps, self._ports[key][0], out=steps)
            uses += self._ports[key][1]
        if len(rates.per_cycle) and cost is None:
            np.maximum(steps, np.ceil((uses / rates.per_cycle).max(axis=1) * (1 - SLACK)), out=steps)
        return road._replace(ways=road.ways._replace(steps=steps))

    def _score(self, road: Road, least: Floats) -> Floats:
        """Return bounds of the objective by way to spread, from those of the energy."""
        scores, finite = np.full(len(least), math.inf), np.isfinite(least)
        scores[finite] = self.incumbent.score_bounds(least[finite], road.ways.steps[finite])
        return scores

    def _roomy(self, keep: Bools, fits: Bools) -> Bools:
        """Return where what levels keep fits also if sums of the output are not complete, bool[L, V]."""
        space, machine = self.space, self.space.model.machine
        output = machine.sums.output
        if output < 0:
            return np.ones_like(fits)
        roomy, tile = np.ones_like(fits), self.tables.floor.tile
        more = machine.sums.scale - machine.scale[:, output]
        for level in np.flatnonzero(keep[:, output] & (machine.capacity < UNLIMITED)).tolist():
            words = space.stored(level, keep[level], tile) + more[level] * tile[output]
            roomy[level] = words <= int(machine.capacity[level]) * (1 + ROUNDING)
        return roomy

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
            links.fetched[level, t] -= least_wires(model.machine, t, model.moved[:, :, 2:])[level, t, READ]
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
            share = [
                self._most_shared(t, max(0, int(road.parent[level, t])), level) for t in range(len(kept))
            ]
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
