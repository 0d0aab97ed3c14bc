"""Gating and skipping on random masks: walk the nest, and look which accesses meet zeros only.

Every action is looked at alone. What an instance reads of its target, or gets back, is a tile that stays
with some instances further in for a while. It is saved when all elements of a leader are zero that the
tile meets there while it stays.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from procrustes_model import Mapping, Problem
from procrustes_model.spec.problem import Tensor
from tests.naive.dense import NestLoop, Point, bounding_box, list_loops, position, touched

Mask = NDArray[np.bool_]


def random_mask(shape: tuple[int, ...], nonzeros: int, rng: np.random.Generator) -> Mask:
    """Return a mask with so many nonzeros, every one equally likely."""
    mask = np.zeros(shape, np.bool_)
    mask.flat[rng.permutation(mask.size)[:nonzeros]] = True
    return mask


def _walk(loops: list[NestLoop]) -> Iterator[tuple[int, ...]]:
    return itertools.product(*(range(loop.bound) for loop in loops))


def _added(points: set[Point], others: set[Point]) -> set[Point]:
    return {tuple(a + b for a, b in zip(point, other, strict=True)) for point in points for other in others}


def stays(
    problem: Problem, mapping: Mapping, level: int, target: Tensor, leaders: list[Tensor], words: int = 1
) -> list[list[set[Point]]]:
    """Return for every access to a tile what it meets of each leader, below one instance of `level`.

    Instances that hold the same tile share it, network by network. A tile that does not move stays; compute
    units take one element at a time. An access of several `words` reads what neighbours with smaller tiles
    take at that moment, and then, unless they are compute units, what they take next.
    """
    loops = list_loops(problem, mapping)
    levels = len(mapping.levels)
    child = next((i for i in range(level + 1, levels) if target.name in mapping.levels[i].keep), levels)
    outer = [loop for loop in loops if not loop.spatial and loop.level < child]
    networks = [[loop for loop in loops if loop.spatial and loop.level == i] for i in range(level, child)]
    inner = [loop for loop in loops if loop.level >= child]
    within = [{position(leader, inner, index) for index in _walk(inner)} for leader in leaders]
    every = [loop for network in networks for loop in network]
    groups: dict[tuple[Point, ...], list[set[Point]]] = {}
    for places in itertools.product(*(list(_walk(network)) for network in networks)):
        key = tuple(position(target, network, place) for network, place in zip(networks, places, strict=True))
        index = tuple(i for place in places for i in place)
        met = groups.setdefault(key, [set() for _ in leaders])
        for points, leader in zip(met, leaders, strict=True):
            points.add(position(leader, every, index))
    reached = [
        [_added(points, inside) for points, inside in zip(met, within, strict=True)]
        for met in groups.values()
    ]
    found: list[list[set[Point]]] = []
    held = None
    for index in _walk(outer):
        here = position(target, outer, index)
        if here != held or child == levels:
            found += [[set() for _ in leaders] for _ in groups]
            held = here
        for met, points in zip(found[-len(groups) :], reached, strict=True):
            for i, leader in enumerate(leaders):
                met[i] |= _added(points[i], {position(leader, outer, index)})
    together = math.ceil(words / len(bounding_box(touched(target, inner))))
    step = len(groups) if child == levels else len(found)
    return [
        _united(found[i : min(i + together, start + step)])
        for start in range(0, len(found), step)
        for i in range(start, start + step, together)
    ]


def _united(met: list[list[set[Point]]]) -> list[set[Point]]:
    return [set().union(*points) for points in zip(*met, strict=True)]


def saved_shares(met: list[list[set[Point]]], masks: list[list[Mask]]) -> NDArray[np.float64]:
    """Return by mask the share of stays in which some leader is zero wherever the tile meets it.

    Parameters
    ----------
    met : list
        As `stays` returns it.
    masks : list
        Of masks by leader.
    """
    saved = np.zeros((len(masks[0]), len(met)), np.bool_)
    for leader, drawn in enumerate(masks):
        flat = np.stack([mask.ravel() for mask in drawn])
        shape = drawn[0].shape
        for i, points in enumerate(met):
            at = np.ravel_multi_index(tuple(np.array(sorted(points[leader])).T), shape)
            saved[:, i] |= ~flat[:, at].any(axis=1)
    return saved.mean(axis=1)


def done_shares(problem: Problem, operands: list[Tensor], masks: list[list[Mask]]) -> NDArray[np.float64]:
    """Return by mask the share of computations in which no operand is zero.

    Parameters
    ----------
    problem : Problem
    operands : list of Tensor
    masks : list
        Of masks by operand.
    """
    index = np.indices(list(problem.dimensions.values())).reshape(len(problem.dimensions), -1)
    at = dict(zip(problem.dimensions, index, strict=True))
    done = np.ones((len(masks[0]), index.shape[1]), np.bool_)
    for operand, drawn in zip(operands, masks, strict=True):
        where = tuple(
            sum((term.coefficient * at[term.dimension] for term in rank), np.zeros_like(index[0]))
            for rank in operand.ranks
        )
        for i, mask in enumerate(drawn):
            done[i] &= mask[where]
    return done.mean(axis=1)
