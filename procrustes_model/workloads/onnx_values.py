"""What is known of the values in an ONNX graph: their shapes, and those that are constant."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from procrustes_model.spec.schema import LARGEST_PRODUCT
from procrustes_model.workloads.onnx_file import KEPT, Shape

STANDARD = ("", "ai.onnx")
_PLACES = (6, 7, 9)
"""ONNX's numbers of int32, int64 and bool: shapes, places and conditions, not weights."""

_FOLDED_NAMES = """
Abs Add And ArgMax ArgMin Cast CastLike Ceil Clip Compress Concat ConstantOfShape CumSum Div Equal Expand
Flatten Floor Gather GatherElements GatherND Greater GreaterOrEqual Identity Less LessOrEqual Max Min Mod
Mul Neg NonZero Not Or Pad Pow Range Reciprocal ReduceMax ReduceMin ReduceProd ReduceSum Reshape Round
ScatterElements ScatterND Sign Slice Split Sqrt Squeeze Sub Sum Tile TopK Transpose Trilu Unique Unsqueeze
Where Xor
"""
_FOLDED = frozenset(_FOLDED_NAMES.split())
"""Operators with which graphs compute shapes and axes."""
_NO_LARGER = ("Compress", "NonZero", "Unique")
"""Those of them whose output depends on values, but has at most as many elements as the input, or its axes
times as many."""
_LIKE_INPUT_NAMES = """
BiasAdd BiasDropout BiasGelu BiasSoftmax DequantizeLinear FastGelu Gelu GroupNorm
LayerNormalization QLinearLeakyRelu QLinearSigmoid QLinearSoftmax QuantizeLinear QuickGelu RotaryEmbedding
SimplifiedLayerNormalization SkipGroupNorm SkipLayerNormalization SkipSimplifiedLayerNormalization
"""
_LIKE_INPUT = frozenset(_LIKE_INPUT_NAMES.split())
"""Operators of other domains with outputs as large as their first input."""
_LIKE_STANDARD: dict[str, tuple[str, slice]] = {
    "QLinearAdd": ("Add", slice(0, 4, 3)),
    "QLinearAveragePool": ("AveragePool", slice(0, 1)),
    "QLinearConcat": ("Concat", slice(2, None, 3)),
    "QLinearGlobalAveragePool": ("GlobalAveragePool", slice(0, 1)),
    "QLinearMul": ("Mul", slice(0, 4, 3)),
    "QLinearReduceMean": ("ReduceMean", slice(0, 1)),
    "QLinearWhere": ("Where", slice(0, 5, 2)),
}
"""Operators of other domains whose shapes are those of a standard one with some of the inputs."""


@dataclass(frozen=True, slots=True)
class Value:
    """What is known of one value.

    Attributes
    ----------
    kind : int
        ONNX's number of its elements' type, 0 where it is unknown.
    shape : tuple of int, optional
        None where it is unknown.
    constant : bool
        Whether it is the same for all inputs: weights, and what is computed from them and from shapes.
    data : array, optional
        Of a constant with few elements.
    source : str
        The initializer that it holds in another form; empty where it is none.
    trained : bool
        Whether it comes from an initializer.
    rows : (int, int, int, int), optional
        The first and the end of the rows of the initializer that it holds, of how many, and of how many axes.
    flipped : bool
        Whether its last two axes lie the other way round than the initializer's.
    why : str
        Why its shape is unknown.
    """

    kind: int = 0
    shape: Shape | None = None
    constant: bool = False
    data: NDArray[Any] | None = None
    source: str = ""
    trained: bool = False
    rows: tuple[int, int, int, int] | None = None
    flipped: bool = False
    why: str = ""

    @property
    def part(self) -> str:
        """Rows of an initializer that it holds, as an index: "[3]" of a stack, "[0:64]" of others, "" all."""
        if self.rows is None or self.rows[1] - self.rows[0] >= self.rows[2]:
            return ""
        start, stop, _, axes = self.rows
        return f"[{start}]" if stop - start == 1 and axes > 2 else f"[{start}:{stop}]"

    @property
    def size(self) -> int:
        """The number of elements; 0 where it is unknown."""
        return 0 if self.shape is None else math.prod(self.shape)


UNKNOWN = Value()


def read_shape(kind: Any, lengths: Mapping[str, int]) -> Value:
    """Return a value of an ``onnx.TypeProto``, with the lengths of axes that have names."""
    if not kind.HasField("tensor_type"):
        return UNKNOWN
    tensor = kind.tensor_type
    if not tensor.HasField("shape"):
        return Value(kind=tensor.elem_type)
    sizes = []
    for axis in tensor.shape.dim:
        if axis.HasField("dim_value") and axis.dim_value >= 0:
            sizes.append(axis.dim_value)
        elif axis.dim_param in lengths:
            sizes.append(lengths[axis.dim_param])
        else:
            return Value(kind=tensor.elem_type)
    shape = tuple(map(int, sizes))
    return Value(kind=tensor.elem_type, shape=shape if math.prod(shape) <= LARGEST_PRODUCT else None)


class Inference:
    """Finds the types, shapes and, where they are small constants, values of what nodes compute.

    Parameters
    ----------
    onnx : module
    versions : mapping of str to int
        Of the operators of each domain.
    """

    def __init__(self, onnx: Any, versions: Mapping[str, int]) -> None:
        self._onnx = onnx
        self._versions = {("" if domain in STANDARD else domain): one for domain, one in versions.items()}
        self._schemas: dict[tuple[str, str], Any] = {}

    def read_tensor(self, tensor: Any, *, name: str = "") -> Value:
        """Return the value of an ``onnx.TensorProto``; `name` where it is an initializer."""
        shape = tuple(int(one) for one in tensor.dims)
        data = None
        if math.prod(shape) <= KEPT and tensor.data_location != self._onnx.TensorProto.EXTERNAL:
            try:
                data = self._onnx.numpy_helper.to_array(tensor)
            except Exception:  # noqa: BLE001  # without its values, a tensor still has a shape
                data = None
        return Value(
            tensor.data_type,
            shape,
            constant=True,
            data=data,
            source=name,
            trained=bool(name) and math.prod(shape) > 1,
            rows=(0, shape[0], shape[0], len(shape)) if name and len(shape) > 1 else None,
        )

    def read_constant(self, attributes: Mapping[str, Any]) -> Value:
        """Return the value of a node Constant."""
        if "value" in attributes:
            return self.read_tensor(attributes["value"])
        if "sparse_value" in attributes:
            one = attributes["sparse_value"]
            return Value(one.values.data_type, tuple(map(int, one.dims)), constant=True)
        name, value = next(iter(attributes.items()), ("", None))
        kinds = {
            "value_float": np.float32,
            "value_floats": np.float32,
            "value_int": np.int64,
            "value_ints": np.int64,
        }
        if name not in kinds:
            return Value(constant=True)
        data = np.asarray(value, kinds[name])
        return Value(self._kind(data), data.shape, constant=True, data=data if data.size <= KEPT else None)

    def _kind(self, data: NDArray[Any]) -> int:
        try:
            return int(self._onnx.helper.np_dtype_to_tensor_dtype(data.dtype))
        except (KeyError, ValueError):
            return 0

    def infer(self, node: Any, inputs: Sequence[Value | None]) -> list[Value]:
        """Return what is known of a node's outputs.

        Parameters
        ----------
        node : onnx.NodeProto
        inputs : sequence of Value or None
            None for one that is left out.

        Returns
        -------
        list of Value
        """
        given = [one for one in inputs if one is not None]
        constant = bool(given) and all(one.constant for one in given)
        if node.domain not in STANDARD:
            outputs, reason = self._of_other_domain(node, inputs), ""
        elif node.op_type in ("Shape", "Size") and given and given[0].shape is not None:
            return [self._of_shape(node, given[0].shape)]
        else:
            outputs, reason = self._of_schema(node, inputs)
        folded = self._fold(node, inputs, outputs) if constant and node.domain in STANDARD else None
        origin = _origin(given) if constant else UNKNOWN
        flipped = origin.flipped != (node.op_type == "Transpose" and _flips(node))
        shapes = [one.shape for one in outputs]
        result = []
        for index, one in enumerate(outputs):
            data = folded[index] if folded else None
            result.append(
                Value(
                    one.kind if data is None else self._kind(data),
                    one.shape if data is None else data.shape,
                    constant=constant,
                    data=data,
                    source=origin.source,
                    trained=origin.trained,
                    rows=_rows(node, inputs, origin, shapes, index),
                    flipped=flipped,
                    why=reason if one.shape is None and data is None else "",
                )
            )
        return result

    def _of_shape(self, node: Any, shape: Shape) -> Value:
        attributes = {one.name: one.i for one in node.attribute}
        if node.op_type == "Size":
            data: NDArray[Any] = np.asarray(math.prod(shape), np.int64)
        else:
            data = np.asarray(shape[attributes.get("start", 0) : attributes.get("end", len(shape))], np.int64)
        return Value(self._onnx.TensorProto.INT64, data.shape, constant=True, data=data)

    def _of_schema(self, node: Any, inputs: Sequence[Value | None]) -> tuple[list[Value], str]:
        schema = self._schema(node.domain, node.op_type)
        unknown = [UNKNOWN] * len(node.output)
        if schema is None:
            return unknown, ""
        types, data = {}, {}
        for name, value in zip(node.input, inputs, strict=True):
            if value is None:
                continue
            if not value.kind:
                return unknown, ""
            if value.shape and max(value.size, *value.shape) > LARGEST_PRODUCT:
                return unknown, "an input is too large"
            types[name] = self._onnx.helper.make_tensor_type_proto(value.kind, value.shape)
            if value.data is not None and value.data.dtype.kind in "iufb":
                data[name] = self._onnx.numpy_helper.from_array(value.data)
        opsets = [self._onnx.helper.make_opsetid(domain, one) for domain, one in self._versions.items()]
        try:
            found = self._onnx.shape_inference.infer_node_outputs(
                schema, node, types, data, opset_imports=opsets
            )
        except Exception as error:  # noqa: BLE001  # onnx raises what its C++ throws
            lines = str(error).strip().splitlines()
            return unknown, lines[0][:200] if lines else type(error).__name__
        return [read_shape(found[name], {}) if name in found else UNKNOWN for name in node.output], ""

    def _schema(self, domain: str, operator: str) -> Any:
        domain = "" if domain in STANDARD else domain
        key = domain, operator
        if key not in self._schemas:
            try:
                version = self._versions.get(domain, 1)
                self._schemas[key] = self._onnx.defs.get_schema(operator, min(version, 2**31 - 1), domain)
            except Exception:  # noqa: BLE001  # a SchemaError of onnx's C++
                self._schemas[key] = None
        return self._schemas[key]

    def _of_other_domain(self, node: Any, inputs: Sequence[Value | None]) -> list[Value]:
        outputs = [UNKNOWN] * len(node.output)
        if node.op_type in _LIKE_INPUT and inputs and inputs[0] is not None:
            # Of SkipLayerNormalization and its like the fourth output is the sum that it normalises.
            for place in (0, 3) if node.op_type.startswith("Skip") else (0,):
                if place < len(outputs):
                    outputs[place] = Value(inputs[0].kind, inputs[0].shape)
        elif node.op_type in _LIKE_STANDARD:
            operator, chosen = _LIKE_STANDARD[node.op_type]
            names = list(node.input)[chosen]
            if names:
                like = self._onnx.helper.make_node(operator, names, node.output[:1])
                like.attribute.extend(node.attribute)
                outputs[0] = self._of_schema(like, inputs[chosen])[0][0]
        return outputs

    def _fold(
        self, node: Any, inputs: Sequence[Value | None], outputs: Sequence[Value]
    ) -> list[NDArray[Any] | None] | None:
        """Return the values of a node's outputs, where those of its inputs are known and few."""
        if node.op_type not in _FOLDED or any(one is not None and one.data is None for one in inputs):
            return None
        small = all(one.shape is not None and one.size <= KEPT for one in outputs)
        if not small and node.op_type not in _NO_LARGER:
            return None
        feeds = {name: one.data for name, one in zip(node.input, inputs, strict=True) if one is not None}
        try:
            with np.errstate(all="ignore"):
                run = self._onnx.reference.ReferenceEvaluator(node, opsets={"": self._versions.get("", 1)})
                results = [np.asarray(one) for one in run.run(None, feeds)]
        except Exception:  # noqa: BLE001  # what cannot be computed is not known
            return None
        return [one if one.size <= KEPT * 8 else None for one in results]


def _origin(inputs: Iterable[Value]) -> Value:
    """Return of which constant others are a scaled or masked form: the largest one with a name."""
    named = [one for one in inputs if one.source and one.kind not in _PLACES]
    largest = max((one.size for one in named), default=0)
    return next((one for one in named if one.size == largest), UNKNOWN)


def _rows(
    node: Any, inputs: Sequence[Value | None], origin: Value, shapes: Sequence[Shape | None], place: int
) -> tuple[int, int, int, int] | None:
    """Return which rows of an initializer an output holds; None where that is not known."""
    shape = shapes[place]
    if origin.rows is None or shape is None:
        return None
    if math.prod(shape) == origin.size:
        return origin.rows
    start, stop, total, axes = origin.rows
    if origin.flipped or not origin.shape or origin.shape[0] != stop - start or not shape:
        return None
    axis = next((one.i for one in node.attribute if one.name == "axis"), 0)
    numbers = [
        None
        if one is None or one.data is None or one.data.dtype.kind != "i"
        else one.data.reshape(-1).tolist()
        for one in inputs
    ]
    count = shape[0]
    if node.op_type == "Split" and axis in (0, -len(origin.shape)):
        earlier = [one[0] for one in shapes[:place] if one]
        first = sum(earlier) if len(earlier) == place else None
    elif node.op_type == "Slice" and len(numbers) > 2 and numbers[1] and shape[1:] == origin.shape[1:]:
        along = numbers[3:4] in ([], [[0]], [[-len(origin.shape)]], [None])
        steps = numbers[4:5] in ([], [[1]], [None])
        first = numbers[1][0] + (stop - start if numbers[1][0] < 0 else 0) if along and steps else None
    elif node.op_type == "Gather" and axis in (0, -len(origin.shape)) and numbers[1] and len(numbers[1]) == 1:
        first, count = numbers[1][0] + (stop - start if numbers[1][0] < 0 else 0), 1
    else:
        first = None
    if first is None or not 0 <= first <= stop - start - count:
        return None
    return start + first, start + first + count, total, axes


def _flips(node: Any) -> bool:
    """Return whether a Transpose changes the order of the last two axes."""
    order = next((list(one.ints) for one in node.attribute if one.name == "perm"), [1, 0])
    return len(order) > 1 and order[-2] > order[-1]
