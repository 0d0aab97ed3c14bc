"""Arithmetic with 64 binary digits, as processors of the x86 family have it, in pairs of floats.

A number is `high + low`, of which `high` is the nearest float: together they hold 106 digits. Every operation
is done with all of them, and its result rounded to 64, to even where it lies halfway, so that results are
those of that hardware on any machine. What is further out than floats reach carries a power of two beside it.
"""

from __future__ import annotations

import math

from procrustes_model.kernels.jit import kernel

_SPLIT = 134217729.0
"""2^27 + 1: times a float, it splits it into halves whose products are exact."""
_LN2_HIGH, _LN2_LOW, _LN2_LAST = 0.6931471805599453, 2.3190468138462996e-17, 5.707708438416212e-34


@kernel
def _two_sum(a: float, b: float) -> tuple[float, float]:
    """Return the sum of two floats, and what it leaves out."""
    total = a + b
    other = total - a
    return total, (a - (total - other)) + (b - other)


@kernel
def _two_product(a: float, b: float) -> tuple[float, float]:
    """Return the product of two floats, and what it leaves out."""
    product = a * b
    split = _SPLIT * a
    a_high = split - (split - a)
    a_low = a - a_high
    split = _SPLIT * b
    b_high = split - (split - b)
    b_low = b - b_high
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


@kernel
def add(a: float, a_low: float, b: float, b_low: float) -> tuple[float, float]:
    """Return a sum to 106 digits."""
    high, low = _two_sum(a, b)
    more, least = _two_sum(a_low, b_low)
    high, low = _two_sum(high, low + more)
    return _two_sum(high, low + least)


@kernel
def multiply(a: float, a_low: float, b: float, b_low: float) -> tuple[float, float]:
    """Return a product to about 104 digits."""
    high, low = _two_product(a, b)
    return _two_sum(high, low + (a * b_low + a_low * b))


@kernel
def divide(a: float, a_low: float, b: float, b_low: float) -> tuple[float, float]:
    """Return a quotient to about 104 digits."""
    first = a / b
    taken, taken_low = multiply(b, b_low, first, 0.0)
    rest, rest_low = add(a, a_low, -taken, -taken_low)
    second = rest / b
    taken, taken_low = multiply(b, b_low, second, 0.0)
    rest, rest_low = add(rest, rest_low, -taken, -taken_low)
    high, low = _two_sum(first, second)
    return _two_sum(high, low + rest / b)


@kernel
def rounded(high: float, low: float) -> tuple[float, float]:
    """Return a number rounded to 64 digits."""
    if high == 0.0 or low == 0.0:
        return high, low
    part, power = math.frexp(abs(high))
    if part == 0.5 and (low < 0.0) == (high > 0.0):
        power -= 1
    shift = math.ldexp(6755399441055744.0, power - 64)
    return _two_sum(high, (low + shift) - shift)


@kernel
def exponential(high: float, low: float) -> tuple[float, float, int]:
    """Return e to a power to about 100 digits, as a number about 1 and a power of two."""
    power = math.floor(high / _LN2_HIGH + 0.5)
    part, part_low = _two_product(power, _LN2_HIGH)
    high, low = add(high, low, -part, -part_low)
    part, part_low = _two_product(power, _LN2_LOW)
    high, low = add(high, low, -part, -part_low - power * _LN2_LAST)
    # Of a 256th of what is left, whose power is then squared eight times: 1 is added last.
    high, low = high / 256.0, low / 256.0
    total, total_low = high, low
    term, term_low = high, low
    for i in range(2, 15):
        term, term_low = multiply(term, term_low, high, low)
        term, term_low = divide(term, term_low, float(i), 0.0)
        total, total_low = add(total, total_low, term, term_low)
    for _ in range(8):
        square, square_low = multiply(total, total_low, total, total_low)
        total, total_low = add(2.0 * total, 2.0 * total_low, square, square_low)
    total, total_low = add(1.0, 0.0, total, total_low)
    return total, total_low, int(power)


@kernel
def logarithm(high: float, low: float) -> tuple[float, float]:
    """Return the natural logarithm of a positive number to about 100 digits."""
    guess = math.log(high)
    inverse, inverse_low, power = exponential(-guess, 0.0)
    part, part_low = multiply(high, low, inverse, inverse_low)
    scale = math.ldexp(1.0, power)
    step, step_low = add(part * scale, part_low * scale, -1.0, 0.0)
    # ln(1 + s) = s - s^2 / 2 + s^3 / 3 - ..., and s is less than 1e-13.
    square, square_low = multiply(step, step_low, step, step_low)
    step, step_low = add(step, step_low, -square / 2.0, -square_low / 2.0 + square * step / 3.0)
    return add(guess, 0.0, step, step_low)


@kernel
def power_of(high: float, low: float, exponent: float) -> tuple[float, float, int]:
    """Return a positive number to a power, rounded to 64 digits, as a number about 1 and a power of two."""
    log, log_low = logarithm(high, low)
    log, log_low = multiply(log, log_low, exponent, 0.0)
    part, part_low, power = exponential(log, log_low)
    part, part_low = rounded(part, part_low)
    return part, part_low, power


@kernel
def square_root(high: float, low: float) -> tuple[float, float]:
    """Return a square root, rounded to 64 digits."""
    guess = math.sqrt(high)
    square, square_low = _two_product(guess, guess)
    rest, _ = add(high, low, -square, -square_low)
    first = rest / (2.0 * guess)
    second, second_low = _two_sum(guess, first)
    square, square_low = multiply(second, second_low, second, second_low)
    rest, _ = add(high, low, -square, -square_low)
    second, second_low = add(second, second_low, rest / (2.0 * guess), 0.0)
    return rounded(second, second_low)
