"""What compression saves and what metadata costs, in words: one kernel for all storage formats.

A format is a row of terms (`TermArrays`). What a tile costs, what a full block costs, and what a position
costs at least, for bounds of searches, are sums over the same terms.
"""

from __future__ import annotations

import math

import numpy as np

from procrustes_model.kernels.dense.arrays import (
    FILL,
    READ,
    UPDATE,
    Bools,
    Floats,
    Ints,
    LoopArrays,
    ProblemArrays,
)
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.arrays import (
    BLOCKS,
    DIMENSIONS,
    ENTRIES,
    FIBERS,
    HALF_TILE,
    INDEX,
    INNERMOST,
    NONZEROS,
    OFFSET,
    ONE,
    POSITIONS,
    WHOLE_BLOCKS,
    WHOLE_TILE,
    FormatArrays,
    ListedArrays,
    SparseCountArrays,
    TermArrays,
    TileArrays,
)


@kernel
def find_compressed(keep: Bools, stored: Bools, compressed: Bools) -> None:
    """Find which tensors compute units get without their zeros.

    Parameters
    ----------
    keep : bool[N, L, T]
    stored : bool[L, T]
        Whether levels store data without their zeros.
    compressed : bool[N, T]
        Filled in: whether the innermost level that keeps the tensor stores it compressed.
    """
    mappings, levels, tensors = keep.shape
    for n in range(mappings):
        for t in range(tensors):
            compressed[n, t] = False
            for level in range(levels - 1, -1, -1):
                if keep[n, level, t]:
                    compressed[n, t] = stored[level, t]
                    break


@kernel
def _bits_of(count: int) -> int:
    """Return the bits that tell `count` values apart."""
    bits = 0
    while bits < 62 and (1 << bits) < count:
        bits += 1
    return bits


@kernel
def _fields(quantity: int, fibers: int, positions: int, nonzeros: float, entries: float, block: int) -> float:
    """Return how many fields a term has, given its rank's fibers and positions and what the tile holds."""
    if quantity == FIBERS:
        return float(fibers)
    if quantity == POSITIONS:
        return float(positions)
    if quantity == BLOCKS:
        return positions / block
    if quantity == WHOLE_BLOCKS:
        return math.ceil(positions / block)
    if quantity == NONZEROS:
        return nonzeros
    if quantity == ENTRIES:
        return entries
    return math.nan


@kernel
def _width(width: int, fibers: int, positions: int, words: int) -> float:
    """Return the bits of a field, given its rank's fibers and positions and the words of the tile."""
    if width == ONE:
        return 1.0
    if width == INDEX:
        return float(_bits_of(positions // fibers))
    if width == OFFSET:
        return float(_bits_of(words + 1))
    return math.nan


@kernel
def measure_spans(problem: ProblemArrays, tensor: int, extent: Ints, depth: int, spans: Ints) -> None:
    """Find the positions in the first k ranks of a tensor together, ``spans[k]`` for k up to `depth`.

    The tile covers `extent`, int64[D]. ``spans[0]`` is 1.
    """
    for k in range(depth):
        rank = problem.rank_start[tensor] + k
        side = 1
        for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
            side += problem.term_coefficient[term] * (extent[problem.term_dimension[term]] - 1)
        spans[k + 1] = spans[k] * side


@kernel
def tile_bits(
    terms: TermArrays, level: int, tensor: int, spans: Ints, words: int, held: tuple[float, float], block: int
) -> float:
    """Return the expected bits of metadata of a tile.

    Parameters
    ----------
    terms : TermArrays
    level, tensor : int
    spans : int64[depth + 1 or more]
        ``spans[k]`` positions in the tensor's first k ranks together.
    words : int
        Positions in all of its ranks.
    held : (float, float)
        Nonzeros and, in a format that has them, entries of the tile.
    block : int
        Positions of a block.
    """
    nonzeros, entries = held
    total = 0.0
    for m in range(terms.listed[level, tensor]):
        end = terms.end[level, tensor, m]
        fibers = spans[terms.first[level, tensor, m]]
        positions = words if end == INNERMOST else spans[end]
        fields = _fields(terms.quantity[level, tensor, m], fibers, positions, nonzeros, entries, block)
        width = _width(terms.width[level, tensor, m], fibers, positions, words)
        total += terms.coefficient[level, tensor, m] * fields * width
    return total


@kernel
def block_bits(terms: TermArrays, level: int, tensor: int, block: int) -> float:
    """Return the bits of metadata of a full block: those of a tile of one fiber that is one block.

    Parameters
    ----------
    terms : TermArrays
        Of a format whose blocks can be dropped: they have as many bits whatever is zero in them.
    level, tensor : int
    block : int
        Positions.
    """
    total = 0.0
    for m in range(terms.listed[level, tensor]):
        fields = _fields(terms.quantity[level, tensor, m], 1, block, block, block, block)
        total += terms.coefficient[level, tensor, m] * fields
    return total


@kernel
def least_bits(terms: TermArrays, level: int, tensor: int, density: float, block: int) -> float:
    """Return bits of metadata per position that no tile goes below.

    Term by term, fields per position and width are as few as any tile has: of a rank that does not reach
    the innermost one fibers and positions may be few beside the tile's, so they count nothing; all else
    grows with positions at least in proportion. No width is less than in a tile of one position.

    Parameters
    ----------
    terms : TermArrays
    level, tensor : int
    density : float
        Of any tile at least, and so entries per position: a short fiber has no run that is too long.
    block : int
        Positions of a block at most.
    """
    total = 0.0
    for m in range(terms.listed[level, tensor]):
        positions = 1 if terms.end[level, tensor, m] == INNERMOST else 0
        quantity = terms.quantity[level, tensor, m]
        quantity = BLOCKS if quantity == WHOLE_BLOCKS else quantity
        fields = _fields(quantity, 0, positions, density, density, block)
        total += terms.coefficient[level, tensor, m] * fields * _width(terms.width[level, tensor, m], 1, 1, 1)
    return total


@kernel
def data_of(padded: bool, implied: bool, held: tuple[float, float], bits: float) -> float:
    """Return the elements that a compressed tile stores as data.

    Parameters
    ----------
    padded, implied : bool
        Of the format; see `FormatArrays`.
    held : (float, float)
        Nonzeros and, in a format that has them, entries of the tile.
    bits : float
        Of its metadata. Without any, as in a list of coordinates of one position, nothing says whether there
        is a nonzero but itself.
    """
    nonzeros, entries = held
    if implied and bits > 0:
        return 0.0
    return entries if padded else nonzeros


@kernel
def size_of(
    formats: FormatArrays, level: int, tensor: int, spans: Ints, words: int, held: tuple[float, float],
    block: int,
) -> float:  # fmt: skip
    """Return the words of the level that a compressed tile takes, with the metadata that lie there."""
    bits = tile_bits(formats.terms, level, tensor, spans, words, held, block)
    data = data_of(formats.padded[level, tensor], formats.implied[level, tensor], held, bits)
    return float(data * formats.scale[level, tensor] + bits * formats.room[level])


@kernel
def block_of(
    problem: ProblemArrays,
    formats: FormatArrays,
    tiles: TileArrays,
    tile: Ints,
    n: int,
    level: int,
    tensor: int,
) -> int:
    """Return the positions of a block of a tensor; `tile` : int64[N, L, T].

    A tile of a processing element is that of the tensor itself; it is halved where balancing cuts a dimension
    that the tensor has.
    """
    block = formats.block[level, tensor]
    if block != WHOLE_TILE and block != HALF_TILE:
        return int(block)
    words, cut = tile[n, formats.array, tensor], tiles.cut[n]
    halved = block == HALF_TILE and cut >= 0 and problem.rank[tensor, cut] >= 0
    return int(words // 2 if halved else words)


@kernel
def compress(
    problem: ProblemArrays,
    loops: LoopArrays,
    keep: Bools,
    tile: Ints,
    accesses: Ints,
    dense: Floats,
    tilt: Floats,
    formats: FormatArrays,
    listed: ListedArrays,
    tiles: TileArrays,
    counts: SparseCountArrays,
) -> None:
    """Leave the zeros of compressed tensors out of what is moved, and count the metadata moved instead.

    Of an output only what leaves the level for good is compressed; sums that come back are not.

    Parameters
    ----------
    problem : ProblemArrays
    loops : LoopArrays
    keep : bool[N, L, T]
    tile : int64[N, L, T]
    accesses : int64[N, L, T, 3]
        If nothing were zero.
    dense : float64[N, L + 1, T]
        Nonzeros / elements of the tiles of every level; last, of what compute units take.
    tilt : float64[N, L, T, 3]
        How much denser than these what arrives is, what is gated, and what is left; of `SavedArrays`.
    formats : FormatArrays
    listed : ListedArrays
    tiles : TileArrays
    counts : SparseCountArrays
        `actual`, `gated` and `skipped` shrink; metadata, `stored` and `described` are filled in. Reads
        `entries`.
    """
    terms, dropped, word_bits = formats.terms, formats.dropped, formats.bits
    actual, gated, skipped = counts.actual, counts.gated, counts.skipped
    metadata, stored = counts.metadata, counts.stored
    below, output = loops.below, problem.output
    mappings, levels, tensors, _ = accesses.shape
    spans = np.ones(len(problem.term_start), np.int64)
    for n in range(mappings):
        for t in range(tensors):
            child = levels
            for level in range(levels - 1, -1, -1):
                metadata[n, level, t] = 0.0
                counts.gated_metadata[n, level, t] = counts.skipped_metadata[n, level, t] = 0.0
                counts.metadata_bits[n, level, t] = 0.0
                counts.described[n, level, t] = 0.0
                scale = formats.scale[level, t]
                stored[n, level, t] = tile[n, level, t] * scale if keep[n, level, t] else 0.0
                inner = child
                if not keep[n, level, t]:
                    continue
                child = level
                shrunk, ranked = formats.compressed[level, t], formats.ranks.listed[level, t] > 0
                if not shrunk and not ranked:
                    continue
                block = block_of(problem, formats, tiles, tile, n, level, t)
                extent, depth = below[n, level], terms.depth[level, t]
                measure_spans(problem, t, extent, depth, spans)
                words, word = tile[n, level, t], word_bits[level]
                held = (words * dense[n, level, t], counts.entries[n, level, t])
                full = block_bits(terms, level, t, block) if dropped[level, t] else 0.0
                if ranked:
                    bits, data = listed.bits[n, level, t], listed.data[n, level, t]
                else:
                    bits = tile_bits(terms, level, t, spans, words, held, block)
                    data = data_of(formats.padded[level, t], formats.implied[level, t], held, bits)
                counts.described[n, level, t] = bits / word
                stored[n, level, t] = data * scale + bits * formats.room[level]
                if ranked and formats.ranks.are != DIMENSIONS:
                    continue
                for action in range(3):
                    moved = actual[n, level, t, action] + gated[n, level, t, action]
                    waiting = gated[n, level, t, action] / moved if moved > 0 else 0.0
                    saved = skipped[n, level, t, action]
                    density = dense[n, inner, t] if action == READ else dense[n, level, t]
                    if data != held[0]:
                        # Nonzeros are none of the data, or zeros come along, as many as in the whole tile.
                        density = min(1.0, density + (data - held[0]) / words) if data > 0 else 0.0
                    density = density if shrunk else 1.0
                    if t == output:
                        first = accesses[n, level, t, UPDATE] - accesses[n, level, t, READ]
                        final = first / accesses[n, level, t, UPDATE] if action == UPDATE else 0.0
                        moved *= final
                        saved *= final
                        actual[n, level, t, action] *= 1 - final + final * density
                    else:
                        left = 0 if action == FILL else 2
                        arrived = (moved + skipped[n, level, t, action]) * density * tilt[n, level, t, 0]
                        actual[n, level, t, action] *= density * tilt[n, level, t, left]
                        gated[n, level, t, action] *= density * tilt[n, level, t, 1]
                        if skipped[n, level, t, action] > 0:
                            done = actual[n, level, t, action] + gated[n, level, t, action]
                            skipped[n, level, t, action] = max(0.0, arrived - done)
                    if dropped[level, t]:
                        metadata[n, level, t, action] = math.floor(moved / block) * full / word
                        saved = math.floor(saved / block) * full / word
                    else:
                        metadata[n, level, t, action] = moved * (bits / words) / word
                        saved *= bits / words / word
                    counts.gated_metadata[n, level, t, action] = waiting * metadata[n, level, t, action]
                    counts.skipped_metadata[n, level, t, action] = saved
