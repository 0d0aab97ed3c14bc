"""What is better: the one place in the search that knows objectives.

The objective is ``energy ** a * cycles ** b`` within limits on either. Energies of whole mappings are all
that they spend; bounds inside the search are on *dynamic* energy, without what is spent per cycle.
"""

from __future__ import annotations

import math

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, Floats
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.search.arrays import SLACK, Goal

TIE = 1e-3
"""Weight of energy in the walks where only cycles count, so that it decides between equals."""

LATE, STEEP = 1e3, 10.0
"""What a walk pays for being beyond a limit, and for the relative distance to it."""


@kernel
def raised(base: float, power: float) -> float:
    """Return ``base ** power``; for whole powers by multiplication, so that 0 and 1 are exact."""
    if power == 0.0:
        return 1.0
    if power == math.floor(power):
        product = base
        for _ in range(int(power) - 1):
            product *= base
        return product
    return float(base**power)


@kernel
def score(goal: Goal, energy: float, cycles: float) -> float:
    """Return the objective of energy and cycles."""
    return raised(energy, goal.energy_power) * raised(cycles, goal.cycles_power)


@kernel
def score_all(goal: Goal, energy: Floats, cycles: Floats) -> Floats:
    """Return the objective of N energies and cycles."""
    scores = np.empty(len(energy))
    for n in range(len(scores)):
        scores[n] = score(goal, energy[n], cycles[n])
    return scores


@kernel
def is_better(goal: Goal, energy: float, cycles: float) -> bool:
    """Say whether a mapping is within the limits and better than the best so far."""
    if cycles > goal.most_cycles or energy > goal.most_energy:
        return False
    value = score(goal, energy, cycles)
    if goal.energy_power == 0.0 and value == goal.value:
        return energy < goal.energy
    return value < goal.value


@kernel
def advance(goal: Goal, energy: float, cycles: float) -> Goal:
    """Return the goal with another mapping as the best so far."""
    return Goal(
        goal.energy_power,
        goal.cycles_power,
        score(goal, energy, cycles),
        energy,
        goal.most_cycles,
        goal.most_energy,
        goal.power,
    )


@kernel
def energy_limit(goal: Goal, cycles: float) -> float:
    """Return the dynamic energy above which a mapping that takes at least `cycles` cannot be better."""
    if cycles > goal.most_cycles:
        return -math.inf
    limit, share = goal.most_energy, raised(cycles, goal.cycles_power)
    if goal.energy_power == 1.0:
        limit = min(limit, goal.value / share)
    elif goal.energy_power > 0.0:
        limit = min(limit, (goal.value / share) ** (1.0 / goal.energy_power))
    elif share > goal.value:
        return -math.inf
    elif share == goal.value:
        limit = min(limit, goal.energy)
    limit *= 1 + SLACK
    if goal.power > 0.0:
        limit -= goal.power * cycles
    return limit


@kernel
def may_be_better(goal: Goal, dynamic: Floats, cycles: Floats) -> Bools:
    """Say of N lower bounds on dynamic energy and cycles whether a mapping there may still be better."""
    hopeful = np.empty(len(dynamic), np.bool_)
    for n in range(len(hopeful)):
        hopeful[n] = dynamic[n] <= energy_limit(goal, cycles[n])
    return hopeful


@kernel
def loss(goal: Goal, energy: float, cycles: float) -> float:
    """Return what walks lower; a difference is a relative loss in what counts most, energy or cycles."""
    log_energy, log_cycles = math.log(energy + 1e-9), math.log(cycles)
    most = max(goal.energy_power, goal.cycles_power)
    weight = goal.energy_power / most if goal.energy_power > 0.0 else TIE
    lost = weight * log_energy + goal.cycles_power / most * log_cycles
    if cycles > goal.most_cycles:
        lost += LATE + STEEP * (log_cycles - math.log(goal.most_cycles))
    if energy > goal.most_energy:
        lost += LATE + STEEP * (log_energy - math.log(goal.most_energy))
    return lost


@kernel
def loss_all(goal: Goal, energy: Floats, cycles: Floats) -> Floats:
    """Return the loss of N mappings."""
    lost = np.empty(len(energy))
    for n in range(len(lost)):
        lost[n] = loss(goal, energy[n], cycles[n])
    return lost
