"""What a run returns: every layer, phase and design with its case, and their sums and quotients."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.model.time import Time
from procrustes_model.network.links import LinkCost
from procrustes_model.network.plan import Entry, EntryRow, counts_first_gradient
from procrustes_model.network.record import CaseRecord
from procrustes_model.network.schema import check_run
from procrustes_model.network.store import CaseStore, DamagedCaseError
from procrustes_model.shown import Shown
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.area import Area
from procrustes_model.versions import KEY, VERSIONS, check_version
from procrustes_model.vocabulary import ANY_DATAFLOW, Phase, WorkSpread

FORMAT = "procrustes_network"
RUN_FILE = "run.json"


@dataclass(frozen=True)
class Row(EntryRow):
    """One layer in one phase on one design.

    Attributes
    ----------
    case : CaseRecord
        What it costs; layers of equal shape share it.
    """

    case: CaseRecord

    @property
    def macs(self) -> int:
        """Multiply-accumulates if nothing were zero; none of an elementwise layer."""
        if not self.case.searched:
            return 0
        product = 1
        for bound in self.case.problem["dimensions"].values():
            product *= bound
        return product

    @property
    def computes(self) -> int | float:
        """Multiply-accumulates done; an expected value where something is zero."""
        done: int | float = self.case.result["compute"]["computes"]
        return done if self.case.searched else 0

    @property
    def operations(self) -> int:
        """Operations of an elementwise layer; none of others."""
        return 0 if self.case.searched else int(self.case.result["compute"]["computes"])


@dataclass(frozen=True)
class Totals:
    """Sums over rows of one design; layers and phases run one after the other.

    Attributes
    ----------
    energy_pj : float
    cycles : int
    macs : int
        If nothing were zero.
    computes : int or float
        Done; an expected value where something is zero.
    busy : float
        Cycles of units that they take.
    units : int
        Compute units of the machine; of several, those of the largest.
    offered : int
        Cycles of units that there were: units times cycles, machine by machine.
    energy_by_level : dict of str to float
        pJ; adds up to `energy_pj` but for rounding.
    rows, proven, ideal : int
        Rows summed; those whose mapping is proven the best; and those whose work is taken to be spread
        evenly, so that their cycles are a lower bound.
    gap : float or None
        The largest of the others; None: for one of them no bound is known.
    """

    energy_pj: float
    cycles: int
    macs: int
    computes: int | float
    busy: float
    units: int
    offered: int
    energy_by_level: dict[str, float]
    rows: int
    proven: int
    ideal: int
    gap: float | None

    @property
    def utilization(self) -> float:
        """Operations done / operations that all units could do in the cycles."""
        return self.busy / self.offered if self.offered else 0.0

    @property
    def edp_j_cycles(self) -> float:
        """Energy-delay product: joules times cycles."""
        return self.energy_pj * 1e-12 * self.cycles

    def time(self, clock_ghz: float | None) -> Time | None:
        """Return time, power and throughput at a clock; None without one."""
        return None if clock_ghz is None else Time(clock_ghz, self.cycles, self.energy_pj, self.macs)


def add_up(rows: Iterable[Row]) -> Totals:
    """Return the sums over rows.

    Parameters
    ----------
    rows : iterable of Row
        Of one design.
    """
    rows = list(rows)
    levels: dict[str, float] = {}
    for row in rows:
        for name, energy in row.case.energy_by_level.items():
            levels[name] = levels.get(name, 0.0) + energy
    open_gaps = [row.case.gap for row in rows if not row.case.proven]
    known = [gap for gap in open_gaps if gap is not None]
    return Totals(
        energy_pj=sum(row.case.energy_pj for row in rows),
        cycles=sum(row.case.cycles for row in rows),
        macs=sum(row.macs for row in rows),
        computes=sum(row.computes for row in rows),
        busy=sum(_busy(row.case.result["compute"]) for row in rows),
        units=max((int(row.case.result["compute"]["instances"]) for row in rows), default=0),
        offered=sum(int(row.case.result["compute"]["instances"]) * row.case.cycles for row in rows),
        energy_by_level=levels,
        rows=len(rows),
        proven=sum(row.case.proven for row in rows),
        ideal=sum(row.case.work_spread == WorkSpread.IDEAL for row in rows),
        gap=None if len(known) < len(open_gaps) else max(known, default=0.0),
    )


def _busy(compute: dict[str, Any]) -> float:
    """Return the cycles of units that the operations of a result take."""
    return float(compute["computes"] * compute.get("cycles_per_compute", 1))


@dataclass(frozen=True)
class Ratio:
    """How many times less a design takes than the baseline: above 1 is better.

    Attributes
    ----------
    energy, cycles, edp : float
        The baseline's number / the design's.
    """

    energy: float
    cycles: float
    edp: float


@dataclass(frozen=True, eq=False, repr=False)
class NetworkResult(Shown):
    """A finished run.

    Attributes
    ----------
    architecture, network : str
        Names.
    batch : int
        Samples per training step.
    phases : tuple of str
    designs : tuple of str
        The first is the one asked about, a second the baseline.
    objective : str
        As `parse_objective` reads it.
    inputs : dict
        Everything that went in, as plain data: by name, the options of the `RunRequest` that results depend
        on, specifications in full; ``program``; ``densities`` by layer.
    rows : tuple of Row
        By layer, phase and design, in this order.
    links : tuple of LinkCost
        What goes over the link of the network; not part of totals, which are those of machines.
    """

    architecture: str
    network: str
    batch: int
    phases: tuple[Phase, ...]
    designs: tuple[str, ...]
    objective: str
    inputs: dict[str, Any]
    rows: tuple[Row, ...]
    links: tuple[LinkCost, ...] = ()

    @property
    def design(self) -> str:
        """Name of the design that is asked about."""
        return self.designs[0]

    @property
    def baseline(self) -> str | None:
        """Name of the design that it is compared with."""
        return self.designs[1] if len(self.designs) > 1 else None

    @property
    def first_data_gradient(self) -> bool:
        """Whether the first layer has a backward phase, where there are backward phases at all."""
        return bool(self.inputs["first_data_gradient"]) and counts_first_gradient(self.rows)

    @property
    def dataflow(self) -> str:
        """Name of the dataflow, or of the constraints in its place."""
        rules = self.inputs["constraints"]
        return str(self.inputs["dataflow"] if rules is None else rules["name"])

    @property
    def area(self) -> Area:
        """The area of the machine's parts, as far as they state one."""
        return Architecture(**self.inputs["architecture"]).area

    @property
    def clock_ghz(self) -> float | None:
        """Clock of the machine; None where it states none, or where there are several machines."""
        return self.clock_of(self.machines[0]) if len(self.machines) == 1 else None

    def clock_of(self, machine: str) -> float | None:
        """Return the clock of a machine by its name in `machines`; None where it states none."""
        others = self.inputs["network"].get("machines", {})
        clock: float | None = (others[machine] if machine else self.inputs["architecture"]).get("clock_ghz")
        return clock

    @property
    def machines(self) -> tuple[str, ...]:
        """What the network calls the machines that run layers; empty: that of the run."""
        return tuple(dict.fromkeys(row.entry.machine for row in self.rows)) or ("",)

    @property
    def replicas(self) -> int:
        """Machines that do the same on batches of their own."""
        return int(self.inputs["network"].get("replicas", 1))

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers, in the network's order."""
        return tuple(dict.fromkeys(row.layer for row in self.rows))

    def select(
        self, design: str | None = None, phase: Phase | None = None, layer: str | None = None
    ) -> tuple[Row, ...]:
        """Return the rows of a design, phase and layer; None means all of them."""
        return tuple(
            row
            for row in self.rows
            if design in (None, row.design) and phase in (None, row.phase) and layer in (None, row.layer)
        )

    def totals(
        self, design: str | None = None, phase: Phase | None = None, layer: str | None = None
    ) -> Totals:
        """Return the sums over the rows of a design, in a phase or all, of a layer or all.

        Parameters
        ----------
        design : str, optional
            The one asked about by default.
        phase, layer : str, optional
        """
        return add_up(self.select(design or self.design, phase, layer))

    def ratio(self, phase: Phase | None = None, layer: str | None = None) -> Ratio:
        """Return the baseline's energy, cycles and energy-delay product over the design's.

        Raises
        ------
        SpecError
            When the run has no baseline.
        """
        if self.baseline is None:
            raise SpecError(Issue("this run has no baseline to compare with", "--baseline dense"))
        ours, theirs = self.totals(None, phase, layer), self.totals(self.baseline, phase, layer)
        if not ours.rows:  # a phase in which no layer has work
            return Ratio(1.0, 1.0, 1.0)
        return Ratio(
            theirs.energy_pj / ours.energy_pj,
            theirs.cycles / ours.cycles,
            theirs.edp_j_cycles / ours.edp_j_cycles,
        )

    def to_run_json(self) -> str:
        """Return the run without its cases as JSON: what went in, and which case each row is."""
        data = {
            "format": FORMAT,
            KEY: VERSIONS["run"],
            "architecture": self.architecture,
            "network": self.network,
            "batch": self.batch,
            "phases": self.phases,
            "designs": self.designs,
            "objective": self.objective,
            "inputs": self.inputs,
            "rows": [asdict(row.entry) for row in self.rows],
            **({"links": [asdict(one) for one in self.links]} if self.links else {}),
        }
        return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def load_run(folder: str | Path) -> NetworkResult:
    """Return the run that a folder holds.

    Parameters
    ----------
    folder : path
        What `--out` named.

    Raises
    ------
    SpecError
        When there is no finished run, it is of a newer version, or part of it is missing or was changed.
    """
    path = Path(folder) / RUN_FILE
    try:
        if path.exists() and not path.is_file():  # reading a pipe would never end
            raise SpecError(Issue("the record of a run must be a file", None, str(path)))
        text = path.read_text(encoding="utf-8")
        data = json.loads(text)
        if data["format"] != FORMAT:
            raise ValueError(f"no {FORMAT}")
        check_version("run", data, str(path), text)
        if data.get(KEY, 1) == 1:
            data["inputs"] = _upgrade(data["inputs"])
        data["inputs"].setdefault("first_data_gradient", True)  # runs before version 3 counted it
        check_run(data)
        entries = [Entry(**{**entry, "phase": Phase(entry["phase"])}) for entry in data["rows"]]
        head = {key: data[key] for key in ("architecture", "network", "batch", "objective", "inputs")}
        phases = tuple(Phase(name) for name in data["phases"])
        designs = tuple(data["designs"])
        links = tuple(LinkCost(**{**one, "phase": Phase(one["phase"])}) for one in data.get("links", ()))
    except SpecError:
        raise
    except OSError as error:
        raise SpecError(Issue(f"there is no finished run: {error.strerror}", None, str(path))) from None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise SpecError(Issue(f"this is no run: {error}", None, str(path))) from None
    store = CaseStore(Path(folder))
    rows = tuple(Row(entry, _read_case(store, entry, path)) for entry in entries)
    return NetworkResult(phases=phases, designs=designs, rows=rows, links=links, **head)


def _read_case(store: CaseStore, entry: Entry, path: Path) -> CaseRecord:
    """Return the case of an entry of the run that stands in a file."""
    try:
        record = store.get(entry.key)
    except DamagedCaseError as error:
        message = f"the case of {entry.layer} is not what a search wrote: {error}"
        raise SpecError(Issue(message, "run it again", str(store.path(entry.key)))) from None
    if record is None:
        raise SpecError(Issue(f"the case of {entry.layer} is missing", "run it again", str(path)))
    return record


def _upgrade(inputs: dict[str, Any]) -> dict[str, Any]:
    """Return the inputs of a run of version 1, which told designs and densities but not what was asked."""
    design, *baseline = inputs["designs"]
    weighted = {layer["name"] for layer in inputs["network"]["layers"] if layer["has_weights"]}
    known = {
        key: {name: one[key] for name, one in inputs["densities"].items() if one[key] is not None}
        for key in ("weights", "activations")
    }
    known["weights"] = {name: value for name, value in known["weights"].items() if name in weighted}
    profile = {key: {"layers": values} for key, values in known.items() if values}
    name = f"{inputs['network']['name']}_of_run"[-100:]
    return {
        **{key: value for key, value in inputs.items() if key != "designs"},
        "dataflow": ANY_DATAFLOW if inputs["constraints"] else design["dataflow"],
        "sparsity": design["sparsity"],
        "baseline": (baseline[0]["sparsity"] or "dense") if baseline else None,
        "density": None,
        "profile": {"name": name, **profile} if design["sparsity"] and profile else None,
        "masks": None,
        "step": None,
    }
