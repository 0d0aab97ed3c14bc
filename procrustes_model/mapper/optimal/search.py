"""The best mapping of the whole space, with proof.

Shortest paths come first (`paths`, `sparse_paths`): they decide most choices of what levels keep. What they
leave, and what they do not know, is searched by partial mappings (`labels`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools
from procrustes_model.kernels.search.arrays import SLACK
from procrustes_model.kernels.search.bounds import least_steps
from procrustes_model.kernels.search.expand import HOPELESS, MEASURED, NARROWED
from procrustes_model.mapper.deadline import Deadline, OutOfTime
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.optimal.compulsory import Compulsory
from procrustes_model.mapper.optimal.labels import Labels, Left
from procrustes_model.mapper.optimal.many_paths import ManyPaths
from procrustes_model.mapper.optimal.paths import is_eligible
from procrustes_model.mapper.optimal.relaxation import Relaxation
from procrustes_model.mapper.optimal.tables import OutOfMemory, Tables
from procrustes_model.mapper.random_search import SPARSE_WALK, WALK, search_random
from procrustes_model.mapper.result import Certificate
from procrustes_model.mapper.space import Space

WALKS = 8
"""Random walks before the search: what they find lets bounds cut from the start."""

SPARSE_WALKS = 32
"""The same where something is zero, and walks are shorter."""

PATH_WALKS = 4
"""The same before shortest paths, whose nests are better than what walks find."""

LATE = 0.2
"""Seconds that a bound of all mappings may take where the time is out."""

SMALL = 1e12
"""Mappings of a space for which one short walk is enough."""


@dataclass
class Optimal:
    """One search for the best mapping.

    Attributes
    ----------
    space : Space
    incumbent : Incumbent
    threads : int
    paths : bool
        Whether shortest paths come first, where they bound anything (`paths`).
    before_labels : callable, optional
        Called before labels are grown after all, with whether something is zero: to compile what that takes,
        which no time limit counts.
    """

    space: Space
    incumbent: Incumbent
    threads: int = 1
    paths: bool = True
    before_labels: Callable[[bool], None] | None = None
    tables: Tables = field(init=False)
    labels: Labels | None = field(default=None, init=False)
    left: Left = field(default_factory=Left, init=False)
    path_bound: float = field(default=0.0, init=False)
    patterns: int = field(default=0, init=False)
    patterns_pruned: int = field(default=0, init=False)
    on_paths: bool = field(init=False)
    proof: str = field(default="labels", init=False)
    walked: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        # where something is zero, paths measure what is near one objective
        known = self.space.cost is None or not self.incumbent.seeks_front
        self.on_paths = self.paths and known and is_eligible(self.space)

    def run(self, seed: int = 0) -> Certificate:
        """Search until the best mapping is proven or the time is out.

        Parameters
        ----------
        seed : int
            Of the random walks at the start.

        Returns
        -------
        Certificate
        """
        self.space.check_memory()
        if not self.on_paths:  # these find good mappings themselves
            self._warm_up(seed)
        try:
            self.tables = Tables(self.space)
            if not self.on_paths:  # whose own bounds hold
                self._bound_apart()
            queue = self._walk_paths(self._rank_patterns(), seed)
            if queue:
                self.labels = Labels(self.space, self.incumbent, self.tables, self.threads, self.left)
                self.labels.run(queue)
        except OutOfTime:
            self.left.leave(self._least_of_all())
        if not self.left.complete:
            self._bound_late()
        if self.on_paths and self.incumbent.nests is None and not (self.walked or self.left.complete):
            self._warm_up(seed)  # the time was out before a path was found
        return self._certify()

    def least(self) -> float:
        """Bound the objective of all mappings, before a search, by what every element takes at least."""
        least = self._least_of_all()
        if self.space.cost is not None:
            return least
        units = min(self.space.architecture.instances(self.space.levels), self.space.model.computes)
        steps = least_steps(self.space.model.computes, units, self.space.model.work)
        with suppress(OutOfTime):
            least = max(least, self.incumbent.score_bound(Compulsory(self.space, whole=True).least(), steps))
        return least

    def _least_of_all(self) -> float:
        """Return what the objective of no mapping falls below, before anything has been looked at."""
        model, units = self.space.model, self.space.architecture.instances(self.space.levels)
        energy, work = model.base, model.work
        if self.space.cost is not None and not self.space.cost.relaxation.has_prices:
            energy, work = self.space.cost.relaxation.computing_alone(model.computes)
        steps = least_steps(model.computes, min(units, model.computes), work)
        return self.incumbent.score_bound(energy, steps)

    def _warm_up(self, seed: int, *, before_paths: bool = True) -> None:
        """Find good mappings at random: what they cost lets bounds cut from the start.

        `before_paths`: whether paths, where they are looked for, find good mappings themselves.
        """
        ways, length = self._walks(self.on_paths and before_paths)
        self.walked = True
        with self.incumbent.deadline.counted_later(ways * length):
            search_random(
                self.space,
                self.incumbent,
                mappings=ways * length,
                seed=seed,
                threads=self.threads,
                ways=max(1, ways // 2),
                length=length,
            )

    def _walks(self, on_paths: bool) -> tuple[int, int]:
        """Return how many walks come before the search, and the steps of each.

        They are worth their time as long as the search takes longer, and it takes longer the larger the
        space is, though not in proportion. Where nothing else finds the best mapping, walks stay long.
        """
        size, cost = self.space.size(), self.space.cost
        small = size is not None and size <= SMALL
        if cost is None:
            ways, length = (1, WALK // 4) if small or on_paths else (WALKS, WALK)
        else:
            ways = PATH_WALKS if on_paths and cost.relaxation.has_prices else SPARSE_WALKS
            length = SPARSE_WALK // 10 if small else SPARSE_WALK // 2
        if small and size is not None:
            if cost is not None and cost.relaxation.is_valid:
                length = int(length * (size / SMALL) ** (1 / 3))
            length = max(1, min(length, -(-size // ways)))  # no more than there are
        return ways, length

    @property
    def measured(self) -> int:
        """Mappings that were measured at the ends of partial ones."""
        return int(self.labels.counted[MEASURED]) if self.labels else 0

    def _certify(self) -> Certificate:
        incumbent, labels, left = self.incumbent, self.labels, self.left
        # Plain numbers, whatever the kernels returned: certificates are written as JSON.
        bound = float(max(0.0, min(incumbent.value, left.bound)))
        cost = self.space.cost
        if cost is not None and not cost.relaxation.is_valid:
            if self.path_bound >= incumbent.value * (1 - SLACK):
                left.apart = self.path_bound
            elif left.apart is None:
                late = incumbent.deadline.limited
                left.apart = self._least_of_all() if late else self._bound_without_overlap(cost.relaxation)
            bound = float(min(incumbent.value, max(self.path_bound, left.apart)))
        return Certificate(
            proven=bool(left.complete and bound >= incumbent.value * (1 - SLACK)),
            value=float(incumbent.value),
            lower_bound=bound,
            mapspace=self.space.size(),
            complete=left.complete,
            crowded=left.crowded,
            proof=self.proof,
            patterns=self.patterns,
            patterns_pruned=self.patterns_pruned + (labels.patterns_pruned if labels else 0),
            measured=incumbent.measured + self.measured,
            pruned={} if self.proof == "paths" else self._count_pruned(),
        )

    def _count_pruned(self) -> dict[str, int]:
        """Return how many labels arguments have excluded."""
        counted = self.labels.counted if self.labels else np.zeros(6, np.int64)
        return {
            "bound of a tile": int(counted[NARROWED]),
            "bound with exact refetches": int(counted[HOPELESS]),
            "dominated": self.labels.dominated if self.labels else 0,
        }

    def cut_short(self) -> Certificate:
        """Return what is known of a search that was stopped: nothing of what it has not looked at."""
        self.left.complete = False
        self.left.closest = min(self.left.closest, self.incumbent.lower_bound)
        return self._certify()

    def _bound_without_overlap(self, relaxation: Relaxation) -> float:
        """Bound the objective where sliding tiles may come for nothing; by computing alone without prices."""
        if not relaxation.has_prices:
            return self._least_of_all()
        least = math.inf
        try:
            steps = self.tables.fewest_steps()
            for keep in self.space.patterns():
                model = relaxation.forget(self.space.model)
                energy = self.tables.make_pattern(model, keep, self.incumbent.goal)[2]
                least = min(least, self.incumbent.score_bound(energy, steps))
        except (OutOfTime, OutOfMemory):
            return self._least_of_all()
        return least

    def _bound_apart(self) -> None:
        """Bound the objective before the search where its own bounds do not hold and its time is limited."""
        space, cost = self.space, self.space.cost
        if cost is None or cost.relaxation.is_valid or not space.deadline.limited:
            return
        with space.hurried():
            self.left.apart = self._bound_without_overlap(cost.relaxation)

    def _rank_patterns(self) -> list[tuple[float, int, Bools]]:
        """Return what levels may keep, most promising first, without those that a cheap bound excludes."""
        patterns = list(self.space.numbered_patterns(inside_first=True))
        self.patterns = len(patterns)
        if self.on_paths:  # which rank them
            return [(0.0, number, keep) for number, keep in patterns]
        steps = self.tables.fewest_steps()
        compulsory = Compulsory(self.space, whole=True) if self.space.cost is None else None
        ranked = []
        for number, keep in patterns:
            self.incumbent.deadline.check()
            bound = self.tables.family_bound(keep, self.incumbent.goal)
            if compulsory is not None:
                bound = max(bound, compulsory.energy(keep))
            hopeless = not math.isfinite(bound) or not math.isfinite(steps)
            if hopeless or self.incumbent.excludes(bound, steps):
                self.patterns_pruned += 1
            else:
                ranked.append((self.incumbent.score_bound(bound, steps), bound, number, keep))
        ranked.sort(key=lambda row: row[:3])
        return [(score, number, keep) for score, _, number, keep in ranked]

    def _bound_late(self) -> None:
        """Bound the objective of all mappings where the time was out before the search did."""
        if self.space.cost is not None:
            return
        deadline = self.space.deadline
        self.space.deadline = Deadline(None if deadline.seconds is None else LATE, deadline.clock)
        self.left.first_bound = self.least()
        self.space.deadline = deadline

    def _walk_paths(self, queue: list[tuple[float, int, Bools]], seed: int) -> list[tuple[float, int, Bools]]:
        """Return the choices of what levels keep that shortest paths do not decide, with their bounds.

        Paths find good mappings themselves: walks at random only come before what is left to labels.
        """
        if not self.on_paths:
            return queue
        walk = None if self.space.cost is None else partial(self._warm_up, seed, before_paths=False)
        paths = ManyPaths(self.tables, self.incumbent, walk)
        left = paths.decide(queue)
        self.path_bound = min((row[0] for row in left), default=math.inf)
        self.patterns_pruned += len(queue) - len(left)
        self.incumbent.measured += paths.walked
        if left and self.before_labels is not None:
            with self.space.deadline.suspended():
                self.before_labels(self.space.cost is not None)
        if left and not self.walked:
            self._warm_up(seed)
        self.proof = "labels" if left else "paths"
        return left
