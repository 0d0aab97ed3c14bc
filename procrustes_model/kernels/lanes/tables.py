"""Tables of what is known of tiles, looked up on lanes by two whole numbers each.

Code on lanes reads a table and notes what it misses; kernels then find that, it is put in, and code runs
again. So each value is computed once, by the kernel that other evaluations take it from.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir

from procrustes_model.kernels.dense.arrays import Floats, Ints
from procrustes_model.kernels.lanes.vectors import INDEX, INT, LANES, Condition, Lanes, Value

SLOTS = 1 << 14
"""Places of a table; half of them are filled."""

WANTED = 1 << 12
"""Values that are noted as missing at a time."""

_FIND = "find"
_FLOAT = ir.DoubleType()
_MIX_A, _MIX_B = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F
_FIELDS = 4


class Tables(NamedTuple):
    """Open hash tables, one for each kind of value, and what code missed there.

    Attributes
    ----------
    records : int64[K, SLOTS, 4]
        By table: two keys, the bits of the value as a double, and nothing. A first key of 0: free.
    wanted : int64[WANTED, 3]
        Table and keys of values that were missing; some more than once.
    missed : int64[1]
        How many were.
    filled : int64[K]
        By table, how many places are taken.
    """

    records: Ints
    wanted: Ints
    missed: Ints
    filled: Ints


def make_tables(count: int) -> Tables:
    """Allocate so many empty tables."""
    return Tables(
        records=np.zeros((count, SLOTS, _FIELDS), np.int64),
        wanted=np.zeros((WANTED, 3), np.int64),
        missed=np.zeros(1, np.int64),
        filled=np.zeros(count, np.int64),
    )


def take_missed(tables: Tables) -> dict[int, Ints]:
    """Return the keys that code missed, int64[M, 2] by table, each once; forget them."""
    noted = tables.wanted[: min(int(tables.missed[0]), WANTED)]
    tables.missed[0] = 0
    different = np.unique(noted, axis=0)
    return {int(which): different[different[:, 0] == which, 1:] for which in np.unique(different[:, 0])}


def add_values(tables: Tables, which: int, keys: Ints, values: Floats) -> int:
    """Put values that are not there into a table, as long as it has room; return how many went in."""
    records = tables.records[which]
    room = max(0, SLOTS // 2 - int(tables.filled[which]))
    mixed = keys[:, 0].astype(np.uint64) * np.uint64(_MIX_A) + keys[:, 1].astype(np.uint64) * np.uint64(
        _MIX_B
    )
    slots = ((mixed ^ (mixed >> np.uint64(32))) & np.uint64(SLOTS - 1)).tolist()
    for slot, key, bits in zip(slots, keys[:room].tolist(), values.view(np.int64).tolist(), strict=False):
        at = slot
        while records[at, 0]:
            at = (at + 1) % SLOTS
        records[at, 2] = bits
        records[at, :2] = key
    added = min(room, len(keys))
    tables.filled[which] += added
    return added


def _write_find(module: Any) -> Any:
    """Write the function that finds a value: NaN where it is missing, which is noted."""
    pointer = INT.as_pointer()
    kinds = [pointer, INT, pointer, pointer, INT, INT]
    function = ir.Function(module, ir.FunctionType(_FLOAT, kinds), _FIND)
    function.linkage = "internal"
    records, which, wanted, missed, a, b = function.args
    names = ("start", "look", "at", "other", "next", "found", "missing", "note", "nothing")
    blocks = {name: function.append_basic_block(name) for name in names}
    builder = ir.IRBuilder(blocks["start"])
    mixed = builder.add(builder.mul(a, INT(_MIX_A)), builder.mul(b, INT(_MIX_B)))
    first = builder.and_(builder.xor(mixed, builder.lshr(mixed, INT(32))), INT(SLOTS - 1))
    base = builder.gep(records, [builder.mul(which, INT(SLOTS * _FIELDS))])
    builder.cbranch(builder.icmp_signed("==", a, INT(0)), blocks["nothing"], blocks["look"])
    builder.position_at_end(blocks["look"])
    slot = builder.phi(INT)
    slot.add_incoming(first, blocks["start"])
    place = builder.gep(base, [builder.mul(slot, INT(_FIELDS))])
    here = builder.load(place)
    builder.cbranch(builder.icmp_signed("==", here, a), blocks["at"], blocks["other"])
    builder.position_at_end(blocks["at"])
    also = builder.load(builder.gep(place, [INT(1)]))
    builder.cbranch(builder.icmp_signed("==", also, b), blocks["found"], blocks["next"])
    builder.position_at_end(blocks["other"])
    builder.cbranch(builder.icmp_signed("==", here, INT(0)), blocks["missing"], blocks["next"])
    builder.position_at_end(blocks["next"])
    following = builder.and_(builder.add(slot, INT(1)), INT(SLOTS - 1))
    slot.add_incoming(following, blocks["next"])
    builder.branch(blocks["look"])
    builder.position_at_end(blocks["found"])
    builder.ret(builder.bitcast(builder.load(builder.gep(place, [INT(2)])), _FLOAT))
    builder.position_at_end(blocks["missing"])
    count = builder.load(missed)
    builder.cbranch(builder.icmp_signed("<", count, INT(WANTED)), blocks["note"], blocks["nothing"])
    builder.position_at_end(blocks["note"])
    row = builder.gep(wanted, [builder.mul(count, INT(3))])
    for i, number in enumerate((which, a, b)):
        builder.store(number, builder.gep(row, [INT(i)]))
    builder.store(builder.add(count, INT(1)), missed)
    builder.branch(blocks["nothing"])
    builder.position_at_end(blocks["nothing"])
    builder.ret(ir.Constant(_FLOAT, float("nan")))
    return function


class Finder:
    """Looks values up while code is written.

    Parameters
    ----------
    lanes : Lanes
    records, wanted, missed : Any
        Pointers to what `Tables` holds.
    """

    def __init__(self, lanes: Lanes, records: Any, wanted: Any, missed: Any) -> None:
        self._lanes = lanes
        self._pointers = records, wanted, missed
        self._known: dict[tuple[Any, ...], tuple[Value, Condition]] = {}
        self.missing: Condition = False
        """Which lanes lack a value."""

    def miss(self, condition: Condition) -> None:
        """Say which lanes lack a value."""
        self.missing = self._lanes.either(self.missing, condition)

    def find(self, which: int, a: Value, b: Value = 0.0) -> Value:
        """Return the value of every lane; what is missing is missed."""
        value, known = self.look_up(which, a, b)
        self.miss(self._lanes.fails(known))
        return value

    def look_up(self, which: int, a: Value, b: Value = 0.0) -> tuple[Value, Condition]:
        """Return the value of every lane, 0 where it is missing, and where it is known.

        What is missing is noted, unless the first key is 0.
        """
        key = which, a, b
        if key not in self._known:
            self._known[key] = self._write_look_up(which, a, b)
        return self._known[key]

    def _write_look_up(self, which: int, a: Value, b: Value) -> tuple[Value, Condition]:
        lanes, builder = self._lanes, self._lanes.builder
        function = builder.module.globals.get(_FIND) or _write_find(builder.module)
        records, wanted, missed = self._pointers
        keys = [lanes.to_ints(key) for key in (a, b)]
        vector = ir.Constant(ir.VectorType(_FLOAT, LANES), ir.Undefined)
        for lane in range(LANES):
            one, other = (builder.extract_element(key, INDEX(lane)) for key in keys)
            value = builder.call(function, [records, INT(which), wanted, missed, one, other])
            vector = builder.insert_element(vector, value, INDEX(lane))
        known = builder.fcmp_ordered("ord", vector, vector)
        return lanes.choose(known, vector, 0.0), known
