"""The dense model of nests in which loops are shorter in the last pass over their dimension."""

from __future__ import annotations

import numpy as np

from procrustes_model.kernels.dense.arrays import (
    COUNT_LIMIT,
    OK,
    OVERFLOW,
    CostArrays,
    CountArrays,
    Ints,
    LoopArrays,
    MachineArrays,
    NestArrays,
    ProblemArrays,
)
from procrustes_model.kernels.dense.evaluate import (
    access_energy,
    check_capacity,
    count_accesses,
    count_cycles,
)
from procrustes_model.kernels.dense.nest import check_nests, count_transfers, flatten, measure_tiles
from procrustes_model.kernels.dense.sharing import count_distinct
from procrustes_model.kernels.imperfect.transfers import (
    check_passes,
    count_imperfect_transfers,
    fit_bounds,
    list_passes,
    make_passes,
)
from procrustes_model.kernels.jit import kernel


@kernel
def _count_steps(problem: ProblemArrays, loops: LoopArrays, steps: Ints, status: Ints) -> int:
    """Count the steps of every nest, passes taken as whole; return the operations of the problem.

    Parameters
    ----------
    problem : ProblemArrays
    loops : LoopArrays
    steps : int64[N]
        Filled in.
    status : int64[N]
        Set to OVERFLOW where steps or operations exceed 2^62.
    """
    computes = 1
    exact = 1.0
    for bound in problem.bounds:
        computes *= bound
        exact *= bound
    for n in range(len(status)):
        most = exact
        steps[n] = 1
        along = 1.0
        for loop in range(loops.listed[n]):
            steps[n] *= loops.bound[n, loop]
            along *= loops.bound[n, loop]
        most = max(most, along)
        if most > COUNT_LIMIT and status[n] == OK:
            status[n] = OVERFLOW
    return computes


@kernel
def evaluate_imperfect_nests(
    problem: ProblemArrays,
    machine: MachineArrays,
    nests: NestArrays,
    last: Ints,
    loops: LoopArrays,
    counts: CountArrays,
    costs: CostArrays,
    status: Ints,
) -> None:
    """Evaluate every mapping of a batch, as `evaluate_nests` does, with shorter last passes.

    Parameters
    ----------
    problem : ProblemArrays
    machine : MachineArrays
    nests : NestArrays
    last : int64[N, L, D]
        Temporal factors in the last pass over their dimension, at most the temporal factors.
    loops : LoopArrays
        Scratch.
    counts : CountArrays
        Filled in.
    costs : CostArrays
        Filled in.
    status : int64[N]
        Filled in: OK, or why a mapping is not valid. BAD_FACTORS where the loops do not cover the bounds,
        or one is partial inside a spatial loop of its dimension or as its outermost one.
    """
    mappings, levels, dimensions = last.shape
    passes = make_passes(mappings, levels, dimensions)
    fits = np.empty(mappings, np.bool_)
    flatten(nests, loops)
    list_passes(loops, last, passes, fits)
    fit_bounds(problem, loops)
    check_nests(problem, nests, loops, machine.fanout, status)
    check_passes(problem, passes, fits, status)
    measure_tiles(problem, loops.below, counts.tile)
    steps = np.empty(mappings, np.int64)
    computes = _count_steps(problem, loops, steps, status)
    count_transfers(problem, loops, counts.tile, counts.moved, status)
    count_imperfect_transfers(problem, loops, passes, counts.moved, status)
    touched = np.empty(counts.tile.shape[:2], np.int64)
    count_distinct(problem, loops, counts.distinct, touched)
    count_accesses(problem, loops, nests.keep, touched, computes, counts, status)
    check_capacity(machine, nests.keep, counts.tile, status)
    access_energy(machine, counts, costs)
    costs.cycles[:mappings, levels] = steps
    count_cycles(machine, counts, costs, status)
    for n in range(mappings):
        costs.total[n] = costs.total[n] + computes * machine.compute_energy if status[n] == OK else np.nan
