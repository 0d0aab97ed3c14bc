"""What tiles hold and move whose ranks are loops: estimated and rounded as Sparseloop does.

Nonzeros of a tile are those of its density model; a subtile is as likely empty as so many of them leave it.
Where the level outside describes its tiles, those that are empty are not sent, and counts are those of an
instance that is sent one.
"""

from __future__ import annotations

import math

import numpy as np

from procrustes_model.kernels.arithmetic import add_up
from procrustes_model.kernels.dense.arrays import (
    BAD_RANKS,
    FILL,
    OK,
    READ,
    UPDATE,
    Bools,
    Floats,
    Ints,
    LoopArrays,
    NestArrays,
    ProblemArrays,
)
from procrustes_model.kernels.dense.rounding import round_down, round_up
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.arrays import (
    CP,
    HYPERGEOMETRIC,
    LOOPS_2022,
    RLE,
    UB,
    UOP,
    B,
    DensityArrays,
    FormatArrays,
    ListedArrays,
    RankArrays,
    SavedArrays,
    SparseCountArrays,
    U,
)
from procrustes_model.kernels.sparse.chances import hypergeometric_empty
from procrustes_model.kernels.sparse.distributions import of_hypergeometric
from procrustes_model.kernels.sparse.library_chances import library_chances
from procrustes_model.kernels.sparse.listed import bits_of_fields
from procrustes_model.kernels.sparse.loop_ranks import bind_loops


@kernel
def has_metadata(ranks: RankArrays, level: int, tensor: int) -> bool:
    """Say whether a format that lists its ranks describes its tiles, rather than only store them."""
    count = ranks.listed[level, tensor]
    return bool(count > 1 or (count == 1 and ranks.kind[level, tensor, 0] != U))


@kernel
def _subtile_empty(model: int, words: int, nonzeros: float, part: int) -> float:
    """Return how likely `part` of the words of a tile with so many nonzeros are all zero."""
    if model == HYPERGEOMETRIC:
        return float(hypergeometric_empty(words, int(nonzeros), part))
    return float(max(0.0, 1 - part * (nonzeros / words)))


@kernel
def describe_loops(
    densities: DensityArrays, ranks: RankArrays, level: int, tensor: int, words: int, nonzeros: float,
    mean: bool, fiber: Ints, begin: Ints, fields: Floats,
) -> None:  # fmt: skip
    """Estimate the fields of a tile of so many words and nonzeros.

    The positions that are not empty are those of a fiber, rounded up, times the fibers that are not. In
    outputs of 2022, indices and runs are those of all positions instead, and the pointers of a fiber of a
    bitmask are rounded after the mean.

    Parameters
    ----------
    densities : DensityArrays
    ranks : RankArrays
    level, tensor, words : int
    nonzeros : float
    mean : bool
        Whether a mean over all tiles is taken of the fields.
    fiber : int64[R]
    begin : int64[R + 1]
        Words of subtiles; see `bind_loops`.
    fields : float64[R, 2]
        Filled in: of metadata and of payload.
    """
    model, older = densities.model[tensor], ranks.are == LOOPS_2022
    every, count = 1.0, ranks.listed[level, tensor]
    first = 0 if ranks.inward[level, tensor] else count - 1
    part = words
    for r in range(count - 1, -1, -1):
        kind = ranks.kind[level, tensor, r]
        fields[r] = 0.0
        if (fiber[r] > 1 or r == first) and kind != U:
            nonempty = every * (1 - _subtile_empty(model, words, nonzeros, part))
            fibers = nonempty
            found = fiber[r] * (1 - _subtile_empty(model, words, nonzeros, begin[r]))
            if older and kind == B and mean:
                size, whole = densities.size[tensor], float(densities.nonzeros[tensor])
                whole = whole if model == HYPERGEOMETRIC else size * densities.average[tensor]
                found = fiber[r] * (1 - _subtile_empty(model, size, whole, begin[r]))
            if older and kind != B:
                fibers = every
            if kind == B or (kind == CP and not older):
                found = round_up(found)
            if kind == UB:
                fields[r] = every * fiber[r]
            elif kind == UOP:
                fields[r, 1] = nonempty * (fiber[r] + 1)
            else:
                fields[r, 0] = fibers * (fiber[r] if kind == B else found)
                fields[r, 1] = fibers * found
        every *= fiber[r]
        part = begin[r]
    for r in range(count):
        if fields[r, 0] > 0 or fields[r, 1] > 0:
            fields[r, 1] = 0.0  # what the innermost rank leads to is the data
            break


@kernel
def _of_fixed(density: float, words: int) -> tuple[int, Floats]:
    """Return the least nonzeros of a tile where all have the same share, and how likely it has 0, 1 more."""
    exact = words * density
    least = math.floor(exact)
    more = exact - least
    return least, np.array([1 - more, more]) if more > 0 else np.ones(1)


@kernel
def _nonzeros_of(
    densities: DensityArrays, tensor: int, words: int, library: bool
) -> tuple[int, Floats, int, int, bool]:
    """Return the least nonzeros a tile has, how likely it has more, and the least and the most that can be.

    Last, whether none at all is taken to be possible. `library`: chances have the errors of a library.
    """
    size, nonzeros = densities.size[tensor], densities.nonzeros[tensor]
    if densities.model[tensor] == HYPERGEOMETRIC:
        if library:
            least, shares = library_chances(size, nonzeros, words)
        else:
            least, shares = of_hypergeometric(size, nonzeros, words)
        low = max(0, words - (size - nonzeros))
        return least, shares, low, min(words, nonzeros), low == 0
    least, shares = _of_fixed(densities.average[tensor], words)
    return least, shares, least, least + len(shares) - 1, least == 0


@kernel
def _leaves_out(ranks: RankArrays, level: int, tensor: int) -> bool:
    """Say whether a format that lists its ranks leaves zeros out."""
    found = False
    for r in range(ranks.listed[level, tensor]):
        found = found or ranks.kind[level, tensor, r] in (B, CP, RLE)
    return found


@kernel
def count_rows(words: int, nonzeros: float, pack: int, least: int, shares: Floats) -> float:
    """Return the accesses that tiles of their own take / those that so many nonzeros fill.

    The last access of a tile is not full. Larger tiles, to which that adds about 1 % at most, count as if it
    were; of their density the first decimal counts.

    Parameters
    ----------
    words : int
        Of the tile.
    nonzeros : float
        Expected.
    pack : int
        Words of an access.
    least : int
    shares : float64[K]
        How likely a tile has `least` nonzeros, one more, ...
    """
    tenths = max(1, math.floor(nonzeros / words / 0.1))
    if nonzeros <= 0 or nonzeros >= words or words // pack >= math.ceil(500 * (pack - 1) / (pack * tenths)):
        return 1.0
    rows = 0.0
    for i in range(len(shares)):
        rows += shares[i] * math.ceil((least + i) / pack)
    return rows * pack / nonzeros


@kernel
def _expect(
    densities: DensityArrays, formats: FormatArrays, pack: int, n: int, level: int, tensor: int, words: int,
    sent: bool, chosen: bool, fiber: Ints, begin: Ints, listed: ListedArrays,
) -> None:  # fmt: skip
    """Find what a tile holds on average, and at most; `sent`: tiles that are empty are not.

    Of tiles that are described, only nonzeros count as data, also where none are left out. Of what is handed
    out by position, `chosen`, metadata alone are those of tiles that are sent, and accesses are full.
    """
    ranks = formats.ranks
    count = ranks.listed[level, tensor]
    library = densities.library and ranks.are != LOOPS_2022
    least, shares, low, most, may_be_empty = _nonzeros_of(densities, tensor, words, library)
    used, every = 1.0, shares.copy()
    if sent and may_be_empty:
        if least == low:
            used = 1 - shares[0]
            shares[0] = 0.0
        # The library's chances add up to 1 but for their errors, which count.
        total = used if library else add_up(shares)
        if total > 0:
            shares /= total
    listed.used[n, level, tensor] = 1.0 if chosen else used
    one, fields = np.zeros((count, 2)), listed.fields[n, level, tensor]
    fields[:] = 0.0
    held = 0.0
    for i in range(len(shares)):
        held += (every[i] if chosen else shares[i]) * (least + i)
        if shares[i] > 0 and has_metadata(ranks, level, tensor):
            describe_loops(densities, ranks, level, tensor, words, least + i, True, fiber, begin, one)
            for r in range(count):
                fields[r, 0] += shares[i] * one[r, 0]
                fields[r, 1] += shares[i] * one[r, 1]
    shrunk = has_metadata(ranks, level, tensor)
    listed.density[n, level, tensor] = min(1.0, held / words)
    if pack > 1 and not chosen and _leaves_out(ranks, level, tensor):
        listed.rows[n, level, tensor] = count_rows(words, held, pack, least, every)
    listed.data[n, level, tensor] = min(held, float(most)) if shrunk else words
    listed.bits[n, level, tensor] = bits_of_fields(ranks, level, tensor, fiber, words, fields)
    describe_loops(densities, ranks, level, tensor, words, most, False, fiber, begin, one)
    listed.most_data[n, level, tensor] = most if shrunk else words
    bits = bits_of_fields(ranks, level, tensor, fiber, words, one)
    listed.most_bits[n, level, tensor] = round_down(bits)


@kernel
def fill_loop_ranks(
    problem: ProblemArrays,
    nests: NestArrays,
    loops: LoopArrays,
    fanout: Ints,
    densities: DensityArrays,
    formats: FormatArrays,
    pack: Ints,
    unused: bool,
    chosen: Bools,
    tile: Ints,
    status: Ints,
    listed: ListedArrays,
) -> None:
    """Find what tiles hold whose ranks are loops.

    Parameters
    ----------
    problem : ProblemArrays
    nests : NestArrays
    loops : LoopArrays
    fanout : int64[L, 2]
    densities : DensityArrays
        Tensors of n:m groups count as if all tiles had the same share.
    formats : FormatArrays
    pack : int64[L, T]
        Words of an access whose last one is not full, tile by tile; 1 where all are.
    unused : bool
        Whether a tile that is empty is not sent, if the level outside knows.
    chosen : bool[L, T]
        What is handed out by position.
    tile : int64[N, L, T]
    status : int64[N]
        Mappings that are not valid are left out; some get BAD_RANKS.
    listed : ListedArrays
        Filled in.
    """
    ranks, keep = formats.ranks, nests.keep
    mappings, levels, tensors = tile.shape
    most = max(1, ranks.kind.shape[2])
    fiber, begin = np.ones((levels, most), np.int64), np.ones((levels, most + 1), np.int64)
    listed.density[:] = 1.0
    listed.used[:] = listed.rows[:] = 1.0
    listed.most_data[:] = listed.most_bits[:] = 0.0
    for n in range(mappings):
        for t in range(tensors):
            child = -1
            for level in range(levels - 1, -1, -1):
                if status[n] != OK or not keep[n, level, t]:
                    continue
                fits = bind_loops(problem, nests, loops, fanout, ranks, n, t, level, child, fiber, begin)
                if not fits:
                    status[n] = BAD_RANKS
                    continue
                child, parent = level, level - 1
                while parent >= 0 and not keep[n, parent, t]:
                    parent -= 1
                sent = unused and parent >= 0 and formats.compressed[parent, t]
                words = tile[n, level, t]
                for r in range(ranks.listed[level, t]):
                    listed.fiber[n, level, t, r] = fiber[level, r]
                size = pack[level, t]
                _expect(
                    densities, formats, size, n, level, t, words, sent, chosen[level, t], fiber[level],
                    begin[level], listed,
                )  # fmt: skip


@kernel
def _whole(ranks: RankArrays, count: float, up: bool) -> float:
    """Return a count as a whole number: its rounding errors count, but for outputs of 2022."""
    if ranks.are == LOOPS_2022:
        return round_up(count) if up else round_down(count)
    return math.ceil(count) if up else math.floor(count)


@kernel
def _words_of(
    ranks: RankArrays, level: int, tensor: int, fiber: Ints, tile: int, fields: Floats, width: int
) -> float:
    """Return the words of so many fields, the last one perhaps not full."""
    return math.ceil(bits_of_fields(ranks, level, tensor, fiber, tile, fields) / width)


@kernel
def _take(ranks: RankArrays, done: Floats, share: float, count: int, taken: Floats) -> None:
    """Take a share of the fields, rounded down, of the innermost ranks, so many of them."""
    for r in range(min(count, len(done))):
        for i in range(2):
            lost = _whole(ranks, done[r, i] * share, False)
            done[r, i] -= lost
            taken[r, i] += lost


@kernel
def count_loop_metadata(
    accesses: Ints, tile: Ints, nests: NestArrays, formats: FormatArrays, listed: ListedArrays,
    saved: SavedArrays, status: Ints, counts: SparseCountArrays,
) -> None:  # fmt: skip
    """Count the words of metadata that are accessed, gated and skipped, where ranks are loops.

    A level that saves accesses saves the fields that the next level inside has, too. What levels further
    out save counts here only where those have one rank; and a level that saves beside one further out reads
    as many fields as are updated. So Sparseloop does.

    Parameters
    ----------
    accesses : int64[N, L, T, 3]
        If nothing were zero.
    tile : int64[N, L, T]
    nests : NestArrays
    formats : FormatArrays
    listed : ListedArrays
    saved : SavedArrays
    status : int64[N]
        Mappings that are not valid are left out.
    counts : SparseCountArrays
        `metadata`, `gated_metadata`, `skipped_metadata` and `metadata_bits` are filled in.
    """
    ranks, keep = formats.ranks, nests.keep
    mappings, levels, tensors, actions = accesses.shape
    for n in range(mappings):
        for t in range(tensors):
            above, saver = 0.0, -1
            for level in range(levels):
                if status[n] != OK or not keep[n, level, t]:
                    continue
                own, count, fields = (
                    saved.left[n, level, t],
                    ranks.listed[level, t],
                    listed.fields[n, level, t],
                )
                done, taken = np.zeros((actions, count, 2)), np.zeros((2, actions, count, 2))
                if has_metadata(ranks, level, t):
                    for action in range(actions):
                        ratio = accesses[n, level, t, action] / tile[n, level, t]
                        for r in range(count):
                            for i in range(2):
                                done[action, r, i] = _whole(ranks, fields[r, i] * ratio, True)
                    if above > 0 and ranks.listed[saver, t] == 1 and has_metadata(ranks, saver, t):
                        for action in (READ, FILL):
                            _take(ranks, done[action], above, 1, taken[0, FILL])
                        taken[:] = 0.0
                saves = 1 - min(own[0], own[1]) > above
                if saves and above > 0:
                    done[READ] = done[UPDATE]
                child = level + 1
                while child < levels and not keep[n, child, t]:
                    child += 1
                inner = count
                if child < levels:
                    inner = ranks.listed[child, t] if has_metadata(ranks, child, t) else 0
                for stage in range(2):
                    if 1 - own[stage] <= above:
                        continue
                    share = 1 - own[stage] / (1 - above)
                    for action in (READ, UPDATE):
                        _take(ranks, done[action], share, inner, taken[stage, action])
                    above, saver = 1 - own[stage], level
                if count == 0:
                    continue
                fiber, words, width = listed.fiber[n, level, t], tile[n, level, t], formats.bits[level]
                for action in range(actions):
                    counts.skipped_metadata[n, level, t, action] = _words_of(
                        ranks, level, t, fiber, words, taken[0, action], width
                    )
                    gated = _words_of(ranks, level, t, fiber, words, taken[1, action], width)
                    counts.gated_metadata[n, level, t, action] = gated
                    counts.metadata[n, level, t, action] = gated + _words_of(
                        ranks, level, t, fiber, words, done[action], width
                    )
                    moved = done[action] + taken[1, action]
                    bits = bits_of_fields(ranks, level, t, fiber, words, moved)
                    counts.metadata_bits[n, level, t, action] = bits
