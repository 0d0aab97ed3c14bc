"""Which tile is needed where and when, and what there is to do with it: the loop nest walked."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property

from procrustes_model import Mapping, Problem
from procrustes_model.spec.problem import Tensor
from tests.naive.dense import NestLoop, Point, bounding_box, list_loops, position, shifted, touched

Place = tuple[int, ...]
"""A memory of a level: the iteration of every spatial loop further out."""


@dataclass(frozen=True)
class Visit:
    """A tile of a tensor that stays at a level while so many array-level tiles pass.

    Attributes
    ----------
    first, last : int
        Array-level tiles.
    offset : Point
        How far the tile lies from the first one.
    """

    first: int
    last: int
    offset: Point


@dataclass(frozen=True)
class Computation:
    """One loop position of an element's array-level tile.

    Attributes
    ----------
    piece : int
        In which piece of the element's tile it lies.
    points : dict
        The element of each tensor that it takes.
    """

    piece: int
    points: dict[str, Point]


class Nest:
    """A mapping whose innermost level is one register file per processing element."""

    def __init__(self, problem: Problem, mapping: Mapping) -> None:
        self.problem, self.mapping = problem, mapping
        self.tensors = {tensor.name: tensor for tensor in problem.tensors}
        self.array = len(mapping.levels) - 1
        self.loops = list_loops(problem, mapping)
        assert not any(loop.spatial and loop.level == self.array for loop in self.loops), (
            "one unit an element"
        )

    def loops_of(self, levels: range, *, spatial: bool) -> list[NestLoop]:
        """Return the loops of some levels, outermost first."""
        return [loop for loop in self.loops if loop.level in levels and loop.spatial == spatial]

    def loops_below(self, level: int) -> list[NestLoop]:
        """Return the loops that a level's tile covers."""
        return [loop for loop in self.loops if loop.level >= level]

    @cached_property
    def steps(self) -> int:
        """Array-level tiles of the run."""
        return math.prod(loop.bound for loop in self.loops_of(range(self.array), spatial=False))

    def places(self, level: int) -> list[Place]:
        """Return the memories of a level that the mapping uses."""
        return walk(self.loops_of(range(level), spatial=True))

    def parent(self, place: Place, level: int) -> Place:
        """Return the memory of a level further out that feeds a memory."""
        return place[: len(self.loops_of(range(level), spatial=True))]

    def keeper(self, tensor: str, level: int) -> int:
        """Return the next level further out that keeps a tensor."""
        return next(i for i in range(level - 1, -1, -1) if tensor in self.mapping.levels[i].keep)

    def box(self, tensor: str, level: int) -> set[Point]:
        """Return a level's first tile of a tensor."""
        return bounding_box(touched(self.tensors[tensor], self.loops_below(level)))

    def offset(self, tensor: str, level: int, place: Place) -> Point:
        """Return how far a memory's tiles lie from those of the first one."""
        return position(self.tensors[tensor], self.loops_of(range(level), spatial=True), place)

    def route(self, tensor: str, place: Place, outer: int, level: int) -> tuple[Point, ...]:
        """Return which of the tiles a memory wants, network by network: equal for those that share a read."""
        found = []
        for i in range(outer, level):
            start, network = len(self.parent(place, i)), self.loops_of(range(i, i + 1), spatial=True)
            found.append(position(self.tensors[tensor], network, place[start : start + len(network)]))
        return tuple(found)

    def sharing(self, tensor: str, outer: int, level: int) -> float:
        """Return how many memories of a level share a tile that comes from a memory further out."""
        places = self.places(level)
        tiles = {(self.parent(place, outer), self.route(tensor, place, outer, level)) for place in places}
        return len(places) / len(tiles)

    def visits(self, tensor: str, level: int) -> list[Visit]:
        """Return a level's tiles of a tensor, in order."""
        outer = self.loops_of(range(level), spatial=False)
        each = math.prod(loop.bound for loop in self.loops_of(range(level, self.array), spatial=False))
        found: list[Visit] = []
        for i, index in enumerate(walk(outer)):
            here = position(self.tensors[tensor], outer, index)
            if found and found[-1].offset == here:
                found[-1] = Visit(found[-1].first, (i + 1) * each - 1, here)
            else:
                found.append(Visit(i * each, (i + 1) * each - 1, here))
        return found

    def is_sliding(self, tensor: str) -> bool:
        """Whether neighbouring tiles of a tensor may overlap."""
        return any(len(rank) > 1 for rank in self.tensors[tensor].ranks)

    def positions(self, cut: str | None, pieces: int) -> list[Computation]:
        """Return the loop positions of the first element's first tile, cut along a dimension, in order."""
        inner = self.loops_below(self.array)
        extent = math.prod(loop.bound for loop in inner if loop.dimension == cut)
        found = []
        for index in walk(inner):
            along = sum(i * loop.step for i, loop in zip(index, inner, strict=True) if loop.dimension == cut)
            points = {name: position(tensor, inner, index) for name, tensor in self.tensors.items()}
            found.append(Computation(pieces * along // extent, points))
        return found

    @cached_property
    def _when(self) -> dict[str, list[Point]]:
        """Return by tensor how far each array-level tile lies from the first one."""
        outer = self.loops_of(range(self.array), spatial=False)
        return {
            name: [position(tensor, outer, index) for index in walk(outer)]
            for name, tensor in self.tensors.items()
        }

    @cached_property
    def _where(self) -> dict[str, dict[Place, Point]]:
        """Return by tensor how far each element's tiles lie from those of the first one."""
        places = self.places(self.array)
        return {
            name: {place: self.offset(name, self.array, place) for place in places} for name in self.tensors
        }

    def corner(self, tensor: str, step: int, place: Place) -> Point:
        """Return where an element's tile lies in an array-level tile."""
        return add(self._when[tensor][step], self._where[tensor][place])

    def group(self, tensor: str, place: Place) -> Place:
        """Return an element's place among those whose work on a tensor can differ."""
        moving = {term.dimension for rank in self.tensors[tensor].ranks for term in rank}
        spread = self.loops_of(range(self.array), spatial=True)
        return tuple(i for i, loop in zip(place, spread, strict=True) if loop.dimension in moving)


def walk(loops: list[NestLoop]) -> list[tuple[int, ...]]:
    """Return all iterations of loops, in order."""
    return list(itertools.product(*(range(loop.bound) for loop in loops)))


def add(point: Point, other: Point) -> Point:
    """Return the sum of two vectors."""
    return tuple(a + b for a, b in zip(point, other, strict=True))


def moved(points: set[Point], *moves: Point) -> set[Point]:
    """Return points moved by the sum of some vectors."""
    for move in moves:
        points = shifted(points, move)
    return points


def size(tensor: Tensor, problem: Problem) -> tuple[int, ...]:
    """Return the length of every rank of a tensor."""
    return tuple(
        1 + sum(term.coefficient * (problem.dimensions[term.dimension] - 1) for term in rank)
        for rank in tensor.ranks
    )
