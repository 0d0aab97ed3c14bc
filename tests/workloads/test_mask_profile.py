"""Layers of files of masks, matched to networks and problems."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from procrustes_model.errors import SpecError
from procrustes_model.spec.load import load_network, load_problem
from procrustes_model.spec.network import NetworkLayer
from procrustes_model.spec.network_density import load_density
from procrustes_model.training import LayerMasks, MaskFile
from procrustes_model.workloads.layer import PHASES, training_problem
from procrustes_model.workloads.layer_densities import profile_densities
from procrustes_model.workloads.mask_profile import (
    densities_in_phase,
    match_layers,
    profile_from_masks,
    weights_mask,
)
from procrustes_model.workloads.problem_layers import einsum, transposed_convolution
from tests.workloads.test_problem_layers import NETWORK as PROBLEMS
from tests.workloads.test_problem_layers import of

NETWORK = load_network(
    {
        "network": {
            "name": "small",
            "input": {"channels": 4, "height": 8, "width": 8},
            "layers": [
                {"name": "conv", "kind": "conv", "channels": 6, "kernel": 3, "padding": 1},
                {"name": "grouped", "kind": "grouped", "channels": 6, "groups": 2, "kernel": 3},
                {"name": "depthwise", "kind": "depthwise", "kernel": 3},
                {"name": "product", "kind": "matmul", "m": 2, "k": 5, "n": 3, "weights": False},
                {"name": "tokens", "kind": "matmul", "m": 4, "k": 5, "n": 3},
                {"name": "fc", "kind": "fully_connected", "input_channels": 96, "channels": 10},
            ],
        }
    }
)
SHAPES = [(6, 4, 3, 3), (6, 3, 3, 3), (6, 1, 3, 3), (3, 5), (10, 96)]
NAMES = ["conv", "grouped", "depthwise", "tokens", "fc"]


def make(names: Sequence[str], shapes: Sequence[tuple[int, ...]] = SHAPES) -> MaskFile:
    rng = np.random.default_rng(0)
    layers = []
    for number, (name, shape) in enumerate(zip(names, shapes, strict=True)):
        masks = rng.random((2, *shape)) < np.array([1.0, 0.3]).reshape(2, *(1,) * len(shape))
        activations = np.array([0.5, np.nan if number == 0 else 0.1 * number])
        layers.append(LayerMasks(name, masks, masks.reshape(2, -1).mean(1), activations, activations / 2))
    return MaskFile(tuple(layers), (0, 9), "a test")


def layer(name: str) -> NetworkLayer:
    return next(one for one in NETWORK.layers if one.name == name)


def test_by_name_and_in_order() -> None:
    assert match_layers(make(NAMES).densities(), NETWORK) == {name: name for name in NAMES}
    some = make(NAMES[:2], SHAPES[:2]).densities()
    assert match_layers(some, NETWORK) == {"conv": "conv", "grouped": "grouped"}
    torch_names = [f"features.{i}" for i in range(5)]
    found = match_layers(make(torch_names).densities(), NETWORK)
    assert found == dict(zip(NAMES, torch_names, strict=True))


@pytest.mark.parametrize(
    ("names", "shapes", "said"),
    [
        ([*NAMES[:4], "fcc"], SHAPES, "the network small has no layer 'fcc'; did you mean 'fc'?"),
        (NAMES, [*SHAPES[:4], (10, 95)], r"the weights of 'fc' have shape \[10, 95\], in small \[10, 96\]"),
        (["a", "b"], SHAPES[:2], "in order they do not match: 2 and 5 layers; layers of small: conv, "),
        (list("abcde"), [*SHAPES[:4], (10, 95)], r"'e' has shape \[10, 95\], 'fc' \[10, 96\]"),
    ],
)
def test_layers_that_do_not_match(names: list[str], shapes: list[tuple[int, ...]], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        profile_from_masks(make(names, shapes), NETWORK)


@pytest.mark.parametrize("names", [NAMES, list("abcde")])
def test_profile(names: list[str]) -> None:
    masks = make(names)
    profile = profile_from_masks(masks, NETWORK)
    assert (profile.name, profile.source) == ("step 9", "a test")
    assert load_density(profile) is profile
    densities = profile_densities(NETWORK, profile)
    for number, name in enumerate(NAMES):
        assert densities[name].weights == masks.layers[number].masks[1].mean()
        assert densities[name].activations_known == (number > 0)
        assert number == 0 or densities[name].activations == pytest.approx(0.1 * number)
    assert densities["product"].weights == 1
    dense = profile_densities(NETWORK, profile_from_masks(masks.densities(), NETWORK, 0))
    assert all(one.weights == 1 for one in dense.values())
    assert list(profile_from_masks(masks).weights.layers) == names
    with pytest.raises(SpecError, match="step 5 was not recorded; recorded are 0, 9"):
        profile_from_masks(masks, NETWORK, 5)


def test_a_layer_without_weights_left() -> None:
    none = np.zeros((1, 10, 96), np.bool_)
    masks = MaskFile((LayerMasks("fc", none, *np.zeros((3, 1))),), (0,))
    densities = profile_densities(NETWORK, profile_from_masks(masks, NETWORK))
    assert (densities["fc"].weights, densities["fc"].activations) == (0, 0)


def test_masks_get_the_ranks_of_problems() -> None:
    masks = make(NAMES)
    for one in masks.layers:
        for phase in PHASES:
            problem = training_problem(layer(one.name), phase)
            found = weights_mask(one.masks[1], problem)
            assert np.array_equal(found.ravel(), one.masks[1].ravel())
    grouped = training_problem(layer("grouped"), "forward")
    assert weights_mask(masks.mask("grouped"), grouped).shape == (2, 3, 3, 3, 3)
    assert np.array_equal(weights_mask(masks.mask("grouped"), grouped)[1, 2], masks.mask("grouped")[5])
    assert weights_mask(masks.mask("depthwise"), training_problem(layer("depthwise"), "forward")).ndim == 3
    fc = training_problem(layer("fc"), "forward")
    assert weights_mask(masks.mask("fc")[:, :, None, None], fc).shape == (10, 96)
    with pytest.raises(SpecError, match=r"masks\.npz: the masks have shape \[6, 4, 3, 3\].*\[K, C\]"):
        weights_mask(masks.mask("conv"), fc, "masks.npz")


def test_weights_that_stand_inputs_first() -> None:
    problem = load_problem(
        {"problem": {"name": "product", "shape": "matmul", "dimensions": {"M": 2, "K": 3, "N": 5}}}
    )
    mask = np.random.default_rng(0).random((5, 3)) < 0.5
    assert np.array_equal(weights_mask(mask, problem), mask.T)
    with pytest.raises(SpecError, match=r"have shape \[5, 3\], the weights of product \[3, 5\]"):
        weights_mask(mask.T, problem)


def test_a_problem_without_weights() -> None:
    tensors = {"X": {"projection": ["M"]}, "Z": {"projection": ["M"], "output": True}}
    shape = {"dimensions": ["M"], "tensors": tensors}
    problem = load_problem({"problem": {"name": "copy", "shape": shape, "dimensions": {"M": 4}}})
    with pytest.raises(SpecError, match="has no weights to be masked, its tensors are X, Z"):
        weights_mask(np.ones(4, np.bool_), problem)


def test_densities_of_what_is_read() -> None:
    densities = make(NAMES).densities()
    found = {
        phase: densities_in_phase(densities, 4, 1, training_problem(layer("fc"), phase)) for phase in PHASES
    }
    assert found == {
        "forward": {"Inputs": 0.4},
        "backward": {"Outputs": 0.2},
        "weight_update": {"Inputs": 0.4, "Outputs": 0.2},
    }
    assert densities_in_phase(densities, 0, 1, training_problem(layer("conv"), "forward")) == {}


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("up", (4, 6, 3, 2)),
        ("up_grouped", (4, 3, 3)),
        ("volume", (4, 3, 1, 3, 2)),
        ("volume_grouped", (4, 3, 2, 2, 2)),
        ("gates", (8, 6)),
        ("gates_grouped", (8, 3)),
        ("own", (5, 4)),
    ],
)
def test_masks_of_the_shape_that_frameworks_keep(name: str, shape: tuple[int, ...]) -> None:
    layer = of(name)
    masks = np.random.default_rng(0).random((1, *shape)) < 0.5
    nothing = np.full(1, np.nan)
    file = MaskFile((LayerMasks(name, masks, nothing, nothing, nothing),), (0,))
    assert match_layers(file.densities(), PROBLEMS) == {name: name}
    for phase in PHASES:
        problem = training_problem(layer, phase, batch=2)
        arranged = weights_mask(masks[0], problem)
        assert np.array_equal(arranged.ravel(), masks[0].ravel())
        weights = next(tensor for tensor in problem.tensors if tensor.name == "Weights")
        assert arranged.shape == problem.lengths(weights)
    longer = (*shape[:-1], shape[-1] + 1)
    other = np.ones((1, *longer), np.bool_)
    wrong = MaskFile((LayerMasks(name, other, nothing, nothing, nothing),), (0,))
    with pytest.raises(SpecError, match=rf"the weights of '{name}' have shape .*, in odd "):
        match_layers(wrong.densities(), PROBLEMS)
    with pytest.raises(SpecError, match="the masks have shape"):
        weights_mask(other[0], training_problem(layer, "forward"))


def test_masks_of_a_product_whose_weights_stand_inputs_first() -> None:
    layer = einsum("a", "bc,ck->bk", {"b": 1, "c": 3, "k": 5}, weights=1, batch="b")
    mask = np.random.default_rng(0).random((5, 3)) < 0.5
    assert np.array_equal(weights_mask(mask, training_problem(layer, "backward")), mask.T)
    # Transposed, with as many outputs as inputs: nothing but the kernel's place tells them apart.
    square = transposed_convolution("t", weight=(3, 3, 2), size=(4,))
    taken = np.random.default_rng(0).random((3, 3, 2)) < 0.5
    assert np.array_equal(weights_mask(taken, training_problem(square, "backward")), taken)
