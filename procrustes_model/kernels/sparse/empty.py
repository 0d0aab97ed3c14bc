"""How likely a box of a tensor is empty, from its density model."""

from __future__ import annotations

import numpy as np

from procrustes_model.kernels.arithmetic import power
from procrustes_model.kernels.dense.arrays import Floats, Ints, ProblemArrays
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.arrays import (
    DENSE,
    FIXED,
    HYPERGEOMETRIC,
    NESTED,
    ROWS,
    STRUCTURED,
    BoxArrays,
    DensityArrays,
)
from procrustes_model.kernels.sparse.chances import cut_empty, hypergeometric_empty
from procrustes_model.kernels.sparse.library_chances import library_chance
from procrustes_model.kernels.sparse.nested import measure, nested_empty
from procrustes_model.kernels.sparse.rows import rows_empty


@kernel
def fibre_empty(n: int, m: int, length: int, first: int, end: int) -> float:
    """Return the probability that elements `first` up to `end` of a fibre of n:m groups are zero.

    Of `length` elements the last group may be shorter: of its r elements min(n, r) are not zero.
    """
    share = 1.0
    at = first
    while at < end and share > 0:
        start = at - at % m
        group = min(m, length - start)
        until = min(end, start + group)
        share *= cut_empty(min(n, group), group, until - at)
        at = until
    return share


@kernel
def groups_empty(n: int, m: int, length: int, along: int, fibres: int) -> float:
    """Return the probability that a box of n:m groups is empty, in the mean over boxes side by side.

    Parameters
    ----------
    n, m : int
    length : int
        Elements of the tensor along the dimension of groups.
    along : int
        Of the box; the last box is shorter where these do not divide the length.
    fibres : int
        Of the box: its elements in all other ranks.
    """
    along = min(along, length)
    count = (length + along - 1) // along
    inside = (length - length % m) // along
    # Boxes within whole groups begin where some other began in its group, period by period.
    common, rest = along, m
    while rest:
        common, rest = rest, common % rest
    period = m // common
    total = 0.0
    for i in range(min(period, inside)):
        one = fibre_empty(n, m, length, i * along, (i + 1) * along)
        total += ((inside - i + period - 1) // period) * power(one, float(fibres))
    for i in range(inside, count):
        total += power(fibre_empty(n, m, length, i * along, min(length, (i + 1) * along)), float(fibres))
    return total / count


@kernel
def _sliding_groups_empty(
    problem: ProblemArrays, rank: int, extent: Ints, n: int, m: int, length: int, fibres: int
) -> float:
    """Return the same where dimensions are summed in the rank: in the mean over positions in each of them.

    `extent` : int64[D], of the box.
    """
    term_start, dimension, coefficient = problem.term_start, problem.term_dimension, problem.term_coefficient
    bounds = problem.bounds
    positions = 1
    for term in range(term_start[rank], term_start[rank + 1]):
        d = dimension[term]
        positions *= (bounds[d] + extent[d] - 1) // extent[d]
    total = 0.0
    for position in range(positions):
        rest = position
        first, end = 0, 1
        for term in range(term_start[rank], term_start[rank + 1]):
            d = dimension[term]
            times = (bounds[d] + extent[d] - 1) // extent[d]
            start = rest % times * extent[d]
            rest //= times
            first += coefficient[term] * start
            end += coefficient[term] * (min(bounds[d], start + extent[d]) - 1)
        total += power(fibre_empty(n, m, length, first, end), float(fibres))
    return total / positions


@kernel
def _count_met(problem: ProblemArrays, rank: int, extent: Ints) -> int:
    """Return how many different indices a rank takes over `extent`, int64[D]: its side, less the gaps.

    Nothing meets what lies between windows further apart than they are long, or taps of dilated ones.
    """
    side, moving, m, n, a, b = 1, 0, 1, 1, 1, 1
    for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
        positions, step = extent[problem.term_dimension[term]], problem.term_coefficient[term]
        side += step * (positions - 1)
        if positions > 1:
            m, a, n, b = n, b, positions, step
            moving += 1
    if moving < 2:
        return int(n)
    if moving == 2:
        g, rest = a, b
        while rest:
            g, rest = rest, g % rest
        return int(m * n - max(0, m - b // g) * max(0, n - a // g))
    met = np.zeros(side, np.bool_)
    met[0] = True
    for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
        step, before = problem.term_coefficient[term], met.copy()
        for i in range(1, extent[problem.term_dimension[term]]):
            met[i * step :] |= before[: side - i * step]
    return int(met.sum())


@kernel
def _groups_box_empty(problem: ProblemArrays, tensor: int, group: Ints, extent: Ints) -> float:
    """Return how likely a box of a tensor of n:m groups is empty.

    `group` : int64[3], n, m and the dimension they run along. `extent` : int64[D], of the box, of which the
    tensor's end cuts off what is beyond.
    """
    term_start, dimension, coefficient = problem.term_start, problem.term_dimension, problem.term_coefficient
    bounds, n, m = problem.bounds, group[0], group[1]
    along = length = fibres = 1
    slides = -1
    for rank in range(problem.rank_start[tensor], problem.rank_start[tensor + 1]):
        side = whole = longest = 1
        grouped = False
        for term in range(term_start[rank], term_start[rank + 1]):
            d = dimension[term]
            side += coefficient[term] * (min(extent[d], bounds[d]) - 1)
            whole += coefficient[term] * (bounds[d] - 1)
            longest = max(longest, bounds[d])
            grouped = grouped or d == group[2]
        if not grouped:
            fibres *= _count_met(problem, rank, np.minimum(extent, bounds))
            continue
        along, length = side, whole
        if longest < whole:  # two dimensions move along the rank, or one in steps
            slides = rank
    if slides >= 0:
        return _sliding_groups_empty(problem, slides, extent, n, m, length, fibres)
    return groups_empty(n, m, length, along, fibres)


@kernel
def box_empty(model: int, size: int, nonzeros: int, average: float, words: int) -> float:
    """Return how likely a box of a tensor is empty that has no groups.

    Parameters
    ----------
    model : int
        One of `vocabulary.DensityModel`.
    size, nonzeros, average
        Of the tensor.
    words : int
        Elements of the box.
    """
    if model == DENSE:
        return 0.0
    if model == FIXED:
        return max(0.0, 1 - words * average)
    return hypergeometric_empty(size, nonzeros, words)


@kernel
def box_words(problem: ProblemArrays, tensor: int, extent: Ints) -> int:
    """Return the elements of a tensor that something meets in a box over `extent`, int64[D]."""
    words = 1
    for rank in range(problem.rank_start[tensor], problem.rank_start[tensor + 1]):
        words *= _count_met(problem, rank, extent)
    return int(words)


@kernel
def _outside(problem: ProblemArrays, tensor: int, flat: Ints, extent: Ints) -> int:
    """Return the elements of a box in all ranks that groups do not run through."""
    words = 1
    for rank in range(problem.rank_start[tensor], problem.rank_start[tensor + 1]):
        within = False
        for one in flat:
            within = within or one == rank
        if not within:
            words *= _count_met(problem, rank, np.minimum(extent, problem.bounds))
    return int(words)


@kernel
def measure_rows(
    problem: ProblemArrays, densities: DensityArrays, tensor: int, extent: Ints
) -> tuple[int, int]:
    """Return the rows of a box of a ROWS tensor over int64[D], and its elements in each of them."""
    flat = densities.flat[tensor]
    return _count_met(problem, flat[0], np.minimum(extent, problem.bounds)), _outside(
        problem, tensor, flat, extent
    )


@kernel
def box_chance(problem: ProblemArrays, densities: DensityArrays, tensor: int, extent: Ints) -> float:
    """Return how likely a box of a tensor over `extent`, int64[D], is empty."""
    model = densities.model[tensor]
    if model == STRUCTURED:
        return _groups_box_empty(problem, tensor, densities.group[tensor], extent)
    if model == NESTED:
        flat = densities.flat[tensor]
        side, length, stride, _ = measure(problem, flat, extent)
        fibres = _outside(problem, tensor, flat, extent)
        return nested_empty(densities.nest[tensor], side, length, stride, fibres)
    if model == ROWS:
        rows, width = measure_rows(problem, densities, tensor, extent)
        runs = densities.runs[densities.run_start[tensor] : densities.run_start[tensor + 1]]
        return rows_empty(runs, densities.size[tensor] // runs[:, 1].sum(), rows, width)
    words = box_words(problem, tensor, extent)
    if model == HYPERGEOMETRIC and densities.library:
        size = densities.size[tensor]
        return library_chance(size, densities.nonzeros[tensor], min(words, size), 0)
    return box_empty(
        model, densities.size[tensor], densities.nonzeros[tensor], densities.average[tensor], words
    )


@kernel
def find_empty(
    problem: ProblemArrays,
    densities: DensityArrays,
    boxes: BoxArrays,
    empty: Floats,
) -> None:
    """Find how likely every leader's box is empty.

    Parameters
    ----------
    problem : ProblemArrays
    densities : DensityArrays
    boxes : BoxArrays
    empty : float64[N, A, T]
        Filled in; 0 where a leader is not effective.
    """
    extent, effective = boxes.extent, boxes.effective
    mappings, count, tensors, _ = extent.shape
    for n in range(mappings):
        for a in range(count):
            for t in range(tensors):
                empty[n, a, t] = 0.0
                if effective[n, a, t]:
                    empty[n, a, t] = box_chance(problem, densities, t, extent[n, a, t])
