"""Weights of few bits as GPTQ, AWQ and bitsandbytes keep them; what Marlin keeps is refused by name."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from procrustes_model.printable import quote
from procrustes_model.training.stored import FLOAT, INTEGER, Stored
from procrustes_model.training.weight_parts import Floats, Tensors, Weight

_SCALES = "scales and zero points"
_BITS = (2, 3, 4, 8)
_INT32 = ("I32", "int32")
_AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
"""Which of eight outputs each 4 bits of a word are for, from the lowest. Source: AutoAWQ, WQLinear_GEMM."""

_LARGEST_STATE = 10_000
_MARLIN = (
    "is packed in tiles for Marlin's kernels, which are not read; "
    "take the checkpoint that it was made from, of GPTQ or AWQ, or save the weights themselves"
)


def refuse_marlin(every: Tensors, name: str, tensor: Stored) -> Weight | None:
    """Raise ValueError for what is packed for Marlin's kernels, by its name and what is beside it."""
    start, _, own = name.rpartition(".")
    start = f"{start}." if start else ""
    needed = {
        "B": ("s", "workspace"),
        "B_24": ("B_meta", "s"),
        "qweight": ("scales", "workspace"),
        "weight_packed": ("scale_packed", "meta"),
    }.get(own)
    if needed and tensor.kind == INTEGER and all(f"{start}{part}" in every.all for part in needed):
        raise ValueError(f"{quote(name)} {_MARLIN}")
    return None


def join_grouped(every: Tensors, name: str, tensor: Stored) -> Weight | None:
    """GPTQ and AWQ: words of integers, and for each group of inputs and each output a scale and a zero point.

    GPTQ packs along the inputs and, of zero points, along the outputs, as one stream of bits from the lowest
    of a word; AWQ packs along the outputs, in an order of its own. Sources: AutoGPTQ, qlinear_cuda.py;
    AutoAWQ, gemm.py.
    """
    start = name.removesuffix("qweight")
    scales, zeros = every.find(f"{start}scales"), every.find(f"{start}qzeros")
    if not re.search(r"(^|\.)qweight$", name) or tensor.kind != INTEGER or not (scales and zeros):
        return None
    words, offsets, factors = tensor.shape, zeros[1].shape, scales[1].shape
    typed = tensor.type in _INT32 and zeros[1].type in _INT32 and scales[1].kind == FLOAT
    if not typed or not len(words) == len(offsets) == len(factors) == 2 or 0 in words + offsets + factors:
        raise ValueError(_unknown(name))
    groups, outputs = factors
    bits = 32 * offsets[1] // outputs
    fits = offsets[0] == groups and 32 * offsets[1] == bits * outputs and bits in _BITS
    listed = every.find(f"{start}g_idx")
    if fits and words[1] == outputs and 32 * words[0] % bits == 0:
        inputs, awq = 32 * words[0] // bits, False
    elif fits and words[1] == offsets[1] and bits == 4 and groups < words[0] and listed is None:
        inputs, awq = words[0], True
    else:
        raise ValueError(_unknown(name))
    # Groups of 8 are no group of theirs, but what other layouts look like.
    clear = inputs % groups == 0 and inputs > 8 * groups if listed is None else listed[1].shape == (inputs,)
    if not clear:
        raise ValueError(
            f"{quote(name)}: which of {inputs} inputs are in which of {groups} groups is not clear"
        )
    every.use([name])
    every.use([one[0] for one in (scales, zeros, listed) if one is not None], _SCALES)

    def read() -> Floats:
        packed, points = tensor.read(), zeros[1].read()
        if awq:
            codes, kept = _in_awq_order(_unpack(packed, 4)), _in_awq_order(_unpack(points, 4))
        else:
            codes, kept = _unpack(packed.T, bits).T, _unpack(points, bits)
        zero = kept.astype(np.int16) + (0 if awq else _less(kept, bits, name, every))
        group = np.arange(inputs) // (inputs // groups) if listed is None else listed[1].read()
        if group.dtype.kind not in "iu" or group.min() < 0 or group.max() >= groups:
            raise ValueError(f"{quote(listed[0] if listed else name)} names groups that are not there")
        factor = _usable(scales[1].read())
        values: Floats = ((codes - zero[group]) * factor[group]).T
        return values

    base = f"{start}weight"
    return Weight(base, (outputs, inputs), read, (name,))


def _unknown(name: str) -> str:
    return (
        f"{quote(name)} has parts as those of GPTQ or AWQ, in a layout that is not known here; known are "
        "GPTQ of 2, 3, 4 and 8 bits and AWQ of 4 bits for its kernels 'gemm', in 32-bit integers"
    )


def _unpack(words: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Return integers of some bits, that lie in 32-bit words along the last axis one after another."""
    stream = np.ascontiguousarray(words).astype("<i4", copy=False).view(np.uint8)
    split = np.unpackbits(stream, axis=-1, bitorder="little")
    codes: NDArray[np.uint8] = np.packbits(split.reshape(len(words), -1, bits), axis=-1, bitorder="little")
    return codes[..., 0]


def _in_awq_order(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    ordered = np.empty_like(codes)
    for place, output in enumerate(_AWQ_ORDER):
        ordered[:, output::8] = codes[:, place::8]
    return ordered


def _less(zero: NDArray[np.uint8], bits: int, name: str, every: Tensors) -> int:
    """Return by how much GPTQ keeps zero points lower: by 1 in the format gptq, by 0 in gptq_v2."""
    said = every.quantised()
    kind = said.get("checkpoint_format", said.get("quant_method"))
    middle = 2 ** (bits - 1)
    if kind == "gptq":
        if zero.max() == 2**bits - 1:
            why = f"{2**bits - 1}, which stands for {2**bits} in some programs and for 0 in others"
            raise ValueError(f"{quote(name)} has zero points, kept less one, of {why}")
        return 1
    if kind == "gptq_v2":
        return 0
    # Without an offset all zero points are in the middle, in whatever format.
    if zero.min() == zero.max() and zero.max() in (middle - 1, middle):
        return int(middle - zero.max())
    raise ValueError(
        f"{quote(name)} is of GPTQ with an offset, and whether its zero points are kept less one (gptq) or "
        "as they are (gptq_v2) is said in config.json or quantize_config.json: put it beside the checkpoint"
    )


def _usable(factor: NDArray[Any]) -> NDArray[np.float32]:
    """Return magnitudes of scales; one of 0 or none at all would hide which weights are kept."""
    size = np.abs(factor)
    usable: NDArray[np.float32] = np.where((size > 0) & np.isfinite(size), size, 1).astype(np.float32)
    return usable


def join_rows_of_8_bits(every: Tensors, name: str, tensor: Stored) -> Weight | None:
    """Integers of 8 bits of bitsandbytes: 127 in a row stand for its SCB. Source: its documentation."""
    start = name.removesuffix("weight")
    scale, form = every.find(f"{start}SCB"), every.find(f"{start}weight_format")
    if not re.search(r"(^|\.)weight$", name) or tensor.type not in ("I8", "int8") or scale is None:
        return None
    if (
        len(tensor.shape) != 2
        or scale[1].kind != FLOAT
        or scale[1].shape
        not in (
            tensor.shape[:1],
            (tensor.shape[0], 1),
        )
    ):
        raise ValueError(f"{quote(scale[0])} does not fit {quote(name)}")
    if form is not None and (form[1].size != 1 or form[1].read().any()):
        raise ValueError(
            f"{quote(name)} is in tiles of a GPU: save it again by a bitsandbytes of 0.45 or newer"
        )
    every.use([name])
    every.use([scale[0], *([form[0]] if form else [])], _SCALES)

    def read() -> Floats:
        factor = _usable(scale[1].read().reshape(-1, 1)) / 127
        return tensor.read().astype(np.float32) * factor

    return Weight(name, tensor.shape, read, (name,))


def join_blocks_of_4_bits(every: Tensors, name: str, tensor: Stored) -> Weight | None:
    """Numbers of 4 bits of bitsandbytes, nf4 and fp4: a table of 16, times the largest of a block.

    Two in each byte, the first in the high bits, in C order; the largest of blocks may be kept in 8 bits, by
    a table of their own, and an offset. Source: bitsandbytes, functional.py and backends/default/ops.py.
    """
    state = every.find(*(f"{name}.quant_state.bitsandbytes__{kind}" for kind in ("nf4", "fp4")))
    if state is None:
        return None
    if tensor.type not in ("U8", "uint8"):
        raise ValueError(f"{quote(name)} keeps bytes as {tensor.type}; those of quant_storage uint8 are read")
    said = _read_state(state[0], state[1])
    sides, block, many = said["shape"], said["blocksize"], "nested_absmax"
    parts = {part: every.find(f"{name}.{part}") for part in ("absmax", "quant_map", many, "nested_quant_map")}
    blocks = -(-prod(sides) // block)
    sizes = {"absmax": blocks, "quant_map": 16}
    if parts[many] is not None:
        sizes |= {many: -(-blocks // said["nested_blocksize"]), "nested_quant_map": 256}
    found = {part: one[1] for part in sizes if (one := parts[part]) is not None}
    if tensor.size != -(-prod(sides) // 2) or {part: one.size for part, one in found.items()} != sizes:
        raise ValueError(f"{quote(state[0])}: its shape {list(sides)} does not fit the parts that are there")
    every.use([name])
    every.use([state[0], *(f"{name}.{part}" for part in sizes)], _SCALES)

    def read() -> Floats:
        value = {part: one.read().reshape(-1) for part, one in found.items()}
        largest = value["absmax"]
        if many in value:
            if largest.dtype != np.uint8:
                raise ValueError(f"{quote(name)}.absmax is not of 8 bits, as its table is for")
            of_block = np.repeat(value[many], said["nested_blocksize"])[:blocks]
            largest = value["nested_quant_map"][largest] * of_block + said["nested_offset"]
        held = tensor.read().reshape(-1)
        codes = np.stack([held >> 4, held & 15], axis=1).reshape(-1)[: prod(sides)]
        # A block whose largest is 0 is all zero, whatever its codes are.
        values: Floats = value["quant_map"][codes] * np.repeat(largest, block)[: codes.size]
        return values.reshape(sides)

    return Weight(name, sides, read, (name,))


def _read_state(name: str, state: Stored) -> Mapping[str, Any]:
    """Return what bitsandbytes says of a weight, as JSON in bytes."""
    wrong = ValueError(f"{quote(name)} is no valid state of a weight: shape and size of its blocks as JSON")
    if state.size > _LARGEST_STATE or state.type not in ("U8", "uint8"):
        raise wrong
    try:
        said = json.loads(state.read().tobytes())
        known = {"shape": tuple(said["shape"]), "blocksize": said["blocksize"]}
        known["nested_blocksize"] = said.get("nested_blocksize", 256)
        known["nested_offset"] = float(said.get("nested_offset", 0))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        raise wrong from None
    whole = (*known["shape"], known["blocksize"], known["nested_blocksize"])
    if not known["shape"] or any(type(one) is not int or not 1 <= one < 2**62 for one in whole):
        raise wrong
    return known
