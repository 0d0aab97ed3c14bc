"""Compressed sparse rows, a row per position of the tensor's first rank."""

from __future__ import annotations

from procrustes_model.formats.rank import FIRST, REST, StorageFormat, coordinates, offset_pairs

CSR = StorageFormat(
    name="csr",
    text="an offset per row and a column per nonzero",
    ranks=(offset_pairs(FIRST), coordinates(REST)),
)
