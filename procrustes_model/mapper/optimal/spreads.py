"""Ways to spread loops over the instances below every level."""

from __future__ import annotations

import math

import numpy as np

from procrustes_model.kernels.dense.arrays import UNLIMITED, Bools, Ints
from procrustes_model.kernels.search.arrays import Lattice
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
    known, inside = np.zeros((1, 0), np.int64), np.zeros(1, np.int64)  # and all of a row, as a point
    volume = lattice.value.prod(axis=1).astype(float)
    for level in range(space.levels):
        points = tables.spatial_points(level)
        if level < machine.home[output]:  # where nothing is added up
            added = space.model.irrelevant[output]
            points = points[(lattice.value[points][:, added] == 1).all(axis=1)]
        parts, reached, count = [], [], 0
        size = max(1, AT_ONCE // max(1, len(points)))
        for first in range(0, len(known), size):
            if first:
                space.deadline.check()
            before = inside[first : first + size]
            row, column = np.nonzero(_divide(lattice, before, points))
            after = before[row] + points[column]
            units = volume[after] * tables.reach[level + 1, len(volume) - 1 - after]
            used = (units >= least) & ((level + 1 < space.levels) | (units < below))
            used &= _arrive(tables, after, level + 1)
            row, column, after = row[used], column[used], after[used]
            rows = np.column_stack((known[first + row], points[column]))
            if level == space.levels - 1:
                rows = _without_mirrors(tables, rows)
            parts.append(rows)
            reached.append(after)
            count += len(rows)
            if count > most:
                return None
        known = np.concatenate(parts) if parts else np.zeros((0, level + 1), np.int64)
        inside = np.concatenate(reached) if reached else np.zeros(0, np.int64)
    return np.ascontiguousarray(known)


def _divide(lattice: Lattice, first: Ints, second: Ints) -> Bools:
    """Say of n points and m others whether the products of two divide the bounds, bool[n, m]."""
    if lattice.spare:
        room = (lattice.packed[-1] | lattice.spare) - lattice.packed[first]
        return np.asarray((room[:, None] - lattice.packed[second]) & lattice.spare == lattice.spare)
    exponents, divides = lattice.exponents, np.ones((len(first), len(second)), np.bool_)
    for axis in range(exponents.shape[1]):
        divides &= exponents[first, axis][:, None] + exponents[second, axis] <= exponents[-1, axis]
    return divides


def _arrive(tables: Tables, inside: Ints, level: int) -> Bools:
    """Say whether what begins in a level fits there, where so much is spread outside of it; as points."""
    space = tables.space
    machine, arrives = space.model.machine, np.ones(len(inside), np.bool_)
    for t in np.flatnonzero(machine.home == level).tolist() if level < space.levels else ():
        whole = tables.floor.tile[:, len(space.lattice.indices) - 1 - inside]
        if machine.capacity[level] < UNLIMITED:
            room = float(machine.capacity[level]) * (1 + 1e-12)
            arrives &= space.stored(level, np.arange(len(whole)) == t, whole) <= room
    return arrives


def _without_mirrors(tables: Tables, rows: Ints) -> Ints:
    """Return ways but for mirror images of others: of a way and its image one is enough."""
    lattice, mirror = tables.space.lattice, tables.space.orders.mirror
    if mirror[0] < 0 or not len(rows):
        return rows
    values = lattice.value[rows]
    apart = (values - values[:, :, mirror]).reshape(len(rows), -1)
    first = np.argmax(apart != 0, axis=1)
    return np.asarray(rows[apart[np.arange(len(rows)), first] >= 0])
