"""Operands as they are recorded, whichever way round a layer multiplies them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from procrustes_model.training import NM, load_masks, load_operands, save_masks

SIDE = 6
"""Batch and channels alike, so that no shape tells an operand from its transposed one."""


def turned(torch: Any) -> dict[str, Any]:
    """Return fully connected layers that multiply in several orders."""

    class Function(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, inputs: Any, weights: Any, is_turned: bool) -> Any:
            ctx.save_for_backward(inputs, weights)
            ctx.is_turned = is_turned
            return (weights @ inputs.t()).t() if is_turned else inputs @ weights.t()

        @staticmethod
        def backward(ctx: Any, gradients: Any) -> Any:
            inputs, weights = ctx.saved_tensors
            if ctx.is_turned:
                return (weights.t() @ gradients.t()).t(), (inputs.t() @ gradients).t(), None
            return gradients @ weights, gradients.t() @ inputs, None

    class Layer(torch.nn.Linear):  # type: ignore[misc]
        def __init__(self, way: str) -> None:
            super().__init__(SIDE, SIDE, bias=False)
            self.way = way

        def forward(self, inputs: Any) -> Any:
            if self.way.startswith("function"):
                return Function.apply(inputs, self.weight, self.way == "function, turned")
            if self.way == "turned":
                return (self.weight @ inputs.t()).t()
            return super().forward(inputs)

    return {way: Layer(way) for way in ("plain", "turned", "function", "function, turned")}


@pytest.mark.parametrize("way", ["plain", "turned", "function", "function, turned"])
def test_orders_of_products(torch: Any, tmp_path: Path, way: str) -> None:
    from procrustes_model.training import Recorder

    torch.manual_seed(1)
    layer, expected = turned(torch)[way], {}
    with torch.no_grad():
        layer.weight.mul_(torch.rand(SIDE, SIDE) < 0.5)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    inputs = torch.randn(SIDE, SIDE) * (torch.rand(SIDE, SIDE) < 0.4)
    gradients = torch.randn(SIDE, SIDE) * (torch.rand(SIDE, SIDE) < 0.6)
    expected = {"weights": layer.weight.detach() != 0, "inputs": inputs != 0, "gradients": gradients != 0}
    with Recorder(layer, optimizer, every=1, operands=True) as recorder:
        layer(inputs.clone().requires_grad_()).backward(gradients)
        optimizer.step()
    save_masks(tmp_path / "masks.npz", recorder.result())
    for phase, kinds in (
        ("forward", ("weights", "inputs")),
        ("backward", ("weights", "gradients")),
        ("weight_update", ("inputs", "gradients")),
    ):
        found = load_operands(tmp_path / "masks.npz", phase=phase)
        assert found.keys() == set(kinds)
        for kind in kinds:
            assert np.array_equal(found[kind], expected[kind].numpy())
    # Nothing is written twice.
    arrays = {name.split("/")[1] + " " + name.split("/")[2] for name in recorder_arrays(tmp_path)}
    assert arrays == {"forward inputs", "backward gradients"}


def recorder_arrays(folder: Path) -> list[str]:
    return [name for name in np.load(folder / "masks.npz").files if name.startswith("operand/")]


def test_several_passes(torch: Any, tmp_path: Path) -> None:
    """Weights of all passes are taken together; of inputs and gradients there are several, none is chosen."""
    from procrustes_model.training import Operands, Recorder, use_operands

    torch.manual_seed(0)
    layer = torch.nn.Linear(8, 8)
    use_operands(layer, Operands(forward_weights=NM(2, 4), backward_weights=NM(2, 4, "K")))
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    backward = NM(2, 4, "K").mask(layer.weight.detach().numpy())
    with Recorder(layer, optimizer, every=1, operands=True) as recorder:
        for _ in range(2):
            layer(torch.randn(3, 8, requires_grad=True)).square().sum().backward()
        optimizer.step()
    save_masks(tmp_path / "masks.npz", recorder.result())
    found = load_operands(tmp_path / "masks.npz", phase="backward")
    assert list(found) == ["weights"]
    assert np.array_equal(found["weights"], backward)
    assert load_operands(tmp_path / "masks.npz", phase="weight_update") == {}
    assert load_masks(tmp_path / "masks.npz").notes == ("Masks of weights in the backward product: 1 layer.",)


def test_transposed_convolutions_and_sequences(torch: Any) -> None:
    """Inputs that are spread or of several matrices are not told; weights are."""
    from procrustes_model.training import Recorder

    network = torch.nn.ModuleList([torch.nn.ConvTranspose1d(4, 6, 3, stride=2), torch.nn.Linear(6, 4)])
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    with Recorder(network, optimizer, every=1, operands=True) as recorder:
        sequence = network[0](torch.randn(2, 4, 5)).transpose(1, 2)
        network[1](sequence).square().sum().backward()
        optimizer.step()
    transposed, linear = recorder.result().layers
    assert transposed.operands == {}
    for operand, mask in linear.operands.items():
        # Rows of all sequences, one after the other.
        assert mask.masks.shape[1:] == (2 * 11, 6 if operand[1] == "inputs" else 4)
    assert transposed.weight_density.tolist() == linear.weight_density.tolist() == [1.0]
