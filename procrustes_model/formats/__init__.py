"""Storage formats: one file each, listed here once; a format that is not listed does not exist.

Pure data. Specs read names, keys and texts; `model` lowers ranks to tables of terms; one kernel,
`kernels.sparse.formats`, reads the tables, and bounds of searches come from the same terms.
"""

from __future__ import annotations

from procrustes_model.formats.bitmask import BITMASK
from procrustes_model.formats.coordinate import COORDINATE
from procrustes_model.formats.csb import CSB
from procrustes_model.formats.csr import CSR
from procrustes_model.formats.delta import DELTA
from procrustes_model.formats.none import NONE
from procrustes_model.formats.run_length import RUN_LENGTH

FORMATS = {
    one.name: one
    for one in (
        NONE,
        BITMASK,
        COORDINATE,
        RUN_LENGTH,
        CSR,
        DELTA,
        CSB,
    )
}
"""By name, in the order in which they are listed to users."""


def describe_formats() -> str:
    """Return all names with their texts."""
    return "; ".join(f"{one.name}: {one.text}" for one in FORMATS.values())


def takers_of(key: str) -> str:
    """Return the names of the formats for which a design may state `key`."""
    return " and ".join(one.name for one in FORMATS.values() if key in one.keys)


__all__ = ["FORMATS", "NONE", "describe_formats", "takers_of"]
