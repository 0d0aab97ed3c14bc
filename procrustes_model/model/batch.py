"""Evaluate many mappings of one problem: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from procrustes_model.kernels.dense.arrays import (
    Bools,
    Floats,
    Ints,
    MachineArrays,
    NestArrays,
    ProblemArrays,
)
from procrustes_model.kernels.dense.buffers import make_costs, make_counts, make_loops
from procrustes_model.kernels.dense.evaluate import evaluate_nests
from procrustes_model.kernels.dense.nest import are_well_formed
from procrustes_model.kernels.imperfect.evaluate import evaluate_imperfect_nests
from procrustes_model.model.lower import lower_architecture, lower_problem

if TYPE_CHECKING:
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.problem import Problem

BLOCK = 512
"""Mappings evaluated at a time: enough to hide the cost of a call, few enough to stay in cache."""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """Counts and costs of N mappings with L levels and T tensors.

    Attributes
    ----------
    energy_pj : float64[N]
        Total energy, compute included; NaN where a mapping is not valid.
    cycles : int64[N]
        -1 where a mapping is not valid.
    accesses : int64[N, L, T, 3]
        Words read, filled and updated, per instance.
    status : int64[N]
        0 valid; 1 a count exceeds 2^62; 2 the loops do not cover the bounds; 3 fan-out exceeded;
        4 a tensor is not kept at the outermost level; 5 capacity exceeded.
    """

    energy_pj: Floats
    cycles: Ints
    accesses: Ints
    status: Ints

    @property
    def valid(self) -> Bools:
        """Which mappings are valid, as bool[N]."""
        return np.equal(self.status, 0)


def evaluate_batch(
    architecture: Architecture,
    problem: Problem,
    temporal: ArrayLike,
    order: ArrayLike,
    spatial: ArrayLike,
    keep: ArrayLike,
    *,
    last: ArrayLike | None = None,
    threads: int = 1,
) -> BatchResult:
    """Evaluate N mappings given as arrays.

    Parameters
    ----------
    architecture : Architecture
        With L levels, outermost first.
    problem : Problem
        With D dimensions and T tensors, in this order.
    temporal : int[N, L, D]
        Temporal factors.
    order : int[N, L, D]
        Indices of the dimensions of each level's temporal loops, outermost first: a permutation.
    spatial : int[N, L, 2, D]
        Factors on x and y over the instances below the level.
    keep : bool[N, L, T]
        Which tensors each level keeps.
    last : int[N, L, D], optional
        Temporal factors in the last pass over their dimension; None where all passes are whole.
    threads : int
        Threads to share the work; the result does not depend on it.

    Returns
    -------
    BatchResult

    Raises
    ------
    ValueError
        When the arrays' shapes disagree, factors are not positive, an order is not a permutation or a
        last pass is longer than the others.
    SpecError
        When a tensor is larger than 2^62 words.
    """
    problem_arrays, machine = lower_problem(problem), lower_architecture(architecture)
    nests = NestArrays(
        np.ascontiguousarray(temporal, np.int64),
        np.ascontiguousarray(order, np.int64),
        np.ascontiguousarray(spatial, np.int64),
        np.ascontiguousarray(keep, np.bool_),
    )
    check_arrays(nests, len(architecture.levels), len(problem.dimensions), len(problem.tensors))
    passes = None if last is None else _check_last(nests, np.ascontiguousarray(last, np.int64))
    mappings, levels, tensors = nests.keep.shape
    result = BatchResult(
        np.empty(mappings),
        np.empty(mappings, np.int64),
        np.empty((mappings, levels, tensors, 3), np.int64),
        np.empty(mappings, np.int64),
    )
    if threads <= 1:
        _evaluate_range(problem_arrays, machine, nests, passes, result, 0, mappings)
        return result
    edges = [mappings * i // threads for i in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        futures = [
            pool.submit(_evaluate_range, problem_arrays, machine, nests, passes, result, first, end)
            for first, end in pairwise(edges)
        ]
        for future in futures:
            future.result()
    return result


def check_arrays(nests: NestArrays, levels: int, dimensions: int, tensors: int) -> None:
    """Raise ValueError for arrays that kernels must not see."""
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
    positive, ordered = are_well_formed(nests)
    if not positive:
        raise ValueError("factors must be positive")
    if not ordered:
        raise ValueError("order must hold a permutation of the dimensions for every level")


def _check_last(nests: NestArrays, last: Ints) -> Ints:
    """Return the last passes; raise ValueError where kernels must not see them."""
    if last.shape != nests.temporal.shape:
        raise ValueError(f"last has shape {last.shape}, expected {nests.temporal.shape}")
    if (last < 1).any() or (last > nests.temporal).any():
        raise ValueError("last passes must be positive and at most the temporal factors")
    return last


def _blocks(first: int, end: int) -> Iterator[slice]:
    for start in range(first, end, BLOCK):
        yield slice(start, min(start + BLOCK, end))


def _evaluate_range(
    problem: ProblemArrays,
    machine: MachineArrays,
    nests: NestArrays,
    passes: Ints | None,
    result: BatchResult,
    first: int,
    end: int,
) -> None:
    """Evaluate mappings `first` to `end` block by block into `result`."""
    _, levels, dimensions = nests.temporal.shape
    tensors = nests.keep.shape[2]
    size = 0
    for block in _blocks(first, end):
        done = block.stop - block.start
        if done != size:
            # Kernels take the number of mappings from any of the arrays: all are as long as the block.
            size = done
            loops, costs = make_loops(size, levels, dimensions), make_costs(size, levels, tensors)
            scratch = make_counts(size, levels, tensors)
        counts = scratch._replace(accesses=result.accesses[block])
        part = NestArrays(nests.temporal[block], nests.order[block], nests.spatial[block], nests.keep[block])
        status = result.status[block]
        if passes is None:
            evaluate_nests(problem, machine, part, loops, counts, costs, status)
        else:
            evaluate_imperfect_nests(problem, machine, part, passes[block], loops, counts, costs, status)
        result.energy_pj[block] = costs.total
        slowest = costs.cycles.max(axis=1)
        result.cycles[block] = np.where(result.status[block] == 0, slowest, -1)
