"""A network: its layers in order, each with everything that makes its training problems.

Biases, batch normalisation and pooling are left out: they are neither multiply-accumulates nor weights here.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from procrustes_model.spec.schema import LARGEST_PRODUCT, Count, Frozen, Name, Text

LayerKind = Literal["conv", "grouped", "depthwise", "fully_connected", "matmul"]
Extent = Annotated[int, Field(strict=True, ge=0, le=2**20)]
Pair = tuple[Count, Count]
Padding = tuple[Extent, Extent]


class InputShape(Frozen):
    """What one image, or another sample, is."""

    channels: Count = Field(description="channels of the first layer's input, such as 3")
    height: Count = Field(default=1, description="rows")
    width: Count = Field(default=1, description="columns")


class NetworkLayer(Frozen):
    """One layer with weights, or one product of two activations, for one sample.

    Pairs are (height, width). A convolution works on `input_size` with `padding` zeros on every side.
    """

    name: Name = Field(description="what results call the layer")
    kind: LayerKind = Field(description="conv, grouped, depthwise, fully_connected or matmul")
    in_channels: Count = Field(description="channels that come in; of a matmul, the K that is summed over")
    out_channels: Count = Field(description="channels that go out; of a matmul, N")
    groups: Count = Field(
        default=1, description="parts that share no weights; of a depthwise layer, all channels"
    )
    kernel: Pair = Field(default=(1, 1), description="rows and columns of a kernel")
    stride: Pair = Field(default=(1, 1), description="input rows and columns from one output to the next")
    dilation: Pair = Field(default=(1, 1), description="input rows and columns from one weight to the next")
    padding: Padding = Field(default=(0, 0), description="zeros above and below, and left and right")
    input_size: Pair = Field(default=(1, 1), description="rows and columns of the input, unpadded")
    rows: Count = Field(default=1, description="M of a matmul: rows, such as tokens, per sample")
    has_weights: bool = Field(
        default=True, description="whether the second operand is weights, not activations"
    )
    count: Count = Field(default=1, description="separate copies per sample, such as attention heads")

    @model_validator(mode="after")
    def _check(self) -> NetworkLayer:
        if self.in_channels % self.groups or self.out_channels % self.groups:
            channels = f"{self.in_channels} input and {self.out_channels} output channels"
            raise ValueError(f"{channels} do not divide into {self.groups} groups")
        if self.kind == "depthwise" and not self.groups == self.in_channels == self.out_channels:
            raise ValueError("a depthwise layer has as many groups and outputs as input channels")
        if self.has_weights and self.count > 1:
            raise ValueError("copies of a layer with weights are layers of their own")
        spans = zip(self.kernel, self.dilation, self.input_size, self.padding, strict=True)
        for kernel, dilation, size, padding in spans:
            span = (kernel - 1) * dilation + 1
            if span > size + 2 * padding:
                raise ValueError(
                    f"the kernel spans {span}, more than its padded input of {size + 2 * padding}"
                )
        if self.macs > LARGEST_PRODUCT:
            raise ValueError("more than 2^62 multiply-accumulates")
        return self

    @property
    def output_size(self) -> tuple[int, int]:
        """Rows and columns of the output."""
        sizes = zip(self.input_size, self.padding, self.kernel, self.dilation, self.stride, strict=True)
        height, width = (
            (size + 2 * padding - (kernel - 1) * dilation - 1) // stride + 1
            for size, padding, kernel, dilation, stride in sizes
        )
        return height, width

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Outputs, inputs of each, kernel rows and columns; K and N of a matmul; () without weights."""
        if not self.has_weights:
            return ()
        if self.kind == "matmul":
            return (self.in_channels, self.out_channels)
        if self.kind == "fully_connected":
            return (self.out_channels, self.in_channels)
        return (self.out_channels, self.in_channels // self.groups, *self.kernel)

    @property
    def weights(self) -> int:
        """The number of weights; 0 for a product of two activations."""
        return math.prod(self.weight_shape) if self.has_weights else 0

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the forward phase for one sample, padding's zeros included."""
        per_position = self.out_channels * (self.in_channels // self.groups) * math.prod(self.kernel)
        return per_position * math.prod(self.output_size) * self.rows * self.count


class Network(Frozen):
    """Layers in the order in which a sample passes them."""

    name: Name = Field(description="what results call the network")
    description: Text = Field(default="", description="what it is, for a reader")
    source: Text = Field(default="", description="where its layers come from")
    dataset: Text = Field(default="", description="what it is trained on")
    input: InputShape | None = Field(
        default=None, description="shape of one sample; empty: layers say their own"
    )
    batch: Count = Field(default=1, description="samples per training step, unless a run says otherwise")
    layers: tuple[NetworkLayer, ...] = Field(min_length=1, description="layers, first to last")

    @model_validator(mode="after")
    def _check(self) -> Network:
        times = Counter(layer.name for layer in self.layers)
        twice = [name for name, number in times.items() if number > 1]
        if twice:
            raise ValueError(f"layer names must differ: {', '.join(twice[:5])}")
        return self

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the forward phase for one sample."""
        return sum(layer.macs for layer in self.layers)

    @property
    def weights(self) -> int:
        """The number of weights of all layers, without biases and batch normalisation."""
        return sum(layer.weights for layer in self.layers)

    @property
    def distinct(self) -> dict[NetworkLayer, tuple[str, ...]]:
        """The layers that differ in more than their name, each with the names of all that are like it."""
        first: dict[NetworkLayer, NetworkLayer] = {}
        alike: dict[NetworkLayer, list[str]] = {}
        for layer in self.layers:
            one = first.setdefault(layer.model_copy(update={"name": "-"}), layer)
            alike.setdefault(one, []).append(layer.name)
        return {layer: tuple(names) for layer, names in alike.items()}

    def to_yaml(self) -> str:
        """Return the network as text that `load_network` reads back to an equal one.

        Raises
        ------
        SpecError
            When a layer made in Python is none that a file can describe.
        """
        from procrustes_model.spec.network_writer import network_text

        return network_text(self)


def load_network(source: str | os.PathLike[str] | Mapping[str, Any] | Network) -> Network:
    """Return the network that a file, a name or a dict describes.

    Parameters
    ----------
    source : path, str, mapping or Network
        A YAML file, the name of a shipped network, the parsed content, or a network, which is returned as is.

    Returns
    -------
    Network

    Raises
    ------
    SpecError
        With every issue found.
    """
    if isinstance(source, Network):
        return source
    from procrustes_model.spec.network_reader import read_network
    from procrustes_model.spec.text.document import open_document

    return read_network(open_document(source, "network"))
