"""Rooflines: the operations per cycle that a machine could do, and those that layers get."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.report.figures.bars import LABEL, SMALL
from procrustes_model.report.figures.scales import cut
from procrustes_model.report.figures.style import (
    BLUE,
    COLUMN_INCHES,
    GREEN,
    GREY,
    ORANGE,
    PAGE_INCHES,
    new_figure,
)
from procrustes_model.spec.architecture import Architecture
from procrustes_model.vocabulary import Phase

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from procrustes_model.model.result import Result
    from procrustes_model.network.result import NetworkResult

_PHASES: Mapping[str, tuple[str, str]] = {
    Phase.FORWARD: (BLUE, "o"),
    Phase.BACKWARD: (ORANGE, "s"),
    Phase.WEIGHT_UPDATE: (GREEN, "^"),
}
_READS = ("read", "gated_read", "metadata_read")
_WRITES = tuple(f"{kind}{action}" for kind in ("", "gated_", "metadata_") for action in ("fill", "update"))
_MOST_NAMED = 24
"""Layers of a figure that have numbers, at most."""
_NEAR = 0.06
"""Part of an axis within which points share a label."""
_PANEL = (170.0, 100.0)
"""Width and height of a panel in points, at least."""
_BESIDE = ((1, -1), (1, 1), (-1, -1), (-1, 1), (1, -9), (1, 9), (-1, -9), (-1, 9))
"""Where a label may stand: to the right or the left of its point, and how many points above or below it."""


@dataclass(frozen=True)
class Port:
    """A bandwidth of a level.

    Attributes
    ----------
    level : str
    kind : str
        ``read``, ``write`` or ``shared``.
    actions : tuple of str
        What goes over it.
    words_per_cycle : float or None
        Of all instances that the machine has; None: it states none.
    """

    level: str
    kind: str
    actions: tuple[str, ...]
    words_per_cycle: float | None

    @property
    def title(self) -> str:
        """What its panel is called."""
        if self.words_per_cycle is None:
            return f"{cut(self.level)}: no bandwidth stated"
        what = "" if self.kind == "shared" else f", {self.kind}s"
        return f"{cut(self.level)}{what}: {_written(self.words_per_cycle)} words/cycle"


@dataclass(frozen=True)
class Work:
    """One layer in one phase.

    Attributes
    ----------
    name : str
    phase : str or None
    compute : mapping
        The compute level's result as plain data.
    cycles : int
    records : sequence of mapping
        As `Result.to_records` returns them.
    """

    name: str
    phase: str | None
    compute: Mapping[str, Any]
    cycles: int
    records: Sequence[Mapping[str, Any]]

    @property
    def operations(self) -> float:
        """Operations that are done."""
        return float(self.compute["computes"])

    @property
    def peak(self) -> float:
        """Operations per cycle of all units that the machine has, at the bits of this work."""
        return float(self.compute["instances"] / self.compute.get("cycles_per_compute", 1))

    @property
    def performance(self) -> float:
        """Operations per cycle."""
        return self.operations / self.cycles if self.cycles else 0.0

    def intensity(self, port: Port) -> float | None:
        """Return the operations per word that goes over a port; None where none does."""
        words = sum(
            row["count"] * row["instances"]
            for row in self.records
            if row["level"] == port.level and row["action"] in port.actions
        )
        return self.operations / words if words else None


def ports_of(architecture: Architecture) -> list[Port]:
    """Return the bandwidths that a machine states, outermost first; without any, the outermost level."""
    ports = []
    for index, level in enumerate(architecture.levels):
        instances = architecture.instances(index)
        for kind, actions, stated in (
            ("shared", (*_READS, *_WRITES), level.shared_bandwidth),
            ("read", _READS, level.read_bandwidth),
            ("write", _WRITES, level.write_bandwidth),
        ):
            if stated is not None:
                ports.append(Port(level.name, kind, actions, stated * instances))
    outermost = architecture.levels[0].name
    return ports or [Port(outermost, "shared", (*_READS, *_WRITES), None)]


def draw_roofline(result: NetworkResult | Sequence[Result]) -> Figure:
    """Return a figure with a panel per bandwidth: what it and the compute units allow, and what layers get.

    A point is a layer in a phase: operations done per word that went over this level, and per cycle. A point
    on the slope is limited by the panel's bandwidth; one on the flat part by the compute units.

    Parameters
    ----------
    result : NetworkResult or sequence of Result
        Of a run, the layers of the design that is asked about.

    Raises
    ------
    SpecError
        When a result does not know its machine, or nothing is computed.
    """
    if len(getattr(result, "machines", ())) > 1:
        raise SpecError(
            Issue("layers on several machines have no roofline in common", "plot energy, or layers")
        )
    architecture, works, title = _gather(result)
    works = [one for one in works if one.performance > 0]
    if not works:
        raise SpecError(Issue("there is no computation to place under a roofline"))
    ports = ports_of(architecture)
    columns = 1 if len(ports) == 1 else 2
    rows = -(-len(ports) // columns)
    figure, axes = new_figure(
        0.7 + 2.1 * rows, rows, columns, width=PAGE_INCHES if columns == 2 else 1.25 * COLUMN_INCHES
    )
    peak = max(one.peak for one in works)
    names = list(dict.fromkeys(work.name for work in works))
    numbers = {name: number for number, name in enumerate(names, 1)}
    if not 1 < len(numbers) <= _MOST_NAMED:
        numbers = {}
    for axis, port in zip(axes, ports, strict=False):
        _draw(axis, port, works, peak, architecture.compute.name)
        _number(axis, port, works, numbers)
    if numbers:
        _name(figure, numbers)
    for axis in axes[len(ports) :]:
        axis.set_axis_off()
    handles, labels = axes[0].get_legend_handles_labels()
    if len(labels) > 1 or works[0].phase:
        figure.legend(
            handles,
            labels,
            loc="outside lower center",
            ncols=3,
            fontsize=SMALL,
            frameon=False,
            borderaxespad=0.2,
        )
    figure.suptitle(title, fontsize=LABEL)
    return figure


def _gather(result: Any) -> tuple[Architecture, list[Work], str]:
    """Return the machine, the works, and what they are of."""
    if not isinstance(result, Sequence):
        works = [
            Work(row.layer, row.phase, row.case.result["compute"], row.case.cycles, row.case.rows)
            for row in result.select(result.design)
            if row.case.searched  # what has units of its own is not under the roof of the machine's
        ]
        title = f"{cut(result.network, 30)} on {cut(result.architecture, 30)}, {cut(result.design, 24)}"
        return Architecture(**result.inputs["architecture"]), works, title
    first = result[0]
    if first.specs is None:
        raise SpecError(Issue("a result that was read or made by hand knows no machine to draw"))
    works = [
        Work(one.problem, one.phase, asdict(one.compute), one.cycles, one.to_records()) for one in result
    ]
    title = f"{cut(first.problem, 30)} on {cut(first.architecture, 30)}"
    return first.specs.architecture, works, title


def _draw(axis: Any, port: Port, works: Iterable[Work], peak: float, compute: str) -> None:
    """Draw the roof of a port and the works under it."""
    placed = [(work, at) for work in works if (at := work.intensity(port)) is not None]
    places = [at for _, at in placed] or [1.0]
    ridge = None if port.words_per_cycle is None else peak / port.words_per_cycle
    low = min(*places, ridge or places[0]) / 3
    high = max(*places, ridge or places[0]) * 3
    roof_x = [low, high] if ridge is None else [low, ridge, high]
    roof_y = [peak if ridge is None else min(peak, x * peak / ridge) for x in roof_x]
    _set_log(axis)
    axis.plot(roof_x, roof_y, color="black", linewidth=1.1, zorder=1)
    for phase, (color, marker) in [*_PHASES.items(), (None, (GREY, "o"))]:
        mine = [(at, work.performance) for work, at in placed if work.phase == phase]
        if mine:
            label = "no phase" if phase is None else phase.replace("_", " ")
            xs, ys = zip(*mine, strict=True)
            axis.plot(
                xs, ys, marker, color=color, markersize=4, label=label, alpha=0.8, markeredgewidth=0, zorder=2
            )
    least = min([work.performance for work, _ in placed] or [peak])
    axis.set_xlim(low, high)
    axis.set_ylim(min(least, *roof_y) / 2, peak * 2.2)
    axis.annotate(
        f"{_written(peak)} {cut(compute)}/cycle",
        (high, peak),
        (-2, 2),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=SMALL,
    )
    axis.set_title(port.title, fontsize=LABEL, loc="left")
    axis.set_xlabel(f"{cut(compute)} operations / word", fontsize=LABEL)
    axis.set_ylabel("operations / cycle", fontsize=LABEL)
    axis.set_axisbelow(True)
    axis.grid(which="major", color="#E4E4E4", linewidth=0.5, zorder=0)


def _number(axis: Any, port: Port, works: Iterable[Work], numbers: Mapping[str, int]) -> None:
    """Write the numbers of layers beside their points: those of points that lie together, together."""
    limits = (axis.get_xlim(), axis.get_ylim())
    spans = [math.log(high / low) for low, high in limits]
    places: list[tuple[tuple[float, float], list[int]]] = []
    for work in works:
        at = work.intensity(port)
        if at is None or work.name not in numbers:
            continue
        spot = (math.log(at / limits[0][0]) / spans[0], math.log(work.performance / limits[1][0]) / spans[1])
        near = [one for one in places if all(abs(a - b) < _NEAR for a, b in zip(one[0], spot, strict=True))]
        if not near:
            near = [(spot, [])]
            places += near
        near[0][1].append(numbers[work.name])
    taken = [(x * _PANEL[0] - 2, y * _PANEL[1] - 2, 4.0, 4.0) for (x, y), _ in places]
    roof = math.log(max(axis.lines[0].get_ydata()) / limits[1][0]) / spans[1]
    taken.append((0.55 * _PANEL[0], roof * _PANEL[1], 0.45 * _PANEL[0], 1.5 * SMALL))  # what stands on it
    for (x, y), found in places:
        text = _ranges(found)
        size = (0.58 * SMALL * len(text), 1.1 * SMALL)
        for right, up in _BESIDE:
            corner = (
                x * _PANEL[0] + (3 if right > 0 else -3 - size[0]),
                y * _PANEL[1] + (up if up > 0 else up - size[1]),
            )
            inside = min(corner) >= 0 and corner[0] + size[0] <= 1.1 * _PANEL[0]
            if inside and not any(_meet((*corner, *size), other) for other in taken):
                break
        else:
            continue  # better none than two on top of each other
        taken.append((*corner, *size))
        axis.annotate(
            text,
            (limits[0][0] * math.exp(x * spans[0]), limits[1][0] * math.exp(y * spans[1])),
            (3 * right, up),
            textcoords="offset points",
            ha="left" if right > 0 else "right",
            va="bottom" if up > 0 else "top",
            fontsize=SMALL,
        )


def _meet(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    """Return whether two boxes overlap: each its lower left corner, width and height."""
    return all(one[i] < other[i] + other[i + 2] and other[i] < one[i] + one[i + 2] for i in (0, 1))


def _ranges(numbers: Iterable[int]) -> str:
    """Return numbers as people list them: ``1-3, 5``."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)


def _name(figure: Figure, numbers: Mapping[str, int]) -> None:
    """Say beside the panels which layer has which number."""
    from matplotlib.lines import Line2D

    blank = Line2D([], [], linestyle="")
    figure.legend(
        [blank] * len(numbers),
        [f"{number} {cut(name)}" for name, number in numbers.items()],
        loc="outside right upper",
        fontsize=SMALL,
        frameon=False,
        handlelength=0,
        handletextpad=0,
        borderaxespad=0.2,
        labelspacing=0.3,
    )


def _set_log(axis: Any) -> None:
    """Make both axes logarithmic, with plain numbers at whole decades, or in between where there is one."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for name, side in (("x", axis.xaxis), ("y", axis.yaxis)):
        getattr(axis, f"set_{name}scale")("log")
        side.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if name == "y" else (1.0,), numticks=8))
        side.set_major_formatter(FuncFormatter(lambda value, _: plain_number(value)))
        side.set_minor_formatter(NullFormatter())


def _written(rate: float) -> str:
    """Return a rate in full where it is whole, else with four digits."""
    return f"{rate:,.0f}" if rate >= 1000 or float(rate).is_integer() else f"{rate:.4g}"


def plain_number(value: float) -> str:
    """Return the number at a tick, such as ``0.5``, ``200`` or ``10M``."""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size * (1 - 1e-9):
            return f"{value / size:.6g}{unit}"
    return f"{value:.6g}"
