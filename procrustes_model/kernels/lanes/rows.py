"""Results of mappings, a row a mapping, and parts of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from procrustes_model.kernels.dense.arrays import Floats, Ints, NestArrays


class Rows(NamedTuple):
    """Results of N mappings; as `BatchResult` has them.

    Attributes
    ----------
    energy : float64[N]
    cycles : int64[N]
    accesses : int64[N, L, T, 3] or float64[N, L, T, 3]
        With no mappings where they are not asked for.
    status : int64[N]
        Negative where nothing is said of a mapping.
    imbalance : float64[N]
    """

    energy: Floats
    cycles: Ints
    accesses: NDArray[Any]
    status: Ints
    imbalance: Floats

    def take(self, which: slice) -> Rows:
        """Return the results of some mappings: the same memory."""
        energy, cycles, accesses, status, imbalance = self
        return Rows(energy[which], cycles[which], accesses[which], status[which], imbalance[which])

    def room_for(self, count: int) -> Rows:
        """Return memory for the same results of `count` mappings, at most as many."""
        energy, cycles, accesses, status = (np.empty_like(array[:count]) for array in self[:4])
        return Rows(energy, cycles, accesses, status, np.ones(count))

    def put(self, which: Ints, found: Rows) -> None:
        """Set the results of some mappings."""
        for array, part in zip(self, found, strict=True):
            if len(array):
                array[which] = part


def take_nests(nests: NestArrays, which: slice | Ints) -> NestArrays:
    """Return some mappings."""
    return NestArrays(nests.temporal[which], nests.order[which], nests.spatial[which], nests.keep[which])
