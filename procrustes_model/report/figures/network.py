"""Figures of a network run: energy, cycles, layers, imbalance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from procrustes_model.report.figures.bars import (
    HATCH,
    LABEL,
    SMALL,
    Bar,
    Group,
    add_legend,
    color_parts,
    draw_bars,
)
from procrustes_model.report.figures.scales import cut, cycle_scale_of, energy_scale_of
from procrustes_model.report.figures.style import (
    BLUE,
    COLUMN_INCHES,
    GREEN,
    GREY,
    ORANGE,
    PAGE_INCHES,
    new_figure,
)
from procrustes_model.vocabulary import Phase

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from procrustes_model.network.result import NetworkResult, Totals

PHASE_COLORS: dict[str, str] = {Phase.FORWARD: BLUE, Phase.BACKWARD: ORANGE, Phase.WEIGHT_UPDATE: GREEN}
_MOST_NAMES = 26
_MOST_BARS = 30
"""As wide as a column."""


def energy_parts(result: NetworkResult) -> list[str]:
    """Return what energy is spent in: levels, outermost first, the computation, and what else there is.

    Parameters
    ----------
    result : NetworkResult
        Read from a folder or not: the order is the same.
    """
    machine = result.inputs["architecture"]
    known = [*(str(level["name"]) for level in machine["levels"]), str(machine["compute"]["name"])]
    others = {name for row in result.rows for name in row.case.energy_by_level} - set(known)
    return known + sorted(others)


def result_colors(result: NetworkResult) -> dict[str, str]:
    """Return the colours of all levels of a run, and of what costs energy beside them."""
    return color_parts(energy_parts(result), str(result.inputs["architecture"]["compute"]["name"]))


def draw_phases(result: NetworkResult) -> Figure:
    """Return a figure of energy by level, and of cycles, in each phase: the baseline beside the design.

    Parameters
    ----------
    result : NetworkResult
    """
    figure, (upper, lower) = new_figure(3.6, 2)
    colors = {
        name: color
        for name, color in result_colors(result).items()
        if any(row.case.energy_by_level.get(name) for row in result.rows)
    }
    order = [name for name in (result.baseline, result.design) if name is not None]
    totals = {(design, phase): result.totals(design, phase) for design in order for phase in result.phases}
    energy_unit, energy_scale = energy_scale_of(max(one.energy_pj for one in totals.values()))
    cycle_unit, cycle_scale = cycle_scale_of(max(one.cycles for one in totals.values()))

    def groups(what: str) -> list[Group]:
        found = []
        for phase in result.phases:
            bars = []
            for design in order:
                one = totals[design, phase]
                parts = {name: value * energy_scale for name, value in one.energy_by_level.items()}
                parts = parts if what == "energy" else {"cycles": one.cycles * cycle_scale}
                bars.append(Bar(parts, hatched=design == result.baseline))
            found.append(Group(phase.replace("_", "\n"), tuple(bars), _times(result, phase, what)))
        return found

    draw_bars(upper, groups("energy"), colors, f"energy [{energy_unit}]")
    draw_bars(lower, groups("cycles"), {"cycles": GREY}, cycle_unit)
    compared = result.baseline is not None
    add_legend(figure, colors, result.baseline, result.design if compared else None)
    return figure


def draw_layers(result: NetworkResult) -> Figure:
    """Return a figure of the layers: energy and cycles in each phase, and what the baseline takes in all.

    Parameters
    ----------
    result : NetworkResult
    """
    figure, (upper, lower) = new_figure(3.9, 2)
    layers = result.layers
    places = range(len(layers))
    whole = [result.totals(design, layer=layer) for layer in layers for design in result.designs]
    energy_unit, energy_scale = energy_scale_of(max(one.energy_pj for one in whole))
    cycle_unit, cycle_scale = cycle_scale_of(max(one.cycles for one in whole))

    def energy(totals: Totals) -> float:
        return totals.energy_pj * energy_scale

    def cycles(totals: Totals) -> float:
        return totals.cycles * cycle_scale

    for axis, value in ((upper, energy), (lower, cycles)):
        bottom = [0.0] * len(layers)
        for phase in result.phases:
            heights = [value(result.totals(None, phase, layer)) for layer in layers]
            axis.bar(places, heights, 0.8, bottom, color=PHASE_COLORS[phase], linewidth=0)
            bottom = [one + height for one, height in zip(bottom, heights, strict=True)]
        if result.baseline is not None:
            dense = [value(result.totals(result.baseline, layer=layer)) for layer in layers]
            axis.plot(places, dense, "_", color="black", markersize=max(3.0, 110 / len(layers)), linewidth=0)
        axis.set_xlim(-0.7, len(layers) - 0.3)
        axis.set_ylim(0, None)
    upper.set_ylabel(f"energy [{energy_unit}]", fontsize=LABEL)
    lower.set_ylabel(cycle_unit, fontsize=LABEL)
    step = -(-len(layers) // _MOST_NAMES)
    upper.set_xticks([])
    lower.set_xticks(
        list(places)[::step], [cut(name) for name in layers[::step]], rotation=90, fontsize=SMALL
    )
    add_legend(figure, {phase.replace("_", " "): PHASE_COLORS[phase] for phase in result.phases})
    if result.baseline is not None:
        upper.set_title(f"bars: {result.design}; lines: {result.baseline}, all phases", fontsize=SMALL)
    return figure


def draw_layer_imbalance(result: NetworkResult) -> Figure | None:
    """Return a figure of the slowest processing element's work over the mean, by layer; None without any.

    Parameters
    ----------
    result : NetworkResult
    """
    found = [
        phase
        for phase in result.phases
        if any(row.case.imbalance for row in result.select(result.design, phase))
    ]
    if not found:
        return None
    figure, axes = new_figure(0.9 + 1.15 * len(found), len(found))
    layers = list(result.layers)
    for axis, phase in zip(axes, found, strict=True):
        rows = [row for row in result.select(result.design, phase) if row.case.imbalance]
        places = [layers.index(row.layer) for row in rows]
        pairs = [row.case.imbalance or {} for row in rows]
        before, after = ([float(one[key]) for one in pairs] for key in ("before", "after"))
        axis.vlines(places, after, before, color="#BBBBBB", linewidth=0.8, zorder=1)
        size = max(2.0, 4.5 - len(layers) / 25)
        axis.plot(places, before, "o", color=ORANGE, markersize=size, label="without balancing")
        axis.plot(places, after, "s", color=BLUE, markersize=size * 0.9, label="with balancing")
        axis.set_xlim(-0.7, len(layers) - 0.3)
        axis.set_ylim(0.9, None)
        axis.axhline(1, color="black", linewidth=0.6)
        axis.set_title(phase.replace("_", " "), fontsize=LABEL, loc="left")
        axis.set_xticks([])
    step = -(-len(layers) // _MOST_NAMES)
    names = [cut(name) for name in layers[::step]]
    axes[-1].set_xticks(list(range(len(layers)))[::step], names, rotation=90, fontsize=SMALL)
    figure.supylabel("slowest element / mean", fontsize=LABEL)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=2, fontsize=SMALL, frameon=False, borderaxespad=0.2
    )
    return figure


def _times(result: NetworkResult, phase: Phase, what: str) -> str:
    """Return how many times less the design takes than the baseline."""
    return "" if result.baseline is None else f"{getattr(result.ratio(phase), what):.2f}x"


def draw_energy_by_layer(result: NetworkResult) -> Figure:
    """Return a figure of the energy of each layer by level, over all phases: the baseline beside the design.

    Parameters
    ----------
    result : NetworkResult
    """
    layers = result.layers
    order = [name for name in (result.baseline, result.design) if name is not None]
    totals = {(design, layer): result.totals(design, layer=layer) for design in order for layer in layers}
    unit, scale = energy_scale_of(max(one.energy_pj for one in totals.values()))
    colors = {
        name: color
        for name, color in result_colors(result).items()
        if any(one.energy_by_level.get(name) for one in totals.values())
    }
    wide = len(layers) * len(order) > _MOST_BARS
    figure, (axis,) = new_figure(2.6, width=PAGE_INCHES if wide else COLUMN_INCHES)
    breadth = 0.8 / len(order)
    for number, design in enumerate(order):
        places = [place + (number - (len(order) - 1) / 2) * breadth for place in range(len(layers))]
        bottom = [0.0] * len(layers)
        style = {"hatch": HATCH, "edgecolor": "white"} if design == result.baseline else {}
        for name, color in colors.items():
            heights = [totals[design, layer].energy_by_level.get(name, 0.0) * scale for layer in layers]
            axis.bar(places, heights, breadth, bottom, color=color, linewidth=0, **style)
            bottom = [one + height for one, height in zip(bottom, heights, strict=True)]
    most = _MOST_NAMES * (2 if wide else 1)
    step = -(-len(layers) // most)
    names = [cut(name) for name in layers[::step]]
    axis.set_xticks(list(range(len(layers)))[::step], names, rotation=90, fontsize=SMALL)
    axis.set_xlim(-0.7, len(layers) - 0.3)
    axis.set_ylim(0, 1.05 * max(one.energy_pj for one in totals.values()) * scale or 1.0)
    axis.set_ylabel(f"energy [{unit}]", fontsize=LABEL)
    compared = result.baseline is not None
    room = 100 if wide else 50
    add_legend(figure, colors, result.baseline, result.design if compared else None, room=room)
    return figure
