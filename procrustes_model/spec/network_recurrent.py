"""Recurrent cells as layers: a product with the input, one with the state, and the gates.

The weights of all gates are one matrix each. The products with the input know all steps at once; those with
the state wait for the step before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from pydantic import Field

from procrustes_model.spec.schema import Count, Frozen, Name


class _Cell(NamedTuple):
    """What the gates of a cell do with every element of its state.

    Attributes
    ----------
    gates : int
        Outputs of both products per element.
    operations : int
        Sums of both products, activations, and what makes the new state of them.
    states : tuple of str
        Tensors that are read and written in every step.
    """

    gates: int
    operations: int
    states: tuple[str, ...]


CELLS = {
    # sums, tanh
    "rnn": _Cell(1, 1 + 1, ()),
    # sums, two sigmoids, r * (W h), its sum, tanh, (1 - z) * n + z * h
    "gru": _Cell(3, 2 + 2 + 1 + 1 + 1 + 4, ("Hidden",)),
    # sums, three sigmoids and a tanh, f * c + i * g, tanh, o * tanh(c)
    "lstm": _Cell(4, 4 + 4 + 3 + 1 + 1, ("Cell",)),
}
CellKind = Literal["rnn", "gru", "lstm"]


class RecurrentKeys(Frozen):
    """What a recurrent cell is."""

    cell: CellKind = Field(description="rnn (one gate), gru (three) or lstm (four)")
    channels: Count = Field(description="elements of its state")
    input_channels: Count = Field(description="elements of its input in every step")
    steps: Count = Field(description="steps of a sample's sequence")
    machine: Name | None = Field(default=None, description="the machine of the network that runs it")


def recurrent_layers(item: RecurrentKeys) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what a cell is made of: the ending of a name, and an item as a file would write it.

    Parameters
    ----------
    item : RecurrentKeys
    """
    cell, steps = CELLS[item.cell], {"T": item.steps}
    shape = {
        "name": "recurrent",
        "phase": "forward",
        "dimensions": ["T", "C", "K", "N"],
        "tensors": {
            "Weights": {"role": "weights", "projection": ["K", "C"]},
            "Inputs": {"role": "input", "projection": ["N", "T", "C"]},
            "Outputs": {"role": "output", "projection": ["N", "T", "K"], "output": True},
        },
    }
    outputs = cell.gates * item.channels
    product = {"kind": "problem", "shape": shape, "batch_dimension": "N"}
    yield "input", {**product, "dimensions": {**steps, "C": item.input_channels, "K": outputs, "N": 1}}
    bounds = {**steps, "C": item.channels, "K": outputs, "N": 1}
    yield "state", {**product, "dimensions": bounds, "sequence": "T"}
    reads = [f"{product}{gate}" for product in ("Input", "State") for gate in range(1, cell.gates + 1)]
    states = list(cell.states)
    yield (
        "gates",
        {
            "kind": "elementwise",
            "elements": item.channels,
            "steps": item.steps,
            "reads": reads,
            "writes": [] if "Hidden" in states else ["Hidden"],
            "states": states,
            "operations": cell.operations,
        },
    )
