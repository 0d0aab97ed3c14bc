"""Stacked bars in groups, and the colours of what is stacked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from colorsys import hls_to_rgb
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from procrustes_model.report.figures.style import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, YELLOW

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LEVELS = (BLUE, ORANGE, GREEN, SKY, YELLOW, "#332288", "#882255", "#44AA99", "#999933", "#AA4499")
_OTHERS = (VERMILION, PURPLE, "#000000", "#661100", "#DDCC77")
_GOLDEN = (5**0.5 - 1) / 2
"""Part of a turn between hues of which none comes near another for long."""
SMALL = 7
"""Points; nothing in a figure is smaller."""
LABEL = 8
_GAP = 0.6
HATCH = "//////"


@dataclass(frozen=True)
class Bar:
    """One bar.

    Attributes
    ----------
    parts : dict of str to float
        From the bottom up.
    label : str
        Stands below; bars side by side with the same label share one.
    hatched : bool
        Drawn with lines across, such as a baseline.
    """

    parts: Mapping[str, float]
    label: str = ""
    hatched: bool = False

    @property
    def height(self) -> float:
        """Sum of the parts."""
        return sum(self.parts.values())


@dataclass(frozen=True)
class Group:
    """Bars side by side.

    Attributes
    ----------
    label : str
        Stands below the group.
    bars : tuple of Bar
    note : str
        Stands above, such as a ratio.
    """

    label: str
    bars: tuple[Bar, ...]
    note: str = ""


def color_parts(names: Iterable[str], compute: str) -> dict[str, str]:
    """Return a colour for every level, the same in every figure: by its place from the outermost inwards.

    Parameters
    ----------
    names : iterable of str
        Levels outermost first, then what stands beside them, such as balancing.
    compute : str
        Name of the compute level, which is grey.
    """
    unique = list(dict.fromkeys(names))
    inside = unique.index(compute) if compute in unique else len(unique)
    colors = {name: _color(_LEVELS, i, 0.4) for i, name in enumerate(unique[:inside])}
    if compute in unique:
        colors[compute] = GREY
    return colors | {name: _color(_OTHERS, i, 0.7) for i, name in enumerate(unique[inside + 1 :])}


def _color(first: Sequence[str], number: int, light: float) -> str:
    """Return one of some colours, and beyond them one of its own: none is there twice."""
    if number < len(first):
        return first[number]
    rgb = hls_to_rgb((number - len(first)) * _GOLDEN % 1, light, 0.6)
    return "#" + "".join(f"{round(255 * part):02X}" for part in rgb)


def draw_bars(axis: Any, groups: Sequence[Group], colors: Mapping[str, str], ylabel: str) -> None:
    """Draw groups of stacked bars into an axis.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    groups : sequence of Group
    colors : mapping of str to str
        By part; parts without one are not drawn.
    ylabel : str
        With its unit.
    """
    place, labels, middles, edges = 0.0, [], [], []
    top = max((bar.height for group in groups for bar in group.bars), default=1.0) or 1.0
    for group in groups:
        start = place
        for bar in group.bars:
            bottom = 0.0
            for name, color in colors.items():
                value = bar.parts.get(name, 0.0)
                style = {"hatch": HATCH, "edgecolor": "white"} if bar.hatched else {}
                axis.bar(place, value, 0.86, bottom, color=color, linewidth=0, **style)
                bottom += value
            labels.append((place, bar.label))
            place += 1
        middle = (start + place - 1) / 2
        middles.append((middle, group.label))
        if group.note:
            height = max(bar.height for bar in group.bars)
            axis.text(middle, height + 0.02 * top, group.note, ha="center", va="bottom", fontsize=SMALL)
        place += _GAP
        edges.append(place - 0.5 - _GAP / 2)
    below = _merge(labels)
    axis.set_xticks([at for at, _ in below], [text for _, text in below], fontsize=SMALL)
    axis.tick_params(axis="x", length=0, pad=2)
    depth = -0.5 * max((text.count("\n") + 1 for _, text in below if text), default=0) - 0.1
    for at, text in middles:
        axis.annotate(
            text,
            (at, 0),
            (0, depth * 2 * SMALL - 4),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=SMALL,
            annotation_clip=False,
        )
    for edge in edges[:-1]:
        axis.axvline(edge, color="#CCCCCC", linewidth=0.5, zorder=0)
    axis.set_xlim(-0.8, place - _GAP - 0.2)
    axis.set_ylim(0, top * (1.14 if any(group.note for group in groups) else 1.05))
    axis.set_ylabel(ylabel, fontsize=LABEL)


def _merge(labels: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """Return one label where neighbours have the same, in their middle."""
    merged: list[list[tuple[float, str]]] = []
    for one in labels:
        if merged and merged[-1][-1][1] == one[1] and one[0] - merged[-1][-1][0] <= 1:
            merged[-1].append(one)
        else:
            merged.append([one])
    return [(sum(at for at, _ in run) / len(run), run[0][1]) for run in merged]


def add_legend(
    figure: Figure,
    colors: Mapping[str, str],
    hatched: str | None = None,
    plain: str | None = None,
    *,
    room: int = 50,
) -> None:
    """Put the meaning of colours above the panels, in as few rows as the width allows.

    Parameters
    ----------
    figure : Figure
    colors : mapping of str to str
    hatched, plain : str, optional
        What bars with lines across and without stand for.
    room : int
        Letters side by side: 50 in a column, 100 across both.
    """
    from matplotlib.patches import Patch

    handles = [Patch(facecolor=color, label=name) for name, color in colors.items()]
    if hatched is not None:
        handles.append(Patch(facecolor="#666666", hatch=HATCH, edgecolor="white", linewidth=0, label=hatched))
    if plain is not None:
        handles.append(Patch(facecolor="#666666", label=plain))
    widths = [len(str(one.get_label())) + 5 for one in handles]
    figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=_columns(widths, room),
        fontsize=SMALL,
        frameon=False,
        handlelength=1.2,
        columnspacing=0.9,
        handletextpad=0.4,
        borderaxespad=0.2,
    )


def _columns(widths: Sequence[int], room: int) -> int:
    """Return how many columns of entries fit; rows are filled column by column."""
    for count in range(len(widths), 1, -1):
        rows = -(-len(widths) // count)
        starts = [*range(0, len(widths), rows), len(widths)]
        if sum(max(widths[a:b]) for a, b in pairwise(starts)) <= room:
            return count
    return 1
