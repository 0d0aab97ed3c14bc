"""Ways to spread loops over the instances below every level."""

from __future__ import annotations

import numpy as np

from procrustes_model.kernels.dense.arrays import UNLIMITED, Bools, Ints
from procrustes_model.mapper.optimal.tables import Tables

AT_ONCE = 200_000
"""Rows of the product of some ways and the vectors of a level that are looked at at a time."""


def list_spreads(tables: Tables, most: int) -> Ints | None:
    """Return the ways to spread loops over instances, points, int64[S, L]; None for too many.

    Parameters
    ----------
    tables : Tables
    most : int

    Raises
    ------
    OutOfTime
        Where there are very many.
    """
    space, lattice = tables.space, tables.space.lattice
    machine, output = space.model.machine, space.model.problem.output
    known = np.zeros((1, 0), np.int64)
    for level in range(space.levels):
        points = tables.spatial_points(level)
        if level < machine.home[output]:  # where nothing is added up
            added = space.model.irrelevant[output]
            points = points[(lattice.value[points][:, added] == 1).all(axis=1)]
        parts, count = [], 0
        size = max(1, AT_ONCE // max(1, len(points)))
        for first in range(0, len(known), size):
            if first:
                space.deadline.check()
            rows = known[first : first + size]
            rows = np.column_stack((np.repeat(rows, len(points), axis=0), np.tile(points, len(rows))))
            rows = rows[(lattice.exponents[rows].sum(axis=1) <= lattice.exponents[-1]).all(axis=1)]
            parts.append(rows[_arrive(tables, rows)])
            count += len(parts[-1])
            if count > most:
                return None
        known = np.concatenate(parts) if parts else np.zeros((0, level + 1), np.int64)
    mirror = space.orders.mirror
    if mirror[0] >= 0 and len(known):  # of a way and its mirror image one is enough
        values = lattice.value[known]
        apart = (values - values[:, :, mirror]).reshape(len(known), -1)
        first_apart = np.argmax(apart != 0, axis=1)
        known = known[apart[np.arange(len(known)), first_apart] >= 0]
    return np.ascontiguousarray(known)


def _arrive(tables: Tables, rows: Ints) -> Bools:
    """Say of ways, as far as they go, whether what begins right inside of them fits there."""
    space, level = tables.space, rows.shape[1]
    machine, arrives = space.model.machine, np.ones(len(rows), np.bool_)
    for t in np.flatnonzero(machine.home == level).tolist() if level < space.levels else ():
        whole = tables.floor.tile[t, len(space.lattice.indices) - 1 - rows.sum(axis=1)]
        if machine.capacity[level] < UNLIMITED:
            room = float(machine.capacity[level]) * (1 + 1e-12)
            arrives &= whole * machine.scale[level, t] <= room
    return arrives
