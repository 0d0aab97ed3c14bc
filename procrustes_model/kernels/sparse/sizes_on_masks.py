"""What has to fit of tensors that have a mask: the nonzeros and the entries of every tile, counted.

Where several of them are compressed in one level, what has to fit is the size of tiles that lie there at the
same time. A dimension of one of the tensors only is *its own*, one of several is shared; for every position
of the shared dimensions the tensors' tiles meet in all combinations.
"""

from __future__ import annotations

import math

import numpy as np

from procrustes_model.kernels.dense.arrays import OK, Bools, Floats, Ints, LoopArrays, ProblemArrays
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.arrays import FormatArrays, FullestArrays, TileArrays
from procrustes_model.kernels.sparse.entries import count_entries, count_fibers
from procrustes_model.kernels.sparse.formats import block_of, measure_spans, size_of
from procrustes_model.kernels.sparse.fullest import SLACK
from procrustes_model.kernels.sparse.listed import measure_listed
from procrustes_model.kernels.sparse.masks import (
    MaskArrays,
    bit_strides,
    list_tiles,
    repeat_offsets,
    sum_boxes,
)
from procrustes_model.kernels.sparse.passes import is_passed, tally_boxes


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
def _list_all(
    problem: ProblemArrays, masks: MaskArrays, tensor: int, extent: Ints, apart: Ints
) -> tuple[Ints, Ints, Ints, Ints, int]:
    """List the tiles of a tensor, as `list_tiles`, and what is added up in each.

    Returns
    -------
    base, shift : int64[...]
    offset, sign : int64[...]
        As `sum_boxes` takes them.
    corners : int
        How many corners of boxes these are, in the table of sums; 0: elements of the mask.
    """
    first, end = problem.rank_start[tensor], problem.rank_start[tensor + 1]
    side, stride = np.ones(end, np.int64), np.empty(len(masks.side), np.int64)
    volume: int = 1
    for rank in range(first, end):
        for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
            side[rank] += problem.term_coefficient[term] * (extent[problem.term_dimension[term]] - 1)
        volume *= side[rank]
    bit_strides(problem, masks, tensor, stride)
    corners = _list_box(problem, masks, tensor, side, stride)
    offset = np.zeros(max(corners, volume if corners == 0 else 0), np.int64)
    sign = np.ones(len(offset), np.int64)
    listed = 1
    for rank in range(first, end):
        if corners == 0:
            listed = repeat_offsets(offset, listed, side[rank], stride[rank])
        elif side[rank] == masks.side[rank]:
            offset[:listed] += side[rank] * stride[rank]
        else:
            sign[listed : 2 * listed] = sign[:listed]
            sign[:listed] *= -1
            listed = repeat_offsets(offset, listed, 2, side[rank] * stride[rank])
    start = masks.start[tensor] if corners else masks.bit_start[tensor]
    base, shift = list_tiles(problem, tensor, extent, stride, start, apart)
    return base, shift, offset, sign, corners


@kernel
def _count_listed(
    masks: MaskArrays, base: Ints, shift: int, offset: Ints, sign: Ints, corners: int, found: Ints
) -> None:
    """Count the nonzeros of the tiles at one shift, int64[tiles]; see `_list_all`."""
    if corners:
        sum_boxes(masks.table, base, shift, offset, sign, found)
    else:
        sum_boxes(masks.bits, base, shift, offset, sign, found)


@kernel
def count_nonzeros(problem: ProblemArrays, masks: MaskArrays, tensor: int, extent: Ints, apart: Ints) -> Ints:
    """Return the nonzeros of every tile of a tensor, int64[tiles], in the order of `list_tiles`.

    The tiles are the boxes over `extent`, int64[D], side by side. `apart`, int64[D], is filled in.
    """
    base, shift, offset, sign, corners = _list_all(problem, masks, tensor, extent, apart)
    found = np.empty(len(base) * len(shift), np.int64)
    for j in range(len(shift)):
        part = found[j * len(base) : (j + 1) * len(base)]
        _count_listed(masks, base, shift[j], offset, sign, corners, part)
    return found


@kernel
def _pick(found: Ints, share: float) -> int:
    """Return the least of some numbers that a share of them does not exceed; they are sorted."""
    found.sort()
    return int(found[max(0, math.ceil(share * len(found) * (1 - SLACK)) - 1)])


@kernel
def _pick_size(sizes: Floats, share: float) -> float:
    """Return the least of some sizes that a share of them does not exceed; they are sorted."""
    sizes.sort()
    return float(sizes[max(0, math.ceil(share * len(sizes) * (1 - SLACK)) - 1)])


@kernel
def _pick_tallied(tally: Ints, share: float) -> int:
    """Return the least number that a share of all does not exceed; `tally` has how often each occurs."""
    need = share * tally.sum() * (1 - SLACK)
    fit = 0
    for number in range(len(tally)):
        fit += tally[number]
        if fit >= need:
            return number
    return len(tally) - 1


@kernel
def _pick_nonzeros(
    problem: ProblemArrays, masks: MaskArrays, tensor: int, extent: Ints, share: float, apart: Ints
) -> int:
    """Return the fewest nonzeros that a share of a tensor's tiles do not exceed; see `count_nonzeros`."""
    ranks = problem.rank_start[tensor + 1] - problem.rank_start[tensor]
    if is_passed(problem, masks, tensor, extent):
        most = count_fibers(problem, tensor, extent, ranks)
        return _pick_tallied(tally_boxes(problem, masks, tensor, extent, most), share)
    base, shift, offset, sign, corners = _list_all(problem, masks, tensor, extent, apart)
    found = np.empty(len(base), np.int64)
    _count_listed(masks, base, shift[0], offset, sign, corners, found)
    if len(shift) == 1:
        return _pick(found, share)
    tally = np.zeros(count_fibers(problem, tensor, extent, ranks) + 1, np.int64)
    for j in range(len(shift)):
        _count_listed(masks, base, shift[j], offset, sign, corners, found)
        for number in found:
            tally[number] += 1
    return _pick_tallied(tally, share)


@kernel
def fill_fullest_by_mask(
    problem: ProblemArrays,
    loops: LoopArrays,
    masks: MaskArrays,
    formats: FormatArrays,
    keep: Bools,
    tile: Ints,
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
    tile : int64[N, L, T]
    status : int64[N]
        Mappings that are not valid are left out.
    fullest : FullestArrays
        Filled in for compressed tensors.
    """
    terms, share = formats.terms, fullest.share
    mappings, levels, tensors = keep.shape
    apart = np.empty(len(problem.bounds), np.int64)
    for n in range(mappings):
        for level in range(levels):
            for t in range(tensors):
                kept = keep[n, level, t] and formats.compressed[level, t]
                if status[n] != OK or not kept or not masks.known[t]:
                    continue
                extent, run = loops.below[n, level], terms.run[level, t]
                fullest.nonzeros[n, level, t] = _pick_nonzeros(problem, masks, t, extent, share, apart)
                if formats.ranks.listed[level, t] > 0:
                    words = tile[n, level, t]
                    sizes, described = measure_listed(problem, masks, formats, level, t, extent, words, apart)
                    fullest.words[n, level, t] = _pick_size(sizes, share)
                    fullest.described[n, level, t] = _pick_size(described, share)
                if run > 0:
                    found = count_entries(problem, masks, t, extent, terms.fibers[level, t], run, apart)
                    fullest.entries[n, level, t] = _pick(found, share)


@kernel
def _measure_tiles(
    problem: ProblemArrays, masks: MaskArrays, formats: FormatArrays, level: int, tensor: int, extent: Ints,
    block: int, words: int, apart: Ints,
) -> Floats:  # fmt: skip
    """Return the words of every tile of a tensor, metadata included, float64[tiles]; see `count_nonzeros`."""
    terms = formats.terms
    if formats.ranks.listed[level, tensor] > 0:
        return measure_listed(problem, masks, formats, level, tensor, extent, words, apart)[0]
    spans = np.ones(len(problem.term_start), np.int64)
    measure_spans(problem, tensor, extent, terms.depth[level, tensor], spans)
    found = count_nonzeros(problem, masks, tensor, extent, apart)
    entries = found
    if terms.run[level, tensor] > 0:
        fibers, run = terms.fibers[level, tensor], terms.run[level, tensor]
        entries = count_entries(problem, masks, tensor, extent, fibers, run, apart)
    sizes = np.empty(len(found))
    for i in range(len(found)):
        held = (float(found[i]), float(entries[i]))
        sizes[i] = size_of(formats, level, tensor, spans, words, held, block)
    return sizes


@kernel
def _own_sizes(sizes: Floats, start: int, apart: Ints, times: Ints, own: Bools) -> Floats:
    """Return, sorted, the sizes of a tensor's tiles at one position of the shared dimensions.

    Parameters
    ----------
    sizes : float64[tiles]
    start : int
        Where the tile lies whose position in its own dimensions is 0.
    apart, times : int64[D]
        How far apart neighbours lie, and how many there are.
    own : bool[D]
    """
    number: int = 1
    for d in range(len(times)):
        if own[d]:
            number *= times[d]
    found = np.empty(number)
    for i in range(number):
        rest, at = i, start
        for d in range(len(times)):
            if own[d]:
                at += rest % times[d] * apart[d]
                rest //= times[d]
        found[i] = sizes[at]
    return np.sort(found)


@kernel
def _distinct(found: Floats, weight: Ints) -> int:
    """Leave each of the sorted numbers once, in front, with how often it stands there; return how many."""
    count: int = 0
    for i in range(len(found)):
        if count > 0 and found[i] == found[count - 1]:
            weight[count - 1] += 1
        else:
            found[count], weight[count] = found[i], 1
            count += 1
    return count


@kernel
def _pick_sum(sums: Floats, weights: Ints, count: int, share: float) -> float:
    """Return the least of the first `count` sums that a share of them does not exceed; each has a weight."""
    order = np.argsort(sums[:count])
    need = share * float(weights[:count].sum()) * (1 - SLACK)
    fit = 0.0
    for i in order:
        fit += weights[i]
        if fit >= need:
            return float(sums[i])
    return float(sums[order[-1]])


@kernel
def join_sizes(sizes: Floats, first: Ints, apart: Ints, times: Ints, chosen: Bools, share: float) -> float:
    """Return the least words that a share of the tiles of several tensors together do not exceed.

    Parameters
    ----------
    sizes : float64[...]
        Of the tiles of one tensor after the other.
    first : int64[T]
        Where a tensor's begin.
    apart : int64[T, D]
        How far apart in there neighbours along a dimension lie; 0: the tensor does not have it.
    times : int64[D]
        Tiles along every dimension.
    chosen : bool[T]
        The tensors.
    share : float
        1: all of them.

    Returns
    -------
    float
    """
    tensors, dimensions = apart.shape
    users = np.zeros(dimensions, np.int64)
    for t in range(tensors):
        for d in range(dimensions):
            users[d] += 1 if chosen[t] and apart[t, d] > 0 else 0
    steps: int = 1
    for d in range(dimensions):
        steps *= times[d] if users[d] > 1 else 1
    sums, weights = np.empty(16), np.empty(16, np.int64)
    filled: int = 0
    for step in range(steps):
        here, ways = np.zeros(1), np.ones(1, np.int64)
        for t in range(tensors):
            if not chosen[t]:
                continue
            rest, start = step, first[t]
            for d in range(dimensions):
                if users[d] > 1:
                    start += rest % times[d] * apart[t, d]
                    rest //= times[d]
            own = (users == 1) & (apart[t] > 0)
            found = _own_sizes(sizes, start, apart[t], times, own)
            if share >= 1:
                here[0] += found[-1]
                continue
            weight = np.empty(len(found), np.int64)
            count = _distinct(found, weight)
            here = (here.reshape(-1, 1) + found[:count].reshape(1, -1)).ravel()
            ways = (ways.reshape(-1, 1) * weight[:count].reshape(1, -1)).ravel()
        if filled + len(here) > len(sums):
            more, heavier = np.empty(2 * (filled + len(here))), np.empty(2 * (filled + len(here)), np.int64)
            more[:filled], heavier[:filled] = sums[:filled], weights[:filled]
            sums, weights = more, heavier
        sums[filled : filled + len(here)] = here
        weights[filled : filled + len(here)] = ways
        filled += len(here)
    return _pick_sum(sums, weights, filled, share)


@kernel
def fit_jointly(
    problem: ProblemArrays,
    loops: LoopArrays,
    masks: MaskArrays,
    formats: FormatArrays,
    tiles: TileArrays,
    tile: Ints,
    keep: Bools,
    share: float,
    stored: Floats,
    status: Ints,
    together: Floats,
) -> None:
    """Find what the compressed tiles of several tensors with masks take in a level at the same time.

    Parameters
    ----------
    problem : ProblemArrays
    loops : LoopArrays
    masks : MaskArrays
    formats : FormatArrays
    tiles : TileArrays
    tile : int64[N, L, T]
    keep : bool[N, L, T]
    share : float
        Of the tiles that must fit; 1: all of them.
    stored : float64[N, L, T]
        Words of the average tile, which fits in any case.
    status : int64[N]
        Mappings that are not valid are left out.
    together : float64[N, L]
        Filled in where a level keeps two such tensors or more; else left as it is.
    """
    mappings, levels, tensors = keep.shape
    apart = np.zeros((tensors, len(problem.bounds)), np.int64)
    first = np.zeros(tensors, np.int64)
    for n in range(mappings):
        for level in range(levels):
            chosen = keep[n, level] & formats.compressed[level] & masks.known
            if status[n] != OK or chosen.sum() < 2:
                continue
            extent = loops.below[n, level]
            sizes, average = np.empty(0), 0.0
            for t in range(tensors):
                if chosen[t]:
                    block = block_of(problem, formats, tiles, tile, n, level, t)
                    words = tile[n, level, t]
                    one = _measure_tiles(problem, masks, formats, level, t, extent, block, words, apart[t])
                    first[t] = len(sizes)
                    sizes = np.concatenate((sizes, one))
                    average += stored[n, level, t]
            met = join_sizes(sizes, first, apart, problem.bounds // extent, chosen, share)
            together[n, level] = max(met, average)
