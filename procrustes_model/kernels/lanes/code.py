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
    Ints,
    MachineArrays,
    NestArrays,
    ProblemArrays,
)
from procrustes_model.kernels.lanes.costs import add_up, count_all, count_cycles, find_status, is_wrong
from procrustes_model.kernels.lanes.reading import Inputs, read_nests
from procrustes_model.kernels.lanes.shape import Key, Shape, list_numbers
from procrustes_model.kernels.lanes.vectors import EXACT, INT, LANES, Lanes, Value

LEFT = -1
"""Status of mappings that code on lanes leaves to other kernels."""

_NAME = "evaluate_lanes"
_FLOAT, _BYTE = ir.DoubleType(), ir.IntType(8)
_ARGUMENTS = {
    "blocks": INT,
    "temporal": INT.as_pointer(),
    "order": INT.as_pointer(),
    "spatial": INT.as_pointer(),
    "keep": _BYTE.as_pointer(),
    "numbers": _FLOAT.as_pointer(),
    "energy": _FLOAT.as_pointer(),
    "cycles": INT.as_pointer(),
    "accesses": INT.as_pointer(),
    "status": INT.as_pointer(),
}


def write_code(shape: Shape) -> tuple[str, list[Key]]:
    """Return the code for a shape, and the numbers that it reads, in their order."""
    module = ir.Module(_NAME)
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), list(_ARGUMENTS.values())), _NAME)
    given = dict(zip(_ARGUMENTS, function.args, strict=True))
    entry, body, done = (function.append_basic_block(name) for name in ("entry", "block", "done"))
    builder = ir.IRBuilder(entry)
    builder.cbranch(builder.icmp_signed(">", given["blocks"], INT(0)), body, done)
    builder.position_at_end(body)
    block = builder.phi(INT)
    block.add_incoming(INT(0), entry)
    lanes = Lanes(builder)
    keys: dict[Key, Value] = {}

    def number(name: str, *at: int) -> Value:
        if (name, at) not in keys:
            keys[name, at] = lanes.share(given["numbers"], len(keys))
        return keys[name, at]

    def rows(name: str, width: int) -> Any:
        return builder.gep(given[name], [builder.mul(block, INT(LANES * width))])

    loops, kept = shape.levels * shape.dimensions, shape.levels * shape.tensors
    inputs = Inputs(
        rows("temporal", loops), rows("order", loops), rows("spatial", 2 * loops), rows("keep", kept)
    )
    nests = read_nests(lanes, shape, inputs)
    wrong = is_wrong(lanes, shape, nests, number)
    counts = count_all(lanes, shape, nests, number)
    cycles = count_cycles(lanes, shape, counts, number)
    energy, beyond = add_up(lanes, shape, counts, cycles, number)
    status = find_status(lanes, shape, nests, counts, number)
    large = lanes.fails(lanes.above(EXACT, cycles))
    left = functools.reduce(lanes.either, (nests.unusual, wrong, counts.beyond, beyond, large))
    valid = lanes.equal(status, float(OK))
    lanes.store(rows("energy", 1), lanes.spell(lanes.choose(valid, energy, float("nan"))))
    ints = lanes.to_ints(cycles)
    lanes.store(rows("cycles", 1), builder.select(lanes.spell_condition(valid), ints, lanes.integers(-1)))
    said = lanes.to_ints(status)
    lanes.store(rows("status", 1), builder.select(lanes.spell_condition(left), lanes.integers(LEFT), said))
    with builder.if_then(builder.icmp_unsigned("!=", given["accesses"], given["accesses"].type(None))):
        columns = [words for level in counts.accesses for tensor in level for words in tensor]
        lanes.store_columns(rows("accesses", len(columns)), len(columns), columns)
    following = builder.add(block, INT(1))
    block.add_incoming(following, builder.block)
    builder.cbranch(builder.icmp_signed("<", following, given["blocks"]), body, done)
    builder.position_at_end(done)
    builder.ret_void()
    return str(module), list(keys)


class LaneCode:
    """Code for one shape, as the processor runs it.

    Parameters
    ----------
    shape : Shape
    """

    def __init__(self, shape: Shape) -> None:
        text, self._keys = write_code(shape)
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
        kinds = [ctypes.c_int64, *[ctypes.c_void_p] * (len(_ARGUMENTS) - 1)]
        self._run = ctypes.CFUNCTYPE(None, *kinds)(self._engine.get_function_address(_NAME))

    def numbers_of(self, problem: ProblemArrays, machine: MachineArrays) -> Floats:
        """Return the numbers of a design of this shape, as `run` takes them."""
        return list_numbers(problem, machine, self._keys)

    def run(
        self,
        numbers: Floats,
        nests: NestArrays,
        energy: Floats,
        cycles: Ints,
        accesses: Ints,
        status: Ints,
    ) -> None:
        """Evaluate mappings, without the interpreter's lock.

        Parameters
        ----------
        numbers : float64[...]
            Of the design, from `numbers_of`.
        nests : NestArrays
            Of N mappings, all arrays in C order.
        energy : float64[N]
            pJ, NaN where a mapping is not valid. Filled in, as what follows.
        cycles : int64[N]
            -1 where a mapping is not valid.
        accesses : int64[N, L, T, 3]
            With no mappings where they are not asked for.
        status : int64[N]
            `LEFT` where the mapping is left to other kernels: nothing is said of it.
        """
        results = (energy, cycles, accesses, status)
        whole = len(energy) // LANES
        self._call(numbers, nests, results, whole)
        rest = len(energy) - whole * LANES
        if rest == 0:
            return
        tail = slice(whole * LANES, None)
        rows = np.minimum(np.arange(LANES), rest - 1) + whole * LANES
        padded = NestArrays(nests.temporal[rows], nests.order[rows], nests.spatial[rows], nests.keep[rows])
        room = tuple(
            np.empty((LANES if len(result) else 0, *result.shape[1:]), result.dtype) for result in results
        )
        self._call(numbers, padded, room, 1)
        for result, part in zip(results, room, strict=True):
            if len(result):
                result[tail] = part[:rest]

    def _call(self, numbers: Floats, nests: NestArrays, results: tuple[Any, ...], blocks: int) -> None:
        pointers = [array.ctypes.data if len(array) else None for array in (*nests, numbers, *results)]
        self._run(blocks, *pointers)


_made: dict[Shape, LaneCode] = {}
_lock = threading.Lock()


def code_for(shape: Shape) -> LaneCode:
    """Return the code for a shape: made once in a process, within some seconds."""
    with _lock:
        if shape not in _made:
            _made[shape] = LaneCode(shape)
        return _made[shape]
