"""The pipeline that every evaluation goes through: from arrays to counts, and from counts to cost.

Counting is the same for whole loops, shorter last passes, sparse designs and the final measurement of a
search. A sparse design then takes away what zeros save (`kernels.sparse`); `kernels.dense.cost` charges what
is left.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from procrustes_model.kernels.dense.accesses import (
    check_capacity,
    count_accesses,
    count_drains,
    count_fills_of_outputs,
)
from procrustes_model.kernels.dense.arrays import (
    OK,
    OVERFLOW,
    CostArrays,
    Ints,
    LoopArrays,
    MachineArrays,
    NestArrays,
    ProblemArrays,
    Room,
    RuleArrays,
)
from procrustes_model.kernels.dense.cost import cost_nests
from procrustes_model.kernels.dense.covered import count_covered
from procrustes_model.kernels.dense.nest import (
    check_homes,
    check_nests,
    count_transfers,
    flatten,
    is_beyond,
    measure_tiles,
)
from procrustes_model.kernels.dense.sharing import count_distinct
from procrustes_model.kernels.imperfect.transfers import (
    check_passes,
    count_imperfect_transfers,
    fit_bounds,
    list_passes,
    make_passes,
)
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.forgetful import count_forgetful_transfers


class Scope(NamedTuple):
    """What is checked while counting.

    Attributes
    ----------
    known : bool
        Factors and outermost tensors are known to be right.
        Where none of the mappings fits, counting ends there.
    fit : bool
        Tiles must fit, nothing being zero.
    """

    known: bool
    fit: bool


@kernel
def _count_steps(loops: LoopArrays, steps: Ints, status: Ints) -> None:
    """Count the steps of every nest, passes taken as whole; OVERFLOW in `status` beyond 2^62."""
    for n in range(len(status)):
        steps[n] = 1
        for loop in range(loops.listed[n]):
            if is_beyond(steps[n], loops.bound[n, loop]):
                status[n] = OVERFLOW if status[n] == OK else status[n]
                break
            steps[n] *= loops.bound[n, loop]


@kernel
def count_nests(
    problem: ProblemArrays,
    machine: MachineArrays,
    rules: RuleArrays,
    scope: Scope,
    nests: NestArrays,
    last: Ints | None,
    room: Room,
    cycles: Ints,
) -> None:
    """Count the accesses of every mapping of a batch, nothing being zero.

    Parameters
    ----------
    problem : ProblemArrays
    machine : MachineArrays
    rules : RuleArrays
    scope : Scope
    nests : NestArrays
    last : int64[N, L, D], optional
        Temporal factors in the last pass over their dimension, at most the temporal factors; None where all
        passes are whole, for which less is compiled.
    room : Room
        Filled in. A status is BAD_FACTORS also where a loop is partial inside a spatial loop of its
        dimension or as its outermost one.
    cycles : int64[N, C]
        Filled in, the last one of each mapping: the steps of the nest.
    """
    loops, counts, status = room.loops, room.counts, room.status
    steps = cycles[:, cycles.shape[1] - 1]
    flatten(nests, loops)
    if last is not None:
        mappings, levels, dimensions = last.shape
        passes = make_passes(mappings, levels, dimensions)
        fits = np.empty(mappings, np.bool_)
        list_passes(loops, last, passes, fits)
        fit_bounds(problem, loops)
    if scope.known:
        status[:] = OK
    else:
        check_nests(problem, machine, nests, loops, status)
    if last is not None:
        check_passes(problem, passes, fits, status)
    if machine.home.max() > 0:
        check_homes(problem, machine, loops, status)
    measure_tiles(problem, loops.below, counts.tile)
    wide = machine.sums.output >= 0
    if scope.fit and not wide:
        check_capacity(machine, nests.keep, counts, status)
    if scope.known and (status != OK).all():
        return
    if last is not None:
        _count_steps(loops, steps, status)
    count_transfers(problem, loops, counts.tile, counts.moved, status)
    if last is not None:
        count_imperfect_transfers(problem, loops, passes, counts.moved, status)
    if rules.forgetful:
        count_forgetful_transfers(problem, loops, counts.tile, counts.moved, status)
    count_distinct(problem, loops, counts.distinct, room.touched)
    count_covered(problem, loops, nests.keep, room.touched)
    count_accesses(problem, machine, loops, nests.keep, room.touched, counts, status)
    if scope.fit and wide:
        check_capacity(machine, nests.keep, counts, status)
    if rules.all_fills:
        count_fills_of_outputs(machine, counts.moved, nests.keep, problem.output, counts.accesses)
    if last is None:
        units = counts.instances.shape[1] - 1
        for n in range(len(status)):
            steps[n] = problem.computes // counts.instances[n, units]


@kernel
def evaluate_nests(
    problem: ProblemArrays,
    machine: MachineArrays,
    rules: RuleArrays,
    scope: Scope,
    nests: NestArrays,
    last: Ints | None,
    room: Room,
    costs: CostArrays,
) -> None:
    """Evaluate every mapping of a batch in which nothing is zero.

    Parameters
    ----------
    problem, machine, rules, scope, nests, last, room
        As `count_nests` takes them.
    costs : CostArrays
        Filled in where the status is OK.
    """
    status = room.status
    count_nests(problem, machine, rules, scope, nests, last, room, costs.cycles)
    if scope.known and (status != OK).all():
        costs.total[:] = np.nan
        return
    if machine.drains.any():
        count_drains(machine, room.counts.moved, nests.keep, problem.output, room.counts.accesses)
    cost_nests(problem, machine, nests.keep, room, rules.dearest, costs)
