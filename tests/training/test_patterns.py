"""Patterns: which elements are kept, beside a walk through them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from procrustes_model.training import NM, TopK
from tests.naive import less

SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 9), st.integers(1, 3), st.integers(1, 3))


def draw(shape: tuple[int, ...], seed: int) -> Any:
    """Return numbers of which many are equal or zero."""
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(np.float32)


@given(SHAPES, st.integers(1, 5), st.data(), st.integers(0, 2**32))
def test_groups_are_those_of_a_walk(shape: tuple[int, ...], m: int, data: st.DataObject, seed: int) -> None:
    n = data.draw(st.integers(1, m))
    values = draw(shape, seed)
    for kind, along, axis in (
        ("weights", "K", 0),
        ("weights", "C", 1),
        ("inputs", "C", 1),
        ("inputs", "N", 0),
        ("gradients", "K", 1),
    ):
        assert np.array_equal(NM(n, m, along).mask(values, kind), less.nm_mask(values, n, m, axis))
        dense = NM(n, m, along, "dense").mask(values, kind)
        whole = values.shape[axis] % m == 0
        assert np.array_equal(dense, NM(n, m, along).mask(values, kind) if whole else np.ones(shape, bool))
    assert np.array_equal(NM(n, m, "flattened").mask(values), less.flattened_mask(values, n, m))


@given(st.lists(SHAPES, min_size=1, max_size=3), st.floats(0.01, 1), st.integers(0, 2**32))
def test_the_largest_are_those_of_sorting(shapes: list[Any], keep: float, seed: int) -> None:
    values = [draw(shape, seed + i) for i, shape in enumerate(shapes)]
    for found, expected in zip(TopK(keep).masks(values), less.top_masks(values, keep), strict=True):
        assert np.array_equal(found, expected)
    for found, one in zip(TopK(keep, per_layer=True).masks(values), values, strict=True):
        assert np.array_equal(found, less.top_masks([one], keep)[0])


def test_three_channels_by_hand() -> None:
    """27 weights of a filter in groups of 4, input channels fastest: two of each, and of the last 3."""
    weights = np.zeros((1, 3, 3, 3))
    weights[0, :, 0, 0], weights[0, 0, 0, 1] = (1, 2, 3), 4  # the first group
    mask = NM(2, 4, "flattened").mask(weights)
    assert mask[0, :, 0, 0].tolist() == [False, False, True]
    assert mask[0, 0, 0, 1]
    assert mask.sum() == 14
    assert NM(2, 4).mask(weights).sum() == 18  # along C: two of three
    assert NM(2, 4, short_groups="dense").mask(weights).all()


def test_what_is_no_number_is_kept() -> None:
    assert NM(1, 2).mask(np.array([[1.0, np.nan, -np.inf, 2.0]])).tolist() == [[False, True, True, False]]
    assert TopK(0.5).mask(np.array([3.0, np.nan])).tolist() == [False, True]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NM(0, 4), "0 of 4: n must be from 1 to m"),
        (lambda: NM(5, 4), "5 of 4"),
        (lambda: NM(2, 4, "R"), "along 'R' is none of"),
        (lambda: NM(2, 4, short_groups="kept"), "short_groups 'kept' is neither"),  # type: ignore[arg-type]
        (lambda: TopK(0.0), "keep 0.0 must be above 0"),
        (lambda: NM(2, 4).mask(np.ones(4)), "fewer than two dimensions"),
        (lambda: NM(2, 4, "K").mask(np.ones((4, 4)), "inputs"), "inputs have no dimension K, but N and C"),
        (lambda: NM(2, 4, "flattened").mask(np.ones((4, 4)), "inputs"), "'flattened' is of weights"),
    ],
)
def test_mistakes(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
