"""Training with few weights: those whose gradients have accumulated to most are kept, others forgotten.

A weight is what is left of its initial value plus what its gradients have accumulated to. Each iteration
moves all weights by their gradients; then the weights that have moved furthest are tracked, and the others
fall back to what is left of their initial values, which nobody stores and which decays to zero.

Source: Procrustes (MICRO 2020), after Golub, Lemieux and Lis, full deep neural network training on a
pruned weight budget (SysML 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from procrustes_model.kernels.pruning.track import measure_moved, settle_weights
from procrustes_model.training.initial import CUTOFF, Initial, decay_further, lower_initial
from procrustes_model.training.quantile import Quantile, Streamed, select_by_quantile, select_exactly


@dataclass(frozen=True)
class Tracked:
    """The weights of one iteration after selection.

    Attributes
    ----------
    weights : tuple of float[...]
        What the next iteration computes with.
    tracked : tuple of bool[...]
        Which of them are stored.
    decayed : float
        What is left of the initial values.
    estimate : float
        Of the quantile; as it was where selection is exact.
    comparisons, updates : int
        Of the quantile unit.
    """

    weights: tuple[NDArray[Any], ...]
    tracked: tuple[NDArray[np.bool_], ...]
    decayed: float
    estimate: float
    comparisons: int
    updates: int


def accumulated_gradients(weights: NDArray[Any], initial: Initial, decayed: float) -> NDArray[Any]:
    """Measure how far each weight is from what is left of its initial value.

    Parameters
    ----------
    weights : float32[...] or float64[...]
    initial : Initial
    decayed : float
        What is left of the initial values.

    Returns
    -------
    float[...]
        Not negative, of the shape and type of `weights`.
    """
    weights = _checked(weights)
    moved = np.empty_like(weights)
    measure_moved(weights.reshape(-1), lower_initial(initial), decayed, moved.reshape(-1))
    return moved


def track(
    weights: Sequence[NDArray[Any]],
    initials: Sequence[Initial],
    keep: float,
    *,
    decayed: float,
    decay: float = 0.9,
    cutoff: float = CUTOFF,
    quantile: Quantile | None = None,
    estimate: float | None = None,
) -> Tracked:
    """Choose which weights are tracked, and let the initial values decay.

    Parameters
    ----------
    weights : sequence of float32[...] or float64[...]
        One array per layer, after the update by the gradients.
    initials : sequence of Initial
        One per layer.
    keep : float
        Share of all these weights together that is tracked.
    decayed : float
        What was left of the initial values when the gradients were computed: 1 in the first iteration.
    decay, cutoff : float
        See `decay_further`.
    quantile : Quantile, optional
        How the quantile is estimated; without it, selection is exact.
    estimate : float, optional
        Where the estimate stands; `quantile.start` if not given.

    Returns
    -------
    Tracked

    Raises
    ------
    ValueError
        When `keep` is no share, or a layer's weights are neither float32 nor float64.
    """
    weights = [_checked(array) for array in weights]
    moved = [
        accumulated_gradients(array, initial, decayed)
        for array, initial in zip(weights, initials, strict=True)
    ]
    if quantile is None:
        streamed = Streamed(select_exactly(moved, keep), 0.0 if estimate is None else estimate, 0, 0)
    else:
        at = quantile.start if estimate is None else estimate
        streamed = select_by_quantile(moved, keep, at, quantile)
    after = decay_further(decayed, decay, cutoff)
    settled = []
    for array, mask, initial in zip(weights, streamed.selected, initials, strict=True):
        result = np.empty_like(array)
        flat = (array.reshape(-1), mask.reshape(-1), lower_initial(initial))
        settle_weights(*flat, decayed, after, result.reshape(-1))
        settled.append(result)
    return Tracked(
        weights=tuple(settled),
        tracked=streamed.selected,
        decayed=after,
        estimate=streamed.estimate,
        comparisons=streamed.comparisons,
        updates=streamed.updates,
    )


def storage_density(tracked: Sequence[NDArray[np.bool_]]) -> float:
    """Return tracked weights / weights: what is stored.

    Parameters
    ----------
    tracked : sequence of bool[...]
    """
    return sum(int(mask.sum()) for mask in tracked) / max(1, sum(mask.size for mask in tracked))


def compute_density(weights: Sequence[NDArray[Any]]) -> float:
    """Return weights that are not zero / weights: what is computed with.

    It is larger than the storage density until the initial values have decayed to zero.

    Parameters
    ----------
    weights : sequence of float[...]
    """
    return sum(int(np.count_nonzero(array)) for array in weights) / max(
        1, sum(array.size for array in weights)
    )


def _checked(weights: NDArray[Any]) -> NDArray[Any]:
    """Return the weights in C order."""
    if weights.dtype not in (np.float32, np.float64):
        raise ValueError(f"weights are {weights.dtype}; they must be float32 or float64")
    return np.ascontiguousarray(weights)
