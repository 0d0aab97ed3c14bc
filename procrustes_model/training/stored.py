"""Tensors as a checkpoint keeps them: what they are is known before their numbers are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

FLOAT, INTEGER, BOOLEAN, OTHER = "float", "integer", "boolean", "other"
"""What the numbers of a tensor are; other: nothing that a weight or a mask could be."""


@dataclass(frozen=True, eq=False)
class Stored:
    """One tensor of a checkpoint.

    Attributes
    ----------
    keys : tuple of str
        Under which it stands, from the outermost container inwards.
    shape : tuple of int
    kind : str
        `FLOAT`, `INTEGER`, `BOOLEAN` or `OTHER`.
    type : str
        As the file calls it.
    read : callable
        Returns its numbers, with `shape`; ValueError where they are damaged.
    """

    keys: tuple[str, ...]
    shape: tuple[int, ...]
    kind: str
    type: str
    read: Callable[[], NDArray[Any]]

    @property
    def name(self) -> str:
        """Its keys with dots between them."""
        return ".".join(self.keys)

    @property
    def size(self) -> int:
        """Its elements."""
        return prod(self.shape)


def kind_of(dtype: np.dtype[Any]) -> str:
    """Return what the numbers of a NumPy array are."""
    return {"f": FLOAT, "i": INTEGER, "u": INTEGER, "b": BOOLEAN}.get(dtype.kind, OTHER)


@cache
def values_of_8_bits(exponent_bits: int, highest: str) -> NDArray[np.float32]:
    """Return what each of the 256 floats of 8 bits is: a sign, an exponent, a fraction.

    Parameters
    ----------
    exponent_bits : int
        4 or 5.
    highest : str
        What the highest exponent is: 'ieee' for infinity and NaN as in wider floats, 'nan' for numbers but
        for the one with all bits set, which is NaN.

    Returns
    -------
    float32[256]
    """
    codes = np.arange(256)
    fraction_bits = 7 - exponent_bits
    bias = 2 ** (exponent_bits - 1) - 1
    exponent = (codes >> fraction_bits) & (2**exponent_bits - 1)
    fraction = (codes & (2**fraction_bits - 1)) / 2.0**fraction_bits
    tiny = fraction * 2.0 ** (1 - bias)
    magnitude = np.where(exponent == 0, tiny, (1 + fraction) * 2.0 ** (exponent - bias))
    if highest == "ieee":
        special = np.where(fraction == 0, np.inf, np.nan)
        magnitude = np.where(exponent == 2**exponent_bits - 1, special, magnitude)
    else:
        magnitude[(codes & 127) == 127] = np.nan
    values: NDArray[np.float32] = np.where(codes >> 7, -magnitude, magnitude).astype(np.float32)
    return values
