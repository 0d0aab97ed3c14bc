"""The computations of a network as a table for the terminal."""

from __future__ import annotations

from procrustes_model.network.computations import Computations
from procrustes_model.network.macs import NetworkMacs
from procrustes_model.report.terminal.phases import describe_first_gradient
from procrustes_model.report.terminal.sheet import format_sheet, sheet_of
from procrustes_model.report.terminal.style import Style, wrap
from procrustes_model.report.terminal.units import four_digits
from procrustes_model.vocabulary import ALL_PHASES


def format_macs(result: NetworkMacs, style: Style | None = None) -> str:
    """Return the computations of each phase and design, and of all phases together.

    Parameters
    ----------
    result : NetworkMacs
    style : Style, optional
        Plain, 80 columns wide by default.
    """
    where = f"{result.network} on {result.architecture}, batch {result.batch}, {len(result.layers)} layers"
    cells = [["Design", "Phase", "MACs dense", "MACs done", "Gain", "Bit ops"]]
    rules = set()
    for design in result.designs:
        if len(cells) > 1:
            rules.add(len(cells) - 1)
        for phase in (*result.phases, None) if len(result.phases) > 1 else result.phases:
            name = ALL_PHASES if phase is None else phase.short
            cells.append([design, name, *_cells(result.totals(design, phase))])
    sheet = sheet_of(cells[0], cells[1:], rules=frozenset(rules))
    own = {row.layer: row.entry.own for row in result.rows if row.entry.own}
    notes = [
        "Computations that remain under every mapping; gain: those if nothing were zero over those done.",
        "Bit ops: computations done, times the bits of both operands.",
        describe_first_gradient(result.first_data_gradient),
    ]
    if own:
        names = sorted(set(own.values()))
        notes.append(f"{len(own)} of {len(result.layers)} layers have designs of their own: {', '.join(names)}.")
    lines = [*wrap(where, style), "", format_sheet(sheet, style), ""]
    return "\n".join([*lines, *(line for note in notes for line in wrap(note, style))])


def _cells(one: Computations) -> list[str]:
    done = round(one.done)
    bits = "-" if one.bit_operations is None else f"{round(one.bit_operations):,}"
    return [f"{one.dense:,}", f"{done:,}", four_digits(one.dense / one.done) if one.done else "-", bits]
