"""The dense model in the most obvious way: walk the loop nest with real sets of coordinates.

Nothing here is fast and nothing is shared with the kernels. Loops are walked one iteration at a time;
what a buffer holds is a Python set of coordinates; neighbours share when their sets are equal.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from procrustes_model.spec.architecture import Architecture, StorageLevel
from procrustes_model.spec.mapping import Mapping
from procrustes_model.spec.problem import Problem, Tensor

Point = tuple[int, ...]


@dataclass(frozen=True)
class NestLoop:
    """One loop of the nest: where it stands, what it walks, and how far one iteration goes."""

    level: int
    spatial: bool
    dimension: str
    bound: int
    step: int


def list_loops(problem: Problem, mapping: Mapping) -> list[NestLoop]:
    """Return all loops of the nest, outermost first; a level's spatial loops lie inside its temporal ones."""
    covered = dict.fromkeys(problem.dimensions, 1)
    loops = []
    for level in range(len(mapping.levels) - 1, -1, -1):
        here = mapping.levels[level]
        inner_first = [(True, loop) for loop in (*here.spatial_x, *here.spatial_y)]
        inner_first += [(False, loop) for loop in reversed(here.temporal)]
        for spatial, loop in inner_first:
            loops.append(NestLoop(level, spatial, loop.dimension, loop.factor, covered[loop.dimension]))
            covered[loop.dimension] *= loop.factor
    return loops[::-1]


def touched(tensor: Tensor, loops: list[NestLoop]) -> set[Point]:
    """Return the coordinates of `tensor` that all iterations of `loops` reach."""
    points = set()
    for index in itertools.product(*(range(loop.bound) for loop in loops)):
        points.add(position(tensor, loops, index))
    return points


def position(tensor: Tensor, loops: list[NestLoop], index: tuple[int, ...]) -> Point:
    """Return the coordinates of `tensor` at one iteration of `loops`."""
    at: Counter[str] = Counter()
    for loop, i in zip(loops, index, strict=True):
        at[loop.dimension] += i * loop.step
    return tuple(sum(term.coefficient * at[term.dimension] for term in rank) for rank in tensor.ranks)


def bounding_box(points: set[Point]) -> set[Point]:
    """Return all coordinates between the smallest and the largest of `points`, rank by rank."""
    sides = [range(min(rank), max(rank) + 1) for rank in zip(*points, strict=True)]
    return set(itertools.product(*sides))


def shifted(points: set[Point], move: Point) -> set[Point]:
    """Return `points` moved by `move`."""
    return {tuple(x + m for x, m in zip(point, move, strict=True)) for point in points}


def walk_transfers(tensor: Tensor, tile: set[Point], outer: list[NestLoop]) -> int:
    """Return the words moved into one buffer while the temporal loops `outer` run.

    Every loop is walked for its first and second iteration, and the second one stands for all later
    ones. The buffer is filled with the first tile; when the tile does not move, nothing is fetched; when
    it moves as it did the time before (or for the first time since it was fetched whole), what is new
    is fetched; else all of it, and how it moved is forgotten.
    """
    stands_for = Counter(
        tuple(min(i, 1) for i in index) for index in itertools.product(*(range(loop.bound) for loop in outer))
    )
    words = 0
    held: set[Point] = set()
    before: Point | None = None
    last_position: Point | None = None
    for index in itertools.product(*(range(min(loop.bound, 2)) for loop in outer)):
        here = position(tensor, outer, index)
        wanted = shifted(tile, here)
        if last_position is None:
            fetched = wanted
        else:
            move = tuple(a - b for a, b in zip(here, last_position, strict=True))
            if not any(move):
                fetched = set()
            elif before is None or move == before:
                fetched, before = wanted - held, move
            else:
                fetched, before = wanted, None
        words += stands_for[index] * len(fetched)
        held, last_position = wanted, here
    return words


def walk_transfers_in_order(tensor: Tensor, tile: set[Point], outer: list[NestLoop]) -> int:
    """Return what a buffer that always keeps the overlap fetches when every iteration is walked in order.

    A lower bound of `walk_transfers`, and equal to it where tiles never overlap.
    """
    words = 0
    held: set[Point] = set()
    for index in itertools.product(*(range(loop.bound) for loop in outer)):
        wanted = shifted(tile, position(tensor, outer, index))
        words += len(wanted - held)
        held = wanted
    return words


def count_sharing(tensor: Tensor, network: list[NestLoop], child: set[Point]) -> int:
    """Return how many different sets the instances hold that the spatial loops `network` reach."""
    held = set()
    for index in itertools.product(*(range(loop.bound) for loop in network)):
        held.add(frozenset(shifted(child, position(tensor, network, index))))
    return len(held)


def count_covered(problem: Problem, loops: list[NestLoop], tensor: Tensor, level: int, within: int) -> int:
    """Return how many words of an output are in tiles of level `within` that come to an instance of `level`.

    It comes to the positions of a dimension at which no spatial loop further out is beyond its first step.
    """
    outer = [loop for loop in loops if loop.spatial and loop.level < level]
    side = dict.fromkeys(problem.dimensions, 1)
    for loop in loops:
        if loop.level >= within:
            side[loop.dimension] *= loop.bound
    starts = {
        dimension: [
            at
            for at in range(0, bound, side[dimension])
            if not any(loop.dimension == dimension and at // loop.step % loop.bound for loop in outer)
        ]
        for dimension, bound in problem.dimensions.items()
    }
    words: set[Point] = set()
    for index in itertools.product(*starts.values()):
        first = dict(zip(starts, index, strict=True))
        last = {d: min(at + side[d], problem.dimensions[d]) - 1 for d, at in first.items()}
        box = [
            range(
                sum(term.coefficient * first[term.dimension] for term in rank),
                sum(term.coefficient * last[term.dimension] for term in rank) + 1,
            )
            for rank in tensor.ranks
        ]
        words.update(itertools.product(*box))
    return len(words)


def count_tensor(
    problem: Problem,
    mapping: Mapping,
    tensor: Tensor,
    home: int = 0,
    *,
    loads: bool = False,
    drains: frozenset[str] = frozenset(),
) -> dict[str, dict[str, int]]:
    """Return by level name the tile, reads, fills and updates of one tensor, per instance.

    Nothing is filled at its `home`, unless that `loads` it. Levels that `drain` read each sum that they send.
    """
    loops = list_loops(problem, mapping)
    levels = len(mapping.levels)
    origin: Point = (0,) * len(tensor.ranks)

    def tile(level: int) -> set[Point]:
        return (
            bounding_box(touched(tensor, [loop for loop in loops if loop.level >= level]))
            if level < levels
            else {origin}
        )

    counts: dict[str, dict[str, int]] = {}
    into_child = math.prod(loop.bound for loop in loops if not loop.spatial)
    tiles, child = 1, levels
    for level in range(levels - 1, -1, -1):
        network = [loop for loop in loops if loop.level == level and loop.spatial]
        tiles *= count_sharing(tensor, network, tile(level + 1))
        if tensor.name not in mapping.levels[level].keep:
            continue
        outer = [loop for loop in loops if loop.level < level and not loop.spatial]
        moved = walk_transfers(tensor, tile(level), outer)
        served = into_child * tiles
        new, fresh = (
            count_covered(problem, loops, tensor, level, within) if tensor.is_output else 0
            for within in (child, level)
        )
        drained = tensor.is_output and mapping.levels[level].level in drains
        counts[mapping.levels[level].level] = {
            "tile_words": len(tile(level)),
            "reads": max(0, served - new) + (moved if drained and level > home else 0),
            "fills": max(0, moved - fresh) if level > home or (loads and level == home) else 0,
            "updates": served if tensor.is_output else 0,
        }
        into_child, tiles, child = moved, 1, level
    return counts


def evaluate(architecture: Architecture, problem: Problem, mapping: Mapping) -> dict[str, Any]:
    """Return counts by (level, tensor), energy by (level, tensor), cycles by level, and totals."""
    counts = {}
    for tensor in problem.tensors:
        drains = frozenset(level.name for level in architecture.levels if level.drain_read)
        for level, numbers in count_tensor(problem, mapping, tensor, drains=drains).items():
            counts[level, tensor.name] = numbers
    return charge(architecture, problem, list_loops(problem, mapping), counts)


def bits_of(architecture: Architecture, problem: Problem, level: int, tensor: str) -> int:
    """Return the bits of an element: the problem's word, or else the architecture's, or a word's."""
    for stated in (problem.bits, architecture.bits):
        if tensor in stated:
            return stated[tensor]
    return architecture.levels[level].word_bits


def count_accesses(architecture: Architecture, level: int, bits: int, elements: int) -> int:
    """Return how many accesses move some elements of so many bits."""
    one = architecture.levels[level]
    access = one.word_bits * one.words_per_access
    if bits > access:
        return elements * math.ceil(bits / access)
    return math.ceil(elements / (access // bits))


def stretch(level: StorageLevel, steps: int, read: float, written: float) -> int:
    """Return the cycles of a level that reads and writes so many words in each step."""
    slowdown = 1.0
    for limit, demand in (
        (level.read_bandwidth, read),
        (level.write_bandwidth, written),
        (level.shared_bandwidth, read + written),
    ):
        if limit is not None and limit < demand:
            slowdown = min(slowdown, limit / demand)
    return math.ceil(steps / slowdown)


def charge(
    architecture: Architecture,
    problem: Problem,
    loops: list[NestLoop],
    counts: dict[tuple[str, str], dict[str, int]],
) -> dict[str, Any]:
    """Return the counts, instances added, and the energy and cycles that follow from them."""
    steps = math.prod(loop.bound for loop in loops if not loop.spatial)
    energy, cycles = {}, {}
    for i, level in enumerate(architecture.levels):
        instances = math.prod(loop.bound for loop in loops if loop.spatial and loop.level < i)
        read = written = 0.0
        for tensor in problem.tensors:
            if (level.name, tensor.name) not in counts:
                continue
            numbers = counts[level.name, tensor.name]
            numbers["instances"] = instances
            spent = 0.0
            charges = (level.energy.read, level.energy.write, level.energy.update)
            for action, charge in zip(("reads", "fills", "updates"), charges, strict=True):
                bits = bits_of(architecture, problem, i, tensor.name)
                accesses = count_accesses(architecture, i, bits, numbers[action])
                spent += instances * accesses * charge
            energy[level.name, tensor.name] = spent
            words = bits_of(architecture, problem, i, tensor.name) / level.word_bits
            read += numbers["reads"] * words / steps
            written += (numbers["fills"] + numbers["updates"]) * words / steps
        cycles[level.name] = stretch(level, steps, read, written)
    price = architecture.compute.energy_pj
    assert isinstance(price, float)  # of one number
    return {
        "counts": counts,
        "energy": energy,
        "cycles": cycles,
        "steps": steps,
        "total_energy": sum(energy.values()) + problem.computes * price,
        "total_cycles": max(steps, *cycles.values()),
    }
