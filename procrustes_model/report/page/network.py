"""A network run as one page that needs nothing beside itself."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from procrustes_model.errors import SpecError
from procrustes_model.files import write_atomically
from procrustes_model.network.system import system_of
from procrustes_model.objective import parse_objective
from procrustes_model.report.page.inputs import input_files, repeat_command
from procrustes_model.report.page.nests import nest_of
from procrustes_model.report.page.parts import (
    Card,
    Cell,
    Column,
    Drawing,
    Filter,
    Folded,
    Nest,
    Table,
    drawing,
)
from procrustes_model.report.page.render import render_page
from procrustes_model.report.terminal.area import describe_area
from procrustes_model.report.terminal.network import find_ideal
from procrustes_model.report.terminal.phases import describe_first_gradient
from procrustes_model.report.terminal.units import (
    format_count,
    format_energy,
    format_power,
    format_seconds,
    format_share,
    four_digits,
)
from procrustes_model.vocabulary import Searched, WorkSpread

if TYPE_CHECKING:
    from procrustes_model.network.result import NetworkResult, Row, Totals

_LAYER, _KIND = Column("Layer", True), Column("Kind", True)
_PHASE, _DESIGN = Column("Phase", True), Column("Design", True)
_TOTALS = (
    _PHASE,
    _DESIGN,
    Column("Energy", meaning="of all layers", unit="pJ"),
    Column("Cycles", meaning="layers one after the other"),
    Column("Utilization", meaning="operations done / operations that all units could do in the cycles"),
    Column("EDP", meaning="joules x cycles", unit="J x cycles"),
    Column("Energy ratio", meaning="baseline / this design"),
    Column("Cycle ratio", meaning="baseline / this design"),
)
_ROWS = (
    _LAYER,
    _KIND,
    _PHASE,
    _DESIGN,
    Column("MACs", meaning="multiply-accumulates if nothing were zero"),
    Column("Energy", unit="pJ"),
    Column("Cycles"),
    Column("Utilization", meaning="operations done / operations that all units could do in the cycles"),
    Column(
        "Imbalance",
        meaning="slowest processing element / mean, with balancing; ideal: taken to be spread evenly",
    ),
    Column("Unbalanced", meaning="slowest processing element / mean, without balancing"),
    Column(
        "Weights", meaning="density: nonzeros / elements; of gradients that are kept in the weight update"
    ),
    Column("Inputs", meaning="density: nonzeros / elements"),
    Column("Gap", meaning="how much better an unknown mapping may be at most; 0: proven the best"),
)

_RATIOS = [
    Column("Energy ratio", meaning="baseline / this design"),
    Column("Cycle ratio", meaning="baseline / this design"),
]
_SYSTEM = (
    Column("Part", True, "a machine, all its replicas, or a link"),
    _PHASE,
    _DESIGN,
    Column("Energy", unit="pJ"),
    Column("Cycles", meaning="of one replica"),
    Column("Bits", meaning="that go over the link"),
    Column("Time", meaning="at the clock of the machine or of the link", unit="s"),
)


def write_html(result: NetworkResult, path: str | Path, *, command: str | None = None) -> None:
    """Write a run as one self-contained HTML file: totals, figures, a table that sorts, mappings and inputs.

    Parameters
    ----------
    result : NetworkResult
    path : str or Path
    command : str, optional
        The command line that made it.

    Raises
    ------
    OSError
        When the file cannot be written.
    """
    write_atomically(path, html_text(result, command=command))


def html_text(result: NetworkResult, *, command: str | None = None) -> str:
    """Return the page that `write_html` writes; the same run gives the same text."""
    return render_page(
        "network.html.j2",
        title=f"{result.network} on {result.architecture}",
        subtitle=_subtitle(result),
        cards=_cards(result),
        notes=notes(result),
        phases=Table("phases", _TOTALS, _totals_rows(result)),
        machines=_machines(result),
        drawings=_drawings(result),
        layers=_layers(result),
        filters=(
            Filter(_ROWS.index(_LAYER)),
            Filter(_ROWS.index(_KIND), tuple(sorted({row.entry.kind for row in result.rows}))),
            Filter(_ROWS.index(_PHASE), tuple(phase.text for phase in result.phases)),
            Filter(_ROWS.index(_DESIGN), result.designs),
        ),
        mappings=_mappings(result),
        command=command,
        repeat_command=repeat_command(result),
        recorded=_recorded(result),
        program=str(result.inputs["program"]),
        files=[Folded(name, text) for name, text in input_files(result).items()],
    )


def notes(result: NetworkResult) -> list[str]:
    """Return what a reader should know: assumptions, what is not proven, dataflows that were bent."""
    found = []
    assumed = {row.layer for row in result.rows if row.entry.assumed}
    if assumed:
        found.append(
            f"Activation densities are not known: 0.5 is assumed in {len(assumed)} of "
            f"{len(result.layers)} layers."
        )
    found += [f"{text[0].upper()}{text[1:]}." for text in find_ideal(result)]
    own = {row.layer: row.entry.own for row in result.rows if row.entry.own}
    if own:
        designs = ", ".join(sorted(set(own.values())))
        found.append(f"{len(own)} of {len(result.layers)} layers have designs of their own: {designs}.")
    found.append(describe_first_gradient(result.first_data_gradient))
    open_rows = [row for row in result.rows if not row.case.proven]
    if open_rows:
        gaps = [row.case.gap for row in open_rows if row.case.gap is not None]
        most = f"; the largest known gap is {max(gaps):.1%}" if gaps else ""
        found.append(
            f"{len(open_rows)} of {len(result.rows)} mappings are the best found, not proven the best{most}."
        )
    else:
        found.append(f"All {len(result.rows)} mappings are proven the best of those with {Searched.WHOLE}.")
    for note in sorted({row.entry.note for row in result.rows if row.entry.note}):
        layers = list(dict.fromkeys(row.layer for row in result.rows if row.entry.note == note))
        more = f" and {len(layers) - 3} more" if len(layers) > 3 else ""
        found.append(f"Dataflow: {note} in {', '.join(layers[:3])}{more}.")
    if area := describe_area(result.area):
        found.append(f"Area of the machine: {'; '.join(area)}.")
    return found


def _subtitle(result: NetworkResult) -> str:
    aim = parse_objective(result.objective)
    against = f" against {result.baseline}" if result.baseline else ""
    phases = ", ".join(phase.text for phase in result.phases)
    return (
        f"One training step of batch {result.batch}: {phases}. Design {result.design}{against}; dataflow "
        f"{result.dataflow}; mappings searched for the least {aim.text}{aim.within}."
    )


def _cards(result: NetworkResult) -> list[Card]:
    ours = result.totals()
    values = [
        (format_energy(ours.energy_pj), f"energy, {result.design}"),
        (f"{ours.cycles:,}", f"cycles, {result.design}"),
        (format_share(ours.utilization, 1), "utilization"),
    ]
    if (time := ours.time(result.clock_ghz)) is not None:
        values += [
            (format_seconds(time.seconds), f"at {time.clock_ghz:g} GHz, {result.design}"),
            (format_power(time.power_w), f"{four_digits(time.tops_per_w)} TOPS/W, a MAC as two operations"),
        ]
    if result.baseline is not None:
        ratio, dense = result.ratio(), result.totals(result.baseline)
        values += [
            (
                f"{ratio.energy:.2f}x",
                f"less energy than {result.baseline} ({format_energy(dense.energy_pj)})",
            ),
            (f"{ratio.cycles:.2f}x", f"fewer cycles than {result.baseline} ({dense.cycles:,})"),
        ]
    values.append((f"{ours.proven} of {ours.rows}", "mappings proven the best"))
    return [Card(number, meaning) for number, meaning in values]


def _totals_rows(result: NetworkResult) -> tuple[tuple[Cell, ...], ...]:
    rows = []
    for phase in (*result.phases, None) if len(result.phases) > 1 else result.phases:
        name = "all" if phase is None else phase.text
        for design in result.designs:
            totals = result.totals(design, phase)
            cells = [Cell(name), Cell(design), *_totals_cells(totals)]
            if result.baseline is None or design == result.baseline:
                cells += [Cell("", None)] * 2
            else:
                ratio = result.ratio(phase)
                cells += [Cell(f"{value:.3f}", value) for value in (ratio.energy, ratio.cycles)]
            rows.append(tuple(cells))
    return tuple(rows)


def _totals_cells(totals: Totals) -> list[Cell]:
    return [
        Cell(format_energy(totals.energy_pj), totals.energy_pj),
        Cell(f"{totals.cycles:,}", float(totals.cycles)),
        Cell(format_share(totals.utilization, 1), totals.utilization),
        Cell(four_digits(totals.edp_j_cycles), totals.edp_j_cycles),
    ]


def _drawings(result: NetworkResult) -> list[Drawing] | None:
    """Return the figures, or None where they cannot be drawn."""
    if find_spec("matplotlib") is None:
        return None
    from procrustes_model.report.figures.network import draw_layer_imbalance, draw_layers, draw_phases

    found = [
        drawing(draw_phases(result), "Energy by level, and cycles, in each phase"),
        drawing(draw_layers(result), "Energy and cycles of each layer, phases stacked"),
    ]
    uneven = draw_layer_imbalance(result)
    if uneven is not None:
        found.append(drawing(uneven, "Work of the slowest processing element over the mean, by layer"))
    return [*found, *_roofline(result)]


def _roofline(result: NetworkResult) -> list[Drawing]:
    """Return the roofline, where the layers have one in common."""
    from procrustes_model.report.figures.roofline import draw_roofline

    try:
        figure = draw_roofline(result)
    except SpecError:
        return []
    return [drawing(figure, "Layers under the machine's bandwidths, by phase")]


def _machines(result: NetworkResult) -> Table | None:
    """Return what machines and links do in a training step; None of one machine without a link."""
    if not result.links and len(result.machines) == 1:
        return None
    rows = []
    for design in result.designs:
        system = system_of(result, design)
        many = f" x {result.replicas}" if result.replicas > 1 else ""
        lines: list[tuple[str, str, float, int | None, int | None, float | None]] = [
            (one.name + many, "all", one.energy_pj, one.totals.cycles, None, one.seconds)
            for one in system.machines
        ]
        lines += [
            (one.name, one.phase.text, one.energy_pj, None, one.bits, one.seconds) for one in system.links
        ]
        lines.append(("all", "all", system.energy_pj, None, None, system.seconds))
        for name, phase, energy, cycles, bits, seconds in lines:
            counts = [Cell("" if one is None else f"{one:,}", one) for one in (cycles, bits)]
            time = Cell("", None) if seconds is None else Cell(format_seconds(seconds), seconds)
            head = (Cell(name), Cell(phase), Cell(design))
            rows.append((*head, Cell(format_energy(energy), energy), *counts, time))
    return Table("machines", _SYSTEM, tuple(rows))


def _layers(result: NetworkResult) -> Table:
    from procrustes_model.report.figures.network import energy_parts

    levels = energy_parts(result)
    columns = [*_ROWS, *(Column(f"{level} energy", unit="pJ") for level in levels)]
    columns += [] if result.baseline is None else _RATIOS
    base = {(row.layer, row.phase): row for row in result.select(result.baseline)} if result.baseline else {}
    rows = []
    for row in result.rows:
        cells = _layer_row(row, levels)
        if result.baseline is not None:
            cells += _ratios(row, None if row.design == result.baseline else base.get((row.layer, row.phase)))
        rows.append((*cells, Cell(_note(row))))
    return Table("layers", (*columns, Column("Note", True)), tuple(rows))


def _ratios(row: Row, other: Row | None) -> tuple[Cell, ...]:
    """Return what the baseline takes over what a row takes, in energy and cycles."""
    if other is None:
        return (Cell("", None),) * 2
    pairs = ((other.case.energy_pj, row.case.energy_pj), (other.case.cycles, row.case.cycles))
    return tuple(_number(theirs / mine) if mine else Cell("", None) for theirs, mine in pairs)


def _note(row: Row) -> str:
    return "; ".join(filter(None, (row.entry.own and f"design {row.entry.own}", row.entry.note)))


def _layer_row(row: Row, levels: list[str]) -> tuple[Cell, ...]:
    case, entry = row.case, row.entry
    uneven, ideal = case.imbalance or {}, case.work_spread == WorkSpread.IDEAL
    known = dict(case.result.get("densities", {}))
    gap = 0.0 if case.proven else case.gap
    return (
        Cell(row.layer),
        Cell(entry.kind),
        Cell(row.phase.text),
        Cell(row.design),
        Cell(format_count(row.macs), float(row.macs)),
        Cell(format_energy(case.energy_pj), case.energy_pj),
        Cell(f"{case.cycles:,}", float(case.cycles)),
        Cell(format_share(case.utilization, 1), case.utilization),
        Cell("ideal", None) if ideal else _number(uneven.get("after")),
        _number(uneven.get("before")),
        *(_number(known.get(tensor)) for tensor in ("Weights", "Inputs")),
        Cell("unknown", None) if gap is None else Cell("0" if case.proven else f"{gap:.2%}", gap),
        *(
            Cell(format_energy(energy), energy) if energy is not None else Cell("", None)
            for energy in map(case.energy_by_level.get, levels)
        ),
    )


def _number(value: float | None) -> Cell:
    return Cell("", None) if value is None else Cell(four_digits(float(value)), float(value))


def _mappings(result: NetworkResult) -> list[Nest]:
    """Return every distinct mapping with the rows that have it."""
    import yaml

    users: dict[str, list[Row]] = {}
    for row in result.rows:
        if not row.case.searched:
            continue
        users.setdefault(row.entry.key, []).append(row)
    found = []
    for rows in users.values():
        first = rows[0]
        more = f" and {len(rows) - 6} more" if len(rows) > 6 else ""
        summary = f"{', '.join(row.layer for row in rows[:6])}{more}: {first.phase.text}, {first.design}"
        text = yaml.safe_dump(first.case.mapping, sort_keys=False, allow_unicode=True, width=110)
        found.append(nest_of(first.case, summary, text))
    return found


def _recorded(result: NetworkResult) -> str | None:
    """Return the file of recorded masks that a run stood on, if any."""
    given = (result.inputs[name] for name in ("masks", "profile"))
    return next((one for one in given if isinstance(one, str)), None)
