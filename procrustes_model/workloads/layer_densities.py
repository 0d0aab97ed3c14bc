"""Spreads a budget of weights over the layers of a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from procrustes_model.errors import SpecError
from procrustes_model.spec.network import Layer, Network
from procrustes_model.spec.network_density import DensityProfile, DensityRule
from procrustes_model.spec.text.words import did_you_mean

UNKNOWN_ACTIVATIONS = 0.5
"""Density of activations where nothing is known: half, as of a ReLU of values around zero."""


@dataclass(frozen=True)
class LayerDensity:
    """Densities of one layer.

    Attributes
    ----------
    weights : float
        Weights kept / weights; 1 for a layer without weights.
    activations : float
        Input activations that are not zero / input activations.
    activations_known : bool
        Whether the profile says so, rather than `UNKNOWN_ACTIVATIONS`.
    """

    weights: float
    activations: float
    activations_known: bool


def layer_densities(
    network: Network, rule: DensityRule, overall_density: float, fixed: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Return the weight density of every layer with weights, for a share of all weights that is kept.

    Parameters
    ----------
    network : Network
        Its layers without weights, such as products of activations, are left out.
    rule : str
        'uniform': every layer keeps the same part. 'erdos_renyi_kernel': in proportion to (inputs + outputs +
        kernel rows + columns) / (product of these), at most all; what a layer cannot keep goes to the others
        (Evci et al., "Rigging the Lottery", ICML 2020, section 3). Inputs are those of one group.
    overall_density : float
        Weights kept / all weights of the network, more than 0 and at most 1.
    fixed : mapping of str to float, optional
        Densities that the rule does not change, by layer; they count for the budget.

    Returns
    -------
    dict of str to float
        By layer, in the network's order; each in (0, 1], and the sum of density times weights is
        `overall_density` times all weights.

    Raises
    ------
    SpecError
        Where a layer is not the network's, or no densities of the other layers give the total.
    """
    if not 0 < overall_density <= 1:
        raise SpecError(f"the overall density must be more than 0 and at most 1, is {overall_density:g}")
    fixed = fixed or {}
    layers = {layer.name: layer for layer in network.layers if layer.weights}
    _check_names(fixed, layers, network)
    free = [layer for layer in layers.values() if layer.name not in fixed]
    budget = overall_density * network.weights
    budget -= sum(layers[name].weights * density for name, density in fixed.items())
    room = sum(layer.weights for layer in free)
    # Fixed densities may make up the whole budget but for rounding.
    slack = 1e-9 * network.weights
    if budget > room + slack or budget < -slack or (free and budget <= slack):
        kept = overall_density * network.weights
        part = (
            f"{budget:,.0f} of the {kept:,.0f} weights to keep are left for {room:,} weights of other layers"
        )
        raise SpecError(f"the fixed densities do not fit an overall density of {overall_density:g}: {part}")
    spread = _spread(free, rule, min(budget, float(room)))
    return {name: fixed[name] if name in fixed else spread[name] for name in layers}


def _check_names(fixed: Mapping[str, float], layers: Mapping[str, Layer], network: Network) -> None:
    for name in fixed:
        if name not in layers:
            hint = did_you_mean(name, layers)
            raise SpecError(
                f"{network.name} has no layer '{name[:100]}' with weights" + (f"; {hint}" if hint else "")
            )


def _spread(layers: list[Layer], rule: DensityRule, budget: float) -> dict[str, float]:
    """Return densities in proportion to the rule's, those above 1 cut to 1, with `budget` weights in all.

    In order of falling proportion, the layers that are cut come first, so that one pass finds them.
    """
    if rule == "uniform":
        room = sum(layer.weights for layer in layers)
        return {layer.name: budget / room for layer in layers}
    falling = sorted(layers, key=lambda layer: sum(layer.weight_shape) / layer.weights, reverse=True)
    densities: dict[str, float] = {}
    shares = sum(sum(layer.weight_shape) for layer in falling)
    for index, layer in enumerate(falling):
        if budget / shares * sum(layer.weight_shape) <= layer.weights:
            scale = budget / shares
            densities |= {one.name: scale * sum(one.weight_shape) / one.weights for one in falling[index:]}
            break
        densities[layer.name] = 1.0
        budget -= layer.weights
        shares -= sum(layer.weight_shape)
    return densities


def profile_densities(network: Network, profile: DensityProfile) -> dict[str, LayerDensity]:
    """Return the densities that a profile gives to the layers of a network.

    Parameters
    ----------
    network : Network
        Layers that the profile does not name get what its rule and defaults say.
    profile : DensityProfile
        Where it says nothing of the weights, layers that it does not name are dense.

    Returns
    -------
    dict of str to LayerDensity
        By layer, in the network's order.

    Raises
    ------
    SpecError
        Where the profile names a layer that is not the network's, or its densities do not give its total.
    """
    names = {layer.name: layer for layer in network.layers}
    weighted = {layer.name: layer for layer in network.layers if layer.weights}
    issues = []
    for section, stated, allowed in (
        ("weights", profile.weights, weighted),
        ("activations", profile.activations, names),
    ):
        for name in stated.layers:
            if name not in allowed:
                what = " with weights" if section == "weights" else ""
                message = f"{network.name} has no layer '{name[:100]}'{what}"
                path = ("density", section, "layers", name)
                issues.append(profile.issue(message, did_you_mean(name, allowed), path))
    if issues:
        raise SpecError(issues)
    kept, activations = profile.weights.kept, profile.activations
    weights: Mapping[str, float] = profile.weights.layers
    if kept is not None:
        weights = layer_densities(network, profile.weights.rule, kept, weights)
    densities = {}
    for name in names:
        known = activations.layers.get(name, activations.default)
        value = UNKNOWN_ACTIVATIONS if known is None else known
        densities[name] = LayerDensity(weights.get(name, 1.0), value, known is not None)
    return densities
