"""What a loop nest says, for text and for drawings: loops, tiles, the innermost operation."""

from __future__ import annotations

import math
from collections.abc import Mapping as MappingType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from procrustes_model.spec.mapping import LevelMapping, Loop, Mapping
    from procrustes_model.spec.problem import Problem, Tensor


def loop_texts(level: LevelMapping, names: MappingType[str, str]) -> list[str]:
    """Return the loops of one level that run more than once: temporal, then over columns, then over rows."""
    temporal = [
        f"for {names[loop.dimension]} in 0..{loop.factor}" + _last_pass(loop)
        for loop in level.temporal
        if loop.factor > 1
    ]
    spatial = [
        f"parallel-for {names[loop.dimension]} in 0..{loop.factor} ({axis})" + _last_pass(loop)
        for axis, loops in (("x", level.spatial_x), ("y", level.spatial_y))
        for loop in loops
        if loop.factor > 1
    ]
    return temporal + spatial


def _last_pass(loop: Loop) -> str:
    return f" (last pass {loop.last})" if loop.last is not None else ""


def index_names(problem: Problem) -> dict[str, str]:
    """Return the loop variable of each dimension: its name in lower case, unless two would be the same."""
    lower = {name: name.lower() for name in problem.dimensions}
    return lower if len(set(lower.values())) == len(lower) else {name: name for name in problem.dimensions}


def tile_extents(problem: Problem, mapping: Mapping) -> list[dict[str, int]]:
    """Return, per level, how many indices of each dimension its loops and those below it cover.

    Where a loop is shorter in its last pass, this is what they cover at first, and at most.

    Parameters
    ----------
    problem : Problem
    mapping : Mapping

    Returns
    -------
    list of dict
        One per level of the mapping, outermost first: dimension to extent.
    """
    covered = dict.fromkeys(problem.dimensions, 1)
    extents: list[dict[str, int]] = []
    for level in reversed(mapping.levels):
        for loop in (*level.temporal, *level.spatial_x, *level.spatial_y):
            covered[loop.dimension] *= loop.factor
        extents.insert(0, {name: min(extent, problem.dimensions[name]) for name, extent in covered.items()})
    return extents


def tile_words(tensor: Tensor, extents: MappingType[str, int]) -> int:
    """Return the words of the box that `tensor` is in while each dimension runs over its extent."""
    return math.prod(tile_shape(tensor, extents))


def tile_shape(tensor: Tensor, extents: MappingType[str, int]) -> tuple[int, ...]:
    """Return the sides of the box that `tensor` is in while each dimension runs over its extent."""
    return tuple(
        1 + sum(term.coefficient * (extents[term.dimension] - 1) for term in rank) for rank in tensor.ranks
    )


def format_operation(problem: Problem, names: MappingType[str, str]) -> str:
    """Return the innermost statement, such as ``Z[m,n] += A[m,k] * B[k,n]``.

    Parameters
    ----------
    problem : Problem
    names : mapping of str to str
        Loop variable of each dimension.
    """
    factors = [_reference(tensor, names) for tensor in problem.tensors if not tensor.is_output]
    return f"{_reference(problem.output, names)} += {' * '.join(factors)}"


def _reference(tensor: Tensor, names: MappingType[str, str]) -> str:
    ranks = ",".join(tensor.index_text(rank, names) for rank in range(len(tensor.ranks)))
    return f"{tensor.name}[{ranks}]"
