"""The least that a tile takes in formats that may list any ranks: shortest paths over ranks of a tensor.

A rank of a format covers neighbouring ranks of the tensor. *Boundary* b has the innermost b ranks inside it,
so that a tile has N[b] subtiles there, of which E[b] are not empty. What lies at a boundary is stored for
all subtiles of the stored ones at the last compressed boundary c: E[c] N[b] / N[c] fibers. Of a rank whose
fibers have indices nobody knows the end, so that it needs offsets or pointers one rank further out.
"""

from __future__ import annotations

import numpy as np

from procrustes_model.kernels.dense.arrays import OK, Bools, Floats, Ints, LoopArrays, ProblemArrays
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.arrays import (
    CP,
    UOP,
    B,
    ChoiceArrays,
    DensityArrays,
    FormatArrays,
    ListedArrays,
    U,
)
from procrustes_model.kernels.sparse.entries import expected_zeros
from procrustes_model.kernels.sparse.listed import bits_of, measure_fibers


@kernel
def count_options(ranks: int) -> int:
    """Return how many ways there are to leave positions of a tensor of so many ranks out; see `weigh`."""
    return ranks + 1 + ranks * (ranks + 1) // 2


@kernel
def option_of_runs(ranks: int, boundary: int, compressed: int) -> int:
    """Return the number of the option of runs within a boundary, inside a compressed one."""
    return ranks + 1 + boundary * (boundary - 1) // 2 + (ranks - compressed)


@kernel
def find_paths(every: Floats, held: Floats, words: int, bits: Floats, came: Ints) -> None:
    """Find the ranks that take the fewest bits from the outside of a tile to each boundary.

    Parameters
    ----------
    every, held : float64[R + 1]
        N and E, by boundary; 1 outermost.
    words : int
        Of the tile.
    bits : float64[R + 1, R + 1, 2]
        Filled in: by boundary, compressed one, and whether what lies there has a pointer; infinite where
        nothing leads there.
    came : int64[R + 1, R + 1, 2, 4]
        Filled in: the state before, and the kind of the rank.
    """
    count = len(every) - 1
    pointer = bits_of(words + 1)
    bits[:] = np.inf
    bits[count, count, 1] = 0.0
    for b in range(count, 0, -1):
        for c in range(count, b - 1, -1):
            for known in range(2):
                if not np.isfinite(bits[b, c, known]):
                    continue
                fibers = held[c] * every[b] / every[c]
                for inner in range(b - 1, -1, -1):
                    positions = fibers * every[inner] / every[b]
                    for kind in (U, UOP, B, CP):
                        if (kind == CP and not known) or (kind == UOP and inner == 0):
                            continue
                        target, stored = c, positions
                        if kind in (B, CP):
                            target, stored = inner, held[inner]
                        own = 0.0
                        if kind == UOP:
                            own = (positions + fibers) * pointer
                        elif kind == B:
                            own = positions
                        elif kind == CP:
                            own = stored * bits_of(int(every[inner] / every[b] + 0.5))
                        for pointed in range(2):
                            if (kind == U and pointed) or (kind == UOP and not pointed):
                                continue
                            if inner == 0 and pointed:
                                continue
                            total = bits[b, c, known] + own
                            if kind in (B, CP) and pointed:
                                total += stored * pointer
                            if total < bits[inner, target, pointed]:
                                bits[inner, target, pointed] = total
                                came[inner, target, pointed] = b, c, known, kind


@kernel
def weigh(
    densities: DensityArrays, tensor: int, counted: bool, every: Floats, held: Floats, path: Floats,
    run_bits: int, padded: bool, bits: Floats, data: Floats,
) -> None:  # fmt: skip
    """Find what each option takes, in the format that needs the fewest bits for it.

    Option c < R leaves out what is empty at boundary c and all it lies in, option R nothing. Others have runs
    of zeros within a boundary b, inside a compressed one c; see `option_of_runs`.

    Parameters
    ----------
    densities : DensityArrays
    tensor : int
    counted : bool
        Whether the tensor has a mask, on which zeros that end runs are not known: runs are no option.
    every, held : float64[R + 1]
    path : float64[R + 1, R + 1, 2]
        As `find_paths` leaves it.
    run_bits : int
        Of a run.
    padded : bool
        Whether zeros that end a run are data.
    bits, data : float64[O]
        Filled in; infinite where there is no such format.
    """
    count, run = len(every) - 1, 1 << run_bits
    bits[:] = np.inf
    data[:] = np.inf
    bits[count], data[count] = 0.0, every[0]
    for c in range(count):
        bits[c] = min(path[0, c, 0], path[0, c, 1])
        data[c] = held[c] * every[0] / every[c]
    if counted:
        return
    for b in range(1, count + 1):
        length = int(every[0] / every[b] + 0.5)
        zeros = expected_zeros(
            densities.model[tensor],
            densities.size[tensor],
            densities.nonzeros[tensor],
            densities.average[tensor],
            length,
            run,
        )
        for c in range(b, count + 1):
            if not np.isfinite(path[b, c, 1]):
                continue
            left = 0.0 if c == count else (1 - held[c] / every[c]) * (length // run)
            positions = held[c] * every[0] / every[c]
            entries = min(positions, held[0] + every[b] * (zeros - left))
            option = option_of_runs(count, b, c)
            bits[option] = path[b, c, 1] + run_bits * entries
            data[option] = entries if padded else held[0]


@kernel
def measure_boundaries(
    problem: ProblemArrays, formats: FormatArrays, level: int, tensor: int, extent: Ints, fields: Floats,
    every: Floats, held: Floats,
) -> None:  # fmt: skip
    """Find N and E of a tile over int64[D] from its fields, where every rank of the tensor has its own.

    Parameters
    ----------
    problem : ProblemArrays
    formats : FormatArrays
        The innermost rank lists indices, the others bits.
    level, tensor : int
    extent : int64[D]
    fields : float64[R, 2]
    every, held : float64[R + 1]
        Filled in.
    """
    count = len(every) - 1
    fiber = np.ones(count, np.int64)
    measure_fibers(problem, formats.ranks, level, tensor, extent, fiber)
    every[count] = held[count] = 1.0
    for r in range(count - 1, -1, -1):
        every[r] = every[r + 1] * fiber[r]
        held[r] = fields[r, 1] if r > 0 else fields[r, 0]


@kernel
def choose_ranks(
    problem: ProblemArrays,
    loops: LoopArrays,
    densities: DensityArrays,
    known: Bools,
    formats: FormatArrays,
    choices: ChoiceArrays,
    keep: Bools,
    tile: Ints,
    status: Ints,
    listed: ListedArrays,
) -> None:
    """Give tiles whose formats are open the fewest bits, and the least data, that any of them takes.

    Parameters
    ----------
    problem : ProblemArrays
    loops : LoopArrays
    densities : DensityArrays
    known : bool[T]
        Tensors that have a mask.
    formats : FormatArrays
    choices : ChoiceArrays
    keep : bool[N, L, T]
    tile : int64[N, L, T]
    status : int64[N]
        Mappings that are not valid are left out.
    listed : ListedArrays
        `fields` are read; `bits` and `data` are filled in.
    """
    mappings, levels, tensors = tile.shape
    for level in range(levels):
        for t in range(tensors):
            count = formats.ranks.listed[level, t]
            if not choices.open[level, t]:
                continue
            options = count_options(count)
            every, held = np.ones(count + 1), np.ones(count + 1)
            path = np.empty((count + 1, count + 1, 2))
            came = np.zeros((count + 1, count + 1, 2, 4), np.int64)
            bits, data = np.empty(options), np.empty(options)
            for n in range(mappings):
                if status[n] != OK or not keep[n, level, t]:
                    continue
                fields = listed.fields[n, level, t]
                measure_boundaries(problem, formats, level, t, loops.below[n, level], fields, every, held)
                find_paths(every, held, tile[n, level, t], path, came)
                weigh(densities, t, known[t], every, held, path, choices.run_bits, choices.padded, bits, data)
                least_bits = least_data = np.inf
                for option in range(options):
                    if choices.allowed[level, t, option]:
                        least_bits = min(least_bits, bits[option])
                        least_data = min(least_data, data[option])
                listed.bits[n, level, t] = least_bits
                listed.data[n, level, t] = least_data
