"""A lower bound that holds for every mapping, with shorter last passes or without.

Tiles are not points of a lattice here but cells, ranges of sizes in each dimension: a cell is charged the
passes of its largest tile and must hold its smallest. For every level the cheapest cell is taken by itself,
so that the sum over the levels is below the energy of every mapping that keeps the same tensors.

What is charged for a tensor of W different elements into a level whose tile covers v, in all instances
together: each element once, W words. Where the innermost loop outside the tile moves the tensor, everything
is fetched again in each pass of the loops that do not, at least prod(bound / v) over their dimensions. With
shorter last passes a share of the elements is spared the repetition, those in a last pass in which that
innermost loop has one iteration: at most a third of what an instance comes to (a loop of two or more
iterations in two or more passes), and half where a window slides; of one instance alone, also no more than
a tile.

Instances may differ: some stop before others, and their tiles may stay where those of others move. All of
this holds for each of them, with what it comes to itself in place of the bounds. Per operation, fetching
again in each pass costs the same then, prod(1 / v), and an instance whose tile never moves comes to no more
than that tile; so what is least for one of them bounds what all cost together. What a level hands out goes
to no more instances at a time than there are, and of those that share it one at least takes as much as they
do on average.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

import numpy as np

from procrustes_model.kernels.dense.arrays import FILL, UNLIMITED, Bools, Floats, Ints
from procrustes_model.kernels.search.arrays import SIMPLE, SKEWED
from procrustes_model.mapper.space import Space
from procrustes_model.mapper.supply import count_elements, list_parents, most_shared

CELLS = 60_000
"""Cells at most: more make the bound sharper and slower."""


def make_cells(bounds: Ints, most: int = CELLS) -> tuple[Ints, Ints]:
    """Return the smallest and the largest tile of every cell, int64[V, D] each."""
    edges = [[1, int(bound) + 1] if bound > 1 else [1, 2] for bound in bounds]
    while True:
        # split the range that is widest for its size, as long as there is room
        cells = math.prod(len(edge) - 1 for edge in edges)
        widest, at = 1.0, None
        for d, edge in enumerate(edges):
            for low, end in itertools.pairwise(edge):
                if (end - 1) / low > widest and cells // (len(edge) - 1) * len(edge) <= most:
                    widest, at = (end - 1) / low, (d, low, end)
        if at is None:
            break
        d, low, end = at
        edges[d].append(min(end - 1, max(low + 1, math.isqrt(low * (end - 1)) + 1)))
        edges[d].sort()
    least = np.array(list(itertools.product(*(edge[:-1] for edge in edges))), np.int64)
    largest = np.array(list(itertools.product(*([end - 1 for end in edge[1:]] for edge in edges))), np.int64)
    return least, largest


@dataclass
class Compulsory:
    """Bounds the energy of all mappings of a space.

    Attributes
    ----------
    space : Space
    whole : bool
        Whether last passes are as long as the others: then nothing is spared.
    """

    space: Space
    whole: bool = False
    _links: dict[tuple[int, bytes, bytes], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        model = self.space.model
        low, high = make_cells(model.bounds)
        tensors = range(len(model.kind))
        self.elements = [count_elements(model, t) for t in tensors]
        tiles = [np.prod(1.0 + (low - 1) @ model.coefficient[t].T, axis=1) for t in tensors]
        self.tiles = np.array(tiles, np.int64)
        passes = model.bounds / high
        self.repeats = [np.prod(passes[:, model.irrelevant[t]], axis=1) for t in tensors]
        patterns = {tuple(model.irrelevant[:, d].tolist()): d for d in np.flatnonzero(model.bounds > 1)}
        self.classes = [np.array(pattern) for pattern in patterns]
        groups = [
            [d for d in np.flatnonzero(model.bounds > 1) if tuple(model.irrelevant[:, d].tolist()) == pattern]
            for pattern in patterns
        ]
        self.open = [(low[:, group] < model.bounds[group]).any(axis=1) for group in groups]
        self.shares = [np.array([self._share(t, np.array(group), high) for t in tensors]) for group in groups]

    def _share(self, t: int, group: Ints, high: Ints) -> Floats:
        """Return which part of a tensor a tile is at most, along a rank that some dimensions move."""
        model = self.space.model
        share = np.zeros(len(high))
        for matrix in model.coefficient[t]:
            if matrix[group].any():
                whole = 1.0 + float((model.bounds - 1) @ matrix)
                share = np.maximum(share, (1.0 + (high - 1) @ matrix) / whole)
        return share

    def _moved(self, t: int, group: int, instances: float) -> Floats:
        """Return the least words that all instances fetch where a loop of a group moves it innermost."""
        kind, repeats = self.space.model.kind[t], self.repeats[t]
        if kind == SKEWED:
            return np.ones_like(repeats)
        most = 0.0 if self.whole else 1 / 3 if kind == SIMPLE else 1 / 2
        spared = np.minimum(most, self.shares[group][t]) if instances == 1 else most
        return np.asarray(self.elements[t] * (1.0 + (repeats - 1.0) * (1.0 - spared)))

    def _serve(self, t: int, parent: int, level: int, words: Floats) -> Floats:
        """Return the least energy at a parent that hands out `words` to all instances of a level."""
        model = self.space.model
        read, _, update = model.word[parent, t]
        served = np.maximum(self.elements[t], words / most_shared(model, self.space.mesh[parent:level], t))
        if not model.output[t]:
            return np.asarray(served * read)
        return np.asarray(served * update + self._unfinished(t, parent, served) * read)

    def _unfinished(self, t: int, level: int, words: Floats) -> Floats:
        """Return how many of the words of an output are more than first accumulations, at least."""
        model = self.space.model
        if model.kind[t] != SIMPLE or model.problem.gapped:
            return np.zeros_like(words)
        shared = most_shared(model, self.space.mesh[:level], t)
        return np.asarray(np.maximum(0.0, words - self.elements[t] * shared))

    def _link(self, level: int, kept: Bools, parents: Ints) -> float:
        """Bound the energy that filling a level costs there and at the parents."""
        model = self.space.model
        key = (level, kept.tobytes(), np.where(kept, parents, -1).tobytes())
        if key in self._links:
            return self._links[key]
        capacity = int(model.machine.capacity[level])
        held = self.space.stored(level, kept, self.tiles)
        fits = held <= (math.inf if capacity == UNLIMITED else capacity * (1 + 1e-12))
        filled = np.flatnonzero(kept & (parents >= 0)).tolist()  # what begins here is not filled

        def charge(t: int, words: Floats) -> Floats:
            into = self._unfinished(t, level, words) if model.output[t] else words
            return np.asarray(
                into * model.word[level, t, FILL] + self._serve(t, int(parents[t]), level, words)
            )

        once = {t: float(charge(t, np.array([self.elements[t]]))[0]) for t in filled}
        instances = float(math.prod(self.space.mesh[:level]))
        alone = instances == 1 and not self.whole
        moved: dict[tuple[int, int], Floats] = {}
        least = math.inf
        closed = np.ones(self.tiles.shape[1], np.bool_)
        for group, (irrelevant, is_open) in enumerate(zip(self.classes, self.open, strict=True)):
            cells = fits & is_open
            closed &= ~is_open
            if cells.any():
                total = np.zeros(len(cells))
                for t in filled:
                    which = (t, group if alone else 0)
                    if not irrelevant[t] and which not in moved:
                        moved[which] = charge(t, self._moved(t, group, instances))
                    total += once[t] if irrelevant[t] else moved[which]
                least = min(least, float(total[cells].min()))
        if (fits & closed).any() or not self.classes:
            least = min(least, sum(once.values()))
        self._links[key] = least
        return least

    def energy(self, keep: Bools) -> float:
        """Return a lower bound for all mappings that keep `keep` (bool[L, T]); infinite where none fits.

        Raises
        ------
        OutOfTime
        """
        self.space.deadline.check()
        model, levels = self.space.model, self.space.levels
        total, parents = model.base, list_parents(keep)
        for level in range(1, levels):
            if keep[level].any():
                total += self._link(level, keep[level], parents[level])
        computes = np.array([float(model.computes)])
        for t, parent in enumerate(parents[levels]):
            total += float(self._serve(t, int(parent), levels, computes)[0])
        return float(total)

    def least(self) -> float:
        """Bound the energy of all mappings of the space."""
        return min(self.energy(keep) for keep in self.space.patterns())
