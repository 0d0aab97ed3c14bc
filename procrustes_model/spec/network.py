"""A network: its layers in order, each with everything that makes its training problems.

Biases, batch normalisation and pooling are left out: they are neither multiply-accumulates nor weights here.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from procrustes_model.errors import SpecError
from procrustes_model.spec.architecture_written import write_architecture
from procrustes_model.spec.layer_zeros import LayerZeros, write_layer_zeros
from procrustes_model.spec.network_checkpointing import Checkpointing
from procrustes_model.spec.network_elementwise import ElementwiseLayer
from procrustes_model.spec.network_machines import Crossing, Link, Machines
from procrustes_model.spec.network_problem import ProblemLayer
from procrustes_model.spec.schema import (
    LARGEST_PRODUCT,
    Count,
    Frozen,
    Name,
    PartError,
    Phases,
    Text,
)
from procrustes_model.spec.sparsity import Sparsity
from procrustes_model.spec.stays import NOWHERE, Stays
from procrustes_model.spec.text.words import did_you_mean
from procrustes_model.spec.widths import NO_BITS, Bits
from procrustes_model.versions import KEY, VERSIONS
from procrustes_model.vocabulary import PHASES, Phase

LayerKind = Literal["conv", "grouped", "depthwise", "fully_connected", "matmul"]
Extent = Annotated[int, Field(strict=True, ge=0, le=2**20)]
Pair = tuple[Count, Count]
Padding = tuple[Extent, Extent]
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_RESERVED = frozenset({"y", "n", "yes", "no", "true", "false", "on", "off", "null"})


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
    inputs_first: bool = Field(
        default=False,
        description="whether a checkpoint keeps the weights of a product as inputs, outputs, as GPT-2's does",
    )
    bits: Bits = Field(default=NO_BITS, description="bits of elements by tensor, or by phase and tensor")
    starts: Stays = Field(
        default=NOWHERE, description="operands that are on the chip already: levels by tensor, or by phase"
    )
    ends: Stays = Field(
        default=NOWHERE, description="results that stay on the chip: levels by tensor, or by phase"
    )
    sparsity: Sparsity | None = Field(
        default=None, description="a sparse design of its own; empty: that of the run"
    )
    phases: Phases = Field(default=PHASES, description="phases of training that it takes part in")
    machine: Name | None = Field(
        default=None, description="the machine of the network that runs it; empty: that of the run"
    )
    densities: LayerZeros = Field(
        default=(), description="zeros of the layer's own tensors, in place of all else that is said of them"
    )

    @model_validator(mode="after")
    def _check(self) -> NetworkLayer:
        if self.in_channels % self.groups or self.out_channels % self.groups:
            channels = f"{self.in_channels} input and {self.out_channels} output channels"
            raise ValueError(f"{channels} do not divide into {self.groups} groups")
        if self.kind == "depthwise" and not self.groups == self.in_channels == self.out_channels:
            raise ValueError("a depthwise layer has as many groups and outputs as input channels")
        if self.has_weights and self.count > 1:
            raise ValueError("copies of a layer with weights are layers of their own")
        if self.inputs_first and not (self.has_weights and self.is_product):
            raise ValueError("'inputs_first' is said of weights that are a matrix, or several in groups")
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
    def is_product(self) -> bool:
        """Whether it multiplies matrices: no window moves."""
        return self.kind in ("matmul", "fully_connected") or (
            self.kind == "grouped" and self.kernel == (1, 1)
        )

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


Layer = NetworkLayer | ProblemLayer
_Flow = tuple[int, int, int]
"""Channels, rows and columns of what flows from layer to layer."""


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
    bits: Bits = Field(
        default=NO_BITS, description="bits of elements of all layers, by tensor or by phase and tensor"
    )
    layers: tuple[Annotated[Layer, Field(discriminator="kind")], ...] = Field(
        description="layers with multiply-accumulates, first to last"
    )
    elementwise: tuple[ElementwiseLayer, ...] = Field(
        default=(), description="layers without multiply-accumulates, first to last"
    )
    machines: Machines = Field(
        default={}, description="machines beside that of the run, by the name that layers call them"
    )
    link: Link | None = Field(default=None, description="what connects machines, or replicas")
    crossings: tuple[Crossing, ...] = Field(default=(), description="maps that go over the link")
    replicas: Count = Field(
        default=1,
        description="machines that train the network side by side, each on a batch; they add up gradients",
    )
    checkpointing: Checkpointing | None = Field(
        default=None, description="which inputs of layers are kept for training; empty: all"
    )
    branches: tuple[Name, ...] = Field(
        default=(), description="layers beside the sequence: the next one has the same input"
    )
    other_tensors: tuple[Name, ...] = Field(
        default=(),
        description="tensors of a checkpoint that are no layer's weights, named as layers; '*': also others",
    )
    tied_tensors: tuple[tuple[Name, Name], ...] = Field(
        default=(), description="pairs of another name that the weights of a layer may have, and the layer's"
    )

    @model_validator(mode="after")
    def _check(self) -> Network:
        if not (self.layers or self.elementwise):
            raise ValueError("there is no layer")
        self._check_machines()
        names = [layer.name for layer in self.layers]
        for position, name in enumerate((self.checkpointing and self.checkpointing.layers) or ()):
            if name not in names:
                hint = did_you_mean(name, names)
                message = f"no layer with multiply-accumulates is called '{name[:60]}'"
                raise PartError(("checkpointing", "layers", position), message, hint)
        if any(one.after > len(self.layers) for one in self.elementwise):
            raise ValueError("an elementwise layer stands after more layers than there are")
        times = Counter(layer.name for layer in (*self.layers, *self.elementwise))
        twice = [name for name, number in times.items() if number > 1]
        if twice:
            raise ValueError(f"layer names must differ: {', '.join(twice[:5])}")
        return self

    def _check_machines(self) -> None:
        """Raise where machines, their link and the layers on them do not go together."""
        placed = {one.machine for one in (*self.layers, *self.elementwise)} - {None}
        for name in placed:
            if name not in self.machines:
                hint = did_you_mean(str(name), self.machines) or "state it under 'machines'"
                raise PartError((), f"'{name}' is none of the machines of the network", hint)
        for name in self.machines:
            if name not in placed:
                raise PartError(("machines", name), f"no layer runs on the machine '{name}'")
        if self.replicas > 1 and self.machines:
            raise PartError(("replicas",), "'replicas' and 'machines' are both given", "keep one of them")
        needed = self.replicas > 1 or self.crossings
        if needed and self.link is None:
            what = "replicas exchange" if self.replicas > 1 else "maps go from machine to machine"
            raise PartError((), f"there is no 'link', over which {what}", "link: {energy_pj_per_bit: ...}")
        if self.link is not None and not needed:
            raise PartError(("link",), "'link' has no effect: nothing goes over it")

    @property
    def again(self) -> tuple[int, ...]:
        """Positions of the layers whose forward phase a training step computes again."""
        if self.checkpointing is None:
            return ()
        return self.checkpointing.again(tuple(layer.name for layer in self.layers))

    @property
    def in_order(self) -> tuple[Layer | ElementwiseLayer, ...]:
        """All layers, as they follow each other."""
        ordered: list[Layer | ElementwiseLayer] = []
        for index in range(len(self.layers) + 1):
            ordered += [one for one in self.elementwise if one.after == index]
            ordered += self.layers[index : index + 1]
        return tuple(ordered)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the forward phase for one sample."""
        return sum(layer.macs for layer in self.layers)

    @property
    def weights(self) -> int:
        """The number of weights of all layers, without biases and batch normalisation."""
        return sum(layer.weights for layer in self.layers)

    @property
    def trained_weights(self) -> int:
        """The number of weights of layers with a weight update."""
        return sum(layer.weights for layer in self.layers if Phase.WEIGHT_UPDATE in layer.phases)

    @property
    def distinct(self) -> dict[Layer, tuple[str, ...]]:
        """The layers that differ in more than their name, each with the names of all that are like it."""
        first: dict[Layer, Layer] = {}
        alike: dict[Layer, list[str]] = {}
        for layer in self.layers:
            same = {"name": "-"} if isinstance(layer, ProblemLayer) else {"name": "-", "inputs_first": False}
            one = first.setdefault(layer.model_copy(update=same), layer)
            alike.setdefault(one, []).append(layer.name)
        return {layer: tuple(names) for layer, names in alike.items()}

    def to_yaml(self) -> str:
        """Return the network as text that `load_network` reads back to an equal one.

        An `input` that the first layer does not take is left out.

        Raises
        ------
        SpecError
            When a layer made in Python is none that a file can describe.
        """
        return _network_text(self)


def _network_text(network: Network) -> str:
    """Return a network as YAML: a line per layer, inputs only where they do not follow from the layer before.

    Parameters
    ----------
    network : Network

    Returns
    -------
    str

    Raises
    ------
    SpecError
        When a layer is none that a file can describe, such as a convolution with several rows.
    """
    lines = [f"{KEY}: {VERSIONS['network']}", "network:", f"  name: {_scalar(network.name)}"]
    texts = {key: getattr(network, key) for key in ("description", "source", "dataset")}
    lines += [f"  {key}: {json.dumps(text, ensure_ascii=False)}" for key, text in texts.items() if text]
    flow: _Flow | None = None
    shape = None
    if network.input is not None and network.layers:
        shape = taken_input(network.layers[0], network.input)
    if shape is not None:
        flow = (shape.channels, shape.height, shape.width)
        rows = "" if flow[1:] == (1, 1) else f", height: {shape.height}, width: {shape.width}"
        lines.append(f"  input: {{channels: {shape.channels}{rows}}}")
    lines += [f"  batch: {network.batch}"]
    if network.bits:
        lines.append(f"  bits: {_value(network.bits.written)}")
    if network.other_tensors:
        lines.append(f"  other_tensors: {_value(list(network.other_tensors))}")
    if network.tied_tensors:
        lines.append(f"  tied_tensors: {_value([list(pair) for pair in network.tied_tensors])}")
    for name, machine in network.machines.items():
        lines += [] if "  machines:" in lines else ["  machines:"]
        written = json.dumps(write_architecture(machine.model_dump(mode="json")))
        lines.append(f"    {_scalar(name)}: {written}")
    if network.link is not None:
        lines.append(f"  link: {_value(network.link.model_dump(exclude_defaults=True))}")
    if network.checkpointing is not None:
        segments = network.checkpointing.model_dump(mode="json", exclude_none=True)
        lines.append(f"  checkpointing: {_value(segments)}")
    if network.replicas > 1:
        lines.append(f"  replicas: {network.replicas}")
    lines.append("  layers:")
    crossings = {one.after: one for one in network.crossings}
    before = 0
    for layer in network.in_order:
        crossing = crossings.pop(before, None)
        if crossing is not None:
            kept = f"bits: {crossing.bits}, elements: {crossing.elements}"
            lines.append(f"    - {{kind: link, {kept}}}")
        before += not isinstance(layer, ElementwiseLayer)
        if isinstance(layer, ElementwiseLayer):
            lines.append(f"    - {_elementwise_text(layer)}")
            continue
        item, after = _item(layer, flow)
        if layer.name in network.branches:
            item["branch"] = True
        else:
            flow = after
        for key in _BY_PHASE:
            if stated := getattr(layer, key):
                item[key] = stated.written
        item |= _training(layer)
        if layer.machine is not None:
            item["machine"] = layer.machine
        if zeros := layer.densities[1 if layer.kind == "spmm" else 0 :]:
            item["densities"] = write_layer_zeros(zeros)
        lines.append("    - {" + ", ".join(f"{key}: {_value(value)}" for key, value in item.items()) + "}")
    return "\n".join(lines) + "\n"


def _elementwise_text(layer: ElementwiseLayer) -> str:
    """Return a layer without multiply-accumulates as a file writes it, with its elements in place."""
    told = layer.model_dump(mode="json", exclude_defaults=True, exclude={"after", "kind"})
    item = {"name": layer.name, "kind": layer.kind, **told}
    return "{" + ", ".join(f"{key}: {_value(value)}" for key, value in item.items()) + "}"


def taken_input(layer: Layer, shape: InputShape) -> InputShape | None:
    """Return what a first layer takes of the shape of a sample: all, its channels alone, or nothing."""
    own = _own_input(layer, (shape.channels, shape.height, shape.width))
    if own == _own_input(layer, None):
        return None
    return InputShape(channels=shape.channels) if "input_size" in own else shape


def _own_input(layer: Layer, flow: _Flow | None) -> dict[str, Any]:
    """Return the keys that say what a layer's input is as far as it does not follow from what flows in."""
    if isinstance(layer, ProblemLayer) or layer.kind == "matmul":
        return {}
    if layer.kind == "fully_connected":
        follows = flow is not None and math.prod(flow) == layer.in_channels
        return {} if follows else {"input_channels": layer.in_channels}
    own: dict[str, Any] = {}
    if flow is None or flow[0] != layer.in_channels:
        own["input_channels"] = layer.in_channels
    if flow is None or flow[1:] != layer.input_size:
        own["input_size"] = layer.input_size
    return own


def _item(layer: Layer, flow: _Flow | None) -> tuple[dict[str, Any], _Flow | None]:
    """Return a layer as a file writes it, and the channels, rows and columns that flow on."""
    written: dict[str, Any] = {"name": layer.name, "kind": layer.kind}
    if isinstance(layer, ProblemLayer):
        return written | (_spmm_keys if layer.kind == "spmm" else _problem_keys)(layer), None
    if layer.kind == "matmul":
        item = {**written, "m": layer.rows, "k": layer.in_channels, "n": layer.out_channels}
        if not layer.has_weights:
            item |= {"weights": False, "count": layer.count}
        _check(layer, NetworkLayer(**{**_core(layer), "rows": layer.rows, "count": layer.count}))
        return item | _order(layer), None
    if layer.kind == "fully_connected":
        _check(layer, NetworkLayer(**_core(layer)))
        item = {**written, "channels": layer.out_channels} | _own_input(layer, flow)
        return item | _order(layer), (layer.out_channels, 1, 1)
    window = ("kernel", "stride", "padding", "dilation", "input_size")
    _check(layer, NetworkLayer(**{**_core(layer), **{key: getattr(layer, key) for key in window}}))
    if (layer.kind == "conv") != (layer.groups == 1) and layer.kind != "depthwise":
        raise SpecError(f"layer '{layer.name}' of kind {layer.kind} has {layer.groups} groups")
    item = dict(written)
    if layer.kind != "depthwise":
        item["channels"] = layer.out_channels
    if layer.kind == "grouped":
        item |= {"groups": layer.groups} | _order(layer)
    item["kernel"] = layer.kernel
    defaults = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)}
    item |= {key: getattr(layer, key) for key, usual in defaults.items() if getattr(layer, key) != usual}
    return item | _own_input(layer, flow), (layer.out_channels, *layer.output_size)


def _problem_keys(layer: ProblemLayer) -> dict[str, Any]:
    content = layer.problem.to_dict()
    item = {"shape": content["shape"], "dimensions": content["dimensions"]}
    if layer.batch_dimension is not None:
        item["batch_dimension"] = layer.batch_dimension
    if layer.sequence is not None:
        item["sequence"] = layer.sequence
    if not layer.trained:
        item["trained"] = False
    return item | ({} if layer.count == 1 else {"count": layer.count})


def _spmm_keys(layer: ProblemLayer) -> dict[str, Any]:
    bounds = layer.problem.dimensions
    item: dict[str, Any] = {"m": bounds["K"], "k": bounds["C"], "n": bounds["N"]}
    _, density = layer.densities[0]  # that of A
    return item | ({"density": density.density} if density.mask is None else {"adjacency": density.mask})


def _order(layer: NetworkLayer) -> dict[str, Any]:
    return {"inputs_first": True} if layer.inputs_first else {}


def _training(layer: Layer) -> dict[str, Any]:
    """Return what a layer says of its design and phases as a file writes it, without what is so anyway."""
    own = {} if layer.sparsity is None else {"sparsity": layer.sparsity.to_dict()["sparsity"]}
    phases = {} if layer.phases == PHASES else {"phases": list(layer.phases)}
    plain: dict[str, Any] = json.loads(json.dumps(own | phases))
    return plain


def _core(layer: NetworkLayer) -> dict[str, Any]:
    keys = ("name", "kind", "in_channels", "out_channels", "groups", "has_weights", "inputs_first")
    return {
        key: getattr(layer, key) for key in (*keys, *_BY_PHASE, "sparsity", "phases", "densities", "machine")
    }


_BY_PHASE = ("bits", "starts", "ends")
"""Keys of all kinds of layers that say something of tensors, by phase or in all of them."""


def _check(layer: NetworkLayer, as_written: NetworkLayer) -> None:
    if layer != as_written:
        message = f"layer '{layer.name}' of kind {layer.kind} has properties that a file cannot give it"
        raise SpecError(message)


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return str(value[0]) if value[0] == value[1] else f"[{value[0]}, {value[1]}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(key)}: {_value(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        text = repr(value)
        return text if "." in text or "e" not in text else text.replace("e", ".0e")
    return _scalar(value) if isinstance(value, str) else str(value)


def _scalar(text: str) -> str:
    """Return text as a YAML scalar, in quotes where it could be read as something else."""
    if _PLAIN.fullmatch(text) and text.lower() not in _RESERVED:
        return text
    return json.dumps(text, ensure_ascii=False)
