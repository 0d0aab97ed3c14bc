"""Nonzeros, and the zeros before each in the order of the tile.

A run too long for its field ends in a zero that is stored, also after the last nonzero.
"""

from __future__ import annotations

from procrustes_model.formats.rank import ALL, StorageFormat, runs

RUN_LENGTH = StorageFormat(
    name="run_length",
    text="a run of zeros per nonzero",
    ranks=(runs(ALL, run_bits="run_bits"),),
)
