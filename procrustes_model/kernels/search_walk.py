"""A seeded random walk over mappings that cools down: good mappings within milliseconds, no proof."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from procrustes_model.kernels.arrays import OK, Bools, Ints
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.search_arrays import EDP, Goal, Lattice, Model
from procrustes_model.kernels.search_finish import Bench, is_better, measure


class Freedom(NamedTuple):
    """What a mapping may be.

    Attributes
    ----------
    primes : int64[n, 2]
        Dimension and value of every prime factor of every bound.
    factors : bool[L, 3, D, k]
        Divisors allowed as factor: temporal, on x, on y.
    outside : bool[L, D, D]
        Whether the loop over the first dimension must lie outside that over the second.
    keep : int64[L, T]
        1 to keep, 0 to bypass, -1 to choose.
    """

    primes: Ints
    factors: Bools
    outside: Bools
    keep: Ints


@kernel
def _draw(state: Ints, below: int) -> int:
    """Return a random number from 0 to below - 1 (a linear congruential generator, upper bits)."""
    state[0] = state[0] * 6364136223846793005 + 1442695040888963407
    return int(((state[0] >> 33) & 0x3FFFFFFF) % below)


@kernel
def _violations(model: Model, lattice: Lattice, freedom: Freedom, bench: Bench) -> int:
    """Count what keeps the mapping on the bench from being allowed, capacity and sums not looked at."""
    temporal, order, spatial = bench.nests.temporal[0], bench.nests.order[0], bench.nests.spatial[0]
    wrong = 0
    units = 1
    for level in range(len(model.block)):
        for axis in range(2):
            product = 1
            for d in range(len(model.bounds)):
                product *= spatial[level, axis, d]
            units *= product
            wrong += product > model.machine.fanout[level, axis]
        for d in range(len(model.bounds)):
            for kind in range(3):
                factor = temporal[level, d] if kind == 0 else spatial[level, kind - 1, d]
                i = 0
                while lattice.divisors[d, i] != factor:
                    i += 1
                wrong += not freedom.factors[level, kind, d, i]
        for i in range(len(model.bounds)):
            for k in range(i + 1, len(model.bounds)):
                a, b = order[level, i], order[level, k]
                wrong += freedom.outside[level, b, a] and temporal[level, a] > 1 and temporal[level, b] > 1
    return wrong + (units < model.least_units)


@kernel
def _move_prime(bench: Bench, primes: Ints, slot: Ints, i: int, target: int) -> None:
    """Move one prime factor to another slot: level * 3 + 0 (time), 1 (x), 2 (y)."""
    d, prime = primes[i]
    level, kind = divmod(slot[i], 3)
    if kind == 0:
        bench.nests.temporal[0, level, d] //= prime
    else:
        bench.nests.spatial[0, level, kind - 1, d] //= prime
    level, kind = divmod(target, 3)
    if kind == 0:
        bench.nests.temporal[0, level, d] *= prime
    else:
        bench.nests.spatial[0, level, kind - 1, d] *= prime
    slot[i] = target


@kernel
def _disturb(model: Model, freedom: Freedom, bench: Bench, slot: Ints, state: Ints) -> None:
    """Change the mapping on the bench a little."""
    levels, dimensions = bench.nests.temporal.shape[1:]
    tensors = len(model.kind)
    for _ in range(1 + _draw(state, 3)):
        choice = _draw(state, 10)
        if choice < 6 and len(slot):
            i = _draw(state, len(slot))
            target = _draw(state, 3 * levels)
            if choice < 2:
                k = _draw(state, len(slot))
                target = slot[k]
                _move_prime(bench, freedom.primes, slot, k, slot[i])
            _move_prime(bench, freedom.primes, slot, i, target)
        elif choice < 8:
            level, i, k = _draw(state, levels), _draw(state, dimensions), _draw(state, dimensions)
            d = bench.nests.order[0, level, i]
            bench.nests.order[0, level, i] = bench.nests.order[0, level, k]
            bench.nests.order[0, level, k] = d
        else:
            level, t = _draw(state, levels), _draw(state, tensors)
            if freedom.keep[level, t] < 0:
                bench.nests.keep[0, level, t] = not bench.nests.keep[0, level, t]


@kernel
def _copy(source: Bench, target: Bench) -> None:
    target.nests.temporal[:] = source.nests.temporal
    target.nests.order[:] = source.nests.order
    target.nests.spatial[:] = source.nests.spatial
    target.nests.keep[:] = source.nests.keep


@kernel
def _start(model: Model, freedom: Freedom, bench: Bench) -> None:
    """Put all loops at the outermost level and keep what may be kept."""
    bench.nests.temporal[:] = 1
    bench.nests.spatial[:] = 1
    bench.nests.temporal[0, 0] = model.bounds
    bench.nests.order[0] = np.arange(len(model.bounds))
    bench.nests.keep[0] = freedom.keep != 0


@kernel
def walk(
    model: Model,
    lattice: Lattice,
    freedom: Freedom,
    kind: int,
    most: float,
    steps: int,
    seed: int,
    hot: float,
    cold: float,
    bench: Bench,
    current: Bench,
    best: Bench,
) -> tuple[float, float, int]:
    """Walk, accept what is better or not much worse, and remember the best.

    Parameters
    ----------
    model : Model
    lattice : Lattice
    freedom : Freedom
    kind : int
        ENERGY, EDP or CYCLES.
    most : float
        Cycles that a mapping may take.
    steps : int
        Mappings to look at.
    seed : int
    hot, cold : float
        Temperatures at the start and the end: the relative loss that is accepted one time in e.
    bench, current : Bench
        Scratch.
    best : Bench
        Its `nests` are filled in where a valid mapping is found.

    Returns
    -------
    energy, cycles : float
        Of the best; infinite where none is valid.
    valid : int
        Valid mappings measured.
    """
    state = np.array([seed * 7919 + 104729])
    _start(model, freedom, bench)
    slot = np.zeros(len(freedom.primes), np.int64)
    accepted_slot = slot.copy()
    _copy(bench, current)
    goal = Goal(kind, math.inf, math.inf, most)
    energy = cycles = accepted = math.inf
    valid = 0
    for step in range(steps):
        if step:
            _disturb(model, freedom, bench, slot, state)
        wrong = _violations(model, lattice, freedom, bench)
        cost = 1e6 * wrong
        if wrong == 0:
            found = measure(model, bench)
            cost = 1e5
            if bench.status[0] == OK:
                valid += 1
                cost = math.log(found[1]) + 1e-3 * math.log(found[0] + 1e-9)
                if kind != 2:
                    cost = math.log(found[0] + 1e-9) + (math.log(found[1]) if kind == EDP else 0.0)
                cost += 1e3 if found[1] > most else 0.0
                if is_better(goal, found[0], found[1]):
                    energy, cycles = found
                    goal = Goal(kind, energy * cycles if kind == EDP else energy, cycles, most)
                    _copy(bench, best)
        temperature = hot * (cold / hot) ** (step / steps)
        chance = (_draw(state, 1 << 30) + 0.5) / (1 << 30)
        if cost <= accepted or chance < math.exp((accepted - cost) / temperature):
            accepted = cost
            accepted_slot[:] = slot
            _copy(bench, current)
        else:
            slot[:] = accepted_slot
            _copy(current, bench)
    return energy, cycles, valid
