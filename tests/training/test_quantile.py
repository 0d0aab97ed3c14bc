"""The quantile unit, against its definition and against sorting."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from procrustes_model.training import Quantile, select_by_quantile, select_exactly
from tests.training import naive

Draw = Callable[[np.random.Generator, int], np.ndarray]
DISTRIBUTIONS: dict[str, Draw] = {
    "uniform": lambda rng, n: rng.random(n),
    "half normal": lambda rng, n: np.abs(rng.normal(size=n)),
    "exponential": lambda rng, n: rng.exponential(size=n),
    "log normal": lambda rng, n: rng.lognormal(0, 2, n),
    "Pareto": lambda rng, n: rng.pareto(1.5, n),
    "two peaks": lambda rng, n: np.abs(
        np.where(rng.random(n) < 0.15, rng.normal(5, 0.5, n), rng.normal(0, 0.01, n))
    ),
}
VALUES = st.lists(st.floats(0, 10, allow_subnormal=False), max_size=60)


@pytest.mark.parametrize("lanes", [1, 4])
@pytest.mark.parametrize("keep", [0.2, 0.1])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_tracked_fraction(name: str, keep: float, lanes: int) -> None:
    """After warm-up, every pass is within 5 % of the target, and finds what sorting finds."""
    rng, quantile = np.random.default_rng(0), Quantile(lanes=lanes)
    estimate = quantile.start
    for number in range(30):
        values = 1e-3 * DISTRIBUTIONS[name](rng, 20_000)
        result = select_by_quantile([values], keep, estimate, quantile)
        estimate = result.estimate
        if number >= 10:
            found, exact = result.selected[0], select_exactly([values], keep)[0]
            assert found.mean() == pytest.approx(keep, rel=0.05)
            assert exact.mean() == pytest.approx(keep, rel=1e-9)
            assert (found & exact).sum() > 0.93 * exact.sum()


@pytest.mark.quick
@given(values=VALUES, keep=st.floats(0.01, 1), rate=st.floats(1e-4, 0.5))
def test_definition(values: list[float], keep: float, rate: float) -> None:
    expected, end = naive.select_by_quantile(values, keep, 0.5, rate)
    result = select_by_quantile([np.array(values)], keep, 0.5, Quantile(rate=rate))
    assert result.selected[0].tolist() == expected
    assert result.estimate == end


@pytest.mark.quick
@given(values=VALUES, cut=st.integers(0, 60), lanes=st.integers(1, 7))
def test_counts_what_is_charged(values: list[float], cut: int, lanes: int) -> None:
    """One comparison per value; one update per value, or per group that shares it."""
    pieces = [np.array(values[:cut]), np.array(values[cut:])]
    result = select_by_quantile(pieces, 0.3, 1.0, Quantile(lanes=lanes, rate=0.1))
    assert result.comparisons == len(values)
    assert result.updates == sum(len(range(0, len(piece), lanes)) for piece in pieces)


@pytest.mark.quick
def test_stream_is_one() -> None:
    """Layers are one stream; shapes do not matter."""
    values = np.random.default_rng(0).random((6, 5, 4))
    whole = select_by_quantile([values], 0.2, 0.1)
    parts = select_by_quantile([values[:2], values[2:]], 0.2, 0.1)
    assert whole.estimate == parts.estimate
    assert np.array_equal(whole.selected[0], np.concatenate(parts.selected))
    turned = select_by_quantile([values.transpose(2, 1, 0)], 0.2, 0.1).selected[0]
    assert turned.shape == (4, 5, 6)


@pytest.mark.quick
def test_zeros_do_not_trap_the_estimate() -> None:
    estimate = select_by_quantile([np.zeros(100_000)], 0.5, 1e-6, Quantile(rate=0.5)).estimate
    assert estimate == 2.0**-126
    again = select_by_quantile([np.ones(2_000)], 0.5, estimate, Quantile(rate=0.5))
    assert again.estimate > 0.1


@pytest.mark.quick
@given(
    values=st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]) | st.floats(0, 3), min_size=1, max_size=50),
    keep=st.floats(0.01, 1),
)
def test_exact_selection(values: list[float], keep: float) -> None:
    half = len(values) // 2
    masks = select_exactly([np.array(values[:half]), np.array(values[half:])], keep)
    assert set(np.flatnonzero(np.concatenate(masks))) == naive.select_exactly(values, keep)


@pytest.mark.quick
def test_exact_selection_of_odd_values() -> None:
    assert select_exactly([np.array([np.nan, 1.0, 2.0, np.nan])], 0.5)[0].tolist() == [
        True,
        False,
        False,
        True,
    ]
    assert select_exactly([np.zeros((0, 3))], 0.5)[0].shape == (0, 3)
    assert select_exactly([np.zeros(5)], 0.4)[0].tolist() == [True, True, False, False, False]


@pytest.mark.quick
@pytest.mark.parametrize(
    "options", [{"start": 0.0}, {"rate": 0.0}, {"rate": 1.0}, {"lanes": 0}, {"rate": 0.1, "lanes": 10}]
)
def test_bad_settings(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Quantile(**options)  # type: ignore[arg-type]


@pytest.mark.quick
@pytest.mark.parametrize(("keep", "estimate"), [(0.0, 1.0), (1.1, 1.0), (np.nan, 1.0), (0.5, 0.0)])
def test_bad_selection(keep: float, estimate: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        select_by_quantile([np.ones(3)], keep, estimate)
