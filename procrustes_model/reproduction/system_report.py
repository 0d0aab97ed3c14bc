"""Rows, text and figure of a published way to train with less."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from procrustes_model.report.figures.style import BLUE, GREY, new_figure
from procrustes_model.report.terminal.sheet import format_sheet, sheet_of
from procrustes_model.report.terminal.style import Style, labelled, wrap
from procrustes_model.reproduction.rows import Rows
from procrustes_model.reproduction.system import Row, System

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = ("Number", "Exact", "Here", "Apart")


def system_rows(system: System) -> Rows:
    """Return the rows of a system's CSV: one per number."""
    rows: Rows = []
    for row, value in zip(system.rows, system.find(), strict=True):
        told: dict[str, Any] = {"system": system.name, "point": row.name, "quantity": row.quantity}
        told["value"] = value
        if row.published:
            told["published"] = row.published
        if row.exact is not None:
            told |= {"exact": row.exact, "over_exact": value / row.exact}
        rows.append(told)
    return rows


def system_text(system: System, rows: Rows, style: Style | None = None) -> str:
    """Return the table of a system: by arithmetic, by this model, how far apart; and what is published.

    Parameters
    ----------
    system : System
    rows : list of dict
        Of its CSV.
    style : Style, optional
        Plain by default.
    """
    lines = []
    for row, told in zip(system.rows, rows, strict=True):
        known = row.exact is not None
        lines.append(
            [
                row.name,
                format(row.exact, row.digits) if known else "",
                format(told["value"], row.digits),
                _apart(row, told) if known else "",
            ]
        )
    notes = [("Counted", system.rows[0].quantity)]
    notes += [("", f"{row.name}: {row.quantity}") for row in system.rows if row.quantity != notes[0][1]]
    notes += [("Published", f"{system.published} ({system.source})")]
    notes += [("", f"{row.name}: {row.published}") for row in system.rows if row.published]
    notes += [("" if i else "Likely why", reason) for i, reason in enumerate(system.reasons)]
    parts = [
        "\n".join(wrap(f"{system.title}; {system.about}", style)),
        format_sheet(sheet_of(list(_COLUMNS), lines, left=_COLUMNS[:1], keys=1), style or Style()),
        "\n".join(line for label, text in notes for line in labelled(label, [text], style)),
    ]
    return "\n\n".join(parts)


def _apart(row: Row, told: dict[str, Any]) -> str:
    """Say how far a number is from the exact one, which may be known to the digits that are written only."""
    same = format(told["value"], row.digits) == format(told["exact"], row.digits)
    return "equal" if same else f"{told['over_exact'] - 1:+.2%}"


def draw_system(rows: Rows) -> Figure:
    """Return the figure of a system: a bar for each number of the first quantity, and what is exact.

    Parameters
    ----------
    rows : list of dict
        Of its CSV.
    """
    quantity = rows[0]["quantity"]
    own = [row for row in rows if row["quantity"] == quantity]
    figure, (axis,) = new_figure(1.0 + 0.3 * len(own))
    places = list(range(len(own)))
    axis.barh(places, [row["value"] for row in own], height=0.6, color=BLUE, label="this model")
    known = [(place, row["exact"]) for place, row in zip(places, own, strict=True) if "exact" in row]
    if known:
        at, exact = zip(*known, strict=True)
        style: dict[str, Any] = {"color": "black", "marker": "x", "markersize": 5, "linestyle": "none"}
        axis.plot(exact, at, label="exact", **style)
    axis.set_yticks(places, [row["point"] for row in own], fontsize=7)
    axis.invert_yaxis()
    figure.supxlabel(quantity, fontsize=7)
    axis.tick_params(axis="x", labelsize=7)
    axis.grid(axis="x", color=GREY, linewidth=0.3)
    axis.set_axisbelow(True)
    figure.legend(loc="outside upper center", ncols=2, fontsize=7, frameon=False)
    return figure
