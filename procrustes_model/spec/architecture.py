"""The hardware: storage levels, outermost first, and the compute level below them."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from procrustes_model.errors import Issue
from procrustes_model.spec.area import Area
from procrustes_model.spec.by_width import ByWidth
from procrustes_model.spec.estimates import TABLE_KEYS
from procrustes_model.spec.interconnect import Interconnect
from procrustes_model.spec.prices import AccessEnergy, MetadataStore
from procrustes_model.spec.schema import (
    LARGEST_BOUND,
    Count,
    Frozen,
    Name,
    NonNegative,
    PartError,
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

NETWORKS_PART = "networks"
"""What results call the networks between levels together, beside them."""

_TAKEN = {
    NETWORKS_PART: "of the networks between levels",
    BALANCING_PART: "of what balancing costs",
    LEAKAGE_PART: "of the leakage of all parts",
}
"""Names that no level or component may have, and whose they are."""


CLOCK_HINT = "write 'clock: 1 GHz' for the architecture, or 'leakage_mw: 0' to leave leakage out"
Names = Annotated[tuple[Name, ...], AfterValidator(check_once)]
_LEAKAGE = "mW that one instance leaks, used or not; needs the machine's clock"
_ORIGINS = "where figures come from that are not by hand, by key: what tables gave"


class StorageLevel(Frozen):
    """One level of storage; all its instances are alike."""

    other_keys: ClassVar[tuple[str, ...]] = ("capacity", "energy_pj_per_bit", *TABLE_KEYS)
    tensor_keys: ClassVar[tuple[str, ...]] = ("tensors", "resident", "through")

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
    tensors: Names | None = Field(
        default=None,
        description="the only tensors that may be kept here; empty: any; none ([]): only a fan-out",
    )
    attributes: dict[str, float | str] = Field(
        default={}, description="values that expressions may use, and notes"
    )
    leakage_gated: bool = Field(
        default=False, strict=True, description="whether instances that a mapping does not use leak nothing"
    )
    cluster_size: Count = Field(
        default=1, description="instances that share a port: one access serves all of them that are used"
    )
    resident: Names = Field(
        default=(),
        description="tensors that begin and end here, whole: not fetched from levels further out nor sent",
    )
    loaded: bool = Field(
        default=False,
        strict=True,
        description="whether operands that are resident here are written once in every evaluation",
    )
    drain_read: bool = Field(
        default=False,
        strict=True,
        description="whether a sum that is sent up is read here: one read per word of the output that leaves",
    )
    through: Names = Field(
        default=(),
        description="operands that, where they are not kept here, are written and read once on their way in",
    )
    beside: bool = Field(
        default=False,
        strict=True,
        description="whether it lies beside the level before it, not below: that one has no loops of its own",
    )
    network: Interconnect | None = Field(
        default=None, description="the wires to what is below; empty: they are free"
    )
    double_buffered: bool | None = Field(
        default=None,
        strict=True,
        description="true: tiles take half of it, so that the next ones come meanwhile; false: units wait "
        "while it is filled; empty: tiles take all of it, and nothing waits",
    )
    metadata: MetadataStore | None = Field(
        default=None,
        description="a store of its own for metadata, with ports of its own; empty: they lie with the data",
    )
    source: Text = Field(default="", description="where the numbers come from")
    origins: dict[Name, Text] | None = Field(default=None, description=_ORIGINS)

    @model_validator(mode="after")
    def _check(self) -> StorageLevel:
        for position, tensor in enumerate(self.resident):
            if not self.may_keep(tensor):
                message = f"'{tensor}' is resident here and not among its 'tensors'"
                raise PartError(("resident", position), message, f"add {tensor} to 'tensors'")
        if self.leakage_gated and not self.leakage_mw:
            raise PartError(("leakage_gated",), "'leakage_gated' has no effect without 'leakage_mw'")
        if self.double_buffered and self.capacity_words is None:
            raise PartError(("double_buffered",), "'double_buffered' has no effect without a capacity")
        if self.double_buffered and self.capacity_words == 1:
            raise PartError(("double_buffered",), "one word cannot be halved", "give it 2 words or more")
        if self.double_buffered is False and self.write_bandwidth is None and self.shared_bandwidth is None:
            message = "'double_buffered: false' has no effect without 'write_bandwidth' or 'shared_bandwidth'"
            raise PartError(("double_buffered",), message, "they say how long it takes to fill")
        if self.loaded and not self.resident:
            raise PartError(("loaded",), "'loaded' has no effect without 'resident'")
        return self

    @property
    def copies(self) -> int:
        """How many tiles it holds of each that is used: two where it is double buffered."""
        return 2 if self.double_buffered else 1

    @property
    def usable_words(self) -> int | None:
        """Words that the tiles in use may take; None: no limit."""
        return None if self.capacity_words is None else self.capacity_words // self.copies

    @property
    def stores(self) -> bool:
        """Whether it may keep any tensor; else it is only a fan-out."""
        return self.tensors != ()

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
    energy_pj: ByWidth = Field(
        description="pJ per computation, a multiply-accumulate: a number, an expression over w and x, the "
        "bits of its operands, or one of these by phase"
    )
    gated_energy_pj: ByWidth = Field(
        default=0.0, description="pJ per gated computation, likewise; a design's gated_energy comes before it"
    )
    skipped_energy_pj: ByWidth = Field(default=0.0, description="pJ per skipped computation, likewise")
    cycles_per_compute: ByWidth = Field(
        default=1.0,
        description="cycles that a computation takes one unit, likewise: below 1 where it does "
        "several in a cycle",
    )
    fill_drain_cycles: NonNegative = Field(
        default=0.0,
        description="cycles that the array takes to fill and drain for each of its tiles, in which nothing "
        "is computed; such as 2 * rows + columns - 2 of a systolic one",
    )
    area_um2: NonNegative | None = Field(default=None, description="area of one unit in square micrometres")
    leakage_mw: NonNegative | None = Field(default=None, description=_LEAKAGE)
    leakage_gated: bool = Field(
        default=False, strict=True, description="whether units that a mapping does not use leak nothing"
    )
    source: Text = Field(default="", description="where the numbers come from")
    origins: dict[Name, Text] | None = Field(default=None, description=_ORIGINS)

    @model_validator(mode="after")
    def _check(self) -> ComputeLevel:
        cycles = self.cycles_per_compute
        for key, one in (cycles if isinstance(cycles, dict) else {"": cycles}).items():
            if one == 0:
                path = ("cycles_per_compute", key) if key else ("cycles_per_compute",)
                raise PartError(path, f"'{path[-1]}' must be more than 0, is 0")
        if self.leakage_gated and not self.leakage_mw:
            raise PartError(("leakage_gated",), "'leakage_gated' has no effect without 'leakage_mw'")
        return self


class ComponentUse(Frozen):
    """What makes a component work: words that a level reads or writes, or computations."""

    level: Name = Field(description="a storage level, or the compute level")
    tensor: Name | None = Field(default=None, description="the tensor whose words count; empty: every one")
    role: Literal["weights", "input", "output", "read", "written", "sparse"] | None = Field(
        default=None,
        description="in place of a tensor's name, what it is: its role in training, or what the phase reads "
        "or writes, or what a sparse design compresses; so one entry serves all phases",
    )
    action: Literal["read", "fill", "update", "compute"] = Field(
        description="what counts as one use per word"
    )
    phases: Annotated[tuple[Phase, ...], Field(min_length=1), AfterValidator(check_once)] | None = Field(
        default=None, description="the only phases in which it works; empty: all"
    )

    @model_validator(mode="after")
    def _check(self) -> ComponentUse:
        for key in ("tensor", "role"):
            if self.action == "compute" and getattr(self, key) is not None:
                raise ValueError(f"of the action 'compute' takes no '{key}': it counts computations")
        if self.tensor is not None and self.role is not None:
            raise PartError(("role",), "'tensor' and 'role' are both given", "keep one of them")
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
    per_cycle: Positive | None = Field(
        default=None, description="uses that one instance manages in a cycle; empty: no limit"
    )
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
        if self.use is None and (self.energy_pj or self.per_cycle or self.when != Served.ALWAYS):
            raise ValueError(
                "works on nothing: 'energy_pj', 'per_cycle' and 'when' need 'use', power alone does not"
            )
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
    sum_bits: Count | None = Field(
        default=None,
        description="bits of a partial sum; empty: of an element of the output, which a complete one has",
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
        self._check_levels()
        if self.clock_ghz is None and (leaking := self._leaking):
            raise ValueError(f"{leaking[0]} leaks, and without a clock that is no energy: {CLOCK_HINT}")
        return self

    def _check_levels(self) -> None:
        """Raise where what a level says does not fit the others."""
        if not any(level.stores for level in self.levels):
            raise ValueError("no level may keep a tensor: every 'tensors' is empty")
        if self.compute.fill_drain_cycles and self.array < 0:
            message = "'fill_drain_cycles' has no effect: there is one compute unit, no array"
            raise PartError(("compute", "fill_drain_cycles"), message, "give a level or 'compute' a mesh")
        seen: dict[str, str] = {}
        for index, level in enumerate(self.levels):
            at: Path = ("levels", index)
            for position, tensor in enumerate(level.resident):
                if tensor in seen:
                    message = f"'{tensor}' is resident at {seen[tensor]} already"
                    raise PartError((*at, "resident", position), message, "a tensor has one home")
                seen[tensor] = level.name
            if self.instances(index) % level.cluster_size:
                message = f"{level.name} has {self.instances(index)} instances, no whole number of clusters"
                raise PartError((*at, "cluster_size"), message, f"of {level.cluster_size}")
            if level.beside and (index == 0 or (level.mesh_x, level.mesh_y) != (1, 1)):
                message = f"{level.name} lies beside nothing"
                if index:
                    message = (
                        f"{level.name} lies beside {self.levels[index - 1].name} and has a mesh below it"
                    )
                raise PartError(
                    (*at, "beside"), message, "one instance of it lies beside one of the level before"
                )
            if level.network is not None:
                try:
                    level.network.hop_pj(self.area_below(index))
                except ValueError as error:
                    raise PartError((*at, "network"), f"the network of {level.name}: {error}") from None

    def area_below(self, level: int) -> float | None:
        """Return the area in um2 of one instance of what is below a level, with all inside; None: unknown."""
        total: float | None = self.compute.area_um2
        for index in range(len(self.levels) - 1, level, -1):
            x, y = self.fanout(index)
            own = 0.0 if not self.levels[index].stores else self.levels[index].area_um2
            total = None if total is None or own is None else own + total * x * y
        return total

    def home(self, tensor: str) -> int:
        """Return the level where a tensor begins and ends: where it is resident, or the outermost storage."""
        for index, level in enumerate(self.levels):
            if tensor in level.resident:
                return index
        return self.outermost

    @property
    def outermost(self) -> int:
        """The outermost level that stores anything."""
        return next(index for index, level in enumerate(self.levels) if level.stores)

    @property
    def array(self) -> int:
        """The level below which the array of compute units is: the innermost one with a fan-out, or -1."""
        levels = range(len(self.levels))
        return max((i for i in levels if self.fanout(i) != (1, 1)), default=-1)

    @property
    def _leaking(self) -> list[str]:
        """Names of the parts that leak."""
        return [one.name for one, _ in self.parts if one.leakage_mw]

    def issue(self, message: str, hint: str | None, path: Path) -> Issue:
        """Return an issue that points at a part in the architecture's file, or at what is around it."""
        origin = self._origin
        if origin.file is None:
            return Issue(message, hint, f"architecture {self.name}")
        lengths = range(len(path), 0, -1)
        places = (origin.by_path[path[:n]] for n in lengths if path[:n] in origin.by_path)
        return Issue(message, hint, origin.file, *next(places, ()))

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
    def parts(self) -> list[tuple[StorageLevel | ComputeLevel | Component, int]]:
        """Levels, the compute level and components, each with its instances in the whole machine."""
        stages: list[StorageLevel | ComputeLevel] = [*self.levels, self.compute]
        counted = [(one, self.instances(index)) for index, one in enumerate(stages)]
        return [*counted, *((one, one.instances) for one in self.components)]

    @property
    def area(self) -> Area:
        """The area that levels, compute and components state, of all instances."""
        return Area(
            {one.name: None if one.area_um2 is None else one.area_um2 * count for one, count in self.parts}
        )

    @property
    def leakage_mw(self) -> dict[str, float]:
        """Leakage of all instances, in mW, of the parts that leak."""
        return {one.name: one.leakage_mw * count for one, count in self.parts if one.leakage_mw}

    @property
    def used_pj_per_cycle(self) -> list[float]:
        """Energy in pJ per cycle of one used instance, by level and last of the compute units.

        Its idle energy, and its leakage where what is not used leaks nothing.
        """
        clock = self.clock_ghz or math.inf
        spent = [
            (one.leakage_mw or 0.0) / clock if one.leakage_gated else 0.0
            for one, _ in self.parts
            if not isinstance(one, Component)
        ]
        idle = [level.energy.idle for level in self.levels]
        return [a + b for a, b in zip(spent, [*idle, 0.0], strict=True)]

    @property
    def power_pj_per_cycle(self) -> float:
        """Energy that is spent in a cycle whatever is done: power of components, and leakage not gated."""
        components = sum(one.power_pj_per_cycle * one.instances for one in self.components)
        clock = self.clock_ghz or math.inf
        steady = (
            one.leakage_mw * count / clock
            for one, count in self.parts
            if one.leakage_mw and (isinstance(one, Component) or not one.leakage_gated)
        )
        return float(components + sum(steady))

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
