"""ONNX's operators of attention, as the products of matrices that they are."""

from __future__ import annotations

from collections.abc import Sequence

from procrustes_model.workloads.onnx_call import Call, UnfitError
from procrustes_model.workloads.onnx_file import Shape
from procrustes_model.workloads.onnx_products import Products
from procrustes_model.workloads.onnx_values import UNKNOWN, Value


class Attention(Products):
    """Turns attention into layers; see `Products`."""

    def attend(self, call: Call) -> None:
        """Add ``Attention`` of the standard domain: queries, keys and values of 3 or 4 axes."""
        shapes = [call.known(place)[1] for place in range(3)]
        heads = []
        for place, (shape, key) in enumerate(zip(shapes, ("q", "kv", "kv"), strict=True)):
            if len(shape) == 3:
                count = call.number(f"{key}_num_heads", 0)
                if count < 1 or shape[2] % count:
                    raise UnfitError(f"its input number {place + 1} has {shape[2]} numbers for {count} heads")
                shape = (shape[0], count, shape[1], shape[2] // count)
            if len(shape) != 4:
                raise UnfitError(f"its input number {place + 1} has {len(shape)} axes, not 3 or 4")
            heads.append(shape)
        self._attend(call, heads, call.input(4))

    def attend_heads(self, call: Call) -> list[Value]:
        """Add ``MultiHeadAttention`` and ``GroupQueryAttention`` of ONNX Runtime."""
        value, query = call.known(0)
        count = call.number("num_heads", 0)
        others = call.number("kv_num_heads", count)
        if count < 1 or others < 1:
            raise UnfitError(f"it has {count} heads of queries and {others} of keys")
        if len(query) == 5:
            # Queries, keys and values of each head together.
            samples, steps, _, _, size = query
            shapes = [(samples, count, steps, size)] * 3
        elif len(query) == 3 and call.input(1) is None:
            samples, steps, width = query
            size = width // (count + 2 * others)
            shapes = [(samples, one, steps, size) for one in (count, others, others)]
        elif len(query) == 3:
            samples, steps, width = query
            size = width // count
            key = call.known(1)[1]
            length = key[-2] if len(key) in (3, 4) else key[1]
            shapes = [(samples, count, steps, size), (samples, others, length, size)]
            last = call.known(2)[1][-1] if call.input(2) is not None else size
            depth = last // others if call.input(2) is not None and len(call.known(2)[1]) == 3 else last
            shapes.append((samples, others, length, depth))
        else:
            raise UnfitError(f"its queries have {len(query)} axes, not 3 or 5")
        past = call.input(3 if call.operator == "GroupQueryAttention" else 6)
        self._attend(call, shapes, past)
        return [Value(value.kind, (shapes[0][0], shapes[0][2], count * shapes[2][3]))]

    def attend_projected(self, call: Call) -> list[Value]:
        """Add ``Attention`` and ``QAttention`` of ONNX Runtime, which project their input themselves."""
        value, (samples, steps, width) = call.input(0) or UNKNOWN, call.shape(0, 3)
        weight, (inner, columns) = call.known(1)[0], call.shape(1, 2)
        count = call.number("num_heads", 0)
        parts = call.numbers("qkv_hidden_sizes", (columns // 3,) * 3)
        if count < 1 or inner != width or sum(parts) != columns or any(one % count for one in parts):
            raise UnfitError(
                f"its weights have shape [{inner}, {columns}], its input {[samples, steps, width]}"
            )
        self._add(
            self._weights_name(call, weight),
            samples * steps,
            inner,
            columns,
            inputs_first=self.namer.keeps_order(weight.source),
        )
        shapes = [(samples, count, steps, one // count) for one in parts]
        past = call.input(8 if call.operator == "QAttention" else 4)
        self._attend(call, shapes, past)
        return [Value(value.kind, (samples, steps, parts[2]))]

    def _attend(self, call: Call, shapes: Sequence[Shape], past: Value | None) -> None:
        """Add the products of queries with keys, then with values; shapes: samples, heads, steps, size."""
        (samples, heads, steps, size), (_, groups, length, _), (*_, depth) = shapes
        if past is not None:
            if past.shape is None:
                raise UnfitError("the shape of the keys before is unknown")
            length += past.shape[-2]
        if groups < 1 or heads % groups:
            raise UnfitError(f"{heads} heads of queries do not share {groups} of keys")
        name = self.namer.node(call.node, call.prefix)
        copies = self._of_all(samples * heads)
        if not all((samples, steps, length, size, depth)):
            return
        self.collector.multiply(f"{name}.scores", steps, size, length, weights=False, copies=copies)
        self.collector.multiply(f"{name}.values", steps, length, depth, weights=False, copies=copies)
