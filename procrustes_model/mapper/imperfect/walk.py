"""Seeded walks over mappings with shorter last passes, many side by side, that cool down."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, Ints, NestArrays
from procrustes_model.kernels.search.goal import loss_all
from procrustes_model.mapper.imperfect.space import factor_limits, offer_batch
from procrustes_model.mapper.incumbent import Incumbent, select
from procrustes_model.mapper.random_search import COLD, HOT
from procrustes_model.mapper.space import Space

WAYS = 64
"""Walks side by side."""

STEPS = 1500
"""Steps of each walk."""

LEAST = 50
"""Steps that are gone even when the time is over, to have a mapping."""

WARM = 0.02
"""Temperature at which a walk starts that begins at a good mapping."""


@dataclass
class Ways:
    """N mappings."""

    nests: NestArrays
    last: Ints

    def copy(self) -> Ways:
        """Return mappings that may be changed apart from these."""
        return Ways(select(self.nests, np.arange(len(self.last))), self.last.copy())

    def take(self, rows: Bools, source: Ways) -> None:
        """Take over some mappings of `source`."""
        for mine, other in zip((*self.nests, self.last), (*source.nests, source.last), strict=True):
            mine[rows] = other[rows]


@dataclass
class Walker:
    """What the walks of one space have in common."""

    space: Space
    rng: np.random.Generator

    def __post_init__(self) -> None:
        self.limits = factor_limits(self.space)
        bounds = self.space.model.bounds
        self.looped = np.flatnonzero(bounds > 1)
        self.widest = self.limits[1, :, 1:]

    def start(self, ways: int) -> Ways:
        """Return walks that begin with loops where `Space.start` says."""
        nests = self.space.nests(ways)
        self.space.begin(nests)
        return Ways(nests, whole_passes(nests))

    def resize(self, ways: Ways, rows: Ints) -> None:
        """Change a factor of one dimension in some walks, and fit the factors outside it."""
        if not len(self.looped):
            return
        nests, rng, count = ways.nests, self.rng, len(rows)
        levels = nests.temporal.shape[1]
        d = rng.choice(self.looped, count)
        temporal, spatial = nests.temporal[rows, :, d], nests.spatial[rows, :, :, d]
        level, every = rng.integers(0, levels, count), np.arange(count)
        kind = rng.integers(0, 10, count)
        bounds = self.space.model.bounds[d]
        wanted = np.where(
            kind >= 5,
            temporal[every, level] + rng.choice((-1, 1), count),
            -(-bounds // rng.integers(1, bounds + 1)),
        )
        spread = kind >= 7
        axis = rng.integers(0, 2, count)
        widest = self.widest[level, axis, d]
        # as many as there are, or any number that leaves other passes
        many = np.where(kind == 9, widest, -(-widest // rng.integers(1, widest + 1)))
        wanted[spread] = many[spread]
        spatial[every[spread], level[spread], axis[spread]] = wanted[spread]
        temporal[every[~spread], level[~spread]] = wanted[~spread]
        swap = kind == 0
        other = rng.integers(0, levels, count)
        one, two = temporal[every, level], temporal[every, other]
        temporal[every[swap], level[swap]], temporal[every[swap], other[swap]] = two[swap], one[swap]
        last = fit_splits(self.space.model.bounds[d], temporal, spatial)
        nests.temporal[rows, :, d], nests.spatial[rows, :, :, d] = temporal, spatial
        ways.last[rows, :, :, d] = last

    def disturb(self, ways: Ways) -> None:
        """Change every mapping a little."""
        rng, nests = self.rng, ways.nests
        count, levels, dimensions = nests.temporal.shape
        for again in range(3):
            rows = np.arange(count) if again == 0 else np.flatnonzero(rng.integers(0, 3, count) == 0)
            choice = rng.integers(0, 10, len(rows))
            self.resize(ways, rows[choice < 6])
            moved = rows[(choice >= 6) & (choice < 8)]
            level = rng.integers(0, levels, len(moved))
            i, k = rng.integers(0, dimensions, (2, len(moved)))
            nests.order[moved, level, i], nests.order[moved, level, k] = (
                nests.order[moved, level, k],
                nests.order[moved, level, i],
            )
            kept = rows[choice >= 8]
            level, t = rng.integers(0, levels, len(kept)), rng.integers(0, nests.keep.shape[2], len(kept))
            free = self.space.rules.keep[level, t] < 0
            nests.keep[kept, level, t] ^= free

    def count_wrong(self, ways: Ways) -> Ints:
        """Count the rules that each mapping breaks; capacity is not looked at."""
        nests, rules, machine = ways.nests, self.space.rules, self.space.model.machine
        factors = np.concatenate((nests.temporal[:, :, None], nests.spatial), axis=2)
        low, high = self.limits
        wrong = ((factors < low) | (factors > high)).sum(axis=(1, 2, 3))
        across = nests.spatial.prod(axis=3)
        wrong += (across > machine.fanout).sum(axis=(1, 2))
        wrong += across.prod(axis=(1, 2)) < self.space.model.least_units
        if rules.outside.any():
            position = np.argsort(nests.order, axis=2)
            looped = nests.temporal > 1
            both = looped[:, :, :, None] & looped[:, :, None, :] & rules.outside
            wrong += (both & (position[:, :, :, None] > position[:, :, None, :])).sum(axis=(1, 2, 3))
        return np.asarray(wrong, np.int64)


def whole_passes(nests: NestArrays) -> Ints:
    """Return last passes as long as the others, int64[N, L, 3, D]."""
    return np.concatenate((nests.temporal[:, :, None], nests.spatial), axis=2)


def fit_splits(bounds: Ints, temporal: Ints, spatial: Ints) -> Ints:
    """Change factors, from the innermost on, to the nearest that cover a bound, and return the last passes.

    A factor takes no more than what is left; the outermost temporal loop takes all of it.

    Parameters
    ----------
    bounds : int64[N]
    temporal : int64[N, L]
        Changed in place.
    spatial : int64[N, L, 2]
        Changed in place.

    Returns
    -------
    int64[N, L, 3]
    """
    count, levels = temporal.shape
    rest, last = bounds.copy(), np.ones((count, levels, 3), np.int64)
    for level in range(levels - 1, -1, -1):
        for kind, factors in ((1, spatial[:, level, 0]), (2, spatial[:, level, 1]), (0, temporal[:, level])):
            factors[:] = rest if level == 0 and kind == 0 else np.clip(factors, 1, rest)
            last[:, level, kind] = (rest - 1) % factors + 1
            rest = -(-rest // factors)
    return last


def search_imperfect(
    space: Space, incumbent: Incumbent, *, mappings: int | None, seed: int = 0, threads: int = 1
) -> None:
    """Walk over mappings with shorter last passes, from the best mapping so far and from the outermost level.

    Parameters
    ----------
    space : Space
    incumbent : Incumbent
        Changed in place. Where it holds a mapping, half of the walks begin there.
    mappings : int, optional
        Mappings to look at; None means until the time is out.
    seed : int
    threads : int
        Share the evaluation; they do not change the answer.
    """
    done, round_ = 0, 0
    while not (done and incumbent.late) and (mappings is None or done < mappings):
        left = WAYS * STEPS if mappings is None else min(WAYS * STEPS, mappings - done)
        ways = min(WAYS, left)
        walker = Walker(space, np.random.default_rng((seed, round_)))
        _walk(walker, incumbent, ways, left // ways, threads)
        done, round_ = done + left // ways * ways, round_ + 1
        incumbent.share = done / mappings if mappings else 0.0


def _walk(walker: Walker, incumbent: Incumbent, ways: int, steps: int, threads: int) -> None:
    space = walker.space
    current, hot = walker.start(ways), np.full(ways, HOT)
    if incumbent.nests is not None:
        best = np.zeros(ways, np.int64)
        nests = select(incumbent.nests, best)
        last = whole_passes(nests) if incumbent.last is None else incumbent.last[best]
        near = np.arange(ways) < (ways + 1) // 2
        current.take(near, Ways(nests, last.copy()))
        hot[near] = WARM
    accepted, trial = np.full(ways, np.inf), current.copy()
    for step in range(steps):
        if incumbent.late and (step >= LEAST or incumbent.nests is not None):
            return
        if step:
            walker.disturb(trial)
        wrong = walker.count_wrong(trial)
        valid, energy, cycles = offer_batch(space, incumbent, trial.nests, trial.last, wrong == 0, threads)
        cost = np.where(wrong > 0, 1e6 * wrong, 1e5)
        cost[valid] = loss_all(incumbent.goal, energy[valid], cycles[valid])
        temperature = hot * (COLD / hot) ** (step / steps)
        with np.errstate(over="ignore", invalid="ignore"):
            take = (cost <= accepted) | (walker.rng.random(ways) < np.exp((accepted - cost) / temperature))
        accepted = np.where(take, cost, accepted)
        current.take(take, trial)
        trial.take(~take, current)
        if step % 100 == 99:
            incumbent.tell()
