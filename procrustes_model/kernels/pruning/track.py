"""Which weights are tracked: how far each has moved, which have moved most, and what the others become."""

from __future__ import annotations

from procrustes_model.kernels.dense.arrays import Bools, Floats
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.pruning.initial import InitialArrays, initial_value, key_of

FLOOR = 2.0**-126
"""The estimate stays at or above the least normal float32: zero would multiply to zero for ever."""


@kernel
def measure_moved(weights: Floats, initial: InitialArrays, decayed: float, moved: Floats) -> None:
    """Find the accumulated gradients: how far weights are from their decayed initial values.

    Parameters
    ----------
    weights : float[N]
    initial : InitialArrays
    decayed : float
        What is left of the initial values.
    moved : float[N]
        Filled in, same type as `weights`.
    """
    key = key_of(initial)
    for i in range(len(weights)):
        # Stored first, so that it is rounded as the weight was that was set to it.
        moved[i] = decayed * initial_value(initial, key, i)
        moved[i] = abs(weights[i] - moved[i])


@kernel
def settle_weights(
    weights: Floats, tracked: Bools, initial: InitialArrays, before: float, after: float, settled: Floats
) -> None:
    """Let the initial values decay: below tracked weights, and in place of all others.

    Parameters
    ----------
    weights : float[N]
    tracked : bool[N]
    initial : InitialArrays
    before, after : float
        What was left of the initial values, and what is.
    settled : float[N]
        Filled in, same type as `weights`.
    """
    key = key_of(initial)
    for i in range(len(weights)):
        value = initial_value(initial, key, i) if before != 0 else 0.0
        if tracked[i]:
            settled[i] = before * value
            moved = weights[i] - settled[i]
            settled[i] = after * value
            settled[i] += moved
        else:
            settled[i] = after * value


@kernel
def stream_quantile(
    values: Floats, estimate: float, rate: float, probability: float, lanes: int, above: Bools
) -> float:
    """Compare a stream with a running estimate of its quantile (DUMIQUE), and return where the estimate ends.

    A value above multiplies the estimate by ``1 + rate * probability``, another one by
    ``1 - rate * (1 - probability)``; values of one step meet the same estimate and move it together.

    Parameters
    ----------
    values : float[N]
        Not negative.
    estimate : float
        Where it starts; positive.
    rate : float
    probability : float
        Share of the values that should be below.
    lanes : int
        Values per step.
    above : bool[N]
        Filled in: whether the value is above the estimate that it met.
    """
    count = len(values)
    for first in range(0, count, lanes):
        last = min(first + lanes, count)
        found = 0
        for i in range(first, last):
            above[i] = values[i] > estimate
            found += 1 if above[i] else 0
        estimate *= 1 + rate * (found * probability - (last - first - found) * (1 - probability))
        estimate = max(estimate, FLOOR)
    return estimate
