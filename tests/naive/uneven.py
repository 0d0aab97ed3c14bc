"""Uneven mappings in the most obvious way: one nest, and for each tensor the places in it where tiles stand.

A tensor sees the nest cut where its own tiles stand, and nothing of where those of others do. Loops are
walked, and sets of coordinates compared, as in `dense`; no level is taken for several.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.mapping import Mapping
from procrustes_model.spec.problem import Problem, Tensor
from tests.naive.dense import (
    NestLoop,
    bounding_box,
    charge,
    count_covered,
    count_sharing,
    touched,
    walk_transfers,
)


def lay_out(
    architecture: Architecture, problem: Problem, mapping: Mapping
) -> tuple[list[NestLoop], dict[tuple[str, str], int]]:
    """Return the loops, outermost first, each with the index of its level; and where tiles stand.

    That is by level and tensor how many loops lie outside of the tile.
    """
    names = [level.name for level in architecture.levels]
    loops: list[tuple[int, bool, str, int]] = []
    places: dict[tuple[str, str], int] = {}
    for entry in mapping.levels:
        for tensor in entry.keep:
            places[entry.level, tensor] = len(loops)
        at = names.index(entry.level)
        loops += [(at, False, loop.dimension, loop.factor) for loop in entry.temporal]
        loops += [(at, True, loop.dimension, loop.factor) for loop in (*entry.spatial_x, *entry.spatial_y)]
    covered = dict.fromkeys(problem.dimensions, 1)
    nest: list[NestLoop] = []
    for at, spatial, dimension, bound in reversed(loops):
        nest.insert(0, NestLoop(at, spatial, dimension, bound, covered[dimension]))
        covered[dimension] *= bound
    return nest, places


def count_tensor(
    problem: Problem,
    loops: list[NestLoop],
    places: list[tuple[str, int]],
    tensor: Tensor,
    drains: frozenset[str] = frozenset(),
) -> dict[str, dict[str, int]]:
    """Return by level name the tile, reads, fills and updates of a tensor, per instance.

    `places` are its levels and how many loops lie outside of its tiles there, outermost first. Levels that
    `drain` read each sum that they send.
    """
    # As the tensor sees them: loops inside of its first tile are of level 0, inside of its second of level 1.
    starts = [place for _, place in places]
    seen = [replace(loop, level=sum(start <= i for start in starts) - 1) for i, loop in enumerate(loops)]
    counts: dict[str, dict[str, int]] = {}
    passed = math.prod(loop.bound for loop in loops if not loop.spatial)
    for number in range(len(places) - 1, -1, -1):
        level, start = places[number]
        end = starts[number + 1] if number + 1 < len(starts) else len(loops)
        tile = bounding_box(touched(tensor, loops[start:]))
        inner = bounding_box(touched(tensor, loops[end:]))
        # Network by network: neighbours are those below one instance.
        tiles = 1
        for at in sorted({loop.level for loop in loops[start:end] if loop.spatial}):
            network = [i for i in range(start, end) if loops[i].spatial and loops[i].level == at]
            held = bounding_box(touched(tensor, loops[network[-1] + 1 :]))
            tiles *= count_sharing(tensor, [loops[i] for i in network], held)
        assert len(inner) <= len(tile)
        served = passed * tiles
        moved = walk_transfers(tensor, tile, [loop for loop in loops[:start] if not loop.spatial])
        new = fresh = 0
        if tensor.is_output:
            new = count_covered(problem, seen, tensor, number, number + 1)
            fresh = count_covered(problem, seen, tensor, number, number)
        drained = tensor.is_output and number > 0 and level in drains
        counts[level] = {
            "tile_words": len(tile),
            "reads": max(0, served - new) + (moved if drained else 0),
            "fills": max(0, moved - fresh) if number else 0,
            "updates": served if tensor.is_output else 0,
        }
        passed = moved
    return counts


def evaluate(architecture: Architecture, problem: Problem, mapping: Mapping) -> dict[str, Any]:
    """Return counts by (level, tensor), energy by (level, tensor), cycles by level, and totals."""
    loops, places = lay_out(architecture, problem, mapping)
    counts = {}
    drains = frozenset(level.name for level in architecture.levels if level.drain_read)
    for tensor in problem.tensors:
        mine = [(level, place) for (level, name), place in places.items() if name == tensor.name]
        for level, numbers in count_tensor(problem, loops, mine, tensor, drains).items():
            counts[level, tensor.name] = numbers
    return charge(architecture, problem, loops, counts)
