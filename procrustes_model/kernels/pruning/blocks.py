"""Walking compressed sparse blocks, and the positions in each, in any order.

A tensor of `shape`, int64[D], is cut into blocks of `block`, int64[D]; those at the end of a rank may be
shorter. Blocks and the positions in them are in C order.
"""

from __future__ import annotations

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, Ints
from procrustes_model.kernels.jit import kernel


@kernel
def _enter_block(shape: Ints, block: Ints, number: int, origin: Ints, extent: Ints) -> int:
    """Set where block `number` starts and how far it reaches; return its positions."""
    positions = 1
    for d in range(len(shape) - 1, -1, -1):
        times = (shape[d] + block[d] - 1) // block[d]
        origin[d] = number % times * block[d]
        number //= times
        extent[d] = min(block[d], shape[d] - origin[d])
        positions *= extent[d]
    return positions


@kernel
def order_positions(shape: Ints, block: Ints, blocks: int, order: Ints, start: Ints) -> None:
    """List the flat indices of a dense tensor block by block.

    Parameters
    ----------
    shape, block : int64[D]
    blocks : int
    order : int64[elements]
        Filled in.
    start : int64[blocks + 1]
        Filled in: where each block's positions begin in `order`.
    """
    dimensions, place = len(shape), 0
    origin, extent = shape.copy(), shape.copy()
    start[0] = 0
    for number in range(blocks):
        positions = _enter_block(shape, block, number, origin, extent)
        for position in range(positions):
            rest, step, index = position, 1, 0
            for d in range(dimensions - 1, -1, -1):
                index += step * (origin[d] + rest % extent[d])
                rest //= extent[d]
                step *= shape[d]
            order[place] = index
            place += 1
        start[number + 1] = place


@kernel
def traverse_blocks(
    shape: Ints,
    block: Ints,
    axes: Ints,
    flip: Bools,
    present: Bools,
    pointers: Ints,
    starts: Ints,
    new_present: Bools,
    new_pointers: Ints,
    source: Ints,
) -> None:
    """Read blocks in the order of the transposed tensor, partly reversed, from the compressed form alone.

    Parameters
    ----------
    shape, block : int64[D]
        Of the stored tensor.
    axes : int64[D]
        Rank d of the new tensor is rank ``axes[d]`` of the stored one.
    flip : bool[D]
        Whether rank d of the new tensor is read from its end; only where one block covers it.
    present : bool[elements]
        Stored: which positions have a value, block by block.
    pointers, starts : int64[blocks]
        Stored: where each block's values, and positions, begin.
    new_present : bool[elements]
        Filled in.
    new_pointers : int64[blocks]
        Filled in.
    source : int64[values]
        Filled in: which stored value is the next one.
    """
    dimensions = len(shape)
    origin, extent = np.empty(dimensions, np.int64), np.empty(dimensions, np.int64)
    before = np.empty(len(present), np.int64)
    place = value = 0
    for new_number in range(len(pointers)):
        number = _find_block(shape, block, axes, new_number)
        positions = _enter_block(shape, block, number, origin, extent)
        first, found = starts[number], 0
        for position in range(positions):
            before[position] = found
            found += 1 if present[first + position] else 0
        new_pointers[new_number] = value
        for new_position in range(positions):
            position = _find_position(extent, axes, flip, new_position)
            new_present[place] = present[first + position]
            if new_present[place]:
                source[value] = pointers[number] + before[position]
                value += 1
            place += 1


@kernel
def _find_block(shape: Ints, block: Ints, axes: Ints, new_number: int) -> int:
    """Return the stored number of a block of the transposed tensor."""
    number = 0
    for d in range(len(shape) - 1, -1, -1):
        old = axes[d]
        times = (shape[old] + block[old] - 1) // block[old]
        step = 1
        for inner in range(old + 1, len(shape)):
            step *= (shape[inner] + block[inner] - 1) // block[inner]
        number += new_number % times * step
        new_number //= times
    return number


@kernel
def _find_position(extent: Ints, axes: Ints, flip: Bools, new_position: int) -> int:
    """Return the position in a stored block, of `extent`, of a position in the same block as it is read."""
    position = 0
    for d in range(len(extent) - 1, -1, -1):
        old = axes[d]
        index = new_position % extent[old]
        new_position //= extent[old]
        step = 1
        for inner in range(old + 1, len(extent)):
            step *= extent[inner]
        position += step * (extent[old] - 1 - index if flip[d] else index)
    return position
