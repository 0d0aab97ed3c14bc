"""When a batch is worth machine code of its own: mappings on lanes, the few that do not fit one by one."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from typing import TYPE_CHECKING

from procrustes_model.kernels.cache import COMPILED
from procrustes_model.kernels.lanes.shape import Shape, shape_of
from procrustes_model.model.design import Design
from procrustes_model.model.sparse.lower import SparseDesign

if TYPE_CHECKING:
    from procrustes_model.kernels.dense.arrays import Floats
    from procrustes_model.kernels.lanes.code import LaneCode

WORTH = 1 << 17 if COMPILED else sys.maxsize
"""Mappings of designs of one shape in a process from which code for it is made: that takes as long."""

_seen: Counter[Shape] = Counter()
_lock = threading.Lock()


class DesignOnLanes:
    """A design's numbers, and code for its shape once that is worth it.

    Parameters
    ----------
    design : Design
    """

    def __init__(self, design: Design) -> None:
        self._design = design
        sparse = isinstance(design, SparseDesign)
        self._shape = None if sparse else shape_of(design.problem, design.machine, design.rules)
        self._made: tuple[LaneCode, Floats] | None = None

    def __reduce__(self) -> tuple[type[DesignOnLanes], tuple[Design]]:
        """Be sent to other processes without code, which is made there anew."""
        return DesignOnLanes, (self._design,)

    def code(self, mappings: int) -> tuple[LaneCode, Floats] | None:
        """Return code and the numbers that it takes, for so many mappings more; None: not worth it."""
        if self._made is not None or self._shape is None:
            return self._made
        with _lock:
            _seen[self._shape] += mappings
            if _seen[self._shape] < WORTH:
                return None
        from procrustes_model.kernels.lanes.code import code_for

        made = code_for(self._shape)
        self._made = made, made.numbers_of(self._design.problem, self._design.machine)
        return self._made
