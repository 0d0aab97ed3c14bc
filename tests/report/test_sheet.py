"""Tables that are too wide lose space, then letters of names, then columns, and never a number."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from procrustes_model.report.terminal.search import format_progress
from procrustes_model.report.terminal.sheet import Column, Sheet, format_sheet
from procrustes_model.report.terminal.style import Style, labelled

NAMES = ("features.block_1.layer_1.conv", "features.block_1.layer_2.conv", "head")
NUMBERS = {f"Level{i}": tuple(f"{10**i + row}" for row in range(len(NAMES))) for i in range(9)}


def sheet(names: tuple[str, ...] = NAMES) -> Sheet:
    """Return a sheet of one column of names, two of costs and seven of levels."""
    columns = [Column(title, cells, part=int(i > 1)) for i, (title, cells) in enumerate(NUMBERS.items())]
    keys = (Column("Layer", names, left=True), Column("Phase", ("fw", "bw", "wu"), left=True))
    return Sheet(keys, tuple(columns), ("costs", "levels"), frozenset([2]))


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("width", [50, 60, 80, 100, 120, 200])
def test_fits_and_keeps_every_number(width: int, unicode: bool) -> None:
    text = format_sheet(sheet(), Style(width=width, unicode=unicode))
    assert max(map(len, text.splitlines())) <= width
    words = text.split()
    for title, cells in NUMBERS.items():
        assert words.count(title) == 1
        assert all(words.count(cell) == 1 for cell in cells)
    assert unicode or text.isascii()
    assert text.count("costs") == 1
    assert text.count("levels") == (width < 120)


def test_names_that_are_cut_stay_apart() -> None:
    for width in (46, 60, 80):
        for table in format_sheet(sheet(), Style(width=width)).split("\n\n"):
            rows = [line.split()[0] for line in table.splitlines() if " fw " in line or " bw " in line]
            assert len(set(rows)) == len(rows)


def test_a_part_leaves_out_rows_of_which_it_says_nothing() -> None:
    one = sheet()
    empty = tuple(Column(c.title, (*c.cells[:2], ""), part=c.part) if c.part else c for c in one.columns)
    costs, *levels = format_sheet(Sheet(one.keys, empty, one.captions, one.rules), Style()).split("\n\n")
    assert "head" in costs
    assert levels
    assert all("head" not in table for table in levels)


def test_the_first_part_keeps_rows_of_which_nothing_is_said() -> None:
    one = sheet()
    empty = tuple(replace(column, cells=(*column.cells[:2], "")) for column in one.columns)
    costs, *levels = format_sheet(replace(one, columns=empty), Style()).split("\n\n")
    assert "head" in costs
    assert all("head" not in table for table in levels)


@pytest.mark.parametrize(("unicode", "dots"), [(True, "…"), (False, "...")])
def test_names_that_are_cut_are_said(unicode: bool, dots: str) -> None:
    said = f"{dots}: part of a name, whole in CSV files."
    assert format_sheet(sheet(), Style(width=50, unicode=unicode)).endswith(f"\n{said}")
    assert said not in format_sheet(sheet(), Style(width=200, unicode=unicode))


def test_labels_stand_before_lines_that_fit() -> None:
    text = "word " * 60
    for width in (40, 80, 100, 120):
        lines = labelled("Label", [text, "more"], Style(width=width))
        assert max(map(len, lines)) <= min(width, 100)
        assert lines[0].startswith("Label        word")
        assert lines[-1] == " " * 13 + "more"
        assert " ".join(lines).split()[1:] == f"{text}more".split()


@pytest.mark.parametrize("width", [40, 60, 79, 119])
def test_progress_is_one_line_with_the_time(width: int) -> None:
    progress: Any = SimpleNamespace(
        energy_pj=1.761e10,
        cycles=1_806_336.0,
        lower_bound=1.0,
        value=2.0,
        share=0.4,
        measured=10**9,
        seconds=60.0,
    )
    line = format_progress(progress, 600.0, width)
    assert len(line) <= width
    assert ("mappings/s" in line) == (width == 119)
    assert line.endswith("60 s of 600 s") or width == 40
