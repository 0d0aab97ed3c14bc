"""The comparisons of energy, energy-delay product and cycles written out one by one, as they once were."""

from __future__ import annotations

import math
from typing import NamedTuple

ROOM = 1e-12


class Best(NamedTuple):
    """The best mapping so far, and the cycles that a mapping may take."""

    energy: float
    cycles: float
    most: float


def better(objective: str, best: Best, energy: float, cycles: float) -> bool:
    """Say whether a mapping is better than the best so far."""
    if cycles > best.most:
        return False
    if objective == "energy":
        return energy < best.energy
    if objective == "edp":
        return energy * cycles < best.energy * best.cycles
    return cycles < best.cycles or (cycles == best.cycles and energy < best.energy)


def limit(objective: str, best: Best, cycles: float) -> float:
    """Return the energy above which a mapping that takes at least `cycles` cannot be better."""
    if cycles > best.most:
        return -math.inf
    if objective == "energy":
        return best.energy * (1 + ROOM)
    if objective == "edp":
        return best.energy * best.cycles / cycles * (1 + ROOM)
    if cycles > best.cycles:
        return -math.inf
    return math.inf if cycles < best.cycles else best.energy * (1 + ROOM)


def value(objective: str, energy: float, cycles: float) -> float:
    """Return what is minimised."""
    return {
        "energy": energy,
        "cycles": cycles,
        "edp": energy * cycles,
        "ed2p": energy * cycles * cycles,
        "e2dp": energy * energy * cycles,
    }[objective]
