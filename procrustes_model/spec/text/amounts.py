"""Amounts: numbers with a unit, such as ``128 KB`` or ``1 GHz``. All units that may be written stand here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from procrustes_model.spec.text.expressions import ExpressionError, parse
from procrustes_model.spec.text.words import shorten


@dataclass(frozen=True)
class Quantity:
    """What an amount measures.

    Attributes
    ----------
    name : str
        With its article, for messages.
    base : str
        The unit in which numbers are kept.
    units : dict of str to Fraction
        Units in terms of `base`.
    example : str
    note : str
        What a reader may not know of the units.
    """

    name: str
    base: str
    units: Mapping[str, Fraction]
    example: str
    note: str = ""

    @property
    def choices(self) -> str:
        """The units that there are, as a hint says them."""
        *some, last = self.units
        listed = f"{', '.join(some)} or {last}" if some else last
        return f"such as '{self.example}'; the unit is {listed}{self.note}"


def _decimal(**powers: int) -> dict[str, Fraction]:
    """Return units as powers of ten of the base."""
    return {unit: Fraction(10) ** power for unit, power in powers.items()}


_BITS = {
    "bits": Fraction(1),
    "B": Fraction(8),
    "KB": Fraction(8 * 2**10),
    "MB": Fraction(8 * 2**20),
    "GB": Fraction(8 * 2**30),
}
_ALIASES = {"bit": "bits", "bytes": "B", "word": "words"}
"""Other spellings that are understood."""

_KILO = " (1 KB = 1024 B)"

QUANTITIES = {
    "capacity": Quantity("a capacity", "bits", {"words": Fraction(0), **_BITS}, "128 KB", _KILO),
    "bits": Quantity("a width", "bits", _BITS, "64 bits", _KILO),
    "length": Quantity("a node", "nm", _decimal(nm=0, um=3), "45 nm"),
    "distance": Quantity("a length", "mm", _decimal(um=-3, mm=0), "1 mm"),
    "frequency": Quantity("a frequency", "GHz", _decimal(Hz=-9, kHz=-6, MHz=-3, GHz=0), "1 GHz"),
    "time": Quantity("a time", "ns", _decimal(ps=-3, ns=0, us=3), "1 ns"),
    "voltage": Quantity("a voltage", "V", _decimal(mV=-3, V=0), "0.9 V"),
    "energy": Quantity("an energy", "pJ", _decimal(fJ=-3, pJ=0, nJ=3), "0.5 pJ"),
    "power": Quantity("a power", "mW", _decimal(nW=-6, uW=-3, mW=0, W=3), "0.5 mW"),
    "area": Quantity("an area", "um2", _decimal(um2=0, mm2=6), "0.5 mm2"),
}
"""By name. What a ``word`` is, only a level knows: its reader turns ``words`` into bits."""

_UNITS = {unit for one in QUANTITIES.values() for unit in one.units} | set(_ALIASES)
_WRITTEN = re.compile(
    rf"(.*[\s0-9.)])\s*({'|'.join(sorted(_UNITS, key=lambda unit: (-len(unit), unit)))})", re.DOTALL
)


def split_unit(text: str) -> tuple[str, str] | None:
    """Return the number, an expression, and the unit of an amount; None where it has no unit.

    What is an expression as it stands has none: its last name is an attribute and no unit.

    Parameters
    ----------
    text : str
    """
    match = _WRITTEN.fullmatch(text.strip())
    if match is None or not match[1].strip():
        return None
    unit = match[2]
    return match[1], _ALIASES.get(unit, unit)


def is_plain(text: str) -> bool:
    """Say whether a text is an expression as it stands."""
    try:
        parse(text)
    except ExpressionError:
        return False
    return True


def unit_problem(value: object, unit: str | None, quantity: Quantity, key: str) -> tuple[str, str] | None:
    """Return what is wrong with the unit of an amount, and what would be right; None where nothing is.

    Parameters
    ----------
    value : object
        As written.
    unit : str or None
        As `split_unit` found it.
    quantity : Quantity
    key : str
        Whose value it is.
    """
    if unit is None:
        return f"'{key}' must be a number and a unit, is {shorten(value)}", quantity.choices
    if unit not in quantity.units:
        return f"'{key}' is {quantity.name}, and {shorten(value)} has the unit {unit}", quantity.choices
    return None
