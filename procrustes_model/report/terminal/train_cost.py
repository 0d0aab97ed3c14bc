"""The cost of a training run as text."""

from __future__ import annotations

from procrustes_model.network.train_result import PartCost, TrainCost
from procrustes_model.report.terminal.phases import describe_first_gradient
from procrustes_model.report.terminal.sheet import format_sheet, sheet_of
from procrustes_model.report.terminal.sparse import describe_ideal
from procrustes_model.report.terminal.style import Style, wrap
from procrustes_model.report.terminal.units import (
    format_count,
    format_energy,
    format_power,
    format_seconds,
    four_digits,
)
from procrustes_model.workloads.layer_densities import UNKNOWN_ACTIVATIONS

_MOST_ROWS = 60
_MOST_NAMED = 2
_ENERGY = "E gain, Speedup: energy and cycles of dense training over those of the part."
_COMPUTATIONS = (
    "MACs: those that remain, under every mapping. Gains: dense training's over those of the part."
)
_PARTS = dict.fromkeys(("Energy", "Cycles", "E gain", "Speedup"), 1)


def format_train_cost(cost: TrainCost, style: Style | None = None) -> str:
    """Return the parts of a run, their sum, and the comparison with dense training.

    Parameters
    ----------
    cost : TrainCost
        With times where its machine has a clock.
    style : Style, optional
        Plain, 80 columns wide by default.
    """
    where = f"{cost.network} on {cost.architecture}, batch {cost.batch}, schedule {cost.schedule}"
    lines = [f"{where}: {cost.iterations:,} training steps", f"design {cost.design}, {_mappings(cost)}"]
    lines = [*(line for text in lines for line in wrap(text, style)), ""]
    cells = _computation_cells(cost) if cost.macs else _cost_cells(cost)
    if len(cells) > _MOST_ROWS + 3:
        dots = ["..."] + [""] * (len(cells[0]) - 1)
        cells = [*cells[: _MOST_ROWS // 2 + 1], dots, *cells[-_MOST_ROWS // 2 - 2 :]]
    sheet = sheet_of(
        cells[0], cells[1:], rules=frozenset([len(cells) - 3]), parts={} if cost.macs else _PARTS
    )
    lines += [format_sheet(sheet, style), ""]
    lines += [line for note in _notes(cost) for line in wrap(note, style)]
    return "\n".join(lines)


def _cost_cells(cost: TrainCost) -> list[list[str]]:
    """Return the cells of the table of energy and cycles, heads first."""
    run = cost.dense_energy_pj, cost.dense_cycles
    cells = [
        [
            "Part",
            "Steps",
            "Weights",
            "Energy/step",
            "Cycles/step",
            "Energy",
            "Cycles",
            "E gain",
            "Speedup",
        ]
    ]
    for number, part in enumerate(cost.parts, 1):
        cells.append(_cells(str(number), part, cost.dense))
    cells.append(_sum("run", cost.iterations, cost.energy_pj, cost.cycles, run))
    cells.append(_sum("dense", cost.iterations, *run, None))
    return cells


def _computation_cells(cost: TrainCost) -> list[list[str]]:
    """Return the cells of the table of computations, heads first; of bits where a part states some."""
    bits = any(row.entry.problem.get("bits") for part in cost.parts for row in part.counted)
    heads = ["Part", "Steps", "Weights", "MACs/step", "MACs", "MAC gain"]
    cells = [[*heads, "Bit ops", "Bit gain"] if bits else heads]
    rows = [
        (str(number), part.iterations, part.weight_density, part.computations(), cost.dense.computations())
        for number, part in enumerate(cost.parts, 1)
    ]
    whole = cost.dense_computations()
    for name, times, density, ours, dense in rows:
        done, gain = ours.done, _gain(ours.done, dense.done)
        more = [_count(ours.bit_operations, times), _gain(ours.bit_operations, dense.bit_operations)]
        row = [name, f"{times:,}", f"{density:.4f}", _count(done), _count(done, times), gain]
        cells.append(row + (more if bits else []))
    for name, ours in (("run", cost.computations()), ("dense", whole)):
        gains = [
            _gain(ours.done, whole.done),
            _count(ours.bit_operations),
            _gain(ours.bit_operations, whole.bit_operations),
        ]
        mean = f"{cost.weight_density:.4f}" if name == "run" else ""
        row = [name, f"{cost.iterations:,}", mean, "", _count(ours.done)]
        shown = gains if name == "run" else ["", gains[1], ""]
        cells.append(row + (shown if bits else shown[:1]))
    return cells


def _count(number: float | None, times: int = 1) -> str:
    return "-" if number is None else format_count(number * times)


def _gain(ours: float | None, dense: float | None) -> str:
    """Return how many times more operations dense training has."""
    return four_digits(dense / ours) if ours and dense is not None else "-"


def _notes(cost: TrainCost) -> list[str]:
    """Return what a reader must know beside the numbers."""
    notes = [_COMPUTATIONS if cost.macs else _ENERGY]
    notes.append(describe_first_gradient(cost.first_data_gradient))
    if cost.machines > 1:
        notes.append(
            f"Parts run at once on {cost.machines} machines: cycles of the longest, energy of all; dense too."
        )
    if cost.macs:
        return notes + _bits(cost)
    if cost.clock_ghz is not None:
        ours, theirs = (number / cost.clock_ghz * 1e-9 for number in (cost.cycles, cost.dense_cycles))
        what = f"{format_seconds(ours)}; dense {format_seconds(theirs)}"
        notes.append(f"Time at {cost.clock_ghz:g} GHz: {what}")
        if ours and theirs:
            energies = cost.energy_pj / ours, cost.dense_energy_pj / theirs
            powers = tuple(format_power(energy * 1e-12) for energy in energies)
            notes.append(f"Power: {powers[0]}; dense {powers[1]}")
    assumed = sum(any(row.entry.assumed for row in part.rows) for part in cost.parts)
    if assumed:
        parts = "1 part" if assumed == 1 else f"{assumed} parts"
        notes.append(f"Density of activations not known in {parts}: {UNKNOWN_ACTIVATIONS} assumed.")
    notes += _bits(cost)
    ideal = describe_ideal(row.case.result for part in cost.parts for row in part.rows)
    if ideal is not None:
        notes.append(f"{ideal[0].upper()}{ideal[1:]}.")
    if cost.unsaved:
        names = [f"{layer} ({phase})" for layer, phase in cost.unsaved]
        shown = ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")
        notes.append(f"Nothing saved for lack of room in {len(names)} layers and phases: {shown}")
    beside = any(row.entry.kind == "elementwise" for part in cost.parts for row in part.rows)
    what = (
        "what is neither a multiply-accumulate nor an elementwise layer"
        if beside
        else "what is no multiply-accumulate"
    )
    notes.append(f"Layers and phases run one after the other; {what} is not counted.")
    return notes


def _bits(cost: TrainCost) -> list[str]:
    """Return a line for each of the first parts that state bits."""
    stated = [(number, part.bits) for number, part in enumerate(cost.parts, 1) if part.bits]
    lines = []
    for number, bits in stated[:_MOST_ROWS]:
        texts = [
            f"{tensor} {own}" if phase is None else f"{phase.text} {tensor} {own}"
            for tensor, phase, own in bits.stated
        ]
        lines.append(f"Bits in part {number}: {', '.join(texts)}.")
    return lines + (["..."] if len(stated) > _MOST_ROWS else [])


def _mappings(cost: TrainCost) -> str:
    if cost.macs:
        return f"computations counted in {cost.states} states, nothing searched"
    if cost.mappings == "dense":
        return "mappings best where nothing is zero"
    return f"best mappings for each of {cost.states} states" + ("" if cost.proven else ", not all proven")


def _cells(name: str, part: PartCost, dense: PartCost) -> list[str]:
    step, base = part.step(), dense.step()
    return [
        name,
        f"{part.iterations:,}",
        f"{part.weight_density:.4f}",
        format_energy(step.energy_pj),
        f"{step.cycles:,}",
        format_energy(part.energy_pj),
        format_count(part.cycles),
        f"{four_digits(base.energy_pj / step.energy_pj)}" if step.energy_pj else "-",
        f"{four_digits(base.cycles / step.cycles)}" if step.cycles else "-",
    ]


def _sum(
    name: str, iterations: int, energy: float, cycles: int, dense: tuple[float, int] | None
) -> list[str]:
    ratios = ["", ""]
    if dense is not None and energy and cycles:
        ratios = [four_digits(dense[0] / energy), four_digits(dense[1] / cycles)]
    return [name, f"{iterations:,}", "", "", "", format_energy(energy), format_count(cycles), *ratios]
