"""The mapspace with shorter last passes: which factors there are, and every mapping of a small space.

A dimension is split from the innermost loop outwards: in each level over columns, over rows, in time. Each
loop takes any number of what is left, leaves ``ceil(rest / factor)`` passes for those further out, and the
last of them is ``(rest - 1) % factor + 1`` long; the outermost temporal loop takes all of it. That gives
every split that a mapping file may hold, once.
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

Split = tuple[tuple[int, int, int, int, int, int], ...]
"""Per level: the factor and that in the last pass, in time, on x and on y."""


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


def _take(rest: int, limits: Ints) -> Iterator[tuple[int, int, int]]:
    """Yield factors of a loop from the least to the largest allowed, their last passes, and what is left."""
    for factor in range(int(limits[0]), min(int(limits[1]), rest) + 1):
        yield factor, (rest - 1) % factor + 1, -(-rest // factor)


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
    def spread(level: int, rest: int) -> dict[int, int]:
        """Count the ways to spread a level's share over columns and rows, by what they leave."""
        clock.check()
        ways: dict[int, int] = {}
        for first, last, left in _steps(rest, *limits[:, level, 1].tolist()):
            for one, end, passes in _steps(left, *limits[:, level, 2].tolist()):
                ways[passes] = ways.get(passes, 0) + (last - first + 1) * (end - one + 1)
        return ways

    @lru_cache(None)
    def count(level: int, rest: int) -> int:
        clock.check()
        low, high = limits[:, level, 0].tolist()
        total = 0
        for left, ways in spread(level, rest).items():
            found = 0
            if level == 0:
                if low <= left <= high:
                    found = packing.with_loop(1, 0) if left > 1 else 1
            else:
                for first, last, passes in _steps(left, low, high):
                    inner = (last - first + 1) * count(level - 1, passes)
                    found += packing.with_loop(inner, level) if first > 1 else inner
            total += ways * found
        return total

    return packing.unpack(count(levels - 1, bound))


def list_splits(bound: int, limits: Ints) -> list[Split]:
    """Return the ways to split a bound; `limits` (int64[2, L, 3]) are those of its dimension."""
    found: list[Split] = []

    def split(level: int, rest: int, inner: Split) -> None:
        time, on_x, on_y = (limits[:, level, kind] for kind in range(3))
        for x, x_last, after_x in _take(rest, on_x):
            for y, y_last, left in _take(after_x, on_y):
                if level == 0:
                    if time[0] <= left <= time[1]:
                        found.append(((left, left, x, x_last, y, y_last), *inner))
                    continue
                for factor, last, passes in _take(left, time):
                    split(level - 1, passes, ((factor, last, x, x_last, y, y_last), *inner))

    split(limits.shape[1] - 1, bound, ())
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
            table[..., [2, 4]].transpose(0, 1, 3, 2).copy(),
            np.repeat(keep[None], len(orders), axis=0),
        )
        last = table[..., 1::2].transpose(0, 1, 3, 2).copy()
        factors.clear()
        orders.clear()
        return nests, last

    for combination in itertools.product(*splits):
        space.deadline.check()
        table = np.array(combination, np.int64).reshape(dimensions, levels, 6)
        if math.prod(table[..., [2, 4]].ravel().tolist()) < space.model.least_units:
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
    last : int64[N, L, 3, D]
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
