"""What a search minimises, as data: energy ** a * cycles ** b, within limits on either.

A named objective is one line of `OBJECTIVES`; options, help, reports and kernels read it from there.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from procrustes_model.errors import Issue, SpecError
from procrustes_model.near import closest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEAST_POWER, MOST_POWER = 0.01, 6.0
"""Exponents other than 0: only their ratio matters, and so neither overflow nor rounding does."""


@dataclass(frozen=True)
class Objective:
    """``energy ** energy_power * cycles ** cycles_power``, to be minimised within limits.

    With `energy_power` 0, of mappings with equal cycles the one with least energy is best.

    Attributes
    ----------
    name : str
        What options and files call it.
    energy_power, cycles_power : float
        Exponents: 0, or from `LEAST_POWER` to `MOST_POWER`; not both 0.
    text : str
        What prose calls it; by default the name.
    better : str
        What a better mapping has, in prose.
    most_cycles : float
        Cycles that a mapping may take.
    most_energy : float
        Energy that a mapping may spend, in pJ.

    Raises
    ------
    SpecError
        When an exponent or a limit is out of range.
    """

    name: str
    energy_power: float
    cycles_power: float
    text: str = ""
    better: str = ""
    most_cycles: float = math.inf
    most_energy: float = math.inf

    def __post_init__(self) -> None:
        powers = (self.energy_power, self.cycles_power)
        if not any(powers) or not all(p == 0 or LEAST_POWER <= p <= MOST_POWER for p in powers):
            raise SpecError(
                Issue(
                    f"objective '{self.name}': exponents are 0 or from {LEAST_POWER:g} to {MOST_POWER:g}, "
                    "not both 0",
                    "only their ratio matters: energy^10*cycles^20 is energy*cycles^2",
                )
            )
        for word, most in self.limits:
            if not most > 0:
                raise SpecError(Issue(f"objective '{self.name}': nothing has {word}<={most:g}", _FORMS))
        object.__setattr__(self, "text", self.text or self.name)
        object.__setattr__(self, "better", self.better or f"a smaller {self.text}")

    def __str__(self) -> str:
        """Return the text that `parse_objective` reads: the name, or the product, and the limits."""
        known = _find_named(_powers(self))
        head = known.name if known else _product(*_powers(self), sign="*")
        return ", ".join([head, *(f"{word}<={_short(most)}" for word, most in self.limits)])

    def allows(self, energy: NDArray[np.float64], cycles: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Say of N mappings whether they are within the limits."""
        return (energy <= self.most_energy) & (cycles <= self.most_cycles)

    @property
    def plain_name(self) -> str:
        """Its text as a name of letters, digits and underscores, for mappings and files."""
        return re.sub(r"\W+", "_", str(self))

    @property
    def unit(self) -> str:
        """The unit of its value."""
        return _product(*_powers(self), sign=" x ", energy="pJ")

    @property
    def within(self) -> str:
        """The limits in prose, with a space before; empty where there are none."""
        texts = [f"{most:,.10g} {OBJECTIVES[word].unit}" for word, most in self.limits]
        return f" within {' and '.join(texts)}" if texts else ""

    @property
    def limits(self) -> tuple[tuple[str, float], ...]:
        """What is limited, 'cycles' or 'energy', and to how much."""
        both = (("cycles", self.most_cycles), ("energy", self.most_energy))
        return tuple((word, most) for word, most in both if most != math.inf)


def _powers(objective: Objective) -> tuple[float, float]:
    return objective.energy_power, objective.cycles_power


def _find_named(powers: tuple[float, float]) -> Objective | None:
    return next((one for one in OBJECTIVES.values() if _powers(one) == powers), None)


def _short(number: float) -> str:
    """Write a number in the shortest way that reads back as the same."""
    return repr(float(number)).removesuffix(".0")


def _product(energy_power: float, cycles_power: float, *, sign: str, energy: str = "energy") -> str:
    """Write a product of powers; what has the exponent 0 is left out."""
    factors = [
        word if power == 1 else f"{word}^{_short(power)}"
        for word, power in ((energy, energy_power), ("cycles", cycles_power))
        if power
    ]
    return sign.join(factors)


OBJECTIVES = {
    one.name: one
    for one in (
        Objective("energy", 1, 0, better="less energy"),
        Objective("cycles", 0, 1, better="fewer cycles"),
        Objective("edp", 1, 1, "energy-delay product"),
        Objective("ed2p", 1, 2, "energy-delay-squared product"),
        Objective("e2dp", 2, 1, "energy-squared-delay product"),
    )
}
"""The objectives that have a name."""

_FORMS = (
    f"one of {', '.join(OBJECTIVES)}, or energy^3*cycles; with a limit: energy, cycles<=200000, "
    "or cycles, energy<=5e9 (pJ)"
)
_NUMBER = r"[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+"
_FACTOR = re.compile(rf"\s*(energy|cycles)\s*(?:\^\s*({_NUMBER})\s*)?")
_LIMIT = re.compile(rf"\s*(energy|cycles)\s*<=\s*({_NUMBER})\s*")


def parse_objective(given: str | Objective) -> Objective:
    """Return the objective that a text describes.

    Parameters
    ----------
    given : str or Objective
        A name of `OBJECTIVES`, or a product of powers such as ``energy^3*cycles``; then limits, each after a
        comma: ``edp, cycles<=200000``, ``cycles, energy<=5e9`` (pJ). An `Objective` is returned as it is.

    Returns
    -------
    Objective
        `str` of it reads back as the same. A product that has a name gets it.

    Raises
    ------
    SpecError
        When the text is something else, or a number is out of range.
    """
    if isinstance(given, Objective):
        return given
    if not isinstance(given, str):
        raise _unknown(given)
    head, *tail = given.split(",")
    objective = OBJECTIVES.get(head.strip()) or _parse_product(head, given)
    limits = _read_limits(tail)
    if limits is None:
        raise _unknown(given)
    return replace(objective, **limits)  # type: ignore[arg-type]  # the names are those of two floats


def _read_limits(parts: list[str]) -> dict[str, float] | None:
    """Return limits by the attribute that holds them; None where a text is none, or one comes twice."""
    limits: dict[str, float] = {}
    for part in parts:
        match = _LIMIT.fullmatch(part)
        if match is None or f"most_{match[1]}" in limits:
            return None
        limits[f"most_{match[1]}"] = float(match[2])
    return limits


def parse_limits(given: str | Objective | None) -> Objective:
    """Return the energy-delay product within limits, by which a search for a front is ordered.

    Parameters
    ----------
    given : str, Objective or None
        Limits, with commas between them: ``cycles<=200000, energy<=5e9`` (pJ). None: there are none.

    Raises
    ------
    SpecError
        When the text is something else, or a number is out of range.
    """
    if isinstance(given, Objective):
        return given
    limits = {} if given is None else _read_limits(given.split(",")) if isinstance(given, str) else None
    if limits is None:
        raise SpecError(
            Issue(f"'{str(given)[:80]}' are no limits", "cycles<=200000, or cycles<=200000, energy<=5e9 (pJ)")
        )
    return replace(OBJECTIVES["edp"], **limits)  # type: ignore[arg-type]  # as above


def _parse_product(head: str, given: str) -> Objective:
    """Return the objective of a product of powers."""
    powers: dict[str, float] = {}
    for part in head.split("*"):
        match = _FACTOR.fullmatch(part)
        if match is None or match[1] in powers:
            raise _unknown(given)
        powers[match[1]] = float(match[2] or 1)
    pair = powers.get("energy", 0.0), powers.get("cycles", 0.0)
    return _find_named(pair) or Objective(_product(*pair, sign="*") or head.strip(), *pair)


def _unknown(given: object) -> SpecError:
    near = closest(str(given), OBJECTIVES)
    meant = "" if near is None else f"; did you mean '{near}'?"
    return SpecError(Issue(f"unknown objective '{str(given)[:80]}'", f"{_FORMS}{meant}"))


def gap_to(value: float, lower_bound: float) -> float:
    """Return the most that a better mapping could save: (value - lower bound) / value, from 0 to 1.

    Parameters
    ----------
    value : float
        Of the objective, for the mapping found.
    lower_bound : float
        Of any mapping's; 0 where none is known.
    """
    return max(0.0, (value - lower_bound) / value) if value > 0 else 0.0
