"""JSON that is the same for the same result."""

from __future__ import annotations

import json
from pathlib import Path

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


def test_keys_are_sorted(result: Result) -> None:
    keys = list(json.loads(json_text(result)))
    assert keys == sorted(keys)
