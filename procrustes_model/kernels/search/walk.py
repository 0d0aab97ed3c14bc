"""A seeded random walk over mappings that cools down: good mappings within milliseconds, no proof."""

from __future__ import annotations

import math
from typing import NamedTuple

from procrustes_model.kernels.dense.arrays import OK, Bools, Floats, Ints, NestArrays
from procrustes_model.kernels.dense.nest import copy_nest, copy_row
from procrustes_model.kernels.jit import by_reference, kernel
from procrustes_model.kernels.search.arrays import Goal, Model
from procrustes_model.kernels.search.finish import Bench, measure_batch, slowest
from procrustes_model.kernels.search.goal import advance, is_better, loss

TRIES = 3
"""How often a step is drawn anew when it breaks a rule that is cheap to check."""


@by_reference
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
    free : bool
        Whether every divisor is allowed everywhere.
    ordered : bool
        Whether `outside` demands anything.
    """

    primes: Ints
    factors: Bools
    outside: Bools
    keep: Ints
    free: bool
    ordered: bool


@kernel
def _draw(state: Ints, n: int, below: int) -> int:
    """Return a random number from 0 to below - 1 (a linear congruential generator, upper bits)."""
    state[n] = state[n] * 6364136223846793005 + 1442695040888963407
    return int(((state[n] >> 33) & 0x3FFFFFFF) % below)


@kernel
def _violations(
    fanout: Ints, divisors: Ints, freedom: Freedom, nests: NestArrays, least_units: int, wrong: Ints
) -> None:
    """Count what keeps each mapping (int64[N]) from being allowed; capacity is not looked at."""
    temporal, order, spatial = nests.temporal, nests.order, nests.spatial
    factors, outside, free, ordered = freedom.factors, freedom.outside, freedom.free, freedom.ordered
    mappings, levels, dimensions = temporal.shape
    for n in range(mappings):
        count = 0
        units = 1
        for level in range(levels):
            for axis in range(2):
                product = 1
                for d in range(dimensions):
                    product *= spatial[n, level, axis, d]
                units *= product
                count += product > fanout[level, axis]
            for kind in range(0 if free else 3):
                for d in range(dimensions):
                    factor = temporal[n, level, d] if kind == 0 else spatial[n, level, kind - 1, d]
                    i = 0
                    while divisors[d, i] != factor:
                        i += 1
                    count += not factors[level, kind, d, i]
            for i in range(dimensions if ordered else 0):
                for k in range(i + 1, dimensions):
                    a, b = order[n, level, i], order[n, level, k]
                    if outside[level, b, a] and temporal[n, level, a] > 1 and temporal[n, level, b] > 1:
                        count += 1
        wrong[n] = count + (units < least_units)


@kernel
def _move_prime(temporal: Ints, spatial: Ints, n: int, d: int, prime: int, origin: int, target: int) -> None:
    """Move a prime factor from slot to slot: level * 3 + 0 (time), 1 (x), 2 (y)."""
    level, kind = divmod(origin, 3)
    if kind == 0:
        temporal[n, level, d] //= prime
    else:
        spatial[n, level, kind - 1, d] //= prime
    level, kind = divmod(target, 3)
    if kind == 0:
        temporal[n, level, d] *= prime
    else:
        spatial[n, level, kind - 1, d] *= prime


@kernel
def _disturb(freedom: Freedom, nests: NestArrays, slot: Ints, state: Ints, wrong: Ints) -> None:
    """Change every mapping that is wrong a little.

    Parameters
    ----------
    freedom : Freedom
    nests : NestArrays
    slot : int64[N, n]
        Where each prime factor is.
    state : int64[N]
        Of the random numbers.
    wrong : int64[N]
    """
    primes, may_keep = freedom.primes, freedom.keep
    temporal, order, spatial, keep = nests.temporal, nests.order, nests.spatial, nests.keep
    mappings, levels, dimensions = temporal.shape
    count, tensors = len(primes), keep.shape[2]
    for n in range(mappings):
        for _ in range(1 + _draw(state, n, 3) if wrong[n] else 0):
            choice = _draw(state, n, 10)
            if choice < 6 and count:
                i = _draw(state, n, count)
                target = _draw(state, n, 3 * levels)
                if choice < 2:
                    k = _draw(state, n, count)
                    target = slot[n, k]
                    _move_prime(temporal, spatial, n, primes[k, 0], primes[k, 1], target, slot[n, i])
                    slot[n, k] = slot[n, i]
                    if k == i:
                        continue
                _move_prime(temporal, spatial, n, primes[i, 0], primes[i, 1], slot[n, i], target)
                slot[n, i] = target
            elif choice < 8:
                level, i = _draw(state, n, levels), _draw(state, n, dimensions)
                k = _draw(state, n, dimensions)
                d = order[n, level, i]
                order[n, level, i] = order[n, level, k]
                order[n, level, k] = d
            else:
                level, t = _draw(state, n, levels), _draw(state, n, tensors)
                if may_keep[level, t] < 0:
                    keep[n, level, t] = not keep[n, level, t]


@by_reference
class Ways(NamedTuple):
    """N walks side by side.

    Attributes
    ----------
    state : int64[N]
        Of the random numbers.
    slot, accepted_slot : int64[N, n]
        Where each prime factor is, in the mapping looked at and in the one stood at.
    accepted : float64[N]
        Cost of the mapping stood at.
    wrong : int64[N]
        Rules that the mapping looked at breaks.
    current : NestArrays
        The mappings stood at.
    best : NestArrays
        The best mapping of all; a batch of one.
    record : float64[2]
        Its energy and cycles.
    """

    state: Ints
    slot: Ints
    accepted_slot: Ints
    accepted: Floats
    wrong: Ints
    current: NestArrays
    best: NestArrays
    record: Floats


@kernel
def propose(
    model: Model, divisors: Ints, freedom: Freedom, ways: Ways, nests: NestArrays, first: bool
) -> None:
    """Change every mapping of `nests`, the ones stood at, a little; count what is wrong with it.

    Nothing is changed the first time.
    """
    slot, wrong = ways.slot, ways.wrong
    wrong[:] = 1
    for attempt in range(TRIES):
        for n in range(len(wrong) if attempt else 0):
            if wrong[n]:
                copy_row(ways.accepted_slot[n], slot[n])
                copy_nest(ways.current, nests, n, n)
        if not first:
            _disturb(freedom, nests, slot, ways.state, wrong)
        _violations(model.machine.fanout, divisors, freedom, nests, model.least_units, wrong)
        if not wrong.any():
            break


@kernel
def accept(
    goal: Goal,
    temperature: float,
    ways: Ways,
    nests: NestArrays,
    total: Floats,
    by_level: Ints,
    status: Ints,
) -> int:
    """Go to the mappings of `nests` that are better or not much worse; return how many are valid.

    Parameters
    ----------
    goal : Goal
        Its objective and limits; each walk finds a best mapping of its own.
    temperature : float
        The relative loss that is accepted one time in e.
    ways : Ways
    nests : NestArrays
        Where a way does not go, its mapping is replaced by the one stood at.
    total : float64[N]
        Energy.
    by_level : int64[N, L + 1]
        Cycles.
    status : int64[N]
    """
    accepted, slot, record = ways.accepted, ways.slot, ways.record
    valid = 0
    for n in range(len(ways.state)):
        cost = 1e6 * ways.wrong[n]
        if ways.wrong[n] == 0 and status[n] != OK:
            cost = 1e5
        elif ways.wrong[n] == 0:
            valid += 1
            cycles = slowest(by_level, n)
            cost = loss(goal, total[n], cycles)
            if is_better(advance(goal, record[0], record[1]), total[n], cycles):
                record[0], record[1] = total[n], cycles
                copy_nest(nests, ways.best, n, 0)
        chance = (_draw(ways.state, n, 1 << 30) + 0.5) / (1 << 30)
        if cost <= accepted[n] or chance < math.exp((accepted[n] - cost) / temperature):
            accepted[n] = cost
            copy_row(slot[n], ways.accepted_slot[n])
            copy_nest(nests, ways.current, n, n)
        else:
            copy_row(ways.accepted_slot[n], slot[n])
            copy_nest(ways.current, nests, n, n)
    return valid


@kernel
def walk(
    model: Model,
    divisors: Ints,
    freedom: Freedom,
    goal: Goal,
    first: int,
    last: int,
    steps: int,
    hot: float,
    cold: float,
    bench: Bench,
    ways: Ways,
) -> int:
    """Walk N ways at once, each its own: accept what is better or not much worse, remember the best.

    Parameters
    ----------
    model : Model
    divisors : int64[D, n]
        As in `Lattice`.
    freedom : Freedom
    goal : Goal
        Its objective and limits; each walk finds a best mapping of its own.
    first, last : int
        Steps to go in this call: one is a mapping looked at on each way.
    steps : int
        Of the whole walk: how fast it cools down.
    hot, cold : float
        Temperatures at the start and the end: the relative loss that is accepted one time in e.
    bench : Bench
        Scratch, for N mappings.
    ways : Ways
        Where the call before left them, as the mappings of the bench; the best is filled in where a valid
        one is found.

    Returns
    -------
    int
        Valid mappings measured.
    """
    nests, costs = bench.nests, bench.costs
    valid = 0
    for step in range(first, last):
        propose(model, divisors, freedom, ways, nests, step == 0)
        measure_batch(model, bench)
        temperature = hot * (cold / hot) ** (step / steps)
        valid += accept(goal, temperature, ways, nests, costs.total, costs.cycles, bench.room.status)
    return valid
