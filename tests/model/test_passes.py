"""Kernels compiled by few passes do what they say, and leave out what a field that is None rules out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from procrustes_model.kernels.cache import COMPILED, links_kernels
from procrustes_model.kernels.dense.arrays import Floats, Ints
from procrustes_model.kernels.jit import brief, by_reference, kernel, step

linked = pytest.mark.skipif(
    not (COMPILED and links_kernels()), reason="kernels are plain Python, or another Numba compiles them"
)


@by_reference
class Asked(NamedTuple):
    """What may be asked for beside numbers."""

    numbers: Ints
    more: int | None


@by_reference
class Both(NamedTuple):
    """A tuple with such a one in it."""

    asked: Asked


@kernel
def rare(asked: Asked) -> float:
    """Stand for much code."""
    return float(asked.numbers[0] * 7)


@kernel
def rarest(both: Both) -> float:
    """Stand for more."""
    return float(both.asked.numbers[1] * 11)


@kernel
def often(both: Both, by: float) -> float:
    """Call others only where more is asked for, in a condition of one part and of several."""
    total, asked = 0.0, both.asked
    for i in range(len(asked.numbers)):
        total += asked.numbers[i] * by
        if asked.more is not None and i == 1:
            total += rare(asked)
    if both.asked.more is not None:
        total += rarest(both)
    return total


def called(function: Any) -> int:
    """Return in how many versions other kernels call one."""
    return len(function.part.overloads)


@linked
def test_what_a_field_rules_out_is_not_compiled() -> None:
    """Unless another call has something in that field."""
    numbers = np.arange(1, 4)
    assert often(Both(Asked(numbers, None)), 0.5) == 3.0
    assert (called(rare), called(rarest)) == (0, 0)
    assert often(Both(Asked(numbers, 1)), 0.5) == 3.0 + 7.0 + 22.0
    assert (called(rare), called(rarest)) == (1, 1)
    assert often(Both(Asked(numbers, None)), 0.5) == 3.0


@step
def twice(value: float) -> float:
    """Become part of what calls it."""
    return 2 * value


@kernel
def optional(values: Floats, last: Ints | None) -> float:
    """Do more where an argument is not None."""
    if last is not None:
        return float(values[last[0]])
    return twice(values[0])


@kernel
def unpack(pairs: Ints) -> int:
    """Take rows apart, and give one variable values of two kinds."""
    total = 0
    for pair in pairs:
        a, b = pair
        total += max(a, 3) * b % 5
    found = 1
    found = total if total > 4 else found
    return int(found)


@kernel
def whole_arrays(a: Floats, b: Floats) -> Floats:
    """Add and slice arrays."""
    a[1:] = 3.0
    return a * 2 + b


@kernel
def closure(values: Floats) -> float:
    """Need passes that most kernels do without."""
    squares = [value * value for value in values]
    return sum(squares)


@kernel
def chosen(value: float) -> float:
    """Ask for a type, which takes passes of its own."""
    return value if isinstance(value, float) else 0.0


@pytest.mark.quick
@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (optional, (np.array([1.5, 2.5]), None)),
        (optional, (np.array([1.5, 2.5]), np.array([1]))),
        (unpack, (np.array([[1, 2], [4, 5], [7, 9]]),)),
        (whole_arrays, (np.arange(3.0), np.ones(3))),
        (closure, (np.arange(4.0),)),
        (chosen, (2.5,)),
    ],
)
def test_what_python_can_say_means_the_same(function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Branches on None, loops, arrays as wholes, and what few passes are not enough for."""
    plain = getattr(function, "py_func", function)
    copies = [one.copy() if isinstance(one, np.ndarray) else one for one in arguments]
    np.testing.assert_array_equal(function(*arguments), plain(*copies))


@brief
def divided(a: float, b: float) -> float:
    """Divide, and raise to a power."""
    return (a / b) ** 3.5


@kernel
def divided_inside(a: float, b: float) -> float:
    """Call the kernel from compiled code."""
    return divided(a, b)


@pytest.mark.skipif(not COMPILED, reason="there is plain Python alone")
@pytest.mark.parametrize(("a", "b"), [(3.0, 7.0), (1e200, 1e-3), (2.0, 0.0), (math.inf, 2.0)])
def test_kernels_of_a_few_numbers_give_the_same_bits(a: float, b: float) -> None:
    """Also where plain Python would raise, and compiled code comes to infinity."""
    assert divided(a, b) == divided_inside(a, b)
