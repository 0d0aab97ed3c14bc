"""The arrays of the shortest path over the lattice of divisors; sizes as in `kernels.search.arrays`."""

from __future__ import annotations

from typing import NamedTuple

from procrustes_model.kernels.dense.arrays import Bools, Floats, Ints
from procrustes_model.kernels.jit import by_reference
from procrustes_model.kernels.search.arrays import Floor, Lattice

RUN_COLUMNS = 17

FIRST, TILE, ACROSS, STEP, REACHED, TENSOR, LEVEL, ALONG_AT, ACROSS_AT, CHARGED = range(10)
"""Columns of `Trails.runs`."""

LOOSE, OTHER, OTHER_TILE, OTHER_ACROSS, OTHER_REACHED, OTHER_ALONG_AT, OTHER_ACROSS_AT = range(
    10, RUN_COLUMNS
)
"""The columns of runs in which all moves keep overlap; see `path_loose`."""


BLOCK = 64
"""Points whose nodes are looked for together."""


@by_reference
class Terrain(NamedTuple):
    """What a path meets, whatever levels keep.

    Attributes
    ----------
    volume : float64[V]
        Operations inside a point.
    tile : int64[T, V]
        Words of a tile at a point.
    prime : bool[D, n]
        Whether a divisor is a prime.
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
    modulus : int64[T]
        A multiple of all numbers of elements that an access moves; 1 where that is large.
    """

    volume: Floats
    tile: Ints
    prime: Bools
    partner: Ints
    loops: Bools
    shift: Ints
    mask: Ints
    every: Ints
    modulus: Ints


@by_reference
class Trails(NamedTuple):
    """The nodes of one shortest path, N at most, and the moves between them where these are kept; E at most.

    Attributes
    ----------
    cost : float64[N]
        Energy spent from the inside to here, in pJ.
    state : int64[N]
        What is pending: of every tensor at every level 0 nothing, 1 a tile, else 2 more than the number of a
        run.
    point, level, before, beside : int64[N]
        Point; level whose temporal loops come next; the node before, -1 at the start; the next node of the
        same point, -1 at the last.
    heads : int64[2, V]
        First node of a point in a level's temporal loops, and in those of the next level outside; -1 between
        calls.
    blocks : bool[2, V / 64]
        Whether any of so many points in a row may have a node.
    final : float64[N]
        What is paid last where a path may end; else infinite.
    edge_from, edge_to : int64[E]
        Moves as they are found: those that end at a node come before those that begin there.
    edge_cost : float64[E]
    edge_start : int64[L]
        First move that begins in a level.
    edges : int64[2]
        Number of moves, also of those that there is no room for; number of nodes.
    runs : int64[R, 17]
        The runs of sliding windows that go on: dimension of the first loop, what the tile covers of it and of
        its partner, the step of the first loop, the sum of all steps, tensor, level of the first loop, levels
        of the last loops over the two dimensions, -1 where there is none, and the words charged so far,
        modulo `Terrain.modulus`. Where all moves keep overlap (LOOSE), a dimension of the other rank, what
        the tile covers there, the sum of steps there and the levels of the last loops. The last row is none,
        the row before it room for a question.
    known : int64[K, 9]
        What has been found about runs: `path._may_match`.
    """

    cost: Floats
    state: Ints
    point: Ints
    level: Ints
    before: Ints
    beside: Ints
    heads: Ints
    blocks: Bools
    final: Floats
    edge_from: Ints
    edge_to: Ints
    edge_cost: Floats
    edge_start: Ints
    edges: Ints
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
        Output elements that an instance comes to, at most; exact without gaps, and without spatial loops over
        what slides.
    least, most : float64[S, L, T]
        Different tiles in the network below a level, at least and at most.
    """

    spread: Ints
    steps: Floats
    units: Floats
    fresh: Floats
    least: Floats
    most: Floats


@by_reference
class Links(NamedTuple):
    """What filling levels costs at least, by level and tensor that it keeps.

    Attributes
    ----------
    floor : Floor
    first : int64[C]
        A dimension of every class.
    of : int64[D]
        The class of a dimension; -1 where its bound is 1.
    least : float64[C]
        Room for bounds.
    elements : float64[T]
        Different words of a tensor: each is fetched, and served, once at least.
    fetched, served : float64[L, T]
        Energy, in pJ, of a word that all instances of the level fetch, and of one that their parents serve.
    spared : float64[L, T]
        Energy that first accumulations spare at most.
    share : float64[L, T]
        Instances that are served together, at most: of the way that is looked at.
    wired : float64[L, T]
        Energy that networks take at least for a word that all instances fetch, beyond the next
        two: of that way.
    common : float64[L, T]
        The same beyond `tolls`, of all ways: `fetched` has it.
    tolls : float64[L]
        pJ per bit that `served` has for the network below a level.
    later : float64[L]
        What `wired` adds at least to filling the levels from `level` outwards.
    """

    floor: Floor
    first: Ints
    of: Ints
    least: Floats
    elements: Floats
    fetched: Floats
    served: Floats
    spared: Floats
    share: Floats
    wired: Floats
    common: Floats
    tolls: Floats
    later: Floats


@by_reference
class Road(NamedTuple):
    """Where paths lead for one choice of what levels keep.

    Attributes
    ----------
    lattice : Lattice
    terrain : Terrain
    trails : Trails
    ways : Ways
    links : Links
    keep : bool[L, T]
    parent : int64[L + 1, T]
        The innermost level outside a level that keeps the tensor; last, outside the compute units.
    fits : bool[L, V]
        Whether what a level keeps fits.
    starts : int64[n]
        Points that fit the innermost level, in order.
    extra : float64[L, V]
        Least energy of what does not fit, where tiles may spill; else 0.
    filling : float64[L, V]
        Least energy of filling a level whose tiles cover a point; infinite where they do not fit.
    togo : float64[L, V]
        Least energy of filling the levels from `level` outwards when loops there have covered a point.
    inside : int64[L + 1]
        All spatial loops at a level and further in, as a point: of the way that is looked at.
    waiting : float64[L, T]
        Least energy of filling a level with a tensor, which is counted from when the tile stands.
    shared : float64[L, T]
        Tiles below one instance of the parent; below 0 where that depends on what they cover.
    settled : float64[T]
        Room for what settling costs at a node.
    roomy : bool[L, V]
        Whether what a level keeps fits while the output's tile holds sums that are not complete.
    wires : float64[L + 1, T, 3]
        pJ per bit that networks take for an instance of the parent: of each word of the tiles into a level,
        at least and at most; of a sum that comes back. Of the way that is looked at.
    special : bool or None
        True where levels drain, networks or partial sums have prices of their own, or tiles forget how they
        moved. None elsewhere: kernels then compile without.
    together : bool
        Whether that stands for several (`path_wires.share_wires`): what networks take is given.
    """

    lattice: Lattice
    terrain: Terrain
    trails: Trails
    ways: Ways
    links: Links
    keep: Bools
    parent: Ints
    fits: Bools
    starts: Ints
    extra: Floats
    filling: Floats
    togo: Floats
    inside: Ints
    waiting: Floats
    shared: Floats
    settled: Floats
    roomy: Bools
    wires: Floats
    special: bool | None
    together: bool
