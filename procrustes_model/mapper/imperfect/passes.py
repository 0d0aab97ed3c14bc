"""Choices of what levels keep and ways to spread, decided by shortest paths over numbers of passes.

Each path bounds the objective of all nests that keep and spread alike. Its nest is evaluated by the model:
where it comes to what the path says, nothing is left to search.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, Floats, Ints, NestArrays
from procrustes_model.kernels.search.arrays import SLACK
from procrustes_model.kernels.search.passes import CROWDED, NOWHERE, find_fewest_passes
from procrustes_model.kernels.search.passes_arrays import BLOCK, Labels, Plan
from procrustes_model.kernels.search.passes_bounds import bound_spreads, spread_out
from procrustes_model.mapper.deadline import OutOfTime
from procrustes_model.mapper.imperfect.grid import Tables, list_passes, list_spreads, make_grid
from procrustes_model.mapper.imperfect.space import factor_limits, offer_batch
from procrustes_model.mapper.imperfect.walk import Walker, Ways, fit_splits
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.optimal.compulsory import Compulsory
from procrustes_model.mapper.space import Space
from procrustes_model.mapper.supply import list_parents

MOST_POINTS = 4_000_000
"""Points at most: a table over them takes as many numbers."""

MOST_WAYS = 100_000
"""Ways to spread loops over instances at most."""

MOST_LABELS = 200_000
"""Labels of one path."""

ROWS = 20_000_000
"""Points that are looked at between looks at the time."""

PROBED = 16
"""Choices of what levels keep whose most promising way is looked at first."""

NEAR = 1.2
"""How far above a bound the best mapping may be for a path to be looked for up to there at once."""

LOOKED_AT = 100
"""Ways among which the most promising one of a choice is then."""

FIRST_ROOM, MORE_ROOM = 0.05, 4.0
"""Relative room above its bound that a path gets first; how much more, each time that it was too little."""


def is_eligible(space: Space) -> bool:
    """Say whether paths over numbers of passes bound the objective of all mappings of a space."""
    points = math.prod(len(list_passes(bound)) for bound in space.model.bounds.tolist())
    return space.levels > 1 and points <= MOST_POINTS and space.model.bounds.max() <= 1_000_000


@dataclass(frozen=True)
class Spreads:
    """Ways to spread loops over instances.

    Attributes
    ----------
    factors : int64[n, L, 2, D]
        On x and on y.
    instances : int64[n, L, D]
    steps : float64[n]
        Least cycles.
    """

    factors: Ints
    instances: Ints
    steps: Floats


@dataclass
class PassPaths:
    """Decides choices.

    Attributes
    ----------
    space : Space
    incumbent : Incumbent
        Offered the nests of paths.
    walked : int
        Paths whose nest was evaluated.
    """

    space: Space
    incumbent: Incumbent
    walked: int = 0

    def __post_init__(self) -> None:
        space, model = self.space, self.space.model
        self.grid = make_grid(model.bounds)
        self.tables = Tables(space, self.grid)
        self.walker = Walker(space, np.random.default_rng(0))
        points, levels, dimensions = math.prod(self.tables.shape), space.levels, len(model.bounds)
        slots, rows = levels * len(model.kind), MOST_LABELS
        self.labels = Labels(
            np.empty(rows),
            np.empty(rows),
            np.empty(rows, np.int64),
            np.empty(rows, np.int64),
            np.empty(rows, np.int64),
            np.empty(rows, np.int64),
            np.empty(rows, np.int64),
            np.empty(rows, np.int64),
            np.empty(rows, np.int64),
            np.zeros((rows, slots)),
            np.zeros((rows, slots), np.int64),
            np.ones((rows, dimensions), np.int64),
            np.zeros((rows, levels, dimensions), np.int64),
            np.full((2, points), -1, np.int64),
            np.zeros((2, -(-points // BLOCK)), np.bool_),
            np.zeros(slots),
            np.zeros(slots),
        )
        aim = self.incumbent.objective
        self.timed = bool(aim.cycles_power or space.power or math.isfinite(aim.most_cycles))

    def plan(self, keep: Bools) -> Plan:
        """Return what paths meet where levels keep so much, before `spread_out` says how loops spread.

        Raises
        ------
        OutOfTime
        """
        space, model, tables = self.space, self.space.model, self.tables
        levels, parents = space.levels, list_parents(keep)
        fits = np.stack([tables.fits(level, keep[level]) for level in range(levels)])
        togo, once = np.zeros((levels, *tables.shape)), np.zeros(levels)
        for level in range(1, levels):
            filling, once[level] = tables.fill(level, keep[level], parents[level])
            filling = np.where(fits[level], filling, math.inf)
            togo[level] = tables.stand_for_more(filling + togo[level - 1])
        starts = np.stack(np.nonzero(fits[-1]), axis=1)
        cheap = filling[tuple(starts.T)]
        order = np.lexsort((np.arange(len(cheap)), cheap))
        whole = np.repeat((model.machine.sums.output < 0) | ~model.output[None], levels, axis=0) & model.whole
        return Plan(
            keep,
            parents,
            fits.reshape(levels, -1),
            togo.reshape(levels, -1),
            once,
            tables.elements,
            tables.sums,
            whole,
            np.ones((levels, len(model.bounds)), np.int64),
            np.ones(levels + 1),
            np.zeros(keep.shape),
            np.ones(1),
            np.ascontiguousarray(starts[order]),
            cheap[order],
            self.timed,
        )

    def sharpen(self, plan: Plan, spread: Ints) -> Plan:
        """Return a plan whose bounds know that tiles cover a multiple of the instances inside."""
        tables, levels = self.tables, self.space.levels
        togo = plan.togo.copy()
        for level in range(1, levels - 1):
            inside = spread[level:].prod(axis=0)
            filling, _ = tables.fill(level, plan.keep[level], plan.parent[level])
            fits = tables.fits(level, plan.keep[level], inside)
            before = togo[level - 1].reshape(tables.shape)
            togo[level] = tables.stand_for_more(np.where(fits, filling, math.inf) + before).ravel()
        return plan._replace(togo=togo)

    def least(self, plan: Plan) -> float:
        """Return the least energy of a choice of what levels keep."""
        parents = plan.parent[-1].tolist()
        computing = sum(self.tables.computing(t, p) for t, p in enumerate(parents))
        return float(self.space.model.base + computing + plan.togo[-1, 0])

    def decide(self) -> float:
        """Offer the nests of paths, and return what the objective of no mapping falls below.

        Raises
        ------
        OutOfTime
            Before there is a bound.
        """
        space, incumbent = self.space, self.incumbent
        ways, compulsory = self._list_ways(), Compulsory(space)
        ranked = [(compulsory.energy(keep), n, keep.copy()) for n, keep in enumerate(space.patterns())]
        ranked = sorted((row for row in ranked if row[0] < math.inf), key=lambda row: row[:2])
        if ways is None:
            return min((incumbent.score_bound(row[0], 1.0) for row in ranked), default=math.inf)
        for energy, _, keep in ranked[:PROBED]:
            plan, left, scores = self._rank(keep, energy, ways, LOOKED_AT)
            if plan is not None and len(left):
                way = left[0]
                self.settle(plan, ways.instances[way], ways.factors[way], float(scores[0]))
        choices = []
        for energy, number, keep in ranked:
            _, left, scores = self._rank(keep, energy, ways)
            if len(left):
                choices.append((float(scores[0]), number, keep, left, scores))
        bound = math.inf
        for least, _, keep, left, scores in sorted(choices, key=lambda row: row[:2]):
            bound = min(bound, self._decide(keep, ways, left, scores, bound) if least < bound else bound)
        return min(bound, incumbent.value)

    def _list_ways(self) -> Spreads | None:
        """Return the ways to spread loops over instances; None for too many."""
        space, model = self.space, self.space.model
        fanout = [space.architecture.fanout(level) for level in range(space.levels)]
        factors = list_spreads(
            fanout, factor_limits(space)[1, :, 1:], model.bounds, MOST_WAYS, space.deadline
        )
        if factors is None:
            return None
        factors = factors[factors.prod(axis=(1, 2, 3)) >= model.least_units]
        instances = factors.prod(axis=2)
        steps = (-(-model.bounds // instances.prod(axis=1))).prod(axis=1).astype(float)
        work = model.work
        return Spreads(factors, instances, steps if work == 1 else np.ceil(steps * work * (1 - SLACK)))

    def _decide(self, keep: Bools, ways: Spreads, left: Ints, scores: Floats, bound: float) -> float:
        """Offer the nests of some ways, and return the bound of what is not decided.

        Parameters
        ----------
        keep : bool[L, T]
        ways : Spreads
        left : int64[n]
            Most promising first.
        scores : float64[n]
            Their bounds.
        bound : float
            Of what is not decided elsewhere: what is above may stay undecided, too.
        """
        try:
            plan = self.plan(keep)
        except OutOfTime:
            return min(bound, float(scores[0]))
        for way, score in zip(left.tolist(), scores.tolist(), strict=True):
            if score > self._most or score >= bound:
                break
            if self.space.deadline.late:
                return float(score)
            bound = min(bound, self.settle(plan, ways.instances[way], ways.factors[way], score))
        return bound

    @property
    def _most(self) -> float:
        """The objective above which nothing is of interest."""
        return self.incumbent.ceiling * (1 - SLACK)

    def _rank(
        self, keep: Bools, energy: float, ways: Spreads, most: int | None = None
    ) -> tuple[Plan | None, Ints, Floats]:
        """Return the ways to spread that may be of interest, most promising first, with their bounds.

        Parameters
        ----------
        keep : bool[L, T]
        energy : float
            That nothing which keeps these falls below.
        ways : Spreads
        most : int, optional
            Only so many are looked at.

        Returns
        -------
        Plan or None
            None where there is no time for it.
        int64[n]
        float64[n]
        """
        space, incumbent = self.space, self.incumbent
        scores = incumbent.score_bounds(np.full(len(ways.steps), energy), ways.steps)
        left = np.flatnonzero(scores <= self._most)
        if most is not None:  # of those that look alike, the ones that use most instances
            units = ways.instances.prod(axis=(1, 2))
            left = left[np.lexsort((left, -units[left], scores[left]))][:most]
        plan = None
        with suppress(OutOfTime):
            plan = self.plan(keep) if len(left) else None
        if plan is not None:
            least = incumbent.score_bounds(np.full(len(left), self.least(plan)), ways.steps[left])
            scores[left] = np.maximum(scores[left], least)
            size = max(1, int(ROWS / max(1, len(plan.starts))))
            for some in range(0, len(left), size):
                if space.deadline.late:
                    break
                part = left[some : some + size]
                rows = scores[part]
                bound_spreads(space.model, self.grid, plan, incumbent.goal, ways.instances[part], rows)
                scores[part] = rows
                space.deadline.spend(len(part))
        left = left[scores[left] <= self._most]
        left = left[np.lexsort((left, scores[left]))]
        return plan, left, scores[left]

    def settle(self, plan: Plan, spread: Ints, way: Ints, least: float) -> float:
        """Find the path of one way, offer its nest, and return the bound of what is not decided then."""
        incumbent, room = self.incumbent, FIRST_ROOM
        model, most = self.space.model, self._most
        if least > most:
            return math.inf
        spread_out(model, plan, spread)
        if self.space.levels > 2:
            try:
                plan = self.sharpen(plan, spread)
            except OutOfTime:
                return least
            known = np.array([least])
            bound_spreads(model, self.grid, plan, incumbent.goal, spread[None], known)
            least = float(known[0])
            if least > most:
                return math.inf
        while True:
            within = least * (1 + room) if 0 < least * NEAR < most else most
            goal = incumbent.goal._replace(value=within)
            score, label, work = find_fewest_passes(model, self.grid, plan, goal, self.labels)
            self.space.deadline.spend(work)
            if label == CROWDED:
                return least
            if label != NOWHERE and score <= within * (1 + SLACK):
                break
            if within >= most:
                return math.inf
            least, room = within, room * MORE_ROOM
        value = self._offer(plan, way, label)
        self.walked += 1
        return math.inf if value <= score * (1 + 1e-9) else score

    def _offer(self, plan: Plan, way: Ints, label: int) -> float:
        """Offer the nest of a path; return its objective, infinite where it is none."""
        space, incumbent = self.space, self.incumbent
        nests = self.trace(plan, way, label)
        last = np.ones((1, space.levels, 3, len(space.model.bounds)), np.int64)
        for d, bound in enumerate(space.model.bounds.tolist()):
            one, two = nests.temporal[:, :, d].copy(), nests.spatial[:, :, :, d].copy()
            last[..., d] = fit_splits(np.array([bound]), one, two)
            nests.temporal[:, :, d], nests.spatial[:, :, :, d] = one, two
        allowed = self.walker.count_wrong(Ways(nests, last)) == 0
        valid, energy, cycles = offer_batch(space, incumbent, nests, last, allowed)
        return incumbent.score(float(energy[0]), float(cycles[0])) if valid[0] else math.inf

    def trace(self, plan: Plan, way: Ints, label: int) -> NestArrays:
        """Return the nest of a path as a batch of one."""
        space, labels, grid = self.space, self.labels, self.grid
        bounds, levels = space.model.bounds, space.levels
        nests = space.nests(1)
        nests.spatial[0], nests.keep[0] = way, plan.keep
        orders: list[list[int]] = [[] for _ in range(levels)]
        left = grid.passes[np.arange(len(bounds)), labels.point[label] // grid.stride % grid.counts]
        for d in np.flatnonzero(left > 1).tolist():
            nests.temporal[0, 0, d] *= left[d]
            orders[0].append(d)
        node = label
        while labels.level[node] < levels - 1:
            d, level = int(labels.dimension[node]), int(labels.level[node])
            if d >= 0:
                nests.temporal[0, level, d] *= labels.factor[node]
                if d not in orders[level]:
                    orders[level].append(d)
            node = int(labels.before[node])
        begun = -(-bounds // plan.spread[-1])
        left = grid.passes[np.arange(len(bounds)), labels.point[node] // grid.stride % grid.counts]
        nests.temporal[0, -1] = -(-begun // left)
        for level in range(levels):
            rest = [d for d in range(len(bounds)) if d not in orders[level]]
            nests.order[0, level] = [*rest, *orders[level]]
        return nests
