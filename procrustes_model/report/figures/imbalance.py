"""Imbalance as text, as CSV and as a figure."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from procrustes_model.report.figures.figure import BLUE, ORANGE, new_figure, write_figure
from procrustes_model.report.terminal.units import format_share
from procrustes_model.versions import CSV_VERSION, VERSION_COLUMN

if TYPE_CHECKING:
    from procrustes_model.model.sparse.imbalance import ImbalanceHistogram, WorkOf

IMBALANCE_COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "architecture": "name of the architecture",
        "problem": "name of the problem",
        "phase": "forward, backward or weight_update; empty where the problem has none",
        "mapping": "name of the mapping",
        "sparsity": "name of the sparse design",
        "tensor": "whose nonzeros are the work",
        "policy": "none or half_tile",
        "basis": "counted on a mask, sampled on random masks, or even: a density without imbalance",
        "masks": "how many were counted or drawn",
        "work_from": "lower end of the bin, work over the mean of the array-level tile",
        "work_to": "upper end, part of the next bin except in the last one",
        "elements_before": "processing elements in the bin without balancing",
        "elements_after": "processing elements in the bin with balancing",
        "slowest_before": "array-level tiles whose slowest element is in the bin, without balancing",
        "slowest_after": "array-level tiles whose slowest element is in the bin, with balancing",
        **VERSION_COLUMN,
    }
)
"""Columns of the table of imbalance, in order, and what they mean."""

_BAR = 24
_BELOW_LEGEND = 0.82
"""Share of a panel's height that data take."""


def imbalance_text(histograms: Sequence[ImbalanceHistogram]) -> str:
    """Return histograms as CSV, one row per bin; columns: `IMBALANCE_COLUMNS`."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(IMBALANCE_COLUMNS)
    for one in histograms:
        of = one.of
        names = [of.architecture, of.problem, of.phase, of.mapping, of.sparsity]
        names += [of.tensor, of.policy, of.basis]
        counts = (one.before, one.after, one.slowest_before, one.slowest_after)
        ends = zip(one.edges[:-1].tolist(), one.edges[1:].tolist(), strict=True)
        for edges, *row in zip(ends, *(count.tolist() for count in counts), strict=True):
            writer.writerow([*names, of.masks, *edges, *row, CSV_VERSION])
    return buffer.getvalue()


def format_imbalance(histogram: ImbalanceHistogram, *, unicode: bool = True) -> str:
    """Return a histogram as text: shares of processing elements by work, before and after.

    Parameters
    ----------
    histogram : ImbalanceHistogram
    unicode : bool
        Whether bars may use characters beyond ASCII.
    """
    sides = [("before", histogram.before, histogram.ratio_before)]
    if histogram.of.policy != "none":
        cut = f"cut along {histogram.of.cut}" if histogram.of.cut else "none can be cut"
        sides.append((f"after half tiles ({cut})", histogram.after, histogram.ratio_after))
    bar = "█" if unicode else "#"
    most = max(int(counts.max()) for _, counts, _ in sides)
    lines = [f"{'work / mean':<15}" + "".join(f"{name:<{_BAR + 8}}" for name, _, _ in sides)]
    used = [i for i in range(len(histogram.before)) if any(counts[i] for _, counts, _ in sides)]
    for i in range(used[0], used[-1] + 1):
        low, high = histogram.edges[i], histogram.edges[i + 1]
        line = f"{low:5.2f} - {high:5.2f}  "
        for _, counts, _ in sides:
            length = round(_BAR * int(counts[i]) / most)
            line += f"{format_share(int(counts[i]), int(counts.sum())):>6} {bar * length:<{_BAR}} "
        lines.append(line)
    lines.append(f"{'slowest / mean':<15}" + "".join(f"{ratio:<{_BAR + 8}.3f}" for _, _, ratio in sides))
    return "\n".join(line.rstrip() for line in lines)


def describe_work(of: WorkOf, elements: int, tiles: int) -> str:
    """Return in words what was measured.

    Parameters
    ----------
    of : WorkOf
    elements : int
        Processing elements with different tiles.
    tiles : int
        Array-level tiles, of all masks.
    """
    per_mask = tiles // max(1, of.masks)
    masks = {
        "counted": "counted on the mask",
        "sampled": f"on {of.masks} random mask{'s' if of.masks > 1 else ''}",
        "even": "this density has the same work everywhere",
    }
    return (
        f"Work on {of.tensor} of {elements:,} processing elements with different tiles, "
        f"in {per_mask:,} array-level tiles; {masks[of.basis]}"
    )


def plot_imbalance(histograms: Sequence[ImbalanceHistogram], path: str | Path) -> None:
    """Draw histograms one below the other, as wide as a column, and write them as .png, .svg or .pdf.

    Vertical lines stand at the work of the slowest elements over that of the mean.

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
    figure, axes = new_figure(0.5 + 1.55 * len(histograms), len(histograms))
    for axis, histogram in zip(axes, histograms, strict=True):
        _draw(axis, histogram)
    axes[-1].set_xlabel("work of a processing element / mean", fontsize=8)
    figure.supylabel("processing elements [%]", fontsize=8)
    write_figure(figure, Path(path))


def _draw(axis: Any, histogram: ImbalanceHistogram) -> None:
    """Draw one histogram: filled before balancing, outlined after, so that they differ without colour."""
    of, edges = histogram.of, histogram.edges
    before = 100 * histogram.before / histogram.before.sum()
    label = f"before: slowest {histogram.ratio_before:.2f}"
    axis.stairs(before, edges, fill=True, color=ORANGE, alpha=0.6, linewidth=0, label=label)
    axis.axvline(histogram.ratio_before, ymax=_BELOW_LEGEND, color=ORANGE, linestyle="--", linewidth=1.2)
    most = before.max()
    if of.policy != "none":
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
