"""Many mappings of one problem: arrays in, arrays out, block by block, in any number of threads."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol, cast

import numpy as np
from numpy.typing import ArrayLike

from procrustes_model.kernels.dense.arrays import BAD_FACTORS, Bools, Floats, Ints, NestArrays
from procrustes_model.kernels.dense.buffers import make_costs, make_room
from procrustes_model.kernels.dense.nest import are_well_formed
from procrustes_model.kernels.imperfect.instances import find_unequal
from procrustes_model.kernels.imperfect.unequal import LastArrays, Manner, evaluate_unequal, make_totals
from procrustes_model.kernels.lanes.rows import Rows, take_nests
from procrustes_model.kernels.pipeline import Scope, evaluate_nests
from procrustes_model.model.design import Design
from procrustes_model.model.lanes import DesignOnLanes, OnLanes
from procrustes_model.model.passes import read_last
from procrustes_model.model.sparse.buffers import Memo, SparseBuffers, make_buffers
from procrustes_model.model.sparse.lower import SparseDesign
from procrustes_model.model.sparse.steps import evaluate_block
from procrustes_model.model.tile_memory import TileMemory

DENSE_BLOCK, SPARSE_BLOCK = 512, 1024
"""Mappings evaluated at a time: enough to hide the cost of calls, few enough to stay in cache."""

WHOLE_ONLY = "the rule 'overlap: innermost' is defined for loops that divide their bounds"
"""What is said of last passes under a rule that counts sliding tiles as if all passes were whole."""

EVEN_ONLY = "uneven mappings are defined for instances that all do the same"
"""What is said of instances that differ where tensors of a level have their tiles at several loops."""

EQUAL_ONLY = "the rule 'access_energy: largest' is defined for instances that all do the same"
"""What is said of instances that differ under a rule that charges one for all."""

FITTING = Scope(known=False, fit=True)


@dataclass(frozen=True, slots=True)
class BatchResult:
    """Counts and costs of N mappings with L levels and T tensors.

    Attributes
    ----------
    energy_pj : float64[N]
        The total energy, as `Result.energy_pj`; NaN where a mapping is not valid.
    cycles : int64[N]
        -1 where a mapping is not valid.
    accesses : int64[N, L, T, 3] or float64[N, L, T, 3]
        Words read, filled and updated, per instance; expected values under a sparse design, means where last
        passes are given. Without mappings where they were not asked for.
    imbalance : float64[N]
        Work of the slowest processing element over the mean, after balancing; 1 where there is none.
    status : int64[N]
        `vocabulary.Status`: 0 valid; 1 a count exceeds 2^62; 2 the loops do not cover the bounds; 3 fan-out
        exceeded; 4 a tensor is not kept where it begins, or outside of it; 5 capacity exceeded; 6 a sparse
        design would save nothing; 7 a tensor is not whole where it begins.
    """

    energy_pj: Floats
    cycles: Ints
    accesses: Ints | Floats
    imbalance: Floats
    status: Ints

    @property
    def valid(self) -> Bools:
        """Which mappings are valid, as bool[N]."""
        return np.equal(self.status, 0)


class _Worker(Protocol):
    """Memory of one thread, kept from call to call; `memory`: what code on lanes knows of tiles."""

    memory: TileMemory | None

    def evaluate(self, nests: NestArrays, last: LastArrays | None, result: BatchResult, block: slice) -> None:
        """Evaluate one block of mappings into its part of a result."""


class _DenseWorker:
    """Evaluates mappings in which nothing is zero."""

    def __init__(self, design: Design, shape: tuple[int, int, int]) -> None:
        self.memory: TileMemory | None = None
        self._design = design
        self._shape = shape
        self._size = 0
        self._make_room(DENSE_BLOCK)

    def _make_room(self, size: int) -> None:
        # Kernels take the number of mappings from any of the arrays: all are as long as the block.
        levels, dimensions, tensors = self._shape
        self._size = size
        self._room = make_room(size, levels, dimensions, tensors)
        self._costs = make_costs(size, self._design.machine)

    def evaluate(self, nests: NestArrays, last: LastArrays | None, result: BatchResult, block: slice) -> None:
        if last is not None:
            self._evaluate_passes(nests, last, result, block)
            return
        size = block.stop - block.start
        if size != self._size:
            self._make_room(size)
        room = self._room._replace(status=result.status[block])
        if len(result.accesses):
            counts = room.counts._replace(accesses=cast("Ints", result.accesses[block]))
            room = room._replace(counts=counts)
        design, costs = self._design, self._costs
        evaluate_nests(design.problem, design.machine, design.rules, FITTING, nests, None, room, costs)
        result.energy_pj[block] = costs.total
        result.cycles[block] = np.where(room.status == 0, costs.cycles.max(axis=1), -1)

    def _evaluate_passes(
        self, nests: NestArrays, last: LastArrays, result: BatchResult, block: slice
    ) -> None:
        """Evaluate mappings with last passes: those whose instances differ, and the others."""
        design = self._design
        unequal = find_unequal(nests, last.temporal, last.filled)
        for differ in (False, True):
            rows = np.flatnonzero(unequal == differ)
            if not len(rows):
                continue
            chosen = NestArrays(
                nests.temporal[rows], nests.order[rows], nests.spatial[rows], nests.keep[rows]
            )
            levels, dimensions, tensors = self._shape
            room = make_room(len(rows), levels, dimensions, tensors)
            costs = make_costs(len(rows), design.machine)
            words: Ints | Floats = room.counts.accesses
            problem, machine, rules = design.problem, design.machine, design.rules
            if differ:
                some = LastArrays(last.temporal[rows], last.filled[rows])
                totals = make_totals(len(rows), levels, tensors)
                manner = Manner(FITTING.fit, rules.all_fills)
                evaluate_unequal(problem, machine, chosen, some, manner, room, totals, costs)
                words = totals.words
            else:
                temporal = last.temporal[rows]
                evaluate_nests(problem, machine, rules, FITTING, chosen, temporal, room, costs)
            places = block.start + rows
            result.energy_pj[places] = costs.total
            result.cycles[places] = np.where(room.status == 0, costs.cycles.max(axis=1), -1)
            result.status[places] = room.status
            if len(result.accesses):
                result.accesses[places] = words


class _SparseWorker:
    """Evaluates mappings under a sparse design, and remembers the expected work of tiles."""

    def __init__(self, design: SparseDesign) -> None:
        self.memory: TileMemory | None = None
        self._design = design
        self._buffers: dict[bool, SparseBuffers] = {}
        self._memo = Memo()

    def _room_for(self, size: int) -> SparseBuffers:
        """Return memory for so many mappings: that of blocks is kept, and the last of any other size."""
        is_whole = size == SPARSE_BLOCK
        kept = self._buffers.get(is_whole)
        if kept is None or len(kept.status) != size:
            kept = self._buffers[is_whole] = make_buffers(self._design, size)
        return kept

    def evaluate(self, nests: NestArrays, last: LastArrays | None, result: BatchResult, block: slice) -> None:
        if last is not None:
            raise ValueError("sparse evaluation takes loops that divide their bounds: last must be None")
        size = block.stop - block.start
        design, buffers = self._design, self._room_for(size)
        evaluate_block(design, nests, buffers, self._memo)
        costs, status = buffers.costs, buffers.status
        result.energy_pj[block] = costs.total
        result.cycles[block] = np.where(status == 0, costs.cycles.max(axis=1), -1)
        result.status[block] = status
        if len(result.accesses):
            result.accesses[block] = buffers.counts.actual
        tensor = design.balance.tensor
        met = float(design.densities.met[tensor])
        if tensor >= 0 and met > 0:
            result.imbalance[block] = buffers.counts.work / met


@dataclass(frozen=True, slots=True)
class BatchEvaluator:
    """A design, ready to evaluate batches of mappings; one batch at a time.

    Expected work of tiles, tables of masks and memory are kept from batch to batch.

    Attributes
    ----------
    design : Design
        A `SparseDesign` where something is zero.
    """

    design: Design
    _workers: list[_Worker] = field(default_factory=list, repr=False)
    _lanes: DesignOnLanes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_lanes", DesignOnLanes(self.design))

    def evaluate(
        self,
        temporal: ArrayLike,
        order: ArrayLike,
        spatial: ArrayLike,
        keep: ArrayLike,
        *,
        last: ArrayLike | None = None,
        threads: int = 1,
        accesses: bool = True,
    ) -> BatchResult:
        """Evaluate N mappings given as arrays, as `Evaluator.evaluate_batch` describes them.

        Parameters
        ----------
        temporal, order, spatial, keep, last, threads
            As there.
        accesses : bool
            Whether to return them.

        Returns
        -------
        BatchResult

        Raises
        ------
        ValueError
            As there.
        """
        nests = NestArrays(
            np.ascontiguousarray(temporal, np.int64),
            np.ascontiguousarray(order, np.int64),
            np.ascontiguousarray(spatial, np.int64),
            np.ascontiguousarray(keep, np.bool_),
        )
        levels, tensors = self.design.machine.bits.shape
        _check_arrays(nests, levels, len(self.design.problem.bounds), tensors)
        passes = None
        if last is not None:
            if self.design.rules.forgetful:
                raise ValueError(f"{WHOLE_ONLY}: last must be None")
            passes = read_last(nests, np.ascontiguousarray(last, np.int64))
            if self.design.rules.dearest and find_unequal(nests, *passes).any():
                raise ValueError(f"{EQUAL_ONLY}: last must fit")
        mappings = len(nests.temporal)
        code = self._lanes.code(mappings) if passes is None else None
        if code is None:
            _check_nests(nests)
        result = _make_result(
            mappings, self._make_accesses(mappings if accesses else 0, expected=last is not None)
        )
        threads, bounds = max(1, threads), self.design.problem.bounds
        while len(self._workers) < threads:
            self._workers.append(self._make_worker())
        if threads == 1:
            _evaluate_range(self._workers[0], code, nests, passes, result, slice(0, mappings), bounds)
            return result
        edges = [mappings * i // threads for i in range(threads + 1)]
        with ThreadPoolExecutor(threads) as pool:
            futures = [
                pool.submit(_evaluate_range, worker, code, nests, passes, result, slice(first, end), bounds)
                for worker, (first, end) in zip(self._workers, pairwise(edges), strict=False)
            ]
            for future in futures:
                future.result()
        return result

    def _make_accesses(self, mappings: int, *, expected: bool) -> Ints | Floats:
        """Return room for accesses, which are means where instances may differ."""
        shape = (mappings, *self.design.machine.bits.shape, 3)
        expected = expected or isinstance(self.design, SparseDesign)
        return np.empty(shape) if expected else np.empty(shape, np.int64)

    def _make_worker(self) -> _Worker:
        if isinstance(self.design, SparseDesign):
            return _SparseWorker(self.design)
        levels, tensors = self.design.machine.bits.shape
        return _DenseWorker(self.design, (levels, len(self.design.problem.bounds), tensors))


def _check_arrays(nests: NestArrays, levels: int, dimensions: int, tensors: int) -> None:
    """Raise ValueError for arrays of other shapes."""
    mappings = len(nests.temporal)
    expected = {
        "temporal": (mappings, levels, dimensions),
        "order": (mappings, levels, dimensions),
        "spatial": (mappings, levels, 2, dimensions),
        "keep": (mappings, levels, tensors),
    }
    for name, shape in expected.items():
        if getattr(nests, name).shape != shape:
            raise ValueError(f"{name} has shape {getattr(nests, name).shape}, expected {shape}")


def _check_nests(nests: NestArrays) -> None:
    """Raise ValueError for mappings that kernels must not see."""
    positive, ordered = are_well_formed(nests)
    if not positive:
        raise ValueError("factors must be positive")
    if not ordered:
        raise ValueError("order must hold a permutation of the dimensions for every level")


def _blocks(first: int, end: int, size: int) -> Iterator[slice]:
    for start in range(first, end, size):
        yield slice(start, min(start + size, end))


def _evaluate_range(
    worker: _Worker,
    code: OnLanes | None,
    nests: NestArrays,
    passes: LastArrays | None,
    result: BatchResult,
    where: slice,
    bounds: Ints,
) -> None:
    """Evaluate the mappings of a slice into `result`: on lanes, and block by block what is left."""
    size = SPARSE_BLOCK if isinstance(worker, _SparseWorker) else DENSE_BLOCK
    if code is not None:
        for rows in _evaluate_on_lanes(worker, code, nests, result, where, size):
            part = take_nests(nests, rows)
            _check_nests(part)
            some = _make_result(len(rows), np.empty_like(result.accesses[: len(rows)]))
            _evaluate_whole(worker, part, some, slice(0, len(rows)), bounds)
            result.energy_pj[rows], result.cycles[rows] = some.energy_pj, some.cycles
            result.status[rows], result.imbalance[rows] = some.status, some.imbalance
            if len(some.accesses):
                result.accesses[rows] = some.accesses
        return
    for block in _blocks(where.start, where.stop, size):
        part = take_nests(nests, block)
        if passes is None:
            _evaluate_whole(worker, part, result, block, bounds)
        else:
            last = LastArrays(passes.temporal[block], passes.filled[block])
            worker.evaluate(part, last, result, block)


def _evaluate_whole(
    worker: _Worker, nests: NestArrays, result: BatchResult, block: slice, bounds: Ints
) -> None:
    """Evaluate mappings with whole passes into a block of a result.

    Kernels count tiles before they multiply factors: what is above a bound does not get there.
    """
    above: Bools = np.asarray((nests.temporal > bounds).any(axis=(1, 2)))
    above |= (nests.spatial > bounds).any(axis=(1, 2, 3))
    if above.any():
        ones = np.where(above[:, None, None], 1, nests.temporal)
        spread = np.where(above[:, None, None, None], 1, nests.spatial)
        nests = nests._replace(temporal=ones, spatial=spread)
    worker.evaluate(nests, None, result, block)
    if above.any():
        rows = block.start + np.flatnonzero(above)
        result.energy_pj[rows], result.cycles[rows], result.status[rows] = math.nan, -1, BAD_FACTORS


def _make_result(mappings: int, accesses: Ints | Floats) -> BatchResult:
    """Return room for the results of mappings, and of their accesses."""
    return BatchResult(
        energy_pj=np.empty(mappings),
        cycles=np.empty(mappings, np.int64),
        accesses=accesses,
        imbalance=np.ones(mappings),
        status=np.empty(mappings, np.int64),
    )


def _evaluate_on_lanes(
    worker: _Worker, code: OnLanes, nests: NestArrays, result: BatchResult, where: slice, size: int
) -> Iterator[Ints]:
    """Evaluate mappings on lanes; yield which are left to other kernels, at most `size` at a time."""
    if worker.memory is None:
        worker.memory = code.make_memory()
    rows = Rows(
        result.energy_pj[where],
        result.cycles[where],
        result.accesses[where],
        result.status[where],
        result.imbalance[where],
    )
    code.evaluate(take_nests(nests, where), rows, worker.memory)
    left = np.flatnonzero(rows.status < 0) + where.start
    for block in _blocks(0, len(left), size):
        yield left[block]
