"""Figures of evaluations: energy and cycles by level, and how full levels are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from procrustes_model.report.figures.bars import LABEL, SMALL, add_legend
from procrustes_model.report.figures.scales import cut, cycle_scale_of, energy_scale_of
from procrustes_model.report.figures.style import (
    BLUE,
    COLUMN_INCHES,
    GREEN,
    GREY,
    ORANGE,
    PAGE_INCHES,
    PURPLE,
    SKY,
    VERMILION,
    YELLOW,
    new_figure,
)
from procrustes_model.spec.architecture import NETWORKS_PART

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from procrustes_model.model.result import LevelResult, Result
    from procrustes_model.model.sparse.result import SparseTensorCounts

_TENSORS = (BLUE, ORANGE, GREEN, SKY, PURPLE, YELLOW, VERMILION)
ALONE = "compute and others"
"""What energy is called that belongs to no tensor."""
TOGETHER = "all tensors"
"""What words are called that cannot be told apart by tensor."""
_ROW = 0.21
"""Inches of a bar with the gap to the next."""
_ROOM = 1.5
"""Width of an axis over the longest bar: numbers stand behind bars."""


def tensor_colors(results: Sequence[Result]) -> dict[str, str]:
    """Return a colour for every tensor, the same in all figures of these results."""
    known = [one.specs.problem.tensors for one in results if one.specs is not None]
    names = dict.fromkeys(tensor.name for tensors in known for tensor in tensors)
    names |= dict.fromkeys(
        counts.tensor for one in results for level in one.levels for counts in level.tensors
    )
    return {name: _TENSORS[i % len(_TENSORS)] for i, name in enumerate(names)}


def energy_by_tensor(result: Result) -> dict[str, dict[str, float]]:
    """Return the energy of every part of a machine in pJ, by tensor where it belongs to one.

    Parameters
    ----------
    result : Result

    Returns
    -------
    dict of str to dict
        Levels outermost first, compute, then what stands beside them; it adds up to the result's energy.
    """
    parts: dict[str, dict[str, float]] = {
        level.name: {counts.tensor: counts.energy_pj for counts in level.tensors} for level in result.levels
    }
    parts[result.compute.name] = {ALONE: result.compute.energy_pj}
    parts |= {one.name: dict(one.energy_by_tensor_pj) for one in result.networks}
    return parts | {name: {ALONE: energy} for name, energy in result.extras if name != NETWORKS_PART}


def cycles_by_part(result: Result) -> dict[str, int]:
    """Return the cycles that every part of a machine would take alone."""
    parts = {level.name: level.cycles for level in result.levels}
    parts[result.compute.name] = result.compute.cycles
    beside = [(one.name, one.cycles) for one in result.networks]
    beside += [(one.name, one.cycles) for one in result.components]
    return parts | {name: cycles for name, cycles in beside if cycles is not None}


def words_by_tensor(level: LevelResult, result: Result) -> dict[str, float]:
    """Return the words that one instance of a level holds, by tensor; they add up to `used_words`.

    Of several tensors that share what is counted together, or have wider partial sums, it is the sum alone.
    """
    own = {counts.tensor: _stored(counts, level, result) for counts in level.tensors}
    if len(own) == 1:
        return dict.fromkeys(own, float(level.used_words))
    whole = abs(sum(own.values()) - level.used_words) <= 1e-9 * max(1.0, level.used_words)
    return own if whole else {TOGETHER: float(level.used_words)}


def _stored(counts: Any, level: LevelResult, result: Result) -> float:
    """Return the words of a tensor's tile, those of metadata that lie there included."""
    if hasattr(counts, "sparse"):
        return float(cast("SparseTensorCounts", counts).sparse.stored_words)
    if counts.tensor not in result.bits or result.specs is None:
        return float(counts.tile_words)
    bits = next(one.word_bits for one in result.specs.architecture.levels if one.name == level.name)
    return float(counts.tile_words * result.bits[counts.tensor] / bits)


def draw_energy(results: Sequence[Result]) -> Figure:
    """Return a figure of energy by level and tensor, and of the cycles of each part, a row per result.

    Parameters
    ----------
    results : sequence of Result
        Of one machine, such as the phases of a layer.
    """
    energies, cycles = [energy_by_tensor(one) for one in results], [cycles_by_part(one) for one in results]
    names = dict.fromkeys(name for one in energies for name in one)
    names |= dict.fromkeys(name for one in cycles for name in one)
    shown = [
        name
        for name in names
        if any(sum(one.get(name, {}).values()) for one in energies) or any(name in one for one in cycles)
    ]
    height = 0.35 + len(results) * (0.75 + _ROW * len(shown))
    figure, axes = new_figure(height, len(results), 2, width=PAGE_INCHES)
    colors = tensor_colors(results) | {ALONE: GREY}
    most = max(sum(part.values()) for one in energies for part in one.values())
    energy_unit, energy_scale = energy_scale_of(most)
    longest = max(one.cycles for one in results)
    cycle_unit, cycle_scale = cycle_scale_of(longest)
    for row, result in enumerate(results):
        left, right = axes[2 * row : 2 * row + 2]
        scaled = [
            {key: value * energy_scale for key, value in energies[row].get(name, {}).items()}
            for name in shown
        ]
        _draw_parts(left, shown, scaled, colors)
        total = result.energy_pj * energy_scale
        for place, one in enumerate(scaled):
            energy = sum(one.values())
            share = f"{100 * energy / total:.1f}%" if total else "-"
            _note(left, place, energy, f"{energy:.3g}  ({share})")
        left.set_xlim(0, (most * energy_scale or 1.0) * _ROOM)
        phase = f"{result.phase.replace('_', ' ')}: " if result.phase else ""
        left.set_title(f"{phase}{total:.4g} {energy_unit}", fontsize=LABEL, loc="left")
        _draw_cycles(right, result, [cycles[row].get(name) for name in shown], cycle_scale)
        right.set_xlim(0, (longest * cycle_scale or 1.0) * _ROOM)
    axes[-2].set_xlabel(f"energy [{energy_unit}]", fontsize=LABEL)
    axes[-1].set_xlabel(f"{cycle_unit} of each part alone", fontsize=LABEL)
    used = {key for one in energies for part in one.values() for key, value in part.items() if value}
    add_legend(figure, {name: color for name, color in colors.items() if name in used}, room=100)
    return figure


def _draw_cycles(axis: Any, result: Result, cycles: Sequence[int | None], scale: float) -> None:
    """Draw the cycles of each part alone, and a line at those of the slowest."""
    known = [(place, one) for place, one in enumerate(cycles) if one is not None]
    axis.barh([place for place, _ in known], [one * scale for _, one in known], 0.8, color=GREY, linewidth=0)
    for place, one in known:
        _note(axis, place, one * scale, f"{one:,}")
    axis.axvline(result.cycles * scale, color="black", linewidth=0.8, linestyle="--")
    axis.set_yticks([])
    axis.set_ylim(len(cycles) - 0.4, -0.6)
    axis.set_title(
        f"{result.cycles:,} cycles, limited by {cut(result.bottleneck)}", fontsize=LABEL, loc="left"
    )


def draw_capacity(results: Sequence[Result]) -> Figure:
    """Return a figure of how full each level with a capacity is, by tensor, a panel per result.

    Parameters
    ----------
    results : sequence of Result
        Of one machine, such as the phases of a layer.
    """
    limited = [
        [level for level in one.levels if level.capacity_words is not None and level.capacity_words > 0]
        for one in results
    ]
    most = max(1, *(len(levels) for levels in limited))
    figure, axes = new_figure(
        0.45 + len(results) * (0.6 + 0.3 * most), len(results), width=1.3 * COLUMN_INCHES
    )
    colors = tensor_colors(results) | {TOGETHER: GREY}
    used: set[str] = set()
    for axis, result, levels in zip(axes, results, limited, strict=True):
        parts = []
        for level in levels:
            words, room = words_by_tensor(level, result), float(level.capacity_words or 1)
            parts.append({name: 100 * one / room for name, one in words.items()})
            used |= set(words)
        _draw_parts(axis, [level.name for level in levels], parts, colors)
        for place, (level, one) in enumerate(zip(levels, parts, strict=True)):
            text = f"{sum(one.values()):.1f}% of {level.capacity_words:,} words"
            _note(axis, place, max(100.0, sum(one.values())), text)
        axis.axvline(100, color="black", linewidth=0.8, linestyle="--")
        axis.set_xlim(0, 165)
        axis.set_xticks([0, 25, 50, 75, 100])
        if result.phase:
            axis.set_title(result.phase.replace("_", " "), fontsize=LABEL, loc="left")
        if not levels:
            axis.text(0.5, 0.5, "no level states a capacity", transform=axis.transAxes, fontsize=SMALL)
    axes[-1].set_xlabel("words of the tiles / usable capacity of an instance [%]", fontsize=LABEL)
    add_legend(figure, {name: color for name, color in colors.items() if name in used})
    return figure


def _draw_parts(
    axis: Any, names: Sequence[str], parts: Sequence[Mapping[str, float]], colors: Mapping[str, str]
) -> None:
    """Draw lying bars, the first at the top, each made of parts from the left."""
    for place, one in enumerate(parts):
        start = 0.0
        for name, color in colors.items():
            if value := one.get(name, 0.0):
                axis.barh(place, value, 0.8, start, color=color, linewidth=0)
                start += value
    axis.set_yticks(range(len(names)), [cut(name, 22) for name in names], fontsize=SMALL)
    axis.tick_params(axis="y", length=0)
    axis.set_ylim(max(len(names), 1) - 0.4, -0.6)


def _note(axis: Any, place: float, end: float, text: str) -> None:
    """Write a number behind a bar."""
    axis.annotate(text, (end, place), (3, 0), textcoords="offset points", va="center", fontsize=SMALL)
