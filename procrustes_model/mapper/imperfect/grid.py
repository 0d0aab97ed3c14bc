"""Numbers of passes, how loops lead from one to the next, and tables over all combinations of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from procrustes_model.kernels.dense.arrays import FILL, UNLIMITED, Bools, Floats, Ints
from procrustes_model.kernels.search.arrays import SIMPLE, SKEWED
from procrustes_model.kernels.search.passes_arrays import Grid
from procrustes_model.mapper.deadline import Deadline
from procrustes_model.mapper.space import Space
from procrustes_model.mapper.supply import count_elements, most_shared

PAIRS = 100_000
"""Pairs of factors on x and on y that are looked at at a time."""

SPARED = {SIMPLE: 1 / 3}
"""Part of a tensor that a loop of one iteration in its last pass leaves at most; half of windows."""


def list_passes(bound: int) -> list[int]:
    """Return the numbers of passes that loops may leave of a bound, ceil(bound / z) for any z; most first."""
    return sorted({-(-bound // z) for z in range(1, bound + 1)}, reverse=True)


def list_moves(passes: list[int]) -> list[list[tuple[int, int, int]]]:
    """Return for every number of passes the loops to fewer: index after, factor, iterations in the last pass.

    Of the factors that leave as many, the least is listed, and those that have one iteration or two in the
    last pass.
    """
    index = {n: i for i, n in enumerate(passes)}
    listed = []
    for n in passes:
        moves = []
        for left in (one for one in passes if one < n):
            factors = [-(-n // left)]
            if left > 1:
                factors += [(n - last) // (left - 1) for last in (1, 2) if (n - last) % (left - 1) == 0]
            moves += [
                (index[left], factor, (n - 1) % factor + 1)
                for factor in dict.fromkeys(factors)
                if factor > 1 and -(-n // factor) == left
            ]
        listed.append(moves)
    return listed


def make_grid(bounds: Ints) -> Grid:
    """Return the points of a problem."""
    passes = [list_passes(bound) for bound in bounds.tolist()]
    moves = [list_moves(one) for one in passes]
    counts = np.array([len(one) for one in passes])
    dimensions, longest = len(counts), int(counts.max())
    stride = np.array([math.prod(counts[d + 1 :].tolist()) for d in range(dimensions)])
    most = max(1, *(sum(map(len, one)) for one in moves))
    grid = Grid(
        counts,
        stride,
        np.ones((dimensions, longest), np.int64),
        np.full((dimensions, int(bounds.max()) + 1), -1, np.int64),
        np.zeros((dimensions, longest + 1), np.int64),
        np.ones((dimensions, most, 3), np.int64),
    )
    for d in range(dimensions):
        grid.passes[d, : counts[d]] = passes[d]
        grid.at[d, passes[d]] = np.arange(counts[d])
        grid.first[d, 1 : counts[d] + 1] = np.cumsum([len(one) for one in moves[d]])
        rows = [move for one in moves[d] for move in one]
        if rows:
            grid.moves[d, : len(rows)] = rows
    return grid


@dataclass
class Tables:
    """Bounds over all points, whatever loops are spread over instances.

    Attributes
    ----------
    space : Space
    grid : Grid
    """

    space: Space
    grid: Grid
    elements: Floats = field(init=False)
    sums: Bools = field(init=False)
    _tiles: list[Floats] = field(init=False)
    _filling: dict[tuple[int, bytes, bytes], Floats] = field(default_factory=dict)

    def __post_init__(self) -> None:
        model = self.space.model
        tensors = range(len(model.kind))
        self.elements = np.array([count_elements(model, t) for t in tensors])
        known = (model.kind == SIMPLE) & ~np.bool_(model.problem.gapped)
        self.sums = model.output & known
        self.shape = tuple(self.grid.counts.tolist())
        self.passes = [self.grid.passes[d, :count] for d, count in enumerate(self.shape)]
        self.tile = [-(-bound // n) for bound, n in zip(model.bounds.tolist(), self.passes, strict=True)]
        self._tiles = [self.hold(t, self.tile) for t in tensors]

    def along(self, d: int, values: Floats | Ints) -> Floats:
        """Return numbers by index of a dimension as an array over all points."""
        shape = [1] * len(self.shape)
        shape[d] = len(values)
        return np.asarray(values, float).reshape(shape)

    def hold(self, t: int, covers: list[Ints]) -> Floats:
        """Return the words of tiles that cover so much at every point, by dimension and index."""
        model = self.space.model
        words = np.ones((1,) * len(self.shape))
        for matrix in model.coefficient[t]:
            side = np.ones((1,) * len(self.shape))
            for d in np.flatnonzero(matrix).tolist():
                side = side + matrix[d] * self.along(d, covers[d] - 1)
            words = words * side
        return words

    def fits(self, level: int, kept: Bools, spread: Ints | None = None) -> Bools:
        """Say of every point whether what a level keeps may fit.

        `spread`, int64[D]: instances inside, so that tiles cover a multiple of them.
        """
        machine, tiles = self.space.model.machine, self._tiles
        capacity = int(machine.capacity[level])
        held = np.zeros(self.shape)
        if spread is not None and capacity < UNLIMITED:
            bounds = self.space.model.bounds.tolist()
            sizes = zip(self.tile, spread.tolist(), bounds, strict=True)
            covers = [np.minimum(-(-tile // s) * s, bound) for tile, s, bound in sizes]
            tiles = [self.hold(t, covers) for t in range(len(tiles))]
        for t in np.flatnonzero(kept).tolist():
            held += machine.scale[level, t] * tiles[t]
        return np.asarray(held <= (math.inf if capacity == UNLIMITED else capacity * (1 + 1e-12)))

    def _charge(
        self, t: int, level: int, parent: int, repeats: Floats | float, surplus: Floats | float
    ) -> Floats:
        """Return the least energy of filling a level so often with a tensor, there and at the parent."""
        model, words, mesh = self.space.model, self.elements[t], self.space.mesh
        filled = words * surplus * repeats
        served = words * surplus * np.maximum(1.0, repeats / most_shared(model, mesh[parent:level], t))
        read, _, update = model.word[parent, t]
        if not model.output[t]:
            return np.asarray(filled * model.word[level, t, FILL] + served * read)
        energy = served * update
        if self.sums[t]:
            again = np.maximum(0.0, filled - words * most_shared(model, mesh[:level], t))
            energy = energy + again * model.word[level, t, FILL]
            energy = energy + np.maximum(0.0, served - words * most_shared(model, mesh[:parent], t)) * read
        return np.asarray(energy)

    def fill(self, level: int, kept: Bools, parents: Ints) -> tuple[Floats, float]:
        """Return the least energy of filling a level from every point, whether it fits or not; and at all.

        Parameters
        ----------
        level : int
        kept : bool[T]
        parents : int64[T]
        """
        key = (level, kept.tobytes(), np.where(kept, parents, -1).tobytes())
        filled = np.flatnonzero(kept & (parents >= 0)).tolist()
        once_each = {t: float(self._charge(t, level, int(parents[t]), 1.0, 1.0)) for t in filled}
        if key not in self._filling:
            self.space.deadline.check()
            self._filling[key] = self._fill(level, parents, once_each)
        return self._filling[key], sum(once_each.values())

    def _fill(self, level: int, parents: Ints, once_each: dict[int, float]) -> Floats:
        model, last = self.space.model, level == 1 and self.space.mesh[0] == 1
        least = np.full(self.shape, math.inf)
        least[(-1,) * len(self.shape)] = sum(once_each.values())
        repeated: dict[int, Floats] = {}
        for t in once_each:
            repeats = np.ones((1,) * len(self.shape))
            for d in np.flatnonzero(model.irrelevant[t]).tolist():
                repeats = repeats * self.along(d, self.passes[d])
            if not last:
                repeats = 1.0 + (repeats - 1.0) * (1.0 - SPARED.get(int(model.kind[t]), 1 / 2))
            if model.kind[t] == SKEWED:
                repeats = np.ones_like(repeats)
            repeated[t] = repeats
        moved: dict[tuple[int, int], Floats] = {}
        for d in range(len(self.shape)):
            if self.shape[d] == 1:
                continue
            total = np.zeros(self.shape)
            n = self.passes[d]
            surplus = (
                self.along(d, np.where(n >= 3, n * self.tile[d] / model.bounds[d], 1.0)) if last else 1.0
            )
            for t, alone in once_each.items():
                if model.irrelevant[t, d]:
                    total += alone
                    continue
                which = (t, d if last and model.kind[t] == SIMPLE else -1)
                if which not in moved:
                    more = surplus if model.kind[t] == SIMPLE else 1.0
                    moved[which] = self._charge(t, level, int(parents[t]), repeated[t], more)
                total += moved[which]
            least = np.where(self.along(d, n) > 1, np.minimum(least, total), least)
        return least

    def stand_for_more(self, table: Floats) -> Floats:
        """Return the least entry of all points that a point leads to."""
        for d in range(len(self.shape)):
            table = np.flip(np.minimum.accumulate(np.flip(table, d), axis=d), d)
        return table

    def computing(self, t: int, parent: int) -> float:
        """Return the least energy at the level that serves the compute units."""
        model, words = self.space.model, float(self.space.model.computes)
        served = max(self.elements[t], words / most_shared(model, self.space.mesh[parent:], t))
        read, _, update = model.word[parent, t]
        if not model.output[t]:
            return float(served * read)
        shared = most_shared(model, self.space.mesh[:parent], t)
        more = max(0.0, served - self.elements[t] * shared) if self.sums[t] else 0.0
        return float(served * update + more * read)


def list_vectors(size: int, most: Ints, limit: int) -> Ints | None:
    """Return all ways to give instances of an axis to dimensions, int64[n, D]; None for too many."""
    rows = np.ones((1, len(most)), np.int64)
    for d in range(len(most)):
        counts = np.minimum(size // rows.prod(axis=1), most[d])
        if counts.sum() > limit:
            return None
        rows = np.repeat(rows, counts, axis=0)
        ends = np.cumsum(counts)
        rows[:, d] = np.arange(len(rows)) - np.repeat(ends - counts, counts) + 1
    return rows


def list_spreads(
    fanout: list[tuple[int, int]], limits: Ints, bounds: Ints, limit: int, deadline: Deadline | None = None
) -> Ints | None:
    """Return ways to spread loops over instances: factors on x and y, int64[n, L, 2, D]; None for too many.

    Parameters
    ----------
    fanout : list of (int, int)
        Columns and rows below every level.
    limits : int64[L, 2, D]
        The largest factors.
    bounds : int64[D]
    limit : int
    deadline : Deadline, optional

    Raises
    ------
    OutOfTime
    """
    clock = deadline or Deadline()
    chosen = np.ones((1, 0, 2, len(bounds)), np.int64)
    for level, sizes in enumerate(fanout):
        axes = []
        for axis, size in enumerate(sizes):
            rows = list_vectors(size, np.minimum(limits[level, axis], bounds), limit)
            if rows is None:
                return None
            axes.append(rows)
        x, y = axes
        if len(x) * len(y) > 20 * limit:
            return None
        both, size = np.zeros((0, 2, len(bounds)), np.int64), max(1, PAIRS // max(1, len(y)))
        for first in range(0, len(x), size):
            clock.check()
            some = x[first : first + size]
            pairs = np.stack((np.repeat(some, len(y), axis=0), np.tile(y, (len(some), 1))), axis=1)
            both = np.concatenate((both, pairs[(pairs.prod(axis=1) < 2 * bounds).all(axis=1)]))
            _, alone = np.unique(both.prod(axis=1), axis=0, return_index=True)
            both = both[np.sort(alone)]
            if len(chosen) * len(both) > limit:
                return None
        left = np.repeat(chosen, len(both), axis=0)
        right = np.tile(both, (len(chosen), 1, 1))[:, None]
        chosen = np.concatenate((left, right), axis=1)
        total = chosen.prod(axis=(1, 2))
        chosen = chosen[(total < 2 ** (level + 1) * bounds).all(axis=1)]
    return chosen
