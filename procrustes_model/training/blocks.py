"""Compressed sparse blocks: a tensor without its zeros, cut into blocks that are found without searching.

Each block has a pointer to its first value and one bit per dense position; the values follow each other,
block after block, position after position. A block of a convolution is usually a kernel, R x S; of a fully
connected layer any rectangle. Blocks at the end of a rank may be shorter: they have fewer bits.

Source: Procrustes (MICRO 2020), after the compressed sparse blocks of Buluc et al. (SPAA 2009).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from procrustes_model.kernels.pruning.blocks import order_positions

POINTER_BITS = 20


@dataclass(frozen=True, eq=False)
class CompressedBlocks:
    """A compressed tensor.

    Attributes
    ----------
    shape, block : tuple of int
        Sides of the tensor, and of a block that is not cut short.
    pointers : int64[blocks]
        Where the values of each block begin; blocks in C order.
    bits : uint8[ceil(elements/8)]
        Which positions have a value, block after block, positions in C order, the first in the highest bit.
    values : number[nonzeros]

    Raises
    ------
    ValueError
        When the arrays do not fit each other.
    """

    shape: tuple[int, ...]
    block: tuple[int, ...]
    pointers: NDArray[np.int64]
    bits: NDArray[np.uint8]
    values: NDArray[Any]

    def __post_init__(self) -> None:
        if len(self.shape) != len(self.block) or not self.shape:
            raise ValueError(f"blocks of {self.block} do not cut a tensor of {self.shape}")
        if min(self.block) < 1 or min(self.shape) < 0:
            raise ValueError(f"sides of blocks, {self.block}, and of tensors, {self.shape}, are positive")
        if self.pointers.shape != (self.blocks,) or self.bits.shape != (-(-self.elements // 8),):
            raise ValueError(
                f"{self.blocks} blocks of {self.elements} positions need as many pointers and bits"
            )
        if self.values.shape != (int(np.bitwise_count(self.bits).sum()),):
            raise ValueError("there are not as many values as bits say")

    @property
    def elements(self) -> int:
        """Positions of the dense tensor."""
        return prod(self.shape)

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return prod(-(-side // length) for side, length in zip(self.shape, self.block, strict=True))

    def metadata_bits(self, pointer_bits: int = POINTER_BITS) -> int:
        """Return the bits of pointers and positions."""
        return self.blocks * pointer_bits + self.elements

    def size_bits(self, word_bits: int | None = None, pointer_bits: int = POINTER_BITS) -> int:
        """Return the bits of pointers, positions and values.

        Parameters
        ----------
        word_bits : int, optional
            Bits of a value; those of its type if not given.
        pointer_bits : int
        """
        word_bits = self.values.itemsize * 8 if word_bits is None else word_bits
        return self.metadata_bits(pointer_bits) + len(self.values) * word_bits

    def present(self) -> NDArray[np.bool_]:
        """Return which positions have a value, bool[elements], block after block."""
        return np.unpackbits(self.bits, count=self.elements).astype(np.bool_)


def encode(
    dense: NDArray[Any], block: tuple[int, ...], mask: NDArray[np.bool_] | None = None
) -> CompressedBlocks:
    """Compress a tensor, without loss.

    Parameters
    ----------
    dense : number[...]
        Real numbers or integers.
    block : tuple of int
        Sides of a block, one per rank; ``(1, 1, R, S)`` for the kernels of a convolution.
    mask : bool[...], optional
        Positions to store beside those that are not zero: weights may be tracked and zero.

    Returns
    -------
    CompressedBlocks
        A negative zero is stored as a value.

    Raises
    ------
    ValueError
        When block or mask do not fit the tensor.
    """
    if mask is not None and mask.shape != dense.shape:
        raise ValueError(f"a mask of {mask.shape} does not fit a tensor of {dense.shape}")
    order, start = _order(dense.shape, block)
    flat = np.ascontiguousarray(dense).reshape(-1)[order]
    present = flat != 0
    if flat.dtype.kind == "f":
        present |= np.signbit(flat)
    if mask is not None:
        present |= np.ascontiguousarray(mask).reshape(-1)[order]
    before = np.concatenate([[0], np.cumsum(present)])
    return CompressedBlocks(
        shape=dense.shape,
        block=tuple(block),
        pointers=before[start[:-1]].astype(np.int64),
        bits=np.packbits(present),
        values=flat[present],
    )


def decode(blocks: CompressedBlocks) -> NDArray[Any]:
    """Return the dense tensor, number[shape]."""
    order, _ = _order(blocks.shape, blocks.block)
    flat = np.zeros(blocks.elements, blocks.values.dtype)
    flat[order[blocks.present()]] = blocks.values
    return flat.reshape(blocks.shape)


def _order(shape: tuple[int, ...], block: tuple[int, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return flat indices block by block, and where each block begins in them."""
    if len(shape) != len(block) or not shape or min(block) < 1:
        raise ValueError(f"blocks of {tuple(block)} do not cut a tensor of {shape}")
    count = prod(-(-side // length) for side, length in zip(shape, block, strict=True))
    order, start = np.empty(prod(shape), np.int64), np.empty(count + 1, np.int64)
    order_positions(np.array(shape, np.int64), np.array(block, np.int64), count, order, start)
    return order, start


def block_starts(blocks: CompressedBlocks) -> NDArray[np.int64]:
    """Return where the positions of each block begin, int64[blocks]; shape and block say it."""
    return _order(blocks.shape, blocks.block)[1][:-1]
