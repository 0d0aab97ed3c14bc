"""What mappings cost at least where tiles that do not fit spill into the next level outside."""

from __future__ import annotations

from copy import copy

import numpy as np

from procrustes_model.kernels.dense.arrays import FILL, READ, UNLIMITED, UPDATE, Bools, Floats, Ints
from procrustes_model.mapper.space import Space


def may_spill(space: Space) -> bool:
    """Say whether tiles that do not fit are accessed further out, so that every tile is valid."""
    return space.cost is not None and space.cost.design.overflow == "spill"


def spilling(space: Space) -> Space:
    """Return a space whose prices no mapping undercuts, wherever its tiles come to lie.

    What does not fit into a level is read and updated further out, and not filled: so a word costs at least
    what the cheapest of the levels up to its own takes, and filling a level nothing. All tiles fit but those
    of the outermost level.
    """
    model, changed = space.model, copy(space)
    served = np.minimum.accumulate(model.word, axis=0)
    served[1:, :, FILL] = 0.0
    capacity = model.machine.capacity.copy()
    capacity[1:] = UNLIMITED
    machine = model.machine._replace(capacity=capacity)
    energy, moved = np.zeros_like(model.energy), model.moved.copy()
    moved[:, :, 2:] = 0.0  # which networks words pass is not known either
    changed.model = model._replace(machine=machine, energy=energy, served=served, word=served, moved=moved)
    return changed


def least_spilled(space: Space, free: Space, keep: Bools, parent: Ints, tiles: Ints) -> Floats:
    """Return what tiles cost more at least because they do not fit, float64[L, V], by level and point.

    Of the words that compute units get from a level, the share that its tiles have beyond its capacity comes
    from the next level outside that keeps the tensor.

    Parameters
    ----------
    space : Space
    free : Space
        As `spilling` returns it.
    keep : bool[L, T]
    parent : int64[L + 1, T]
        The innermost level outside a level that keeps the tensor; last, outside the compute units.
    tiles : int64[T, V]
        Words of a tile at a point.
    """
    model, word = free.model, free.model.word
    extra = np.zeros((space.levels, tiles.shape[1]))
    for level in range(1, space.levels):
        capacity = int(space.model.machine.capacity[level])
        if capacity == UNLIMITED or not keep[level].any():
            continue
        used = np.maximum(space.stored(level, keep[level], tiles), 1.0)
        share = np.maximum(0.0, 1 - capacity * (1 + 1e-12) / used)
        words = model.computes / np.prod(space.mesh[level:])
        for t in np.flatnonzero(parent[-1] == level).tolist():
            action = UPDATE if model.output[t] else READ
            extra[level] += share * words * (word[parent[level, t], t, action] - word[level, t, action])
    return extra
