"""What cycles are at a clock: seconds, watts, operations per second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

OPERATIONS_PER_COMPUTE = 2
"""A multiply-accumulate counts as two operations wherever operations per second are told."""

TIME_COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "seconds": "cycles at the machine's clock",
        "power_w": "energy / seconds, in W",
        "tops": "10^12 operations per second, 2 per multiply-accumulate of the problem, saved or not",
        "tops_per_w": "the same per W: operations per pJ",
        "edp_j_s": "energy-delay product: joules times seconds",
    }
)
"""What is told of time, and what it means; tables have these columns where a machine has a clock."""


@dataclass(frozen=True, slots=True)
class Time:
    """Time, power and throughput.

    Attributes
    ----------
    clock_ghz : float
    cycles : int
    energy_pj : float
    computes : int or float
        Of the problem, those that zeros save included.
    """

    clock_ghz: float
    cycles: int
    energy_pj: float
    computes: int | float

    @property
    def seconds(self) -> float:
        """Time of all cycles."""
        return self.cycles / (self.clock_ghz * 1e9)

    @property
    def power_w(self) -> float:
        """Energy per second."""
        return self.energy_pj * 1e-12 / self.seconds if self.cycles else 0.0

    @property
    def tops(self) -> float:
        """Operations per second, in 10^12."""
        return OPERATIONS_PER_COMPUTE * self.computes / self.seconds * 1e-12 if self.cycles else 0.0

    @property
    def tops_per_w(self) -> float:
        """Operations per pJ, which is the same as 10^12 operations per second and W."""
        return OPERATIONS_PER_COMPUTE * self.computes / self.energy_pj if self.energy_pj else 0.0

    @property
    def edp_j_s(self) -> float:
        """Energy-delay product: joules times seconds."""
        return self.energy_pj * 1e-12 * self.seconds

    def to_dict(self) -> dict[str, float]:
        """Return the values of `TIME_COLUMNS`."""
        return {name: getattr(self, name) for name in TIME_COLUMNS}
