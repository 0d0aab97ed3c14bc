"""The best mapping, even or uneven, with proof."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from procrustes_model.errors import Issue, SpecError
from procrustes_model.kernels.dense.arrays import Bools
from procrustes_model.kernels.search.arrays import SLACK
from procrustes_model.kernels.search.expand import MEASURED
from procrustes_model.mapper.deadline import OutOfTime
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.optimal.compulsory import Compulsory
from procrustes_model.mapper.optimal.labels import Labels
from procrustes_model.mapper.optimal.paths import is_eligible
from procrustes_model.mapper.optimal.roads import STATE_BITS
from procrustes_model.mapper.optimal.search import Optimal
from procrustes_model.mapper.optimal.tables import Tables
from procrustes_model.mapper.result import Certificate
from procrustes_model.mapper.space import Space
from procrustes_model.mapper.task import compile_labels
from procrustes_model.mapper.uneven.paths import UnevenPaths
from procrustes_model.mapper.uneven.space import UnevenSpace, unfold_space
from procrustes_model.vocabulary import Searched

_Queue = list[tuple[float, int, Bools]]
"""Bounds of the objective, numbers, and what levels or entries keep."""


@dataclass
class _Layouts:
    """Decides all layouts: by shortest paths, and what these leave open by partial mappings.

    Attributes
    ----------
    space : UnevenSpace
    incumbent : Incumbent
    threads : int
    choices, excluded : int
        Choices of what levels keep, and those that a bound excludes as a whole.
    labels : bool
        Whether partial mappings were followed.
    """

    space: UnevenSpace
    incumbent: Incumbent
    threads: int
    choices: int = 0
    excluded: int = 0
    labels: bool = False
    complete: bool = True
    lowest: float = math.inf
    tables: Tables = field(init=False)
    paths: UnevenPaths | None = None

    def decide(self) -> None:
        """Decide all of them; `lowest` is then the least that a mapping may come to."""
        try:
            self.space.check_memory()
            self.tables = Tables(self.space)
            assert self.space.even is not None
            few = len(self.space.model.kind) * (self.space.levels - 1) <= STATE_BITS
            if few and is_eligible(self.space.even):
                paths = UnevenPaths(self.tables, self.incumbent)
                self.paths = paths if paths.road is not None else None
            queue = self._rank()
        except OutOfTime:
            self._leave_open(0.0)
            return
        left = self._walk_paths(queue)
        if left and self.complete:
            self._grow_labels(left)
        for bound, _, _ in left if not self.labels else []:
            self._leave_open(bound)

    def _leave_open(self, bound: float) -> None:
        self.complete, self.lowest = False, min(self.lowest, bound)

    def _rank(self) -> _Queue:
        """Return choices of what levels keep whose bound, one for all layouts, is below the best mapping."""
        space, incumbent = self.space, self.incumbent
        assert space.even is not None
        compulsory = Compulsory(space, whole=True) if self.paths is None else None
        steps, queue = self.tables.fewest_steps(), []
        for number, keep in space.even.numbered_patterns(inside_first=True):
            incumbent.deadline.check()
            laid = next(space.orders_of(keep))
            if self.paths is not None:
                bound = self.paths.bound(laid)
            else:
                assert compulsory is not None
                energy = compulsory.energy(laid)
                bound = incumbent.score_bound(energy, steps) if math.isfinite(energy) else math.inf
            self.choices += 1
            if self._excludes(bound):
                self.excluded += 1
            else:
                queue.append((bound, number, keep))
        return sorted(queue, key=lambda row: row[:2])

    def _excludes(self, bound: float) -> bool:
        return not math.isfinite(bound) or bound * (1 - SLACK) > self.incumbent.value

    def _walk_paths(self, queue: _Queue) -> _Queue:
        """Return the layouts that shortest paths do not decide, with higher bounds."""
        left: _Queue = []
        for i, (bound, _, keep) in enumerate(queue):
            if self._excludes(bound):
                self.excluded += 1
                continue
            self.incumbent.share = i / len(queue)
            self.incumbent.lower_bound = min((row[0] for row in left), default=bound)
            self.incumbent.tell()
            for laid in self.space.orders_of(keep):
                found = bound
                if self.paths is not None and not self.incumbent.late:
                    found = max(bound, self.paths.decide_layout(laid))
                if math.isfinite(found):
                    left.append((found, len(left), laid))
        # Of mappings with equal cycles the one with least energy is best.
        slack = SLACK if self.incumbent.objective.energy_power else 0.0
        most = self.incumbent.value * (1 - slack)
        left = sorted((row for row in left if row[0] <= most), key=lambda row: row[:2])
        if left and self.incumbent.late:
            self._leave_open(left[0][0])
        return left

    def _grow_labels(self, queue: _Queue) -> None:
        """Follow partial mappings of what is left."""
        space, self.labels = self.space, True
        with space.deadline.suspended():
            compile_labels()
        labels = Labels(space, self.incumbent, self.tables, self.threads)
        try:
            labels.run(queue)
        except OutOfTime:
            self._leave_open(queue[0][0])
        self.incumbent.measured += int(labels.counted[MEASURED])
        if not labels.left.complete:
            self._leave_open(labels.left.open_bound)


def _spread_out(incumbent: Incumbent, space: UnevenSpace) -> None:
    """Make the best mapping so far one of the space of uneven mappings, where it is not yet."""
    if incumbent.nests is not None and incumbent.nests.temporal.shape[1] != space.levels:
        incumbent.nests = space.spread_out(incumbent.nests)


def search_uneven_space(
    space: Space, incumbent: Incumbent, *, seed: int = 0, threads: int = 1
) -> tuple[Certificate, UnevenSpace]:
    """Search among all even and uneven mappings with whole passes.

    The best even one comes first, with proof, and then whatever is better than it.

    Parameters
    ----------
    space : Space
        Of even mappings.
    incumbent : Incumbent
        Changed in place; its mapping is one of the space that is returned.
    seed, threads : int
        As the search of even mappings takes them.

    Returns
    -------
    Certificate
        `even` is the value of the best even mapping, where that is proven.
    UnevenSpace

    Raises
    ------
    SpecError
        When words pass through levels with several entries, or constraints speak of their temporal loops.
    """
    unfolded = unfold_space(space)
    if space.model.machine.through.any():
        message = "words pass through levels, which uneven mappings are not searched with"
        raise SpecError(Issue(message, "no 'through', or leave out --uneven", space.architecture.name))
    layouts, first = _Layouts(unfolded, incumbent, threads), None
    try:
        first = Optimal(space, incumbent, threads, before_labels=compile_labels).run(seed)
        incumbent.measured = first.measured
        _spread_out(incumbent, unfolded)
        layouts.decide()
    except KeyboardInterrupt:
        if incumbent.nests is None:
            raise
        _spread_out(incumbent, unfolded)
        incumbent.interrupted, layouts.complete, layouts.lowest = True, False, 0.0
    value, walked = incumbent.value, layouts.paths.walked if layouts.paths else 0
    bound = float(max(0.0, min(value, layouts.lowest)))
    return Certificate(
        proven=bool(layouts.complete and bound >= value * (1 - SLACK)),
        value=float(value),
        lower_bound=bound,
        mapspace=None,
        complete=layouts.complete,
        proof="labels" if layouts.labels else "paths",
        patterns=layouts.choices,
        patterns_pruned=layouts.excluded,
        measured=incumbent.measured + walked,
        searched=Searched.UNEVEN,
        even=first.value if first and first.proven and math.isfinite(first.value) else None,
    ), unfolded
