"""Nests with shorter last passes in the most obvious way: walk the iterations, one box after the other.

Timeloop walks at most three iterations of a loop, the first, the second and perhaps the last, and lets the
second stand for the others; this does the same, without any formula or memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.mapping import Mapping
from procrustes_model.spec.problem import Problem, Tensor
from tests.naive import dense

Box = tuple[tuple[int, int], ...]
"""Per rank, the first coordinate and the one after the last."""


@dataclass(frozen=True)
class PassLoop(dense.NestLoop):
    """A loop with its bound in the last pass over its dimension."""

    last: int


@dataclass(frozen=True)
class Visit:
    """One iteration of some loops: how many it stands for, where it is, and which dimensions end here."""

    weight: int
    position: dict[str, int]
    ending: dict[str, bool]


def list_loops(problem: Problem, mapping: Mapping) -> list[PassLoop]:
    """Return the loops that run more than once, outermost first."""
    lasts = {
        (index, loop.dimension): loop.last
        for index, level in enumerate(mapping.levels)
        for loop in level.temporal
    }
    return [
        PassLoop(
            **vars(loop),
            last=(None if loop.spatial else lasts[loop.level, loop.dimension]) or loop.bound,
        )
        for loop in dense.list_loops(problem, mapping)
        if loop.bound > 1
    ]


def covered(loops: list[PassLoop], dimension: str, ending: bool) -> int:
    """Return how many elements of a dimension some inner loops cover, in the last pass or in another."""
    return 1 + sum(
        ((loop.last if ending else loop.bound) - 1) * loop.step
        for loop in loops
        if loop.dimension == dimension
    )


def tile(tensor: Tensor, loops: list[PassLoop], visit: Visit) -> Box:
    """Return the box that `loops` touch from a visit of the loops around them."""
    sides = []
    for rank in tensor.ranks:
        low = sum(term.coefficient * visit.position[term.dimension] for term in rank)
        reach = [covered(loops, term.dimension, visit.ending[term.dimension]) for term in rank]
        extent = sum(term.coefficient * (one - 1) for term, one in zip(rank, reach, strict=True))
        sides.append((low, low + extent + 1))
    return tuple(sides)


def size(box: Box) -> int:
    """Return the number of coordinates in a box."""
    return math.prod(max(0, high - low) for low, high in box)


def common(one: Box, other: Box) -> int:
    """Return the number of coordinates that two boxes share."""
    sides = zip(one, other, strict=True)
    return size(tuple((max(a[0], b[0]), min(a[1], b[1])) for a, b in sides))


def iterations(loops: list[PassLoop], depth: int, bound: int, adds_up: bool) -> list[tuple[int, int]]:
    """Return the indices at which a loop is walked, and how many iterations each stands for.

    The last one is walked where it differs, a loop inside being shorter there. A loop that itself adds up
    what the level below it fetches walks it too, and counts the second in its place.
    """
    inside = loops[depth + 1 :]
    differs = any(one.dimension == loops[depth].dimension and one.last < one.bound for one in inside)
    if bound <= 2 or not differs:
        return [(0, 1), (1, bound - 1)][:bound]
    if adds_up:
        return [(0, 1), (1, bound - 1), (bound - 1, 0)]
    return [(0, 1), (1, bound - 2), (bound - 1, 1)]


def walk(
    loops: list[PassLoop], depth: int, end: int, visit: Visit, adding: PassLoop | None
) -> Iterator[Visit]:
    """Yield what is walked of the loops `depth` to `end`; of spatial loops, the first instance."""
    if depth == end:
        yield visit
        return
    loop = loops[depth]
    d, ending = loop.dimension, visit.ending[loop.dimension]
    if loop.spatial:
        yield from walk(
            loops, depth + 1, end, Visit(visit.weight, visit.position, visit.ending | {d: False}), adding
        )
        return
    bound = loop.last if ending else loop.bound
    for index, weight in iterations(loops, depth, bound, loop is adding):
        inner = Visit(
            visit.weight * weight,
            visit.position | {d: visit.position[d] + index * loop.step},
            visit.ending | {d: ending and index == bound - 1},
        )
        yield from walk(loops, depth + 1, end, inner, adding)


def visits_of(problem: Problem, mapping: Mapping, level: int, *, inside: bool = False) -> Iterator[Visit]:
    """Yield the visits of one instance of a level; or, inside its temporal loops, of its spatial ones."""
    loops = list_loops(problem, mapping)
    end = sum(loop.level < level or (inside and loop.level == level and not loop.spatial) for loop in loops)
    above = loops[end - 1] if end else None
    adds_up = above is not None and not above.spatial and above.level == level - 1
    adding = above if adds_up and level < len(mapping.levels) else None
    start = Visit(1, dict.fromkeys(problem.dimensions, 0), dict.fromkeys(problem.dimensions, True))
    return walk(loops, 0, end, start, adding)


def count_transfers(problem: Problem, mapping: Mapping, tensor: Tensor, level: int) -> int:
    """Return the words moved into one instance of a level.

    The centre of the tile moves, in whole words, half a word being rounded away from zero. What is new is
    fetched when it does not move, or moves as it did the time before, or for the first time since a tile
    was fetched whole; else all of it is, and how it moved is forgotten.
    """
    loops = [loop for loop in list_loops(problem, mapping) if loop.level >= level]
    words = 0
    held: Box | None = None
    before: tuple[int, ...] | None = None
    for visit in visits_of(problem, mapping, level):
        wanted = tile(tensor, loops, visit)
        fetched = size(wanted)
        if held is not None:
            doubles = [sum(new) - sum(old) for new, old in zip(wanted, held, strict=True)]
            move = tuple((abs(x) + 1) // 2 * (1 if x >= 0 else -1) for x in doubles)
            if not any(move) or before in (None, move):
                fetched -= common(wanted, held)
                before = move if any(move) else before
            else:
                before = None
        words += visit.weight * fetched
        held = wanted
    return words


def first_tile(
    problem: Problem, mapping: Mapping, tensor: Tensor, level: int, *, inside: bool = False
) -> Box:
    """Return the tile of a level's first visit; or, inside its temporal loops, of its spatial loops."""
    loops = list_loops(problem, mapping)
    within = [
        one for one in loops if one.level > level or (one.level == level and (one.spatial or not inside))
    ]
    return tile(tensor, within, next(visits_of(problem, mapping, level, inside=inside)))


def count_covered(problem: Problem, mapping: Mapping, tensor: Tensor, level: int, within: int) -> int:
    """Return how many words of an output are in tiles of level `within` that one instance of a level gets."""
    if all(len(rank) == 1 and rank[0].coefficient == 1 for rank in tensor.ranks):
        elements = size(first_tile(problem, mapping, tensor, 0))
        for outer in range(level):
            elements *= size(first_tile(problem, mapping, tensor, outer + 1))
            spread = size(first_tile(problem, mapping, tensor, outer, inside=True))
            if not any(loop.spatial and loop.level == outer for loop in list_loops(problem, mapping)):
                spread = size(first_tile(problem, mapping, tensor, outer + 1))
            elements //= spread
        return elements
    # No reference tells what a sum of dimensions reaches in an output.
    return dense.count_covered(problem, dense.list_loops(problem, mapping), tensor, level, within)


def count_tensor(
    problem: Problem, mapping: Mapping, tensor: Tensor, drains: frozenset[str] = frozenset()
) -> dict[str, dict[str, int]]:
    """Return by level name the tile, reads, fills and updates of one tensor, per instance.

    Levels that `drain` read each sum that they send.
    """
    loops = list_loops(problem, mapping)
    levels = len(mapping.levels)
    counts: dict[str, dict[str, int]] = {}
    into_child = sum(visit.weight for visit in visits_of(problem, mapping, levels))
    tiles, child = 1, levels
    for level in range(levels - 1, -1, -1):
        network: list[dense.NestLoop] = [loop for loop in loops if loop.level == level and loop.spatial]
        tiles *= dense.count_sharing(tensor, network, {(0,) * len(tensor.ranks)})
        if tensor.name not in mapping.levels[level].keep:
            continue
        moved = count_transfers(problem, mapping, tensor, level)
        served = into_child * tiles
        new, fresh = (
            count_covered(problem, mapping, tensor, level, within) if tensor.is_output else 0
            for within in (child, level)
        )
        drained = tensor.is_output and level > 0 and mapping.levels[level].level in drains
        counts[mapping.levels[level].level] = {
            "tile_words": size(first_tile(problem, mapping, tensor, level)),
            "reads": max(0, served - new) + (moved if drained else 0),
            "fills": max(0, moved - fresh) if level else 0,
            "updates": served if tensor.is_output else 0,
        }
        into_child, tiles, child = moved, 1, level
    return counts


def evaluate(architecture: Architecture, problem: Problem, mapping: Mapping) -> dict[str, Any]:
    """Return counts by (level, tensor), energy by (level, tensor), cycles by level, and totals."""
    counts = {}
    drains = frozenset(level.name for level in architecture.levels if level.drain_read)
    for tensor in problem.tensors:
        for level, numbers in count_tensor(problem, mapping, tensor, drains).items():
            counts[level, tensor.name] = numbers
    return dense.charge(architecture, problem, dense.list_loops(problem, mapping), counts)
