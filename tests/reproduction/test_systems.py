"""Published ways to train with less: what is exact is met, and that by this model."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest

from procrustes_model.errors import SpecError
from procrustes_model.reproduction.request import SYSTEMS, ReproduceRequest
from procrustes_model.reproduction.rows import COLUMNS
from procrustes_model.reproduction.study import load_study
from procrustes_model.reproduction.system import VERBS, System, load_systems
from procrustes_model.reproduction.system_report import draw_system, system_rows, system_text
from procrustes_model.reproduction.verb import reproduce
from tests.conftest import ROOT

pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install '.[plot]'")

LOADED = load_systems()
PAGES = ROOT / "docs" / "systems"
RANDOM = "tasd"
"""The system of which shares are of random positions: they are met within 0.003."""


def test_there_are_eleven() -> None:
    assert len(LOADED) == 11
    assert set(LOADED) <= set(load_study().titles)


@pytest.mark.parametrize("system", LOADED.values(), ids=list(LOADED))
def test_numbers(system: System, tmp_path: Path) -> None:
    """To the digits that are known; the table stands, too, where nothing is said to be exact."""
    answer = reproduce(system.name, tmp_path)
    for row, told in zip(system.rows, answer.rows, strict=True):
        if row.exact is None:
            continue
        if system.name == RANDOM:
            assert abs(told["value"] - row.exact) < 0.003
        else:
            assert format(told["value"], row.digits) == format(row.exact, row.digits), row.name
    found = [told["value"] for told in answer.rows]
    blank = replace(system, rows=tuple(replace(row, exact=None) for row in system.rows))
    text = system_text(blank, [{k: v for k, v in told.items() if "exact" not in k} for told in answer.rows])
    assert all(format(value, row.digits) in text for value, row in zip(found, system.rows, strict=True))
    assert max(map(len, answer.text.splitlines())) <= 80
    assert [path.suffix for path in answer.files] == [".csv", ".png", ".svg"]
    with answer.files[0].open(encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    assert [float(row["value"]) for row in written] == found
    assert set(written[0]) <= set(COLUMNS)


@pytest.mark.parametrize("system", LOADED.values(), ids=list(LOADED))
def test_files_are_whole(system: System) -> None:
    """Every run is told, of a kind that is known, and has a source."""
    told = {row.run for row in system.rows} | {row.over for row in system.rows if row.over}
    assert told == set(system.runs)
    assert {run["what"] for run in system.runs.values()} <= set(VERBS)
    assert "arXiv" in system.source
    assert system.reasons


def test_figures_hold_the_numbers() -> None:
    rows = system_rows(LOADED["split"])
    axis = draw_system(rows).axes[0]
    assert [bar.get_width() for bar in axis.patches] == [row["value"] for row in rows]
    (marks,) = axis.lines
    assert list(marks.get_xdata()) == [row["exact"] for row in rows]


def test_no_code_knows_a_system() -> None:
    """What is reproduced is data: the names of systems stand in no code of the reproduction."""
    words = re.compile(
        r"\b(bdwp|sat|sr.?ste|sdgp|ac.?dc|gap|frac.?train|tasd|txsim|sgnn|snn)\b", re.IGNORECASE
    )
    for file in (ROOT / "procrustes_model" / "reproduction").glob("*.py"):
        assert not words.search(file.read_text(encoding="utf-8")), file


@pytest.mark.parametrize("name", LOADED)
def test_every_system_has_a_page(name: str) -> None:
    page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert f"$ procrustes reproduce {name}\n" in page
    assert f"(../images/system_{name}.png)" in page
    assert (ROOT / "docs" / "images" / f"system_{name}.png").is_file()
    assert f"({name}.md)" in (PAGES / "index.md").read_text(encoding="utf-8")
    text = page.split(f"$ procrustes reproduce {name}\n")[1].split("\nWrote")[0]
    system = LOADED[name]
    assert text.strip() == system_text(system, system_rows(system)).strip()


def test_all_of_them_are_asked_on_the_command_line_only(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="one item is reproduced at a time"):
        reproduce(SYSTEMS, tmp_path)
    with pytest.raises(SpecError, match="searches nothing: it takes no --seconds"):
        ReproduceRequest("split", tmp_path, seconds=3)
