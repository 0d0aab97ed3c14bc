"""Selecting the largest values of a stream by a running estimate of a quantile, without sorting.

DUMIQUE (deterministic update-based multiplicative incremental quantile estimator): a value above the
estimate q multiplies it by ``1 + rate * p``, another one by ``1 - rate * (1 - p)``. The two balance where
a share p of the values is below. Over a stream of n values, the share that was selected differs from
``1 - p`` by about ``ln(q_end / q_start) / (rate * n)``: it is right as soon as the estimate has settled.

Source: Yazidi and Hammer, multiplicative update methods for incremental quantile estimation, 2017; in
Procrustes (MICRO 2020) it stands in for sorting the accumulated gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from procrustes_model.kernels.pruning.track import stream_quantile


@dataclass(frozen=True)
class Quantile:
    """How the quantile unit is set.

    Attributes
    ----------
    start : float
        The first estimate; positive. Too low is better than too high: it rises by up to `rate` per value and
        falls by `rate` times the share that is kept.
    rate : float
        Larger settles sooner, smaller is steadier.
    lanes : int
        Values per update: they meet the same estimate and move it together.

    Raises
    ------
    ValueError
        When a number is out of range, or one update could make the estimate negative.
    """

    start: float = 1e-6
    rate: float = 1e-3
    lanes: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.start < np.inf:
            raise ValueError(f"start {self.start} must be positive")
        if self.lanes < 1:
            raise ValueError(f"lanes {self.lanes} must be 1 or more")
        if not 0 < self.rate * self.lanes < 1:
            raise ValueError(f"rate {self.rate} times lanes {self.lanes} must be above 0 and below 1")


@dataclass(frozen=True)
class Streamed:
    """What the quantile unit made of a stream.

    Attributes
    ----------
    selected : tuple of bool[...]
        Which values were above the estimate when they came, one array per array of the stream.
    estimate : float
        Where the estimate ends: the start for what comes next.
    comparisons, updates : int
        Values compared, and changes of the estimate: what a cost model charges the unit for.
    """

    selected: tuple[NDArray[np.bool_], ...]
    estimate: float
    comparisons: int
    updates: int


def select_by_quantile(
    values: Sequence[NDArray[Any]], keep: float, estimate: float, quantile: Quantile | None = None
) -> Streamed:
    """Select about a share `keep` of the values, the largest, in one pass.

    Parameters
    ----------
    values : sequence of float[...]
        Not negative; the stream, in order, each array in C order.
    keep : float
        Share to be selected, above 0 and at most 1.
    estimate : float
        Where the estimate stands: `Quantile.start`, then what the pass before returned.
    quantile : Quantile, optional

    Returns
    -------
    Streamed

    Raises
    ------
    ValueError
        When `keep` is no share, or `estimate` is not positive.
    """
    quantile = quantile or Quantile()
    check_keep(keep)
    if not 0 < estimate < np.inf:
        raise ValueError(f"estimate {estimate} must be positive")
    selected = []
    for array in values:
        above = np.empty(array.shape, np.bool_)
        flat = np.ascontiguousarray(array).reshape(-1)
        estimate = stream_quantile(flat, estimate, quantile.rate, 1 - keep, quantile.lanes, above.reshape(-1))
        selected.append(above)
    return Streamed(
        selected=tuple(selected),
        estimate=float(estimate),
        comparisons=sum(array.size for array in values),
        updates=sum(-(-array.size // quantile.lanes) for array in values),
    )


def select_exactly(values: Sequence[NDArray[Any]], keep: float) -> tuple[NDArray[np.bool_], ...]:
    """Select the largest values by sorting: exactly ``round(keep * count)`` of them, but at least one.

    Of equal values the first ones are selected; what is not a number counts as infinite.

    Parameters
    ----------
    values : sequence of float[...]
    keep : float
        Share to be selected, above 0 and at most 1.

    Returns
    -------
    tuple of bool[...]
        One per array of `values`.

    Raises
    ------
    ValueError
        When `keep` is no share.
    """
    check_keep(keep)
    flat = np.concatenate([array.reshape(-1) for array in values])
    flat = np.where(np.isnan(flat), np.inf, flat)
    if not len(flat):
        return tuple(np.zeros(array.shape, np.bool_) for array in values)
    count = max(1, round(keep * len(flat)))
    threshold = np.partition(flat, len(flat) - count)[len(flat) - count]
    selected = flat > threshold
    ties = np.flatnonzero(flat == threshold)
    selected[ties[: count - int(selected.sum())]] = True
    ends = np.cumsum([array.size for array in values])[:-1]
    pieces = np.split(selected, ends)
    return tuple(piece.reshape(array.shape) for piece, array in zip(pieces, values, strict=True))


def check_keep(keep: float) -> None:
    """Raise ValueError unless `keep` is a share above 0."""
    if not 0 < keep <= 1:
        raise ValueError(f"keep {keep} must be above 0 and at most 1: the share of weights that is kept")
