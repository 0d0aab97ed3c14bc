"""DRAM: energy per bit of kinds of memory. Mind the scope: the device alone, or the path to the host too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from procrustes_model.energies.estimate import Estimate, Figure, TableClass, six_digits
from procrustes_model.energies.rows import origin, pick, read_table


def estimate_dram(asked: Mapping[str, Any]) -> Estimate:
    """Return the energy of an access.

    Parameters
    ----------
    asked : mapping
        ``memory``, ``width`` in bits, and ``scope`` where a memory has several.

    Raises
    ------
    EstimateError
        When no row fits, or several do.
    """
    row = pick("dram", read_table("dram"), {"memory": "memory", "scope": "scope"}, asked)
    how = (
        f"{row['memory']}, {row['scope']}, {float(row['pj_per_bit']):g} pJ per bit x {asked['width']:g} bits"
    )
    energy = Figure(six_digits(float(row["pj_per_bit"]) * asked["width"]), origin("dram", row, how=how))
    return Estimate({"read": energy, "write": energy})


DRAM = TableClass(
    name="dram",
    text="DRAM, by the sort of memory and what an access includes",
    keys=("memory", "scope", "width"),
    required=("memory", "width"),
    is_level=True,
    estimate=estimate_dram,
)
