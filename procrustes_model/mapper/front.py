"""The front of energy against cycles so far: what a search keeps when no one objective is given."""

from __future__ import annotations

import math
from bisect import insort
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, Floats, Ints, NestArrays
from procrustes_model.kernels.search.arrays import SLACK, Goal
from procrustes_model.kernels.search.goal import is_better
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.result import Certificate, Improvement
from procrustes_model.objective import OBJECTIVES, Objective


@dataclass(frozen=True, order=True)
class Point:
    """A mapping on the front.

    Attributes
    ----------
    cycles, energy : float
    nests : NestArrays
        A batch of one.
    """

    cycles: float
    energy: float
    nests: NestArrays = field(compare=False)


@dataclass
class FrontIncumbent(Incumbent):
    """All mappings so far to which no other is preferable in both energy and cycles.

    What an `Incumbent` has as its best is the one of least objective: it orders what is searched, and is
    reported. What may be left out is decided by the whole front.

    Attributes
    ----------
    points : list of Point
        Fewest cycles first.
    """

    seeks_front: ClassVar[bool] = True

    points: list[Point] = field(default_factory=list)
    _front: Floats = field(default_factory=lambda: np.array([[0.0, math.inf]]))

    @property
    def goal(self) -> Goal:
        """What a mapping must beat that is to be on the front."""
        return super()._goal()._replace(front=self._front)

    @property
    def walking_goal(self) -> Goal:
        """What random walks try to beat: they lead to one point."""
        return super()._goal(self.value, self.energy)

    def may_improve(self, dynamic: Floats, cycles: Floats) -> Bools:
        """Say of N lower bounds whether they may belong to a mapping that no point is as good as."""
        of_faster = self._front[np.searchsorted(self._front[:, 0], cycles, side="right") - 1, 1]
        energy = np.maximum(0.0, dynamic + self.power * cycles)
        return np.asarray(self.may_beat(dynamic, cycles) & (energy < of_faster * (1 - SLACK)))

    def offer(self, energy: float, cycles: float, nests: NestArrays, last: Ints | None = None) -> None:
        """Take a mapping of whole passes if it is on the front, and drop those that it replaces."""
        assert last is None
        if not math.isfinite(energy) or not is_better(self.goal, energy, cycles):
            return
        own = NestArrays(nests.temporal.copy(), nests.order.copy(), nests.spatial.copy(), nests.keep.copy())
        self.points = [one for one in self.points if one.cycles < cycles or one.energy < energy]
        insort(self.points, Point(cycles, energy, own))
        self._front = np.array([[0.0, math.inf], *([one.cycles, one.energy] for one in self.points)])
        if self.score(energy, cycles) < self.value:
            self.energy, self.cycles, self.nests = energy, cycles, own
        self.history.append(Improvement(self.elapsed, energy, cycles))
        self.tell()

    def certify(self, whole: Certificate) -> list[tuple[Point, Objective, Certificate]]:
        """Return the points, least energy first, with what each is proven to be the best of.

        Each has the least energy of all mappings that take fewer cycles than the point before. What a cut
        search has left open has a product of energy and cycles of at least its lower bound, and so at least
        that bound over those cycles in energy.

        Parameters
        ----------
        whole : Certificate
            Of the search.
        """
        found, within = [], self.objective.most_cycles
        for point in reversed(self.points):
            aim = replace(OBJECTIVES["energy"], most_cycles=within, most_energy=self.objective.most_energy)
            bound = point.energy if whole.proven else min(point.energy, whole.lower_bound / within)
            proven = bound >= point.energy * (1 - SLACK)
            found.append((point, aim, replace(whole, proven=proven, value=point.energy, lower_bound=bound)))
            within = max(1.0, point.cycles - 1)
        return found
