"""The best mapping so far, and what a running search tells about itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, Floats, Ints, NestArrays
from procrustes_model.kernels.search.arrays import SLACK, Goal
from procrustes_model.kernels.search.goal import (
    energy_limit,
    is_better,
    may_be_better,
    score,
    score_all,
)
from procrustes_model.mapper.deadline import Deadline
from procrustes_model.mapper.result import Improvement
from procrustes_model.objective import Objective

_NO_FRONT = np.zeros((0, 2))


@dataclass(frozen=True)
class Progress:
    """A moment of a running search.

    Attributes
    ----------
    seconds : float
    energy_pj, cycles : float
        Of the best mapping so far; infinite while there is none.
    value, lower_bound : float
        Objective of that mapping, and its lower bound; 0 while nothing is known.
    measured : int
        Mappings evaluated.
    share : float
        How much of the work is done, from 0 to 1, as far as it can be told.
    """

    seconds: float
    energy_pj: float
    cycles: float
    value: float
    lower_bound: float
    measured: int
    share: float


def select(nests: NestArrays, rows: Ints | slice) -> NestArrays:
    """Return some mappings of a batch: copies, but where rows are a slice."""
    return NestArrays(nests.temporal[rows], nests.order[rows], nests.spatial[rows], nests.keep[rows])


@dataclass
class Incumbent:
    """The best mapping so far.

    Attributes
    ----------
    objective : Objective
    deadline : Deadline
    report : callable, optional
        Called with `Progress` now and then.
    power : float
        pJ that every mapping spends per cycle. Measured energies hold it; bounds inside the search do not:
        they are on *dynamic* energy.
    """

    seeks_front: ClassVar[bool] = False

    objective: Objective
    deadline: Deadline = field(default_factory=Deadline)
    report: Callable[[Progress], None] | None = None
    power: float = 0.0
    energy: float = math.inf
    cycles: float = math.inf
    nests: NestArrays | None = None
    last: Ints | None = None
    measured: int = 0
    lower_bound: float = 0.0
    share: float = 0.0
    interrupted: bool = False
    history: list[Improvement] = field(default_factory=list)

    @property
    def elapsed(self) -> float:
        """Seconds since the search began."""
        return self.deadline.elapsed

    @property
    def late(self) -> bool:
        """Whether the time limit is over."""
        return self.deadline.late

    @property
    def value(self) -> float:
        """Objective of the best mapping; infinite while there is none."""
        return self.score(self.energy, self.cycles)

    @property
    def goal(self) -> Goal:
        """What a better mapping must beat."""
        return self._goal(self.value, self.energy)

    @property
    def walking_goal(self) -> Goal:
        """What random walks try to beat."""
        return self.goal

    @property
    def ceiling(self) -> float:
        """The objective above which nothing is of interest."""
        return math.inf if self.seeks_front else self.value

    @property
    def improvable(self) -> float:
        """The largest bound of the objective under which something may be better."""
        return self.ceiling if self.objective.energy_power == 0 else self.ceiling * (1 - SLACK)

    def _goal(self, value: float = math.inf, energy: float = math.inf) -> Goal:
        aim = self.objective
        return Goal(
            float(aim.energy_power),
            float(aim.cycles_power),
            float(value),
            float(energy),
            float(aim.most_cycles),
            float(aim.most_energy),
            float(self.power),
            _NO_FRONT,
        )

    def score(self, energy: float, cycles: float) -> float:
        """Return the objective of a mapping, from its whole energy and its cycles."""
        return score(self._goal(), float(energy), float(cycles))

    def score_bound(self, dynamic: float, cycles: float) -> float:
        """Return what the objective does not fall below, from lower bounds on dynamic energy and cycles."""
        return self.score(max(0.0, dynamic + self.power * cycles), cycles)

    def score_all(self, energy: Floats, cycles: Floats) -> Floats:
        """Return the objective of N mappings; see `score`."""
        return score_all(self._goal(), np.ascontiguousarray(energy), np.ascontiguousarray(cycles))

    def score_bounds(self, dynamic: Floats, cycles: Floats) -> Floats:
        """Return N lower bounds of the objective; see `score_bound`."""
        return self.score_all(np.maximum(0.0, dynamic + self.power * cycles), cycles)

    def reaches(self, energy: float, cycles: float, dynamic: float, least_cycles: float) -> bool:
        """Say whether a mapping comes to lower bounds on dynamic energy and cycles: nothing there is better.

        Parameters
        ----------
        energy, cycles : float
            Of the mapping.
        dynamic, least_cycles : float
        """
        if self.objective.energy_power == 0 or self.seeks_front:  # neither makes up for the other
            bound = dynamic + self.power * cycles
            return cycles == least_cycles and energy * (1 - SLACK) <= bound
        return self.score(energy, cycles) * (1 - SLACK) <= self.score_bound(dynamic, least_cycles)

    def excludes(self, dynamic: float, cycles: float) -> bool:
        """Say whether no mapping with at least this dynamic energy and these cycles can be better."""
        return dynamic > energy_limit(self.goal, float(cycles))

    def may_beat(self, dynamic: Floats, cycles: Floats) -> Bools:
        """Say of N lower bounds on dynamic energy and cycles whether they may belong to a better mapping."""
        return may_be_better(self.goal, np.ascontiguousarray(dynamic), np.ascontiguousarray(cycles))

    def may_improve(self, dynamic: Floats, cycles: Floats) -> Bools:
        """Say the same, but not of what is at most as good as the best so far."""
        return np.isfinite(dynamic) & (self.score_bounds(dynamic, cycles) <= self.improvable)

    def offer(self, energy: float, cycles: float, nests: NestArrays, last: Ints | None = None) -> None:
        """Take a mapping, with factors in last passes or None, if it is better than the best so far."""
        if math.isfinite(energy) and is_better(self.goal, energy, cycles):
            self.energy, self.cycles, self.last = energy, cycles, None if last is None else last.copy()
            self.nests = NestArrays(
                nests.temporal.copy(), nests.order.copy(), nests.spatial.copy(), nests.keep.copy()
            )
            self.history.append(Improvement(self.elapsed, energy, cycles))
            self.tell()

    def offer_all(self, valid: Bools, energy: Floats, cycles: Floats, nests: NestArrays, last: Ints) -> None:
        """Take the best of N mappings with last passes, the first of equals, if it is better."""
        rows = np.flatnonzero(valid & self.objective.allows(energy, cycles))
        if not len(rows):
            return
        best = rows[np.lexsort((energy[rows], self.score_all(energy[rows], cycles[rows])))[:1]]
        self.offer(float(energy[best[0]]), float(cycles[best[0]]), select(nests, best), last[best])

    def tell(self) -> None:
        """Report progress."""
        if self.report:
            self.report(
                Progress(
                    self.elapsed,
                    self.energy,
                    self.cycles,
                    self.value,
                    self.lower_bound,
                    self.measured,
                    self.share,
                )
            )
