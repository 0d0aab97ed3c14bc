"""Compressed sparse blocks: a bitmask, and a pointer to the data of every block (Buluc et al., SPAA 2009)."""

from __future__ import annotations

from procrustes_model.formats.rank import ALL, StorageFormat, bits

CSB = StorageFormat(
    name="csb",
    text="per block a pointer, and a bit per position",
    ranks=(bits(ALL, pointer_bits="pointer_bits"),),
)
