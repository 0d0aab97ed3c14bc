"""Densities and masks of layers, and what a design makes of them in each phase."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from procrustes_model.errors import SpecError
from procrustes_model.mapper.constraints import Constraints
from procrustes_model.network.densities import LayerState, arrange_mask, find_states, zeros_of
from procrustes_model.network.plan import Plan, make_plan
from procrustes_model.network.request import RunRequest
from procrustes_model.network.work import load_work
from procrustes_model.spec.load import load_network, load_sparsity
from procrustes_model.spec.network import Network
from procrustes_model.spec.network_density import load_density
from procrustes_model.training.masks import LayerMasks, MaskFile, save_masks
from procrustes_model.workloads.layer import training_problem
from tests.network.conftest import TINY

PROCRUSTES = load_sparsity("procrustes")


@pytest.fixture
def network() -> Network:
    return load_network(TINY)


def _masks(network: Network, density: float = 0.5) -> MaskFile:
    rng = np.random.default_rng(1)
    layers = []
    for layer in network.layers:
        mask = rng.random((2, *layer.weight_shape)) < density
        known = np.array([np.nan, 0.3])
        layers.append(LayerMasks(layer.name, mask, mask.mean(axis=tuple(range(1, mask.ndim))), known, known))
    return MaskFile(tuple(layers), (10, 20))


def test_a_design_decides_which_tensor_is_sparse(network: Network) -> None:
    layer, state = network.layers[0], LayerState(0.2, 0.4, 0.7)
    found = {
        phase: zeros_of(training_problem(layer, phase), PROCRUSTES, state).densities
        for phase in ("forward", "backward", "weight_update")
    }
    weights = {"Weights": {"model": "hypergeometric", "density": 0.2}}
    assert found["forward"] == found["backward"] == weights
    assert found["weight_update"] == weights | {"Inputs": {"model": "hypergeometric", "density": 0.4}}


def test_profiles_and_defaults(network: Network) -> None:
    profile = load_density({"density": {"name": "p", "weights": {"layers": {"first": 0.5}}}})
    states = find_states(network, profile=profile)
    assert (states["first"].weights, states["mid_1"].weights) == (0.5, 1.0)
    assert states["first"].activations == 0.5
    assert states["first"].assumed
    told = find_states(network, profile=profile, density={"Inputs": 0.3})
    assert (told["first"].activations, told["first"].assumed) == (0.3, False)
    assert find_states(network)["first"].weights is None


def test_recorded_masks(network: Network, tmp_path: Path) -> None:
    file = tmp_path / "masks.npz"
    save_masks(file, _masks(network))
    last, first = find_states(network, masks=file), find_states(network, masks=file, step=10)
    assert last["mid_1"].mask is not None
    assert last["mid_1"].weights == last["mid_1"].mask.mean()
    assert (last["mid_1"].activations, last["mid_1"].assumed) == (0.3, False)
    assert (first["mid_1"].activations, first["mid_1"].assumed) == (0.5, True)
    assert find_states(network, masks=file, use_masks=False)["mid_1"].mask is None


def test_layers_of_unknown_weights_are_dense(network: Network, tmp_path: Path) -> None:
    file, layers = tmp_path / "masks.npz", list(_masks(network).layers)
    masks = layers[1].masks & np.array([True, False]).reshape(2, *[1] * (layers[1].masks.ndim - 1))
    layers[1] = replace(layers[1], masks=masks, known=np.array([True, False]))
    save_masks(file, MaskFile(tuple(layers), (10, 20)))
    last, first = find_states(network, masks=file), find_states(network, masks=file, step=10)
    name = layers[1].name
    assert (last[name].weights, last[name].mask, last[name].activations) == (1.0, None, 0.3)
    assert first[name].mask is not None and first[name].weights == masks[0].mean() < 1


@pytest.mark.parametrize(
    "kind",
    [
        {"kind": "conv", "channels": 6, "kernel": [2, 3]},
        {"kind": "grouped", "channels": 6, "kernel": 2, "groups": 2},
        {"kind": "depthwise", "kernel": [2, 3]},
        {"kind": "fully_connected", "channels": 3},
        {"kind": "matmul", "m": 2, "k": 3, "n": 5},
    ],
)
@pytest.mark.parametrize("as_published", [False, True])
def test_masks_fit_their_problems(kind: dict[str, Any], as_published: bool) -> None:
    takes_input = kind["kind"] != "matmul"
    written = {
        "name": "n",
        **({"input": {"channels": 4, "height": 5, "width": 5}} if takes_input else {}),
        "layers": [{"name": "a", **kind}],
    }
    layer = load_network({"network": written}).layers[0]
    shape = layer.weight_shape[::-1] if layer.kind == "matmul" else layer.weight_shape
    mask = np.random.default_rng(0).random(shape) < 0.5
    for phase in ("forward", "backward"):
        problem = training_problem(layer, phase, as_published=as_published)
        arranged = arrange_mask(problem, mask)
        weights = next(tensor for tensor in problem.tensors if tensor.name == "Weights")
        wanted = tuple(problem.dimensions[rank[0].dimension] for rank in weights.ranks)
        assert arranged.shape == wanted
        assert arranged.sum() == mask.sum()
        outputs = 2 if layer.kind == "grouped" else 1
        kept = arranged.sum(axis=tuple(range(outputs, arranged.ndim))).ravel()
        assert kept.tolist() == mask.sum(axis=tuple(range(1, mask.ndim))).tolist()


def _plan(network: Network, states: dict[str, LayerState], **changes: Any) -> Plan:
    options: dict[str, Any] = {"dataflow": "KN", "sparsity": PROCRUSTES} | changes
    machine = options.pop("architecture", "procrustes_16x16")
    return make_plan(load_work(RunRequest(machine, network, **options)), states)


def test_only_what_matters_changes_a_key(network: Network) -> None:
    plain = find_states(network, density={"Weights": 0.25})
    base = set(_plan(network, plain).cases)
    assert set(_plan(network.model_copy(update={"name": "other"}), plain).cases) == base
    denser = find_states(network, density={"Weights": 0.5})
    assert not set(_plan(network, denser).cases) & base
    assert not set(_plan(network, plain, batch=2).cases) & base
    assert not set(_plan(network, plain, objective="energy").cases) & base
    assert not set(_plan(network, plain, seed=1).cases) & base
    assert not set(_plan(network, plain, dataflow="any", constraints=Constraints(name="KN")).cases) & base
    assert not set(_plan(network, plain, architecture="procrustes_16x16_horowitz").cases) & base


def test_masks_are_part_of_the_key(network: Network, tmp_path: Path) -> None:
    save_masks(tmp_path / "masks.npz", _masks(network))
    states = find_states(network, masks=tmp_path / "masks.npz")
    keys = {entry.layer: entry.key for entry in _plan(network, states).entries if entry.phase == "forward"}
    assert len(set(keys.values())) == len(network.layers)


def test_masks_that_do_not_fit_are_refused(network: Network, tmp_path: Path) -> None:
    masks = _masks(network)
    strange = replace(masks.layers[1], name="mid_9")
    save_masks(tmp_path / "a.npz", MaskFile((*masks.layers, strange), masks.steps))
    with pytest.raises(SpecError, match="no layer 'mid_9'; did you mean 'mid_1'"):
        find_states(network, masks=tmp_path / "a.npz")
    save_masks(tmp_path / "b.npz", masks)
    with pytest.raises(SpecError, match="11"):
        find_states(network, masks=tmp_path / "b.npz", step=11)
    with pytest.raises(SpecError, match="given twice: by density and by masks"):
        find_states(network, masks=tmp_path / "b.npz", density={"Weights": 0.1})


def test_layers_that_a_file_of_masks_has_not_are_named(network: Network, tmp_path: Path) -> None:
    masks = _masks(network)
    save_masks(tmp_path / "part.npz", MaskFile(masks.layers[:1], masks.steps))
    whole = [layer.name for layer in network.layers if layer.weights]
    states = find_states(network, masks=tmp_path / "part.npz")
    missing = [name for name, state in states.items() if state.missing]
    assert missing == [name for name in whole if name != masks.layers[0].name]
    assert all(states[name].weights == 1 for name in missing)
