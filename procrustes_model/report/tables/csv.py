"""Results as CSV, for spreadsheets and pandas.

How they are written is said at `files.csv_text`; what does not exist is an empty field, which pandas reads as
missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from procrustes_model.files import csv_text, write_atomically
from procrustes_model.model.result import Result
from procrustes_model.model.tidy import records_text
from procrustes_model.model.time import TIME_COLUMNS
from procrustes_model.spec.area import Area
from procrustes_model.versions import VERSION_COLUMN
from procrustes_model.vocabulary import WorkSpread

MACHINE_AREA: Mapping[str, str] = MappingProxyType(
    {
        "area_um2": "area of all instances of the parts that state one, in um2; empty: none does",
        "area_unstated": "the other parts, between semicolons: they are not in area_um2",
    }
)
"""Columns that tell the area of a machine, and what they mean."""

WORK_SPREAD = "; ".join(f"{one}: {one.rule}" for one in WorkSpread)
"""What a column of `WorkSpread` means."""

WIDE_COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "architecture": "name of the architecture",
        "problem": "name of the problem",
        "phase": "forward, backward or weight_update; empty where the problem has none",
        "mapping": "name of the mapping",
        "computes": "operations over all compute units",
        "cycles": "cycles of the slowest of compute and all levels",
        "bottleneck": "the level that sets the cycles, or the compute level",
        "utilization": "operations as a share of those that all units could do in these cycles, 0 to 1",
        "array_utilization": "compute units used as a share of those that exist, 0 to 1",
        "energy_pj": "energy of everything: levels, compute, balancing, components and leakage, in pJ",
        "energy_per_mac_pj": "energy_pj / operations of the problem, those that zeros save included",
        "energy_per_done_mac_pj": "energy_pj / computes",
        "edp_j_cycles": "energy-delay product: joules times cycles",
        "work_spread": WORK_SPREAD,
        **MACHINE_AREA,
        **VERSION_COLUMN,
    }
)
"""Columns of the wide table that every architecture has, in order, and what they mean.

They are followed by one column ``energy_pj_<level>`` per storage level and one per compute level, in pJ; of
sparse results also ``energy_pj_balancing`` (pointers of pieces of tiles), ``energy_pj_<component>`` and,
where parts leak, ``energy_pj_leakage``. Together these make up ``energy_pj``. Then one column
``area_um2_<part>`` for each of these parts that states an area, where a machine has a clock,
`TIME_COLUMNS`, and ``bits_<tensor>`` of tensors whose elements are not everywhere the level's word.
"""


def tidy_text(results: Iterable[Result]) -> str:
    """Return the tidy table: one row per problem, level, tensor and action.

    Parameters
    ----------
    results : iterable of Result

    Returns
    -------
    str
        Columns: `model.tidy.TIDY_COLUMNS`.
    """
    return records_text(record for result in results for record in result.to_records())


def wide_text(results: Sequence[Result]) -> str:
    """Return the wide table: one row per result, one energy column per level.

    Parameters
    ----------
    results : sequence of Result
        Of one architecture or several; a level that an architecture lacks is an empty field.

    Returns
    -------
    str
        Columns: `WIDE_COLUMNS`, then ``energy_pj_<level>``, ``energy_pj_<extra>`` and ``area_um2_<part>``;
        `TIME_COLUMNS` where any has a clock, and ``bits_<tensor>``.
    """
    # A dict keeps the order of first appearance, which a set would not.
    names = dict.fromkeys(level.name for result in results for level in result.levels)
    names |= dict.fromkeys(result.compute.name for result in results)
    names |= dict.fromkeys(name for result in results for name, _ in result.extras)
    parts = dict.fromkeys(name for result in results for name in _stated(result.area))
    columns = [*WIDE_COLUMNS, *(f"energy_pj_{name}" for name in names)]
    columns += [f"area_um2_{name}" for name in parts]
    if any(result.time is not None for result in results):
        columns += TIME_COLUMNS
    columns += dict.fromkeys(f"bits_{name}" for result in results for name in result.bits)
    return csv_text(columns, (_wide_row(result) for result in results))


def write_tidy(results: Iterable[Result], path: str | Path) -> None:
    """Write `tidy_text` to `path`, atomically.

    Raises
    ------
    OSError
        When the file cannot be written.
    """
    write_atomically(path, tidy_text(results))


def write_wide(results: Sequence[Result], path: str | Path) -> None:
    """Write `wide_text` to `path`, atomically.

    Raises
    ------
    OSError
        When the file cannot be written.
    """
    write_atomically(path, wide_text(results))


def area_row(area: Area) -> dict[str, Any]:
    """Return the values of `MACHINE_AREA`."""
    return {"area_um2": area.total_um2, "area_unstated": ";".join(area.unstated)}


def _stated(area: Area) -> dict[str, float]:
    """Return the parts that state an area."""
    return {name: one for name, one in area.parts.items() if one is not None}


def _wide_row(result: Result) -> dict[str, Any]:
    row: dict[str, Any] = {
        "architecture": result.architecture,
        "problem": result.problem,
        "phase": result.phase or "",
        "mapping": result.mapping,
        "computes": result.compute.computes,
        "cycles": result.cycles,
        "bottleneck": result.bottleneck,
        "utilization": result.utilization,
        "array_utilization": result.array_utilization,
        "energy_pj": result.energy_pj,
        "energy_per_mac_pj": result.energy_per_mac_pj,
        "energy_per_done_mac_pj": result.energy_per_done_mac_pj,
        "edp_j_cycles": result.edp_j_cycles,
        "work_spread": result.work_spread,
        **area_row(result.area),
    }
    for level in result.levels:
        row[f"energy_pj_{level.name}"] = level.energy_pj
    row[f"energy_pj_{result.compute.name}"] = result.compute.energy_pj
    row |= {f"energy_pj_{name}": energy for name, energy in result.extras}
    row |= {f"area_um2_{name}": one for name, one in _stated(result.area).items()}
    row |= {f"bits_{name}": bits for name, bits in result.bits.items()}
    return row if result.time is None else row | result.time.to_dict()
