"""Published validations: how near they come, that files are whole, that the page says what is found."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from procrustes_model.errors import SpecError
from procrustes_model.reproduction.measures import MEASURES
from procrustes_model.reproduction.request import ReproduceRequest
from procrustes_model.reproduction.rows import COLUMNS
from procrustes_model.reproduction.study import load_study
from procrustes_model.reproduction.validation import Validation, load_validations
from procrustes_model.reproduction.validation_report import (
    draw_validation,
    validation_rows,
    validation_text,
)
from procrustes_model.reproduction.verb import reproduce
from tests.conftest import ROOT

pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install '.[plot]'")

VALIDATIONS = load_validations()
PAGE = ROOT / "docs" / "explanation" / "validations.md"


@pytest.fixture(scope="module")
def rows() -> dict[str, list[dict[str, Any]]]:
    """Return the rows of every validation."""
    return {name: validation_rows(one) for name, one in VALIDATIONS.items()}


def apart(rows: list[dict[str, Any]], series: str | None = None) -> list[float]:
    """Return how far rows are from what is published, as shares of it."""
    return [
        abs(row["over_published"] - 1)
        for row in rows
        if "over_published" in row and series in (None, row["series"])
    ]


def test_cycles_of_eyeriss_v2(rows: dict[str, list[dict[str, Any]]]) -> None:
    exact = apart(rows["eyeriss_v2"], "nonzeros of every channel")
    uniform = apart(rows["eyeriss_v2"], "densities of the layer")
    assert len(exact) == len(uniform) == 8
    assert max(exact) < 1e-12
    assert 0.034 < sum(uniform) / 8 < 0.035


def test_traffic_of_eyeriss(rows: dict[str, list[dict[str, Any]]]) -> None:
    for row in rows["eyeriss_rlc"]:
        assert abs(row["value"] - row["published"]) <= 0.005
    stored = [row["value"] for row in rows["eyeriss_rlc"] if row["series"] == "zeros that end long runs"]
    fixed = [row["value"] for row in rows["eyeriss_rlc"] if row["series"] == "fixed densities"]
    assert all(a <= b for a, b in zip(stored, fixed, strict=True))
    assert stored[-1] < fixed[-1]


def test_speedup_of_a_sparse_tensor_core(rows: dict[str, list[dict[str, Any]]]) -> None:
    assert [row["value"] for row in rows["stc"]] == [1.0, 2.0]


def test_time_of_a_dual_side_sparse_tensor_core(rows: dict[str, list[dict[str, Any]]]) -> None:
    found = apart(rows["dstc"])
    assert len(found) == 9
    assert max(found) < 0.15
    assert sum(found) / 9 < 0.055


def test_metadata_of_formats(rows: dict[str, list[dict[str, Any]]]) -> None:
    assert max(apart(rows["formats"], "coordinate")) < 1e-12
    bitmask = [row for row in rows["formats"] if row["series"] == "bitmask"]
    for row in bitmask:
        # A bit for each of 16,384 elements, over 8 bits for each of those that are not zero: the published
        # words of data are some tenths more, or fewer, for a row of 128 elements.
        kept = 16384 / (8 * row["value"])
        assert abs(16384 / (8 * row["published"]) - kept) <= 128 * 0.25
    assert rows["formats"][0]["value"] > rows["formats"][-4]["value"]


@pytest.mark.parametrize("name", VALIDATIONS)
def test_a_validation_is_complete(name: str, rows: dict[str, list[dict[str, Any]]]) -> None:
    one = VALIDATIONS[name]
    assert one.measure in MEASURES
    assert one.title and one.published and one.reasons
    assert len({point.name for point in one.points}) == len(one.points)
    assert all(set(point.published) <= set(one.series) for point in one.points)
    assert all(point.published for point in one.points)
    assert len(rows[name]) == len(one.points) * len(one.series)
    assert all(set(row) <= set(COLUMNS) for row in rows[name])
    assert name not in load_study().items and name in load_study().titles


@pytest.mark.parametrize("name", VALIDATIONS)
def test_the_page_has_what_is_found(name: str, rows: dict[str, list[dict[str, Any]]]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    for line in validation_text(VALIDATIONS[name], rows[name]).splitlines():
        assert line in text
    assert f"$ procrustes reproduce {name}\n" in text
    assert f"](../images/validation_{name}.png)" in text
    assert (ROOT / "docs" / "images" / f"validation_{name}.png").is_file()


def test_a_validation_is_written_by_one_command(tmp_path: Path) -> None:
    answer = reproduce("stc", tmp_path)
    assert [path.name for path in answer.files] == ["stc.csv", "stc.png", "stc.svg"]
    with answer.files[0].open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert [(row["point"], row["value"], row["published"]) for row in found] == [
        ("4 of 4", "1.0", "1.0"),
        ("2 of 4", "2.0", "2.0"),
    ]
    assert answer.files[1].read_bytes().startswith(b"\x89PNG")
    assert b'width="252' in answer.files[2].read_bytes(), "3.5 inches are 252 points"


def test_a_validation_searches_nothing(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"stc searches nothing: it takes no --seconds; leave it out"):
        reproduce("stc", tmp_path, seconds=3)
    everything = ReproduceRequest("all", tmp_path, networks=("vgg_s",), seconds=3.0, quick=True)
    of_one = everything.about("stc")
    of_one.check()
    assert (of_one.item, of_one.networks, of_one.quick) == ("stc", None, False)
    assert everything.about("energy").networks == ("vgg_s",)


def test_lines_where_points_lie_on_an_axis(rows: dict[str, list[dict[str, Any]]]) -> None:
    one: Validation = VALIDATIONS["formats"]
    (axis,) = draw_validation(one, rows["formats"]).axes
    assert axis.get_xlabel() == "density"
    assert axis.get_xscale() == "log"
    drawn = {line.get_label(): line.get_ydata() for line in axis.lines}
    assert list(drawn["bitmask"]) == [row["value"] for row in rows["formats"] if row["series"] == "bitmask"]
