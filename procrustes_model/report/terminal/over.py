"""A search over a family on the terminal: a row per member, the best named, and how sure it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from procrustes_model.objective import parse_objective
from procrustes_model.report.terminal.sheet import format_sheet, sheet_of
from procrustes_model.report.terminal.style import Style, labelled
from procrustes_model.report.terminal.units import format_area, format_energy, four_digits
from procrustes_model.sweeps.points import short_names, show_value

if TYPE_CHECKING:
    from procrustes_model.sweeps.over_result import Member, OverResult

_MOST = 40
"""Members of which each has a row; of more, those that were searched have."""


def format_over(result: OverResult, style: Style | None = None) -> str:
    """Return the members of a family as a table, and what stands out.

    Parameters
    ----------
    result : OverResult
    style : Style, optional
        Plain, 80 columns wide by default.
    """
    style = style or Style()
    several = len(result.members) > _MOST
    shown = [one for one in result.members if not several or one.value is not None]
    areas = any(one.area.total_um2 is not None for one in shown)
    names = [short_names(result.axes)[axis] for axis in result.axes]
    titles = ["#", *names, "Standing", "Energy", "Cycles", "Value", "Bound", *(["Area"] if areas else [])]
    rows = [_row(result, one, areas) for one in shown]
    lines = [format_sheet(sheet_of(titles, rows, left=[*names, "Standing"], keys=1 + len(names)), style), ""]
    best = next(one for one in result.members if one.number == result.best)
    values = ", ".join(
        f"{name} {show_value(best.values[axis])}" for name, axis in zip(names, result.axes, strict=True)
    )
    title, claim = result.claim.split(": ", 1)
    lines += labelled(title, [claim], style)
    lines += labelled("Best", [f"member {best.number}: {values}"], style)
    aim = parse_objective(result.objective)
    lines += labelled(
        "Value", [f"{result.objective} in {aim.unit}; Bound: what it does not fall below"], style
    )
    counts = ", ".join(f"{count} {standing}" for standing, count in result.count.items())
    lines += labelled("Members", [f"{len(result.members)}: {counts}"], style)
    for error in dict.fromkeys(one.error for one in result.members if one.error):
        lines += labelled("Invalid", [error], style)
    return "\n".join(lines)


def _row(result: OverResult, member: Member, areas: bool) -> list[str]:
    standing = "best" if member.number == result.best else member.standing.value
    cells = [str(member.number), *(show_value(member.values[name]) for name in result.axes), standing]
    cells += ["" if member.energy_pj is None else format_energy(member.energy_pj)]
    cells += ["" if member.cycles is None else f"{member.cycles:,}"]
    cells += ["" if member.value is None else four_digits(member.value), four_digits(member.lower_bound)]
    area = member.area.total_um2
    return [*cells, *([("" if area is None else format_area(area))] if areas else [])]
