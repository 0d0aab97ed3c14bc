"""Reading compressed sparse blocks as the backward pass does: kernels rotated, channels swapped.

No dense tensor is made on the way: pointers find the blocks in any order, and in a block the bits say which
value belongs to a position.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from procrustes_model.kernels.pruning.blocks import traverse_blocks
from procrustes_model.training.blocks import CompressedBlocks, block_starts


def traverse(
    blocks: CompressedBlocks, axes: Sequence[int], flip: Sequence[bool] | None = None
) -> CompressedBlocks:
    """Read a compressed tensor with its ranks permuted and some of them reversed.

    Parameters
    ----------
    blocks : CompressedBlocks
    axes : sequence of int
        Rank d of the result is rank ``axes[d]`` of the tensor, as in ``numpy.transpose``.
    flip : sequence of bool, optional
        Whether rank d of the result is read from its end.

    Returns
    -------
    CompressedBlocks
        What encoding the permuted, reversed tensor would give, bit by bit.

    Raises
    ------
    ValueError
        When `axes` is no permutation, or a reversed rank has more than one block.
    """
    ranks = len(blocks.shape)
    flip = [False] * ranks if flip is None else list(flip)
    if sorted(axes) != list(range(ranks)) or len(flip) != ranks:
        raise ValueError(f"axes {tuple(axes)} and flip {tuple(flip)} do not fit {ranks} ranks")
    shape = tuple(blocks.shape[axis] for axis in axes)
    block = tuple(blocks.block[axis] for axis in axes)
    for side, length, reverse in zip(shape, block, flip, strict=True):
        if reverse and side > length:
            raise ValueError(
                f"a rank of {side} in blocks of {length} cannot be reversed: one block must cover it"
            )
    present, pointers = np.empty(blocks.elements, np.bool_), np.empty_like(blocks.pointers)
    source = np.empty(len(blocks.values), np.int64)
    traverse_blocks(
        np.array(blocks.shape, np.int64),
        np.array(blocks.block, np.int64),
        np.array(axes, np.int64),
        np.array(flip, np.bool_),
        blocks.present(),
        blocks.pointers,
        block_starts(blocks),
        present,
        pointers,
        source,
    )
    return CompressedBlocks(shape, block, pointers, np.packbits(present), blocks.values[source])


def traverse_backward(blocks: CompressedBlocks) -> CompressedBlocks:
    """Read weights as the backward pass does.

    Parameters
    ----------
    blocks : CompressedBlocks
        K, C, then the ranks of the kernel: two for a convolution, none for a fully connected layer.

    Returns
    -------
    CompressedBlocks
        C, K, then the ranks of the kernel, rotated by 180 degrees.

    Raises
    ------
    ValueError
        When there are fewer than two ranks, or a kernel is cut into blocks.
    """
    kernel = list(range(2, len(blocks.shape)))
    if len(blocks.shape) < 2:
        raise ValueError("weights have two ranks or more: K, C, and those of the kernel")
    return traverse(blocks, [1, 0, *kernel], [False, False] + [True] * len(kernel))
