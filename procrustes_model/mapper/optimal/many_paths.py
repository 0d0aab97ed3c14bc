"""Choices of what levels keep, decided by shortest paths over few ways to spread loops at a time.

Where there are many ways, those that take the fewest steps come first: what they find excludes most others by
their steps, and choices by what every element takes at least.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, Floats, Ints
from procrustes_model.kernels.search.bounds import least_steps
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.optimal.compulsory import Compulsory
from procrustes_model.mapper.optimal.paths import Paths
from procrustes_model.mapper.optimal.spreads import list_spreads
from procrustes_model.mapper.optimal.tables import Tables

Queue = list[tuple[float, int, Bools]]

MOST_WAYS = 3_000_000
"""Ways that are listed."""

AT_ONCE = 2_000_000
"""Ways, times choices, that are looked at at once."""

FIRST_WAYS, LATER_WAYS, FIRST_CHOICES = 2_000, 20_000, 16
"""Ways of the first part and of others; choices that are decided before all."""


@dataclass
class ManyPaths:
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
        spreads = list_spreads(self.tables, MOST_WAYS)
        if spreads is None:
            return queue
        if not len(spreads):
            return []  # no mapping is valid
        few = len(spreads) * len(queue) <= AT_ONCE
        if few and not (self.tables.space.model.machine.wires.any and len(spreads) > FIRST_WAYS):
            paths = Paths(self.tables, self.incumbent, spreads=spreads)
            left = paths.decide(queue)
        else:
            compulsory = Compulsory(self.tables.space, whole=True)
            steps = self._count_steps(spreads, compulsory.elements)
            order = np.argsort(steps, kind="stable")
            paths = Paths(self.tables, self.incumbent, spreads=spreads[order[:FIRST_WAYS]])
            left = self._decide_parts(paths, compulsory, queue, spreads[order], steps[order])
        self.walked = paths.walked
        return left

    def _count_steps(self, spreads: Ints, elements: list[float]) -> Floats:
        """Return the least cycles of all ways."""
        lattice, model = self.tables.space.lattice, self.tables.space.model
        volume = lattice.value.astype(float).prod(axis=1)
        units, index = np.unique(volume[spreads].prod(axis=1), return_inverse=True)
        steps = np.array([least_steps(model.computes, float(n), model.work) for n in units])
        return np.asarray(np.maximum(steps[index], self._fewest_cycles(elements)))

    def _fewest_cycles(self, elements: list[float]) -> float:
        """Return the cycles that it takes to move every element once out of, or into, the outermost level."""
        space, model = self.tables.space, self.tables.space.model
        words = np.zeros(2)
        for t in np.flatnonzero((model.machine.home == 0) & (space.rules.keep[0] > 0)).tolist():
            words[int(model.output[t])] += elements[t] * float(model.machine.scale[0, t])
        return float((np.array([*words, words.sum()]) / model.bandwidth[0]).max()) * (1 - 1e-12)

    def _decide_parts(
        self, paths: Paths, compulsory: Compulsory, queue: Queue, spreads: Ints, steps: Floats
    ) -> Queue:
        """Return what `decide` does, of ways in order of their steps."""
        incumbent = self.incumbent
        left: dict[int, tuple[float, int, Bools]] = {}
        known = [(compulsory.energy(keep), bound, number, keep) for bound, number, keep in queue]
        known.sort(key=lambda row: row[:3])
        paths.decide([row[1:] for row in known[:FIRST_CHOICES]])
        first, size = 0, FIRST_WAYS
        while first < len(spreads):
            score = [incumbent.score_bound(row[0], float(steps[first])) for row in known]
            open_rows = [
                (max(least, bound), number, keep)
                for least, (energy, bound, number, keep) in zip(score, known, strict=True)
                if math.isfinite(energy) and least <= incumbent.improvable
            ]
            if not open_rows:
                break
            if incumbent.late:
                rows = open_rows
            else:
                paths.spread_over(spreads[first : first + size])
                rows = paths.decide(open_rows)
            for bound, number, keep in rows:
                left[number] = min(bound, left[number][0] if number in left else math.inf), number, keep
            if incumbent.late and rows is open_rows:
                break
            first, size = first + size, LATER_WAYS
        found = [row for row in left.values() if row[0] <= incumbent.improvable]
        return sorted(found, key=lambda row: row[:2])
