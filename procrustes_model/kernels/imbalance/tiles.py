"""Tiles of the balanced tensor, and the expected work of the slowest processing element, remembered."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from procrustes_model.kernels.dense.arrays import OK, Floats, Ints, LoopArrays, ProblemArrays
from procrustes_model.kernels.imbalance.expected import expected_largest, expected_largest_pair
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.arrays import (
    HYPERGEOMETRIC,
    STRUCTURED,
    BalanceArrays,
    DensityArrays,
    TileArrays,
)

_FEW_ROUNDS = 2
"""With so few array-level tiles the known total matters, and a fixed-seed sample is drawn instead."""

_FEW_NONZEROS = 32
_FEW_TILES = 16
"""With so few nonzeros in so few array-level tiles, too. With more of either, what the total being known
changes is within 2 %."""

_FEW_BITS = 1 << 15
_FEW_ELEMENTS = 40
_TRIALS = 4000
_THROWS = 10_000

_MANY_ELEMENTS = 256
"""From here on, the work is interpolated between sizes."""

_MANY_PARTS = 2048
"""Beyond it, the excess over the mean is taken to grow like an extreme of a normal distribution."""

_LONG_HALF = 4096
"""Beyond it, the excess over the mean is taken to grow with the root of the elements."""


class MemoArrays(NamedTuple):
    """Results by tile, in an open hash table.

    Attributes
    ----------
    key : int64[M, 4]
        Elements, parts, rounds (few ones), and whether halves are paired; elements 0: free. M is a power of
        two.
    value : float64[M]
    filled : int64[1]
    """

    key: Ints
    value: Floats
    filled: Ints


def make_memo(size: int = 1 << 14) -> MemoArrays:
    """Allocate an empty table of `size` entries, a power of two."""
    return MemoArrays(np.zeros((size, 4), np.int64), np.zeros(size), np.zeros(1, np.int64))


@kernel
def _alike(problem: ProblemArrays, rank: int, below: Ints, side: int) -> float:
    """Return how many indices of a rank, used equally often, would vary as much as those of a sliding tile.

    That is (sum of uses)^2 / (sum of squared uses). For two dimensions of m and n positions, steps a and b,
    the latter counts the pairs of positions with the same sum: sum over k of (m - |k| b/g) (n - |k| a/g), g
    = gcd(a, b).
    """
    term_start, coefficient = problem.term_start, problem.term_coefficient
    m = n = a = b = 1
    moving = 0
    for term in range(term_start[rank], term_start[rank + 1]):
        extent = below[problem.term_dimension[term]]
        if extent > 1:
            m, a = n, b
            n, b = extent, coefficient[term]
            moving += 1
    if moving != 2:
        return float(m * n) if moving < 2 else float(side)
    g, rest = a, b
    while rest:
        g, rest = rest, g % rest
    squares = m * n
    for k in range(1, max(m, n)):
        if k * b // g >= m or k * a // g >= n:
            break
        squares += 2 * (m - k * b // g) * (n - k * a // g)
    return float(m * n) * (m * n) / squares


@kernel
def _freedom(group: Ints, extent: int) -> float:
    """Return how many times its elements a tile of n:m groups needs to vary as little if random; 0: even.

    Of a group that a tile cuts after r positions it holds a hypergeometric number of nonzeros, with a
    variance of r d (1 - d) (m - r) / (m - 1). Tiles are taken to begin where groups do.

    `group` : int64[3], n, m and the dimension they run along. `extent`: of the tile in that dimension.
    """
    rest = extent % group[1]
    if group[0] >= group[1] or rest == 0:
        return 0.0
    return float(extent * (group[1] - 1.0) / (rest * (group[1] - rest)))


@kernel
def find_tiles(
    problem: ProblemArrays, loops: LoopArrays, balance: BalanceArrays, groups: Ints, tiles: TileArrays
) -> None:
    """Measure what a processing element works on at a time, and where half-tile balancing cuts it.

    The cut halves the longest of the dimensions that are spread over the array and have an even extent in a
    tile; of equal ones, the first in the tensor's order.

    Parameters
    ----------
    problem : ProblemArrays
    loops : LoopArrays
    balance : BalanceArrays
    groups : int64[T, 3]
        n:m groups of tensors and the dimension that they run along; -1: none.
    tiles : TileArrays
        Filled in.
    """
    rank_start, term_start, bounds = problem.rank_start, problem.term_start, problem.bounds
    dimension, coefficient = problem.term_dimension, problem.term_coefficient
    below, spread, array, t = loops.below, loops.spread, balance.array, balance.tensor
    for n in range(len(tiles.cut)):
        volume = elements = parts = rounds = 1
        alike = 1.0
        longest, cut = 0, -1
        if t >= 0:
            for rank in range(rank_start[t], rank_start[t + 1]):
                side = 1
                for term in range(term_start[rank], term_start[rank + 1]):
                    d = dimension[term]
                    extent = below[n, array, d]
                    side += coefficient[term] * (extent - 1)
                    volume *= extent
                    positions = 1
                    for level in range(array):
                        positions *= spread[n, level, d]
                    parts *= positions
                    rounds *= bounds[d] // (extent * positions)
                    if balance.half_tile and positions > 1 and extent % 2 == 0 and extent > longest:
                        longest, cut = extent, d
                elements *= side
                alike *= _alike(problem, rank, below[n, array], side)
        tiles.volume[n], tiles.elements[n], tiles.parts[n] = volume, elements, parts
        tiles.rounds[n], tiles.cut[n] = rounds, cut
        tiles.alike[n] = max(1, int(alike + 0.5))
        if t >= 0 and groups[t, 1] > 0:
            along = groups[t, 2]
            half = 2 if cut == along else 1
            tiles.alike[n] = int(alike * _freedom(groups[t], below[n, array, along] // half) + 0.5)


@kernel
def _next_uniform(before: np.uint64) -> tuple[np.uint64, float]:
    """Step a splitmix64 generator; return its state and a number below 1."""
    state = before + np.uint64(0x9E3779B97F4A7C15)
    z = state
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return state, float(z >> np.uint64(11)) / 9007199254740992.0


@kernel
def sampled_largest(elements: int, pieces: int, paired: bool, nonzeros: int, size: int) -> float:
    """Return the mean largest count, or pair, of `pieces` pieces of a tensor with a known number of nonzeros.

    Always the same sample: the result is a function of the arguments.
    """
    state = np.uint64(12345)
    count = np.zeros(pieces, np.int64)
    total = 0.0
    for _ in range(_TRIALS):
        left, rest = nonzeros, size
        for i in range(pieces):
            found = 0
            for _ in range(elements):
                state, draw = _next_uniform(state)
                if draw * rest < left:
                    found += 1
                    left -= 1
                rest -= 1
            count[i] = found
        if not paired:
            total += count.max()
            continue
        count.sort()
        largest = 0
        for i in range(pieces // 2):
            largest = max(largest, count[i] + count[pieces - 1 - i])
        total += largest
    return total / _TRIALS


@kernel
def thrown_largest(elements: int, pieces: int, paired: bool, nonzeros: int, rounds: int) -> float:
    """Return the same as `sampled_largest` for few nonzeros, placed one by one in all array-level tiles."""
    state = np.uint64(54321)
    size = elements * pieces * rounds
    count = np.zeros(pieces, np.int64)
    place = np.zeros(nonzeros, np.int64)
    # With as many pairs as nonzeros, the largest piece has an empty one for its partner.
    sorted_pairs = paired and pieces // 2 < nonzeros
    total = 0.0
    for _ in range(_THROWS):
        placed = 0
        while placed < nonzeros:
            state, draw = _next_uniform(state)
            at = min(size - 1, int(draw * size))
            free = True
            for i in range(placed):
                free = free and place[i] != at
            if free:
                place[placed] = at
                placed += 1
        place.sort()
        first = 0
        while first < nonzeros:
            number, end, largest = place[first] // (elements * pieces), first, 0
            while end < nonzeros and place[end] // (elements * pieces) == number:
                piece = place[end] // elements % pieces
                count[piece] += 1
                largest = max(largest, count[piece])
                end += 1
            if sorted_pairs:
                largest = 0
                count.sort()
                for i in range(pieces // 2):
                    largest = max(largest, count[i] + count[pieces - 1 - i])
                count[:] = 0
            for i in range(first, end):
                count[place[i] // elements % pieces] = 0
            first = end
            total += largest
    return total / (_THROWS * float(rounds))


@kernel
def _largest(elements: int, parts: int, few: int, paired: bool, density: float, nonzeros: int) -> float:
    """Return the expected work, in elements, of the slowest of `parts` processing elements.

    `few`: the number of array-level tiles where it is small, else 0.
    """
    if parts == 1 or density >= 1:
        return elements * density
    if few:
        pieces = 2 * parts if paired else parts
        if nonzeros <= _FEW_NONZEROS:
            return thrown_largest(elements // 2 if paired else elements, pieces, paired, nonzeros, few)
        return sampled_largest(
            elements // 2 if paired else elements, pieces, paired, nonzeros, elements * parts * few
        )
    if not paired:
        return expected_largest(elements, density, parts)
    half, many = min(elements // 2, _LONG_HALF), min(parts, _MANY_PARTS)
    excess = expected_largest_pair(half, density, many) - 2 * half * density
    if elements // 2 > half:
        excess *= math.sqrt(elements / 2 / half)
    if parts > many:
        excess *= math.sqrt(math.log(parts) / math.log(many))
    return min(float(elements), elements * density + excess)


@kernel
def _hash(elements: int, parts: int, few: int, paired: bool) -> int:
    """Return a well-spread number for a key."""
    mixed = elements * 0x9E3779B1 + parts * 0x85EBCA77 + few * 0xC2B2AE35 + (0x27D4EB2F if paired else 0)
    return (mixed ^ (mixed >> 15)) & 0x7FFFFFFF


@kernel
def _recall(
    elements: int, parts: int, few: int, halves: bool, density: float, nonzeros: int, memo: MemoArrays
) -> float:
    """Return what `_largest` returns, from the memo where it is there."""
    key, slots = memo.key, len(memo.value)
    slot = _hash(elements, parts, few, halves) & (slots - 1)
    while key[slot, 0] != 0:
        if (
            key[slot, 0] == elements
            and key[slot, 1] == parts
            and key[slot, 2] == few
            and key[slot, 3] == halves
        ):
            return float(memo.value[slot])
        slot = (slot + 1) & (slots - 1)
    value = _largest(elements, parts, few, halves, density, nonzeros)
    if memo.filled[0] < slots // 2:
        memo.filled[0] += 1
        memo.value[slot] = value
        key[slot, 0], key[slot, 1], key[slot, 2], key[slot, 3] = elements, parts, few, halves
    return value


@kernel
def _largest_of_many(elements: int, parts: int, halves: bool, density: float, memo: MemoArrays) -> float:
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
            over = _recall(size, parts, 0, halves, density, 0, memo) - size * density
            excess += weight * over / math.sqrt(size)
    return min(float(elements), elements * density + excess * math.sqrt(elements))


@kernel
def expected_work(
    densities: DensityArrays,
    tensor: int,
    sliding: bool,
    paired: bool,
    tiles: TileArrays,
    memo: MemoArrays,
    status: Ints,
    work: Floats,
) -> None:
    """Find the expected work of the slowest processing element as a share of a tile's.

    Models that put the same number of nonzeros everywhere know no imbalance; n:m groups do where a tile cuts
    them.

    Parameters
    ----------
    densities : DensityArrays
    tensor : int
    sliding : bool
        Whether a rank of the tensor sums dimensions.
    paired : bool
        Pair halves where tiles are cut.
    tiles : TileArrays
    memo : MemoArrays
        Read and added to.
    status : int64[N]
        Mappings that are not valid are left out.
    work : float64[N]
        Filled in.
    """
    density, nonzeros = densities.average[tensor], densities.nonzeros[tensor]
    for n in range(len(work)):
        elements, parts, rounds = tiles.alike[n], tiles.parts[n], tiles.rounds[n]
        varied = densities.model[tensor] == HYPERGEOMETRIC
        varied = varied or (densities.model[tensor] == STRUCTURED and elements > 0)
        if not varied or status[n] != OK:
            work[n] = density
            continue
        bits = float(elements) * parts * rounds
        small = rounds <= _FEW_ROUNDS and elements <= _FEW_ELEMENTS and bits <= _FEW_BITS
        small = small or (rounds <= _FEW_TILES and nonzeros <= _FEW_NONZEROS)
        few = rounds if small and not sliding and densities.model[tensor] == HYPERGEOMETRIC else 0
        halves = paired and tiles.cut[n] >= 0
        if halves:
            elements = max(2, elements - elements % 2)
        if few or elements < _MANY_ELEMENTS:
            work[n] = _recall(elements, parts, few, halves, density, nonzeros, memo) / elements
        else:
            work[n] = _largest_of_many(elements, parts, halves, density, memo) / elements


@kernel
def count_pointers(
    balance: BalanceArrays, tiles: TileArrays, accesses: Ints, size: int, tensor: int, pointers: Floats
) -> None:
    """Count the pointer reads of the balancer: for both halves of every tile, each time the tensor is read.

    Parameters
    ----------
    balance : BalanceArrays
    tiles : TileArrays
    accesses : int64[N, L, T, 3]
        If nothing were zero.
    size : int
        Elements of the tensor.
    tensor : int
    pointers : float64[N]
        Filled in.
    """
    for n in range(len(pointers)):
        pointers[n] = 0.0
        if balance.pointer_level >= 0 and tiles.cut[n] >= 0:
            times = accesses[n, balance.pointer_level, tensor, 0] / size
            pointers[n] = balance.pointer_reads * (tiles.rounds[n] * tiles.parts[n] * 2.0) * times
