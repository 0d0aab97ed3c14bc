"""The front of energy against cycles as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from procrustes_model.errors import Issue, SpecError
from procrustes_model.report.figures.bars import LABEL, SMALL
from procrustes_model.report.figures.scales import cut, cycle_scale_of, energy_scale_of
from procrustes_model.report.figures.style import BLUE, VERMILION, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from procrustes_model.mapper.result import SearchResult


def draw_front(front: Sequence[SearchResult]) -> Figure:
    """Return a figure of the front of energy against cycles; the least energy-delay product is marked.

    Parameters
    ----------
    front : sequence of SearchResult
        As `find_pareto_front` returns it.

    Raises
    ------
    SpecError
        When the front is empty, or matplotlib is not installed.
    """
    if not front:
        raise SpecError(Issue("there is no mapping on the front to draw"))
    figure, (axis,) = new_figure(2.7)
    results = [point.result for point in front]
    energy_unit, energy_scale = energy_scale_of(max(one.energy_pj for one in results))
    cycle_unit, cycle_scale = cycle_scale_of(max(one.cycles for one in results))
    cycles = [one.cycles * cycle_scale for one in results]
    energies = [one.energy_pj * energy_scale for one in results]
    axis.plot(cycles, energies, drawstyle="steps-pre", color=BLUE, linewidth=1)
    axis.plot(cycles, energies, "o", color=BLUE, markersize=4, label="no other takes less of both")
    best = min(results, key=lambda one: one.edp_j_cycles)
    axis.plot(
        [best.cycles * cycle_scale],
        [best.energy_pj * energy_scale],
        "*",
        color=VERMILION,
        markersize=10,
        linestyle="none",
        label=f"least energy x delay: {best.edp_j_cycles:.4g} J x cycles",
    )
    axis.margins(0.08, 0.12)
    axis.set_xlabel(cycle_unit, fontsize=LABEL)
    axis.set_ylabel(f"energy [{energy_unit}]", fontsize=LABEL)
    axis.set_title(f"{cut(best.problem, 30)} on {cut(best.architecture, 26)}", fontsize=LABEL)
    figure.legend(fontsize=SMALL, frameon=False, loc="outside lower center", borderaxespad=0.2)
    return figure
