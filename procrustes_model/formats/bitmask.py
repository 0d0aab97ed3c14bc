"""Nonzeros, and one bit per position that says where they are."""

from __future__ import annotations

from procrustes_model.formats.rank import ALL, StorageFormat, bits

BITMASK = StorageFormat(
    name="bitmask",
    text="a bit per position",
    ranks=(bits(ALL),),
)
