"""The recorder: what a step computes with, counted by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from procrustes_model.training import load_masks, save_masks


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
