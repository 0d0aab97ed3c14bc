"""What zeros pack closer, walked step by step on every mask that there can be."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from procrustes_model import Mapping, Problem
from procrustes_model.spec.problem import Tensor
from tests.naive.dense import NestLoop, list_loops

Mask = NDArray[np.bool_]


def every_mask(shape: tuple[int, ...], nonzeros: int) -> Iterator[Mask]:
    """Yield all masks with so many nonzeros."""
    for chosen in itertools.combinations(range(math.prod(shape)), nonzeros):
        mask = np.zeros(math.prod(shape), np.bool_)
        mask[list(chosen)] = True
        yield mask.reshape(shape)


def _elements(tensor: Tensor, index: dict[str, int]) -> tuple[int, ...]:
    return tuple(sum(term.coefficient * index[term.dimension] for term in rank) for rank in tensor.ranks)


def _index(loops: list[NestLoop], at: tuple[int, ...]) -> dict[str, int]:
    """Return the index of every dimension at an iteration; loops are outermost first."""
    index: dict[str, int] = {}
    for loop, i in zip(loops, at, strict=True):
        index[loop.dimension] = index.get(loop.dimension, 0) * loop.bound + i
    return index


def mean_used(problem: Problem, mapping: Mapping, leader: Tensor, level: int, nonzeros: int) -> Fraction:
    """Return the share of instances below a level whose tile of a leader is not empty, over all masks.

    The loops in space are those of `level`.
    """
    loops = list_loops(problem, mapping)
    outer = [i for i, loop in enumerate(loops) if loop.level < level or (loop.level == level)]
    shape = tuple(max(_sides(problem, rank)) for rank in leader.ranks)
    used = total = 0
    for mask in every_mask(shape, nonzeros):
        met: dict[tuple[int, ...], bool] = {}
        for at in itertools.product(*(range(loop.bound) for loop in loops)):
            place = tuple(at[i] for i in outer)
            met[place] = met.get(place, False) or bool(mask[_elements(leader, _index(loops, at))])
        used += sum(met.values())
        total += len(met)
    return Fraction(used, total)


def _sides(problem: Problem, rank: tuple[object, ...]) -> list[int]:
    return [1 + sum(t.coefficient * (problem.dimensions[t.dimension] - 1) for t in rank)]  # type: ignore[attr-defined]


def mean_steps(positions: int, wide: int, size: int, nonzeros: int) -> Fraction:
    """Return the mean steps that hand out the nonzeros of the first so many positions, so many at a time."""
    steps = count = 0
    for mask in every_mask((size,), nonzeros):
        steps += -(-int(mask[:positions].sum()) // wide)
        count += 1
    return Fraction(steps, count)


def whole_counts(
    dense: tuple[int, int, int], density: float, shares: list[tuple[str, float]], is_output: bool
) -> dict[str, list[int]]:
    """Return reads, fills and updates of one level that are done, gated and skipped, in whole words.

    Parameters
    ----------
    dense : tuple of int
        If nothing were zero.
    density : float
        Of the tile, where it is compressed; 1 where it is not.
    shares : list of (str, float)
        In turn what is not sent ('above'), then what is 'skipped' or 'gated' here, each of what is left.
    is_output : bool
    """
    done = [words - math.floor(words * (1 - density)) for words in dense]
    counts = {"gated": [0, 0, 0], "skipped": [0, 0, 0]}
    for kind, share in shares:
        for action in range(3):
            if kind == "above":
                done[action] -= math.floor(done[action] * share)
            elif action != 1:
                lost = done[action] * share
                whole = math.ceil(lost) if is_output and action == 0 else math.floor(lost)
                done[action] -= whole
                counts[kind][action] += whole
    return {"actual": done, **counts}
