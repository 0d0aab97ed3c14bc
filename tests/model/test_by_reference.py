"""Named tuples that kernels pass by reference read the same inside a kernel as outside."""

from __future__ import annotations

import weakref
from typing import NamedTuple

import numpy as np
import pytest

from procrustes_model.kernels.cache import COMPILED
from procrustes_model.kernels.dense.arrays import Bools, Floats, Ints
from procrustes_model.kernels.jit import by_reference, kernel


@by_reference
class Inner(NamedTuple):
    """Fields of every kind, and two arrays of one type."""

    flags: Bools
    share: float
    first: Ints
    second: Ints
    on: bool


@by_reference
class Outer(NamedTuple):
    """A tuple with another one in it."""

    count: int
    inner: Inner
    table: Floats


@kernel
def share_of(inner: Inner) -> float:
    """Read one number: so small a kernel becomes part of the call from Python."""
    return inner.share if inner.on else -inner.share


@kernel
def add_to(outer: Outer, n: int) -> float:
    """Read all fields, through another kernel too, and write to arrays while reading."""
    inner, total = outer.inner, 0.0
    for i in range(n):
        outer.table[i, 1] += inner.first[i] - inner.second[i] + outer.count
        total += outer.table[i, 1] * share_of(inner) if inner.flags[i] else 0.5
    return total


@kernel
def count_calls(outer: Outer, n: int) -> float:
    """Read in a loop what the loop writes."""
    total = 0.0
    for _ in range(n):
        total += add_to(outer, outer.table.shape[0])
    return total


def make(seed: int) -> Outer:
    """Draw an `Outer`; its table is a view whose rows are not side by side."""
    rng = np.random.default_rng(seed)
    inner = Inner(
        rng.random(5) < 0.5, float(rng.random()), rng.integers(0, 9, 5), rng.integers(0, 9, 5), seed % 2 > 0
    )
    return Outer(int(rng.integers(9)), inner, rng.random((5, 6))[:, ::2])


@pytest.mark.quick
@pytest.mark.parametrize("seed", range(4))
def test_fields_are_read_and_written_as_in_python(seed: int) -> None:
    """Every kind of field, of a tuple in a tuple too, and values that change from call to call."""
    fast, slow = make(seed), make(seed)
    plain = getattr(add_to, "py_func", add_to)
    assert share_of(fast.inner) == (fast.inner.share if seed % 2 else -fast.inner.share)
    assert count_calls(fast, 3) == pytest.approx(sum(plain(slow, 5) for _ in range(3)), rel=1e-14)
    np.testing.assert_array_equal(fast.table, slow.table)


def test_arrays_are_freed_after_a_call() -> None:
    """Kernels do not go on owning what they were given."""
    outer = make(1)
    count_calls(outer, 2)
    table = weakref.ref(outer.table)
    del outer
    assert table() is None


@pytest.mark.skipif(not COMPILED, reason="plain Python takes anything")
def test_what_is_no_array_is_refused() -> None:
    """A field without a type in kernels is an error of Python's, not a crash."""
    with pytest.raises(TypeError):
        share_of(make(1).inner._replace(first="no array"))
