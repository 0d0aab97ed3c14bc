"""The half-tile balancer: halves of processing elements' tiles, paired so that all have about the same work.

The work of a half tile is how many values it has: the difference of two pointers of its compressed blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Balanced:
    """What the balancer did.

    Attributes
    ----------
    halves : int64[rounds, parts, 2]
        The two half tiles of its round that each processing element works on, 0 to 2 parts - 1, the smaller
        first.
    work_before, work_after : int64[rounds, parts]
        Values that each processing element works on.
    pointer_reads : int
        What a cost model charges the balancer for.
    """

    halves: NDArray[np.int64]
    work_before: NDArray[np.int64]
    work_after: NDArray[np.int64]
    pointer_reads: int

    @property
    def cycles_before(self) -> int:
        """Cycles if every round ends with its slowest processing element, one value per cycle."""
        return int(self.work_before.max(axis=1, initial=0).sum())

    @property
    def cycles_after(self) -> int:
        """The same with the work as it is balanced."""
        return int(self.work_after.max(axis=1, initial=0).sum())


def balance_half_tiles(pointers: NDArray[np.int64], rounds: int, parts: int) -> Balanced:
    """Sort the half tiles of every round by size, and pair the smallest with the largest.

    Parameters
    ----------
    pointers : int64[2 * rounds * parts + 1]
        Where the values of each half tile begin, and where the last one ends: round by round, part by part,
        its two halves next to each other.
    rounds : int
        Array-level tiles, one after the other.
    parts : int
        Processing elements that work side by side and wait for each other.

    Returns
    -------
    Balanced

    Raises
    ------
    ValueError
        When pointers are not as many, or do not ascend.
    """
    if pointers.shape != (2 * rounds * parts + 1,):
        raise ValueError(
            f"{rounds} rounds of {parts} tiles need {2 * rounds * parts + 1} pointers, not {pointers.shape}"
        )
    begin, end = pointers[:-1], pointers[1:]
    size = end - begin
    if np.any(size < 0):
        raise ValueError("pointers must ascend")
    halves = size.reshape(rounds, 2 * parts)
    order = np.argsort(halves, axis=1, kind="stable")
    # The i-th smallest goes with the i-th largest.
    pairs = np.stack([order[:, :parts], order[:, : parts - 1 : -1]], axis=2)
    return Balanced(
        halves=pairs,
        work_before=halves.reshape(rounds, parts, 2).sum(axis=2),
        work_after=np.take_along_axis(halves, pairs.reshape(rounds, -1), axis=1)
        .reshape(pairs.shape)
        .sum(axis=2),
        pointer_reads=begin.size + end.size,
    )
