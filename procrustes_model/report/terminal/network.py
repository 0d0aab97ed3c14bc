"""A run of a network as tables for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from procrustes_model.network.links import LinkCost
from procrustes_model.network.result import NetworkResult, Ratio, Row, Totals, add_up
from procrustes_model.network.system import MachineCost, System, system_of
from procrustes_model.report.terminal.area import describe_area
from procrustes_model.report.terminal.phases import describe_first_gradient
from procrustes_model.report.terminal.sheet import Column, Sheet, format_sheet
from procrustes_model.report.terminal.sparse import describe_ideal
from procrustes_model.report.terminal.style import Style, labelled
from procrustes_model.report.terminal.time import describe_time
from procrustes_model.report.terminal.units import (
    NO_BREAK,
    format_energy,
    format_percent,
    format_seconds,
    four_digits,
)
from procrustes_model.vocabulary import ALL_PHASES, Phase, Role, Searched, WorkSpread
from procrustes_model.workloads.phases import KNOWN_IN

_OTHER = "Other"
_MOST_NAMED = 4
_DENSITIES = {"weights": Role.WEIGHTS, "activations": Role.INPUT, "gradients": Role.OUTPUT}
_TOTALS = ("Totals: EDP in J x cycles; Proven: layers and phases", "Totals: energy by level")


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
        keys.setdefault(row.layer, []).append(f"{row.case.key} {row.entry.own}")
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
    heads: list[tuple[str, str, Phase]] = []
    groups: list[list[Row]] = []
    ratios: list[Ratio] = []
    for names in group_layers(result):
        phases = [phase for phase in result.phases if result.select(result.design, phase, names[0])]
        for i, phase in enumerate(phases):
            shared = str(len(names)) if len(names) > 1 else ""
            heads.append((names[0], shared, phase) if i == 0 else ("", "", phase))
            groups.append([row for name in names for row in result.select(result.design, phase, name)])
            if result.baseline:
                ratios.append(result.ratio(phase, names[0]))
    totals = [add_up(rows) for rows in groups]
    columns = _costs(totals, result)
    columns.append(_column("Imbal.", [_imbalance(rows[0]) for rows in groups]))
    columns.append(_column("Proof", [_proof(total) for total in totals]))
    if result.baseline:
        columns.append(_column("E gain", [f"{ratio.energy:.2f}x" for ratio in ratios], style="green"))
        columns.append(_column("Speedup", [f"{ratio.cycles:.2f}x" for ratio in ratios], style="green"))
    keys = [_column("Layer", [name for name, _, _ in heads])]
    if any(shared for _, shared, _ in heads):
        keys.append(_column("x", [shared for _, shared, _ in heads]))
    keys.append(_column("Phase", [phase.short for *_, phase in heads]))
    own = [rows[0].entry.own for rows in groups]
    if any(own):
        keys.append(_column("Design", own))
    against = f"; gains: {result.baseline} / {result.design}" if result.baseline else ""
    captions = (f"{result.design}{against}", f"{result.design}: energy by level")
    return format_sheet(Sheet(tuple(keys), tuple(columns), captions), style)


def format_totals(result: NetworkResult, style: Style | None = None) -> str:
    """Return a table with the totals per phase and of all phases, for each design, and their ratios.

    Parameters
    ----------
    result : NetworkResult
    style : Style, optional
        Plain by default.
    """
    phases: list[Phase | None] = [*result.phases, *([None] if len(result.phases) > 1 else [])]
    heads = [(design, phase) for design in result.designs for phase in phases]
    totals = [result.totals(design, phase) for design, phase in heads]
    columns = {column.title: column for column in _costs(totals, result)}
    columns["EDP"] = _column("EDP", [four_digits(total.edp_j_cycles) for total in totals])
    columns["Proven"] = _column("Proven", [f"{total.proven} of {total.rows}" for total in totals])
    columns["Gap"] = _column("Gap", [_gap(total) for total in totals])
    styles = {row: "bold" for row, (_, phase) in enumerate(heads) if phase is None}
    rules = set(range(0, len(heads), len(phases)))
    if result.baseline:
        rules.add(len(heads))
        ratios = [result.ratio(phase) for phase in phases]
        gains = {
            "Energy": [f"{ratio.energy:.2f}x" for ratio in ratios],
            "Cycles": [f"{ratio.cycles:.2f}x" for ratio in ratios],
            "EDP": [f"{ratio.edp:.2f}x" for ratio in ratios],
        }
        for title, column in columns.items():
            cells = (*column.cells, *gains.get(title, [""] * len(phases)))
            columns[title] = replace(column, cells=cells)
        heads += [(f"{result.baseline} / {result.design}", phase) for phase in phases]
        styles |= {len(totals) + i: "green" if phase else "bold green" for i, phase in enumerate(phases)}
    keys = (
        _column("Design", [name if i % len(phases) == 0 else "" for i, (name, _) in enumerate(heads)]),
        _column("Phase", [phase.short if phase else ALL_PHASES for _, phase in heads]),
    )
    sheet = Sheet(keys, tuple(columns.values()), _TOTALS, frozenset(rules), styles)
    return format_sheet(sheet, style)


def _states_zeros(result: NetworkResult, role: Role) -> bool:
    """Return whether the design states a density of a role's tensor where it is what is known of a layer."""
    design = result.inputs["sparsity"] or {}
    phases = [phase for phase in KNOWN_IN[role] if phase in result.phases and design]
    stated = [design[phase]["densities"].get(role.tensor) for phase in phases]
    return any(one is not None and one["model"] != "dense" for one in stated)


def format_notes(result: NetworkResult, style: Style | None = None) -> str:
    """Return what a reader must know beside the numbers, each after a label.

    Parameters
    ----------
    result : NetworkResult
    style : Style, optional
        80 columns wide by default.
    """
    ours = result.select(result.design)
    notes: list[tuple[str, Sequence[str]]] = []
    densities = result.inputs.get("densities", {})
    notes += [
        ("Densities", [f"of {what}: what {result.design} states, the same for all layers"])
        for what, role in _DENSITIES.items()
        if any(one[what] is None for one in densities.values()) and _states_zeros(result, role)
    ]
    assumed = {row.layer for row in ours if row.entry.assumed}
    if assumed:
        notes.append(("Densities", [f"activations are not known of {len(assumed)} layers: 0.5 assumed"]))
    if any(one["masked"] for one in densities.values()):
        notes.append(("Masks", ["weights counted forward and backward; density only in the weight update"]))
    if missing := [name for name, one in densities.items() if one.get("missing")]:
        named = ", ".join(missing[:_MOST_NAMED]) + (", ..." if len(missing) > _MOST_NAMED else "")
        text = (
            f"none in the file for {len(missing)} of {len(densities)} layers, which count as dense: {named}"
        )
        notes.append(("Masks", [text]))
    for note, number in Counter(row.entry.note for row in ours if row.entry.note).items():
        text = f"{note} in {number} of {len(ours)} searches, for want of the dimensions"
        notes.append(("Dataflow", [text]))
    if others := _others(result):
        notes.append((_OTHER, others))
    macs = result.totals(phase=result.phases[0]).macs
    alike = all(result.totals(phase=phase).macs == macs for phase in result.phases)
    per = "per phase" if alike else f"in the {result.phases[0].text} phase"
    what = f"{result.network}, batch {result.batch}, {len(result.layers)} layers"
    own = {row.layer: row.entry.own for row in ours if row.entry.own}
    if own:
        designs = ", ".join(sorted(set(own.values())))
        notes.append(("Designs", [f"{len(own)} of {len(result.layers)} layers have their own: {designs}"]))
    operations = sum(row.operations for row in ours)
    beside = [f"elementwise layers: {operations:,} operations per training step"] if operations else []
    notes += [
        ("Phases", [describe_first_gradient(result.first_data_gradient)]),
        ("Imbalance", find_ideal(result)),
        ("Proof", [_describe_proofs(result)]),
        ("Network", [f"{what}: {macs:,} multiply-accumulates {per}", *beside]),
        ("Time", describe_time(result.totals().time(result.clock_ghz))),
        ("Area", describe_area(result.area)),
    ]
    return "\n".join(line for label, texts in notes for line in labelled(label, texts, style))


def _others(result: NetworkResult) -> list[str]:
    """Return what the column `Other` adds up, a text for each design that has any of it."""
    named = set(_levels(result))
    texts = []
    for design in result.designs:
        energies = result.totals(design).energy_by_level.items()
        others = [(name, energy) for name, energy in energies if energy and name not in named]
        parts = [f"{name} {format_energy(energy)}" for name, energy in others]
        if parts:
            words = ", ".join(part.replace(" ", NO_BREAK) for part in parts)
            texts.append(f"{design}, all phases: {words}" if len(result.phases) > 1 else f"{design}: {words}")
    return texts


def find_ideal(result: NetworkResult) -> list[str]:
    """Return what a reader must know of designs whose work is taken to be spread evenly, a text each."""
    found = (describe_ideal(row.case.result for row in result.select(design)) for design in result.designs)
    return [text for text in found if text is not None]


def _describe_proofs(result: NetworkResult) -> str:
    """Return how many searches proved their mapping the best, and what to do about the others."""
    cases = {row.case.key: row.case for row in result.rows if row.case.searched}
    open_ = [case for case in cases.values() if not case.proven]
    shared = (
        ""
        if len(cases) == sum(row.case.searched for row in result.rows)
        else " (equal layers and phases share one)"
    )
    text = (
        f"{len(cases) - len(open_)} of {len(cases)} searches{shared} proved their mapping the best of those "
        f"with {Searched.WHOLE}"
    )
    ended = sum(case.limit is None for case in open_)
    if ended:
        text += f"; {ended} went to their end, with bounds that leave a gap"
    limits = [case.limit for case in open_ if case.limit is not None]
    if limits:
        stopped, go_on = ("was", "it goes") if len(limits) == 1 else ("were", "they go")
        text += f"; {len(limits)} {stopped} stopped after {max(limits):g} s"
        text += f": with more --seconds and the same --out {go_on} on"
    return text


def format_system(result: NetworkResult, style: Style | None = None) -> str:
    """Return a table with energy and time of machines and links; empty of one machine without a link.

    Parameters
    ----------
    result : NetworkResult
    style : Style, optional
        Plain by default.
    """
    if not result.links and len(result.machines) == 1:
        return ""
    heads: list[tuple[str, str, str]] = []
    rules: list[int] = []
    cells: dict[str, list[str]] = {"Energy": [], "Cycles": [], "Bits": [], "Time": []}
    for design in result.designs:
        system = system_of(result, design)
        rules.append(len(heads))
        many = f" x {result.replicas}" if result.replicas > 1 else ""
        parts: list[tuple[str, str, MachineCost | LinkCost | System, str, str]] = [
            (one.name + many, ALL_PHASES, one, f"{one.totals.cycles:,}", "") for one in system.machines
        ]
        parts += [(one.name, one.phase.short, one, "", f"{one.bits:,}") for one in system.links]
        for name, phase, part, cycles, bits in [*parts, ("all", ALL_PHASES, system, "", "")]:
            heads.append((design if len(heads) == rules[-1] else "", name, phase))
            cells["Energy"].append(_energy(part.energy_pj))
            cells["Cycles"].append(cycles)
            cells["Bits"].append(bits)
            cells["Time"].append("" if part.seconds is None else format_seconds(part.seconds))
    keys = [
        _column(title, [head[i] for head in heads]) for i, title in enumerate(("Design", "Part", "Phase"))
    ]
    columns = [_column(title, column) for title, column in cells.items()]
    captions = ("A training step on all machines, one after the other", "")
    return format_sheet(Sheet(tuple(keys), tuple(columns), captions, frozenset(rules)), style)


def format_run(result: NetworkResult, style: Style | None = None) -> str:
    """Return tables and notes."""
    system = format_system(result, style)
    tables = [format_layers(result, style), format_totals(result, style), *([system] if system else [])]
    return "\n\n".join([*tables, format_notes(result, style)])


def _column(title: str, cells: Sequence[str], style: str | None = None, part: int = 0) -> Column:
    return Column(title, tuple(cells), title in ("Layer", "Design", "Part", "Phase", "Proof"), style, part)


def _costs(totals: Sequence[Totals], result: NetworkResult) -> list[Column]:
    """Return the columns of energy, of its parts, of cycles and of utilisation."""
    names = _levels(result)
    parts = [{name: total.energy_by_level.get(name, 0.0) for name in names} for total in totals]
    if _OTHER in names:
        for part, total in zip(parts, totals, strict=True):
            part[_OTHER] = sum(energy for name, energy in total.energy_by_level.items() if name not in part)
    levels = [_column(name, [_energy(part[name]) for part in parts], part=1) for name in names]
    return [
        _column("Energy", [_energy(total.energy_pj) for total in totals]),
        *levels,
        _column("Cycles", [f"{total.cycles:,}" for total in totals]),
        _column("Util.", [format_percent(total.utilization) for total in totals]),
    ]


def _energy(picojoules: float) -> str:
    return format_energy(picojoules, 3) if picojoules else "0"


def _levels(result: NetworkResult) -> list[str]:
    """Return the titles of the columns of energy: levels, compute, and all else together."""
    names = [level["name"] for level in result.inputs["architecture"]["levels"]]
    names.append(result.inputs["architecture"]["compute"]["name"])
    found = (energies for row in result.rows for energies in row.case.energy_by_level.items())
    known = {name for name, energy in found if energy}
    return [*names, *([_OTHER] if known - set(names) else [])]


def _imbalance(row: Row) -> str:
    if row.case.work_spread == WorkSpread.IDEAL:
        return "ideal"
    if row.case.imbalance is None:
        return "-" if row.case.result.get("imbalance") else ""
    return f"{row.case.imbalance['after']:.2f}"


def _proof(total: Totals) -> str:
    return "proven" if total.proven == total.rows else f"gap {_gap(total)}"


def _gap(total: Totals) -> str:
    """Return how much better mappings may be than those that are not proven the best."""
    if total.proven == total.rows:
        return "0"
    return "unknown" if total.gap is None else format_percent(total.gap)


def format_gap(gap: float) -> str:
    """Return a gap as a percentage of what was found."""
    return f"gap {format_percent(gap)}"
