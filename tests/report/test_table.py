"""Tables that fit, say everything, and are the same everywhere."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from procrustes_model.model.components import ComponentResult
from procrustes_model.model.result import Result
from procrustes_model.report.terminal.style import Style
from procrustes_model.report.terminal.table import format_summary, format_table
from procrustes_model.spec.load import load_architecture


class Terminal(io.TextIOWrapper):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Return that it is one."""
        return True


def test_fits_80_columns_with_exact_numbers(result: Result) -> None:
    text = format_table(result)
    assert max(len(line) for line in text.split("\n")) <= 80
    assert "123,456,789" in text
    assert "42.0% full" in text
    assert "4 of 16" in text
    assert "100.0%" in text
    assert "\x1b" not in text
    assert not [line for line in text.split("\n") if line != line.rstrip()]


def test_environment_changes_nothing(result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = format_table(result)
    for name, value in {"COLUMNS": "40", "FORCE_COLOR": "1", "TERM": "dumb", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    assert format_table(result) == plain


@pytest.mark.parametrize("width", [60, 70, 80, 100, 120])
def test_every_row_at_any_width(result: Result, width: int) -> None:
    lines = format_table(result, Style(width=width, bars=True)).split("\n")
    tables = 2 if width == 60 else 1  # energies stand below where they do not fit beside
    assert sum("A" in line.split() for line in lines) == 2 * tables
    assert sum(line.strip().startswith("MAC ") or line.strip() == "MAC" for line in lines) == tables
    assert all("…" not in line for line in lines)
    assert max(map(len, lines)) <= width


def test_big_counts_are_shortened_where_they_must(result: Result) -> None:
    tensor = replace(result.levels[1].tensors[0], reads=2**62, fills=2**61, tile_words=2**60)
    level = replace(result.levels[1], tensors=(tensor,))
    text = format_table(replace(result, levels=(level,)), Style(width=72))
    assert "4.612 E" in text
    assert max(len(line) for line in text.split("\n")) <= 72
    assert "4,611,686,018,427,387,904" in format_table(replace(result, levels=(level,)), Style(width=160))


def test_ascii_terminals_get_ascii(result: Result) -> None:
    text = format_table(result, Style(width=120, unicode=False, bars=True))
    assert text.isascii()
    assert "########" in text


def test_colour_only_where_asked(result: Result) -> None:
    assert "\x1b[" in format_table(result, Style(color=True))


def test_style_follows_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "COLUMNS", "TERM"):
        monkeypatch.delenv(name, raising=False)
    assert Style.of(io.TextIOWrapper(io.BytesIO(), "utf-8")) == Style()
    assert not Style.of(io.TextIOWrapper(io.BytesIO(), "latin-1")).unicode
    monkeypatch.setenv("COLUMNS", "132")
    assert Style.of(Terminal(io.BytesIO(), "utf-8")) == Style(132, color=True, unicode=True, bars=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not Style.of(Terminal(io.BytesIO(), "utf-8")).color


def test_summary_says_what_limits_and_why(result: Result) -> None:
    architecture = load_architecture(
        {
            "architecture": {
                "name": "toy",
                "levels": [
                    {"name": "DRAM", "word_bits": 8, "energy_pj": {"read": 1, "write": 1}},
                    {
                        "name": "Buffer",
                        "word_bits": 8,
                        "read_bandwidth": 4,
                        "energy_pj": {"read": 1, "write": 1},
                    },
                ],
                "compute": {"energy_pj": 1},
            }
        }
    )
    text = format_summary(result, architecture)
    assert "131,072, limited by Buffer" in text
    assert "read bandwidth: needs 1884 words/cycle, has 4" in text
    assert "50.0%, 8 of 16 MAC instances used" in text
    assert "25.0% of all MAC x cycles" in text
    assert max(len(line) for line in text.split("\n")) <= 80


def test_summary_without_a_slow_level(result: Result) -> None:
    fast = replace(result, cycles=65_536, bottleneck="MAC", levels=result.levels[:1])
    assert "65,536, limited by MAC (no level is slower)" in format_summary(fast)


def with_areas(result: Result, *areas: float | None) -> Result:
    """Return a result whose levels and compute have these areas."""
    parts = zip(result.levels, areas, strict=False)
    levels = tuple(replace(level, area_um2=area) for level, area in parts)
    return replace(result, levels=levels, compute=replace(result.compute, area_um2=areas[-1]))


def test_summary_states_areas(result: Result) -> None:
    assert "Area" not in format_summary(result)
    unit = ComponentResult("Unit", 2, 0.0, 0.0, 250.0)
    whole = format_summary(replace(with_areas(result, 0.0, 1.5e6, 5e5), components=(unit,)))
    assert "Area         2.000 mm2\n" in whole
    assert "             all instances: DRAM 0 um2, Buffer 1.500 mm2, MAC 0.5000 mm2,\n" in whole
    assert "\n             Unit 250.0 um2" in whole
    assert "\u00a0" not in whole
    assert "not stated" not in whole
    part = format_summary(with_areas(result, None, 998.0, None))
    assert "Area         998.0 um2 of the parts that state one\n" in part
    assert part.endswith("all instances: Buffer 998.0 um2\n             not stated: DRAM, MAC")
    assert max(len(line) for line in f"{whole}\n{part}".split("\n")) <= 80


def test_energy_of_nothing(result: Result) -> None:
    free = replace(result, levels=(), compute=replace(result.compute, energy_pj=0.0))
    assert "0 pJ" in format_table(free)
