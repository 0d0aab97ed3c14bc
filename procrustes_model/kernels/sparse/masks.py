"""Counting on actual masks, by tables of sums over boxes that start in a corner.

A rank that sums dimensions has one *main* term; the table is laid out so that steps of the main dimension
are neighbours: with a coefficient a, the positions 0, a, 2a, ... come first, then 1, a + 1, ... The
elements of the other dimensions are walked.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from procrustes_model.kernels.dense.arrays import Bools, Ints, ProblemArrays
from procrustes_model.kernels.jit import kernel

MOST_LISTED = 1 << 20
"""Starts of tiles that are listed at a time."""


class MaskArrays(NamedTuple):
    """Masks of all tensors that have one.

    Attributes
    ----------
    known : bool[T]
        Which tensors have a mask.
    table : int64[...]
        The tables of sums, one after the other: entry x of a table counts the nonzeros below x in every rank.
    start : int64[T]
        Where a tensor's table starts.
    stride : int64[K]
        Of a rank in its table.
    chunk : int64[K]
        Positions per residue of the main term's coefficient.
    main : int64[K]
        The main term of a rank.
    bits : bool[...]
        The masks themselves, in C order, one after the other.
    rows : uint8[...]
        The same with each mask's longest rank last, as `passes.longest_rank` finds it.
    bit_start : int64[T]
    side : int64[K]
        Length of a rank.
    """

    known: Bools
    table: Ints
    start: Ints
    stride: Ints
    chunk: Ints
    main: Ints
    bits: Bools
    rows: NDArray[np.uint8]
    bit_start: Ints
    side: Ints


def empty_masks(tensors: int, ranks: int) -> MaskArrays:
    """Return that no tensor has a mask."""
    by_tensor, by_rank = np.zeros(tensors, np.int64), np.zeros(ranks, np.int64)
    return MaskArrays(
        known=np.zeros(tensors, np.bool_),
        table=np.zeros(0, np.int64),
        start=by_tensor,
        stride=by_rank,
        chunk=by_rank,
        main=by_rank,
        bits=np.zeros(0, np.bool_),
        rows=np.zeros(0, np.uint8),
        bit_start=by_tensor,
        side=by_rank,
    )


def main_terms(problem: ProblemArrays) -> Ints:
    """Return, int64[K], the term of every rank with the largest bound."""
    chosen = [
        max(
            range(problem.term_start[rank], problem.term_start[rank + 1]),
            key=lambda term: problem.bounds[problem.term_dimension[term]],
            default=-1,
        )
        for rank in range(len(problem.term_start) - 1)
    ]
    return np.array(chosen, np.int64)


def table_of(mask: NDArray[np.bool_], coefficients: list[int]) -> tuple[Ints, Ints, Ints]:
    """Return a mask's table of sums, flat, with its strides and the chunks of its ranks.

    Parameters
    ----------
    mask : bool[...]
    coefficients : list of int
        Of the main term of every rank.
    """
    chunks = []
    laid = mask
    for axis, step in enumerate(coefficients):
        length = mask.shape[axis]
        chunk = -(-length // step)
        chunks.append(chunk)
        padded = np.zeros((*laid.shape[:axis], chunk * step, *laid.shape[axis + 1 :]), np.bool_)
        padded[(slice(None),) * axis + (slice(length),)] = laid
        order = np.arange(chunk * step).reshape(chunk, step).T.ravel()
        laid = np.take(padded, order, axis)
    table = np.zeros(tuple(side + 1 for side in laid.shape), np.int64)
    inner = table[(slice(1, None),) * laid.ndim]
    inner[...] = laid
    for axis in range(laid.ndim):
        np.cumsum(inner, axis, out=inner)
    strides = np.array([stride // table.itemsize for stride in table.strides], np.int64)
    return table.ravel(), strides, np.array(chunks, np.int64)


@kernel
def list_corners(
    problem: ProblemArrays, masks: MaskArrays, tensor: int, extent: Ints, offset: Ints, sign: Ints
) -> int:
    """List where in the table the corners of a box lie, relative to its first one; return how many.

    `extent` : int64[D]. `offset`, `sign` : int64[2 ** ranks], filled in. A rank that the box covers whole
    needs one corner.
    """
    count = 1
    offset[0], sign[0] = 0, 1
    for rank in range(problem.rank_start[tensor], problem.rank_start[tensor + 1]):
        main = masks.main[rank]
        length = extent[problem.term_dimension[main]] if main >= 0 else 1
        along = length * masks.stride[rank]
        alone = problem.term_start[rank + 1] - problem.term_start[rank] <= 1
        if alone and problem.term_coefficient[main] == 1 and length == masks.chunk[rank]:
            for i in range(count):
                offset[i] += along
            continue
        for i in range(count):
            offset[count + i], sign[count + i] = offset[i], -sign[i]
            offset[i] += along
        count *= 2
    return count


@kernel
def find_base(problem: ProblemArrays, masks: MaskArrays, tensor: int, origin: Ints) -> int:
    """Return where in the table the box lies that starts at `origin`, int64[D]."""
    base = masks.start[tensor]
    for rank in range(problem.rank_start[tensor], problem.rank_start[tensor + 1]):
        main = masks.main[rank]
        if main < 0:
            continue
        shift = 0
        for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
            if term != main:
                shift += problem.term_coefficient[term] * origin[problem.term_dimension[term]]
        step = problem.term_coefficient[main]
        along = shift % step * masks.chunk[rank] + shift // step + origin[problem.term_dimension[main]]
        base += along * masks.stride[rank]
    return int(base)


@kernel
def bit_strides(problem: ProblemArrays, masks: MaskArrays, tensor: int, stride: Ints) -> None:
    """Fill in how far apart neighbours along every rank of a tensor lie in its mask, int64[K]."""
    apart: int = 1
    for rank in range(problem.rank_start[tensor + 1] - 1, problem.rank_start[tensor] - 1, -1):
        stride[rank] = apart
        apart *= masks.side[rank]


@kernel
def repeat_offsets(offset: Ints, count: int, times: int, step: int) -> int:
    """Repeat the first `count` offsets `times` times, each time `step` further; return how many there are."""
    for i in range(1, times):
        for j in range(count):
            offset[i * count + j] = offset[j] + i * step
    return count * times


@kernel
def list_tiles(
    problem: ProblemArrays, tensor: int, extent: Ints, stride: Ints, start: int, apart: Ints
) -> tuple[Ints, Ints]:
    """List where every tile of a tensor starts: at each of some bases, moved by each of some shifts.

    Tile number i + (how many bases there are) * j is the one at base i, moved by shift j. No more than
    `MOST_LISTED` bases are listed, so that memory holds.

    Parameters
    ----------
    problem : ProblemArrays
    tensor : int
    extent : int64[D]
        Of the tiles, side by side.
    stride : int64[K]
        How far apart neighbours along a rank lie.
    start : int
        Where the first tile starts.
    apart : int64[D]
        Filled in: how far apart in the list neighbours along a dimension are; 0: the tensor does not have it.

    Returns
    -------
    base, shift : int64[...]
    """
    placed: int = 1
    moved: int = 1
    for rank in range(problem.rank_start[tensor], problem.rank_start[tensor + 1]):
        for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
            d = problem.term_dimension[term]
            times = problem.bounds[d] // extent[d]
            if moved > 1 or placed * times > MOST_LISTED:
                moved *= times
            else:
                placed *= times
    base, shift = np.empty(placed, np.int64), np.empty(moved, np.int64)
    base[0], shift[0] = start, 0
    apart[:] = 0
    placed = moved = 1
    for rank in range(problem.rank_start[tensor], problem.rank_start[tensor + 1]):
        for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
            d = problem.term_dimension[term]
            times = problem.bounds[d] // extent[d]
            apart[d] = placed * moved
            step = problem.term_coefficient[term] * extent[d] * stride[rank]
            if moved > 1 or placed * times > MOST_LISTED:
                moved = repeat_offsets(shift, moved, times, step)
            else:
                placed = repeat_offsets(base, placed, times, step)
    return base, shift


@kernel
def sum_boxes(values: NDArray[Any], base: Ints, shift: int, offset: Ints, sign: Ints, count: Ints) -> None:
    """Add up the values at `offset` from every entry of `base`: corners in a table, or elements of a mask.

    `count` : int64, one per entry of `base`, filled in.
    """
    for i in range(len(base)):
        found: int = 0
        for c in range(len(offset)):
            found += sign[c] * values[base[i] + shift + offset[c]]
        count[i] = found


@kernel
def walked_dimensions(problem: ProblemArrays, masks: MaskArrays, tensor: int, walked: Ints) -> int:
    """List the dimensions of a tensor that are not the main one of a rank; return how many."""
    count = 0
    for rank in range(problem.rank_start[tensor], problem.rank_start[tensor + 1]):
        for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
            if term != masks.main[rank]:
                walked[count] = problem.term_dimension[term]
                count += 1
    return count


@kernel
def count_work(
    problem: ProblemArrays,
    masks: MaskArrays,
    tensor: int,
    origin: Ints,
    extent: Ints,
    walked: Ints,
    walks: int,
    corner: Ints,
    sign: Ints,
    corners: int,
) -> int:
    """Count the computation positions in a box that meet a nonzero.

    `origin` : int64[D], left as it was. `walked`, `walks`: of `walked_dimensions`. `corner`, `sign`,
    `corners`: of `list_corners`.
    """
    table = masks.table
    total: int = 0
    steps = 1
    for i in range(walks):
        steps *= extent[walked[i]]
    for step in range(steps):
        rest = step
        for i in range(walks):
            origin[walked[i]] += rest % extent[walked[i]]
            rest //= extent[walked[i]]
        base = find_base(problem, masks, tensor, origin)
        for c in range(corners):
            total += int(sign[c] * table[base + corner[c]])
        rest = step
        for i in range(walks):
            origin[walked[i]] -= rest % extent[walked[i]]
            rest //= extent[walked[i]]
    return int(total)
