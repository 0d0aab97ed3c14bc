"""A request with its specifications read: what planning starts from."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from procrustes_model.errors import Issue, SpecError
from procrustes_model.fingerprint import program_fingerprint
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.mapper.level_rules import Constraints
from procrustes_model.network.densities import LayerState, check_used, find_states, unused_tensors
from procrustes_model.network.places import check_against
from procrustes_model.network.request import NetworkRequest, RunRequest
from procrustes_model.options import options_of
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.level_roles import explain_missing, place_levels
from procrustes_model.spec.load import load_architecture, load_network, load_sparsity
from procrustes_model.spec.network import Layer, Network
from procrustes_model.spec.network_density import DensityProfile, load_density
from procrustes_model.spec.network_elementwise import ElementwiseLayer
from procrustes_model.spec.network_problem import ProblemLayer
from procrustes_model.spec.problem import Problem
from procrustes_model.spec.sparsity import SparsePhase, Sparsity
from procrustes_model.spec.tensors import missing_tensors, strange_tensors
from procrustes_model.vocabulary import PHASES, Phase
from procrustes_model.workloads.layer import training_problem

DENSE = "dense"
Asked = TypeVar("Asked", bound=NetworkRequest)

_LOADERS: dict[str, Callable[[Any], Any]] = {
    "architecture": load_architecture,
    "network": load_network,
    "sparsity": load_sparsity,
    "density": load_density,
}


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


@dataclass(frozen=True, eq=False)
class Work:
    """A request with its specifications read.

    Attributes
    ----------
    request : NetworkRequest
        With specifications in place of their files and names.
    architecture : Architecture
    network : Network
    constraints : Constraints or None
        In place of the designs' dataflows.
    designs : tuple of Design
        The first is the one asked about, a second the baseline.
    phases : tuple of Phase
    as_published : bool
        See `training_problem`.
    own_designs : bool
        Whether layers have their own designs, and what parts of a schedule say, on the first machine.
    own : str
        What the network calls the machine of the run, if anything.
    """

    request: NetworkRequest
    architecture: Architecture
    network: Network
    constraints: Constraints | None
    designs: tuple[Design, ...]
    phases: tuple[Phase, ...] = PHASES
    as_published: bool = False
    own_designs: bool = True
    own: str = ""

    def machine_of(self, layer: Layer | ElementwiseLayer) -> tuple[str, Architecture]:
        """Return the machine that runs a layer, and its name; that is empty of the run's own machine."""
        name = layer.machine or self.own
        return name, self.network.machines[name] if name else self.architecture

    @property
    def batch(self) -> int:
        """Samples per training step."""
        return self.request.batch or self.network.batch

    @property
    def objective(self) -> str:
        """What every search minimises, as `parse_objective` reads it."""
        return str(self.request.objective)

    def design_of(self, layer: Layer, state: LayerState) -> Design:
        """Return the design of one layer on the machine that is asked about."""
        first = self.designs[0]
        own = state.design or layer.sparsity
        return first if own is None or not self.own_designs else make_design(own, first.dataflow)

    def phases_of(self, layer: Layer, state: LayerState) -> tuple[Phase, ...]:
        """Return the phases of a layer that are computed."""
        some = set(layer.phases) & set(state.phases)
        if not self.request.first_data_gradient and layer is self.network.layers[0]:
            some.discard(Phase.BACKWARD)
        return tuple(phase for phase in self.phases if phase in some)


def load_work(request: NetworkRequest) -> Work:
    """Read the specifications of a request.

    Raises
    ------
    SpecError
        When one is wrong, or they do not go together.
    """
    own, machine, network = load_machine(request.architecture, request.network)
    own = own or next((name for name, one in network.machines.items() if one == machine), "")
    _check_placed(network, own)
    request = _load(replace(request, network=network, architecture=machine))
    problems = kinds_of_problems(request)
    machines = (machine, *(one for name, one in network.machines.items() if name != own))
    for one in machines:
        if problems and (issues := strange_tensors(one, problems[0])):  # here, not once in every layer
            raise SpecError(issues)
    rules = None
    if request.constraints is not None:
        if network.machines:
            message = "constraints name levels of one machine, and the network runs on several"
            raise SpecError(Issue(message, "leave them out, or choose a dataflow"))
        rules = load_constraints(request.constraints, machine, problems)
    request = replace(request, constraints=rules)
    flow = request.dataflow if rules is None else rules.name
    designs = [make_design(cast("Sparsity | None", request.sparsity), flow)]
    work = Work(request, machine, network, rules, tuple(designs), own=own)
    if isinstance(request, RunRequest) and request.baseline is not None:
        designs.append(make_design(cast("Sparsity", request.baseline), flow))
    theirs = [make_design(layer.sparsity, flow) for layer in network.layers if layer.sparsity is not None]
    for one in machines:
        check_names([*designs, *theirs], one, problems)
    if not isinstance(request, RunRequest):
        if network.link is not None:
            message = (
                f"{network.name} has a link, and what goes over it is only counted in a run of the network"
            )
            raise SpecError(Issue(message, "procrustes network, or leave out 'machines' and 'replicas'"))
        return work
    if len(designs) == 2 and designs[0].name == designs[1].name:
        raise SpecError(
            Issue(
                f"the design and the baseline are both '{designs[0].name}'", "--sparsity names another design"
            )
        )
    phases = cast("tuple[Phase, ...]", request.phases)
    return replace(work, designs=tuple(designs), phases=phases, as_published=request.as_published)


def load_machine(source: Any, network: Any) -> tuple[str, Architecture, Network]:
    """Return what the network calls the machine of a run, empty where nothing, the machine, and the network.

    Parameters
    ----------
    source, network
        As `NetworkRequest` has them.

    Raises
    ------
    SpecError
        When one is wrong; what is wrong with the machine comes first.
    """
    own = ""
    try:
        machine, net = load_architecture(source), load_network(network)
    except SpecError:
        if not isinstance(source, str) or (found := _machine_called(source, network)) is None:
            raise
        own, (machine, net) = source, found
    check_against(net, machine, own, network)
    return own, machine, net


def _machine_called(name: str, source: Any) -> tuple[Architecture, Network] | None:
    """Return the machine that a network calls so, with the network; None where it calls none so."""
    try:
        network = load_network(source)
    except SpecError:
        return None
    return (network.machines[name], network) if name in network.machines else None


def _check_placed(network: Network, own: str) -> None:
    """Raise where no layer is left for the machine of the run."""
    if own or not network.machines:
        return
    if all(layer.machine for layer in (*network.layers, *network.elementwise)):
        names = ", ".join(network.machines)
        message = f"every layer of {network.name} has a machine, and none is left for that of the run"
        raise SpecError(Issue(message, f"name one of them in its place: {names}"))


def check_names(designs: Sequence[Design], machine: Architecture, problems: Sequence[Problem]) -> None:
    """Raise where a design names what the machine or the layers lack: once, not in every layer and phase."""
    issues: list[Issue] = []
    for design in dict.fromkeys(designs):
        if (sparsity := design.sparsity) is not None:
            missing = [one for problem in problems for one in place_levels(sparsity, machine, problem)[1]]
            issues += explain_missing(missing, sparsity, machine)
            issues += missing_tensors(sparsity, problems)
    if issues:
        raise SpecError(issues)


def kinds_of_problems(request: NetworkRequest) -> list[Problem]:
    """Return a problem of each shape that a network has: their dimensions and tensors are those of all."""
    network = cast("Network", request.network)
    phases, as_published = PHASES, False
    if isinstance(request, RunRequest):
        phases, as_published = cast("tuple[Phase, ...]", request.phases), request.as_published
    kinds = {_kind_of_problem(layer): layer for layer in network.layers}
    return [
        training_problem(layer, phase, as_published=as_published)
        for layer in kinds.values()
        for phase in phases
    ]


def _kind_of_problem(layer: Layer) -> tuple[object, ...]:
    """Return what is the same of layers whose problems have the same dimensions and tensors."""
    if isinstance(layer, ProblemLayer):
        problem = layer.problem
        names = (tuple(problem.dimensions), tuple(tensor.name for tensor in problem.tensors))
        return (layer.kind, layer.batch_dimension, layer.has_weights, names)
    return (layer.kind, layer.has_weights, layer.groups > 1)


def _load(request: Asked) -> Asked:
    """Return a request with specifications in place of their files and names.

    Recorded masks stay files; constraints are read against the architecture, later.
    """
    from procrustes_model.training.masks import is_mask_file

    found = {}
    for name, one in options_of(type(request)).items():
        value = getattr(request, name)
        if value is None or one.option.spec not in _LOADERS:
            continue
        recorded = (
            one.option.spec == "density" and isinstance(value, str | os.PathLike) and is_mask_file(value)
        )
        found[name] = value if recorded else _LOADERS[one.option.spec](value)
    return replace(request, **found)


def make_design(sparsity: Sparsity | None, flow: str) -> Design:
    """Return a machine of a comparison: dense where a sparse design does nothing in any phase."""
    if sparsity is not None and all(sparsity.phase(phase) == SparsePhase() for phase in PHASES):
        sparsity = None
    return Design(DENSE if sparsity is None else sparsity.name, sparsity, flow)


def states_of(work: Work) -> dict[str, LayerState]:
    """Return what a `RunRequest` says of every layer, for the design that is asked about.

    Raises
    ------
    SpecError
        See `find_states` and `check_used`; and when densities are given that no design uses.
    """
    request = work.request
    assert isinstance(request, RunRequest)
    design = work.designs[0]
    density = cast("Mapping[str, float]", request.densities or {})
    blank = LayerState()
    designs = {layer.name: work.design_of(layer, blank).sparsity for layer in work.network.layers}
    if not any(designs.values()):
        if density or request.given("profile", "masks"):
            raise SpecError(
                Issue("densities and masks need a sparse design", "such as --sparsity procrustes")
            )
        return {layer.name: LayerState() for layer in work.network.layers}
    if unused := unused_tensors(density, *designs.values()):
        raise SpecError(Issue(f"{design.name} has no zeros in {', '.join(unused)}, in any phase"))
    profile = request.profile if isinstance(request.profile, DensityProfile) else None
    recorded = request.profile if profile is None else None
    if request.step is not None and request.masks is None and recorded is None:
        raise SpecError(Issue("--step chooses among recorded masks", "add --masks FILE"))
    states = find_states(
        work.network,
        density=density,
        profile=profile,
        masks=request.masks or cast("str | None", recorded),
        use_masks=request.masks is not None,
        step=request.step,
    )
    if request.given("profile", "masks"):
        check_used(states, designs, recorded=recorded is not None)
    return states


def describe(work: Work, states: Mapping[str, LayerState]) -> dict[str, Any]:
    """Return everything that went into a run, as plain data.

    Returns
    -------
    dict
        The options that results depend on by name, specifications in full; ``program``, which made it; and
        ``densities``, what is known of each layer.
    """
    request = work.request
    decisive = {
        one.recorded: plain(getattr(request, name))
        for name, one in options_of(type(request)).items()
        if one.option.decides
    }
    densities = {
        name: {
            "weights": state.weights,
            "activations": state.activations,
            "gradients": state.gradients,
            "masked": state.mask is not None,
            "assumed": state.assumed,
        }
        | ({"missing": True} if state.missing else {})
        for name, state in states.items()
    }
    return {"program": program_fingerprint(), **decisive, "densities": densities}


def as_read(data: Any) -> Any:
    """Return plain data as it is once it was written as JSON and read again: lists for tuples, and so on."""
    return json.loads(json.dumps(data, allow_nan=False))


def plain(value: Any) -> Any:
    """Return the value of an option as data that JSON holds."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Constraints):
        return asdict(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(one) for one in value]
    return str(value) if isinstance(value, str) else value
