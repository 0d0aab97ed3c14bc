"""What zeros save, on lanes: what `kernels.sparse` counts of plain designs, sum by sum in its order."""

from __future__ import annotations

from typing import NamedTuple

from procrustes_model.kernels.dense.arrays import FILL, READ, UPDATE
from procrustes_model.kernels.lanes.costs import Counts, Number
from procrustes_model.kernels.lanes.counts import count_distinct, list_touched, measure_sides
from procrustes_model.kernels.lanes.reading import Nests
from procrustes_model.kernels.lanes.sparse_shape import BLOCKED, HALF, Balance, SparseShape, Stored
from procrustes_model.kernels.lanes.tables import Finder
from procrustes_model.kernels.lanes.vectors import Condition, Lanes, Value
from procrustes_model.kernels.sparse.arrays import (
    BLOCKS,
    FIBERS,
    INDEX,
    INNERMOST,
    NONZEROS,
    ONE,
    POSITIONS,
    WHOLE_BLOCKS,
)

MANY_ROUNDS = 17
"""Array-level tiles from which on their number makes no difference: one more than the most that do."""


class Context(NamedTuple):
    """What code for sparse designs is written with.

    Attributes
    ----------
    lanes : Lanes
    shape : SparseShape
    nests : Nests
    dense : Counts
        If nothing were zero.
    number : Number
    finder : Finder
    left : Condition
        What is left to other kernels.
    """

    lanes: Lanes
    shape: SparseShape
    nests: Nests
    dense: Counts
    number: Number
    finder: Finder
    left: Condition

    def ask(self, key: Value) -> Value:
        """Return the first key of a table; 0 of nests that are left to other kernels: nothing is asked."""
        return self.lanes.choose(self.left, 0.0, key)


class Tile(NamedTuple):
    """Tiles of the balanced tensor in the processing elements; as `TileArrays` has them.

    Attributes
    ----------
    alike, parts, rounds : Value
    is_cut : Condition
    cut : Value
        Dimension + 1; 0: not cut.
    """

    alike: Value
    parts: Value
    rounds: Value
    is_cut: Condition
    cut: Value


class Words(NamedTuple):
    """Words of a tensor at a level, by action; as `SparseCountArrays` has them."""

    actual: list[Value]
    gated: list[Value]
    skipped: list[Value]
    metadata: list[Value]
    gated_metadata: list[Value]
    skipped_metadata: list[Value]


class Kept(NamedTuple):
    """What a tile takes where it lies: words of the level, and of metadata."""

    stored: Value
    described: Value


def tables_of(shape: SparseShape) -> list[tuple[str, int]]:
    """Return what tables hold: words that are touched, nonzeros of tiles, uses of a rank, expected work."""
    tables = [*list_touched(shape.dense), *(("most", t) for t in range(shape.dense.tensors))]
    if shape.balance is not None:
        ranks = shape.dense.ranks[shape.balance.tensor]
        tables += [("alike", rank) for rank in range(len(ranks))]
        tables.append(("work", shape.balance.tensor))
    return tables


def find_tile(context: Context, balance: Balance) -> Tile:
    """Write code that measures tiles and where they are cut; see `kernels.imbalance.tiles.find_tiles`."""
    lanes, loops, shape = context.lanes, context.nests.loops, context.shape.dense
    tables, array = tables_of(context.shape), balance.array
    alike: Value = 1.0
    parts: Value = 1.0
    rounds: Value = 1.0
    longest: Value = 0.0
    cut: Value = 0.0
    for rank, terms in enumerate(shape.ranks[balance.tensor]):
        for d, _ in terms:
            extent = loops.below[array][d]
            positions = lanes.product([loops.spread[level][d] for level in range(array)])
            parts = lanes.multiply(parts, positions)
            covered = lanes.multiply(extent, positions)
            rounds = lanes.multiply(rounds, lanes.divide(context.number("bounds", d), covered))
            if balance.pieces == 1:
                continue
            share = lanes.divide(extent, float(balance.pieces))
            divides = lanes.both(lanes.above(positions, 1.0), lanes.equal(lanes.round_down(share), share))
            longer = lanes.both(divides, lanes.above(extent, longest))
            longest = lanes.choose(longer, extent, longest)
            cut = lanes.choose(longer, float(d + 1), cut)
        extents = [loops.below[array][d] for d, _ in terms]
        if len(terms) > 1:
            which = tables.index(("alike", rank))
            extents = [context.finder.find(which, context.ask(extents[0]), extents[1])]
        alike = lanes.multiply(alike, lanes.product(extents))
    alike = lanes.round_down(lanes.add(alike, 0.5))
    alike = lanes.choose(lanes.above(1.0, alike), 1.0, alike)
    return Tile(alike, parts, rounds, lanes.above(cut, 0.0), cut)


def find_work(context: Context, balance: Balance, tile: Tile, valid: Condition) -> Value:
    """Write code that finds the expected work of the slowest processing element."""
    lanes, density = context.lanes, context.number("met")
    if not balance.varies:
        return density
    rounds = lanes.smaller(tile.rounds, float(MANY_ROUNDS))
    cut = lanes.choose(tile.is_cut, 1.0, 0.0)
    other = lanes.multiply(lanes.add(lanes.multiply(tile.parts, 32.0), rounds), 2.0)
    wanted = lanes.choose(valid, tile.alike, 0.0)
    which = tables_of(context.shape).index(("work", balance.tensor))
    work, known = context.finder.look_up(which, wanted, lanes.add(other, cut))
    context.finder.miss(lanes.both(valid, lanes.fails(known)))
    return lanes.choose(valid, work, density)


def count_pointers(context: Context, balance: Balance, tile: Tile) -> Value:
    """Write code that counts what the balancer reads; see `kernels.imbalance.tiles.count_pointers`."""
    lanes, dense, tensor = context.lanes, context.dense, balance.tensor
    shape, loops, keep = context.shape.dense, context.nests.loops, context.nests.keep
    if balance.pointer_level < 0 or balance.pieces == 1:
        return 0.0
    words = dense.accesses[0][tensor][READ]
    served: Value = 1.0
    for at in range(1, balance.pointer_level + 1):
        # As seen from level `at`: what it reads itself, or its share of what is read further out.
        distinct = count_distinct(lanes, shape, loops, at - 1, tensor)
        kept = keep[at][tensor]
        served = lanes.choose(kept, 1.0, lanes.multiply(served, distinct))
        words = lanes.choose(kept, dense.accesses[at][tensor][READ], words)
    each = lanes.divide(words, served)
    read = lanes.multiply(each, dense.instances[balance.pointer_level])
    pieces = lanes.multiply(lanes.multiply(tile.rounds, tile.parts), float(balance.pieces))
    share = lanes.divide(read, context.number("balanced_size"))
    charged = lanes.multiply(lanes.multiply(context.number("pointer_reads"), pieces), share)
    return lanes.choose(tile.is_cut, charged, 0.0)


def save_accesses(context: Context, tensor: int, valid: Condition) -> list[Words]:
    """Write code that splits accesses of a tensor by level; see `kernels.sparse.actions.save_accesses`."""
    lanes, shape, keep = context.lanes, context.shape, context.nests.keep
    above: Value = 0.0
    found = []
    for level in range(shape.dense.levels):
        actual = [
            lanes.subtract(words, lanes.multiply(words, above))
            for words in context.dense.accesses[level][tensor]
        ]
        kinds: tuple[list[Value], list[Value]] = ([0.0] * 3, [0.0] * 3)
        for stage in range(2):
            if not shape.saves[level][tensor][stage]:
                continue
            own = lanes.subtract(1.0, context.number("left", level, tensor, stage))
            own = lanes.choose(lanes.both(valid, keep[level][tensor]), own, 0.0)
            more = lanes.above(own, above)
            share = lanes.subtract(1.0, lanes.divide(lanes.subtract(1.0, own), lanes.subtract(1.0, above)))
            for action in (READ, UPDATE):
                lost = lanes.choose(more, lanes.multiply(actual[action], share), 0.0)
                actual[action] = lanes.subtract(actual[action], lost)
                kinds[stage][action] = lost
            above = lanes.choose(more, own, above)
        skipped, gated = kinds
        found.append(Words(actual, gated, skipped, [0.0] * 3, [0.0] * 3, [0.0] * 3))
    return found


def _positions_of_block(
    context: Context, stored: Stored, level: int, tensor: int, tile: Tile | None
) -> Value:
    """Return the positions of a block; see `kernels.sparse.formats.block_of`."""
    lanes, shape = context.lanes, context.shape
    if stored.block == BLOCKED:
        return context.number("block", level, tensor)
    words = context.dense.tiles[shape.array][tensor]
    if stored.block != HALF or tile is None:
        return words
    halved: Condition = False
    for d in (d for terms in shape.dense.ranks[tensor] for d, _ in terms):
        halved = lanes.either(halved, lanes.equal(tile.cut, float(d + 1)))
    return lanes.choose(halved, lanes.round_down(lanes.multiply(words, 0.5)), words)


class Form(NamedTuple):
    """A tile in a format: what its metadata take follows from what it holds.

    Attributes
    ----------
    spans : list of Value
        Positions in the first k ranks of the tensor together.
    words : Value
        Positions in all of them.
    block : Value
        Positions of a block.
    """

    stored: Stored
    spans: list[Value]
    words: Value
    block: Value

    def fields(self, lanes: Lanes, term: int, nonzeros: Value) -> Value:
        """Return how many fields a term has."""
        one = self.stored.terms[term]
        fibers = self.spans[one.first]
        positions = self.words if one.end == INNERMOST else self.spans[one.end]
        counted = {FIBERS: fibers, POSITIONS: positions, NONZEROS: nonzeros}
        if one.quantity in counted:
            return counted[one.quantity]
        blocks = lanes.divide(positions, self.block)
        if one.quantity == BLOCKS:
            return blocks
        if one.quantity != WHOLE_BLOCKS:
            raise ValueError(f"unknown quantity {one.quantity}")
        return lanes.round_up(blocks)

    def width(self, lanes: Lanes, term: int) -> Value:
        """Return the bits of a field."""
        one = self.stored.terms[term]
        if one.width == ONE:
            return 1.0
        if one.width == INDEX:
            positions = self.words if one.end == INNERMOST else self.spans[one.end]
            return lanes.count_bits(lanes.divide(positions, self.spans[one.first]))
        return lanes.count_bits(lanes.add(self.words, 1.0))

    def bits(self, lanes: Lanes, nonzeros: Value) -> Value:
        """Return the bits of metadata of a tile with so many nonzeros."""
        total: Value = 0.0
        for m, one in enumerate(self.stored.terms):
            fields = lanes.multiply(one.coefficient, self.fields(lanes, m, nonzeros))
            total = lanes.add(total, lanes.multiply(fields, self.width(lanes, m)))
        return total

    def bits_of_block(self, lanes: Lanes) -> Value:
        """Return the bits of metadata of a full block."""
        total: Value = 0.0
        for one in self.stored.terms:
            fields = self.block if one.quantity in (POSITIONS, NONZEROS) else 1.0
            total = lanes.add(total, lanes.multiply(one.coefficient, fields))
        return total

    def data(self, lanes: Lanes, nonzeros: Value, bits: Value) -> Value:
        """Return the elements that are stored as data."""
        return lanes.choose(lanes.above(bits, 0.0), 0.0, nonzeros) if self.stored.implied else nonzeros


def form_of(context: Context, stored: Stored, level: int, tensor: int, tile: Tile | None) -> Form:
    """Return a tile in the format in which a level stores it."""
    lanes, shape, loops = context.lanes, context.shape.dense, context.nests.loops
    spans: list[Value] = [1.0]
    for side in measure_sides(lanes, shape, loops, level, tensor):
        spans.append(lanes.multiply(spans[-1], side))
    block = _positions_of_block(context, stored, level, tensor, tile)
    return Form(stored, spans, context.dense.tiles[level][tensor], block)


def _compress_action(
    context: Context, form: Form, place: tuple[int, int, int], words: Words, bits: Value
) -> None:
    """Leave the zeros of a tensor that a level keeps out of what one action moves; count metadata."""
    lanes = context.lanes
    level, tensor, action = place
    kept = context.nests.keep[level][tensor]
    actual, gated, skipped = words.actual[action], words.gated[action], words.skipped[action]
    moved = lanes.add(actual, gated)
    waiting: Value = 0.0
    if gated != 0.0:
        waiting = lanes.choose(lanes.above(moved, 0.0), lanes.divide(gated, moved), 0.0)
    saved = skipped
    density = context.number("density", tensor)
    if form.stored.implied:
        density = lanes.choose(lanes.above(bits, 0.0), 0.0, density)
    if tensor == context.shape.dense.output:
        if action != UPDATE:
            return
        dense = context.dense.accesses[level][tensor]
        final = lanes.divide(lanes.subtract(dense[UPDATE], dense[READ]), dense[UPDATE])
        final = lanes.choose(kept, final, 0.0)
        moved, saved = lanes.multiply(moved, final), lanes.multiply(saved, final)
        part = lanes.add(lanes.subtract(1.0, final), lanes.multiply(final, density))
        words.actual[action] = lanes.multiply(actual, part)
    else:
        arrived = lanes.multiply(lanes.add(moved, skipped), density)
        words.actual[action] = lanes.multiply(actual, density)
        words.gated[action] = lanes.multiply(gated, density)
        if skipped != 0.0:
            done = lanes.add(words.actual[action], words.gated[action])
            rest = lanes.not_below_zero(lanes.subtract(arrived, done))
            words.skipped[action] = lanes.choose(lanes.above(skipped, 0.0), rest, skipped)
    word = float(form.stored.word)
    if form.stored.dropped:
        full = form.bits_of_block(lanes)
        metadata, saved = (
            lanes.divide(lanes.multiply(lanes.round_down(lanes.divide(one, form.block)), full), word)
            for one in (moved, saved)
        )
    else:
        each = lanes.divide(bits, form.words)
        metadata = lanes.divide(lanes.multiply(moved, each), word)
        saved = lanes.multiply(saved, lanes.divide(each, word))
    words.metadata[action] = metadata
    words.gated_metadata[action] = lanes.multiply(waiting, metadata)
    words.skipped_metadata[action] = saved


def _grow(context: Context, form: Form, place: tuple[int, int], bits: Value, kept: Kept) -> Kept:
    """Give a tile the size of those that have to fit, at least that of the average."""
    lanes, number, (level, tensor) = context.lanes, context.number, place
    word = float(form.stored.word)
    if context.shape.size == "dense" and context.shape.apart[level]:
        full = form.bits(lanes, form.words)
        more = lanes.above(kept.described, 0.0)
        grown = lanes.largest([kept.described, lanes.divide(full, word)])
        return Kept(kept.stored, lanes.choose(more, grown, kept.described))
    if context.shape.size in ("dense", "average") or not context.shape.varies[tensor]:
        return kept
    most = context.finder.find(tables_of(context.shape).index(("most", tensor)), context.ask(form.words))
    bits = form.bits(lanes, most)
    data = form.data(lanes, most, bits)
    size = lanes.add(
        lanes.multiply(data, number("stored_scale", level, tensor)),
        lanes.multiply(bits, number("metadata_room", level)),
    )
    grows = lanes.both(lanes.above(kept.stored, 0.0), lanes.above(most, 0.0))
    return Kept(
        lanes.choose(grows, lanes.largest([kept.stored, size]), kept.stored),
        lanes.choose(grows, lanes.largest([kept.described, lanes.divide(bits, word)]), kept.described),
    )


def compress(context: Context, place: tuple[int, int], tile: Tile | None, words: Words) -> Kept:
    """Write code that leaves zeros out of what a level moves of a tensor, and return what a tile takes.

    See `kernels.sparse.formats.compress`.
    """
    lanes, number, (level, tensor) = context.lanes, context.number, place
    kept, size = context.nests.keep[level][tensor], context.dense.tiles[level][tensor]
    scale = number("stored_scale", level, tensor)
    stored = context.shape.stored[level][tensor]
    if stored is None:
        return Kept(lanes.choose(kept, lanes.multiply(size, scale), 0.0), 0.0)
    form = form_of(context, stored, level, tensor, tile)
    nonzeros = lanes.multiply(size, number("density", tensor))
    bits = form.bits(lanes, nonzeros)
    data = form.data(lanes, nonzeros, bits)
    average = lanes.add(lanes.multiply(data, scale), lanes.multiply(bits, number("metadata_room", level)))
    for action in (READ, FILL, UPDATE):
        _compress_action(context, form, (level, tensor, action), words, bits)
    described = lanes.choose(kept, lanes.divide(bits, float(stored.word)), 0.0)
    return _grow(context, form, place, bits, Kept(lanes.choose(kept, average, 0.0), described))
