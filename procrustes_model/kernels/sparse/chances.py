"""How likely elements are all zero of which a known number, anywhere, are not."""

from __future__ import annotations

import math

from procrustes_model.kernels.arithmetic import log_factorial
from procrustes_model.kernels.jit import kernel

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
            log_factorial(float(size - elements))
            - log_factorial(float(size - elements - nonzeros))
            + log_factorial(float(size - nonzeros))
            - log_factorial(float(size))
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
def cut_empty(nonzeros: int, group: int, taken: int) -> float:
    """Return the probability that `taken` elements of a group are zero: C(m - r, n) / C(m, n)."""
    if taken > group - nonzeros:
        return 0.0
    few, many = min(taken, nonzeros), max(taken, nonzeros)
    share = 1.0
    for i in range(few):
        share *= float(group - many - i) / float(group - i)
    return share
