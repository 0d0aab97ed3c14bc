"""ONNX's operators that multiply, as layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from procrustes_model.workloads.onnx_attention import Attention
from procrustes_model.workloads.onnx_call import Call, UnfitError
from procrustes_model.workloads.onnx_file import Shape
from procrustes_model.workloads.onnx_values import STANDARD, Value

_MICROSOFT = "com.microsoft"
_SAME = ("SAME_UPPER", "SAME_LOWER")
_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


class Operators(Attention):
    """Turns nodes that multiply into layers; see `Products`."""

    def reader(self, node: Any) -> Callable[[Call], list[Value] | None] | None:
        """Return what adds the layers of a node and may return its outputs, or None where nothing does."""
        method = _METHODS.get(("" if node.domain in STANDARD else node.domain, node.op_type))
        return None if method is None else getattr(self, method)

    def convolve(self, call: Call) -> list[Value]:
        """Add ``Conv`` and what is like it: input and weights first."""
        return self._convolve(call, 0, 1)

    def convolve_quantised(self, call: Call) -> list[Value]:
        """Add ``QLinearConv``: each tensor is followed by its scale and its zero point."""
        return self._convolve(call, 0, 3)

    def convolve_transposed(self, call: Call) -> list[Value] | None:
        """Add ``ConvTranspose``."""
        _, sizes = call.known(0)
        weight, kernel = self._kernel(call, 1, sizes)
        axes = len(sizes) - 2
        if kernel[0] != sizes[1]:
            raise UnfitError(f"its weights take {kernel[0]} channels, its input has {sizes[1]}")
        self.collector.convolve(
            self._weights_name(call, weight),
            weight=kernel,
            size=sizes[2:],
            groups=call.number("group", 1),
            stride=call.numbers("strides", (1,) * axes),
            dilation=call.numbers("dilations", (1,) * axes),
            images=self._of_all(sizes[0]),
            transposed=True,
        )
        return None

    def _kernel(self, call: Call, place: int, sizes: Shape) -> tuple[Value, Shape]:
        weight, kernel = call.known(place)
        if len(sizes) < 3 or len(kernel) != len(sizes):
            raise UnfitError(f"its input has {len(sizes)} axes, its weights {len(kernel)}")
        if not weight.constant:
            raise UnfitError("a convolution with computed weights")
        if not all(kernel) or not all(sizes):
            raise UnfitError("a convolution without elements")
        call.numbers("kernel_shape", kernel[2:])
        if tuple(call.attributes.get("kernel_shape") or kernel[2:]) != kernel[2:]:
            raise UnfitError(f"its attribute kernel_shape is not that of its weights, {list(kernel[2:])}")
        return weight, kernel

    def _convolve(self, call: Call, data: int, place: int) -> list[Value]:
        value, sizes = call.known(data)
        last = bool(call.attributes.get("channels_last")) and call.node.domain == _MICROSOFT
        if last and len(sizes) > 2:
            sizes = (sizes[0], sizes[-1], *sizes[1:-1])
        weight, kernel = self._kernel(call, place, sizes)
        axes, groups = len(sizes) - 2, call.number("group", 1)
        stride, dilation = (call.numbers(name, (1,) * axes) for name in ("strides", "dilations"))
        if groups < 1 or kernel[1] * groups != sizes[1]:
            reads = (
                f"{kernel[1]} channels in each of {groups} groups" if groups != 1 else f"{kernel[1]} channels"
            )
            raise UnfitError(f"its weights take {reads}, its input has {sizes[1]}")
        pads = call.numbers("pads", (0,) * 2 * axes, least=None)
        automatic = call.text("auto_pad", "NOTSET")
        if automatic == "VALID":
            pads = (0,) * 2 * axes
        elif automatic in _SAME:
            pads = _same_padding(sizes[2:], kernel[2:], stride, dilation, upper=automatic == "SAME_UPPER")
        places = []
        for axis, size in enumerate(sizes[2:]):
            span = (kernel[axis + 2] - 1) * dilation[axis] + 1
            padded = size + pads[axis] + pads[axis + axes]
            if span > padded:
                raise UnfitError(f"the kernel spans {span}, more than its padded input of {padded}")
            places.append((padded - span) // stride[axis] + 1)
        self.collector.convolve(
            self._weights_name(call, weight),
            weight=kernel,
            size=sizes[2:],
            groups=groups,
            stride=stride,
            dilation=dilation,
            before=pads[:axes],
            after=pads[axes:],
            images=self._of_all(sizes[0]),
        )
        shape = (sizes[0], *places, kernel[0]) if last else (sizes[0], kernel[0], *places)
        return [Value(value.kind, shape)]

    def warp(self, call: Call) -> None:
        """Add ``AffineGrid``: every place of a grid is multiplied with a small matrix of its sample."""
        samples, axes, inner = call.shape(0, 3)
        size = call.known(1)[0].data
        if size is None:
            raise UnfitError("the size of its grid is unknown")
        places = math.prod(int(one) for one in size.reshape(-1).tolist()[2:])
        if places > 0 < samples:
            name = self.namer.node(call.node, call.prefix)
            copies = self._of_all(samples)
            self.collector.multiply(name, places, inner, axes, weights=False, copies=copies)

    def recur(self, call: Call) -> None:
        """Add ``LSTM``, ``GRU`` or ``RNN``: per direction, the products with the input and with the state."""
        sizes = call.shape(0, 3)
        steps, samples = (sizes[1], sizes[0]) if call.number("layout", 0) else sizes[:2]
        gates = _GATES[call.operator.removeprefix("DynamicQuantize")]
        if not call.number("layout", 0):
            self.sequences.add((steps, samples))
        names = self.namer.recurrent(call.node, call.prefix)
        packed = call.operator.startswith("DynamicQuantize")
        layers = []
        for place in (1, 2):
            weight, shape = call.known(place)
            if not weight.constant:
                raise UnfitError("a recurrent cell with computed weights")
            shape = call.shape(place, 3)
            directions, outputs, inner = (shape[0], shape[2], shape[1]) if packed else shape
            hidden = outputs // gates
            if outputs % gates or directions not in (1, 2) or inner != (sizes[2] if place == 1 else hidden):
                raise UnfitError(f"its weights have shape {list(shape)}, its input {list(sizes)}")
            name = self.namer.parameter(weight.source) or names[place - 1]
            if weight.source:
                self.used.add(weight.source)
            layers += [(f"{name}{end}", inner, outputs) for end in ("", "_reverse")[:directions]]
        # Both products of a direction together, as they run.
        half = len(layers) // 2
        for forward in range(half):
            for name, inner, outputs in (layers[forward], layers[half + forward]):
                self._add(name, steps * samples, inner, outputs)


_READERS: dict[str, dict[str, Sequence[str]]] = {
    "": {
        "convolve": ("Conv", "ConvInteger"),
        "convolve_quantised": ("QLinearConv",),
        "convolve_transposed": ("ConvTranspose",),
        "multiply": ("MatMul", "Gemm", "MatMulInteger"),
        "multiply_quantised": ("QLinearMatMul",),
        "recur": ("LSTM", "GRU", "RNN"),
        "sum_products": ("Einsum",),
        "attend": ("Attention",),
        "warp": ("AffineGrid",),
    },
    _MICROSOFT: {
        "convolve": ("FusedConv",),
        "convolve_quantised": ("QLinearConv",),
        "multiply": [
            "FusedGemm",
            "FusedMatMul",
            "FusedMatMulActivation",
            "TransposeMatMul",
            "GemmFastGelu",
            "MatMulInteger16",
            "MatMulIntegerToFloat",
            "DynamicQuantizeMatMul",
        ],
        "multiply_quantised": ("QLinearMatMul", "QGemm"),
        "multiply_packed": ("MatMulNBits", "MatMulBnb4", "MatMulFpQ4"),
        "recur": ("DynamicQuantizeLSTM",),
        "attend_projected": ("Attention", "QAttention"),
        "attend_heads": ("MultiHeadAttention", "GroupQueryAttention"),
    },
}
"""Which method adds the layers of which operators, by domain."""

_METHODS = {
    (domain, operator): method
    for domain, methods in _READERS.items()
    for method, operators in methods.items()
    for operator in operators
}


def _same_padding(size: Shape, kernel: Shape, stride: Shape, dilation: Shape, *, upper: bool) -> Shape:
    """Return padding, starts then ends, that gives ceil(size / stride) outputs."""
    totals = [
        max(0, (-(-n // step) - 1) * step + (window - 1) * gap + 1 - n)
        for n, window, step, gap in zip(size, kernel, stride, dilation, strict=True)
    ]
    less, more = tuple(total // 2 for total in totals), tuple(total - total // 2 for total in totals)
    return (*less, *more) if upper else (*more, *less)
