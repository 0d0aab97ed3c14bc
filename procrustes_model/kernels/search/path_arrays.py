"""The arrays of the shortest path over the lattice of divisors; sizes as in `kernels.search.arrays`."""

from __future__ import annotations

from typing import NamedTuple

from procrustes_model.kernels.dense.arrays import Bools, Floats, Ints
from procrustes_model.kernels.jit import by_reference


@by_reference
class Terrain(NamedTuple):
    """What a path meets, whatever levels keep.

    Attributes
    ----------
    volume : float64[V]
        Operations inside a point.
    tile : int64[T, V]
        Words of a tile at a point.
    axis_dimension : int64[A]
        The dimension of each prime.
    partner : int64[T, D]
        The other dimension of the rank that a dimension indexes; -1 where there is none.
    loops : bool[L, D]
        Whether a level may have a temporal loop over a dimension.
    shift : int64[T, L]
        Where in a state the code of a tensor at a level stands.
    mask : int64[T]
        The bits of such a code.
    every : int64[T]
        The bits of all codes of a tensor.
    """

    volume: Floats
    tile: Ints
    axis_dimension: Ints
    partner: Ints
    loops: Bools
    shift: Ints
    mask: Ints
    every: Ints


@by_reference
class Trails(NamedTuple):
    """The nodes of one shortest path; N at most.

    Attributes
    ----------
    cost : float64[N]
        Energy spent from the inside to here, in pJ.
    state : int64[N]
        What is pending: a code for every tensor at every level.
    point, level, before, beside : int64[N]
        Point; level whose temporal loops come next; the node before, -1 at the start; the next node of the
        same point, -1 at the last.
    heads : int64[2, V]
        First node of a point in a level's temporal loops, and in those of the next level outside; -1 between
        calls.
    runs : int64[R, 7]
        The runs of sliding windows that go on: dimension of the first loop, what the tile covers of it and of
        its partner, the step of the first loop, the sum of all steps, tensor, level of the first loop. The last
        row is none.
    known : int64[K, 10]
        What has been found about runs: `_may_match`.
    """

    cost: Floats
    state: Ints
    point: Ints
    level: Ints
    before: Ints
    beside: Ints
    heads: Ints
    runs: Ints
    known: Ints


@by_reference
class Ways(NamedTuple):
    """What is known of the spatial loops of a mapping, one row for each choice of them; S rows.

    Attributes
    ----------
    spread : int64[S, L]
        Spatial vectors of the levels, as points.
    steps : float64[S]
        Least cycles.
    units : float64[S, L + 1]
        Instances used.
    fresh : float64[S, L]
        Output elements that an instance comes to, at most; exact without sliding windows and gaps.
    least, most : float64[S, L, T]
        Different tiles in the network below a level, at least and at most.
    """

    spread: Ints
    steps: Floats
    units: Floats
    fresh: Floats
    least: Floats
    most: Floats
