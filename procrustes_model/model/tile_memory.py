"""What is known of tiles where batches run on lanes: found once, by the kernels, when code misses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from procrustes_model.kernels.dense.arrays import OK, Floats, Ints
from procrustes_model.kernels.dense.sharing import touched_positions
from procrustes_model.kernels.imbalance.memo import MemoArrays, expected_work, make_memo
from procrustes_model.kernels.imbalance.tiles import alike_in_rank
from procrustes_model.kernels.sparse.arrays import TileArrays
from procrustes_model.kernels.sparse.fullest import FoundArrays, make_found, most_of_each
from procrustes_model.model.design import Design
from procrustes_model.model.sparse.lower import SparseDesign

if TYPE_CHECKING:
    from procrustes_model.kernels.lanes.tables import Tables


class TileMemory:
    """What one thread knows of a design's tiles.

    Parameters
    ----------
    design : Design
    kinds : list of (str, int)
        What the tables hold that code reads.
    held_bits : int
        Of a number in keys of positions; see `kernels.lanes.shape.Shape`.
    """

    def __init__(self, design: Design, kinds: list[tuple[str, int]], held_bits: int) -> None:
        from procrustes_model.kernels.lanes.tables import make_tables

        self._problem = design.problem
        self._kinds, self._held_bits = kinds, held_bits
        self.tables: Tables = make_tables(len(kinds))

    def learn(self) -> bool:
        """Find what code missed; return whether that is more than was known."""
        from procrustes_model.kernels.lanes.tables import add_values, take_missed

        learned = False
        for which, keys in take_missed(self.tables).items():
            kind, number = self._kinds[which]
            values = getattr(self, f"_find_{kind}")(number, keys)
            learned = add_values(self.tables, which, keys, values) > 0 or learned
        return learned

    def _moving(self, rank: int) -> Ints:
        """Return the dimensions of a rank that have more than one position."""
        problem = self._problem
        dimensions = problem.term_dimension[problem.term_start[rank] : problem.term_start[rank + 1]]
        return dimensions[problem.bounds[dimensions] > 1]

    def _find_touched(self, place: int, keys: Ints) -> Floats:
        """Return how many sums of two dimensions an instance comes to, by what it comes to of each.

        `place` : 64 times the rank of the output, plus the level.
        """
        problem, (rank, level) = self._problem, divmod(place, 64)
        moving = self._moving(int(problem.rank_start[problem.output]) + rank)
        mask, values = (1 << self._held_bits) - 1, np.empty(len(keys))
        for i, pair in enumerate(keys.tolist()):
            below, spread = np.ones((2, level + 1, len(problem.bounds)), np.int64)
            reach = np.ones(len(problem.bounds), np.int64)
            for d, key in zip(moving, pair, strict=True):
                for outer in range(level - 1, -1, -1):
                    spread[outer, d], key = key & mask, key >> self._held_bits
                    below[outer + 1, d], key = key & mask, key >> self._held_bits
                reach[d] = problem.bounds[d] // spread[:, d].prod()
            values[i] = touched_positions(problem, problem.output, below, spread, level, reach)
        return values


class SparseTileMemory(TileMemory):
    """The same under a sparse design.

    Parameters
    ----------
    design : SparseDesign
    kinds, held_bits
        As `TileMemory` takes them.
    """

    def __init__(self, design: SparseDesign, kinds: list[tuple[str, int]], held_bits: int) -> None:
        super().__init__(design, kinds, held_bits)
        self._design = design
        self._found: FoundArrays = make_found()
        self._memo: MemoArrays = make_memo()

    def _find_most(self, tensor: int, keys: Ints) -> Floats:
        """Return the nonzeros of tiles that have to fit, by their words."""
        design, words = self._design, np.ascontiguousarray(keys[:, 0])
        share, deviations = design.share, design.deviations
        most = most_of_each(design.densities, tensor, words, share, deviations, self._found)
        return most.astype(np.float64)

    def _find_alike(self, rank: int, keys: Ints) -> Floats:
        """Return how many indices of a rank vary as much as those of tiles, by their extents."""
        problem = self._problem
        rank += int(problem.rank_start[self._design.balance.tensor])
        terms, moving = slice(problem.term_start[rank], problem.term_start[rank + 1]), self._moving(rank)
        dimensions = problem.term_dimension[terms]
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
