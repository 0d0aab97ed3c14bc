"""Reading .safetensors files: a JSON header and raw numbers, with every offset checked."""

from __future__ import annotations

import json
import os
from functools import partial
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from procrustes_model.array_files import opened, size_of
from procrustes_model.printable import quote
from procrustes_model.training.stored import FLOAT, OTHER, Stored, kind_of, values_of_8_bits

_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|u1",
    "BF16": "<u2",
    "F8_E4M3": "|u1",
    "F8_E5M2": "|u1",
    "F8_E8M0": "|u1",
}
_OF_8_BITS = {"F8_E4M3": (4, "nan"), "F8_E5M2": (5, "ieee")}
_LONGEST_HEADER = 100_000_000
_MOST_RANKS = 64


def list_safetensors(path: str | os.PathLike[str]) -> list[Stored]:
    """Return the tensors of a file, in the order they are stored in, without their numbers.

    Parameters
    ----------
    path : path

    Returns
    -------
    list of Stored
        bfloat16 and floats of 8 bits are read as float32, without loss. Types that are not known here are of
        the kind `OTHER`.

    Raises
    ------
    OSError
        When the file cannot be opened.
    ValueError
        When it is not a valid .safetensors file.
    """
    with opened(path) as file:
        size = size_of(file)
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, _LONGEST_HEADER):
            raise ValueError(f"the header is said to have {length} bytes, the file has {size}")
        header = _parse(file.read(length))
    start = 8 + length
    entries = [(name, *_check(name, entry, size - start)) for name, entry in header.items()]
    entries.sort(key=lambda entry: entry[3])
    for (name, *_, (_, end)), (other, *_, (begin, _)) in pairwise(entries):
        if begin < end:
            raise ValueError(f"{quote(name)} and {quote(other)} share bytes of the file")
    return [_stored(path, start, *entry) for entry in entries]


def _parse(text: bytes) -> dict[str, Any]:
    """Return the header but for what is said of the file as a whole."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a name stands in it twice")
        return found

    try:
        header = json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the header is no valid JSON header: {error}") from None
    if not isinstance(header, dict):
        raise ValueError("the header is no valid JSON header: an object is expected")
    header.pop("__metadata__", None)
    return header


def _check(name: str, entry: Any, there: int) -> tuple[str, tuple[int, ...], tuple[int, int]]:
    """Return type, shape and offsets of a tensor whose data is among bytes that are there."""
    fields = entry if isinstance(entry, dict) else {}
    kind: Any
    shape: Any
    offsets: Any
    kind, shape, offsets = (fields.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not (isinstance(kind, str) and _are_whole(shape) and _are_whole(offsets) and len(offsets) == 2):
        raise ValueError(f"{quote(name)} has no valid type, shape and offsets")
    first, last = offsets
    if not first <= last <= there or len(shape) > _MOST_RANKS:
        raise ValueError(f"{quote(name)} has no valid shape and offsets: {there} bytes are there")
    if kind in _TYPES and last - first != prod(shape) * np.dtype(_TYPES[kind]).itemsize:
        raise ValueError(
            f"{quote(name)} of shape {str(shape)[:100]} does not fit its offsets {first} to {last}"
        )
    return kind, tuple(shape), (first, last)


def _are_whole(numbers: Any) -> bool:
    """Return whether these are whole numbers from 0 on."""
    return isinstance(numbers, list) and all(type(one) is int and one >= 0 for one in numbers)


def _stored(
    path: str | os.PathLike[str],
    start: int,
    name: str,
    kind: str,
    shape: tuple[int, ...],
    offsets: tuple[int, int],
) -> Stored:
    if kind in _OF_8_BITS or kind in ("BF16", "F8_E8M0"):
        numbers = FLOAT
    elif kind in _TYPES:
        numbers = kind_of(np.dtype(np.bool_) if kind == "BOOL" else np.dtype(_TYPES[kind]))
    else:
        numbers = OTHER
    read = partial(_read, path, kind, shape, start + offsets[0], offsets[1] - offsets[0])
    return Stored((name,), shape, numbers, kind, read)


def _read(
    path: str | os.PathLike[str], kind: str, shape: tuple[int, ...], start: int, size: int
) -> NDArray[Any]:
    """Read the numbers of one tensor."""
    with opened(path) as file:
        file.seek(start)
        content = file.read(size)
    if len(content) != size:
        raise ValueError("the file became shorter while it was read")
    values: NDArray[Any] = np.frombuffer(content, np.dtype(_TYPES[kind]))
    if kind == "BF16":
        values = (values.astype(np.uint32) << 16).view(np.float32)
    elif kind == "F8_E8M0":
        # Powers of two alone, as scales are.
        values = np.where(values == 255, np.nan, np.exp2(values.astype(np.float32) - 127)).astype(np.float32)
    elif kind in _OF_8_BITS:
        values = values_of_8_bits(*_OF_8_BITS[kind])[values]
    elif kind == "BOOL":
        values = values != 0
    return values.reshape(shape)
