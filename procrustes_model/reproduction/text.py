"""What each item prints: a table, and next to it what is published."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from procrustes_model.report.terminal.sheet import format_sheet, sheet_of
from procrustes_model.report.terminal.style import Style, labelled, wrap
from procrustes_model.report.terminal.units import format_energy
from procrustes_model.reproduction.request import CONV512
from procrustes_model.reproduction.rows import ALL, TOTAL, Rows
from procrustes_model.reproduction.working_sets import BIN
from procrustes_model.vocabulary import Phase, short_phase

if TYPE_CHECKING:
    from procrustes_model.reproduction.study import Item, Study

_NEAR = 1.1 - BIN / 2


def item_text(item: Item, study: Study, rows: Rows, style: Style | None = None) -> str:
    """Return an item's table, what is published, how results differ and why they may.

    Parameters
    ----------
    item : Item
    study : Study
    rows : list of dict
        Of its CSV.
    style : Style, optional
        Plain by default.

    Returns
    -------
    str
        No line end after the last line.
    """
    settings = study.settings
    tables: dict[str, Callable[[Rows, Style], str]] = {
        "energy": _energy,
        "cycles": _cycles,
        "dataflows": _dataflows,
        "imbalance": _imbalance,
        "scaling": _scaling,
        CONV512: _conv512,
    }
    parts = ["\n".join(wrap(item.title, style)), tables[item.name](rows, style or Style())]
    if item.name in study.published and not settings.quick:
        parts.append("\n".join(_against(item, study, rows, style)))
    machine = f" on {settings.architecture}" if not item.architectures else ""
    flow = f", dataflow {settings.dataflow}" if not item.dataflows else ""
    batch = f", batch {settings.batch}"
    if settings.quick and item.name != CONV512:
        batch = ", first layers only, small batch: these numbers say nothing of the networks"
    designs = f"{settings.sparsity} against {settings.baseline}" if not item.dataflows else settings.sparsity
    parts.append("\n".join(wrap(f"{designs}{machine}{flow}{batch}. {_proof(rows)}".strip(), style)))
    return "\n\n".join(parts)


def _proof(rows: Rows) -> str:
    """Return how many of the mappings are proven the best; the parts of a sum do not count again."""
    own = [
        row
        for row in rows
        if row.get("mappings") and (row["phase"] == ALL or not any(one["phase"] == ALL for one in rows))
    ]
    if not own:
        return ""
    proven, mappings = (sum(row[key] for row in own) for key in ("proven", "mappings"))
    if proven == mappings:
        return f"All {mappings:,} mappings are proven the best."
    return f"{proven:,} of {mappings:,} mappings are proven the best; the others are the best found."


def _against(item: Item, study: Study, rows: Rows, style: Style | None) -> list[str]:
    """Return what is published of a gain, what is found here, and why they may differ."""
    gains = {
        row["network"]: row["dense_over_this"]
        for row in rows
        if row["phase"] == ALL and row["machine"] == "sparse" and row.get("part", TOTAL) == TOTAL
    }
    best, worst = max(gains, key=lambda name: gains[name]), min(gains, key=lambda name: gains[name])
    found = f"{gains[worst]:.2f}x ({worst})"
    if best != worst:
        found += f" to {gains[best]:.2f}x ({best})"
    notes = [("Published", str(one)) for one in study.published[item.name]]
    notes.append(("Here", found))
    for one in study.published[item.name]:
        top = _apart(gains[best], one.high)
        if best == worst:
            end = "the published one" if one.says == "most" else "the range's upper end"
            notes.append(("Difference" if one.says == "most" else "", f"the gain is {top} {end}"))
        elif one.says == "most":
            notes.append(("Difference", f"the largest gain is {top} the published one"))
        else:
            least = _apart(gains[worst], one.low)
            ends = f"the least gain is {least} the range's lower end, the largest {top} its upper end"
            notes.append(("", ends))
    notes += [("" if i else "Likely why", reason) for i, reason in enumerate(item.reasons)]
    return [line for label, text in notes for line in labelled(label, [text], style)]


def _apart(ours: float, theirs: float) -> str:
    """Return how far a number is from another, in words that 'the other' follows."""
    share = ours / theirs - 1
    return "equal to" if abs(share) < 0.005 else f"{abs(share):.0%} {'above' if share > 0 else 'below'}"


def _energy(rows: Rows, style: Style) -> str:
    columns = ["Network", "Phase", "Dense", "Sparse", "Gain"]
    lines = []
    totals = [row for row in rows if row["part"] == TOTAL]
    for dense, sparse in zip(totals[::2], totals[1::2], strict=True):
        energies = [format_energy(one["energy_pj"]) for one in (dense, sparse)]
        lines.append(
            [_label(dense), short_phase(dense["phase"]), *energies, f"{sparse['dense_over_this']:.2f}x"]
        )
    return _table(columns, lines, style)


def _cycles(rows: Rows, style: Style) -> str:
    columns = ["Network", "Phase", "Dense", "Util.", "Sparse", "Util.", "Gain"]
    lines = []
    for dense, sparse in zip(rows[::2], rows[1::2], strict=True):
        cells = []
        for one in (dense, sparse):
            cells += [f"{one['cycles']:,}", f"{one['utilization']:.1%}"]
        lines.append(
            [_label(dense), short_phase(dense["phase"]), *cells, f"{sparse['dense_over_this']:.2f}x"]
        )
    return _table(columns, lines, style)


def _dataflows(rows: Rows, style: Style) -> str:
    columns = ["Network", "Dataflow", "Energy", "/ KN", "Cycles", "/ KN", "Util."]
    lines = [
        [
            row["network"] if row["dataflow"] == rows[0]["dataflow"] else "",
            row["dataflow"],
            format_energy(row["energy_pj"]),
            f"{row['energy_over_first']:.2f}",
            f"{row['cycles']:,}",
            f"{row['cycles_over_first']:.2f}",
            f"{row['utilization']:.1%}",
        ]
        for row in rows
        if row["phase"] == ALL
    ]
    return _table(columns, lines, style)


def _scaling(rows: Rows, style: Style) -> str:
    columns = ["Network", "Architecture", "Machine", "Energy", "Cycles", "Util.", "vs first", "vs dense"]
    lines = []
    for row in rows:
        if row["phase"] != ALL:
            continue
        gain = row.get("dense_over_this")
        first = row["architecture"] == rows[0]["architecture"]
        lines.append(
            [
                row["network"] if first and row["machine"] == "dense" else "",
                row["architecture"],
                row["machine"],
                format_energy(row["energy_pj"]),
                f"{row['cycles']:,}",
                f"{row['utilization']:.1%}",
                f"{row['small_over_this']:.2f}x",
                "" if gain is None else f"{gain:.2f}x",
            ]
        )
    return _table(columns, lines, style)


def _conv512(rows: Rows, style: Style) -> str:
    columns = ["Phase", "Machine", "Energy", "theirs", "Cycles", "theirs", "EDP / theirs"]
    lines = [
        [
            short_phase(row["phase"]) if row["machine"] == "dense" else "",
            row["machine"],
            format_energy(row["energy_pj"]),
            f"{row['published_energy_mj']:g} mJ",
            f"{row['cycles']:,}",
            f"{row['published_cycles']:,}",
            f"{row['edp_over_published']:.3f}",
        ]
        for row in rows
    ]
    worse = [row for row in rows if row["edp_over_published"] > 1]
    verdict = "No energy-delay product is above that of the authors' tool."
    if worse:
        names = ", ".join(f"{short_phase(row['phase'])} {row['machine']}" for row in worse)
        verdict = f"The energy-delay product is above that of the authors' tool in: {names}."
    return f"{_table(columns, lines, style)}\n" + "\n".join(wrap(verdict, style))


def _imbalance(rows: Rows, style: Style) -> str:
    columns = ["Network", "Slowest / mean before", "after", "Tiles within 10 % before", "after"]
    lines = []
    for network in dict.fromkeys(row["network"] for row in rows):
        own = [row for row in rows if row["network"] == network]
        shares = []
        for side in ("before", "after"):
            near = sum(row[f"slowest_{side}"] for row in own if row["work_from"] < _NEAR)
            shares.append(f"{near / sum(row[f'slowest_{side}'] for row in own):.1%}")
        lines.append([network, f"{own[0]['mean_before']:.3f}", f"{own[0]['mean_after']:.3f}", *shares])
    return _table(columns, lines, style)


def _label(row: dict[str, Any]) -> str:
    return str(row["network"]) if row["phase"] in (Phase.FORWARD, CONV512) else ""


def _table(columns: Sequence[str], lines: Sequence[Sequence[str]], style: Style) -> str:
    text = ("Network", "Phase", "Dataflow", "Architecture", "Machine")
    keys = next(i for i, column in enumerate(columns) if column not in text)
    rules = frozenset(i for i, line in enumerate(lines) if i and line[0])
    return format_sheet(sheet_of(columns, lines, left=text, keys=keys, rules=rules), style)
