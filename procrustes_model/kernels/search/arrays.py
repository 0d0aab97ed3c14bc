"""The arrays that the kernels of the search take.

A nest is cut at boundaries, from outside in: T(0) S(0) T(1) S(1) ... with T the temporal and S the spatial
loops of a level. `outside` T(l) lies the vector B(l) of elements that one instance of level l covers, between
T(l) and S(l) the vector M(l). Each vector divides the one before; all are points of the lattice of divisors
of the bounds, and have a number there.

Sizes: L levels, D dimensions, T tensors, R ranks of the tensor that has most, V points of the lattice,
C classes of dimensions.
"""

from __future__ import annotations

from typing import NamedTuple

from procrustes_model.kernels.dense.arrays import (
    Bools,
    Floats,
    Ints,
    MachineArrays,
    ProblemArrays,
    RuleArrays,
)
from procrustes_model.kernels.jit import by_reference

SIMPLE, SLIDING, SKEWED = range(3)
"""Kinds of tensors: each rank has one dimension; some rank sums several; a dimension moves several ranks."""

SLACK = 1e-12
"""Relative room for the rounding of sums when a bound is compared with the best value."""

POINT, UNITS, SPREAD = range(3)
"""First columns of a label: its point, instances used so far, spatial factors so far (a point)."""


class Columns(NamedTuple):
    """Where the other columns of a label start; one entry per tensor unless said otherwise.

    Attributes
    ----------
    shared : int
        Different tiles below the parent so far (the product of distinct tiles of the networks passed).
    home : int
        Instances of the parent, the innermost level passed that keeps the tensor.
    fresh : int
        Elements of the output that one instance of the parent touches.
    whole, part : int
        How often the loops passed fetch a whole tile, and a tile less its overlap.
    step : int
        Which loop decides the overlap: level * D + dimension + 1; 0 where there is none.
    run : int
        Signature of the loops that may still slide with loops further in; 0 where there are none.
    traffic : int
        Per level, words read and words written so far, per instance (2 L entries).
    path : int
        Points B(0), M(0), B(1), M(1) ... (2 L entries).
    order : int
        Per level the order of its loops, a row of `Orders.loops` (L entries).
    width : int
        Number of columns.
    """

    shared: int
    home: int
    fresh: int
    whole: int
    part: int
    step: int
    run: int
    traffic: int
    path: int
    order: int
    width: int


@by_reference
class Model(NamedTuple):
    """Problem and architecture as the search needs them.

    Attributes
    ----------
    problem : ProblemArrays
    machine : MachineArrays
    coefficient : int64[T, R, D]
    output : bool[T]
    kind : int64[T]
        SIMPLE, SLIDING or SKEWED.
    irrelevant : bool[T, D]
    bounds : int64[D]
    computes : int
    pack : int64[L, T]
        Elements per access.
    energy : float64[L, T, 3]
        pJ to read, fill, update a pack of elements; where something is zero, the least that it can be.
    served : float64[L, T, 3]
        pJ that components spend per element; where something is zero, the least that it can be.
    word : float64[L, T, 3]
        The least pJ per element, all of it.
    whole : bool
        Whether accesses are whole numbers.
    moved : float64[L, T, 4]
        Least words of the level that an element read, or written, takes of its bandwidth, and least bits that
        one read, or updated, puts on networks.
    work : float
        Least cycles that compute units take, as a share of the steps.
    uneven : bool
        Whether steps also depend on how the problem is spread over the array.
    bandwidth : float64[L, 3]
        Words per cycle and instance: read, write, both; infinite where unlimited.
    limited : bool
        Whether any bandwidth is finite.
    rules : RuleArrays
    exact : bool
        Whether all that is spent outside a boundary is known there, so that labels can replace each other.
    base : float
        Energy that every mapping spends: that of computing, and where something is zero what is constant
        besides. What is spent while time passes is not in it: see `Goal.power`.
    least_units : int
        Compute units that a mapping must use at least.
    rough : bool[L]
        Levels whose instances depend on a spatial vector further out than the last: bounds leave out what
        outputs read and fill there, instead of what first accumulations save.
    columns : Columns
    """

    problem: ProblemArrays
    machine: MachineArrays
    coefficient: Ints
    output: Bools
    kind: Ints
    irrelevant: Bools
    bounds: Ints
    computes: int
    pack: Ints
    energy: Floats
    served: Floats
    word: Floats
    whole: bool
    moved: Floats
    work: float
    uneven: bool
    bandwidth: Floats
    limited: bool
    rules: RuleArrays
    exact: bool
    base: float
    least_units: int
    rough: Bools
    columns: Columns


@by_reference
class Lattice(NamedTuple):
    """The divisors of the bounds, one axis per prime factor of a bound.

    A point's number has the exponents as digits, so that the numbers of two points add up to that of their
    product. Point 0 has only ones, the last one the bounds.

    Attributes
    ----------
    stride : int64[D]
        Weight of a dimension's index in the number.
    divisors : int64[D, n]
        By index; 1 where there are no more.
    counts : int64[D]
        Number of divisors.
    indices : int64[V, D]
    value : int64[V, D]
    axis_stride : int64[A]
    exponents : int64[V, A]
    packed : int64[V]
        Exponents side by side, each with a spare bit above it.
    spare : int64
        The spare bits; 0 where exponents do not fit 62 bits.
    """

    stride: Ints
    divisors: Ints
    counts: Ints
    indices: Ints
    value: Ints
    axis_stride: Ints
    exponents: Ints
    packed: Ints
    spare: int


@by_reference
class Orders(NamedTuple):
    """Candidate orders of temporal loops.

    Attributes
    ----------
    loops : int64[n, D]
        Dimensions, innermost first, then -1.
    rows : int64[L, 2 ** D, 2]
        First row and end, by level and set of dimensions with a factor above 1.
    kind : int64[D]
        The class of each dimension as innermost loop: same class, same effect on reuse.
    members : int64[C, D]
        The dimensions of a class, then -1.
    mirror : int64[D]
        An exchange of dimensions that leaves every tensor as it is, -1 where there is none.
    """

    loops: Ints
    rows: Ints
    kind: Ints
    members: Ints
    mirror: Ints


@by_reference
class Floor(NamedTuple):
    """What fetching a tile costs at least, for every point as the child's tile.

    Attributes
    ----------
    words : float64[C, T, V]
        Words fetched by all instances over the run, by class of the innermost loop, none of it stationary.
    rest : float64[T, V]
        Product of what remains outside in the dimensions that do not index the tensor.
    tile : int64[T, V]
        Words of one tile.
    open : bool[C, V]
        Whether a loop of the class can be the innermost outside the point, or there is no loop at all.
    """

    words: Floats
    rest: Floats
    tile: Ints
    open: Bools


@by_reference
class Spatial(NamedTuple):
    """The spatial vectors of one level, and what each means for the link to the level below.

    Attributes
    ----------
    point : int64[n]
    units : float64[n]
        Product of the factors.
    multicast : float64[n, T]
        Upper bound on how many instances share a tile.
    toll : float64[n]
        Energy that depends on the vector alone (compute units that read from here or further out).
    rebate : float64[n]
        Energy that first accumulations save at the level below.
    """

    point: Ints
    units: Floats
    multicast: Floats
    toll: Floats
    rebate: Floats


@by_reference
class Link(NamedTuple):
    """The link from the parents into one level.

    Attributes
    ----------
    kept : bool[T]
        Tensors kept at the level; all False when it is the compute units.
    parent, child : float64[T]
        Energy per word at the parent, optimistic, and per word filled.
    pending : float
        Energy that first accumulations may still save at parents.
    units_inside, units_outside : float
        Most instances that levels further in and out may add.
    """

    kept: Bools
    parent: Floats
    child: Floats
    pending: float
    units_inside: float
    units_outside: float


@by_reference
class Pairs(NamedTuple):
    """Ways from M(l) to B(l + 1) that may be part of an optimal mapping.

    Attributes
    ----------
    start : int64[V + 1]
        Those of point m are ``start[m]`` to ``start[m + 1]``.
    child, spread : int64[n]
        Points B(l + 1) and S(l).
    base : float64[n]
        Lower bound of the energy that does not depend on the loops outside.
    fetch : float64[n, T]
        Energy when all instances fetch a whole tile once.
    thin : float64[n, T]
        Lower bound of the share of a tile that is fetched where the overlap with the last one is kept.
    units : float64[n]
    work : float64[n]
        Least share of the steps that compute units take.
    least : float64[V, 1 + T]
        Least of `base`, and of `fetch`, over the pairs of a point; one sliding fetch may come for nothing.
    """

    start: Ints
    child: Ints
    spread: Ints
    base: Floats
    fetch: Floats
    thin: Floats
    units: Floats
    work: Floats
    least: Floats


@by_reference
class Pattern(NamedTuple):
    """One choice of what every level keeps, with its bounds.

    Attributes
    ----------
    keep : bool[L, T]
    parent : int64[L + 1, T]
        The innermost level outside a level that keeps the tensor; -1 where it has not begun.
    inside : float64[L, C + 1, V]
        Least energy of everything inside M(l), by class of the innermost loop outside; last, of any class.
    by_inside : int64[L, V]
        Points by the last of these.
    below : float64[L, V]
        Least energy of everything inside B(l).
    reach : float64[L + 1, V]
        Most compute units per instance that loops at and inside B(l) can use.
    pace : float64[L + 1, V]
        The same, where units that wait for each other count for less.
    """

    keep: Bools
    parent: Ints
    inside: Floats
    by_inside: Ints
    below: Floats
    reach: Floats
    pace: Floats


class Goal(NamedTuple):
    """What a mapping must not exceed to be of interest; see `goal`.

    Attributes
    ----------
    energy_power, cycles_power : float
        Exponents of the objective, energy ** a * cycles ** b; where `energy_power` is 0, least energy decides
        between equals.
    value : float
        Best objective found so far.
    energy : float
        Energy of that mapping.
    most_cycles, most_energy : float
        Cycles that a mapping may take, and energy that it may spend.
    power : float
        Energy that every mapping spends per cycle, which bounds inside the search leave out.
    front : float64[n, 2]
        Where a front is sought, cycles and energy of its mappings, fewest cycles first, after a row of no
        cycles and infinite energy; a new one must not be as bad as one of them in both. Else of no rows.
    """

    energy_power: float
    cycles_power: float
    value: float
    energy: float
    most_cycles: float
    most_energy: float
    power: float
    front: Floats
