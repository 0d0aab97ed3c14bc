"""Every mapping with and without shorter last passes, in the most obvious way: try all numbers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.problem import Problem

Parts = tuple[tuple[int, int, int, int, int, int], ...]
"""Per level: iterations and those in the last pass, instances on x and on y and those in the last pass."""


def covers(bound: int, parts: Parts) -> bool:
    """Say whether the loops of a dimension are a split of its bound that a mapping file may hold."""
    step, covered = 1, 1
    loops = [loop for (n, r, x, p, y, q) in parts for loop in ((n, r), (y, q), (x, p))]
    for n, r in reversed(loops):
        covered += (r - 1) * step
        step *= n
    outermost = next((loop for loop in loops if loop[0] > 1), (1, 1))
    return outermost[0] == outermost[1] and covered == bound


def list_parts(bound: int, fanout: list[tuple[int, int]]) -> list[Parts]:
    """Return all splits of a bound."""
    choices = []
    for columns, rows in fanout:
        time, on_x, on_y = (
            [(n, r) for n in range(1, most + 1) for r in range(1, n + 1)]
            for most in (bound, min(columns, bound), min(rows, bound))
        )
        choices.append([(*t, *x, *y) for t in time for x in on_x for y in on_y])
    return [parts for parts in itertools.product(*choices) if covers(bound, parts)]


def list_mappings(architecture: Architecture, problem: Problem) -> Iterator[dict[str, Any]]:
    """Yield every mapping as a mapping file holds it; fan-out and capacity may be exceeded."""
    levels, names = architecture.levels, list(problem.dimensions)
    fanout = [architecture.fanout(i) for i in range(len(levels))]
    splits = [list_parts(bound, fanout) for bound in problem.dimensions.values()]
    tensors = [tensor.name for tensor in problem.tensors]
    keeps = [
        [
            chosen
            for count in range(len(tensors) + 1)
            for chosen in itertools.combinations(tensors, count)
            if (level.tensors is None or set(chosen) <= set(level.tensors))
            and (i or len(chosen) == len(tensors))
        ]
        for i, level in enumerate(levels)
    ]
    orders = list(itertools.permutations(range(len(names))))
    for parts in itertools.product(*splits):
        for order in itertools.product(orders, repeat=len(levels) - 1):
            for keep in itertools.product(*keeps):
                nest = []
                for i, level in enumerate(levels):
                    loops = [(names[d], *parts[d][i]) for d in ((*order, orders[0])[i])]
                    nest.append(
                        {
                            "level": level.name,
                            "temporal": [f"{d}={n}/{r}" for d, n, r, *_ in loops if n > 1],
                            "spatial_x": [f"{d}={x}/{p}" for d, _, _, x, p, *_ in loops if x > 1],
                            "spatial_y": [f"{d}={y}/{q}" for d, *_, y, q in loops if y > 1],
                            "keep": list(keep[i]),
                        }
                    )
                yield {"mapping": {"name": "naive", "levels": nest}}
