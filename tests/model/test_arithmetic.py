"""Arithmetic of kernels against exact numbers."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from procrustes_model.kernels.arithmetic import add_up, log_factorial, power

pytestmark = pytest.mark.quick


def test_logarithms_of_factorials() -> None:
    """To four units in the last place of the exact factorial's logarithm."""
    exact = 1
    for count in range(2000):
        exact *= max(1, count)
        digits = max(0, exact.bit_length() - 1000)  # log of a number beyond float64, in two parts
        wanted = math.log(exact >> digits) + digits * math.log(2)
        assert abs(log_factorial(float(count)) - wanted) <= 4 * math.ulp(wanted) + 1e-16 * digits


def test_sums_go_from_the_first_to_the_last() -> None:
    values = np.random.default_rng(1).random(1000)
    wanted = 0.0
    for value in values.tolist():
        wanted += value
    assert add_up(values) == wanted
    assert abs(Fraction(wanted) - sum(map(Fraction, values.tolist()))) < 1e-10


def test_powers() -> None:
    assert power(0.5, 3.0) == 0.125
    assert power(0.0, 0.0) == 1.0
    assert power(0.0, 2.0) == 0.0
