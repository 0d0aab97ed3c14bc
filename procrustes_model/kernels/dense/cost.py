"""From counts to cost: energy and cycles, by one rule for whole counts and for expected ones.

Words are int64 where nothing is zero and float64 where counts are expected; kernels are compiled for each.
"""

from __future__ import annotations

import math

import numpy as np

from procrustes_model.kernels.dense.arrays import (
    BALANCING,
    COMPONENTS,
    COMPUTING,
    COUNT_LIMIT,
    DONE,
    FILL,
    METADATA,
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
    Room,
)
from procrustes_model.kernels.dense.rounding import count_packs, round_up
from procrustes_model.kernels.dense.wires import charge_wires
from procrustes_model.kernels.jit import kernel


@kernel
def charge_words(
    machine: MachineArrays, words: Ints | Floats, counts: CountArrays, first: int, whole: bool,
    dearest: bool, energy: Floats, total: Floats,
) -> None:  # fmt: skip
    """Charge every access of every used instance, or of every port where instances share one.

    Parameters
    ----------
    machine : MachineArrays
    words : int64[N, L, T, 3] or float64[N, L, T, 3]
        Read, filled, updated, per instance.
    counts : CountArrays
        `instances` and `complete` are read.
    first : int
        The price of a read, in the last axis of prices; those of fills and updates follow.
    whole : bool
        Whether words are whole numbers without rounding errors.
    dearest : bool
        All accesses of a tensor at a level together, each at the energy of the dearest action.
    energy : float64[N, L, T, 3]
        Filled in, pJ.
    total : float64[N]
        Grows.
    """
    mappings, levels, tensors, actions = words.shape
    prices, packs_of, splits = machine.price, machine.pack, machine.split
    instances, ports = counts.instances, machine.ports
    output = -1 if first == METADATA else machine.sums.output
    for n in range(mappings):
        spent = 0.0
        for level in range(levels):
            used = min(instances[n, level], ports[level])
            for t in range(tensors):
                pack, split = packs_of[level, t], splits[level, t]
                if first == METADATA:
                    pack, split = machine.metadata.pack[level], 1
                partial = t == output and not counts.complete[n, level, 1]
                if partial:
                    pack, split = machine.sums.pack[level], machine.sums.split[level]
                if dearest:
                    price = 0.0
                    row = words[n, level, t]
                    together = row[READ] + row[FILL] + row[UPDATE]
                    for action in range(actions):
                        price = max(price, prices[level, t, first + action])
                    all_of_it = used * price * (split * count_packs(together, pack, whole))
                    for action in range(actions):
                        share = row[action] / together if together > 0 else 0.0
                        energy[n, level, t, action] = all_of_it * share
                        spent += energy[n, level, t, action]
                    continue
                for action in range(actions):
                    size, times = pack, split
                    if t == output and action != UPDATE:
                        size, times = machine.sums.pack[level], machine.sums.split[level]
                    packs = times * count_packs(words[n, level, t, action], size, whole)
                    one = used * prices[level, t, first + action] * packs
                    energy[n, level, t, action] = one
                    spent += one
        total[n] += spent


@kernel
def weigh_words(words: Ints | Floats, instances: Ints, weight: Floats, n: int) -> float:
    """Add up the words of mapping `n` over all used instances, each with its weight.

    Parameters
    ----------
    words : int64[N, L, T, 3] or float64[N, L, T, 3]
        Read, filled, updated, per instance.
    instances : int64[N, L + 1]
    weight : float64[L, T, 3]
    n : int
    """
    _, levels, tensors, actions = words.shape
    total = 0.0
    for level in range(levels):
        for t in range(tensors):
            for action in range(actions):
                total += instances[n, level] * words[n, level, t, action] * weight[level, t, action]
    return total


@kernel
def charge_components(
    machine: MachineArrays, words: Ints | Floats, instances: Ints, costs: CostArrays
) -> None:
    """Charge what components do for every word, over all used instances; `words` as in `charge_words`."""
    for n in range(len(words)):
        costs.beside[n, COMPONENTS] += weigh_words(words, instances, machine.served, n)


@kernel
def count_component_cycles(
    machine: MachineArrays, instances: Ints, words: Ints | Floats, computes: Floats, costs: CostArrays,
    status: Ints,
) -> None:  # fmt: skip
    """Find the cycles of components that do so much in a cycle and no more; all instances share evenly.

    Parameters
    ----------
    machine : MachineArrays
    instances : int64[N, L + 1]
    words : int64[N, L, T, 3] or float64[N, L, T, 3]
        Read, filled, updated, per instance.
    computes : float64[N]
        Operations that are done.
    costs : CostArrays
        The components' `cycles` are filled in.
    status : int64[N]
        Set to OVERFLOW where cycles exceed 2^62.
    """
    rates, first = machine.rates, 2 * words.shape[1]
    for n in range(len(words)):
        for c in range(len(rates.per_cycle)):
            uses = computes[n] * rates.computes[c] + weigh_words(words, instances, rates.words[c], n)
            cycles = uses / rates.per_cycle[c]
            if cycles > float(COUNT_LIMIT):
                status[n] = OVERFLOW
            else:
                costs.cycles[n, first + c] = np.int64(max(1.0, round_up(cycles)))


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
    if steps / slowdown > float(COUNT_LIMIT):
        return -1, limit
    return math.ceil(steps / slowdown), limit


@kernel
def count_cycles(
    machine: MachineArrays, words: Ints | Floats, counts: CountArrays, waiting: Floats, metadata: Floats,
    costs: CostArrays, status: Ints,
) -> None:  # fmt: skip
    """Stretch the steps of the nest, level by level, where a bandwidth falls short.

    The stretch is computed in double precision from words per step, summed tensor by tensor, so that the
    ceiling may lie one above that of the exact quotient.

    Parameters
    ----------
    machine : MachineArrays
    words : int64[N, L, T, 3] or float64[N, L, T, 3]
        Read, filled, updated, per instance.
    counts : CountArrays
        `complete` is read.
    waiting, metadata : float64[N, L, T, 3]
        Gated elements and words of metadata, in words of the level's ports, which use bandwidth too; without
        entries where there are none.
    costs : CostArrays
        The steps of the compute units, last in `cycles`, are read and made cycles; those of levels, and
        `limit`, are filled in.
    status : int64[N]
        Set to OVERFLOW where cycles exceed 2^62.
    """
    mappings, levels, tensors, _ = words.shape
    expected, output, last = len(waiting) > 0, machine.sums.output, costs.cycles.shape[1] - 1
    scales, bandwidth, all_cycles, limit = machine.scale, machine.bandwidth, costs.cycles, costs.limit
    for n in range(mappings):
        steps = all_cycles[n, last]
        if machine.cycles_per_compute != 1:
            taken = steps * machine.cycles_per_compute
            if taken > float(COUNT_LIMIT):
                status[n] = OVERFLOW
            else:
                steps = np.int64(max(1.0, round_up(taken)))
                all_cycles[n, last] = steps
        first = 0
        for level in range(levels):
            if level > 0 and machine.memory[level] != machine.memory[level - 1]:
                first = level
            read = write = 0.0
            for t in range(tensors):
                for row in range(first, level + 1):  # of one memory; the tensor is kept at one of them
                    scale = wide = scales[row, t]
                    if t == output:
                        wide = machine.sums.scale[row]
                        if not counts.complete[n, row, 1]:
                            scale = wide
                    out = float(words[n, row, t, READ]) * wide
                    into = float(words[n, row, t, FILL]) * wide + float(words[n, row, t, UPDATE]) * scale
                    if expected:
                        out += waiting[n, row, t, READ] * scale + metadata[n, row, t, READ]
                        into += waiting[n, row, t, UPDATE] * scale
                        into += metadata[n, row, t, FILL] + metadata[n, row, t, UPDATE]
                    read += out / steps
                    write += into / steps
            all_cycles[n, level], limit[n, level] = stretch(bandwidth, level, read, write, steps)
            if all_cycles[n, level] < 0:
                status[n] = OVERFLOW


@kernel
def add_waits(
    machine: MachineArrays, loops: LoopArrays, words: Ints | Floats, metadata: Floats, costs: CostArrays,
    status: Ints,
) -> None:  # fmt: skip
    """Let compute units wait: while their array fills and drains, and while some levels are filled.

    Tiles of the array are the iterations of the loops outside; last passes count as whole ones.

    Parameters
    ----------
    machine : MachineArrays
    loops : LoopArrays
    words, metadata
        As `count_cycles` takes them.
    costs : CostArrays
        The cycles of compute units, last in `cycles`, grow.
    status : int64[N]
        Set to OVERFLOW where cycles exceed 2^62.
    """
    waits, output = machine.waits, machine.sums.output
    last = costs.cycles.shape[1] - 1
    for n in range(len(status)):
        wait = 0.0
        if waits.fill_drain > 0:
            tiles = 1.0
            for loop in range(loops.start[n, waits.array + 1], loops.listed[n]):
                tiles *= loops.bound[n, loop]
            wait += tiles * waits.fill_drain
        for level in range(words.shape[1]):
            if not waits.serial[level]:
                continue
            into = 0.0
            for t in range(words.shape[2]):
                scale = machine.sums.scale[level] if t == output else machine.scale[level, t]
                into += float(words[n, level, t, FILL]) * scale
                if len(metadata) > 0:
                    into += metadata[n, level, t, FILL]
            wait += into / min(machine.bandwidth[level, 1], machine.bandwidth[level, 2])
        if costs.cycles[n, last] + wait > float(COUNT_LIMIT):
            status[n] = OVERFLOW
        else:
            costs.cycles[n, last] += np.int64(round_up(wait))


@kernel
def add_up(machine: MachineArrays, instances: Ints, costs: CostArrays, status: Ints) -> None:
    """Add to the energy of accesses, in `total`, all that a mapping spends besides: the one total energy.

    Parameters
    ----------
    machine : MachineArrays
    instances : int64[N, L + 1]
    costs : CostArrays
        With `beside` but for what is spent while time passes. `total` is NaN where `status`, int64[N], is not
        OK.
    """
    beside, cycles, total = costs.beside, costs.cycles, costs.total
    used_power, leaks = machine.used_power, False
    for level in range(len(used_power)):
        leaks = leaks or used_power[level] != 0
    for n in range(len(status)):
        if status[n] != OK:
            total[n] = np.nan
            continue
        power = machine.power
        if leaks:
            for level in range(len(used_power)):
                power += used_power[level] * instances[n, level]
        if power > 0:
            slowest = cycles[n, 0]
            for level in range(1, cycles.shape[1]):
                slowest = max(slowest, cycles[n, level])
            beside[n, COMPONENTS] += power * slowest
        total[n] += beside[n, COMPUTING] + beside[n, BALANCING] + beside[n, COMPONENTS]


@kernel
def cost_nests(
    problem: ProblemArrays, machine: MachineArrays, keep: Bools, room: Room, dearest: bool, costs: CostArrays,
) -> None:  # fmt: skip
    """Charge a batch in which nothing is zero; the steps of the compute units stand last in `costs.cycles`.

    Parameters
    ----------
    problem : ProblemArrays
    machine : MachineArrays
    keep : bool[N, L, T]
    room : Room
        As counting fills it in; a status may become OVERFLOW.
    dearest : bool
        As `charge_words` takes it.
    costs : CostArrays
        Filled in.
    """
    counts, status = room.counts, room.status
    words, instances, computes = counts.accesses, counts.instances, problem.computes
    none, nest = np.empty((0, 0, 0, 0)), np.empty((0, 0, 0))
    costs.total[:] = 0.0
    charge_words(machine, words, counts, 0, True, dearest, costs.energy, costs.total)
    if machine.wires.any:
        charge_wires(problem, machine, keep, room.loops, counts, words, none, nest, costs, status)
    computing = computes * machine.compute_price[DONE]
    for n in range(len(status)):
        costs.beside[n, COMPUTING] = computing
        costs.beside[n, BALANCING] = 0.0
        costs.beside[n, COMPONENTS] = computes * machine.served_compute
    if machine.serves:
        charge_components(machine, words, instances, costs)
    count_cycles(machine, words, counts, none, none, costs, status)
    if machine.waits.any:
        add_waits(machine, room.loops, words, none, costs, status)
    if len(machine.rates.per_cycle) > 0:
        count_component_cycles(
            machine, instances, words, np.full(len(status), float(computes)), costs, status
        )
    add_up(machine, instances, costs, status)
