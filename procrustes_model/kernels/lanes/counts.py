"""Counts on lanes: what `kernels.dense` counts of nests, loop by loop, without a loop or a branch.

Instead of the order of loops, code keeps the position of each: the innermost loop that moves a tile is the
one at the largest position among those of its dimensions, and the loops outside are those at smaller ones.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

from procrustes_model.kernels.lanes.shape import Shape
from procrustes_model.kernels.lanes.tables import Finder
from procrustes_model.kernels.lanes.vectors import Condition, Lanes, Value


class Loops(NamedTuple):
    """Nests on lanes, by level and by dimension.

    Attributes
    ----------
    factor : list of list of Value
        Of temporal loops.
    spread : list of list of Value
        Spatial factors, x and y together.
    place : list of list of Value
        Positions of temporal loops with factors above 1, from 1 outermost; 0 of others.
    below : list of list of Value
        Elements covered at a level and below; one entry more than there are levels.
    start : list of list of Value
        Elements that one iteration moves.
    """

    factor: list[list[Value]]
    spread: list[list[Value]]
    place: list[list[Value]]
    below: list[list[Value]]
    start: list[list[Value]]


def outside(lanes: Lanes, loops: Loops, level: int, place: Value, dimensions: Sequence[int]) -> Value:
    """Return the product of a level's loops over some dimensions that lie outside of a position."""
    total: Value = 1.0
    for d in dimensions:
        inside = lanes.above(place, loops.place[level][d])
        total = lanes.times_where(inside, total, loops.factor[level][d])
    return total


def measure_sides(lanes: Lanes, shape: Shape, loops: Loops, level: int, tensor: int) -> list[Value]:
    """Return the sides of the bounding box of a tile, rank by rank."""
    sides = []
    for terms in shape.ranks[tensor]:
        side: Value = 1.0
        for d, coefficient in terms:
            span = lanes.subtract(loops.below[level][d], 1.0)
            side = lanes.add(side, lanes.multiply(float(coefficient), span))
        sides.append(side)
    return sides


def _dimensions_of(shape: Shape, tensor: int) -> list[int]:
    return [d for terms in shape.ranks[tensor] for d, _ in terms]


class _Level(NamedTuple):
    """Loops of one level as one tensor meets them.

    Attributes
    ----------
    innermost : Value
        Position of the innermost loop that moves the tile; 0: none does.
    visits : Value
        Product of the loops at it and outside of it.
    """

    innermost: Value
    visits: Value


def _meet(lanes: Lanes, shape: Shape, loops: Loops, level: int, tensor: int) -> _Level:
    own = _dimensions_of(shape, tensor)
    others = [d for d in range(shape.dimensions) if shape.moves[d] and d not in own]
    innermost = lanes.largest([loops.place[level][d] for d in own])
    moving = lanes.product([loops.factor[level][d] for d in own])
    return _Level(innermost, lanes.multiply(moving, outside(lanes, loops, level, innermost, others)))


class _Step(NamedTuple):
    """A loop over a rank that sums two dimensions, in the run of moves that lets a tile keep what overlaps.

    Attributes
    ----------
    goes_on : Condition
        Whether there is such a loop inside those over other ranks.
    along : Value
        Elements that one iteration moves.
    more : Value
        Iterations but the first, over all loops of the level outside.
    """

    goes_on: Condition
    along: Value
    more: Value


class _Window(NamedTuple):
    """A rank that sums two dimensions: its loops at one level, the inner and the outer one.

    `ends`: whether a loop over another rank lies at the level.
    """

    steps: tuple[_Step, _Step]
    ends: Condition


def _find_window(lanes: Lanes, shape: Shape, loops: Loops, level: int, tensor: int, rank: int) -> _Window:
    terms = shape.ranks[tensor][rank]
    pair = [d for d, _ in terms]
    others = [d for d in _dimensions_of(shape, tensor) if d not in pair]
    barrier = lanes.largest([loops.place[level][d] for d in others])
    moving = [d for d in range(shape.dimensions) if shape.moves[d]]
    (a, b), place, factor = pair, loops.place[level], loops.factor[level]
    along_a, along_b = (lanes.multiply(float(k), loops.start[level][d]) for d, k in terms)
    more_a, more_b = (
        lanes.multiply(lanes.subtract(factor[d], 1.0), outside(lanes, loops, level, place[d], moving))
        for d in pair
    )
    swapped = lanes.above(place[b], place[a])
    inner = lanes.choose(swapped, place[b], place[a])
    outer = lanes.choose(swapped, place[a], place[b])
    return _Window(
        (
            _Step(
                lanes.above(inner, barrier),
                lanes.choose(swapped, along_b, along_a),
                lanes.choose(swapped, more_b, more_a),
            ),
            _Step(
                lanes.above(outer, barrier),
                lanes.choose(swapped, along_a, along_b),
                lanes.choose(swapped, more_a, more_b),
            ),
        ),
        lanes.above(barrier, 0.0),
    )


def _saved_by_window(
    lanes: Lanes,
    windows: list[_Window],
    found: list[Condition],
    around: list[Value],
    level: int,
    sides: list[Value],
    rank: int,
) -> Value:
    """Return the words that a tile at a level need not fetch, since it moves along one window.

    `found` : by level outside, from the outermost, whether a loop further in moves the tile. `around`: the
    product of all loops further out than that level.
    """
    words = lanes.product(sides)
    other = lanes.product([side for r, side in enumerate(sides) if r != rank])
    step: Value = 0.0
    kept: Value = 0.0
    reached: Value = 0.0
    saved: Value = 0.0
    is_open: Condition = False
    for j in range(level - 1, -1, -1):
        window = windows[j]
        first = window.steps[0]
        starts = lanes.both(lanes.fails(found[j]), first.goes_on)
        step = lanes.choose(starts, first.along, step)
        overlap = lanes.not_below_zero(lanes.subtract(sides[rank], first.along))
        kept = lanes.choose(starts, lanes.multiply(other, overlap), kept)
        is_open = lanes.either(is_open, starts)
        for one in window.steps:
            moves = lanes.both(is_open, one.goes_on)
            whole = lanes.equal(one.along, reached)
            again = lanes.equal(lanes.subtract(one.along, reached), step)
            stays = lanes.choose(whole, words, lanes.choose(again, kept, 0.0))
            saving = lanes.multiply(lanes.multiply(one.more, around[j]), stays)
            saved = lanes.choose(moves, lanes.add(saved, saving), saved)
            reached = lanes.choose(moves, lanes.add(reached, one.along), reached)
        is_open = lanes.both(is_open, lanes.fails(window.ends))
    return saved


def count_transfers(lanes: Lanes, shape: Shape, loops: Loops, tensor: int) -> tuple[list[Value], list[Value]]:
    """Return the words of a tensor's tile, and those moved into one instance over the run, by level."""
    levels = range(shape.levels)
    outer_levels = range(shape.levels - 1)
    met = [_meet(lanes, shape, loops, level, tensor) for level in outer_levels]
    whole = [lanes.product(loops.factor[level]) for level in outer_levels]
    around = [lanes.product(whole[:level]) for level in outer_levels]
    windows = {
        rank: [_find_window(lanes, shape, loops, level, tensor, rank) for level in outer_levels]
        for rank, terms in enumerate(shape.ranks[tensor])
        if len(terms) > 1
    }
    tiles, moved = [], []
    for level in levels:
        sides = measure_sides(lanes, shape, loops, level, tensor)
        words = lanes.product(sides)
        visits: Value = 1.0
        is_found: Condition = False
        found: list[Condition] = [False] * level
        for j in range(level - 1, -1, -1):
            found[j] = is_found
            factor = lanes.choose(is_found, whole[j], met[j].visits)
            visits = lanes.multiply(visits, factor)
            is_found = lanes.either(is_found, lanes.above(met[j].innermost, 0.0))
        total = lanes.multiply(words, visits)
        if shape.forgetful and windows:
            total = _count_forgetful(lanes, shape, loops, around, level, tensor)
        for rank, by_level in () if shape.forgetful else windows.items():
            saved = _saved_by_window(lanes, by_level, found, around, level, sides, rank)
            total = lanes.subtract(total, saved)
        tiles.append(words)
        moved.append(total)
    return tiles, moved


def _find_first(lanes: Lanes, shape: Shape, loops: Loops, level: int, tensor: int) -> list[Value]:
    """Return how far the innermost loop outside of a level moves the tile, rank by rank; 0: not."""
    moving = [d for d in range(shape.dimensions) if shape.moves[d]]
    first: list[Value] = [0.0] * len(shape.ranks[tensor])
    begun: Condition = False
    for j in range(level - 1, -1, -1):
        place = loops.place[j]
        innermost = lanes.largest([place[d] for d in moving])
        free = lanes.both(lanes.fails(begun), lanes.above(innermost, 0.0))
        for rank, terms in enumerate(shape.ranks[tensor]):
            for d, coefficient in terms:
                is_first = lanes.both(free, lanes.equal(place[d], innermost))
                along = lanes.multiply(float(coefficient), loops.start[j][d])
                first[rank] = lanes.choose(is_first, along, first[rank])
        begun = lanes.either(begun, free)
    return first


def _move_by(
    lanes: Lanes, shape: Shape, loops: Loops, reached: list[Value], where: tuple[int, int], tensor: int
) -> list[Value]:
    """Return how far one iteration of a loop moves the tile of a tensor, when the loops inside begin again.

    `reached` : by rank, how far loops of the levels further in have moved it. `where`: level and dimension.
    """
    j, d = where
    moves = []
    for rank, terms in enumerate(shape.ranks[tensor]):
        back, along = reached[rank], 0.0
        for other, coefficient in terms:
            step = lanes.multiply(float(coefficient), loops.start[j][other])
            if other == d:
                along = step
            else:
                inside = lanes.above(loops.place[j][other], loops.place[j][d])
                back = lanes.choose(inside, lanes.add(back, step), back)
        moves.append(lanes.subtract(along, back))
    return moves


def _count_forgetful(
    lanes: Lanes, shape: Shape, loops: Loops, around: list[Value], level: int, tensor: int
) -> Value:
    """Return the words moved into one instance where a tile forgets how it moved: `kernels.sparse.forgetful`.

    `around` : by level, the product of all loops further out.
    """
    sides = measure_sides(lanes, shape, loops, level, tensor)
    words = total = lanes.product(sides)
    first = _find_first(lanes, shape, loops, level, tensor)
    fixed: Condition = False
    for along in first:
        fixed = lanes.either(fixed, lanes.above(along, 0.0))
    moving = [d for d in range(shape.dimensions) if shape.moves[d]]
    reached: list[Value] = [0.0] * len(sides)
    for j in range(level - 1, -1, -1):
        for d in moving:
            still: Condition = True
            same: Condition = True
            kept: Value = 1.0
            moves = _move_by(lanes, shape, loops, reached, (j, d), tensor)
            for move, along, side in zip(moves, first, sides, strict=True):
                still = lanes.both(still, lanes.equal(move, 0.0))
                same = lanes.both(same, lanes.equal(move, along))
                apart = lanes.choose(lanes.above(0.0, move), lanes.subtract(0.0, move), move)
                kept = lanes.multiply(kept, lanes.not_below_zero(lanes.subtract(side, apart)))
            whole = lanes.both(fixed, lanes.fails(same))
            fetched = lanes.choose(whole, words, lanes.subtract(words, kept))
            visits = lanes.multiply(
                lanes.subtract(loops.factor[j][d], 1.0),
                lanes.multiply(around[j], outside(lanes, loops, j, loops.place[j][d], moving)),
            )
            more = lanes.choose(still, 0.0, lanes.multiply(visits, fetched))
            total = lanes.add(total, more)
        for rank, terms in enumerate(shape.ranks[tensor]):
            for d, coefficient in terms:
                step = lanes.multiply(float(coefficient), loops.start[j][d])
                exists = lanes.above(loops.place[j][d], 0.0)
                reached[rank] = lanes.choose(exists, lanes.add(reached[rank], step), reached[rank])
    return total


def _count_same(lanes: Lanes, m: Value, n: Value, a: Value, b: Value) -> Value:
    """Return how many of m x n positions, a and b apart, meet others: see `kernels.dense.sharing`.

    The greatest common divisor takes a loop, which is left out where no lane needs it.
    """
    crowded = lanes.both(lanes.above(m, 1.0), lanes.above(n, 1.0))
    if crowded is False:
        return 0.0
    builder = lanes.builder
    one, zero = lanes.spell(1.0), lanes.spell(0.0)
    a, b = lanes.spell(lanes.choose(crowded, a, 1.0)), lanes.spell(lanes.choose(crowded, b, 1.0))
    before, some = builder.block, lanes.any_of(crowded)
    loop, found, after = (builder.append_basic_block(name) for name in ("divide", "divided", "counted"))
    builder.cbranch(some, loop, after)
    builder.position_at_end(loop)
    divisor, rest = builder.phi(one.type), builder.phi(one.type)
    divisor.add_incoming(a, before)
    rest.add_incoming(b, before)
    left = builder.fcmp_ordered(">", rest, zero)
    times = lanes.floor(builder.fdiv(divisor, builder.select(left, rest, one)))
    remainder = builder.select(left, builder.fsub(divisor, builder.fmul(rest, times)), zero)
    next_divisor = builder.select(left, rest, divisor)
    divisor.add_incoming(next_divisor, loop)
    rest.add_incoming(remainder, loop)
    builder.cbranch(lanes.any_of(builder.fcmp_ordered(">", remainder, zero)), loop, found)
    builder.position_at_end(found)
    along = builder.fsub(lanes.spell(m), builder.fdiv(b, next_divisor))
    across = builder.fsub(lanes.spell(n), builder.fdiv(a, next_divisor))
    positive = [
        builder.select(builder.fcmp_ordered(">", value, zero), value, zero) for value in (along, across)
    ]
    same = builder.fmul(*positive)
    builder.branch(after)
    builder.position_at_end(after)
    result = builder.phi(one.type)
    result.add_incoming(zero, before)
    result.add_incoming(same, found)
    return result


def count_distinct(lanes: Lanes, shape: Shape, loops: Loops, level: int, tensor: int) -> Value:
    """Return how many different tiles the instances below one of a level hold."""
    distinct: Value = 1.0
    for terms in shape.ranks[tensor]:
        positions = lanes.product([loops.spread[level][d] for d, _ in terms])
        if len(terms) > 1:
            (a, along), (b, across) = terms
            steps = loops.below[level + 1]
            m, n = loops.spread[level][a], loops.spread[level][b]
            apart = lanes.multiply(float(along), steps[a]), lanes.multiply(float(across), steps[b])
            count = functools.partial(_count_same, lanes, m, n, *apart)
            same = lanes.once(("same", m, n, *apart), count)
            positions = lanes.subtract(positions, same)
        distinct = lanes.multiply(distinct, positions)
    return distinct


def list_touched(shape: Shape) -> list[tuple[str, int]]:
    """Return what tables hold of an output that slides: 64 times the rank plus the level, of its windows."""
    return [
        ("touched", 64 * rank + level)
        for rank, terms in enumerate(shape.ranks[shape.output])
        if len(terms) > 1
        for level in range(shape.levels)
        if any(shape.fans[:level])
    ]


def _held(lanes: Lanes, shape: Shape, loops: Loops, level: int, d: int) -> tuple[Value, Condition]:
    """Return a key of the positions of a dimension that an instance comes to, and if these have holes.

    The key lists what is inside of each level further out, and how often that is spread there.
    """
    base = float(1 << shape.held_bits)
    key, last = 0.0, lanes.subtract(loops.below[0][d], 1.0)
    reach = loops.below[0][d]
    for outer in range(level):
        step, factor = loops.below[outer + 1][d], loops.spread[outer][d]
        reach = lanes.divide(reach, factor)
        last = lanes.subtract(last, lanes.multiply(lanes.subtract(factor, 1.0), step))
        for number in (step, factor):
            key = lanes.add(lanes.multiply(key, base), number)
    solid = lanes.equal(lanes.add(last, 1.0), reach)
    return key, lanes.both(lanes.above(reach, 1.0), lanes.fails(solid))


def _touch_window(
    lanes: Lanes, shape: Shape, loops: Loops, finder: Finder, left: Condition, where: tuple[int, int]
) -> Value:
    """Return how many sums of two dimensions one instance of a level comes to.

    Without holes these are neighbours, since steps are 1. Where a spatial loop lies inside a temporal one,
    they are marked: see `kernels.dense.sharing`. `where`: level and rank.
    """
    level, rank = where
    (a, _), (b, _) = shape.ranks[shape.output][rank]
    reach = []
    for d in (a, b):
        spread = lanes.product([loops.spread[outer][d] for outer in range(level)])
        reach.append(lanes.divide(loops.below[0][d], spread))
    neighbours = lanes.subtract(lanes.add(*reach), 1.0)
    if not any(shape.fans[:level]):
        return neighbours
    (one, open_a), (other, open_b) = (_held(lanes, shape, loops, level, d) for d in (a, b))
    crowded = lanes.both(lanes.above(reach[0], 1.0), lanes.above(reach[1], 1.0))
    marked = lanes.both(crowded, lanes.either(open_a, open_b))
    marked = lanes.both(marked, lanes.fails(left))
    which = list_touched(shape).index(("touched", 64 * rank + level))
    sums, known = finder.look_up(which, lanes.choose(marked, one, 0.0), other)
    finder.miss(lanes.both(marked, lanes.fails(known)))
    return lanes.choose(marked, sums, neighbours)


def count_touched(lanes: Lanes, shape: Shape, loops: Loops, finder: Finder, left: Condition) -> list[Value]:
    """Return the elements of the output that one instance of a level comes to over the run, by level.

    `left` : where nothing is asked for.
    """
    touched = []
    for level in range(shape.levels):
        words: Value = 1.0
        for rank, terms in enumerate(shape.ranks[shape.output]):
            if len(terms) > 1:
                here = _touch_window(lanes, shape, loops, finder, left, (level, rank))
            else:
                spread = [loops.spread[outer][d] for d, _ in terms for outer in range(level)]
                whole = lanes.product([loops.below[0][d] for d, _ in terms])
                here = lanes.divide(whole, lanes.product(spread))
            words = lanes.multiply(words, here)
        touched.append(words)
    return touched
