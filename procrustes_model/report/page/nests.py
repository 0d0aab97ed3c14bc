"""Mappings as pages draw them: levels from the outermost inwards, their loops beside the tiles they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from procrustes_model.report.page.parts import Nest, NestLevel, Tile
from procrustes_model.report.terminal.units import format_energy, format_percent, whole_count

if TYPE_CHECKING:
    from procrustes_model.network.record import CaseRecord

_LOOPS = (("temporal", "for"), ("spatial_x", "across x"), ("spatial_y", "across y"))
"""Keys of a mapping's level that hold loops, and what stands before each."""


def nest_of(case: CaseRecord, summary: str, text: str) -> Nest:
    """Return the drawing of a case's mapping.

    Parameters
    ----------
    case : CaseRecord
    summary : str
        What it is the mapping of.
    text : str
        The mapping as YAML, which stands below.
    """
    result = case.result
    tensors = list(dict.fromkeys(one["tensor"] for level in result["levels"] for one in level["tensors"]))
    loops = {level["level"]: level for level in case.mapping["mapping"]["levels"]}
    levels = tuple(_level(level, loops.get(level["name"], {}), tensors) for level in result["levels"])
    compute = result["compute"]
    inner = NestLevel(compute["name"], f"{compute['instances_used']:,} of {compute['instances']:,}", (), ())
    costs = f"{format_energy(case.energy_pj)}, {case.cycles:,} cycles"
    return Nest(summary, costs, tuple(tensors), (*levels, inner), text)


def _level(level: Mapping[str, Any], mapped: Mapping[str, Any], tensors: Sequence[str]) -> NestLevel:
    about = f"{level['instances_used']:,} of {level['instances']:,}"
    if level["capacity_words"]:
        about += f", {format_percent(level['used_words'] / level['capacity_words'])} full"
    kept = {one["tensor"]: one for one in level["tensors"]}
    tiles = tuple(
        Tile(name, whole_count(kept[name]["tile_words"]) if name in kept else "", number % 3)
        for number, name in enumerate(tensors)
    )
    loops = [f"{word} {mapped[key]}" for key, word in _LOOPS if mapped.get(key)]
    return NestLevel(level["name"], about, tuple(loops), tiles)
