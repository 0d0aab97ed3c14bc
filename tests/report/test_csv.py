"""CSV that any reader takes back without loss."""

from __future__ import annotations

import csv
from dataclasses import fields, replace
from pathlib import Path

from procrustes_model.files import csv_text
from procrustes_model.model.components import ComponentResult
from procrustes_model.model.result import LevelResult, Result
from procrustes_model.model.tidy import TIDY_COLUMNS
from procrustes_model.report.tables.csv import WIDE_COLUMNS, write_tidy, write_wide


def read(path: Path) -> list[dict[str, str]]:
    """Return the rows, read strictly."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def test_tidy_has_a_row_per_action(result: Result, tmp_path: Path) -> None:
    path = tmp_path / "tidy.csv"
    write_tidy([result, result], path)
    rows = read(path)
    assert list(rows[0]) == list(TIDY_COLUMNS)
    assert {row["version"] for row in rows} == {"2"}
    assert len(rows) == 2 * (3 * 3 + 1)
    assert {row["problem"] for row in rows} == {'odd "name", with comma'}
    assert {row["phase"] for row in rows} == {""}
    fill = next(row for row in rows if (row["level"], row["action"]) == ("Buffer", "fill"))
    assert (fill["tensor"], fill["count"], fill["instances"]) == ("A", "4000003", "4")
    compute = rows[9]
    assert (compute["level"], compute["tensor"], compute["action"]) == ("MAC", "", "compute")
    assert (compute["count"], compute["instances"]) == ("65536", "8")


def test_floats_come_back_as_they_were(result: Result, tmp_path: Path) -> None:
    path = tmp_path / "tidy.csv"
    result.to_csv(path)
    assert float(read(path)[9]["energy_pj"]) == result.compute.energy_pj
    assert sum(float(row["energy_pj"]) for row in read(path)[:9]) == sum(
        row["energy_pj"] for row in result.to_records()[:9]
    )


def test_wide_has_a_row_per_result_and_a_column_per_level(result: Result, tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    other = replace(result, levels=(LevelResult("L1", 1, 1, None, 0, 1, "compute", ()),), phase="forward")
    write_wide([result, other], path)
    first, second = read(path)
    levels = ["energy_pj_DRAM", "energy_pj_Buffer", "energy_pj_L1", "energy_pj_MAC"]
    assert list(first) == [*WIDE_COLUMNS, *levels]
    assert float(first["energy_pj"]) == result.energy_pj
    assert float(first["energy_pj_Buffer"]) == result.level("Buffer").energy_pj
    assert (first["energy_pj_L1"], second["energy_pj_DRAM"]) == ("", "")
    assert (first["phase"], second["phase"]) == ("", "forward")
    assert (first["cycles"], first["bottleneck"]) == ("131072", "Buffer")


def test_wide_has_a_column_per_extra(result: Result, tmp_path: Path) -> None:
    class WithExtras(Result):
        extras = (("balancing", 0.5), ("Unit", 2.25))

    path = tmp_path / "wide.csv"
    more = WithExtras(**{field.name: getattr(result, field.name) for field in fields(result)})
    write_wide([result, more], path)
    first, second = read(path)
    assert list(second)[-2:] == ["energy_pj_balancing", "energy_pj_Unit"]
    assert (first["energy_pj_Unit"], second["energy_pj_balancing"], second["energy_pj_Unit"]) == (
        "",
        "0.5",
        "2.25",
    )


def test_wide_states_areas_and_the_spread_of_work(result: Result, tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    component = ComponentResult("Unit", 2, 0.0, 0.0, 250.0)
    levels = (result.levels[0], replace(result.levels[1], area_um2=1e6))
    write_wide([result, replace(result, levels=levels, components=(component,))], path)
    none, some = read(path)
    assert (none["area_um2"], none["area_unstated"], none["area_um2_Buffer"]) == ("", "", "")
    assert (some["area_um2"], some["area_unstated"]) == ("1000250.0", "DRAM;MAC")
    assert list(some)[-2:] == ["area_um2_Buffer", "area_um2_Unit"]
    assert (some["area_um2_Buffer"], some["area_um2_Unit"]) == ("1000000.0", "250.0")
    assert (none["work_spread"], some["work_spread"]) == ("even", "even")


def test_lines_end_as_the_standard_says(result: Result, tmp_path: Path) -> None:
    path = tmp_path / "tidy.csv"
    write_tidy([result], path)
    data = path.read_bytes()
    assert data.endswith(b"\n")
    assert data.count(b"\n") == 11 and b"\r" not in data


def test_no_text_is_a_formula() -> None:
    row = {"a": "=1+1", "b": "+x", "c": -1.5, "d": "-x", "e": "@x", "f": "\tx", "g": "a=b", "h": -2}
    line = csv_text([*row, "version"], [row]).splitlines()[1]
    assert line == "'=1+1,'+x,-1.5,'-x,'@x,'\tx,a=b,-2,2"
