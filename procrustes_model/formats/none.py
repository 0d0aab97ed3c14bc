"""Every position is stored, zeros too."""

from __future__ import annotations

from procrustes_model.formats.rank import StorageFormat

NONE = StorageFormat(
    name="none",
    text="zeros are stored",
    ranks=(),
)
