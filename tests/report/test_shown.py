"""Results as notebooks and data frames have them."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from procrustes_model.errors import SpecError
from procrustes_model.mapper.incumbent import Progress
from procrustes_model.model.result import Result
from procrustes_model.network.progress import RunProgress
from procrustes_model.report.page import notebook
from procrustes_model.report.terminal.progress import ProgressText
from procrustes_model.shown import show_progress


def test_a_result_is_two_lines(result: Result) -> None:
    head, costs = repr(result).split("\n")
    assert head == '<Result: odd "name", with comma on toy, mapping by hand'
    assert costs.endswith(" cycles, limited by Buffer, 25.0% utilization>")
    assert "131,072 cycles" in costs and "J, " in costs


def test_a_notebook_has_the_table(result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "find_spec", lambda _: None)
    page = result._repr_html_()
    assert "odd &#34;name&#34;, with comma" in page and "<img" not in page
    assert page.count("<tr>") == 1 + 3 + 2  # head, tensors at levels, compute and total
    assert "<td>123,456,789</td><td>4,000,003</td>" in page
    assert page == result._repr_html_()


def test_a_notebook_has_the_figure(result: Result) -> None:
    pytest.importorskip("matplotlib")
    assert '<img alt="odd' in result._repr_html_()


def test_a_data_frame_has_the_records(result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    pandas = ModuleType("pandas")
    pandas.DataFrame = lambda records: SimpleNamespace(records=records)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pandas", pandas)
    assert result.to_dataframe().records == result.to_records()


def test_a_data_frame_needs_pandas(result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pandas", raising=False)
    monkeypatch.setattr("procrustes_model.shown.find_spec", lambda _: None)
    with pytest.raises(SpecError, match="data frames need pandas; pip install pandas, or take to_records"):
        result.to_dataframe()


def test_progress_is_plain_text(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    show = show_progress()
    show(Progress(1.0, 2e9, 30.0, 6e10, 3e10, 500, 0.5))  # too new
    show(Progress(2.0, 2e9, 30.0, 6e10, 6e10, 500, 1.0))
    show(RunProgress(3, 3, 0, 1.0, None))
    printed = capsys.readouterr()
    best, cases, end = printed.err.split("\n")
    assert best.startswith("best 2.000 mJ, 30 cycles, gap 0.0%; 100% done") and end == ""
    assert cases == "3 of 3 cases, about 100% of the work"
    assert printed.err.replace("\n", "").isprintable() and not printed.out

    told: list[Any] = []
    line = SimpleNamespace(update=lambda data, *, raw: told.append((data, raw)))
    monkeypatch.setattr("procrustes_model.report.terminal.progress._notebook_line", lambda: line)
    ProgressText()(RunProgress(3, 3, 0, 1.0, None))
    assert told == [({"text/plain": "3 of 3 cases, about 100% of the work"}, True)]
    assert capsys.readouterr().err == ""
