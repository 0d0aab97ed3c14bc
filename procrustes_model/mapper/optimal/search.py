"""The best mapping of the whole space, with proof.

Boundaries of the nest are vectors on the lattice of divisors. From outside in, level by level, *labels* are
grown: everything outside a boundary is decided, so the energy of every transfer that is complete there is
exact. Three arguments keep their number small, none of which can lose the best mapping:

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
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, Floats, Ints
from procrustes_model.kernels.search.arrays import POINT, SLACK, SPREAD, UNITS, Model, Pairs, Pattern
from procrustes_model.kernels.search.bounds import least_steps
from procrustes_model.kernels.search.expand import (
    HOPELESS,
    MEASURED,
    NARROWED,
    expand_spatial,
    expand_temporal,
)
from procrustes_model.kernels.search.finish import finish, unpack
from procrustes_model.kernels.search.goal import advance
from procrustes_model.kernels.search.labels import BOUND, SPENT, STEPS, find_undominated
from procrustes_model.kernels.search.lattice import box_words
from procrustes_model.mapper.deadline import Deadline, OutOfTime
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.optimal.compulsory import Compulsory
from procrustes_model.mapper.optimal.paths import Paths, is_eligible
from procrustes_model.mapper.optimal.relaxation import Relaxation
from procrustes_model.mapper.optimal.sparse_paths import SparsePaths
from procrustes_model.mapper.optimal.tables import OutOfMemory, Tables
from procrustes_model.mapper.optimal.variants import Variants
from procrustes_model.mapper.random_search import SPARSE_WALK, WALK, search_random
from procrustes_model.mapper.result import Certificate
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

R = TypeVar("R")


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
    model: Model = field(init=False)
    counted: Ints = field(default_factory=lambda: np.zeros(6, np.int64))
    dominated: int = 0
    ahead: bool = False
    first_bound: float = 0.0
    complete: bool = True
    crowded: bool = False
    apart: float | None = None
    path_bound: float = 0.0
    open_bound: float = math.inf
    closest: float = math.inf
    least_open: float = 0.0
    patterns: int = 0
    patterns_pruned: int = 0
    on_paths: bool = field(init=False)
    proof: str = "labels"
    walked: bool = False

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
        if not self.on_paths or self.space.cost is not None:
            self._warm_up(seed)
        with ThreadPoolExecutor(self.threads) as pool:
            try:
                self.tables = Tables(self.space)
                self._bound_apart()
                queue = self._walk_paths(self._rank_patterns(), seed)
                if self.space.cost is not None and self.space.cost.on_masks:
                    self._look_ahead(queue, pool)
                self.search_patterns(queue, pool)
            except OutOfTime:
                self._leave_open(self._least_of_all())
        if not self.complete:
            self._bound_late()
        if self.on_paths and self.incumbent.nests is None and not self.walked:
            self._warm_up(seed)  # the time was out before a path was found
        return self._certify()

    def search_patterns(self, queue: list[tuple[float, int, Bools]], pool: ThreadPoolExecutor) -> None:
        """Search what levels may keep, choice by choice: bounds, numbers and what is kept, best first."""
        incumbent = self.incumbent
        sound = self.space.cost is None or self.space.cost.relaxation.is_valid
        for i, (bound, _, keep) in enumerate(queue):
            if incumbent.late:
                self._leave_open(bound)
                return
            left = max(self.first_bound, min(bound, self.open_bound, self.closest))
            incumbent.lower_bound = left if sound else self.apart or 0.0
            incumbent.share, self.least_open = 0.0 if self.ahead else i / len(queue), bound
            incumbent.tell()
            try:
                self._search_pattern(keep, bound, pool)
            except OutOfTime:
                self.complete = False  # what is left has said so

    def _look_ahead(self, queue: list[tuple[float, int, Bools]], pool: ThreadPoolExecutor) -> None:
        """Search with few mappings of each batch measured: for a good one and a first bound."""
        before = self.counted.copy(), self.dominated, self.patterns_pruned, self.crowded
        self.ahead = True
        self.search_patterns(queue, pool)
        self.first_bound = min(self.open_bound, self.closest)
        self.counted, self.dominated, self.patterns_pruned, self.crowded = before
        self.ahead, self.complete, self.least_open = False, True, 0.0
        self.open_bound = self.closest = math.inf

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

    def _warm_up(self, seed: int) -> None:
        """Find good mappings at random: what they cost lets bounds cut from the start."""
        ways, length = self._walks()
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

    def _walks(self) -> tuple[int, int]:
        """Return how many walks come before the search, and the steps of each.

        They are worth their time as long as the search takes longer, and it takes longer the larger the
        space is, though not in proportion. Where nothing else finds the best mapping, walks stay long.
        """
        size, cost = self.space.size(), self.space.cost
        small = size is not None and size <= SMALL
        if cost is None:
            ways, length = (1, WALK // 4) if small or self.on_paths else (WALKS, WALK)
        else:
            ways = PATH_WALKS if self.on_paths and cost.relaxation.has_prices else SPARSE_WALKS
            length = SPARSE_WALK // 10 if small else SPARSE_WALK // 2
        if small and size is not None:
            if cost is not None and cost.relaxation.is_valid:
                length = int(length * (size / SMALL) ** (1 / 3))
            length = max(1, min(length, -(-size // ways)))  # no more than there are
        return ways, length

    @property
    def measured(self) -> int:
        """Mappings that were measured at the ends of partial ones."""
        return int(self.counted[MEASURED])

    def _leave_open(self, bound: float) -> None:
        self.complete, self.open_bound = False, min(self.open_bound, max(bound, self.least_open))

    def _certify(self) -> Certificate:
        incumbent, counted = self.incumbent, self.counted.tolist()
        # Plain numbers, whatever the kernels returned: certificates are written as JSON.
        left = max(self.first_bound, min(self.open_bound, self.closest))
        bound = float(max(0.0, min(incumbent.value, left)))
        cost = self.space.cost
        if cost is not None and not cost.relaxation.is_valid:
            if self.path_bound >= incumbent.value * (1 - SLACK):
                self.apart = self.path_bound
            elif self.apart is None:
                late = incumbent.deadline.limited
                self.apart = self._least_of_all() if late else self._bound_without_overlap(cost.relaxation)
            bound = float(min(incumbent.value, max(self.path_bound, self.apart)))
        return Certificate(
            proven=bool(self.complete and bound >= incumbent.value * (1 - SLACK)),
            value=float(incumbent.value),
            lower_bound=bound,
            mapspace=self.space.size(),
            complete=self.complete,
            crowded=self.crowded,
            proof=self.proof,
            patterns=self.patterns,
            patterns_pruned=self.patterns_pruned,
            measured=incumbent.measured + counted[MEASURED],
            pruned={}
            if self.proof == "paths"
            else {
                "bound of a tile": counted[NARROWED],
                "bound with exact refetches": counted[HOPELESS],
                "dominated": self.dominated,
            },
        )

    def cut_short(self) -> Certificate:
        """Return what is known of a search that was stopped: nothing of what it has not looked at."""
        self.complete, self.closest = False, min(self.closest, self.incumbent.lower_bound)
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
            self.apart = self._bound_without_overlap(cost.relaxation)

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
        self.first_bound = self.least()
        self.space.deadline = deadline

    def _walk_paths(self, queue: list[tuple[float, int, Bools]], seed: int) -> list[tuple[float, int, Bools]]:
        """Return the choices of what levels keep that shortest paths do not decide, with their bounds.

        Paths find good mappings themselves: walks at random only come before what is left to labels.
        """
        if not self.on_paths:
            return queue
        paths = (Paths if self.space.cost is None else SparsePaths)(self.tables, self.incumbent)
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

    def _search_pattern(self, keep: Bools, least: float, pool: ThreadPoolExecutor) -> None:
        """Search the mappings that keep `keep`, whose objective is at least `least`."""
        self.model = self.space.model
        try:
            pattern, pairs, bound = self.tables.make_pattern(self.model, keep, self.incumbent.goal)
        except (OutOfTime, OutOfMemory) as reason:
            self.crowded = self.crowded or isinstance(reason, OutOfMemory)
            self._leave_open(least)
            return
        if not math.isfinite(bound) or self.incumbent.excludes(bound, self.tables.fewest_steps()):
            self.patterns_pruned += 1
            return
        labels, marks = self._root(bound)
        self._descend(pattern, pairs, 0, labels, marks, pool)

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
        pool: ThreadPoolExecutor,
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
                    self._finish(pattern, *mine, pool)
                    continue
                for found, costs, more in self._expand(pattern, pairs, stage, *mine, pool):
                    rest = chunk.start if more else last
                    if len(found):
                        self._descend(pattern, pairs, stage + 1, found, costs, pool)
            except OutOfTime:
                if rest < len(labels):
                    self._leave_open(float(scores[rest]))
                raise

    def _check(self, score: float) -> None:
        """Raise `OutOfTime` where it is, noting what is left open."""
        if self.incumbent.late:
            self._leave_open(float(score))
            raise OutOfTime

    def _share_out(self, work: Callable[[slice, Ints], R], count: int, pool: ThreadPoolExecutor) -> list[R]:
        """Run `work` on slices of labels, in order; how many threads there are does not change them."""
        parts = SLICES if count >= SLICES else 1
        cuts = [count * i // parts for i in range(parts + 1)]
        slices = [slice(a, b) for a, b in itertools.pairwise(cuts) if a < b]
        tallies = [np.zeros_like(self.counted) for _ in slices]
        if len(slices) == 1 or self.threads == 1:
            found = [work(part, tally) for part, tally in zip(slices, tallies, strict=True)]
        else:
            runs = [pool.submit(work, part, tally) for part, tally in zip(slices, tallies, strict=True)]
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
        pool: ThreadPoolExecutor,
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
            found = [row for rows in self._share_out(work, len(labels), pool) for row in rows]
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

    def _finish(self, pattern: Pattern, labels: Ints, marks: Floats, pool: ThreadPoolExecutor) -> None:
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

        for found in self._share_out(work, len(labels), pool):
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
            self.closest = min(self.closest, float(scores.min()))
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
                    self.closest = min(self.closest, float(scores[first:].min()))
        except OutOfTime:
            self._leave_open(float(scores[first:].min()))
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
