"""Accesses, energy and cycles on lanes: each sum in the order of `kernels.dense`, so that it has its bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from procrustes_model.kernels.dense.arrays import FILL, READ, UPDATE
from procrustes_model.kernels.lanes.counts import count_distinct, count_touched, count_transfers
from procrustes_model.kernels.lanes.reading import Nests
from procrustes_model.kernels.lanes.shape import Shape
from procrustes_model.kernels.lanes.tables import Finder
from procrustes_model.kernels.lanes.vectors import EXACT, Condition, Lanes, Value
from procrustes_model.vocabulary import Status

Number = Callable[..., Value]
"""Returns a number of the design, given its name and its place there; the same in all lanes."""

_NEAR = 1e-13
"""As `kernels.dense.rounding` has it."""


class Counts(NamedTuple):
    """What counting yields, by level.

    Attributes
    ----------
    tiles : list of list of Value
        By tensor: words.
    accesses : list of list of list of Value
        By tensor, by action: words per instance.
    instances : list of Value
        Used; the last entry counts the compute units.
    steps : Value
        Of the nest.
    beyond : Condition
        Whether a count is beyond what lanes hold exactly.
    """

    tiles: list[list[Value]]
    accesses: list[list[list[Value]]]
    instances: list[Value]
    steps: Value
    beyond: Condition


def _count_accesses(
    lanes: Lanes, shape: Shape, nests: Nests, tensor: int, done: Value, touched: list[Value]
) -> tuple[list[Value], list[list[Value]], Condition]:
    """Return a tensor's tiles and accesses by level, and whether any count is too large."""
    tiles, moved = count_transfers(lanes, shape, nests.loops, tensor)
    accesses: list[list[Value]] = [[0.0, 0.0, 0.0] for _ in range(shape.levels)]
    beyond = lanes.above(tiles[0], EXACT / max(shape.widest, 8))
    from_child, shared = done, 1.0
    for level in range(shape.levels - 1, -1, -1):
        kept = nests.keep[level][tensor]
        shared = lanes.multiply(shared, count_distinct(lanes, shape, nests.loops, level, tensor))
        served = lanes.multiply(from_child, shared)
        for count in (served, moved[level]):
            beyond = lanes.either(beyond, lanes.fails(lanes.above(EXACT, count)))
        new = touched[level] if tensor == shape.output else 0.0
        row = accesses[level]
        row[READ] = lanes.choose(kept, lanes.not_below_zero(lanes.subtract(served, new)), 0.0)
        if tensor == shape.output:
            row[UPDATE] = lanes.choose(kept, served, 0.0)
        if level > 0 or (shape.loads[level] and tensor != shape.output):
            first = 0.0 if shape.all_fills else new
            filled = lanes.not_below_zero(lanes.subtract(moved[level], first))
            row[FILL] = lanes.choose(kept, filled, 0.0)
        from_child = lanes.choose(kept, moved[level], from_child)
        shared = lanes.choose(kept, 1.0, shared)
    return tiles, accesses, beyond


def count_all(
    lanes: Lanes, shape: Shape, nests: Nests, number: Number, finder: Finder, left: Condition
) -> Counts:
    """Write code that counts the accesses of all lanes; see `kernels.dense.accesses`.

    `left` : what is left to other kernels in any case.
    """
    instances: list[Value] = [1.0]
    for level in range(shape.levels):
        instances.append(lanes.multiply(instances[-1], lanes.product(nests.loops.spread[level])))
    steps = lanes.divide(number("computes"), instances[-1])
    touched = count_touched(lanes, shape, nests.loops, finder, left)
    by_tensor = [
        _count_accesses(lanes, shape, nests, tensor, steps, touched) for tensor in range(shape.tensors)
    ]
    beyond: Condition = False
    for _, _, large in by_tensor:
        beyond = lanes.either(beyond, large)
    tiles = [[tiles[level] for tiles, _, _ in by_tensor] for level in range(shape.levels)]
    accesses = [[rows[level] for _, rows, _ in by_tensor] for level in range(shape.levels)]
    return Counts(tiles, accesses, instances, steps, beyond)


def is_wrong(lanes: Lanes, shape: Shape, nests: Nests, number: Number) -> Condition:
    """Say for which lanes factors do not multiply to the bounds."""
    wrong: Condition = False
    for d in range(shape.dimensions):
        if shape.moves[d]:
            right = lanes.equal(nests.loops.below[0][d], number("bounds", d))
            wrong = lanes.either(wrong, lanes.fails(right))
    return wrong


def find_crowded(lanes: Lanes, shape: Shape, nests: Nests, counts: Counts, number: Number) -> Condition:
    """Say for which lanes tiles do not fit, nothing being zero."""
    crowded: Condition = False
    for level in range(shape.levels):
        if not shape.holds[level]:
            continue
        room = number("room", level)
        for tensor, words in enumerate(counts.tiles[level]):
            bits = lanes.multiply(words, number("bits", level, tensor))
            room = lanes.subtract(room, lanes.choose(nests.keep[level][tensor], bits, 0.0))
        crowded = lanes.either(crowded, lanes.above(0.0, room))
    return crowded


def find_status(lanes: Lanes, shape: Shape, nests: Nests, crowded: Condition, number: Number) -> Value:
    """Return why mappings are not valid, 0 where they are; what is found first stands.

    `crowded` : where tiles do not fit.
    """
    status: Value = lanes.choose(crowded, float(Status.BAD_CAPACITY.value), 0.0)
    for kept in nests.keep[0]:
        status = lanes.choose(kept, status, float(Status.BAD_KEEP.value))
    for level in range(shape.levels):
        if not shape.fans[level]:
            continue
        for axis, used in enumerate(nests.used[level]):
            over = lanes.above(used, number("fanout", level, axis))
            status = lanes.choose(over, float(Status.BAD_FANOUT.value), status)
    return status


def _count_packs(lanes: Lanes, words: Value, pack: int) -> Value:
    """Return in how many accesses words are moved: whole quotients of exact counts round right."""
    if pack == 1:
        return words
    if pack & (pack - 1) == 0:
        return lanes.round_up(lanes.multiply(words, 1 / pack))
    return lanes.round_up(lanes.divide(words, float(pack)))


def used_ports(lanes: Lanes, shape: Shape, counts: Counts, number: Number, level: int) -> Value:
    """Return how many instances of a level accesses are charged for."""
    used = counts.instances[level]
    return lanes.smaller(used, number("ports", level)) if shape.shared[level] else used


def charge_dearest(
    lanes: Lanes, words: Sequence[Value], price: Value, packs: Callable[[Value], Value]
) -> list[Value]:
    """Return the energy of a tensor's accesses to a level by action, each at that of the dearest one.

    `price` : of an access of all used instances. `packs`: returns the accesses that move so many words.
    """
    together = lanes.total(words)
    energy = lanes.multiply(price, packs(together))
    shares = [
        lanes.choose(lanes.above(together, 0.0), lanes.divide(one, together), 0.0) if one != 0.0 else 0.0
        for one in words
    ]
    return [lanes.multiply(energy, share) for share in shares]


def charge_row(
    lanes: Lanes,
    shape: Shape,
    place: tuple[int, int],
    words: Sequence[Value],
    used: Value,
    packs: Callable[[Value], Value],
    number: Number,
) -> list[Value]:
    """Return the energy of a tensor's accesses to a level, by action, pJ.

    `words` : read, filled, updated. `used`: instances that are charged. `packs`: returns the accesses that
    move so many words.
    """
    level, tensor = place
    if shape.dearest:
        if not any(shape.priced[level][tensor]):
            return [0.0, 0.0, 0.0]
        price = lanes.multiply(used, number("dearest_price", level, tensor, READ))
        return charge_dearest(lanes, words, price, packs)
    spent: list[Value] = [0.0, 0.0, 0.0]
    for action in (READ, FILL, UPDATE):
        if isinstance(words[action], float) or not shape.priced[level][tensor][action]:
            continue
        price = lanes.multiply(used, number("price", level, tensor, action))
        spent[action] = lanes.multiply(price, packs(words[action]))
    return spent


def charge_words(lanes: Lanes, shape: Shape, counts: Counts, number: Number) -> Value:
    """Return the energy of all accesses, pJ."""
    spent: Value = 0.0
    for level in range(shape.levels):
        used = used_ports(lanes, shape, counts, number, level)
        for tensor in range(shape.tensors):
            pack, split = shape.pack[level][tensor], float(shape.split[level][tensor])

            def packs(words: Value, pack: int = pack, split: float = split) -> Value:
                return lanes.multiply(split, _count_packs(lanes, words, pack))

            words = counts.accesses[level][tensor]
            for energy in charge_row(lanes, shape, (level, tensor), words, used, packs, number):
                spent = lanes.add(spent, energy)
    return spent


def _serve(lanes: Lanes, shape: Shape, counts: Counts, number: Number) -> tuple[Value, Condition]:
    """Return the energy of what components do for words, and whether any count is too large."""
    spent: Value = 0.0
    beyond: Condition = False
    for level in range(shape.levels):
        for tensor in range(shape.tensors):
            for action in (READ, FILL, UPDATE):
                words = counts.accesses[level][tensor][action]
                if isinstance(words, float):
                    continue
                total = lanes.multiply(counts.instances[level], words)
                beyond = lanes.either(beyond, lanes.above(total, 2.0**62))
                weight = number("served", level, tensor, action)
                spent = lanes.add(spent, lanes.multiply(total, weight))
    return spent, beyond


def round_whole(lanes: Lanes, value: Value) -> Value:
    """Return the next whole number, as `kernels.dense.rounding.round_up` does."""
    nearest = lanes.round_down(lanes.add(value, 0.5))
    apart = lanes.subtract(value, nearest)
    apart = lanes.choose(lanes.above(apart, 0.0), apart, lanes.subtract(nearest, value))
    is_near = lanes.fails(lanes.above(apart, lanes.multiply(_NEAR, value)))
    return lanes.choose(is_near, nearest, lanes.round_up(value))


def take_longer(lanes: Lanes, shape: Shape, steps: Value, number: Number) -> Value:
    """Return the cycles of the compute units for their steps."""
    if not shape.slow:
        return steps
    taken = round_whole(lanes, lanes.multiply(steps, number("cycles_per_compute")))
    return lanes.choose(lanes.above(1.0, taken), 1.0, taken)


def stretch(
    lanes: Lanes,
    shape: Shape,
    level: int,
    demands: Sequence[tuple[Value, Value]],
    steps: Value,
    number: Number,
) -> Value:
    """Return the cycles of a level whose tensors take words out of it and bring words into it, over the run.

    `demands` : out and in, by tensor, in words of the level. 0: none of its ports is limited.
    """
    narrow = [port for port in range(3) if shape.narrow[level][port]]
    read: Value = 0.0
    write: Value = 0.0
    for out, into in demands if narrow else ():
        read = lanes.add(read, out if out == 0.0 else lanes.divide(out, steps))
        write = lanes.add(write, into if into == 0.0 else lanes.divide(into, steps))
    wanted = (read, write, lanes.add(read, write))
    slowdown: Value = 1.0
    for port in narrow:
        if wanted[port] != 0.0:
            share = lanes.divide(number("bandwidth", level, port), wanted[port])
            slowdown = lanes.smaller(slowdown, share)
    return 0.0 if slowdown == 1.0 else lanes.round_up(lanes.divide(steps, slowdown))


def count_cycles(lanes: Lanes, shape: Shape, counts: Counts, number: Number) -> Value:
    """Return the cycles of the slowest of the compute units and the levels."""
    steps = slowest = take_longer(lanes, shape, counts.steps, number)
    for level in range(shape.levels):
        demands = []
        for tensor in range(shape.tensors):
            scale, words = number("scale", level, tensor), counts.accesses[level][tensor]
            into = lanes.add(lanes.multiply(words[FILL], scale), lanes.multiply(words[UPDATE], scale))
            demands.append((lanes.multiply(words[READ], scale), into))
        cycles = stretch(lanes, shape, level, demands, steps, number)
        slowest = slowest if cycles == 0.0 else lanes.largest([slowest, cycles])
    return slowest


def spend_beside(
    lanes: Lanes, shape: Shape, counts: Counts, computing: Value, cycles: Value, number: Number
) -> tuple[Value, Condition]:
    """Return the energy of components and of time, pJ, and whether any count is too large.

    `computing` : of components, for computations.
    """
    components = computing
    beyond: Condition = False
    if shape.serves:
        served, beyond = _serve(lanes, shape, counts, number)
        components = lanes.add(components, served)
    power: Value = 0.0
    if shape.has_power:
        power = number("power")
    if shape.leaks:
        for level in range(shape.levels + 1):
            leaking = lanes.multiply(number("used_power", level), counts.instances[level])
            power = lanes.add(power, leaking)
    if power != 0.0:
        components = lanes.add(components, lanes.multiply(power, cycles))
    return components, beyond


def add_up(
    lanes: Lanes, shape: Shape, counts: Counts, cycles: Value, number: Number
) -> tuple[Value, Condition]:
    """Return the total energy, pJ, and whether any count is too large."""
    spent = charge_words(lanes, shape, counts, number)
    components, beyond = spend_beside(lanes, shape, counts, number("served_computing"), cycles, number)
    return lanes.add(spent, lanes.add(number("computing"), components)), beyond
