"""Exhaustive search: every mapping of a small space."""

from __future__ import annotations

import math

import numpy as np

from procrustes_model.errors import Issue, SpecError
from procrustes_model.kernels.dense.arrays import Ints
from procrustes_model.kernels.search.candidates import list_all
from procrustes_model.kernels.search.exhaustive import try_all
from procrustes_model.kernels.search.finish import Bench
from procrustes_model.mapper.deadline import OutOfTime
from procrustes_model.mapper.incumbent import Incumbent, select
from procrustes_model.mapper.random_search import WALK, search_random
from procrustes_model.mapper.space import Space
from procrustes_model.mapper.sparse_cost import SparseCost

LARGEST = 200_000_000
"""Mappings above which `search_exhaustive` refuses."""

LARGEST_SPLITS = 1_000_000
"""Splits of a dimension above which `search_exhaustive` refuses: they are listed."""

CHUNK = 1000
"""Mappings that are measured at a time where something is zero."""

DENSE_TRIED, TRIED = 20_000, 1_000_000
"""Mappings that a call of a kernel measures, or lists where something is zero, between looks at the time."""


def list_factorisations(space: Space, d: int) -> Ints:
    """Return all ways to write the bound of dimension `d` as allowed factors: per level temporal, x, y."""
    bound, divisors = int(space.model.bounds[d]), space.divisors[d, : space.counts[d]]
    found, made = np.ones((1, 0), np.int64), np.ones(1, np.int64)
    for level in range(space.levels):
        for kind, most in enumerate((math.inf, *space.architecture.fanout(level))):
            space.deadline.check()
            allowed = space.rules.factors[level, kind, d, : len(divisors)] & (divisors <= most)
            factors = divisors[allowed]
            row, column = np.nonzero(bound % (made[:, None] * factors) == 0)
            if len(row) > LARGEST_SPLITS:
                raise _too_large(
                    f"{list(space.problem.dimensions)[d]}={bound} has over {LARGEST_SPLITS:,} splits"
                )
            found = np.concatenate((found[row], factors[column, None]), axis=1)
            made = made[row] * factors[column]
    return np.asarray(found[made == bound])


def _tables(space: Space) -> tuple[Ints, Ints]:
    rows = [list_factorisations(space, d) for d in range(len(space.model.bounds))]
    count = np.array([len(of) for of in rows], np.int64)
    splits = np.ones((len(rows), max(int(count.max()), 1), 3 * space.levels), np.int64)
    for d, of in enumerate(rows):
        splits[d, : len(of)] = of
    return splits, count


def _measure_all(
    space: Space, cost: SparseCost, incumbent: Incumbent, splits: Ints, count: Ints, bench: Bench
) -> None:
    """Measure the mappings of one choice of what levels keep under the sparse design."""
    nests, more, position = space.nests(CHUNK), True, np.zeros(len(count) + 1, np.int64)
    while more:
        incumbent.deadline.check()
        written, more = list_all(
            space.model, splits, count, space.rules.outside, position, TRIED, bench, nests
        )
        for part in cost.batches(select(nests, slice(written))):
            incumbent.deadline.check()
            incumbent.measured += cost.choose(part, incumbent)


def _too_large(what: str) -> SpecError:
    return SpecError(Issue(what, "use the method 'optimal', which proves the same, or add constraints"))


def search_exhaustive(space: Space, incumbent: Incumbent) -> bool:
    """Measure every mapping, unless there are too many.

    Parameters
    ----------
    space : Space
    incumbent : Incumbent
        Changed in place.

    Returns
    -------
    bool
        Whether all were measured before the time was out.

    Raises
    ------
    SpecError
        When the space holds more than `LARGEST` mappings, or a dimension more than `LARGEST_SPLITS` splits.
    """
    size = space.size()
    if (size is not None and size > LARGEST) or (size is None and not incumbent.late):
        many = "too many to count" if size is None else f"{size:.3g}"
        raise _too_large(
            f"the space has {many} mappings, more than the {LARGEST:,} that are tried one by one"
        )
    try:
        _try_all(space, incumbent)
    except OutOfTime:
        if incumbent.nests is None:  # a first mapping, whatever the time
            search_random(space, incumbent, mappings=WALK)
        return False
    return True


def _try_all(space: Space, incumbent: Incumbent) -> None:
    splits, count = _tables(space)
    if not count.all():
        return
    for keep in space.patterns():
        bench, best = space.bench(), space.bench()
        bench.nests.keep[0] = keep
        if space.cost is not None:
            _measure_all(space, space.cost, incumbent, splits, count, bench)
            continue
        more, position = True, np.zeros(len(count) + 1, np.int64)
        while more:
            incumbent.deadline.check()
            energy, cycles, valid, more = try_all(
                space.model,
                splits,
                count,
                space.rules.outside,
                position,
                DENSE_TRIED,
                incumbent.goal,
                bench,
                best,
            )
            incumbent.measured += valid
            incumbent.offer(energy, cycles, best.nests)
