"""Rules for dimensions in which a loop is shorter in its last pass."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.mapping_written import WrittenLevel
from procrustes_model.spec.text.document import Document
from procrustes_model.spec.text.yaml_text import Path

_OUTERMOST_FIRST = ("temporal", "spatial_y", "spatial_x")


@dataclass(frozen=True)
class _Pass:
    """One loop over the dimension: where it stands, its iterations, and those in the last pass."""

    path: Path
    level: str
    kind: str
    factor: int
    last: int

    @property
    def partial(self) -> bool:
        return self.last < self.factor

    def token(self, dimension: str) -> str:
        return f"{dimension}={self.factor}" + (f"/{self.last}" if self.partial else "")


def check_passes(
    dimension: str, bound: int, levels: list[WrittenLevel], architecture: Architecture, document: Document
) -> None:
    """Note what is wrong with the loops of a dimension, one of which is shorter in its last pass.

    They must cover the bound exactly, counting the shorter last passes. The outermost loop is only ever
    in its last pass, so that it cannot be partial.

    Parameters
    ----------
    dimension : str
    bound : int
    levels : list of WrittenLevel
        One per storage level.
    architecture : Architecture
    document : Document
        Gets the issues.
    """
    nest = [
        _Pass((*level.path, kind), storage.name, kind, factor, _last(level, kind, dimension))
        for storage, level in zip(architecture.levels, levels, strict=True)
        for kind in _OUTERMOST_FIRST
        if (factor := level.loops[kind].get(dimension, 1)) > 1
    ]
    if nest[0].partial:
        outermost = nest[0]
        message = (
            f"{outermost.token(dimension)} is the outermost loop of {dimension}: all it does is its last pass"
        )
        hint = f"write {dimension}={outermost.last}" if outermost.last > 1 else "leave it out"
        document.complain(outermost.path, message, hint)
        return
    covered, inside = 1, 1
    for loop in reversed(nest):
        covered += (loop.last - 1) * inside
        inside *= loop.factor
    if covered != bound:
        message = f"the loops of {dimension} cover {covered}, its bound is {bound}"
        partial = next(loop for loop in nest if loop.partial)
        document.complain(partial.path, message, _what_fits(dimension, bound, nest))


def _last(level: WrittenLevel, kind: str, dimension: str) -> int:
    return level.last.get((kind, dimension), level.loops[kind][dimension])


def _what_fits(dimension: str, bound: int, nest: list[_Pass]) -> str:
    """Return last passes, and a factor of the outermost loop, that would cover the bound."""
    inside = math.prod(loop.factor for loop in nest[1:])
    factor = -(-bound // inside)
    spatial = nest[0].kind != "temporal"
    if factor < 2 or (spatial and factor > nest[0].factor):
        return f"the loops inside the outermost one must cover less than {bound}" + (
            f", and all of them {bound} at least" if spatial else ""
        )
    # The last index, written in the mixed radix of the loops, is where every loop stands in its last pass.
    rest = bound - 1
    fitting: list[_Pass] = []
    for loop in reversed([replace(nest[0], factor=factor, last=factor), *nest[1:]]):
        fitting.insert(0, replace(loop, last=rest % loop.factor + 1))
        rest //= loop.factor
    return "write " + ", ".join(f"{loop.level} {loop.kind} {loop.token(dimension)}" for loop in fitting)
