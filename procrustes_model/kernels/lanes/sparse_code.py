"""Machine code that evaluates mappings under a sparse design on lanes, made once for every shape of one."""

from __future__ import annotations

import functools
import threading

from procrustes_model.kernels.dense.arrays import OK, Floats, MachineArrays, NestArrays, ProblemArrays
from procrustes_model.kernels.lanes.code import (
    BESIDE,
    NESTS,
    RESULTS,
    MachineCode,
    Program,
)
from procrustes_model.kernels.lanes.costs import (
    count_all,
    find_crowded,
    find_status,
    is_wrong,
    spend_beside,
    stretch,
    take_longer,
)
from procrustes_model.kernels.lanes.rows import Rows
from procrustes_model.kernels.lanes.shape import Key
from procrustes_model.kernels.lanes.sparse_costs import (
    charge_accesses,
    charge_pointers,
    demands,
    find_full,
    find_steps,
    has_effect,
    invalid,
)
from procrustes_model.kernels.lanes.sparse_counts import (
    Context,
    Words,
    compress,
    count_pointers,
    find_tile,
    find_work,
    save_accesses,
    tables_of,
)
from procrustes_model.kernels.lanes.sparse_shape import SparseShape, Zeros, list_sparse_numbers
from procrustes_model.kernels.lanes.tables import Tables
from procrustes_model.kernels.lanes.vectors import EXACT, Condition, Value
from procrustes_model.vocabulary import Status

_ARGUMENTS = NESTS | BESIDE | RESULTS | {"imbalance": RESULTS["energy"]}


def _count(context: Context, valid: Condition) -> tuple[list[list[Words]], Value, Value, Condition]:
    """Write code that counts what zeros save.

    Return words by level and tensor, the work of the slowest element, pointer reads, and which lanes have no
    room.
    """
    lanes, shape, balance = context.lanes, context.shape, context.shape.balance
    levels, tensors = range(shape.dense.levels), range(shape.dense.tensors)
    tile = None if balance is None else find_tile(context, balance)
    by_tensor = [save_accesses(context, t, valid) for t in tensors]
    table = [[by_tensor[t][level] for t in tensors] for level in levels]
    kept = [[compress(context, (level, t), tile, table[level][t]) for t in tensors] for level in levels]
    full = find_full(context, kept)
    if shape.size == "dense":
        crowded = find_crowded(lanes, shape.dense, context.nests, context.dense, context.number)
        full = lanes.either(full, crowded)
    if balance is None or tile is None:
        return table, 1.0, 0.0, full
    work = find_work(context, balance, tile, lanes.both(valid, lanes.fails(full)))
    return table, work, count_pointers(context, balance, tile), full


def write_sparse_code(shape: SparseShape) -> tuple[str, list[Key]]:
    """Return the code for a shape, and the numbers that it reads, in their order."""
    dense = shape.dense
    program = Program(dense, _ARGUMENTS)
    lanes, number = program.lanes, program.number
    nests = program.read()
    left = lanes.either(nests.unusual, is_wrong(lanes, dense, nests, number))
    counts = count_all(lanes, dense, nests, number, program.finder, left)
    left = lanes.either(left, counts.beyond)
    context = Context(lanes, shape, nests, counts, number, program.finder, left)
    status = find_status(lanes, dense, nests, False, number)
    status = invalid(lanes, status, lanes.fails(has_effect(context)), Status.BAD_DESIGN)
    saving = lanes.both(lanes.equal(status, float(OK)), lanes.fails(left))
    table, work, pointers, full = _count(context, saving)
    status = invalid(lanes, status, full, Status.BAD_CAPACITY)
    steps = take_longer(lanes, dense, find_steps(context, work), number)
    slowest = steps
    for level in range(dense.levels):
        taken = [demands(context, table[level][t], level, t) for t in range(dense.tensors)]
        cycles = stretch(lanes, dense, level, taken, steps, number)
        slowest = slowest if cycles == 0.0 else lanes.largest([slowest, cycles])
    actual = [[words.actual for words in row] for row in table]
    components, beyond = spend_beside(
        lanes, dense, counts._replace(accesses=actual), number("sparse_served_computing"), slowest, number
    )
    balancing = charge_pointers(context, pointers)
    beside = lanes.add(lanes.add(number("sparse_computing"), balancing), components)
    energy = lanes.add(charge_accesses(context, table), beside)
    large = lanes.fails(lanes.above(EXACT, slowest))
    left = functools.reduce(lanes.either, (left, beyond, large))
    program.write(energy, slowest, status, left)
    uneven = 1.0 if shape.balance is None else lanes.divide(work, number("met"))
    lanes.store(program.rows("imbalance", 1), lanes.spell(uneven))
    with program.if_wanted("accesses"):
        columns = [words for row in actual for tensor in row for words in tensor]
        lanes.store_doubles(program.rows("accesses", len(columns)), len(columns), columns)
    return program.finish()


class SparseLaneCode:
    """Code for one shape of a sparse design.

    Parameters
    ----------
    shape : SparseShape
    """

    def __init__(self, shape: SparseShape) -> None:
        self.tables = tables_of(shape)
        text, self._keys = write_sparse_code(shape)
        self._code = MachineCode(text, len(_ARGUMENTS))

    def numbers_of(self, problem: ProblemArrays, machine: MachineArrays, zeros: Zeros) -> Floats:
        """Return the numbers of a design of this shape, as `run` takes them."""
        return list_sparse_numbers(problem, machine, zeros, self._keys)

    def run(self, numbers: Floats, tables: Tables, nests: NestArrays, rows: Rows) -> None:
        """Evaluate mappings, without the interpreter's lock.

        Parameters
        ----------
        numbers : float64[...]
            Of the design, from `numbers_of`.
        tables : Tables
            Of the design; what is missing is noted there.
        nests : NestArrays
            Of N mappings, all arrays in C order.
        rows : Rows
            Filled in. A status is `LEFT` or `MISSING` where nothing is said of a mapping.
        """
        self._code.run(nests, (numbers, tables.records, tables.wanted, tables.missed), rows)


_made: dict[SparseShape, SparseLaneCode] = {}
_lock = threading.Lock()


def sparse_code_for(shape: SparseShape) -> SparseLaneCode:
    """Return the code for a shape: made once in a process, within some seconds."""
    with _lock:
        if shape not in _made:
            _made[shape] = SparseLaneCode(shape)
        return _made[shape]
