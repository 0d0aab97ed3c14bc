"""The fewest steps of a nest whose loops need not divide the bounds.

A dimension of bound b that is spread over s instances in all takes ceil(b / s) iterations in time at least,
and one loop outside of everything takes just as many. As ceil(ceil(b / s) / t) = ceil(b / (s t)), the axes of
the machine take their shares one after the other: a state is what is left of each dimension. States are
followed from the one with the least bound on, the product of what is left over the instances of the axes to
come.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

import numpy as np

from procrustes_model.kernels.dense.arrays import Ints
from procrustes_model.mapper.imperfect.space import factor_limits
from procrustes_model.mapper.space import Space

MOST_STATES = 3_000
"""States that are followed; then the least bound of those that are left stands."""

MOST_VECTORS = 200_000
"""Ways to share an axis that are listed; one with more is taken as instances to share at will."""


_Axis = tuple[int, int, Ints, int]
"""Level, 0 for x and 1 for y, ways to share it, instances."""


@dataclass(frozen=True)
class Fewest:
    """What is known of the steps of all nests.

    Attributes
    ----------
    bound : int
        No nest has fewer.
    steps : int
        What the nest that was found has.
    spatial : int64[L, 2, D]
        Its factors on x and on y.
    """

    bound: int
    steps: int
    spatial: Ints


def list_shares(size: int, most: Ints) -> Ints | None:
    """Return the ways to share an axis among dimensions of which none could be given more.

    Parameters
    ----------
    size : int
        Instances along the axis.
    most : int64[D]
        Of which each dimension may be given so many.

    Returns
    -------
    int64[n, D] or None
        None where they are too many.
    """
    rows = np.ones((1, len(most)), np.int64)
    for d in range(len(most)):
        room = size // rows.prod(axis=1)
        counts = np.minimum(room, most[d])
        if counts.sum() > MOST_VECTORS:
            return None
        rows = np.repeat(rows, counts, axis=0)
        ends = np.cumsum(counts)
        rows[:, d] = np.arange(len(rows)) - np.repeat(ends - counts, counts) + 1
    used = rows.prod(axis=1)[:, None]
    full = (used // rows * (rows + 1) > size) | (rows >= most)
    return np.asarray(rows[full.all(axis=1)])


def find_fewest_steps(space: Space) -> Fewest:
    """Find a nest of as few steps as any, or nearly, and what none falls below.

    Rules that demand factors of some size are not heeded: what is found may break them.
    """
    limits, bounds = factor_limits(space), space.model.bounds
    levels, dimensions = space.levels, len(bounds)
    axes: list[_Axis] = []
    units = 1.0
    for level in range(levels):
        for axis, size in enumerate(space.architecture.fanout(level)):
            shares = list_shares(size, np.minimum(limits[1, level, 1 + axis], bounds)) if size > 1 else None
            if shares is not None:
                axes.append((level, axis, shares, size))
            else:
                units *= size
    after = [math.prod(size for *_, size in axes[i:]) * units for i in range(len(axes) + 1)]

    def bound_of(left: Ints, axis: int) -> int:
        return int(max(1, math.ceil(math.prod(left.tolist()) / after[axis] * (1 - 1e-12))))

    queue: list[tuple[int, int, tuple[int, ...], tuple[int, ...]]] = []
    heapq.heappush(queue, (bound_of(bounds, 0), 0, tuple(bounds.tolist()), ()))
    seen: set[tuple[int, tuple[int, ...]]] = set()
    while True:
        bound, minus, left, path = heapq.heappop(queue)
        axis = -minus
        if axis == len(axes) or len(seen) == MOST_STATES or space.deadline.late:
            return _finish(bound, np.array(left), path, axes, np.ones((levels, 2, dimensions), np.int64))
        if (axis, left) in seen:
            continue
        seen.add((axis, left))
        rest, rows = np.unique(-(-np.array(left) // axes[axis][2]), axis=0, return_index=True)
        for one, row in zip(rest, rows.tolist(), strict=True):
            heapq.heappush(queue, (bound_of(one, axis + 1), -(axis + 1), tuple(one.tolist()), (*path, row)))


def _finish(bound: int, left: Ints, path: tuple[int, ...], axes: list[_Axis], chosen: Ints) -> Fewest:
    """Share the axes that are left one by one, each as well as it can be by itself."""
    for _, _, shares, _ in axes[len(path) :]:
        rest = -(-left // shares)
        row = int(np.argmin(rest.prod(axis=1).astype(float)))
        left, path = rest[row], (*path, row)
    for (level, on, shares, _), row in zip(axes, path, strict=True):
        chosen[level, on] = shares[row]
    return Fewest(bound, math.prod(left.tolist()), chosen)
