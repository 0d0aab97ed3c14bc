"""What training keeps off the chip as text."""

from __future__ import annotations

from procrustes_model.network.memory import TrainingMemory
from procrustes_model.report.terminal.sheet import format_sheet, sheet_of
from procrustes_model.report.terminal.style import Style, labelled
from procrustes_model.report.terminal.units import format_bytes, format_percent


def format_memory(memory: TrainingMemory, style: Style | None = None) -> str:
    """Return a table with a row per part, and what a reader must know beside it.

    Parameters
    ----------
    memory : TrainingMemory
    style : Style, optional
        Plain, 80 columns wide by default.
    """
    peak, rows = memory.peak, []
    for part, bits in peak.bits.items():
        moved = memory.traffic.get(part)
        traffic = (
            ["", ""] if moved is None else [format_bytes(moved.written / 8), format_bytes(moved.read / 8)]
        )
        share = format_percent(bits / peak.total) if peak.total else ""
        rows.append([part, format_bytes(bits / 8), share, *traffic])
    sums = [sum(getattr(one, key) for one in memory.traffic.values()) / 8 for key in ("written", "read")]
    rows.append(["all", format_bytes(peak.total / 8), "", *map(format_bytes, sums)])
    titles = ["Part", "At the peak", "Share", "Written", "Read"]
    sheet = sheet_of(titles, rows, left=("Part",), rules=frozenset([len(rows) - 1]))
    where = "the update of all weights" if peak.phase == "update" else f"{peak.layer} ({peak.phase})"
    notes = [
        ("Network", [f"{memory.network}, batch {memory.batch}"]),
        ("Peak", [f"{memory.peak_bytes:,} bytes, in {where}"]),
    ]
    if memory.again_macs or memory.again_operations:
        more = f"{memory.again_macs:,} multiply-accumulates"
        if memory.macs:
            more += f", {format_percent(memory.again_macs / memory.macs)} of the forward phase"
        if memory.again_operations:
            more += f"; {memory.again_operations:,} operations"
        notes.append(("Again", [more]))
    lines = [line for label, texts in notes for line in labelled(label, texts, style)]
    return "\n".join([format_sheet(sheet, style), "", *lines])
