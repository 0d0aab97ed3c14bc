"""Rows, text and figure of a published validation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from procrustes_model.report.figures.bars import LABEL, SMALL, Bar, Group, add_legend, draw_bars
from procrustes_model.report.figures.style import BLUE, GREEN, GREY, ORANGE, VERMILION, new_figure
from procrustes_model.report.terminal.sheet import format_sheet, sheet_of
from procrustes_model.report.terminal.style import Style, labelled, wrap
from procrustes_model.reproduction.measures import MEASURES
from procrustes_model.reproduction.rows import Rows
from procrustes_model.reproduction.validation import Validation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PUBLISHED = "published"
_COLORS = (BLUE, ORANGE, GREEN, VERMILION)


def validation_rows(validation: Validation) -> Rows:
    """Return the rows of a validation's CSV: one per point and series."""
    measure = MEASURES[validation.measure]
    rows: Rows = []
    for p, point in enumerate(validation.points):
        for s, series in enumerate(validation.series):
            case = validation.case(p, s)
            row: dict[str, Any] = {"point": point.name}
            if point.at is not None:
                row["at"] = point.at
            row |= {
                "series": series,
                "architecture": case.architecture.name,
                "design": case.sparsity.name,
                "measure": validation.measure,
                "value": measure.of(case, validation.tensor),
            }
            if (published := point.published.get(series)) is not None:
                row |= {PUBLISHED: published, "over_published": row["value"] / published}
            rows.append(row)
    return rows


def validation_text(validation: Validation, rows: Rows, style: Style | None = None) -> str:
    """Return the table of a validation, how far it is from what is published, and why it may be.

    Parameters
    ----------
    validation : Validation
    rows : list of dict
        Of its CSV.
    style : Style, optional
        Plain by default.
    """
    measure = MEASURES[validation.measure]
    columns = [validation.axis.capitalize() or "Point", "Series", "Here", "Published", "Apart"]
    lines = []
    for row in rows:
        known = PUBLISHED in row
        lines.append(
            [
                row["point"] if row["series"] == validation.series[0] else "",
                row["series"],
                format(row["value"], measure.digits),
                format(row[PUBLISHED], measure.digits) if known else "",
                _apart(row["over_published"]) if known else "",
            ]
        )
    rules = frozenset(i for i, line in enumerate(lines) if i and line[0] and len(validation.series) > 1)
    sheet = sheet_of(columns, lines, left=tuple(columns[:2]), keys=2, rules=rules)
    notes = [("Measured", measure.text), ("Published", validation.published)]
    for name in validation.series:
        apart = [abs(row["over_published"] - 1) for row in rows if row["series"] == name and PUBLISHED in row]
        if apart:
            text = f"{name}: {sum(apart) / len(apart):.2%} apart on average, {max(apart):.2%} at most"
            notes.append(("" if any(label == "Here" for label, _ in notes) else "Here", text))
    notes += [("" if i else "Likely why", reason) for i, reason in enumerate(validation.reasons)]
    parts = [
        "\n".join(wrap(validation.title, style)),
        format_sheet(sheet, style or Style()),
        "\n".join(line for label, text in notes for line in labelled(label, [text], style)),
    ]
    return "\n\n".join(parts)


def _apart(quotient: float) -> str:
    return f"{quotient - 1:+.2%}"


def draw_validation(validation: Validation, rows: Rows) -> Figure:
    """Return the figure of a validation: lines where points lie on an axis, bars else.

    Parameters
    ----------
    validation : Validation
    rows : list of dict
        Of its CSV.
    """
    figure, (axis,) = new_figure(2.4)
    measure = MEASURES[validation.measure]
    text = measure.axis or measure.text
    colors = dict(zip(validation.series, _COLORS, strict=False))
    if validation.axis:
        _draw_lines(axis, rows, colors)
        axis.set_xlabel(validation.axis, fontsize=LABEL)
        axis.set_ylabel(text, fontsize=LABEL)
        figure.legend(
            *axis.get_legend_handles_labels(),
            loc="outside upper center",
            ncols=3,
            fontsize=SMALL,
            frameon=False,
        )
        return figure
    groups = []
    for point in validation.points:
        own = [row for row in rows if row["point"] == point.name]
        heights = {PUBLISHED: own[0][PUBLISHED]} | {row["series"]: row["value"] for row in own}
        bars = tuple(Bar({name: height / measure.unit}) for name, height in heights.items())
        label = point.name.replace(" ", "\n") if point.name.count(" ") == 1 else point.name
        groups.append(Group(label, bars))
    colors = {PUBLISHED: GREY} | colors
    draw_bars(axis, groups, colors, text)
    add_legend(figure, colors)
    return figure


def _draw_lines(axis: Any, rows: Rows, colors: dict[str, str]) -> None:
    """Draw a line per series, and crosses where something is published, on logarithmic axes."""
    for name, color in colors.items():
        own = [row for row in rows if row["series"] == name]
        places = [row["at"] for row in own]
        axis.plot(places, [row["value"] for row in own], color=color, marker="o", markersize=3, label=name)
        known = [row for row in own if PUBLISHED in row]
        axis.plot(
            [row["at"] for row in known],
            [row[PUBLISHED] for row in known],
            color="black",
            marker="x",
            markersize=5,
            linestyle="none",
            label=PUBLISHED if known and name == next(iter(colors)) else None,
        )
    axis.set_xscale("log")
    axis.set_yscale("log")
    for side in (axis.xaxis, axis.yaxis):
        side.set_major_formatter("{x:g}")
