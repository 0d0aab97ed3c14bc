"""Networks that ship, against published totals, and how a network's file is read."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from procrustes_model.errors import SpecError
from procrustes_model.shipped import list_shipped
from procrustes_model.spec.load import load_network, load_problem
from procrustes_model.spec.network import InputShape, Network, NetworkLayer
from procrustes_model.workloads.layer import training_problem

PROCRUSTES = {
    # Multiply-accumulates per image and weights, in millions, as the authors' layer sizes give them.
    "vgg_s_2020": (268.8, 14.98),
    "densenet_2020": (528.0, 2.68),
    "wrn_28_10_2020": (4014, 36.46),
    "resnet18_2020": (1795, 11.51),
    "mobilenet_v2_2020": (300.8, 3.47),
}
TORCHVISION = {
    # G multiply-accumulates ("GFLOPS" in https://docs.pytorch.org/vision/stable/models.html, with the digits
    # of its source), parameters, and the biases and batch normalisation among them, no weights here.
    "resnet18": (1.814, 11_689_512, 1000 + 2 * 4800),
    "resnet50": (4.089, 25_557_032, 1000 + 2 * 26_560),
    "vgg16": (15.47, 138_357_544, 13_416),
    "mobilenet_v2": (0.301, 3_504_872, 1000 + 2 * 17_056),
}
SMALL: dict[str, Any] = {
    "network": {
        "name": "small",
        "input": {"channels": 3, "height": 8, "width": 8},
        "layers": [
            {"name": "conv1", "kind": "conv", "channels": 8, "kernel": 3, "padding": 1},
            {"name": "pool1", "kind": "pool", "kernel": 2},
            {"name": "fc", "kind": "fully_connected", "channels": 10},
        ],
    }
}


def small(*layers: dict[str, Any], **title: Any) -> Network:
    """Return a network of these layers on images of 3 channels and 8x8."""
    content = copy.deepcopy(SMALL)
    content["network"] |= {"layers": list(layers), **title}
    return load_network(content)


def conv(name: str = "a", channels: int = 4, kernel: Any = 1, **keys: Any) -> dict[str, Any]:
    return {"name": name, "kind": "conv", "channels": channels, "kernel": kernel, **keys}


def complaint(*layers: Any) -> str:
    with pytest.raises(SpecError) as error:
        small(*layers)
    return str(error.value)


@pytest.mark.parametrize("name", PROCRUSTES)
def test_totals_of_the_procrustes_evaluation(name: str) -> None:
    network = load_network(name)
    macs, weights = PROCRUSTES[name]
    digits = 1 if macs < 1000 else 0
    assert round(network.macs / 1e6, digits) == macs
    assert round(network.weights / 1e6, 2) == weights
    assert {layer.stride for layer in network.layers} == {(1, 1)}
    assert not any("downsample" in layer.name for layer in network.layers)


@pytest.mark.parametrize("name", TORCHVISION)
def test_totals_of_torchvision(name: str) -> None:
    network = load_network(name)
    giga_macs, parameters, others = TORCHVISION[name]
    decimals = len(str(giga_macs).split(".")[1])
    assert round(network.macs / 1e9, decimals) == giga_macs
    assert network.weights == parameters - others


def test_totals_of_papers() -> None:
    # Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017, Table 1: VGG-16 on CIFAR-10.
    vgg = load_network("vgg_s")
    assert f"{vgg.macs:.2e}" == "3.13e+08" and f"{vgg.weights:.1e}" == "1.5e+07"
    # Zagoruyko and Komodakis, "Wide Residual Networks", BMVC 2016: 36.5 M parameters; of them, 17 962 are
    # batch normalisation of 8976 channels and 10 biases.
    wide = load_network("wrn_28_10")
    assert round((wide.weights + 2 * 8976 + 10) / 1e6, 1) == 36.5
    # Sandler et al., "MobileNetV2", CVPR 2018, Table 4: 300 M multiply-accumulates.
    assert round(load_network("mobilenet_v2").macs, -7) == 300e6
    # A transformer block has 12 d^2 weights; d = 768 in Radford et al., 2019.
    assert load_network("gpt2_small_block").weights == 12 * 768**2


@pytest.mark.parametrize("name", list_shipped("network"))
def test_comments_state_the_totals(name: str) -> None:
    network = load_network(name)
    text = next(
        Path(__file__).parents[2].glob(f"procrustes_model/workloads/networks/{name}.yaml")
    ).read_text()
    macs, weights = network.macs / 1e6, network.weights / 1e6
    words = f"{macs:.1f} M", f"{macs:.0f} M", f"{macs / 1e3:.3f} G", f"{macs / 1e3:.2f} G"
    assert any(f"# {one} multiply-accumulates per" in text for one in words)
    assert any(f", {one} M weights" in text for one in (f"{weights:.2f}", f"{weights:.1f}", f"{weights:.3f}"))
    assert network.name == name
    assert network.batch > 1 or name == "sgnn_cora"  # a graph is one sample


@pytest.mark.parametrize("name", ["vgg_s", "resnet18_2020", "mobilenet_v2", "gpt2_small_block"])
def test_layers_make_problems_of_their_size(name: str) -> None:
    for layer in load_network(name).distinct:
        problem = training_problem(layer, "weight_update", batch=2, network=name)
        assert problem.computes == 2 * layer.macs
        if layer.has_weights:
            bounds = problem.dimensions
            sizes = [bounds.get(one, 1) for one in "KCRSG"]
            assert layer.weights == sizes[0] * sizes[1] * sizes[2] * sizes[3] * sizes[4]


def test_true_networks_stride_and_downsample() -> None:
    layers = {layer.name: layer for layer in load_network("resnet18").layers}
    assert layers["conv1"].stride == (2, 2)
    assert layers["conv1"].output_size == (112, 112)
    down = layers["downsample4"]
    assert (down.stride, down.kernel, down.in_channels, down.out_channels) == ((2, 2), (1, 1), 128, 256)
    assert down.input_size == layers["conv4_1"].input_size == (28, 28)
    assert down.output_size == layers["conv4_1"].output_size == layers["conv4_2"].input_size == (14, 14)


def test_dense_block_concatenates() -> None:
    layers = {layer.name: layer for layer in load_network("densenet").layers}
    assert [layers[f"block1_{number}"].in_channels for number in range(1, 11)] == list(range(16, 256, 24))
    assert layers["transition2"].in_channels == 496
    assert layers["fc"].in_channels == 736


def test_alike_layers_are_one_shape() -> None:
    network = load_network("resnet18")
    alike = network.distinct
    assert len(network.layers) == 21 and len(alike) == 12
    names = {layer.name: names for layer, names in alike.items()}
    assert names["conv2_1"] == ("conv2_1", "conv2_2", "conv2_3", "conv2_4")
    assert names["conv3_2"] == ("conv3_2", "conv3_3", "conv3_4")
    assert sum(len(one) for one in alike.values()) == len(network.layers)
    assert sum(layer.macs * len(one) for layer, one in alike.items()) == network.macs


def test_repetition_and_names() -> None:
    inner = [conv("x"), conv("y", repeat=2)]
    network = small(
        conv("a", repeat=2), {"name": "g", "repeat": 2, "first": 3, "layers": inner}, conv("b", first=7)
    )
    names = ["a_1", "a_2", "g_3_x", "g_3_y_1", "g_3_y_2", "g_4_x", "g_4_y_1", "g_4_y_2", "b_7"]
    assert [layer.name for layer in network.layers] == names
    assert network.layers[0].in_channels == 3 and network.layers[1].in_channels == 4


def test_shapes_flow() -> None:
    network = small(
        conv("a", 8, [3, 5], stride=[2, 1], padding=[1, 0]),
        conv("side", 16, branch=True),
        {"name": "b", "kind": "depthwise", "kernel": 3, "dilation": [1, 2], "padding": 2},
        {"name": "c", "kind": "grouped", "groups": 4, "channels": 12, "kernel": 1},
        {"kind": "pool", "kernel": 3, "stride": 2, "padding": 1},
        {"name": "d", "kind": "fully_connected", "channels": 5},
        {"name": "e", "kind": "matmul", "m": 7, "k": 3, "n": 2, "weights": False, "count": 6},
        conv("f", input_channels=2, input_size=[1, 9]),
    )
    a, side, b, c, d, e, f = network.layers
    assert (a.output_size, side.input_size, side.in_channels) == ((4, 4), (4, 4), 8)
    assert (b.in_channels, b.out_channels, b.groups, b.output_size) == (8, 8, 8, (6, 4))
    assert (b.weights, b.macs) == (72, 72 * 24)
    assert (c.weight_shape, c.macs) == ((12, 2, 1, 1), 24 * 24)
    assert d.in_channels == 12 * 3 * 2
    assert (e.weights, e.weight_shape, e.macs) == (0, (), 7 * 3 * 2 * 6)
    assert (f.in_channels, f.output_size) == (2, (1, 9))


def test_layers_check_themselves() -> None:
    for wrong in (
        {"groups": 3},
        {"kind": "depthwise"},
        {"count": 2},
        {"kernel": (3, 1)},
        {"out_channels": 0},
        {"in_channels": 2**31, "out_channels": 2**31, "rows": 2},
    ):
        with pytest.raises(ValueError, match=r"validation error"):
            NetworkLayer(**({"name": "a", "kind": "conv", "in_channels": 4, "out_channels": 4} | wrong))


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ([], "'layers' must be a list of layers, is an empty list"),
        (["conv"], "a layer must be 'key: value' pairs, is 'conv'"),
        ([{"name": "a", "channels": 3}], "missing key 'kind'; one of conv, grouped, depthwise,"),
        ([{"name": "a", "kind": "convolution"}], "unknown kind of layer 'convolution'; choose from conv"),
        ([{"name": "a", "kind": "dephtwise", "kernel": 3}], "did you mean 'depthwise'?"),
        ([{"name": "a", "kind": ["conv"]}], "unknown kind of layer a list of 1 item; one of conv"),
        ([{"kind": "conv", "channels": 4, "kernel": 3}], "missing key 'name'; what results call the layer"),
        ([conv(chanels=3)], "unknown key 'chanels'"),
        ([conv(kernel=0)], "'kernel' must be a whole number of at least 1, or [height, width], is 0"),
        ([conv(kernel=[3, 3, 3])], "or [height, width], is a list of 3 items"),
        ([conv(kernel=True)], "is true"),
        ([conv(stride="2")], "'stride' must be a whole number of at least 1"),
        ([conv(padding=-1)], "'padding' must be a whole number of at least 0"),
        ([conv(channels=2.5)], "'channels' must be a whole number, is 2.5"),
        ([conv(branch="yes")], "'branch' must be true or false"),
        ([conv(branch=True, concatenate=True)], "'branch' and 'concatenate' exclude each other"),
        ([conv(groups=2)], "a layer of kind conv takes no 'groups'; it belongs to grouped"),
        (
            [{"name": "a", "kind": "depthwise", "kernel": 1, "channels": 6}],
            "it has as many outputs as inputs",
        ),
        ([{"kind": "global_pool"}], "there is no layer with work in it"),
        ([conv(kernel=9)], "the kernel spans 9, more than its padded input of 8"),
        ([{"kind": "pool", "kernel": 9}, conv()], "the window spans 9, more than its padded input of 8"),
        (
            [{**conv(), "kind": "grouped", "groups": 2}],
            "3 input and 4 output channels do not divide into 2 groups",
        ),
        ([conv(), conv()], "the name 'a' is taken by an earlier layer"),
        ([conv(concatenate=True, stride=2)], "the output of 'a' has another size than its input"),
        ([conv(repeat=1001)], "'repeat' must be at most 1000"),
        ([{"name": "g", "layers": []}], "'layers' must be a list of layers"),
        (
            [{"name": "g", "repeat": 999, "layers": [conv("a", repeat=999)]}],
            "the network has more than 10000 layers",
        ),
        (
            [{"name": "m", "kind": "matmul", "m": 1, "k": 1, "n": 1}, conv("after")],
            "the input of 'after' is not known from what stands before it; give 'input_channels' and",
        ),
        (
            [{"name": "m", "kind": "matmul", "m": 1, "k": 1, "n": 1, "count": 2}],
            "copies of a layer with weights",
        ),
    ],
)
def test_what_is_wrong_is_said(layers: list[Any], said: str) -> None:
    assert said in complaint(*layers)


def test_every_issue_at_once_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_text(
        "network:\n"
        "  name: n\n"
        "  batches: 3\n"
        "  input: {channels: 3}\n"
        "  layers:\n"
        "    - {name: a, kind: conv, channels: 4, kernel: 0}\n"
        "    - {name: b, kind: cnv, channels: 4}\n"
        "    - name: g\n"
        "      repeat: 2\n"
        "      layers:\n"
        "        - {name: c, kind: fully_connected, channels: none}\n"
    )
    with pytest.raises(SpecError) as error:
        load_network(file)
    places = [(issue.line, issue.column) for issue in error.value.issues]
    assert places == [(3, 3), (6, 50), (7, 23), (11, 54)]
    assert "did you mean 'batch'?" in str(error.value)
    assert "did you mean 'conv'?" in str(error.value)


def test_what_no_layer_takes_has_no_effect(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    own = "input_channels: 4, input_size: 4"
    text = (
        "network:\n"
        "  name: n\n"
        "  input: {channels: 4, height: 4, width: 4}\n"
        "  layers:\n"
        "    - {kind: pool, kernel: 1}\n"
        f"    - {{name: a, kind: conv, channels: 4, kernel: 1, OWN}}\n"
        "    - name: g\n"
        "      repeat: 2\n"
        "      layers:\n"
        "        - {name: b, kind: conv, channels: 4, kernel: 1, branch: true}\n"
        "        - {name: c, kind: conv, channels: 4, kernel: 1}\n"
        "        - {name: d, kind: conv, channels: 4, kernel: 1, branch: true}\n"
        "    - {kind: global_pool}\n"
        "    - {name: e, kind: conv, channels: 4, kernel: 1, concatenate: true}\n"
        f"    - {{name: f, kind: conv, channels: 4, kernel: 1, branch: true, {own}}}\n"
    )
    file.write_text(text.replace("OWN", own))
    with pytest.raises(SpecError) as error:
        load_network(file)
    said = [(issue.line, issue.column, issue.message) for issue in error.value.issues]
    assert said == [
        (3, 3, "'input' has no effect: every layer states its own"),
        (14, 53, "'concatenate' has no effect: no layer takes its input from here"),
        (15, 53, "'branch' has no effect: no layer takes its input from here"),
    ]
    text = (
        text.replace("OWN", "input_size: 4")
        .replace(", concatenate: true", "")
        .replace(f", branch: true, {own}", "")
    )
    file.write_text(text)
    with pytest.raises(SpecError) as error:
        load_network(file)
    said = [(issue.line, issue.column, issue.message) for issue in error.value.issues]
    assert said == [
        (3, 24, "'height' has no effect: of this input only channels are taken"),
        (3, 35, "'width' has no effect: of this input only channels are taken"),
    ]
    file.write_text(text.replace(", height: 4, width: 4", ""))
    network = load_network(file)
    # The second d is beside the sequence, and what stands after it takes its place's input.
    assert [layer.name for layer in network.layers] == [
        "a",
        *(f"g_{i}_{x}" for i in (1, 2) for x in "bcd"),
        "e",
        "f",
    ]


@pytest.mark.parametrize("channels", [3, 4])
def test_an_input_that_no_layer_takes_is_not_written(channels: int, tmp_path: Path) -> None:
    layer = NetworkLayer(name="a", kind="conv", in_channels=4, out_channels=4, input_size=(1, 2))
    network = Network(name="n", input=InputShape(channels=channels, height=5), layers=(layer,))
    file = tmp_path / "net.yaml"
    file.write_text(network.to_yaml())
    kept = InputShape(channels=4) if channels == 4 else None
    assert load_network(file) == network.model_copy(update={"input": kept})


def test_shape_issues_have_a_place_and_do_not_cascade(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_text(
        "network:\n"
        "  name: n\n"
        "  input: {channels: 3, height: 4, width: 4}\n"
        "  layers:\n"
        "    - {name: a, kind: conv, channels: 4, kernel: 1}\n"
        "    - {name: b, kind: conv, channels: 4, kernel: 5}\n"
        "    - {name: c, kind: conv, channels: 4, kernel: 5}\n"
    )
    with pytest.raises(SpecError) as error:
        load_network(file)
    assert [(issue.line, issue.column) for issue in error.value.issues] == [(6, 7)]


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.pop("layers"),
        lambda content: content.pop("name"),
        lambda content: content.update(batch=0),
        lambda content: content.update(input=[3, 8, 8]),
        lambda content: content["input"].pop("channels"),
    ],
)
def test_wrong_titles(change: Callable[[dict[str, Any]], Any]) -> None:
    content = copy.deepcopy(SMALL)
    change(content["network"])
    with pytest.raises(SpecError):
        load_network(content)


def test_loads_what_is_loaded() -> None:
    network = load_network(SMALL)
    assert load_network(network) is network
    with pytest.raises(SpecError, match=r"this describes a network, not a problem"):
        load_problem(SMALL)
    with pytest.raises(SpecError, match=r"did you mean 'resnet18'"):
        load_network("resnet_18")


@pytest.mark.parametrize(
    ("layers", "taken"),
    [
        ("[{name: a, kind: fully_connected, channels: 3}]", True),
        ("[{kind: global_pool}, {name: a, kind: fully_connected, channels: 3}]", False),
        ("[{name: a, kind: conv, channels: 3, kernel: 1, input_channels: 2}]", True),
        ("[{name: a, kind: conv, channels: 3, kernel: 1, input_size: 5}]", False),
    ],
)
def test_rows_and_columns_that_nothing_takes(tmp_path: Path, layers: str, taken: bool) -> None:
    file = tmp_path / "net.yaml"
    file.write_text(f"network:\n  name: n\n  input: {{channels: 2, height: 5}}\n  layers: {layers}\n")
    if taken:
        assert load_network(file).layers
        return
    with pytest.raises(SpecError, match=r"net.yaml:3:24: 'height' has no effect"):
        load_network(file)


@pytest.mark.parametrize(
    ("layer", "hint"),
    [
        ("m", None),
        ("m_2", None),
        ("w", None),
        ("fc", None),
        ("fcc", "did you mean 'fc'"),
        ("m_3", "mean 'm_1'"),
    ],
)
def test_tied_tensors_are_those_of_a_layer(tmp_path: Path, layer: str, hint: str | None) -> None:
    file = tmp_path / "net.yaml"
    file.write_text(
        "network:\n"
        "  name: n\n"
        f"  tied_tensors: [[other, {layer}]]\n"
        "  layers:\n"
        "    - {name: m, repeat: 2, kind: fully_connected, channels: 3, input_channels: 4}\n"
        "    - {name: 'w[0:3]', kind: fully_connected, channels: 3}\n"
        "    - {name: fc, kind: fully_connected, channels: 3}\n"
    )
    if hint is None:
        assert load_network(file).tied_tensors == (("other", layer),)
        return
    with pytest.raises(SpecError, match=rf"net.yaml:3:26: no layer is called '{layer}'; .*{hint}"):
        load_network(file)


def test_pooling_before_the_first_layer_is_read_as_it_is_written() -> None:
    """Rows and columns that it leaves the layer states; of the shape of a sample channels are kept."""
    pool = {"name": "p", "kind": "pool", "kernel": 2}
    layers = [pool, {"name": "a", "kind": "conv", "channels": 4, "kernel": 3}]
    content = {"name": "n", "input": {"channels": 3, "height": 28, "width": 28}, "layers": layers}
    network = load_network({"network": content})
    layer = network.layers[0]
    assert isinstance(layer, NetworkLayer)
    assert layer.input_size == (14, 14)
    assert load_network(yaml.safe_load(network.to_yaml())) == network
