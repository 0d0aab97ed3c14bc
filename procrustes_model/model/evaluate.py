"""Evaluate one mapping: specs in, `Result` out."""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from procrustes_model.errors import Issue, SpecError
from procrustes_model.kernels.dense.arrays import (
    BAD_FACTORS,
    BAD_FANOUT,
    BAD_KEEP,
    FILL,
    OVERFLOW,
    READ,
    UPDATE,
    CostArrays,
    CountArrays,
)
from procrustes_model.kernels.dense.buffers import make_costs, make_counts, make_loops
from procrustes_model.kernels.dense.evaluate import evaluate_nests
from procrustes_model.model.lower import lower_architecture, lower_last_passes, lower_mapping, lower_problem
from procrustes_model.model.result import ComputeResult, LevelResult, Result, TensorCounts

if TYPE_CHECKING:
    from procrustes_model.model.sparse.result import SparseResult
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.mapping import Mapping
    from procrustes_model.spec.problem import Problem
    from procrustes_model.spec.sparsity import Sparsity

LIMITS = ("compute", "read bandwidth", "write bandwidth", "shared bandwidth")
REASONS = {
    OVERFLOW: "a count exceeds 2^62, beyond which counts are not exact",
    BAD_FACTORS: "the mapping's loops do not cover the problem's bounds",
    BAD_FANOUT: "the mapping's spatial factors exceed the architecture's fan-out",
    BAD_KEEP: "the mapping does not keep every tensor at the outermost level",
}


@overload
def evaluate(
    architecture: Architecture, problem: Problem, mapping: Mapping, *, check_capacity: bool = ...
) -> Result: ...


@overload
def evaluate(
    architecture: Architecture,
    problem: Problem,
    mapping: Mapping,
    *,
    check_capacity: bool = ...,
    sparsity: Sparsity,
    densities: AbstractMapping[str, Any] | None = ...,
    masks: AbstractMapping[str, Any] | None = ...,
) -> SparseResult: ...


def evaluate(
    architecture: Architecture,
    problem: Problem,
    mapping: Mapping,
    *,
    check_capacity: bool = True,
    sparsity: Sparsity | None = None,
    densities: AbstractMapping[str, Any] | None = None,
    masks: AbstractMapping[str, Any] | None = None,
) -> Result:
    """Count accesses, energy and cycles of one mapping.

    Parameters
    ----------
    architecture : Architecture
    problem : Problem
    mapping : Mapping
        As `load_mapping` returns it for this architecture and problem.
    check_capacity : bool
        Whether tiles that do not fit are an error.
    sparsity : Sparsity, optional
        What is zero, how it is stored, and what that saves; None: nothing is zero.
    densities : mapping, optional
        By tensor, in place of the sparse design's: nonzeros / elements, or what a density in its file holds.
    masks : mapping, optional
        By tensor, in place of its density: a boolean array with the tensor's ranks, or a .npy or .npz file.
        What masks decide is then counted and not expected.

    Returns
    -------
    Result
        With `sparsity` a `SparseResult`.

    Raises
    ------
    SpecError
        When tiles exceed a level's capacity, a count exceeds 2^62, densities or masks come without a sparse
        design or do not fit the problem, or a sparse design does not fit the architecture.
    """
    if sparsity is not None:
        from procrustes_model.model.sparse.lift import evaluate_sparse

        return evaluate_sparse(
            architecture,
            problem,
            mapping,
            sparsity,
            densities=densities,
            masks=masks,
            check_capacity=check_capacity,
        )
    if densities or masks:
        raise SpecError(
            Issue("densities and masks need a sparse design", "such as load_sparsity('procrustes')")
        )
    nest = lower_mapping(problem, mapping)
    _, levels, dimensions = nest.temporal.shape
    tensors = len(problem.tensors)
    counts, costs = make_counts(1, levels, tensors), make_costs(1, levels, tensors)
    status = np.empty(1, np.int64)
    problem_arrays, machine = lower_problem(problem), lower_architecture(architecture)
    loops = make_loops(1, levels, dimensions)
    if mapping.imperfect:
        from procrustes_model.kernels.imperfect.evaluate import evaluate_imperfect_nests

        last = lower_last_passes(problem, mapping)
        evaluate_imperfect_nests(problem_arrays, machine, nest, last, loops, counts, costs, status)
    else:
        evaluate_nests(problem_arrays, machine, nest, loops, counts, costs, status)
    if int(status[0]) in REASONS:
        raise SpecError(mapping.issue(REASONS[int(status[0])]))
    result = _lift(architecture, problem, mapping, counts, costs)
    if check_capacity:
        _check_capacity(result, mapping)
    return result


def _check_capacity(result: Result, mapping: Mapping) -> None:
    """Raise when the tiles of a level do not fit, with every such level and its tensors."""
    issues = []
    for index, level in enumerate(result.levels):
        if level.capacity_words is None or level.used_words <= level.capacity_words:
            continue
        tiles = ", ".join(f"{t.tensor} {t.tile_words:,}" for t in level.tensors)
        issues.append(
            mapping.issue(
                f"tiles at level '{level.name}' take {level.used_words:,} words, its capacity is"
                f" {level.capacity_words:,}: {level.used_words - level.capacity_words:,} too many ({tiles})",
                "move a factor to a level further out, or bypass a tensor",
                index,
            )
        )
    if issues:
        raise SpecError(issues)


def _lift(
    architecture: Architecture,
    problem: Problem,
    mapping: Mapping,
    counts: CountArrays,
    costs: CostArrays,
) -> Result:
    """Turn what the kernels filled in for a batch of one into a `Result`."""
    accesses, tile, instances = counts.accesses[0], counts.tile[0], counts.instances[0]
    energy, cycles, limit = costs.energy[0], costs.cycles[0], costs.limit[0]
    levels = []
    for i, spec in enumerate(architecture.levels):
        tensors = tuple(
            TensorCounts(
                level=spec.name,
                tensor=tensor.name,
                is_output=tensor.is_output,
                instances=int(instances[i]),
                tile_words=int(tile[i, t]),
                reads=int(accesses[i, t, READ]),
                fills=int(accesses[i, t, FILL]),
                updates=int(accesses[i, t, UPDATE]),
                read_energy_pj=float(energy[i, t, READ]),
                fill_energy_pj=float(energy[i, t, FILL]),
                update_energy_pj=float(energy[i, t, UPDATE]),
            )
            for t, tensor in enumerate(problem.tensors)
            if tensor.name in mapping.levels[i].keep
        )
        levels.append(
            LevelResult(
                name=spec.name,
                instances_used=int(instances[i]),
                instances=architecture.instances(i),
                capacity_words=spec.capacity_words,
                used_words=sum(t.tile_words for t in tensors),
                cycles=int(cycles[i]),
                limited_by=LIMITS[limit[i]],
                tensors=tensors,
            )
        )
    compute = ComputeResult(
        name=architecture.compute.name,
        instances_used=int(instances[-1]),
        instances=architecture.instances(len(levels)),
        computes=problem.computes,
        energy_pj=problem.computes * float(architecture.compute.energy_pj),
        cycles=int(cycles[-1]),
    )
    slowest = max(levels, key=lambda level: level.cycles)
    limited = slowest.cycles > compute.cycles
    return Result(
        architecture=architecture.name,
        problem=problem.name,
        phase=problem.phase,
        mapping=mapping.name,
        levels=tuple(levels),
        compute=compute,
        cycles=max(slowest.cycles, compute.cycles),
        bottleneck=slowest.name if limited else compute.name,
    )
