"""Operators of ONNX files as layers, against the products that they make when they run on ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from procrustes_model.errors import SpecError
from procrustes_model.spec.load import load_network
from procrustes_model.spec.network import Network
from procrustes_model.workloads.from_onnx import network_from_onnx

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install '.[onnx]'")
helper, FLOAT = onnx.helper, onnx.TensorProto.FLOAT
Shape = tuple[int, ...]


def weights(name: str, dims: Sequence[int], kind: int = FLOAT) -> Any:
    """Return an initializer of ones."""
    return helper.make_tensor(name, kind, dims, [1] * math.prod(dims))


def write(
    file: Path,
    nodes: Sequence[Any],
    inputs: Mapping[str, Sequence[Any]],
    initializers: Sequence[Any] = (),
    *,
    outputs: Sequence[str] = ("y",),
    version: int = 17,
    kind: int = FLOAT,
) -> Any:
    """Write a model and return it."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs],
        initializers,
    )
    opsets = [helper.make_opsetid("", version), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets)
    file.write_bytes(model.SerializeToString())
    return model


def run_on_ones(node: Any, shapes: Sequence[Shape], version: int) -> int:
    """Return the sum of a node's output where every operand is ones: how many products it makes."""
    names = [name for name in node.input if name]
    graph = helper.make_graph(
        [node],
        "graph",
        [helper.make_tensor_value_info(name, FLOAT, None) for name in names],
        [helper.make_tensor_value_info(node.output[0], FLOAT, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)])
    feeds = {name: np.ones(shape, np.float32) for name, shape in zip(names, shapes, strict=True)}
    # Some builds of OpenBLAS leave flags of invalid values behind, whatever they multiply.
    with np.errstate(all="ignore"):
        (result,) = onnx.reference.ReferenceEvaluator(model).run(None, feeds)
    return int(result.sum(dtype=np.float64))


def total(network: Network) -> int:
    return network.macs * network.batch


CONVOLUTIONS: list[tuple[str, Shape, Shape, dict[str, Any]]] = [
    ("Conv", (2, 3, 9), (4, 3, 3), {"strides": [2]}),
    ("Conv", (1, 3, 9, 8), (4, 3, 3, 2), {"dilations": [2, 1]}),
    ("Conv", (3, 4, 7, 7), (6, 2, 3, 3), {"group": 2, "strides": [1, 2]}),
    ("Conv", (1, 4, 7, 7), (4, 1, 3, 3), {"group": 4}),
    ("Conv", (2, 2, 5, 6, 7), (4, 2, 2, 3, 1), {"strides": [1, 2, 1]}),
    ("Conv", (1, 4, 5, 5, 5), (8, 1, 3, 3, 3), {"group": 4}),
    ("ConvTranspose", (2, 3, 5), (3, 4, 3), {"strides": [2]}),
    ("ConvTranspose", (1, 4, 5, 4), (4, 3, 3, 2), {"group": 2, "strides": [2, 1], "dilations": [1, 2]}),
    ("ConvTranspose", (1, 3, 5, 4), (3, 2, 2, 2), {"strides": [2, 2], "output_padding": [1, 0]}),
    ("ConvTranspose", (1, 2, 3, 4, 3), (2, 3, 2, 2, 2), {"strides": [2, 2, 2]}),
]


@pytest.mark.parametrize(("operator", "inputs", "kernel", "attributes"), CONVOLUTIONS)
def test_convolutions(
    tmp_path: Path, operator: str, inputs: Shape, kernel: Shape, attributes: dict[str, Any]
) -> None:
    node = helper.make_node(operator, ["x", "layer.weight"], ["y"], **attributes)
    file = tmp_path / "conv.onnx"
    write(file, [node], {"x": inputs}, [weights("layer.weight", kernel)])
    network = network_from_onnx(file)
    # ONNX's reference does not run transposed ones of several groups: each group is one of its own.
    parts = attributes.get("group", 1) if operator == "ConvTranspose" else 1
    plain = {key: value for key, value in attributes.items() if parts == 1 or key != "group"}
    alone = helper.make_node(operator, ["x", "w"], ["y"], **plain)
    of_group = (inputs[0], inputs[1] // parts, *inputs[2:]), (kernel[0] // parts, *kernel[1:])
    assert total(network) == parts * run_on_ones(alone, of_group, 17)
    assert network.weights == math.prod(kernel) and network.batch == inputs[0]
    assert [one.name for one in network.layers] == ["layer"]
    written = tmp_path / "network.yaml"
    written.write_text(network.to_yaml(), encoding="utf-8")
    assert load_network(written) == network


@pytest.mark.parametrize(
    ("attributes", "size", "padded"),
    [
        ({"pads": [1, 0, 2, 1]}, (7, 8), (10, 9)),
        ({"pads": [-1, -2, -1, 0]}, (7, 8), (5, 6)),
        ({"pads": [-1, 2, 1, 0]}, (7, 8), (7, 10)),
        ({"auto_pad": "VALID"}, (7, 8), (7, 8)),
        ({"auto_pad": "SAME_UPPER", "strides": [2, 2]}, (7, 8), (9, 9)),
        ({"auto_pad": "SAME_LOWER", "strides": [2, 3]}, (7, 8), (9, 9)),
        ({"auto_pad": "SAME_LOWER", "dilations": [2, 1]}, (7, 8), (11, 10)),
    ],
)
def test_padding(tmp_path: Path, attributes: dict[str, Any], size: Shape, padded: Shape) -> None:
    """Zeros of the padding count, as if they were there."""
    file = tmp_path / "conv.onnx"
    node = helper.make_node("Conv", ["x", "w"], ["h"], **attributes)
    after = helper.make_node("Flatten", ["h"], ["y"])
    write(file, [node, after], {"x": (1, 3, *size)}, [weights("w", (4, 3, 3, 3))])
    plain = {name: value for name, value in attributes.items() if name not in ("pads", "auto_pad")}
    same = helper.make_node("Conv", ["x", "w"], ["y"], **plain)
    assert total(network_from_onnx(file)) == run_on_ones(same, ((1, 3, *padded), (4, 3, 3, 3)), 17)


PRODUCTS: list[tuple[str, Shape, Shape, str, dict[str, Any]]] = [
    ("MatMul", (2, 5), (5, 4), "xw", {}),
    ("MatMul", (2, 3, 5), (5, 4), "xw", {}),
    ("MatMul", (2, 3, 7, 5), (5, 4), "xw", {}),
    ("MatMul", (6, 5), (2, 5, 3), "wx", {}),
    ("MatMul", (2, 1, 3, 5), (4, 5, 6), "xw", {}),
    ("MatMul", (2, 3, 5), (5,), "xw", {}),
    ("MatMul", (2, 3, 5), (2, 5, 4), "xx", {}),
    ("MatMul", (2, 4, 3, 5), (2, 1, 5, 3), "xx", {}),
    ("Gemm", (2, 5), (5, 4), "xw", {}),
    ("Gemm", (2, 5), (4, 5), "xw", {"transB": 1}),
    ("Gemm", (5, 3), (5, 4), "xw", {"transA": 1}),
    ("Gemm", (5, 3), (4, 5), "xw", {"transA": 1, "transB": 1}),
    ("Gemm", (4, 5), (5, 2), "wx", {"alpha": 2.0}),
]


@pytest.mark.parametrize(("operator", "left", "right", "which", "attributes"), PRODUCTS)
def test_products(
    tmp_path: Path, operator: str, left: Shape, right: Shape, which: str, attributes: dict[str, Any]
) -> None:
    names = ["x" if one == "x" else "fc.weight" for one in which]
    names = ["x", "z"] if which == "xx" else names
    shapes = dict(zip(names, (left, right), strict=True))
    node = helper.make_node(operator, names, ["y"], **attributes)
    constants = [weights(name, shape) for name, shape in shapes.items() if name == "fc.weight"]
    file = tmp_path / "product.onnx"
    inputs = {name: shape for name, shape in shapes.items() if name != "fc.weight"}
    write(file, [node], inputs, constants)
    network = network_from_onnx(file)
    plain = helper.make_node(
        operator, ["a", "b"], ["y"], **{**attributes, **({"alpha": 1.0} if "alpha" in attributes else {})}
    )
    assert total(network) == run_on_ones(plain, (left, right), 17)
    assert network.weights == sum(math.prod(one.dims) for one in constants)


EINSUMS: list[tuple[str, tuple[Shape, ...], str]] = [
    ("bnd,di->bni", ((2, 5, 6), (6, 4)), "xw"),
    ("btc,kc->btk", ((2, 5, 6), (4, 6)), "xw"),
    ("bnd,hde->bhne", ((2, 5, 6), (3, 6, 4)), "xw"),
    ("bhnd,hde->bhne", ((2, 3, 5, 6), (3, 6, 4)), "xw"),
    ("kc,btc->btk", ((4, 6), (2, 5, 6)), "wx"),
    ("...d,de->...e", ((2, 3, 5, 6), (6, 4)), "xw"),
    ("bhnd,bhmd->bhnm", ((2, 3, 5, 6), (2, 3, 4, 6)), "xx"),
    ("bnd,bnd->bn", ((2, 5, 6), (2, 5, 6)), "xx"),
    ("bij,bjk", ((2, 3, 4), (2, 4, 5)), "xx"),
    ("bi,ij,jk->bk", ((2, 3), (3, 4), (4, 5)), "xww"),
]


@pytest.mark.parametrize(("equation", "shapes", "which"), EINSUMS)
def test_einsums(tmp_path: Path, equation: str, shapes: tuple[Shape, ...], which: str) -> None:
    names = [f"{one}{place}" for place, one in enumerate(which)]
    given = dict(zip(names, shapes, strict=True))
    file = tmp_path / "einsum.onnx"
    constants = [weights(name, shape) for name, shape in given.items() if name[0] == "w"]
    nodes = [helper.make_node("Einsum", names, ["y"], equation=equation)]
    write(file, nodes, {name: shape for name, shape in given.items() if name[0] == "x"}, constants)
    network = network_from_onnx(file)
    if len(names) == 2:
        want = run_on_ones(nodes[0], shapes, 17)
    else:
        pairs = [("bi,ij->bj", shapes[:2]), ("bj,jk->bk", ((2, 4), shapes[2]))]
        want = sum(
            run_on_ones(helper.make_node("Einsum", ["a", "b"], ["y"], equation=text), two, 17)
            for text, two in pairs
        )
    assert total(network) == want
    assert network.weights == sum(math.prod(one.dims) for one in constants)


def test_what_an_einsum_does_not_sum_is_no_layer(tmp_path: Path) -> None:
    file = tmp_path / "einsum.onnx"
    nodes = [
        helper.make_node("Einsum", ["x", "x"], ["a"], equation="bi,bi->bi"),
        helper.make_node("Einsum", ["a"], ["b"], equation="bi->ib"),
        helper.make_node("Einsum", ["b", "w"], ["y"], equation="ib,ij->bj"),
    ]
    write(file, nodes, {"x": (2, 5)}, [weights("w", (5, 3))])
    assert [one.macs for one in network_from_onnx(file).layers] == [15]


def quantised(operator: str, domain: str = "") -> tuple[Any, list[Any], dict[str, Shape]]:
    """Return a node with quantised operands, its constants, and its input."""
    kind = onnx.TensorProto.UINT8
    scale, zero = weights("s", ()), helper.make_tensor("z", kind, (), [0])
    if "Conv" in operator:
        constants, shape, attributes = [weights("w", (4, 3, 3, 3), kind)], (2, 3, 6, 6), {"strides": [2, 1]}
    else:
        constants, shape, attributes = [weights("w", (6, 4), kind)], (2, 3, 6), {}
    names = ["x", "s", "z", "w", "s", "z", "s", "z"] if operator.startswith("QLinear") else ["x", "w"]
    node = helper.make_node(operator, names, ["y"], domain=domain, **attributes)
    return node, [*constants, scale, zero], {"x": shape}


@pytest.mark.parametrize("operator", ["QLinearConv", "ConvInteger", "QLinearMatMul", "MatMulInteger"])
def test_quantised_operators_are_as_their_plain_ones(tmp_path: Path, operator: str) -> None:
    node, constants, inputs = quantised(operator)
    file = tmp_path / "quantised.onnx"
    write(file, [node], inputs, constants, kind=onnx.TensorProto.UINT8)
    network = network_from_onnx(file)
    convolution = "Conv" in operator
    assert network.macs == (4 * 27 * 2 * 4 if convolution else 3 * 6 * 4)
    assert (network.weights, network.batch) == (4 * 27 if convolution else 24, 2)


FUSED: list[tuple[str, Shape, Shape, dict[str, Any], int]] = [
    ("FusedConv", (1, 3, 6, 6), (4, 3, 3, 3), {"activation": "Relu"}, 4 * 27 * 16),
    ("FusedGemm", (1, 6), (4, 6), {"transB": 1, "activation": "Relu"}, 24),
    ("FusedMatMul", (1, 3, 6), (4, 6), {"transB": 1, "alpha": 0.5}, 72),
    ("FusedMatMul", (1, 6, 3), (6, 4), {"transA": 1}, 72),
    ("FusedMatMul", (1, 3, 6), (6, 4), {"transBatchA": 1}, 72),
    ("GemmFastGelu", (1, 3, 6), (6, 4), {}, 72),
    ("MatMulIntegerToFloat", (1, 3, 6), (6, 4), {}, 72),
    ("DynamicQuantizeMatMul", (1, 3, 6), (6, 4), {}, 72),
    ("MatMulNBits", (1, 3, 32), (4, 1, 16), {"K": 32, "N": 4, "bits": 4, "block_size": 32}, 3 * 32 * 4),
]


@pytest.mark.parametrize(("operator", "inputs", "kernel", "attributes", "macs"), FUSED)
def test_fused_operators(
    tmp_path: Path, operator: str, inputs: Shape, kernel: Shape, attributes: dict[str, Any], macs: int
) -> None:
    """What comes after one has its shape, too."""
    node = helper.make_node(operator, ["x", "a.weight"], ["h"], domain="com.microsoft", **attributes)
    after = helper.make_node("MatMul", ["h", "b.weight"], ["y"])
    file = tmp_path / "fused.onnx"
    constants = [weights("a.weight", kernel), weights("b.weight", (4, 5))]
    write(file, [node, after], {"x": inputs}, constants)
    first, second = network_from_onnx(file).layers
    assert (first.name, first.macs, second.name) == ("a", macs, "b")
    assert second.rows == (
        16 if operator == "FusedConv" else math.prod(inputs) // inputs[-1 - ("transA" in attributes)]
    )


@pytest.mark.parametrize("layout", [0, 1])
@pytest.mark.parametrize(("operator", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
@pytest.mark.parametrize("directions", [1, 2])
def test_recurrent_operators_count_weights_once(
    tmp_path: Path, operator: str, gates: int, directions: int, layout: int
) -> None:
    steps, samples, inputs, hidden = 7, 2, 5, 3
    size = (samples, steps, inputs) if layout else (steps, samples, inputs)
    node = helper.make_node(
        operator,
        ["x", "cell.W", "cell.R"],
        ["y"],
        hidden_size=hidden,
        direction="bidirectional" if directions == 2 else "forward",
        layout=layout,
    )
    constants = [
        weights("cell.W", (directions, gates * hidden, inputs)),
        weights("cell.R", (directions, gates * hidden, hidden)),
    ]
    file = tmp_path / "cell.onnx"
    write(file, [node], {"x": size}, constants)
    network = network_from_onnx(file)
    assert network.batch == samples
    assert network.weights == directions * gates * hidden * (inputs + hidden)
    assert network.macs == steps * network.weights
    assert [one.name for one in network.layers][:2] == ["cell.W", "cell.R"]
    assert [one.name for one in network.layers][2:] == ["cell.W_reverse", "cell.R_reverse"][
        : 2 * directions - 2
    ]


@pytest.mark.parametrize(
    ("shapes", "attributes", "products"),
    [
        ([(2, 4, 5, 8), (2, 4, 7, 8), (2, 4, 7, 6)], {}, [(4, 5, 8, 7), (4, 5, 7, 6)]),
        ([(2, 4, 5, 8), (2, 2, 7, 8), (2, 2, 7, 8)], {}, [(4, 5, 8, 7), (4, 5, 7, 8)]),
        (
            [(2, 5, 32), (2, 7, 16), (2, 7, 12)],
            {"q_num_heads": 4, "kv_num_heads": 2},
            [(4, 5, 8, 7), (4, 5, 7, 6)],
        ),
        (
            [(2, 4, 5, 8), (2, 4, 5, 8), (2, 4, 5, 8), None, (2, 4, 3, 8), (2, 4, 3, 8)],
            {"is_causal": 1},
            [(4, 5, 8, 8), (4, 5, 8, 8)],
        ),
    ],
)
def test_attention(
    tmp_path: Path,
    shapes: list[Shape | None],
    attributes: dict[str, int],
    products: list[tuple[int, int, int, int]],
) -> None:
    given = {f"x{place}": shape for place, shape in enumerate(shapes) if shape is not None}
    names = [f"x{place}" if shape is not None else "" for place, shape in enumerate(shapes)]
    file = tmp_path / "attention.onnx"
    outputs = ["y", "k", "v"] if len(names) > 3 else ["y"]
    nodes = [helper.make_node("Attention", names, outputs, name="self_attn", **attributes)]
    write(file, nodes, given, version=23)
    network = network_from_onnx(file)
    found = [(one.count, one.rows, one.in_channels, one.out_channels) for one in network.layers]
    assert found == products and network.weights == 0
    assert [one.name for one in network.layers] == ["self_attn.scores", "self_attn.values"]


@pytest.mark.parametrize(
    ("operator", "inputs", "attributes", "products"),
    [
        (
            "MultiHeadAttention",
            [(2, 5, 32), (2, 7, 32), (2, 7, 16)],
            {"num_heads": 4},
            [(4, 5, 8, 7), (4, 5, 7, 4)],
        ),
        ("MultiHeadAttention", [(2, 5, 4, 3, 8)], {"num_heads": 4}, [(4, 5, 8, 5), (4, 5, 5, 8)]),
        (
            "GroupQueryAttention",
            [(2, 5, 32), (2, 5, 16), (2, 5, 16), (2, 2, 3, 8), (2, 2, 3, 8)],
            {"num_heads": 4, "kv_num_heads": 2},
            [(4, 5, 8, 8), (4, 5, 8, 8)],
        ),
        (
            "GroupQueryAttention",
            [(2, 5, 64)],
            {"num_heads": 4, "kv_num_heads": 2},
            [(4, 5, 8, 5), (4, 5, 5, 8)],
        ),
    ],
)
def test_attention_of_onnx_runtime(
    tmp_path: Path,
    operator: str,
    inputs: list[Shape],
    attributes: dict[str, int],
    products: list[tuple[int, int, int, int]],
) -> None:
    given = {f"x{place}": shape for place, shape in enumerate(inputs)}
    node = helper.make_node(operator, list(given), ["h"], domain="com.microsoft", **attributes)
    width = 4 * products[1][3]
    after = helper.make_node("MatMul", ["h", "proj.weight"], ["y"])
    file = tmp_path / "attention.onnx"
    write(file, [node, after], given, [weights("proj.weight", (width, 3))])
    *ours, last = network_from_onnx(file).layers
    assert [(one.count, one.rows, one.in_channels, one.out_channels) for one in ours] == products
    assert (last.name, last.rows) == ("proj", 5)


def test_attention_that_projects_its_input(tmp_path: Path) -> None:
    node = helper.make_node(
        "Attention", ["x", "qkv.weight", "qkv.bias"], ["y"], domain="com.microsoft", num_heads=4
    )
    file = tmp_path / "attention.onnx"
    write(file, [node], {"x": (2, 5, 32)}, [weights("qkv.weight", (32, 96)), weights("qkv.bias", (96,))])
    network = network_from_onnx(file)
    assert network.layers[0].name == "qkv"
    assert network.macs == 5 * 32 * 96 + 2 * 4 * 5 * 5 * 8


def test_affine_grids_are_products(tmp_path: Path) -> None:
    size = helper.make_tensor("size", onnx.TensorProto.INT64, [4], [2, 3, 5, 7])
    file = tmp_path / "grid.onnx"
    write(file, [helper.make_node("AffineGrid", ["x", "size"], ["y"])], {"x": (2, 2, 3)}, [size], version=20)
    assert network_from_onnx(file).macs == 5 * 7 * 2 * 3


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (("Conv", {"strides": [0, 1]}), "its attribute strides is [0, 1]; each must be at least 1"),
        (("Conv", {"strides": [1]}), "its attribute strides has 1 numbers, not 2"),
        (("Conv", {"strides": "ab"}), "its attribute strides is no list of integers"),
        (
            ("Conv", {"dilations": [2**40, 1]}),
            "the kernel spans 2199023255553, more than its padded input of 8",
        ),
        (("Conv", {"group": 0}), "in each of 0 groups, its input has 3"),
        (("Conv", {"group": 3}), "in each of 3 groups, its input has 3"),
        (("Conv", {"kernel_shape": [5, 5]}), "kernel_shape is not that of its weights"),
        (("Conv", {"pads": [-9, 0, 0, 0]}), "the kernel spans 3, more than its padded input of -1"),
        (("ConvTranspose", {}), "its weights take 4 channels, its input has 3"),
        (("MatMul", {}), "its operands have 8 and 3 numbers to sum over"),
        (("Gemm", {}), "its operands have 4 and 4 axes, not 2"),
        (("Einsum", {"equation": "ab,bc->ac"}), "'ab' is not of 4 axes"),
        (("LSTM", {"hidden_size": 2}), "'x' has 4 axes, not 3"),
        (("Attention", {}), "it has no input number 3"),
    ],
)
def test_numbers_that_do_not_fit_are_errors(
    tmp_path: Path, node: tuple[str, dict[str, Any]], said: str
) -> None:
    file = tmp_path / "odd.onnx"
    one = helper.make_node(node[0], ["x", "w"], ["y"], name="it\x1b[31m", **node[1])
    write(file, [one], {"x": (1, 3, 8, 8)}, [weights("w", (4, 3, 3, 3))], version=23)
    with pytest.raises(SpecError) as error:
        network_from_onnx(file)
    assert f"{file}: unsupported: 'it\\x1b[31m': {node[0]}: " in str(error.value)
    assert said in str(error.value)
