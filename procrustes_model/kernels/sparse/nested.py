"""Groups that run through several ranks of a tensor, flattened to one, groups of groups, and sums of groups.

Of every m blocks n are kept, all choices equally likely, and of every block that is kept likewise, down to
the elements. Or n elements more are kept of every m blocks, of those that the blocks leave. The outermost
groups are independent: what a box takes of each decides everything. Boxes that begin at the same place of a
group take the same, so that they are looked at once.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from procrustes_model.kernels.arithmetic import add_up, power
from procrustes_model.kernels.dense.arrays import Bools, Floats, Ints, ProblemArrays
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.chances import cut_empty
from procrustes_model.kernels.sparse.distributions import added, mixed_quantile, of_group, of_many, trimmed

_WIDEST = 1e4
"""Variance beyond which a quantile is that of normal distributions, right to a nonzero or two."""

_HOPELESS = -700.0
"""Logarithm of a chance that is taken to be 0."""

_SLACK = 1e-12

OF_BLOCKS, OF_REST = 0, 1
"""What n elements of a level are: blocks that are kept, or elements beside those that m blocks keep."""


class PlaceArrays(NamedTuple):
    """Boxes side by side, those that take the same of groups together.

    Attributes
    ----------
    side : int64[C, F]
        Of a box in every rank that groups run through.
    base : int64[C]
        Its first element: its place in the tensor where `exact`, else in a group.
    exact : bool[C]
    many : int64[C]
    """

    side: Ints
    base: Ints
    exact: Bools
    many: Ints


class TakenArrays(NamedTuple):
    """What a box takes of outermost groups.

    Attributes
    ----------
    pattern : int64[P, B]
        Elements of every innermost group.
    many : int64[P]
        How many outermost groups it takes that of.
    whole : int
        How many it takes as a whole.
    short : int
        Elements of a shorter last group.
    """

    pattern: Ints
    many: Ints
    whole: int
    short: int


@kernel
def _levels(nest: Ints) -> int:
    """Return how many levels of groups there are.

    `nest` : int64[G, 3], outermost first, n, m, 0 where there is no more, and OF_BLOCKS or OF_REST. The last
    level is of elements.
    """
    levels = 0
    while levels < len(nest) and nest[levels, 1] > 0:
        levels += 1
    return levels


@kernel
def _elements(nest: Ints) -> int:
    """Return the elements of an outermost group."""
    product = 1
    for level in range(_levels(nest)):
        product *= nest[level, 1]
    return product


@kernel
def _kept(nest: Ints, level: int) -> int:
    """Return the nonzeros of a group of a level."""
    last = _levels(nest) - 1
    kept = nest[last, 0]
    for one in range(last - 1, level - 1, -1):
        n, m, kind = nest[one, 0], nest[one, 1], nest[one, 2]
        kept = kept * m + n if kind == OF_REST else kept * n
    return int(kept)


@kernel
def _rest(nest: Ints, level: int) -> int:
    """Return the elements that the blocks of a group of a level leave."""
    size = 1
    for one in range(level, _levels(nest)):
        size *= nest[one, 1]
    return int(size - nest[level, 1] * _kept(nest, level + 1))


@kernel
def _summed(taken: Ints, parts: int) -> Ints:
    """Return the elements that are taken of every `parts` groups together."""
    found = np.empty(len(taken) // parts, np.int64)
    for i in range(len(found)):
        found[i] = taken[i * parts : (i + 1) * parts].sum()
    return found


@kernel
def pattern_empty(nest: Ints, taken: Ints) -> float:
    """Return how likely all elements that are taken of an outermost group are zero.

    `taken` : int64[B], of every innermost group.
    """
    last = _levels(nest) - 1
    n, m = nest[last, 0], nest[last, 1]
    chance = np.empty(len(taken))
    for i in range(len(taken)):
        chance[i] = cut_empty(n, m, taken[i])
    for level in range(last - 1, -1, -1):
        n, m = nest[level, 0], nest[level, 1]
        outer = np.empty(len(chance) // m)
        total = _summed(taken, len(taken) // len(outer))
        for i in range(len(outer)):
            if nest[level, 2] == OF_REST:
                outer[i] = cut_empty(n, _rest(nest, level), total[i])
                for j in range(m):
                    outer[i] *= chance[i * m + j]
                continue
            # In the mean over all ways to keep k of the first j blocks, block by block.
            mean = np.zeros(n + 1)
            mean[0] = 1.0
            for j in range(1, m + 1):
                one = chance[i * m + j - 1]
                for k in range(min(n, j), 0, -1):
                    mean[k] = (k * mean[k - 1] * one + (j - k) * mean[k]) / j
            outer[i] = mean[n]
        chance = outer
    return float(chance[0])


@kernel
def pattern_held(nest: Ints, taken: Ints) -> Floats:
    """Return how likely the elements that are taken of an outermost group have 0, 1, ... nonzeros."""
    last = _levels(nest) - 1
    n, m = nest[last, 0], nest[last, 1]
    held = np.zeros((len(taken), n + 1))
    for i in range(len(taken)):
        one = of_group(n, m, taken[i])
        held[i, : len(one)] = one
    for level in range(last - 1, -1, -1):
        n, m = nest[level, 0], nest[level, 1]
        size = held.shape[1] - 1
        width = m * size + n if nest[level, 2] == OF_REST else n * size
        outer = np.zeros((len(held) // m, width + 1))
        total = _summed(taken, len(taken) // len(outer))
        for i in range(len(outer)):
            if nest[level, 2] == OF_REST:
                of_blocks, rest = np.ones(1), _rest(nest, level)
                for j in range(m):
                    of_blocks = added(of_blocks, held[i * m + j])
                for k in range(len(of_blocks)):
                    if of_blocks[k] == 0:
                        continue  # so many of what is taken cannot be left
                    more = of_group(min(n, rest), rest, total[i] - k)
                    outer[i, k : k + len(more)] += of_blocks[k] * more
                continue
            mean = np.zeros((n + 1, n * size + 1))
            mean[0, 0] = 1.0
            for j in range(1, m + 1):
                one = held[i * m + j - 1]
                for k in range(min(n, j), 0, -1):
                    with_it = added(mean[k - 1, : (k - 1) * size + 1], one)
                    mean[k] = mean[k] * ((j - k) / j)
                    mean[k, : k * size + 1] += with_it * (k / j)
            outer[i] = mean[n]
        held = outer
    out: Floats = held[0].copy()
    return out


@kernel
def pattern_most(nest: Ints, taken: Ints) -> int:
    """Return the most nonzeros that the elements can have that are taken of an outermost group."""
    last = _levels(nest) - 1
    most = np.minimum(taken, nest[last, 0])
    for level in range(last - 1, -1, -1):
        n, m = nest[level, 0], nest[level, 1]
        outer = np.empty(len(most) // m, np.int64)
        total = _summed(taken, len(taken) // len(outer))
        for i in range(len(outer)):
            if nest[level, 2] == OF_REST:
                held = most[i * m : (i + 1) * m].sum()
                outer[i] = held + min(n, total[i] - held)
                continue
            outer[i] = np.sort(most[i * m : (i + 1) * m])[m - n :].sum()
        most = outer
    return int(most[0])


@kernel
def take(nest: Ints, base: int, side: Ints, stride: Ints, size: int, for_empty: bool) -> TakenArrays:
    """Return what a box takes of groups; with `for_empty`, no more than tells that it cannot be empty.

    Parameters
    ----------
    nest : int64[G, 3]
    base : int
        The first element of the box, in the order of groups.
    side, stride : int64[F]
        Of the box in every rank, and how far a step in it leads.
    size : int
        Elements that groups run through; the last group is shorter where they do not divide it.
    for_empty : bool
        Then `whole` is 1 where the box is never empty, or as good as never.
    """
    block, inner = _elements(nest), nest[_levels(nest) - 1, 1]
    parts, ranks = block // inner, len(side)
    pattern, many = np.zeros((4, parts), np.int64), np.zeros(4, np.int64)
    chance = np.zeros(4)
    taken = np.zeros(parts, np.int64)
    rows = 1
    for k in range(ranks - 1):
        rows *= side[k]
    count = whole = short = 0
    current, left = -1, 0.0
    for row in range(rows + 1):
        rest, at = row, base
        for k in range(ranks - 2, -1, -1):
            at += rest % side[k] * stride[k]
            rest //= side[k]
        end = at + side[ranks - 1] if row < rows else at
        while at < end or (row == rows and current >= 0):
            here = at // block if row < rows else -1
            if here != current:
                if current >= 0 and (current + 1) * block > size:
                    short = taken[0]
                elif current >= 0 and taken.sum() == block:
                    whole += 1
                elif current >= 0:
                    same = 0
                    while same < count and not (pattern[same] == taken).all():
                        same += 1
                    if same == count:
                        if count == len(many):
                            pattern = np.concatenate((pattern, np.zeros_like(pattern)))
                            many = np.concatenate((many, np.zeros_like(many)))
                            chance = np.concatenate((chance, np.zeros_like(chance)))
                        pattern[count] = taken
                        if for_empty:
                            p = pattern_empty(nest, taken)
                            chance[count] = math.log(p) if p > 0 else 2 * _HOPELESS
                        count += 1
                    many[same] += 1
                    left += chance[same]
                taken[:] = 0
                current = here
                if for_empty and (whole or left < _HOPELESS):
                    return TakenArrays(pattern[:0], many[:0], 1, 0)
                continue
            if at == here * block and end - at >= block and (here + 1) * block <= size:
                steps = (end - at) // block
                whole, at, current = whole + steps, at + steps * block, -1
                if for_empty:
                    return TakenArrays(pattern[:0], many[:0], 1, 0)
                continue
            group = (at - here * block) // inner
            until = min(end, here * block + (group + 1) * inner)
            taken[group] += until - at
            at = until
    return TakenArrays(pattern[:count], many[:count], whole, short)


@kernel
def _classes(side: Ints, length: Ints, stride: Ints, block: int) -> PlaceArrays:
    """Return boxes side by side by where in a group they begin; at the end of a rank they may be shorter."""
    ranks, count = len(side), 0
    found = np.zeros(((1 << ranks) * block, ranks), np.int64)
    base, many = np.zeros(len(found), np.int64), np.zeros(len(found), np.int64)
    for cut in range(1 << ranks):
        starts = np.zeros(block, np.int64)
        starts[0] = 1
        sides = side.copy()
        for k in range(ranks):
            times, step, begin = length[k] // side[k], stride[k] * side[k] % block, 0
            if cut >> k & 1:
                sides[k] = length[k] % side[k]
                begin, times = times, 1 if sides[k] > 0 else 0
            moved = np.zeros(block, np.int64)
            for i in range(min(times, block)):
                alike = (times - i + block - 1) // block
                shift = (begin + i) % block * step
                for start in range(block):
                    moved[(start + shift) % block] += starts[start] * alike
            starts = moved
        for start in range(block):
            if starts[start] > 0:
                found[count], base[count], many[count] = sides, start, starts[start]
                count += 1
    return PlaceArrays(found[:count], base[:count], np.zeros(count, np.bool_), many[:count])


@kernel
def list_places(nest: Ints, side: Ints, length: Ints, stride: Ints) -> PlaceArrays:
    """Return boxes side by side, those that take the same together; boxes that meet a shorter group alone."""
    ranks, block = len(side), _elements(nest)
    size = length[0] * stride[0]
    places = _classes(side, length, stride, block)
    rest = size % block
    if rest == 0:
        return places
    classes = len(places.base)
    base = np.concatenate((places.base, np.zeros(rest, np.int64)))
    many = np.concatenate((places.many, np.zeros(rest, np.int64)))
    sides = np.concatenate((places.side, np.zeros((rest, ranks), np.int64)))
    exact = np.concatenate((places.exact, np.ones(rest, np.bool_)))
    count = classes
    for element in range(size - rest, size):
        first = 0
        for k in range(ranks):
            start = element // stride[k] % length[k] // side[k] * side[k]
            sides[count, k] = min(side[k], length[k] - start)
            first += start * stride[k]
        known = False
        for i in range(classes, count):
            known = known or base[i] == first
        if known:
            continue
        base[count], many[count] = first, 1
        for i in range(classes):
            if base[i] == first % block and (sides[i] == sides[count]).all():
                many[i] -= 1
        count += 1
    return PlaceArrays(sides[:count], base[:count], exact[:count], many[:count])


@kernel
def measure(problem: ProblemArrays, flat: Ints, extent: Ints) -> tuple[Ints, Ints, Ints, int]:
    """Return side and length in every rank that groups run through, strides, and what tells boxes apart.

    `flat` : int64[F], those ranks, the last one fastest; -1: no more. `extent` : int64[D], of the box.
    """
    ranks = 0
    while ranks < len(flat) and flat[ranks] >= 0:
        ranks += 1
    side, length, stride = (np.ones(ranks, np.int64), np.ones(ranks, np.int64), np.ones(ranks, np.int64))
    code = 0
    for k in range(ranks):
        for term in range(problem.term_start[flat[k]], problem.term_start[flat[k] + 1]):
            d = problem.term_dimension[term]
            side[k] += problem.term_coefficient[term] * (min(extent[d], problem.bounds[d]) - 1)
            length[k] += problem.term_coefficient[term] * (problem.bounds[d] - 1)
        code = code * (length[k] + 1) + side[k]
    for k in range(ranks - 2, -1, -1):
        stride[k] = stride[k + 1] * length[k + 1]
    return side, length, stride, code


@kernel
def _taken_at(
    nest: Ints, places: PlaceArrays, i: int, stride: Ints, size: int, for_empty: bool
) -> TakenArrays:
    block = _elements(nest)
    end = size if places.exact[i] else (size // block + 3) * block
    return take(nest, places.base[i], places.side[i], stride, end, for_empty)


@kernel
def nested_empty(nest: Ints, side: Ints, length: Ints, stride: Ints, fibres: int) -> float:
    """Return how likely a box is empty, in the mean over boxes side by side.

    Parameters
    ----------
    nest : int64[G, 3]
        n, m and kind of every level of groups, outermost first; of `_levels`.
    side, length, stride : int64[F]
        Of `measure`.
    fibres : int
        Elements of the box in all other ranks.
    """
    places, size = list_places(nest, side, length, stride), length[0] * stride[0]
    total, boxes = 0.0, 0
    for i in range(len(places.base)):
        boxes += places.many[i]
        if places.many[i] == 0:
            continue
        taken = _taken_at(nest, places, i, stride, size, True)
        if taken.whole:
            continue
        chance = 1.0
        for j in range(len(taken.many)):
            chance *= power(pattern_empty(nest, taken.pattern[j]), float(taken.many[j]))
        if taken.short:
            rest = size % _elements(nest)
            chance *= cut_empty(min(nest[0, 0], rest), rest, taken.short)
        total += places.many[i] * power(chance, float(fibres))
    return total / boxes


@kernel
def _held_at(nest: Ints, taken: TakenArrays, rest: int, fibres: int) -> tuple[int, Floats]:
    """Return the distribution of the nonzeros of a box, and where it begins."""
    begin, total = taken.whole * _kept(nest, 0) * fibres, np.ones(1)
    for j in range(len(taken.many)):
        first, one = of_many(pattern_held(nest, taken.pattern[j]), taken.many[j] * fibres)
        skipped, total = trimmed(added(total, one))
        begin += first + skipped
    if taken.short:
        first, one = of_many(of_group(min(nest[0, 0], rest), rest, taken.short), fibres)
        skipped, total = trimmed(added(total, one))
        begin += first + skipped
    return begin, total


@kernel
def _spread_at(nest: Ints, taken: TakenArrays, rest: int, fibres: int) -> tuple[int, float]:
    """Return the most nonzeros that a box can have, and the variance of its nonzeros."""
    most, variance = taken.whole * _kept(nest, 0), 0.0
    for j in range(len(taken.many) + 1):
        times = 1
        if j < len(taken.many):
            p, times = pattern_held(nest, taken.pattern[j]), taken.many[j]
            most += times * pattern_most(nest, taken.pattern[j])
        elif taken.short:
            p = of_group(min(nest[0, 0], rest), rest, taken.short)
            most += min(nest[0, 0], taken.short)
        else:
            break
        mean = square = 0.0
        for k in range(len(p)):
            mean += k * p[k]
            square += k * k * p[k]
        variance += times * max(0.0, square - mean * mean)
    return most * fibres, variance * fibres


@kernel
def nested_quantile(
    nest: Ints, side: Ints, length: Ints, stride: Ints, fibres: int, average: float, share: float
) -> int:
    """Return the least number that the nonzeros of a share of boxes side by side do not exceed.

    Parameters
    ----------
    nest, side, length, stride, fibres
        As in `nested_empty`.
    average : float
        Nonzeros / elements of the tensor.
    share : float
        1: of all that can occur.
    """
    places, size = list_places(nest, side, length, stride), length[0] * stride[0]
    rest = size % _elements(nest)
    variance, most = np.zeros(len(places.base)), 0
    for i in range(len(places.base)):
        if places.many[i] > 0:
            taken = _taken_at(nest, places, i, stride, size, False)
            one, variance[i] = _spread_at(nest, taken, rest, fibres)
            most = max(most, one)
    if share >= 1:
        return most
    if variance.max() > _WIDEST:
        words = fibres
        for k in range(len(side)):
            words *= side[k]
        mean = np.full(len(variance), words * average)
        return int(mixed_quantile(mean, variance, places.many, 0, most, share))
    tally = np.zeros(most + 1)
    for i in range(len(places.base)):
        if places.many[i] > 0:
            taken = _taken_at(nest, places, i, stride, size, False)
            begin, p = _held_at(nest, taken, rest, fibres)
            tally[begin : begin + len(p)] += places.many[i] * p
    beyond, allowed = 0.0, add_up(tally) * (1 - share * (1 - _SLACK))
    k = most
    while k > 0 and beyond + tally[k] <= allowed:
        beyond += tally[k]
        k -= 1
    return k
