"""Small ONNX models that tests make."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from procrustes_model.workloads.from_onnx import network_from_onnx

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install '.[onnx]'")
helper, FLOAT, INT64 = onnx.helper, onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
node = helper.make_node


def weights(name: str, *dims: int, kind: int = FLOAT) -> Any:
    """Return an initializer of ones."""
    return helper.make_tensor(name, kind, dims, [1] * math.prod(dims))


def numbers(name: str, *values: int) -> Any:
    """Return an initializer of integers."""
    return helper.make_tensor(name, INT64, [len(values)], values)


def number(name: str, value: int) -> Any:
    """Return an initializer of one integer."""
    return helper.make_tensor(name, INT64, [], [value])


def value(name: str, shape: Sequence[int | str | None] | None, kind: int = FLOAT) -> Any:
    """Return what a graph says of an input or output."""
    return helper.make_tensor_value_info(name, kind, shape)


def model(
    nodes: Sequence[Any],
    inputs: dict[str, Sequence[int | str | None]],
    initializers: Sequence[Any] = (),
    *,
    version: int = 18,
    functions: Sequence[Any] = (),
    kind: int = FLOAT,
) -> Any:
    """Return a model."""
    outputs = [value(nodes[-1].output[0], None)] if nodes else []
    given = [value(name, shape, kind) for name, shape in inputs.items()]
    graph = helper.make_graph(nodes, "graph", given, outputs, initializers)
    opsets = [helper.make_opsetid(*one) for one in (("", version), ("com.microsoft", 1), ("own", 1))]
    return helper.make_model(graph, opset_imports=opsets, functions=functions)


def names(file: Path, made: Any) -> list[str]:
    file.write_bytes(made.SerializeToString())
    return [one.name for one in network_from_onnx(file).layers]
