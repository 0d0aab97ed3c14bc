"""Uneven mappings: levels whose tensors have their tiles at different loops of the nest.

Such a level has several entries in a mapping, neighbours, each with loops of its own and the tensors that
stand outside of them. Seen as a machine, an entry is a level: same prices, one instance below each of the
entry before, and no network between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from procrustes_model.spec.architecture import Architecture

if TYPE_CHECKING:
    from procrustes_model.spec.mapping import Mapping


def find_entries(architecture: Architecture, mapping: Mapping) -> tuple[int, ...]:
    """Return the index of the level that each entry of a mapping is of, outermost first."""
    index = {level.name: i for i, level in enumerate(architecture.levels)}
    return tuple(index[entry.level] for entry in mapping.levels)


def is_last(entries: Sequence[int], position: int) -> bool:
    """Say whether an entry is the innermost of its level: below it are the instances further in."""
    return position + 1 == len(entries) or entries[position + 1] != entries[position]


def unfold(architecture: Architecture, entries: Sequence[int]) -> Architecture:
    """Return a machine with a level for each entry.

    It says what loops and tensors an entry may have; its power and area are of no meaning.

    Parameters
    ----------
    architecture : Architecture
    entries : sequence of int
        Index of the level of each.
    """
    levels = []
    for position, index in enumerate(entries):
        level = architecture.levels[index]
        if position and entries[position - 1] == index:
            level = level.model_copy(update={"mesh_x": 1, "mesh_y": 1, "beside": False})
        levels.append(level)
    return architecture.model_copy(update={"levels": tuple(levels)})


def tensors_by_level(architecture: Architecture, mapping: Mapping) -> list[set[str]]:
    """Return the tensors that each level keeps, at whichever of its entries."""
    kept: list[set[str]] = [set() for _ in architecture.levels]
    for index, entry in zip(find_entries(architecture, mapping), mapping.levels, strict=True):
        kept[index].update(entry.keep)
    return kept
