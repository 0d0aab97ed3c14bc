"""Reading .safetensors files: a JSON header and raw numbers, with every offset checked."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_LONGEST_HEADER = 100_000_000


def read_safetensors(path: str | os.PathLike[str]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Read the floating-point tensors of a file, one at a time, in the order they are stored in.

    Parameters
    ----------
    path : path

    Yields
    ------
    name : str
    values : float[...]
        bfloat16 becomes float32, without loss.

    Raises
    ------
    OSError
        When the file cannot be opened.
    ValueError
        When it is not a valid .safetensors file.

    Notes
    -----
    Tensors of other types, such as integers and 8-bit floats, are left out.
    """
    size = Path(path).stat().st_size
    with Path(path).open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, _LONGEST_HEADER):
            raise ValueError(f"the header is said to have {length} bytes, the file has {size}")
        try:
            header = json.loads(file.read(length))
            entries = [(name, entry) for name, entry in header.items() if name != "__metadata__"]
            entries.sort(key=lambda item: int(item[1]["data_offsets"][0]))
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
            raise ValueError(f"the header is no valid JSON header: {error}") from None
        for name, entry in entries:
            if isinstance(entry.get("dtype"), str) and entry["dtype"] in _TYPES:
                yield name, _read(file, name, entry, 8 + length, size)


def _read(file: Any, name: str, entry: dict[str, Any], start: int, size: int) -> NDArray[Any]:
    """Read one tensor; its data is at an offset from `start`."""
    try:
        first, last = (int(offset) for offset in entry["data_offsets"])
        shape = tuple(int(side) for side in entry["shape"])
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"'{name}' has no valid shape and offsets: {error}") from None
    dtype = np.dtype(_TYPES[entry["dtype"]])
    elements = prod(shape)
    in_file = 0 <= first <= last <= size - start
    if not in_file or any(side < 0 for side in shape) or last - first != elements * dtype.itemsize:
        raise ValueError(f"'{name}' of shape {list(shape)} does not fit its offsets {first} to {last}")
    file.seek(start + first)
    values = np.frombuffer(file.read(last - first), dtype)
    if entry["dtype"] == "BF16":
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return values.reshape(shape)
