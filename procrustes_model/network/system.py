"""A training step on all machines of a network, with what goes over the link between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from procrustes_model.network.links import LinkCost
from procrustes_model.network.result import Totals, add_up
from procrustes_model.vocabulary import Phase

if TYPE_CHECKING:
    from procrustes_model.network.result import NetworkResult


@dataclass(frozen=True)
class MachineCost:
    """What one machine, or each replica of it, does.

    Attributes
    ----------
    name : str
        What layers call it, or the architecture's name.
    totals : Totals
        Of one replica.
    replicas : int
    clock_ghz : float or None
    """

    name: str
    totals: Totals
    replicas: int
    clock_ghz: float | None

    @property
    def energy_pj(self) -> float:
        """Energy of all replicas."""
        return self.replicas * self.totals.energy_pj

    @property
    def seconds(self) -> float | None:
        """Time; replicas work at the same time. None without a clock."""
        return None if self.clock_ghz is None else self.totals.cycles / (self.clock_ghz * 1e9)


@dataclass(frozen=True)
class System:
    """All machines and links, one after the other.

    Attributes
    ----------
    machines : tuple of MachineCost
    links : tuple of LinkCost
    """

    machines: tuple[MachineCost, ...]
    links: tuple[LinkCost, ...]

    @property
    def parts(self) -> tuple[MachineCost | LinkCost, ...]:
        """Machines, then links."""
        return (*self.machines, *self.links)

    @property
    def energy_pj(self) -> float:
        """Energy of all machines and links."""
        return sum(one.energy_pj for one in self.parts)

    @property
    def seconds(self) -> float | None:
        """Time of all of them; None where one has none."""
        times = [one.seconds for one in self.parts]
        known = [time for time in times if time is not None]
        return sum(known) if len(known) == len(times) else None


def system_of(result: NetworkResult, design: str | None = None, phase: Phase | None = None) -> System:
    """Return what machines and links do in a training step.

    Parameters
    ----------
    result : NetworkResult
    design : str, optional
        The one asked about by default.
    phase : Phase, optional
        All by default.
    """
    rows = result.select(design or result.design, phase)
    machines = tuple(
        MachineCost(
            name or result.architecture,
            add_up(row for row in rows if row.entry.machine == name),
            result.replicas,
            result.clock_of(name),
        )
        for name in result.machines
    )
    return System(machines, tuple(one for one in result.links if phase in (None, one.phase)))
