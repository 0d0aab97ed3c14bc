"""A node of an ONNX graph that multiplies, as its operator reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from procrustes_model.printable import quote
from procrustes_model.workloads.onnx_file import Shape
from procrustes_model.workloads.onnx_values import Value


class UnfitError(Exception):
    """An operator that cannot be a layer, and why."""


class AcrossSamplesError(Exception):
    """An operator whose work is no multiple of the samples: their axis counts something else."""


@dataclass(frozen=True)
class Call:
    """A node that multiplies.

    Attributes
    ----------
    node : onnx.NodeProto
    attributes : mapping
        Its attributes' values by name.
    inputs : tuple of Value or None
        None for one that is left out.
    prefix : str
        Of names of nodes in this function or branch.
    bias : str
        The initializer that is added to its output, or empty.
    """

    node: Any
    attributes: Mapping[str, Any]
    inputs: tuple[Value | None, ...]
    prefix: str = ""
    bias: str = ""

    @property
    def operator(self) -> str:
        """The name of its operator."""
        return str(self.node.op_type)

    def input(self, place: int) -> Value | None:
        """Return an input, or None where it is left out."""
        return self.inputs[place] if place < len(self.inputs) else None

    def known(self, place: int) -> tuple[Value, Shape]:
        """Return an input that must be there, and its shape, which must be known."""
        value = self.input(place)
        if value is None:
            raise UnfitError(f"it has no input number {place + 1}")
        if value.shape is None:
            why = f" ({value.why})" if value.why else ""
            raise UnfitError(f"the shape of {quote(self.node.input[place])} is unknown{why}")
        return value, value.shape

    def shape(self, place: int, axes: int) -> Shape:
        """Return the shape of an input, which must have so many axes."""
        shape = self.known(place)[1]
        if len(shape) != axes:
            raise UnfitError(f"{quote(self.node.input[place])} has {len(shape)} axes, not {axes}")
        return shape

    def number(self, name: str, default: int) -> int:
        """Return an attribute that is one integer."""
        value = self.attributes.get(name, default)
        if not isinstance(value, int):
            raise UnfitError(f"its attribute {name} is no integer")
        return value

    def numbers(self, name: str, default: Shape, least: int | None = 1) -> Shape:
        """Return an attribute with as many integers as the default, all at least `least`."""
        value = self.attributes.get(name) or default
        if isinstance(value, (str, bytes)) or not all(isinstance(one, int) for one in value):
            raise UnfitError(f"its attribute {name} is no list of integers")
        if len(value) != len(default):
            raise UnfitError(f"its attribute {name} has {len(value)} numbers, not {len(default)}")
        if least is not None and any(one < least for one in value):
            raise UnfitError(f"its attribute {name} is {list(value)}; each must be at least {least}")
        return tuple(value)

    def text(self, name: str, default: str) -> str:
        """Return an attribute that is text."""
        value = self.attributes.get(name, default)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
