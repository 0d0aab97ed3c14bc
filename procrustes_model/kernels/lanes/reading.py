"""Nests from memory to lanes, as `NestArrays` has them: a row a mapping, a mapping a lane."""

from __future__ import annotations

from typing import Any, NamedTuple

from procrustes_model.kernels.lanes.counts import Loops
from procrustes_model.kernels.lanes.shape import Shape
from procrustes_model.kernels.lanes.vectors import LANES, Condition, Lanes, Value


class Inputs(NamedTuple):
    """Pointers to the rows of the first lane: of factors, orders, spatial factors, and what is kept."""

    temporal: Any
    order: Any
    spatial: Any
    keep: Any


class Nests(NamedTuple):
    """Nests on lanes.

    Attributes
    ----------
    loops : Loops
    used : list of tuple of Value
        By level: instances below one, on x and y.
    keep : list of list of Condition
        By level, by tensor.
    unusual : Condition
        What is left to other kernels: nests that are not well formed, or not exact in lanes.
    """

    loops: Loops
    used: list[tuple[Value, Value]]
    keep: list[list[Condition]]
    unusual: Condition


class _Doubts:
    """What would make a nest unusual."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._found: Condition = False
        self._large = lanes.integers(0)

    def add(self, condition: Condition) -> None:
        """Doubt nests for which the condition holds."""
        self._found = self._lanes.either(self._found, condition)

    def add_factor(self, numbers: Any) -> None:
        """Doubt nests whose factor is not from 1 to 2^52."""
        builder = self._lanes.builder
        self._large = builder.or_(self._large, builder.sub(numbers, self._lanes.integers(1)))

    def condition(self) -> Condition:
        """Return which nests are doubted."""
        builder = self._lanes.builder
        high = builder.lshr(self._large, self._lanes.integers(52))
        self.add(builder.icmp_signed("!=", high, self._lanes.integers(0)))
        return self._found


def _read_factors(lanes: Lanes, shape: Shape, columns: list[Any], doubts: _Doubts) -> list[Value]:
    """Return factors by dimension; 1 where a bound is 1, and more is doubted."""
    factors: list[Value] = []
    for moves, numbers in zip(shape.moves, columns, strict=True):
        doubts.add_factor(numbers)
        value = lanes.to_floats(numbers)
        if not moves:
            doubts.add(lanes.above(value, 1.0))
        factors.append(value if moves else 1.0)
    return factors


def _read_places(
    lanes: Lanes, shape: Shape, columns: list[Any], factors: list[Value], doubts: _Doubts
) -> list[Value]:
    """Return the positions of loops, and doubt orders that are no permutations."""
    builder, one = lanes.builder, lanes.integers(1)
    seen = far = lanes.integers(0)
    places: list[Value] = [0.0] * shape.dimensions
    for position, numbers in enumerate(columns):
        far = builder.or_(far, numbers)
        seen = builder.or_(seen, builder.shl(one, builder.and_(numbers, lanes.integers(63))))
        for d in range(shape.dimensions):
            if shape.moves[d]:
                here = builder.icmp_signed("==", numbers, lanes.integers(d))
                places[d] = lanes.choose(here, float(position + 1), places[d])
    doubts.add(builder.icmp_unsigned(">", far, lanes.integers(63)))
    doubts.add(builder.icmp_signed("!=", seen, lanes.integers((1 << shape.dimensions) - 1)))
    return [
        lanes.choose(lanes.above(factor, 1.0), place, 0.0)
        for factor, place in zip(factors, places, strict=True)
    ]


def _doubt_all_but_ones(
    lanes: Lanes, pointer: Any, width: int, first: int, count: int, doubts: _Doubts
) -> None:
    """Doubt all lanes where any has numbers that are not 1, where hardly any mapping has others."""
    builder, one = lanes.builder, lanes.integers(1)
    if count < LANES:
        for numbers in lanes.load_columns(pointer, width, first, count):
            doubts.add(builder.icmp_signed("!=", numbers, one))
        return
    other = lanes.integers(0)
    for rows in lanes.load_rows(pointer, width, first, count):
        for row in rows:
            other = builder.or_(other, builder.xor(row, one))
    some = lanes.any_of(builder.icmp_signed("!=", other, lanes.integers(0)))
    doubts.add(lanes.repeat(some))


def read_nests(lanes: Lanes, shape: Shape, inputs: Inputs) -> Nests:
    """Write code that reads the nests of all lanes."""
    doubts = _Doubts(lanes)
    count, width = shape.dimensions, shape.levels * shape.dimensions
    temporal = lanes.load_columns(inputs.temporal, width, 0, width)
    order = lanes.load_columns(inputs.order, width, 0, width)
    loops = Loops([], [], [], [[1.0] * count], [])
    used: list[tuple[Value, Value]] = []
    for level in range(shape.levels):
        here = slice(level * count, (level + 1) * count)
        factors = _read_factors(lanes, shape, temporal[here], doubts)
        loops.factor.append(factors)
        loops.place.append(_read_places(lanes, shape, order[here], factors, doubts))
        if not shape.fans[level]:
            _doubt_all_but_ones(lanes, inputs.spatial, 2 * width, 2 * level * count, 2 * count, doubts)
            loops.spread.append([1.0] * count)
            used.append((1.0, 1.0))
            continue
        columns = lanes.load_columns(inputs.spatial, 2 * width, 2 * level * count, 2 * count)
        x = _read_factors(lanes, shape, columns[:count], doubts)
        y = _read_factors(lanes, shape, columns[count:], doubts)
        loops.spread.append([lanes.multiply(*both) for both in zip(x, y, strict=True)])
        used.append((lanes.product(x), lanes.product(y)))
    for level in range(shape.levels - 1, -1, -1):
        start = [lanes.multiply(*both) for both in zip(loops.below[0], loops.spread[level], strict=True)]
        loops.start.insert(0, start)
        loops.below.insert(
            0, [lanes.multiply(*both) for both in zip(start, loops.factor[level], strict=True)]
        )
    kept = lanes.load_conditions(inputs.keep, shape.levels * shape.tensors)
    keep = [kept[level * shape.tensors : (level + 1) * shape.tensors] for level in range(shape.levels)]
    return Nests(loops, used, keep, doubts.condition())
