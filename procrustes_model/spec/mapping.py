"""The schedule: for every storage level its loops, and the tensors it keeps."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

from pydantic import Field, ValidationInfo, field_validator, model_validator

from procrustes_model.errors import Issue
from procrustes_model.spec.schema import Count, Frozen, Identifier, Name, Placed
from procrustes_model.versions import KEY, VERSIONS, with_version

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_RESERVED = ("true", "false", "null")


class Loop(Frozen):
    """One loop over a part of a dimension."""

    dimension: Identifier = Field(description="the dimension it walks")
    factor: Count = Field(description="its number of iterations")
    last: Count | None = Field(
        default=None, description="its iterations in the last pass over its dimension, where those are fewer"
    )

    @field_validator("last")
    @classmethod
    def _normalise(cls, last: int | None, info: ValidationInfo) -> int | None:
        factor = info.data.get("factor")
        if last is None or factor is None:
            return last
        if last > factor:
            raise ValueError(f"must be at most the factor, {factor}")
        return None if last == factor else last

    def __str__(self) -> str:
        """Return the loop as a mapping file holds it, such as ``K=16`` or ``K=14/2``."""
        return f"{self.dimension}={self.factor}" + (f"/{self.last}" if self.last else "")


class LevelMapping(Frozen):
    """What one storage level does, or one of the entries of a level whose tensors stand apart."""

    level: Name = Field(description="the storage level of the architecture")
    temporal: tuple[Loop, ...] = Field(default=(), description="loops over time, outermost first")
    spatial_x: tuple[Loop, ...] = Field(default=(), description="loops over the columns of instances below")
    spatial_y: tuple[Loop, ...] = Field(default=(), description="loops over the rows of instances below")
    keep: tuple[Name, ...] = Field(description="the tensors that have a tile here; others pass by")

    @property
    def loops(self) -> tuple[Loop, ...]:
        """All loops: in time, over columns, over rows."""
        return (*self.temporal, *self.spatial_x, *self.spatial_y)

    @model_validator(mode="after")
    def _check(self) -> LevelMapping:
        for loops in (self.temporal, self.spatial_x, self.spatial_y):
            names = [loop.dimension for loop in loops]
            if len(set(names)) < len(names):
                raise ValueError(f"a dimension stands twice in {' '.join(names)}")
        if len(set(self.keep)) < len(self.keep):
            raise ValueError(f"a tensor stands twice in keep: {', '.join(self.keep)}")
        return self


class Mapping(Placed):
    """A whole schedule, one `LevelMapping` per storage level; of an uneven one several."""

    name: Name = Field(default="mapping", description="what results call the mapping")
    levels: tuple[LevelMapping, ...] = Field(description="outermost first, in the architecture's order")

    @model_validator(mode="after")
    def _check(self) -> Mapping:
        names = [level.level for level in self.levels]
        for position, (outer, inner) in enumerate(pairwise(self.levels)):
            if inner.level != outer.level:
                if inner.level in names[:position]:
                    raise ValueError(f"the entries of {inner.level} are not neighbours")
                continue
            if outer.spatial_x or outer.spatial_y:
                raise ValueError(f"spatial loops of {outer.level} stand outside of its last entry")
            entries = [level for level in self.levels[: position + 1] if level.level == inner.level]
            if twice := {name for one in entries for name in one.keep}.intersection(inner.keep):
                raise ValueError(f"{inner.level} keeps {', '.join(sorted(twice))} at two of its entries")
        return self

    def issue(self, message: str, hint: str | None = None, level: int | None = None) -> Issue:
        """Return an issue that points at the mapping's file, or at one of its levels there.

        Parameters
        ----------
        message, hint : str
        level : int, optional
            Index of an entry of `levels`.
        """
        origin = self._origin
        if origin.file is None:
            return Issue(message, hint, f"mapping {self.name}")
        if level is None or level >= len(origin.places):
            return Issue(message, hint, origin.file)
        line, column = origin.places[level]
        return Issue(message, hint, origin.file, line, column)

    @property
    def imperfect(self) -> bool:
        """Whether a loop is shorter in the last pass over its dimension."""
        return any(loop.last is not None for level in self.levels for loop in level.loops)

    @property
    def uneven(self) -> bool:
        """Whether the tensors of a level have their tiles at different loops of the nest."""
        return len({level.level for level in self.levels}) < len(self.levels)

    def to_dict(self) -> dict[str, Any]:
        """Return the mapping as its YAML form holds it; `load_mapping` reads it back."""
        levels = [
            {
                "level": level.level,
                "temporal": _tokens(level.temporal),
                "spatial_x": _tokens(level.spatial_x),
                "spatial_y": _tokens(level.spatial_y),
                "keep": list(level.keep),
            }
            for level in self.levels
        ]
        return with_version({"mapping": {"name": self.name, "levels": levels}})

    def to_yaml(self) -> str:
        """Return the mapping as text that `load_mapping` reads back to an equal one.

        Returns
        -------
        str
            Canonical YAML: levels outermost first, loops only where there are any, `keep` always.
        """
        lines = [f"{KEY}: {VERSIONS['mapping']}", "mapping:", f"  name: {_scalar(self.name)}", "  levels:"]
        for level in self.levels:
            lines.append(f"    - level: {_scalar(level.level)}")
            for key in ("temporal", "spatial_x", "spatial_y"):
                loops = getattr(level, key)
                if loops:
                    lines.append(f"      {key}: {_tokens(loops)}")
            lines.append(f"      keep: [{', '.join(_scalar(tensor) for tensor in level.keep)}]")
        return "\n".join(lines) + "\n"


def _tokens(loops: tuple[Loop, ...]) -> str:
    return " ".join(str(loop) for loop in loops)


def _scalar(text: str) -> str:
    """Return a name as a YAML scalar, in quotes where it could be read as something else."""
    if _PLAIN_NAME.fullmatch(text) and text.lower() not in _RESERVED:
        return text
    return json.dumps(text, ensure_ascii=False)
