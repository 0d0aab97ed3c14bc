"""Networks from PyTorch modules: against PyTorch's own count, and with what modules make of their weights."""

# ruff: noqa: E402  # without torch nothing of this is imported

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")

from torch import nn
from torch.nn import functional

from procrustes_model.errors import SpecError
from procrustes_model.spec.load import load_network
from procrustes_model.spec.network import Network
from procrustes_model.training.checkpoints import masks_from_checkpoint
from procrustes_model.workloads.from_torch import masks_from_module, network_from_torch
from procrustes_model.workloads.layer import training_problem
from procrustes_model.workloads.layer_matching import layer_mask, match_layers
from procrustes_model.workloads.weight_masks import weights_mask
from tests.workloads.torch_families import FAMILIES

torch.set_num_threads(1)


def shapes(network: Network) -> list[tuple[Any, ...]]:
    return [(layer.name, layer.kind, layer.weights, layer.macs) for layer in network.layers]


def count_macs(module: Any, *arguments: Any) -> int:
    """Return the multiply-accumulates that PyTorch counts; a recurrent layer's only on the device 'meta'."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    torch.backends.mha.set_fastpath_enabled(False)
    module = copy.deepcopy(module).eval()
    if any(isinstance(one, nn.RNNBase) for one in module.modules()):
        module, arguments = module.to("meta"), tuple(one.to("meta") for one in arguments)
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        module(*arguments)
    torch.backends.mha.set_fastpath_enabled(True)
    return int(counter.get_total_flops()) // 2


@pytest.mark.parametrize("name", list(FAMILIES))
def test_families(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module, example = FAMILIES[name]()
    network = network_from_torch(module, example)
    assert network.batch == len(example) and not network.description
    assert network.macs * network.batch == count_macs(module, example)
    assert load_network(_written(network, tmp_path)) == network

    # A module's own checkpoint fits its network, and so does what else there is.
    torch.save(module.state_dict(), tmp_path / "own.pt")
    masks = masks_from_checkpoint(tmp_path / "own.pt", keep=0.5)
    found = match_layers(masks.densities(), network)
    with_weights = {layer.name: layer for layer in network.layers if layer.weights}
    assert list(found) == list(with_weights)
    held = {name.removesuffix(".weight") for name in module.state_dict()}
    assert held - set(found.values()) <= set(network.other_tensors)
    for layer_name, in_file in found.items():
        layer = with_weights[layer_name]
        mask = layer_mask(masks.mask(in_file), layer, in_file)
        assert weights_mask(mask, training_problem(layer, "forward")).sum() == mask.sum()

    # As many weights as the parameters that are multiplied with have elements.
    used = dict(module.named_parameters(remove_duplicate=False))
    wanted = {one: used[one if one in used else f"{one}.weight"].numel() for one in found.values()}
    parts: dict[str, int] = {}
    for layer_name, in_file in found.items():
        parts[in_file] = parts.get(in_file, 0) + with_weights[layer_name].weights
    assert parts == wanted


def _written(network: Network, folder: Path) -> Path:
    file = folder / "network.yaml"
    file.write_text(network.to_yaml(), encoding="utf-8")
    return file


def test_names_are_those_of_parameters() -> None:
    module, example = FAMILIES["gpt2"]()
    network = network_from_torch(module, example)
    names = [layer.name for layer in network.layers]
    assert names[:4] == ["h.0.c_attn", "h.0_1", "h.0_2", "h.0.c_proj"] and names[-1] == "lm_head"
    assert [layer.inputs_first for layer in network.layers[:4]] == [True, False, False, True]
    assert {"wte", "wpe", "h.0.ln_1", "h.0.ln_1.bias", "h.0.c_attn.bias"} <= set(network.other_tensors)
    assert network.tied_tensors == (("wte", "lm_head"),)
    module, example = FAMILIES["vit"]()
    network = network_from_torch(module, example)
    assert {"cls_token", "pos_embed", "encoder.layers.0.norm1"} <= set(network.other_tensors)
    assert [layer.name for layer in network.layers][:2] == [
        "patch",
        "encoder.layers.0.self_attn.in_proj_weight",
    ]


class Folded(nn.Module):
    """Treats frames or views [samples, frames, channels, rows, columns] as samples."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Any) -> Any:
        """Run forward."""
        return self.layers(x.flatten(0, 1)).unflatten(0, x.shape[:2]).mean(1)


@pytest.mark.parametrize("samples", [1, 2])
def test_every_frame_counts(samples: int) -> None:
    layers = (
        nn.Conv2d(4, 6, 3, padding=1),
        nn.Conv2d(6, 6, (3, 1), groups=6),
        nn.Conv2d(6, 9, 3, 2, dilation=2, groups=3),
        nn.ConvTranspose2d(9, 2, 2, 2),
        nn.Flatten(),
        nn.Linear(288, 5),
    )
    example = torch.zeros(samples, 7, 4, 18, 16)
    network = network_from_torch(Folded(*layers), example)
    assert network.macs * samples == count_macs(Folded(*layers), example)
    assert network.weights == sum(one.weight.numel() for one in layers if hasattr(one, "weight"))
    assert network.layers[0].macs == 7 * 6 * 4 * 9 * 18 * 16
    for layer in network.layers:
        for phase in ("forward", "backward", "weight_update"):
            assert training_problem(layer, phase, batch=3).computes == 3 * layer.macs


def test_images_that_are_no_multiple_of_the_samples() -> None:
    class Some(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x: Any) -> Any:
            return self.conv(x[:1])

    with pytest.raises(SpecError, match=r"'conv': its 1 images are not a multiple of the batch of 2"):
        network_from_torch(Some(), torch.zeros(2, 3, 8, 8))


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(
    ("make", "gates"), [(nn.RNN, 1), (nn.GRU, 3), (nn.LSTM, 4)], ids=["rnn", "gru", "lstm"]
)
def test_recurrent_layers_have_their_weights_once(make: Any, gates: int, device: str) -> None:
    module = make(5, 6, num_layers=2, bidirectional=True, batch_first=True, device=device)
    network = network_from_torch(nn.Sequential(module), torch.zeros(3, 7, 5, device=device))
    sizes = [(5, 6), (6, 6), (5, 6), (6, 6), (12, 6), (6, 6), (12, 6), (6, 6)]
    assert network.weights == sum(gates * inputs * outputs for inputs, outputs in sizes)
    assert network.macs == 7 * network.weights
    assert {layer.name for layer in network.layers} == {
        f"0.{name}" for name, _ in module.named_parameters() if name.startswith("weight")
    }


@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_cells_and_what_a_recurrence_starts_from() -> None:
    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.start = nn.Parameter(torch.randn(1, 6))
            self.cell = nn.GRUCell(5, 6)
            self.out = nn.LSTM(6, 4, proj_size=2, batch_first=True)

        def forward(self, x: Any) -> Any:
            state, states = self.start.expand(len(x), -1), []
            for step in x.unbind(1):
                state = self.cell(step, state)
                states.append(state)
            return self.out(torch.stack(states, 1))[0]

    network = network_from_torch(Steps(), torch.zeros(3, 7, 5))
    assert sorted((layer.name, layer.rows, layer.weights) for layer in network.layers) == [
        ("cell.weight_hh", 7, 108),
        ("cell.weight_ih", 7, 90),
        ("out.weight_hh_l0", 7, 32),
        ("out.weight_hr_l0", 7, 8),
        ("out.weight_ih_l0", 7, 96),
    ]


@pytest.mark.parametrize("batch_axis", [None, 1, -2])
def test_sequence_first(batch_axis: int | None) -> None:
    module = nn.TransformerEncoderLayer(8, 2, 16)
    example = torch.randn(7, 3, 8)
    network = network_from_torch(module, example, batch_axis=batch_axis)
    assert network.batch == 3
    assert network.macs * 3 == count_macs(module, example)
    assert [layer.count for layer in network.layers] == [1, 2, 2, 1, 1, 1]
    turned = network_from_torch(
        nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), example.transpose(0, 1)
    )
    assert turned.layers == network.layers


def test_which_axis_counts_samples() -> None:
    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.gru = nn.Embedding(9, 4), nn.GRU(4, 5)

        def forward(self, words: Any) -> Any:
            return self.gru(self.embedding(words))[0]

    words = torch.zeros(7, 3, dtype=torch.long)
    network = network_from_torch(Words(), words)
    assert (network.batch, network.macs) == (3, 7 * 15 * (4 + 5))

    class Turned(Words):
        def forward(self, words: Any) -> Any:
            return super().forward(words.t())

    assert network_from_torch(Turned(), words.t()).layers == network.layers
    linear = network_from_torch(nn.Sequential(nn.Linear(4, 5)), torch.zeros(7, 3, 4), batch_axis=1)
    assert (linear.batch, linear.layers[0].rows) == (3, 7)
    with pytest.raises(SpecError, match=r"has 2 axes, and none of number 2"):
        network_from_torch(Words(), words, batch_axis=2)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_wrappers_leave_no_mark() -> None:
    def make() -> Any:
        return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sequential(nn.Flatten(), nn.Linear(288, 4)))

    example = torch.zeros(2, 3, 8, 8)
    plain = network_from_torch(make(), example)
    inner = make()
    inner[1] = nn.DataParallel(torch.compile(inner[1]))
    averaged = torch.optim.swa_utils.AveragedModel(make())
    for module in (nn.DataParallel(make()), torch.compile(make()), inner, averaged):
        network = network_from_torch(module, example)
        assert network.layers == plain.layers
        found = match_layers(masks_from_module(module, example).densities(), plain)
        assert list(found) == ["0", "1.1"]


ELEMENTWISE = """
celu elu gelu glu hardshrink hardsigmoid hardswish hardtanh leaky_relu log_softmax logsigmoid mish relu relu6
rrelu selu sigmoid silu softmax softmin softplus softshrink softsign tanh tanhshrink threshold
"""


@pytest.mark.parametrize("name", ELEMENTWISE.split())
def test_activation_functions_are_no_layers(name: str) -> None:
    function = getattr(functional, name)
    more = {"threshold": (0.1, 0.0), "softmax": (1,), "softmin": (1,), "log_softmax": (1,)}.get(name, ())

    class Active(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3)

        def forward(self, x: Any) -> Any:
            y = function(self.conv(x), *more)
            try:
                return function(y, *more, inplace=True)
            except TypeError:
                return y

    assert [one.name for one in network_from_torch(Active(), torch.randn(2, 3, 8, 8)).layers] == ["conv"]


def test_what_moves_and_compares_is_no_layer() -> None:
    class Moves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3, padding=1)

        def forward(self, x: Any) -> Any:
            y = self.conv(x).contiguous(memory_format=torch.channels_last)
            y = functional.adaptive_max_pool2d(functional.avg_pool2d(y, 2), 2).flip(1).roll(1, 2)
            y = functional.interpolate(functional.pixel_shuffle(y, 2), size=5, mode="bicubic")
            y = functional.pad(y, (1, 1, 0, 0), mode="reflect").clamp_(min=0).masked_fill(y.sum() > 1e9, 0)
            y = torch.where(y.ge(0.1), y.cumsum(1), y.sort(1).values).topk(2, 1).values
            return functional.normalize(
                functional.grid_sample(y, torch.rand(len(y), 2, 2, 2), align_corners=False)
            )

    network = network_from_torch(Moves(), torch.randn(2, 3, 8, 8))
    assert shapes(network) == [("conv", "conv", 216, 216 * 64)]


def test_unknown_operators_are_named() -> None:
    with torch.library._scoped_library("procrustes_test", "FRAGMENT") as library:
        library.define("blend(Tensor a, Tensor b) -> Tensor")
        library.impl("blend", lambda a, b: a @ b, "CompositeExplicitAutograd")

        class Blends(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.fc = nn.Linear(4, 4)

            def forward(self, x: Any) -> Any:
                return torch.ops.procrustes_test.blend(self.fc(x), torch.linalg.qr(x)[0].t())

        module, example = nn.Sequential(Blends()), torch.randn(4, 4)
        with pytest.raises(SpecError) as error:
            network_from_torch(module, example)
        assert "'0': operator procrustes_test::blend" in str(error.value)
        assert "'0': operator aten::linalg_qr" in str(error.value)
        network = network_from_torch(module, example, partial=True)
        assert shapes(network) == [("0.fc", "fully_connected", 16, 16)]
        assert network.description == (
            "left out: '0': operator aten::linalg_qr; '0': operator procrustes_test::blend"
        )


def test_examples_may_be_nested() -> None:
    class Views(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 5)

        def forward(self, views: Any, *, scale: float = 1.0) -> Any:
            return [self.fc(view) * scale for view in views]

    views = [torch.zeros(3, 4), torch.zeros(3, 4)]
    network = network_from_torch(Views(), {"views": views, "scale": 2.0})
    assert shapes(network) == [(f"fc_{one}", "fully_connected", 20, 20) for one in (1, 2)]
    assert network.batch == 3
