"""Which operands of a PyTorch module's products are weights: whatever is computed of what it keeps alone."""

# ruff: noqa: E402  # without torch nothing of this is imported

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")

from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm

from procrustes_model.spec.network import Network
from procrustes_model.workloads.from_torch import masks_from_module, network_from_torch
from procrustes_model.workloads.layer_matching import match_layers

torch.set_num_threads(1)


def shapes(network: Network) -> list[tuple[Any, ...]]:
    return [(layer.name, layer.kind, layer.weights, layer.macs) for layer in network.layers]


def make_plain() -> Any:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 10))


def pruned(module: Any) -> Any:
    for one in (module[0], module[3]):
        prune.l1_unstructured(one, "weight", 0.5)
        prune.random_structured(one, "weight", 0.25, dim=0)
    return module


def each(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def change(module: Any) -> Any:
        module[0], module[3] = make(module[0]), make(module[3])
        return module

    return change


class Adapted(nn.Module):
    """Adds a product of two narrow matrices to weights."""

    def __init__(self, weight: Any) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.randn(2, weight[0].numel()))
        self.up = nn.Parameter(torch.randn(len(weight), 2))

    def forward(self, weight: Any) -> Any:
        """Run forward."""
        return weight + (self.up @ self.down).view_as(weight)


def adapted(one: Any) -> Any:
    parametrize.register_parametrization(one, "weight", Adapted(one.weight))
    return one


class Standardised(nn.Module):
    """Gives the weights of every output a mean of 0 and a deviation of 1."""

    def forward(self, weight: Any) -> Any:
        """Run forward."""
        axes = tuple(range(1, weight.dim()))
        return (weight - weight.mean(axes, keepdim=True)) / (weight.std(axes, keepdim=True) + 1e-5)


def standardised(one: Any) -> Any:
    parametrize.register_parametrization(one, "weight", Standardised())
    return one


class Binary(nn.Linear):
    """Multiplies with signs."""

    def forward(self, x: Any) -> Any:
        """Run forward."""
        return functional.linear(x, torch.sign(self.weight) * self.weight.abs().mean(), self.bias)


class BinaryConv(nn.Conv2d):
    """Multiplies with signs."""

    def forward(self, x: Any) -> Any:
        """Run forward."""
        return self._conv_forward(x, torch.sign(self.weight), self.bias)


def binary(module: Any) -> Any:
    module[0], module[3] = BinaryConv(3, 8, 3), Binary(8 * 36, 10)
    return module


def quantised(module: Any) -> Any:
    quantization = pytest.importorskip("torch.ao.quantization")
    module.qconfig = quantization.get_default_qat_qconfig("fbgemm")
    return quantization.prepare_qat(module.train())


COMPUTED = {
    "pruned": pruned,
    "weight_norm": each(weight_norm),
    "parametrized weight_norm": each(parametrizations.weight_norm),
    "spectral_norm": each(spectral_norm),
    "parametrized spectral_norm": each(parametrizations.spectral_norm),
    "orthogonal": each(parametrizations.orthogonal),
    "adapted": each(adapted),
    "standardised": each(standardised),
    "binary": binary,
    "quantised": quantised,
}


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("samples", [1, 4])
@pytest.mark.parametrize("kind", list(COMPUTED))
def test_computed_weights_are_weights(kind: str, samples: int) -> None:
    example = torch.randn(samples, 3, 8, 8)
    plain = network_from_torch(make_plain(), example)
    module = COMPUTED[kind](make_plain())
    before = {name: value.clone() for name, value in module.state_dict().items()}
    network = network_from_torch(module, example)
    assert network.layers == plain.layers
    after = module.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    masks = masks_from_module(module, example)
    assert match_layers(masks.densities(), network) == {"0": "0", "3": "3"}
    assert [one.masks.shape[1:] for one in masks.layers] == [(8, 3, 3, 3), (10, 288)]


def test_fixed_operands_are_weights() -> None:
    class Blurred(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("kernel", torch.ones(3, 1, 3, 3))
            self.basis = torch.eye(6)

        def forward(self, x: Any) -> Any:
            return functional.conv2d(x, self.kernel, groups=3) @ self.basis

    network = network_from_torch(Blurred(), torch.randn(2, 3, 8, 8))
    assert shapes(network) == [("kernel", "depthwise", 27, 972), ("mm", "matmul", 36, 18 * 36)]


def test_what_is_written_into_a_buffer_is_no_weight() -> None:
    class Cache(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("keys", torch.zeros(2, 3, 4))
            self.project = nn.Linear(4, 4)

        def forward(self, x: Any) -> Any:
            self.keys.copy_(self.project(x))
            return x @ self.keys.transpose(1, 2)

    module = Cache()
    network = network_from_torch(module, torch.ones(2, 3, 4))
    assert [(one.name, one.has_weights) for one in network.layers] == [("project", True), ("bmm", False)]
    assert not module.keys.any()
    assert not module._forward_hooks and not module._forward_pre_hooks


def test_what_is_made_of_positions_alone_is_once_for_all_samples() -> None:
    class Biased(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("offsets", torch.randn(9, 2))
            self.position = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 9))
            self.fc = nn.Linear(9, 9)

        def forward(self, x: Any) -> Any:
            return self.fc(x) + self.position(self.offsets)

    network = network_from_torch(Biased(), torch.randn(2, 9, 9))
    assert [layer.name for layer in network.layers] == ["fc"]
    assert network.description == (
        "no layers: 'position.0': a product of weights only, once for all samples; "
        "'position.2': a product of weights only, once for all samples"
    )


class Scored(nn.Linear):
    """Keeps the weights with the highest scores; the scores are parameters as well."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.a_score = nn.Parameter(torch.randn(outputs, inputs))

    def forward(self, x: Any) -> Any:
        """Run forward."""
        return functional.linear(x, self.weight * (self.a_score > 0), self.bias)


def pruned_attention() -> Any:
    module = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    prune.l1_unstructured(module.self_attn, "in_proj_weight", 0.5)
    return module


def pruned_recurrence() -> Any:
    module = nn.LSTM(4, 4, batch_first=True)
    prune.l1_unstructured(module, "weight_hh_l0", 0.5)
    return module


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (pruned_attention, ["self_attn.in_proj_weight", "self_attn.out_proj", "linear1", "linear2"]),
        (pruned_recurrence, ["weight_ih_l0", "weight_hh_l0"]),
        (lambda: nn.Sequential(Scored(4, 6)), ["0"]),
    ],
    ids=["attention", "recurrence", "scores"],
)
def test_masks_of_other_tensors(make: Callable[[], Any], names: list[str]) -> None:
    torch.manual_seed(0)
    module, example = make(), torch.randn(2, 3, 4)
    network = network_from_torch(module, example)
    assert [layer.name for layer in network.layers if layer.weights] == names
    masks = masks_from_module(module, example)
    sparse = {one.name for one in masks.layers if one.weight_density[0] < 1}
    assert sparse == {"self_attn.in_proj_weight", "weight_hh_l0", "0"} & set(names)


@pytest.mark.parametrize("samples", [1, 3])
def test_what_layers_make_of_weights_alone_is_weights(samples: int) -> None:
    class Hyper(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.code = nn.Parameter(torch.randn(1, 4))
            self.kernels, self.head = nn.Linear(4, 8 * 27), nn.Linear(4, 80)

        def forward(self, x: Any) -> Any:
            maps = functional.conv2d(x, self.kernels(self.code).view(8, 3, 3, 3))
            return maps.mean((2, 3)) @ self.head(self.code).view(8, 10)

    network = network_from_torch(nn.Sequential(Hyper()), torch.randn(samples, 3, 8, 8))
    of_samples = [layer for layer in network.layers if layer.name.startswith("0_")]
    assert [(layer.kind, layer.weights) for layer in of_samples] == [("conv", 216), ("fully_connected", 80)]
    if samples > 1:
        assert of_samples == list(network.layers)
        assert "'0.kernels': a product of weights only, once for all samples" in network.description


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("kind", ["script", "trace", "fx", "export", "lazy"])
def test_modules_of_other_makes(kind: str) -> None:
    module, example = make_plain(), torch.randn(2, 3, 8, 8)
    plain = network_from_torch(module, example)
    if kind == "lazy":
        other = nn.Sequential(
            nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10)
        )
        del other[1:2]
    else:
        makers: dict[str, Callable[[], Any]] = {
            "script": lambda: torch.jit.script(module),
            "trace": lambda: torch.jit.trace(module, example),
            "fx": lambda: torch.fx.symbolic_trace(module),
            "export": lambda: torch.export.export(module, (example,)).module(),
        }
        other = makers[kind]()
    assert network_from_torch(other, example).layers == plain.layers
