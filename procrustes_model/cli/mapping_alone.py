"""Checks a mapping for which no architecture and no problem are given: its form, not whether it fits."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_FACTOR = re.compile(r"([A-Za-z_]\w*)\s*=\s*([0-9]{1,19})\b(?:\s*/\s*([0-9]{1,19})\b)?")
# The loops of a misspelt key count too, or each of its dimensions would be reported as unknown.
_NO_LOOPS = ("level", "keep", "bypass")
_UNLIMITED = 2**62
_INNER = {"spatial_y": 1, "spatial_x": 2}
"""Which loops of a level lie inside others."""


def check_mapping_alone(path: Path) -> str:
    """Check the form of a mapping: keys, loops, factors, duplicate levels.

    It is read against a stand-in architecture and problem, which have just the levels, dimensions and tensors
    that the mapping names, and room for all of it.

    Parameters
    ----------
    path : Path

    Returns
    -------
    str
        The mapping's name.

    Raises
    ------
    SpecError
        With every issue found.
    """
    from procrustes_model.spec.architecture import Architecture, ComputeLevel, StorageLevel
    from procrustes_model.spec.mapping_reader import read_mapping
    from procrustes_model.spec.prices import AccessEnergy
    from procrustes_model.spec.problem import Problem, Tensor
    from procrustes_model.spec.text.document import read_document

    document = read_document(path)
    levels = _levels(document.section("mapping"))
    # Built without validation: a stand-in has more instances than a real one may have.
    free = AccessEnergy(read=0, write=0)
    storage = tuple(
        StorageLevel.model_construct(
            name=name, word_bits=1, energy=free, mesh_x=_UNLIMITED, mesh_y=_UNLIMITED
        )
        for name in _level_names(levels)
    )
    compute = ComputeLevel.model_construct(name="", energy_pj=0, mesh_x=_UNLIMITED, mesh_y=_UNLIMITED)
    architecture = Architecture.model_construct(name="the architecture", levels=storage, compute=compute)
    tensors = tuple(
        Tensor.model_construct(name=name, ranks=(), is_output=i == 0)
        for i, name in enumerate(_tensors(levels))
    )
    problem = Problem.model_construct(
        name="the problem", shape="", dimensions=_bounds(levels), tensors=tensors
    )
    return read_mapping(document, architecture, problem).name


def _levels(content: dict[str, Any]) -> list[dict[str, Any]]:
    written = content.get("levels")
    return [level for level in written if isinstance(level, dict)] if isinstance(written, list) else []


def _level_names(levels: list[dict[str, Any]]) -> list[str]:
    named = [level["level"] for level in levels if isinstance(level.get("level"), str)]
    return list(dict.fromkeys(named)) or ["DRAM"]


def _tensors(levels: list[dict[str, Any]]) -> list[str]:
    lists = [level.get(key) for level in levels for key in ("keep", "bypass")]
    return list(
        dict.fromkeys(name for one in lists if isinstance(one, list) for name in one if isinstance(name, str))
    )


def _bounds(levels: list[dict[str, Any]]) -> dict[str, int]:
    """Return what the loops of every dimension cover: the product of the factors, were all passes whole."""
    texts = [
        str(level[key])
        for level in levels
        for key in sorted(level, key=lambda key: _INNER.get(key, 0))
        if key not in _NO_LOOPS
    ]
    bounds: dict[str, int] = {}
    inside: dict[str, int] = {}
    for name, factor, last in reversed([match for text in texts for match in _FACTOR.findall(text)]):
        covered = inside.get(name, 1)
        bounds[name] = bounds.get(name, 1) + (int(last or factor) - 1) * covered
        inside[name] = covered * int(factor)
    return bounds
