"""Exhaustive search: every mapping of a small space."""

from __future__ import annotations

import itertools
import math

import numpy as np

from procrustes_model.errors import Issue, SpecError
from procrustes_model.kernels.dense.arrays import Ints
from procrustes_model.kernels.search.candidates import list_all
from procrustes_model.kernels.search.exhaustive import try_all
from procrustes_model.kernels.search.finish import Bench
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.space import Space
from procrustes_model.mapper.sparse_cost import SparseCost

LARGEST = 200_000_000
"""Mappings above which `search_exhaustive` refuses."""

CHUNK = 1000
"""Factorisations per call of the kernel: how often the time limit is looked at."""

TRIED = 1_000_000
"""Combinations of orders that a call of the kernel looks at where something is zero."""


def list_factorisations(space: Space, d: int) -> list[tuple[int, ...]]:
    """Return all ways to write the bound of dimension `d` as allowed factors: per level temporal, x, y."""
    divisors = space.lattice.divisors[d, : space.lattice.counts[d]].tolist()
    found: list[tuple[int, ...]] = [()]
    for level in range(space.levels):
        for kind, most in enumerate((math.inf, *space.architecture.fanout(level))):
            allowed = space.rules.factors[level, kind, d]
            factors = [f for f, ok in zip(divisors, allowed, strict=False) if ok and f <= most]
            bound = int(space.model.bounds[d])
            found = [(*row, f) for row in found for f in factors if bound % (math.prod(row) * f) == 0]
    return [row for row in found if math.prod(row) == int(space.model.bounds[d])]


def _tables(space: Space) -> tuple[Ints, Ints]:
    rows = [list_factorisations(space, d) for d in range(len(space.model.bounds))]
    count = np.array([len(of) for of in rows], np.int64)
    splits = np.ones((len(rows), max(int(count.max()), 1), 3 * space.levels), np.int64)
    for d, of in enumerate(rows):
        if of:
            splits[d, : len(of)] = of
    return splits, count


def _measure_all(
    space: Space,
    cost: SparseCost,
    incumbent: Incumbent,
    splits: Ints,
    count: Ints,
    orders: Ints,
    position: Ints,
    bench: Bench,
) -> None:
    """Measure the mappings of one choice of what levels keep under the sparse design."""
    nests, more = space.nests(CHUNK), True
    while more and not incumbent.late:
        written, more = list_all(
            space.model, splits, count, orders, space.rules.outside, position, TRIED, bench, nests
        )
        if written:
            incumbent.measured += cost.choose(nests, written, incumbent, counted=None)


def search_exhaustive(space: Space, incumbent: Incumbent) -> None:
    """Measure every mapping, unless there are too many.

    Parameters
    ----------
    space : Space
    incumbent : Incumbent
        Changed in place.

    Raises
    ------
    SpecError
        When the space holds more than `LARGEST` mappings.
    """
    size = space.size()
    if size > LARGEST:
        raise SpecError(
            Issue(
                f"the space has {size:.3g} mappings, more than the {LARGEST:,} that are tried one by one",
                "use the method 'optimal', which proves the same, or add constraints",
            )
        )
    splits, count = _tables(space)
    if not count.all():
        return
    dimensions = range(len(space.model.bounds))
    orders = np.array(list(itertools.permutations(dimensions)), np.int64)
    for keep in space.patterns():
        position, bench, best = np.zeros(len(count) + 1, np.int64), space.bench(), space.bench()
        bench.nests.keep[0] = keep
        if space.cost is not None:
            _measure_all(space, space.cost, incumbent, splits, count, orders, position, bench)
            continue
        more = True
        while more and not incumbent.late:
            energy, cycles, valid, more = try_all(
                space.model,
                splits,
                count,
                orders,
                space.rules.outside,
                position[:-1],
                CHUNK,
                incumbent.goal,
                bench,
                best,
            )
            incumbent.measured += valid
            incumbent.offer(energy, cycles, best.nests)
