"""Random search: seeded walks that cool down, restarted until a budget is spent."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from procrustes_model.kernels.arrays import NestArrays
from procrustes_model.kernels.search_walk import walk
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.space import Space

HOT, COLD = 0.3, 0.0005
"""Temperatures: relative losses that a walk accepts at its start and end."""

WALK = 20_000
"""Mappings of one walk."""


def _one_walk(
    space: Space, kind: int, most: float, steps: int, seed: int
) -> tuple[float, float, int, NestArrays]:
    best = space.bench()
    energy, cycles, valid = walk(
        space.model,
        space.lattice,
        space.freedom(),
        kind,
        most,
        steps,
        seed,
        HOT,
        COLD,
        space.bench(),
        space.bench(),
        best,
    )
    return energy, cycles, valid, best.nests


def _budgets(mappings: int | None) -> Iterator[int]:
    """Yield the steps of each walk; their sum is the budget, exactly, where there is one."""
    if mappings is None:
        yield from itertools.repeat(WALK)
        return
    yield from [WALK] * (mappings // WALK)
    if mappings % WALK:
        yield mappings % WALK


def search_random(
    space: Space, incumbent: Incumbent, *, mappings: int | None, seed: int = 0, threads: int = 1
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
    """
    walks = enumerate(_budgets(mappings))
    done = 0
    with ThreadPoolExecutor(threads) as pool:
        while not incumbent.late:
            batch = list(itertools.islice(walks, threads))
            if not batch:
                break
            runs = [
                pool.submit(_one_walk, space, incumbent.kind, incumbent.most, steps, (seed << 20) + i)
                for i, steps in batch
            ]
            for (_, steps), run in zip(batch, runs, strict=True):
                energy, cycles, valid, nests = run.result()
                incumbent.measured += valid
                incumbent.offer(energy, cycles, nests)
                done += steps
            incumbent.share = done / mappings if mappings else 0.0
            incumbent.tell()
