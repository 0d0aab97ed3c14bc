"""What an estimator is asked and what it answers: figures, each with the place that it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

LEAKAGE, AREA, ACCESS_TIME = "leakage_mw", "area_um2", "access_ns"
"""Keys of figures that are no energies; those are ``read``, ``write`` and ``energy_pj``."""

RECALLED = "recalled: from general knowledge, not checked against any text"
"""What is said of a figure that nobody looked up."""


class EstimateError(ValueError):
    """An estimate that cannot be made.

    Parameters
    ----------
    message, hint : str
        As `Issue` takes them.
    key : str, optional
        The key that is wrong or missing; None: the class itself.
    """

    def __init__(self, message: str, hint: str | None = None, key: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.key = key


@dataclass(frozen=True)
class Figure:
    """A number and where it comes from.

    Attributes
    ----------
    value : float
        In the unit that its key names; energies in pJ.
    origin : str
        The table, the rows, and how sure they are.
    """

    value: float
    origin: str


@dataclass(frozen=True)
class Estimate:
    """What is known of one instance of a part.

    Attributes
    ----------
    figures : dict of str to Figure
        ``read`` and ``write`` per access of a level, or ``energy_pj`` per use; `LEAKAGE`, `AREA` and
        `ACCESS_TIME` where they are known.
    family : str or None
        Of a table of compute units whose families do not go together; None: there is none to mind.
    """

    figures: Mapping[str, Figure]
    family: str | None = None


@dataclass(frozen=True)
class TableClass:
    """A class of parts whose figures stand in a table.

    Attributes
    ----------
    name : str
        What ``class`` says.
    text : str
        What it is, for the reader of a list.
    keys : tuple of str
        Those of `KEYS` that it takes, the deciding one first.
    required : tuple of str
        Those without which nothing can be said.
    is_level : bool
        Whether it is storage; else it computes, or stands beside.
    estimate : callable
        From the values of keys, in the units of `KEYS`, to an `Estimate`; of a level also ``capacity``, in
        bytes, and ``entries``, in accesses, both None where it has no limit.
    """

    name: str
    text: str
    keys: tuple[str, ...]
    required: tuple[str, ...]
    is_level: bool
    estimate: Callable[[Mapping[str, Any]], Estimate]


@dataclass(frozen=True)
class Key:
    """A key that chooses figures.

    Attributes
    ----------
    quantity : str or None
        Of an amount with a unit: a name of `spec.text.amounts.QUANTITIES`; None: a word.
    unit : str
        In which tables hold it.
    example : str
        As a user writes it.
    text : str
        What it means.
    """

    quantity: str | None
    unit: str
    example: str
    text: str


KEYS: Mapping[str, Key] = {
    "technology": Key("length", "nm", "45 nm", "node"),
    "device": Key(None, "", "lstp", "type of transistor: lstp leaks little, hp is fast"),
    "width": Key("bits", "bits", "64 bits", "bits of one access or operand"),
    "memory": Key(None, "", "LPDDR4", "sort of DRAM"),
    "scope": Key(None, "", "device", "what an access of DRAM includes"),
    "type": Key(None, "", "int", "sort of numbers, such as int, fp or bf16"),
    "accumulator": Key("bits", "bits", "32 bits", "bits of the sum of a multiply-accumulate"),
    "family": Key(None, "", "horowitz", "whose table of compute units"),
    "latency": Key("time", "ns", "1 ns", "cycle time that a unit was synthesised for"),
    "resolution": Key("bits", "bits", "8 bits", "effective bits of a converter"),
    "sample_rate": Key("frequency", "GHz", "1 GHz", "conversions per second"),
    "design": Key(None, "", "ADC (Newton) 8 bits", "row of a table of designs"),
    "length": Key("distance", "mm", "1 mm", "of a wire"),
    "voltage": Key("voltage", "V", "0.9 V", "supply"),
    "per": Key(None, "", "transition", "what a wire's energy is per"),
}
"""By name: all keys by which tables are asked."""


def shown(key: str, value: Any) -> str:
    """Return the value of a key as a user writes it."""
    unit = KEYS[key].unit
    return f"{value:g} {unit}" if unit and isinstance(value, int | float) else str(value)


def six_digits(value: float) -> float:
    """Return a computed figure with the six digits of tables: no library of mathematics decides the last."""
    return float(f"{value:.6g}")
