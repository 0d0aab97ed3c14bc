"""What a run writes depends on what was asked and found, and not on when, where or in how many sittings."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from procrustes_model import run_network, train_cost
from procrustes_model.network import solve
from procrustes_model.network.case import Case
from procrustes_model.network.progress import RunProgress
from procrustes_model.network.result import NetworkResult, load_run
from procrustes_model.report.page.network import write_html
from procrustes_model.report.tables.network import write_tables
from procrustes_model.report.tables.train_cost import train_cost_text
from tests.network.conftest import TINY

ASKED: dict[str, Any] = {
    "batch": 4,
    "phases": ["fw"],
    "dataflow": "KN",
    "sparsity": "procrustes",
    "baseline": "dense",
    "densities": {"Weights": 0.3, "Inputs": 0.7},
    "seconds": None,
    "workers": 1,
}
CASES = 8


def _run(folder: Path, **options: Any) -> NetworkResult:
    """Run, and write all that the command line writes."""
    result = run_network("procrustes_16x16", TINY, out=folder, **ASKED | options)
    write_tables(result, folder)
    write_html(result, folder / "report.html")
    return result


def _files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that was not disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    _run(folder)
    return folder


def test_a_repeated_and_a_read_run_write_the_same(whole: Path, tmp_path: Path) -> None:
    before = _files(whole)
    assert sum(name.startswith("cases/") for name in before) == CASES
    _run(whole)
    assert _files(whole) == before
    read = load_run(whole)
    write_tables(read, tmp_path)
    write_html(read, tmp_path / "report.html")
    for name, content in _files(tmp_path).items():
        assert content == before[name], name
    assert vars(read) == vars(_run(whole))


def _stop_at(done: int) -> Callable[[RunProgress], None]:
    def progress(moment: RunProgress) -> None:
        if moment.done == done:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("done", range(0, CASES, 3))
def test_an_interrupted_run_ends_as_any_other(whole: Path, tmp_path: Path, done: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        _run(tmp_path, progress=_stop_at(done))
    assert len(list((tmp_path / "cases").iterdir())) == done
    assert not (tmp_path / "run.json").exists()
    _run(tmp_path)
    assert _files(tmp_path) == _files(whole)


def test_what_an_interrupted_search_had_is_not_kept(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search, searched = solve._search, []

    def interrupted(case: Case, limit: float | None) -> Any:
        searched.append(case.key)
        return replace(search(case, limit), interrupted=len(searched) == 3)

    monkeypatch.setattr(solve, "_search", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _run(tmp_path)
    assert {file.stem for file in (tmp_path / "cases").iterdir()} == set(searched[:2])
    _run(tmp_path)
    assert _files(tmp_path) == _files(whole)


def test_what_a_time_limit_left_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A result that depends on time is recorded once; whatever the clock says later, that is what counts."""
    search = solve._search

    def late(case: Case, _: float | None) -> Any:
        found = search(case, None)
        certificate = replace(found.certificate, complete=False, proven=False, lower_bound=0.0)
        return replace(found, certificate=certificate)

    monkeypatch.setattr(solve, "_search", late)
    _run(tmp_path, seconds=7)
    before = _files(tmp_path)
    monkeypatch.setattr(solve, "_search", None)
    result = _run(tmp_path, seconds=7)
    assert {(row.case.limit, row.case.gap, row.case.proven) for row in result.rows} == {(7, None, False)}
    assert _files(tmp_path) == before


def test_training_costs_are_the_same_from_a_folder(tmp_path: Path) -> None:
    network = {"network": TINY["network"] | {"layers": TINY["network"]["layers"][-1:]}}
    schedule = {
        "schedule": {
            "name": "run",
            "parts": [{"iterations": 2}, {"iterations": 3, "weights": {"overall": 0.5}}],
        }
    }
    texts = []
    for mappings in ("each", "dense"):
        for out in (None, tmp_path, tmp_path):
            cost = train_cost(
                "procrustes_16x16", network, schedule, mappings=mappings, out=out, workers=1, seconds=None
            )
            texts.append(train_cost_text(cost))
    assert texts[0] == texts[1] == texts[2]
    assert texts[3] == texts[4] == texts[5]
    assert len(list(csv.DictReader(io.StringIO(texts[0])))) == 6
