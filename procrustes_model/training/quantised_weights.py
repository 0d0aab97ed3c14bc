"""Weights that a checkpoint keeps in few bits, or only where they are not zero."""

from __future__ import annotations

import re
from math import prod

import numpy as np

from procrustes_model.array_files import MOST_UNPACKED
from procrustes_model.printable import quote
from procrustes_model.training.stored import FLOAT, INTEGER, Stored
from procrustes_model.training.weight_parts import Floats, Tensors, Weight

_NO_SCALE = "taken without a scale that says how large they are"


def join_scaled(every: Tensors, name: str, tensor: Stored) -> Weight | None:
    """Integers, or floats of 8 bits, with a scale or a zero point beside them."""
    bits = tensor.type.lower()
    short = bits in ("i8", "int8", "u8", "uint8") or bits.startswith(("f8_", "float8_"))
    if not short or len(tensor.shape) < 2 or not tensor.size:
        return None
    start = name.removesuffix("weight")
    zero = every.find(f"{name}_zero_point", f"{start}zero_point")
    scale = every.find(f"{name}_scale", f"{name}_scale_inv", f"{start}scale", f"{start}scales")
    if tensor.kind == INTEGER and bits in ("u8", "uint8") and zero is None:
        return None  # two numbers of 4 bits in each, as likely as not
    if zero is None and scale is None:
        if tensor.kind != INTEGER:
            return None
        every.use([name])
        return Weight(name, tensor.shape, tensor.read, (name,), _NO_SCALE)
    parts = [one[1] for one in (zero, scale) if one is not None]
    fits = [_spread(part.shape, tensor.shape) is not None for part in parts]
    if zero is not None and not fits[0]:
        raise ValueError(f"{quote(zero[0])} does not fit {quote(name)}")
    used = [one[0] for one in (zero, scale) if one is not None]
    every.use([name])
    every.use(used, "scales and zero points")

    def read() -> Floats:
        values = tensor.read().astype(np.float64)
        if zero is not None:
            values -= _spread_over(zero[1].read(), tensor.shape)
        if scale is not None and fits[-1]:
            factor = np.abs(_spread_over(scale[1].read(), tensor.shape))
            # A scale of 0 or none at all would hide which weights are kept.
            values *= np.where((factor > 0) & np.isfinite(factor), factor, 1)
        return values

    known = scale is not None and all(fits)
    return Weight(name, tensor.shape, read, (name,), "" if known else _NO_SCALE)


def _spread(shape: tuple[int, ...], over: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return how many elements each number of a scale is for along each rank; None where it does not fit."""
    if prod(shape) == 1:
        return over
    full = (*shape, *(1,) * (len(over) - len(shape)))
    if len(full) != len(over):
        return None
    blocks = [_block(side, long) for side, long in zip(full, over, strict=True)]
    return None if None in blocks else tuple(block for block in blocks if block is not None)


def _block(side: int, long: int) -> int | None:
    """Return how many elements of `long` each of `side` numbers is for; None where that is not clear."""
    if side in (1, long):
        return long // side
    # Blocks have such sizes, and the last may be shorter.
    usual = [block for block in (128, 64, 32, 16, 256) if side and -(-long // block) == side]
    if usual:
        return usual[0]
    return long // side if side and long % side == 0 else None


def _spread_over(values: Floats, over: tuple[int, ...]) -> Floats:
    """Return a number for every element: of its tensor, of its row, or of its block."""
    blocks = _spread(values.shape, over)
    assert blocks is not None
    spread = values.reshape(*values.shape, *(1,) * (len(over) - values.ndim)) if values.size > 1 else values
    spread = spread.reshape((1,) * len(over)) if values.size == 1 else spread
    for axis, block in enumerate(blocks):
        if spread.shape[axis] > 1:
            spread = np.repeat(spread, block, axis)
    return spread[tuple(slice(side) for side in over)]


def join_bits(every: Tensors, name: str, tensor: Stored) -> Weight | None:
    """Values that are not zero and a bit for each place: the formats sparse-bitmask and sparse-24-bitmask.

    Bits are packed by row, the first in the lowest bit, a row to whole bytes; values are in C order. Source:
    the documentation of compressed-tensors.
    """
    if not re.search(r"(^|\.)compressed$", name) or tensor.kind not in (FLOAT, INTEGER):
        return None
    start = name.removesuffix("compressed")
    bits, shape = every.find(f"{start}bitmask"), every.find(f"{start}shape")
    if bits is None or shape is None or shape[1].kind != INTEGER or shape[1].size > 8:
        return None
    sides = tuple(int(side) for side in shape[1].read().reshape(-1))
    rows, columns = prod(sides[:-1]), sides[-1] if sides else 0
    if (
        len(sides) < 2
        or min(sides) < 1
        or bits[1].size != rows * -(-columns // 8)
        or rows * columns > MOST_UNPACKED
        or bits[1].kind != INTEGER
    ):
        raise ValueError(f"{quote(start)}: shape {list(sides)} does not fit the bits that are there")
    offsets = every.find(f"{start}row_offsets")
    used = [name, bits[0], shape[0], *([offsets[0]] if offsets else [])]
    base = start.removesuffix(".").removesuffix(".weight")
    base = f"{base}.weight" if base else "weight"
    scale = every.find(f"{base}_scale")
    zero = every.find(f"{base}_zero_point")
    beside = [one for one in (scale, zero) if one is not None]
    every.use(used)
    every.use([one[0] for one in beside], "scales and zero points")

    def read() -> Floats:
        packed = bits[1].read().astype(np.uint8).reshape(rows, -1)
        kept = np.unpackbits(packed, axis=1, count=columns, bitorder="little").astype(np.bool_)
        values = tensor.read().reshape(-1)
        if np.count_nonzero(kept) != values.size:
            what = f"{np.count_nonzero(kept)} bits for {values.size} values"
            raise ValueError(f"{quote(start)} has {what}")
        dense = np.zeros((rows, columns), np.float64)
        dense[kept] = values
        if scale is not None and _spread(scale[1].shape, (rows, columns)) is not None:
            dense *= np.abs(_spread_over(scale[1].read(), (rows, columns)))
        return dense.reshape(sides)

    fits = scale is None or _spread(scale[1].shape, (rows, columns)) is not None
    return Weight(base, sides, read, tuple(used), "" if fits and zero is None else _NO_SCALE)


def join_packed(every: Tensors, name: str, tensor: Stored) -> Weight | None:
    """Integers of 4 or 8 bits, several in each of 32: the format pack-quantized, where zero is zero.

    Along a row, the first in the lowest bits, counted from the least. Source: the documentation of
    compressed-tensors.
    """
    start = name.removesuffix("_packed")
    shape, scale = every.find(f"{start}_shape"), every.find(f"{start}_scale")
    if not name.endswith("weight_packed") or tensor.type not in ("I32", "int32") or shape is None:
        return None
    if f"{start}_zero_point" in every.all or shape[1].kind != INTEGER or shape[1].size != 2:
        return None
    rows, columns = (int(side) for side in shape[1].read().reshape(-1))
    fitting = [bits for bits in (4, 8) if tensor.shape == (rows, -(-columns * bits // 32))]
    if rows < 1 or columns < 1 or len(fitting) != 1:
        return None
    every.use([name, shape[0]])
    fits = scale is not None and _spread(scale[1].shape, (rows, columns)) is not None
    if scale is not None:
        every.use([scale[0]], "scales and zero points")

    def read() -> Floats:
        words = tensor.read().view(np.uint32)[..., np.newaxis]
        steps = np.arange(0, 32, fitting[0], dtype=np.uint32)
        codes = (words >> steps) & np.uint32(2 ** fitting[0] - 1)
        values: Floats = codes.reshape(rows, -1)[:, :columns].astype(np.float32) - 2 ** (fitting[0] - 1)
        if scale is not None and fits:
            values *= np.abs(_spread_over(scale[1].read(), (rows, columns)))
        return values

    return Weight(start, (rows, columns), read, (name, shape[0]), "" if fits else _NO_SCALE)
