"""How likely a box of a tensor is empty, from its density model."""

from __future__ import annotations

import math

from procrustes_model.kernels.dense.arrays import Floats, ProblemArrays
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.arrays import (
    DENSE,
    FIXED,
    STRUCTURED,
    BoxArrays,
    DensityArrays,
)

_LONG = 64
"""Elements up to which a product of shares is faster than, and as exact as, the gamma function."""


@kernel
def hypergeometric_empty(size: int, nonzeros: int, elements: int) -> float:
    """Return the probability that `elements` out of `size`, of which `nonzeros` are not zero, are all zero.

    It is C(size - elements, nonzeros) / C(size, nonzeros); products carry their rounding error along, so
    that small cases are right to the last bit.
    """
    elements = min(elements, size)
    if nonzeros > size - elements:
        return 0.0
    few, many = min(elements, nonzeros), max(elements, nonzeros)
    if few > _LONG:
        return math.exp(
            math.lgamma(size - elements + 1.0)
            - math.lgamma(size - elements - nonzeros + 1.0)
            + math.lgamma(size - nonzeros + 1.0)
            - math.lgamma(size + 1.0)
        )
    high, low = 1.0, 0.0
    for i in range(few):
        # Multiply by (size - many - i), then divide by (size - i), high + low holding twice the digits.
        factor = float(size - many - i)
        product = high * factor
        split = 134217729.0 * high
        upper = split - (split - high)
        rest = (upper * factor - product) + (high - upper) * factor + low * factor
        divisor = float(size - i)
        quotient = product / divisor
        split = 134217729.0 * quotient
        upper = split - (split - quotient)
        left = (product - upper * divisor) - (quotient - upper) * divisor
        low = (left + rest) / divisor
        high = quotient
    return high + low


@kernel
def _structured_empty(nonzeros: int, group: int, along: int, others: int) -> float:
    """Return the probability that `others` fibres of `along` elements each are empty, of n:m groups."""
    rest = along % group
    if along >= group or rest > group - nonzeros:
        return 0.0
    share = 1.0
    for i in range(nonzeros):
        share *= float(group - rest - i) / float(group - i)
    return share**others


@kernel
def box_empty(
    model: int, size: int, nonzeros: int, average: float, n: int, m: int, words: int, along: int
) -> float:
    """Return how likely a box of a tensor is empty: the one place where density models differ in it.

    Parameters
    ----------
    model : int
        One of `vocabulary.DensityModel`.
    size, nonzeros, average
        Of the tensor.
    n, m : int
        Nonzeros in every group of m.
    words : int
        Elements of the box.
    along : int
        Its elements along the dimension of groups.
    """
    if model == DENSE:
        return 0.0
    if model == FIXED:
        return max(0.0, 1 - words * average)
    if model == STRUCTURED:
        return _structured_empty(n, m, along, words // along)
    return hypergeometric_empty(size, nonzeros, words)


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
    rank_start, term_start = problem.rank_start, problem.term_start
    dimension, coefficient = problem.term_dimension, problem.term_coefficient
    model, size, average, group = densities.model, densities.size, densities.average, densities.group
    extent, effective = boxes.extent, boxes.effective
    mappings, count, tensors, _ = extent.shape
    for n in range(mappings):
        for a in range(count):
            for t in range(tensors):
                empty[n, a, t] = 0.0
                if not effective[n, a, t]:
                    continue
                words = 1
                along = 1
                for rank in range(rank_start[t], rank_start[t + 1]):
                    side = 1
                    grouped = False
                    for term in range(term_start[rank], term_start[rank + 1]):
                        side += coefficient[term] * (extent[n, a, t, dimension[term]] - 1)
                        grouped = grouped or dimension[term] == group[t, 2]
                    words *= side
                    if grouped:
                        along = side
                empty[n, a, t] = box_empty(
                    model[t],
                    size[t],
                    densities.nonzeros[t],
                    average[t],
                    group[t, 0],
                    group[t, 1],
                    words,
                    along,
                )
