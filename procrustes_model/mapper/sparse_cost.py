"""Mappings measured under a sparse design, for searches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from statistics import NormalDist

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, Floats, Ints, NestArrays
from procrustes_model.kernels.dense.nest import flatten
from procrustes_model.kernels.imbalance.tiles import find_tiles
from procrustes_model.kernels.search.arrays import Lattice
from procrustes_model.kernels.search.candidates import settle_orders
from procrustes_model.kernels.search.goal import is_better
from procrustes_model.mapper.deadline import Deadline, slices
from procrustes_model.mapper.incumbent import Incumbent, select
from procrustes_model.mapper.optimal.relaxation import COUNTED_AT_A_TIME, Relaxation
from procrustes_model.mapper.optimal.sensitivity import Sensitivity, find_sensitivity, minds_layout
from procrustes_model.model.batch import BatchEvaluator, BatchResult
from procrustes_model.model.sparse.buffers import Memo, SparseBuffers, make_buffers
from procrustes_model.model.sparse.lower import SparseDesign
from procrustes_model.model.sparse.masks import lower_masks
from procrustes_model.model.sparse.steps import evaluate_block, find_work
from procrustes_model.spec.problem import Problem

MOST_COUNTED = 2e9
"""Elements of masks that are looked at to bound imbalance; beyond, bounds do without."""

LIKELY = 0.99
"""Share of tiles that must fit before masks are counted: the fullest tile that could occur rarely does."""

COUNTED = 4
"""Mappings of each batch that are counted on masks first, the most promising by their densities."""

BATCH = 4096
"""Mappings that are measured between looks at the time limit."""

LOOKED_AT = 2e7
"""The same on masks, in elements: then of as few mappings."""

BLOCK = 256


@dataclass(frozen=True)
class Workbench:
    """Room to evaluate N mappings, of one thread.

    Attributes
    ----------
    sparse : SparseBuffers
    memo : Memo
    """

    sparse: SparseBuffers
    memo: Memo


@dataclass
class SparseCost:
    """What mappings cost under a sparse design.

    Attributes
    ----------
    problem : Problem
    design : SparseDesign
    relaxation : Relaxation
    """

    problem: Problem
    design: SparseDesign
    relaxation: Relaxation
    _expected: SparseDesign = field(init=False)
    _quick: BatchEvaluator = field(init=False)
    _evaluator: BatchEvaluator = field(init=False)
    _memos: list[Memo] = field(default_factory=list)
    _known: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._evaluator = self._quick = BatchEvaluator(self.design)
        self._expected = self.design
        if self.design.masks.known.any():
            without = lower_masks(self.problem, self.design.problem, {})
            share = min(self.design.share, LIKELY)
            deviations = NormalDist().inv_cdf(share)
            self._expected = replace(self.design, masks=without, share=share, deviations=deviations)
            self._quick = BatchEvaluator(self._expected)

    def minds(self, keep: Bools) -> Sensitivity:
        """Return what of mappings that keep `keep`, bool[L, T], decides the boxes of actions."""
        return find_sensitivity(self.design, keep)

    @property
    def on_masks(self) -> bool:
        """Whether mappings are counted on masks, which takes up to a thousand times longer."""
        return self._quick is not self._evaluator

    @property
    def batch(self) -> int:
        """How many mappings are measured between looks at the time limit."""
        if not self.on_masks:
            return BATCH
        elements = int(self.design.densities.size[self.design.masks.known].sum())
        return int(min(BATCH, max(1, LOOKED_AT // max(1, elements))))

    @property
    def minds_dimensions(self) -> bool:
        """Whether dimensions that play the same part in every tensor may still differ.

        They do in n:m groups and masks, in formats that tell ranks apart, and where boxes of actions take
        spatial loops in the order of dimensions.
        """
        design = self.design
        grouped = design.densities.is_grouped.any()
        ranked = (design.formats.terms.depth[design.formats.compressed] > 0).any()
        ranked = ranked or (design.formats.ranks.listed > 0).any()
        laid = minds_layout(design, self.relaxation.may_keep)
        return bool(grouped or ranked or laid or design.masks.known.any())

    def measure(self, nests: NestArrays, threads: int = 1) -> BatchResult:
        """Evaluate mappings, their orders settled; see `BatchEvaluator.evaluate`."""
        settle_orders(nests)
        return self._evaluator.evaluate(*nests, threads=threads, accesses=False)

    @contextmanager
    def workbench(self, mappings: int) -> Iterator[Workbench]:
        """Lend room to evaluate as many mappings at a time, with a memo that no other thread uses."""
        with self._lend_memo() as memo:
            yield Workbench(make_buffers(self._expected, mappings), memo)

    @contextmanager
    def _lend_memo(self) -> Iterator[Memo]:
        try:
            memo = self._memos.pop()
        except IndexError:
            memo = Memo()
        try:
            yield memo
        finally:
            self._memos.append(memo)

    def evaluate(self, nests: NestArrays, bench: Workbench) -> None:
        """Evaluate mappings, their orders settled, into a workbench for as many.

        Where there are masks, their densities are used instead: counting takes a thousand times longer.
        """
        settle_orders(nests)
        evaluate_block(self._expected, nests, bench.sparse, bench.memo)

    def batches(self, nests: NestArrays) -> Iterator[NestArrays]:
        """Yield mappings, as many as are measured between looks at the time limit."""
        for first in range(0, len(nests.temporal), self.batch):
            yield select(nests, slice(first, first + self.batch))

    def choose(self, nests: NestArrays, incumbent: Incumbent, threads: int = 1) -> int:
        """Measure mappings, offer each to the incumbent, and return how many are valid."""
        found = self.measure(nests, threads)
        for n in np.flatnonzero(found.valid).tolist():
            energy, cycles = float(found.energy_pj[n]), float(found.cycles[n])
            if is_better(incumbent.goal, energy, cycles):
                incumbent.offer(energy, cycles, select(nests, np.array([n])))
        return int(found.valid.sum())

    def most_promising(self, nests: NestArrays, incumbent: Incumbent, threads: int = 1) -> NestArrays:
        """Return the few mappings that cost least by the densities of masks, measured in no time."""
        settle_orders(nests)
        found = self._quick.evaluate(*nests, threads=threads, accesses=False)
        late = found.cycles.astype(float)
        score = np.where(found.status == 0, incumbent.score_all(found.energy_pj, late), np.inf)
        beyond = ~incumbent.objective.allows(found.energy_pj, late)
        return select(nests, np.lexsort((score, beyond))[:COUNTED])

    def least_work(
        self, lattice: Lattice, child: Ints, spread: Ints, deadline: Deadline | None = None
    ) -> Floats:
        """Bound the work of the slowest processing element, as a share of the work if nothing were zero.

        Parameters
        ----------
        lattice : Lattice
        child, spread : int64[n]
            Points of the elements inside a processing element, and of all factors spread over the array.
        deadline : Deadline, optional

        Returns
        -------
        float64[n]
            All other savings included.

        Raises
        ------
        OutOfTime
        """
        design, tensor = self.design, self.design.balance.tensor
        time = self.relaxation.time_share
        met = float(design.densities.met[tensor]) if tensor >= 0 else 0.0
        if not self.relaxation.waits:
            return np.full(len(child), time)
        own = design.problem.rank[tensor] >= 0
        points = (lattice.indices[:, own] * lattice.stride[own]).sum(axis=1)
        keys = points[child] * len(points) + points[spread]
        unique, inverse = np.unique(keys, return_inverse=True)
        new = np.array([key for key in unique.tolist() if key not in self._known], np.int64)
        size = float(design.densities.size[tensor])
        if design.is_counted and len(new) * size > MOST_COUNTED:
            return np.full(len(child), time)
        block = max(1, min(BLOCK, int(COUNTED_AT_A_TIME / size))) if design.is_counted else BLOCK
        for part in slices(len(new), block, deadline or Deadline()):
            found = self._work(lattice, new[part] // len(points), new[part] % len(points))
            self._known.update(zip(new[part].tolist(), found.tolist(), strict=True))
        work = np.array([self._known[key] for key in unique.tolist()])
        return np.asarray(np.maximum(work, met)[inverse] * (time / met))

    def _work(self, lattice: Lattice, tiles: Ints, spreads: Ints) -> Floats:
        """Return the work of the slowest element for tiles and spatial factors given as points."""
        design, balance = self.design, self.design.balance
        levels, dimensions = design.compressed.shape[0], len(design.problem.bounds)
        count, array = len(tiles), balance.array
        nests = NestArrays(
            np.ones((count, levels, dimensions), np.int64),
            np.tile(np.arange(dimensions), (count, levels, 1)),
            np.ones((count, levels, 2, dimensions), np.int64),
            np.ones((count, levels, design.compressed.shape[1]), np.bool_),
        )
        inside, across = lattice.value[tiles], lattice.value[spreads]
        nests.temporal[:, array] = inside
        if array:
            nests.spatial[:, array - 1, 0] = across
        nests.temporal[:, 0] *= design.problem.bounds // (inside * across)
        buffers = make_buffers(design, count)
        flatten(nests, buffers.loops)
        find_tiles(design.problem, buffers.loops, balance, design.densities.group, buffers.tiles)
        with self._lend_memo() as memo:
            find_work(design, buffers, memo.work)
        return np.asarray(buffers.counts.work)
