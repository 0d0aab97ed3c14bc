"""Choices of what levels keep, decided by shortest paths over few ways to spread loops at a time.

Where there are many ways, those that take the fewest steps come first: what they find excludes most others by
their steps, and choices by what every element takes at least.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, Floats, Ints
from procrustes_model.kernels.search.bounds import least_steps
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.optimal.compulsory import Compulsory
from procrustes_model.mapper.optimal.paths import Paths
from procrustes_model.mapper.optimal.sparse_paths import SparsePaths
from procrustes_model.mapper.optimal.spreads import list_spreads
from procrustes_model.mapper.optimal.tables import Tables

Queue = list[tuple[float, int, Bools]]

_Known = tuple[float, float, int, Bools]
"""A choice: the least energy of all its mappings; bound, number, what levels keep."""

MOST_LISTED = 1_000_000
"""Ways that are listed at a time."""

ALL_WAYS = 1_000_000
"""Combinations of the vectors of all levels of which ways are listed at once, whatever their units."""

AT_ONCE = 2_000_000
"""Ways, times choices, that are looked at at once."""

MANY = 50_000
"""Ways, times choices, of which walks find good mappings sooner than paths, where something is zero."""

MOST_SPARSE = 200_000
"""Ways that are looked at at once where something is zero: bounds of all of them say what is nearest."""

FIRST_WAYS, LATER_WAYS = 2_000, 20_000
"""Ways of the first part and of others."""

FIRST_CHOICES, PROBED = 64, 2
"""Choices of which some ways are looked at before all, to have a good mapping early; how many."""

SHELL = 2.0
"""Ways that use fewer compute units than others by this are listed later."""


@dataclass
class ManyPaths:
    """Decides choices of what levels keep.

    Attributes
    ----------
    tables : Tables
    incumbent : Incumbent
    walk : callable, optional
        Finds good mappings at random: called where something is zero and there is much to look at.
    walked : int
        Paths whose nest was evaluated.
    """

    tables: Tables
    incumbent: Incumbent
    walk: Callable[[], None] | None = None
    walked: int = 0
    _paths: Paths | None = None
    _compulsory: Compulsory | None = None

    def decide(self, queue: Queue) -> Queue:
        """Return the choices that are not decided, with higher bounds of the objective, least first.

        Parameters
        ----------
        queue : list of (float, int, bool[L, T])
            Bound, number and what levels keep.

        Raises
        ------
        OutOfTime
        """
        tables, levels = self.tables, range(self.tables.space.levels)
        spreads = None
        if math.prod(len(tables.spatial_points(level)) for level in levels) <= ALL_WAYS:
            spreads = list_spreads(tables, MOST_LISTED)
        if self.walk is not None and (spreads is None or len(spreads) * len(queue) > MANY):
            self.walk()
        if spreads is not None and self._are_few(len(spreads), len(queue)):
            paths = self._make_paths(spreads)
            left = paths.decide(queue) if len(spreads) else []  # else no mapping is valid
            self.walked = paths.walked
            return left
        left = self._decide_shells(queue, spreads)
        self.walked = 0 if self._paths is None else self._paths.walked
        return left

    def _make_paths(self, spreads: Ints) -> Paths:
        kind = Paths if self.tables.space.cost is None else SparsePaths
        return kind(self.tables, self.incumbent, spreads=spreads)

    def _are_few(self, ways: int, choices: int) -> bool:
        """Say whether so many ways are looked at at once."""
        space = self.tables.space
        if space.cost is not None:
            return ways <= MOST_SPARSE
        return ways <= FIRST_WAYS or (ways * choices <= AT_ONCE and not space.model.machine.wires.any)

    def _least_energy(self, keep: Bools) -> float:
        """Return what mappings cost at least by what every element takes, whatever the way."""
        space = self.tables.space
        if space.cost is not None and not space.cost.relaxation.is_valid:
            return 0.0
        if self._compulsory is None:
            self._compulsory = Compulsory(space, whole=True)
        return self._compulsory.energy(keep)

    def _decide_shells(self, queue: Queue, spreads: Ints | None) -> Queue:
        """Return what `decide` does: ways with the most compute units first, or those that are given."""
        incumbent = self.incumbent
        known = sorted(
            ((self._least_energy(keep), bound, number, keep) for bound, number, keep in queue),
            key=lambda row: row[:3],
        )
        known = [row for row in known if math.isfinite(row[0])]
        cycles, left = self._fewest_cycles(), _Left()
        below, least = math.inf, float(self.tables.reach[0, -1]) / SHELL if spreads is None else 0.0
        while below > 1:
            steps = self._count_steps(np.array([min(below, float(self.tables.reach[0, -1]))]), cycles)
            open_rows = self._keep_open(known, float(steps[0]))
            if not open_rows:
                break
            if spreads is None and not incumbent.late:
                spreads = list_spreads(self.tables, MOST_LISTED, least, below)
            if spreads is None:
                left.add(open_rows)
                break
            self._decide_parts(known, spreads, cycles, left)
            spreads, below, least = None, least, least / SHELL if least > 1 else 0.0
        return left.list(incumbent.improvable)

    def _keep_open(self, known: list[_Known], steps: float) -> Queue:
        """Return the choices that may be better with so many steps, with their bounds."""
        found = [
            (max(bound, self.incumbent.score_bound(energy, steps)), number, keep)
            for energy, bound, number, keep in known
        ]
        return [row for row in found if row[0] <= self.incumbent.improvable]

    def _count_steps(self, units: Floats, cycles: float) -> Floats:
        """Return the least cycles of ways that use so many compute units; `cycles`: of all ways."""
        model = self.tables.space.model
        values, index = np.unique(units, return_inverse=True)
        steps = np.array([least_steps(model.computes, float(n), model.work) for n in values])
        return np.asarray(np.maximum(steps[index], cycles))

    def _fewest_cycles(self) -> float:
        """Return the cycles that it takes to move every element once out of, or into, the outermost level."""
        space, model = self.tables.space, self.tables.space.model
        if self._compulsory is None:  # words may cost nothing
            return 0.0
        elements = self._compulsory.elements
        words = np.zeros(2)
        for t in np.flatnonzero((model.machine.home == 0) & (space.rules.keep[0] > 0)).tolist():
            out = int(model.output[t])
            words[out] += elements[t] * float(model.moved[0, t, out])
        return float((np.array([*words, words.sum()]) / model.bandwidth[0]).max()) * (1 - 1e-12)

    def _decide_parts(self, known: list[_Known], spreads: Ints, cycles: float, left: _Left) -> None:
        """Decide choices part by part of some ways, fewest steps first; add what is not decided to `left`."""
        incumbent, volume = self.incumbent, self.tables.space.lattice.value.astype(float).prod(axis=1)
        steps = self._count_steps(volume[spreads].prod(axis=1), cycles)
        order = np.argsort(steps, kind="stable")
        spreads, steps = spreads[order], steps[order]
        first, size = 0, FIRST_WAYS
        while first < len(spreads):
            open_rows = self._keep_open(known, float(steps[first]))
            if not open_rows:
                return
            if incumbent.late:
                left.add(open_rows)
                return
            part = spreads[first : first + size]
            if self._paths is None:
                self._paths = self._make_paths(part)
                self._paths.probe([row[-1] for row in known[:FIRST_CHOICES]], PROBED)
                open_rows = self._keep_open(known, float(steps[first]))
            else:
                self._paths.spread_over(part)
            left.add(self._paths.decide(open_rows))
            first, size = first + size, LATER_WAYS


@dataclass
class _Left:
    """Choices that are not decided, each with the least of its bounds."""

    rows: dict[int, tuple[float, int, Bools]] = field(default_factory=dict)

    def add(self, queue: Queue) -> None:
        """Take some choices in."""
        for bound, number, keep in queue:
            if number not in self.rows or bound < self.rows[number][0]:
                self.rows[number] = bound, number, keep

    def list(self, most: float) -> Queue:
        """Return those that may be better than a value, least bound first."""
        return sorted((row for row in self.rows.values() if row[0] <= most), key=lambda row: row[:2])
