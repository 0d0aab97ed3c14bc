"""Tensors whose rows have known numbers of nonzeros, each anywhere in its row, the fullest rows first.

A row is all that lies at an index of one rank. Boxes side by side take blocks of rows; blocks of alike rows
are looked at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from procrustes_model.kernels.arithmetic import add_up, power
from procrustes_model.kernels.dense.arrays import Floats, Ints
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.chances import hypergeometric_empty
from procrustes_model.kernels.sparse.distributions import (
    added,
    mixed_quantile,
    of_hypergeometric,
    of_many,
    trimmed,
)

_WIDEST = 1e4
"""Variance beyond which a quantile is that of normal distributions, right to a nonzero or two."""

_SLACK = 1e-12


class RowBlocks(NamedTuple):
    """Blocks of rows side by side, those that hold alike rows together.

    Attributes
    ----------
    first : int64[C + 1]
        Of the pieces of every block.
    piece : int64[P, 2]
        A run of alike rows, and how many of them the block takes.
    many : int64[C]
    """

    first: Ints
    piece: Ints
    many: Ints


@kernel
def list_blocks(runs: Ints, side: int) -> RowBlocks:
    """Return blocks of `side` rows, the last maybe shorter; `runs`: int64[X, 2], as in `rows_empty`."""
    first, many = np.zeros(2 * len(runs) + 3, np.int64), np.zeros(2 * len(runs) + 2, np.int64)
    piece = np.zeros((3 * len(runs) + 2, 2), np.int64)
    blocks = pieces = 0
    left = side
    for run in range(len(runs)):
        rows = runs[run, 1]
        if left < side:
            part = min(rows, left)
            piece[pieces, 0], piece[pieces, 1] = run, part
            pieces, left, rows = pieces + 1, left - part, rows - part
            if left == 0:
                many[blocks], first[blocks + 1] = 1, pieces
                blocks, left = blocks + 1, side
        if rows >= side:
            piece[pieces, 0], piece[pieces, 1] = run, side
            many[blocks], first[blocks + 1] = rows // side, pieces + 1
            pieces, blocks, rows = pieces + 1, blocks + 1, rows % side
        if rows > 0:
            piece[pieces, 0], piece[pieces, 1] = run, rows
            pieces, left = pieces + 1, side - rows
    if left < side:
        many[blocks], first[blocks + 1] = 1, pieces
        blocks += 1
    return RowBlocks(first[: blocks + 1], piece[:pieces], many[:blocks])


@kernel
def rows_empty(runs: Ints, length: int, side: int, width: int) -> float:
    """Return how likely a box is empty, in the mean over boxes side by side.

    Parameters
    ----------
    runs : int64[X, 2]
        Nonzeros of a row, and how many such rows there are, in order.
    length : int
        Elements of a row.
    side, width : int
        Rows of the box, and its elements in each of them.
    """
    blocks = list_blocks(runs, side)
    chance = np.empty(len(runs))
    for run in range(len(runs)):
        chance[run] = hypergeometric_empty(length, runs[run, 0], width)
    total = 0.0
    for i in range(len(blocks.many)):
        one = 1.0
        for j in range(blocks.first[i], blocks.first[i + 1]):
            one *= power(chance[blocks.piece[j, 0]], float(blocks.piece[j, 1]))
        total += blocks.many[i] * one
    return float(total / blocks.many.sum())


@kernel
def _held(runs: Ints, length: int, width: int, blocks: RowBlocks, i: int) -> tuple[int, Floats]:
    """Return the distribution of the nonzeros of a box, and where it begins."""
    begin, total = 0, np.ones(1)
    for j in range(blocks.first[i], blocks.first[i + 1]):
        low, p = of_hypergeometric(length, runs[blocks.piece[j, 0], 0], width)
        times = blocks.piece[j, 1]
        first, one = of_many(p, times)
        skipped, total = trimmed(added(total, one))
        begin += low * times + first + skipped
    return begin, total


@kernel
def rows_quantile(runs: Ints, length: int, side: int, width: int, share: float) -> int:
    """Return the least number that the nonzeros of a share of boxes side by side do not exceed.

    Parameters
    ----------
    runs, length, side, width
        As in `rows_empty`.
    share : float
        1: of all that can occur.
    """
    blocks = list_blocks(runs, side)
    count, most = len(blocks.many), 0
    mean, variance = np.zeros(count), np.zeros(count)
    for i in range(count):
        held = 0
        for j in range(blocks.first[i], blocks.first[i + 1]):
            nonzeros, rows = runs[blocks.piece[j, 0], 0], blocks.piece[j, 1]
            held += rows * min(nonzeros, width)
            one = width * (nonzeros / length)
            mean[i] += rows * one
            variance[i] += rows * one * (1 - nonzeros / length) * (length - width) / max(1, length - 1)
        most = max(most, held)
    if share >= 1:
        return most
    if variance.max() > _WIDEST:
        return int(mixed_quantile(mean, variance, blocks.many, 0, most, share))
    tally = np.zeros(most + 1)
    for i in range(count):
        begin, p = _held(runs, length, width, blocks, i)
        tally[begin : begin + len(p)] += blocks.many[i] * p
    beyond, allowed = 0.0, add_up(tally) * (1 - share * (1 - _SLACK))
    k = most
    while k > 0 and beyond + tally[k] <= allowed:
        beyond += tally[k]
        k -= 1
    return k
