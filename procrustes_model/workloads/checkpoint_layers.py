"""Which weights of a checkpoint are those of a network's layers: embeddings, for one, are of no layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from procrustes_model.errors import Issue, SpecError
from procrustes_model.printable import quote
from procrustes_model.workloads.layer_matching import fits, kept_shape, match_names

if TYPE_CHECKING:
    from procrustes_model.spec.network import Layer, Network
    from procrustes_model.training.checkpoints import Checkpoint
    from procrustes_model.training.weight_parts import Weight


def layers_of(checkpoint: Checkpoint, network: Network) -> Checkpoint:
    """Return a checkpoint with the weights of a network's layers only; the others are listed as left out.

    Weights are matched by name, as `match_layers` does. Where no name is the same, in order: each layer's are
    the next of its shape.

    Parameters
    ----------
    checkpoint : Checkpoint
    network : Network

    Returns
    -------
    Checkpoint

    Raises
    ------
    SpecError
        When weights of a layer's name have another shape, or nothing matches.
    """
    from procrustes_model.training.checkpoints import layer_name
    from procrustes_model.training.weight_parts import LeftOut

    layers = {layer.name: layer for layer in network.layers if layer.weights}
    weights = {layer_name(weight.name): weight for weight in checkpoint.weights}
    found = match_names({name: weight.shape for name, weight in weights.items()}, network)
    for name, there in found.items():
        weight, layer = weights[there], layers[name]
        if not fits(weight.shape, layer, there):
            differ = f"{quote(weight.name)} has shape {list(weight.shape)}, in {network.name} "
            raise SpecError(Issue(f"{differ}{list(kept_shape(layer))}", None, checkpoint.file))
    matched = set(found.values())
    named = [weight for name, weight in weights.items() if name in matched]
    chosen = named or _in_order(checkpoint.weights, list(layers.values()))
    if not chosen:
        message = f"no weights of this checkpoint are those of a layer of {network.name}"
        hint = f"its layers are {', '.join(list(layers)[:16])}"
        raise SpecError(Issue(message, hint, checkpoint.file))
    kept = {weight.name for weight in chosen}
    left = [
        LeftOut(weight.name, weight.shape, f"no layer of {network.name}")
        for weight in checkpoint.weights
        if weight.name not in kept
    ]
    return replace(checkpoint, weights=tuple(chosen), left=(*checkpoint.left, *left))


def _in_order(weights: Sequence[Weight], layers: Sequence[Layer]) -> list[Weight]:
    """Return for every layer the next weights of its shape; none where a layer finds none."""
    from procrustes_model.training.checkpoints import layer_name

    rest = iter(weights)
    chosen = []
    for layer in layers:
        weight = next((one for one in rest if fits(one.shape, layer, layer_name(one.name))), None)
        if weight is None:
            return []
        chosen.append(weight)
    return chosen
