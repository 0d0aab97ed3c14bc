"""Arithmetic that gives the same bits compiled and as plain Python.

Sums, powers and the gamma function differ in their last bits between NumPy, Python and Numba: in the order
in which they add, in what they do for whole exponents, in their series. Kernels take these instead.
"""

from __future__ import annotations

import math

from procrustes_model.kernels.dense.arrays import Floats
from procrustes_model.kernels.jit import kernel

_HALF_LOG_OF_CIRCLE = 0.5 * math.log(2 * math.pi)

_FEW = 16.0
"""Up to this count factorials are multiplied out; the series is as exact as a float64 beyond it."""


@kernel
def log_factorial(count: float) -> float:
    """Return the logarithm of the factorial of a whole number.

    Of larger ones by Stirling's series, to the term in count^-9 (NIST, Digital Library of Mathematical
    Functions, 5.11.1).
    """
    if count <= _FEW:
        product = 1.0
        factor = 2.0
        while factor <= count:
            product *= factor
            factor += 1.0
        return math.log(product)
    x = count + 1.0
    part = 1.0 / x
    square = part * part
    series = 1.0 / 1188.0
    series = series * square - 1.0 / 1680.0
    series = series * square + 1.0 / 1260.0
    series = series * square - 1.0 / 360.0
    series = series * square + 1.0 / 12.0
    return (x - 0.5) * math.log(x) - x + _HALF_LOG_OF_CIRCLE + series * part


@kernel
def add_up(values: Floats) -> float:
    """Return the sum of float64[n], added from the first to the last."""
    total = 0.0
    for value in values:
        total += value
    return total


@kernel
def power(base: float, times: float) -> float:
    """Return a base to the power of a number of times that it is met, which are not negative."""
    return math.pow(base, times)
