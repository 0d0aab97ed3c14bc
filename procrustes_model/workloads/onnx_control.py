"""Branches and loops of an ONNX graph: which nodes run, and how often."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from procrustes_model.workloads.onnx_operators import Operators
from procrustes_model.workloads.onnx_values import UNKNOWN, Value

_CHANGES = "it changes from one pass of a loop to the next"


class Control:
    """Reads the graphs of one node: those of a branch that runs, or of a loop as often as it does.

    Parameters
    ----------
    operators : Operators
        Turns the nodes into layers.
    read : callable
        Reads a graph, given what is known of its inputs, and returns its outputs.
    node : onnx.NodeProto
    title : str
        Its name in messages.
    inputs : sequence of Value or None
    """

    def __init__(
        self,
        operators: Operators,
        read: Callable[[Any, Mapping[str, Value]], list[Value]],
        node: Any,
        title: str,
        inputs: Sequence[Value | None],
    ) -> None:
        self._operators = operators
        self._collector = operators.collector
        self._run = read
        self._node = node
        self._title = title
        self._inputs = list(inputs)

    def branch(self, then: Any, otherwise: Any) -> list[Value]:
        """Read ``If``: one branch where the condition is known, else both, which must multiply the same."""
        condition = self._inputs[0]
        if condition is not None and condition.data is not None and condition.data.size == 1:
            return self._run(then if bool(condition.data.reshape(())) else otherwise, {})
        collector = self._collector
        before = len(collector.layers), len(collector.left_out)
        ours = self._run(then, {})
        middle = len(collector.layers), len(collector.left_out)
        others = self._run(otherwise, {})
        layers = [one for _, one in collector.layers[before[0] :]]
        count = middle[0] - before[0]
        same = layers[:count] == layers[count:] and middle[1] == len(collector.left_out) == before[1]
        del collector.layers[middle[0] if same else before[0] :]
        if not same:
            self._leave_out("which of its branches runs depends on values", before[1])
        why = "it depends on a branch"
        return [
            replace(one, constant=False, data=None, source="")
            if one.shape == other.shape and one.shape is not None
            else Value(one.kind, why=why)
            for one, other in zip(ours, others, strict=False)
        ]

    def loop(self, body: Any, attributes: Mapping[str, Any]) -> list[Value]:
        """Read ``Loop`` or ``Scan``: the body once, its layers as often as it runs."""
        if self._node.op_type == "Scan":
            number = int(attributes["num_scan_inputs"])
            states = self._inputs[: len(self._inputs) - number]
            axes = list(attributes.get("scan_input_axes") or [0] * number)
            given, times = self._slices(self._inputs[len(states) :], axes)
            return self._repeat(
                body, states, (), given, times, list(attributes.get("scan_output_axes") or ())
            )
        limit, condition = [*self._inputs, None, None][:2]
        goes_on = condition is None or (condition.data is not None and bool(condition.data.all()))
        times = (
            int(limit.data.reshape(())) if limit is not None and limit.data is not None and goes_on else None
        )
        counter = Value(7, ())
        true = Value(9, (), constant=goes_on, data=np.asarray(True) if goes_on else None)
        return self._repeat(body, self._inputs[2:], (counter, true), (), times, [])

    def _slices(self, inputs: Sequence[Value | None], axes: Sequence[int]) -> tuple[list[Value], int | None]:
        """Return what one pass of Scan sees of its sequences, and how many passes there are."""
        times: int | None = None
        slices = []
        for value, axis in zip(inputs, axes, strict=True):
            if value is None or value.shape is None:
                slices.append(UNKNOWN)
                continue
            rest = list(value.shape)
            times = rest.pop(axis)
            slices.append(Value(value.kind, tuple(rest)))
        return slices, times

    def _repeat(
        self,
        body: Any,
        states: Sequence[Value | None],
        before: Sequence[Value],
        after: Sequence[Value],
        times: int | None,
        axes: Sequence[int],
    ) -> list[Value]:
        """Return what a loop computes: its states, and what each pass adds to a sequence."""
        collector, operators = self._collector, self._operators
        start = len(collector.layers), len(collector.left_out)
        carried = [UNKNOWN if one is None else Value(one.kind, one.shape, why=one.why) for one in states]
        outer = operators.repeat
        operators.repeat = outer * max(times or 1, 1)
        for _ in range(2):
            given = (*before, *carried, *after)
            names = [one.name for one in body.input]
            results = self._run(body, dict(zip(names, given, strict=True)))
            ends = results[bool(before) :][: len(carried)]
            if [one.shape for one in ends] == [one.shape for one in carried]:
                break
            # Once more, with what is not known of the later passes.
            carried = [
                one if one.shape == end.shape else Value(one.kind, why=_CHANGES)
                for one, end in zip(carried, ends, strict=True)
            ]
            del collector.layers[start[0] :]
            del collector.left_out[start[1] :]
        operators.repeat = outer
        if before and not (results[0].data is not None and bool(results[0].data.all())):
            times = None
        if times is None and (len(collector.layers), len(collector.left_out)) != start:
            del collector.layers[start[0] :]
            self._leave_out("how often it runs depends on values", start[1])
        elif times is not None and times < 1:
            del collector.layers[start[0] :]
        outputs = list(carried)
        for place, one in enumerate(results[bool(before) + len(carried) :]):
            shape = None
            if one.shape is not None and times is not None:
                axis = axes[place] if place < len(axes) else 0
                axis += len(one.shape) + 1 if axis < 0 else 0
                shape = (*one.shape[:axis], max(times, 0), *one.shape[axis:])
            outputs.append(Value(one.kind, shape, why="" if shape is not None else "it depends on a loop"))
        return outputs

    def _leave_out(self, reason: str, start: int) -> None:
        """Leave out the whole node."""
        del self._collector.left_out[start:]
        self._collector.leave_out(f"{self._title}: {self._node.op_type}: {reason}, and it multiplies")
