"""ONNX's products of matrices and its sums of products, as layers."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from procrustes_model.errors import SpecError
from procrustes_model.printable import quote
from procrustes_model.workloads.imports import Collector
from procrustes_model.workloads.onnx_call import AcrossSamplesError, Call, UnfitError
from procrustes_model.workloads.onnx_file import Shape
from procrustes_model.workloads.onnx_names import Namer
from procrustes_model.workloads.onnx_values import UNKNOWN, Value
from procrustes_model.workloads.problem_layers import einsum

_CELL = re.compile(r"(^|\.)weight_(ih|hh|hr)(_l\d+(_reverse)?)?$")
"""Names that PyTorch gives the weights of recurrent cells."""
_BIASES = {"Conv": 2, "FusedConv": 2, "ConvTranspose": 2, "Gemm": 2, "FusedGemm": 2, "GemmFastGelu": 2}
_BIASES |= {"QLinearConv": 8, "QGemm": 6, "MatMulNBits": 5, "Attention": 2, "QAttention": 2}
"""Which input of an operator is its bias."""


class Products:
    """Turns products of matrices, and sums of products, into layers.

    Parameters
    ----------
    collector : Collector
        Takes the layers.
    namer : Namer

    Attributes
    ----------
    repeat : int
        How many times the node runs, in a loop.
    used : set of str
        Initializers that are weights of a layer.
    sequences : set of (int, int)
        Steps and samples of the recurrent operators' inputs.
    """

    def __init__(self, collector: Collector, namer: Namer) -> None:
        self.collector = collector
        self.namer = namer
        self.repeat = 1
        self.used: set[str] = set()
        self.sequences: set[tuple[int, int]] = set()
        self._cells: dict[tuple[str, int, int], tuple[dict[str, Any], int]] = {}

    def multiply(self, call: Call) -> list[Value]:
        """Add ``MatMul`` and what is like it: two operands first."""
        return self._multiply(call, 0, 1)

    def multiply_quantised(self, call: Call) -> list[Value]:
        """Add ``QLinearMatMul`` and ``QGemm``: each operand is followed by its scale and its zero point."""
        return self._multiply(call, 0, 3)

    def multiply_packed(self, call: Call) -> list[Value]:
        """Add ``MatMulNBits`` and others with packed weights, whose size stands in K and N."""
        value, left = call.known(0)
        inner, columns = call.number("K", 0), call.number("N", 0)
        if not left or inner < 1 or columns < 1 or left[-1] != inner:
            raise UnfitError(f"its attributes K and N are {inner} and {columns}, its input has {list(left)}")
        packed = call.input(1) or UNKNOWN
        self._add(self._weights_name(call, packed), math.prod(left[:-1]), inner, columns)
        return [Value(value.kind, (*left[:-1], columns))]

    def _multiply(self, call: Call, first: int, second: int) -> list[Value]:
        (left, ours), (right, others) = call.known(first), call.known(second)
        gemm = call.operator.endswith("Gemm")
        if gemm and (len(ours) != 2 or len(others) != 2):
            raise UnfitError(f"its operands have {len(ours)} and {len(others)} axes, not 2")
        if not ours or not others:
            raise UnfitError("an operand is a single number")
        vectors = len(ours) == 1, len(others) == 1
        ours = (1, *ours) if vectors[0] else ours
        others = (*others, 1) if vectors[1] else others
        ours = _turned(ours, call, "A")
        others = _turned(others, call, "B")
        if ours[-1] != others[-2]:
            raise UnfitError(f"its operands have {ours[-1]} and {others[-2]} numbers to sum over")
        stacked = _broadcast(ours[:-2], others[:-2])
        turned = (bool(call.attributes.get("transA")), bool(call.attributes.get("transB")))
        self._product(call, (left, right), (ours, others), turned)
        rows = () if vectors[0] else (ours[-2],)
        columns = () if vectors[1] else (others[-1],)
        return [Value(left.kind, (*stacked, *rows, *columns))]

    def _product(
        self,
        call: Call,
        operands: tuple[Value, Value],
        shapes: tuple[Shape, Shape],
        turned: tuple[bool, bool],
    ) -> None:
        (left, right), (ours, others) = operands, shapes
        if not all((*ours, *others)):
            return
        copies = math.prod(_broadcast(ours[:-2], others[:-2]))
        side = _weights_side(left, right)
        rows, inner, columns = ours[-2], ours[-1], others[-1]
        if side is None and left.constant and right.constant:
            if left.trained and right.trained and inner > 1:
                name = quote(self.namer.node(call.node, call.prefix))
                self.collector.note(f"{name}: a product of weights only, once for all samples")
            return
        if side is None:
            if len(ours) == 2 and len(others) == 2 and self.collector.batch > 1:
                raise AcrossSamplesError
            self.collector.multiply(
                self.namer.node(call.node, call.prefix),
                rows,
                inner,
                columns,
                weights=False,
                copies=self._of_all(copies),
            )
            return
        weights, shape = operands[side], shapes[side]
        if side == 0:
            # W X is (X' W')'.
            rows, columns = others[-1], ours[-2]
        stacked = math.prod(shape[:-2])
        # On the right weights are (inputs, outputs) as they are multiplied, on the left (outputs, inputs).
        first = (side == 1) != (turned[side] != weights.flipped)
        name = self._weights_name(call, weights, (columns, inner))
        kept = first and self.namer.keeps_order(weights.source)
        self._add(name, rows * copies // stacked, inner, columns, inputs_first=kept, groups=stacked)

    def _add(
        self,
        name: str,
        rows: int,
        inner: int,
        columns: int,
        *,
        inputs_first: bool = False,
        groups: int = 1,
    ) -> None:
        """Add a product with weights; `rows` are those of all samples, with each of `groups` matrices.

        The steps of a recurrent cell that an exporter wrote out are rows of one product, as of an operator.
        """
        key, total = (name, inner, columns), self._of_all(rows)
        layers = self.collector.layers
        if key in self._cells:
            data, before = self._cells[key]
            if any(one is data for _, one in layers):
                total += before
                data |= {"kind": "matmul", "rows": total // self.collector.batch}
                self._cells[key] = data, total
                return
        self.collector.multiply(
            name, total, inner, columns, weights=True, inputs_first=inputs_first, groups=groups
        )
        added = layers[-1][1]
        if _CELL.search(name) and isinstance(added, dict):
            self._cells[key] = added, total

    def _of_all(self, number: int) -> int:
        """Return how many rows, products or images all samples have together."""
        if number % self.collector.batch:
            raise AcrossSamplesError
        return number * self.repeat

    def _weights_name(self, call: Call, weights: Value, size: tuple[int, int] = (0, 0)) -> str:
        """Return the name of a layer with weights; `size` is (outputs, inputs) of a matrix."""
        if weights.source:
            self.used.add(weights.source)
        bias = call.input(_BIASES.get(call.operator, len(call.inputs)))
        added = bias.source if bias is not None and bias.source else call.bias
        name = self.namer.weights(call.node, call.prefix, weights.source, added, size)
        return name + weights.part if self.namer.keeps_order(weights.source) else name

    def sum_products(self, call: Call) -> None:
        """Add ``Einsum``: the operands are multiplied from the left, two at a time."""
        equation = call.text("equation", "").replace(" ", "")
        shapes = [call.known(place)[1] for place in range(len(call.inputs))]
        texts, result = _letters(equation, shapes)
        sizes = _lengths(texts, shapes)
        left, value = texts[0], call.known(0)[0]
        for place in range(1, len(texts)):
            right, other = texts[place], call.known(place)[0]
            kept = set(result).union(*texts[place + 1 :])
            together = [one for one in dict.fromkeys(left + right) if one in kept]
            self._sum(call, (value, other), (left, right), "".join(together), sizes)
            value = Value(constant=value.constant and other.constant)
            left = "".join(together)

    def _sum(
        self,
        call: Call,
        operands: tuple[Value, Value],
        texts: tuple[str, str],
        result: str,
        sizes: Mapping[str, int],
    ) -> None:
        left, right = (set(text) for text in texts)
        if not left & right - set(result):
            # Nothing is summed over in both: products of elements.
            return
        # What only one operand has and the result has not is summed before.
        groups, inner = left & right & set(result), left & right - set(result)
        rows, columns = (left - right) & set(result), (right - left) & set(result)
        of = {
            name: tuple(sizes[one] for one in dict.fromkeys("".join(texts)) if one in some)
            for name, some in (("groups", groups), ("inner", inner), ("rows", rows), ("columns", columns))
        }
        size = {name: math.prod(lengths) for name, lengths in of.items()}
        ours = (*of["groups"], size["rows"], size["inner"])
        others = (*of["groups"], size["inner"], size["columns"])
        side = _weights_side(*operands)
        turned = [False, False]
        if side is not None:
            order = [one in inner for one in dict.fromkeys(texts[side])]
            matrix = sorted(order) in (order, order[::-1]) and set(texts[side]) <= inner | rows | columns
            if not matrix:
                self._keep_axes(call, operands[side], side, texts, result, sizes)
                return
            # Whether the matrix is kept with its inputs before its outputs.
            turned[side] = order[0] != (side == 1)
        self._product(call, operands, (ours, others), (turned[0], turned[1]))

    def _keep_axes(
        self,
        call: Call,
        weights: Value,
        side: int,
        texts: tuple[str, str],
        result: str,
        sizes: Mapping[str, int],
    ) -> None:
        """Add a sum of products with weights that are no one matrix, with all their axes."""
        common = set(texts[0]) & set(texts[1])
        left, right = (
            "".join(one for one in dict.fromkeys(text) if one in common or one in result) for text in texts
        )
        moved = [one for one in (left, right)[1 - side] if one not in texts[side]]
        batch = next((one for one in moved if sizes[one] % self.collector.batch == 0), None)
        if batch is None and self.collector.batch > 1:
            raise AcrossSamplesError
        if batch is None and self.repeat > 1:
            raise UnfitError("weights of several axes in a loop")
        lengths = dict(sizes)
        if batch is not None:
            lengths[batch] = sizes[batch] // self.collector.batch * self.repeat
        plain = dict(zip(dict.fromkeys(left + right + result), string.ascii_letters, strict=False))
        operands, output = (left, right), "".join(dict.fromkeys(result))
        renamed = ("".join(plain[one] for one in text) for text in (*operands, output))
        try:
            layer = einsum(
                "layer",
                "{},{}->{}".format(*renamed),
                {plain[one]: lengths[one] for one in plain},
                weights=side,
                batch=None if batch is None else plain[batch],
            )
        except SpecError as error:
            raise UnfitError(error.issues[0].message.removeprefix("layer 'layer': ")) from None
        # What is not printable in a name is replaced later.
        self.collector.layers.append((self._weights_name(call, weights), layer))


def _turned(shape: Shape, call: Call, side: str) -> Shape:
    """Return the shape of an operand as it is multiplied: transposed where an attribute says so."""
    if call.attributes.get(f"transBatch{side}") and len(shape) > 2:
        # The first axis is the one of rows, and the batch follows.
        shape = (*shape[1:-1], shape[0], shape[-1])
    return (*shape[:-2], shape[-1], shape[-2]) if call.attributes.get(f"trans{side}") else shape


def _weights_side(left: Value, right: Value) -> int | None:
    """Return which of two operands is weights, None where neither or both are."""
    if left.constant and right.constant:
        # A state of zeros, or a position, is no weights.
        return None if left.trained == right.trained else int(right.trained)
    return 1 if right.constant else 0 if left.constant else None


def _broadcast(left: Iterable[int], right: Iterable[int]) -> Shape:
    """Return the axes that two lists of axes have together, the last of each aligned."""
    ours, others = list(left), list(right)
    length = max(len(ours), len(others))
    ours, others = [1] * (length - len(ours)) + ours, [1] * (length - len(others)) + others
    if any(a != b and 1 not in (a, b) for a, b in zip(ours, others, strict=True)):
        raise UnfitError(f"its operands have axes {ours} and {others} before their last two")
    return tuple(b if a == 1 else a for a, b in zip(ours, others, strict=True))


def _letters(equation: str, shapes: Sequence[Shape]) -> tuple[list[str], str]:
    """Return the letters of an equation's operands and of its result, without dots."""
    left, arrow, result = equation.partition("->")
    texts = left.split(",")
    if len(texts) != len(shapes) or not texts[0]:
        raise UnfitError(f"its equation {quote(equation)} is not one of {len(shapes)} operands")
    free = [one for one in "αβγδεζηθικλμνξοπρστυφχψω" if one not in equation]
    longest = 0
    for place, text in enumerate(texts):
        if "..." in text:
            spread = len(shapes[place]) - len(text) + 3
            if not 0 <= spread <= len(free):
                raise UnfitError(f"{quote(text)} is not of {len(shapes[place])} axes")
            texts[place] = text.replace("...", "".join(free[len(free) - spread :]))
            longest = max(longest, spread)
    dots = "".join(free[len(free) - longest :])
    if not arrow:
        once = "".join(texts)
        result = dots + "".join(sorted(one for one in set(once) if once.count(one) == 1 and one not in dots))
    return texts, result.replace("...", dots)


def _lengths(texts: Sequence[str], shapes: Sequence[Shape]) -> dict[str, int]:
    """Return the length of every letter."""
    sizes: dict[str, int] = {}
    for text, shape in zip(texts, shapes, strict=True):
        if len(text) != len(shape):
            raise UnfitError(f"{quote(text)} is not of {len(shape)} axes")
        for letter, length in zip(text, shape, strict=True):
            known = sizes.get(letter, 1)
            if 1 not in (known, length) and known != length:
                raise UnfitError(f"{quote(letter)} of its equation is {known} and {length}")
            sizes[letter] = length if known == 1 else known
    return sizes
