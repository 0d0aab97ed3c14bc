"""A run as a list of cases: what has to be searched, each thing once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from procrustes_model.fingerprint import program_fingerprint
from procrustes_model.kernels.dense.arrays import Bools
from procrustes_model.mapper.constraints import Constraints
from procrustes_model.network.dataflow import dataflow_constraints
from procrustes_model.network.densities import LayerState, Zeros, zeros_of
from procrustes_model.objective import Objective, parse_objective
from procrustes_model.spec.load import load_problem
from procrustes_model.spec.sparsity import SparsePhase
from procrustes_model.vocabulary import PHASES, Phase
from procrustes_model.workloads.layer import problem_content

if TYPE_CHECKING:
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.network import Network, NetworkLayer
    from procrustes_model.spec.problem import Problem
    from procrustes_model.spec.sparsity import Sparsity


@dataclass(frozen=True, eq=False)
class Case:
    """One search. Layers that differ in nothing but their name share it.

    Attributes
    ----------
    key : str
        Hash of all that the result depends on: architecture, bounds and projections of the problem,
        constraints, objective, the sparse design in this phase, densities, masks, seed, and this program.
    architecture : Architecture
    problem : Problem
        Named by its shape and bounds.
    constraints : Constraints
    objective : str
    sparsity : Sparsity or None
        None: nothing is zero.
    densities : dict
        By tensor, in place of the design's.
    masks : dict of str to bool array
    seed : int
    """

    key: str
    architecture: Architecture
    problem: Problem
    constraints: Constraints
    objective: str
    sparsity: Sparsity | None
    densities: dict[str, Any]
    masks: dict[str, Bools]
    seed: int

    @property
    def effort(self) -> float:
        """A guess of how long the search takes compared with others, so that the longest start first."""
        ways = 1.0
        for bound in self.problem.dimensions.values():
            ways *= sum(1 for factor in range(1, int(bound**0.5) + 1) if bound % factor == 0)
        return ways * (2 if self.sparsity is not None else 1)


@dataclass(frozen=True)
class Design:
    """One of the machines that a run compares.

    Attributes
    ----------
    name : str
        What results call it: the sparse design's name, or 'dense'.
    sparsity : Sparsity or None
        None: nothing is zero.
    dataflow : str
        Name of the dataflow, or of the constraints.
    """

    name: str
    sparsity: Sparsity | None
    dataflow: str


@dataclass(frozen=True)
class Entry:
    """One layer in one phase on one design.

    Attributes
    ----------
    layer, kind : str
    phase : str
    design : str
    problem : dict
        Content of a problem file: name, shape, dimensions, coefficients.
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
    architecture : Architecture
    network : Network
    batch : int
    phases : tuple of str
    designs : tuple of Design
        The first is the one asked about, a second the baseline.
    constraints : Constraints or None
        In place of the designs' dataflows.
    objective : str
    seed : int
    as_published : bool
    entries : tuple of Entry
        By layer, phase and design, in this order.
    cases : dict of str to Case
        By key.
    """

    architecture: Architecture
    network: Network
    batch: int
    phases: tuple[Phase, ...]
    designs: tuple[Design, ...]
    constraints: Constraints | None
    objective: str
    seed: int
    as_published: bool
    entries: tuple[Entry, ...]
    cases: dict[str, Case]


@dataclass
class _Planner:
    """Collects entries and cases."""

    architecture: Architecture
    network: Network
    batch: int
    objective: str
    seed: int
    as_published: bool
    constraints: Constraints | None
    entries: list[Entry] = field(default_factory=list)
    cases: dict[str, Case] = field(default_factory=dict)

    def add(self, layer: NetworkLayer, phase: Phase, designs: Sequence[Design], state: LayerState) -> None:
        content = problem_content(
            layer, phase, batch=self.batch, network=self.network.name, as_published=self.as_published
        )
        problem = load_problem({"problem": content})
        for design in designs:
            self._enter(layer, content, problem, design, state)

    def _enter(
        self,
        layer: NetworkLayer,
        content: dict[str, Any],
        problem: Problem,
        design: Design,
        state: LayerState,
    ) -> None:
        phase: Phase = problem.phase or Phase.FORWARD
        sparsity = design.sparsity
        if sparsity is not None and sparsity.phase(phase) == SparsePhase():
            sparsity = None
        zeros = Zeros({}, {}) if sparsity is None else zeros_of(problem, sparsity, state)
        if self.constraints is not None:
            constraints, note = self.constraints, ""
        else:
            constraints, note = dataflow_constraints(design.dataflow, self.architecture, problem)
        case = self._case(problem, constraints, sparsity, zeros)
        self.cases.setdefault(case.key, case)
        self.entries.append(
            Entry(
                layer=layer.name,
                kind=layer.kind,
                phase=phase,
                design=design.name,
                problem=content,
                key=case.key,
                densities=_densities(zeros),
                assumed=state.assumed and "Inputs" in zeros.densities,
                note=note,
            )
        )

    def _case(
        self, problem: Problem, constraints: Constraints, sparsity: Sparsity | None, zeros: Zeros
    ) -> Case:
        bounds = "_".join(f"{name}{bound}" for name, bound in problem.dimensions.items())
        plain = problem.model_copy(update={"name": f"{problem.shape}_{bounds}"[:100]})
        described = {
            "program": program_fingerprint(),
            "architecture": self.architecture.model_dump(mode="json"),
            "problem": plain.model_dump(mode="json"),
            "constraints": asdict(constraints),
            "objective": self.objective,
            "seed": self.seed,
            "sparsity": sparsity and [sparsity.name, sparsity.phase(problem.phase).model_dump(mode="json")],
            "densities": zeros.densities,
            "masks": {name: [list(mask.shape), _digest(mask)] for name, mask in zeros.masks.items()},
        }
        text = json.dumps(described, sort_keys=True, allow_nan=False)
        return Case(
            key=hashlib.sha256(text.encode()).hexdigest()[:32],
            architecture=self.architecture,
            problem=plain,
            constraints=constraints,
            objective=self.objective,
            sparsity=sparsity,
            densities=zeros.densities,
            masks=zeros.masks,
            seed=self.seed,
        )


def make_plan(
    architecture: Architecture,
    network: Network,
    designs: Sequence[Design],
    states: Mapping[str, LayerState],
    *,
    batch: int | None = None,
    phases: Sequence[Phase] = PHASES,
    objective: str | Objective = "edp",
    constraints: Constraints | None = None,
    seed: int = 0,
    as_published: bool = False,
) -> Plan:
    """Return what a run has to do.

    Parameters
    ----------
    architecture : Architecture
    network : Network
    designs : sequence of Design
    states : mapping of str to LayerState
        By layer; see `find_states`.
    batch : int, optional
        Samples per training step; the network's own by default.
    phases : sequence of str
    objective : str or Objective
    constraints : Constraints, optional
        In place of the designs' dataflows.
    seed : int
    as_published : bool
        See `training_problem`.

    Returns
    -------
    Plan

    Raises
    ------
    SpecError
        When a layer's problem is too large, or the architecture has no array for a dataflow.
    """
    batch, aim = network.batch if batch is None else batch, str(parse_objective(objective))
    planner = _Planner(architecture, network, batch, aim, seed, as_published, constraints)
    wanted = tuple(phase for phase in PHASES if phase in phases)
    for layer in network.layers:
        for phase in wanted:
            planner.add(layer, phase, designs, states[layer.name])
    return Plan(
        architecture=architecture,
        network=network,
        batch=batch,
        phases=wanted,
        designs=tuple(designs),
        constraints=constraints,
        objective=aim,
        seed=seed,
        as_published=as_published,
        entries=tuple(planner.entries),
        cases=planner.cases,
    )


def _densities(zeros: Zeros) -> dict[str, float]:
    known = {name: float(density["density"]) for name, density in zeros.densities.items()}
    return known | {name: float(mask.mean()) for name, mask in zeros.masks.items()}


def _digest(mask: Bools) -> str:
    return hashlib.sha256(mask.tobytes()).hexdigest()
