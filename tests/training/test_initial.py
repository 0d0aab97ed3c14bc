"""Initial values: regenerated, alike on every machine, decaying to zero."""

from __future__ import annotations

import numpy as np
import pytest

from procrustes_model.training import Initial, decay_further, initial_values

UNIFORM = [0.4242099356773973, -0.7833226169062387, -0.16759654800764806, -0.7267716848020797]
NORMAL = [0.5634662356165842, -0.5087714244248149, 0.34092085864615984, 0.09835551575267909]


@pytest.mark.quick
def test_values_are_pinned() -> None:
    """A change of the generator would make every checkpoint useless."""
    uniform = initial_values(Initial(7, 2, 0.5), (4,), np.float64)
    normal = initial_values(Initial(7, 2, 0.5, "normal"), (4,), np.float64)
    assert uniform.tolist() == UNIFORM
    assert normal.tolist() == NORMAL


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_distribution(distribution: str) -> None:
    values = initial_values(Initial(3, 0, 2.0, distribution), (200_000,), np.float64)  # type: ignore[arg-type]
    assert abs(values.mean()) < 0.02
    assert values.std() == pytest.approx(2.0, rel=0.01)
    assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 0.01
    kurtosis = np.mean((values / values.std()) ** 4)
    assert kurtosis == pytest.approx({"uniform": 1.8, "normal": 2.7}[distribution], rel=0.02)


@pytest.mark.quick
@pytest.mark.parametrize(("seed", "layer"), [(0, 1), (1, 0), (1, 1), (2**63 - 1, 2**63 - 1)])
def test_seeds_and_layers_are_unrelated(seed: int, layer: int) -> None:
    one, other = (initial_values(Initial(*key, 1.0), (50_000,)) for key in ((0, 0), (seed, layer)))
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.02


@pytest.mark.quick
def test_shape_and_type_do_not_change_values() -> None:
    flat = initial_values(Initial(1, 1, 1.0), (24,), np.float64)
    shaped = initial_values(Initial(1, 1, 1.0), (2, 3, 4), np.float32)
    assert shaped.dtype == np.float32
    assert np.array_equal(shaped.ravel(), flat.astype(np.float32))
    assert initial_values(Initial(1, 1, 1.0), (0, 3)).shape == (0, 3)


@pytest.mark.quick
def test_decay_ends_at_zero() -> None:
    left, steps = 1.0, 0
    while left:
        left, steps = decay_further(left, 0.9), steps + 1
    assert steps == 158
    assert decay_further(1.0, 0.0) == 0.0
    assert decay_further(1.0, 1.0) == 1.0
    assert decay_further(1e-300, 0.9, cutoff=0.0) > 0
    assert not initial_values(Initial(1, 1, 1.0), (9,), decayed=0.0).any()


@pytest.mark.quick
@pytest.mark.parametrize(
    "arguments", [(-1, 0, 1.0), (0, 2**63, 1.0), (0, 0, -1.0), (0, 0, np.nan), (0, 0, 1.0, "cauchy")]
)
def test_bad_descriptions(arguments: tuple[object, ...]) -> None:
    with pytest.raises(ValueError, match=r"must be|is no|neither"):
        Initial(*arguments)  # type: ignore[arg-type]
