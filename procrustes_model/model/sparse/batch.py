"""Evaluate many mappings of one problem under one sparse design: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, Floats, Ints, NestArrays
from procrustes_model.kernels.imbalance.memo import MemoArrays, make_memo
from procrustes_model.model.batch import check_arrays
from procrustes_model.model.sparse.lower import SparseDesign, lower_sparsity
from procrustes_model.model.sparse.steps import SparseBuffers, evaluate_block, make_buffers

if TYPE_CHECKING:
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.problem import Problem
    from procrustes_model.spec.sparsity import Sparsity

BLOCK = 256
"""Mappings evaluated at a time: enough to hide the cost of calls, few enough to stay in cache."""


@dataclass(frozen=True, slots=True)
class SparseBatchResult:
    """Costs of N mappings.

    Attributes
    ----------
    energy_pj : float64[N]
        Total energy of storage, metadata, balancing and compute; NaN where a mapping is not valid.
        Components are not in it.
    cycles : int64[N]
        -1 where a mapping is not valid.
    imbalance : float64[N]
        Work of the slowest processing element over the mean, after balancing; 1 where there is none.
    status : int64[N]
        As in `BatchResult`.
    """

    energy_pj: Floats
    cycles: Ints
    imbalance: Floats
    status: Ints

    @property
    def valid(self) -> Bools:
        """Which mappings are valid, as bool[N]."""
        return np.equal(self.status, 0)


@dataclass(slots=True)
class _Worker:
    """Memory of one thread, kept from call to call."""

    buffers: SparseBuffers
    memo: MemoArrays


@dataclass(frozen=True, slots=True)
class SparseEvaluator:
    """A problem on an architecture under a sparse design, ready to evaluate batches of mappings.

    Expected work of tiles, tables of masks and memory are kept from batch to batch. One batch at a time.

    Attributes
    ----------
    design : SparseDesign
    """

    design: SparseDesign
    _workers: list[_Worker] = field(default_factory=list, repr=False)

    def evaluate(
        self, temporal: Ints, order: Ints, spatial: Ints, keep: Bools, *, threads: int = 1
    ) -> SparseBatchResult:
        """Evaluate N mappings given as arrays.

        Parameters
        ----------
        temporal : int64[N, L, D]
            Temporal factors.
        order : int64[N, L, D]
            Indices of the dimensions of each level's temporal loops, outermost first: a permutation. Arrays
            are not checked.
        spatial : int64[N, L, 2, D]
            Factors on x and y over the instances below the level.
        keep : bool[N, L, T]
            Which tensors each level keeps.
        threads : int
            Threads to share the work; the result does not depend on it.

        Returns
        -------
        SparseBatchResult

        Raises
        ------
        ValueError
            When the arrays' shapes disagree, factors are not positive or an order is not a permutation.
        """
        nests = NestArrays(
            np.ascontiguousarray(temporal, np.int64),
            np.ascontiguousarray(order, np.int64),
            np.ascontiguousarray(spatial, np.int64),
            np.ascontiguousarray(keep, np.bool_),
        )
        levels, tensors = self.design.compressed.shape
        check_arrays(nests, levels, len(self.design.problem.bounds), tensors)
        mappings = len(nests.temporal)
        result = SparseBatchResult(
            np.empty(mappings), np.empty(mappings, np.int64), np.ones(mappings), np.empty(mappings, np.int64)
        )
        threads = max(1, threads)
        while len(self._workers) < threads:
            self._workers.append(_Worker(make_buffers(self.design, BLOCK), make_memo()))
        if threads == 1:
            self._evaluate_range(self._workers[0], nests, result, 0, mappings)
            return result
        edges = [mappings * i // threads for i in range(threads + 1)]
        with ThreadPoolExecutor(threads) as pool:
            futures = [
                pool.submit(self._evaluate_range, worker, nests, result, first, end)
                for worker, (first, end) in zip(self._workers, pairwise(edges), strict=False)
            ]
            for future in futures:
                future.result()
        return result

    def _evaluate_range(
        self, worker: _Worker, nests: NestArrays, result: SparseBatchResult, first: int, end: int
    ) -> None:
        """Evaluate mappings `first` to `end` block by block into `result`."""
        tensor = self.design.balance.tensor
        met = float(self.design.densities.met[tensor]) if tensor >= 0 else 1.0
        for start in range(first, end, BLOCK):
            stop = min(start + BLOCK, end)
            block = slice(start, stop)
            part = NestArrays(
                nests.temporal[block], nests.order[block], nests.spatial[block], nests.keep[block]
            )
            full = stop - start == BLOCK
            buffers = worker.buffers if full else make_buffers(self.design, stop - start)
            evaluate_block(self.design, part, buffers, worker.memo)
            costs, status = buffers.costs, buffers.status
            result.energy_pj[block] = costs.total
            result.cycles[block] = np.where(status == 0, costs.cycles.max(axis=1), -1)
            result.status[block] = status
            if tensor >= 0 and met > 0:
                result.imbalance[block] = buffers.counts.work / met


def prepare_sparse(
    architecture: Architecture,
    problem: Problem,
    sparsity: Sparsity,
    *,
    densities: AbstractMapping[str, Any] | None = None,
    masks: AbstractMapping[str, Any] | None = None,
) -> SparseEvaluator:
    """Return an evaluator of batches of mappings.

    Parameters
    ----------
    architecture : Architecture
    problem : Problem
    sparsity : Sparsity
    densities, masks : mapping, optional
        As `evaluate` takes them.

    Returns
    -------
    SparseEvaluator

    Raises
    ------
    SpecError
        When densities, masks or the design do not fit the problem and the architecture.
    """
    return SparseEvaluator(lower_sparsity(architecture, problem, sparsity, densities, masks))
