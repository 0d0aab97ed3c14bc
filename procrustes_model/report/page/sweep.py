"""A sweep as one page that needs nothing beside itself: points to filter, sort and draw."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from procrustes_model.files import write_atomically
from procrustes_model.fingerprint import program_fingerprint
from procrustes_model.report.page.parts import Card, Cell, Column, Filter, Table
from procrustes_model.report.page.render import render_page
from procrustes_model.report.terminal.units import format_area, format_energy, format_seconds, four_digits
from procrustes_model.sweeps.points import short_names, show_value
from procrustes_model.sweeps.result import SWEEP_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable

    from procrustes_model.sweeps.result import SweepResult

_MOST_CHOICES = 40
_SHOWN: dict[str, tuple[str, Callable[[Any], str]]] = {
    "energy_pj": ("Energy", format_energy),
    "cycles": ("Cycles", lambda value: f"{value:,}"),
    "edp_j_cycles": ("EDP", four_digits),
    "utilization": ("Utilization", lambda value: f"{value:.1%}"),
    "energy_per_mac_pj": ("Energy per MAC", format_energy),
    "area_um2": ("Area", format_area),
    "seconds": ("Time", format_seconds),
    "gap": ("Gap", lambda value: "0" if value == 0 else f"{value:.2%}"),
}
"""Columns of the table that the page has, with their titles, and how their numbers are shown."""
_UNITS = {"energy_pj": "pJ", "edp_j_cycles": "J x cycles", "energy_per_mac_pj": "pJ"}
_UNITS |= {"area_um2": "um2", "seconds": "s"}
"""Units of the numbers themselves, which the page draws."""


def write_sweep_html(result: SweepResult, path: str | Path) -> None:
    """Write a sweep as one self-contained HTML file.

    Parameters
    ----------
    result : SweepResult
    path : str or Path

    Raises
    ------
    OSError
        When the file cannot be written.
    """
    write_atomically(path, sweep_html(result))


def _measures(rows: list[dict[str, Any]]) -> list[str]:
    """Return the columns of which any row has a number."""
    return [name for name in _SHOWN if any(row.get(name) is not None for row in rows)]


def sweep_table(result: SweepResult) -> Table:
    """Return the points as a table, a row each."""
    names = short_names(result.axes)
    rows = result.to_records()
    measures = _measures(rows)
    levels = [name for name in result.columns if name.startswith("energy_pj_")]
    columns = (
        Column("Point"),
        *(Column(names[axis], _is_text(rows, axis), axis) for axis in result.axes),
        *(
            Column(_SHOWN[name][0], meaning=SWEEP_COLUMNS.get(name, ""), unit=_UNITS.get(name, ""))
            for name in measures
        ),
        *(Column(f"{name.removeprefix('energy_pj_')} energy", unit="pJ") for name in levels),
        Column("Front", True, SWEEP_COLUMNS["front"]),
        Column("Error", True, SWEEP_COLUMNS["error"]),
    )
    cells = tuple(
        (
            Cell(str(row["point"]), float(row["point"])),
            *(_value(row[axis]) for axis in result.axes),
            *(_cell(row.get(name), _SHOWN[name][1]) for name in measures),
            *(_cell(row.get(name), format_energy) for name in levels),
            Cell("front" if row["front"] else ""),
            Cell(row["error"]),
        )
        for row in rows
    )
    return Table("points", columns, cells)


def sweep_html(result: SweepResult) -> str:
    """Return the page that `write_sweep_html` writes; the same sweep gives the same text."""
    rows, table = result.to_records(), sweep_table(result)
    measures = _measures(rows)
    titles = [column.title for column in table.columns]
    up, right = (titles.index(_SHOWN[name][0]) for name in _sides(result, measures))
    return render_page(
        "sweep.html.j2",
        title=result.name,
        subtitle=f"{len(rows)} points by {', '.join(result.axes)}",
        cards=_cards(result),
        notes=_notes(result),
        points=table,
        filters=(
            *(Filter(number, _choices(rows, axis)) for number, axis in enumerate(result.axes, start=1)),
            Filter(titles.index("Front"), ("front",)),
        ),
        sides=(("x", "to the right", right), ("y", "upwards", up), ("color", "colour", 1)),
        program=program_fingerprint(),
    )


def _sides(result: SweepResult, measures: list[str]) -> tuple[str, str]:
    """Return the measures that are drawn first: upwards, and to the right."""
    wanted = [name for name in (*result.pareto, "energy_pj", "cycles") if name in measures]
    first, second = list(dict.fromkeys(wanted))[:2]
    return (second, first) if first == "cycles" else (first, second)


def _is_text(rows: list[dict[str, Any]], axis: str) -> bool:
    return any(isinstance(row[axis], str | bool) for row in rows)


def _value(value: Any) -> Cell:
    text = show_value(value)
    return Cell(text, value if isinstance(value, int | float) and not isinstance(value, bool) else "")


def _cell(value: Any, show: Callable[[Any], str]) -> Cell:
    return Cell("", None) if value is None else Cell(show(value), float(value))


def _choices(rows: list[dict[str, Any]], axis: str) -> tuple[str, ...]:
    values = tuple(dict.fromkeys(_value(row[axis]).sort_value for row in rows))
    return values if len(values) <= _MOST_CHOICES else ()


def _cards(result: SweepResult) -> list[Card]:
    known = [point for point in result.points if point.totals is not None]
    cards = [
        Card(str(len(result.points)), "points"),
        Card(str(len(result.front)), f"on the front of {' and '.join(result.pareto)}"),
    ]
    energy = min((point.totals.energy_pj for point in known if point.totals is not None), default=None)
    cycles = min((point.totals.cycles for point in known if point.totals is not None), default=None)
    if energy is not None and cycles is not None:
        cards += [Card(format_energy(energy), "least energy"), Card(f"{cycles:,}", "fewest cycles")]
    if (best := result.best) is not None:
        cards.append(Card(f"point {best.number}", f"least {best.objective or 'edp'}"))
    return cards


def _notes(result: SweepResult) -> list[str]:
    totals = [point.totals for point in result.points if point.totals is not None]
    notes = []
    if (failed := len(result.points) - len(totals)) > 0:
        notes.append(f"{failed} points have no result; their rows say why.")
    if result.run != "evaluate" and (unsure := sum(one.proven < one.rows for one in totals)):
        notes.append(f"At {unsure} points mappings are the best found, not proven the best: see their gaps.")
    return notes
