"""Imbalance as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from procrustes_model.policies import POLICIES
from procrustes_model.report.figures.style import BLUE, ORANGE, new_figure, write_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from procrustes_model.model.sparse.imbalance import ImbalanceHistogram

_BELOW_LEGEND = 0.82
"""Share of a panel's height that data take."""


def plot_imbalance(histograms: Sequence[ImbalanceHistogram], path: str | Path) -> None:
    """Draw histograms as `draw_imbalance` does, and write them as .png, .svg or .pdf.

    Parameters
    ----------
    histograms : sequence of ImbalanceHistogram
        At least one.
    path : str or Path

    Raises
    ------
    SpecError
        When matplotlib is not installed.
    OSError
        When the file cannot be written.
    """
    write_figure(draw_imbalance(histograms), Path(path))


def draw_imbalance(histograms: Sequence[ImbalanceHistogram]) -> Figure:
    """Return a figure of histograms one below the other, as wide as a column.

    Vertical lines stand at the work of the slowest elements over that of the mean.

    Parameters
    ----------
    histograms : sequence of ImbalanceHistogram
        At least one.

    Raises
    ------
    SpecError
        When matplotlib is not installed.
    """
    figure, axes = new_figure(0.5 + 1.55 * len(histograms), len(histograms))
    for axis, histogram in zip(axes, histograms, strict=True):
        _draw(axis, histogram)
    axes[-1].set_xlabel("work of a processing element / mean", fontsize=8)
    figure.supylabel("processing elements [%]", fontsize=8)
    return figure


def _draw(axis: Any, histogram: ImbalanceHistogram) -> None:
    """Draw one histogram: filled before balancing, outlined after, so that they differ without colour."""
    of, edges = histogram.of, histogram.edges
    before = 100 * histogram.before / histogram.before.sum()
    label = f"before: slowest {histogram.ratio_before:.2f}"
    axis.stairs(before, edges, fill=True, color=ORANGE, alpha=0.6, linewidth=0, label=label)
    axis.axvline(histogram.ratio_before, ymax=_BELOW_LEGEND, color=ORANGE, linestyle="--", linewidth=1.2)
    most = before.max()
    if POLICIES[of.policy].balances:
        after = 100 * histogram.after / histogram.after.sum()
        label = f"after: slowest {histogram.ratio_after:.2f}"
        axis.stairs(after, edges, color=BLUE, linewidth=1.2, label=label)
        axis.axvline(histogram.ratio_after, ymax=_BELOW_LEGEND, color=BLUE, linestyle=":", linewidth=1.4)
        most = max(most, after.max())
    axis.set_xlim(0, edges[-1])
    axis.set_ylim(0, most / _BELOW_LEGEND)
    phase = f", {of.phase.replace('_', ' ')}" if of.phase else ""
    axis.set_title(f"{of.problem}{phase}", fontsize=8, loc="left")
    axis.legend(fontsize=7, frameon=False, loc="upper right", ncols=2, handlelength=1.5, borderaxespad=0)
