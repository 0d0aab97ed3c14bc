"""The front of energy against cycles as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from procrustes_model.report.figures.style import BLUE, new_figure, write_figure

if TYPE_CHECKING:
    from procrustes_model.mapper.result import SearchResult


def plot_front(front: Sequence[SearchResult], path: Path) -> None:
    """Draw the front, and write it as .png, .svg or .pdf.

    Raises
    ------
    SpecError
        When matplotlib is not installed.
    OSError
        When the file cannot be written.
    """
    figure, (axis,) = new_figure(2.6)
    cycles = [point.result.cycles for point in front]
    energies = [point.result.energy_pj * 1e-6 for point in front]
    axis.plot(cycles, energies, drawstyle="steps-post", color=BLUE, linewidth=1)
    axis.plot(cycles, energies, "o", color=BLUE, markersize=4)
    axis.set_xlabel("cycles")
    axis.set_ylabel("energy [µJ]")
    axis.set_title(f"{front[0].result.problem} on {front[0].result.architecture}", fontsize=8)
    write_figure(figure, path)
