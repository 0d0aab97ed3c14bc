"""ONNX files with operators that are not known, and files that are broken."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from procrustes_model.cli import app
from procrustes_model.errors import SpecError
from procrustes_model.workloads.from_onnx import network_from_onnx
from procrustes_model.workloads.onnx_elementwise import WITHOUT_PRODUCTS
from tests.workloads.onnx_models import (
    FLOAT,
    model,
    names,
    node,
    number,
    onnx,
    value,
    weights,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "model.onnx"


def test_every_operator_of_onnx_is_known() -> None:
    """Each is read, is one that multiplies nothing, or is named here: it is refused by its name."""
    refused = {"CausalConvWithState", "DFT", "DeformConv", "LinearAttention", "STFT", "SequenceMap"}
    read = {"AffineGrid", "Attention", "Constant", "Conv", "ConvInteger", "ConvTranspose", "Einsum", "GRU"}
    read |= {
        "Gemm",
        "If",
        "LSTM",
        "Loop",
        "MatMul",
        "MatMulInteger",
        "QLinearConv",
        "QLinearMatMul",
        "RNN",
        "Scan",
    }
    schemas = [one for one in onnx.defs.get_all_schemas() if one.domain == "" and one.since_version <= 28]
    unknown = {one.name for one in schemas} - WITHOUT_PRODUCTS[""] - read - refused
    assert not unknown
    assert not WITHOUT_PRODUCTS[""] & ((read - {"Constant"}) | refused)


@pytest.mark.parametrize(
    ("domain", "operator", "inputs"),
    [
        ("", "HardSwish", ["h"]),
        ("", "GlobalAveragePool", ["h"]),
        ("", "Mish", ["h"]),
        ("com.microsoft", "Gelu", ["h"]),
        ("com.microsoft", "FastGelu", ["h"]),
        ("com.microsoft", "QuickGelu", ["h"]),
        ("com.microsoft", "BiasGelu", ["h", "bias"]),
        ("com.microsoft", "LayerNormalization", ["h", "bias", "bias"]),
        ("com.microsoft", "SkipLayerNormalization", ["h", "h", "bias", "bias"]),
        ("com.microsoft", "SimplifiedLayerNormalization", ["h", "bias"]),
    ],
)
def test_elementwise_operators_are_in_no_ones_way(
    file: Path, domain: str, operator: str, inputs: list[str]
) -> None:
    """What comes after one has its shape, too."""
    nodes = [
        node("Conv", ["x", "a.weight"], ["h"]),
        node(operator, inputs, ["g"], domain=domain),
        node("Conv", ["g", "b.weight"], ["y"]),
    ]
    constants = [weights("a.weight", 4, 3, 3, 3), weights("b.weight", 2, 4, 1, 1), weights("bias", 6)]
    assert names(file, model(nodes, {"x": (1, 3, 8, 8)}, constants, version=22)) == ["a", "b"]


def test_the_sum_of_a_skip_connection_has_a_shape(file: Path) -> None:
    nodes = [
        node("SkipLayerNormalization", ["x", "x", "g"], ["a", "", "", "b"], domain="com.microsoft"),
        node("MatMul", ["b", "fc.weight"], ["y"]),
    ]
    constants = [weights("g", 6), weights("fc.weight", 6, 2)]
    assert names(file, model(nodes, {"x": (1, 3, 6)}, constants)) == ["fc"]


def test_what_is_not_known_is_named(file: Path) -> None:
    """With its node and its domain; what comes after it says that its shape is not known, and why."""
    nodes = [
        node("Strange", ["x"], ["a"], domain="own", name="odd\x1b[31m"),
        node("MatMul", ["a", "fc.weight"], ["y"], name="after"),
    ]
    made = model(nodes, {"x": (1, 6)}, [weights("fc.weight", 6, 2)])
    file.write_bytes(made.SerializeToString())
    with pytest.raises(SpecError) as error:
        network_from_onnx(file)
    said = str(error.value)
    assert "unsupported: 'odd\\x1b[31m': operator own.Strange" in said and "\x1b" not in said
    assert "'after': MatMul: the shape of 'a' is unknown (after Strange 'odd\\x1b[31m')" in said
    # Where the file says the shape, it is known.
    made.graph.value_info.append(value("a", (1, 6)))
    file.write_bytes(made.SerializeToString())
    network = network_from_onnx(file, partial=True)
    assert [one.name for one in network.layers] == ["fc"] and "own.Strange" in network.description


def test_products_of_constants_are_in_no_ones_way(file: Path) -> None:
    nodes = [
        node("MatMul", ["a.weight", "b.weight"], ["ab"], name="merge"),
        node("MatMul", ["x", "ab"], ["y"]),
    ]
    made = model(nodes, {"x": (2, 6)}, [weights("a.weight", 6, 3), weights("b.weight", 3, 5)])
    file.write_bytes(made.SerializeToString())
    network = network_from_onnx(file)
    assert network.macs == 30 and "'merge': a product of weights only" in network.description


def bad_models() -> dict[str, tuple[Any, str]]:
    """Return broken models, and what is said of them."""
    weight = weights("c.weight", 4, 3, 3, 3)
    conv = node("Conv", ["x", "c.weight"], ["y"])
    inputs = {"x": (1, 3, 5, 5)}
    cases: dict[str, tuple[Any, str]] = {}
    cases["circle"] = (
        model([node("Add", ["y", "x"], ["y"])], inputs),
        "'y' reads 'y', which nothing before it",
    )
    cases["missing"] = (
        model([node("Conv", ["x", "w"], ["y"])], inputs),
        "'y' reads 'w', which nothing before it",
    )
    cases["twice"] = model([conv, conv], inputs, [weight]), "'y' is computed twice"
    cases["doubled"] = model([conv], inputs, [weight, weight]), "two initializers are called 'c.weight'"
    none = model([conv], inputs, [weight])
    del none.opset_import[:]
    cases["opset"] = none, "does not say which version of ONNX's operators"
    large = onnx.TensorProto(name="c.weight", data_type=FLOAT, dims=(2**40, 3, 3, 3), raw_data=bytes(12))
    cases["large"] = model([conv], inputs, [large]), "has 12 bytes, not 118747255799808"
    huge = onnx.TensorProto(name="c.weight", data_type=FLOAT, dims=(2**40, 2**40, 3, 3))
    cases["huge"] = model([conv], inputs, [huge]), "the tensor 'c.weight' has shape 1099511627776x"
    negative = onnx.TensorProto(name="c.weight", data_type=FLOAT, dims=(4, 3, -3, 3))
    cases["negative"] = model([conv], inputs, [negative]), "the tensor 'c.weight' has shape 4x3x-3x3"
    cases["empty"] = (
        model([conv], inputs, [weights("c.weight", 0, 3, 3, 3)]),
        "a convolution without elements",
    )
    cases["wide"] = (
        model([conv], {"x": (1, 3, 2**31, 2**30)}, [weight]),
        "the input 'x' has shape 1x3x2147483648x1073741824; that is too large",
    )
    scalar = model([node("MatMul", ["x", "s"], ["y"])], inputs, [weights("s")])
    cases["scalar"] = scalar, "an operand is a single number"
    half = model([node("If", ["x"], ["y"], name="half")], inputs)
    cases["half"] = half, "'half' is no complete If"
    range_ = [node("Range", ["a", "b", "c"], ["r"]), node("MatMul", ["r", "x"], ["y"])]
    count = model(range_, inputs, [number("a", 0), number("b", 10**15), number("c", 1)])
    cases["range"] = count, "numbers to sum over"
    return cases


@pytest.mark.parametrize("case", sorted(bad_models()))
def test_broken_models_are_errors_with_the_file(file: Path, case: str) -> None:
    made, said = bad_models()[case]
    file.write_bytes(made.SerializeToString())
    with pytest.raises(SpecError) as error:
        network_from_onnx(file)
    assert said in str(error.value) and all(one.file == str(file) for one in error.value.issues)
    result = CliRunner().invoke(app, ["import", str(file)])
    assert result.exit_code == 2 and "Traceback" not in result.output


def test_what_is_no_file_of_a_model(file: Path) -> None:
    good = model([node("Conv", ["x", "w"], ["y"])], {"x": (1, 3, 5, 5)}, [weights("w", 4, 3, 3, 3)])
    content = good.SerializeToString()
    for part in range(0, len(content), 7):
        file.write_bytes(content[:part])
        with pytest.raises(SpecError):
            network_from_onnx(file)
    with pytest.raises(IsADirectoryError):
        network_from_onnx(file.parent)
    assert CliRunner().invoke(app, ["import", str(file.parent)]).exit_code == 2
    if hasattr(os, "mkfifo"):
        pipe = file.with_name("pipe")
        os.mkfifo(pipe)
        with pytest.raises(SpecError, match=r"no regular file"):
            network_from_onnx(pipe)


def test_damaged_files_never_raise_anything_else(file: Path) -> None:
    nodes = [
        node("Conv", ["x", "w"], ["a"], strides=[2, 2]),
        node("Shape", ["a"], ["s"]),
        node("Reshape", ["a", "s"], ["b"]),
        node("Gemm", ["b", "v"], ["y"], transB=1),
    ]
    good = model(nodes, {"x": (1, 3, 5, 5)}, [weights("w", 4, 3, 3, 3), weights("v", 4, 4)])
    content = bytearray(good.SerializeToString())
    random = np.random.default_rng(7)
    imported = 0
    for _ in range(300):
        damaged = bytearray(content)
        for place in random.integers(0, len(content), 3):
            damaged[place] = int(random.integers(0, 256))
        file.write_bytes(damaged)
        with suppress(SpecError):
            network_from_onnx(file, partial=True)
            imported += 1
    assert 0 < imported < 300
