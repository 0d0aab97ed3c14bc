"""Counts of compressed tensors in whole words, as a published tool has them.

There an access is left out in a fixed order: first what a compressed tile lacks, then what actions of levels
further out do not send, then what those of the level itself save; every step rounds what it removes down.
"""

from __future__ import annotations

import math

import numpy as np

from procrustes_model.kernels.dense.arrays import FILL, READ, UPDATE, Bools, Floats, Ints
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.actions import SAVED, SENT, STORED, is_target, take_whole
from procrustes_model.kernels.sparse.arrays import (
    SPACED,
    ActionArrays,
    BoxArrays,
    SavedArrays,
    SparseCountArrays,
)

_EXACT = 1e-9
"""Words by which a product of shares may miss the whole number that it stands for."""


@kernel
def round_down(words: float) -> float:
    """Round down, but for the error of a product that stands for a whole number."""
    nearest = math.floor(words + 0.5)
    return float(nearest) if abs(words - nearest) <= _EXACT * max(1.0, abs(words)) else math.floor(words)


@kernel
def keep_strongest(actions: ActionArrays, empty: Floats, boxes: BoxArrays) -> None:
    """Leave of several actions on a tensor at a level only the one that saves most; the first of equal ones.

    Parameters
    ----------
    actions : ActionArrays
    empty : float64[N, A, T]
    boxes : BoxArrays
        `effective` is cleared of all others.
    """
    mappings, count, tensors = empty.shape
    for n in range(mappings):
        for a in range(count):
            for b in range(count):
                level, target = boxes.level[n, a], actions.target[a]
                if a == b or boxes.level[n, b] != level or actions.target[b] != target:
                    continue
                if SPACED in (actions.kind[a], actions.kind[b]):
                    continue
                mine = theirs = 1.0
                for t in range(tensors):
                    mine *= 1 - empty[n, a, t] if boxes.effective[n, a, t] else 1.0
                    theirs *= 1 - empty[n, b, t] if boxes.effective[n, b, t] else 1.0
                if theirs < mine or (theirs == mine and b < a and boxes.effective[n, b].any()):
                    boxes.effective[n, a] = False
                    break


@kernel
def find_held(
    keep: Bools, compressed: Bools, unused: Bools, empty: Floats, dense: Floats, used: Floats
) -> None:
    """Find the share of instances that hold a tile, where the level outside knows which tiles are empty.

    Parameters
    ----------
    keep : bool[N, L, T]
    compressed : bool[L, T]
    unused : bool[L, T]
        Where an instance without a tile is not used, and counts are those of one that is.
    empty : float64[N, L, T]
        How likely a level's tile is.
    dense : float64[N, L + 1, T]
        Nonzeros / elements of the tiles of every level; grows to those of the tiles that are held.
    used : float64[N, L, T]
        Filled in.
    """
    mappings, levels, tensors = keep.shape
    for n in range(mappings):
        for t in range(tensors):
            parent = -1
            for level in range(levels):
                used[n, level, t] = 1.0
                if not keep[n, level, t]:
                    continue
                share = 1 - empty[n, level, t]
                sent = parent >= 0 and compressed[parent, t]
                if sent and unused[level, t] and 0 < share < 1:
                    used[n, level, t] = share
                    dense[n, level, t] = min(1.0, dense[n, level, t] / share)
                parent = level


@kernel
def count_held(used: Floats, counts: SparseCountArrays) -> None:
    """Give the counts of all instances on average to those that hold a tile.

    Parameters
    ----------
    used : float64[N, L, T]
        Share of instances that hold one.
    counts : SparseCountArrays
        `actual`, `gated` and `skipped` grow.
    """
    mappings, levels, tensors = used.shape
    for n in range(mappings):
        for level in range(levels):
            for t in range(tensors):
                if used[n, level, t] != 1:
                    counts.actual[n, level, t] /= used[n, level, t]
                    counts.gated[n, level, t] /= used[n, level, t]
                    counts.skipped[n, level, t] /= used[n, level, t]


@kernel
def _final(accesses: Ints) -> float:
    """Return the share of updates after which a sum is complete; `accesses`: int64[3]."""
    updates = accesses[UPDATE]
    return (updates - accesses[READ]) / updates if updates > 0 else 0.0


@kernel
def count_whole(
    accesses: Ints,
    keep: Bools,
    output: int,
    compressed: Bools,
    dense: Floats,
    sums: bool,
    near: bool,
    steps: Floats,
    actions: ActionArrays,
    saved: SavedArrays,
    counts: SparseCountArrays,
) -> None:
    """Split accesses into actual, gated and skipped ones, of compressed tensors of what is not zero.

    Parameters
    ----------
    accesses : int64[N, L, T, 3]
        If nothing were zero.
    keep : bool[N, L, T]
    output : int
    compressed : bool[L, T]
    dense : float64[N, L + 1, T]
        Nonzeros / elements of the tiles of every level.
    sums : bool
        Whether sums in progress of a compressed output are compressed, too; else only complete ones.
    near : bool
        Whether a count near a whole number, but for rounding errors, stands for it; else these count.
    steps : float64[N, L, T, 3]
        Share of accesses that is left where positions are chosen.
    actions : ActionArrays
    saved : SavedArrays
    counts : SparseCountArrays
        `actual`, `gated` and `skipped` are filled in.
    """
    mappings, levels, tensors, _ = accesses.shape
    words = np.empty(3)
    for n in range(mappings):
        for t in range(tensors):
            above, off = 0.0, actions.off
            target = off[SENT] != 0 and is_target(actions, t)
            for level in range(levels):
                for action in range(3):
                    words[action] = float(accesses[n, level, t, action])
                    counts.gated[n, level, t, action] = 0.0
                    counts.skipped[n, level, t, action] = 0.0
                    if not (keep[n, level, t] and compressed[level, t]):
                        continue
                    zeros = words[action] * (1 - dense[n, level, t])
                    if t == output and not sums:
                        zeros *= _final(accesses[n, level, t]) if action == UPDATE else 0.0
                    if near and off[STORED] == 0:
                        words[action] -= round_down(zeros)
                    else:
                        words[action] -= math.floor(zeros + words[action] * off[STORED])
                for action in range(3 if keep[n, level, t] else 0):
                    if steps[n, level, t, action] != 1:
                        share = 1 - steps[n, level, t, action]
                        words[action] -= take_whole(words[action], share, False, off[SENT])
                if above > 0 or target:
                    for action in range(3):
                        words[action] -= take_whole(words[action], above, False, off[SENT])
                for stage in range(2 if keep[n, level, t] else 0):
                    own = 1 - saved.left[n, level, t, stage]
                    if own <= above:
                        continue
                    share = 1 - (1 - own) / (1 - above)
                    kind = counts.skipped if stage == 0 else counts.gated
                    for action in (READ, UPDATE):
                        lost = take_whole(words[action], share, t == output and action == READ, off[SAVED])
                        words[action] -= lost
                        kind[n, level, t, action] = lost
                    above = own
                for action in (READ, FILL, UPDATE):
                    counts.actual[n, level, t, action] = words[action]
