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
    FormatArrays,
    FullestArrays,
    SparseCountArrays,
    TileArrays,
)
from procrustes_model.kernels.sparse.entries import count_entries
from procrustes_model.kernels.sparse.formats import data_of, measure_spans, positions_of, tile_bits
from procrustes_model.kernels.sparse.fullest import SLACK
from procrustes_model.kernels.sparse.masks import MaskArrays, bit_strides, repeat_offsets, sum_boxes


@kernel
def _list_box(problem: ProblemArrays, masks: MaskArrays, tensor: int, side: Ints, stride: Ints) -> int:
    """Return how many corners of a box of `side`, int64[K], a table of sums has to be read at; 0: it cannot.

    It cannot where the table does not hold a rank in its order. `stride` is replaced by the table's.
    """
    corners = 1
    for rank in range(problem.rank_start[tensor], problem.rank_start[tensor + 1]):
        main = masks.main[rank]
        if main >= 0 and problem.term_coefficient[main] > 1:
            return 0
        corners *= 1 if side[rank] == masks.side[rank] else 2
    first, end = problem.rank_start[tensor], problem.rank_start[tensor + 1]
    volume = 1
    for rank in range(first, end):
        volume *= side[rank]
    if corners >= volume:
        return 0
    stride[first:end] = masks.stride[first:end]
    return corners


@kernel
def _pick(found: Ints, most: int, share: float) -> int:
    """Return the least of the numbers `found`, of at most `most`, that a share of them does not exceed."""
    tally = np.zeros(most + 1, np.int64)
    for count in found:
        tally[count] += 1
    fit = 0.0
    for count in range(most):
        fit += tally[count]
        if fit >= share * len(found) * (1 - SLACK):
            return count
    return int(most)


@kernel
def count_quantile(
    problem: ProblemArrays, masks: MaskArrays, tensor: int, extent: Ints, quantile: float
) -> int:
    """Return the least number of nonzeros that a share `quantile` of a tensor's tiles do not exceed.

    The tiles are the boxes over `extent`, int64[D], side by side; each counts once.
    """
    first, end = problem.rank_start[tensor], problem.rank_start[tensor + 1]
    side, stride = np.ones(end, np.int64), np.empty(len(masks.side), np.int64)
    tiles: int = 1
    volume: int = 1
    for rank in range(first, end):
        for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
            d = problem.term_dimension[term]
            side[rank] += problem.term_coefficient[term] * (extent[d] - 1)
            tiles *= problem.bounds[d] // extent[d]
        volume *= side[rank]
    bit_strides(problem, masks, tensor, stride)
    corners = _list_box(problem, masks, tensor, side, stride)
    offset = np.zeros(max(corners, volume if corners == 0 else 0), np.int64)
    sign = np.ones(len(offset), np.int64)
    base, found = np.empty(tiles, np.int64), np.empty(tiles, np.int64)
    base[0] = masks.start[tensor] if corners else masks.bit_start[tensor]
    listed = placed = 1
    for rank in range(first, end):
        if corners == 0:
            listed = repeat_offsets(offset, listed, side[rank], stride[rank])
        elif side[rank] == masks.side[rank]:
            offset[:listed] += side[rank] * stride[rank]
        else:
            sign[listed : 2 * listed] = sign[:listed]
            sign[:listed] *= -1
            listed = repeat_offsets(offset, listed, 2, side[rank] * stride[rank])
        for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
            d = problem.term_dimension[term]
            step = problem.term_coefficient[term] * extent[d] * stride[rank]
            placed = repeat_offsets(base, placed, problem.bounds[d] // extent[d], step)
    if corners:
        sum_boxes(masks.table, base, 0, offset, sign, found)
    else:
        sum_boxes(masks.bits, base, 0, offset, sign, found)
    return _pick(found, volume, quantile)


@kernel
def fill_fullest_by_mask(
    problem: ProblemArrays,
    loops: LoopArrays,
    masks: MaskArrays,
    formats: FormatArrays,
    keep: Bools,
    status: Ints,
    fullest: FullestArrays,
) -> None:
    """Count the nonzeros, and the entries, of the tiles that have to fit, of tensors that have a mask.

    Parameters
    ----------
    problem : ProblemArrays
    loops : LoopArrays
    masks : MaskArrays
    formats : FormatArrays
    keep : bool[N, L, T]
    status : int64[N]
        Mappings that are not valid are left out.
    fullest : FullestArrays
        Filled in for compressed tensors.
    """
    terms, share = formats.terms, fullest.share
    mappings, levels, tensors = keep.shape
    for n in range(mappings):
        for level in range(levels):
            for t in range(tensors):
                kept = keep[n, level, t] and formats.compressed[level, t]
                if status[n] != OK or not kept or not masks.known[t]:
                    continue
                extent, run = loops.below[n, level], terms.run[level, t]
                fullest.nonzeros[n, level, t] = count_quantile(problem, masks, t, extent, share)
                if run > 0:
                    found = count_entries(problem, masks, t, extent, terms.fibers[level, t], run)
                    fullest.entries[n, level, t] = _pick(found, found.max(), share)


@kernel
def grow_stored(
    problem: ProblemArrays,
    loops: LoopArrays,
    formats: FormatArrays,
    tiles: TileArrays,
    tile: Ints,
    fullest: FullestArrays,
    stored: Floats,
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
    stored : float64[N, L, T]
        Grows.
    """
    terms = formats.terms
    mappings, levels, tensors = tile.shape
    spans = np.ones(len(problem.term_start), np.int64)
    for n in range(mappings):
        for level in range(levels):
            for t in range(tensors):
                if stored[n, level, t] == 0 or not formats.compressed[level, t]:
                    continue
                if fullest.nonzeros[n, level, t] == 0 and fullest.entries[n, level, t] == 0:
                    continue
                measure_spans(problem, t, loops.below[n, level], terms.depth[level, t], spans)
                held = (fullest.nonzeros[n, level, t], fullest.entries[n, level, t])
                block = positions_of(formats.block[level, t], tiles.elements[n], tiles.cut[n] >= 0)
                bits = tile_bits(terms, level, t, spans, tile[n, level, t], held, block)
                data = data_of(formats.padded[level, t], formats.implied[level, t], held, bits)
                stored[n, level, t] = max(stored[n, level, t], data + bits / formats.bits[level, t])


@kernel
def exceeds(words: float, capacity: int) -> bool:
    """Say whether stored words are more than a capacity, beyond rounding."""
    return bool(capacity != UNLIMITED and words > capacity * (1 + 1e-12))


@kernel
def check_stored(capacity: Ints, stored: Floats, status: Ints) -> None:
    """Set `status`, int64[N], to BAD_CAPACITY where `stored` exceeds `capacity`, int64[L]."""
    mappings, levels, tensors = stored.shape
    for n in range(mappings):
        for level in range(levels):
            used = 0.0
            for t in range(tensors):
                used += stored[n, level, t]
            if exceeds(used, capacity[level]) and status[n] == OK:
                status[n] = BAD_CAPACITY


@kernel
def spill(capacity: Ints, instances: Ints, keep: Bools, counts: SparseCountArrays, status: Ints) -> None:
    """Access what does not fit one level further out, where the tensor is kept.

    Every tensor of a level spills the same share. Its reads and updates go to the outer level, data and
    metadata; its fills are not done. What does not fit into the outermost level makes a mapping invalid.

    Parameters
    ----------
    capacity : int64[L]
    instances : int64[N, L + 1]
    keep : bool[N, L, T]
    counts : SparseCountArrays
        `actual` and `metadata` change; `stored` shrinks to what fits.
    status : int64[N]
    """
    stored = counts.stored
    mappings, levels, tensors = stored.shape
    for n in range(mappings):
        for level in range(levels - 1, -1, -1):
            used = 0.0
            for t in range(tensors):
                used += stored[n, level, t]
            if status[n] != OK or not exceeds(used, capacity[level]):
                continue
            if level == 0:
                status[n] = BAD_CAPACITY
                continue
            share = 1 - capacity[level] / used
            for t in range(tensors):
                if not keep[n, level, t]:
                    continue
                stored[n, level, t] *= 1 - share
                outer = level - 1
                while not keep[n, outer, t]:
                    outer -= 1
                each = instances[n, level] / instances[n, outer]
                for kind in range(2):
                    words = counts.actual if kind == 0 else counts.metadata
                    for action in (READ, UPDATE):
                        words[n, outer, t, action] += each * share * words[n, level, t, action]
                    for action in (READ, FILL, UPDATE):
                        words[n, level, t, action] *= 1 - share
