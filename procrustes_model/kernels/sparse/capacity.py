"""What has to fit into a level, and what happens when it does not."""

from __future__ import annotations

import numpy as np

from procrustes_model.kernels.dense.arrays import (
    BAD_CAPACITY,
    FILL,
    OK,
    READ,
    UNLIMITED,
    UPDATE,
    Bools,
    Floats,
    Ints,
    LoopArrays,
    ProblemArrays,
)
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.arrays import (
    DIMENSIONS,
    FormatArrays,
    FullestArrays,
    ListedArrays,
    SparseCountArrays,
    TileArrays,
)
from procrustes_model.kernels.sparse.formats import block_of, data_of, measure_spans, tile_bits
from procrustes_model.kernels.sparse.listed import most_of_tile


@kernel
def grow_stored(
    problem: ProblemArrays,
    loops: LoopArrays,
    formats: FormatArrays,
    tiles: TileArrays,
    tile: Ints,
    fullest: FullestArrays,
    listed: ListedArrays,
    stored: Floats,
    described: Floats,
) -> None:
    """Give compressed tiles the size of those that have to fit, at least that of the average.

    Parameters
    ----------
    problem : ProblemArrays
    loops : LoopArrays
    formats : FormatArrays
    tiles : TileArrays
    tile : int64[N, L, T]
    fullest : FullestArrays
    listed : ListedArrays
    stored, described : float64[N, L, T]
        Grow; the second is what metadata take.
    """
    mappings, levels, tensors = tile.shape
    spans = np.ones(len(problem.term_start), np.int64)
    for n in range(mappings):
        for level in range(levels):
            scale, room, word = formats.scale[level], formats.room[level], formats.bits[level]
            for t in range(tensors):
                ranked = formats.ranks.listed[level, t] > 0
                held = (fullest.nonzeros[n, level, t], fullest.entries[n, level, t])
                if ranked and formats.ranks.are != DIMENSIONS:
                    data, bits = listed.most_data[n, level, t], listed.most_bits[n, level, t]
                    size = data * scale[t] + bits * room
                elif stored[n, level, t] == 0 or not formats.compressed[level, t] or held[0] + held[1] == 0:
                    continue
                elif fullest.words[n, level, t] > 0:
                    size, bits = fullest.words[n, level, t], fullest.described[n, level, t] * word
                else:
                    data, bits = _find_size(problem, loops, formats, tiles, tile, n, level, t, held, spans)
                    size = data * scale[t] + bits * room
                stored[n, level, t] = max(stored[n, level, t], size)
                described[n, level, t] = max(described[n, level, t], bits / word)


@kernel
def _find_size(
    problem: ProblemArrays, loops: LoopArrays, formats: FormatArrays, tiles: TileArrays, tile: Ints,
    n: int, level: int, t: int, held: tuple[float, float], spans: Ints,
) -> tuple[float, float]:  # fmt: skip
    """Return the data and the bits of metadata of a tile that holds so many nonzeros, and entries."""
    extent, words = loops.below[n, level], tile[n, level, t]
    if formats.ranks.listed[level, t] > 0:
        return most_of_tile(problem, formats, level, t, extent, words, held[0])
    measure_spans(problem, t, extent, formats.terms.depth[level, t], spans)
    block = block_of(problem, formats, tiles, tile, n, level, t)
    bits = tile_bits(formats.terms, level, t, spans, words, held, block)
    return data_of(formats.padded[level, t], formats.implied[level, t], held, bits), bits


@kernel
def describe_full(
    problem: ProblemArrays, loops: LoopArrays, formats: FormatArrays, tiles: TileArrays, tile: Ints,
    listed: ListedArrays, described: Floats,
) -> None:  # fmt: skip
    """Give metadata in stores of their own the size of those of tiles without a zero.

    Parameters
    ----------
    problem : ProblemArrays
    loops : LoopArrays
    formats : FormatArrays
    tiles : TileArrays
    tile : int64[N, L, T]
    listed : ListedArrays
    described : float64[N, L, T]
        Grows.
    """
    mappings, levels, tensors = tile.shape
    spans = np.ones(len(problem.term_start), np.int64)
    for n in range(mappings):
        for level in range(levels):
            for t in range(tensors):
                if described[n, level, t] == 0 or formats.room[level] > 0:
                    continue
                held = (float(tile[n, level, t]), float(tile[n, level, t]))
                bits = listed.most_bits[n, level, t]
                if formats.ranks.listed[level, t] == 0 or formats.ranks.are == DIMENSIONS:
                    bits = _find_size(problem, loops, formats, tiles, tile, n, level, t, held, spans)[1]
                described[n, level, t] = max(described[n, level, t], bits / formats.bits[level])


@kernel
def exceeds(words: float, capacity: int) -> bool:
    """Say whether stored words are more than a capacity, beyond rounding."""
    return bool(capacity != UNLIMITED and words > capacity * (1 + 1e-12))


@kernel
def add_stored(stored: Floats, met: Floats, known: Bools, compressed: Bools, held: Floats) -> None:
    """Add up what the tensors of a level take.

    Parameters
    ----------
    stored : float64[N, L, T]
    met : float64[N, L]
        What the compressed tensors with a mask take together where there are several; else 0.
    known : bool[T]
        Tensors with a mask.
    compressed : bool[L, T]
    held : float64[N, L]
        Filled in.
    """
    mappings, levels, tensors = stored.shape
    for n in range(mappings):
        for level in range(levels):
            held[n, level] = met[n, level]
            for t in range(tensors):
                if met[n, level] == 0 or not (known[t] and compressed[level, t]):
                    held[n, level] += stored[n, level, t]


@kernel
def check_held(capacity: Ints, held: Floats, status: Ints) -> None:
    """Set `status`, int64[N], to BAD_CAPACITY where `held`, float64[N, L], exceeds `capacity`, int64[L]."""
    mappings, levels = held.shape
    for n in range(mappings):
        for level in range(levels):
            if exceeds(held[n, level], capacity[level]) and status[n] == OK:
                status[n] = BAD_CAPACITY


@kernel
def spill(
    capacity: Ints, instances: Ints, keep: Bools, counts: SparseCountArrays, drained: Floats, status: Ints
) -> None:
    """Access what does not fit one level further out, where the tensor is kept.

    Every tensor of a level spills the same share. Its reads and updates go to the outer level, data and
    metadata; its fills are not done, nor is it read to be sent up. What does not fit into the outermost
    level makes a mapping invalid.

    Parameters
    ----------
    capacity : int64[L]
    instances : int64[N, L + 1]
    keep : bool[N, L, T]
    counts : SparseCountArrays
        `actual`, `metadata` and their bits change; `stored`, `described` and `held` shrink to what fits.
    drained : float64[N, L]
        Sums that are read to be sent up; those of what fits are left.
    status : int64[N]
    """
    stored, held = counts.stored, counts.held
    mappings, levels, tensors = stored.shape
    for n in range(mappings):
        for level in range(levels - 1, -1, -1):
            used = held[n, level]
            if status[n] != OK or not exceeds(used, capacity[level]):
                continue
            if level == 0:
                status[n] = BAD_CAPACITY
                continue
            share = 1 - capacity[level] / used
            held[n, level] = capacity[level]
            drained[n, level] *= 1 - share
            for t in range(tensors):
                if not keep[n, level, t]:
                    continue
                stored[n, level, t] *= 1 - share
                counts.described[n, level, t] *= 1 - share
                outer = level - 1
                while not keep[n, outer, t]:
                    outer -= 1
                each = instances[n, level] / instances[n, outer]
                for words in (counts.actual, counts.metadata, counts.metadata_bits):
                    for action in (READ, UPDATE):
                        words[n, outer, t, action] += each * share * words[n, level, t, action]
                    for action in (READ, FILL, UPDATE):
                        words[n, level, t, action] *= 1 - share
