"""Write straight-line machine code on vectors of lanes, one mapping a lane.

A value is a vector of doubles, or a Python number where all lanes are known to have the same; a condition is
a vector of bits, or a Python bool. What is known is folded while code is written, and what was computed is
not computed again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

LANES = 8
"""Mappings of a vector."""

EXACT = 2.0**52
"""Whole numbers are exact in lanes up to here, and are left to other kernels beyond."""

_BIAS = 0x4330000000000000
"""The bits of 2^52 as a double: a whole number below that stands in the last ones of its sum with it."""

INT = ir.IntType(64)
_BYTE, INDEX = ir.IntType(8), ir.IntType(32)
_INTS, _FLOATS = ir.VectorType(INT, LANES), ir.VectorType(ir.DoubleType(), LANES)
_MASK = ir.VectorType(ir.IntType(1), LANES)

Value = Any
"""A vector of doubles, or a float that all lanes share."""
Condition = Any
"""A vector of bits, or a bool that all lanes share."""


class Lanes:
    """Code on lanes, written at the end of a function.

    Parameters
    ----------
    builder : ir.IRBuilder
    """

    def __init__(self, builder: Any) -> None:
        self.builder = builder
        self._known: dict[tuple[Any, ...], Any] = {}

    def once(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """Return what `make` computes, computed once for each key; keys hold values by identity."""
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]

    def spell(self, value: Value) -> Any:
        """Return a value as a vector."""
        if isinstance(value, float | int):
            return ir.Constant(_FLOATS, [float(value)] * LANES)
        return value

    def spell_condition(self, condition: Condition) -> Any:
        """Return a condition as a vector."""
        return ir.Constant(_MASK, [int(condition)] * LANES) if isinstance(condition, bool) else condition

    def _apply(self, name: str, a: Value, b: Value) -> Value:
        operation = getattr(self.builder, name)
        return self.once((name, a, b), lambda: operation(self.spell(a), self.spell(b)))

    def add(self, a: Value, b: Value) -> Value:
        """Return a + b; neither is a negative zero."""
        if isinstance(a, float) and isinstance(b, float):
            return a + b
        if a == 0.0 or b == 0.0:
            return b if a == 0.0 else a
        return self._apply("fadd", a, b)

    def subtract(self, a: Value, b: Value) -> Value:
        """Return a - b."""
        if isinstance(a, float) and isinstance(b, float):
            return a - b
        return a if b == 0.0 else self._apply("fsub", a, b)

    def multiply(self, a: Value, b: Value) -> Value:
        """Return a * b; both are finite and not negative."""
        if isinstance(a, float) and isinstance(b, float):
            return a * b
        if a == 0.0 or b == 0.0:
            return 0.0
        if a == 1.0 or b == 1.0:
            return b if a == 1.0 else a
        return self._apply("fmul", a, b)

    def divide(self, a: Value, b: Value) -> Value:
        """Return a / b."""
        return a if b == 1.0 else self._apply("fdiv", a, b)

    def product(self, values: Sequence[Value]) -> Value:
        """Return the product of values, multiplied in their order."""
        total: Value = 1.0
        for value in values:
            total = self.multiply(total, value)
        return total

    def total(self, values: Sequence[Value]) -> Value:
        """Return the sum of values, added in their order."""
        total: Value = 0.0
        for value in values:
            total = self.add(total, value)
        return total

    def _compare(self, sign: str, a: Value, b: Value, known: Callable[[float, float], bool]) -> Condition:
        if isinstance(a, float) and isinstance(b, float):
            return known(a, b)
        compare = self.builder.fcmp_ordered
        return self.once((sign, a, b), lambda: compare(sign, self.spell(a), self.spell(b)))

    def above(self, a: Value, b: Value) -> Condition:
        """Say whether a > b."""
        return self._compare(">", a, b, lambda x, y: x > y)

    def equal(self, a: Value, b: Value) -> Condition:
        """Say whether a == b."""
        return self._compare("==", a, b, lambda x, y: x == y)

    def both(self, a: Condition, b: Condition) -> Condition:
        """Say whether both hold."""
        if isinstance(a, bool) or isinstance(b, bool):
            return (b if a else False) if isinstance(a, bool) else (a if b else False)
        return self._apply_bits("and_", a, b)

    def either(self, a: Condition, b: Condition) -> Condition:
        """Say whether one of them holds."""
        if isinstance(a, bool) or isinstance(b, bool):
            return (True if a else b) if isinstance(a, bool) else (True if b else a)
        return self._apply_bits("or_", a, b)

    def _apply_bits(self, name: str, a: Condition, b: Condition) -> Condition:
        operation = getattr(self.builder, name)
        return self.once((name, a, b), lambda: operation(a, b))

    def fails(self, a: Condition) -> Condition:
        """Say whether it does not hold."""
        if isinstance(a, bool):
            return not a
        return self.once(("not", a), lambda: self.builder.not_(a))

    def choose(self, condition: Condition, a: Value, b: Value) -> Value:
        """Return a where the condition holds, else b."""
        if isinstance(condition, bool):
            return a if condition else b
        if a is b or (isinstance(a, float) and isinstance(b, float) and a == b):
            return a
        select = self.builder.select
        return self.once(("choose", condition, a, b), lambda: select(condition, self.spell(a), self.spell(b)))

    def largest(self, values: Sequence[Value]) -> Value:
        """Return the largest of values that are at least 0."""
        best: Value = 0.0
        for value in values:
            best = value if best == 0.0 else self.choose(self.above(value, best), value, best)
        return best

    def smaller(self, a: Value, b: Value) -> Value:
        """Return the smaller one."""
        return self.choose(self.above(a, b), b, a)

    def not_below_zero(self, value: Value) -> Value:
        """Return a value, or 0 where it is negative."""
        return self.choose(self.above(value, 0.0), value, 0.0)

    def times_where(self, condition: Condition, a: Value, b: Value) -> Value:
        """Return a * b where the condition holds, else a."""
        return self.choose(condition, self.multiply(a, b), a)

    def round_up(self, value: Value) -> Value:
        """Return the ceiling."""
        return self.once(("ceil", value), lambda: self._call("ceil", value))

    def round_down(self, value: Value) -> Value:
        """Return the floor."""
        return self.once(("floor", value), lambda: self.floor(value))

    def floor(self, value: Value) -> Value:
        """Return the floor, computed here and now: where code may be left out or repeated."""
        return self._call("floor", value)

    def _call(self, name: str, value: Value) -> Value:
        module, name = self.builder.module, f"llvm.{name}.v{LANES}f64"
        function = module.globals.get(name)
        if function is None:
            function = ir.Function(module, ir.FunctionType(_FLOATS, [_FLOATS]), name)
        return self.builder.call(function, [self.spell(value)])

    def any_of(self, condition: Condition) -> Any:
        """Say whether a condition holds in any lane, as one bit."""
        bits = self.builder.bitcast(self.spell_condition(condition), ir.IntType(LANES))
        return self.builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    def repeat(self, bit: Any) -> Condition:
        """Return one bit as a condition of all lanes."""
        bits = self.builder.sext(bit, ir.IntType(LANES))
        return self.builder.bitcast(bits, _MASK)

    def share(self, pointer: Any, index: int) -> Value:
        """Return a number of a table, the same in all lanes."""
        at = self.builder.gep(pointer, [INT(index)])
        one = self.builder.insert_element(ir.Constant(_FLOATS, ir.Undefined), self.builder.load(at), INDEX(0))
        return self.builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(INDEX, LANES), [0] * LANES))

    def count_bits(self, value: Value) -> Value:
        """Return the bits that tell so many values apart, from 1 to 2^51: the exponent of the last one."""
        if isinstance(value, float):
            return float((int(value) - 1).bit_length())
        return self.once(("bits", value), lambda: self._exponent(self.subtract(value, 0.5)))

    def _exponent(self, value: Value) -> Value:
        high = self.builder.lshr(self.builder.bitcast(value, _INTS), self.integers(52))
        return self.to_floats(self.builder.sub(high, self.integers(1022)))

    # Columns of an array of rows, one row a lane.

    def _transpose(self, rows: list[Any]) -> list[Any]:
        """Exchange the lanes of vectors with their numbers."""
        apart = 1
        while apart < LANES:
            low = [i if not i & apart else LANES + i - apart for i in range(LANES)]
            high = [i + apart if not i & apart else LANES + i for i in range(LANES)]
            mixed = list(rows)
            for i in range(LANES):
                if not i & apart:
                    for place, order in ((i, low), (i + apart, high)):
                        mask = ir.Constant(ir.VectorType(INDEX, LANES), order)
                        mixed[place] = self.builder.shuffle_vector(rows[i], rows[i + apart], mask)
            rows = mixed
            apart *= 2
        return rows

    def _row(self, pointer: Any, at: int) -> Any:
        """Return where a vector of whole numbers lies in memory."""
        return self.builder.bitcast(self.builder.gep(pointer, [INT(at)]), _INTS.as_pointer())

    def load_rows(self, pointer: Any, width: int, first: int, count: int) -> list[list[Any]]:
        """Return numbers `first` to `first + count` of every lane's row of int64, as vectors along rows."""
        starts = _cover(first, count)
        return [
            [self.builder.load(self._row(pointer, lane * width + start), align=8) for lane in range(LANES)]
            for start in starts
        ]

    def load_columns(self, pointer: Any, width: int, first: int, count: int) -> list[Any]:
        """Return numbers `first` to `first + count` of every lane's row of int64, as vectors across lanes."""
        if count < LANES:
            return [self._gather(pointer, width, first + i) for i in range(count)]
        columns: dict[int, Any] = {}
        for start, rows in zip(
            _cover(first, count), self.load_rows(pointer, width, first, count), strict=True
        ):
            columns |= {start + i: column for i, column in enumerate(self._transpose(rows))}
        return [columns[first + i] for i in range(count)]

    def _gather(self, pointer: Any, width: int, at: int) -> Any:
        kind = pointer.type.pointee
        vector = ir.Constant(ir.VectorType(kind, LANES), ir.Undefined)
        for lane in range(LANES):
            number = self.builder.load(self.builder.gep(pointer, [INT(lane * width + at)]))
            vector = self.builder.insert_element(vector, number, INDEX(lane))
        return vector

    def load_conditions(self, pointer: Any, width: int) -> list[Condition]:
        """Return every lane's row of bytes, as conditions across lanes."""
        if width < 8:
            zero = ir.Constant(ir.VectorType(_BYTE, LANES), [0] * LANES)
            return [
                self.builder.icmp_unsigned("!=", self._gather(pointer, width, i), zero) for i in range(width)
            ]
        found: dict[int, Condition] = {}
        zeros = ir.Constant(_INTS, [0] * LANES)
        for start in _cover(0, width):
            vector = ir.Constant(_INTS, ir.Undefined)
            for lane in range(LANES):
                at = self.builder.gep(pointer, [INT(lane * width + start)])
                eight = self.builder.load(self.builder.bitcast(at, INT.as_pointer()), align=1)
                vector = self.builder.insert_element(vector, eight, INDEX(lane))
            for i in range(8):
                place = i if sys.byteorder == "little" else 7 - i
                bits = ir.Constant(_INTS, [0xFF << (8 * place)] * LANES)
                found[start + i] = self.builder.icmp_unsigned("!=", self.builder.and_(vector, bits), zeros)
        return [found[i] for i in range(width)]

    def store_columns(self, pointer: Any, width: int, columns: list[Value]) -> None:
        """Store whole numbers below 2^52, vectors across lanes, as every lane's row of int64."""
        self._store_vectors(pointer, width, [self.to_ints(column) for column in columns])

    def store_doubles(self, pointer: Any, width: int, columns: list[Value]) -> None:
        """Store vectors across lanes as every lane's row of float64; `pointer` is to int64."""
        vectors = [self.builder.bitcast(self.spell(column), _INTS) for column in columns]
        self._store_vectors(pointer, width, vectors)

    def _store_vectors(self, pointer: Any, width: int, vectors: list[Any]) -> None:
        if width < LANES:
            for lane in range(LANES):
                for i, vector in enumerate(vectors):
                    number = self.builder.extract_element(vector, INDEX(lane))
                    self.builder.store(number, self.builder.gep(pointer, [INT(lane * width + i)]))
            return
        for start in _cover(0, width):
            for lane, row in enumerate(self._transpose(vectors[start : start + LANES])):
                self.builder.store(row, self._row(pointer, lane * width + start), align=8)

    def store(self, pointer: Any, value: Any) -> None:
        """Store one vector, a number a lane."""
        place = self.builder.bitcast(pointer, value.type.as_pointer())
        self.builder.store(value, place, align=8)

    # Whole numbers as they come.

    def integers(self, number: int) -> Any:
        """Return a whole number in all lanes."""
        return ir.Constant(_INTS, [number] * LANES)

    def to_floats(self, numbers: Any) -> Value:
        """Return whole numbers from 0 to 2^52 as doubles."""
        biased = self.builder.add(numbers, self.integers(_BIAS))
        return self.builder.fsub(self.builder.bitcast(biased, _FLOATS), self.spell(EXACT))

    def to_ints(self, value: Value) -> Any:
        """Return whole doubles from 0 to below 2^52 as int64."""
        if isinstance(value, float):
            return self.integers(int(value))
        biased = self.builder.fadd(value, self.spell(EXACT))
        return self.builder.sub(self.builder.bitcast(biased, _INTS), self.integers(_BIAS))


def _cover(first: int, count: int) -> list[int]:
    """Return where vectors start that cover numbers `first` to `first + count`; the last two may overlap."""
    whole = list(range(first, first + count - LANES + 1, LANES))
    return whole if count % LANES == 0 else [*whole, first + count - LANES]
