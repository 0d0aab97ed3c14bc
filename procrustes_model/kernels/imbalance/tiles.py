"""Tiles of the balanced tensor: what a processing element works on at a time, and where it is cut."""

from __future__ import annotations

from procrustes_model.kernels.dense.arrays import (
    READ,
    Bools,
    CountArrays,
    Floats,
    Ints,
    LoopArrays,
    ProblemArrays,
)
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.arrays import BalanceArrays, TileArrays


@kernel
def alike_in_rank(problem: ProblemArrays, rank: int, below: Ints, side: int) -> float:
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

    For tiles that slide along the groups. Of a group that a tile cuts after r positions it holds a
    hypergeometric number of nonzeros, with a variance of r d (1 - d) (m - r) / (m - 1). Tiles are taken to
    begin where groups do, and all groups to be whole.

    `group` : int64[3], n, m and the dimension they run along. `extent`: of the tile in that dimension.
    """
    rest = extent % group[1]
    if group[0] >= group[1] or rest == 0:
        return 0.0
    return float(extent * (group[1] - 1.0) / (rest * (group[1] - rest)))


@kernel
def _find_groups(
    problem: ProblemArrays,
    loops: LoopArrays,
    balance: BalanceArrays,
    group: Ints,
    n: int,
    alike: float,
    tiles: TileArrays,
) -> None:
    """Find how tiles lie along the dimension of n:m groups, and whether they cut groups.

    Tiles and pieces vary where they cut groups. A tile that spans the dimension holds the last group whole,
    too, even where that is shorter. `group` : int64[3], n, m and the dimension. `alike`: as if random.
    """
    m, along = group[1], group[2]
    t, array = balance.tensor, balance.array
    length = problem.bounds[along]
    extent = loops.below[n, array, along]
    pieces = balance.pieces if tiles.cut[n] == along else 1
    slides = False
    for rank in range(problem.rank_start[t], problem.rank_start[t + 1]):
        side = 1
        grouped = False
        for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
            side += problem.term_coefficient[term] * (problem.bounds[problem.term_dimension[term]] - 1)
            grouped = grouped or problem.term_dimension[term] == along
        slides = slides or (grouped and side != length)
    if slides:
        tiles.alike[n] = int(alike * _freedom(group, extent) + 0.5)
        tiles.pieced[n] = int(alike * _freedom(group, extent // pieces) + 0.5)
        return
    whole = group[0] >= m or extent % m == 0 or extent == length
    whole_pieces = whole and (pieces == 1 or group[0] >= m or extent // pieces % m == 0)
    tiles.alike[n] = 0 if whole else tiles.alike[n]
    tiles.pieced[n] = 0 if whole_pieces else tiles.pieced[n]
    tiles.along[n], tiles.across[n], tiles.apart[n] = extent, 1, 1
    for level in range(array):
        if loops.spread[n, level, along] > 1:
            tiles.across[n] *= loops.spread[n, level, along]
            tiles.apart[n] = loops.below[n, level + 1, along] // extent
    tiles.turns[n] = length // (extent * tiles.across[n])


@kernel
def find_tiles(
    problem: ProblemArrays, loops: LoopArrays, balance: BalanceArrays, groups: Ints, tiles: TileArrays
) -> None:
    """Measure what a processing element works on at a time, and where balancing cuts it.

    Of the dimensions that are spread over the array and whose extent in a tile the number of pieces divides,
    the longest is cut; of equal ones, the first in the tensor's order.

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
    pieces = balance.pieces
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
                    divides = pieces > 1 and positions > 1 and extent % pieces == 0
                    if divides and extent > longest:
                        longest, cut = extent, d
                elements *= side
                alike *= alike_in_rank(problem, rank, below[n, array], side)
        tiles.volume[n], tiles.elements[n], tiles.parts[n] = volume, elements, parts
        tiles.rounds[n], tiles.cut[n] = rounds, cut
        tiles.alike[n] = tiles.pieced[n] = max(1, int(alike + 0.5))
        tiles.along[n] = tiles.across[n] = tiles.apart[n] = tiles.turns[n] = 0
        if t >= 0 and groups[t, 1] > 0:
            _find_groups(problem, loops, balance, groups[t], n, alike, tiles)


@kernel
def count_pointers(
    balance: BalanceArrays, tiles: TileArrays, dense: CountArrays, keep: Bools, size: int, pointers: Floats,
) -> None:  # fmt: skip
    """Count the pointer reads of the balancer: for every piece of every tile, each time the tensor is read.

    Each instance of the pointers' level reads those of what it hands on, also where the level does not keep
    the tensor: one read further out may then serve several instances.

    Parameters
    ----------
    balance : BalanceArrays
    tiles : TileArrays
    dense : CountArrays
        If nothing were zero.
    keep : bool[N, L, T]
    size : int
        Elements of the balanced tensor.
    pointers : float64[N]
        Filled in.
    """
    for n in range(len(pointers)):
        pointers[n] = 0.0
        if balance.pointer_level < 0 or tiles.cut[n] < 0:
            continue
        level, tensor, served = balance.pointer_level, balance.tensor, 1
        while level > 0 and not keep[n, level, tensor]:
            level -= 1
            served *= dense.distinct[n, level, tensor]
        each = float(dense.accesses[n, level, tensor, READ]) / served
        read = each * dense.instances[n, balance.pointer_level]
        pieces = tiles.rounds[n] * tiles.parts[n] * float(balance.pieces)
        pointers[n] = balance.pointer_reads * pieces * (read / size)
