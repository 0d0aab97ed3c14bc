"""Units of axes, and names that fit."""

from __future__ import annotations


def energy_scale_of(most_pj: float) -> tuple[str, float]:
    """Return the unit that suits energies up to this, and what picojoules are multiplied with."""
    units = (("J", 1e12), ("mJ", 1e9), ("µJ", 1e6), ("nJ", 1e3))
    unit, size = next((one for one in units if most_pj >= one[1]), ("pJ", 1.0))
    return unit, 1 / size


def cycle_scale_of(most: float) -> tuple[str, float]:
    """Return the title of an axis that suits cycles up to this, and what they are multiplied with."""
    units = (("billion cycles", 1e9), ("million cycles", 1e6), ("thousand cycles", 1e3))
    unit, size = next((one for one in units if most >= one[1]), ("cycles", 1.0))
    return unit, 1 / size


def cut(name: str, length: int = 16) -> str:
    """Return the end of a name that is longer than this."""
    return name if len(name) <= length else "…" + name[1 - length :]
