"""Wires: energy per bit and millimetre. Mind what it is per: a random bit, a transition, a full charge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from procrustes_model.energies.estimate import Estimate, Figure, TableClass, six_digits
from procrustes_model.energies.rows import origin, pick, read_table

_COLUMNS = {
    "technology": "technology_nm",
    "design": "design",
    "device": "device",
    "voltage": "vdd_v",
    "per": "per",
}


def estimate_wire(asked: Mapping[str, Any]) -> Estimate:
    """Return the energy of a word that goes over wires.

    Parameters
    ----------
    asked : mapping
        ``length`` in mm, ``width`` in bits; the others choose a row.

    Raises
    ------
    EstimateError
        When no row fits, or several do.
    """
    row = pick("wire", read_table("wire"), _COLUMNS, asked)
    energy = float(row["pj_per_bit_mm"]) * asked["width"] * asked["length"]
    how = (
        f"{float(row['pj_per_bit_mm']):g} pJ per {row['per']} and mm x {asked['width']:g} bits"
        f" x {asked['length']:g} mm"
    )
    return Estimate({"energy_pj": Figure(six_digits(energy), origin("wire", row, how=how))})


WIRE = TableClass(
    name="wire",
    text="wire, by length and width; every bit is charged as the row says (per)",
    keys=("length", "width", *_COLUMNS),
    required=("length", "width", "technology"),
    is_level=False,
    estimate=estimate_wire,
)
