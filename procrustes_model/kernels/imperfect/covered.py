"""How many elements of an output an instance accumulates where its loops leave it a part of its own."""

from __future__ import annotations

import numpy as np

from procrustes_model.kernels.dense.arrays import Ints, ProblemArrays
from procrustes_model.kernels.dense.covered import cover_boxes
from procrustes_model.kernels.imperfect.instances import ChainArrays, follow_class, stand_for
from procrustes_model.kernels.jit import kernel


@kernel
def _list_starts(
    chains: ChainArrays, level: int, d: int, bound: int, length: int, index: Ints, start: Ints
) -> int:
    """List where the pieces of a dimension start that an instance comes to; return how many."""
    count = 0
    for at in range(0, bound, length):
        held = True
        for j in range(level):
            held = held and at // chains.below[j + 1, d] % chains.spread[j, d] == index[j]
        if held:
            start[count] = at
            count += 1
    return count


@kernel
def count_accumulated(
    problem: ProblemArrays, chains: ChainArrays, level: int, names: Ints, within: Ints
) -> int:
    """Count the different elements of the output that one instance of a level accumulates over the run.

    Parameters
    ----------
    problem : ProblemArrays
    chains : ChainArrays
        `lasts` is changed.
    level : int
    names : int64[D]
        The instance's class in each dimension.
    within : int64[D]
        Elements that the tiles cover whose words count too where tiles of the output have gaps.

    Returns
    -------
    int
        Exact up to `MOST_MARKED` values or words; beyond, the most that there can be.
    """
    output = problem.output
    if not (problem.sliding[output] or problem.skewed[output] or problem.gapped):
        words = 1
        for d in range(len(names)):
            if problem.rank[output, d] >= 0:
                words *= follow_class(chains, d, names[d], level)
        return words
    length = np.ones_like(within)
    if problem.gapped:
        length[:] = within
    dimensions, levels = len(names), len(chains.whole)
    starts = np.zeros((dimensions, problem.bounds.max()), np.int64)
    count, index = np.ones(dimensions, np.int64), np.zeros(levels, np.int64)
    for d in range(dimensions):
        if problem.rank[output, d] >= 0:
            stand_for(chains, d, names[d], index)
            count[d] = _list_starts(chains, level, d, problem.bounds[d], length[d], index, starts[d])
    return cover_boxes(problem, starts, count, length)
