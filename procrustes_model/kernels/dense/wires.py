"""Networks: how far words travel between a level and what keeps them further in, and what that costs.

A word that a level sends goes over the network below it, and over those of all levels further in that do not
keep it, to where it is kept. On each of them it reaches as many instances as hold the same tile there. Sums
come the other way, and are added up where they meet. A partial sum that comes back goes to one instance.
"""

from __future__ import annotations

import math

import numpy as np

from procrustes_model.kernels.dense.arrays import (
    COUNT_LIMIT,
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
    ProblemArrays,
)
from procrustes_model.kernels.dense.rounding import round_up
from procrustes_model.kernels.jit import kernel
from procrustes_model.vocabulary import Topology

_BUS, _MESH = Topology.BUS.value, Topology.MESH.value
_TREE, _CROSSBAR = Topology.TREE.value, Topology.CROSSBAR.value


@kernel
def count_hops(topology: int, instances: float, receivers: float) -> float:
    """Return the hops of a word that reaches some of the instances below a level.

    Parameters
    ----------
    topology : int
        Of `vocabulary.Topology`.
    instances : float
        Used below one instance of the level.
    receivers : float
        How many of them the word reaches; an average where windows slide.

    Notes
    -----
    On a link one; on a bus as many as it passes instances; through a crossbar one per receiver; down a binary
    tree those to the root of the receivers' subtree and all edges in it. On a mesh those that Timeloop's
    legacy network takes: with n instances and f receivers, sqrt(n f) + (sqrt(n) - sqrt(f)) / 2 - sqrt(n / f)
    + 1/2 (NVlabs/timeloop, src/model/network-legacy.cpp).
    """
    if topology == _BUS:
        return instances
    if topology == _MESH:
        n, f = math.sqrt(instances), math.sqrt(receivers)
        return n * f + 0.5 * (n - f) - n / f + 0.5
    if topology == _TREE:
        return math.log2(instances / receivers) + 2 * (receivers - 1)
    if topology == _CROSSBAR:
        return receivers
    return 1.0


@kernel
def price_wire(machine: MachineArrays, level: int, instances: float, receivers: float) -> float:
    """Return pJ per bit that goes over the network below a level; 0 where there is none."""
    topology = machine.wires.topology[level]
    if topology < 0:
        return 0.0
    hop = machine.wires.hop[level]
    return float(
        machine.wires.enter[level] + (hop * count_hops(topology, instances, receivers) if hop > 0 else 0.0)
    )


@kernel
def sum_bits(machine: MachineArrays, level: int, tensor: int, complete: bool) -> int:
    """Return the bits of an element, or of a sum that may not be complete."""
    if tensor == machine.sums.output and not complete:
        return int(machine.sums.bits[level])
    return int(machine.bits[level, tensor])


@kernel
def count_mapped(loops: LoopArrays, n: int, level: int) -> float:
    """Return the instances of a level that the nest uses, where none is left out."""
    instances = 1.0
    for j in range(level):
        for d in range(loops.spread.shape[2]):
            instances *= loops.spread[n, j, d]
    return instances


@kernel
def charge_wires(
    problem: ProblemArrays, machine: MachineArrays, keep: Bools, loops: LoopArrays, counts: CountArrays,
    words: Ints | Floats, metadata: Floats, share: Floats, costs: CostArrays, status: Ints,
) -> None:  # fmt: skip
    """Charge what goes over networks, and find the cycles of those with a bandwidth.

    Parameters
    ----------
    problem : ProblemArrays
    machine : MachineArrays
    keep : bool[N, L, T]
    loops : LoopArrays
    counts : CountArrays
        `distinct`, `moved`, `instances` and `complete` are read.
    words : int64[N, L, T, 3] or float64[N, L, T, 3]
        Read, filled, updated, per instance.
    metadata : float64[N, L, T, 3]
        Words of metadata; without entries where there are none.
    share : float64[N, L, T]
        Of the instances, what is used for a tensor on average; without entries where those of the nest are.
    costs : CostArrays
        `wires` and the networks' `cycles` are filled in; `total` grows.
    status : int64[N]
        Set to OVERFLOW where cycles exceed 2^62.
    """
    mappings, levels, tensors = keep.shape
    instances = np.empty(levels)
    for n in range(mappings):
        for j in range(levels):
            instances[j] = counts.instances[n, j] if len(share) > 0 else count_mapped(loops, n, j)
            for t in range(tensors):
                costs.wires[n, j, t] = 0.0
            costs.traffic[n, j] = 0.0
            costs.cycles[n, levels + j] = 1
        if status[n] != OK:
            continue
        for t in range(tensors):
            is_output = t == problem.output
            child = levels
            for level in range(levels - 1, -1, -1):
                if not keep[n, level, t]:
                    continue
                used = instances[level] * (share[n, level, t] if len(share) > 0 else 1.0)
                leaves = counts.complete[n, level, 0]
                read = float(words[n, level, t, READ])
                if is_output and machine.drains[level] and level > machine.home[t]:
                    read -= float(counts.moved[n, level, t])  # goes up
                down = read * sum_bits(machine, level, t, False)
                up = float(words[n, level, t, UPDATE]) * sum_bits(machine, level, t, leaves)
                if len(metadata) > 0:
                    down += metadata[n, level, t, READ] * machine.metadata.bits[level]
                    up += metadata[n, level, t, UPDATE] * machine.metadata.bits[level]
                copies = 1.0
                for j in range(level, child):
                    spread = 1.0
                    for d in range(loops.spread.shape[2]):
                        spread *= loops.spread[n, j, d]
                    receivers = spread / counts.distinct[n, j, t]
                    shared = price_wire(machine, j, spread, receivers)
                    entering = down * copies
                    spent = entering * shared
                    if is_output:
                        entering = down if machine.wires.sums_return[j] else 0.0
                        spent = entering * price_wire(machine, j, spread, 1.0) + up * copies * shared
                        entering += up * copies
                    costs.wires[n, j, t] += used * spent
                    if machine.wires.topology[j] >= 0:
                        costs.traffic[n, j] += entering * used / instances[j]
                    copies *= receivers
                child = level
        for j in range(levels):
            for t in range(tensors):
                costs.total[n] += costs.wires[n, j, t]
            cycles = costs.traffic[n, j] / machine.wires.bits_per_cycle[j]
            if cycles > float(COUNT_LIMIT):
                status[n] = OVERFLOW
            else:
                costs.cycles[n, levels + j] = np.int64(max(1.0, round_up(cycles)))
