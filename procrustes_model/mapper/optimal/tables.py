"""Lower bounds for every boundary of a nest, for one choice of what levels keep, or for a family of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from procrustes_model.kernels.dense.arrays import FILL, READ, UNLIMITED, Bools, Floats, Ints
from procrustes_model.kernels.search.arrays import (
    SIMPLE,
    SLIDING,
    Floor,
    Goal,
    Link,
    Model,
    Pairs,
    Pattern,
    Spatial,
)
from procrustes_model.kernels.search.bounds import bound_stage, least_steps
from procrustes_model.kernels.search.lattice import box_words, fetch_floor
from procrustes_model.mapper.deadline import slices
from procrustes_model.mapper.lattice import least_inside
from procrustes_model.mapper.space import Space
from procrustes_model.mapper.supply import list_parents


def _least_by_point(start: Ints, values: Floats) -> Floats:
    """Return the least of the rows (float64[n, k]) of every point; infinite where it has none."""
    least = np.full((len(start) - 1, values.shape[1]), np.inf)
    filled = np.flatnonzero(np.diff(start))
    if len(filled):
        least[filled] = np.minimum.reduceat(values, start[filled], axis=0)
    return least


POINTS = 20_000
"""Points of the lattice that are looked at between looks at the time."""

STEPS_AT_A_TIME = 2_000_000
"""Steps of a kernel between looks at the time: some hundredths of a second."""

MOST_PAIRS = 3_000_000
"""Pairs of boundaries of all levels that there is memory for."""


class OutOfMemory(Exception):  # noqa: N818  # as `OutOfTime`
    """Raised where what is left of a choice of what levels keep would not fit into memory."""


@dataclass
class Tables:
    """Makes and remembers bounds.

    Attributes
    ----------
    space : Space
    """

    space: Space
    floor: Floor = field(init=False)
    reach: Floats = field(init=False)
    thin: Floats = field(init=False)
    _spatial: list[tuple[Ints, Floats, Floats]] = field(init=False)
    _families: dict[int, tuple[bytes, Floats]] = field(default_factory=dict)
    _fits: dict[tuple[int, bytes], Bools] = field(default_factory=dict)
    _reached: dict[int, Bools] = field(default_factory=dict)
    _spread: dict[tuple[int, int, int], Floats] = field(default_factory=dict)
    _listed: int = 0

    def __post_init__(self) -> None:
        space = self.space
        self._bound_fetches()
        self._spatial = [self._vectors(level) for level in range(space.levels)]
        points = len(space.lattice.indices)
        self.reach = np.ones((space.levels + 1, points))
        for level in range(space.levels - 1, -1, -1):
            space.deadline.check()
            units = np.zeros(points)
            units[self._spatial[level][0]] = -self._spatial[level][1]
            least_inside(units, space.lattice)
            self.reach[level] = -units * self.reach[level + 1]

    def _bound_fetches(self) -> None:
        """Bound what fetching costs, for every point as a tile."""
        space = self.space
        model, lattice, members = space.model, space.lattice, space.orders.members
        classes, tensors, points = len(members), len(model.kind), len(lattice.indices)
        self.floor = Floor(
            np.empty((classes, tensors, points)),
            np.ones((tensors, points)),
            np.empty((tensors, points), np.int64),
            np.zeros((classes, points), np.bool_),
        )
        self.thin = np.ones((tensors, points))
        for part in slices(points, POINTS, space.deadline):
            fetch_floor(model, lattice, members, part.start, part.stop, self.floor, self.thin)

    def fewest_steps(self) -> float:
        """Return the steps with as many compute units as can be used; infinite where rules allow none."""
        reach = float(self.reach[0, -1])
        model = self.space.model
        return least_steps(model.computes, reach, model.work) if reach > 0 else math.inf

    def _vectors(self, level: int) -> tuple[Ints, Floats, Floats]:
        """Return a level's spatial vectors, their products, and upper bounds of multicast by tensor."""
        model, lattice = self.space.model, self.space.lattice
        points = np.flatnonzero(self.space.parts[level] >= 0).astype(np.int64)
        values = lattice.value[points].astype(float)
        units = values.prod(axis=1)
        widest_first = np.lexsort((points, -units))
        points, values, units = points[widest_first], values[widest_first], units[widest_first]
        multicast = np.repeat(units[:, None], len(model.kind), axis=1)
        for t, kind in enumerate(model.kind):
            if kind == SIMPLE:
                multicast[:, t] = np.where(model.irrelevant[t], values, 1.0).prod(axis=1)
            elif kind == SLIDING:
                for matrix in model.coefficient[t]:
                    # the fewest different sums that dimensions of one rank can have
                    multicast[:, t] /= (values[:, matrix > 0] - 1).sum(axis=1) + 1
        return points, units, multicast

    def spatial_points(self, level: int) -> Ints:
        """Return the spatial vectors of a level."""
        return self._spatial[level][0]

    def fits(self, level: int, kept: Bools) -> Bools:
        """Return for every point whether the tiles of the tensors `kept` fit one instance of a level."""
        key = (level, kept.tobytes())
        if key not in self._fits:
            self.space.deadline.check()
            words = self.space.stored(level, kept, self.floor.tile)
            capacity = int(self.space.model.machine.capacity[level])
            room = math.inf if capacity == UNLIMITED else capacity * (1 + 1e-12)
            self._fits[key] = self._reachable(level) & (words <= room)
        return self._fits[key]

    def _reachable(self, level: int) -> Bools:
        """Return the points that factors allowed inside, and outside, a level can make."""
        if level not in self._reached:
            space, lattice = self.space, self.space.lattice
            good = np.ones(len(lattice.indices), np.bool_)
            for d, count in enumerate(lattice.counts.tolist()):
                inside = space.find_products(d, range(level, space.levels))
                outside = space.find_products(d, range(level))
                # as exponents are digits, the divisor at the other end makes the bound
                table = inside & outside[count - 1 - np.arange(count)]
                good &= table[lattice.indices[:, d]]
            self._reached[level] = good
        return self._reached[level]

    def _word_energy(self, model: Model, level: int, tensor: int) -> float:
        """Return the energy per word that a level spends to serve the tensor."""
        read, _, update = model.word[level, tensor]
        if not model.output[tensor]:
            return float(read)
        return float(update if model.rough[level] else read + update)

    def _parents(self, level: int, keep: Bools, tensor: int, *, family: bool) -> list[int]:
        """Return the levels up to `level` that may be the parent of what lies inside; none before a home."""
        if family:
            return [p for p in range(level + 1) if self.space.rules.keep[p, tensor] != 0]
        return [p for p in range(level + 1) if keep[p, tensor]][-1:]

    def _stage(self, model: Model, level: int, keep: Bools, *, family: bool) -> tuple[Spatial, Link]:
        """Describe the spatial loops of a level and the link into the next one."""
        mesh, levels = self.space.mesh, self.space.levels
        inner, tensors = level + 1, len(model.kind)
        points, units, multicast = self._spatial[level]
        outside = float(math.prod(mesh[:level]))
        toll, rebate = np.zeros(len(points)), np.zeros(len(points))
        kept = keep[inner].copy() if inner < levels else np.zeros(tensors, np.bool_)
        parent, child, pending = np.zeros(tensors), np.zeros(tensors), 0.0
        for t in range(tensors):
            parents = self._parents(level, keep, t, family=family)
            if not parents:
                continue  # it has not begun
            parent[t] = min(self._word_energy(model, p, t) / math.prod(mesh[p:level]) for p in parents)
            if kept[t] and not (model.output[t] and model.rough[inner]):
                child[t] = model.word[inner, t, FILL]
            if kept[t] and model.output[t] and model.machine.drains[inner]:
                child[t] += model.word[inner, t, READ]
            if model.output[t]:
                whole = float(box_words(model.coefficient[t], model.bounds))
                pending += whole * max(
                    0.0 if model.rough[p] else math.prod(mesh[:p]) * float(model.word[p, t, READ])
                    for p in parents
                )
                if kept[t] and not model.rough[inner]:
                    saved = model.word[inner, t, READ] + model.word[inner, t, FILL]
                    rebate += self._touched(t, points) * units * outside * saved
            if not keep[inner:, t].any():
                first = 0 if family else parents[0]
                main = max(range(first, levels), key=lambda j: (mesh[j], j))
                if main == level:
                    others = [math.prod(mesh[j] for j in range(p, levels) if j != level) for p in parents]
                    per_word = min(
                        self._word_energy(model, p, t) / o for p, o in zip(parents, others, strict=True)
                    )
                    each = model.computes * per_word / multicast[:, t]
                    toll += each if family else each * self._spread_factor(t, parents[0], level)
        spatial = Spatial(points, units, multicast, toll, rebate)
        return spatial, Link(kept, parent, child, pending, float(math.prod(mesh[inner:])), outside)

    def _spread_factor(self, tensor: int, parent: int, level: int) -> Floats:
        """Return by spatial vector of a level how much more than least the parent of compute units spends."""
        space, points, key = self.space, self._spatial[level][0], (tensor, parent, level)
        if space.cost is None:
            return np.ones(len(points))
        if key not in self._spread:
            relaxation, values = space.cost.relaxation, space.lattice.value[points]
            self._spread[key] = relaxation.spread_factor(tensor, parent, values, space.deadline)
        return self._spread[key]

    def _touched(self, tensor: int, points: Ints) -> Floats:
        """Bound the output words that tiles of an instance have when the bounds are spread over others.

        What it comes to may have holes: a rank takes no more values than the whole problem's, nor than its
        dimensions have combinations. Where tiles have gaps, a box of so many combinations has as many times
        the largest coefficient.
        """
        model = self.space.model
        coefficient = model.coefficient[tensor]
        rest = (model.bounds // self.space.lattice.value[points]).astype(float)
        combinations = np.stack([rest[:, row != 0].prod(axis=1) for row in coefficient], axis=1)
        if model.problem.gapped:
            combinations *= np.maximum(1, coefficient.max(axis=1))
        return np.asarray(np.minimum(combinations, 1.0 + coefficient @ (model.bounds - 1)).prod(axis=1))

    def _bound(
        self, model: Model, level: int, keep: Bools, below: Floats, goal: Goal, *, family: bool
    ) -> tuple[Floats, Floats, Pairs]:
        """Return bounds inside M(level) by class, inside B(level), and the pairs."""
        space, inner = self.space, level + 1
        points = len(space.lattice.indices)
        spatial, link = self._stage(model, level, keep, family=family)
        inside = np.full((len(space.orders.members) + 1, points), np.inf)
        fits = self.fits(inner, keep[inner]) if inner < space.levels else np.ones(1, np.bool_)
        listed = not family and inner < space.levels
        position, parts = np.zeros(1, np.int64), []
        while position[0] < len(fits):
            space.deadline.check()
            more = bound_stage(
                model,
                space.lattice,
                space.orders,
                self.floor,
                spatial,
                link,
                fits,
                below,
                goal,
                inside,
                listed,
                position,
                STEPS_AT_A_TIME,
            )
            parts.append(more)
            self._listed += len(more)
            if self._listed > MOST_PAIRS:
                raise OutOfMemory
        found = np.concatenate(parts)
        around = inside[-1].copy()
        least_inside(around, space.lattice)
        found = found[np.argsort(found[:, 0], kind="stable")]
        start = np.zeros(points + 1, np.int64)
        start[1:] = np.cumsum(np.bincount(found[:, 0], minlength=points))
        child, row = np.ascontiguousarray(found[:, 1]), found[:, 2]  # lest kernels compile for both layouts
        per_word = link.child + link.parent / spatial.multicast[row]
        fetch = np.where(link.kept, self.floor.tile[:, child].T * spatial.units[row, None] * per_word, 0.0)
        base = below[child] + spatial.toll[row] - spatial.rebate[row]
        thin = self.thin[:, child].T.copy()
        work = self._least_work(model, level, child, spatial.point[row])
        least = _least_by_point(
            start, np.column_stack((base, np.where(model.kind == SIMPLE, fetch, fetch * thin)))
        )
        pairs = Pairs(start, child, spatial.point[row], base, fetch, thin, spatial.units[row], work, least)
        return inside, around, pairs

    def family_bound(self, keep: Bools, goal: Goal) -> float:
        """Bound the energy of all mappings that keep `keep`, cheaply: outer levels are not looked at twice.

        Of every level the latest bounds are kept, so that it is cheap where inner levels keep the same as
        the time before. Returns infinity where no mapping that keeps `keep` can be of interest.
        """
        below, model = np.zeros(1), self.space.model
        for level in range(self.space.levels - 1, -1, -1):
            key = keep[level + 1 :].tobytes()
            if self._families.get(level, (b"-",))[0] != key:
                self._families[level] = key, self._bound(model, level, keep, below, goal, family=True)[1]
            below = self._families[level][1]
        return self._whole(model, float(below[-1]))

    def _whole(self, model: Model, inside: float) -> float:
        """Add what no level's bound holds: compute energy, less what first accumulations save outermost."""
        saved = sum(
            float(box_words(model.coefficient[t], model.bounds)) * float(model.word[0, t, READ])
            for t in np.flatnonzero(model.output)
        )
        return model.base + inside - saved

    def make_pattern(self, model: Model, keep: Bools, goal: Goal) -> tuple[Pattern, list[Pairs], float]:
        """Bound everything for one choice of what levels keep.

        Parameters
        ----------
        model : Model
            With the prices of this choice.
        keep : bool[L, T]
        goal : Goal

        Returns
        -------
        pattern : Pattern
        pairs : list of Pairs
            By level.
        energy : float
            Lower bound of the energy; infinite where nothing is of interest.

        Raises
        ------
        OutOfTime, OutOfMemory
        """
        space, self._listed = self.space, 0
        levels = len(keep)
        points = len(space.lattice.indices)
        parent = list_parents(keep)
        inside = np.empty((levels, len(space.orders.members) + 1, points))
        around = np.empty((levels, points))
        pairs: list[Pairs] = [None] * levels  # type: ignore[list-item]
        below = np.zeros(1)
        for level in range(levels - 1, -1, -1):
            inside[level], below, pairs[level] = self._bound(model, level, keep, below, goal, family=False)
            around[level] = below
        energy = math.inf if not self.fits(0, keep[0])[-1] else self._whole(model, float(around[0, -1]))
        by_inside = np.argsort(inside[:, -1], axis=1, kind="stable")
        pace = self._pace(model, pairs)
        return Pattern(keep, parent, inside, by_inside, around, self.reach, pace), pairs, energy

    def _least_work(self, model: Model, level: int, child: Ints, spread: Ints) -> Floats:
        """Return the least share of the steps that pairs of a level take."""
        cost = self.space.cost
        if not model.uneven or cost is None or level != cost.design.balance.array - 1:
            return np.full(len(child), model.work)
        share = cost.least_work(self.space.lattice, child, spread, self.space.deadline)
        return share * model.machine.cycles_per_compute

    def _pace(self, model: Model, pairs: list[Pairs]) -> Floats:
        """Return the most compute units that can be used, fewer where they wait for each other.

        Units that wait count for less: steps are computations over units, times the least work.
        """
        cost = self.space.cost
        if not model.uneven or cost is None or cost.design.balance.array == 0:
            return self.reach
        pace, level, lattice = self.reach.copy(), cost.design.balance.array - 1, self.space.lattice
        of = pairs[level]
        share = np.divide(model.work, of.work, out=np.ones(len(of.work)), where=of.work > 0)  # 0 of 0: all
        useful = of.units * share * self.reach[level + 1, of.child]
        units = np.zeros(pace.shape[1])
        np.maximum.at(units, np.repeat(np.arange(len(of.start) - 1), np.diff(of.start)), useful)
        units = -units
        least_inside(units, lattice)
        pace[level] = np.where(units < 0, -units, pace[level])
        for outer in range(level - 1, -1, -1):
            pace[outer] *= pace[outer + 1] / np.maximum(self.reach[outer + 1], 1.0)
        return pace
