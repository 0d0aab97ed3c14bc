"""A mapping drawn: the loop nest beside the tiles that levels hold."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.report.figures.bars import LABEL, SMALL
from procrustes_model.report.figures.evaluation import tensor_colors
from procrustes_model.report.figures.scales import cut
from procrustes_model.report.figures.style import GREY, PAGE_INCHES, new_figure
from procrustes_model.report.nest import (
    format_operation,
    index_names,
    loop_texts,
    tile_extents,
    tile_shape,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from procrustes_model.model.result import Result, Specs

_LINE = 0.155
"""Inches of a line of text."""
_NEST = 52.0
"""Where the tiles begin, in hundredths of the width."""
_ARROW = {"arrowstyle": "-|>", "lw": 1.1, "shrinkA": 0, "shrinkB": 0}
_FEWEST = 2
"""Lines of a level at least: a tile has its words and its sides."""


def draw_mapping(results: Sequence[Result]) -> Figure:
    """Return a figure of mappings: loops from the outside in, and beside them the tiles of each level.

    A box says that a level holds a tile of a tensor, with its words and its sides in the order of the
    tensor's ranks; a line without a box passes the level by. Arrows point the way data go.

    Parameters
    ----------
    results : sequence of Result
        As evaluations return them. One below the other, such as the phases of a layer.

    Raises
    ------
    SpecError
        When a result does not know its mapping.
    """
    specs = [one.specs for one in results]
    if any(one is None for one in specs):
        raise SpecError(Issue("a result that was read or made by hand has no mapping to draw"))
    known = [one for one in specs if one is not None]
    heights = [_lines(one) for one in known]
    figure, _ = new_figure(sum(heights) * _LINE + 0.1 * len(heights), width=PAGE_INCHES)
    figure.clear()
    axes = figure.subplots(len(known), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axis, result, spec, height in zip(axes, results, known, heights, strict=True):
        _draw(axis, result, spec, height)
    return figure


def _bands(specs: Specs) -> list[int]:
    """Return the lines that each level takes."""
    names = index_names(specs.problem)
    return [1 + max(_FEWEST, len(loop_texts(level, names))) for level in specs.mapping.levels]


def _lines(specs: Specs) -> float:
    return 3.2 + sum(_bands(specs)) + 0.6 * len(specs.mapping.levels) + 2.0


def _draw(axis: Any, result: Result, specs: Specs, height: float) -> None:
    architecture, problem, mapping = specs
    axis.set_axis_off()
    axis.set_xlim(0, 100)
    axis.set_ylim(height, 0)
    phase = f" ({result.phase.replace('_', ' ')})" if result.phase else ""
    title = f"{cut(problem.name, 50)}{phase} on {cut(architecture.name, 40)}"
    axis.text(0, 0.6, title, fontsize=LABEL, fontweight="bold", va="center")
    colors, names, extents = tensor_colors([result]), index_names(problem), tile_extents(problem, mapping)
    width = (100 - _NEST) / len(problem.tensors)
    middles = {one.name: _NEST + (i + 0.5) * width for i, one in enumerate(problem.tensors)}
    for tensor in problem.tensors:
        color = colors.get(tensor.name, GREY)
        axis.text(
            middles[tensor.name], 2.0, cut(tensor.name), fontsize=SMALL, fontweight="bold", color=color,
            ha="center", va="center",
        )  # fmt: skip
    top, depth = 3.0, 0
    held: dict[str, list[tuple[float, float]]] = {one.name: [] for one in problem.tensors}
    above = ""
    for level, lines, extent in zip(mapping.levels, _bands(specs), extents, strict=True):
        found = result.level(level.level)
        axis.axhspan(top, top + lines + 0.2, color="#F3F3F3", linewidth=0, zorder=0)
        used = f"{found.instances_used:,} of {found.instances:,}"
        full = f", {100 * found.used_words / found.capacity_words:.1f}% full" if found.capacity_words else ""
        axis.text(0.8, top + 0.6, cut(level.level, 22), fontsize=SMALL, fontweight="bold", va="center")
        note = "" if level.level == above else f"{used}{full}"
        axis.text(_NEST - 2, top + 0.6, note, fontsize=SMALL, va="center", ha="right", color="#555555")
        for number, text in enumerate(loop_texts(level, names)):
            spatial = text.startswith("parallel")
            axis.text(
                2 + 1.1 * depth, top + 1.6 + number, text, fontsize=SMALL, family="monospace", va="center",
                color="#0072B2" if spatial else "black",
            )  # fmt: skip
            depth += 1
        above = level.level
        for tensor in problem.tensors:
            if tensor.name in level.keep:
                held[tensor.name].append((top + 0.2, top + lines))
                words = result.tensor(level.level, tensor.name).tile_words
                sides = "x".join(str(side) for side in tile_shape(tensor, extent))
                middle, span = middles[tensor.name], width - 2
                _box(axis, (middle - span / 2, top + 0.2), (span, lines - 0.2), colors[tensor.name])
                text = f"{words:,}\n{cut(sides, 18)}"
                axis.text(middle, top + 0.1 + lines / 2, text, fontsize=SMALL, ha="center", va="center")
        top += lines + 0.6
    for tensor in problem.tensors:
        _connect(axis, middles[tensor.name], [*held[tensor.name], (top, top)], colors.get(tensor.name, GREY),
                 up=tensor.is_output)  # fmt: skip
    compute = result.compute
    axis.axhspan(top, top + 1.3, color="#E2E2E2", linewidth=0, zorder=0)
    axis.text(0.8, top + 0.65, cut(compute.name, 22), fontsize=SMALL, fontweight="bold", va="center")
    count = f"{compute.instances_used:,} of {compute.instances:,}"
    axis.text(_NEST - 2, top + 0.65, count, fontsize=SMALL, va="center", ha="right", color="#555555")
    operation = cut(format_operation(problem, names), 62)
    axis.text(99, top + 0.65, operation, fontsize=SMALL, family="monospace", va="center", ha="right")


def _box(axis: Any, corner: tuple[float, float], size: tuple[float, float], color: str) -> None:
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Rectangle

    light = to_rgba(color, 0.28)
    axis.add_patch(Rectangle(corner, *size, facecolor=light, edgecolor=color, linewidth=0.9, zorder=2))


def _connect(axis: Any, x: float, places: Sequence[tuple[float, float]], color: str, *, up: bool) -> None:
    """Draw arrows between the levels that hold a tensor, and to the computation."""
    for (_, bottom), (top, _) in pairwise(places):
        start, end = ((x, top), (x, bottom)) if up else ((x, bottom), (x, top))
        axis.annotate("", end, start, arrowprops=_ARROW | {"color": color}, zorder=1)
