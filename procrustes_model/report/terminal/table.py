"""A result as tables for the terminal."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from procrustes_model.report.terminal.area import describe_area
from procrustes_model.report.terminal.sheet import GAPS, Column, Sheet, format_sheet, one_table
from procrustes_model.report.terminal.style import Style, labelled, wrap
from procrustes_model.report.terminal.time import describe_time
from procrustes_model.report.terminal.units import (
    format_count,
    format_energy,
    format_share,
    four_digits,
    whole_count,
)

if TYPE_CHECKING:
    from procrustes_model.model.result import LevelResult, Result
    from procrustes_model.spec.architecture import Architecture, StorageLevel

_BAR_CELLS = 8
_BARS = ""
_ENERGIES = ("Energy", "Share", _BARS)
_TITLES = ("Level", "Tensor", "Reads", "Fills", "Updates", "Tile", *_ENERGIES)
_LEFT = ("Level", "Tensor", _BARS)
_STYLES = {"Level": "bold", "Tensor": "cyan", "Energy": "green", _BARS: "green"}


def format_table(result: Result, style: Style | None = None) -> str:
    """Return accesses and energy per level and tensor.

    Counts are exact where the width allows, else they are shortened to four digits. Where even that is
    too wide, energies stand in a table of their own.

    Parameters
    ----------
    result : Result
    style : Style, optional
        Plain, 80 columns wide by default.

    Returns
    -------
    str
        Lines without trailing spaces and no line end after the last.
    """
    style = style or Style()
    numbers = (whole_count, partial(whole_count, separator=""), format_count)
    sheets = {}
    for number in numbers:
        sheets = {bars: _sheet(result, style, number, bars=bars) for bars in (style.bars, False)}
        for gap in GAPS:
            for sheet in sheets.values():
                if (text := one_table(sheet, style, gap)) is not None:
                    return text
    return format_sheet(sheets[False], style)


def format_summary(
    result: Result, architecture: Architecture | None = None, style: Style | None = None
) -> str:
    """Return cycles and what limits them, utilisation, energy, energy-delay product, and area where stated.

    Parameters
    ----------
    result : Result
    architecture : Architecture, optional
        The one evaluated; adds the bandwidths of the levels that limit.
    style : Style, optional
        80 columns wide by default.

    Returns
    -------
    str
        No line end after the last line.
    """
    compute = result.compute
    slow = [level for level in result.levels if level.cycles > compute.cycles]
    limit = f"limited by {result.bottleneck}" + ("" if slow else " (no level is slower)")
    lines = labelled("Cycles", [f"{result.cycles:,}, {limit}"], style)
    if slow:
        width = max(len(name) for name in (compute.name, *(level.name for level in slow)))
        lines.append(f"  {compute.name:<{width}}  {compute.cycles:,}")
        specs = {spec.name: spec for spec in architecture.levels} if architecture else {}
        for level in slow:
            # Without computations nothing sets a pace that the level would have to keep.
            steps = compute.cycles if compute.computes else 0
            reason = _reason(level, steps, specs.get(level.name))
            head = f"  {level.name:<{width}}  {level.cycles:,}  "
            first, *more = wrap(reason, style, len(head))
            lines += [f"{head}{first}", *(f"{'':<{len(head)}}{line}" for line in more)]
    array = f"{compute.instances_used:,} of {compute.instances:,} {compute.name} instances used"
    said = {
        "Array": [f"{format_share(compute.instances_used, compute.instances)}, {array}"],
        "Utilization": [f"{format_share(result.utilization, 1)} of all {compute.name} x cycles"],
        "Computes": [whole_count(compute.computes)],
        "Energy": [format_energy(result.energy_pj)],
        "Energy/MAC": [f"{format_energy(result.energy_per_mac_pj)}{_per_done(result)}"],
        "EDP": [f"{four_digits(result.edp_j_cycles)} J x cycles"],
        "Time": describe_time(result.time),
        "Area": describe_area(result.area),
    }
    lines += [line for label, texts in said.items() for line in labelled(label, texts, style)]
    return "\n".join(lines)


def _per_done(result: Result) -> str:
    """Return the energy per operation that is done, where zeros save some."""
    if result.compute.computes in (0, result.dense_computes):
        return ""
    return f" of the dense problem, {format_energy(result.energy_per_done_mac_pj)} per MAC that is done"


def _reason(level: LevelResult, steps: int, spec: StorageLevel | None) -> str:
    """Say which bandwidth makes `level` slower than the nest's `steps`, in words per cycle and instance.

    Of 0 steps it is said how many words there are.
    """
    reads = sum(tensor.reads for tensor in level.tensors)
    writes = sum(tensor.fills + tensor.updates for tensor in level.tensors)
    words, given = {
        "read bandwidth": (reads, spec and spec.read_bandwidth),
        "write bandwidth": (writes, spec and spec.write_bandwidth),
    }.get(level.limited_by, (reads + writes, spec and spec.shared_bandwidth))
    has = f", has {given:g}" if given else ""
    if not steps:
        return f"{level.limited_by}: {whole_count(words)} words{has}"
    return f"{level.limited_by}: needs {four_digits(words / steps)} words/cycle{has}"


def _sheet(result: Result, style: Style, number: Callable[[float], str], *, bars: bool) -> Sheet:
    """Return the table with counts as `number` writes them, and with small bars or without."""
    total = result.energy_pj
    rows: list[tuple[str, ...]] = []
    rules = set()

    def add(level: str, tensor: str, counts: tuple[float, ...], energy: float | None) -> None:
        cells = [number(count) for count in counts] or [""] * 4
        energies = ["", "", ""]
        if energy is not None:
            bar = _bar(energy / total if total else 0.0, style.unicode)
            energies = [format_energy(energy), format_share(energy, total), bar]
        rows.append((level, tensor, *cells, *energies))

    for level in result.levels:
        notes = _notes(level)
        for i in range(max(len(notes), len(level.tensors))):
            note = notes[i] if i < len(notes) else ""
            if i < len(level.tensors):
                t = level.tensors[i]
                add(note, t.tensor, (t.reads, t.fills, t.updates, t.tile_words), t.energy_pj)
            else:
                add(note, "", (), None)
        rules.add(len(rows))
    compute = result.compute
    add(compute.name, "", (), compute.energy_pj)
    add(f"{compute.instances_used:,} of {compute.instances:,}", "", (), None)
    for name, energy in result.extras:
        add(name, "", (), energy)
    rules.add(len(rows))
    add("Total", "", (), total)
    columns = [
        Column(title, tuple(row[i] for row in rows), title in _LEFT, _STYLES.get(title), title in _ENERGIES)
        for i, title in enumerate(_TITLES if bars else _TITLES[:-1])
    ]
    captions = ("Words per instance, energy of all instances used.", "Energy of all instances used.")
    return Sheet(tuple(columns[:2]), tuple(columns[2:]), captions, frozenset(rules))


def _notes(level: LevelResult) -> list[str]:
    """Return what stands in the level's column, line by line."""
    notes = [level.name, f"{level.instances_used:,} of {level.instances:,}"]
    if level.capacity_words is not None:
        notes.append(f"{format_share(level.used_words, level.capacity_words)} full")
    return notes


def _bar(share: float, unicode: bool) -> str:
    """Return a bar of up to `_BAR_CELLS` characters; in eighths of a character where that can be drawn."""
    if not unicode:
        return "#" * round(share * _BAR_CELLS)
    whole, part = divmod(round(share * _BAR_CELLS * 8), 8)
    return "█" * whole + ("▏▎▍▌▋▊▉"[part - 1] if part else "")
