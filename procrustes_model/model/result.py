"""What an evaluation returns: plain, immutable numbers by level, tensor and action."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from procrustes_model.files import write_atomically
from procrustes_model.model.components import ComponentResult, Leakage
from procrustes_model.model.tidy import records_text
from procrustes_model.model.time import Time
from procrustes_model.shown import Shown
from procrustes_model.spec.architecture import LEAKAGE_PART, NETWORKS_PART
from procrustes_model.spec.area import Area
from procrustes_model.vocabulary import Action, WorkSpread

if TYPE_CHECKING:
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.mapping import Mapping
    from procrustes_model.spec.problem import Problem

ACTIONS = tuple(action.text for action in Action)


@dataclass(frozen=True, slots=True)
class TensorCounts:
    """Accesses of one tensor at one level that keeps it.

    Attributes
    ----------
    level, tensor : str
    is_output : bool
        Whether the problem writes this tensor.
    instances : int
        Instances of the level that the mapping uses.
    tile_words : int
        Words of the tensor that one instance holds at a time.
    reads, fills, updates : int or float
        Words read from, written from above into, and written from below into one instance; expected values,
        which need not be whole, where something is zero.
    read_energy_pj, fill_energy_pj, update_energy_pj : float
        Energy over all used instances, in pJ.
    """

    level: str
    tensor: str
    is_output: bool
    instances: int
    tile_words: int
    reads: int | float
    fills: int | float
    updates: int | float
    read_energy_pj: float
    fill_energy_pj: float
    update_energy_pj: float

    @property
    def energy_pj(self) -> float:
        """Energy of all actions over all used instances, in pJ."""
        return self.read_energy_pj + self.fill_energy_pj + self.update_energy_pj


@dataclass(frozen=True, slots=True)
class LevelResult:
    """One storage level.

    Attributes
    ----------
    name : str
    instances_used, instances : int
        Instances that the mapping uses, and that the architecture has.
    capacity_words : int or None
        That tiles may take: half of the level where it is double buffered.
        Words that one instance can hold; None where the level is unlimited.
    used_words : int or float
        Words that one used instance holds, over all tensors; an expected value where something is zero.
    cycles : int
        Cycles that this level alone would take.
    limited_by : str
        ``compute``, ``read bandwidth``, ``write bandwidth`` or ``shared bandwidth``.
    tensors : tuple of TensorCounts
        The tensors kept here, in the problem's order.
    area_um2 : float or None
        Of all instances that the architecture has; None: not stated.
    """

    name: str
    instances_used: int
    instances: int
    capacity_words: int | None
    used_words: int | float
    cycles: int
    limited_by: str
    tensors: tuple[TensorCounts, ...]
    area_um2: float | None = None

    @property
    def energy_pj(self) -> float:
        """Energy of all tensors over all used instances, in pJ."""
        return sum(tensor.energy_pj for tensor in self.tensors)


@dataclass(frozen=True, slots=True)
class ComputeResult:
    """The compute level.

    Attributes
    ----------
    name : str
    instances_used, instances : int
        Units that the mapping uses, and that the architecture has.
    computes : int or float
        Operations over all units; an expected value where something is zero.
    energy_pj : float
        Over all units, in pJ.
    cycles : int
        Those of the loop nest: the cycles when no bandwidth limits.
    area_um2 : float or None
        Of all units that the architecture has; None: not stated.
    cycles_per_compute : float
        That an operation takes one unit.
    """

    name: str
    instances_used: int
    instances: int
    computes: int | float
    energy_pj: float
    cycles: int
    area_um2: float | None = None
    cycles_per_compute: float = 1.0


@dataclass(frozen=True, slots=True)
class NetworkResult:
    """The networks below the instances of a level.

    Attributes
    ----------
    level : str
    instances : int
        That the mapping uses, one below each instance of the level.
    bits : float
        That enter one of them.
    energy_by_tensor_pj : dict of str to float
        Over all of them, of the tensors that go over them.
    cycles : int or None
        That its bits take; None where it has no limit.
    """

    level: str
    instances: int
    bits: float
    energy_by_tensor_pj: dict[str, float]
    cycles: int | None = None

    @property
    def name(self) -> str:
        """What results call it."""
        return f"network of {self.level}"

    @property
    def energy_pj(self) -> float:
        """Energy of all tensors over all used instances, in pJ."""
        return sum(self.energy_by_tensor_pj.values())


class Specs(NamedTuple):
    """What was evaluated."""

    architecture: Architecture
    problem: Problem
    mapping: Mapping


@dataclass(frozen=True, slots=True, repr=False)
class Result(Shown):
    """Counts, energy and cycles of one mapping.

    Attributes
    ----------
    architecture, problem, mapping : str
        Names of the specs.
    phase : str or None
        ``forward``, ``backward``, ``weight_update``, where the problem says so.
    levels : tuple of LevelResult
        Outermost first.
    compute : ComputeResult
    cycles : int
        The slowest of compute and all levels.
    bottleneck : str
        Name of what sets `cycles`; the compute level when nothing is slower.
    components : tuple of ComponentResult
        Units beside levels and compute.
    networks : tuple of NetworkResult
        Of the levels that have one.
    leakage : tuple of Leakage
        Of the parts that leak, or take energy idle.
    clock_ghz : float or None
        Of the machine; None: there is no time, only cycles.
    bits : dict of str to int
        Of an element, by tensor: of those whose elements are not everywhere the level's word.
    specs : Specs or None
        What was evaluated, for pictures; no part of what results are compared by or written as.
    """

    architecture: str
    problem: str
    phase: str | None
    mapping: str
    levels: tuple[LevelResult, ...]
    compute: ComputeResult
    cycles: int
    bottleneck: str
    components: tuple[ComponentResult, ...]
    networks: tuple[NetworkResult, ...] = field(default=(), kw_only=True)
    leakage: tuple[Leakage, ...] = field(default=(), kw_only=True)
    clock_ghz: float | None = field(default=None, kw_only=True)
    bits: dict[str, int] = field(default_factory=dict, kw_only=True)
    specs: Specs | None = field(default=None, kw_only=True, compare=False)

    @property
    def energy_pj(self) -> float:
        """Total energy in pJ: storage, metadata, compute, balancing, networks, components and leakage.

        It is what searches minimise, bound and prove: see `kernels.dense.cost.add_up`.
        """
        storage = sum(level.energy_pj for level in self.levels) + self.compute.energy_pj
        return storage + sum(energy for _, energy in self.extras)

    @property
    def computes_per_instance(self) -> int | float:
        """Operations of one used instance, on average; an int where that is whole."""
        computes, used = self.compute.computes, self.compute.instances_used
        if computes % used == 0:
            return int(computes // used)  # exact beyond 2^53, where a quotient of doubles is not
        return computes / used

    @property
    def extras(self) -> tuple[tuple[str, float], ...]:
        """Energy beside levels and compute, as (name, pJ)."""
        beside = tuple((one.name, one.energy_pj) for one in self.components)
        if self.networks:
            beside = ((NETWORKS_PART, sum(one.energy_pj for one in self.networks)), *beside)
        if not self.leakage:
            return beside
        return (*beside, (LEAKAGE_PART, sum(one.energy_pj for one in self.leakage)))

    @property
    def time(self) -> Time | None:
        """Time, power and throughput; None where the machine states no clock."""
        if self.clock_ghz is None:
            return None
        return Time(self.clock_ghz, self.cycles, self.energy_pj, self.dense_computes)

    @property
    def dense_computes(self) -> int | float:
        """Operations of the problem, those that zeros save included."""
        return self.compute.computes

    @property
    def energy_per_mac_pj(self) -> float:
        """Total energy divided by the operations of the problem, in pJ, whether zeros save some or not."""
        return self.energy_pj / self.dense_computes

    @property
    def energy_per_done_mac_pj(self) -> float:
        """Total energy divided by the operations that are done, in pJ; 0 where nothing is."""
        return self.energy_pj / self.compute.computes if self.compute.computes else 0.0

    @property
    def edp_j_cycles(self) -> float:
        """Energy-delay product: joules times cycles."""
        return self.energy_pj * 1e-12 * self.cycles

    @property
    def utilization(self) -> float:
        """Operations done as a share of those that all units could do in `cycles`."""
        busy = self.compute.computes * self.compute.cycles_per_compute
        return busy / (self.compute.instances * self.cycles)

    @property
    def array_utilization(self) -> float:
        """Units that the mapping uses as a share of those that exist."""
        return self.compute.instances_used / self.compute.instances

    @property
    def work_spread(self) -> WorkSpread:
        """How the work lies on the processing elements: evenly, where nothing is zero."""
        return WorkSpread.EVEN

    @property
    def area(self) -> Area:
        """The area of levels, compute and components, as far as they state one."""
        parts = {level.name: level.area_um2 for level in self.levels}
        parts[self.compute.name] = self.compute.area_um2
        return Area(parts | {one.name: one.area_um2 for one in self.components})

    def level(self, name: str) -> LevelResult:
        """Return the storage level called `name`.

        Raises
        ------
        KeyError
            When there is none.
        """
        for level in self.levels:
            if level.name == name:
                return level
        raise KeyError(name)

    def tensor(self, level: str, tensor: str) -> TensorCounts:
        """Return the counts of `tensor` at `level`.

        Raises
        ------
        KeyError
            When the level does not exist or does not keep the tensor.
        """
        for counts in self.level(level).tensors:
            if counts.tensor == tensor:
                return counts
        raise KeyError((level, tensor))

    def to_records(self) -> list[dict[str, Any]]:
        """Return tidy rows: one per level, tensor and action, one for compute, and one per component.

        Returns
        -------
        list of dict
            Keys ``architecture, problem, phase, level, tensor, action, count, instances, energy_pj``.
            ``count`` is per used instance, ``energy_pj`` over all of them.
        """
        head = {"architecture": self.architecture, "problem": self.problem, "phase": self.phase or ""}
        rows: list[dict[str, Any]] = []
        for level in self.levels:
            for t in level.tensors:
                energies = (t.read_energy_pj, t.fill_energy_pj, t.update_energy_pj)
                for action, count, energy in zip(
                    ACTIONS, (t.reads, t.fills, t.updates), energies, strict=True
                ):
                    rows.append(
                        head
                        | {"level": level.name, "tensor": t.tensor, "action": action}
                        | {"count": count, "instances": t.instances, "energy_pj": energy}
                    )
        compute = self.compute
        rows.append(
            head
            | {"level": compute.name, "tensor": "", "action": "compute"}
            | {
                "count": self.computes_per_instance,
                "instances": compute.instances_used,
                "energy_pj": compute.energy_pj,
            }
        )
        rows += [head | row for row in self._rows_beside()]
        return rows

    def _rows_beside(self) -> list[dict[str, Any]]:
        """Return the rows of what is beside levels and compute."""
        sent = [
            {"level": one.level, "tensor": tensor, "action": "network"}
            | {"count": one.bits, "instances": one.instances, "energy_pj": energy}
            for one in self.networks
            for tensor, energy in one.energy_by_tensor_pj.items()
        ]
        used = [
            {"level": one.name, "tensor": "", "action": "use"}
            | {"count": one.uses / one.instances, "instances": one.instances, "energy_pj": one.energy_pj}
            for one in self.components
        ]
        return (
            sent
            + used
            + [
                {"level": one.name, "tensor": "", "action": one.action}
                | {"count": self.cycles, "instances": one.instances, "energy_pj": one.energy_pj}
                for one in self.leakage
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as nested plain data, ready for JSON, derived figures included."""
        data = asdict(replace(self, specs=None))
        del data["specs"]
        # Machines without a clock, and elements of a word, have the same content as ever.
        if self.compute.cycles_per_compute == 1:
            del data["compute"]["cycles_per_compute"]
        if not self.bits:
            del data["bits"]
        if not self.leakage:
            del data["leakage"]
        if not self.networks:
            del data["networks"]
        for plain, network in zip(data.get("networks", ()), self.networks, strict=True):
            plain["energy_pj"] = network.energy_pj
        for plain in data.get("leakage", ()):
            if plain["action"] == "leak":
                del plain["action"]
        for plain in data["components"]:
            if plain["cycles"] is None:
                del plain["cycles"]
        if self.time is None:
            del data["clock_ghz"]
        else:
            data |= self.time.to_dict()
        for level, plain in zip(self.levels, data["levels"], strict=True):
            plain["energy_pj"] = level.energy_pj
        data["energy_pj"] = self.energy_pj
        data["energy_per_mac_pj"] = self.energy_per_mac_pj
        data["energy_per_done_mac_pj"] = self.energy_per_done_mac_pj
        data["edp_j_cycles"] = self.edp_j_cycles
        data["utilization"] = self.utilization
        data["array_utilization"] = self.array_utilization
        data["work_spread"] = self.work_spread.value
        data["area_um2"] = self.area.total_um2
        data["area_unstated"] = list(self.area.unstated)
        return data

    def to_csv(self, path: str | Path) -> None:
        """Write `to_records` to `path` as CSV, atomically.

        Raises
        ------
        OSError
            When the file cannot be written.
        """
        write_atomically(path, records_text(self.to_records()))
