"""Elementwise layers of a run: what they cost is computed at once, without a search."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from procrustes_model.fingerprint import program_fingerprint
from procrustes_model.model.elementwise import Stream, evaluate_elementwise
from procrustes_model.network.record import CaseRecord, describe_result
from procrustes_model.spec.widths import NO_BITS, Bits, bits_in_phase

if TYPE_CHECKING:
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.network import Network
    from procrustes_model.spec.network_elementwise import ElementwiseLayer

ELEMENTWISE = "elementwise"
"""The kind, and the shape, of these layers in results."""


def stream_of(layer: ElementwiseLayer, network: Network, batch: int, part: Bits = NO_BITS) -> Stream:
    """Return the work of an elementwise layer in one training step.

    Parameters
    ----------
    layer : ElementwiseLayer
    network : Network
        What it says of the bits of Weights, Inputs and Outputs holds here, too.
    batch : int
        Samples per training step.
    part : Bits
        What a part of a schedule says of them.
    """
    shared = bits_in_phase(layer.phase, {}, network.bits)
    said = {**shared, **layer.bits, **part.of(None), **part.of(layer.phase)}
    bits = {name: said[name] for name in layer.tensors if name in said}
    return Stream(f"{network.name}/{layer.name}_{layer.phase.short}", layer, layer.total(batch), bits)


def record_stream(stream: Stream, architecture: Architecture, objective: str) -> CaseRecord:
    """Return the record of an elementwise layer: nothing is searched, and nothing is better.

    Parameters
    ----------
    stream : Stream
    architecture : Architecture
    objective : str

    Raises
    ------
    SpecError
        As `evaluate_elementwise` does.
    """
    architecture = architecture.as_priced
    work = stream.work.model_dump(mode="json", exclude={"name", "elements", "per", "after", "machine"})
    described = {
        "program": program_fingerprint(),
        "architecture": architecture.model_dump(mode="json"),
        "elementwise": work,
        "elements": stream.elements,
        "bits": stream.bits,
        "objective": objective,
    }
    key = hashlib.sha256(json.dumps(described, sort_keys=True, allow_nan=False).encode()).hexdigest()[:32]
    problem = {
        "name": f"{ELEMENTWISE}_{stream.elements}",
        "shape": ELEMENTWISE,
        "phase": stream.work.phase.value,
        "dimensions": {"elements": stream.elements},
    }
    return describe_result(key, problem, objective, evaluate_elementwise(architecture, stream))
