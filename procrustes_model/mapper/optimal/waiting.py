"""How long compute units wait for the slowest processing element, for one way to spread loops.

How much work the slowest one has depends on what it holds and on how the array is spread. As long as a path
has not decided what it holds, the best of all tiles that may stand there counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, Ints
from procrustes_model.kernels.search.bounds import least_steps
from procrustes_model.mapper.deadline import OutOfTime
from procrustes_model.mapper.optimal.tables import Tables
from procrustes_model.mapper.sparse_cost import SparseCost

FIRST_TILES, MORE_TILES = 4, 4
"""Tiles looked at first, since one of the largest is mostly fast enough; how many times more then."""

MOST_COUNTED = 5e7
"""Elements of masks that are looked at for one way."""


@dataclass
class _Tiles:
    """What a processing element may hold, largest first, and the least work of those looked at."""

    points: Ints
    looked_at: int = 0
    share: float = math.inf


@dataclass
class Waits:
    """Says of which ways no tile lets the array be fast enough.

    Attributes
    ----------
    tables : Tables
    cost : SparseCost
    """

    tables: Tables
    cost: SparseCost
    _own: Ints = field(init=False)
    _known: dict[tuple[bytes, int], _Tiles] = field(default_factory=dict)
    _fits: dict[bytes, Ints] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lattice, design = self.tables.space.lattice, self.cost.design
        own = design.problem.rank[design.balance.tensor] >= 0
        self._own = (lattice.indices[:, own] * lattice.stride[own]).sum(axis=1)

    def excludes(self, keep: Bools, spread: Ints, units: float, may_do: Callable[[float], bool]) -> bool:
        """Say whether compute units wait too long, whatever tile a processing element holds.

        Parameters
        ----------
        keep : bool[L, T]
        spread : int64[L]
            A way to spread loops, as points.
        units : float
            Compute units that it uses.
        may_do : callable
            Says of cycles whether a mapping of so many may still be of interest.
        """
        model, array = self.tables.space.model, self.cost.design.balance.array
        row, across = keep[array], int(self._own[spread[:array].sum()])  # exponents are digits
        if (row.tobytes(), across) not in self._known:
            self._known[row.tobytes(), across] = _Tiles(self._list_tiles(row, across))
        tiles = self._known[row.tobytes(), across]
        while True:
            work = tiles.share * model.machine.cycles_per_compute
            if tiles.looked_at and may_do(least_steps(model.computes, units, work)):
                return False
            if tiles.looked_at == len(tiles.points):
                return True
            if not self._look_at_more(tiles, across):
                return False

    def _look_at_more(self, tiles: _Tiles, across: int) -> bool:
        """Look at some more tiles; return False where that would take too long."""
        size, design = max(FIRST_TILES, MORE_TILES * tiles.looked_at), self.cost.design
        part = tiles.points[tiles.looked_at : tiles.looked_at + size]
        if (
            design.is_counted
            and len(part) * float(design.densities.size[design.balance.tensor]) > MOST_COUNTED
        ):
            return False
        try:
            space = self.tables.space
            share = self.cost.least_work(space.lattice, part, np.full(len(part), across), space.deadline)
        except OutOfTime:
            return False
        tiles.share, tiles.looked_at = min(tiles.share, float(share.min())), tiles.looked_at + len(part)
        return True

    def _list_tiles(self, row: Bools, across: int) -> Ints:
        """Return what an element may hold if its level keeps `row` and loops `across` are spread."""
        lattice, key = self.tables.space.lattice, row.tobytes()
        if key not in self._fits:
            fits = self.tables.fits(self.cost.design.balance.array, row)
            self._fits[key] = np.unique(self._own[fits])
        room = lattice.exponents[-1] - lattice.exponents[across]
        tiles = self._fits[key]
        tiles = tiles[(lattice.exponents[tiles] <= room).all(axis=1)]
        return np.asarray(tiles[np.argsort(-lattice.value[tiles].prod(axis=1), kind="stable")])
