"""Models that PyTorch exports to ONNX: MACs as its own counter has them, and their own checkpoints fit."""

from __future__ import annotations

import importlib.util
import logging
import math
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from procrustes_model.training.checkpoints import masks_from_checkpoint
from procrustes_model.workloads.from_onnx import network_from_onnx
from procrustes_model.workloads.mask_profile import match_layers

pytest.importorskip("onnx", reason="onnx is not installed: pip install '.[onnx]'")
torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
nn = torch.nn


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    torch.set_num_threads(1)
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logger.setLevel(level)


class _Residual(nn.Module):  # type: ignore[misc]
    """Of ResNet, with its normalisation, which exporters fold."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.conv = nn.Conv2d(8, 16, 3, 2, 1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        self.down = nn.Sequential(nn.Conv2d(8, 16, 1, 2, bias=False), nn.BatchNorm2d(16))
        self.fc = nn.Linear(16, 10)

    def forward(self, x: Any) -> Any:
        x = self.stem(x)
        x = torch.relu(self.bn(self.conv(x)) + self.down(x))
        return self.fc(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))


class _Inverted(nn.Module):  # type: ignore[misc]
    """Of MobileNet, with squeeze and excitation."""

    def __init__(self) -> None:
        super().__init__()

        def unit(*arguments: int, groups: int = 1) -> Any:
            layer = nn.Conv2d(*arguments, groups=groups, bias=False)
            return nn.Sequential(layer, nn.BatchNorm2d(arguments[1]), nn.Hardswish())

        self.block = nn.Sequential(unit(8, 32, 1), unit(32, 32, 3, 2, 1, groups=32), unit(32, 12, 1))
        self.squeeze = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(12, 3, 1), nn.ReLU(), nn.Conv2d(3, 12, 1)
        )

    def forward(self, x: Any) -> Any:
        y = self.block(x)
        return y * nn.functional.hardsigmoid(self.squeeze(y))


class _Attention(nn.Module):  # type: ignore[misc]
    """Heads of attention over the rows of a sequence, some of which may share keys and values."""

    def __init__(self, width: int, heads: int, groups: int, *, bias: bool) -> None:
        super().__init__()
        self.heads, self.groups, self.size = heads, groups, width // heads
        self.q_proj = nn.Linear(width, width, bias=bias)
        self.k_proj = nn.Linear(width, groups * self.size, bias=bias)
        self.v_proj = nn.Linear(width, groups * self.size, bias=bias)
        self.o_proj = nn.Linear(width, width, bias=bias)

    def forward(self, x: Any) -> Any:
        samples, steps, width = x.shape
        q, k, v = (
            layer(x).view(samples, steps, -1, self.size).transpose(1, 2)
            for layer in (self.q_proj, self.k_proj, self.v_proj)
        )
        k, v = (one.repeat_interleave(self.heads // self.groups, 1) for one in (k, v))
        scores = (q @ k.transpose(-1, -2) / math.sqrt(self.size)).softmax(-1)
        return self.o_proj((scores @ v).transpose(1, 2).reshape(samples, steps, width))


class _Vision(nn.Module):  # type: ignore[misc]
    """Of ViT."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.place = nn.Parameter(torch.randn(1, 5, 16))
        self.norm = nn.LayerNorm(16)
        self.attention = _Attention(16, 4, 4, bias=True)
        self.mlp = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))

    def forward(self, x: Any) -> Any:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.place
        x = x + self.attention(self.norm(x))
        return (x + self.mlp(x))[:, 0]


class _Tokens(nn.Module):  # type: ignore[misc]
    """Of BERT, in PyTorch's own layers, and attention to another sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, 16)
        self.block = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
        self.cross = nn.MultiheadAttention(16, 2, batch_first=True)
        self.head = nn.Linear(16, 7)

    def forward(self, x: Any) -> Any:
        y = self.block(self.embed(x))
        return self.head(self.cross(y[:, :2], y, y)[0])


class _Conv1D(nn.Module):  # type: ignore[misc]
    """A linear layer with inputs first."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs))
        self.bias = nn.Parameter(torch.randn(outputs))

    def forward(self, x: Any) -> Any:
        rows = torch.addmm(self.bias, x.reshape(-1, x.shape[-1]), self.weight)
        return rows.reshape(*x.shape[:-1], -1)


class _Generative(nn.Module):  # type: ignore[misc]
    """Of GPT-2."""

    def __init__(self) -> None:
        super().__init__()
        self.wte = nn.Embedding(50, 16)
        self.attn = nn.ModuleDict({"c_attn": _Conv1D(16, 48), "c_proj": _Conv1D(16, 16)})
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(16, 32), "c_proj": nn.Linear(32, 16)})

    def forward(self, x: Any) -> Any:
        x = self.wte(x)
        samples, steps, width = x.shape
        q, k, v = (
            one.view(samples, steps, 4, -1).transpose(1, 2) for one in self.attn["c_attn"](x).split(width, 2)
        )
        hidden = torch.ones(steps, steps).triu(1).bool()
        y = (q @ k.transpose(-1, -2)).masked_fill(hidden, -1e4).softmax(-1) @ v
        x = x + self.attn["c_proj"](y.transpose(1, 2).reshape(samples, steps, width))
        return x + self.mlp["c_proj"](nn.functional.gelu(self.mlp["c_fc"](x)))


class _Gated(nn.Module):  # type: ignore[misc]
    """Of Llama: shared keys, no biases, a gated unit."""

    def __init__(self) -> None:
        super().__init__()
        self.self_attn = _Attention(16, 4, 2, bias=False)
        self.gate, self.up = nn.Linear(16, 24, bias=False), nn.Linear(16, 24, bias=False)
        self.down = nn.Linear(24, 16, bias=False)

    def forward(self, x: Any) -> Any:
        x = x + self.self_attn(x * x.pow(2).mean(-1, keepdim=True).rsqrt())
        return x + self.down(nn.functional.silu(self.gate(x)) * self.up(x))


class _Recurrent(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(6, 8, 2, batch_first=True, bidirectional=True)
        self.gru = nn.GRU(16, 4, batch_first=True)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Any) -> Any:
        return self.fc(self.gru(self.lstm(x)[0])[0][:, -1])


class _Upwards(nn.Module):  # type: ignore[misc]
    """Of UNet, and a convolution over three axes."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 8, 3, padding=1)
        self.deep = nn.Conv2d(8, 12, 3, padding=1)
        self.up = nn.ConvTranspose2d(12, 8, 2, 2)
        self.out = nn.Conv2d(16, 2, 1)
        self.volume = nn.Conv3d(2, 2, 3, padding=1)

    def forward(self, x: Any) -> Any:
        x = self.down(x)
        y = self.up(self.deep(nn.functional.max_pool2d(x, 2)))
        return self.volume(self.out(torch.cat([x, y], 1)).unsqueeze(2))


class _Frames(nn.Module):  # type: ignore[misc]
    """_Frames of a video in the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(12, 5)

    def forward(self, x: Any) -> Any:
        return self.fc(self.conv(x.flatten(0, 1)).mean((2, 3)).view(x.shape[0], -1))


def image(*shape: int) -> Callable[[int], Any]:
    return lambda samples: torch.randn(samples, *shape)


def tokens(samples: int) -> Any:
    return torch.arange(6 * samples).reshape(samples, 6)


MODELS: dict[str, tuple[Any, Callable[[int], Any]]] = {
    "residual": (_Residual, image(3, 16, 16)),
    "inverted": (_Inverted, image(8, 8, 8)),
    "vision": (_Vision, image(3, 8, 8)),
    "tokens": (_Tokens, tokens),
    "generative": (_Generative, tokens),
    "gated": (_Gated, image(5, 16)),
    "recurrent": (_Recurrent, image(5, 6)),
    "upwards": (_Upwards, image(3, 8, 8)),
    "frames": (_Frames, image(3, 3, 6, 6)),
}


def count(module: Any, example: Any) -> int:
    """Return multiply-accumulates as PyTorch counts them, of the operators that it knows."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    # Its fused operators of attention and of recurrent cells would not be counted.
    with (
        sdpa_kernel(SDPBackend.MATH),
        torch.backends.mkldnn.flags(enabled=False),
        FlopCounterMode(display=False) as counter,
    ):
        module(example)
    return int(counter.get_total_flops()) // 2


@pytest.mark.parametrize("exporter", ["script", "script, open", "program"])
@pytest.mark.parametrize("name", list(MODELS))
def test_exported_models(name: str, exporter: str, tmp_path: Path) -> None:
    if exporter == "program" and importlib.util.find_spec("onnxscript") is None:
        pytest.skip("PyTorch's exporter of programs needs onnxscript")
    make, example = MODELS[name]
    torch.manual_seed(0)
    module, samples = make().eval(), 2
    file, checkpoint = tmp_path / "model.onnx", tmp_path / "model.pth"
    torch.save(module.state_dict(), checkpoint)
    options: dict[str, Any] = {"dynamo": exporter == "program"}
    if exporter == "script, open":
        options |= {"input_names": ["x"], "dynamic_axes": {"x": {0: "batch"}}}
    try:
        torch.onnx.export(module, (example(samples),), str(file), **options)
    except Exception as error:  # noqa: BLE001  # torch's exporter needs what may be missing
        pytest.skip(f"this torch does not export ONNX: {error}")
    network = network_from_onnx(file, batch=samples)
    assert network.macs * samples == count(module, example(samples))
    masks = masks_from_checkpoint(checkpoint).densities()
    matched = match_layers(masks, network)
    weights = [layer.name for layer in network.layers if layer.weights]
    assert set(matched) == set(weights)
    shapes = dict(zip(masks.names, masks.shapes, strict=True))
    assert sum(math.prod(shapes[one]) for one in set(matched.values())) == network.weights
