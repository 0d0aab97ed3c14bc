"""A sweep on the terminal: a row per point, the front marked, the best named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from procrustes_model.report.terminal.sheet import format_sheet, sheet_of
from procrustes_model.report.terminal.style import Style, labelled
from procrustes_model.report.terminal.units import format_area, format_energy, format_percent, four_digits
from procrustes_model.sweeps.points import short_names, show_value

if TYPE_CHECKING:
    from procrustes_model.sweeps.result import SweepPoint, SweepResult

_MOST = 60
"""Points of which each has a row; of more, those of the front have."""


def format_sweep(result: SweepResult, style: Style | None = None) -> str:
    """Return the points of a sweep as a table, and what stands out.

    Parameters
    ----------
    result : SweepResult
    style : Style, optional
        Plain, 80 columns wide by default.
    """
    style = style or Style()
    front = result.front
    shown = [one for one in result.points if len(result.points) <= _MOST or one.number in front]
    areas = any(one.area.total_um2 is not None for one in shown)
    names = [short_names(result.axes)[axis] for axis in result.axes]
    titles = ["#", *names, "Energy", "Cycles", "EDP", *(["Area"] if areas else []), "Front"]
    rows = [_row(result, one, one.number in front, areas) for one in shown]
    sheet = sheet_of(titles, rows, left=[*names, "Front"], keys=1 + len(names))
    lines = [format_sheet(sheet, style), ""]
    lines += labelled("Points", [_count(result, len(shown))], style)
    by = " and ".join(result.pareto)
    count = f"{len(front)} point{'s' if len(front) != 1 else ''}"
    lines += labelled("Front", [f"{count}: none is as good in {by} and better in one"], style)
    if (best := result.best) is not None:
        lines += labelled("Best", [_describe_best(best)], style)
    failed = [one for one in result.points if one.totals is None]
    if failed:
        lines += labelled("Failed", [f"{len(failed)} points; {failed[0].number}: {failed[0].error}"], style)
    return "\n".join(lines)


def _row(result: SweepResult, point: SweepPoint, front: bool, areas: bool) -> list[str]:
    cells = [str(point.number), *(show_value(point.values[name]) for name in result.axes)]
    if point.totals is None:
        return [*cells, "no result", "", "", *([""] if areas else []), ""]
    totals, area = point.totals, point.area.total_um2
    cells += [format_energy(totals.energy_pj), f"{totals.cycles:,}", four_digits(totals.edp_j_cycles)]
    if areas:
        cells.append("" if area is None else format_area(area))
    return [*cells, "*" if front else ""]


def _count(result: SweepResult, shown: int) -> str:
    text = f"{len(result.points)}"
    if result.run != "evaluate":
        totals = [one.totals for one in result.points if one.totals is not None]
        gaps = [one.gap for one in totals if one.proven < one.rows]
        known = [gap for gap in gaps if gap is not None]
        most = f", by at most {format_percent(max(known))}" if known and len(known) == len(gaps) else ""
        sure = (
            f"{len(gaps)} points may have better mappings{most}" if gaps else "all mappings proven the best"
        )
        text += f", {result.searched} different searches; {sure}"
    return text if shown == len(result.points) else f"{text}; the table has those of the front"


def _describe_best(best: SweepPoint) -> str:
    assert best.totals is not None
    names = short_names(list(best.values))
    values = ", ".join(f"{names[name]} {show_value(value)}" for name, value in best.values.items())
    return f"point {best.number}, the least {best.objective or 'edp'}: {values}"
