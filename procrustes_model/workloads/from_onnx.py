"""Networks from ONNX files: nodes that multiply, with the shapes that inference gives them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.spec.network import Network
from procrustes_model.workloads.imports import Collector

_WITHOUT_MULTIPLICATIONS = """
Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Bernoulli
BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor BlackmanWindow Cast CastLike Ceil Celu CenterCropPad
Clip Col2Im Compress Concat ConcatFromSequence Constant ConstantOfShape Cos Cosh CumSum DepthToSpace
DequantizeLinear Div Dropout DynamicQuantizeLinear Elu Equal Erf Exp Expand EyeLike Flatten Floor Gather
GatherElements GatherND Gelu GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual
GridSample GroupNormalization HammingWindow HannWindow Hardmax HardSigmoid HardSwish Identity
ImageDecoder InstanceNormalization IsInf IsNaN LayerNormalization LeakyRelu Less LessOrEqual Log
LogSoftmax LpNormalization LpPool LRN Max MaxPool MaxRoiPool MaxUnpool Mean MeanVarianceNormalization
Min Mish Mod Mul Multinomial Neg NonMaxSuppression NonZero Not OneHot Optional OptionalGetElement
OptionalHasElement Or Pad Pow PRelu QuantizeLinear RandomNormal RandomNormalLike RandomUniform
RandomUniformLike Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean
ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize ReverseSequence RMSNormalization
RoiAlign RotaryEmbedding Round Scatter ScatterElements ScatterND Selu SequenceAt SequenceConstruct
SequenceEmpty SequenceErase SequenceInsert SequenceLength Shape Shrink Sigmoid Sign Sin Sinh Size Slice
Softmax Softplus Softsign SpaceToDepth Split SplitToSequence Sqrt Squeeze StringNormalizer Sub Sum Swish
Tan Tanh TensorScatter TfIdfVectorizer ThresholdedRelu Tile TopK Transpose Trilu Unique Unsqueeze
Upsample Where Xor
"""
_NO_MULTIPLICATIONS = frozenset(_WITHOUT_MULTIPLICATIONS.split())
"""Operators of the standard domain that neither multiply matrices nor convolve."""
_STANDARD = ("", "ai.onnx")
_SAME = ("SAME_UPPER", "SAME_LOWER")

Shape = tuple[int, ...]


def network_from_onnx(
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    batch: int | None = None,
    input_shape: Sequence[int] | None = None,
    partial: bool = False,
) -> Network:
    """Return the layers that multiply in an ONNX file, with their shapes, in the order of the file.

    Only shapes are read: weights in files beside it are not, and nothing in the file is run. Biases,
    normalisation, pooling and elementwise products are no layers.

    Parameters
    ----------
    path : path
    name : str, optional
        The file's name where it is not given.
    batch : int, optional
        Samples per training step that the network is to have; the first axis of the first input where it is
        not given, 1 where that is open.
    input_shape : sequence of int, optional
        Shape of the first input with its samples, where the file leaves axes open other than the first.
    partial : bool
        Leave out operators that cannot be layers, such as recurrent ones, and list them in the network's
        description, instead of raising.

    Returns
    -------
    Network
        Layers are named like their weights without ``.weight``, or like their nodes.

    Raises
    ------
    SpecError
        When the file is no ONNX, a shape is not known, or an operator is not supported: with all of them.
    OSError
        When the file cannot be read.
    """
    file = str(path)
    onnx = _library()
    model = _load(onnx, path, file)
    first = _open_axes(model, input_shape, file)
    try:
        from onnx.inliner import inline_local_functions

        model = inline_local_functions(model)
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception as error:  # noqa: BLE001  # onnx raises what its C++ throws
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise SpecError(Issue(f"shapes cannot be inferred: {reason}", file=file)) from None
    collector = Collector(batch=first[0] if first else 1)
    _Graph(onnx, model.graph, collector).read()
    title = name or Path(file).stem
    source = f"imported from {Path(file).name}"
    if model.producer_name:
        source += f", written by {model.producer_name} {model.producer_version}".rstrip()
    return collector.network(
        title,
        source=source,
        shape=first[1:],
        batch=batch or (first[0] if first else 1),
        partial=partial,
        file=file,
    )


def _library() -> Any:
    try:
        import onnx
        import onnx.shape_inference
    except ImportError:
        message = "importing ONNX needs the package onnx"
        raise SpecError(Issue(message, "pip install 'procrustes-model[onnx]'")) from None
    return onnx


def _load(onnx: Any, path: str | os.PathLike[str], file: str) -> Any:
    content = Path(path).read_bytes()
    try:
        # Weights in other files are not needed for shapes, and stay unread.
        model = onnx.load_model_from_string(content)
    except Exception:  # noqa: BLE001  # protobuf's error is not onnx's to name
        model = None
    if model is None or not model.graph.node:
        raise SpecError(Issue("this is no ONNX model, or one without nodes", file=file))
    return model


def _open_axes(model: Any, input_shape: Sequence[int] | None, file: str) -> Shape:
    """Give open axes of the inputs a length: 1 for samples, those of `input_shape`; return the first's."""
    weights = {one.name for one in model.graph.initializer}
    inputs = [one for one in model.graph.input if one.name not in weights]
    first: Shape = ()
    issues = []
    for index, one in enumerate(inputs):
        axes = one.type.tensor_type.shape.dim
        given = tuple(input_shape) if input_shape is not None and index == 0 else None
        if given is not None and (len(given) != len(axes) or min(given, default=1) < 1):
            message = f"the input '{one.name}' has {len(axes)} axes, not the {len(given)} of the shape given"
            raise SpecError(Issue(message, "give every axis at least 1, samples first", file))
        for place, axis in enumerate(axes):
            if given is not None:
                axis.dim_value = given[place]
            elif not axis.dim_value and place == 0:
                axis.dim_value = first[0] if first else 1
        if any(not axis.dim_value for axis in axes):
            shape = "x".join(str(axis.dim_value or axis.dim_param or "?") for axis in axes)
            hint = "say them, such as --input-shape 1x3x224x224" if index == 0 else "fix them in the file"
            issues.append(Issue(f"the input '{one.name}' leaves axes open: {shape}", hint, file))
        elif index == 0:
            first = tuple(axis.dim_value for axis in axes)
    if issues:
        raise SpecError(issues)
    if input_shape is not None:
        # Shapes inside were for another input.
        del model.graph.value_info[:]
        for one in model.graph.output:
            one.type.tensor_type.ClearField("shape")
    return first


class _Graph:
    """Walks the nodes of a graph and turns those that multiply into layers."""

    def __init__(self, onnx: Any, graph: Any, collector: Collector) -> None:
        self._attribute = onnx.helper.get_attribute_value
        self._graph = graph
        self._collector = collector
        self._weights = {one.name for one in graph.initializer}
        self._weights |= {one.values.name for one in graph.sparse_initializer}
        self._source = {name: name for name in self._weights}
        self._shapes: dict[str, Shape] = {one.name: tuple(one.dims) for one in graph.initializer}
        self._shapes |= {one.values.name: tuple(one.dims) for one in graph.sparse_initializer}
        for one in (*graph.value_info, *graph.input, *graph.output):
            tensor = one.type.tensor_type
            axes = tensor.shape.dim
            if one.type.HasField("tensor_type") and tensor.HasField("shape"):
                sizes = tuple(axis.dim_value for axis in axes)
                if all(sizes):
                    self._shapes.setdefault(one.name, sizes)

    def read(self) -> None:
        """Add every node that multiplies."""
        readers = {"Conv": self._conv, "Gemm": self._gemm, "MatMul": self._matmul}
        for node in self._graph.node:
            inputs = [name for name in node.input if name]
            constant = node.op_type == "Constant" or (
                bool(inputs) and all(name in self._weights for name in inputs)
            )
            standard = node.domain in _STANDARD
            if constant and standard and node.op_type not in readers:
                self._weights.update(node.output)
                self._source.update(dict.fromkeys(node.output, self._source.get(next(iter(inputs), ""), "")))
            elif standard and node.op_type in readers:
                unknown = [name for name in node.input[:2] if name not in self._shapes]
                if unknown:
                    self._collector.leave_out(f"'{self._name(node)}': the shape of '{unknown[0]}' is unknown")
                    continue
                readers[node.op_type](
                    node, {one.name: self._attribute(one) for one in node.attribute}, self._name(node)
                )
            elif not standard or node.op_type not in _NO_MULTIPLICATIONS:
                domain = "" if standard else f"{node.domain}."
                self._collector.leave_out(f"'{self._name(node)}': operator {domain}{node.op_type}")

    def _name(self, node: Any) -> str:
        """Return the name of a node's weights, as training knows them, or its own."""
        for name in node.input[:2]:
            source = self._source.get(name, "")
            if source.endswith(".weight"):
                return str(source.removesuffix(".weight"))
        return str(node.name or next(iter(node.output), "") or node.op_type)

    def _conv(self, node: Any, attributes: Mapping[str, Any], name: str) -> None:
        inputs, weight = self._shapes[node.input[0]], self._shapes[node.input[1]]
        if node.input[1] not in self._weights:
            self._collector.leave_out(f"'{name}': a convolution with computed weights")
            return
        size, axes = inputs[2:], len(inputs) - 2
        stride = tuple(attributes.get("strides", (1,) * axes))
        dilation = tuple(attributes.get("dilations", (1,) * axes))
        pads = tuple(attributes.get("pads", (0,) * 2 * axes))
        if _text(attributes.get("auto_pad", "NOTSET")) in _SAME:
            pads = _same_padding(size, weight[2:], stride, dilation)
        self._collector.convolve(
            name,
            weight=weight,
            size=size,
            groups=int(attributes.get("group", 1)),
            stride=stride,
            dilation=dilation,
            before=pads[:axes],
            after=pads[axes:],
        )

    def _gemm(self, node: Any, attributes: Mapping[str, Any], name: str) -> None:
        left, right = self._shapes[node.input[0]], self._shapes[node.input[1]]
        left = left[::-1] if attributes.get("transA") else left
        right = right[::-1] if attributes.get("transB") else right
        self._product(name, left, right, *(one in self._weights for one in node.input[:2]))

    def _matmul(self, node: Any, _attributes: Mapping[str, Any], name: str) -> None:
        left, right = self._shapes[node.input[0]], self._shapes[node.input[1]]
        left = (1, *left) if len(left) == 1 else left
        right = (*right, 1) if len(right) == 1 else right
        self._product(name, left, right, *(one in self._weights for one in node.input[:2]))

    def _product(self, name: str, left: Shape, right: Shape, left_fixed: bool, right_fixed: bool) -> None:
        if left_fixed and right_fixed:
            # Weights that are only prepared; nothing per sample.
            self._collector.leave_out(f"'{name}': a product of weights only")
            return
        if left_fixed:
            # W X is (X' W')'.
            left, right = (*right[:-2], right[-1], right[-2]), (*left[:-2], left[-1], left[-2])
        weights = left_fixed or right_fixed
        rows, inner, columns = left[-2], left[-1], right[-1]
        stacked, copies = math.prod(right[:-2]), math.prod(_broadcast(left[:-2], right[:-2]))
        if not weights:
            if len(left) == 2 and self._collector.batch > 1:
                self._collector.leave_out(f"'{name}': a product across samples; import it with a batch of 1")
                return
            self._collector.multiply(name, rows, inner, columns, weights=False, copies=copies)
            return
        # Separate matrices of weights are layers of their own.
        for _ in range(stacked):
            self._collector.multiply(name, rows * copies // stacked, inner, columns, weights=True)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _same_padding(size: Shape, kernel: Shape, stride: Shape, dilation: Shape) -> Shape:
    """Return padding, starts then ends, that gives ceil(size / stride) outputs."""
    totals = [
        max(0, (-(-n // step) - 1) * step + (window - 1) * gap + 1 - n)
        for n, window, step, gap in zip(size, kernel, stride, dilation, strict=True)
    ]
    return (*(total // 2 for total in totals), *(total - total // 2 for total in totals))


def _broadcast(left: Iterable[int], right: Iterable[int]) -> Shape:
    """Return the axes that two lists of axes have together, the last of each aligned."""
    ours, others = list(left), list(right)
    length = max(len(ours), len(others))
    ours, others = [1] * (length - len(ours)) + ours, [1] * (length - len(others)) + others
    return tuple(max(pair) for pair in zip(ours, others, strict=True))
