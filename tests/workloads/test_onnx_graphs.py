"""Graphs of ONNX files: shapes that are computed, open axes, functions, branches, loops."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from procrustes_model.cli import app
from procrustes_model.errors import SpecError
from procrustes_model.workloads.from_onnx import network_from_onnx
from tests.workloads.onnx_models import (
    FLOAT,
    INT64,
    helper,
    model,
    names,
    node,
    number,
    numbers,
    onnx,
    value,
    weights,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "model.onnx"


def test_shapes_that_the_graph_computes(file: Path) -> None:
    """A reshape by parts of a shape, an expansion, a slice and a resize, for any batch."""
    nodes = [
        node("Shape", ["x"], ["size"]),
        node("Gather", ["size", "zero"], ["n"]),
        node("Gather", ["size", "two"], ["h"]),
        node("Mul", ["h", "h"], ["hw"]),
        node("Unsqueeze", ["n", "first"], ["n1"]),
        node("Unsqueeze", ["hw", "first"], ["hw1"]),
        node("Concat", ["n1", "three", "hw1"], ["wanted"], axis=0),
        node("Reshape", ["x", "wanted"], ["flat"]),
        node("Transpose", ["flat"], ["rows"], perm=[0, 2, 1]),
        node("MatMul", ["rows", "a.weight"], ["a"]),
        node("Slice", ["size", "first2", "last"], ["tail"]),
        node("ReduceProd", ["tail"], ["all"], keepdims=1),
        node("Concat", ["n1", "all"], ["wanted2"], axis=0),
        node("Cast", ["wanted2"], ["as_float"], to=FLOAT),
        node("Cast", ["as_float"], ["wanted3"], to=INT64),
        node("Reshape", ["x", "wanted3"], ["b"]),
        node("MatMul", ["b", "b.weight"], ["y"]),
    ]
    constants = [
        number("zero", 0),
        number("two", 2),
        numbers("first", 0),
        numbers("three", 3),
        numbers("first2", 1),
        numbers("last", 9),
        weights("a.weight", 3, 5),
        weights("b.weight", 3 * 16, 2),
    ]
    for batch, samples in (("N", 1), (-1, 1), (0, 1), (4, 4), (None, 1)):
        made = model(nodes, {"x": (batch, 3, 4, 4)}, constants)
        assert names(file, made) == ["a", "b"]
        network = network_from_onnx(file)
        assert (network.batch, network.macs) == (samples, 16 * 15 + 96)
        assert network_from_onnx(file, batch=64).batch == 64


def test_axes_with_names(file: Path) -> None:
    """They are the same in every input, and may be said; an axis of samples need not be the first."""
    nodes = [
        node("Mul", ["x", "mask"], ["a"]),
        node("MatMul", ["a", "fc.weight"], ["y"]),
    ]
    made = model(
        nodes, {"x": ("time", "batch", 8), "mask": ("time", "batch", 1)}, [weights("fc.weight", 8, 4)]
    )
    file.write_bytes(made.SerializeToString())
    with pytest.raises(SpecError, match=r"'x' leaves axes open: timex1x8; say them.* or --axis sequence=128"):
        network_from_onnx(file)
    network = network_from_onnx(file, axes={"time": 5})
    assert (network.batch, network.layers[0].rows) == (1, 5)
    network = network_from_onnx(file, input_shape=(5, 3, 8))
    assert (network.batch, network.layers[0].rows) == (3, 5)
    assert network_from_onnx(file, input_shape=(5, 3, 8), batch_axis=0).batch == 5
    with pytest.raises(
        SpecError, match=r"no input of the model has an axis called 'tme'; did you mean 'time'"
    ):
        network_from_onnx(file, axes={"tme": 5})
    with pytest.raises(SpecError, match=r"the axis 'time' must be at least 1, is 0"):
        network_from_onnx(file, axes={"time": 0})
    with pytest.raises(SpecError, match=r"the axis 'time' is said to be 4 and 5"):
        network_from_onnx(file, axes={"time": 4}, input_shape=(5, 3, 8))
    with pytest.raises(SpecError, match=r"has 3 axes, and none of number 3"):
        network_from_onnx(file, axes={"time": 4}, batch_axis=3)
    out = file.with_name("network.yaml")
    result = CliRunner().invoke(
        app, ["import", str(file), "--axis", "time=5", "--batch", "7", "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    for wrong in ("time", "=5", "time=x"):
        assert CliRunner().invoke(app, ["import", str(file), "--axis", wrong]).exit_code == 2


def test_an_axis_that_does_not_count_samples(file: Path) -> None:
    made = model([node("Gemm", ["x", "w"], ["y"], transA=1)], {"x": (64, 32)}, [weights("w", 64, 10)])
    file.write_bytes(made.SerializeToString())
    network = network_from_onnx(file)
    assert (network.batch, network.macs) == (1, 32 * 64 * 10)
    assert "one sample is the whole input" in network.source


def test_images_in_the_batch(file: Path) -> None:
    nodes = [
        node("Reshape", ["x", "shape"], ["a"]),
        node("Conv", ["a", "c.weight"], ["y"], pads=[1, 1, 1, 1]),
    ]
    constants = [numbers("shape", -1, 3, 8, 8), weights("c.weight", 4, 3, 3, 3)]
    file.write_bytes(model(nodes, {"x": ("n", 16, 3, 8, 8)}, constants).SerializeToString())
    network = network_from_onnx(file)
    assert (network.batch, network.macs) == (1, 16 * 4 * 27 * 64)


def test_functions_of_a_model(file: Path) -> None:
    """They take attributes from the call, and leave inputs out."""
    inner = [
        node("Conv", ["x", "w"], ["h"]),
        node("Relu", ["h"], ["y"]),
    ]
    taken = onnx.AttributeProto(name="strides", type=onnx.AttributeProto.INTS, ref_attr_name="strides")
    inner[0].attribute.append(taken)
    opsets = [helper.make_opsetid("", 18)]
    function = helper.make_function(
        "own", "ConvRelu", ["x", "w", "unused"], ["y"], inner, opsets, ["strides"]
    )
    calls = [
        node("ConvRelu", ["x", "a.weight"], ["h"], domain="own", strides=[2, 2]),
        node("ConvRelu", ["h", "b.weight"], ["y"], domain="own", strides=[1, 1]),
    ]
    constants = [weights("a.weight", 4, 3, 3, 3), weights("b.weight", 2, 4, 3, 3)]
    made = model(calls, {"x": (1, 3, 9, 9)}, constants, functions=[function])
    assert names(file, made) == ["a", "b"]
    assert [one.output_size for one in network_from_onnx(file).layers] == [(4, 4), (2, 2)]


def test_functions_that_grow_without_end(file: Path) -> None:
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    functions = []
    for depth in range(40):
        body = [
            node(f"F{depth + 1}", ["x"], ["a"], domain="own"),
            node(f"F{depth + 1}", ["a"], ["y"], domain="own"),
        ]
        functions.append(helper.make_function("own", f"F{depth}", ["x"], ["y"], body, opsets))
    last = helper.make_function("own", "F40", ["x"], ["y"], [node("F40", ["x"], ["y"], domain="own")], opsets)
    calls = [node("F0", ["x"], ["y"], domain="own")]
    file.write_bytes(model(calls, {"x": (1, 3)}, functions=[*functions, last]).SerializeToString())
    with pytest.raises(SpecError, match=r"the function 'F40' calls itself"):
        network_from_onnx(file)


def branches(then: Sequence[Any], otherwise: Sequence[Any], condition: str) -> Any:
    graphs = [
        helper.make_graph(some, "g", [], [value(some[-1].output[0], None)]) for some in (then, otherwise)
    ]
    return node("If", [condition], ["y"], name="choice", then_branch=graphs[0], else_branch=graphs[1])


def test_branches(file: Path) -> None:
    """The one that runs where that is known; else both must multiply the same."""
    small, large = node("MatMul", ["x", "a.weight"], ["u"]), node("MatMul", ["x", "b.weight"], ["v"])
    constants = [weights("a.weight", 4, 3), weights("b.weight", 4, 5), number("two", 2)]
    sizes = [node("Shape", ["x"], ["s"]), node("Size", ["s"], ["n"]), node("Equal", ["n", "two"], ["same"])]
    made = model([*sizes, branches([small], [large], "same")], {"x": (1, 4)}, constants)
    assert names(file, made) == ["a"]
    unknown = [
        node("ReduceMax", ["x"], ["m"], keepdims=0),
        node("Cast", ["m"], ["c"], to=onnx.TensorProto.BOOL),
    ]
    made = model([*unknown, branches([small], [large], "c")], {"x": (1, 4)}, constants)
    file.write_bytes(made.SerializeToString())
    with pytest.raises(SpecError, match=r"'choice': If: which of its branches runs depends on values"):
        network_from_onnx(file)
    twin = node("MatMul", ["x", "a.weight"], ["w"])
    after = node("MatMul", ["y", "c.weight"], ["z"])
    made = model(
        [*unknown, branches([small], [twin], "c"), after],
        {"x": (1, 4)},
        [*constants, weights("c.weight", 3, 2)],
    )
    assert names(file, made) == ["a", "c"]
    free = [node("Relu", ["x"], ["u"])], [node("Sigmoid", ["x"], ["v"])]
    made = model(
        [*unknown, branches(*free, "c"), node("MatMul", ["y", "a.weight"], ["z"])], {"x": (1, 4)}, constants
    )
    assert names(file, made) == ["a"]


@pytest.mark.parametrize("times", [6, None])
def test_loops(file: Path, times: int | None) -> None:
    body = helper.make_graph(
        [
            node("MatMul", ["h", "cell.weight"], ["next"]),
            node("Identity", ["go"], ["on"]),
            node("Relu", ["next"], ["seen"]),
        ],
        "body",
        [value("i", [], INT64), value("go", [], onnx.TensorProto.BOOL), value("h", [1, 4])],
        [value("on", [], onnx.TensorProto.BOOL), value("next", [1, 4]), value("seen", [1, 4])],
    )
    nodes = [
        node("ReduceMax", ["x"], ["largest"], keepdims=0),
        node("Cast", ["largest"], ["open"], to=INT64),
        node("Loop", ["limit" if times else "open", "", "x"], ["last", "all"], name="loop", body=body),
        node("Squeeze", ["all", "one"], ["rows"]),
        node("MatMul", ["rows" if times else "last", "out.weight"], ["y"]),
    ]
    constants = [
        weights("cell.weight", 4, 4),
        weights("out.weight", 4, 2),
        number("limit", 6),
        numbers("one", 1),
    ]
    file.write_bytes(model(nodes, {"x": (1, 4)}, constants).SerializeToString())
    if times is None:
        with pytest.raises(SpecError, match=r"'loop': Loop: how often it runs depends on values"):
            network_from_onnx(file)
        return
    cell, out = network_from_onnx(file).layers
    assert (cell.rows, cell.weights, out.rows) == (6, 16, 6)


def test_scans(file: Path) -> None:
    body = helper.make_graph(
        [
            node("MatMul", ["step", "in.weight"], ["a"]),
            node("Add", ["a", "h"], ["next"]),
            node("Relu", ["next"], ["out"]),
        ],
        "body",
        [value("h", [2, 4]), value("step", [2, 5])],
        [value("next", [2, 4]), value("out", [2, 4])],
    )
    nodes = [
        node("Scan", ["state", "x"], ["last", "all"], body=body, num_scan_inputs=1, scan_input_axes=[1]),
        node("MatMul", ["all", "fc.weight"], ["y"]),
    ]
    constants = [weights("in.weight", 5, 4), weights("fc.weight", 4, 2), weights("state", 2, 4)]
    file.write_bytes(model(nodes, {"x": (2, 7, 5)}, constants).SerializeToString())
    network = network_from_onnx(file)
    assert [(one.name, one.rows) for one in network.layers] == [("in", 7), ("fc", 7)] and network.batch == 2


def test_a_loop_that_runs_a_convolution_and_products_of_activations(file: Path) -> None:
    body = helper.make_graph(
        [
            node("Conv", ["h", "c.weight"], ["a"], pads=[1, 1, 1, 1]),
            node("MatMul", ["a", "h"], ["next"]),
            node("Identity", ["go"], ["on"]),
        ],
        "body",
        [value("i", [], INT64), value("go", [], onnx.TensorProto.BOOL), value("h", [2, 3, 4, 4])],
        [value("on", [], onnx.TensorProto.BOOL), value("next", [2, 3, 4, 4])],
    )
    nodes = [node("Loop", ["limit", "", "x"], ["y"], body=body)]
    constants = [weights("c.weight", 3, 3, 3, 3), number("limit", 5)]
    file.write_bytes(model(nodes, {"x": (2, 3, 4, 4)}, constants).SerializeToString())
    network = network_from_onnx(file)
    assert network.macs == 5 * (3 * 27 * 16 + 3 * 64) and network.weights == 81
