"""What goes over the link of a network: maps and gradients between machines, gradients between replicas.

Replicas add up their gradients in a ring (reduce-scatter, then all-gather): each sends 2 (N - 1) / N of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from procrustes_model.vocabulary import Phase

if TYPE_CHECKING:
    from procrustes_model.spec.network import Network

ALL_REDUCE = "all-reduce"


@dataclass(frozen=True)
class LinkCost:
    """What crosses in one phase of a training step.

    Attributes
    ----------
    name : str
        What goes: 'edge > cloud', or 'all-reduce'.
    phase : Phase
    elements : int
        Of the map, or of the gradients of all weights of one replica.
    bits_per_element : int
    bits : int
        That cross, of all replicas.
    energy_pj : float
    seconds : float or None
        Replicas send at the same time; None: the link has no speed.
    """

    name: str
    phase: Phase
    elements: int
    bits_per_element: int
    bits: int
    energy_pj: float
    seconds: float | None


def link_costs(network: Network, machine: str, batch: int, phases: Sequence[Phase]) -> tuple[LinkCost, ...]:
    """Return all that crosses in a training step.

    A gradient comes back where a layer before the crossing is trained.

    Parameters
    ----------
    network : Network
    machine : str
        Name of the machine of the run.
    batch : int
        Samples per training step, of each replica.
    phases : sequence of Phase
        Those that run.
    """
    link = network.link
    if link is None:
        return ()
    rate = link.bits_per_second
    found = []
    for one in network.crossings:
        names = (one.source or machine, one.target or machine)
        if names[0] == names[1]:
            continue  # the run's own machine is that of the other side, too
        elements = one.elements * batch
        trained = any(
            layer.weights and Phase.WEIGHT_UPDATE in layer.phases for layer in network.layers[: one.after]
        )
        ways = {Phase.FORWARD: names, **({Phase.BACKWARD: names[::-1]} if trained else {})}
        for phase, (source, target) in ways.items():
            if phase in phases:
                bits = elements * one.bits
                time = None if rate is None else bits / rate
                cost = (elements, one.bits, bits, bits * link.energy_pj_per_bit, time)
                found.append(LinkCost(f"{source} > {target}", phase, *cost))
    if network.replicas > 1 and network.trained_weights and Phase.WEIGHT_UPDATE in phases:
        bits = 2 * (network.replicas - 1) * network.trained_weights * link.bits
        time = None if rate is None else bits / network.replicas / rate
        cost = (network.trained_weights, link.bits, bits, bits * link.energy_pj_per_bit, time)
        found.append(LinkCost(ALL_REDUCE, Phase.WEIGHT_UPDATE, *cost))
    return tuple(found)
