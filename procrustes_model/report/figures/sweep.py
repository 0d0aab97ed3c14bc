"""The points of a sweep as a figure: two columns against each other, or lines over one axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.report.figures.scales import prefix_of
from procrustes_model.report.figures.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    new_figure,
)
from procrustes_model.spec.text.conditions import as_number
from procrustes_model.spec.text.words import did_you_mean
from procrustes_model.sweeps.points import short_names, show_value

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from procrustes_model.sweeps.result import SweepResult

UNITS: Mapping[str, tuple[str, str, float]] = {
    "energy_pj": ("energy", "J", 1e-12),
    "cycles": ("cycles", "", 1.0),
    "edp_j_cycles": ("energy-delay product", "J x cycles", 1.0),
    "energy_per_mac_pj": ("energy per MAC", "pJ", 1.0),
    "area_um2": ("area", "mm²", 1e-6),
    "seconds": ("time", "s", 1.0),
    "edp_j_s": ("energy-delay product", "J x s", 1.0),
}
"""What columns are called on an axis of a figure, their unit, and what makes numbers of it."""
_COLORS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)
_MOST_LINES = 12


def draw_sweep(result: SweepResult, over: str | None = None) -> Figure:
    """Return a figure of a sweep: its points, those of the front marked, or lines over an axis.

    Parameters
    ----------
    result : SweepResult
    over : str, optional
        Of an axis, its name or what conditions call it: what the front is of is then drawn as lines over it.

    Raises
    ------
    SpecError
        When matplotlib is not installed, there is no such axis, or too many lines.
    """
    return _draw_front(result) if over is None else _draw_lines(result, find_axis(result.axes, over))


def _axis_of(measure: str, rows: Sequence[Mapping[str, Any]]) -> tuple[str, float]:
    """Return the title of the axis of a column, and what its numbers are multiplied with."""
    name, unit, size = UNITS[measure]
    most = max((abs(row[measure]) for row in rows), default=0.0) * size
    text, scale = prefix_of(unit, most)
    return f"{name} [{text}]" if text else name, size * scale


def find_axis(axes: Sequence[str], name: str) -> str:
    """Return an axis by its name, or by what conditions call it.

    Raises
    ------
    SpecError
        When there is none.
    """
    called = {short: axis for axis, short in short_names(axes).items()}
    known = {**called, **{axis: axis for axis in axes}}
    if name not in known:
        raise SpecError(Issue(f"--over: no axis is called '{name[:60]}'", did_you_mean(name, list(known))))
    return known[name]


def _sides(result: SweepResult) -> tuple[str, str]:
    """Return the columns that go up and to the right: cycles to the right, where there are some."""
    names = list(dict.fromkeys([*result.pareto, "energy_pj", "cycles"]))[:2]
    up, right = reversed(names) if names[0] == "cycles" else names
    return up, right


def _draw_front(result: SweepResult) -> Figure:
    up, right = _sides(result)
    front, best = result.front, result.best
    known = [row for row in result.to_records() if row.get(up) is not None and row.get(right) is not None]
    figure, (axis,) = new_figure(2.6)
    titles, scales = zip(*(_axis_of(name, known) for name in (right, up)), strict=True)

    def draw(rows: list[dict[str, Any]], **look: Any) -> None:
        places = zip((right, up), scales, strict=True)
        axis.plot(*([row[name] * scale for row in rows] for name, scale in places), **look)

    others = [row for row in known if row["point"] not in front]
    draw(others, marker="o", linestyle="", color=GREY, markersize=3)
    chosen = [row for row in known if row["point"] in front]
    chosen.sort(key=lambda row: (row[right], -row[up]))
    joined = {"drawstyle": "steps-post"} if len(result.pareto) == 2 else {"linestyle": ""}
    draw(chosen, marker="o", color=BLUE, markersize=4, linewidth=1, label="front", **joined)
    if best is not None:
        label = f"least {best.objective or 'edp'}: point {best.number}"
        marked = [row for row in known if row["point"] == best.number]
        draw(marked, marker="*", linestyle="", color=VERMILION, markersize=9, label=label)
    axis.set_xlabel(titles[0], fontsize=8)
    axis.set_ylabel(titles[1], fontsize=8)
    axis.locator_params(axis="x", nbins=5)  # long numbers must not meet
    axis.set_title(result.name, fontsize=8)
    axis.legend(fontsize=6, frameon=False)
    return figure


def _draw_lines(result: SweepResult, over: str) -> Figure:
    lines: dict[str, list[dict[str, Any]]] = {}
    names = short_names(result.axes)
    others = [name for name in result.axes if name != over]
    rows = [row for row in result.to_records() if all(row.get(name) is not None for name in result.pareto)]
    for row in rows:
        label = ", ".join(f"{names[name]} {show_value(row[name])}" for name in others)
        lines.setdefault(label, []).append(row)
    if len(lines) > _MOST_LINES:
        raise SpecError(
            Issue(
                f"--over {over}: {len(lines)} lines",
                f"at most {_MOST_LINES} are drawn; leave out points with 'where'",
            )
        )
    values = list(dict.fromkeys(row[over] for row in rows))
    numeric = all(isinstance(as_number(value), int | float) for value in values) and not any(
        isinstance(value, bool | str) for value in values
    )
    figure, panels = new_figure(1.9 * len(result.pareto), rows=len(result.pareto))
    for panel, measure in zip(panels, result.pareto, strict=True):
        text, scale = _axis_of(measure, rows)
        for number, (label, of_line) in enumerate(lines.items()):
            x = [row[over] if numeric else values.index(row[over]) for row in of_line]
            y = [row[measure] * scale for row in of_line]
            color, style = _COLORS[number % len(_COLORS)], "-" if number < len(_COLORS) else "--"
            panel.plot(x, y, marker="o", markersize=3, linewidth=1, linestyle=style, color=color, label=label)
        panel.set_ylim(bottom=0)
        panel.set_ylabel(text, fontsize=7)
        if not numeric:
            panel.set_xticks(range(len(values)), [show_value(value) for value in values])
    panels[-1].set_xlabel(over, fontsize=7)
    panels[0].set_title(result.name, fontsize=8)
    if others:
        panels[0].legend(fontsize=5, frameon=False)
    return figure
