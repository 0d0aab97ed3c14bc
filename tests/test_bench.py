"""Measurements are kept and compared; mappings that are measured are what they should be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bench_compare import load_measurements, main, save_measurements
from bench_work import WORKS, convolution, random_nests, roomy_machine, shorten_last_passes

BEFORE = {"search": [2.0, 1.0, 4.0], "batch": [1.0], "gone": [1.0]}
AFTER = {"search": [2.5, 2.5, 2.5], "batch": [0.5], "new": [1.0]}


def _compare(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["bench_compare.py", *map(str, arguments)])
    return main()


def test_a_slowdown_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = tmp_path / "new" / "a.json", tmp_path / "new" / "b.json"
    save_measurements(before, "a", "machine", BEFORE)
    save_measurements(after, "b", "machine", AFTER)
    assert load_measurements(before) == BEFORE
    assert _compare(monkeypatch, before, after) == 1
    text = capsys.readouterr().out
    assert [line.split()[-2:] for line in text.splitlines()[1:3]] == [
        ["0.800", "slower"],
        ["500.000", "2.000"],
    ]
    assert "gone    measured before only" in text and "new     measured after only" in text
    assert text.endswith("1 of 2 below 0.95 of the speed before\n")
    assert _compare(monkeypatch, before, after, "--threshold", 0.8) == 0
    save_measurements(after, "b", "machine", {"new": [1.0]})
    assert _compare(monkeypatch, before, after) == 2


@pytest.mark.parametrize("text", ["{}", "[", '{"format": "procrustes_bench", "version": 2}'])
def test_other_files_are_refused(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(SystemExit) as caught:
        _compare(monkeypatch, tmp_path / "a.json", tmp_path / "a.json")
    assert caught.value.code == 2


def test_shortened_passes_cover_the_bound() -> None:
    drawn = random_nests(roomy_machine(), convolution(P=16), 200)
    nests, last = shorten_last_passes(drawn, 2, 14)
    inside, covered = np.ones(200, np.int64), np.ones(200, np.int64)
    for level in (2, 1, 0):
        covered += (last[:, level, 2] - 1) * inside
        inside *= nests.temporal[:, level, 2]
    assert (covered == 14).all() and (nests.spatial[..., 2] == 1).all()
    assert ((last >= 1) & (last <= nests.temporal)).all()
    assert (last[:, :, 2] < nests.temporal[:, :, 2]).any(axis=1).mean() > 0.5
    others = [d for d in range(7) if d != 2]
    assert (last[..., others] == nests.temporal[..., others]).all()


def test_what_is_measured_has_names() -> None:
    assert {"evaluate_batch", "search", "network"} == {name.split()[0] for name in WORKS}
