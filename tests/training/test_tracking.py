"""Tracking: what is kept, what is forgotten, and what decays."""

from __future__ import annotations

import numpy as np
import pytest

from procrustes_model.training import (
    Initial,
    Quantile,
    accumulated_gradients,
    compute_density,
    decay_further,
    initial_values,
    select_exactly,
    storage_density,
    track,
)

pytestmark = pytest.mark.quick

INITIALS = (Initial(1, 0, 0.5), Initial(1, 1, 2.0, "normal"))
SHAPES = ((4, 3, 3, 3), (7, 10))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("quantile", [None, Quantile(rate=0.01)])
def test_many_iterations(dtype: type, quantile: Quantile | None) -> None:
    """A weight is what is left of its initial value plus what has accumulated since it was last forgotten."""
    rng = np.random.default_rng(0)
    weights = [initial_values(one, shape, dtype) for one, shape in zip(INITIALS, SHAPES, strict=True)]
    stored = [np.zeros(shape) for shape in SHAPES]
    left, estimate = 1.0, None
    for _ in range(200):
        moves = [0.01 * rng.standard_t(3, size=shape) for shape in SHAPES]
        moved = [(one + move).astype(dtype) for one, move in zip(weights, moves, strict=True)]
        result = track(moved, INITIALS, 0.2, decayed=left, quantile=quantile, estimate=estimate)
        left = decay_further(left, 0.9)
        assert result.decayed == left
        for i, (one, mask) in enumerate(zip(result.weights, result.tracked, strict=True)):
            stored[i] = np.where(mask, stored[i] + moves[i], 0)
            initial = initial_values(INITIALS[i], SHAPES[i], dtype, left)
            assert one.dtype == dtype
            assert np.array_equal(one[~mask], initial[~mask])
            assert np.allclose(one, initial + stored[i], atol=1e-4 if dtype == np.float32 else 1e-12)
        weights, estimate = list(result.weights), result.estimate
        if quantile is None:
            assert storage_density(result.tracked) == pytest.approx(0.2, abs=0.5 / 178)
        if left:
            assert compute_density(weights) == 1.0
    assert left == 0.0
    assert compute_density(weights) == storage_density(result.tracked)


def test_exact_selection_is_of_what_has_accumulated() -> None:
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=shape) for shape in SHAPES]
    moved = [
        np.abs(one - initial_values(i, one.shape, np.float64, 0.81))
        for one, i in zip(weights, INITIALS, strict=True)
    ]
    result = track(weights, INITIALS, 0.3, decayed=0.81)
    for mask, expected in zip(result.tracked, select_exactly(moved, 0.3), strict=True):
        assert np.array_equal(mask, expected)
    assert (result.comparisons, result.updates) == (0, 0)


def test_weights_that_did_not_move_have_not_accumulated() -> None:
    initial = Initial(5, 0, 0.3)
    left = 0.9**3
    weights = initial_values(initial, (50,), np.float32, left)
    assert not accumulated_gradients(weights, initial, left).any()


def test_any_memory_order() -> None:
    weights = np.asfortranarray(np.random.default_rng(2).normal(size=(6, 8)))
    one = track([weights], INITIALS[:1], 0.25, decayed=1.0)
    other = track([np.ascontiguousarray(weights)], INITIALS[:1], 0.25, decayed=1.0)
    assert np.array_equal(one.weights[0], other.weights[0])


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="float32 or float64"):
        track([np.zeros(3, np.float16)], INITIALS[:1], 0.5, decayed=1.0)
    with pytest.raises(ValueError, match="keep 0"):
        track([np.zeros(3)], INITIALS[:1], 0, decayed=1.0)
    with pytest.raises(ValueError, match="argument 2"):
        track([np.zeros(3)], INITIALS, 0.5, decayed=1.0)


def test_densities_of_nothing() -> None:
    assert storage_density([]) == 0.0
    assert compute_density([np.zeros((0, 2))]) == 0.0
