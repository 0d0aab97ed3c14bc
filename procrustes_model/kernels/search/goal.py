"""What is better: the one place in the search that knows objectives.

The objective is ``energy ** a * cycles ** b`` within limits on either; where a front is sought, a mapping
is better that is on it. Energies of whole mappings are all that they spend; bounds inside the search are on
*dynamic* energy, without what is spent per cycle.
"""

from __future__ import annotations

import math

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, Floats
from procrustes_model.kernels.jit import brief, kernel
from procrustes_model.kernels.search.arrays import SLACK, Goal

TIE = 1e-3
"""Weight of energy in the walks where only cycles count, so that it decides between equals."""

LATE, STEEP = 1e3, 10.0
"""What a walk pays for being beyond a limit, and for the relative distance to it."""


@brief
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


@brief
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


@brief
def _count_faster(front: Floats, cycles: float) -> int:
    """Return how many rows of a front take no more cycles."""
    first, last = 0, len(front)
    while first < last:
        middle = (first + last) // 2
        if front[middle, 0] <= cycles:
            first = middle + 1
        else:
            last = middle
    return first


@brief
def front_energy(goal: Goal, cycles: float) -> float:
    """Return the energy at which a mapping on the front takes no more cycles; infinite without one."""
    if len(goal.front) == 0:
        return math.inf
    return float(goal.front[_count_faster(goal.front, cycles) - 1, 1])


@kernel
def extend_front(front: Floats, energy: float, cycles: float) -> Floats:
    """Return a front (`Goal.front`) with one more mapping, which is on it, and without those it replaces."""
    first = _count_faster(front, cycles)
    if front[first - 1, 0] == cycles:
        first -= 1  # of as many cycles, and so of more energy
    last = first
    while last < len(front) and front[last, 1] >= energy:
        last += 1
    more = np.empty((first + 1 + len(front) - last, 2))
    for i in range(first):
        more[i, 0], more[i, 1] = front[i, 0], front[i, 1]
    more[first, 0], more[first, 1] = cycles, energy
    for i in range(last, len(front)):
        more[first + 1 + i - last, 0], more[first + 1 + i - last, 1] = front[i, 0], front[i, 1]
    return more


@brief
def is_better(goal: Goal, energy: float, cycles: float) -> bool:
    """Say whether a mapping is within the limits and better than the best so far, or on the front."""
    if cycles > goal.most_cycles or energy > goal.most_energy:
        return False
    if len(goal.front) > 0:
        return energy < front_energy(goal, cycles)
    value = score(goal, energy, cycles)
    if goal.energy_power == 0.0 and value == goal.value:
        return energy < goal.energy
    return value < goal.value


@kernel
def advance(goal: Goal, energy: float, cycles: float) -> Goal:
    """Return the goal with another mapping, a better one, as the best so far or on the front."""
    value, front = score(goal, energy, cycles), goal.front
    if len(front) > 0:
        value, energy, front = goal.value, goal.energy, extend_front(front, energy, cycles)
    return Goal(
        goal.energy_power,
        goal.cycles_power,
        value,
        energy,
        goal.most_cycles,
        goal.most_energy,
        goal.power,
        front,
    )


@brief
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
    if len(goal.front) > 0:
        limit = min(limit, front_energy(goal, cycles))
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
