"""The dense model: how often each level is accessed, what that costs, and how long it takes."""

from __future__ import annotations

import math

import numpy as np

from procrustes_model.kernels.dense.arrays import (
    BAD_CAPACITY,
    COUNT_LIMIT,
    FILL,
    OK,
    OVERFLOW,
    READ,
    UPDATE,
    Bools,
    CostArrays,
    CountArrays,
    Floats,
    Ints,
    LoopArrays,
    MachineArrays,
    NestArrays,
    ProblemArrays,
)
from procrustes_model.kernels.dense.nest import check_nests, count_transfers, flatten, measure_tiles
from procrustes_model.kernels.dense.sharing import count_distinct
from procrustes_model.kernels.jit import kernel


@kernel
def count_accesses(
    problem: ProblemArrays,
    loops: LoopArrays,
    keep: Bools,
    touched: Ints,
    computes: int,
    counts: CountArrays,
    status: Ints,
) -> None:
    """Count the words that go in and out of one instance of every level, tensor by tensor.

    Between a level and the next inner one that keeps the tensor (or the compute units), the child's
    transfers are read once per different tile that its siblings hold, network by network. An output is
    updated as often; its first accumulation into an element reads nothing and fetches nothing. Elements that
    an instance touches are an estimate where an output slides, so that neither count goes below zero.

    Parameters
    ----------
    problem : ProblemArrays
    loops : LoopArrays
    keep : bool[N, L, T]
    touched : int64[N, L]
        Output elements that one instance accumulates.
    computes : int
        Operations of the problem.
    counts : CountArrays
        `tile`, `moved` and `distinct` are read; `accesses` and `instances` are filled in.
    status : int64[N]
        Set to OVERFLOW where a count exceeds 2^62.
    """
    accesses, moved, distinct = counts.accesses, counts.moved, counts.distinct
    mappings, levels, tensors = keep.shape
    dimensions = loops.spread.shape[2]
    for n in range(mappings):
        counts.instances[n, 0] = 1
        for level in range(levels):
            used = counts.instances[n, level]
            for d in range(dimensions):
                used *= loops.spread[n, level, d]
            counts.instances[n, level + 1] = used
        done = computes // counts.instances[n, levels]
        for tensor in range(tensors):
            from_child = done
            tiles = 1
            for level in range(levels - 1, -1, -1):
                tiles *= distinct[n, level, tensor]
                accesses[n, level, tensor] = 0
                if not keep[n, level, tensor]:
                    continue
                if float(from_child) * tiles > COUNT_LIMIT:
                    status[n] = OVERFLOW
                served = from_child * tiles
                fresh = 0
                if tensor == problem.output:
                    fresh = touched[n, level]
                    accesses[n, level, tensor, UPDATE] = served
                accesses[n, level, tensor, READ] = max(0, served - fresh)
                if level:
                    accesses[n, level, tensor, FILL] = max(0, moved[n, level, tensor] - fresh)
                from_child = moved[n, level, tensor]
                tiles = 1


@kernel
def access_energy(machine: MachineArrays, counts: CountArrays, costs: CostArrays) -> None:
    """Charge every access of every used instance.

    Parameters
    ----------
    machine : MachineArrays
    counts : CountArrays
    costs : CostArrays
        `energy` and its sum `total` are filled in; compute is not in them.
    """
    accesses, energy = counts.accesses, costs.energy
    mappings, levels, tensors, actions = accesses.shape
    for n in range(mappings):
        total = 0.0
        for level in range(levels):
            block = machine.words_per_access[level]
            for tensor in range(tensors):
                for action in range(actions):
                    done = accesses[n, level, tensor, action]
                    if block > 1:
                        done = (done + block - 1) // block
                    spent = counts.instances[n, level] * machine.energy[level, action] * float(done)
                    energy[n, level, tensor, action] = spent
                    total += spent
        costs.total[n] = total


@kernel
def stretch(bandwidth: Floats, level: int, read: float, write: float, steps: int) -> tuple[int, int]:
    """Stretch steps where a level's ports are too narrow for the words that it reads and writes per step.

    Parameters
    ----------
    bandwidth : float64[L, 3]
    level : int
    read, write : float
        Words per step and instance.
    steps : int

    Returns
    -------
    cycles : int
        -1 beyond 2^62.
    limit : int
        0 none, 1 read, 2 write, 3 shared bandwidth.
    """
    slowdown = 1.0
    limit = 0
    demands = (read, write, read + write)
    for port in range(3):
        if bandwidth[level, port] < demands[port]:
            stretched = bandwidth[level, port] / demands[port]
            if stretched < slowdown:
                slowdown = stretched
                limit = port + 1
    if limit == 0:
        return steps, 0
    if steps / slowdown > COUNT_LIMIT:
        return -1, limit
    return math.ceil(steps / slowdown), limit


@kernel
def count_cycles(machine: MachineArrays, counts: CountArrays, costs: CostArrays, status: Ints) -> None:
    """Stretch the steps of the nest, level by level, where a bandwidth falls short.

    The stretch is computed in double precision from words per step, summed tensor by tensor, so that the
    ceiling may lie one above that of the exact quotient.

    Parameters
    ----------
    machine : MachineArrays
    counts : CountArrays
    costs : CostArrays
        The steps of the nest, last in `cycles`, are read; the other `cycles` and `limit` are filled in.
    status : int64[N]
        Set to OVERFLOW where cycles exceed 2^62.
    """
    accesses, bandwidth = counts.accesses, machine.bandwidth
    mappings, levels, tensors, _ = accesses.shape
    for n in range(mappings):
        steps = costs.cycles[n, levels]
        for level in range(levels):
            read = write = 0.0
            for tensor in range(tensors):
                written = accesses[n, level, tensor, FILL] + accesses[n, level, tensor, UPDATE]
                read += accesses[n, level, tensor, READ] / steps
                write += written / steps
            costs.cycles[n, level], costs.limit[n, level] = stretch(bandwidth, level, read, write, steps)
            if costs.cycles[n, level] < 0:
                status[n] = OVERFLOW


@kernel
def check_capacity(machine: MachineArrays, keep: Bools, tile: Ints, status: Ints) -> None:
    """Set `status` (int64[N]) to BAD_CAPACITY where the tiles kept at a level exceed its capacity."""
    mappings, levels, tensors = tile.shape
    for n in range(mappings):
        for level in range(levels):
            room = machine.capacity[level]
            for tensor in range(tensors):
                if keep[n, level, tensor]:
                    room -= tile[n, level, tensor]
                if room < 0 and status[n] == OK:
                    status[n] = BAD_CAPACITY


@kernel
def evaluate_nests(
    problem: ProblemArrays,
    machine: MachineArrays,
    nests: NestArrays,
    loops: LoopArrays,
    counts: CountArrays,
    costs: CostArrays,
    status: Ints,
) -> None:
    """Evaluate every mapping of a batch.

    Parameters
    ----------
    problem : ProblemArrays
    machine : MachineArrays
    nests : NestArrays
    loops : LoopArrays
        Scratch.
    counts : CountArrays
        Filled in.
    costs : CostArrays
        Filled in.
    status : int64[N]
        Filled in: OK, or why a mapping is not valid.
    """
    flatten(nests, loops)
    check_nests(problem, nests, loops, machine.fanout, status)
    measure_tiles(problem, loops.below, counts.tile)
    count_transfers(problem, loops, counts.tile, counts.moved, status)
    touched = np.empty(counts.tile.shape[:2], np.int64)
    count_distinct(problem, loops, counts.distinct, touched)
    computes = 1
    for bound in problem.bounds:
        computes *= bound
    count_accesses(problem, loops, nests.keep, touched, computes, counts, status)
    check_capacity(machine, nests.keep, counts.tile, status)
    access_energy(machine, counts, costs)
    levels = counts.tile.shape[1]
    for n in range(len(status)):
        costs.cycles[n, levels] = computes // counts.instances[n, levels]
    count_cycles(machine, counts, costs, status)
    for n in range(len(status)):
        costs.total[n] = costs.total[n] + computes * machine.compute_energy if status[n] == OK else np.nan
