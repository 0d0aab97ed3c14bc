"""The hardware: storage levels, outermost first, and the compute level below them."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from procrustes_model.errors import Issue
from procrustes_model.spec.area import Area
from procrustes_model.spec.estimates import TABLE_KEYS
from procrustes_model.spec.schema import (
    LARGEST_BOUND,
    Count,
    Frozen,
    Name,
    NonNegative,
    Placed,
    Positive,
    Text,
    check_once,
)
from procrustes_model.spec.text.words import shorten
from procrustes_model.spec.text.yaml_text import Path
from procrustes_model.vocabulary import Phase, Served

BALANCING_PART = "balancing"
"""What results call the pointers of the balancer, beside levels and components."""

LEAKAGE_PART = "leakage"
"""What results call the leakage of all parts together, beside them."""

_TAKEN = {BALANCING_PART: "of what balancing costs", LEAKAGE_PART: "of the leakage of all parts"}
"""Names that no level or component may have, and whose they are."""


CLOCK_HINT = "write 'clock: 1 GHz' for the architecture, or 'leakage_mw: 0' to leave leakage out"
_LEAKAGE = "mW that one instance leaks, used or not; needs the machine's clock"
_ORIGINS = "where figures come from that are not by hand, by key: what tables gave"


class AccessEnergy(Frozen):
    """Energy of one access to one instance of a level."""

    read: NonNegative = Field(description="pJ per read of words_per_access words")
    write: NonNegative = Field(description="pJ per write of words_per_access words; pays for fills")
    update: NonNegative = Field(
        default_factory=lambda data: data["write"],
        description="pJ per update (a sum from below) of words_per_access words; default: as write",
    )

    @property
    def by_action(self) -> tuple[float, float, float]:
        """PJ to read, to fill and to update: a fill is a write."""
        return self.read, self.write, self.update


class StorageLevel(Frozen):
    """One level of storage; all its instances are alike."""

    other_keys: ClassVar[tuple[str, ...]] = ("capacity", *TABLE_KEYS)

    name: Name = Field(description="what mappings and results call the level")
    kind: Text = Field(
        default="", validation_alias="class", description="the sort of memory, such as dram or sram"
    )
    mesh_x: Count = Field(default=1, description="instances (columns) below each instance of the level above")
    mesh_y: Count = Field(default=1, description="instances (rows) below each instance of the level above")
    capacity_words: Count | None = Field(
        default=None, description="words one instance holds; empty: no limit"
    )
    word_bits: Count = Field(description="bits of one word")
    words_per_access: Count = Field(default=1, description="words that one access moves")
    read_bandwidth: Positive | None = Field(
        default=None, description="words per cycle per instance; empty: no limit"
    )
    write_bandwidth: Positive | None = Field(
        default=None, description="words per cycle per instance; empty: no limit"
    )
    shared_bandwidth: Positive | None = Field(
        default=None, description="words per cycle per instance, reads and writes together; empty: no limit"
    )
    energy: AccessEnergy = Field(validation_alias="energy_pj", description="pJ per access")
    area_um2: NonNegative | None = Field(
        default=None, description="area of one instance in square micrometres"
    )
    leakage_mw: NonNegative | None = Field(default=None, description=_LEAKAGE)
    access_ns: NonNegative | None = Field(
        default=None, description="time of one access in nanoseconds; for the reader"
    )
    tensors: Annotated[tuple[Name, ...], AfterValidator(check_once)] | None = Field(
        default=None, description="the only tensors that may be kept here; empty: any"
    )
    attributes: dict[str, float | str] = Field(
        default={}, description="values that expressions may use, and notes"
    )
    source: Text = Field(default="", description="where the numbers come from")
    origins: dict[Name, Text] | None = Field(default=None, description=_ORIGINS)

    def may_keep(self, tensor: str) -> bool:
        """Return whether the level may keep a tensor."""
        return self.tensors is None or tensor in self.tensors


class ComputeLevel(Frozen):
    """The units that compute, below the innermost storage level."""

    other_keys: ClassVar[tuple[str, ...]] = TABLE_KEYS

    name: Name = Field(default="MAC", description="what results call it")
    kind: Text = Field(default="", validation_alias="class", description="the sort of unit, such as mac")
    mesh_x: Count = Field(default=1, description="units (columns) below each instance of the innermost level")
    mesh_y: Count = Field(default=1, description="units (rows) below each instance of the innermost level")
    energy_pj: NonNegative = Field(description="pJ per computation, a multiply-accumulate")
    area_um2: NonNegative | None = Field(default=None, description="area of one unit in square micrometres")
    leakage_mw: NonNegative | None = Field(default=None, description=_LEAKAGE)
    source: Text = Field(default="", description="where the numbers come from")
    origins: dict[Name, Text] | None = Field(default=None, description=_ORIGINS)


class ComponentUse(Frozen):
    """What makes a component work: words that a level reads or writes, or computations."""

    level: Name = Field(description="a storage level, or the compute level")
    tensor: Name | None = Field(default=None, description="the tensor whose words count; empty: every one")
    action: Literal["read", "fill", "update", "compute"] = Field(
        description="what counts as one use per word"
    )
    phases: Annotated[tuple[Phase, ...], Field(min_length=1), AfterValidator(check_once)] | None = Field(
        default=None, description="the only phases in which it works; empty: all"
    )

    @model_validator(mode="after")
    def _check(self) -> ComponentUse:
        if self.action == "compute" and self.tensor is not None:
            raise ValueError("of the action 'compute' takes no 'tensor': it counts computations")
        return self


class Component(Frozen):
    """A unit beside storage and compute, such as one that supports sparse training."""

    other_keys: ClassVar[tuple[str, ...]] = TABLE_KEYS

    name: Name = Field(description="what results call it")
    kind: Text = Field(default="", validation_alias="class", description="the sort of unit, such as adc")
    instances: Count = Field(default=1, description="how many there are in the whole machine")
    energy_pj: NonNegative = Field(default=0.0, description="pJ per use")
    power_pj_per_cycle: NonNegative = Field(
        default=0.0, description="pJ per cycle and instance, used or not; mW at 1 GHz"
    )
    area_um2: NonNegative | None = Field(
        default=None, description="area of one instance in square micrometres"
    )
    leakage_mw: NonNegative | None = Field(default=None, description=_LEAKAGE)
    use: ComponentUse | None = Field(default=None, description="what it works on; empty: power only")
    when: Served = Field(
        default=Served.ALWAYS,
        description="when it works: always, or only under a sparse design that does what it serves: "
        "compression (of the tensor it works on), balancing, pruning (weights have a density or a mask); its "
        "power is spent in any case",
    )
    source: Text = Field(default="", description="where the numbers come from")
    origins: dict[Name, Text] | None = Field(default=None, description=_ORIGINS)

    @model_validator(mode="after")
    def _check(self) -> Component:
        if self.use is None and (self.energy_pj or self.when != Served.ALWAYS):
            raise ValueError("works on nothing: 'energy_pj' and 'when' need 'use', power alone does not")
        spent = self.power_pj_per_cycle or self.leakage_mw
        if self.use is None and not spent and self.area_um2 is None:
            raise ValueError("costs nothing: give it 'use', 'power_pj_per_cycle', 'leakage_mw' or 'area_um2'")
        return self


class Title(Frozen):
    """What an architecture is called, and what holds at all of its levels."""

    name: Name = Field(description="what results call the architecture")
    description: Text = Field(default="", description="what it is, for a reader")
    bits: dict[Name, Count] = Field(
        default={}, description="bits of an element by tensor, at every level; others: the level's word_bits"
    )
    clock_ghz: Positive | None = Field(
        default=None, validation_alias="clock", description="clock in GHz; empty: results have no time"
    )


class Architecture(Title, Placed):
    """Storage levels and the compute level."""

    levels: tuple[StorageLevel, ...] = Field(description="storage levels, outermost (DRAM) first")
    compute: ComputeLevel = Field(description="the level that computes")
    components: tuple[Component, ...] = Field(default=(), description="units beside them")

    @model_validator(mode="after")
    def _check(self) -> Architecture:
        names = [level.name for level in self.levels] + [self.compute.name]
        if not self.levels:
            raise ValueError("at least one storage level is needed")
        names += [component.name for component in self.components]
        for name, whose in _TAKEN.items():
            if name in names:
                raise ValueError(f"the name '{name}' is that {whose}: choose another")
        if len(set(names)) < len(names):
            raise ValueError(f"names of levels and components must differ: {', '.join(names)}")
        units = self.instances(len(self.levels))
        if units > LARGEST_BOUND:
            shown = shorten(units)
            raise ValueError(f"the meshes multiply to {shown} compute units, more than {LARGEST_BOUND}")
        if self.clock_ghz is None and (leaking := self._leaking):
            raise ValueError(f"{leaking[0]} leaks, and without a clock that is no energy: {CLOCK_HINT}")
        return self

    @property
    def _leaking(self) -> list[str]:
        """Names of the parts that leak."""
        parts: list[StorageLevel | ComputeLevel | Component] = [*self.levels, self.compute, *self.components]
        return [one.name for one in parts if one.leakage_mw]

    def issue(self, message: str, hint: str | None, path: Path) -> Issue:
        """Return an issue that points at the part at `path` in the architecture's file, if it has one."""
        origin = self._origin
        if origin.file is None:
            return Issue(message, hint, f"architecture {self.name}")
        return Issue(message, hint, origin.file, *origin.by_path.get(path, ()))

    def instances(self, level: int) -> int:
        """Return how many instances a level has in the whole machine.

        Parameters
        ----------
        level : int
            Index into `levels`; `len(levels)` means the compute level.

        Returns
        -------
        int
            The product of every mesh from the outermost level to this one.
        """
        meshes: list[StorageLevel | ComputeLevel] = [*self.levels, self.compute]
        return math.prod(one.mesh_x * one.mesh_y for one in meshes[: level + 1])

    @property
    def area(self) -> Area:
        """The area that levels, compute and components state, of all instances."""
        parts = [(one.name, one.area_um2, self.instances(index)) for index, one in enumerate(self.levels)]
        parts.append((self.compute.name, self.compute.area_um2, self.instances(len(self.levels))))
        parts += [(one.name, one.area_um2, one.instances) for one in self.components]
        return Area({name: None if area is None else area * count for name, area, count in parts})

    @property
    def leakage_mw(self) -> dict[str, float]:
        """Leakage of all instances, in mW, of the parts that leak."""
        parts = [(one.name, one.leakage_mw, self.instances(index)) for index, one in enumerate(self.levels)]
        parts.append((self.compute.name, self.compute.leakage_mw, self.instances(len(self.levels))))
        parts += [(one.name, one.leakage_mw, one.instances) for one in self.components]
        return {name: leakage * count for name, leakage, count in parts if leakage}

    def leakage_pj(self, cycles: int) -> dict[str, float]:
        """Return the energy, in pJ, of all instances of the parts that leak, while cycles pass."""
        clock = self.clock_ghz or math.inf
        return {name: leakage / clock * cycles for name, leakage in self.leakage_mw.items()}

    @property
    def power_pj_per_cycle(self) -> float:
        """Energy that is spent in a cycle whatever is done: the power of components, and all leakage."""
        components = sum(one.power_pj_per_cycle * one.instances for one in self.components)
        return float(components + sum(self.leakage_pj(1).values()))

    def at_clock(self, clock_ghz: float) -> Architecture:
        """Return the same machine with another clock."""
        return self.model_copy(update={"clock_ghz": clock_ghz})

    @property
    def as_priced(self) -> Architecture:
        """What energies in pJ and cycles depend on: without the clock where nothing leaks."""
        return self if self.leakage_mw else self.model_copy(update={"clock_ghz": None})

    def fanout(self, level: int) -> tuple[int, int]:
        """Return the columns and rows of instances below each instance of storage level `level`."""
        below = self.levels[level + 1] if level + 1 < len(self.levels) else self.compute
        return below.mesh_x, below.mesh_y
