"""How long compute units wait for the slowest processing element, by way to spread loops.

How much work the slowest one has depends on what it holds and on how the array is spread. As long as a path
has not decided what it holds, the best of all tiles that may stand there counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, Floats, Ints
from procrustes_model.kernels.search.bounds import least_steps
from procrustes_model.mapper.deadline import OutOfTime
from procrustes_model.mapper.optimal.tables import Tables
from procrustes_model.mapper.sparse_cost import SparseCost

MOST_PAIRS = 30_000
"""Pairs of a tile and of factors over the array that are looked at."""

MOST_COUNTED = 2e8
"""Elements of masks that are looked at for all of them."""


@dataclass
class Waits:
    """Bounds the cycles of ways by the slowest processing element.

    Attributes
    ----------
    tables : Tables
    cost : SparseCost
    spreads : int64[S, L]
        Ways to spread loops over instances, as points.
    """

    tables: Tables
    cost: SparseCost
    spreads: Ints
    _own: Ints = field(init=False)
    _tile: Ints = field(init=False)
    _across: Ints = field(init=False)
    _share: Floats = field(init=False)
    _of: Ints = field(init=False)

    def __post_init__(self) -> None:
        lattice, design = self.tables.space.lattice, self.cost.design
        own = design.problem.rank[design.balance.tensor] >= 0
        self._own = (lattice.indices[:, own] * lattice.stride[own]).sum(axis=1)
        tiles = np.unique(self._own)
        together = self.spreads[:, : design.balance.array].sum(axis=1)  # exponents are digits
        across, self._of = np.unique(self._own[together], return_inverse=True)
        room = lattice.exponents[-1] - lattice.exponents[across]
        self._across, self._tile = np.nonzero((lattice.exponents[tiles] <= room[:, None]).all(axis=2))
        self._tile = tiles[self._tile]
        counted = len(self._tile) * float(design.densities.size[design.balance.tensor])
        self._share = np.zeros(len(self._tile))
        if len(self._tile) <= MOST_PAIRS and not (design.is_counted and counted > MOST_COUNTED):
            try:
                deadline = self.tables.space.deadline
                self._share = self.cost.least_work(lattice, self._tile, across[self._across], deadline)
            except OutOfTime:
                pass

    def least_steps(self, keep: Bools, units: Floats) -> Floats:
        """Return the least cycles of ways, float64[S], if levels keep `keep` and so many units are used."""
        space, array = self.tables.space, self.cost.design.balance.array
        fits = np.zeros(len(self._own), np.bool_)
        fits[self._own[self.tables.fits(array, keep[array])]] = True
        share = np.full(int(self._across[-1]) + 1, math.inf)
        np.minimum.at(share, self._across, np.where(fits[self._tile], self._share, math.inf))
        work = share[self._of] * space.model.machine.cycles_per_compute
        rows, index = np.unique(np.column_stack((units, work)), axis=0, return_inverse=True)
        steps = [least_steps(space.model.computes, *row) if row[1] < math.inf else math.inf for row in rows]
        return np.array(steps)[index.ravel()]
