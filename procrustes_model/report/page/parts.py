"""The parts of a self-contained page: text, tables that sort, figures, and the page around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE = """
:root { --ink: #1a1a1a; --soft: #5c5c5c; --line: #d9d9d9; --wash: #f5f6f7; --blue: #005a92; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 75rem; padding: 1rem 1.2rem 4rem; color: var(--ink); background: #fff;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .6rem 0 .2rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem;
  border-bottom: 1px solid var(--line); padding-bottom: .2rem; }
p { margin: .4rem 0; max-width: 48rem; }
.soft { color: var(--soft); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .7rem;
  margin: 1rem 0; }
.card { border: 1px solid var(--line); border-radius: 6px; padding: .6rem .8rem; }
.card b { display: block; font-size: 1.3rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.card span { color: var(--soft); font-size: .85rem; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr));
  gap: 1.2rem; }
figure { margin: 0; } figure svg { width: 100%; height: auto; max-width: 34rem; display: block; }
figcaption { color: var(--soft); font-size: .85rem; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; max-height: 80vh; }
table { border-collapse: separate; border-spacing: 0; width: 100%; font-size: .85rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: .28rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #ececec; }
th { position: sticky; top: 0; background: var(--wash); z-index: 1; border-bottom: 1px solid var(--line); }
th.t, td.t { text-align: left; }
th:first-child, td:first-child { position: sticky; left: 0; background: #fff; z-index: 1; }
th:first-child { background: var(--wash); z-index: 2; }
td:first-child { max-width: 11rem; overflow: hidden; text-overflow: ellipsis; }
th button { all: unset; cursor: pointer; font-weight: 600; }
th button:focus-visible { outline: 2px solid var(--blue); outline-offset: 2px; }
th button::after { content: "\\2195"; color: #a0a0a0; margin-left: .25em; }
th[aria-sort=ascending] button::after { content: "\\2191"; color: var(--blue); }
th[aria-sort=descending] button::after { content: "\\2193"; color: var(--blue); }
tbody tr:hover td { background: #eef4f9; }
.filters { display: flex; flex-wrap: wrap; gap: .5rem 1rem; margin: .5rem 0; align-items: end; }
.filters label { font-size: .85rem; color: var(--soft); display: grid; }
select, input { font: inherit; padding: .2rem .4rem; border: 1px solid var(--line); border-radius: 4px;
  max-width: 14rem; background: #fff; color: var(--ink); }
details { border: 1px solid var(--line); border-radius: 6px; margin: .4rem 0; padding: .3rem .7rem; }
summary { cursor: pointer; overflow-wrap: anywhere; }
pre { overflow-x: auto; background: var(--wash); padding: .6rem; border-radius: 4px; font-size: .8rem;
  line-height: 1.4; margin: .4rem 0; max-height: 60vh; }
pre.command { white-space: pre-wrap; overflow-wrap: anywhere; }
@media print { .filters { display: none; } .scroll { overflow: visible; max-height: none; } }
@media (max-width: 34rem) { body { padding: .6rem .7rem 3rem; } td:first-child { max-width: 8.5rem; } }
"""

SCRIPT = """
"use strict";
for (const table of document.querySelectorAll("table.sorts")) {
  const body = table.tBodies[0];
  table.tHead.querySelectorAll("th").forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const sorted = head.getAttribute("aria-sort");
      const first = head.classList.contains("t") ? "ascending" : "descending";
      const other = first === "ascending" ? "descending" : "ascending";
      const order = sorted === first ? other : first;
      table.tHead.querySelectorAll("th").forEach(one => one.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const key = row => row.cells[column].dataset.v;
      const number = key => key === "" ? NaN : Number(key);
      const text = head.classList.contains("t");
      [...body.rows].sort((a, b) => {
        if (text) return sign * key(a).localeCompare(key(b), "en", { numeric: true });
        const x = number(key(a)), y = number(key(b));
        if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y);
        return sign * (x - y);
      }).forEach(row => body.append(row));
    });
  });
}
for (const box of document.querySelectorAll(".filters")) {
  const table = document.getElementById(box.dataset.table);
  const inputs = [...box.querySelectorAll("[data-column]")];
  const count = box.querySelector("output");
  const apply = () => {
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      row.hidden = !inputs.every(one => {
        const value = row.cells[one.dataset.column].dataset.v;
        return one.value === "" || (one.tagName === "SELECT" ? value === one.value
          : value.toLowerCase().includes(one.value.toLowerCase()));
      });
      shown += !row.hidden;
    }
    count.textContent = shown + " of " + table.tBodies[0].rows.length + " rows";
  };
  inputs.forEach(one => one.addEventListener("input", apply));
  apply();
}
"""


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes
    ----------
    text : str
        What is shown.
    key : str, float or None
        What it sorts by; None sorts last. The text where it is empty.
    """

    text: str
    key: str | float | None = ""

    @property
    def html(self) -> str:
        """The cell without its tag's class."""
        key = "" if self.key is None else self.text if self.key == "" else self.key
        value = repr(key) if isinstance(key, float) else str(key)
        return f' data-v="{escape(value)}">{escape(self.text)}</td>'


@dataclass(frozen=True)
class Column:
    """One column: its title, whether it holds text, and what its title means."""

    title: str
    is_text: bool = False
    meaning: str = ""


def table(name: str, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> str:
    """Return a table whose columns sort on a click.

    Parameters
    ----------
    name : str
        Its id.
    columns : sequence of Column
    rows : sequence of sequence of Cell
    """
    heads = "".join(
        f'<th scope="col"{" class=t" if one.is_text else ""} title="{escape(one.meaning)}">'
        f'<button type="button">{escape(one.title)}</button></th>'
        for one in columns
    )
    lines = [
        "<tr>"
        + "".join(
            f"<td{' class=t' if column.is_text else ''}{cell.html}"
            for column, cell in zip(columns, row, strict=True)
        )
        + "</tr>"
        for row in rows
    ]
    body = "\n".join(lines)
    return (
        f'<div class="scroll" tabindex="0"><table class="sorts" id="{escape(name)}">\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def filters(name: str, choices: Sequence[tuple[int, str, Sequence[str]]]) -> str:
    """Return inputs that hide rows of a table: (column, label, values), free text where values are empty."""
    parts = []
    for column, label, values in choices:
        if values:
            options = "".join(f"<option>{escape(one)}</option>" for one in values)
            entry = f'<select data-column="{column}"><option value="">all</option>{options}</select>'
        else:
            entry = f'<input type="search" data-column="{column}" placeholder="all">'
        parts.append(f"<label>{escape(label)}{entry}</label>")
    inside = "".join(parts) + '<output class="soft"></output>'
    return f'<div class="filters" data-table="{escape(name)}">{inside}</div>'


def cards(values: Sequence[tuple[str, str]]) -> str:
    """Return figures that stand out: (number, what it is)."""
    inside = "".join(
        f'<div class="card"><b>{escape(number)}</b><span>{escape(what)}</span></div>'
        for number, what in values
    )
    return f'<div class="cards">{inside}</div>'


def folded(summary: str, text: str, *, is_open: bool = False) -> str:
    """Return text that opens on a click."""
    return (
        f"<details{' open' if is_open else ''}><summary>{escape(summary)}</summary>"
        f"<pre>{escape(text)}</pre></details>"
    )


def svg_figure(figure: Figure, caption: str) -> str:
    """Return a figure as SVG inside the page."""
    from procrustes_model.report.figures.style import figure_bytes

    text = figure_bytes(figure, ".svg").decode("utf-8")
    text = text[text.index("<svg") :].replace("<svg ", f'<svg role="img" aria-label="{escape(caption)}" ', 1)
    return f"<figure>{text}<figcaption>{escape(caption)}</figcaption></figure>"


def page(title: str, sections: Sequence[str]) -> str:
    """Return the whole page; it needs nothing beside itself, and may not load anything."""
    body = "\n".join(sections)
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n"
        f"<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )
