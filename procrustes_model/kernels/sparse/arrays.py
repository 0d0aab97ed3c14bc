"""The arrays of the sparse kernels, beside those of `arrays`.

Sizes: N mappings, L storage levels (outermost first), D dimensions, T tensors, A actions. Accesses have a
last axis of READ, FILL, UPDATE. Expected counts are not whole numbers.
"""

from __future__ import annotations

from typing import NamedTuple

from procrustes_model.kernels.dense.arrays import Bools, Floats, Ints
from procrustes_model.kernels.jit import by_reference
from procrustes_model.vocabulary import DensityModel, FormatRanks, Quantity, RankKind, Saving, Width

DENSE, HYPERGEOMETRIC, FIXED, STRUCTURED, NESTED, ROWS = (int(code) for code in DensityModel)
"""Density models."""

FIBERS, POSITIONS, BLOCKS, NONZEROS, ENTRIES, WHOLE_BLOCKS = (int(quantity) for quantity in Quantity)
ONE, INDEX, OFFSET = (int(width) for width in Width)
"""What terms of storage formats count, and how wide a field is; see `TermArrays`."""

U, B, UB, CP, RLE, UOP = (int(kind) for kind in RankKind)
DIMENSIONS, LOOPS, LOOPS_2022 = (int(ranks) for ranks in FormatRanks)
"""Kinds of ranks that a format lists, and what they are; see `RankArrays`."""

INNERMOST = -1
"""In place of a rank: the end of the innermost one."""

WHOLE_TILE, HALF_TILE = 0, -1
"""Blocks that are not a number of positions."""

GATED, SKIPPED, SPACED = Saving.GATED.value, Saving.SKIPPED.value, Saving.SPACED.value
"""What becomes of accesses that are saved: `vocabulary.Saving` for kernels; 0: nothing is saved."""


@by_reference
class DensityArrays(NamedTuple):
    """Which elements are zero.

    Attributes
    ----------
    model : int64[T]
        DENSE, HYPERGEOMETRIC, FIXED, STRUCTURED, NESTED or ROWS: how likely boxes are empty.
    known_total : bool[T]
        Whether `nonzeros` is exact, all placements equally likely.
    varies : bool[T]
        Whether tiles may have different numbers of nonzeros.
    size, nonzeros : int64[T]
        Elements of the tensor, and how many are not zero.
    average : float64[T]
        Nonzeros / elements.
    met : float64[T]
        Share of the computations that meet a nonzero element; differs from `average` only for a mask of a
        tensor whose elements are used unequally often.
    group : int64[T, 3]
        n, m and the dimension of n:m; -1: none.
    nest : int64[T, G, 3]
        Of NESTED tensors, n, m and kind of every level of groups, outermost first; 0: no more.
    flat : int64[T, F]
        Of these, the ranks that groups run through, the last one fastest; -1: no more. Of ROWS tensors, the
        first is that of rows.
    run_start : int64[T + 1]
        The first row of `runs` of every tensor.
    runs : int64[X, 2]
        Of ROWS tensors, nonzeros of alike rows that follow each other, and how many they are.
    library : bool
        Whether chances are those of `library_chances`, with their errors.
    """

    model: Ints
    known_total: Bools
    varies: Bools
    size: Ints
    nonzeros: Ints
    average: Floats
    met: Floats
    group: Ints
    nest: Ints
    flat: Ints
    run_start: Ints
    runs: Ints
    library: bool

    @property
    def is_grouped(self) -> Bools:
        """Tensors in which it matters where a box lies, or how it is shaped, bool[T]."""
        grouped: Bools = (self.model == STRUCTURED) | (self.model == NESTED) | (self.model == ROWS)
        return grouped


@by_reference
class ActionArrays(NamedTuple):
    """Accesses saved.

    Attributes
    ----------
    level, target : int64[A]
    kind : int64[A]
        GATED or SKIPPED.
    leaders : bool[A, T]
    skip_compute, gate_compute : bool[T]
        Operands whose zeros save computations.
    whole : bool
        Whether expected counts are rounded.
    joined : bool
        Whether boxes are those of `find_joined_boxes`.
    dropped : bool
        Whether a computation whose operand is gated takes no cycle.
    strongest : bool
        Whether of several actions on a tensor at a level only the one that saves most counts.
    absent : bool
        Whether a computation all of whose operands are zeros that are not stored is none.
    apart : bool
        Whether such computations are rounded apart where storage leaves both operands out.
    chosen : bool[T]
        Operands of which only positions that are not zero are handed out.
    off : float64[3]
        By how much shares that are removed are taken to be off before counts are rounded: of zeros that are
        not stored, of what is not sent, of what is saved. 0, but to see what hangs on rounding errors.
    """

    level: Ints
    target: Ints
    kind: Ints
    leaders: Bools
    skip_compute: Bools
    gate_compute: Bools
    whole: bool
    joined: bool
    dropped: bool
    strongest: bool
    absent: bool
    apart: bool
    chosen: Bools
    off: Floats


@by_reference
class UseArrays(NamedTuple):
    """What share of the instances that a mapping uses is used on average.

    Attributes
    ----------
    tensors : float64[N, L, T]
        Of those that hold a tensor: the others have a tile that is empty.
    units : float64[N]
        Of compute units.
    steps : float64[N, L, T, 3]
        Share of accesses that is left where positions are chosen.
    rows : float64[N, L, T]
        Accesses of several words to a level / those that are full.
    """

    tensors: Floats
    units: Floats
    steps: Floats
    rows: Floats


@by_reference
class PackArrays(NamedTuple):
    """Where zeros make room: instances that are left out, and positions that are chosen.

    Attributes
    ----------
    spaced : bool[L]
        Levels below which instances are left out.
    fanout : int64[L, 2]
        Of the machine.
    level, target : int64[P]
        Levels that choose among positions, and of which tensor.
    mean : bool
        Whether units are used as well as in a group of positions on average; else as in all groups together.
    """

    spaced: Bools
    fanout: Ints
    level: Ints
    target: Ints
    mean: bool


@by_reference
class TermArrays(NamedTuple):
    """The metadata of storage formats: bits of a tile = sum of coefficient * quantity * width.

    M terms at most; entries beyond `listed` mean nothing.

    Attributes
    ----------
    listed : int64[L, T]
        How many terms the format has.
    depth : int64[L, T]
        How many of the tensor's first ranks terms tell apart from those further in.
    quantity, width : int64[L, T, M]
        One of `vocabulary.Quantity`; ONE, INDEX or OFFSET.
    first, end : int64[L, T, M]
        The tensor's ranks that the term's rank covers, counted from the tensor's first: up to but not `end`,
        or up to the INNERMOST.
    coefficient : float64[L, T, M]
    run : int64[L, T]
        Positions that one of ENTRIES covers at most; 0: the format has none.
    fibers : int64[L, T]
        The first rank that the rank of ENTRIES covers: entries do not go from fiber to fiber.
    """

    listed: Ints
    depth: Ints
    quantity: Ints
    width: Ints
    first: Ints
    end: Ints
    coefficient: Floats
    run: Ints
    fibers: Ints


@by_reference
class RankArrays(NamedTuple):
    """The formats that list their ranks, R of them at most, the innermost first.

    Attributes
    ----------
    are : int
        DIMENSIONS, LOOPS or LOOPS_2022.
    listed : int64[L, T]
        How many; 0: the format has a kind.
    kind : int64[L, T, R]
        One of `vocabulary.RankKind`.
    bits : int64[L, T, R, 2]
        Of a field of metadata, and of one of payload; -1: what fits.
    group : int64[L, T, R, D]
        Which list of dimensions a dimension is flattened with, from 1 on; 0: none.
    place : int64[L, K]
        The rank of the format that covers a rank of a tensor.
    inward : bool[L, T]
        Whether the innermost rank takes the innermost loop, and so on outwards.
    """

    are: int
    listed: Ints
    kind: Ints
    bits: Ints
    group: Ints
    place: Ints
    inward: Bools


@by_reference
class ChoiceArrays(NamedTuple):
    """Formats that a search chooses, of those that list ranks.

    Attributes
    ----------
    open : bool[L, T]
        Where one is chosen. There every rank of the tensor has its own in the arrays of formats.
    allowed : bool[L, T, O]
        The options; see `chosen.weigh`.
    run_bits : int
        Of a run of zeros.
    padded : bool
        Whether zeros that end a run are data.
    """

    open: Bools
    allowed: Bools
    run_bits: int
    padded: bool


@by_reference
class ListedArrays(NamedTuple):
    """What tiles hold in formats that list their ranks.

    Attributes
    ----------
    bits, data : float64[N, L, T]
        Expected bits of metadata, and elements of data.
    fields : float64[N, L, T, R, 2]
        Expected fields of metadata and of payload, of every rank.
    most_bits, most_data : float64[N, L, T]
        Of a tile with the most nonzeros that can be, where ranks are loops.
    fiber : int64[N, L, T, R]
        Positions of the fibers of ranks, where these are loops.
    density : float64[N, L, T]
        Expected, of tiles that are sent: where ranks are loops, those that are not empty.
    used : float64[N, L, T]
        Share of the instances that are sent such a tile.
    rows : float64[N, L, T]
        Accesses of a tile / those that its expected nonzeros fill.
    """

    bits: Floats
    data: Floats
    fields: Floats
    most_bits: Floats
    most_data: Floats
    fiber: Ints
    density: Floats
    used: Floats
    rows: Floats


@by_reference
class FormatArrays(NamedTuple):
    """How tensors are stored.

    Attributes
    ----------
    terms : TermArrays
    ranks : RankArrays
    compressed : bool[L, T]
        Whether zeros are left out of the data; where ranks are loops, of all that have metadata.
    padded : bool[L, T]
        Whether zeros that end a run are data all the same.
    implied : bool[L, T]
        Whether a nonzero takes no data where metadata say where it is: of one bit, it is known to be 1.
    block : int64[L, T]
        Positions of a block; WHOLE_TILE, HALF_TILE.
    array : int
        The level of whose instances these are tiles: the processing elements.
    dropped : bool[L, T]
        Whether a block that is not full has no metadata.
    bits : int64[L]
        Of a word of metadata, in which these are counted whatever bits elements have.
    room : float64[L]
        Words of the level that a bit of metadata takes: 0 in a store of its own.
    scale : float64[L, T]
        Words of the level that one element takes.
    """

    terms: TermArrays
    ranks: RankArrays
    compressed: Bools
    padded: Bools
    implied: Bools
    block: Ints
    array: int
    dropped: Bools
    bits: Ints
    room: Floats
    scale: Floats


@by_reference
class BalanceArrays(NamedTuple):
    """Imbalance and balancing.

    Attributes
    ----------
    tensor : int
        Whose nonzeros are the work; -1: no imbalance.
    array : int
        The level whose instances wait for each other.
    pieces : int
        Into how many a tile is cut along one dimension, where it can be.
    assignment : int
        How pieces are given to elements: one of `vocabulary.Assignment`.
    pointer_level : int
        -1: pointers cost nothing.
    pointer_reads, pointer_energy : float
        Charged reads per piece of a tile each time it is read, and the energy of one in reads of that level.
    """

    tensor: int
    array: int
    pieces: int
    assignment: int
    pointer_level: int
    pointer_reads: float
    pointer_energy: float


@by_reference
class BoxArrays(NamedTuple):
    """For every action, what has to be empty for an access to be saved.

    Attributes
    ----------
    level : int64[N, A]
        The level that the action affects.
    extent : int64[N, A, T, D]
        Elements of each dimension that the leader's tile spans.
    effective : bool[N, A, T]
        Whether the leader can save anything.
    """

    level: Ints
    extent: Ints
    effective: Bools


@by_reference
class SavedArrays(NamedTuple):
    """What zeros save, by level and tensor, and of computations.

    Attributes
    ----------
    left : float64[N, L, T, 2]
        Share of a tensor's accesses that no action has saved: after the skipping at a level and the levels
        further out, and after the gating there too.
    tilt : float64[N, L, T, 3]
        How much denser than all of a tensor what arrives at a level is, what is gated there, and what is
        left: other than 1 where the masks of several tensors are known.
    removed : float64[N, T]
        Share of computations that a tensor's saved accesses take away, of those that other tensors before it
        leave; what is gated only where gated operands are dropped.
    empty : float64[N, T]
        How likely a leader's smallest box is empty, of those that save accesses of operands.
    computes : float64[N, 4]
        Share of computations that is left after accesses skipped, accesses gated, operands skipped, operands
        gated.
    """

    left: Floats
    tilt: Floats
    removed: Floats
    empty: Floats
    computes: Floats


@by_reference
class TileArrays(NamedTuple):
    """Tiles of the balanced tensor in the processing elements.

    Attributes
    ----------
    volume : int64[N]
        Computation positions of the tensor in a tile.
    elements : int64[N]
        Elements of the tensor in a tile.
    alike : int64[N]
        How many elements that are used equally often would vary as much in the work they make: fewer where
        the elements at the border of a sliding tile are used less often. 0: tiles that hold n:m groups whole
        do not vary.
    pieced : int64[N]
        The same of its pieces, all together, where it is cut.
    parts : int64[N]
        Different tiles over the array.
    rounds : int64[N]
        Different array-level tiles over the run.
    cut : int64[N]
        The dimension along which tiles are cut; -1: not cut.
    along : int64[N]
        Elements of a tile in the dimension of n:m groups; 0: no groups, or another dimension slides along.
    across : int64[N]
        Tiles over the array in that dimension.
    apart : int64[N]
        How many tiles further on that of the neighbour in the array lies.
    turns : int64[N]
        How often tiles over the array change in that dimension.
    """

    volume: Ints
    elements: Ints
    alike: Ints
    pieced: Ints
    parts: Ints
    rounds: Ints
    cut: Ints
    along: Ints
    across: Ints
    apart: Ints
    turns: Ints


@by_reference
class FullestArrays(NamedTuple):
    """How full the tiles are that have to fit, where that is not the average.

    Attributes
    ----------
    nonzeros, entries : float64[N, L, T]
        Of the tile; `entries` of formats that have them.
    words, described : float64[N, L, T]
        Words of a tile that is counted in a format which lists its ranks, and its words of metadata.
    share : float
        Of the tiles that must fit; 1: all that can occur.
    deviations : float
        Standard deviations that this share of a normal distribution lies above its mean.
    """

    nonzeros: Floats
    entries: Floats
    words: Floats
    described: Floats
    share: float
    deviations: float


@by_reference
class SparseCountArrays(NamedTuple):
    """What sparse counting yields.

    Attributes
    ----------
    actual, gated, skipped : float64[N, L, T, 3]
        Words per instance that are accessed; that cost the cycle but no energy; that cost neither.
    metadata : float64[N, L, T, 3]
        Words of metadata per instance, of accesses that are done or gated.
    gated_metadata : float64[N, L, T, 3]
        Of these, of accesses that are gated.
    skipped_metadata : float64[N, L, T, 3]
        Beside these, of accesses that are skipped.
    metadata_bits : float64[N, L, T, 3]
        Bits in `metadata`, where ranks are loops; 0 elsewhere.
    stored : float64[N, L, T]
        Words of the level that a tile takes which has to fit, with metadata that lie there.
    described : float64[N, L, T]
        Words of metadata of that tile, in the level or in a store of their own.
    held : float64[N, L]
        Words of the tiles of all tensors that have to fit together: their sum, but of tensors with masks
        what lies there at the same time.
    entries : float64[N, L, T]
        Expected entries of a tile in a format that has them: its nonzeros, and zeros that end a run.
    computes : float64[N, 3]
        Actual, gated and skipped, over all units.
    work : float64[N]
        Work of the slowest processing element as a share of the work if nothing were zero.
    pointers : float64[N]
        Pointer reads that are charged.
    """

    actual: Floats
    gated: Floats
    skipped: Floats
    metadata: Floats
    gated_metadata: Floats
    skipped_metadata: Floats
    metadata_bits: Floats
    stored: Floats
    described: Floats
    held: Floats
    entries: Floats
    computes: Floats
    work: Floats
    pointers: Floats
