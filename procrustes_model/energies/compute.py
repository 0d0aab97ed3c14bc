"""Adders, multipliers and other units of arithmetic: rows of synthesis and of published tables, as they are.

Nothing is scaled or interpolated. Families of tables differ by factors of 4 to 7, and do not go together.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from procrustes_model.energies.estimate import Estimate, TableClass
from procrustes_model.energies.rows import figures_of, pick, read_table

_COLUMNS = {
    "type": "type",
    "width": "width_bits",
    "technology": "technology_nm",
    "family": "family",
    "accumulator": "accumulator_bits",
    "latency": "latency_ns",
}


def estimate_unit(asked: Mapping[str, Any], component: str) -> Estimate:
    """Return the figures of a unit of arithmetic.

    Parameters
    ----------
    asked : mapping
        By key; those that are missing may stand in any row, if one alone is left.
    component : str
        Its class.

    Raises
    ------
    EstimateError
        When no row fits, or several do.
    """
    rows = [row for row in read_table("compute") if row["component"] == component]
    row = pick(component, rows, _COLUMNS, asked)
    return Estimate(figures_of("compute", row), family=row["family"])


def _unit(name: str, text: str) -> TableClass:
    return TableClass(
        name=name,
        text=text,
        keys=tuple(_COLUMNS),
        required=("technology",),
        is_level=False,
        estimate=functools.partial(estimate_unit, component=name),
    )


UNITS = (
    _unit("mac", "multiply-accumulate, by type, width, node, family, accumulator and latency"),
    _unit("adder", "adder, likewise"),
    _unit("multiplier", "multiplier, likewise"),
    _unit("register", "flip-flop, one bit"),
    _unit("bitwise", "bitwise logic"),
    _unit("shifter", "shifter"),
    _unit("comparator", "comparator"),
    _unit("counter", "counter"),
    _unit("crossbar", "crossbar of one input and four outputs"),
)
