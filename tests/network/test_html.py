"""The page of a run: complete, self-contained, harmless."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from procrustes_model.network.result import NetworkResult
from procrustes_model.report.page.network import html_text, write_html
from procrustes_model.report.page.parts import Cell, Column, Table
from procrustes_model.report.page.render import render_page
from procrustes_model.vocabulary import Phase


class Page(HTMLParser):
    """Collects tables as lists of (shown, sorted by), and what a page would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[tuple[str, str]]]] = {}
        self.loads: list[str] = []
        self.open: list[str] = []
        self._table = ""
        self._key: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element."""
        values = {name: value or "" for name, value in attrs}
        self.loads += [values[name] for name in ("src", "href") if name in values]
        if tag == "table":
            self._table = values["id"]
            self.tables[self._table] = []
        elif tag == "tr":
            self.tables[self._table].append([])
        elif tag == "td":
            self._key = values["data-v"]
            self.tables[self._table][-1].append(("", self._key))
        if tag not in ("meta", "input", "br", "link", "path", "use", "rect"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close an element, the one that was opened last."""
        if tag == "td":
            self._key = None
        if tag not in ("path", "use", "rect"):
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep the text of a cell."""
        if self._key is not None:
            self.tables[self._table][-1][-1] = (data, self._key)

    def rows(self, name: str) -> list[list[tuple[str, str]]]:
        """Return the rows of a table's body."""
        return [row for row in self.tables[name] if row]


def test_tables_hold_the_run(tiny_run: NetworkResult) -> None:
    page = Page(html_text(tiny_run))
    rows = page.rows("layers")
    assert len(rows) == len(tiny_run.rows)
    for row, cells in zip(tiny_run.rows, rows, strict=True):
        assert [cells[i][0] for i in (0, 3)] == [row.layer, row.design]
        assert float(cells[5][1]) == row.case.energy_pj
        assert float(cells[6][1]) == row.case.cycles
    for cells in page.rows("phases"):
        phase = {"all": None, "weight update": "weight_update"}.get(cells[0][0], cells[0][0])
        totals = tiny_run.totals(cells[1][0], phase)  # type: ignore[arg-type]
        assert float(cells[2][1]) == totals.energy_pj
        assert float(cells[3][1]) == totals.cycles
    ratio = tiny_run.ratio()
    last = next(
        cells for cells in page.rows("phases") if [one[0] for one in cells[:2]] == ["all", "procrustes"]
    )
    assert [float(cell[1]) for cell in last[6:]] == [ratio.energy, ratio.cycles]
    assert page.open == []


def test_it_needs_nothing_beside_itself(tiny_run: NetworkResult) -> None:
    text = html_text(tiny_run)
    assert all(one.startswith("#") for one in Page(text).loads)
    assert not re.search(r"@import|url\((?!#)", text)
    assert text == html_text(tiny_run)
    assert "default-src 'none'" in text


def test_inputs_and_mappings_are_there(tiny_run: NetworkResult, tmp_path: Path) -> None:
    path = tmp_path / "run.html"
    write_html(tiny_run, path, command="procrustes network 'a & b'")
    text = path.read_text(encoding="utf-8")
    assert "procrustes network &#39;a &amp; b&#39;" in text
    assert "procrustes network architecture.yaml network.yaml --baseline sparsity_dense.yaml" in text
    for name in ("architecture.yaml", "network.yaml", "sparsity_procrustes.yaml", "sparsity_dense.yaml"):
        assert f"<summary>{name}</summary>" in text
    assert tiny_run.inputs["program"] in text
    assert text.count("<summary>") == 4 + len({row.entry.key for row in tiny_run.rows})
    assert "mid_1, mid_2: forward, dense" in text


def test_names_cannot_break_out(tiny_run: NetworkResult) -> None:
    evil = '<script>alert("1")</script>'
    odd = replace(
        tiny_run,
        network=evil,
        rows=tuple(replace(row, entry=replace(row.entry, layer=evil, note=evil)) for row in tiny_run.rows),
    )
    text = html_text(odd)
    assert "<script>alert" not in text
    assert text.count("<script>") == 1


def test_what_is_missing_is_no_empty_place() -> None:
    with pytest.raises(UndefinedError, match="is undefined"):
        render_page("network.html.j2", title="a run")


def test_a_row_has_a_cell_for_each_column() -> None:
    with pytest.raises(ValueError, match="table 'phases'"):
        Table("phases", (Column("Phase"), Column("Energy")), ((Cell("forward"),),))


def test_without_a_baseline(tiny_run: NetworkResult) -> None:
    alone = replace(
        tiny_run,
        designs=("dense",),
        phases=(Phase.FORWARD,),
        rows=tuple(row for row in tiny_run.rows if row.design == "dense" and row.phase == "forward"),
        inputs=tiny_run.inputs | {"sparsity": None, "baseline": None, "density": None},
    )
    page = Page(html_text(alone))
    assert len(page.rows("phases")) == 1
    assert [cell[1] for cell in page.rows("phases")[0][6:]] == ["", ""]


def test_without_matplotlib_there_are_no_figures(
    tiny_run: NetworkResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    import procrustes_model.report.page.network as module

    monkeypatch.setattr(module, "find_spec", lambda _: None)
    text = html_text(tiny_run)
    assert "<svg" not in text and "Figures need matplotlib" in text


def test_layers_are_compared_with_the_baseline(tiny_run: NetworkResult) -> None:
    text = html_text(tiny_run)
    page = Page(text)
    base = {(row.layer, row.phase): row.case for row in tiny_run.select("dense")}
    for row, cells in zip(tiny_run.rows, page.rows("layers"), strict=True):
        ratios = [cell[1] for cell in cells[-3:-1]]
        if row.design == "dense":
            assert ratios == ["", ""]
        else:
            other = base[row.layer, row.phase]
            wanted = [other.energy_pj / row.case.energy_pj, other.cycles / row.case.cycles]
            assert [float(one) for one in ratios] == wanted
    assert "machines" not in page.tables
    for row in tiny_run.rows:
        for level in row.case.result["levels"]:
            for tensor in level["tensors"]:
                assert f"<b>{tensor['tensor']}</b>{tensor['tile_words']:,}</div>" in text
