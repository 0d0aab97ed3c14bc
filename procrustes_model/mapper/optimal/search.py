"""The best mapping of the whole space, with proof.

Boundaries of the nest are vectors on the lattice of divisors. From outside in, level by level, *labels* are
grown: everything outside a boundary is decided, so the energy of every transfer that is complete there is
exact. Three arguments keep their number small, none of which can lose the best mapping:

- orders: one per way of reuse (`orders.list_orders`);
- dominance: of two labels at the same boundary with as many instances, one that has spent no more and will
  have to fetch no tile more often replaces the other (`search_labels.find_undominated`);
- bounds: energy spent, plus a lower bound of all inside (`tables`), against the best mapping so far.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, Floats, Ints
from procrustes_model.kernels.search.arrays import POINT, SLACK, SPREAD, UNITS, Model, Pairs, Pattern
from procrustes_model.kernels.search.candidates import list_candidates
from procrustes_model.kernels.search.expand import (
    HOPELESS,
    MEASURED,
    NARROWED,
    expand_spatial,
    expand_temporal,
)
from procrustes_model.kernels.search.finish import finish, unpack
from procrustes_model.kernels.search.labels import BOUND, SPENT, STEPS, find_undominated
from procrustes_model.kernels.search.lattice import box_words
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.optimal.compulsory import Compulsory
from procrustes_model.mapper.optimal.relaxation import Relaxation
from procrustes_model.mapper.optimal.tables import Tables
from procrustes_model.mapper.random_search import SPARSE_WALK, WALK, search_random
from procrustes_model.mapper.result import Certificate
from procrustes_model.mapper.space import Space

FIRST_CHUNK, LARGEST_CHUNK = 64, 200_000
"""Labels that are followed to the end before the next ones: a few at first, to find good mappings early."""

STRETCH = 0.5
"""Seconds between looks at the time limit that are too many: then fewer labels are followed at a time."""

WALKS = 8
"""Random walks before the search: what they find lets bounds cut from the start."""

CANDIDATES = 4096
"""Whole mappings that are measured at a time where something is zero."""

SPARSE_WALKS = 32
"""The same where something is zero, and walks are shorter."""

SMALL = 1e20
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
    """

    space: Space
    incumbent: Incumbent
    threads: int = 1
    tables: Tables = field(init=False)
    model: Model = field(init=False)
    counted: Ints = field(default_factory=lambda: np.zeros(6, np.int64))
    dominated: int = 0
    complete: bool = True
    open_bound: float = math.inf
    closest: float = math.inf
    least_open: float = 0.0
    patterns: int = 0
    patterns_pruned: int = 0

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
        incumbent = self.incumbent
        self._warm_up(seed)
        self.tables = Tables(self.space)
        with ThreadPoolExecutor(self.threads) as pool:
            queue = self._rank_patterns()
            for i, (bound, _, keep) in enumerate(queue):
                if incumbent.late:
                    self._leave_open(bound)
                    break
                incumbent.lower_bound, incumbent.share = bound, i / len(queue)
                self.least_open = bound
                incumbent.tell()
                self._search_pattern(keep, pool)
        return self._certify()

    def _warm_up(self, seed: int) -> None:
        """Find good mappings at random: what they cost lets bounds cut from the start."""
        size = self.space.size()
        small = size <= SMALL
        if self.space.cost is None:
            ways, length = (1, WALK // 4) if small else (WALKS, WALK)
        else:
            ways, length = SPARSE_WALKS, SPARSE_WALK // 10 if small else SPARSE_WALK // 2
        length = max(1, min(length, math.ceil(size / ways)))  # no more than there are
        search_random(
            self.space,
            self.incumbent,
            mappings=ways * length,
            seed=seed,
            threads=self.threads,
            ways=max(1, ways // 2),
            length=length,
        )

    def _leave_open(self, bound: float) -> None:
        self.complete, self.open_bound = False, min(self.open_bound, max(bound, self.least_open))

    def _certify(self) -> Certificate:
        incumbent, counted = self.incumbent, self.counted.tolist()
        # Plain numbers, whatever the kernels returned: certificates are written as JSON.
        bound = float(max(0.0, min(incumbent.value, self.open_bound, self.closest)))
        cost = self.space.cost
        if cost is not None and not cost.relaxation.is_valid:
            bound = min(incumbent.value, self._bound_without_overlap(cost.relaxation))
        return Certificate(
            proven=bool(self.complete and bound >= incumbent.value * (1 - SLACK)),
            value=float(incumbent.value),
            lower_bound=bound,
            mapspace=self.space.size(),
            complete=self.complete,
            patterns=self.patterns,
            patterns_pruned=self.patterns_pruned,
            measured=incumbent.measured + counted[MEASURED],
            pruned={
                "bound of a tile": counted[NARROWED],
                "bound with exact refetches": counted[HOPELESS],
                "dominated": self.dominated,
            },
        )

    def _bound_without_overlap(self, relaxation: Relaxation) -> float:
        """Bound the objective where sliding tiles may come for nothing; 0 where tiles may spill."""
        if not relaxation.has_prices:
            return 0.0
        steps, least = self.tables.fewest_steps(), math.inf
        for keep in self.space.patterns():
            model = relaxation.forget(self.space.model)
            energy = self.tables.make_pattern(model, keep, self.incumbent.goal)[2]
            least = min(least, self.incumbent.score_bound(energy, steps))
        return least

    def _rank_patterns(self) -> list[tuple[float, int, Bools]]:
        """Return what levels may keep, most promising first, without those that a cheap bound excludes."""
        steps = self.tables.fewest_steps()
        compulsory = Compulsory(self.space, whole=True) if self.space.cost is None else None
        ranked = []
        for keep in self.space.patterns():
            self.patterns += 1
            bound = self.tables.family_bound(keep, self.incumbent.goal)
            if compulsory is not None:
                bound = max(bound, compulsory.energy(keep))
            hopeless = not math.isfinite(bound) or not math.isfinite(steps)
            if hopeless or self.incumbent.excludes(bound, steps):
                self.patterns_pruned += 1
            else:
                ranked.append((self.incumbent.score_bound(bound, steps), bound, self.patterns, keep))
        ranked.sort(key=lambda row: row[:3])
        return [(score, number, keep) for score, _, number, keep in ranked]

    def _search_pattern(self, keep: Bools, pool: ThreadPoolExecutor) -> None:
        self.model = self.space.model
        pattern, pairs, bound = self.tables.make_pattern(self.model, keep, self.incumbent.goal)
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
        """Return the different elements of a tensor that the whole problem touches."""
        from procrustes_model.kernels.dense.sharing import distinct_positions

        model = self.space.model
        if not model.output[tensor]:
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
        """Follow labels at B(l), stage 2 l, or M(l), stage 2 l + 1, to whole mappings, best first."""
        scores = self.incumbent.score_bounds(marks[:, BOUND], marks[:, STEPS])
        best_first = np.lexsort((np.arange(len(labels)), marks[:, BOUND], scores))
        labels, marks, scores = labels[best_first], marks[best_first], scores[best_first]
        first, size = 0, FIRST_CHUNK
        while first < len(labels):
            if self.incumbent.late:
                self._leave_open(float(scores[first]))
                return
            last = min(first + size, len(labels))
            chunk = slice(first, last)
            first, size = last, min(4 * size, LARGEST_CHUNK)
            hopeful = self.incumbent.may_beat(marks[chunk, BOUND], marks[chunk, STEPS])
            if not hopeful.any():
                continue
            if stage == 2 * (self.space.levels - 1):
                self._finish(pattern, labels[chunk][hopeful], marks[chunk][hopeful], pool)
                continue
            before = self.incumbent.elapsed
            found = self._expand(pattern, pairs, stage, labels[chunk][hopeful], marks[chunk][hopeful], pool)
            if self.incumbent.seconds is not None and self.incumbent.elapsed - before > STRETCH:
                size = max(FIRST_CHUNK, (last - chunk.start) // 4)
            if len(found[0]):
                self._descend(pattern, pairs, stage + 1, *found, pool)

    def _share_out(self, work: Callable[[slice, Ints], R], count: int, pool: ThreadPoolExecutor) -> list[R]:
        """Run `work` on slices of labels, in order; how they are cut does not change what is found."""
        parts = 4 * self.threads if self.threads > 1 and count >= 8 else 1
        cuts = [count * i // parts for i in range(parts + 1)]
        slices = [slice(a, b) for a, b in itertools.pairwise(cuts) if a < b]
        tallies = [np.zeros_like(self.counted) for _ in slices]
        if len(slices) == 1:
            found = [work(slices[0], tallies[0])]
        else:
            runs = [pool.submit(work, part, tally) for part, tally in zip(slices, tallies, strict=True)]
            found = [run.result() for run in runs]
        for tally in tallies:
            self.counted += tally
        return found

    def _expand(
        self,
        pattern: Pattern,
        pairs: list[Pairs],
        stage: int,
        labels: Ints,
        marks: Floats,
        pool: ThreadPoolExecutor,
    ) -> tuple[Ints, Floats]:
        """Return the labels at the next boundary that are neither dominated nor hopeless."""
        space, goal, level = self.space, self.incumbent.goal, stage // 2
        model, lattice = self.model, space.lattice
        within = float(math.prod(space.mesh[level + 1 :]))
        allowed = space.rules.factors[level, 0]

        def work(part: slice, tally: Ints) -> tuple[Ints, Floats]:
            if stage % 2:
                return expand_spatial(
                    model, lattice, pattern, pairs[level], level, labels[part], marks[part], goal, tally
                )
            return expand_temporal(
                model,
                lattice,
                space.orders,
                pattern,
                pairs[level],
                within,
                allowed,
                level,
                labels[part],
                marks[part],
                goal,
                tally,
            )

        found = self._share_out(work, len(labels), pool)
        labels = np.concatenate([one[0] for one in found])
        marks = np.concatenate([one[1] for one in found])
        by_cost = np.lexsort((np.arange(len(labels)), marks[:, SPENT], labels[:, UNITS], labels[:, POINT]))
        kept = find_undominated(model, lattice, labels, by_cost)
        self.dominated += int(len(labels) - kept.sum())
        rows = np.sort(by_cost[kept])
        return labels[rows], marks[rows]

    def _finish(self, pattern: Pattern, labels: Ints, marks: Floats, pool: ThreadPoolExecutor) -> None:
        """Measure the whole mappings of labels at the innermost level."""
        space, goal = self.space, self.incumbent.goal
        innermost = space.levels - 1
        if space.cost is not None:
            self._finish_sparse(pattern, labels, marks)
            return

        def work(part: slice, tally: Ints) -> tuple[int, int, float, float]:
            row, spread, energy, cycles = finish(
                space.model,
                space.lattice,
                space.orders,
                pattern,
                space.parts,
                self.tables.spatial_points(innermost),
                space.rules.factors[innermost, 0],
                labels[part],
                marks[part],
                goal,
                space.bench(),
                tally,
            )
            return (row + part.start if row >= 0 else row, spread, energy, cycles)

        for row, spread, energy, cycles in self._share_out(work, len(labels), pool):
            if row >= 0:
                bench = space.bench()
                bench.nests.keep[0] = pattern.keep
                label = self._close(labels[row], spread)
                unpack(space.model, space.lattice, space.orders, space.parts, label, spread, bench.nests, 0)
                self.incumbent.offer(energy, cycles, bench.nests)

    def _finish_sparse(self, pattern: Pattern, labels: Ints, marks: Floats) -> None:
        """Measure the whole mappings of labels at the innermost level under the sparse design."""
        space, incumbent, cost = self.space, self.incumbent, self.space.cost
        assert cost is not None
        innermost = space.levels - 1
        position, nests = np.zeros(2, np.int64), space.nests(CANDIDATES)
        self.closest = min(self.closest, *incumbent.score_bounds(marks[:, BOUND], marks[:, STEPS]))
        while position[0] < len(labels) and not incumbent.late:
            written = list_candidates(
                self.model,
                space.lattice,
                space.orders,
                pattern.keep,
                space.parts,
                self.tables.spatial_points(innermost),
                space.rules.factors[innermost, 0],
                space.rules.outside[innermost],
                cost.minds_order,
                labels,
                marks,
                incumbent.goal,
                position,
                nests,
            )
            if written:
                self.counted[MEASURED] += written
                cost.choose(nests, written, incumbent, self.threads)

    def _close(self, label: Ints, spread: int) -> Ints:
        """Return a label with the order of its innermost level set."""
        space, innermost = self.space, self.space.levels - 1
        outer = space.lattice.value[label[space.model.columns.path + 2 * innermost]]
        looped = np.flatnonzero(outer // space.lattice.value[spread] > 1)
        label = label.copy()
        loops = sum(1 << int(d) for d in looped)
        label[space.model.columns.order + innermost] = space.orders.rows[innermost, loops, 0]
        return label
