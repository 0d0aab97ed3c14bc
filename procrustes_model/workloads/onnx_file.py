"""An ONNX file as it is read: checked, with its large weights left behind, its inputs given a size."""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.printable import cut, quote
from procrustes_model.spec.schema import LARGEST_BOUND, LARGEST_PRODUCT
from procrustes_model.spec.text.words import did_you_mean
from procrustes_model.version import how_to_install

Shape = tuple[int, ...]

KEPT = 4096
"""Elements of the largest constant whose values are kept: more is no shape or axis of anything."""
_LARGEST_FILE = 2**31 - 1
_CONTENT = ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")
_SAMPLES = re.compile(r"(?i).*batch.*|n|b|bs")
"""Names of an open axis that counts samples."""


def onnx_library() -> Any:
    """Return the package onnx.

    Raises
    ------
    SpecError
        Where it is not installed.
    """
    try:
        import onnx
        import onnx.reference
        import onnx.shape_inference
    except ImportError:
        message = "importing ONNX needs the package onnx"
        raise SpecError(Issue(message, how_to_install("onnx"))) from None
    return onnx


def load_model(path: str | os.PathLike[str], file: str) -> Any:
    """Return the model of a file, without the values of its large weights.

    Weights in other files are not needed for shapes, and stay unread.

    Parameters
    ----------
    path : path
    file : str
        For messages.

    Returns
    -------
    onnx.ModelProto

    Raises
    ------
    SpecError
        When the file is no ONNX model, or contradicts itself.
    OSError
        When the file cannot be read.
    """
    onnx = onnx_library()
    status = Path(path).stat()
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        raise SpecError(Issue("this is no regular file", file=file))
    if status.st_size > _LARGEST_FILE:
        message = "an ONNX file holds at most 2 GiB"
        raise SpecError(Issue(message, "larger models keep their weights in files beside it", file))
    content = Path(path).read_bytes()
    try:
        model = onnx.ModelProto.FromString(content)
    except Exception:  # noqa: BLE001  # protobuf's error is not onnx's to name
        model = None
    if model is None or not model.graph.node:
        raise SpecError(Issue("this is no ONNX model, or one without nodes", file=file))
    if not any(one.domain in ("", "ai.onnx") and one.version > 0 for one in model.opset_import):
        message = "the model does not say which version of ONNX's operators it uses"
        raise SpecError(Issue(message, "opset_import names it", file))
    issues = [Issue(message, file=file) for message in _lighten(onnx, model)]
    if issues:
        raise SpecError(issues[:12])
    if not _is_text(model):
        raise SpecError(Issue("this is no ONNX model: a name in it is no UTF-8 text", file=file))
    return model


def _is_text(message: Any) -> bool:
    """Return whether all text of a message is text; what protobuf cannot decode it hands out as bytes."""
    for field, value in message.ListFields():
        several = value if isinstance(value, Iterable) and not isinstance(value, (str, bytes)) else (value,)
        if field.type == field.TYPE_STRING and not all(isinstance(one, str) for one in several):
            return False
        if field.type == field.TYPE_MESSAGE and not all(map(_is_text, several)):
            return False
    return True


def _lighten(onnx: Any, model: Any) -> Iterator[str]:
    """Drop the values of large weights, and yield what is wrong with a tensor."""
    for tensor in _tensors(model):
        if any(one < 0 for one in tensor.dims) or math.prod(tensor.dims) > LARGEST_PRODUCT:
            yield f"the tensor {quote(tensor.name)} has shape {_sizes(tensor.dims)}"
            continue
        count = math.prod(tensor.dims)
        wanted = _bytes(onnx, tensor.data_type, count)
        if tensor.raw_data and wanted is not None and len(tensor.raw_data) != wanted:
            start = f"the tensor {quote(tensor.name)} of shape {_sizes(tensor.dims)}"
            yield f"{start} has {len(tensor.raw_data)} bytes, not {wanted}"
        elif count > KEPT:
            for one in _CONTENT:
                tensor.ClearField(one)


def _sizes(dims: Iterable[int]) -> str:
    return "x".join(map(str, list(dims)[:12]))


def _bytes(onnx: Any, data_type: int, count: int) -> int | None:
    """Return how many bytes elements take, or None where several share a byte or the type is unknown."""
    try:
        name = onnx.TensorProto.DataType.Name(data_type)
        if name in ("STRING", "UNDEFINED") or re.search(r"(?<![0-9])[24](E|$)", name):
            return None
        return count * int(onnx.helper.tensor_dtype_to_np_dtype(data_type).itemsize)
    except (ValueError, KeyError, TypeError):
        return None


def _tensors(model: Any) -> Iterator[Any]:
    for function in model.functions:
        yield from _constants(function.node)
    yield from _of_graph(model.graph)


def _of_graph(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for one in graph.sparse_initializer:
        yield one.values
        yield one.indices
    yield from _constants(graph.node)


def _constants(nodes: Iterable[Any]) -> Iterator[Any]:
    for node in nodes:
        for one in node.attribute:
            if one.HasField("t"):
                yield one.t
            yield from one.tensors
            if one.HasField("sparse_tensor"):
                yield one.sparse_tensor.values
                yield one.sparse_tensor.indices
            for graph in ([one.g] if one.HasField("g") else []) + list(one.graphs):
                yield from _of_graph(graph)


def close_inputs(
    model: Any,
    input_shape: Sequence[int] | None,
    axes: Mapping[str, int],
    batch_axis: int | None,
    file: str,
) -> tuple[Shape, int, dict[str, int]]:
    """Give open axes of the inputs a length: those that are said, and 1 for samples.

    Parameters
    ----------
    model : onnx.ModelProto
        Its inputs are changed.
    input_shape : sequence of int or None
        Of the first input.
    axes : mapping of str to int
        Lengths of axes that the file names.
    batch_axis : int or None
        Which axis of the first input counts samples; None: one that is named so, or the first.
    file : str
        For messages.

    Returns
    -------
    tuple of int
        Shape of the first input.
    int
        Which of its axes counts samples.
    dict of str to int
        Lengths of all axes with names.

    Raises
    ------
    SpecError
        When axes are still open, or a length given is not positive or has no axis.
    """
    weights = {one.name for one in model.graph.initializer}
    weights |= {one.values.name for one in model.graph.sparse_initializer}
    inputs = [one for one in model.graph.input if one.name not in weights]
    dims = [one.type.tensor_type.shape.dim for one in inputs]
    lengths = _said(axes, {axis.dim_param for one in dims for axis in one if axis.dim_param}, file)
    if not inputs:
        return (), 0, lengths
    samples = next((place for place, axis in enumerate(dims[0]) if _counts_samples(axis)), 0)
    if batch_axis is not None:
        if not -len(dims[0]) <= batch_axis < len(dims[0]):
            has = f"the input {quote(inputs[0].name)} has {len(dims[0])} axes"
            message = f"{has}, and none of number {batch_axis}"
            raise SpecError(Issue(message, file=file))
        samples = batch_axis % len(dims[0])
    if input_shape is not None:
        _fix(inputs[0], dims[0], input_shape, lengths, file)
    if dims[0]:
        _close(dims[0][samples], lengths, 1)
    number = dims[0][samples].dim_value if dims[0] else 1
    issues = []
    for index, one in enumerate(inputs):
        for place, axis in enumerate(dims[index]):
            default = number if _counts_samples(axis) or (place == 0 and (index or samples == 0)) else 0
            _close(axis, lengths, default)
        if any(axis.dim_value < 1 for axis in dims[index]):
            issues.append(_open_axes(one.name, dims[index], index == 0, file))
            continue
        sizes = [axis.dim_value for axis in dims[index]]
        if max(sizes, default=0) > LARGEST_BOUND or math.prod(sizes) > LARGEST_PRODUCT:
            message = f"the input {quote(one.name)} has shape {_sizes(sizes)}"
            issues.append(Issue(message, "that is too large", file))
    if issues:
        raise SpecError(issues)
    return tuple(axis.dim_value for axis in dims[0]), samples, lengths


def _said(axes: Mapping[str, int], known: set[str], file: str) -> dict[str, int]:
    issues = []
    for name, length in axes.items():
        if name not in known:
            hint = f"it names {', '.join(map(cut, sorted(known)[:12]))}" if known else "it names none"
            message = f"no input of the model has an axis called {quote(name)}"
            issues.append(Issue(message, did_you_mean(name, known) or hint, file))
        elif length < 1:
            issues.append(Issue(f"the axis {quote(name)} must be at least 1, is {length}", file=file))
    if issues:
        raise SpecError(issues)
    return dict(axes)


def _fix(one: Any, dims: Any, shape: Sequence[int], lengths: dict[str, int], file: str) -> None:
    """Give the first input the shape that was asked for."""
    if len(shape) != len(dims) or min(shape, default=1) < 1:
        message = f"the input {quote(one.name)} has {len(dims)} axes, not the {len(shape)} of the shape given"
        raise SpecError(Issue(message, "give every axis at least 1, samples first", file))
    for axis, length in zip(dims, shape, strict=True):
        name = axis.dim_param
        if name and lengths.setdefault(name, length) != length:
            message = f"the axis {quote(name)} is said to be {lengths[name]} and {length}"
            raise SpecError(Issue(message, file=file))
        axis.dim_value = length


def _counts_samples(axis: Any) -> bool:
    return bool(axis.dim_param and _SAMPLES.fullmatch(axis.dim_param))


def _close(axis: Any, lengths: dict[str, int], default: int) -> None:
    """Give an axis its length, and remember it by the axis's name."""
    if axis.dim_value > 0:
        return
    name = axis.dim_param
    length = lengths.get(name, default) if name else default
    if length:
        axis.dim_value = length
        if name:
            lengths[name] = length


def _open_axes(name: str, dims: Any, first: bool, file: str) -> Issue:
    shape = "x".join(
        cut(axis.dim_param) or str(axis.dim_value if axis.dim_value > 0 else "?") for axis in dims
    )
    hints = ["--input-shape 1x3x224x224"] if first else []
    if any(axis.dim_param for axis in dims):
        hints.append("--axis sequence=128")
    hint = f"say them, such as {' or '.join(hints)}" if hints else "fix them in the file"
    return Issue(f"the input {quote(name)} leaves axes open: {shape}", hint, file)
