"""The recorder: what a step computes with, counted by hand."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from procrustes_model.training import LayerMasks, load_masks, save_masks
from tests.training import naive


def make(torch: Any) -> tuple[Any, Any]:
    from procrustes_model.training import ProcrustesSGD

    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    return network, ProcrustesSGD(network.parameters(), keep=0.25, decay=0.0, quantile=None, lr=0.1)


def step(torch: Any, network: Any, optimizer: Any, number: int, passes: int = 1) -> list[Any]:
    """Take a step; return the inputs of both layers, and gradients of their outputs, per pass."""
    seen = []
    optimizer.zero_grad()
    for part in range(passes):
        inputs = torch.relu(torch.randn(5, 6, generator=torch.Generator().manual_seed(10 * number + part)))
        first = network[0](inputs)
        first.retain_grad()
        hidden = network[1](first)
        output = network[2](hidden)
        output.retain_grad()
        output[:, :2].square().sum().backward()
        seen.append(((inputs, first.grad), (hidden, output.grad)))
    optimizer.step()
    return seen


def density(*tensors: Any) -> float:
    return sum(int(one.count_nonzero()) for one in tensors) / sum(one.numel() for one in tensors)


def test_records_what_a_step_computes_with(torch: Any, tmp_path: Path) -> None:
    from procrustes_model.training import Recorder

    network, optimizer = make(torch)
    expected = []
    with Recorder(network, optimizer, every=2, steps=[3]) as recorder:
        for number in range(5):
            weights = [network[i].weight.detach().clone() for i in (0, 2)]
            tracked = [mask.clone() for mask in optimizer.masks().values()]
            seen = step(torch, network, optimizer, number, passes=2)
            with torch.no_grad():
                network(torch.ones(9, 6))
            if number in (0, 2, 3, 4):
                expected.append((weights, tracked, seen))
    step(torch, network, optimizer, 6)
    save_masks(tmp_path / "masks.npz", recorder.result())
    found = load_masks(tmp_path / "masks.npz")
    assert found.steps == (0, 2, 3, 4)
    assert found.source == "ProcrustesSGD"
    assert [layer.name for layer in found.layers] == ["0", "2"]
    for row, (weights, tracked, seen) in enumerate(expected):
        for column, layer in enumerate(found.layers):
            assert np.array_equal(layer.masks[row], (weights[column] != 0).numpy())
            assert layer.storage_density[row] == density(tracked[column])
            assert layer.activation_density[row] == density(*(one[column][0] for one in seen))
            assert layer.gradient_density[row] == density(*(one[column][1] for one in seen))
    assert found.layers[0].weight_density[0] == 1.0
    assert sum(int(layer.masks[3].sum()) for layer in found.layers) == 18


def test_any_optimizer(torch: Any) -> None:
    from procrustes_model.training import Recorder

    network, _ = make(torch)
    optimizer = torch.optim.Adam(network.parameters())
    recorder = Recorder(network, optimizer, steps=[1])
    for number in range(3):
        step(torch, network, optimizer, number)
    recorder.close()
    found = recorder.result()
    assert found.steps == (1,)
    assert found.layers[0].storage_density.tolist() == [1.0]


def test_evaluation_mode_is_not_counted(torch: Any) -> None:
    from procrustes_model.training import Recorder

    network, optimizer = make(torch)
    network.eval()
    with Recorder(network, optimizer, every=1) as recorder:
        step(torch, network, optimizer, 0)
    assert np.isnan(recorder.result().layers[0].activation_density).all()


def test_bad_use(torch: Any) -> None:
    from procrustes_model.training import Recorder

    network, optimizer = make(torch)
    for options in ({}, {"every": 0}):
        with pytest.raises(ValueError, match="every="):
            Recorder(network, optimizer, **options)
    with pytest.raises(ValueError, match="no convolution"):
        Recorder(torch.nn.ReLU(), optimizer, every=1)
    assert Recorder(network, optimizer, every=1).result().steps == ()


class Seen:
    """What the slow way says that a layer received in a step: masks, inputs and gradients of all passes."""

    def __init__(self) -> None:
        self.masks: list[Any] = []
        self.inputs: list[Any] = []
        self.gradients: list[Any] = []

    def check(self, layer: LayerMasks, row: int) -> None:
        """Compare with what was recorded."""
        assert np.array_equal(layer.masks[row], np.logical_or.reduce(self.masks))
        for found, tensors in (
            (layer.activation_density, self.inputs),
            (layer.gradient_density, self.gradients),
        ):
            assert found[row] == share(tensors)


def share(arrays: list[Any]) -> float:
    return sum(np.count_nonzero(one) for one in arrays) / sum(one.size for one in arrays)


def sparse_inputs(torch: Any, *shape: int, seed: int = 0) -> Any:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).relu()


def check_against_twin(
    torch: Any,
    network: Any,
    operands: Callable[[Any], list[Any]],
    prune: Callable[[Any], Any] = lambda gradients: gradients,
    run: Callable[[Any, Any], Any] = lambda network, inputs: network(inputs),
    change: Callable[[int], None] = lambda _: None,
) -> Any:
    """Train some steps of two passes each, by hand and recorded, and compare; return what was recorded."""
    from procrustes_model.training import Recorder

    optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
    steps = []
    with Recorder(network, optimizer, every=2) as recorder:
        for number in range(5):
            change(number)
            seen = [Seen(), Seen()]
            for part in range(2):
                inputs = sparse_inputs(torch, 6, 8, seed=10 * number + part)
                (run(network, inputs).square().sum() / 2).backward()
                weights = [one.detach().numpy() for one in operands(network)]
                for one, weight, received in zip(
                    seen, weights, naive.train(inputs.numpy(), weights, prune), strict=True
                ):
                    one.masks.append(weight != 0)
                    one.inputs.append(received[0])
                    one.gradients.append(received[1])
            if number % 2 == 0:
                steps.append(seen)
            optimizer.step()
            optimizer.zero_grad()
    found = recorder.result()
    assert found.steps == (0, 2, 4)
    assert len(found.layers) == 2
    for row, seen in enumerate(steps):
        for one, layer in zip(seen, found.layers, strict=True):
            one.check(layer, row)
    return found


def kept(gradients: Any) -> Any:
    """Keep the two largest of every four."""
    groups = np.abs(gradients).reshape(-1, 4)
    mask = np.zeros_like(groups)
    np.put_along_axis(mask, np.argsort(groups, axis=1)[:, 2:], 1, axis=1)
    return gradients * mask.reshape(gradients.shape)


WEIGHTS = [
    "plain",
    "parametrized",
    "pruned",
    "straight_through_layers",
    "masked_by_function",
    "replaced",
    "products",
    "weights_of_others",
    "scattered",
    "normalised",
    "spectral",
    "frozen_weights",
]
GRADIENTS = [
    "pruned_gradients",
    "pruned_by_hook",
    "pruned_by_module_hook",
    "pruned_by_inner_autograd",
    "pruned_by_identity",
]


@pytest.mark.parametrize("kind", WEIGHTS)
def test_weights_are_those_that_products_receive(torch: Any, kind: str) -> None:
    from tests.training import sparse_networks

    torch.manual_seed(0)
    network, operands = getattr(sparse_networks, kind)()
    found = check_against_twin(torch, network, operands)
    names = ["0.inner", "2.inner"] if kind == "weights_of_others" else ["0", "2"]
    assert [layer.name for layer in found.layers] == names
    assert kind == "plain" or found.layers[1].weight_density[0] < 1


def run_with_gradients(network: Any, inputs: Any) -> Any:
    return network(inputs.clone().requires_grad_())


@pytest.mark.parametrize("kind", GRADIENTS)
def test_gradients_are_those_that_products_receive(torch: Any, kind: str) -> None:
    from tests.training import sparse_networks

    torch.manual_seed(0)
    network, operands = getattr(sparse_networks, kind)()
    found = check_against_twin(torch, network, operands, kept, run_with_gradients)
    assert all(layer.gradient_density.max() <= 0.5 for layer in found.layers)


def test_what_is_made_sparse_while_it_trains(torch: Any) -> None:
    from torch.nn.utils import parametrize, prune

    from tests.training import sparse_networks

    torch.manual_seed(0)
    network, _ = sparse_networks.plain()

    def change(number: int) -> None:
        if number:
            prune.l1_unstructured(network[0], "weight", amount=0.2)
        if number == 2:
            parametrize.register_parametrization(network[2], "weight", sparse_networks.Masking())

    def operands(network: Any) -> list[Any]:
        first, second = network[0], network[2]
        masked = first.weight_orig * first.weight_mask if hasattr(first, "weight_mask") else first.weight
        if not hasattr(second, "parametrizations"):
            return [masked, second.weight]
        original = second.parametrizations.weight.original
        return [masked, original * sparse_networks.kept(original)]

    found = check_against_twin(torch, network, operands, change=change)
    assert found.layers[0].weight_density[0] == 1 > found.layers[0].weight_density[1]


def test_a_hook_that_computes_weights_comes_late(torch: Any) -> None:
    from tests.training import sparse_networks

    torch.manual_seed(0)
    network, _ = sparse_networks.plain()

    def change(number: int) -> None:
        if not number:
            sparse_networks.replace_weights(network)

    found = check_against_twin(torch, network, sparse_networks.replaced_weights, change=change)
    assert [layer.name for layer in found.layers] == ["0", "2"]


@pytest.fixture
def run_in_threads(torch: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, Any], Any]:
    """Return what runs a part of a batch in each of two replicas, as DataParallel does on two devices."""
    replicas = sys.modules["torch.nn.parallel.replicate"]
    # What it needs devices for: copies of tensors, through which gradients pass.
    monkeypatch.setattr(replicas, "_get_device_index", lambda device, *_: device)
    monkeypatch.setattr(
        replicas,
        "_broadcast_coalesced_reshape",
        lambda tensors, devices, detach: [
            [one.detach() * 1 if detach else one * 1 for one in tensors] for _ in devices
        ],
    )

    def run_all(network: Any, inputs: Any) -> Any:
        results = {}

        def run(part: int, replica: Any) -> None:
            with torch.set_grad_enabled(True):
                results[part] = replica(inputs[3 * part : 3 * part + 3].clone().requires_grad_())

        threads = [
            threading.Thread(target=run, args=one) for one in enumerate(replicas.replicate(network, [0, 1]))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return torch.cat([results[0], results[1]])

    return run_all


@pytest.mark.parametrize("kind", [one for one in WEIGHTS if one != "spectral"] + GRADIENTS)
def test_replicas_are_recorded_as_one_layer(
    torch: Any, run_in_threads: Callable[[Any, Any], Any], kind: str
) -> None:
    from tests.training import sparse_networks

    torch.manual_seed(0)
    network, operands = getattr(sparse_networks, kind)()
    prune = kept if kind in GRADIENTS else lambda gradients: gradients
    check_against_twin(torch, network, operands, prune, run_in_threads)


def test_data_parallel(torch: Any) -> None:
    from tests.training import sparse_networks

    torch.manual_seed(0)
    network, operands = sparse_networks.parametrized()
    check_against_twin(
        torch, network, operands, run=lambda network, inputs: torch.nn.DataParallel(network)(inputs)
    )
    network, operands = sparse_networks.parametrized()
    found = check_against_twin(torch, torch.nn.DataParallel(network), lambda around: operands(around.module))
    assert [layer.name for layer in found.layers] == ["module.0", "module.2"]
