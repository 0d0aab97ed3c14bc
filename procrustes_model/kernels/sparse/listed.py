"""Tiles in formats that list their ranks: a tree of fibers, of which every rank describes one layer.

A fiber of the outermost rank is the whole tile. A position of a rank has the tile further in, its *subtile*;
a compressed rank leaves out positions whose subtile is empty, and with them the fibers further in.
"""

from __future__ import annotations

import numpy as np

from procrustes_model.kernels.dense.arrays import OK, Bools, Floats, Ints, LoopArrays, ProblemArrays
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.arrays import (
    CP,
    DIMENSIONS,
    NESTED,
    RLE,
    ROWS,
    STRUCTURED,
    UB,
    UOP,
    B,
    DensityArrays,
    FormatArrays,
    ListedArrays,
    RankArrays,
    U,
)
from procrustes_model.kernels.sparse.empty import box_chance, box_empty
from procrustes_model.kernels.sparse.entries import expected_zeros, most_entries
from procrustes_model.kernels.sparse.masks import MaskArrays, bit_strides, list_tiles, repeat_offsets

RUN_BITS = 5
"""Bits of a run where none are stated."""

_MOST = -1.0
"""In place of zeros that end runs: as many as there can be."""


@kernel
def bits_of(count: int) -> int:
    """Return the bits that tell `count` values apart."""
    bits = 0
    while bits < 62 and (1 << bits) < count:
        bits += 1
    return bits


@kernel
def is_compressed(kind: int) -> bool:
    """Say whether a rank leaves positions out."""
    return kind in (B, CP, RLE)


@kernel
def run_of(ranks: RankArrays, level: int, tensor: int) -> int:
    """Return the positions that an entry covers at most; 0: the innermost rank has no runs."""
    if ranks.kind[level, tensor, 0] != RLE:
        return 0
    bits = ranks.bits[level, tensor, 0, 0]
    return 1 << (RUN_BITS if bits < 0 else bits)


@kernel
def measure_fibers(
    problem: ProblemArrays, ranks: RankArrays, level: int, tensor: int, extent: Ints, fiber: Ints
) -> None:
    """Find how many positions the fibers of every rank have, int64[R], in a tile over int64[D]."""
    fiber[:] = 1
    for rank in range(problem.rank_start[tensor], problem.rank_start[tensor + 1]):
        side = 1
        for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
            side += problem.term_coefficient[term] * (extent[problem.term_dimension[term]] - 1)
        fiber[ranks.place[level, rank]] *= side


@kernel
def describe(
    ranks: RankArrays, level: int, tensor: int, fiber: Ints, held: Floats, zeros: float, padded: bool,
    fields: Floats,
) -> float:  # fmt: skip
    """Count the fields of a tile, rank by rank; return the elements that it stores as data.

    Parameters
    ----------
    ranks : RankArrays
    level, tensor : int
    fiber : int64[R]
        Positions of a fiber.
    held : float64[R]
        Positions whose subtile is not empty, in all fibers.
    zeros : float
        That end a run, in fibers that are stored; `_MOST`: as many as there can be.
    padded : bool
        Whether these are data.
    fields : float64[R, 2]
        Filled in: fields of metadata and of payload.
    """
    fibers = data = 1.0
    for r in range(ranks.listed[level, tensor] - 1, -1, -1):
        kind, every = ranks.kind[level, tensor, r], fibers * fiber[r]
        stored = min(every, held[r]) if is_compressed(kind) else every
        data = stored
        if kind == RLE:
            run = run_of(ranks, level, tensor)
            if zeros == _MOST:
                stored = min(every, most_entries(int(every), int(fibers), run, stored))
            else:
                stored = min(every, stored + zeros)
            data = stored if padded else data
        fields[r, 0] = every if kind in (B, UB) else stored if kind in (CP, RLE) else 0.0
        fields[r, 1] = 0.0 if kind == U else every + fibers if kind == UOP else stored
        fibers = stored
    fields[0, 1] = 0.0
    return data


@kernel
def bits_of_fields(
    ranks: RankArrays, level: int, tensor: int, fiber: Ints, words: int, fields: Floats
) -> float:
    """Return the bits of metadata of a tile of so many positions; see `describe`."""
    total = 0.0
    for r in range(ranks.listed[level, tensor]):
        kind = ranks.kind[level, tensor, r]
        metadata, payload = ranks.bits[level, tensor, r, 0], ranks.bits[level, tensor, r, 1]
        if metadata < 0:
            metadata = bits_of(fiber[r]) if kind == CP else RUN_BITS if kind == RLE else 1
        if payload < 0:
            payload = bits_of(words + 1) if kind == UOP else 0
        total += fields[r, 0] * metadata + fields[r, 1] * payload
    return total


@kernel
def _empty_subtile(
    problem: ProblemArrays, densities: DensityArrays, ranks: RankArrays, level: int, tensor: int,
    extent: Ints, fiber: Ints, rank: int,
) -> float:  # fmt: skip
    """Return how likely the subtile of a position of a rank is empty, in a tile over `extent`, int64[D]."""
    if densities.model[tensor] not in (STRUCTURED, NESTED, ROWS):
        words = 1
        for r in range(rank):
            words *= fiber[r]
        size, nonzeros, average = (
            densities.size[tensor],
            densities.nonzeros[tensor],
            densities.average[tensor],
        )
        return float(box_empty(densities.model[tensor], size, nonzeros, average, words))
    inside = np.ones(len(extent), np.int64)
    for one in range(problem.rank_start[tensor], problem.rank_start[tensor + 1]):
        if ranks.place[level, one] < rank:
            for term in range(problem.term_start[one], problem.term_start[one + 1]):
                inside[problem.term_dimension[term]] = extent[problem.term_dimension[term]]
    return float(box_chance(problem, densities, tensor, inside))


@kernel
def _group_of_fibers(ranks: RankArrays, level: int, tensor: int) -> int:
    """Return the innermost compressed rank that takes fibers of the innermost rank along; -1: none."""
    for r in range(1, ranks.listed[level, tensor]):
        if is_compressed(ranks.kind[level, tensor, r]):
            return r
    return -1


@kernel
def expect_held(
    problem: ProblemArrays, densities: DensityArrays, ranks: RankArrays, level: int, tensor: int,
    extent: Ints, fiber: Ints, held: Floats,
) -> float:  # fmt: skip
    """Find the expected positions that are not empty, float64[R]; return the zeros that end a run.

    Zeros are those of fibers that are stored, in formats that have runs. Of n:m groups the positions of a
    fiber are taken to be independent for that.

    `extent` : int64[D], of the tile. `fiber` : int64[R], of it.
    """
    every = 1.0
    for r in range(ranks.listed[level, tensor] - 1, -1, -1):
        every *= fiber[r]
        empty = _empty_subtile(problem, densities, ranks, level, tensor, extent, fiber, r)
        held[r] = every * (1 - empty)
    run = run_of(ranks, level, tensor)
    if run == 0:
        return 0.0
    fibers = every / fiber[0]
    zeros = expected_zeros(
        densities.model[tensor],
        densities.size[tensor],
        densities.nonzeros[tensor],
        densities.average[tensor],
        fiber[0],
        run,
    )
    group = _group_of_fibers(ranks, level, tensor)
    if group > 0:
        empty = _empty_subtile(problem, densities, ranks, level, tensor, extent, fiber, group)
        zeros -= empty * (fiber[0] // run)
    return float(fibers * zeros)


@kernel
def most_held(ranks: RankArrays, level: int, tensor: int, fiber: Ints, nonzeros: float, held: Floats) -> None:
    """Find the most positions, float64[R], that can be not empty in a tile with so many nonzeros."""
    every = 1.0
    for r in range(ranks.listed[level, tensor] - 1, -1, -1):
        every *= fiber[r]
        held[r] = min(every, nonzeros)


@kernel
def most_of_tile(
    problem: ProblemArrays, formats: FormatArrays, level: int, tensor: int, extent: Ints, words: int,
    nonzeros: float,
) -> tuple[float, float]:  # fmt: skip
    """Return the data and the bits that a tile with so many nonzeros takes at most, wherever they are."""
    ranks = formats.ranks
    count = ranks.listed[level, tensor]
    fiber, held, fields = np.ones(count, np.int64), np.zeros(count), np.zeros((count, 2))
    measure_fibers(problem, ranks, level, tensor, extent, fiber)
    most_held(ranks, level, tensor, fiber, nonzeros, held)
    data = describe(ranks, level, tensor, fiber, held, _MOST, formats.padded[level, tensor], fields)
    bits = bits_of_fields(ranks, level, tensor, fiber, words, fields)
    return (0.0 if formats.implied[level, tensor] and bits > 0 else data), bits


@kernel
def count_held(
    problem: ProblemArrays, masks: MaskArrays, ranks: RankArrays, level: int, tensor: int, extent: Ints,
    fiber: Ints, apart: Ints,
) -> tuple[Ints, Ints]:  # fmt: skip
    """Count the positions that are not empty in every tile of a tensor that has a mask.

    Returns
    -------
    held : int64[tiles, R]
        In the order of `list_tiles`.
    zeros : int64[tiles]
        That end a run, in fibers that are stored.
    """
    count, run = ranks.listed[level, tensor], run_of(ranks, level, tensor)
    first, end = problem.rank_start[tensor], problem.rank_start[tensor + 1]
    stride = np.empty(len(masks.side), np.int64)
    bit_strides(problem, masks, tensor, stride)
    volume: int = 1
    for r in range(count):
        volume *= fiber[r]
    offset = np.zeros(volume, np.int64)
    listed = 1
    for r in range(count):  # the innermost first, so that positions are in order
        for rank in range(end - 1, first - 1, -1):
            if ranks.place[level, rank] == r:
                side = 1
                for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
                    side += problem.term_coefficient[term] * (extent[problem.term_dimension[term]] - 1)
                listed = repeat_offsets(offset, listed, side, stride[rank])
    base, shift = list_tiles(problem, tensor, extent, stride, masks.bit_start[tensor], apart)
    held = np.zeros((len(base) * len(shift), count), np.int64)
    zeros = np.zeros(len(held), np.int64)
    group = _group_of_fibers(ranks, level, tensor)
    inside = volume  # positions of the group of fibers that are stored or left out together
    for r in range(count - 1, max(group, 0) - 1, -1):
        inside //= fiber[r] if group > 0 else 1
    last = np.empty(count, np.int64)
    for i in range(len(held)):
        start = base[i % len(base)] + shift[i // len(base)]
        last[:] = -1
        passed = found = ended = 0
        for place in range(volume):
            if place % fiber[0] == 0:
                passed = 0
            if place % inside == 0:
                found = ended = 0
            passed += 1
            if masks.bits[start + offset[place]]:
                passed = 0
                found += 1
                at = place
                for r in range(count):
                    if last[r] == at:
                        break
                    last[r] = at
                    held[i, r] += 1
                    at //= fiber[r]
            elif passed == run:
                passed = 0
                ended += 1
            if (place + 1) % inside == 0 and (found > 0 or group < 0):
                zeros[i] += ended
    return held, zeros


@kernel
def fill_listed(
    problem: ProblemArrays,
    loops: LoopArrays,
    densities: DensityArrays,
    masks: MaskArrays,
    formats: FormatArrays,
    keep: Bools,
    tile: Ints,
    status: Ints,
    listed: ListedArrays,
) -> None:
    """Find what tiles hold whose ranks are dimensions: expected, or in the mean over those of a mask.

    Parameters
    ----------
    problem : ProblemArrays
    loops : LoopArrays
    densities : DensityArrays
    masks : MaskArrays
    formats : FormatArrays
    keep : bool[N, L, T]
    tile : int64[N, L, T]
    status : int64[N]
        Mappings that are not valid are left out.
    listed : ListedArrays
        Filled in.
    """
    ranks = formats.ranks
    mappings, levels, tensors = tile.shape
    apart = np.empty(len(problem.bounds), np.int64)
    if ranks.are != DIMENSIONS:
        return
    for n in range(mappings):
        for level in range(levels):
            for t in range(tensors):
                count = ranks.listed[level, t]
                if count == 0 or status[n] != OK or not keep[n, level, t]:
                    continue
                extent, fields = loops.below[n, level], listed.fields[n, level, t]
                fiber, held = np.ones(count, np.int64), np.zeros(count)
                measure_fibers(problem, ranks, level, t, extent, fiber)
                if masks.known[t]:
                    found, ended = count_held(problem, masks, ranks, level, t, extent, fiber, apart)
                    for r in range(count):
                        held[r] = found[:, r].sum() / len(found)
                    zeros = float(ended.sum() / len(ended))
                else:
                    zeros = expect_held(problem, densities, ranks, level, t, extent, fiber, held)
                data = describe(ranks, level, t, fiber, held, zeros, formats.padded[level, t], fields)
                bits = bits_of_fields(ranks, level, t, fiber, tile[n, level, t], fields)
                listed.bits[n, level, t] = bits
                listed.data[n, level, t] = 0.0 if formats.implied[level, t] and bits > 0 else data


@kernel
def measure_listed(
    problem: ProblemArrays, masks: MaskArrays, formats: FormatArrays, level: int, tensor: int, extent: Ints,
    words: int, apart: Ints,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Return the words of every tile of a tensor that has a mask, and its words of metadata.

    Both float64[tiles], in the order of `list_tiles`.
    """
    ranks = formats.ranks
    count = ranks.listed[level, tensor]
    fiber, fields = np.ones(count, np.int64), np.zeros((count, 2))
    measure_fibers(problem, ranks, level, tensor, extent, fiber)
    found, ended = count_held(problem, masks, ranks, level, tensor, extent, fiber, apart)
    sizes, described = np.empty(len(found)), np.empty(len(found))
    padded, held = formats.padded[level, tensor], np.zeros(count)
    for i in range(len(found)):
        for r in range(count):
            held[r] = found[i, r]
        data = describe(ranks, level, tensor, fiber, held, float(ended[i]), padded, fields)
        bits = bits_of_fields(ranks, level, tensor, fiber, words, fields)
        if formats.implied[level, tensor] and bits > 0:
            data = 0.0
        described[i] = bits / formats.bits[level]
        sizes[i] = data * formats.scale[level, tensor] + bits * formats.room[level]
    return sizes, described
