"""The least energy of all nests that keep the same and spread alike: every nest, evaluated by the model."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, NestArrays
from procrustes_model.mapper.space import Space
from procrustes_model.model.batch import BatchResult

Spread = tuple[tuple[int, ...], ...]
"""By level the spatial factors of all dimensions, x and y together."""


def _splits(bound: int, parts: int) -> Iterator[tuple[int, ...]]:
    """Yield all ways to write a bound as so many factors."""
    if parts == 1:
        yield (bound,)
        return
    for factor in range(1, bound + 1):
        if bound % factor == 0:
            for rest in _splits(bound // factor, parts - 1):
                yield (factor, *rest)


def list_nests(
    space: Space,
) -> Iterator[tuple[Spread, tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]]:
    """Yield spatial factors, temporal factors and orders, whether they fit the machine or not."""
    levels, dimensions = space.levels, len(space.model.bounds)
    fans = [level for level in range(levels) if space.mesh[level] > 1]
    for split in itertools.product(*(_splits(int(b), levels + len(fans)) for b in space.model.bounds)):
        temporal = tuple(tuple(one[level] for one in split) for level in range(levels))
        spread = tuple(
            tuple(one[levels + fans.index(level)] if level in fans else 1 for one in split)
            for level in range(levels)
        )
        if any(math.prod(spread[level]) > space.mesh[level] for level in fans):
            continue
        looped = [[d for d in range(dimensions) if factors[d] > 1] for factors in temporal]
        for order in itertools.product(*(itertools.permutations(one) for one in looped)):
            yield spread, temporal, order


def _evaluate_all(space: Space) -> Iterator[tuple[Bools, list[Spread], BatchResult]]:
    """Yield for each choice of what levels keep how its nests spread, and what they cost."""
    found = list(list_nests(space))
    nests, dimensions = space.nests(len(found)), len(space.model.bounds)
    for n, (spread, temporal, orders) in enumerate(found):
        nests.temporal[n] = temporal
        for level, order in enumerate(orders):
            nests.order[n, level] = [*(d for d in range(dimensions) if d not in order), *order]
            columns, rows = space.architecture.fanout(level)
            ways = itertools.product(*(_splits(factor, 2) for factor in spread[level]))
            fits = [
                way
                for way in ways
                if math.prod(x for x, _ in way) <= columns and math.prod(y for _, y in way) <= rows
            ]
            # as many on x as there are in all is not valid, where neither fits
            nests.spatial[n, level] = np.array(fits[0]).T if fits else [spread[level], [1] * dimensions]
    for keep in space.patterns():
        every = NestArrays(nests.temporal, nests.order, nests.spatial, np.tile(keep, (len(found), 1, 1)))
        yield keep, [spread for spread, _, _ in found], space.evaluator.evaluate(*every)


def least_energies(space: Space) -> dict[tuple[bytes, Spread], float]:
    """Return the least energy of all valid nests by what levels keep and how they spread."""
    return {key: energy for key, (energy, _) in least_costs(space).items()}


def least_costs(space: Space) -> dict[tuple[bytes, Spread], tuple[float, float]]:
    """Return least energy and fewest cycles of all valid nests by what levels keep and how they spread."""
    least: dict[tuple[bytes, Spread], tuple[float, float]] = {}
    for keep, spreads, result in _evaluate_all(space):
        for n in np.flatnonzero(result.status == 0):
            key = keep.tobytes(), spreads[n]
            energy, cycles = least.get(key, (math.inf, math.inf))
            least[key] = min(energy, float(result.energy_pj[n])), min(cycles, float(result.cycles[n]))
    return least


def find_front(space: Space) -> list[tuple[float, float]]:
    """Return cycles and energy of all valid nests than which none is as good in both and better in one."""
    found: set[tuple[float, float]] = set()
    for _, _, result in _evaluate_all(space):
        good = result.status == 0
        found |= set(zip(result.cycles[good].tolist(), result.energy_pj[good].tolist(), strict=True))
    return without_dominated(found)


def without_dominated(found: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the pairs of cycles and energy than which none is as good in both and better in one."""
    front: list[tuple[float, float]] = []
    for cycles, energy in sorted(found):
        if not front or energy < front[-1][1]:
            front.append((cycles, energy))
    return front
