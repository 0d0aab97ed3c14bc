"""The arrays of the shortest path over numbers of passes; other sizes as in `kernels.search.arrays`.

Sizes: V points, m moves of a dimension at most, N labels at most, S = L * T slots (a tensor at a level).
"""

from __future__ import annotations

from typing import NamedTuple

from procrustes_model.kernels.dense.arrays import Bools, Floats, Ints
from procrustes_model.kernels.jit import by_reference

BLOCK = 64
"""Points whose labels are looked for together."""

AFTER, FACTOR, LAST = range(3)
"""Columns of `Grid.moves`: where a loop leads, its iterations, and those in the last pass."""


@by_reference
class Grid(NamedTuple):
    """Points: how many passes of each dimension are left, one of the numbers that its bound can have.

    Attributes
    ----------
    counts : int64[D]
        Different numbers of passes.
    stride : int64[D]
        Weight of a dimension's index in the number of a point; at point 0 all passes are left.
    passes : int64[D, n]
        By index, most passes first.
    at : int64[D, bound + 1]
        The index of a number of passes; -1 where there is none.
    first : int64[D, n + 1]
        First of the moves from a number of passes.
    moves : int64[D, m, 3]
    """

    counts: Ints
    stride: Ints
    passes: Ints
    at: Ints
    first: Ints
    moves: Ints


@by_reference
class Plan(NamedTuple):
    """One choice of what levels keep, and one way to spread loops over instances.

    Attributes
    ----------
    keep : bool[L, T]
    parent : int64[L + 1, T]
        The innermost level outside a level that keeps the tensor; -1 where it has not begun.
    fits : bool[L, V]
        Whether what a level keeps may fit when its loops have left so many passes.
    togo : float64[L, V]
        Least energy of filling a level and those outside of it, when loops there have left so many passes.
    once : float64[L]
        Least energy of filling a level at all.
    elements : float64[T]
        Different words of a tensor.
    sums : bool[T]
        Whether the tensor is an output whose first accumulations are known.
    whole : bool[L, T]
        Whether accesses of one instance are rounded up.
    spread : int64[L, D]
        Instances below one of a level.
    units : float64[L + 1]
        Instances of a level.
    fresh : float64[L, T]
        First accumulations of all instances of a level, at most.
    floor : float64[1]
        Cycles that ports of levels take at least.
    starts : int64[n, D]
        Indices of the points at which the innermost level fits, cheapest first.
    filling : float64[n]
        Least energy of filling that level from there.
    timed : bool
        Whether cycles count: else the iterations of labels are not told apart.
    """

    keep: Bools
    parent: Ints
    fits: Bools
    togo: Floats
    once: Floats
    elements: Floats
    sums: Bools
    whole: Bools
    spread: Ints
    units: Floats
    fresh: Floats
    floor: Floats
    starts: Ints
    filling: Floats
    timed: bool


@by_reference
class Labels(NamedTuple):
    """Nests from the inside to some point.

    Attributes
    ----------
    cost : float64[N]
        Energy spent so far, in pJ; infinite for a label that another one replaces.
    steps : float64[N]
        Iterations of the temporal loops so far.
    point, level, used, before, beside : int64[N]
        Point; level whose temporal loops come next; dimensions that have a loop there (bits), and one bit
        more where a tile stands right inside; the label before; the next label of the same point.
    dimension, factor : int64[N]
        The loop that leads here; -1 where it is a boundary.
    waiting : float64[N, S]
        The share of a tensor's words that is not paid for yet: 1 for a tile that no loop has moved, less
        where only the last passes of a loop leave it.
    partly : int64[N, S]
        The dimensions (bits) in whose last passes what waits is, where it is less than all.
    cover : int64[N, D]
        Product of the factors of all loops so far.
    idle : int64[N, L, D]
        Instances below a level that make a pass less than the others.
    heads : int64[2, V]
        First label of a point, for even and odd levels; -1 where there is none, as between calls.
    blocks : bool[2, V / 64]
        Whether any of so many points in a row may have a label.
    full, least : float64[S]
        Room for what a slot costs where it is moved, and at least.
    """

    cost: Floats
    steps: Floats
    point: Ints
    level: Ints
    used: Ints
    before: Ints
    beside: Ints
    dimension: Ints
    factor: Ints
    waiting: Floats
    partly: Ints
    cover: Ints
    idle: Ints
    heads: Ints
    blocks: Bools
    full: Floats
    least: Floats
