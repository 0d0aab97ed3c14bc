"""When a batch is worth machine code of its own: mappings on lanes, the few that do not fit one by one."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from procrustes_model.kernels.cache import COMPILED
from procrustes_model.kernels.dense.arrays import NestArrays
from procrustes_model.kernels.lanes.rows import Rows, take_nests
from procrustes_model.kernels.lanes.shape import Shape, shape_of
from procrustes_model.kernels.lanes.sparse_shape import SparseShape, Zeros
from procrustes_model.model.design import Design
from procrustes_model.model.sparse.lower import SparseDesign
from procrustes_model.model.sparse.on_lanes import BLOCK, TileMemory, find_zeros, shape_of_sparse

if TYPE_CHECKING:
    from procrustes_model.kernels.lanes.code import LaneCode
    from procrustes_model.kernels.lanes.sparse_code import SparseLaneCode

WORTH = 1 << 17 if COMPILED else sys.maxsize
"""Mappings of designs of one shape in a process from which code for it is made: that takes as long. Under
sparse designs, of which single evaluations take twice the time, half of it."""

_seen: Counter[Shape | SparseShape] = Counter()
_lock = threading.Lock()


class OnLanes(Protocol):
    """Code for a design, and the numbers that it takes."""

    def make_memory(self) -> TileMemory | None:
        """Return memory for one thread."""

    def evaluate(self, nests: NestArrays, rows: Rows, memory: TileMemory | None) -> None:
        """Evaluate mappings; a status is negative where a mapping is left to other kernels."""


class _DenseOnLanes:
    def __init__(self, design: Design, code: LaneCode) -> None:
        self._code, self._numbers = code, code.numbers_of(design.problem, design.machine)

    def make_memory(self) -> None:
        """Return nothing: no tile is remembered."""

    def evaluate(self, nests: NestArrays, rows: Rows, memory: TileMemory | None) -> None:  # noqa: ARG002
        """Evaluate mappings."""
        self._code.run(self._numbers, nests, rows)


class _SparseOnLanes:
    def __init__(self, design: SparseDesign, zeros: Zeros, code: SparseLaneCode) -> None:
        self._design, self._code = design, code
        self._numbers = code.numbers_of(design.problem, design.machine, zeros)

    def make_memory(self) -> TileMemory:
        """Return memory of the design's tiles."""
        return TileMemory(self._design, self._code)

    def evaluate(self, nests: NestArrays, rows: Rows, memory: TileMemory | None) -> None:
        """Evaluate mappings; those of which something is missing again, once that is found."""
        from procrustes_model.kernels.lanes.sparse_code import MISSING

        if memory is None:
            raise ValueError("code for sparse designs takes memory")
        for start in range(0, len(rows.status), BLOCK):
            block = slice(start, start + BLOCK)
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
        if self._made is not None or self._shape is None:
            return self._made
        with _lock:
            _seen[self._shape] += mappings
            if _seen[self._shape] < (WORTH if isinstance(self._shape, Shape) else WORTH // 2):
                return None
        self._made = self._make()
        return self._made

    def _make(self) -> OnLanes:
        if isinstance(self._design, SparseDesign) and self._zeros is not None:
            from procrustes_model.kernels.lanes.sparse_code import sparse_code_for

            assert isinstance(self._shape, SparseShape)
            return _SparseOnLanes(self._design, self._zeros, sparse_code_for(self._shape))
        from procrustes_model.kernels.lanes.code import code_for

        assert isinstance(self._shape, Shape)
        return _DenseOnLanes(self._design, code_for(self._shape))
