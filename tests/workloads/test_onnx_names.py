"""Names of layers from ONNX files: those of the parameters that a checkpoint has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from procrustes_model.errors import SpecError
from procrustes_model.training.masks import only_masks
from procrustes_model.workloads.from_onnx import network_from_onnx
from procrustes_model.workloads.mask_profile import match_layers
from tests.workloads.onnx_models import (
    FLOAT,
    helper,
    model,
    names,
    node,
    number,
    numbers,
    onnx,
    weights,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "model.onnx"


def scoped(made: Any, *scopes: str) -> Any:
    """Return a node with the modules it comes from, as PyTorch's exporter for programs notes them."""
    entry = made.metadata_props.add()
    entry.key, entry.value = "pkg.torch.onnx.name_scopes", repr(["", *scopes])
    return made


def test_layers_with_folded_weights_are_called_like_their_modules(file: Path) -> None:
    """As the exporter for TorchScript names nodes and what it folds."""
    nodes = [
        node("Conv", ["x", "onnx::Conv_11", "onnx::Conv_12"], ["a"], name="/layer1/layer1.0/conv1/Conv"),
        node("Relu", ["a"], ["b"], name="/layer1/layer1.0/Relu"),
        node("Conv", ["b", "onnx::Conv_14"], ["c"], name="/features/features.0/features.0.1/Conv"),
        node("Flatten", ["c"], ["d"]),
        node("MatMul", ["d", "onnx::MatMul_15"], ["e"], name="/c_fc_1/MatMul"),
        node("Add", ["mlp.c_fc.bias", "e"], ["f"]),
        node("MatMul", ["f", "onnx::MatMul_16"], ["g"], name="/block/self_attn/MatMul"),
        node("Add", ["g", "block.self_attn.in_proj_bias"], ["h"]),
        node("MatMul", ["h", "out.weight"], ["y"], name="/MatMul"),
    ]
    constants = [
        weights("onnx::Conv_11", 4, 3, 3, 3),
        weights("onnx::Conv_12", 4),
        weights("onnx::Conv_14", 2, 4, 1, 1),
        weights("onnx::MatMul_15", 32, 6),
        weights("mlp.c_fc.bias", 6),
        weights("onnx::MatMul_16", 6, 18),
        weights("block.self_attn.in_proj_bias", 18),
        weights("out.weight", 18, 2),
    ]
    assert names(file, model(nodes, {"x": (1, 3, 6, 6)}, constants)) == [
        "layer1.0.conv1",
        "features.0.1",
        "mlp.c_fc",
        "block.self_attn.in_proj_weight",
        "out",
    ]
    network = network_from_onnx(file)
    shapes = {
        "layer1.0.conv1": (4, 3, 3, 3),
        "features.0.1": (2, 4, 1, 1),
        "mlp.c_fc": (6, 32),
        "block.self_attn.in_proj_weight": (18, 6),
        "out": (18, 2),
    }
    masks = only_masks([(name, np.ones(shape, bool)) for name, shape in shapes.items()], "state_dict")
    assert match_layers(masks.densities(), network) == {name: name for name in shapes}


def test_parts_of_a_joint_projection(file: Path) -> None:
    """Of attention to another sequence: as it stands in the graph, and where an exporter folded it."""
    parts = [
        node("Split", ["a.in_proj_weight", "sizes"], ["q", "kv"], axis=0),
        node("Transpose", ["q"], ["qt"], perm=[1, 0]),
        node("MatMul", ["x", "qt"], ["b"]),
        node("Slice", ["a.in_proj_weight", "four", "end", "zero"], ["v"]),
        node("Transpose", ["v"], ["vt"], perm=[1, 0]),
        node("MatMul", ["b", "vt"], ["c"]),
        node("MatMul", ["c", "onnx::MatMul_1"], ["d"], name="/other/MatMul"),
        node("MatMul", ["c", "onnx::MatMul_2"], ["e"], name="/other/MatMul_1"),
        node("MatMul", ["d", "stacked"], ["f"]),
        node("Gather", ["stack", "one"], ["g"]),
        node("MatMul", ["d", "g"], ["y"]),
    ]
    constants = [
        weights("a.in_proj_weight", 12, 4),
        numbers("sizes", 4, 8),
        numbers("four", 4),
        numbers("end", 99),
        numbers("zero", 0),
        weights("onnx::MatMul_1", 8, 8),
        weights("onnx::MatMul_2", 8, 16),
        weights("other.out_proj.weight", 8, 8),
        weights("stacked", 2, 8, 3),
        weights("stack", 3, 8, 2),
        number("one", 1),
    ]
    assert names(file, model(parts, {"x": (2, 3, 4)}, constants)) == [
        "a.in_proj_weight[0:4]",
        "a.in_proj_weight[4:12]",
        "other.in_proj_weight[0:8]",
        "other.in_proj_weight[8:24]",
        "stacked",
        "stack[1]",
    ]


def test_tensors_that_an_exporter_left_out(file: Path) -> None:
    """They may be in a checkpoint, as long as every layer has found its own weights there."""
    nodes = [
        node("MatMul", ["x", "onnx::MatMul_1"], ["a"], name="/up/MatMul"),
        node("MatMul", ["a", "onnx::MatMul_2"], ["y"], name="/down/MatMul"),
    ]
    constants = [
        weights("onnx::MatMul_1", 4, 6),
        weights("onnx::MatMul_2", 6, 2),
        weights("emb.weight", 9, 4),
    ]
    assert names(file, model(nodes, {"x": (1, 3, 4)}, constants)) == ["up", "down"]
    network = network_from_onnx(file)
    assert network.other_tensors == ("emb", "*")
    shapes = {"up": (6, 4), "down": (2, 6), "emb": (9, 4), "pooler": (4, 4)}
    masks = {name: np.ones(shape, bool) for name, shape in shapes.items()}
    found = match_layers(only_masks(list(masks.items()), "state_dict").densities(), network)
    assert found == {"up": "up", "down": "down"}
    del masks["down"]
    with pytest.raises(SpecError, match=r"has no layer 'pooler'"):
        match_layers(only_masks(list(masks.items()), "state_dict").densities(), network)


def test_layers_of_exported_programs_are_called_like_their_modules(file: Path) -> None:
    nodes = [
        scoped(node("MatMul", ["x", "val_0"], ["a"], name="node_MatMul_1"), "q_proj", "linear"),
        scoped(
            node("MatMul", ["a", "mul"], ["b"], name="node_MatMul_2"), "blocks.0", "blocks.0.up", "linear_1"
        ),
        scoped(node("MatMul", ["b", "table"], ["c"], name="node_matmul"), "matmul"),
        scoped(node("Transpose", ["c"], ["d"], perm=[0, 2, 1]), "transpose"),
        scoped(node("MatMul", ["c", "d"], ["y"], name="node_matmul_1"), "attn", "matmul_1"),
    ]
    constants = [
        weights("val_0", 4, 6),
        weights("mul", 6, 8),
        weights("table", 8, 8),
        weights("emb.weight", 9, 9),
    ]
    made = model(nodes, {"x": (1, 3, 4)}, constants)
    signature = (
        "\n# inputs\np_table: PARAMETER target='table'\nb_m: BUFFER target='q_proj.weight'\nx: USER_INPUT"
    )
    entry = made.graph.metadata_props.add()
    entry.key, entry.value = "pkg.torch.export.ExportedProgram.graph_signature", signature
    assert names(file, made) == ["q_proj", "blocks.0.up", "table", "attn.matmul_1"]
    assert network_from_onnx(file).other_tensors == ("emb",)


def test_weights_in_other_forms_keep_their_names(file: Path) -> None:
    """Behind Identity, Transpose, Reshape, Cast, a mask, DequantizeLinear; in a node Constant."""
    scale = weights("s")
    nodes = [
        node("Identity", ["a.weight"], ["a2"]),
        node("MatMul", ["x", "a2"], ["a"]),
        node("Transpose", ["b.weight"], ["b2"], perm=[1, 0]),
        node("MatMul", ["a", "b2"], ["b"]),
        node("Reshape", ["c.weight", "shape"], ["c2"]),
        node("Cast", ["c2"], ["c3"], to=FLOAT),
        node("MatMul", ["b", "c3"], ["c"]),
        node("Mul", ["d.weight_mask", "d.weight_orig"], ["d2"]),
        node("MatMul", ["c", "d2"], ["d"]),
        node("DequantizeLinear", ["e.weight_quantized", "s"], ["e2"]),
        node("QuantizeLinear", ["d", "s"], ["d3"]),
        node("DequantizeLinear", ["d3", "s"], ["d4"]),
        node("MatMul", ["d4", "e2"], ["e"]),
        node("Constant", [], ["/f/Constant_output_0"], value=weights("", 6, 2)),
        node("MatMul", ["e", "/f/Constant_output_0"], ["y"], name="/f/MatMul"),
    ]
    constants = [
        weights("a.weight", 4, 5),
        weights("b.weight", 6, 5),
        weights("c.weight", 3, 2, 6),
        numbers("shape", 6, 6),
        weights("d.weight_mask", 6, 6),
        weights("d.weight_orig", 6, 6),
        weights("e.weight_quantized", 6, 6, kind=onnx.TensorProto.INT8),
        scale,
    ]
    assert names(file, model(nodes, {"x": (1, 3, 4)}, constants)) == ["a", "b", "c", "d", "e", "f"]
    kept = {one.name: one.inputs_first for one in network_from_onnx(file).layers}
    assert kept == {"a": True, "b": False, "c": True, "d": True, "e": True, "f": False}


def test_weights_that_tools_rename(file: Path) -> None:
    """As quantising and packing tools add to names, and to those of biases of folded weights."""
    small = onnx.TensorProto.UINT8
    scale, zero = weights("s"), helper.make_tensor("z", small, (), [0])
    two = ["s", "z"]
    nodes = [
        node("QLinearMatMul", ["x", *two, "a.weight_Transposed_quantized", *two, *two], ["a"]),
        node("QLinearMatMul", ["a", *two, "val_3_quantized", *two, *two], ["b"], name="node_MatMul_1_quant"),
        node("QLinearAdd", ["b", *two, "up.bias_quantized", *two, *two], ["c"], domain="com.microsoft"),
        node("MatMulNBits", ["c", "down.weight_Q4", "s"], ["y"], domain="com.microsoft", K=6, N=2),
    ]
    constants = [
        weights("a.weight_Transposed_quantized", 4, 4, kind=small),
        weights("val_3_quantized", 4, 6, kind=small),
        weights("up.bias_quantized", 6, kind=small),
        weights("down.weight_Q4", 2, 1, 16, kind=small),
        scale,
        zero,
    ]
    assert names(file, model(nodes, {"x": (1, 3, 4)}, constants, kind=small)) == ["a", "up", "down"]
    assert not any(one.inputs_first for one in network_from_onnx(file).layers)


def test_weights_that_several_nodes_share(file: Path) -> None:
    """As PyTorch's exporters write a layer that is used twice, and one whose weights are tied to it."""
    nodes = [
        node("Identity", ["onnx::MatMul_7"], ["onnx::MatMul_8"]),
        node("MatMul", ["x", "onnx::MatMul_7"], ["a"], name="/fc/MatMul"),
        node("Add", ["a", "fc.bias"], ["b"]),
        node("MatMul", ["b", "onnx::MatMul_7"], ["c"], name="/fc_1/MatMul"),
        node("Add", ["c", "fc.bias"], ["d"]),
        node("MatMul", ["d", "onnx::MatMul_8"], ["e"], name="/other/MatMul"),
        node("Add", ["e", "other.bias"], ["y"]),
    ]
    constants = [weights("onnx::MatMul_7", 4, 4), weights("fc.bias", 4), weights("other.bias", 4)]
    assert names(file, model(nodes, {"x": (1, 3, 4)}, constants)) == ["fc_1", "fc_2", "other"]
    network = network_from_onnx(file)
    assert set(network.tied_tensors) == {("other", "fc"), ("fc", "other")}
    for kept, matched in ((("fc", "other"), ["fc", "fc", "other"]), (("other",), ["other"] * 3)):
        masks = only_masks([(name, np.ones((4, 4), bool)) for name in kept], "state_dict")
        assert list(match_layers(masks.densities(), network).values()) == matched


def test_recurrent_layers_without_names_are_called_as_pytorch_does(file: Path) -> None:
    nodes = [
        node(
            "LSTM",
            ["x", "onnx::LSTM_1", "onnx::LSTM_2"],
            ["a"],
            name="/rnn/LSTM",
            hidden_size=3,
            direction="bidirectional",
        ),
        node("Transpose", ["a"], ["b"], perm=[0, 2, 1, 3]),
        node("Reshape", ["b", "shape"], ["c"]),
        node("LSTM", ["c", "onnx::LSTM_3", "onnx::LSTM_4"], ["y"], name="/rnn/LSTM_1", hidden_size=3),
    ]
    constants = [
        weights("onnx::LSTM_1", 2, 12, 5),
        weights("onnx::LSTM_2", 2, 12, 3),
        weights("onnx::LSTM_3", 1, 12, 6),
        weights("onnx::LSTM_4", 1, 12, 3),
        numbers("shape", 0, 0, -1),
    ]
    first = ["rnn.weight_ih_l0", "rnn.weight_hh_l0", "rnn.weight_ih_l0_reverse", "rnn.weight_hh_l0_reverse"]
    made = model(nodes, {"x": (7, 2, 5)}, constants)
    assert names(file, made) == [*first, "rnn.weight_ih_l1", "rnn.weight_hh_l1"]
    assert network_from_onnx(file).batch == 2
    assert network_from_onnx(file, batch_axis=0).batch == 7


def test_steps_of_a_cell_are_rows_of_one_product(file: Path) -> None:
    nodes = [
        node("ConstantOfShape", ["size"], ["h0"]),
        node("Split", ["x"], ["x0", "x1", "x2"], axis=1, num_outputs=3),
    ]
    for step in range(3):
        nodes += [
            node("Squeeze", [f"x{step}", "one"], [f"q{step}"]),
            node("MatMul", [f"h{step}", "rnn.weight_hh_l0"], [f"a{step}"]),
            node("MatMul", [f"q{step}", "rnn.weight_ih_l0"], [f"b{step}"]),
            node("Add", [f"a{step}", f"b{step}"], [f"h{step + 1}"]),
        ]
    constants = [
        weights("rnn.weight_hh_l0", 4, 4),
        weights("rnn.weight_ih_l0", 5, 4),
        numbers("one", 1),
        numbers("size", 2, 4),
    ]
    assert names(file, model(nodes, {"x": (2, 3, 5)}, constants)) == ["rnn.weight_hh_l0", "rnn.weight_ih_l0"]
    assert [one.rows for one in network_from_onnx(file).layers] == [3, 3]


def test_weights_that_are_inputs(file: Path) -> None:
    """As an exporter leaves them that writes no parameters, where it folded some."""
    nodes = [
        node("Conv", ["x", "onnx::Conv_4"], ["a"], name="/conv/Conv"),
        node("MatMul", ["a", "onnx::MatMul_5"], ["b"], name="/fc/MatMul"),
        node("Add", ["b", "fc.bias"], ["y"]),
    ]
    given = {"x": (1, 3, 5, 5), "onnx::Conv_4": (4, 3, 3, 3), "onnx::MatMul_5": (3, 2), "fc.bias": (2,)}
    assert names(file, model(nodes, given)) == ["conv", "fc"]
    # Products of two inputs are no weights.
    made = model(
        [node("MatMul", ["onnx::MatMul_0", "onnx::MatMul_1"], ["y"])],
        {"onnx::MatMul_0": (1, 3, 4), "onnx::MatMul_1": (1, 4, 3)},
    )
    file.write_bytes(made.SerializeToString())
    assert network_from_onnx(file).weights == 0
    made = model(
        [node("Conv", ["x", "c.weight", "c.bias"], ["y"])],
        {"x": (1, 3, 5, 5), "c.weight": (4, 3, 3, 3), "c.bias": (4,)},
    )
    assert names(file, made) == ["c"]


def test_weights_elsewhere_are_not_read(file: Path) -> None:
    for place in ("weights.bin", "../../../../etc/passwd", "/dev/zero"):
        tensor = onnx.TensorProto(name="c.weight", data_type=FLOAT, dims=(4, 3, 3, 3))
        tensor.data_location = onnx.TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", place
        made = model([node("Conv", ["x", "c.weight"], ["y"])], {"x": (1, 3, 5, 5)}, [tensor])
        assert names(file, made) == ["c"]


def test_sparse_weights(file: Path) -> None:
    made = model([node("MatMul", ["x", "fc.weight"], ["y"])], {"x": (1, 6)})
    values, places = weights("fc.weight", 2), numbers("", 1, 7)
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [6, 4]))
    file.write_bytes(made.SerializeToString())
    (layer,) = network_from_onnx(file).layers
    assert (layer.name, layer.weights) == ("fc", 24)
