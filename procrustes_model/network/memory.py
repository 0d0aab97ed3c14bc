"""What training keeps off the chip: a training step is walked layer by layer, forward, backward, update.

At every moment there are weights and the optimizer's state; gradients of weights from their layer's weight
update until the update of all weights; inputs of layers from their forward phase until their weight update;
and what passes: the output of the layer at work, in the backward phase the gradients of its output and input.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

from procrustes_model.errors import Issue, SpecError
from procrustes_model.network.memory_request import MemoryRequest
from procrustes_model.options import verb
from procrustes_model.spec.load import load_network
from procrustes_model.spec.network import NetworkLayer
from procrustes_model.spec.network_checkpointing import Checkpointing
from procrustes_model.spec.network_elementwise import ElementwiseLayer
from procrustes_model.spec.text.words import did_you_mean
from procrustes_model.spec.widths import bits_in_phase
from procrustes_model.vocabulary import Phase, Role

if TYPE_CHECKING:
    from procrustes_model.spec.network import Layer, Network

WEIGHTS, STATES, GRADIENTS, SAVED, PASSING = PARTS = (
    "weights",
    "optimizer states",
    "weight gradients",
    "saved activations",
    "passing",
)
"""What memory is taken by. Passing: outputs and gradients of the layer at work."""


@dataclass(frozen=True)
class Node:
    """One layer, in bits for a whole batch.

    Attributes
    ----------
    name : str
    weights, gradients : int
        Its weights, and their gradients.
    saved : int
        What its backward phase needs of its forward phase, and no layer before it has saved already.
    inputs, outputs : int
        Its input and its output.
    input_gradients, output_gradients : int
    work : int
        Multiply-accumulates of the forward phase, or operations of an elementwise layer.
    again : bool
        Whether its input is not kept, and computed again: so is the layer before it.
    start : bool
        Whether a segment of layers that is computed again begins with it.
    counted : bool
        Whether it has multiply-accumulates.
    updated : int
        Its weights, where they are trained.
    backward : bool
        Whether a gradient reaches it.
    """

    name: str
    weights: int
    gradients: int
    saved: int
    inputs: int
    outputs: int
    input_gradients: int
    output_gradients: int
    work: int
    again: bool = False
    start: bool = False
    counted: bool = True
    updated: int = 0
    backward: bool = True


@dataclass(frozen=True)
class Moment:
    """What is live while a layer is at work.

    Attributes
    ----------
    layer : str
        Empty of the update of all weights.
    phase : str
        forward, again, backward (with the layer's weight update) or update.
    bits : dict of str to int
        By `PARTS`.
    """

    layer: str
    phase: str
    bits: dict[str, int]

    @property
    def total(self) -> int:
        """Bits of all parts."""
        return sum(self.bits.values())


@dataclass(frozen=True)
class Traffic:
    """What a part moves in a training step, in bits.

    Attributes
    ----------
    stored : int
        All of it, whether at one time or not.
    written, read : int
    """

    stored: int
    written: int
    read: int


@dataclass(frozen=True)
class TrainingMemory:
    """What a training step keeps.

    Attributes
    ----------
    network : str
    batch : int
    moments : tuple of Moment
        In order.
    traffic : dict of str to Traffic
        By `PARTS` but for what passes.
    nodes : tuple of Node
    macs : int
        Multiply-accumulates of the forward phase.
    again_macs, again_operations : int
        Of layers that are computed again.
    """

    network: str
    batch: int
    moments: tuple[Moment, ...]
    traffic: dict[str, Traffic]
    nodes: tuple[Node, ...]
    macs: int
    again_macs: int
    again_operations: int

    @property
    def peak(self) -> Moment:
        """The first of the moments at which most is live."""
        return max(self.moments, key=lambda moment: moment.total)

    @property
    def peak_bytes(self) -> int:
        """Bytes that are live at the peak."""
        return -(-self.peak.total // 8)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data: sizes in bits, and the peak in bytes."""
        return {
            "network": self.network,
            "batch": self.batch,
            "peak": {
                "layer": self.peak.layer,
                "phase": self.peak.phase,
                "bytes": self.peak_bytes,
                "bits": self.peak.bits,
            },
            "traffic_bits": {
                part: {"stored": one.stored, "written": one.written, "read": one.read}
                for part, one in self.traffic.items()
            },
            "forward_macs": self.macs,
            "again_macs": self.again_macs,
            "again_operations": self.again_operations,
            "moments": [
                {"layer": one.layer, "phase": one.phase, "total_bits": one.total, "bits": one.bits}
                for one in self.moments
            ],
        }


@verb(MemoryRequest)
def training_memory(request: MemoryRequest) -> TrainingMemory:
    """Return what training a network keeps off the chip, at its peak and part by part.

    Returns
    -------
    TrainingMemory

    Raises
    ------
    SpecError
        When an input is wrong.
    """
    network = load_network(cast("Any", request.network))
    if request.every is not None or request.kept is not None:
        layers = None if request.kept is None else tuple(request.kept)
        names = [layer.name for layer in network.layers]
        for name in layers or ():
            if name not in names:
                message = f"{network.name} has no layer '{name[:100]}' for --checkpoint"
                raise SpecError(Issue(message, did_you_mean(name, names)))
        chosen = Checkpointing(every=request.every, layers=layers)
        network = network.model_copy(update={"checkpointing": chosen})
    batch = request.batch or network.batch
    nodes = _nodes(network, batch, request.bits)
    states = _states(network, request)
    again = [node for node, after in pairwise(nodes) if after.again]
    return TrainingMemory(
        network=network.name,
        batch=batch,
        moments=tuple(_walk(nodes, states)),
        traffic=_traffic(nodes, states),
        nodes=nodes,
        macs=sum(node.work for node in nodes if node.counted),
        again_macs=sum(node.work for node in again if node.counted),
        again_operations=sum(node.work for node in again if not node.counted),
    )


def layer_elements(layer: Layer) -> tuple[int, int, int]:
    """Return the elements of a sample's input, of its second operand, and of its output.

    The second operand of two activations; 0 where it is weights.
    """
    if isinstance(layer, NetworkLayer):
        inputs = layer.in_channels * math.prod(layer.input_size) * layer.rows * layer.count
        outputs = layer.out_channels * math.prod(layer.output_size) * layer.rows * layer.count
        second = 0 if layer.has_weights else layer.in_channels * layer.out_channels * layer.count
        return inputs, second, outputs
    tensors = {tensor.name: tensor for tensor in layer.problem.tensors}
    sizes = {
        role: math.prod(layer.problem.lengths(tensors[name])) * layer.count
        for role, name in layer.roles.items()
    }
    second = 0 if layer.has_weights else sizes[Role.WEIGHTS]
    return sizes[Role.INPUT], second, sizes[Role.OUTPUT]


def _nodes(network: Network, batch: int, word: int) -> tuple[Node, ...]:
    """Return the layers of the forward phase in order."""
    names = tuple(layer.name for layer in network.layers)
    starts = network.checkpointing.starts(names) if network.checkpointing else (0,)
    last = starts[-1] if starts else 0
    nodes: list[Node] = []
    position, before = 0, None
    for layer in network.in_order:
        # A layer is computed again with the segment in which it stands, unless that is the last one.
        inside = position not in starts and position < last
        if isinstance(layer, ElementwiseLayer):
            if layer.phase == Phase.FORWARD:
                nodes.append(replace(_work_node(layer, network, batch, word), again=inside))
            continue
        node = _layer_node(layer, network, batch, word)
        begins = position in starts and position < last
        if begins and not node.saved:  # what follows is computed again from its input
            node = replace(node, saved=node.inputs)
        # Both have the same input, which is kept once, unless the first does not keep it.
        if before in network.branches and not (position in starts and nodes[-1].again):
            node = replace(node, saved=0)
        nodes.append(replace(node, again=inside, start=begins))
        position, before = position + 1, layer.name
    return tuple(nodes)


def _layer_node(layer: Layer, network: Network, batch: int, word: int) -> Node:
    def width(phase: Phase, role: Role) -> int:
        return bits_in_phase(phase, {}, network.bits, layer.bits).get(role.tensor, word)

    inputs, second, outputs = (batch * count for count in layer_elements(layer))
    activations = inputs * width(Phase.FORWARD, Role.INPUT)
    operand = second * width(Phase.FORWARD, Role.WEIGHTS)
    trained = Phase.WEIGHT_UPDATE in layer.phases
    needed = trained and (layer.weights or second)
    return Node(
        name=layer.name,
        weights=layer.weights * width(Phase.FORWARD, Role.WEIGHTS),
        gradients=layer.weights * width(Phase.WEIGHT_UPDATE, Role.WEIGHTS) if trained else 0,
        saved=activations + operand if needed else 0,
        updated=layer.weights * width(Phase.FORWARD, Role.WEIGHTS) if trained else 0,
        backward=trained or Phase.BACKWARD in layer.phases,
        inputs=activations + operand,
        outputs=outputs * width(Phase.FORWARD, Role.OUTPUT),
        input_gradients=inputs * width(Phase.BACKWARD, Role.INPUT) * (Phase.BACKWARD in layer.phases)
        + second * width(Phase.WEIGHT_UPDATE, Role.WEIGHTS) * trained,
        output_gradients=outputs * width(Phase.BACKWARD, Role.OUTPUT),
        work=layer.macs * batch,
    )


def _work_node(layer: ElementwiseLayer, network: Network, batch: int, word: int) -> Node:
    shared = {**bits_in_phase(layer.phase, {}, network.bits), **layer.bits}
    count = layer.total(batch)
    read = [name for name in layer.reads if name not in layer.writes]
    written = [name for name in layer.writes if name not in layer.reads]

    def bits(names: tuple[str, ...] | list[str]) -> int:
        return count * sum(shared.get(name, word) for name in names)

    return Node(
        name=layer.name,
        weights=0,
        gradients=0,
        saved=bits(layer.saved),
        inputs=bits(read),
        outputs=bits(written),
        input_gradients=count * len(read) * word,
        output_gradients=count * len(written) * word,
        work=count * layer.operations,
        counted=False,
    )


def _states(network: Network, request: MemoryRequest) -> int:
    """Return the bits of the optimizer's state: what is asked for, or the states of the network's updates."""
    if request.states is not None:
        return network.trained_weights * request.states * (request.state_bits or request.bits)
    found = 0
    for layer in network.elementwise:
        if layer.phase == Phase.WEIGHT_UPDATE:
            kept = [name for name in layer.reads if name in layer.writes and name != Role.WEIGHTS.tensor]
            found += sum(layer.elements * layer.bits.get(name, request.bits) for name in kept)
    return found


def _walk(nodes: tuple[Node, ...], states: int) -> list[Moment]:
    """Return the moments of a training step."""
    moments: list[Moment] = []
    weights = sum(node.weights for node in nodes)
    gradients = 0

    def note(layer: str, phase: str, saved: int, passing: int, own: int = 0) -> None:
        parts = (weights, states, gradients + own, saved, passing)
        moments.append(Moment(layer, phase, dict(zip(PARTS, parts, strict=True))))

    saved = 0
    for node in nodes:
        kept = 0 if node.again else node.saved
        saved += kept
        note(node.name, "forward", saved, node.outputs + (0 if kept else node.inputs))
    position = len(nodes)
    while position:
        position -= 1
        node = nodes[position]
        if node.again and (position + 1 == len(nodes) or not nodes[position + 1].again):
            # The last layer of a segment: all its inputs are computed again, from the first layer's.
            first = position
            while nodes[first].again:
                first -= 1
            waiting = node.output_gradients
            for index in range(first, position):
                after = nodes[index + 1]
                saved += after.saved
                passing = waiting + (0 if after.saved else nodes[index].outputs)
                note(nodes[index].name, "again", saved, passing)
        if node.backward:
            passing = node.output_gradients + (node.input_gradients if position else 0)
            note(node.name, "backward", saved, passing, node.gradients)
        gradients += node.gradients
        saved -= node.saved
    note("", "update", saved, 0)
    return moments


def _traffic(nodes: tuple[Node, ...], states: int) -> dict[str, Traffic]:
    """Return what is moved of what is kept: each part once for every use."""
    weights = sum(node.weights for node in nodes)
    updated = sum(node.updated for node in nodes)
    reached = sum(node.weights for node in nodes if node.backward)
    again = sum(node.weights for node, after in pairwise(nodes) if after.again)
    gradients = sum(node.gradients for node in nodes)
    saved = sum(node.saved for node in nodes)
    twice = sum(node.saved for node, after in pairwise(nodes) if node.start and after.again)
    return {
        WEIGHTS: Traffic(weights, updated, weights + reached + updated + again),
        STATES: Traffic(states, states, states),
        GRADIENTS: Traffic(gradients, gradients, gradients),
        SAVED: Traffic(saved, saved, saved + twice),
    }
