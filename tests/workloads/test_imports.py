"""Networks from PyTorch and ONNX, against the networks that ship."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import pytest

from procrustes_model.errors import SpecError
from procrustes_model.shipped import list_shipped
from procrustes_model.spec.load import load_network
from procrustes_model.spec.network import Network, NetworkLayer
from procrustes_model.workloads.from_onnx import network_from_onnx
from procrustes_model.workloads.from_torch import network_from_torch
from procrustes_model.workloads.imports import Collector


@pytest.fixture
def torch() -> Any:
    """Return torch, on one thread; without it the test is skipped."""
    library = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
    library.set_num_threads(1)
    return library


@pytest.fixture
def onnx() -> Any:
    """Return onnx; without it the test is skipped."""
    return pytest.importorskip("onnx", reason="onnx is not installed: pip install '.[onnx]'")


def reread(network: Network, folder: Path) -> Network:
    file = folder / "network.yaml"
    file.write_text(network.to_yaml(), encoding="utf-8")
    return load_network(file)


def shapes(network: Network) -> list[NetworkLayer]:
    """Return the layers without names, in an order that does not depend on which branch runs first."""
    return sorted((one.model_copy(update={"name": "-"}) for one in network.layers), key=repr)


@pytest.mark.parametrize("name", list_shipped("network"))
def test_what_is_written_reads_back_equal(name: str, tmp_path: Path) -> None:
    network = load_network(name)
    assert reread(network, tmp_path) == network


def test_odd_names_and_layers_are_written(tmp_path: Path) -> None:
    network = Network(
        name="no",
        description='a "quoted" text: with #marks\nand lines',
        layers=(
            NetworkLayer(name="on", kind="fully_connected", in_channels=3, out_channels=4),
            NetworkLayer(name="a: b", kind="conv", in_channels=2, out_channels=1, input_size=(3, 4)),
            NetworkLayer(name="1", kind="matmul", in_channels=2, out_channels=1, rows=5),
        ),
    )
    assert reread(network, tmp_path) == network
    odd = NetworkLayer(name="odd", kind="conv", in_channels=2, out_channels=1, rows=2)
    with pytest.raises(SpecError, match=r"'odd' of kind conv has properties that a file cannot give"):
        Network(name="n", layers=(odd,)).to_yaml()
    odd = NetworkLayer(name="odd", kind="grouped", in_channels=2, out_channels=1)
    with pytest.raises(SpecError, match=r"'odd' of kind grouped has 1 groups"):
        Network(name="n", layers=(odd,)).to_yaml()


def test_padding_that_differs_at_the_ends_gives_the_same_outputs() -> None:
    collector = Collector()
    collector.convolve("a", weight=(8, 3, 3, 3), size=(7, 8), stride=(2, 2), before=(0, 1), after=(1, 2))
    network = collector.network("n", source="", shape=(3, 7, 8), batch=1, partial=False, file=None)
    layer = network.layers[0]
    assert layer.padding == (0, 1) and layer.input_size == (8, 9)
    assert layer.output_size == ((7 + 1 - 3) // 2 + 1, (8 + 3 - 3) // 2 + 1)


def test_names_are_numbered_where_they_repeat() -> None:
    collector = Collector()
    for name in ("a", "b/c", "a", "a_1", "é" * 300, "\n"):
        collector.multiply(name, 1, 2, 3, weights=True)
    network = collector.network("x", source="", shape=(2,), batch=1, partial=False, file=None)
    names = [layer.name for layer in network.layers]
    assert names[:4] == ["a_2", "b.c", "a_3", "a_1"]
    assert len(names[4]) == 90 and names[5] == "_"


def resnet18(torch: Any) -> Any:
    """Return ResNet-18 as torchvision builds it."""
    nn = torch.nn

    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self, inputs: int, outputs: int, stride: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(outputs)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(outputs)
            self.relu = nn.ReLU(inplace=True)
            self.downsample = None
            if stride != 1 or inputs != outputs:
                conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
                self.downsample = nn.Sequential(conv, nn.BatchNorm2d(outputs))

        def forward(self, x: Any) -> Any:
            y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
            return self.relu(y + (x if self.downsample is None else self.downsample(x)))

    layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for stage, outputs in enumerate((64, 128, 256, 512)):
        layers += [Block(channels, outputs, 1 if stage == 0 else 2), Block(outputs, outputs, 1)]
        channels = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))


def test_resnet18_from_torch_is_the_one_that_ships(torch: Any, tmp_path: Path) -> None:
    with torch.device("meta"):
        module, example = resnet18(torch), torch.zeros(2, 3, 224, 224)
    module.train()
    network = network_from_torch(module, example, name="resnet18", batch=64)
    shipped = load_network("resnet18")
    assert (network.macs, network.weights, network.batch) == (shipped.macs, shipped.weights, 64)
    assert shapes(network) == shapes(shipped)
    assert network.input == shipped.input
    assert [layer.name for layer in network.layers[:3]] == ["0", "4.conv1", "4.conv2"]
    assert reread(network, tmp_path) == network
    assert all(one.training for one in module.modules())


def test_kinds_of_layers_from_torch(torch: Any) -> None:
    nn = torch.nn

    class Odd(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.depthwise = nn.Conv2d(8, 8, (3, 5), (2, 1), (1, 2), groups=8)
            self.grouped = nn.Conv2d(8, 12, 3, padding="same", dilation=2, groups=4)
            self.line = nn.Conv1d(12, 6, 3, padding=1)
            self.shared = nn.Linear(6, 6)
            self.table = nn.Parameter(torch.ones(5, 6))

        def forward(self, x: Any) -> Any:
            y = self.line(self.grouped(torch.relu(self.depthwise(x))).flatten(2))
            y = self.shared(self.shared(y.transpose(1, 2)))
            return torch.einsum("btc,kc->btk", y, self.table * 2)

    network = network_from_torch(Odd(), torch.zeros(3, 8, 6, 4))
    by_name = {layer.name: layer for layer in network.layers}
    depthwise, grouped, line = (by_name[name] for name in ("depthwise", "grouped", "line"))
    assert (depthwise.kind, depthwise.kernel, depthwise.stride) == ("depthwise", (3, 5), (2, 1))
    assert (grouped.kind, grouped.groups, grouped.dilation) == ("grouped", 4, (2, 2))
    assert grouped.output_size == grouped.input_size == (3, 4)
    assert (line.kind, line.kernel, line.input_size, line.padding) == ("conv", (1, 3), (1, 12), (0, 1))
    assert [by_name[name].rows for name in ("shared_1", "shared_2")] == [12, 12]
    table = network.layers[-1]
    assert (table.rows, table.in_channels, table.out_channels, table.has_weights) == (12, 6, 5, True)
    assert network.batch == 3


def test_attention_from_torch_is_matrix_products(torch: Any) -> None:
    encoder = torch.nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    network = network_from_torch(encoder, torch.zeros(2, 10, 32))
    shapes = [(one.rows, one.in_channels, one.out_channels, one.count) for one in network.layers]
    assert shapes == [
        (10, 32, 96, 1),
        (10, 8, 10, 4),
        (10, 10, 8, 4),
        (10, 32, 32, 1),
        (10, 32, 64, 1),
        (10, 64, 32, 1),
    ]
    assert [one.has_weights for one in network.layers] == [True, False, False, True, True, True]
    assert network.weights == 12 * 32**2 - 4 * 32**2


def test_what_torch_imports_cannot_do_is_listed(torch: Any) -> None:
    nn = torch.nn

    class Odd(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.fine = nn.Conv2d(3, 3, 3)
            self.mixed = nn.Bilinear(6, 6, 2)

        def forward(self, x: Any) -> Any:
            y = torch.fft.fft(self.fine(x)).real
            kernel = y.mean((2, 3)).view(3, 1, 1, 1)
            return self.mixed(nn.functional.conv2d(y, kernel, groups=3), y)

    module, example = Odd(), torch.zeros(1, 3, 8, 8)
    with pytest.raises(SpecError) as error:
        network_from_torch(module, example)
    said = str(error.value)
    assert "'convolution': a convolution with weights computed of activations" in said
    assert "'mixed': operator aten::_trilinear" in said
    assert "fft" in said
    network = network_from_torch(module, example, partial=True)
    assert [one.name for one in network.layers] == ["fine"]
    assert "'mixed': operator aten::_trilinear" in network.description
    with pytest.raises(SpecError, match=r"no layer to import"):
        network_from_torch(nn.ReLU(), example)
    with pytest.raises(SpecError, match=r"no samples"):
        network_from_torch(module, torch.zeros(0, 3, 8, 8))


def test_products_across_samples_need_a_batch_of_one(torch: Any) -> None:
    class Gram(torch.nn.Module):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return x @ x.t()

    with pytest.raises(SpecError, match=r"a product across samples; import it with a batch of 1"):
        network_from_torch(Gram(), torch.zeros(4, 5))


def write_model(onnx: Any, file: Path, batch: int | str = "batch", extra: tuple[Any, ...] = ()) -> None:
    """Write a small model: padded convolution, depthwise, Gemm, attention's product, a transposed MatMul."""
    helper = onnx.helper

    def weight(name: str, *dims: int) -> Any:
        return helper.make_tensor(name, onnx.TensorProto.FLOAT, dims, [0.0] * math.prod(dims))

    nodes = [
        helper.make_node("Conv", ["x", "conv.weight"], ["a"], strides=[2, 2], auto_pad="SAME_UPPER"),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "w2"], ["c"], name="/deep/Conv", group=8, pads=[1, 1, 1, 1]),
        helper.make_node("Reshape", ["c", "rows"], ["d"]),
        helper.make_node("MatMul", ["d", "w3"], ["q"], name="query"),
        helper.make_node("Transpose", ["q"], ["qt"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "qt"], ["s"], name="scores"),
        helper.make_node("ReduceMean", ["s"], ["m"], axes=[2], keepdims=0),
        helper.make_node("Gemm", ["m", "fc.weight"], ["y"], transB=1),
        *extra,
    ]
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("com.example", 1)]
    rows = helper.make_tensor("rows", onnx.TensorProto.INT64, [3], [0, 8, 16])
    graph = helper.make_graph(
        nodes,
        "little",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [batch, 3, 8, 8])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [
            weight("conv.weight", 8, 3, 3, 3),
            weight("w2", 8, 1, 3, 3),
            weight("w3", 16, 4),
            weight("fc.weight", 5, 8),
            rows,
        ],
    )
    file.write_bytes(helper.make_model(graph, opset_imports=opsets).SerializeToString())


@pytest.mark.parametrize("batch", ["batch", 1, 6])
def test_layers_from_onnx(onnx: Any, tmp_path: Path, batch: int | str) -> None:
    file = tmp_path / "little.onnx"
    write_model(onnx, file, batch)
    network = network_from_onnx(file)
    assert network.name == "little" and network.batch == (1 if batch == "batch" else batch)
    conv, deep, query, scores, fc = network.layers
    assert [one.name for one in network.layers] == ["conv", "w2", "w3", "scores", "fc"]
    assert (conv.kind, conv.stride, conv.output_size, conv.weights) == ("conv", (2, 2), (4, 4), 216)
    assert (deep.kind, deep.padding, deep.macs) == ("depthwise", (1, 1), 8 * 9 * 16)
    assert (query.kind, query.rows, query.in_channels, query.out_channels) == ("matmul", 8, 16, 4)
    assert (scores.rows, scores.in_channels, scores.out_channels, scores.count) == (8, 4, 8, 1)
    assert not scores.has_weights
    assert (fc.kind, fc.in_channels, fc.out_channels) == ("fully_connected", 8, 5)
    assert reread(network, tmp_path) == network


def test_onnx_of_another_input_size(onnx: Any, tmp_path: Path) -> None:
    file = tmp_path / "open.onnx"
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    node = helper.make_node("Conv", ["x", "w"], ["y"])
    weight = helper.make_tensor("w", kind, [2, 3, 3, 3], [0.0] * 54)
    inputs = [helper.make_tensor_value_info("x", kind, ["n", 3, "h", "w"])]
    graph = helper.make_graph([node], "g", inputs, [helper.make_tensor_value_info("y", kind, None)], [weight])
    file.write_bytes(helper.make_model(graph).SerializeToString())
    with pytest.raises(SpecError, match=r"leaves axes open: 1x3xhxw; say them, such as --input-shape"):
        network_from_onnx(file)
    network = network_from_onnx(file, input_shape=(4, 3, 9, 11), name="mine", batch=32)
    assert (network.layers[0].input_size, network.batch, network.name) == ((9, 11), 32, "mine")
    with pytest.raises(SpecError, match=r"has 4 axes, not the 2"):
        network_from_onnx(file, input_shape=(1, 3))


def test_what_onnx_imports_cannot_do_is_listed(onnx: Any, tmp_path: Path) -> None:
    file = tmp_path / "odd.onnx"
    make = onnx.helper.make_node
    extra = (
        make("DeformConv", ["a", "w2", "a"], ["t"], name="up"),
        make("Strange", ["a"], ["z"], domain="com.example", name="own"),
        make("Strange", ["a"], ["z2"], domain="com.example", name="own"),
    )
    write_model(onnx, file, extra=extra)
    with pytest.raises(SpecError) as error:
        network_from_onnx(file)
    said = str(error.value)
    assert f"{file}: unsupported: 'up': operator DeformConv" in said
    assert "'own': operator com.example.Strange (2 times)" in said
    network = network_from_onnx(file, partial=True)
    assert len(network.layers) == 5 and "DeformConv" in network.description


def test_what_is_no_onnx(onnx: Any, tmp_path: Path) -> None:
    del onnx
    for content in (b"", b"not a model", bytes(range(256)) * 9):
        file = tmp_path / "bad.onnx"
        file.write_bytes(content)
        with pytest.raises(SpecError, match=r"no ONNX model|cannot be inferred|no layer to import"):
            network_from_onnx(file)


def test_resnet18_by_way_of_onnx(torch: Any, onnx: Any, tmp_path: Path) -> None:
    del onnx
    file = tmp_path / "resnet18.onnx"
    example = (torch.zeros(1, 3, 224, 224),)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(resnet18(torch).eval(), example, str(file), dynamo=False)
    except Exception as error:  # noqa: BLE001  # torch's exporter needs what may be missing
        pytest.skip(f"this torch does not export ONNX: {error}")
    network, shipped = network_from_onnx(file), load_network("resnet18")
    assert (network.macs, network.weights) == (shipped.macs, shipped.weights)
    assert shapes(network) == shapes(shipped)
