"""Searches as text: the live line, the certificate, and the front of energy against cycles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from procrustes_model.objective import gap_to
from procrustes_model.report.terminal.style import Style, labelled
from procrustes_model.report.terminal.units import format_energy
from procrustes_model.vocabulary import Phase

if TYPE_CHECKING:
    from procrustes_model.mapper.incumbent import Progress
    from procrustes_model.mapper.result import SearchResult


SLIGHT = 1e-9
"""Relative: what is less by no more than that is as good."""


def format_progress(progress: Progress, limit: float | None, width: int = 80) -> str:
    """Return one line about a running search: best so far, gap, share, time; rate and cycles where they fit.

    Parameters
    ----------
    progress : Progress
    limit : float or None
        Seconds after which the search stops.
    width : int
        Columns; what is longer even in short is cut.
    """
    rate = progress.measured / progress.seconds if progress.seconds > 0 else 0.0
    clock = f"{progress.seconds:.0f} s" + (f" of {limit:.0f} s" if limit is not None else "")
    best, cycles, gap = "nothing valid yet", "", ""
    if math.isfinite(progress.energy_pj):
        best, cycles = f"best {format_energy(progress.energy_pj)}", f", {progress.cycles:,.0f} cycles"
        if progress.lower_bound > 0:
            gap = f", gap {gap_to(progress.value, progress.lower_bound):.1%}"
    done, speed = f"; {progress.share:.0%} done", f", {rate:,.0f} mappings/s"
    lines = [
        f"{best}{cycles}{gap}{done}{speed}, {clock}",
        f"{best}{cycles}{gap}{done}, {clock}",
        f"{best}{gap}{done}, {clock}",
    ]
    return next((line for line in lines if len(line) <= width), lines[-1][:width])


def format_certificate(found: SearchResult, style: Style | None = None) -> str:
    """Return what a search can say about its mapping, as a few lines of text."""
    certificate = found.certificate
    title, claim = found.claim.split(": ", 1)
    lines = [(title, claim)]
    if not certificate.proven:
        if certificate.complete:
            lines.append(("Ended", "the search went to its end, with bounds that leave a gap"))
        elif certificate.crowded:
            lines.append(("Left out", "what there was no memory for"))
    if certificate.whole is not None:
        gain = 1 - certificate.value / certificate.whole if certificate.whole else 0.0
        better = f"this one has {gain:.1%} less" if gain > 0 else "this one is as good"
        lines.append(("Whole passes", f"best mapping proven; {better}"))
    if certificate.even is not None:
        gain = 1 - certificate.value / certificate.even if certificate.even else 0.0
        better = (
            "the best one is even" if certificate.proven else "nothing better was found among uneven ones"
        )
        if gain > SLIGHT:
            better = f"this one has {gain:.1%} less"
        lines.append(("Even", f"best mapping proven; {better}"))
    if found.sparsity is not None:
        lines += _formats(found)
    if certificate.mapspace is not None:
        lines.append(("Mapspace", f"{_short(certificate.mapspace)} mappings"))
    if certificate.patterns:
        excluded = f"{certificate.patterns_pruned} of {certificate.patterns} choices excluded whole"
        lines.append(("Bypass", excluded))
    if certificate.proof == "paths":
        lines.append(("Method", "shortest paths over the divisors of the bounds"))
    for reason, count in certificate.pruned.items():
        lines.append(("Pruned", f"{count:,} partial mappings: {reason}"))
    searches = f", {certificate.searches} searches" if certificate.searches > 1 else ""
    lines.append(("Evaluated", f"{certificate.measured:,} mappings in {found.seconds:.1f} s{searches}"))
    if found.interrupted:
        lines.append(("Interrupted", "this is the best so far"))
    elif found.stopped:
        lines.append(("Stopped", f"after {found.stopped}, its limit: with a larger one the gap may close"))
    return "\n".join(line for label, text in lines for line in labelled(label, [text], style))


def _formats(found: SearchResult) -> list[tuple[str, str]]:
    """Return the formats that were chosen, a line for each tensor and level that keeps it."""
    assert found.sparsity is not None
    phase = found.sparsity.phase(Phase(found.result.phase) if found.result.phase else None)
    kept = {level.level: level.keep for level in found.mapping.levels}
    return [
        ("Formats", f"{tensor} at {level}: {phase.format_of(tensor, level)}")
        for tensor in phase.densities
        for level, tensors in kept.items()
        if tensor in tensors
    ]


def _short(number: int) -> str:
    return f"{number:,}" if number < 10**9 else f"{number:.2e}".replace("e+", "e")


def format_front(front: Sequence[SearchResult]) -> str:
    """Return the front as a table of text, least energy first."""
    lines = ["      Energy          Cycles  Utilization"]
    for point in front:
        energy, cycles = format_energy(point.result.energy_pj), point.result.cycles
        lines.append(f"  {energy:>10}  {cycles:>14,}  {point.result.utilization:>11.1%}")
    if front and front[-1].stopped:
        lines.append(f"  Stopped after {front[-1].stopped}, its limit: there may be faster mappings")
    return "\n".join(lines)
