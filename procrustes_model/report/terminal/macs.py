"""The computations of a network as a table for the terminal."""

from __future__ import annotations

from procrustes_model.network.computations import Computations
from procrustes_model.network.macs import NetworkMacs
from procrustes_model.report.terminal.phases import describe_first_gradient
from procrustes_model.report.terminal.sheet import Column, Sheet, format_sheet
from procrustes_model.report.terminal.style import Style, wrap
from procrustes_model.report.terminal.units import format_count, four_digits
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
    phases = (*result.phases, None) if len(result.phases) > 1 else result.phases
    heads = [(design, phase) for design in result.designs for phase in phases]
    sums = [result.totals(design, phase) for design, phase in heads]
    names = [design if i % len(phases) == 0 else "" for i, (design, _) in enumerate(heads)]
    columns = [
        _column("Dense", [format_count(one.dense) for one in sums]),
        _column("Done", [format_count(round(one.done)) for one in sums]),
        _column("Gain", [four_digits(one.dense / one.done) if one.done else "-" for one in sums]),
    ]
    notes = [
        "Dense: multiply-accumulates if nothing were zero; done: those that remain, under every mapping."
    ]
    if any(row.entry.problem.get("bits") for row in result.rows):
        columns.append(_column("Bit ops", [_bits(one) for one in sums]))
        notes.append("Bit ops: those done, times the bits of both operands.")
    notes.append(describe_first_gradient(result.first_data_gradient))
    own = {row.layer: row.entry.own for row in result.rows if row.entry.own}
    if own:
        designs = ", ".join(sorted(set(own.values())))
        notes.append(f"{len(own)} of {len(result.layers)} layers have designs of their own: {designs}.")
    shorts = [ALL_PHASES if phase is None else phase.short for _, phase in heads]
    keys = (_column("Design", names, True), _column("Phase", shorts, True))
    rules = frozenset(range(0, len(heads), len(phases)))
    table = format_sheet(Sheet(keys, tuple(columns), ("Multiply-accumulates",), rules), style)
    return "\n".join(
        [*wrap(where, style), "", table, "", *(line for one in notes for line in wrap(one, style))]
    )


def _column(title: str, cells: list[str], left: bool = False) -> Column:
    return Column(title, tuple(cells), left)


def _bits(one: Computations) -> str:
    return "-" if one.bit_operations is None else format_count(round(one.bit_operations))
