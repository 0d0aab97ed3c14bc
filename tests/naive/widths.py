"""The bits of an element by looking for the most specific statement, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Written = Mapping[str, Any]


def find_bits(
    tensor: str,
    phase: str,
    *,
    word: int,
    architecture: Written,
    problem: Written,
    network: Written,
    layer: Written,
    part: Written,
) -> int:
    """Return what the most specific of all statements, as files have them, says of a tensor in a phase."""
    by_phase: list[Written] = [part.get(phase, {}), layer.get(phase, {}), network.get(phase, {})]
    of_part, of_layer_in_phase, of_network_in_phase = by_phase
    specific_first = (
        of_part,
        part,
        of_layer_in_phase,
        of_network_in_phase,
        layer,
        network,
        problem,
        architecture,
    )
    for statement in specific_first:
        if tensor in statement:
            return int(statement[tensor])
    return word
