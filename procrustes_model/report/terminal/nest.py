"""A mapping as the loop nest it stands for, annotated with levels and the tiles they keep."""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from typing import TYPE_CHECKING

from procrustes_model.report.nest import (
    format_operation,
    index_names,
    loop_texts,
    tile_extents,
    tile_words,
)

if TYPE_CHECKING:
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.mapping import LevelMapping, Mapping
    from procrustes_model.spec.problem import Problem

_INDENT = "  "


def format_nest(
    architecture: Architecture, problem: Problem, mapping: Mapping, width: int | None = None
) -> str:
    """Return the loop nest of `mapping`, outermost loop first.

    Above the loops of a level stands what one of its instances keeps: each tensor and the words of its tile.
    Loops of one iteration are left out.

    Parameters
    ----------
    architecture : Architecture
    problem : Problem
    mapping : Mapping
        As `load_mapping` returns it for this architecture and problem.
    width : int, optional
        Columns: the operation stands further left where it would be cut.

    Returns
    -------
    str
        Lines without trailing spaces, the operation last; no line end after it.
    """
    names = index_names(problem)
    tiles = tile_extents(problem, mapping)
    lines: list[str] = []
    depth = 0
    for i, level in enumerate(mapping.levels):
        lines += [*_header(level, problem, tiles[i]), ""]
        for text in loop_texts(level, names):
            lines.append(_INDENT * depth + text)
            depth += 1
        if lines[-1]:
            lines.append("")
    operation = format_operation(problem, names)
    indent = len(_INDENT) * depth
    if width is not None:
        indent = max(0, min(indent, width - len(operation)))
    return "\n".join(
        [
            *lines,
            architecture.compute.name,
            "-" * len(architecture.compute.name),
            "",
            " " * indent + operation,
        ]
    )


def _header(level: LevelMapping, problem: Problem, extents: MappingType[str, int]) -> tuple[str, str]:
    kept = [f"{t.name} {tile_words(t, extents):,}" for t in problem.tensors if t.name in level.keep]
    text = f"{level.level} [ {' | '.join(kept)} ]" if kept else f"{level.level} [ keeps nothing ]"
    return text, "-" * len(text)
