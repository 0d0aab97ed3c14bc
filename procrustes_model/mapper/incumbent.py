"""The best mapping so far, and what a running search tells about itself."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, Floats, Ints, NestArrays
from procrustes_model.kernels.search.arrays import CYCLES, EDP, ENERGY, SLACK, Goal
from procrustes_model.kernels.search.finish import is_better
from procrustes_model.mapper.result import Improvement

OBJECTIVES = {"energy": ENERGY, "edp": EDP, "cycles": CYCLES}


@dataclass(frozen=True)
class Progress:
    """A moment of a running search.

    Attributes
    ----------
    seconds : float
    energy_pj, cycles : float
        Of the best mapping so far; infinite while there is none.
    lower_bound : float
        Of the objective; 0 while nothing is known.
    measured : int
        Mappings evaluated.
    share : float
        How much of the work is done, from 0 to 1, as far as it can be told.
    """

    seconds: float
    energy_pj: float
    cycles: float
    lower_bound: float
    measured: int
    share: float


def select(nests: NestArrays, rows: Ints) -> NestArrays:
    """Return copies of some mappings of a batch."""
    return NestArrays(nests.temporal[rows], nests.order[rows], nests.spatial[rows], nests.keep[rows])


@dataclass
class Incumbent:
    """The best mapping so far.

    Attributes
    ----------
    kind : int
        ENERGY, EDP or CYCLES.
    seconds : float, optional
        Time limit.
    report : callable, optional
        Called with `Progress` now and then.
    most : float
        Cycles that a mapping may take.
    """

    kind: int
    seconds: float | None = None
    report: Callable[[Progress], None] | None = None
    most: float = math.inf
    energy: float = math.inf
    cycles: float = math.inf
    nests: NestArrays | None = None
    last: Ints | None = None
    measured: int = 0
    lower_bound: float = 0.0
    share: float = 0.0
    interrupted: bool = False
    history: list[Improvement] = field(default_factory=list)
    begun: float = field(default_factory=time.perf_counter)

    @property
    def elapsed(self) -> float:
        """Seconds since the search began."""
        return time.perf_counter() - self.begun

    @property
    def late(self) -> bool:
        """Whether the time limit is over."""
        return self.seconds is not None and self.elapsed > self.seconds

    @property
    def value(self) -> float:
        """Objective of the best mapping: energy, energy times cycles, or cycles."""
        return self.score(self.energy, self.cycles)

    @property
    def goal(self) -> Goal:
        """What a better mapping must beat."""
        value = self.energy * self.cycles if self.kind == EDP else self.energy
        return Goal(self.kind, value, self.cycles, self.most)

    def score(self, energy: float, cycles: float) -> float:
        """Return the objective of a mapping."""
        if self.kind == ENERGY:
            return energy
        return energy * cycles if self.kind == EDP else cycles

    def excludes(self, energy: float, cycles: float) -> bool:
        """Say whether no mapping with at least this energy and these cycles can be better."""
        if cycles > self.most:
            return True
        if self.kind == CYCLES and cycles == self.cycles:
            return energy > self.energy * (1 + SLACK)
        return self.score(energy, cycles) > self.value * (1 + SLACK)

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
        rows = np.flatnonzero(valid & (cycles <= self.most))
        if not len(rows):
            return
        scores = {ENERGY: energy, EDP: energy * cycles, CYCLES: cycles}[self.kind]
        best = rows[np.lexsort((energy[rows], scores[rows]))[:1]]
        self.offer(float(energy[best[0]]), float(cycles[best[0]]), select(nests, best), last[best])

    def tell(self) -> None:
        """Report progress."""
        if self.report:
            self.report(
                Progress(self.elapsed, self.energy, self.cycles, self.lower_bound, self.measured, self.share)
            )
