"""How many nonzeros the tiles have that must fit: quantiles and maxima, of a tile's own distribution."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from procrustes_model.kernels.arithmetic import add_up
from procrustes_model.kernels.dense.arrays import Bools, Floats, Ints, LoopArrays, ProblemArrays
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.arrays import (
    DENSE,
    FIXED,
    HYPERGEOMETRIC,
    NESTED,
    ROWS,
    STRUCTURED,
    DensityArrays,
    FormatArrays,
    FullestArrays,
)
from procrustes_model.kernels.sparse.distributions import (
    NOTHING,
    added,
    least_and_most,
    mixed_quantile,
    of_group,
    of_many,
)
from procrustes_model.kernels.sparse.empty import measure_rows
from procrustes_model.kernels.sparse.entries import count_fibers, most_entries
from procrustes_model.kernels.sparse.groups import count_starts, measure_groups, split_last
from procrustes_model.kernels.sparse.nested import measure, nested_quantile
from procrustes_model.kernels.sparse.rows import rows_quantile

_WIDEST, _WIDEST_GROUPS = 1e6, 1e4
"""Variance beyond which a quantile is that of normal distributions, right to a nonzero or two."""

SLACK = 1e-12
"""By how much, relative, rounding may leave a share short."""


class FoundArrays(NamedTuple):
    """The nonzeros of tiles that were found before, in an open hash table.

    Attributes
    ----------
    key : int64[M, 3]
        Tensor + 1, fibers, and what their extent is; 0: free. M is a power of two.
    value : int64[M]
    filled : int64[1]
    """

    key: Ints
    value: Ints
    filled: Ints


def make_found(size: int = 1 << 12) -> FoundArrays:
    """Allocate an empty table of `size` entries, a power of two."""
    return FoundArrays(np.zeros((size, 3), np.int64), np.zeros(size, np.int64), np.zeros(1, np.int64))


@kernel
def _normal_quantile(mean: float, variance: float, skew: float, deviations: float, most: int) -> int:
    """Return the quantile of a number of at most `most` that is nearly normally distributed.

    `skew` : its third central moment / `variance`, of which the first term of Cornish and Fisher is added.
    """
    above = deviations * math.sqrt(variance) + (deviations * deviations - 1) * skew / 6
    return max(0, min(most, math.ceil(mean + above - 0.5)))


@kernel
def hypergeometric_quantile(size: int, nonzeros: int, elements: int, share: float, deviations: float) -> int:
    """Return the least number that the nonzeros of a share of all tiles do not exceed.

    Probabilities are summed relative to that of the likeliest number, each from its neighbour's.

    Parameters
    ----------
    size, nonzeros : int
        Of the tensor; every placement is equally likely.
    elements : int
        Of the tile.
    share : float
        Of the tiles; 1: of all that can occur.
    deviations : float
        See `FullestArrays`.
    """
    low, high = max(0, elements - (size - nonzeros)), min(elements, nonzeros)
    if share >= 1 or low == high:
        return high
    v, z, others = float(elements), float(nonzeros), float(size - nonzeros)
    mean = v * (z / size)
    variance = mean * (others / size) * ((size - v) / max(1.0, size - 1.0))
    if variance > _WIDEST:
        skew = (1 - 2 * z / size) * (1 - 2 * v / size)
        return _normal_quantile(mean, variance, skew, deviations, high)
    mode = max(low, min(high, int((v + 1) * ((z + 1) / (size + 2.0)))))
    total, weight = 1.0, 1.0
    k = mode
    while k > low and weight > NOTHING:
        weight *= k * (others - v + k) / ((v - k + 1) * (z - k + 1))
        total += weight
        k -= 1
    weight = 1.0
    k = mode
    while k < high and weight > NOTHING:
        weight *= (v - k) * (z - k) / ((k + 1) * (others - v + k + 1))
        total += weight
        k += 1
    beyond, allowed = 0.0, total * (1 - share * (1 - SLACK))
    while k > low and beyond + weight <= allowed:
        beyond += weight
        weight *= k * (others - v + k) / ((v - k + 1) * (z - k + 1))
        k -= 1
    return k


@kernel
def _find_slot(key: Ints, tensor: int, fibers: int, extent: int) -> int:
    """Return where a tile stands in the hash table, or the free place where it would."""
    mixed = (tensor + 1) * 0x27D4EB2F + fibers * 0x9E3779B1 + extent * 0x85EBCA77
    mixed ^= mixed >> 32  # sizes are products of few primes: their low bits are alike
    mixed ^= mixed >> 16
    slot = (mixed ^ (mixed >> 9)) & (len(key) - 1)
    while key[slot, 0] != 0:
        if key[slot, 0] == tensor + 1 and key[slot, 1] == fibers and key[slot, 2] == extent:
            break
        slot = (slot + 1) & (len(key) - 1)
    return int(slot)


@kernel
def _remember(found: FoundArrays, slot: int, tensor: int, fibers: int, extent: int, most: int) -> None:
    """Keep what was found, while there is room."""
    if found.filled[0] < len(found.value) // 2:
        found.filled[0] += 1
        found.key[slot, 0], found.key[slot, 1], found.key[slot, 2] = tensor + 1, fibers, extent
        found.value[slot] = most


@kernel
def most_of_each(
    densities: DensityArrays, tensor: int, elements: Ints, share: float, deviations: float, found: FoundArrays
) -> Ints:
    """Return what `hypergeometric_quantile` returns for a tensor's tiles of int64[n] elements."""
    size, nonzeros = densities.size[tensor], densities.nonzeros[tensor]
    key, value = found.key, found.value
    most = np.empty(len(elements), np.int64)
    for i in range(len(elements)):
        words = min(elements[i], size)
        slot = _find_slot(key, tensor, words, 0)
        if key[slot, 0] != 0:
            most[i] = value[slot]
            continue
        most[i] = hypergeometric_quantile(size, nonzeros, words, share, deviations)
        _remember(found, slot, tensor, words, 0, most[i])
    return most


@kernel
def _pieces(n: int, m: int, start: int, extent: int) -> tuple[int, int, int]:
    """Return the positions of a first and a last group that a fiber cuts, and nonzeros of whole groups.

    `start` : of the fiber, counted from where a group begins.
    """
    first = min(extent, (m - start) % m)
    return first, (extent - first) % m, (extent - first) // m * n


@kernel
def _of_last(n: int, m: int, extent: int, short: int) -> tuple[int, Floats]:
    """Return nonzeros that a fiber ending in a `short` group has for sure, and how likely it has more."""
    kept = min(n, short)
    if extent <= short:
        return 0, of_group(kept, short, extent)
    first = (extent - short) % m
    return kept + (extent - short) // m * n, of_group(n, m, first)


@kernel
def structured_quantile(
    n: int, m: int, starts: Ints, fibers: int, extent: int, share: float, short: int
) -> int:
    """Return the least number that the nonzeros of a share of tiles of n:m groups do not exceed.

    Parameters
    ----------
    n, m : int
        Nonzeros in every group of m.
    starts : int64[m]
        How many tiles start at every position of a group.
    fibers : int
        Rows along the groups in a tile, independent of each other.
    extent : int
        Positions of a tile along the groups.
    share : float
        As in `hypergeometric_quantile`.
    short : int
        Positions of a shorter last group, which one of the tiles has; 0: none.
    """
    fewest, most = fibers * extent, 0
    variance = np.zeros(m)
    many_of = starts.copy()
    if short:
        many_of[(short - extent) % m] -= 1
        base, last_of = _of_last(n, m, extent, short)
        low = 0
        while last_of[low] <= 0:
            low += 1
        fewest, most = min(fewest, fibers * (base + low)), max(most, fibers * (base + len(last_of) - 1))
    for start in range(m):
        if many_of[start] == 0:
            continue
        first, last, whole = _pieces(n, m, start, extent)
        few, many = whole, whole
        for rest in (first, last):
            low, high = least_and_most(n, m, rest)
            few, many = few + low, many + high
            variance[start] += fibers * rest * (m - rest) * (n / m) * (1 - n / m) / max(1, m - 1)
        fewest, most = min(fewest, fibers * few), max(most, fibers * many)
    if share >= 1 or fewest == most:
        return most
    if variance.max() > _WIDEST_GROUPS:
        mean = np.full(m, fibers * extent * (n / m))
        return mixed_quantile(mean, variance, starts, fewest, most, share)
    tally = np.zeros(most - fewest + 1)
    if short:
        base, last_of = _of_last(n, m, extent, short)
        begin, p = of_many(last_of, fibers)
        begin += fibers * base - fewest
        tally[begin : begin + len(p)] += p
    for start in range(m):
        if many_of[start] > 0:
            first, last, whole = _pieces(n, m, start, extent)
            begin, p = of_many(added(of_group(n, m, first), of_group(n, m, last)), fibers)
            begin += fibers * whole - fewest
            tally[begin : begin + len(p)] += many_of[start] * p
    beyond, allowed = 0.0, add_up(tally) * (1 - share * (1 - SLACK))
    k = most
    while k > fewest and beyond + tally[k - fewest] <= allowed:
        beyond += tally[k - fewest]
        k -= 1
    return k


@kernel
def _find_most(
    problem: ProblemArrays,
    densities: DensityArrays,
    tensor: int,
    extent: Ints,
    words: int,
    share: float,
    deviations: float,
) -> int:
    """Return the nonzeros of the tile over int64[D], of so many words, that has to fit."""
    if densities.model[tensor] == HYPERGEOMETRIC:
        size, nonzeros = densities.size[tensor], densities.nonzeros[tensor]
        return hypergeometric_quantile(size, nonzeros, words, share, deviations)
    if densities.model[tensor] == NESTED:
        sides, length, stride, _ = measure(problem, densities.flat[tensor], extent)
        fibres = words // max(1, sides.prod())
        nest, average = densities.nest[tensor], densities.average[tensor]
        return nested_quantile(nest, sides, length, stride, fibres, average, share)
    if densities.model[tensor] == ROWS:
        side, width = measure_rows(problem, densities, tensor, extent)
        runs = densities.runs[densities.run_start[tensor] : densities.run_start[tensor + 1]]
        return rows_quantile(runs, densities.size[tensor] // runs[:, 1].sum(), side, width, share)
    n, m, along = densities.group[tensor, 0], densities.group[tensor, 1], densities.group[tensor, 2]
    rank = problem.rank[tensor, along]
    side, _ = measure_groups(problem, rank, extent)
    starts = count_starts(problem, rank, extent, m)
    short, _ = split_last(problem, rank, side, m)
    return structured_quantile(n, m, starts, words // side, side, share, short)


@kernel
def most_nonzeros(
    problem: ProblemArrays, densities: DensityArrays, tensor: int, extent: Ints, words: int
) -> float:
    """Return the most nonzeros that a tile over int64[D], of so many words, can have.

    Of a tensor whose tiles all have the same share of them the average, which need not be whole.
    """
    model = densities.model[tensor]
    if model in (DENSE, FIXED):
        return float(words * densities.average[tensor])
    return float(_find_most(problem, densities, tensor, extent, words, 1.0, math.inf))


@kernel
def fill_fullest(
    problem: ProblemArrays,
    loops: LoopArrays,
    densities: DensityArrays,
    formats: FormatArrays,
    known: Bools,
    tile: Ints,
    fullest: FullestArrays,
    found: FoundArrays,
) -> None:
    """Find the nonzeros, and the most entries, of the tiles that have to fit.

    Parameters
    ----------
    problem : ProblemArrays
    loops : LoopArrays
    densities : DensityArrays
    formats : FormatArrays
    known : bool[T]
        Tensors with a mask; their tiles are counted instead.
    tile : int64[N, L, T]
    fullest : FullestArrays
        Filled in for compressed tensors whose tiles vary; for others it stays 0, less than the average.
    found : FoundArrays
        Read and added to.
    """
    terms, below, nonzeros = formats.terms, loops.below, fullest.nonzeros
    key, value = found.key, found.value
    mappings, levels, tensors = tile.shape
    for t in range(tensors):
        model = densities.model[t]
        if known[t] or model not in (HYPERGEOMETRIC, STRUCTURED, NESTED, ROWS):
            continue
        grouped = problem.rank[t, densities.group[t, 2]] if model == STRUCTURED else -1
        for level in range(levels):
            if not formats.compressed[level, t]:
                continue
            for n in range(mappings):
                # Where factors are wrong, tiles may reach beyond the tensor, or beyond what is counted.
                words, extent = max(1, min(tile[n, level, t], densities.size[t])), below[n, level]
                side, code = 1, 0
                if model != HYPERGEOMETRIC:
                    extent = np.maximum(1, np.minimum(extent, problem.bounds))
                if model == STRUCTURED:
                    side, code = measure_groups(problem, grouped, extent)
                elif model == NESTED:
                    code = measure(problem, densities.flat[t], extent)[3]
                elif model == ROWS:
                    code = measure_groups(problem, densities.flat[t, 0], extent)[1]
                slot = _find_slot(key, t, words // side, code)
                if key[slot, 0] != 0:
                    nonzeros[n, level, t] = value[slot]
                    continue
                most = _find_most(problem, densities, t, extent, words, fullest.share, fullest.deviations)
                nonzeros[n, level, t] = most
                _remember(found, slot, t, words // side, code, most)
            run = terms.run[level, t]
            if run > 0:
                for n in range(mappings):
                    fibers = count_fibers(problem, t, below[n, level], terms.fibers[level, t])
                    held = nonzeros[n, level, t]
                    entries = most_entries(tile[n, level, t], fibers, run, held)
                    fullest.entries[n, level, t] = entries
