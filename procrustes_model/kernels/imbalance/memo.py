"""The expected work of the slowest processing element by tile, remembered."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from procrustes_model.kernels.dense.arrays import OK, Floats, Ints
from procrustes_model.kernels.imbalance.expected import expected_largest, expected_largest_pair
from procrustes_model.kernels.imbalance.policies import FOLD, OWN
from procrustes_model.kernels.imbalance.sampled import (
    drawn_largest,
    grouped_largest,
    sampled_largest,
    thrown_largest,
)
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.arrays import BalanceArrays, DensityArrays, TileArrays

_FEW_ROUNDS = 2
"""With so few array-level tiles the known total matters, and a fixed-seed sample is drawn instead."""

_FEW_NONZEROS = 32
_FEW_TILES = 16
"""With so few nonzeros in so few array-level tiles, too. With more of either, what the total being known
changes is within 2 %."""

_FEW_BITS = 1 << 15
_FEW_ELEMENTS = 40

_MANY_ELEMENTS = 256
"""From here on, the work is interpolated between sizes."""

_MANY_PARTS = 2048
"""Beyond it, the excess over the mean is taken to grow like an extreme of a normal distribution."""

_LONG_PIECE = 4096
"""Beyond it, the excess over the mean is taken to grow with the root of the elements."""


class MemoArrays(NamedTuple):
    """Results by tile, in an open hash table.

    Attributes
    ----------
    key : int64[M, 8]
        Elements, parts, rounds (few ones), pieces and assignment; of tiles that cut n:m groups `along` in
        place of rounds, then `across`, `apart` and whether pieces cut groups. Elements 0: free. M is a power
        of two.
    value : float64[M]
    filled : int64[1]
    """

    key: Ints
    value: Floats
    filled: Ints


def make_memo(size: int = 1 << 14) -> MemoArrays:
    """Allocate an empty table of `size` entries, a power of two."""
    return MemoArrays(np.zeros((size, 8), np.int64), np.zeros(size), np.zeros(1, np.int64))


@kernel
def _largest(
    elements: int, parts: int, few: int, pieces: int, assignment: int, density: float, nonzeros: int
) -> float:
    """Return the expected work, in elements, of the slowest of `parts` processing elements.

    `elements`: of the tile of one, all its `pieces`. `few`: the number of array-level tiles where it is
    small, else 0.
    """
    if parts == 1 or density >= 1:
        return elements * density
    piece = elements // pieces
    if few:
        if nonzeros <= _FEW_NONZEROS:
            return thrown_largest(piece, parts, pieces, assignment, nonzeros, few)
        return sampled_largest(piece, parts, pieces, assignment, nonzeros, elements * parts * few)
    if assignment == OWN:
        return expected_largest(elements, density, parts)
    short, many = min(piece, _LONG_PIECE), min(parts, _MANY_PARTS)
    if assignment == FOLD and pieces == 2:
        excess = expected_largest_pair(short, density, many) - 2 * short * density
    else:
        excess = drawn_largest(short, many, pieces, assignment, density) - pieces * short * density
    if piece > short:
        excess *= math.sqrt(elements / pieces / short)
    if parts > many:
        excess *= math.sqrt(math.log(parts) / math.log(many))
    return min(float(elements), elements * density + excess)


@kernel
def _hash(elements: int, parts: int, few: int, pieces: int, assignment: int) -> int:
    """Return a well-spread number for a key."""
    rule = pieces * 0x27D4EB2F + assignment * 0x165667B1
    mixed = elements * 0x9E3779B1 + parts * 0x85EBCA77 + few * 0xC2B2AE35 + rule
    return (mixed ^ (mixed >> 15)) & 0x7FFFFFFF


@kernel
def _recall(
    elements: int,
    parts: int,
    few: int,
    pieces: int,
    assignment: int,
    density: float,
    nonzeros: int,
    memo: MemoArrays,
) -> float:
    """Return what `_largest` returns, from the memo where it is there."""
    key, slots = memo.key, len(memo.value)
    slot = _hash(elements, parts, few, pieces, assignment) & (slots - 1)
    while key[slot, 0] != 0:
        if (
            key[slot, 0] == elements
            and key[slot, 1] == parts
            and key[slot, 2] == few
            and key[slot, 3] == pieces
            and key[slot, 4] == assignment
        ):
            return float(memo.value[slot])
        slot = (slot + 1) & (slots - 1)
    value = _largest(elements, parts, few, pieces, assignment, density, nonzeros)
    if memo.filled[0] < slots // 2:
        memo.filled[0] += 1
        memo.value[slot] = value
        key[slot, 0], key[slot, 1], key[slot, 2] = elements, parts, few
        key[slot, 3], key[slot, 4] = pieces, assignment
    return value


@kernel
def _largest_of_many(
    elements: int, parts: int, pieces: int, assignment: int, density: float, memo: MemoArrays
) -> float:
    """Return what `_largest` returns for many elements, from two of eight sizes per octave.

    The excess over the mean, divided by the root of the elements, is a smooth function of them: what comes
    out is within 0.02 % of the exact work for densities from 0.05 to 0.5 and 16 or 256 parts.
    """
    step = 1
    while step * 16 <= elements:
        step *= 2
    low = elements - elements % step
    excess = 0.0
    for size in (low, low + step):
        weight = 1 - abs(elements - size) / step
        if weight > 0:
            over = _recall(size, parts, 0, pieces, assignment, density, 0, memo) - size * density
            excess += weight * over / math.sqrt(size)
    return min(float(elements), elements * density + excess * math.sqrt(elements))


@kernel
def _recall_groups(
    group: Ints,
    tiles: TileArrays,
    n: int,
    elements: int,
    pieces: int,
    is_cut_along: bool,
    assignment: int,
    memo: MemoArrays,
) -> float:
    """Return what `grouped_largest` returns for the tile of mapping `n`, from the memo where it is there."""
    key, slots = memo.key, len(memo.value)
    along, across, apart = tiles.along[n], tiles.across[n], tiles.apart[n]
    fibres, others = max(1, elements // along), tiles.parts[n] // across
    slot = _hash(elements, others, along * 31 + across, pieces * 2 + apart, assignment) & (slots - 1)
    while key[slot, 0] != 0:
        if (
            key[slot, 0] == elements
            and key[slot, 1] == others
            and key[slot, 2] == along
            and key[slot, 3] == pieces
            and key[slot, 4] == assignment
            and key[slot, 5] == across
            and key[slot, 6] == apart
            and key[slot, 7] == int(is_cut_along)
        ):
            return float(memo.value[slot])
        slot = (slot + 1) & (slots - 1)
    length = along * across * tiles.turns[n]
    value = grouped_largest(
        group, length, along, across, apart, fibres, others, pieces, is_cut_along, assignment
    ) / (fibres * along)
    if memo.filled[0] < slots // 2:
        memo.filled[0] += 1
        memo.value[slot] = value
        key[slot, 0], key[slot, 1], key[slot, 2] = elements, others, along
        key[slot, 3], key[slot, 4], key[slot, 5] = pieces, assignment, across
        key[slot, 6], key[slot, 7] = apart, int(is_cut_along)
    return float(value)


@kernel
def expected_work(
    densities: DensityArrays,
    balance: BalanceArrays,
    sliding: bool,
    tiles: TileArrays,
    memo: MemoArrays,
    status: Ints,
    work: Floats,
) -> None:
    """Find the expected work of the slowest processing element as a share of a tile's.

    Models that put the same number of nonzeros everywhere know no imbalance; n:m groups do where a tile cuts
    them, and are then drawn. Halves of a tile that holds groups whole have the same sum in every tile:
    sorted, the k-th largest half belongs to the k-th smallest, and folding makes every load the same again.

    Parameters
    ----------
    densities : DensityArrays
    balance : BalanceArrays
        Tiles that are cut are balanced by its assignment.
    sliding : bool
        Whether a rank of the balanced tensor sums dimensions.
    tiles : TileArrays
    memo : MemoArrays
        Read and added to.
    status : int64[N]
        Mappings that are not valid are left out.
    work : float64[N]
        Filled in.
    """
    tensor = balance.tensor
    density, nonzeros, group = densities.average[tensor], densities.nonzeros[tensor], densities.group[tensor]
    for n in range(len(work)):
        pieces, assignment = 1, OWN
        if tiles.cut[n] >= 0 and balance.assignment != OWN:
            pieces, assignment = balance.pieces, balance.assignment
        elements, parts, rounds = tiles.alike[n], tiles.parts[n], tiles.rounds[n]
        if pieces > 1 and not (elements == 0 and pieces == 2 and assignment == FOLD):
            elements = tiles.pieced[n]
        if not densities.varies[tensor] or elements == 0 or status[n] != OK:
            work[n] = density
            continue
        if tiles.along[n] > 0:
            if parts == 1 or density >= 1:
                work[n] = density
                continue
            is_cut_along = tiles.cut[n] == group[2]
            share = _recall_groups(group, tiles, n, elements, pieces, is_cut_along, assignment, memo)
            work[n] = min(1.0, max(density, share))
            continue
        bits = float(elements) * parts * rounds
        small = rounds <= _FEW_ROUNDS and elements <= _FEW_ELEMENTS and bits <= _FEW_BITS
        small = small or (rounds <= _FEW_TILES and nonzeros <= _FEW_NONZEROS)
        few = rounds if small and not sliding and densities.known_total[tensor] else 0
        if pieces > 1:
            elements = max(pieces, elements - elements % pieces)
        if few or elements < _MANY_ELEMENTS:
            most = _recall(elements, parts, few, pieces, assignment, density, nonzeros, memo)
        else:
            most = _largest_of_many(elements, parts, pieces, assignment, density, memo)
        work[n] = most / elements
