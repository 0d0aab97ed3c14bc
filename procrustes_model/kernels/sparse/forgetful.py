"""Transfers by the rule of an older model, in which a tile that stays forgets how it moved before."""

from __future__ import annotations

import numpy as np

from procrustes_model.kernels.dense.arrays import OVERFLOW, Ints, LoopArrays, ProblemArrays
from procrustes_model.kernels.dense.nest import is_beyond
from procrustes_model.kernels.jit import kernel


@kernel
def count_forgetful_transfers(
    problem: ProblemArrays, loops: LoopArrays, tile: Ints, moved: Ints, status: Ints
) -> None:
    """Count again the words of sliding tensors that are moved into one instance of each level.

    Where the innermost loop above a level does not move the tile, every later move follows one by nothing
    and keeps what overlaps, whatever its direction. Otherwise only a move like that loop's does.

    Parameters
    ----------
    problem : ProblemArrays
    loops : LoopArrays
    tile : int64[N, L, T]
    moved : int64[N, L, T]
        Holds the transfers by this model's rule; replaced for tensors with a rank that sums dimensions.
    status : int64[N]
        Set to OVERFLOW where a count exceeds 2^62.
    """
    rank_start, term_start = problem.rank_start, problem.term_start
    term_dimension, term_coefficient = problem.term_dimension, problem.term_coefficient
    listed, start, dimension, bound = loops.listed, loops.start, loops.dimension, loops.bound
    step, outer, below = loops.step, loops.outer, loops.below
    mappings, levels, tensors = tile.shape
    ranks = len(term_start) - 1
    side, reached = np.empty(ranks, np.int64), np.empty(ranks, np.int64)
    move, first = np.empty(ranks, np.int64), np.empty(ranks, np.int64)
    for n in range(mappings):
        for t in range(tensors):
            if not problem.sliding[t]:
                continue
            for level in range(levels):
                for rank in range(rank_start[t], rank_start[t + 1]):
                    side[rank] = 1
                    reached[rank] = 0
                    for term in range(term_start[rank], term_start[rank + 1]):
                        side[rank] += term_coefficient[term] * (below[n, level, term_dimension[term]] - 1)
                words = tile[n, level, t]
                total = words
                fixed = False
                for loop in range(start[n, level], listed[n]):
                    still = same = True
                    kept = 1
                    for rank in range(rank_start[t], rank_start[t + 1]):
                        along = 0
                        for term in range(term_start[rank], term_start[rank + 1]):
                            if term_dimension[term] == dimension[n, loop]:
                                along += term_coefficient[term] * step[n, loop]
                        move[rank] = along - reached[rank]
                        reached[rank] += along
                        still = still and move[rank] == 0
                        if loop == start[n, level]:
                            first[rank] = along
                            fixed = fixed or along != 0
                        same = same and move[rank] == first[rank]
                        kept *= max(0, side[rank] - abs(move[rank]))
                    if not still:
                        visits = (bound[n, loop] - 1) * outer[n, loop]
                        if is_beyond(words, visits):
                            status[n] = OVERFLOW
                        total += visits * (words if fixed and not same else words - kept)
                moved[n, level, t] = total
