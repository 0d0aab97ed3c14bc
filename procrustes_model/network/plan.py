"""A run as a list of cases: what has to be searched, each thing once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.fingerprint import program_fingerprint
from procrustes_model.kernels.dense.arrays import Bools
from procrustes_model.mapper.constraints import for_problem
from procrustes_model.mapper.level_rules import Constraints
from procrustes_model.model.sparse.dense import costs_as_dense
from procrustes_model.network.case import PROVEN, Case, Way
from procrustes_model.network.dataflow import dataflow_constraints, in_sequence
from procrustes_model.network.densities import LayerState, zeros_of
from procrustes_model.network.streams import record_stream, stream_of
from procrustes_model.spec.density import Density
from procrustes_model.spec.homes import find_home
from procrustes_model.spec.load import load_problem
from procrustes_model.spec.network_elementwise import ElementwiseLayer
from procrustes_model.spec.network_problem import ProblemLayer
from procrustes_model.spec.widths import NO_BITS, Bits
from procrustes_model.vocabulary import Phase
from procrustes_model.workloads.layer import alike, problem_content, problem_name

if TYPE_CHECKING:
    from procrustes_model.network.record import CaseRecord
    from procrustes_model.network.work import Design, Work
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.network import Layer
    from procrustes_model.spec.problem import Problem
    from procrustes_model.spec.zeros import Zeros


AGAIN = " (again)"
"""What the name of a layer ends in whose forward phase is computed again."""


@dataclass(frozen=True)
class Entry:
    """One layer in one phase on one design.

    Attributes
    ----------
    layer, kind : str
    phase : str
    design : str
    problem : dict
        Content of a problem file: name, shape, dimensions, coefficients, bits, starts, ends.
    key : str
        Of its case.
    densities : dict of str to float
        Known of the tensors that have zeros here.
    assumed : bool
        Whether the density of activations is assumed.
    note : str
        Where a dataflow was bent to fit.
    own : str
        The layer's own design in place of `design`; empty: it has none.
    machine : str
        What the network calls the machine that runs it; empty: the machine of the run.
    """

    layer: str
    kind: str
    phase: Phase
    design: str
    problem: dict[str, Any]
    key: str
    densities: dict[str, float]
    assumed: bool
    note: str
    own: str = ""
    machine: str = ""


@dataclass(frozen=True)
class EntryRow:
    """What is known of an entry; rows add to it.

    Attributes
    ----------
    entry : Entry
        What it is.
    """

    entry: Entry

    @property
    def layer(self) -> str:
        """Name of the layer."""
        return self.entry.layer

    @property
    def phase(self) -> Phase:
        """The training phase."""
        return self.entry.phase

    @property
    def design(self) -> str:
        """Name of the design."""
        return self.entry.design


def counts_first_gradient(rows: Sequence[EntryRow]) -> bool:
    """Return whether the first layer has a backward phase, where any layer has one.

    Parameters
    ----------
    rows : sequence of EntryRow
        By layer, in the network's order.
    """
    layers = [row for row in rows if row.entry.kind != "elementwise"]
    backward = {row.layer for row in layers if row.phase == Phase.BACKWARD}
    return not backward or layers[0].layer in backward


@dataclass(frozen=True, eq=False)
class Plan:
    """All that a run does.

    Attributes
    ----------
    work : Work
    entries : tuple of Entry
        By layer, phase and design, in this order.
    cases : dict of str to Case
        What is searched, by key.
    ready : dict of str to CaseRecord
        What needs no search: elementwise layers, by key.
    """

    work: Work
    entries: tuple[Entry, ...]
    cases: dict[str, Case]
    ready: dict[str, CaseRecord] = field(default_factory=dict)


Key = tuple[Any, ...]


@dataclass
class Memo:
    """What was planned before.

    Attributes
    ----------
    problems : dict
        Of one phase of a layer, as a file holds it and as it is read: of all designs.
    planned : dict
        Entries and cases of one phase of a layer, an item per design.
    """

    problems: dict[Key, tuple[dict[str, Any], Problem]] = field(default_factory=dict)
    planned: dict[Key, list[tuple[Entry, Case]]] = field(default_factory=dict)


@dataclass
class _Planner:
    """Collects entries and cases."""

    work: Work
    bits: Bits
    memo: Memo
    entries: list[Entry] = field(default_factory=list)
    cases: dict[str, Case] = field(default_factory=dict)
    ready: dict[str, CaseRecord] = field(default_factory=dict)

    def add_elementwise(self, layer: ElementwiseLayer) -> None:
        work = self.work
        stream = stream_of(layer, work.network, work.batch, self.bits)
        machine, architecture = work.machine_of(layer)
        record = record_stream(stream, architecture, work.objective)
        self.ready[record.key] = record
        for design in work.designs:
            content = {**record.problem, "name": stream.name}
            row = (layer.name, layer.kind, layer.phase, design.name, content, record.key)
            self.entries.append(Entry(*row, densities={}, assumed=False, note="", machine=machine))

    def add(self, layer: Layer, phase: Phase, state: LayerState, *, again: bool = False) -> None:
        """Add one phase of a layer, planned once for all layers that are alike.

        `again`: its forward phase, computed again for the backward phase.
        """
        key = (alike(layer), phase, state.key, self.bits)
        if key not in self.memo.planned:
            self.memo.planned[key] = self._plan(layer, phase, state)
        name = problem_name(layer, phase, self.work.network.name)
        called = f"{layer.name}{AGAIN}" if again else layer.name
        for entry, case in self.memo.planned[key]:
            self.cases.setdefault(case.key, case)
            self.entries.append(replace(entry, layer=called, problem=entry.problem | {"name": name}))

    def _plan(self, layer: Layer, phase: Phase, state: LayerState) -> list[tuple[Entry, Case]]:
        work = self.work
        content, problem = self._problem(layer, phase, self.bits.updated(state.bits))
        for tensor in problem.homes:
            find_home(work.machine_of(layer)[1], problem, tensor)
        own = work.design_of(layer, state)
        return [
            self._enter(layer, content, problem, design, design if number else own, state)
            for number, design in enumerate(work.designs)
        ]

    def _problem(self, layer: Layer, phase: Phase, bits: Bits) -> tuple[dict[str, Any], Problem]:
        work, key = self.work, (alike(layer), phase, bits)
        if key not in self.memo.problems:
            content = problem_content(
                layer,
                phase,
                batch=work.batch,
                network=work.network.name,
                as_published=work.as_published,
                shared=work.network.bits,
                part=bits,
            )
            self.memo.problems[key] = content, load_problem({"problem": content})
        return self.memo.problems[key]

    def _enter(
        self,
        layer: Layer,
        content: dict[str, Any],
        problem: Problem,
        design: Design,
        its: Design,
        state: LayerState,
    ) -> tuple[Entry, Case]:
        phase: Phase = problem.phase or Phase.FORWARD
        machine, architecture = self.work.machine_of(layer)
        zeros = (
            None if its.sparsity is None else zeros_of(problem, its.sparsity, state, dict(layer.densities))
        )
        if self.work.constraints is not None:
            constraints, note = for_problem(self.work.constraints, problem), ""
        else:
            constraints, note = dataflow_constraints(design.dataflow, architecture, problem)
        if isinstance(layer, ProblemLayer):
            constraints = in_sequence(constraints, layer.sequence, architecture, problem)
        case = make_case(
            architecture,
            problem,
            constraints,
            objective=self.work.objective,
            seed=self.work.request.seed,
            zeros=zeros,
        )
        entry = Entry(
            layer=layer.name,
            kind=layer.kind,
            phase=phase,
            design=design.name,
            problem=content,
            key=case.key,
            densities={} if zeros is None else _densities(zeros),
            assumed=state.assumed and zeros is not None and "Inputs" in zeros.densities,
            note=note,
            own="" if its is design else its.name,
            machine=machine,
        )
        return entry, case


def make_case(
    architecture: Architecture,
    problem: Problem,
    constraints: Constraints,
    *,
    objective: str,
    seed: int,
    zeros: Zeros | None,
    way: Way = PROVEN,
) -> Case:
    """Return a search with the key of all that its result depends on.

    Parameters
    ----------
    architecture : Architecture
    problem : Problem
        Its name does not count.
    constraints : Constraints
    objective : str
    seed : int
    zeros : Zeros or None
        A design that costs here what the dense machine costs is that: one case for both.
    way : Way
    """
    if zeros is not None and costs_as_dense(architecture, problem, zeros):
        zeros = None
    # Where nothing leaks, runs at other clocks share their cases.
    architecture = architecture.as_priced
    bounds = "_".join(f"{name}{bound}" for name, bound in problem.dimensions.items())
    plain = problem.model_copy(update={"name": f"{problem.shape}_{bounds}"[:100]})
    described = {
        "program": program_fingerprint(),
        "architecture": architecture.model_dump(mode="json"),
        "problem": plain.model_dump(mode="json"),
        "constraints": asdict(constraints),
        "objective": objective,
        "seed": seed,
        "sparsity": zeros
        and [zeros.sparsity.name, zeros.sparsity.phase(problem.phase).model_dump(mode="json")],
        "densities": {} if zeros is None else zeros.densities,
        "masks": {}
        if zeros is None
        else {name: [list(mask.shape), _digest(mask)] for name, mask in zeros.masks.items()},
        "way": vars(way),
    }
    text = json.dumps(described, sort_keys=True, allow_nan=False)
    return Case(
        key=hashlib.sha256(text.encode()).hexdigest()[:32],
        architecture=architecture,
        problem=plain,
        constraints=constraints,
        objective=objective,
        zeros=zeros,
        seed=seed,
        way=way,
    )


def make_plan(
    work: Work, states: Mapping[str, LayerState], bits: Bits = NO_BITS, memo: Memo | None = None
) -> Plan:
    """Return what a run has to do.

    Parameters
    ----------
    work : Work
    states : mapping of str to LayerState
        By layer; see `find_states`.
    bits : Bits
        Of a part of a schedule, in place of what the network says.
    memo : Memo, optional
        What was planned before of the same work; of work with other designs, its problems alone.

    Raises
    ------
    SpecError
        When a layer's problem is too large, or the architecture has no array for a dataflow.
    """
    planner = _Planner(work, bits, Memo() if memo is None else memo)
    again = {work.network.layers[position].name for position in work.network.again}
    for layer in work.network.in_order:
        if isinstance(layer, ElementwiseLayer):
            if layer.phase in work.phases:
                planner.add_elementwise(layer)
            continue
        state = states[layer.name]
        for phase in work.phases_of(layer, state):
            if isinstance(layer, ProblemLayer) and not (layer.trained or phase != Phase.WEIGHT_UPDATE):
                continue
            planner.add(layer, phase, state)
        if layer.name in again and {Phase.FORWARD, Phase.WEIGHT_UPDATE} <= set(work.phases):
            planner.add(layer, Phase.FORWARD, state, again=True)
    if not planner.entries:
        phases = ", ".join(phase.text for phase in work.phases)
        raise SpecError(Issue(f"no layer takes part in any of the phases {phases}"))
    return Plan(work, tuple(planner.entries), planner.cases, planner.ready)


def _densities(zeros: Zeros) -> dict[str, float]:
    known = {name: Density(**density).average or 0.0 for name, density in zeros.densities.items()}
    return known | {name: float(mask.mean()) for name, mask in zeros.masks.items()}


def _digest(mask: Bools) -> str:
    return hashlib.sha256(mask.tobytes()).hexdigest()
