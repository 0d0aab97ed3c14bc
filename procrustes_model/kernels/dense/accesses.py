"""How often words go in and out of every level."""

from __future__ import annotations

from procrustes_model.kernels.dense.arrays import (
    BAD_CAPACITY,
    FILL,
    OK,
    OVERFLOW,
    READ,
    UNLIMITED,
    UPDATE,
    Bools,
    CountArrays,
    Ints,
    LoopArrays,
    MachineArrays,
    ProblemArrays,
)
from procrustes_model.kernels.dense.nest import is_beyond
from procrustes_model.kernels.dense.wires import sum_bits
from procrustes_model.kernels.jit import kernel


@kernel
def count_accesses(
    problem: ProblemArrays,
    machine: MachineArrays,
    loops: LoopArrays,
    keep: Bools,
    touched: Ints,
    counts: CountArrays,
    status: Ints,
) -> None:
    """Count the words that go in and out of one instance of every level, tensor by tensor.

    Between a level and the next inner one that keeps the tensor (or the compute units), the child's
    transfers are read once per different tile that its siblings hold, network by network. An output is
    updated as often; its first accumulation into an element reads nothing and fetches nothing. The
    elements that an instance touches may be more than real where they are too many to be marked: counts are
    held at 0. What begins and ends at a level is not filled there, but for what is loaded. A level that words
    only pass takes in each of them and gives it out again. Sums are complete where each word of the output
    comes once.

    Parameters
    ----------
    problem : ProblemArrays
    machine : MachineArrays
    loops : LoopArrays
    keep : bool[N, L, T]
    touched : int64[N, L, 2]
        Output words that come for the first time, to be read and to be filled; of `Room`.
    counts : CountArrays
        `tile`, `moved` and `distinct` are read; `accesses` and `instances` are filled in, and `complete`
        where partial sums are wider than what leaves.
    status : int64[N]
        Set to OVERFLOW where a count exceeds 2^62.
    """
    accesses, moved, distinct, instances = counts.accesses, counts.moved, counts.distinct, counts.instances
    through, loads, home_of, spread = machine.through, machine.loads, machine.home, loops.spread
    output, wide = problem.output, machine.sums.output >= 0
    mappings, levels, tensors = keep.shape
    dimensions = spread.shape[2]
    for n in range(mappings):
        instances[n, 0] = 1
        for level in range(levels):
            used = instances[n, level]
            for d in range(dimensions):
                used *= spread[n, level, d]
            instances[n, level + 1] = used
        done = problem.computes // instances[n, levels]
        for tensor in range(tensors):
            home = home_of[tensor]
            from_child = done
            tiles = 1
            below = levels
            for level in range(levels - 1, -1, -1):
                tiles *= distinct[n, level, tensor]
                accesses[n, level, tensor] = 0
                if not keep[n, level, tensor]:
                    if through[level, tensor] and level > home:
                        if is_beyond(from_child, tiles):
                            status[n] = OVERFLOW
                        accesses[n, level, tensor, READ] = from_child * tiles
                        accesses[n, level, tensor, FILL] = from_child * tiles
                    continue
                if is_beyond(from_child, tiles):
                    status[n] = OVERFLOW
                served = from_child * tiles
                new = fresh = 0
                if tensor == output:
                    new, fresh = touched[n, level, 0], touched[n, level, 1]
                    if wide:
                        size, child = counts.tile[n, 0, tensor], instances[n, below]
                        here = instances[n, level]
                        counts.complete[n, level, 0] = size % child == 0 and from_child == size // child
                        counts.complete[n, level, 1] = size % here == 0 and served == size // here
                    accesses[n, level, tensor, UPDATE] = served
                accesses[n, level, tensor, READ] = max(0, served - new)
                if level > home or (loads[level] and tensor != output):
                    accesses[n, level, tensor, FILL] = max(0, moved[n, level, tensor] - fresh)
                from_child = moved[n, level, tensor]
                tiles = 1
                below = level


@kernel
def count_fills_of_outputs(
    machine: MachineArrays, moved: Ints, keep: Bools, output: int, accesses: Ints
) -> None:
    """Charge also the first fill of every output element, which has nothing to fetch.

    Parameters
    ----------
    machine : MachineArrays
    moved : int64[N, L, T]
        Words transferred into one instance.
    keep : bool[N, L, T]
    output : int
    accesses : int64[N, L, T, 3]
        The fills of the output grow.
    """
    mappings, levels, _ = moved.shape
    for n in range(mappings):
        for level in range(machine.home[output] + 1, levels):
            if keep[n, level, output]:
                accesses[n, level, output, FILL] = moved[n, level, output]


@kernel
def count_drains(machine: MachineArrays, moved: Ints, keep: Bools, output: int, accesses: Ints) -> None:
    """Count a read for every word of the output that a level sends up, where the machine says so.

    Parameters
    ----------
    machine : MachineArrays
    moved : int64[N, L, T]
        Words transferred between one instance and its parent.
    keep : bool[N, L, T]
    output : int
    accesses : int64[N, L, T, 3]
        The reads of the output grow.
    """
    mappings, levels, _ = moved.shape
    for n in range(mappings):
        for level in range(machine.home[output] + 1, levels):
            if keep[n, level, output] and machine.drains[level]:
                accesses[n, level, output, READ] += moved[n, level, output]


@kernel
def check_capacity(machine: MachineArrays, keep: Bools, counts: CountArrays, status: Ints) -> None:
    """Set `status` (int64[N]) to BAD_CAPACITY where the bits of tiles kept in a memory exceed its room."""
    tile, capacity, word_bits, bits_of = counts.tile, machine.capacity, machine.word_bits, machine.bits
    output, memory = machine.sums.output, machine.memory
    mappings, levels, tensors = tile.shape
    for n in range(mappings):
        room = 0
        for level in range(levels):
            if capacity[level] == UNLIMITED:
                continue
            if level == 0 or memory[level] != memory[level - 1]:
                room = capacity[level] * word_bits[level]
            for tensor in range(tensors):
                if not keep[n, level, tensor]:
                    continue
                bits = bits_of[level, tensor]
                if tensor == output:
                    bits = sum_bits(machine, level, tensor, counts.complete[n, level, 1])
                if is_beyond(tile[n, level, tensor], bits):
                    room = -1
                room -= tile[n, level, tensor] * bits if room >= 0 else 0
            if room < 0 and status[n] == OK:
                status[n] = BAD_CAPACITY
