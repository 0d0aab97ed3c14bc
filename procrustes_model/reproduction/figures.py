"""The figures of the items, from the rows of their CSV."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from procrustes_model.report.figures.bars import (
    LABEL,
    SMALL,
    Bar,
    Group,
    add_legend,
    color_parts,
    draw_bars,
)
from procrustes_model.report.figures.style import BLUE, GREEN, GREY, ORANGE, VERMILION, new_figure
from procrustes_model.reproduction.request import CONV512
from procrustes_model.reproduction.rows import ALL, TOTAL, Rows
from procrustes_model.reproduction.working_sets import BIN
from procrustes_model.vocabulary import PHASES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from procrustes_model.reproduction.study import Item

_SEEN = 0.002
_FLOW_COLORS = {"CK": ORANGE, "CN": GREEN, "KN": BLUE, "PQ": GREY}


def draw_item(item: Item, rows: Rows) -> Figure:
    """Return the figure of an item, one column wide.

    Parameters
    ----------
    item : Item
    rows : list of dict
        Of its CSV.
    """
    draw: dict[str, Callable[[Rows], Figure]] = {
        "energy": _energy,
        "cycles": _cycles,
        "dataflows": _dataflows,
        "imbalance": _imbalance,
        "scaling": _scaling,
        CONV512: _conv512,
    }
    return draw[item.name](rows)


def _energy(rows: Rows) -> Figure:
    figure, (axis,) = new_figure(2.6)
    parts = list(dict.fromkeys(row["part"] for row in rows if row["part"] != TOTAL and row["energy_pj"]))
    colors = color_parts(parts, "MAC")
    groups = []
    for network in _networks(rows):
        own = [row for row in rows if row["network"] == network]
        whole = _one(own, phase=ALL, machine="dense", part=TOTAL)["energy_pj"]
        bars = []
        for phase in PHASES:
            for machine in ("dense", "sparse"):
                values = {
                    part: sum(
                        row["energy_pj"] / whole
                        for row in own
                        if (row["phase"], row["machine"], row["part"]) == (phase, machine, part)
                    )
                    for part in parts
                }
                bars.append(Bar(values, phase.short, hatched=machine == "dense"))
        gain = _one(own, phase=ALL, machine="sparse", part=TOTAL)["dense_over_this"]
        groups.append(Group(_fold(network), tuple(bars), f"{gain:.2f}x"))
    draw_bars(axis, groups, colors, "energy / dense total")
    add_legend(figure, colors, "dense", "sparse")
    return figure


def _cycles(rows: Rows) -> Figure:
    figure, (axis,) = new_figure(2.3)
    groups = []
    for network in _networks(rows):
        own = [row for row in rows if row["network"] == network]
        whole = _one(own, phase=ALL, machine="dense")["cycles"]
        bars = [
            Bar({machine: _one(own, phase=phase, machine=machine)["cycles"] / whole}, phase.short)
            for phase in PHASES
            for machine in ("dense", "sparse")
        ]
        gain = _one(own, phase=ALL, machine="sparse")["dense_over_this"]
        groups.append(Group(_fold(network), tuple(bars), f"{gain:.2f}x"))
    colors = {"dense": GREY, "sparse": BLUE}
    draw_bars(axis, groups, colors, "cycles / dense total")
    add_legend(figure, colors)
    return figure


def _dataflows(rows: Rows) -> Figure:
    figure, axes = new_figure(3.6, 2)
    flows = list(dict.fromkeys(row["dataflow"] for row in rows))
    for axis, what in zip(axes, ("energy", "cycles"), strict=True):
        groups = []
        for network in _networks(rows):
            own = [row for row in rows if row["network"] == network and row["phase"] == ALL]
            bars = tuple(Bar({flow: _one(own, dataflow=flow)[f"{what}_over_first"]}) for flow in flows)
            groups.append(Group(_fold(network), bars))
        draw_bars(axis, groups, {flow: _FLOW_COLORS.get(flow, VERMILION) for flow in flows}, f"{what} / KN")
        axis.axhline(1, color="black", linewidth=0.6)
    add_legend(figure, {flow: _FLOW_COLORS.get(flow, VERMILION) for flow in flows})
    return figure


def _scaling(rows: Rows) -> Figure:
    figure, axes = new_figure(3.6, 2)
    machines = list(dict.fromkeys((row["architecture"], row["machine"]) for row in rows))
    names = {pair: f"{pair[0].removeprefix('procrustes_')} {pair[1]}" for pair in machines}
    colors = dict(zip(names.values(), ("#BBBBBB", "#56B4E9", "#666666", BLUE), strict=False))
    for axis, what, title in zip(axes, ("energy_pj", "cycles"), ("energy", "cycles"), strict=True):
        groups = []
        for network in _networks(rows):
            own = [row for row in rows if row["network"] == network and row["phase"] == ALL]
            whole = own[0][what]
            bars = tuple(
                Bar({names[pair]: _one(own, architecture=pair[0], machine=pair[1])[what] / whole})
                for pair in machines
            )
            groups.append(Group(_fold(network), bars))
        draw_bars(axis, groups, colors, f"{title} / {next(iter(names.values()))}")
    add_legend(figure, colors)
    return figure


def _conv512(rows: Rows) -> Figure:
    figure, axes = new_figure(3.4, 2)
    colors = {"authors' tool": ORANGE, "this model": BLUE}
    for axis, title in zip(axes, ("energy [mJ]", "million cycles"), strict=True):
        groups = []
        for phase in PHASES:
            bars = []
            for machine in ("dense", "sparse"):
                row = _one(rows, phase=phase, machine=machine)
                ours = row["energy_pj"] * 1e-9 if "energy" in title else row["cycles"] * 1e-6
                theirs = row["published_energy_mj"] if "energy" in title else row["published_cycles"] * 1e-6
                bars += [Bar({"authors' tool": theirs}, machine), Bar({"this model": ours}, machine)]
            groups.append(Group(phase.short, tuple(bars)))
        draw_bars(axis, groups, colors, title)
    add_legend(figure, colors)
    return figure


def _imbalance(rows: Rows) -> Figure:
    networks = _networks(rows)
    figure, axes = new_figure(0.75 + 0.85 * len(networks), len(networks))
    end = _last_seen(rows)
    for axis, network in zip(axes, networks, strict=True):
        own = [row for row in rows if row["network"] == network]
        edges = [row["work_from"] for row in own]
        edges.append(edges[-1] + BIN)
        styles: dict[str, dict[str, Any]] = {
            "before": {"fill": True, "color": ORANGE, "alpha": 0.6},
            "after": {"color": BLUE},
        }
        for side, style in styles.items():
            counts = [row[f"slowest_{side}"] for row in own]
            shares = [100 * count / sum(counts) for count in counts]
            axis.stairs(shares, edges, linewidth=1.1, label=f"{side} balancing", **style)
        text = f"mean {own[0]['mean_before']:.2f} before, {own[0]['mean_after']:.2f} after"
        axis.text(0.99, 0.93, text, ha="right", va="top", fontsize=SMALL, transform=axis.transAxes)
        axis.set_title(network, fontsize=LABEL, loc="left", pad=2)
        axis.set_xlim(1 - 0.02, end)
        axis.set_ylim(0, None)
        if axis is not axes[-1]:
            axis.tick_params(labelbottom=False)
    axes[-1].set_xlabel("slowest element's work / mean", fontsize=LABEL)
    figure.supylabel("array-level tiles [%]", fontsize=LABEL)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=2, fontsize=SMALL, frameon=False, borderaxespad=0.2
    )
    return figure


def _last_seen(rows: Rows) -> float:
    """Return the end of the last bin that holds enough of a network's tiles to be seen."""
    ends = [1.2]
    for network in _networks(rows):
        own = [row for row in rows if row["network"] == network]
        for side in ("before", "after"):
            enough = _SEEN * sum(row[f"slowest_{side}"] for row in own)
            ends += [row["work_from"] + 2 * BIN for row in own if row[f"slowest_{side}"] > enough]
    return float(max(ends))


def _networks(rows: Rows) -> list[str]:
    return list(dict.fromkeys(row["network"] for row in rows))


def _one(rows: Rows, **values: Any) -> dict[str, Any]:
    """Return the row that has these values."""
    return next(row for row in rows if all(row[key] == value for key, value in values.items()))


def _fold(label: str) -> str:
    """Return a label in two lines where it is long."""
    if len(label) <= 7:
        return label
    head, dash, tail = label.partition("-")
    return f"{head}{dash}\n{tail}" if dash else f"{label[:6]}-\n{label[6:]}" if len(label) > 8 else label
