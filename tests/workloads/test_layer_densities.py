"""Densities of layers: rules, budgets that ship, and how a file of densities is read."""

from __future__ import annotations

import math
from typing import Any

import pytest

from procrustes_model.errors import SpecError
from procrustes_model.shipped import list_shipped
from procrustes_model.spec.load import load_network
from procrustes_model.spec.network import Network
from procrustes_model.spec.network_density import DensityRule, load_density
from procrustes_model.workloads.layer_densities import (
    UNKNOWN_ACTIVATIONS,
    layer_densities,
    profile_densities,
)

BUDGETS = {"resnet18": 11.7, "mobilenet_v2": 10, "vgg_s": 5.2, "wrn_28_10": 4.3, "densenet": 3.9}
RULES: tuple[DensityRule, ...] = ("uniform", "erdos_renyi_kernel")


def kept(network: Network, densities: dict[str, float]) -> float:
    return math.fsum(layer.weights * densities[layer.name] for layer in network.layers if layer.weights)


def naive_erdos_renyi(network: Network, overall: float) -> dict[str, float]:
    """Return the rule's densities by cutting one layer at a time, as its authors do."""
    layers = [layer for layer in network.layers if layer.weights]
    raw = {layer.name: sum(layer.weight_shape) / math.prod(layer.weight_shape) for layer in layers}
    dense: set[str] = set()
    while True:
        budget = overall * network.weights - sum(layer.weights for layer in layers if layer.name in dense)
        share = sum(raw[layer.name] * layer.weights for layer in layers if layer.name not in dense)
        scale = budget / share if share else 0.0
        largest = max((name for name in raw if name not in dense), key=lambda name: raw[name], default=None)
        if largest is None or scale * raw[largest] <= 1:
            return {name: 1.0 if name in dense else scale * raw[name] for name in raw}
        dense.add(largest)


@pytest.mark.parametrize("overall", [1e-6, 0.01, 0.0855, 0.3, 0.9, 0.999, 1])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "vgg_s", "gpt2_small_block"])
def test_total_is_exact(name: str, rule: DensityRule, overall: float) -> None:
    network = load_network(name)
    densities = layer_densities(network, rule, overall)
    assert list(densities) == [layer.name for layer in network.layers if layer.weights]
    assert all(0 < density <= 1 for density in densities.values())
    assert kept(network, densities) == pytest.approx(overall * network.weights, rel=1e-12)
    if rule == "uniform":
        assert list(densities.values()) == pytest.approx([overall] * len(densities), rel=1e-12)
    else:
        assert densities == pytest.approx(naive_erdos_renyi(network, overall), rel=1e-9)


def test_erdos_renyi_keeps_small_layers() -> None:
    densities = layer_densities(load_network("mobilenet_v2"), "erdos_renyi_kernel", 0.1)
    assert densities["bottleneck_5_depthwise"] == 1
    assert densities["conv_last"] < 0.1 < densities["conv1"]


@pytest.mark.parametrize("rule", RULES)
def test_fixed_layers_keep_theirs(rule: DensityRule) -> None:
    network = load_network("resnet18")
    densities = layer_densities(network, rule, 0.1, {"conv1": 1.0, "fc": 0.25})
    assert (densities["conv1"], densities["fc"]) == (1.0, 0.25)
    assert kept(network, densities) == pytest.approx(0.1 * network.weights, rel=1e-12)
    every = {layer.name: 0.25 for layer in network.layers}
    assert layer_densities(network, rule, 0.25, every) == every


@pytest.mark.parametrize(
    ("overall", "fixed", "said"),
    [
        (0.0, {}, "the overall density must be more than 0 and at most 1, is 0"),
        (math.nan, {}, "is nan"),
        (1.5, {}, "is 1.5"),
        (0.1, {"cnv1": 1.0}, "resnet18 has no layer 'cnv1' with weights; did you mean 'conv1'?"),
        (0.01, {"fc": 1.0}, "do not fit an overall density of 0.01"),
        (1.0, {"fc": 0.5}, "do not fit an overall density of 1"),
    ],
)
def test_what_is_wrong_is_said(overall: float, fixed: dict[str, float], said: str) -> None:
    with pytest.raises(SpecError) as error:
        layer_densities(load_network("resnet18"), "uniform", overall, fixed)
    assert said in str(error.value)


@pytest.mark.parametrize("name", list_shipped("density"))
def test_published_budgets(name: str) -> None:
    profile = load_density(name)
    assert profile.weights.times_fewer == BUDGETS[name]
    assert ("as recalled" in profile.source) == (name in ("vgg_s", "wrn_28_10", "densenet"))
    for network in (load_network(name), load_network(f"{name}_2020")):
        densities = profile_densities(network, profile)
        total = sum(layer.weights * densities[layer.name].weights for layer in network.layers)
        assert network.weights / total == pytest.approx(BUDGETS[name])
        assert {one.activations for one in densities.values()} == {UNKNOWN_ACTIVATIONS}
        assert not any(one.activations_known for one in densities.values())


def test_every_budget_ships() -> None:
    assert set(list_shipped("density")) == set(BUDGETS)


def test_authors_track_so_many_weights() -> None:
    # The training code tracks 1 000 000 and 350 000 parameters, batch normalisation and biases included.
    assert round(11_689_512 / 1_000_000, 1) == BUDGETS["resnet18"]
    assert round(3_504_872 / 350_000, 1) == BUDGETS["mobilenet_v2"]


def test_profile_by_layer() -> None:
    profile = load_density(
        {
            "density": {
                "name": "mine",
                "weights": {"layers": {"conv2_1": 0.2}},
                "activations": {"default": 0.4, "layers": {"conv1": 1.0}},
            }
        }
    )
    assert load_density(profile) is profile
    densities = profile_densities(load_network("resnet18"), profile)
    assert (densities["conv2_1"].weights, densities["conv2_2"].weights) == (0.2, 1.0)
    assert (densities["conv1"].activations, densities["fc"].activations) == (1.0, 0.4)
    assert all(one.activations_known for one in densities.values())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"weights": {"overall": 0.1, "times_fewer": 10}}, "'overall' and 'times_fewer' are both given"),
        ({"weights": {"overall": 0}}, "'overall' must be more than 0, is 0"),
        ({"weights": {"times_fewer": 0.5}}, "'times_fewer' must be at least 1, is 0.5"),
        ({"weights": {"rule": "erk"}}, "'rule' must be one of 'uniform' or 'erdos_renyi_kernel', is 'erk'"),
        ({"weights": {"layers": {"conv1": 2}}}, "'conv1' must be at most 1, is 2"),
        ({"weights": 0.1}, "'weights' must be 'key: value' pairs, is 0.1"),
        ({"weigths": {}}, "did you mean 'weights'?"),
        ({"activations": {"defualt": 0.5}}, "did you mean 'default'?"),
    ],
)
def test_wrong_files(content: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError) as error:
        load_density({"density": {"name": "mine", **content}})
    assert said in str(error.value)


@pytest.mark.parametrize("section", ["weights", "activations"])
def test_layers_that_do_not_exist(section: str) -> None:
    profile = load_density({"density": {"name": "mine", section: {"layers": {"cnv1": 0.5}}}})
    with pytest.raises(SpecError, match=r"resnet18 has no layer 'cnv1'.*did you mean 'conv1'"):
        profile_densities(load_network("resnet18"), profile)
