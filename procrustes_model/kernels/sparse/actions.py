"""What actions save, what compression saves, and what metadata costs, in words."""

from __future__ import annotations

import math

from procrustes_model.kernels.dense.arrays import (
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
    BITMASK,
    COORDINATE,
    CSB,
    CSR,
    GATED,
    HALF_TILE,
    NONE,
    RUN_LENGTH,
    WHOLE_TILE,
    ActionArrays,
    DensityArrays,
    FormatArrays,
    SavedArrays,
    SparseCountArrays,
    TileArrays,
)


@kernel
def save_accesses(
    accesses: Ints,
    keep: Bools,
    output: int,
    saved: SavedArrays,
    whole: bool,
    counts: SparseCountArrays,
    removed: Floats,
) -> None:
    """Split accesses into actual, gated and skipped ones.

    What an outer level does not send does not arrive further in: there it is neither gated nor skipped.

    Parameters
    ----------
    accesses : int64[N, L, T, 3]
        If nothing were zero.
    keep : bool[N, L, T]
    output : int
    saved : SavedArrays
    whole : bool
        Round expected counts: down, the reads saved of an output up.
    counts : SparseCountArrays
        `actual`, `gated` and `skipped` are filled in.
    removed : float64[N, T]
        Filled in: share of a tensor's accesses that do not reach the compute units.
    """
    probability, kind = saved.probability, saved.kind
    actual, gated, skipped = counts.actual, counts.gated, counts.skipped
    mappings, levels, tensors, _ = accesses.shape
    for n in range(mappings):
        for t in range(tensors):
            above = 0.0
            for level in range(levels):
                for action in range(3):
                    arrive = float(accesses[n, level, t, action])
                    if above > 0:
                        lost = arrive * above
                        arrive -= math.floor(lost) if whole else lost
                    actual[n, level, t, action] = arrive
                    gated[n, level, t, action] = 0.0
                    skipped[n, level, t, action] = 0.0
                if not keep[n, level, t] or kind[n, level, t] == 0:
                    continue
                own = probability[n, level, t]
                share = 1 - (1 - own) / (1 - above) if above < 1 else 0.0
                for action in (READ, UPDATE):
                    lost = actual[n, level, t, action] * share
                    if whole:
                        lost = math.ceil(lost) if t == output and action == READ else math.floor(lost)
                    actual[n, level, t, action] -= lost
                    if kind[n, level, t] == GATED:
                        gated[n, level, t, action] = lost
                    else:
                        skipped[n, level, t, action] = lost
                above = own
            removed[n, t] = above


@kernel
def find_compressed(keep: Bools, kind: Ints, compressed: Bools) -> None:
    """Find which tensors compute units get without their zeros.

    Parameters
    ----------
    keep : bool[N, L, T]
    kind : int64[L, T]
        Storage formats.
    compressed : bool[N, T]
        Filled in: whether the innermost level that keeps the tensor stores it compressed.
    """
    mappings, levels, tensors = keep.shape
    for n in range(mappings):
        for t in range(tensors):
            compressed[n, t] = False
            for level in range(levels - 1, -1, -1):
                if keep[n, level, t]:
                    compressed[n, t] = kind[level, t] != NONE
                    break


@kernel
def _met_density(met: float, whole: bool) -> float:
    """Return the density that computations see, rounded as a whole-word model does."""
    return math.floor(1e6 * met + 0.5) / 1e6 if whole else met


@kernel
def save_computes(
    computes: int,
    output: int,
    actions: ActionArrays,
    densities: DensityArrays,
    compressed: Bools,
    removed: Floats,
    counts: SparseCountArrays,
) -> None:
    """Split computations into actual, gated and skipped ones.

    What storage does not deliver is not computed. Of the rest, an operand that led such savings is denser
    than before.

    Parameters
    ----------
    computes : int
        If nothing were zero, over all units.
    output : int
    actions : ActionArrays
    densities : DensityArrays
    compressed : bool[N, T]
        Whether the innermost level that keeps an operand stores it compressed: only then can its zeros be
        skipped.
    removed : float64[N, T]
        As `save_accesses` leaves it.
    counts : SparseCountArrays
        `computes` is filled in.
    """
    tensors = removed.shape[1]
    whole = actions.whole
    met = densities.met
    for n in range(len(removed)):
        total = float(computes)
        for t in range(tensors):
            if t != output and removed[n, t] > 0:
                lost = total * removed[n, t]
                total -= math.floor(lost) if whole else lost
        skipped = 0.0
        gating = 0
        first = second = 1.0
        for t in range(tensors):
            if t == output or not (actions.skip_compute[t] or actions.gate_compute[t]):
                continue
            density = _met_density(met[t], whole)
            for a in range(len(actions.level)):
                led = actions.target[a]
                if actions.leaders[a, t] and led != output and removed[n, led] > 0:
                    left = 1 - _met_density(removed[n, led], whole)
                    density = min(1.0, density / left) if left > 0 else 0.0
            if actions.skip_compute[t] and compressed[n, t]:
                skipped += (total - skipped) * (1 - density)
            elif actions.gate_compute[t]:
                gating += 1
                first, second = (density, second) if gating == 1 else (first, second * density)
        total -= skipped
        gated = total * (first * (1 - second) + (1 - first) * second)
        gated += total * ((1 - first) * (1 - second))
        if whole:
            gated = math.floor(gated)
        counts.computes[n, 0] = total - gated
        counts.computes[n, 1] = gated
        counts.computes[n, 2] = skipped


@kernel
def _bits_of(count: int) -> int:
    """Return the bits that tell `count` values apart."""
    bits = 0
    while bits < 62 and (1 << bits) < count:
        bits += 1
    return bits


@kernel
def _tile_bits(
    kind: int, pointer_bits: int, run_bits: int, block: int, words: int, rows: int, density: float
) -> float:
    """Return the bits of metadata of a tile of `words` positions in `rows` rows; blocks in proportion."""
    nonzeros = words * density
    if kind == NONE:
        return 0.0
    if kind == COORDINATE:
        return nonzeros * _bits_of(words)
    if kind == CSR:
        return (rows + 1) * float(_bits_of(words + 1)) + nonzeros * _bits_of(words // rows)
    if kind == RUN_LENGTH:
        # A run of 2^bits zeros is an entry of its own, a zero that is stored.
        pad = (1 - density) ** float(1 << run_bits)
        return nonzeros * run_bits / (1 - pad) if density > 0 else run_bits * float(words) / (1 << run_bits)
    if kind == BITMASK:
        return float(words)
    return words * (1.0 + pointer_bits / block)


@kernel
def _first_rank(
    rank_start: Ints, term_start: Ints, dimension: Ints, coefficient: Ints, tensor: int, extent: Ints
) -> int:
    """Return the last index that a tile over `extent`, int64[D], has in a tensor's first rank."""
    last = 0
    first = rank_start[tensor]
    for term in range(term_start[first], term_start[first + 1]):
        last += coefficient[term] * (extent[dimension[term]] - 1)
    return last


@kernel
def _positions_of(block: int, elements: int, cut: bool) -> int:
    """Return the positions of a block, given those of the tile of a processing element."""
    if block in (WHOLE_TILE, HALF_TILE):
        return elements // 2 if block == HALF_TILE and cut else elements
    return block


@kernel
def compress(
    problem: ProblemArrays,
    loops: LoopArrays,
    keep: Bools,
    tile: Ints,
    accesses: Ints,
    dense: Floats,
    formats: FormatArrays,
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
    formats : FormatArrays
    tiles : TileArrays
    counts : SparseCountArrays
        `actual` shrinks; `metadata` and `stored` are filled in.
    """
    kinds, blocks, dropped, word_bits = formats.kind, formats.block, formats.dropped, formats.word_bits
    rank_start, term_start = problem.rank_start, problem.term_start
    dimension, coefficient = problem.term_dimension, problem.term_coefficient
    actual, gated, metadata, stored = counts.actual, counts.gated, counts.metadata, counts.stored
    below, output = loops.below, problem.output
    mappings, levels, tensors, _ = accesses.shape
    for n in range(mappings):
        for t in range(tensors):
            child = levels
            for level in range(levels - 1, -1, -1):
                metadata[n, level, t] = 0.0
                stored[n, level, t] = float(tile[n, level, t]) if keep[n, level, t] else 0.0
                inner = child
                if not keep[n, level, t]:
                    continue
                child = level
                kind = kinds[level, t]
                if kind == NONE:
                    continue
                block = _positions_of(blocks[level, t], tiles.elements[n], tiles.cut[n] >= 0)
                rows = 1 + _first_rank(rank_start, term_start, dimension, coefficient, t, below[n, level])
                words = tile[n, level, t]
                bits = _tile_bits(
                    kind,
                    formats.pointer_bits[level, t],
                    formats.run_bits[level, t],
                    block,
                    words,
                    rows,
                    dense[n, level, t],
                )
                stored[n, level, t] = words * dense[n, level, t] + bits / word_bits[level]
                for action in range(3):
                    moved = actual[n, level, t, action] + gated[n, level, t, action]
                    density = dense[n, inner, t] if action == READ else dense[n, level, t]
                    if t == output:
                        first = accesses[n, level, t, UPDATE] - accesses[n, level, t, READ]
                        final = first / accesses[n, level, t, UPDATE] if action == UPDATE else 0.0
                        moved *= final
                        actual[n, level, t, action] *= 1 - final + final * density
                    else:
                        actual[n, level, t, action] *= density
                        gated[n, level, t, action] *= density
                    if dropped[level, t] and kind in (BITMASK, CSB):
                        pointer = formats.pointer_bits[level, t] if kind != BITMASK else 0
                        metadata[n, level, t, action] = (
                            math.floor(moved / block) * float(block + pointer) / word_bits[level]
                        )
                    else:
                        metadata[n, level, t, action] = moved * (bits / words) / word_bits[level]
