"""Random search: seeded walks that cool down, restarted until a budget is spent."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from procrustes_model.kernels.dense.arrays import NestArrays
from procrustes_model.kernels.search.arrays import Goal
from procrustes_model.kernels.search.walk import Freedom, Ways, accept, propose, walk
from procrustes_model.mapper.deadline import Deadline
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.space import Space
from procrustes_model.mapper.sparse_cost import SparseCost

HOT, COLD = 0.3, 0.0005
"""Temperatures: relative losses that a walk accepts at its start and end."""

WALK = 20_000
"""Mappings of one walk."""

PART, LEAST = 250, 20
"""Steps between looks at the time limit, and how often it is over and a walk without a mapping goes on."""

WAYS = 25
"""Walks that run side by side in one call of the kernel, which makes each of them faster."""

SPARSE_WAYS, SPARSE_WALK = 256, 2_000
"""The same where something is zero, and every step is a dozen calls."""


def make_ways(space: Space, freedom: Freedom, seeds: Sequence[int]) -> Ways:
    """Return walks that have not begun, one for each seed."""
    count = len(seeds)
    slots = (count, len(freedom.primes))
    return Ways(
        state=np.array([(seed * 7919 + 104729) % 2**63 for seed in seeds], np.int64),
        slot=np.zeros(slots, np.int64),
        accepted_slot=np.zeros(slots, np.int64),
        accepted=np.full(count, np.inf),
        wrong=np.zeros(count, np.int64),
        current=space.nests(count),
        best=space.nests(1),
        record=np.full(2, np.inf),
    )


def begin(space: Space, ways: Ways, nests: NestArrays) -> None:
    """Place walks and the mappings that they look at at their start.

    Loops are where `Space.start` says, and levels keep what they may keep.
    """
    for batch in (nests, ways.current):
        start = space.begin(batch)
        batch.order[:] = np.arange(len(space.model.bounds))
    ways.slot[:] = ways.accepted_slot[:] = start
    ways.accepted[:] = ways.record[:] = np.inf


def _walk(
    space: Space, goal: Goal, steps: int, seeds: Sequence[int], deadline: Deadline
) -> tuple[float, float, int, NestArrays]:
    freedom = space.freedom()
    ways = make_ways(space, freedom, seeds)
    if space.cost is None:
        valid = _walk_dense(space, freedom, goal, steps, ways, deadline)
    else:
        valid = _walk_sparse(space, space.cost, freedom, goal, steps, ways, deadline)
    return float(ways.record[0]), float(ways.record[1]), valid, ways.best


def _parts(steps: int, part: int, ways: Ways, deadline: Deadline) -> Iterator[tuple[int, int]]:
    """Yield the first step and the end of parts of a walk until the time is out.

    Late or not, it goes on until a valid mapping is met, for `LEAST` parts at most.
    """
    for number, first in enumerate(range(0, steps, part)):
        if deadline.late and (np.isfinite(ways.record[0]) or number >= LEAST):
            return
        yield first, min(first + part, steps)


def _walk_dense(
    space: Space, freedom: Freedom, goal: Goal, steps: int, ways: Ways, deadline: Deadline
) -> int:
    bench, valid = space.bench(len(ways.state)), 0
    begin(space, ways, bench.nests)
    for first, last in _parts(steps, PART, ways, deadline):
        valid += walk(space.model, space.divisors, freedom, goal, first, last, steps, HOT, COLD, bench, ways)
    return valid


def _walk_sparse(
    space: Space, cost: SparseCost, freedom: Freedom, goal: Goal, steps: int, ways: Ways, deadline: Deadline
) -> int:
    """Walk as `kernels.search.walk.walk` does, with mappings measured under the sparse design."""
    nests, valid = space.nests(len(ways.state)), 0
    begin(space, ways, nests)
    with cost.workbench(len(ways.state)) as bench:
        costs, status = bench.sparse.costs, bench.sparse.status
        for step, _ in _parts(steps, 1, ways, deadline):
            propose(space.model, space.divisors, freedom, ways, nests, step == 0)
            cost.evaluate(nests, bench)
            temperature = HOT * (COLD / HOT) ** (step / steps)
            valid += accept(goal, temperature, ways, nests, costs.total, costs.cycles, status)
    if valid:
        found = cost.measure(ways.best)
        ways.record[:] = (found.energy_pj[0], found.cycles[0]) if found.valid[0] else (np.inf, np.inf)
    return valid


def _batches(mappings: int | None, most: int, length: int) -> Iterator[tuple[int, int, int]]:
    """Yield the first walk, the number of walks and the steps of each: in all no more than the budget."""
    first = 0
    while mappings is None or mappings >= length:
        ways = most if mappings is None else min(most, mappings // length)
        yield first, ways, length
        first += ways
        mappings = None if mappings is None else mappings - ways * length
    if mappings:
        yield first, 1, mappings


def search_random(
    space: Space,
    incumbent: Incumbent,
    *,
    mappings: int | None,
    seed: int = 0,
    threads: int = 1,
    ways: int | None = None,
    length: int | None = None,
) -> None:
    """Walk until the budget of mappings, or the time limit of the incumbent, is spent.

    A walk's seed is its number, and walks are taken in their order: with a budget in mappings the answer
    does not depend on the number of threads.

    Parameters
    ----------
    space : Space
    incumbent : Incumbent
        Changed in place.
    mappings : int, optional
        Mappings to look at; None means until the time is out.
    seed : int
    threads : int
    ways : int, optional
        Walks that run side by side on one thread.
    length : int, optional
        Mappings of one walk.
    """
    usual = (WAYS, WALK) if space.cost is None else (SPARSE_WAYS, SPARSE_WALK)
    batches, done = _batches(mappings, ways or usual[0], length or usual[1]), 0
    with ThreadPoolExecutor(threads) as pool:
        while not done or not incumbent.late:
            batch = list(itertools.islice(batches, threads))
            if not batch:
                break
            runs = []
            for first, count, steps in batch:
                seeds = [(seed << 20) + first + i for i in range(count)]
                runs.append(
                    pool.submit(_walk, space, incumbent.walking_goal, steps, seeds, incumbent.deadline)
                )
                done += count * steps
            for run in runs:
                energy, cycles, valid, nests = run.result()
                incumbent.measured += valid
                incumbent.offer(energy, cycles, nests)
            incumbent.share = done / mappings if mappings else 0.0
            incumbent.tell()
