"""Random search: seeded walks that cool down, restarted until a budget is spent."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from procrustes_model.kernels.arrays import NestArrays
from procrustes_model.kernels.search_walk import walk
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.space import Space

HOT, COLD = 0.3, 0.0005
"""Temperatures: relative losses that a walk accepts at its start and end."""

WALK = 20_000
"""Mappings of one walk."""


WAYS = 25
"""Walks that run side by side in one call of the kernel, which makes each of them faster."""


def _walk(
    space: Space, kind: int, most: float, steps: int, seeds: Sequence[int]
) -> tuple[float, float, int, NestArrays]:
    ways, best = len(seeds), space.nests(1)
    state = np.array([seed * 7919 + 104729 for seed in seeds], np.int64)
    energy, cycles, valid = walk(
        space.model,
        space.lattice,
        space.freedom(),
        kind,
        most,
        steps,
        state,
        HOT,
        COLD,
        space.bench(ways),
        space.nests(ways),
        best,
    )
    return energy, cycles, valid, best


def _batches(mappings: int | None, most: int) -> Iterator[tuple[int, int, int]]:
    """Yield the first walk, the number of walks and the steps of each: in all no more than the budget."""
    first = 0
    while mappings is None or mappings >= WALK:
        ways = most if mappings is None else min(most, mappings // WALK)
        yield first, ways, WALK
        first += ways
        mappings = None if mappings is None else mappings - ways * WALK
    if mappings:
        yield first, 1, mappings


def search_random(
    space: Space,
    incumbent: Incumbent,
    *,
    mappings: int | None,
    seed: int = 0,
    threads: int = 1,
    ways: int = WAYS,
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
    ways : int
        Walks that run side by side on one thread.
    """
    batches, done = _batches(mappings, ways), 0
    with ThreadPoolExecutor(threads) as pool:
        while not incumbent.late:
            batch = list(itertools.islice(batches, threads))
            if not batch:
                break
            runs = []
            for first, count, steps in batch:
                seeds = [(seed << 20) + first + i for i in range(count)]
                runs.append(pool.submit(_walk, space, incumbent.kind, incumbent.most, steps, seeds))
                done += count * steps
            for run in runs:
                energy, cycles, valid, nests = run.result()
                incumbent.measured += valid
                incumbent.offer(energy, cycles, nests)
            incumbent.share = done / mappings if mappings else 0.0
            incumbent.tell()
