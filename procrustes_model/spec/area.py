"""The area of a machine: of each of its parts, and of those together that state one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Area:
    """Area by part of a machine, in square micrometres.

    Attributes
    ----------
    parts : mapping of str to float or None
        Of all instances of a level, of the compute units or of a component, by name; None: not stated.
    """

    parts: Mapping[str, float | None]

    @property
    def total_um2(self) -> float | None:
        """Area of the parts that state one, which are all but those `unstated`; None: none does."""
        stated = [area for area in self.parts.values() if area is not None]
        return sum(stated) if stated else None

    @property
    def unstated(self) -> tuple[str, ...]:
        """The parts that `total_um2` leaves out; empty where there is no total."""
        if self.total_um2 is None:
            return ()
        return tuple(name for name, area in self.parts.items() if area is None)
