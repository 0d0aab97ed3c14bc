"""A mapping as directives of Timeloop 0.4."""

from __future__ import annotations

from typing import Any

from procrustes_model.exporters.timeloop.model import Model
from procrustes_model.spec.mapping import LevelMapping, Loop

Directive = dict[str, Any]


def write_mapping(model: Model) -> dict[str, Any]:
    """Return the directives of all levels, outermost first."""
    names = list(model.problem.dimensions)
    tensors = [tensor.name for tensor in model.problem.tensors]
    directives: list[Directive] = []
    for level in model.mapping.levels:
        bypass = [name for name in tensors if name not in level.keep]
        kept = {"keep": [name for name in tensors if name in level.keep], "bypass": bypass}
        directives.append({"target": level.level, "type": "bypass"} | kept)
        directives.append(_temporal(level, names))
        if level.spatial_x or level.spatial_y:
            # That tool lets instances take from neighbours what these had before, if not told otherwise.
            directives.append(_spatial(level, names) | {"no_link_transfer": tensors})
    return {"mapping": directives}


def _temporal(level: LevelMapping, names: list[str]) -> Directive:
    """Return the loops in time; that tool lists them from the innermost.

    Dimensions that a level does not loop over are innermost in this program, and outermost in that tool where
    a directive leaves them out: so that all are named.
    """
    loops = {loop.dimension: loop for loop in level.temporal}
    order = [*loops, *(name for name in names if name not in loops)]
    directive = {"target": level.level, "type": "temporal", "factors": _factors(loops, names)}
    return directive | {"permutation": "".join(reversed(order))}


def _spatial(level: LevelMapping, names: list[str]) -> Directive:
    """Return the loops in space: those before the split of the permutation lie on X."""
    x, y = (list(reversed(axis)) for axis in (level.spatial_x, level.spatial_y))
    loops = {loop.dimension: loop for loop in (*x, *y)}
    order = [*(loop.dimension for loop in x), *(loop.dimension for loop in y)]
    order += [name for name in names if name not in loops]
    directive = {"target": level.level, "type": "spatial", "factors": _factors(loops, names)}
    return directive | {"permutation": "".join(order), "split": len(x)}


def _factors(loops: dict[str, Loop], names: list[str]) -> str:
    found = []
    for name in names:
        loop = loops.get(name)
        last = "" if loop is None or loop.last is None else f",{loop.last}"
        found.append(f"{name}={1 if loop is None else loop.factor}{last}")
    return " ".join(found)
