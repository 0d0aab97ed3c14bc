"""Entries of tiles in formats that store runs: nonzeros, and zeros that end a run too long for its field.

A run of r - 1 zeros is the longest that a field can say, so that an entry covers r positions at most. Of a
fiber, a zero ends a run where exactly r, 2r, 3r, ... zeros lie behind it, itself included, since the last
nonzero or since the beginning. The end of the fiber cuts the last run, which then takes no entry.
"""

from __future__ import annotations

import math

import numpy as np

from procrustes_model.kernels.dense.arrays import OK, Bools, Floats, Ints, LoopArrays, ProblemArrays
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.arrays import (
    DENSE,
    FIXED,
    HYPERGEOMETRIC,
    STRUCTURED,
    DensityArrays,
    TermArrays,
)
from procrustes_model.kernels.sparse.groups import (
    count_starts,
    measure_groups,
    split_last,
    zeros_in_groups,
)
from procrustes_model.kernels.sparse.masks import MaskArrays, bit_strides, list_tiles, repeat_offsets

_LONGEST = 1 << 22
"""Positions of a fiber that are walked; of a longer one, positions are taken to be independent."""


@kernel
def _independent_zeros(density: float, length: int, run: int) -> float:
    """Return the expected zeros that end a run in a fiber of independent positions.

    That is sum over j = 1 ... J of q^(jr) (1 + d (L - jr)), with q = 1 - d and J = floor(L / r).
    """
    times = float(length // run)
    if density <= 0:
        return times
    full = math.exp(run * math.log1p(-density)) if density < 1 else 0.0
    rest = -math.expm1(run * math.log1p(-density)) if density < 1 else 1.0
    last = math.pow(full, times)
    powers = full * (1 - last) / rest
    weighted = (powers - times * last * full) / rest
    return (1 + density * length) * powers - density * run * weighted


@kernel
def _nonzero_after(model: int, size: int, nonzeros: int, density: float, zeros: int) -> float:
    """Return how likely the position after so many zeros in a row is a nonzero.

    Of a known total those that are left lie anywhere in the rest. Where every tile has the same share,
    nonzeros lie as far apart as they can, the first one anywhere. Else positions are independent.
    """
    if model == HYPERGEOMETRIC:
        return min(1.0, nonzeros / (size - zeros)) if zeros < size else 1.0
    if model == FIXED:
        left = 1 - zeros * density
        return min(1.0, density / left) if left > 0 else 1.0
    return density


@kernel
def expected_zeros(model: int, size: int, nonzeros: int, density: float, length: int, run: int) -> float:
    """Return the expected zeros that end a run in a fiber, exactly.

    A zero at a position ends the j-th run in a row if the jr positions up to it are zero, and the one before
    them is not or does not exist.

    Parameters
    ----------
    model : int
        One of `vocabulary.DensityModel`.
    size, nonzeros, density
        Of the tensor.
    length : int
        Positions of the fiber.
    run : int
        Positions that an entry covers at most.
    """
    if model == DENSE or density >= 1 or length < run:
        return 0.0
    if density <= 0:
        return float(length // run)
    total, left = 0.0, 1.0
    zeros: int = 0
    for _ in range(length // run):
        if zeros >= _LONGEST:
            return _independent_zeros(density, length, run)
        for _ in range(run):
            left *= 1 - _nonzero_after(model, size, nonzeros, density, zeros)
            zeros += 1
        if left * (1 + density * (length - zeros)) < 1e-17 * density:
            break
        # Before the run lies the beginning, or one of the nonzeros that a longer run would make a zero.
        more = _nonzero_after(model, size, nonzeros, density, zeros) if zeros < length else 0.0
        total += left * (1 + (length - zeros) * more)
    return total


@kernel
def most_entries(words: int, fibers: int, run: int, nonzeros: float) -> float:
    """Return the most entries that a tile with so many nonzeros can have.

    Every fiber of zeros has floor(length / run); nonzeros take them away where they fall into full runs, each
    run after the first nonzero in it for nothing: they fill what is beyond full runs first.
    """
    length = words // fibers
    cut = math.ceil(max(0.0, nonzeros - fibers * (length % run)) / run)
    return nonzeros + fibers * (length // run) - cut


@kernel
def fill_entries(
    problem: ProblemArrays,
    loops: LoopArrays,
    densities: DensityArrays,
    terms: TermArrays,
    tile: Ints,
    dense: Floats,
    entries: Floats,
) -> None:
    """Find the expected entries of tiles.

    Parameters
    ----------
    problem : ProblemArrays
    loops : LoopArrays
    densities : DensityArrays
    terms : TermArrays
    tile : int64[N, L, T]
    dense : float64[N, L + 1, T]
        Nonzeros / elements of tiles.
    entries : float64[N, L, T]
        Filled in for formats that have them.
    """
    mappings, levels, tensors = tile.shape
    for level in range(levels):
        for t in range(tensors):
            run = terms.run[level, t]
            if run == 0:
                continue
            for n in range(mappings):
                words, extent = tile[n, level, t], loops.below[n, level]
                fibers = count_fibers(problem, t, extent, terms.fibers[level, t])
                length, zeros = words // fibers, -1.0
                if densities.model[t] == STRUCTURED:
                    zeros = _zeros_of_groups(
                        problem, densities, t, extent, terms.fibers[level, t], length, run
                    )
                if zeros < 0:
                    zeros = expected_zeros(
                        densities.model[t],
                        densities.size[t],
                        densities.nonzeros[t],
                        densities.average[t],
                        length,
                        run,
                    )
                entries[n, level, t] = min(float(words), words * dense[n, level, t] + fibers * zeros)


@kernel
def count_fibers(problem: ProblemArrays, tensor: int, extent: Ints, ranks: int) -> int:
    """Return the positions of the first `ranks` ranks of a tensor together, in a tile over int64[D]."""
    fibers = 1
    for rank in range(problem.rank_start[tensor], problem.rank_start[tensor] + ranks):
        side = 1
        for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
            side += problem.term_coefficient[term] * (extent[problem.term_dimension[term]] - 1)
        fibers *= side
    return fibers


@kernel
def _zeros_of_groups(
    problem: ProblemArrays,
    densities: DensityArrays,
    tensor: int,
    extent: Ints,
    ranks: int,
    length: int,
    run: int,
) -> float:
    """Return the expected zeros that end a run in a fiber of n:m groups; below 0: of independent positions.

    Parameters
    ----------
    problem : ProblemArrays
    densities : DensityArrays
    tensor : int
    extent : int64[D]
        Of the tile.
    ranks : int
        How many of the tensor's first ranks make a fiber each of their positions.
    length : int
        Positions of a fiber.
    run : int
    """
    m = densities.group[tensor, 1]
    grouped = problem.rank[tensor, densities.group[tensor, 2]]
    first = problem.rank_start[tensor]
    if grouped < first + ranks:
        return -1.0
    side, _ = measure_groups(problem, grouped, extent)
    outside = count_fibers(problem, tensor, extent, grouped + 1 - first)
    inner = length * count_fibers(problem, tensor, extent, ranks) // outside
    starts = count_starts(problem, grouped, extent, m)
    short, last = split_last(problem, grouped, side, m)
    return zeros_in_groups(densities.group[tensor, 0], m, starts, side, inner, length, run, short, last)


@kernel
def count_entries(
    problem: ProblemArrays, masks: MaskArrays, tensor: int, extent: Ints, ranks: int, run: int, apart: Ints
) -> Ints:
    """Return the entries of every tile of a tensor, int64[tiles], counted on its mask, as `list_tiles` lists.

    Parameters
    ----------
    problem : ProblemArrays
    masks : MaskArrays
    tensor : int
    extent : int64[D]
        Of the tiles, side by side.
    ranks : int
        How many of the tensor's first ranks make a fiber each of their positions.
    run : int
    apart : int64[D]
        Filled in.
    """
    first, end = problem.rank_start[tensor], problem.rank_start[tensor + 1]
    stride = np.empty(len(masks.side), np.int64)
    bit_strides(problem, masks, tensor, stride)
    volume = count_fibers(problem, tensor, extent, end - first)
    rows = count_fibers(problem, tensor, extent, end - first - 1)
    offset = np.zeros(rows, np.int64)
    listed = 1
    for rank in range(end - 2, first - 1, -1):  # the innermost first, so that positions are in order
        side = 1
        for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
            side += problem.term_coefficient[term] * (extent[problem.term_dimension[term]] - 1)
        listed = repeat_offsets(offset, listed, side, stride[rank])
    base, shift = list_tiles(problem, tensor, extent, stride, masks.bit_start[tensor], apart)
    width, step = volume // rows, stride[end - 1]
    length = volume // count_fibers(problem, tensor, extent, ranks)
    found = np.zeros(len(base) * len(shift), np.int64)
    for i in range(len(found)):
        start = base[i % len(base)] + shift[i // len(base)]
        zeros = passed = 0
        for row in range(rows):
            at = start + offset[row]
            for _ in range(width):
                if passed == length:
                    zeros = passed = 0
                passed += 1
                zeros += 1
                if masks.bits[at] or zeros == run:
                    found[i] += 1
                    zeros = 0
                at += step
    return found


@kernel
def fill_entries_by_mask(
    problem: ProblemArrays,
    loops: LoopArrays,
    masks: MaskArrays,
    terms: TermArrays,
    keep: Bools,
    status: Ints,
    entries: Floats,
) -> None:
    """Count the entries of tiles of tensors that have a mask, in the mean over the tiles of a level.

    Parameters
    ----------
    problem : ProblemArrays
    loops : LoopArrays
    masks : MaskArrays
    terms : TermArrays
    keep : bool[N, L, T]
    status : int64[N]
        Mappings that are not valid are left out.
    entries : float64[N, L, T]
        Replaced.
    """
    mappings, levels, tensors = entries.shape
    apart = np.empty(len(problem.bounds), np.int64)
    for n in range(mappings):
        for level in range(levels):
            for t in range(tensors):
                run = terms.run[level, t]
                if status[n] != OK or not masks.known[t] or run == 0 or not keep[n, level, t]:
                    continue
                extent, fibers = loops.below[n, level], terms.fibers[level, t]
                found = count_entries(problem, masks, t, extent, fibers, run, apart)
                entries[n, level, t] = found.sum() / len(found)
