"""Which instances differ in what they do, where a last pass fills them partly or is shorter inside them.

Along a dimension, a spatial loop of n instances of which r work in the last pass splits them in three: those
before the last of the r work in every pass and do all that lies inside; the last of them works in every pass,
and is short inside in the last one; those behind are idle in the last pass. Only the second kind is split
further by spatial loops inside. Instances that do the same along a dimension are a *class*; a number names
it:

- 2 k: before the last one that works in the last pass, at the spatial loop of level k;
- 2 k + 1: behind it there;
- -1: the last one, at all spatial loops.

What an instance does is the product of what it does along each dimension. So each of them walks a nest of
its own, of temporal loops with shorter last passes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, Ints, LoopArrays, NestArrays, ProblemArrays
from procrustes_model.kernels.imperfect.transfers import (
    PassArrays,
    count_passes,
    disjoint_transfers,
    list_coefficients,
    may_overlap,
)
from procrustes_model.kernels.imperfect.walk import walk_transfers
from procrustes_model.kernels.jit import kernel

EVERY = -1
"""The class of the instance that is the last one at all spatial loops."""


class ChainArrays(NamedTuple):
    """The loops of one mapping, dimension by dimension; a level's spatial loops over one are taken as one.

    Attributes
    ----------
    bound, last : int64[L, D]
        Temporal factors, and those in the last pass.
    spread, filled : int64[L, D]
        Instances below a level, and those that work in the last pass.
    below, rest : int64[L + 1, D]
        Elements that the loops at and below a level cover, normally and in the last pass.
    whole : bool[L, D]
        Whether nothing is shorter inside the spatial loops of a level.
    begins : bool[L, D]
        Whether the outermost loop of a level is whole in the last pass: in time, over rows, over columns.
    rows : int64[K, D]
        Coefficient of every dimension in every rank.
    outside : int64[L * D + 1, D]
        Room for `count_passes`.
    lasts : int64[L, D]
        Room for the last passes of one class.
    """

    bound: Ints
    last: Ints
    spread: Ints
    filled: Ints
    below: Ints
    rest: Ints
    whole: Bools
    begins: Bools
    rows: Ints
    outside: Ints
    lasts: Ints


class OneNest(NamedTuple):
    """One mapping of a batch.

    Attributes
    ----------
    loops : LoopArrays
        Of the batch, as `fit_bounds` leaves them.
    chains : ChainArrays
    passes : PassArrays
        Of the batch: room for those of one class of instances.
    n : int
        Its number.
    """

    loops: LoopArrays
    chains: ChainArrays
    passes: PassArrays
    n: int


class Link(NamedTuple):
    """A level, the next inner one that keeps the tensor (or the number of levels), and the tensor."""

    level: int
    child: int
    tensor: int


@kernel
def find_unequal(nests: NestArrays, last: Ints, filled: Ints) -> Bools:
    """Say of every mapping whether its instances differ.

    Parameters
    ----------
    nests : NestArrays
    last, filled : int64[N, L, D]
        Temporal factors, and instances below a level, in the last pass.

    Returns
    -------
    bool[N]
    """
    mappings, levels, dimensions = last.shape
    unequal = np.zeros(mappings, np.bool_)
    for n in range(mappings):
        for d in range(dimensions):
            short = False
            for level in range(levels - 1, -1, -1):
                spread = nests.spatial[n, level, 0, d] * nests.spatial[n, level, 1, d]
                partly = filled[n, level, d] < spread
                unequal[n] = unequal[n] or partly or (short and spread > 1)
                short = short or partly or last[n, level, d] < nests.temporal[n, level, d]
    return unequal


@kernel
def make_chains(problem: ProblemArrays, levels: int) -> ChainArrays:
    """Allocate the loops of one mapping."""
    dimensions = len(problem.bounds)
    table = np.ones((6, levels + 1, dimensions), np.int64)
    return ChainArrays(
        table[0],
        table[1],
        table[2],
        table[3],
        table[4],
        table[5],
        np.ones((levels, dimensions), np.bool_),
        np.ones((levels, dimensions), np.bool_),
        list_coefficients(problem),
        np.ones((levels * dimensions + 1, dimensions), np.int64),
        np.ones((levels, dimensions), np.int64),
    )


@kernel
def follow_chains(nests: NestArrays, last: Ints, filled: Ints, n: int, chains: ChainArrays) -> None:
    """Fill in the loops of mapping `n`; `last`, `filled` as `find_unequal` takes them."""
    levels, dimensions = last.shape[1:]
    for d in range(dimensions):
        chains.below[levels, d] = chains.rest[levels, d] = 1
        for level in range(levels - 1, -1, -1):
            covered, rest = chains.below[level + 1, d], chains.rest[level + 1, d]
            chains.whole[level, d] = rest == covered
            columns = nests.spatial[n, level, 0, d]
            spread = columns * nests.spatial[n, level, 1, d]
            idle = spread - filled[n, level, d]
            chains.begins[level, d] = idle == 0 or (columns < spread and idle < columns)
            if nests.temporal[n, level, d] > 1:
                chains.begins[level, d] = last[n, level, d] == nests.temporal[n, level, d]
            rest += (filled[n, level, d] - 1) * covered
            covered *= spread
            rest += (last[n, level, d] - 1) * covered
            chains.spread[level, d], chains.filled[level, d] = spread, filled[n, level, d]
            chains.bound[level, d], chains.last[level, d] = nests.temporal[n, level, d], last[n, level, d]
            chains.below[level, d] = covered * nests.temporal[n, level, d]
            chains.rest[level, d] = rest


@kernel
def cover(problem: ProblemArrays, chains: ChainArrays) -> bool:
    """Say whether the loops cover the bounds, and the outermost one of each dimension is whole."""
    for d in range(len(problem.bounds)):
        if chains.rest[0, d] != problem.bounds[d]:
            return False
        for level in range(len(chains.whole)):
            if chains.bound[level, d] > 1 or chains.spread[level, d] > 1:
                if not chains.begins[level, d]:
                    return False
                break
    return True


@kernel
def _passes(chains: ChainArrays, d: int, level: int) -> int:
    """Return how often the spatial loops of a level over a dimension are passed."""
    passes = 1
    for j in range(level + 1):
        passes = (passes - 1) * chains.bound[j, d] + chains.last[j, d]
    return passes


@kernel
def refine(chains: ChainArrays, d: int, name: int, outer: int, inner: int, first: bool, found: Ints) -> int:
    """List the classes along a dimension of instances of level `inner` below one of level `outer`.

    Parameters
    ----------
    chains : ChainArrays
    d : int
    name : int
        The class of the outer instance.
    outer, inner : int
    first : bool
        Only the first of them.
    found : int64[2 L + 1, 2]
        Filled in: classes, and how many instances are of each; without those that never work.

    Returns
    -------
    int
        How many classes.
    """
    if name != EVERY:
        members = 1
        if not first:
            for j in range(outer, inner):
                members *= chains.spread[j, d]
        found[0, 0], found[0, 1] = name, members
        return 1
    count = 0
    for j in range(outer, inner):
        whole = chains.whole[j, d]
        before = chains.filled[j, d] - (0 if whole else 1)
        behind = chains.spread[j, d] - chains.filled[j, d]
        if first:
            if before > 0:
                found[0, 0], found[0, 1] = 2 * j, 1
                return 1
            continue
        inside = 1
        for i in range(j + 1, inner):
            inside *= chains.spread[i, d]
        if before > 0:
            found[count, 0], found[count, 1] = 2 * j, before * inside
            count += 1
        if behind > 0 and _passes(chains, d, j) > 1:
            found[count, 0], found[count, 1] = 2 * j + 1, behind * inside
            count += 1
        if whole:
            return count
    found[count, 0], found[count, 1] = EVERY, 1
    return count + 1


@kernel
def class_of(chains: ChainArrays, d: int, name: int, link: Link, index: Ints) -> int:
    """Return the class of one instance of the child; -2 where it never works.

    Parameters
    ----------
    chains : ChainArrays
    d, name : int
        The dimension, and the class of the instance of the level.
    link : Link
    index : int64[L]
        Of the instance, by level.
    """
    if name != EVERY:
        return name
    for j in range(link.level, link.child):
        end = chains.filled[j, d] - 1
        if index[j] < end or (index[j] == end and chains.whole[j, d]):
            return 2 * j
        if index[j] > end:
            return 2 * j + 1 if _passes(chains, d, j) > 1 else -2
    return EVERY


@kernel
def stand_for(chains: ChainArrays, d: int, name: int, index: Ints) -> None:
    """Fill in `index`, int64[L]: which instance of each level stands for a class."""
    for j in range(len(index)):
        at = name // 2 if name != EVERY else len(index)
        index[j] = chains.filled[j, d] - 1 if j < at else 0
        if j == at and name % 2 == 1:
            index[j] = chains.filled[j, d]


@kernel
def follow_class(chains: ChainArrays, d: int, name: int, level: int) -> int:
    """Find what an instance of a level does along a dimension.

    Parameters
    ----------
    chains : ChainArrays
        `lasts` is filled in: the last passes of the loops outside the level.
    d, name, level : int

    Returns
    -------
    int
        Elements that it comes to over the run.
    """
    at = name // 2 if name != EVERY else level
    for j in range(level):
        chains.lasts[j, d] = chains.last[j, d] if j <= at else chains.bound[j, d]
    if name != EVERY and name % 2 == 1:
        # One pass less: the last index, in the mixed radix of the loops.
        left = _passes(chains, d, at) - 2
        for j in range(at, -1, -1):
            chains.lasts[j, d] = left % chains.bound[j, d] + 1
            left //= chains.bound[j, d]
    passes = 1
    for j in range(level):
        passes = (passes - 1) * chains.bound[j, d] + chains.lasts[j, d]
    short = chains.rest[level, d] if name == EVERY else chains.below[level, d]
    return int((passes - 1) * chains.below[level, d] + short)


@kernel
def _enter(nest: OneNest, level: int, names: Ints) -> int:
    """Let `passes` be those of one class of instances of a level; return its steps if it computed."""
    loops, chains, passes, n = nest.loops, nest.chains, nest.passes, nest.n
    dimensions = len(names)
    short = np.zeros(dimensions, np.bool_)
    steps = 1
    for d in range(dimensions):
        steps *= follow_class(chains, d, names[d], level)
        ends = names[d] == EVERY
        passes.rest[n, level, d] = chains.rest[level, d] if ends else loops.below[n, level, d]
        short[d] = ends and chains.rest[level, d] != chains.below[level, d]
    for j in range(level - 1, -1, -1):
        for loop in range(loops.start[n, j + 1], loops.start[n, j]):
            d = loops.dimension[n, loop]
            passes.last[n, loop] = chains.lasts[j, d]
            passes.differs[n, loop] = short[d]
            short[d] = short[d] or chains.lasts[j, d] < loops.bound[n, loop]
    return steps


@kernel
def count_fetched(problem: ProblemArrays, nest: OneNest, level: int, tensor: int, names: Ints) -> int:
    """Count the words of a tensor that are moved into one instance of a level.

    Parameters
    ----------
    problem : ProblemArrays
    nest : OneNest
        Its `passes` are changed.
    level : int
        The number of levels stands for the compute units, which take a word in each step.
    tensor : int
    names : int64[D]
        The instance's class in each dimension.
    """
    steps = _enter(nest, level, names)
    loops, chains, passes, n = nest.loops, nest.chains, nest.passes, nest.n
    if level == len(chains.whole):
        return steps
    count_passes(loops, passes, n, chains.outside)
    inner = loops.start[n, level]
    ranks = chains.rows[problem.rank_start[tensor] : problem.rank_start[tensor + 1]]
    adds_up = level > 0 and loops.start[n, level - 1] > inner and loops.spread[n, level - 1].prod() == 1
    if may_overlap(ranks, problem.bounds, chains.outside[inner]):
        last, differs, rest = passes.last[n], passes.differs[n], passes.rest[n, level]
        return int(walk_transfers(ranks, loops, last, differs, rest, n, level, adds_up))
    return int(disjoint_transfers(ranks, loops, passes, chains.outside, n, level, adds_up))


@kernel
def is_crowded(problem: ProblemArrays, chains: ChainArrays, link: Link) -> bool:
    """Say whether instances below a level may hold the same tile although a loop over it tells them apart."""
    first, end = problem.rank_start[link.tensor], problem.rank_start[link.tensor + 1]
    for j in range(link.level, link.child):
        for rank in range(first, end):
            apart = 0
            for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
                apart += chains.spread[j, problem.term_dimension[term]] > 1
            if apart > 1 or (apart > 0 and problem.skewed[link.tensor]):
                return True
    return False


@kernel
def serve(problem: ProblemArrays, nest: OneNest, link: Link, names: Ints) -> int:
    """Count the words that one instance of a level hands out: once to all that hold the same tile.

    Of these the first works in every pass, so that it is served whatever the others need.

    Parameters
    ----------
    problem : ProblemArrays
    nest : OneNest
        Its `passes` are changed.
    link : Link
    names : int64[D]
        The instance's class in each dimension.
    """
    chains = nest.chains
    if is_crowded(problem, chains, link):
        return _serve_crowded(problem, nest, link, names)
    dimensions = len(names)
    found = np.empty((dimensions, 2 * len(chains.whole) + 1, 2), np.int64)
    count, at, inner = np.empty(dimensions, np.int64), np.zeros(dimensions, np.int64), names.copy()
    total = 1
    for d in range(dimensions):
        first = problem.rank[link.tensor, d] < 0
        count[d] = refine(chains, d, names[d], link.level, link.child, first, found[d])
        total *= count[d]
    words = 0
    for number in range(total):
        members, rest = 1, number
        for d in range(dimensions):
            at[d] = rest % count[d]
            rest //= count[d]
            inner[d] = found[d, at[d], 0]
            members *= found[d, at[d], 1]
        words += members * count_fetched(problem, nest, link.child, link.tensor, inner)
    return words


@kernel
def _place_tile(problem: ProblemArrays, chains: ChainArrays, link: Link, index: Ints) -> int:
    """Return a number for the tile of an instance below a level; `index`, int64[D, L], is the instance's."""
    key = 0
    for j in range(link.level, link.child):
        for rank in range(problem.rank_start[link.tensor], problem.rank_start[link.tensor + 1]):
            at, extent = 0, 1
            for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
                d = problem.term_dimension[term]
                step = problem.term_coefficient[term] * chains.below[j + 1, d]
                at += index[d, j] * step
                extent += (chains.spread[j, d] - 1) * step
            key = key * extent + at
    return key


@kernel
def _serve_crowded(problem: ProblemArrays, nest: OneNest, link: Link, names: Ints) -> int:
    """Serve instances that may hold the same tile: one by one, and of those with equal tiles the fullest."""
    chains = nest.chains
    dimensions, levels = len(names), len(chains.whole)
    index, inner = np.zeros((dimensions, levels), np.int64), names.copy()
    only = np.empty((2 * levels + 1, 2), np.int64)
    total = 1
    for d in range(dimensions):
        if problem.rank[link.tensor, d] < 0:
            refine(chains, d, names[d], link.level, link.child, True, only)
            inner[d] = only[0, 0]
            continue
        for j in range(link.level, link.child):
            total *= chains.spread[j, d]
    keys, words = np.empty(total, np.int64), np.zeros(total, np.int64)
    for number in range(total):
        rest, works = number, True
        for d in range(dimensions):
            if problem.rank[link.tensor, d] < 0:
                continue
            for j in range(link.level, link.child):
                index[d, j] = rest % chains.spread[j, d]
                rest //= chains.spread[j, d]
            inner[d] = class_of(chains, d, names[d], link, index[d])
            works = works and inner[d] >= EVERY
        keys[number] = _place_tile(problem, chains, link, index)
        if works:
            words[number] = count_fetched(problem, nest, link.child, link.tensor, inner)
    served = 0
    order = np.argsort(keys)
    most = 0
    for i in range(total):
        most = max(most, words[order[i]])
        if i + 1 == total or keys[order[i + 1]] != keys[order[i]]:
            served += most
            most = 0
    return served
