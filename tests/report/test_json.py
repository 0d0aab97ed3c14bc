"""JSON that is the same for the same result."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

from procrustes_model import files
from procrustes_model.model.result import Result
from procrustes_model.report.tables.json import json_text, write_json


def test_everything_comes_back(result: Result, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_json(result, path)
    data = json.loads(path.read_text(encoding="utf-8"))
    assert data["energy_pj"] == result.energy_pj
    assert data["levels"][1]["tensors"][0]["reads"] == 123_456_789
    assert data["phase"] is None
    assert path.read_text(encoding="utf-8") == json_text(result)


def test_areas_and_the_spread_of_work(result: Result) -> None:
    none = json.loads(json_text(result))
    assert (none["area_um2"], none["area_unstated"], none["work_spread"]) == (None, [], "even")
    some = json.loads(json_text(replace(result, compute=replace(result.compute, area_um2=2.0))))
    assert (some["area_um2"], some["area_unstated"]) == (2.0, ["DRAM", "Buffer"])
    assert (some["compute"]["area_um2"], some["levels"][0]["area_um2"]) == (2.0, None)


def test_keys_are_sorted(result: Result) -> None:
    keys = list(json.loads(json_text(result)))
    assert keys == sorted(keys)


def test_json_has_no_number_that_is_none() -> None:
    data = {"a": math.inf, "b": [math.nan, 1.5, (-math.inf, True)], "c": "inf"}
    read = json.loads(files.json_text(data, indent=0))
    assert read == {"a": None, "b": [None, 1.5, [None, True]], "c": "inf"}
