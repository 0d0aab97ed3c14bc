"""From the layers of a file of masks to those of a network: which is which, its densities, its mask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from procrustes_model.errors import Issue, SpecError
from procrustes_model.spec.network_density import ActivationDensity, DensityProfile, WeightDensity
from procrustes_model.spec.network_problem import ProblemLayer, groups_of_channels, leading_groups
from procrustes_model.spec.text.words import did_you_mean, is_name
from procrustes_model.vocabulary import Role

if TYPE_CHECKING:
    from procrustes_model.spec.network import Layer, Network
    from procrustes_model.spec.problem import Problem
    from procrustes_model.training.mask_densities import MaskDensities
    from procrustes_model.training.masks import MaskFile


def match_layers(masks: MaskDensities, network: Network) -> dict[str, str]:
    """Return which layer of a file of masks is which layer of a network.

    Layers are matched by name. Where a file and a network share no name at all, as those of PyTorch modules
    may not, they are matched in order, provided that all their shapes agree.

    Parameters
    ----------
    masks : MaskDensities
    network : Network

    Returns
    -------
    dict of str to str
        The file's name of every layer of the network that the file has.

    Raises
    ------
    SpecError
        When the file has a layer that the network has not, or shapes differ.
    """
    layers = {layer.name: layer for layer in network.layers if layer.weights}
    if not set(masks.names) & set(layers):
        return _match_in_order(masks, network, list(layers.values()))
    issues = []
    for name, shape in zip(masks.names, masks.shapes, strict=True):
        if name not in layers:
            message = f"the network {network.name} has no layer '{name[:100]}'"
            issues.append(Issue(message, did_you_mean(name, layers), masks.file))
        elif not same_weights(shape, layers[name]):
            message = f"the weights of '{name}' have shape {list(shape)}, in {network.name} "
            issues.append(Issue(f"{message}{list(layers[name].weight_shape)}", None, masks.file))
    if issues:
        raise SpecError(issues)
    return {name: name for name in layers if name in masks.names}


def _match_in_order(masks: MaskDensities, network: Network, layers: list[Layer]) -> dict[str, str]:
    start = f"no layer of this file is called like one of {network.name}"
    hint = f"layers of {network.name}: {', '.join(layer.name for layer in layers[:16])}"
    if len(layers) != len(masks.names):
        message = f"{start}, and in order they do not match: {len(masks.names)} and {len(layers)} layers"
        raise SpecError(Issue(message, hint, masks.file))
    for name, shape, layer in zip(masks.names, masks.shapes, layers, strict=True):
        if not same_weights(shape, layer):
            differ = f"'{name}' has shape {list(shape)}, '{layer.name}' {list(layer.weight_shape)}"
            raise SpecError(Issue(f"{start}, and in order they do not match: {differ}", hint, masks.file))
    return {layer.name: name for layer, name in zip(layers, masks.names, strict=True)}


def same_weights(shape: tuple[int, ...], layer: Layer) -> bool:
    """Return whether a file's shape is that of a layer's weights: outputs first, as in PyTorch."""
    if isinstance(layer, ProblemLayer):
        return _fits(shape, layer.problem)
    wanted = layer.weight_shape[::-1] if layer.kind == "matmul" else layer.weight_shape
    return shape == wanted or _core(shape) == _core(wanted)


def _core(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape of weights without kernels of one row and column."""
    return shape[:2] if shape[2:] and set(shape[2:]) == {1} else shape


def profile_from_masks(
    masks: MaskDensities | MaskFile, network: Network | None = None, step: int | None = None
) -> DensityProfile:
    """Return the densities that a file of masks has of the layers of a network, at one step.

    Weights: those that are not zero. Activations: the recorded density of each layer's inputs; layers of
    which it is not known (in masks from a checkpoint: all) are left out, and so is what the file has not.

    Parameters
    ----------
    masks : MaskDensities or MaskFile
        As `load_mask_densities` returns it.
    network : Network, optional
        Its layers are matched to the file's as `match_layers` says: by name or, where none is the same, in
        order if all shapes agree; the profile then has the network's names. Without it, the file's.
    step : int, optional
        The last one if none is given.

    Returns
    -------
    DensityProfile

    Raises
    ------
    SpecError
        When the file has no such step, its layers are not those of the network, or a name is not printable.
    """
    from procrustes_model.training.mask_densities import MaskDensities

    found = masks if isinstance(masks, MaskDensities) else masks.densities()
    row = found.find_step(step)
    names: Mapping[str, str] = {name: name for name in found.names}
    if network is not None:
        names = match_layers(found, network)
    weights, activations = {}, {}
    for name, in_file in names.items():
        if not is_name(name):
            raise SpecError(Issue(f"the name of layer {name[:100]!r} is not printable", None, found.file))
        column = found.names.index(in_file)
        if not np.isnan(found.weights[row, column]):
            weights[name] = float(found.weights[row, column])
        if not np.isnan(found.activations[row, column]):
            activations[name] = float(found.activations[row, column])
    return DensityProfile(
        name=f"step {found.steps[row]}",
        source=found.source[:10_000],
        weights=WeightDensity(layers=weights),
        activations=ActivationDensity(layers=activations),
    )


def densities_in_phase(masks: MaskDensities, layer: int, row: int, problem: Problem) -> dict[str, float]:
    """Return the recorded densities of the tensors that a phase of a layer reads beside its weights.

    Parameters
    ----------
    masks : MaskDensities
    layer, row : int
        Numbers of the layer and of the step in the file.
    problem : Problem
        In any training phase; one that states none is forward.

    Returns
    -------
    dict of str to float
        Of the input (activations) and the output (gradients), where they are read and their density is known.
    """
    known = {Role.INPUT: masks.activations[row, layer], Role.OUTPUT: masks.gradients[row, layer]}
    read = {name: role for role, name in problem.roles.items() if name != problem.output.name}
    return {name: float(known[role]) for name, role in read.items() if not np.isnan(known.get(role, np.nan))}


def weights_mask(mask: NDArray[np.bool_], problem: Problem, file: str | None = None) -> NDArray[np.bool_]:
    """Return a layer's mask with the ranks of a problem's weights.

    Parameters
    ----------
    mask : bool[K, C, R, S] or bool[K, C]
        As PyTorch keeps weights. Of grouped convolutions K counts the outputs of all groups, of depthwise
        ones C is 1; of transposed ones C stands first, and counts the inputs of all groups.
    problem : Problem
        With a tensor of that role.
    file : str, optional
        Named in messages.

    Returns
    -------
    bool[ranks]
        Of the weights.

    Raises
    ------
    SpecError
        When the problem has no such tensor or its shape is another one.
    """
    weights = problem.roles.get(Role.WEIGHTS)
    if weights is None:
        names = ", ".join(tensor.name for tensor in problem.tensors)
        message = f"{problem.name} has no weights to be masked, its tensors are {names}"
        raise SpecError(Issue(message, f"one of them needs the role {Role.WEIGHTS}", file))
    wanted = _lengths(problem)
    fits = _fits(mask.shape, problem)
    if mask.ndim == len(wanted) and _inputs_first(problem):
        mask = np.ascontiguousarray(mask.swapaxes(0, 1))
    shape = mask.shape
    if not fits:
        ranks: Any = next(tensor.ranks for tensor in problem.tensors if tensor.name == weights)
        order = ", ".join("+".join(term.dimension for term in rank) for rank in ranks)
        message = f"the masks have shape {list(shape)}, the weights of {problem.name} {list(wanted)}"
        raise SpecError(Issue(message, f"their ranks are [{order}]", file))
    return mask.reshape(wanted)


def _lengths(problem: Problem) -> tuple[int, ...]:
    """Return the lengths of the ranks of a problem's weights."""
    name = problem.roles[Role.WEIGHTS]
    return next(problem.lengths(tensor) for tensor in problem.tensors if tensor.name == name)


def _fits(shape: tuple[int, ...], problem: Problem) -> bool:
    """Return whether a file's shape is that of a problem's weights."""
    wanted = _lengths(problem)
    if len(shape) == len(wanted) and _inputs_first(problem):
        shape = (shape[1], shape[0], *shape[2:])
    first, rest = wanted[:1], wanted[1:]
    if _core(shape) == _core(wanted):
        return True
    if groups_of_channels(problem):
        return shape == (first[0] * rest[0], *rest[1:])
    return leading_groups(problem) and shape == (*first, 1, *rest)


def _inputs_first(problem: Problem) -> bool:
    """Return whether a problem's weights have inputs in the first rank and outputs in the second, a file not.

    Inputs are what the input's indices share with them, outputs what those of the output do. The weights of
    a transposed convolution, whose kernel moves over the output, have inputs first in files too.
    """
    roles = {role: name for role, name in problem.roles.items() if role != Role.WEIGHTS}
    ranks = {tensor.name: tensor.ranks for tensor in problem.tensors}

    def partners(rank: int) -> set[Role]:
        mine = {term.dimension for term in ranks[problem.roles[Role.WEIGHTS]][rank]}
        return {
            role
            for role, name in roles.items()
            if mine & {term.dimension for other in ranks[name] for term in other}
        }

    weights = ranks[problem.roles[Role.WEIGHTS]]
    taps = {term.dimension for rank in weights for term in rank}
    written = ranks.get(roles.get(Role.OUTPUT, ""), ())
    transposed = any(len(rank) > 1 and taps & {term.dimension for term in rank} for rank in written)
    return (
        len(weights) > 1 and not transposed and partners(0) == {Role.INPUT} and partners(1) == {Role.OUTPUT}
    )
