"""Ways to spread loops over the instances below every level."""

from __future__ import annotations

import math

import numpy as np

from procrustes_model.kernels.dense.arrays import UNLIMITED, Bools, Ints
from procrustes_model.mapper.optimal.tables import Tables

AT_ONCE = 200_000
"""Rows of the product of some ways and the vectors of a level that are looked at at a time."""


def list_spreads(tables: Tables, most: int, least: float = 0.0, below: float = math.inf) -> Ints | None:
    """Return the ways to spread loops over instances, points, int64[S, L]; None for too many.

    Parameters
    ----------
    tables : Tables
    most : int
        Ways that are not too many.
    least, below : float
        Compute units that they use at least, and fewer than which.

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
            rows = rows[_arrive(tables, rows) & _use(tables, rows, least, below)]
            parts.append(_without_mirrors(tables, rows) if level == space.levels - 1 else rows)
            count += len(parts[-1])
            if count > most:
                return None
        known = np.concatenate(parts) if parts else np.zeros((0, level + 1), np.int64)
    return np.ascontiguousarray(known)


def _arrive(tables: Tables, rows: Ints) -> Bools:
    """Say of ways, as far as they go, whether what begins right inside of them fits there."""
    space, level = tables.space, rows.shape[1]
    machine, arrives = space.model.machine, np.ones(len(rows), np.bool_)
    for t in np.flatnonzero(machine.home == level).tolist() if level < space.levels else ():
        whole = tables.floor.tile[:, len(space.lattice.indices) - 1 - rows.sum(axis=1)]
        if machine.capacity[level] < UNLIMITED:
            room = float(machine.capacity[level]) * (1 + 1e-12)
            arrives &= space.stored(level, np.arange(len(whole)) == t, whole) <= room
    return arrives


def _use(tables: Tables, rows: Ints, least: float, below: float) -> Bools:
    """Say of ways, as far as they go, whether they may use so many compute units."""
    lattice, level = tables.space.lattice, rows.shape[1]
    units = lattice.value[rows].prod(axis=(1, 2)).astype(float)
    units *= tables.reach[level, len(lattice.value) - 1 - rows.sum(axis=1)]
    return np.asarray((units >= least) & ((level < tables.space.levels) | (units < below)))


def _without_mirrors(tables: Tables, rows: Ints) -> Ints:
    """Return ways but for mirror images of others: of a way and its image one is enough."""
    lattice, mirror = tables.space.lattice, tables.space.orders.mirror
    if mirror[0] < 0 or not len(rows):
        return rows
    values = lattice.value[rows]
    apart = (values - values[:, :, mirror]).reshape(len(rows), -1)
    first = np.argmax(apart != 0, axis=1)
    return np.asarray(rows[apart[np.arange(len(rows)), first] >= 0])
