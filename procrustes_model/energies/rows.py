"""Tables as files: read once, and asked for the one row that keys name."""

from __future__ import annotations

import csv
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from procrustes_model.energies.estimate import AREA, KEYS, LEAKAGE, RECALLED, EstimateError, Figure, shown

_FOLDER = Path(__file__).resolve().parent / "tables"
_MOST_SHOWN = 12

Row = Mapping[str, str]


@functools.cache
def read_table(name: str) -> tuple[Row, ...]:
    """Return the rows of a table that ships, by column."""
    with (_FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file, strict=True))


def pick(table: str, rows: Sequence[Row], columns: Mapping[str, str], asked: Mapping[str, Any]) -> Row:
    """Return the one row that has what is asked.

    Parameters
    ----------
    table : str
        What messages call it.
    rows : sequence of dict
    columns : dict of str to str
        The column of each key; the order is that in which keys are asked for.
    asked : mapping
        By key; one that is missing leaves all rows.

    Raises
    ------
    EstimateError
        When no row fits, with the values that do; or several do, with the key that tells them apart.
    """
    met: list[str] = []
    for key, column in columns.items():
        if key not in asked:
            continue
        left = [row for row in rows if _is(row[column], asked[key], key)]
        if not left:
            beside = f" with {', '.join(met)}" if met else ""
            message = f"the {table} table has no row for {key} {shown(key, asked[key])}{beside}"
            raise EstimateError(message, _choices(rows, key, column), key)
        met.append(f"{key} {shown(key, asked[key])}")
        rows = left
    if len(rows) > 1:
        for key, column in columns.items():
            if len({row[column] for row in rows}) > 1:
                message = f"{len(rows)} rows of the {table} table fit; '{key}' tells them apart"
                raise EstimateError(message, _choices(rows, key, column), key)
    return rows[0]


def _is(cell: str, value: Any, key: str) -> bool:
    if not KEYS[key].unit:
        return cell.casefold() == str(value).casefold()
    return cell != "" and float(cell) == float(value)


def _choices(rows: Sequence[Row], key: str, column: str) -> str:
    """Return the values of a column as a hint."""
    cells = dict.fromkeys(row[column] for row in rows if row[column])
    words = list(cells)
    if KEYS[key].unit:
        words = [shown(key, value) for value in sorted(map(float, cells))]
    if not words:
        return f"these rows state no '{key}': leave it out"
    more = ", ..." if len(words) > _MOST_SHOWN else ""
    return f"choose from {', '.join(words[:_MOST_SHOWN])}{more}"


def origin(table: str, row: Row, what: str = "energy", how: str = "a row") -> str:
    """Return where a figure of a row comes from: table, how sure it is, whose it is, and what to mind.

    Parameters
    ----------
    table : str
    row : dict
        With ``provenance``, ``source`` and ``note``.
    what : str
        'energy' or 'area', which some rows know from different places.
    how : str
        How the figure follows from the row.
    """
    sure = row["provenance"]
    for part in sure.split("; "):
        if part.startswith(f"{what} "):
            sure = part.removeprefix(f"{what} ")
    if sure.startswith("recalled"):
        sure = sure.replace("recalled", RECALLED, 1)
    note = f" ({row['note']})" if row.get("note") else ""
    return f"{table} table, {how}; {sure}; {row['source']}{note}"


def figures_of(table: str, row: Row) -> dict[str, Figure]:
    """Return the figures of a row with columns ``energy_pj`` and, where they are known, the others."""
    found = {"energy_pj": Figure(float(row["energy_pj"]), origin(table, row))}
    if row.get(LEAKAGE):
        found[LEAKAGE] = Figure(float(row[LEAKAGE]), origin(table, row))
    if row.get(AREA):
        found[AREA] = Figure(float(row[AREA]), origin(table, row, "area"))
    return found
