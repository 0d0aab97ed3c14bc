"""Networks between a level and what is below it: topology, energy, bandwidth."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from procrustes_model.spec.schema import Frozen, NonNegative, PartError, Positive, Text
from procrustes_model.vocabulary import Topology

NETWORK_NUMBERS = (
    "energy_pj_per_bit",
    "hop_pj_per_bit",
    "wire_pj_per_bit_mm",
    "hop_mm",
    "bits_per_cycle",
)
"""Keys of a network whose values may be expressions."""

TOPOLOGIES = tuple(topology.text for topology in Topology)


class Interconnect(Frozen):
    """The wires below one instance of a level."""

    topology: Literal["link", "bus", "mesh", "tree", "crossbar"] = Field(
        description="how the instances below are wired to the level, which decides how many hops a word takes"
    )
    energy_pj_per_bit: NonNegative = Field(default=0.0, description="pJ per bit that enters the network")
    hop_pj_per_bit: NonNegative = Field(default=0.0, description="pJ per bit and hop")
    wire_pj_per_bit_mm: NonNegative = Field(
        default=0.0, description="pJ per bit and millimetre of a hop, besides"
    )
    hop_mm: NonNegative | None = Field(
        default=None,
        description="length of a hop; default: the side of a square that holds what is below, where all of "
        "it has an area",
    )
    bits_per_cycle: Positive | None = Field(
        default=None, description="bits that enter the network in a cycle; empty: no limit"
    )
    sums: Literal["return", "stay"] = Field(
        default="return",
        description="whether partial sums come back down over the network (return), or only go up, to a "
        "level that adds them itself (stay)",
    )
    source: Text = Field(default="", description="where the numbers come from")

    @model_validator(mode="after")
    def _check(self) -> Interconnect:
        if self.hop_mm is not None and not self.wire_pj_per_bit_mm:
            raise PartError(("hop_mm",), "'hop_mm' has no effect without 'wire_pj_per_bit_mm'")
        energy = self.energy_pj_per_bit or self.hop_pj_per_bit or self.wire_pj_per_bit_mm
        if not energy and self.bits_per_cycle is None:
            raise ValueError("costs nothing: give it an energy or 'bits_per_cycle'")
        return self

    def hop_pj(self, area_um2: float | None) -> float:
        """Return pJ per bit and hop.

        Parameters
        ----------
        area_um2 : float, optional
            Of what lies below one instance of what the network reaches.

        Raises
        ------
        ValueError
            When the length of a hop follows neither from `hop_mm` nor from an area.
        """
        if not self.wire_pj_per_bit_mm:
            return self.hop_pj_per_bit
        if self.hop_mm is None and area_um2 is None:
            raise ValueError("a hop has no length: give 'hop_mm', or 'area_um2' of all that is below")
        length = self.hop_mm if self.hop_mm is not None else math.sqrt(area_um2 or 0.0) / 1000
        return self.hop_pj_per_bit + self.wire_pj_per_bit_mm * length
