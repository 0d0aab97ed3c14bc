"""A sparse run walked element by element, on a mask."""

from __future__ import annotations

import itertools
from collections import defaultdict
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from procrustes_model import Mapping, Problem
from procrustes_model.spec.problem import Tensor
from tests.naive.dense import NestLoop, bounding_box, list_loops, position, shifted, touched
from tests.naive.policies import TWINS

Mask = NDArray[np.bool_]


def dimensions_of(tensor: Tensor) -> list[str]:
    """Return the dimensions that move a tensor, rank by rank."""
    return list(dict.fromkeys(term.dimension for rank in tensor.ranks for term in rank))


def met_computations(problem: Problem, tensor: Tensor, mask: Mask) -> int:
    """Return how many computations meet a nonzero element of `tensor`."""
    met = 0
    for index in itertools.product(*(range(bound) for bound in problem.dimensions.values())):
        at = dict(zip(problem.dimensions, index, strict=True))
        met += bool(mask[tuple(sum(t.coefficient * at[t.dimension] for t in rank) for rank in tensor.ranks)])
    return met


def cut_dimension(tensor: Tensor, loops: list[NestLoop], array: int, pieces: int) -> str | None:
    """Return the longest spread dimension that a tile can be cut along; the first of equal ones."""
    best, longest = None, 0
    for dimension in dimensions_of(tensor):
        extent = spread = 1
        for loop in loops:
            if loop.dimension == dimension:
                extent *= loop.bound if loop.level >= array else 1
                spread *= loop.bound if loop.level < array and loop.spatial else 1
        if pieces > 1 and spread > 1 and extent % pieces == 0 and extent > longest:
            best, longest = dimension, extent
    return best


def work_of_pieces(
    problem: Problem,
    mapping: Mapping,
    masks: list[tuple[Tensor, Mask]],
    array: int,
    cut: str | None,
    pieces: int,
) -> dict[tuple[int, ...], dict[tuple[int, ...], int]]:
    """Return by array-level tile, element and piece of its tile how many positions meet nonzeros only."""
    own = {dimension for tensor, _ in masks for dimension in dimensions_of(tensor)}
    loops = [loop for loop in list_loops(problem, mapping) if loop.dimension in own]
    extent = 1
    for loop in loops:
        if loop.dimension == cut and loop.level >= array:
            extent *= loop.bound
    work: dict[tuple[int, ...], dict[tuple[int, ...], int]] = defaultdict(lambda: defaultdict(int))
    for index in itertools.product(*(range(loop.bound) for loop in loops)):
        steps = list(zip(loops, index, strict=True))
        when = tuple(i for loop, i in steps if loop.level < array and not loop.spatial)
        where = [i for loop, i in steps if loop.level < array and loop.spatial]
        inside = sum(i * loop.step for loop, i in steps if loop.dimension == cut and loop.level >= array)
        where.append(pieces * inside // extent)
        work[when][tuple(where)] += all(mask[position(tensor, loops, index)] for tensor, mask in masks)
    return work


def slowest_share(
    problem: Problem, mapping: Mapping, masks: list[tuple[Tensor, Mask]], array: int, policy: str
) -> Fraction:
    """Return the work of the slowest processing element in the mean over array-level tiles, per position.

    The first tensor is the one that is balanced.
    """
    loops, twin = list_loops(problem, mapping), TWINS[policy]
    cut = cut_dimension(masks[0][0], loops, array, twin.pieces)
    if cut is None:
        twin = TWINS["none"]
    total = volume = 0
    for works in work_of_pieces(problem, mapping, masks, array, cut, twin.pieces).values():
        tiles: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for where, work in works.items():
            tiles[where[:-1]].append(work)
        total += max(twin.loads(list(tiles.values())))
        volume += 1
    extent = 1
    own = {dimension for tensor, _ in masks for dimension in dimensions_of(tensor)}
    for loop in loops:
        if loop.dimension in own and loop.level >= array:
            extent *= loop.bound
    return Fraction(total, volume * extent)


def moved_nonzeros(problem: Problem, mapping: Mapping, tensor: Tensor, mask: Mask, level: int) -> int:
    """Return the nonzeros fetched into all instances of a level; a tile is fetched whole when it moves."""
    loops = list_loops(problem, mapping)
    inner = bounding_box(touched(tensor, [loop for loop in loops if loop.level >= level]))
    spatial = [loop for loop in loops if loop.level < level and loop.spatial]
    temporal = [loop for loop in loops if loop.level < level and not loop.spatial]
    fetched = 0
    for place in itertools.product(*(range(loop.bound) for loop in spatial)):
        held = None
        at_place = shifted(inner, position(tensor, spatial, place))
        for index in itertools.product(*(range(loop.bound) for loop in temporal)):
            tile = shifted(at_place, position(tensor, temporal, index))
            if tile != held:
                fetched += sum(bool(mask[point]) for point in tile)
                held = tile
    return fetched


def tile_quantile(
    problem: Problem, mapping: Mapping, tensor: Tensor, mask: Mask, level: int, q: float
) -> int:
    """Return the least number of nonzeros that a share `q` of a level's tiles do not exceed.

    A tile counts as often as different loop positions hold it.
    """
    loops = list_loops(problem, mapping)
    inner = bounding_box(touched(tensor, [loop for loop in loops if loop.level >= level]))
    outer = [loop for loop in loops if loop.level < level and loop.dimension in dimensions_of(tensor)]
    counts = sorted(
        sum(bool(mask[point]) for point in shifted(inner, position(tensor, outer, index)))
        for index in itertools.product(*(range(loop.bound) for loop in outer))
    )
    return next(count for count in counts if sum(c <= count for c in counts) >= q * len(counts) - 1e-9)


def is_uneven(problem: Problem, mapping: Mapping, tensor: Tensor, mask: Mask) -> bool:
    """Say whether at some time one compute unit meets more nonzeros than another.

    Units meet what the innermost level holds for them at a time.
    """
    innermost = len(mapping.levels) - 1
    loops = list_loops(problem, mapping)
    work: dict[tuple[int, ...], dict[tuple[int, ...], int]] = defaultdict(lambda: defaultdict(int))
    for index in itertools.product(*(range(loop.bound) for loop in loops)):
        steps = list(zip(loops, index, strict=True))
        when = tuple(i for loop, i in steps if loop.level < innermost and not loop.spatial)
        where = tuple(i for loop, i in steps if loop.spatial)
        work[when][where] += bool(mask[position(tensor, loops, index)])
    return any(len(set(units.values())) > 1 for units in work.values())
