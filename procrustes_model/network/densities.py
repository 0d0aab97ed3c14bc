"""What is known of the zeros in a layer, and what a sparse design makes of it in a phase."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from procrustes_model.errors import Issue, SpecError
from procrustes_model.kernels.dense.arrays import Bools
from procrustes_model.spec.groups import keeps, share_of
from procrustes_model.spec.widths import NO_BITS, Bits
from procrustes_model.spec.zeros import Zeros
from procrustes_model.vocabulary import PHASES, Phase, Role
from procrustes_model.workloads.layer_densities import UNKNOWN_ACTIVATIONS, profile_densities
from procrustes_model.workloads.phases import KNOWN_IN

if TYPE_CHECKING:
    from procrustes_model.spec.density import Density
    from procrustes_model.spec.layer_rule import Groups
    from procrustes_model.spec.network import Network
    from procrustes_model.spec.network_density import DensityProfile
    from procrustes_model.spec.problem import Problem
    from procrustes_model.spec.sparsity import Sparsity


@dataclass(frozen=True, eq=False)
class LayerState:
    """What is known of the zeros in one layer, and what a part of a schedule says of it beside them.

    Attributes
    ----------
    weights, activations, gradients : float or None
        Nonzeros / elements of the weights, of the layer's input, and of the gradient of its output; None:
        what the sparse design says.
    mask : bool array or None
        Weights that are kept, outputs first, as recorded masks have them.
    backward_mask : bool array or None
        Those that the backward phase multiplies with, where they are others.
    assumed : bool
        Whether `activations` is `UNKNOWN_ACTIVATIONS`, for want of anything known.
    weights_assumed : bool
        Whether `weights` is 1 because a profile says nothing of any layer's.
    missing : bool
        Whether `weights` is 1 because a file of masks has none of the layer's.
    groups : Groups or None
        Groups of n:m that the weights keep, in place of what the design says of them.
    design : Sparsity or None
        In place of the layer's own design, and of the run's.
    bits : Bits
        Of elements, in place of what network and layer say.
    phases : tuple of Phase
        Of those that the layer takes part in, the ones that are computed.
    """

    weights: float | None = None
    activations: float | None = None
    gradients: float | None = None
    mask: Bools | None = None
    backward_mask: Bools | None = None
    assumed: bool = False
    weights_assumed: bool = False
    missing: bool = False
    groups: Groups | None = None
    design: Sparsity | None = None
    bits: Bits = NO_BITS
    phases: tuple[Phase, ...] = PHASES

    @property
    def key(self) -> tuple[Any, ...]:
        """What is the same of states that are the same."""
        mask = None if self.mask is None else (self.mask.shape, hashlib.sha256(self.mask.tobytes()).digest())
        zeros = (self.weights, self.activations, self.gradients, self.assumed, self.weights_assumed)
        return (*zeros, mask, self.groups, self.design, self.bits, self.phases)


def find_states(
    network: Network,
    *,
    density: Mapping[str, float] | None = None,
    profile: DensityProfile | None = None,
    masks: str | os.PathLike[str] | None = None,
    use_masks: bool = True,
    step: int | None = None,
) -> dict[str, LayerState]:
    """Return what is known of every layer.

    Parameters
    ----------
    network : Network
    density : mapping, optional
        The same for all layers, by tensor: Weights, Inputs, Outputs. Densities of inputs and outputs stand in
        where a profile or masks say nothing.
    profile : DensityProfile, optional
    masks : path, optional
        A file that `training.save_masks` wrote.
    use_masks : bool
        Whether to count on the masks; else only their densities are taken.
    step : int, optional
        The recorded step; the last by default.

    Returns
    -------
    dict of str to LayerState
        By layer, in the network's order.

    Raises
    ------
    SpecError
        When two of these say the density of the weights, or a file does not fit the network.
    """
    given = {role: value for name, value in (density or {}).items() if (role := Role.of_tensor(name))}
    weights = [
        name
        for name, says in (("density", Role.WEIGHTS in given), ("profile", profile), ("masks", masks))
        if says
    ]
    if len(weights) > 1:
        raise SpecError(Issue(f"the densities of weights are given twice: by {' and by '.join(weights)}"))
    if profile is not None:
        _refuse_twice(network, profile)
    states = {layer.name: LayerState(None if layer.weights else 1.0) for layer in network.layers}
    if profile is not None:
        silent = profile.weights.kept is None and not profile.weights.layers
        for name, known in profile_densities(network, profile).items():
            activations = known.activations if known.activations_known else None
            # A layer without weights is dense whatever is said.
            unsaid = silent and states[name].weights is None
            states[name] = LayerState(known.weights, activations, weights_assumed=unsaid)
    elif masks is not None:
        states = _states_of_masks(network, masks, step, use_masks)
    elif Role.WEIGHTS in given:
        states = {
            layer.name: LayerState(given[Role.WEIGHTS] if layer.weights else 1.0) for layer in network.layers
        }
    if not (density or profile or masks):
        return states
    _refuse_unused(given, states)
    return {name: _complete(state, given) for name, state in states.items()}


def _refuse_twice(network: Network, profile: DensityProfile) -> None:
    """Raise where a profile names a layer that states the same tensor's zeros itself."""
    for role, key, named in (
        (Role.WEIGHTS, "weights", profile.weights.layers),
        (Role.INPUT, "activations", profile.activations.layers),
    ):
        for layer in network.layers:
            if layer.name in named and role.tensor in dict(layer.densities):
                message = f"the density of {role.tensor} of '{layer.name}' is stated by {network.name}, too"
                raise SpecError(
                    profile.issue(message, "keep one of them", ("density", key, "layers", layer.name))
                )


def _refuse_unused(given: Mapping[Role, float], states: Mapping[str, LayerState]) -> None:
    """Raise where a density that stands in for what is not known stands in nowhere."""
    known = {
        Role.INPUT: [state.activations for state in states.values()],
        Role.OUTPUT: [state.gradients for state in states.values()],
    }
    unused = [role.tensor for role, values in known.items() if role in given and None not in values]
    if unused:
        raise SpecError(
            Issue(
                f"the density of {' and '.join(unused)} is known of every layer", "leave it out of --density"
            )
        )


def _complete(state: LayerState, given: Mapping[Role, float]) -> LayerState:
    """Return a state with what is said of all layers where nothing is known of this one."""
    gradients = given.get(Role.OUTPUT) if state.gradients is None else state.gradients
    activations = given.get(Role.INPUT) if state.activations is None else state.activations
    assumed = activations is None
    return replace(
        state,
        activations=UNKNOWN_ACTIVATIONS if activations is None else activations,
        gradients=gradients,
        assumed=assumed,
    )


def _states_of_masks(
    network: Network, path: str | os.PathLike[str], step: int | None, use_masks: bool
) -> dict[str, LayerState]:
    """Return what a file of masks knows; layers that it has not, or whose weights are unknown, are dense."""
    from procrustes_model.training.masks import load_mask, load_mask_densities
    from procrustes_model.training.recorded_operands import backward_weights
    from procrustes_model.workloads.layer_matching import layer_mask, match_layers, part_in

    found = load_mask_densities(path)
    row = found.find_step(step)
    states = {layer.name: LayerState(1.0, missing=bool(layer.weights)) for layer in network.layers}
    layers = {layer.name: layer for layer in network.layers}
    for name, in_file in match_layers(found, network).items():
        column = found.names.index(in_file)
        weights, mask, backward = _known(found.weights[row, column]), None, None
        is_part = part_in(layers[name], in_file) is not None
        if weights is not None and (use_masks or is_part):
            mask = layer_mask(load_mask(path, in_file, found.steps[row]), layers[name], in_file)
        if mask is not None and use_masks:
            own = backward_weights(path, in_file, found.steps[row])
            backward = None if own is None else layer_mask(own, layers[name], in_file)
        if mask is not None and is_part:
            weights = float(mask.mean())
        states[name] = LayerState(
            1.0 if weights is None else weights,
            _known(found.activations[row, column]),
            _known(found.gradients[row, column]),
            mask if use_masks else None,
            backward,
        )
    return states


def _known(density: np.float64) -> float | None:
    return None if np.isnan(density) else float(density)


def zeros_of(
    problem: Problem,
    sparsity: Sparsity,
    state: LayerState,
    own: Mapping[str, Density] = MappingProxyType({}),
) -> Zeros:
    """Return a sparse design with the densities and masks of one phase of a layer.

    Only tensors that the design has zeros in, in this phase, are replaced: a design decides which tensor is
    sparse, a layer how sparse. What is known of a layer holds in place of n:m groups and of masks of the
    design's own, too; groups stay where it is what they keep, and both where it is assumed.

    Parameters
    ----------
    problem : Problem
        The phase of a layer.
    sparsity : Sparsity
    state : LayerState
    own : mapping of str to Density
        What the layer itself says of its tensors, in place of all else.
    """
    densities: dict[str, Any] = {}
    masks: dict[str, Bools] = {}
    known = {Role.WEIGHTS: state.weights, Role.INPUT: state.activations, Role.OUTPUT: state.gradients}
    phase: Phase = problem.phase or Phase.FORWARD
    for name, design in sparsity.phase(phase).densities.items():
        role = problem.role_of(name)
        if name in own and design.model != "dense" and (role is None or phase in KNOWN_IN[role]):
            _take_own(own[name], name, problem, densities, masks)
            continue
        if design.model == "dense" or role is None or phase not in KNOWN_IN[role]:
            continue
        mask = state.mask
        if phase == Phase.BACKWARD and state.backward_mask is not None:
            mask = state.backward_mask
        if role == Role.WEIGHTS and mask is not None and phase != Phase.WEIGHT_UPDATE:
            masks[name] = arrange_mask(problem, mask)
        elif role == Role.WEIGHTS and state.groups is not None:
            densities[name] = _in_groups(state.groups, design, sparsity)
        elif (value := known[role]) is not None:
            assumed = {Role.WEIGHTS: state.weights_assumed, Role.INPUT: state.assumed}.get(role, False)
            if (stated := _stated(design, value, assumed, name, problem)) is not None:
                densities[name] = stated
    return Zeros(sparsity, densities, masks)


def _in_groups(groups: Groups, design: Density, sparsity: Sparsity) -> dict[str, Any]:
    """Return n:m groups that a part of a schedule states, along what the design's run unless it says it."""
    stated = groups.model_dump(exclude_none=True)
    along = groups.along or design.along
    if along is None:
        message = f"groups of {groups.nonzeros}:{groups.group} need 'along': {sparsity.name} has no groups"
        raise SpecError(Issue(message, "such as along: C, the input channels"))
    return {**stated, "along": list(along) if isinstance(along, tuple) else along}


def weights_kept(
    problem: Problem,
    sparsity: Sparsity | None,
    state: LayerState,
    own: Mapping[str, Density] = MappingProxyType({}),
) -> float:
    """Return the share of the weights that a design keeps in one phase of a layer.

    Parameters
    ----------
    problem : Problem
        Of the phase.
    sparsity : Sparsity or None
        None: nothing is zero.
    state : LayerState
    own : mapping of str to Density
        What the layer itself says of its tensors.
    """
    if sparsity is None:
        return 1.0
    name = Role.WEIGHTS.tensor
    zeros, design = zeros_of(problem, sparsity, state, own), sparsity.phase(problem.phase).densities.get(name)
    if name in zeros.masks:
        return float(zeros.masks[name].mean())
    if design is None:
        return 1.0
    if name in zeros.densities:
        design = type(design)(**zeros.densities[name])
    return share_of(design, name, problem)


def _take_own(
    density: Density, name: str, problem: Problem, densities: dict[str, Any], masks: dict[str, Bools]
) -> None:
    """Take what a layer itself says of a tensor: a mask where it is read, else its density."""
    from procrustes_model.model.sparse.masks import read_mask

    if density.mask is None:
        densities[name] = density.model_dump(mode="json", exclude_none=True)
        return
    mask = read_mask(density.mask, problem, name, alone=True)
    if name == problem.output.name:
        densities[name] = {"model": "hypergeometric", "density": float(mask.mean())}
    else:
        masks[name] = mask


def _stated(
    design: Density, value: float, assumed: bool, tensor: str, problem: Problem
) -> dict[str, Any] | None:
    """Return the density that a layer has in place of the design's; None: the design's own."""
    if "density" in design.rule.keys:
        return {"model": design.model, "density": value}
    if assumed or keeps(design, tensor, problem, value):
        return None
    return {"model": "dense"} if value == 1 else {"model": "hypergeometric", "density": value}


def arrange_mask(problem: Problem, mask: Bools) -> Bools:
    """Return a recorded mask with the ranks that a problem gives the weights.

    Parameters
    ----------
    problem : Problem
        The gather form of the backward phase has the kernel turned around.
    mask : bool array
        Outputs first, as `save_masks` takes it.

    Raises
    ------
    SpecError
        When the mask has another shape.
    """
    from procrustes_model.workloads.mask_profile import weights_mask

    arranged = weights_mask(mask, problem)
    if problem.shape == "conv_backward_gather":
        return np.ascontiguousarray(arranged[:, :, ::-1, ::-1])
    return arranged


def unused_tensors(names: Iterable[str], *designs: Sparsity | None) -> list[str]:
    """Return those of the tensors in which none of the sparse designs has zeros, in any phase."""
    used = {
        name
        for sparsity in designs
        if sparsity is not None
        for phase in PHASES
        for name, density in sparsity.phase(phase).densities.items()
        if density.model != "dense" and (role := Role.of_tensor(name)) and phase in KNOWN_IN[role]
    }
    return [name for name in names if name not in used]


def check_used(
    states: Mapping[str, LayerState], designs: Mapping[str, Sparsity | None], *, recorded: bool = False
) -> None:
    """Raise where sparse designs have no use for what is said of the layers.

    They decide which tensors have zeros: densities of activations and gradients may be known beside those of
    weights and go unused, densities of weights may not, unless another layer's design has a use for them.

    Parameters
    ----------
    states : mapping of str to LayerState
    designs : mapping of str to Sparsity or None
        The design of each layer; None: nothing is zero.
    recorded : bool
        Whether all of it was recorded together, so that any one of the tensors will do.

    Raises
    ------
    SpecError
    """
    said = {
        Role.WEIGHTS.tensor: any(
            one.mask is not None or one.groups is not None or _has_zeros(one.weights)
            for one in states.values()
        ),
        Role.INPUT.tensor: any(not one.assumed and _has_zeros(one.activations) for one in states.values()),
        Role.OUTPUT.tensor: any(_has_zeros(one.gradients) for one in states.values()),
    }
    stated = [name for name, some in said.items() if some]
    unused = unused_tensors(stated, *designs.values())
    if unused and (unused == stated or (Role.WEIGHTS.tensor in unused and not recorded)):
        names = ", ".join(dict.fromkeys("dense" if one is None else one.name for one in designs.values()))
        message = f"{names} has no zeros in {', '.join(unused)}, in any phase"
        raise SpecError(
            Issue(message, "give the design's 'densities' the tensor, or leave out what is said of it")
        )


def _has_zeros(density: float | None) -> bool:
    return density is not None and density < 1
