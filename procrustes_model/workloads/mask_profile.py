"""From the layers of a file of masks to those of a network: their densities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from procrustes_model.errors import Issue, SpecError
from procrustes_model.spec.network_density import ActivationDensity, DensityProfile, WeightDensity
from procrustes_model.spec.text.words import is_name
from procrustes_model.vocabulary import Role
from procrustes_model.workloads.layer_matching import layer_mask, match_layers, part_in
from procrustes_model.workloads.weight_masks import weights_mask

if TYPE_CHECKING:
    from procrustes_model.spec.network import Network
    from procrustes_model.spec.problem import Problem
    from procrustes_model.training.mask_densities import MaskDensities
    from procrustes_model.training.masks import MaskFile

__all__ = ["densities_in_phase", "match_layers", "profile_from_masks", "weights_mask"]


def profile_from_masks(
    masks: MaskDensities | MaskFile, network: Network | None = None, step: int | None = None
) -> DensityProfile:
    """Return the densities that a file of masks has of the layers of a network, at one step.

    Weights: those that are not zero. Activations: the recorded density of each layer's inputs; layers of
    which it is not known (in masks from a checkpoint: all) are left out, and so is what the file has not. A
    part of a tensor has the density of all of it where the masks are not there.

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
    layers = {layer.name: layer for layer in network.layers} if network is not None else {}
    weights, activations = {}, {}
    for name, in_file in names.items():
        if not is_name(name):
            raise SpecError(Issue(f"the name of layer {name[:100]!r} is not printable", None, found.file))
        column = found.names.index(in_file)
        if not np.isnan(found.weights[row, column]):
            weights[name] = float(found.weights[row, column])
            if name in layers and not isinstance(masks, MaskDensities) and part_in(layers[name], in_file):
                part = layer_mask(masks.mask(in_file, found.steps[row]), layers[name], in_file)
                weights[name] = float(part.mean())
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
