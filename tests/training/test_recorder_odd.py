"""The recorder where training is out of the ordinary: modes, types, layouts, failures, frozen layers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from procrustes_model.errors import SpecError
from procrustes_model.report.tables.masks import masks_text
from procrustes_model.report.terminal.masks import format_masks
from procrustes_model.training import load_mask, load_mask_densities, load_masks, save_masks


@contextmanager
def recorded(torch: Any, network: Any) -> Iterator[list[Any]]:
    """Record one step, which holds all that runs in the block; afterwards the list has its layers."""
    from procrustes_model.training import Recorder

    layers: list[Any] = []
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    with Recorder(network, optimizer, every=1) as recorder:
        yield layers
        optimizer.step()
    layers += recorder.result().layers


def share(*tensors: Any) -> float:
    return sum(int(one.count_nonzero()) for one in tensors) / sum(one.numel() for one in tensors)


def halved(torch: Any, *shape: int) -> Any:
    """Return random values of which about half are zero."""
    return torch.randn(*shape).relu()


def test_training_is_not_changed(torch: Any) -> None:
    from procrustes_model.training import Recorder

    def train(every: int | None) -> list[Any]:
        torch.manual_seed(0)
        network = torch.nn.Sequential(
            torch.nn.Conv2d(2, 4, 3),
            torch.nn.BatchNorm2d(4),
            torch.nn.ReLU(inplace=True),
            torch.nn.Flatten(2),
            torch.nn.Dropout(0.2),
            torch.nn.TransformerEncoderLayer(16, 2, 8, batch_first=True),
            torch.nn.utils.parametrizations.spectral_norm(torch.nn.Linear(16, 3)),
        )
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        recorder = Recorder(network, optimizer, every=every) if every else None
        for _ in range(4):
            network(torch.randn(5, 2, 6, 6)).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
        if recorder:
            recorder.close()
        return list(network.state_dict().values())

    expected = train(None)
    for every in (1, 2):
        assert all(torch.equal(one, other) for one, other in zip(expected, train(every), strict=True))


CONVOLUTIONS: dict[str, Callable[[Any], Any]] = {
    "one axis": lambda torch: torch.nn.Conv1d(4, 6, 3, stride=2),
    "two axes": lambda torch: torch.nn.Conv2d(4, 6, 3, padding=1),
    "three axes": lambda torch: torch.nn.Conv3d(4, 6, 3, bias=False),
    "grouped": lambda torch: torch.nn.Conv2d(4, 6, 3, groups=2),
    "depthwise": lambda torch: torch.nn.Conv2d(4, 4, 3, groups=4, dilation=2),
    "transposed": lambda torch: torch.nn.ConvTranspose2d(4, 6, 3, stride=2),
}


@pytest.mark.parametrize("kind", CONVOLUTIONS)
@pytest.mark.parametrize("channels_last", [False, True])
def test_convolutions(torch: Any, kind: str, channels_last: bool) -> None:
    from torch.nn.utils import prune

    torch.manual_seed(0)
    layer = CONVOLUTIONS[kind](torch)
    prune.random_unstructured(layer, "weight", amount=0.3)
    axes = layer.weight.dim() - 2
    inputs = halved(torch, 2, 4, *[7] * axes)
    if channels_last and axes == 2:
        layer, inputs = (one.to(memory_format=torch.channels_last) for one in (layer, inputs))
    with recorded(torch, layer) as found:
        result = layer(inputs)
        result.relu().square().sum().backward()
    assert np.array_equal(found[0].masks[0], (layer.weight_orig * layer.weight_mask != 0).numpy())
    assert found[0].activation_density[0] == share(inputs)
    assert found[0].gradient_density[0] == share(result.relu())


def test_padding_by_reflection_is_part_of_what_is_received(torch: Any) -> None:
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(1, 1, 3, padding=2, padding_mode="reflect")
    inputs = halved(torch, 1, 1, 5, 5)
    with recorded(torch, layer) as found:
        layer(inputs).sum().backward()
    assert found[0].activation_density[0] == share(torch.nn.functional.pad(inputs, (2,) * 4, "reflect"))


def test_automatic_precision(torch: Any) -> None:
    layer = torch.nn.Linear(4, 4, bias=False)
    with torch.no_grad():
        # Too small for the type that is multiplied with.
        layer.weight[:, :2] = 1e-42
    inputs = halved(torch, 3, 4) + 1e-42
    with recorded(torch, layer) as found, torch.autocast("cpu", torch.bfloat16):
        for _ in range(2):
            layer(inputs).float().relu().sum().backward()
    cast = layer.weight.detach().bfloat16()
    assert np.array_equal(found[0].masks[0], (cast != 0).numpy())
    assert not found[0].masks[0][:, :2].any()
    assert found[0].activation_density[0] == share(inputs.bfloat16()) < share(inputs)
    assert found[0].gradient_density[0] == share(inputs.bfloat16() @ cast.t() > 0)


def test_modes_that_are_not_counted(torch: Any) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))
    inputs = torch.eye(4)
    with recorded(torch, network) as found:
        with torch.no_grad():
            network(torch.ones(9, 4))
        with torch.inference_mode():
            network(torch.ones(9, 4))
        network[1].eval()
        network(inputs).sum().backward()
        network.eval()
        network(torch.ones(9, 4)).sum().backward()
    assert found[0].activation_density[0] == 0.25
    assert found[0].gradient_density[0] == 1
    assert np.isnan([found[1].activation_density[0], found[1].gradient_density[0]]).all()
    assert found[1].masks.all()


def test_a_pass_without_gradients_inside_of_a_module(torch: Any) -> None:
    class Module(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(4, 4))

        def forward(self, inputs: Any) -> Any:
            with torch.no_grad():
                target = torch.nn.functional.linear(torch.ones_like(inputs), self.weight)
            return torch.nn.functional.linear(inputs, self.weight) - target

    module = Module()
    with recorded(torch, torch.nn.Sequential(module)) as found:
        module(torch.eye(4)).sum().backward()
    assert (found[0].name, found[0].activation_density[0]) == ("0", 0.25)


def test_a_pass_without_gradients_beside_a_function(torch: Any) -> None:
    """That a tensor stems from a Function does not make what happens to it later part of the Function."""
    from tests.training import sparse_networks

    class Module(torch.nn.Linear):
        def forward(self, inputs: Any) -> Any:
            result = sparse_networks.PruningIdentity.apply(super().forward(inputs))
            with torch.no_grad():
                torch.nn.functional.linear(torch.ones_like(inputs), self.weight)
                result.mul_(1)
            return result

    module = Module(4, 4)
    with recorded(torch, module) as found:
        module(torch.eye(4)).sum().backward()
    assert found[0].activation_density[0] == 0.25
    assert found[0].gradient_density[0] == 0.5


def test_frozen_layers(torch: Any) -> None:
    layers = [torch.nn.Linear(4, 4) for _ in range(4)]
    for layer in layers[:2]:
        layer.requires_grad_(False)
    # Only its bias is trained: no product receives its gradients, for there is nothing before it.
    layers[1].bias.requires_grad_(True)
    network = torch.nn.Sequential(*layers)
    layers[2].weight.requires_grad_(False)
    with recorded(torch, network) as found:
        network(torch.eye(4)).sum().backward()
    assert [layer.activation_density[0] for layer in found] == [0.25, 1, 1, 1]
    assert np.isnan([layer.gradient_density[0] for layer in found]).tolist() == [True, True, False, False]
    assert all(layer.masks.all() for layer in found)


def test_shared_layers(torch: Any) -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(6, 6)
    network = torch.nn.Sequential(layer, torch.nn.ReLU(), layer)
    inputs = halved(torch, 5, 6)
    with recorded(torch, network) as found:
        network(inputs).relu().sum().backward()
    first = layer(inputs)
    result = layer(first.relu())
    received = (result > 0).float()
    assert len(found) == 1
    assert found[0].activation_density[0] == share(inputs, first.relu())
    assert found[0].gradient_density[0] == share(received, (received @ layer.weight) * (first > 0))


def test_tied_weights(torch: Any) -> None:
    torch.manual_seed(0)

    class Tied(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(7, 4)
            self.layer = torch.nn.Linear(4, 4)
            self.head = torch.nn.Linear(4, 7)
            self.head.weight = self.embedding.weight

        def forward(self, words: Any) -> Any:
            return self.head(self.layer(self.embedding(words)).relu())

    network = Tied()
    with recorded(torch, network) as found:
        network(torch.tensor([[0, 3, 3], [1, 2, 6]])).relu().sum().backward()
    assert [layer.name for layer in found] == ["layer", "head"]
    hidden = network.layer(network.embedding(torch.tensor([[0, 3, 3], [1, 2, 6]]))).relu()
    assert found[1].activation_density[0] == share(hidden)
    assert found[1].gradient_density[0] == share(network.head(hidden).relu())


def test_several_weights_of_one_module(torch: Any) -> None:
    torch.manual_seed(0)

    class Adapted(torch.nn.Linear):
        def __init__(self) -> None:
            super().__init__(6, 5)
            self.down = torch.nn.Parameter(torch.randn(2, 6).relu())
            self.up = torch.nn.Parameter(torch.randn(5, 2))

        def forward(self, inputs: Any) -> Any:
            return super().forward(inputs) + inputs @ self.down.t() @ self.up.t()

    network = torch.nn.Sequential(Adapted())
    inputs = halved(torch, 3, 6)
    with recorded(torch, network) as found:
        network(inputs).relu().sum().backward()
    assert [layer.name for layer in found] == ["0", "0.down", "0.up"]
    weights = (network[0].weight, network[0].down, network[0].up)
    for layer, weight, received in zip(
        found, weights, (inputs, inputs, inputs @ weights[1].t()), strict=True
    ):
        assert np.array_equal(layer.masks[0], (weight != 0).numpy())
        assert layer.activation_density[0] == share(received)
    gradient = network(inputs).relu() > 0
    assert found[0].gradient_density[0] == found[2].gradient_density[0] == share(gradient)
    assert found[1].gradient_density[0] == share(gradient.float() @ weights[2])


def test_inputs_that_are_parameters(torch: Any) -> None:
    class Queries(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.queries = torch.nn.Parameter(torch.eye(4))
            self.layer = torch.nn.Linear(4, 4)

        def forward(self, inputs: Any) -> Any:
            return self.layer(self.queries) @ inputs

    network = Queries()
    with recorded(torch, network) as found:
        network(torch.ones(4, 2)).sum().backward()
    assert [(layer.name, layer.activation_density[0]) for layer in found] == [("layer", 0.25)]


def test_attention(torch: Any) -> None:
    torch.manual_seed(0)
    layer = torch.nn.MultiheadAttention(4, 2, batch_first=True)
    inputs = halved(torch, 2, 3, 4)
    with recorded(torch, torch.nn.ModuleDict({"attention": layer})) as found:
        layer(inputs, inputs, inputs)[0].sum().backward()
    assert [(one.name, one.masks.shape[1:]) for one in found] == [
        ("attention", (12, 4)),
        ("attention.out_proj", (4, 4)),
    ]
    assert found[0].activation_density[0] == share(inputs)


def test_parts_of_weights_are_no_mask(torch: Any) -> None:
    layer = torch.nn.MultiheadAttention(4, 2, batch_first=True)
    with recorded(torch, layer) as found:
        layer(torch.ones(2, 3, 4), torch.ones(2, 5, 4), torch.ones(2, 5, 4))[0].sum().backward()
    assert found[0].name == "in_proj_weight"
    assert np.isnan(found[0].weight_density[0])
    assert found[0].activation_density[0] == 1


@pytest.mark.parametrize("reentrant", [False, True])
def test_recomputed_activations(torch: Any, reentrant: bool) -> None:
    from torch.utils.checkpoint import checkpoint

    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(6, 6), torch.nn.ReLU(), torch.nn.Linear(6, 6))
    inputs = halved(torch, 5, 6).requires_grad_()
    with recorded(torch, network) as found:
        checkpoint(network, inputs, use_reentrant=reentrant).relu().sum().backward()
    first = network[0](inputs)
    received = (network(inputs) > 0).float()
    assert [layer.activation_density[0] for layer in found] == [share(inputs), share(first.relu())]
    expected = [share((received @ network[2].weight) * (first > 0)), share(received)]
    assert [layer.gradient_density[0] for layer in found] == expected


def test_gradients_of_gradients(torch: Any) -> None:
    """A backward pass inside of a forward pass is none of its products."""
    torch.manual_seed(0)

    class Forces(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(6, 6)

        def forward(self, inputs: Any) -> Any:
            energy = self.layer(inputs).relu().sum()
            return torch.autograd.grad(energy, inputs, create_graph=True)[0]

    network = Forces()
    inputs = halved(torch, 5, 6).requires_grad_()
    with recorded(torch, network) as found:
        network(inputs)
    assert found[0].activation_density[0] == share(inputs)
    assert found[0].gradient_density[0] == share(network.layer(inputs).relu())


def test_weights_that_are_handed_over(torch: Any) -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU(), torch.nn.Linear(4, 4))
    others = {name: one.detach() * (one > 0) for name, one in network.named_parameters()}
    with recorded(torch, network) as found:
        torch.func.functional_call(network, others, (torch.ones(2, 4),))
    for layer in found:
        assert np.array_equal(layer.masks[0], (others[f"{layer.name}.weight"] != 0).numpy())


def test_weights_computed_of_inputs(torch: Any) -> None:
    class Dynamic(torch.nn.Linear):
        def forward(self, inputs: Any) -> Any:
            return torch.nn.functional.linear(inputs, self.weight * inputs.mean(0))

    layer = Dynamic(4, 3)
    inputs = torch.tensor([[1.0, 0, 2, 0]])
    with recorded(torch, layer) as found:
        layer(inputs).sum().backward()
    assert np.array_equal(found[0].masks[0], np.array([[True, False, True, False]] * 3))


def test_weights_that_change_from_pass_to_pass(torch: Any) -> None:
    class Alternating(torch.nn.Linear):
        keep = 0

        def forward(self, inputs: Any) -> Any:
            mask = torch.arange(4) == self.keep
            self.keep += 1
            return torch.nn.functional.linear(inputs, self.weight * mask)

    layer = Alternating(4, 3)
    with recorded(torch, layer) as found:
        layer(torch.ones(1, 4))
        layer(torch.ones(1, 4)).sum().backward()
    assert np.array_equal(found[0].masks[0], np.array([[True, True, False, False]] * 3))


def test_unfolded_convolutions(torch: Any) -> None:
    torch.manual_seed(0)

    class Unfolded(torch.nn.Conv2d):
        def forward(self, inputs: Any) -> Any:
            columns = torch.nn.functional.unfold(inputs, 3)
            return (self.weight.relu().flatten(1) @ columns).unflatten(2, (3, 3))

    layer = Unfolded(2, 4, 3)
    inputs = halved(torch, 2, 2, 5, 5)
    with recorded(torch, layer) as found:
        result = layer(inputs)
        result.relu().sum().backward()
    assert np.array_equal(found[0].masks[0], (layer.weight > 0).numpy())
    assert found[0].activation_density[0] == share(torch.nn.functional.unfold(inputs, 3))
    assert found[0].gradient_density[0] == share(result.relu())


def test_a_function_with_a_convolution(torch: Any) -> None:
    torch.manual_seed(0)

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, inputs: Any, weights: Any) -> Any:
            ctx.save_for_backward(inputs, weights)
            return torch.nn.functional.conv2d(inputs, weights)

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            inputs, weights = ctx.saved_tensors
            pruned = gradient * (gradient > 1)
            of_inputs = of_weights = None
            if ctx.needs_input_grad[0]:
                of_inputs = torch.nn.grad.conv2d_input(inputs.shape, weights, pruned)
            if ctx.needs_input_grad[1]:
                of_weights = torch.nn.grad.conv2d_weight(inputs, weights.shape, gradient)
            return of_inputs, of_weights

    class Layer(torch.nn.Conv2d):
        def forward(self, inputs: Any) -> Any:
            return Function.apply(inputs, self.weight)

    layer = Layer(2, 4, 3)
    for leaf in (True, False):
        inputs = halved(torch, 2, 2, 5, 5).requires_grad_(leaf)
        with recorded(torch, layer) as found:
            result = layer(inputs)
            result.relu().square().sum().backward()
        gradient = 2 * result.relu()
        # Where inputs need none, only the product that gives those of the weights is left.
        assert found[0].gradient_density[0] == share(gradient > 1 if leaf else gradient)
        assert found[0].activation_density[0] == share(inputs)


def hooks_of(network: Any) -> int:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(one, kind)) for one in network.modules() for kind in kinds)


def test_nothing_is_left_behind(torch: Any) -> None:
    from torch.utils._python_dispatch import _get_current_dispatch_mode

    from procrustes_model.training import Recorder

    class Failing(torch.nn.Module):
        error: type[BaseException] | None = None

        def forward(self, inputs: Any) -> Any:
            if self.error:
                raise self.error
            return inputs

    failing = Failing()
    network = torch.nn.Sequential(torch.nn.Linear(4, 4), failing, torch.nn.Linear(4, 4))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    recorder = Recorder(network, optimizer, every=1)
    for failing.error in (ValueError, KeyboardInterrupt):
        with pytest.raises(failing.error):
            network(torch.eye(4))
        assert failing.error is KeyboardInterrupt or _get_current_dispatch_mode() is None
    optimizer.step()
    # An interrupt passes by hooks; the next step mends it.
    assert _get_current_dispatch_mode() is None
    failing.error = None
    late = network(torch.eye(4)).sum()
    recorder.close()
    late.backward()
    optimizer.step()
    found = recorder.result()
    assert found.steps == (0,)
    assert found.layers[0].activation_density[0] == 0.25
    assert np.isnan(found.layers[1].activation_density[0])
    assert not hooks_of(network) and not optimizer._optimizer_step_pre_hooks
    failing.error = KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt), Recorder(network, optimizer, every=1):
        network(torch.eye(4))
    assert _get_current_dispatch_mode() is None and not hooks_of(network)


def test_two_recorders_and_hooks_of_others(torch: Any) -> None:
    from torch.utils._python_dispatch import _get_current_dispatch_mode

    network = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))
    with recorded(torch, network) as first, recorded(torch, network) as second:
        network[0].register_forward_pre_hook(lambda _, inputs: (inputs[0] * torch.eye(4),))
        network[0].register_forward_hook(lambda _, inputs, result: result + inputs[0].sum())
        network(torch.ones(4, 4)).sum().backward()
        assert _get_current_dispatch_mode() is None
    for found in (first, second):
        assert [layer.activation_density[0] for layer in found] == [0.25, 1]


def test_cached_parametrizations(torch: Any) -> None:
    from torch.nn.utils import parametrize

    from tests.training import sparse_networks

    torch.manual_seed(0)
    network, operands = sparse_networks.parametrized()
    inputs = halved(torch, 3, 8).double()
    with parametrize.cached():
        network(inputs)
        with recorded(torch, network) as found:
            network(inputs).sum().backward()
    for layer, weights in zip(found, operands(network), strict=True):
        assert np.array_equal(layer.masks[0], (weights != 0).numpy())
    assert found[0].activation_density[0] == share(inputs)


def test_compiled_modules(torch: Any) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU(), torch.nn.Linear(4, 4))
    with recorded(torch, network) as found:
        torch.compile(network, backend="eager")(torch.eye(4)).sum().backward()
    assert found[0].activation_density[0] == 0.25
    assert found[1].activation_density[0] == share(network[0](torch.eye(4)).relu())
    assert found[1].gradient_density[0] == 1


def test_copies_are_not_recorded(torch: Any) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(4, 4))
    with recorded(torch, network) as found:
        other = copy.deepcopy(network)
        other(torch.ones(2, 4)).sum().backward()
        network(torch.eye(4)).sum().backward()
    assert found[0].activation_density[0] == 0.25


def test_gradients_that_come_late(torch: Any) -> None:
    """A backward pass counts in the step that it is run in, if that is recorded."""
    from procrustes_model.training import Recorder

    network = torch.nn.Linear(4, 4)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    for every, expected in ((1, [np.nan, 1, 1]), (2, [np.nan, np.nan])):
        with Recorder(network, optimizer, every=every) as recorder:
            for _ in range(3):
                result = network(torch.eye(4))
                optimizer.step()
                result.sum().backward()
        found = recorder.result().layers[0]
        assert np.array_equal(found.gradient_density, expected, equal_nan=True)


def test_what_is_not_seen_is_unknown(torch: Any, tmp_path: Path) -> None:
    from procrustes_model.training import Recorder
    from tests.training import sparse_networks

    torch.manual_seed(0)
    network, _ = sparse_networks.parametrized()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    with Recorder(network, optimizer, every=1) as recorder:
        for number in range(3):
            network[0 if number == 1 else 2](
                torch.ones(3, 8 if number == 1 else 12).double()
            ).sum().backward()
            optimizer.step()
    save_masks(tmp_path / "masks.npz", recorder.result())
    for found in (recorder.result(), load_masks(tmp_path / "masks.npz")):
        first, second = found.layers
        assert np.isnan(first.weight_density).tolist() == [True, False, True]
        assert np.isnan(second.weight_density).tolist() == [False, True, False]
        assert np.isnan(first.storage_density).tolist() == [True, False, True]
        assert not first.masks[0].any()
        assert first.weight_density[1] == 0.5
        assert found.mask("0", 1).mean() == 0.5
        with pytest.raises(KeyError, match="unknown at step 2"):
            found.mask("0")
    densities = load_mask_densities(tmp_path / "masks.npz")
    assert np.isnan(densities.total("weights")).all()
    rows = [line.split() for line in format_masks(densities, 0).splitlines()]
    assert ["0", "12x8", "96", "-", "-", "-", "-"] in rows
    assert ["all", "144", "-", "-"] in rows
    assert masks_text(densities).splitlines()[1].startswith("0,0,12x8,96,,,,")
    assert load_mask(tmp_path / "masks.npz", "0", 1).mean() == 0.5
    with pytest.raises(SpecError, match="the mask of '0' is unknown at step 0"):
        load_mask(tmp_path / "masks.npz", "0", 0)
