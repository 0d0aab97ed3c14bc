"""A result as tables for the terminal."""

from __future__ import annotations

import io
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TextIO

from rich.box import Box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from procrustes_model.report.terminal.area import describe_area
from procrustes_model.report.terminal.time import describe_time
from procrustes_model.report.terminal.units import (
    NO_BREAK,
    format_count,
    format_energy,
    format_share,
    four_digits,
    whole_count,
)

if TYPE_CHECKING:
    from procrustes_model.model.result import LevelResult, Result
    from procrustes_model.spec.architecture import Architecture, StorageLevel

_RULES = " ── \n    \n ── \n    \n ── \n ── \n    \n ── \n"
BOX = Box(_RULES)
ASCII_BOX = Box(_RULES.replace("─", "-"), ascii=True)
_BAR_CELLS = 8


@dataclass(frozen=True)
class Style:
    """How text may look where it is going.

    Attributes
    ----------
    width : int
        Columns.
    color, unicode, bars : bool
        Whether to use colour, characters beyond ASCII, and small bars beside shares.
    """

    width: int = 80
    color: bool = False
    unicode: bool = True
    bars: bool = False

    @classmethod
    def of(cls, stream: TextIO) -> Style:
        """Return what suits `stream`: plain and 80 columns wide unless it is a terminal.

        The environment's ``NO_COLOR`` and ``TERM=dumb`` turn colour off.
        """
        unicode = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "") in (
            "utf8",
            "utf8sig",
        )
        if not stream.isatty():
            return cls(unicode=unicode)
        plain = (
            bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb" or sys.platform == "win32"
        )
        return cls(shutil.get_terminal_size((80, 24)).columns, not plain, unicode, bars=True)


@dataclass(frozen=True)
class _Layout:
    """One way to lay the table out: how numbers look, spaces between columns, bars."""

    number: Callable[[float], str]
    gap: int
    bars: bool


def format_table(result: Result, style: Style | None = None) -> str:
    """Return accesses and energy per level and tensor.

    Counts are exact where the width allows, else they are shortened to four digits. Where even that is
    too wide, so is the table.

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
    layouts = [_Layout(n, gap, bars) for n in numbers for gap in (2, 1) for bars in (style.bars, False)]
    for layout in layouts:
        table = _table(result, style, layout)
        if _width(table, _console(style)) <= style.width:
            break
    return render_table(table, style)


def _console(style: Style) -> Console:
    return Console(
        file=io.StringIO(),
        width=style.width,
        force_terminal=style.color,
        color_system="standard" if style.color else None,
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
        _environ={},
    )


def _width(table: Table, console: Console) -> int:
    return Measurement.get(console, console.options.update(max_width=10_000), table).maximum


def render_table(table: Table, style: Style) -> str:
    """Return a table as text, as wide as it needs to be.

    Parameters
    ----------
    table : rich.table.Table
    style : Style

    Returns
    -------
    str
        Lines without trailing spaces and no line end after the last.
    """
    console = _console(style)
    # On a terminal still narrower, lines that wrap say more than cells that are cut.
    console.width = max(_width(table, console), style.width)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().rstrip().split("\n"))


def format_summary(result: Result, architecture: Architecture | None = None) -> str:
    """Return cycles and what limits them, utilisation, energy, energy-delay product, and area where stated.

    Parameters
    ----------
    result : Result
    architecture : Architecture, optional
        The one evaluated; adds the bandwidths of the levels that limit.

    Returns
    -------
    str
        No line end after the last line.
    """
    compute = result.compute
    slow = [level for level in result.levels if level.cycles > compute.cycles]
    limit = f"limited by {result.bottleneck}" + ("" if slow else " (no level is slower)")
    lines = [f"{'Cycles':<13}{result.cycles:,}, {limit}"]
    if slow:
        width = max(len(name) for name in (compute.name, *(level.name for level in slow)))
        lines.append(f"  {compute.name:<{width}}  {compute.cycles:,}")
        specs = {spec.name: spec for spec in architecture.levels} if architecture else {}
        for level in slow:
            # Without computations nothing sets a pace that the level would have to keep.
            steps = compute.cycles if compute.computes else 0
            reason = _reason(level, steps, specs.get(level.name))
            lines.append(f"  {level.name:<{width}}  {level.cycles:,}  {reason}")
    array = f"{compute.instances_used:,} of {compute.instances:,} {compute.name} instances used"
    return "\n".join(
        [
            *lines,
            f"{'Array':<13}{format_share(compute.instances_used, compute.instances)}, {array}",
            f"{'Utilization':<13}{format_share(result.utilization, 1)} of all {compute.name} x cycles",
            f"{'Computes':<13}{whole_count(compute.computes)}",
            f"{'Energy':<13}{format_energy(result.energy_pj)}",
            f"{'Energy/MAC':<13}{format_energy(result.energy_per_mac_pj)}{_per_done(result)}",
            f"{'EDP':<13}{four_digits(result.edp_j_cycles)} J x cycles",
            *labelled("Time", describe_time(result.time)),
            *labelled("Area", describe_area(result.area)),
        ]
    )


def labelled(label: str, texts: Sequence[str]) -> list[str]:
    """Return texts, each on lines of its own of 80 columns where words allow, after a label."""
    wrapped = (line for text in texts for line in textwrap.wrap(text, 67, break_long_words=False))
    lines = [line.replace(NO_BREAK, " ") for line in wrapped]
    return [f"{label if i == 0 else '':<13}{line}" for i, line in enumerate(lines)]


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


def _table(result: Result, style: Style, layout: _Layout) -> Table:
    table = Table(
        box=BOX if style.unicode else ASCII_BOX,
        pad_edge=False,
        padding=(0, layout.gap - 1, 0, 0),
        caption="Words per instance, energy of all instances used.",
        caption_justify="left",
        caption_style="dim",
    )
    table.add_column("Level", style="bold")
    table.add_column("Tensor", style="cyan")
    for title in ("Reads", "Fills", "Updates", "Tile"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("Energy", justify="right", no_wrap=True, style="green")
    table.add_column("Share", justify="right", no_wrap=True)
    if layout.bars:
        table.add_column("", no_wrap=True, style="green")
    total = result.energy_pj

    def row(level: str, tensor: str, counts: tuple[float, ...], energy: float | None) -> None:
        cells = [layout.number(count) for count in counts] or [""] * 4
        if energy is None:
            table.add_row(level, tensor, *cells)
            return
        bar = [_bar(energy / total if total else 0.0, style.unicode)] if layout.bars else []
        table.add_row(level, tensor, *cells, format_energy(energy), format_share(energy, total), *bar)

    for level in result.levels:
        notes = _notes(level)
        for i in range(max(len(notes), len(level.tensors))):
            note = notes[i] if i < len(notes) else ""
            if i < len(level.tensors):
                t = level.tensors[i]
                row(note, t.tensor, (t.reads, t.fills, t.updates, t.tile_words), t.energy_pj)
            else:
                row(note, "", (), None)
        table.add_section()
    compute = result.compute
    row(compute.name, "", (), compute.energy_pj)
    row(f"{compute.instances_used:,} of {compute.instances:,}", "", (), None)
    for name, energy in result.extras:
        row(name, "", (), energy)
    table.add_section()
    row("Total", "", (), total)
    return table


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
