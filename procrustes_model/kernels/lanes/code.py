"""Machine code that evaluates mappings on lanes, made once for every shape of a design."""

from __future__ import annotations

import ctypes
import functools
import threading
from typing import Any

import numpy as np
from llvmlite import binding, ir

from procrustes_model.kernels.dense.arrays import (
    OK,
    Floats,
    MachineArrays,
    NestArrays,
    ProblemArrays,
)
from procrustes_model.kernels.lanes.costs import (
    add_up,
    count_all,
    count_cycles,
    find_crowded,
    find_status,
    is_wrong,
)
from procrustes_model.kernels.lanes.counts import list_touched
from procrustes_model.kernels.lanes.reading import Inputs, Nests, read_nests
from procrustes_model.kernels.lanes.rows import Rows
from procrustes_model.kernels.lanes.shape import Key, Shape, list_numbers
from procrustes_model.kernels.lanes.tables import Finder, Tables
from procrustes_model.kernels.lanes.vectors import EXACT, INT, LANES, Condition, Lanes, Value

LEFT, MISSING = -1, -2
"""Status of mappings that code on lanes leaves to other kernels, and of those that lack a value."""

_NAME = "evaluate_lanes"
_FLOAT, _BYTE = ir.DoubleType(), ir.IntType(8)
NESTS = {
    "temporal": INT.as_pointer(),
    "order": INT.as_pointer(),
    "spatial": INT.as_pointer(),
    "keep": _BYTE.as_pointer(),
}
RESULTS = {
    "energy": _FLOAT.as_pointer(),
    "cycles": INT.as_pointer(),
    "accesses": INT.as_pointer(),
    "status": INT.as_pointer(),
}
BESIDE = {
    "numbers": _FLOAT.as_pointer(),
    "records": INT.as_pointer(),
    "wanted": INT.as_pointer(),
    "missed": INT.as_pointer(),
}


class Program:
    """A function that evaluates blocks of lanes, while it is written: a loop over blocks.

    Parameters
    ----------
    shape : Shape
    arguments : dict of str to Any
        Kinds of the pointers that the function takes after the number of blocks: those of `NESTS` and
        `BESIDE` first, those of `RESULTS` last.
    """

    def __init__(self, shape: Shape, arguments: dict[str, Any]) -> None:
        module = ir.Module(_NAME)
        kinds = [INT, *arguments.values()]
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), _NAME)
        self.pointers = dict(zip(arguments, function.args[1:], strict=True))
        entry, body, self._done = (function.append_basic_block(name) for name in ("entry", "block", "done"))
        self._builder = builder = ir.IRBuilder(entry)
        self._blocks = function.args[0]
        builder.cbranch(builder.icmp_signed(">", self._blocks, INT(0)), body, self._done)
        builder.position_at_end(body)
        self._block, self._body = builder.phi(INT), body
        self._block.add_incoming(INT(0), entry)
        self.lanes = Lanes(builder)
        self.finder = Finder(self.lanes, *(self.pointers[name] for name in ("records", "wanted", "missed")))
        self._keys: dict[Key, Value] = {}
        self._shape = shape

    def number(self, name: str, *at: int) -> Value:
        """Return a number of the design, the same in all lanes."""
        if (name, at) not in self._keys:
            self._keys[name, at] = self.lanes.share(self.pointers["numbers"], len(self._keys))
        return self._keys[name, at]

    def rows(self, name: str, width: int) -> Any:
        """Return where the rows of the block's first lane begin in an array."""
        at = self._builder.mul(self._block, INT(LANES * width))
        return self._builder.gep(self.pointers[name], [at])

    def read(self) -> Nests:
        """Read the nests of the block."""
        shape = self._shape
        loops, kept = shape.levels * shape.dimensions, shape.levels * shape.tensors
        inputs = Inputs(
            self.rows("temporal", loops),
            self.rows("order", loops),
            self.rows("spatial", 2 * loops),
            self.rows("keep", kept),
        )
        return read_nests(self.lanes, shape, inputs)

    def write(self, energy: Value, cycles: Value, status: Value, left: Condition) -> None:
        """Write results of the block; `left`: which lanes are left to other kernels."""
        lanes, builder = self.lanes, self._builder
        valid = lanes.equal(status, float(OK))
        lanes.store(self.rows("energy", 1), lanes.spell(lanes.choose(valid, energy, float("nan"))))
        ints = lanes.to_ints(cycles)
        which = lanes.spell_condition(valid)
        lanes.store(self.rows("cycles", 1), builder.select(which, ints, lanes.integers(-1)))
        said = lanes.to_ints(status)
        for mark, condition in ((MISSING, self.finder.missing), (LEFT, left)):
            said = builder.select(lanes.spell_condition(condition), lanes.integers(mark), said)
        lanes.store(self.rows("status", 1), said)

    def if_wanted(self, name: str) -> Any:
        """Return the context of code that fills in results which may not be asked for."""
        pointer = self.pointers[name]
        return self._builder.if_then(self._builder.icmp_unsigned("!=", pointer, pointer.type(None)))

    def finish(self) -> tuple[str, list[Key]]:
        """Return the code, and the numbers that it reads, in their order."""
        builder = self._builder
        following = builder.add(self._block, INT(1))
        self._block.add_incoming(following, builder.block)
        builder.cbranch(builder.icmp_signed("<", following, self._blocks), self._body, self._done)
        builder.position_at_end(self._done)
        builder.ret_void()
        return str(builder.module), list(self._keys)


def write_code(shape: Shape) -> tuple[str, list[Key]]:
    """Return the code for a shape, and the numbers that it reads, in their order."""
    program = Program(shape, NESTS | BESIDE | RESULTS)
    lanes, number = program.lanes, program.number
    nests = program.read()
    wrong = is_wrong(lanes, shape, nests, number)
    left = lanes.either(nests.unusual, wrong)
    counts = count_all(lanes, shape, nests, number, program.finder, left)
    cycles = count_cycles(lanes, shape, counts, number)
    energy, beyond = add_up(lanes, shape, counts, cycles, number)
    crowded = find_crowded(lanes, shape, nests, counts, number)
    status = find_status(lanes, shape, nests, crowded, number)
    large = lanes.fails(lanes.above(EXACT, cycles))
    left = functools.reduce(lanes.either, (left, counts.beyond, beyond, large))
    program.write(energy, cycles, status, left)
    with program.if_wanted("accesses"):
        columns = [words for level in counts.accesses for tensor in level for words in tensor]
        lanes.store_columns(program.rows("accesses", len(columns)), len(columns), columns)
    return program.finish()


class MachineCode:
    """Code as the processor runs it.

    Parameters
    ----------
    text : str
    pointers : int
        How many it takes after the number of blocks.
    """

    def __init__(self, text: str, pointers: int) -> None:
        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        features = binding.get_host_cpu_features()
        features["prefer-256-bit"] = False
        target = binding.Target.from_default_triple().create_target_machine(
            cpu=binding.get_host_cpu_name(), features=features.flatten(), opt=2, jit=True
        )
        module = binding.parse_assembly(text)
        module.triple = binding.get_process_triple()
        module.data_layout = str(target.target_data)
        self._engine = binding.create_mcjit_compiler(module, target)
        self._engine.finalize_object()
        kinds = [ctypes.c_int64, *[ctypes.c_void_p] * pointers]
        self._run = ctypes.CFUNCTYPE(None, *kinds)(self._engine.get_function_address(_NAME))

    def run(self, nests: NestArrays, beside: tuple[Any, ...], results: tuple[Any, ...]) -> None:
        """Evaluate mappings, without the interpreter's lock.

        Parameters
        ----------
        nests : NestArrays
            Of N mappings, all arrays in C order.
        beside : tuple of arrays
            What is the same for all mappings.
        results : tuple of arrays
            Of N mappings each, filled in; with no mappings where they are not asked for.
        """
        count = len(results[0])
        whole = count // LANES
        self._call(nests, beside, results, whole)
        rest = count - whole * LANES
        if rest == 0:
            return
        tail = slice(whole * LANES, None)
        rows = np.minimum(np.arange(LANES), rest - 1) + whole * LANES
        padded = NestArrays(nests.temporal[rows], nests.order[rows], nests.spatial[rows], nests.keep[rows])
        room = tuple(
            np.empty((LANES if len(result) else 0, *result.shape[1:]), result.dtype) for result in results
        )
        self._call(padded, beside, room, 1)
        for result, part in zip(results, room, strict=True):
            if len(result):
                result[tail] = part[:rest]

    def _call(
        self, nests: NestArrays, beside: tuple[Any, ...], results: tuple[Any, ...], blocks: int
    ) -> None:
        pointers = [array.ctypes.data if len(array) else None for array in (*nests, *beside, *results)]
        self._run(blocks, *pointers)


class LaneCode:
    """Code for one shape.

    Parameters
    ----------
    shape : Shape

    Attributes
    ----------
    tables : list of (str, int)
        What tables hold.
    """

    def __init__(self, shape: Shape) -> None:
        self.tables = list_touched(shape)
        text, self._keys = write_code(shape)
        self._code = MachineCode(text, len(NESTS | BESIDE | RESULTS))

    def numbers_of(self, problem: ProblemArrays, machine: MachineArrays) -> Floats:
        """Return the numbers of a design of this shape, as `run` takes them."""
        return list_numbers(problem, machine, self._keys)

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
            Filled in but for `imbalance`. A status is `LEFT` where the mapping is left to other kernels, and
            `MISSING` until a value is found.
        """
        self._code.run(nests, (numbers, tables.records, tables.wanted, tables.missed), rows[:4])


_made: dict[Shape, LaneCode] = {}
_lock = threading.Lock()


def code_for(shape: Shape) -> LaneCode:
    """Return the code for a shape: made once in a process, within some seconds."""
    with _lock:
        if shape not in _made:
            _made[shape] = LaneCode(shape)
        return _made[shape]
