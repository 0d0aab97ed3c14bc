"""From labels, or from positions in a small space, to whole mappings that are measured elsewhere."""

from __future__ import annotations

from procrustes_model.kernels.dense.arrays import Bools, Floats, Ints, NestArrays
from procrustes_model.kernels.dense.nest import copy_nest
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.search.arrays import UNITS, Goal, Lattice, Model, Orders
from procrustes_model.kernels.search.exhaustive import are_ordered, leave_mapping, next_mapping
from procrustes_model.kernels.search.finish import Bench, unpack
from procrustes_model.kernels.search.goal import energy_limit
from procrustes_model.kernels.search.labels import BOUND, STEPS


@kernel
def _loops_inside(lattice: Lattice, outer: int, spread: int, allowed: Bools) -> int:
    """Return the set of dimensions with a temporal loop innermost; -1 where the factors are not allowed."""
    loops = 0
    for d in range(len(lattice.stride)):
        k = lattice.indices[outer, d] - lattice.indices[spread, d]
        if lattice.value[outer, d] % lattice.value[spread, d] or not allowed[d, k]:
            return -1
        loops |= (1 << d) if k else 0
    return loops


@kernel
def _put_innermost(order: Ints, outside: Bools, temporal: Ints, dimension: int) -> bool:
    """Move a loop to the end of `order`, int64[D]; False where another must lie inside it.

    `outside` : bool[D, D], of the level. `temporal` : int64[D], its factors.
    """
    for d in range(len(order)):
        if d != dimension and temporal[d] > 1 and outside[dimension, d]:
            return False
    position = 0
    while order[position] != dimension:
        position += 1
    for i in range(position, len(order) - 1):
        order[i] = order[i + 1]
    order[len(order) - 1] = dimension
    return True


@kernel
def _is_innermost(nests: NestArrays, n: int, level: int, dimension: int) -> bool:
    """Say whether the loop over a dimension is the innermost of a level."""
    for position in range(nests.order.shape[2] - 1, -1, -1):
        d = nests.order[n, level, position]
        if nests.temporal[n, level, d] > 1:
            return bool(d == dimension)
    return False


@kernel
def settle_orders(nests: NestArrays) -> None:
    """Put loops with one iteration innermost, in ascending order, as they are read from a file."""
    temporal, order = nests.temporal, nests.order
    mappings, levels, dimensions = temporal.shape
    for n in range(mappings):
        for level in range(levels):
            position = 0
            for i in range(dimensions):
                d = order[n, level, i]
                if temporal[n, level, d] > 1:
                    order[n, level, position] = d
                    position += 1
            for d in range(dimensions):
                if temporal[n, level, d] == 1:
                    order[n, level, position] = d
                    position += 1


@kernel
def list_candidates(
    model: Model,
    lattice: Lattice,
    orders: Orders,
    keep: Bools,
    parts: Ints,
    last: Ints,
    allowed: Bools,
    outside: Bools,
    every: bool,
    labels: Ints,
    marks: Floats,
    goal: Goal,
    position: Ints,
    nests: NestArrays,
) -> int:
    """Write whole mappings until there is no more room.

    Parameters
    ----------
    model : Model
    lattice : Lattice
    orders : Orders
    keep : bool[L, T]
    parts : int64[L, V]
        Of every spatial vector the part on x.
    last : int64[n]
        Spatial vectors of the innermost level.
    allowed : bool[D, n]
        Temporal factors of the innermost level.
    outside : bool[D, D]
        Rules of order of the innermost level.
    every : bool
        Whether each loop of the innermost level is tried as innermost one.
    labels : int64[n, W]
        At B(L - 1).
    marks : float64[n, 3]
    goal : Goal
    position : int64[2]
        Row of `labels` and of `last` to begin with; changed to where to go on.
    nests : NestArrays
        Filled in.

    Returns
    -------
    int
        Mappings written.
    """
    innermost, dimensions = nests.temporal.shape[1] - 1, len(lattice.stride)
    room, n = len(nests.temporal), 0
    while position[0] < len(labels):
        i = position[0]
        label = labels[i].copy()
        outer = label[model.columns.path + 2 * innermost]
        if marks[i, BOUND] > energy_limit(goal, marks[i, STEPS]):
            position[0], position[1] = i + 1, 0
            continue
        while position[1] < len(last):
            if n + dimensions > room:
                return n
            s = last[position[1]]
            position[1] += 1
            loops, units = _loops_inside(lattice, outer, s, allowed), label[UNITS]
            for d in range(dimensions):
                units *= lattice.value[s, d]
            if loops < 0 or units < model.least_units:
                continue
            label[model.columns.order + innermost] = orders.rows[innermost, loops, 0]
            first = n
            unpack(model, lattice, orders, parts, label, s, nests, n)
            nests.keep[n] = keep
            n += 1
            for d in range(dimensions if every else 0):
                if not loops >> d & 1 or _is_innermost(nests, first, innermost, d):
                    continue
                copy_nest(nests, nests, first, n)
                if _put_innermost(nests.order[n, innermost], outside, nests.temporal[n, innermost], d):
                    n += 1
        position[0], position[1] = i + 1, 0
    return n


@kernel
def list_all(
    model: Model,
    splits: Ints,
    count: Ints,
    outside: Bools,
    position: Ints,
    most: int,
    bench: Bench,
    nests: NestArrays,
) -> tuple[int, bool]:
    """Write the mappings of a small space, in order, until there is no more room.

    Parameters
    ----------
    model : Model
    splits : int64[D, n, 3 L]
        Factorisations of each dimension: per level temporal, x, y.
    count : int64[D]
        How many there are.
    outside : bool[L, D, D]
    position : int64[D + 1]
        As `try_all` takes it.
    most : int
        Combinations of splits and orders to look at in this call.
    bench : Bench
        Scratch for one mapping; its `keep` is used. It stays as it is from call to call.
    nests : NestArrays
        Filled in.

    Returns
    -------
    written : int
    more : bool
        Whether there are mappings left.
    """
    written = 0
    while written < len(nests.temporal) and most > 0:
        most -= 1
        usable = next_mapping(model, splits, count, position, bench)
        if usable and are_ordered(bench.nests, outside):
            copy_nest(bench.nests, nests, 0, written)
            written += 1
        if not leave_mapping(count, position, bench.nests, usable):
            return written, False
    return written, True
