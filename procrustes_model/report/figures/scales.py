"""Units of axes, and names that fit."""

from __future__ import annotations

import math

_PREFIXED = ("J", "s")
_PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P"}
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


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


def prefix_of(unit: str, most: float) -> tuple[str, float]:
    """Return a unit with the prefix, or the power of ten, that suits numbers up to this, and their factor.

    Plain numbers, and products such as ``J x s``, have powers: a prefix would be of their first part alone.
    """
    exponent = 0 if most <= 0 or 0.1 <= most < 10_000 else 3 * math.floor(math.log10(most) / 3)
    exponent = max(-15, min(15, exponent))
    if exponent == 0 or most <= 0:
        return unit, 1.0
    if unit in _PREFIXED:
        return f"{_PREFIXES[exponent]}{unit}", 10.0**-exponent
    power = str(exponent).translate(_RAISED)
    return f"10{power} {unit}".rstrip(), 10.0**-exponent


def cut(name: str, length: int = 16) -> str:
    """Return the end of a name that is longer than this."""
    return name if len(name) <= length else "…" + name[1 - length :]
