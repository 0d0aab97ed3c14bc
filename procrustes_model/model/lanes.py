"""When a batch is worth machine code of its own: mappings on lanes, the few that do not fit one by one."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable
from functools import cached_property, partial
from typing import TYPE_CHECKING, Protocol

import numpy as np

from procrustes_model.kernels.cache import COMPILED
from procrustes_model.kernels.dense.arrays import Floats, NestArrays
from procrustes_model.kernels.lanes.rows import Rows, take_nests
from procrustes_model.kernels.lanes.shape import Shape, shape_of
from procrustes_model.kernels.lanes.sparse_shape import SparseShape, Zeros
from procrustes_model.model.design import Design
from procrustes_model.model.sparse.lower import SparseDesign
from procrustes_model.model.sparse.on_lanes import find_zeros, shape_of_sparse
from procrustes_model.model.tile_memory import SparseTileMemory, TileMemory

if TYPE_CHECKING:
    from procrustes_model.kernels.lanes.code import LaneCode
    from procrustes_model.kernels.lanes.sparse_code import SparseLaneCode
    from procrustes_model.kernels.lanes.tables import Tables

WORTH = 1 << 17 if COMPILED else sys.maxsize
"""Mappings of designs of one shape in a process from which code for it is made: that takes as long. Under
sparse designs, of which single evaluations take twice the time, half of it."""

FEW = 256
"""Mappings of one design up to which its shape is not looked at: that takes as long as some of them."""

BLOCK = 1 << 12
"""Mappings that code evaluates before what it misses is found."""

_seen: Counter[Shape | SparseShape] = Counter()
_lock = threading.Lock()


class OnLanes(Protocol):
    """Code for a design, and the numbers that it takes."""

    def make_memory(self) -> TileMemory:
        """Return memory for one thread."""

    def evaluate(self, nests: NestArrays, rows: Rows, memory: TileMemory) -> None:
        """Evaluate mappings; a status is negative where a mapping is left to other kernels."""


class _Code(Protocol):
    """Code for a shape."""

    tables: list[tuple[str, int]]

    def run(self, numbers: Floats, tables: Tables, nests: NestArrays, rows: Rows) -> None:
        """Evaluate mappings."""


class _OnLanes:
    """Code for a design.

    Parameters
    ----------
    code : LaneCode or SparseLaneCode
    numbers : float64[...]
        That it takes.
    make_memory : callable
        Returns memory for one thread.
    """

    def __init__(self, code: _Code, numbers: Floats, make_memory: Callable[[], TileMemory]) -> None:
        self._code, self._numbers, self.make_memory = code, numbers, make_memory

    def evaluate(self, nests: NestArrays, rows: Rows, memory: TileMemory) -> None:
        """Evaluate mappings; those of which something is missing again, once that is found."""
        from procrustes_model.kernels.lanes.code import MISSING

        size = BLOCK if self._code.tables else max(1, len(rows.status))
        for start in range(0, len(rows.status), size):
            block = slice(start, start + size)
            part, some = rows.take(block), take_nests(nests, block)
            self._code.run(self._numbers, memory.tables, some, part)
            while memory.learn():
                again = np.flatnonzero(part.status == MISSING)
                found = rows.room_for(len(again))
                self._code.run(self._numbers, memory.tables, take_nests(some, again), found)
                part.put(again, found)


class DesignOnLanes:
    """A design's numbers, and code for its shape once that is worth it.

    Parameters
    ----------
    design : Design
    """

    def __init__(self, design: Design) -> None:
        self._design = design
        self._made: OnLanes | None = None
        self._asked = self._uncounted = 0

    @cached_property
    def _zeros(self) -> Zeros | None:
        return find_zeros(self._design) if isinstance(self._design, SparseDesign) else None

    @cached_property
    def _shape(self) -> Shape | SparseShape | None:
        if isinstance(self._design, SparseDesign):
            return shape_of_sparse(self._design, self._zeros)
        return shape_of(self._design.problem, self._design.machine, self._design.rules)

    def __reduce__(self) -> tuple[type[DesignOnLanes], tuple[Design]]:
        """Be sent to other processes without code, which is made there anew."""
        return DesignOnLanes, (self._design,)

    def code(self, mappings: int) -> OnLanes | None:
        """Return code and the numbers that it takes, for so many mappings more; None: not worth it."""
        if self._made is not None:
            return self._made
        self._asked += mappings
        self._uncounted += mappings
        if self._asked < min(WORTH, FEW) or self._shape is None:
            return None
        mappings, self._uncounted = self._uncounted, 0
        with _lock:
            _seen[self._shape] += mappings
            if _seen[self._shape] < (WORTH if isinstance(self._shape, Shape) else WORTH // 2):
                return None
        self._made = self._make()
        return self._made

    def _make(self) -> OnLanes:
        design, shape = self._design, self._shape
        code: LaneCode | SparseLaneCode
        if isinstance(design, SparseDesign) and isinstance(shape, SparseShape) and self._zeros is not None:
            from procrustes_model.kernels.lanes.sparse_code import sparse_code_for

            code, bits = sparse_code_for(shape), shape.dense.held_bits
            numbers = code.numbers_of(design.problem, design.machine, self._zeros)
            return _OnLanes(code, numbers, partial(SparseTileMemory, design, code.tables, bits))
        from procrustes_model.kernels.lanes.code import code_for

        assert isinstance(shape, Shape)
        code = code_for(shape)
        numbers = code.numbers_of(design.problem, design.machine)
        return _OnLanes(code, numbers, partial(TileMemory, design, code.tables, shape.held_bits))
