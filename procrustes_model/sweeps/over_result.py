"""What a search over a family of machines returns."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from procrustes_model.kernels.search.arrays import SLACK
from procrustes_model.mapper.result import SearchResult
from procrustes_model.objective import gap_to, parse_objective
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.area import Area
from procrustes_model.spec.sparsity import Sparsity
from procrustes_model.sweeps.points import show_value
from procrustes_model.versions import VERSION_COLUMN


class Standing(StrEnum):
    """What became of a member of a family."""

    SEARCHED = "searched"
    EXCLUDED = "excluded"
    BOUNDED = "bounded"
    SAME = "same"
    OPEN = "open"
    INVALID = "invalid"

    @property
    def text(self) -> str:
        """What it means."""
        return _TEXTS[self]


_TEXTS = {
    Standing.SEARCHED: "searched: the best so far when it was found",
    Standing.EXCLUDED: "searched: nothing better than the best so far",
    Standing.BOUNDED: "not searched: no better by its bound",
    Standing.SAME: "the same search as another one's",
    Standing.OPEN: "something better may be left",
    Standing.INVALID: "no mapping is valid",
}

OVER_COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "member": "number of the member, from 1 on; then a column per axis, called as it is",
        "standing": "; ".join(f"{one.value}: {_TEXTS[one].removeprefix('searched: ')}" for one in Standing),
        "best": "true: the best mapping is on this member",
        "value": "objective of the best mapping found on it; empty: none was better than the best so far",
        "lower_bound": "what the objective of no mapping on it falls below",
        "energy_pj": "energy of the mapping found, in pJ",
        "cycles": "its cycles",
        "area_um2": "area of all instances of the parts that state one, in um2; empty: none does",
        "error": "why no mapping was found",
        **VERSION_COLUMN,
    }
)
"""Columns of the table of a family, and what they mean."""


@dataclass(frozen=True, eq=False)
class Member:
    """A member of a family, and what is known of it.

    Attributes
    ----------
    number : int
        From 1 on.
    values : dict of str to Any
        By axis, as written.
    standing : Standing
    value : float or None
        Objective of the best mapping found on it; None: none was found that beats the best so far.
    lower_bound : float
        What the objective of no mapping on it falls below.
    energy_pj, cycles : float or None
        Of the mapping found.
    area : Area
    error : str
        Why no mapping was found.
    """

    number: int
    values: dict[str, Any]
    standing: Standing
    value: float | None
    lower_bound: float
    energy_pj: float | None
    cycles: int | None
    area: Area
    error: str = ""


@dataclass(frozen=True, eq=False)
class OverResult:
    """The best mapping on the best member of a family, and what is known of the others.

    Attributes
    ----------
    name : str
        Of the family.
    objective : str
        As `parse_objective` reads it.
    axes : tuple of str
    members : tuple of Member
    best : int
        Number of the best member.
    found : SearchResult
        The best mapping on it.
    architecture : Architecture
        Its machine.
    machine : str or None
        The machine as text that `load_architecture` reads; None where it was given as an object.
    sparsity : Sparsity or None
        Its sparse design.
    seconds : float
    """

    name: str
    objective: str
    axes: tuple[str, ...]
    members: tuple[Member, ...]
    best: int
    found: SearchResult
    architecture: Architecture
    machine: str | None
    sparsity: Sparsity | None
    seconds: float

    @property
    def value(self) -> float:
        """Objective of the best mapping."""
        return self.found.certificate.value

    @property
    def lower_bound(self) -> float:
        """What the objective of no mapping on any member falls below."""
        valid = (one.lower_bound for one in self.members if one.standing != Standing.INVALID)
        return min(self.value, min(valid, default=math.inf))

    @property
    def proven(self) -> bool:
        """Whether no mapping on any member is better."""
        return self.lower_bound >= self.value * (1 - SLACK)

    @property
    def gap(self) -> float:
        """The most that a better mapping on some member could save, 0 to 1."""
        return gap_to(self.value, self.lower_bound)

    @property
    def count(self) -> dict[str, int]:
        """How many members there are of each standing."""
        found = Counter(one.standing for one in self.members)
        return {standing.value: found[standing] for standing in Standing if found[standing]}

    @property
    def claim(self) -> str:
        """What is known of the other members, a sentence without its end; first whether it is proven."""
        aim = parse_objective(self.objective)
        if self.proven:
            return f"Proven: no member has a mapping{aim.within} with {aim.better}"
        return f"Not proven: a mapping{aim.within} on some member may have up to {self.gap:.1%} less"

    @property
    def columns(self) -> list[str]:
        """The columns of the table: `OVER_COLUMNS`, with the axes after the member."""
        first, *rest = OVER_COLUMNS
        return [first, *self.axes, *rest]

    def to_records(self) -> list[dict[str, Any]]:
        """Return a row per member, as the CSV has it; see `OVER_COLUMNS`."""
        return [
            {
                "member": one.number,
                **{
                    name: value if isinstance(value, str | int | float) else show_value(value)
                    for name, value in one.values.items()
                },
                "standing": one.standing.value,
                "best": one.number == self.best,
                "value": one.value,
                "lower_bound": one.lower_bound,
                "energy_pj": one.energy_pj,
                "cycles": one.cycles,
                "area_um2": one.area.total_um2,
                "error": one.error,
            }
            for one in self.members
        ]

    def csv_text(self) -> str:
        """Return the table as CSV; see `OVER_COLUMNS`."""
        from procrustes_model.files import csv_text

        return csv_text(self.columns, self.to_records())

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {
            "family": self.name,
            "objective": self.objective,
            "proven": self.proven,
            "value": self.value,
            "lower_bound": self.lower_bound,
            "gap": self.gap,
            "unit": parse_objective(self.objective).unit,
            "best": self.best,
            "standings": self.count,
            "members": self.to_records(),
            "seconds": self.seconds,
            "search": self.found.to_dict(),
        }
