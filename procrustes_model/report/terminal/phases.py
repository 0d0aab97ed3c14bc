"""The phases of a training step side by side."""

from __future__ import annotations

from collections.abc import Sequence

from procrustes_model.model.result import Result
from procrustes_model.report.terminal.units import format_energy


def format_phases(results: Sequence[Result]) -> str:
    """Return energy and cycles of each phase and of all together, as a table of text.

    Parameters
    ----------
    results : sequence of Result
        One per phase, run one after the other.
    """
    rows = [(str(result.phase).replace("_", " "), result.energy_pj, result.cycles) for result in results]
    rows.append(("all phases", sum(row[1] for row in rows), sum(row[2] for row in rows)))
    lines = [f"{'Phase':<14}{'Energy':>10}{'Cycles':>16}"]
    lines += [f"{name:<14}{format_energy(energy):>10}{cycles:>16,}" for name, energy, cycles in rows]
    return "\n".join(lines)


def describe_first_gradient(counted: bool) -> str:
    """Return a sentence on the backward phase of a network's first layer."""
    return f"The data gradient of the first layer is {'counted' if counted else 'not counted'}."
