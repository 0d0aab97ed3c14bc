"""Tables that fit: fewer spaces, shorter names, or one table above another, and never a wrapped line."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from procrustes_model.report.terminal.style import ASCII_BOX, BOX, Style

if TYPE_CHECKING:
    from collections.abc import Iterator

GAPS = (2, 1)
"""Spaces between columns, where there is room and where there is little."""

_SHORTEST = 12
"""Characters that are left of a name, at least."""

_CUT = "{}: part of a name, whole in CSV files."


@dataclass(frozen=True)
class Column:
    """A column of a sheet.

    Attributes
    ----------
    title : str
    cells : tuple of str
    left : bool
        Where its text starts.
    style : str, optional
        As rich knows it.
    part : int
        What does not fit beside the other columns goes into tables of its own, the lowest part first.
    """

    title: str
    cells: tuple[str, ...]
    left: bool = False
    style: str | None = None
    part: int = 0


@dataclass(frozen=True)
class Sheet:
    """What a table says, however it is laid out.

    Attributes
    ----------
    keys : tuple of Column
        What a row is; where there are several tables, each has these. The names of the first may be cut.
    columns : tuple of Column
    captions : tuple of str
        By part. One table has that of the first part.
    rules : frozenset of int
        Rows that stand below a rule.
    styles : mapping of int to str
        By row.
    """

    keys: tuple[Column, ...]
    columns: tuple[Column, ...]
    captions: tuple[str, ...] = ()
    rules: frozenset[int] = frozenset()
    styles: Mapping[int, str] = field(default_factory=dict)


def sheet_of(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    left: Sequence[str] = (),
    keys: int = 1,
    parts: Mapping[str, int] | None = None,
    rules: frozenset[int] = frozenset(),
) -> Sheet:
    """Return a sheet of rows of cells.

    Parameters
    ----------
    titles : sequence of str
    rows : sequence of sequence of str
    left : sequence of str
        Titles of columns of text.
    keys : int
        How many of the columns say what a row is.
    parts : mapping of str to int, optional
        By title, where it is not 0.
    rules : frozenset of int
        See `Sheet`.
    """
    columns = [
        Column(title, tuple(row[i] for row in rows), title in left, part=(parts or {}).get(title, 0))
        for i, title in enumerate(titles)
    ]
    return Sheet(tuple(columns[:keys]), tuple(columns[keys:]), rules=rules)


def format_sheet(sheet: Sheet, style: Style | None = None) -> str:
    """Return a sheet as a table, or as several one above another where it is too wide.

    Only where a single column beside whole names is too wide, so is its table.

    Parameters
    ----------
    sheet : Sheet
    style : Style, optional
        Plain, 80 columns wide by default.

    Returns
    -------
    str
        Lines without trailing spaces and no line end after the last.
    """
    style = style or Style()
    for gap in GAPS:
        if (text := one_table(sheet, style, gap)) is not None:
            return text
    first, *rest = sorted({column.part for column in sheet.columns})
    tables = [*_part(sheet, first, style)]
    tables += [table for part in rest for table in _part(_without_empty_rows(sheet, part), part, style)]
    note = f"\n{_CUT.format(_dots(style))}" if any(table.cut for table in tables) else ""
    return "\n\n".join(table.text for table in tables) + note


def one_table(sheet: Sheet, style: Style, gap: int) -> str | None:
    """Return the sheet as one table with so many spaces between columns; None where it is too wide."""
    table = _table(sheet, style, gap)
    return render_table(table, style) if _width(table, style) <= style.width else None


class _Text(NamedTuple):
    """A table, and whether names in it are cut."""

    text: str
    cut: bool


def _part(sheet: Sheet, part: int, style: Style) -> Iterator[_Text]:
    """Yield the tables of a part: all columns in one if that fits, else as many as fit in each."""
    columns = tuple(column for column in sheet.columns if column.part == part)
    captions = sheet.captions[part : part + 1]
    while columns:
        taken, text, short = len(columns), None, None
        for taken in range(len(columns), 0, -1):
            one = replace(sheet, columns=columns[:taken], captions=captions if taken == len(columns) else ())
            text = next(filter(None, (one_table(one, style, gap) for gap in GAPS)), None)
            short = None if text else _with_short_names(one, style)
            if text or short:
                break
        yield _Text(text or short or render_table(_table(one, style, gap=1), style), bool(short))
        columns = columns[taken:]


def _without_empty_rows(sheet: Sheet, part: int) -> Sheet:
    """Return the sheet without the rows of which a part says nothing."""
    told = [column.cells for column in sheet.columns if column.part == part]
    rows = [row for row in range(len(sheet.keys[0].cells)) if any(cells[row] for cells in told)]

    def pick(columns: tuple[Column, ...]) -> tuple[Column, ...]:
        return tuple(replace(one, cells=tuple(one.cells[row] for row in rows)) for one in columns)

    rules = frozenset(new for new, row in enumerate(rows) if row in sheet.rules)
    styles = {new: sheet.styles[row] for new, row in enumerate(rows) if row in sheet.styles}
    return Sheet(pick(sheet.keys), pick(sheet.columns), sheet.captions, rules, styles)


def _with_short_names(sheet: Sheet, style: Style) -> str | None:
    """Return the sheet as one table, the names of its first column cut; None where they would be alike."""
    excess = _width(_table(sheet, style, gap=1), style) - style.width
    first, *others = sheet.keys
    room = max(cell_len(cell) for cell in (first.title, *first.cells)) - excess
    if room < max(_SHORTEST, cell_len(first.title)):
        return None
    for cut in (_cut_start, _cut_middle):
        cells = tuple(_shorten(cell, room, style, cut) for cell in first.cells)
        if len(set(cells)) == len(set(first.cells)):
            return one_table(replace(sheet, keys=(replace(first, cells=cells), *others)), style, gap=1)
    return None


def _shorten(text: str, room: int, style: Style, cut: Callable[[str, int, str], str]) -> str:
    return text if cell_len(text) <= room else cut(text, room, _dots(style))


def _dots(style: Style) -> str:
    return "…" if style.unicode else "..."


def _cut_start(text: str, room: int, dots: str) -> str:
    """Return the end of a name, which tells layers apart."""
    end = text
    while cell_len(end) > room - len(dots):
        end = end[1:]
    return f"{dots}{end}"


def _cut_middle(text: str, room: int, dots: str) -> str:
    rest = room - len(dots)
    end = text[-(rest // 2) :]
    return f"{set_cell_size(text, rest - cell_len(end)).rstrip()}{dots}{end}"


def _table(sheet: Sheet, style: Style, gap: int) -> Table:
    caption = sheet.captions[0] if sheet.captions else None
    table = Table(
        box=BOX if style.unicode else ASCII_BOX,
        pad_edge=False,
        padding=(0, gap - 1, 0, 0),
        caption=caption,
        caption_justify="left",
        caption_style="dim",
    )
    columns = (*sheet.keys, *sheet.columns)
    for column in columns:
        table.add_column(
            column.title, justify="left" if column.left else "right", no_wrap=True, style=column.style
        )
    for row, cells in enumerate(zip(*(column.cells for column in columns), strict=True)):
        if row in sheet.rules:
            table.add_section()
        table.add_row(*cells, style=sheet.styles.get(row))
    return table


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


def _width(table: Table, style: Style) -> int:
    console = _console(style)
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
    console.width = max(_width(table, style), style.width)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().rstrip().split("\n"))
