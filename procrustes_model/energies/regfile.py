"""Register files: flip-flops for the words, a comparator of the address for each entry."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from procrustes_model.energies.estimate import (
    AREA,
    LEAKAGE,
    Estimate,
    EstimateError,
    Figure,
    TableClass,
    six_digits,
)
from procrustes_model.energies.rows import read_table

MOST_ENTRIES, MOST_BITS = 512, 64
"""The largest that the formula was tabulated for."""


def estimate_regfile(asked: Mapping[str, Any]) -> Estimate:
    """Return the figures of a register file.

    An access drives the register of one word and compares ceil(log2 entries) bits at every entry.

    Parameters
    ----------
    asked : mapping
        ``entries``, words as wide as an access; ``width`` in bits; ``technology`` in nm.

    Raises
    ------
    EstimateError
        When it is outside the table.
    """
    register, comparator = read_table("regfile")
    node = float(register["technology_nm"])
    if asked["technology"] != node:
        message = f"technology {asked['technology']:g} nm is outside the regfile table"
        raise EstimateError(message, f"it is of {node:g} nm alone: technology: {node:g} nm", "technology")
    entries, width = asked["entries"], asked["width"]
    if entries is None or not 1 <= entries <= MOST_ENTRIES:
        shown = "without a limit" if entries is None else f"of {float(entries):g} entries"
        message = f"a register file {shown} is outside the regfile table"
        raise EstimateError(message, f"it goes from 1 to {MOST_ENTRIES} accesses' worth of words", "capacity")
    if width > MOST_BITS:
        message = f"a width of {width:g} bits is outside the regfile table"
        raise EstimateError(message, f"it goes from 1 to {MOST_BITS} bits", "width")
    entries = math.ceil(entries)
    compared = entries * math.ceil(math.log2(entries)) / float(comparator["width_bits"])
    bits = entries * width
    values = {
        "read": width * float(register["energy_pj"]) + compared * float(comparator["energy_pj"]),
        LEAKAGE: bits * float(register["leakage_mw"]),
        AREA: bits * float(register["area_um2"]) + compared * float(comparator["area_um2"]),
    }
    values["write"] = values["read"]
    where = (
        f"regfile table, {node:g} nm, {entries} x {width:g} bits: flip-flops and comparators of addresses;"
        " derived from rows that were read; ALADDIN, accelergy-aladdin-plug-in"
    )
    return Estimate({key: Figure(six_digits(value), where) for key, value in values.items()})


REGFILE = TableClass(
    name="regfile",
    text="register file of flip-flops with comparators of addresses, by entries and width (Aladdin, 40 nm)",
    keys=("technology", "width"),
    required=("technology", "width"),
    is_level=True,
    estimate=estimate_regfile,
)
