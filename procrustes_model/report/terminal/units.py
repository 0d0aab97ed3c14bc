"""Numbers as people read them."""

from __future__ import annotations

import math

ENERGY_UNITS = (("pJ", 1.0), ("nJ", 1e3), ("uJ", 1e6), ("mJ", 1e9), ("J", 1e12), ("kJ", 1e15))
NO_BREAK = "\u00a0"
"""A space at which no line ends."""

_AREA_UNITS = (("um2", 1.0), ("mm2", 1e6))
_BYTE_UNITS = (("B", 1.0), ("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12), ("PB", 1e15))
_POWER_UNITS = (("nW", 1e-9), ("uW", 1e-6), ("mW", 1e-3), ("W", 1.0), ("kW", 1e3))
_LONG = (
    ("days", 86_400.0),
    ("h", 3_600.0),
    ("min", 60.0),
    ("s", 1.0),
    ("ms", 1e-3),
    ("us", 1e-6),
    ("ns", 1e-9),
    ("ps", 1e-12),
)
_COUNT = (("", 1.0), ("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12), ("P", 1e15), ("E", 1e18))


def format_energy(picojoules: float, digits: int = 4) -> str:
    """Return an energy with some digits and the unit that suits it, such as ``12.35 uJ``.

    Parameters
    ----------
    picojoules : float
    digits : int
    """
    return _scaled(picojoules, ENERGY_UNITS, digits)


def format_area(square_micrometres: float) -> str:
    """Return an area with four digits and the unit that suits it, such as ``4.915 mm2``.

    Parameters
    ----------
    square_micrometres : float
    """
    return _scaled(square_micrometres, _AREA_UNITS)


def format_bytes(count: float) -> str:
    """Return a size with four digits and the unit that suits it, such as ``316.7 MB``: 1 MB is 10^6 bytes.

    Parameters
    ----------
    count : float
        Bytes.
    """
    return _scaled(count, _BYTE_UNITS)


def format_power(watts: float) -> str:
    """Return a power with four digits and the unit that suits it, such as ``1.234 W``.

    Parameters
    ----------
    watts : float
    """
    return _scaled(watts, _POWER_UNITS)


def format_seconds(seconds: float) -> str:
    """Return a time with four digits and the unit that suits it, from picoseconds to days.

    Parameters
    ----------
    seconds : float
    """
    rounded = float(f"{seconds:.3e}")  # what rounds up to a unit belongs to it
    unit, length = next((one for one in _LONG if rounded >= one[1]), _LONG[-1] if seconds else ("s", 1.0))
    return f"{four_digits(rounded / length)} {unit}"


def format_minutes(seconds: float) -> str:
    """Return a time as people say it, to the minute or, below two of them, to the second: ``1 h 05 min``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"


def whole_count(count: float, separator: str = ",") -> str:
    """Return a count in full; one that is not whole, an expected value, with four digits or to the nearest.

    Parameters
    ----------
    count : float
    separator : str
        Between groups of three digits: a comma, or nothing.
    """
    if abs(count) < 1000 and not float(count).is_integer():
        return four_digits(count)
    return f"{round(count):{separator}}"


def format_count(count: float) -> str:
    """Return a count with four digits and a decimal prefix, such as ``1.806 M``; below 1,000 as it is.

    Parameters
    ----------
    count : float
    """
    return whole_count(count) if abs(count) < 1000 else _scaled(count, _COUNT)


def format_share(part: float, whole: float) -> str:
    """Return `part` as a percentage of `whole`, such as ``12.3%``; a dash where the whole is nothing."""
    return f"{100 * part / whole:.1f}%" if whole else "-"


def format_percent(share: float) -> str:
    """Return a share as a percentage with three digits, however small, such as ``12.3%``."""
    return f"{_significant(100 * share, 3)}%"


def four_digits(value: float) -> str:
    """Return `value` with four significant digits, in plain form between 0.001 and 10,000."""
    return _significant(value, 4)


def _significant(value: float, digits: int) -> str:
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    exponent = int(f"{value:.{digits - 1}e}".partition("e")[2])
    if -3 <= exponent <= 3:
        return f"{value:.{max(0, digits - 1 - exponent)}f}"
    return f"{value:.{digits - 1}e}"


def _scaled(value: float, units: tuple[tuple[str, float], ...], digits: int = 4) -> str:
    # What rounds up to 1,000 of a unit belongs to the next one.
    rounded = float(f"{abs(value):.{digits - 1}e}")
    unit, scale = next((one for one in units if rounded < 1000 * one[1]), units[-1])
    return f"{_significant(value / scale, digits)} {unit}"
