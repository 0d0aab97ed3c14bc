"""Batches under sparse designs on lanes: what is the same for all mappings, and what is known of tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from procrustes_model.kernels.dense.arrays import OK, Floats, Ints, NestArrays
from procrustes_model.kernels.imbalance.memo import MemoArrays, expected_work, make_memo
from procrustes_model.kernels.imbalance.tiles import alike_in_rank
from procrustes_model.kernels.lanes.sparse_shape import SparseShape, Zeros, acts_alike, sparse_shape_of
from procrustes_model.kernels.sparse.arrays import TileArrays
from procrustes_model.kernels.sparse.fullest import FoundArrays, make_found, most_of_each
from procrustes_model.model.sparse.buffers import Memo, make_buffers
from procrustes_model.model.sparse.lower import SparseDesign
from procrustes_model.model.sparse.steps import evaluate_block

if TYPE_CHECKING:
    from procrustes_model.kernels.lanes.sparse_code import SparseLaneCode
    from procrustes_model.kernels.lanes.tables import Tables

BLOCK = 1 << 12
"""Mappings that code evaluates before what it misses is found."""


def _has_more(design: SparseDesign) -> bool:
    """Say whether a design has what code on lanes never counts."""
    return (
        bool(design.masks.known.any())
        or design.choices is not None
        or design.packs
        or design.has_loop_ranks
        or design.overflow == "spill"
        or design.counting.empty_tiles == "unused"
    )


def find_zeros(design: SparseDesign) -> Zeros | None:
    """Return a design as code on lanes takes it; None where that does not count all that it has.

    What it saves of all mappings alike is taken from one of them.
    """
    if _has_more(design):
        return None
    levels, tensors = design.compressed.shape
    zeros = Zeros(
        densities=design.densities,
        actions=design.actions,
        formats=design.formats,
        balance=design.balance,
        size=design.capacity_size,
        left=np.ones((levels, tensors, 2)),
        computes=np.ones(3),
    )
    if not acts_alike(design.machine, zeros):
        return None
    bounds = design.problem.bounds
    nest = NestArrays(
        np.ones((1, levels, len(bounds)), np.int64),
        np.tile(np.arange(len(bounds)), (1, levels, 1)),
        np.ones((1, levels, 2, len(bounds)), np.int64),
        np.ones((1, levels, tensors), np.bool_),
    )
    nest.temporal[0, 0] = bounds
    buffers = make_buffers(design, 1)
    evaluate_block(design, nest, buffers, Memo(), check=False)
    if buffers.status[0] != OK:
        return None
    return zeros._replace(left=buffers.saved.left[0], computes=buffers.counts.computes[0])


def shape_of_sparse(design: SparseDesign, zeros: Zeros | None) -> SparseShape | None:
    """Return what code is made for; None where there is none."""
    return None if zeros is None else sparse_shape_of(design.problem, design.machine, design.rules, zeros)


class TileMemory:
    """What one thread knows of a design's tiles.

    Parameters
    ----------
    design : SparseDesign
    code : SparseLaneCode
    """

    def __init__(self, design: SparseDesign, code: SparseLaneCode) -> None:
        self._design = design
        self._kinds = code.tables
        self.tables: Tables = code.make_tables()
        self._found: FoundArrays = make_found()
        self._memo: MemoArrays = make_memo()

    def learn(self) -> bool:
        """Find what code missed; return whether that is more than was known."""
        from procrustes_model.kernels.lanes.tables import add_values, take_missed

        learned = False
        for which, keys in take_missed(self.tables).items():
            kind, number = self._kinds[which]
            values = getattr(self, f"_find_{kind}")(number, keys)
            learned = add_values(self.tables, which, keys, values) > 0 or learned
        return learned

    def _find_most(self, tensor: int, keys: Ints) -> Floats:
        """Return the nonzeros of tiles that have to fit, by their words."""
        design, words = self._design, np.ascontiguousarray(keys[:, 0])
        share, deviations = design.share, design.deviations
        most = most_of_each(design.densities, tensor, words, share, deviations, self._found)
        return most.astype(np.float64)

    def _find_alike(self, rank: int, keys: Ints) -> Floats:
        """Return how many indices of a rank vary as much as those of tiles, by their extents."""
        problem = self._design.problem
        rank += int(problem.rank_start[self._design.balance.tensor])
        terms = slice(problem.term_start[rank], problem.term_start[rank + 1])
        dimensions = problem.term_dimension[terms]
        moving = dimensions[problem.bounds[dimensions] > 1]
        values = np.empty(len(keys))
        for i, extents in enumerate(keys):
            below = np.ones(len(problem.bounds), np.int64)
            below[moving] = extents
            side = 1 + int((problem.term_coefficient[terms] * (below[dimensions] - 1)).sum())
            values[i] = alike_in_rank(problem, rank, below, side)
        return values

    def _find_work(self, tensor: int, keys: Ints) -> Floats:
        """Return the expected work of the slowest processing element, by tile."""
        design, count = self._design, len(keys)
        elements, rest = np.ascontiguousarray(keys[:, 0]), keys[:, 1]
        none = np.zeros(count, np.int64)
        tiles = TileArrays(
            volume=none,
            elements=none,
            alike=elements,
            pieced=elements,
            parts=rest // 64,
            rounds=rest // 2 % 32,
            cut=rest % 2 - 1,
            along=none,
            across=none,
            apart=none,
            turns=none,
        )
        work = np.empty(count)
        sliding = bool(design.problem.sliding[tensor])
        expected_work(design.densities, design.balance, sliding, tiles, self._memo, np.full(count, OK), work)
        return work
