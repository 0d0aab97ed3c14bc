"""A run as a list of cases: what has to be searched, each thing once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from procrustes_model.fingerprint import program_fingerprint
from procrustes_model.kernels.dense.arrays import Bools
from procrustes_model.mapper.constraints import for_problem
from procrustes_model.mapper.level_rules import Constraints
from procrustes_model.model.sparse.dense import costs_as_dense
from procrustes_model.network.case import Case
from procrustes_model.network.dataflow import dataflow_constraints
from procrustes_model.network.densities import LayerState, zeros_of
from procrustes_model.spec.homes import find_home
from procrustes_model.spec.load import load_problem
from procrustes_model.spec.widths import NO_BITS, Bits
from procrustes_model.vocabulary import Phase
from procrustes_model.workloads.layer import problem_content

if TYPE_CHECKING:
    from procrustes_model.network.work import Design, Work
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.network import Layer
    from procrustes_model.spec.problem import Problem
    from procrustes_model.spec.zeros import Zeros


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


@dataclass(frozen=True, eq=False)
class Plan:
    """All that a run does.

    Attributes
    ----------
    work : Work
    entries : tuple of Entry
        By layer, phase and design, in this order.
    cases : dict of str to Case
        By key.
    """

    work: Work
    entries: tuple[Entry, ...]
    cases: dict[str, Case]


@dataclass
class _Planner:
    """Collects entries and cases."""

    work: Work
    bits: Bits
    entries: list[Entry] = field(default_factory=list)
    cases: dict[str, Case] = field(default_factory=dict)

    def add(self, layer: Layer, phase: Phase, state: LayerState) -> None:
        work = self.work
        content = problem_content(
            layer,
            phase,
            batch=work.batch,
            network=work.network.name,
            as_published=work.as_published,
            shared=work.network.bits,
            part=self.bits,
        )
        problem = load_problem({"problem": content})
        for tensor in problem.homes:
            find_home(work.architecture, problem, tensor)
        for design in work.designs:
            self._enter(layer, content, problem, design, state)

    def _enter(
        self,
        layer: Layer,
        content: dict[str, Any],
        problem: Problem,
        design: Design,
        state: LayerState,
    ) -> None:
        phase: Phase = problem.phase or Phase.FORWARD
        zeros = None if design.sparsity is None else zeros_of(problem, design.sparsity, state)
        if self.work.constraints is not None:
            constraints, note = for_problem(self.work.constraints, problem), ""
        else:
            constraints, note = dataflow_constraints(design.dataflow, self.work.architecture, problem)
        case = make_case(
            self.work.architecture,
            problem,
            constraints,
            objective=self.work.objective,
            seed=self.work.request.seed,
            zeros=zeros,
        )
        self.cases.setdefault(case.key, case)
        self.entries.append(
            Entry(
                layer=layer.name,
                kind=layer.kind,
                phase=phase,
                design=design.name,
                problem=content,
                key=case.key,
                densities={} if zeros is None else _densities(zeros),
                assumed=state.assumed and zeros is not None and "Inputs" in zeros.densities,
                note=note,
            )
        )


def make_case(
    architecture: Architecture,
    problem: Problem,
    constraints: Constraints,
    *,
    objective: str,
    seed: int,
    zeros: Zeros | None,
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
    )


def make_plan(work: Work, states: Mapping[str, LayerState], bits: Bits = NO_BITS) -> Plan:
    """Return what a run has to do.

    Parameters
    ----------
    work : Work
    states : mapping of str to LayerState
        By layer; see `find_states`.
    bits : Bits
        Of a part of a schedule, in place of what the network says.

    Raises
    ------
    SpecError
        When a layer's problem is too large, or the architecture has no array for a dataflow.
    """
    planner = _Planner(work, bits)
    for layer in work.network.layers:
        for phase in work.phases:
            planner.add(layer, phase, states[layer.name])
    return Plan(work, tuple(planner.entries), planner.cases)


def _densities(zeros: Zeros) -> dict[str, float]:
    known = {name: float(density.get("density", 1.0)) for name, density in zeros.densities.items()}
    return known | {name: float(mask.mean()) for name, mask in zeros.masks.items()}


def _digest(mask: Bools) -> str:
    return hashlib.sha256(mask.tobytes()).hexdigest()
