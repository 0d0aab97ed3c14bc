"""The best mapping by labels: partial mappings, grown from outside in, level by level.

Boundaries of the nest are vectors on the lattice of divisors. Everything outside a boundary is decided, so
the energy of every transfer that is complete there is exact. Three arguments keep the number of labels small,
none of which can lose the best mapping:

- orders: one per way of reuse (`orders.list_orders`; `optimal.variants` says why this does where something is
  zero, and where not);
- dominance: of two labels at the same boundary with as many instances, one that has spent no more and will
  have to fetch no tile more often replaces the other (`kernels.search.labels.find_undominated`); not where
  something is zero and so what is spent is a bound itself;
- bounds: energy spent, plus a lower bound of all inside (`tables`), against the best mapping so far.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, Floats, Ints
from procrustes_model.kernels.search.arrays import POINT, SPREAD, UNITS, Model, Pairs, Pattern
from procrustes_model.kernels.search.expand import MEASURED, expand_spatial, expand_temporal
from procrustes_model.kernels.search.finish import finish, unpack
from procrustes_model.kernels.search.goal import advance
from procrustes_model.kernels.search.labels import BOUND, SPENT, STEPS, find_undominated
from procrustes_model.kernels.search.lattice import box_words
from procrustes_model.mapper.deadline import OutOfTime
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.optimal.tables import OutOfMemory, Tables
from procrustes_model.mapper.optimal.variants import Variants
from procrustes_model.mapper.space import Space
from procrustes_model.mapper.sparse_cost import BATCH

FIRST_CHUNK, LARGEST_CHUNK = 64, 200_000
"""Labels that are followed to the end before the next ones: a few at first, to find good mappings early."""

STEPS_AT_A_TIME = 1_000_000
"""Steps of a kernel between looks at the time: some hundredths of a second."""

MOST_LABELS = 200_000
"""Labels found before they are followed: more take too much memory."""

FINISHED = 20_000
"""Mappings that are measured between looks at the time."""

SLICES = 8
"""Parts that threads share labels in; as many for one thread, so that what is found is the same."""

R = TypeVar("R")


@dataclass
class Left:
    """What a search leaves open.

    Attributes
    ----------
    complete : bool
        Whether it has looked at everything, or excluded it.
    crowded : bool
        Whether something took too much memory.
    open_bound, closest : float
        What the objective of mappings that nobody has looked at falls not below, and of those of which
        something has not been measured.
    least_open : float
        The same of what is being looked at, before.
    first_bound : float
        The same of all mappings.
    apart : float, optional
        The same where the bounds of labels do not hold.
    """

    complete: bool = True
    crowded: bool = False
    open_bound: float = math.inf
    closest: float = math.inf
    least_open: float = 0.0
    first_bound: float = 0.0
    apart: float | None = None

    @property
    def bound(self) -> float:
        """What no mapping that is left falls below."""
        return max(self.first_bound, min(self.open_bound, self.closest))

    def leave(self, bound: float) -> None:
        """Note mappings that nobody looks at, whose objective is at least `bound`."""
        self.complete, self.open_bound = False, min(self.open_bound, max(bound, self.least_open))


@dataclass
class Labels:
    """The search by labels.

    Attributes
    ----------
    space : Space
    incumbent : Incumbent
    tables : Tables
    threads : int
    left : Left
    counted : int64[6]
        What kernels have looked at, excluded and measured.
    dominated : int
        Labels that others replace.
    patterns_pruned : int
        Choices of what levels keep that bounds exclude.
    """

    space: Space
    incumbent: Incumbent
    tables: Tables
    threads: int = 1
    left: Left = field(default_factory=Left)
    counted: Ints = field(default_factory=lambda: np.zeros(6, np.int64))
    dominated: int = 0
    patterns_pruned: int = 0
    ahead: bool = False
    model: Model = field(init=False)
    pool: ThreadPoolExecutor = field(init=False)

    def run(self, queue: list[tuple[float, int, Bools]]) -> None:
        """Search what levels may keep, choice by choice.

        Parameters
        ----------
        queue : list of (float, int, bool[L, T])
            Bound of the objective, number and what levels keep, best first.

        Raises
        ------
        OutOfTime
            What is left open is noted, but for what has not been begun.
        """
        cost = self.space.cost
        with ThreadPoolExecutor(self.threads) as self.pool:
            if queue and cost is not None and cost.on_masks:
                self._look_ahead(queue)
            self._search_patterns(queue)

    def _search_patterns(self, queue: list[tuple[float, int, Bools]]) -> None:
        incumbent = self.incumbent
        sound = self.space.cost is None or self.space.cost.relaxation.is_valid
        for i, (bound, _, keep) in enumerate(queue):
            if incumbent.late:
                self.left.leave(bound)
                return
            left = max(self.left.first_bound, min(bound, self.left.bound))
            incumbent.lower_bound = left if sound else self.left.apart or 0.0
            incumbent.share, self.left.least_open = 0.0 if self.ahead else i / len(queue), bound
            incumbent.tell()
            try:
                self._search_pattern(keep, bound)
            except OutOfTime:
                self.left.complete = False  # what is left has said so

    def _look_ahead(self, queue: list[tuple[float, int, Bools]]) -> None:
        """Search with few mappings of each batch measured: for a good one and a first bound."""
        before = self.counted.copy(), self.dominated, self.patterns_pruned, self.left.crowded
        self.ahead = True
        self._search_patterns(queue)
        self.left.first_bound = min(self.left.open_bound, self.left.closest)
        self.counted, self.dominated, self.patterns_pruned, self.left.crowded = before
        self.ahead, self.left.complete, self.left.least_open = False, True, 0.0
        self.left.open_bound = self.left.closest = math.inf

    def _search_pattern(self, keep: Bools, least: float) -> None:
        """Search the mappings that keep `keep`, whose objective is at least `least`."""
        self.model = self.space.model
        try:
            pattern, pairs, bound = self.tables.make_pattern(self.model, keep, self.incumbent.goal)
        except (OutOfTime, OutOfMemory) as reason:
            self.left.crowded = self.left.crowded or isinstance(reason, OutOfMemory)
            self.left.leave(least)
            return
        if not math.isfinite(bound) or self.incumbent.excludes(bound, self.tables.fewest_steps()):
            self.patterns_pruned += 1
            return
        labels, marks = self._root(bound)
        self._descend(pattern, pairs, 0, labels, marks)

    def _root(self, bound: float) -> tuple[Ints, Floats]:
        """Return the label of the empty outside."""
        model = self.model
        at, top = model.columns, len(self.space.lattice.indices) - 1
        label = np.zeros((1, at.width), np.int64)
        label[0, [POINT, UNITS, SPREAD, at.path]] = top, 1, 0, top
        for t in range(len(model.kind)):
            label[0, [at.shared + t, at.home + t, at.whole + t, at.run + t]] = 1
            label[0, at.fresh + t] = self._touched(t)
        return label, np.array([[model.base, bound, self.tables.fewest_steps()]])

    def _touched(self, tensor: int) -> int:
        """Return the most different words of a tensor that tiles of the whole problem have."""
        from procrustes_model.kernels.dense.sharing import distinct_positions

        model = self.space.model
        if not model.output[tensor] or model.problem.gapped:
            return int(box_words(model.coefficient[tensor], model.bounds))
        ones = np.ones_like(model.bounds)
        return int(distinct_positions(model.problem, tensor, model.bounds, ones))

    def _descend(
        self,
        pattern: Pattern,
        pairs: list[Pairs],
        stage: int,
        labels: Ints,
        marks: Floats,
    ) -> None:
        """Follow labels at B(l), stage 2 l, or M(l), stage 2 l + 1, to whole mappings, best first.

        Raises
        ------
        OutOfTime
            What is left open is noted.
        """
        scores = self.incumbent.score_bounds(marks[:, BOUND], marks[:, STEPS])
        best_first = np.lexsort((np.arange(len(labels)), marks[:, BOUND], scores))
        labels, marks, scores = labels[best_first], marks[best_first], scores[best_first]
        first, size = 0, FIRST_CHUNK
        while first < len(labels):
            self._check(scores[first])
            last = min(first + size, len(labels))
            chunk = slice(first, last)
            first, size = last, min(4 * size, LARGEST_CHUNK)
            hopeful = self.incumbent.may_beat(marks[chunk, BOUND], marks[chunk, STEPS])
            if not hopeful.any():
                continue
            mine, rest = (labels[chunk][hopeful], marks[chunk][hopeful]), chunk.start
            try:
                if stage == 2 * (self.space.levels - 1) and self.space.cost is not None:
                    rest = last  # what is left of the chunk is noted
                    self._finish_sparse(pattern, *mine)
                    continue
                if stage == 2 * (self.space.levels - 1):
                    self._finish(pattern, *mine)
                    continue
                for found, costs, more in self._expand(pattern, pairs, stage, *mine):
                    rest = chunk.start if more else last
                    if len(found):
                        self._descend(pattern, pairs, stage + 1, found, costs)
            except OutOfTime:
                if rest < len(labels):
                    self.left.leave(float(scores[rest]))
                raise

    def _check(self, score: float) -> None:
        """Raise `OutOfTime` where it is, noting what is left open."""
        if self.incumbent.late:
            self.left.leave(float(score))
            raise OutOfTime

    def _share_out(self, work: Callable[[slice, Ints], R], count: int) -> list[R]:
        """Run `work` on slices of labels, in order; how many threads there are does not change them."""
        parts = SLICES if count >= SLICES else 1
        cuts = [count * i // parts for i in range(parts + 1)]
        slices = [slice(a, b) for a, b in itertools.pairwise(cuts) if a < b]
        tallies = [np.zeros_like(self.counted) for _ in slices]
        if len(slices) == 1 or self.threads == 1:
            found = [work(part, tally) for part, tally in zip(slices, tallies, strict=True)]
        else:
            runs = [self.pool.submit(work, part, tally) for part, tally in zip(slices, tallies, strict=True)]
            found = [run.result() for run in runs]
        for tally in tallies:
            self.counted += tally
        self.incumbent.deadline.spend(count + int(np.sum(tallies)))
        return found

    def _expand(
        self,
        pattern: Pattern,
        pairs: list[Pairs],
        stage: int,
        labels: Ints,
        marks: Floats,
    ) -> Iterator[tuple[Ints, Floats, bool]]:
        """Yield labels at the next boundary, neither dominated nor hopeless, and whether there are more.

        They come at once unless there are too many.

        Raises
        ------
        OutOfTime
        """
        space, goal, level = self.space, self.incumbent.goal, stage // 2
        model, lattice, deadline = self.model, space.lattice, self.incumbent.deadline
        within = float(math.prod(space.mesh[level + 1 :]))
        allowed = space.rules.factors[level, 0]
        reached: dict[int, Ints] = {}

        def work(part: slice, tally: Ints) -> list[tuple[Ints, Floats]]:
            mine = labels[part], marks[part]
            position = reached.setdefault(part.start, np.zeros(2, np.int64))
            room, parts = MOST_LABELS // SLICES, []
            while position[0] < len(mine[0]) and room > 0:
                deadline.check()
                most = STEPS_AT_A_TIME
                if stage % 2:
                    found = expand_spatial(
                        model, lattice, pattern, pairs[level], level, *mine, goal, position, most, room, tally
                    )
                else:
                    found = expand_temporal(
                        model,
                        lattice,
                        space.orders,
                        pattern,
                        pairs[level],
                        within,
                        allowed,
                        level,
                        *mine,
                        goal,
                        position,
                        most,
                        room,
                        tally,
                    )
                parts.append(found)
                room -= len(found[0])
            return parts

        more = True
        while more:
            deadline.check()
            found = [row for rows in self._share_out(work, len(labels)) for row in rows]
            ends = [*sorted(reached)[1:], len(labels)]
            more = any(
                reached[first][0] < end - first for first, end in zip(sorted(reached), ends, strict=True)
            )
            labels_found, costs = [one[0] for one in found], [one[1] for one in found]
            yield *self._undominated(pattern, (stage + 1) // 2 - 1, labels_found, costs), more

    def _undominated(
        self, pattern: Pattern, level: int, parts: list[Ints], costs: list[Floats]
    ) -> tuple[Ints, Floats]:
        """Return the labels of some parts, past the network below a level, that no other one dominates."""
        model, lattice = self.model, self.space.lattice
        if not parts:
            return np.zeros((0, model.columns.width), np.int64), np.zeros((0, 3))
        labels, marks = np.concatenate(parts), np.concatenate(costs)
        cost = self.space.cost
        if not model.exact or (cost is not None and cost.relaxation.is_valid):
            return labels, marks  # what is spent is a bound itself
        by_cost = np.lexsort((np.arange(len(labels)), marks[:, SPENT], labels[:, UNITS], labels[:, POINT]))
        kept, position = np.ones(len(labels), np.bool_), np.zeros(2, np.int64)
        while position[0] < len(labels):
            self.incumbent.deadline.check()
            find_undominated(model, lattice, pattern, level, labels, by_cost, kept, position, STEPS_AT_A_TIME)
        self.dominated += int(len(labels) - kept.sum())
        rows = np.sort(by_cost[kept])
        return labels[rows], marks[rows]

    def _finish(self, pattern: Pattern, labels: Ints, marks: Floats) -> None:
        """Measure the whole mappings of labels at the innermost level."""
        space, incumbent, goal = self.space, self.incumbent, self.incumbent.goal
        innermost = space.levels - 1
        last = self.tables.spatial_points(innermost)

        def work(part: slice, tally: Ints) -> list[tuple[int, int, float, float]]:
            better, bench, mine = [], space.bench(), goal
            size = max(1, FINISHED // max(1, len(last)))
            for first in range(part.start, part.stop, size):
                if incumbent.late:
                    break
                rows = slice(first, min(first + size, part.stop))
                found, costs = finish(
                    space.model,
                    space.lattice,
                    space.orders,
                    pattern,
                    space.parts,
                    last,
                    space.rules.factors[innermost, 0],
                    labels[rows],
                    marks[rows],
                    mine,
                    bench,
                    tally,
                )
                for (row, spread), (energy, cycles) in zip(found.tolist(), costs.tolist(), strict=True):
                    mine = advance(mine, energy, cycles)
                    better.append((row + rows.start, spread, energy, cycles))
            return better

        for found in self._share_out(work, len(labels)):
            for row, spread, energy, cycles in found:
                bench = space.bench()
                bench.nests.keep[0] = pattern.keep
                label = self._close(labels[row], spread)
                unpack(space.model, space.lattice, space.orders, space.parts, label, spread, bench.nests, 0)
                incumbent.offer(energy, cycles, bench.nests)
        incumbent.deadline.check()

    def _finish_sparse(self, pattern: Pattern, labels: Ints, marks: Floats) -> None:
        """Measure the whole mappings of labels at the innermost level under the sparse design.

        What is measured bounds nothing but itself: only labels of which something is not measured lower the
        certificate.

        Raises
        ------
        OutOfTime
            What is left open is noted.
        """
        incumbent, cost, first = self.incumbent, self.space.cost, 0
        assert cost is not None
        scores = incumbent.score_bounds(marks[:, BOUND], marks[:, STEPS])
        variants = Variants(self.space, pattern.keep)
        last = self.tables.spatial_points(self.space.levels - 1)
        if self.ahead:
            self.left.closest = min(self.left.closest, float(scores.min()))
            for _, found in variants.list_whole(last, labels, marks, incumbent, BATCH):
                for part in cost.batches(cost.most_promising(found, incumbent, self.threads)):
                    incumbent.deadline.check()
                    cost.choose(part, incumbent, self.threads)
            return
        try:
            for first, found in variants.list_whole(last, labels, marks, incumbent, cost.batch):
                for batch in variants.expand(found):
                    for part in cost.batches(batch):
                        incumbent.deadline.check()
                        self.counted[MEASURED] += len(part.temporal)
                        incumbent.deadline.spend(len(part.temporal))
                        cost.choose(part, incumbent, self.threads)
                if variants.left_out:
                    variants.left_out = False
                    self.left.closest = min(self.left.closest, float(scores[first:].min()))
        except OutOfTime:
            self.left.leave(float(scores[first:].min()))
            raise

    def _close(self, label: Ints, spread: int) -> Ints:
        """Return a label with the order of its innermost level set."""
        space, innermost = self.space, self.space.levels - 1
        outer = space.lattice.value[label[space.model.columns.path + 2 * innermost]]
        looped = np.flatnonzero(outer // space.lattice.value[spread] > 1)
        label = label.copy()
        loops = sum(1 << int(d) for d in looped)
        label[space.model.columns.order + innermost] = space.orders.rows[innermost, loops, 0]
        return label
