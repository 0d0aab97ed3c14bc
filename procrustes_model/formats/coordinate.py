"""Nonzeros, and the position of each in the tile."""

from __future__ import annotations

from procrustes_model.formats.rank import ALL, StorageFormat, coordinates

COORDINATE = StorageFormat(
    name="coordinate",
    text="an index per nonzero",
    ranks=(coordinates(ALL),),
)
