"""The mapspace with shorter last passes: which factors there are, and every mapping of a small space.

A dimension is split from the innermost loop outwards. Each loop leaves ``ceil(rest / factor)`` passes for
those further out, and the last of them is ``(rest - 1) % factor + 1`` iterations long. Loops inside a spatial
loop of their dimension, and spatial loops, divide what is left; the outermost temporal loop takes all of it.
That gives every split that a mapping file may hold, once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from procrustes_model.errors import Issue, SpecError
from procrustes_model.kernels.dense.arrays import Bools, Floats, Ints, NestArrays
from procrustes_model.mapper.deadline import Deadline, OutOfTime
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.level_rules import KINDS
from procrustes_model.mapper.size import Packing
from procrustes_model.mapper.space import Space

LARGEST = 20_000_000
"""Mappings above which `search_imperfect_exhaustive` refuses."""

CHUNK = 4096
"""Mappings evaluated at a time: how often the time limit is looked at."""

Split = tuple[tuple[int, int, int, int], ...]
"""Per level: temporal factor, that in the last pass, factors on x and y."""


def factor_limits(space: Space) -> Ints:
    """Return the least and the largest factor that rules and fan-out allow, int64[2, L, 3, D].

    The factors of a loop are those of its full passes. Kinds are temporal, x and y.
    """
    dimensions, names = list(space.problem.dimensions), [level.name for level in space.architecture.levels]
    limits = np.ones((2, len(names), 3, len(dimensions)), np.int64)
    limits[1] = space.model.bounds
    for level in range(len(names)):
        for axis, most in enumerate(space.architecture.fanout(level)):
            limits[1, level, 1 + axis] = np.minimum(limits[1, level, 1 + axis], most)
    for rules in space.constraints.levels:
        for kind, loops in rules.loops.items():
            low, high = limits[:, names.index(rules.level), KINDS.index(kind)]
            for d, name in enumerate(dimensions):
                if loops.dimensions is not None and name not in loops.dimensions:
                    high[d] = min(high[d], 1)
            for rule in loops.factors:
                d = dimensions.index(rule.dimension)
                value = min(rule.value, np.iinfo(np.int64).max)
                if rule.relation in ("=", ">="):
                    low[d] = max(low[d], value)
                if rule.relation in ("=", "<="):
                    high[d] = min(high[d], value)
    return limits


def _steps(rest: int, low: int, high: int) -> Iterator[tuple[int, int, int]]:
    """Yield the first and last factor from `low` to `high` that leave as many passes, and that number."""
    first = low
    while first <= min(high, rest):
        passes = -(-rest // first)
        last = rest if passes == 1 else (rest - 1) // (passes - 1)
        last = min(last, high)
        yield first, last, passes
        first = last + 1


def _divisors(number: int, low: int, high: int) -> list[int]:
    return [n for n in range(low, min(high, number) + 1) if number % n == 0]


def _spatial(rest: int, limits: Ints, whole: bool) -> Iterator[tuple[int, int]]:
    """Yield factors on x and y that divide `rest`; loops of one iteration where an inner one is partial."""
    for y in _divisors(rest if whole else 1, int(limits[0, 2]), int(limits[1, 2])):
        for x in _divisors(rest // y if whole else 1, int(limits[0, 1]), int(limits[1, 1])):
            yield x, y


def count_splits(bound: int, limits: Ints, deadline: Deadline | None = None) -> dict[int, int]:
    """Count the ways to split a bound, by the set of levels that have a temporal loop (a bit each).

    Parameters
    ----------
    bound : int
    limits : int64[2, L, 3]
        Those of its dimension.
    deadline : Deadline, optional

    Returns
    -------
    dict of int to int

    Raises
    ------
    OutOfTime
    """
    levels, clock = limits.shape[1], deadline or Deadline()
    packing = Packing(levels, 64 + levels * bound.bit_length())

    @lru_cache(None)
    def count(level: int, rest: int, whole: bool) -> int:
        clock.check()
        total = 0
        for x, y in _spatial(rest, limits[:, level], whole):
            left = rest // (x * y)
            low, high = (int(limit) for limit in limits[:, level, 0])
            if level == 0:
                if low <= left <= high:
                    total += packing.with_loop(1, 0) if left > 1 else 1
                continue
            for first, last, passes in _steps(left, low, high):
                exact = left // passes if left % passes == 0 and first <= left // passes <= last else 0
                if exact == 1:  # no loop, and so the only factor of 1
                    total += count(level - 1, passes, whole)
                    exact, first = 0, first + 1
                elif exact:
                    total += packing.with_loop(count(level - 1, passes, whole), level)
                short = last - first + 1 - (exact > 0)
                if short:
                    total += packing.with_loop(short * count(level - 1, passes, False), level)
        return total

    return packing.unpack(count(levels - 1, bound, True))


def list_splits(bound: int, limits: Ints) -> list[Split]:
    """Return the ways to split a bound; `limits` (int64[2, L, 3]) are those of its dimension."""
    found: list[Split] = []

    def split(level: int, rest: int, whole: bool, inner: Split) -> None:
        for x, y in _spatial(rest, limits[:, level], whole):
            left = rest // (x * y)
            low, high = (int(limit) for limit in limits[:, level, 0])
            if level == 0:
                if low <= left <= high:
                    found.append(((left, left, x, y), *inner))
                continue
            for factor in range(low, min(high, left) + 1):
                last = (left - 1) % factor + 1
                row = ((factor, last, x, y), *inner)
                split(level - 1, -(-left // factor), whole and last == factor, row)

    split(limits.shape[1] - 1, bound, True, ())
    return found


def imperfect_size(space: Space) -> int | None:
    """Count the mappings with and without shorter last passes, as `Space.size` counts those without."""
    limits = factor_limits(space)

    def list_loops() -> list[dict[int, int]]:
        bounds = enumerate(space.model.bounds.tolist())
        return [count_splits(bound, limits[..., d], space.deadline) for d, bound in bounds]

    return space.count_mappings(list_loops)


def _orders(outside: Bools, looped: tuple[int, ...], *, one: bool) -> list[tuple[int, ...]]:
    """Return the orders of a level's loops that rules allow, idle dimensions first; at most one if `one`."""
    idle = tuple(d for d in range(len(outside)) if d not in looped)
    allowed = (
        (*idle, *order)
        for order in itertools.permutations(looped)
        if not any(outside[inner, outer] for outer, inner in itertools.combinations(order, 2))
    )
    return list(itertools.islice(allowed, 1 if one else None))


def _list_nests(space: Space, limits: Ints, keep: Bools) -> Iterator[tuple[NestArrays, Ints]]:
    """Yield all mappings that keep `keep`, in batches, with their last passes."""
    levels, dimensions = space.levels, len(space.model.bounds)
    splits = [list_splits(int(bound), limits[..., d]) for d, bound in enumerate(space.model.bounds)]
    known: dict[tuple[int, tuple[int, ...]], list[tuple[int, ...]]] = {}
    factors: list[Ints] = []
    orders: list[tuple[tuple[int, ...], ...]] = []

    def batch() -> tuple[NestArrays, Ints]:
        table = np.array(factors).transpose(0, 2, 1, 3)
        nests = NestArrays(
            table[..., 0].copy(),
            np.array(orders, np.int64),
            table[..., 2:].transpose(0, 1, 3, 2).copy(),
            np.repeat(keep[None], len(orders), axis=0),
        )
        last = table[..., 1].copy()
        factors.clear()
        orders.clear()
        return nests, last

    for combination in itertools.product(*splits):
        space.deadline.check()
        table = np.array(combination, np.int64).reshape(dimensions, levels, 4)
        if math.prod(table[..., 2:].ravel().tolist()) < space.model.least_units:
            continue
        choices = []
        for level in range(levels):
            key = (level, tuple(np.flatnonzero(table[:, level, 0] > 1).tolist()))
            if key not in known:
                known[key] = _orders(space.rules.outside[level], key[1], one=level == levels - 1)
            choices.append(known[key])
        for chosen in itertools.product(*choices):
            factors.append(table)
            orders.append(chosen)
            if len(orders) == CHUNK:
                yield batch()
    if orders:
        yield batch()


def offer_batch(
    space: Space, incumbent: Incumbent, nests: NestArrays, last: Ints, allowed: Bools, threads: int = 1
) -> tuple[Bools, Floats, Floats]:
    """Evaluate mappings and offer the best of those that are allowed.

    Parameters
    ----------
    space : Space
    incumbent : Incumbent
        Changed in place.
    nests : NestArrays
    last : int64[N, L, D]
    allowed : bool[N]
    threads : int

    Returns
    -------
    valid : bool[N]
    energy, cycles : float64[N]
    """
    batch = space.evaluator.evaluate(*nests, last=last, threads=threads, accesses=False)
    valid, cycles = batch.valid & allowed, batch.cycles.astype(float)
    incumbent.measured += int(valid.sum())
    incumbent.offer_all(valid, batch.energy_pj, cycles, nests, last)
    return valid, batch.energy_pj, cycles


def search_imperfect_exhaustive(space: Space, incumbent: Incumbent, threads: int = 1) -> bool:
    """Measure every mapping with and without shorter last passes, unless there are too many.

    Parameters
    ----------
    space : Space
    incumbent : Incumbent
        Changed in place.
    threads : int

    Returns
    -------
    bool
        Whether all were measured before the time was out.

    Raises
    ------
    SpecError
        When the space holds more than `LARGEST` mappings.
    """
    size = imperfect_size(space)
    if size is None and incumbent.late:
        return False
    if size is None or size > LARGEST:
        many = "too many to count" if size is None else f"{size:.3g}"
        raise SpecError(
            Issue(
                f"with shorter last passes the space has {many} mappings, more than the {LARGEST:,}"
                " that are tried one by one",
                "use the method 'optimal' or 'random', or add constraints",
            )
        )
    limits = factor_limits(space)
    try:
        for keep in space.patterns():
            for nests, last in _list_nests(space, limits, keep):
                offer_batch(space, incumbent, nests, last, np.ones(len(last), np.bool_), threads)
                incumbent.tell()
                incumbent.deadline.check()
    except OutOfTime:
        return False
    return True
