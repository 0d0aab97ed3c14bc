"""A run of a network as tables for the terminal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from procrustes_model.network.result import NetworkResult, Row, Totals, add_up
from procrustes_model.report.terminal.area import describe_area
from procrustes_model.report.terminal.sparse import describe_ideal
from procrustes_model.report.terminal.table import ASCII_BOX, BOX, Style, labelled, render_table
from procrustes_model.report.terminal.time import describe_time
from procrustes_model.report.terminal.units import ENERGY_UNITS, four_digits
from procrustes_model.vocabulary import ALL_PHASES, Phase, Role, Searched, WorkSpread
from procrustes_model.workloads.phases import KNOWN_IN

if TYPE_CHECKING:
    from rich.table import Table


_OTHER = "Other"
_MOST_NAMED = 4
_DENSITIES = {"weights": Role.WEIGHTS, "activations": Role.INPUT, "gradients": Role.OUTPUT}


def group_layers(result: NetworkResult) -> list[tuple[str, ...]]:
    """Return the layers, those together that are the same in all that a run looks at.

    Parameters
    ----------
    result : NetworkResult

    Returns
    -------
    list of tuple of str
        In the order of the first of each.
    """
    keys: dict[str, list[str]] = {}
    for row in result.rows:
        keys.setdefault(row.layer, []).append(row.case.key)
    alike: dict[tuple[str, ...], list[str]] = {}
    for layer, of_layer in keys.items():
        alike.setdefault(tuple(of_layer), []).append(layer)
    return [tuple(names) for names in alike.values()]


def format_layers(result: NetworkResult, style: Style | None = None) -> str:
    """Return a table with a row per layer and phase; layers of equal shape share one and are summed.

    Parameters
    ----------
    result : NetworkResult
    style : Style, optional
        Plain by default.
    """
    style = style or Style()
    unit, scale = _unit(result)
    levels = _levels(result)
    against = f"; gains: {result.baseline} / {result.design}" if result.baseline else ""
    table = _new_table(style, f"{result.design}: energy in {unit}{against}")
    for title in ("Layer", "x", "Phase", "Energy", *levels, "Cycles", "Util.", "Imbal.", "Proof"):
        _add_column(table, title)
    if result.baseline:
        _add_column(table, "E gain", style="green")
        _add_column(table, "Speedup", style="green")
    for names in group_layers(result):
        for i, phase in enumerate(result.phases):
            rows = [row for name in names for row in result.select(result.design, phase, name)]
            head = [names[0], str(len(names)) if len(names) > 1 else ""] if i == 0 else ["", ""]
            cells = [*head, phase.short, *_numbers(add_up(rows), levels, scale)]
            cells += [_imbalance(rows[0]), _proof(add_up(rows))]
            if result.baseline:
                ratio = result.ratio(phase, names[0])
                cells += [f"{ratio.energy:.2f}x", f"{ratio.cycles:.2f}x"]
            table.add_row(*cells)
    return render_table(table, style)


def format_totals(result: NetworkResult, style: Style | None = None) -> str:
    """Return a table with the totals per phase and of all phases, for each design, and their ratios.

    Parameters
    ----------
    result : NetworkResult
    style : Style, optional
        Plain by default.
    """
    style = style or Style()
    unit, scale = _unit(result)
    levels = _levels(result)
    table = _new_table(style, f"Totals: energy in {unit}, EDP in J x cycles")
    for title in ("Design", "Phase", "Energy", *levels, "Cycles", "Util.", "EDP", "Proof"):
        _add_column(table, title)
    phases: list[Phase | None] = [*result.phases, *([None] if len(result.phases) > 1 else [])]
    for design in result.designs:
        for i, phase in enumerate(phases):
            total = result.totals(design, phase)
            cells = [design if i == 0 else "", phase.short if phase else ALL_PHASES]
            cells += [*_numbers(total, levels, scale), four_digits(total.edp_j_cycles), _proof(total)]
            table.add_row(*cells, style=None if phase else "bold")
        table.add_section()
    if result.baseline:
        for i, phase in enumerate(phases):
            ratio = result.ratio(phase)
            title = f"{result.baseline} / {result.design}" if i == 0 else ""
            cells = [title, phase.short if phase else ALL_PHASES, f"{ratio.energy:.2f}x"]
            cells += [*[""] * len(levels), f"{ratio.cycles:.2f}x", "", f"{ratio.edp:.2f}x"]
            table.add_row(*cells, style="green" if phase else "bold green")
    return render_table(table, style)


def _states_zeros(result: NetworkResult, role: Role) -> bool:
    """Return whether the design states a density of a role's tensor where it is what is known of a layer."""
    design = result.inputs["sparsity"] or {}
    phases = [phase for phase in KNOWN_IN[role] if phase in result.phases and design]
    stated = [design[phase]["densities"].get(role.tensor) for phase in phases]
    return any(one is not None and one["model"] != "dense" for one in stated)


def format_notes(result: NetworkResult) -> str:
    """Return what a reader must know beside the numbers, a line each."""
    ours = result.select(result.design)
    lines = []
    densities = result.inputs.get("densities", {})
    lines += [
        f"Densities    of {what}: what {result.design} states, the same for all layers"
        for what, role in _DENSITIES.items()
        if any(one[what] is None for one in densities.values()) and _states_zeros(result, role)
    ]
    assumed = {row.layer for row in ours if row.entry.assumed}
    if assumed:
        lines.append(f"Densities    activations are not known of {len(assumed)} layers: 0.5 assumed")
    if any(one["masked"] for one in densities.values()):
        lines.append("Masks        weights counted forward and backward; density only in the weight update")
    if missing := [name for name, one in densities.items() if one.get("missing")]:
        named = ", ".join(missing[:_MOST_NAMED]) + (", ..." if len(missing) > _MOST_NAMED else "")
        text = (
            f"none in the file for {len(missing)} of {len(densities)} layers, which count as dense: {named}"
        )
        lines += labelled("Masks", [text])
    for note, number in Counter(row.entry.note for row in ours if row.entry.note).items():
        lines.append(f"Dataflow     {note} in {number} of {len(ours)} searches, for want of the dimensions")
    lines += labelled("Imbalance", find_ideal(result))
    lines.append(f"Proof        {_describe_proofs(result)}")
    macs = result.totals(phase=result.phases[0]).macs
    what = f"{result.network}, batch {result.batch}, {len(result.layers)} layers"
    lines.append(f"Network      {what}: {macs:,} multiply-accumulates per phase")
    lines += labelled("Time", describe_time(result.totals().time(result.clock_ghz)))
    lines += labelled("Area", describe_area(result.area))
    return "\n".join(lines)


def find_ideal(result: NetworkResult) -> list[str]:
    """Return what a reader must know of designs whose work is taken to be spread evenly, a text each."""
    found = (describe_ideal(row.case.result for row in result.select(design)) for design in result.designs)
    return [text for text in found if text is not None]


def _describe_proofs(result: NetworkResult) -> str:
    """Return how many searches proved their mapping the best, and what to do about the others."""
    cases = {row.case.key: row.case for row in result.rows}
    open_ = [case for case in cases.values() if not case.proven]
    text = f"{len(cases) - len(open_)} of {len(cases)} searches, of mappings with {Searched.WHOLE}"
    ended = sum(case.limit is None for case in open_)
    if ended:
        text += f"; {ended} went to their end, with bounds that leave a gap"
    limits = [case.limit for case in open_ if case.limit is not None]
    if limits:
        stopped, go_on = ("was", "it goes") if len(limits) == 1 else ("were", "they go")
        text += f"; {len(limits)} {stopped} stopped after {max(limits):g} s"
        text += f": with more --seconds and the same --out {go_on} on"
    return text


def format_run(result: NetworkResult, style: Style | None = None) -> str:
    """Return tables and notes."""
    return f"{format_layers(result, style)}\n\n{format_totals(result, style)}\n\n{format_notes(result)}"


def _new_table(style: Style, caption: str) -> Table:
    from rich.table import Table

    return Table(
        box=BOX if style.unicode else ASCII_BOX,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        caption=caption,
        caption_justify="left",
        caption_style="dim",
    )


def _add_column(table: Table, title: str, style: str | None = None) -> None:
    text = title in ("Layer", "Design", "Phase", "Proof")
    table.add_column(title, justify="left" if text else "right", no_wrap=True, style=style)


def _levels(result: NetworkResult) -> list[str]:
    """Return the titles of the columns of energy: levels, compute, and all else together."""
    names = [level["name"] for level in result.inputs["architecture"]["levels"]]
    names.append(result.inputs["architecture"]["compute"]["name"])
    known = {name for row in result.rows for name in row.case.energy_by_level}
    return [*names, *([_OTHER] if known - set(names) else [])]


def _unit(result: NetworkResult) -> tuple[str, float]:
    """Return the unit of energy in which the median row has a few digits before the point."""
    energies = sorted(row.case.energy_pj for row in result.rows)
    middle = energies[len(energies) // 2]
    return next((one for one in reversed(ENERGY_UNITS) if middle >= one[1]), ENERGY_UNITS[0])


def _numbers(total: Totals, levels: list[str], scale: float) -> list[str]:
    """Return energy, energy by level, cycles and utilisation as text."""
    known = dict(total.energy_by_level)
    parts = [known.pop(name, 0.0) for name in levels if name != _OTHER]
    if _OTHER in levels:
        parts.append(sum(known.values()))
    energies = [_fixed(energy / scale) for energy in (total.energy_pj, *parts)]
    return [*energies, f"{total.cycles:,}", f"{total.utilization:.0%}"]


def _fixed(number: float) -> str:
    return f"{number:,.1f}" if number >= 100 else f"{number:.2f}"


def _imbalance(row: Row) -> str:
    if row.case.work_spread == WorkSpread.IDEAL:
        return "ideal"
    if row.case.imbalance is None:
        return "-" if row.case.result.get("imbalance") else ""
    return f"{row.case.imbalance['after']:.2f}"


def _proof(total: Totals) -> str:
    if total.proven == total.rows:
        return "proven"
    gap = "no bound" if total.gap is None else format_gap(total.gap)
    if total.proven == 0 or total.rows == 1:
        return gap
    return f"{total.rows - total.proven} of {total.rows}: {gap}"


def format_gap(gap: float) -> str:
    """Return a gap as a percentage of what was found."""
    return f"gap {gap:.1%}"
