"""Status, energy and cycles under a sparse design, on lanes: sums in the order of `kernels.sparse.costs`."""

from __future__ import annotations

from procrustes_model.kernels.dense.arrays import (
    FILL,
    METADATA,
    METADATA_GATED,
    METADATA_SKIPPED,
    READ,
    SAVED,
    UPDATE,
)
from procrustes_model.kernels.lanes.costs import charge_dearest, charge_row, round_whole, used_ports
from procrustes_model.kernels.lanes.sparse_counts import Context, Kept, Words
from procrustes_model.kernels.lanes.vectors import Condition, Lanes, Value
from procrustes_model.vocabulary import Status

Table = list[list[Words]]
"""By level, by tensor."""


def has_effect(context: Context) -> Condition:
    """Say for which lanes all that the design states has an effect; see `SparseDesign.works`."""
    lanes, shape, keep = context.lanes, context.shape, context.nests.keep
    works: Condition = True
    for level, tensor in shape.works:
        works = lanes.both(works, keep[level][tensor])
    for tensor in shape.arriving:
        arrives: Condition = shape.stored[0][tensor] is not None
        for level in range(1, shape.dense.levels):
            stored, kept = shape.stored[level][tensor] is not None, keep[level][tensor]
            arrives = lanes.either(arrives, kept) if stored else lanes.both(arrives, lanes.fails(kept))
        works = lanes.both(works, arrives)
    return works


def find_full(context: Context, kept: list[list[Kept]]) -> Condition:
    """Say for which lanes what has to fit does not."""
    lanes, shape, number = context.lanes, context.shape, context.number
    full: Condition = False
    for level in range(shape.dense.levels):
        if shape.apart[level]:
            described = lanes.total([one.described for one in kept[level]])
            full = lanes.either(full, lanes.above(described, number("fits_apart", level)))
        if shape.dense.holds[level] and shape.size != "dense":
            held = lanes.total([one.stored for one in kept[level]])
            full = lanes.either(full, lanes.above(held, number("fits", level)))
    return full


def _count_packs(lanes: Lanes, words: Value, pack: int) -> Value:
    """Return in how many accesses words are moved that may carry rounding errors."""
    rounded = round_whole(lanes, words)
    if pack == 1:
        return rounded
    is_whole = lanes.above(0.5, lanes.subtract(rounded, words))
    return lanes.round_up(lanes.divide(lanes.choose(is_whole, rounded, words), float(pack)))


def _charge_metadata(context: Context, words: Words, place: tuple[int, int], used: Value) -> list[Value]:
    """Return the energy of metadata by action, all at the price of what is done."""
    lanes, shape, number = context.lanes, context.shape, context.number
    level, tensor = place
    charged, pack = shape.charged[level][tensor], shape.pack[level]

    def packs(count: Value) -> Value:
        return _count_packs(lanes, count, pack)

    if shape.stored[level][tensor] is None or not any(costs for costs, _, _ in charged):
        return [0.0, 0.0, 0.0]
    if shape.dense.dearest:
        price = lanes.multiply(used, number("dearest_price", level, tensor, METADATA))
        return charge_dearest(lanes, words.metadata, price, packs)
    spent: list[Value] = [0.0, 0.0, 0.0]
    for action in (READ, FILL, UPDATE):
        count = words.metadata[action]
        if not isinstance(count, float) and charged[action][0]:
            price = lanes.multiply(used, number("price", level, tensor, METADATA + action))
            spent[action] = lanes.multiply(price, packs(count))
    return spent


def _more_for_saved_metadata(
    context: Context, words: Words, place: tuple[int, int, int], used: Value, charged: Value
) -> Value:
    """Return the energy of an action's metadata where those of what is gated or skipped cost otherwise."""
    lanes, shape, number = context.lanes, context.shape, context.number
    level, tensor, action = place
    pack = shape.pack[level]
    _, gated_otherwise, skipped_costs = shape.charged[level][tensor][action]
    spent = charged
    gated = words.gated_metadata[action]
    if gated_otherwise and not isinstance(gated, float):
        price = number("price", level, tensor, METADATA + action)
        own = number("price", level, tensor, METADATA_GATED + action)
        others = _count_packs(lanes, lanes.subtract(words.metadata[action], gated), pack)
        both = lanes.add(lanes.multiply(price, others), lanes.multiply(own, _count_packs(lanes, gated, pack)))
        spent = lanes.choose(lanes.above(gated, 0.0), lanes.multiply(used, both), spent)
    if skipped_costs:
        own = number("price", level, tensor, METADATA_SKIPPED + action)
        skipped = _count_packs(lanes, words.skipped_metadata[action], pack)
        spent = lanes.add(spent, lanes.multiply(lanes.multiply(used, own), skipped))
    return spent


def charge_accesses(context: Context, table: Table) -> Value:
    """Return the energy of accesses, of metadata, and of what is saved."""
    lanes, shape, number = context.lanes, context.shape, context.number
    dense = shape.dense
    data: Value = 0.0
    metadata: Value = 0.0
    places = [(level, tensor) for level in range(dense.levels) for tensor in range(dense.tensors)]
    charged = {}
    for level, tensor in places:
        used, words = used_ports(lanes, dense, context.dense, number, level), table[level][tensor]
        pack, split = dense.pack[level][tensor], float(dense.split[level][tensor])

        def packs(count: Value, pack: int = pack, split: float = split) -> Value:
            return lanes.multiply(split, _count_packs(lanes, count, pack))

        for one in charge_row(lanes, dense, (level, tensor), words.actual, used, packs, number):
            data = lanes.add(data, one)
        charged[level, tensor] = _charge_metadata(context, words, (level, tensor), used)
        for one in charged[level, tensor]:
            metadata = lanes.add(metadata, one)
    total = lanes.add(data, metadata)
    for level, tensor in () if dense.dearest else places:
        used, words = used_ports(lanes, dense, context.dense, number, level), table[level][tensor]
        for action in (READ, FILL, UPDATE):
            before = charged[level, tensor][action]
            spent = _more_for_saved_metadata(context, words, (level, tensor, action), used, before)
            if spent is not before:
                total = lanes.add(total, lanes.subtract(spent, before))
    for level, tensor in places:
        used, words = used_ports(lanes, dense, context.dense, number, level), table[level][tensor]
        for kind, saved in enumerate((words.gated, words.skipped)):
            for action in (READ, UPDATE):
                if isinstance(saved[action], float) or not shape.saved_prices[level][tensor][kind][action]:
                    continue
                packs = _count_packs(lanes, saved[action], dense.pack[level][tensor])
                packs = lanes.multiply(float(dense.split[level][tensor]), packs)
                price = lanes.multiply(used, number("price", level, tensor, SAVED + 3 * kind + action))
                total = lanes.add(total, lanes.multiply(price, packs))
    return total


def charge_pointers(context: Context, pointers: Value) -> Value:
    """Return the energy of what the balancer reads."""
    lanes, number, balance = context.lanes, context.number, context.shape.balance
    if balance is None or balance.pointer_level < 0 or isinstance(pointers, float):
        return 0.0
    name = "dearest_price" if context.shape.dense.dearest else "price"
    one = number(name, balance.pointer_level, balance.tensor, READ)
    reads = lanes.multiply(round_whole(lanes, pointers), one)
    return lanes.multiply(reads, number("pointer_energy"))


def find_steps(context: Context, work: Value) -> Value:
    """Return the steps of the slowest processing element; see `kernels.sparse.costs.find_steps`."""
    lanes, number, balance = context.lanes, context.number, context.shape.balance
    if balance is not None and balance.slowest:
        even = lanes.multiply(lanes.multiply(context.dense.steps, work), number("others"))
    else:
        even = lanes.divide(number("busy"), context.dense.instances[-1])
    steps = round_whole(lanes, even)
    return lanes.choose(lanes.above(1.0, steps), 1.0, steps)


def demands(context: Context, words: Words, level: int, tensor: int) -> tuple[Value, Value]:
    """Return the words that a tensor takes at the ports of a level: out of it, and into it."""
    lanes, shape, number = context.lanes, context.shape, context.number
    scale = number("scale", level, tensor)
    ported: list[Value] = [0.0, 0.0, 0.0]
    if shape.ported[level]:
        ported = [lanes.multiply(one, number("metadata_scale", level)) for one in words.metadata]
    waiting = [lanes.multiply(one, scale) for one in words.gated]
    out = lanes.multiply(words.actual[READ], scale)
    out = lanes.add(out, lanes.add(waiting[READ], ported[READ]))
    into = lanes.add(lanes.multiply(words.actual[FILL], scale), lanes.multiply(words.actual[UPDATE], scale))
    into = lanes.add(into, waiting[UPDATE])
    return out, lanes.add(into, lanes.add(ported[FILL], ported[UPDATE]))


def invalid(lanes: Lanes, status: Value, condition: Condition, why: Status) -> Value:
    """Return a status, set where a condition holds and nothing is said yet."""
    free = lanes.both(lanes.equal(status, 0.0), condition)
    return lanes.choose(free, float(why.value), status)
