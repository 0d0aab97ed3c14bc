"""Rules for dimensions in which a loop is shorter in its last pass."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.mapping_written import WrittenLevel
from procrustes_model.spec.text.document import Document
from procrustes_model.spec.text.yaml_text import Path


@dataclass(frozen=True)
class _Pass:
    """One loop over the dimension: where it stands, its iterations, and those in the last pass."""

    path: Path
    level: str
    kind: str
    factor: int
    last: int

    @property
    def spatial(self) -> bool:
        return self.kind != "temporal"

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
    in its last pass, so that it cannot be partial; nor can a loop inside a spatial loop of its dimension:
    the instances would differ in what they do, and one would no longer stand for all.

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
        for kind, factors in level.loops.items()
        if (factor := factors.get(dimension, 1)) > 1
    ]
    if nest[0].partial:
        outermost = nest[0]
        message = (
            f"{outermost.token(dimension)} is the outermost loop of {dimension}: all it does is its last pass"
        )
        hint = f"write {dimension}={outermost.last}" if outermost.last > 1 else "leave it out"
        document.complain(outermost.path, message, hint)
        return
    covering: _Pass | None = None
    for loop in nest:
        if loop.partial and covering is not None:
            message = (
                f"{loop.token(dimension)} lies inside {covering.kind} {covering.token(dimension)} of"
                f" {covering.level}, whose instances would differ"
            )
            hint = f"write {dimension}={loop.factor} here, and shorten a loop outside the spatial one"
            document.complain(loop.path, message, hint)
            return
        covering = loop if loop.spatial else covering
    covered, inside = 1, 1
    for loop in reversed(nest):
        covered += (loop.last - 1) * inside
        inside *= loop.factor
    if covered != bound:
        message = f"the loops of {dimension} cover {covered}, its bound is {bound}"
        partial = next(loop for loop in nest if loop.partial)
        document.complain(partial.path, message, _what_fits(dimension, bound, nest))


def _last(level: WrittenLevel, kind: str, dimension: str) -> int:
    factor = level.loops[kind][dimension]
    return level.last.get(dimension, factor) if kind == "temporal" else factor


def _what_fits(dimension: str, bound: int, nest: list[_Pass]) -> str:
    """Return last passes, and a factor of the outermost loop, that would cover the bound."""
    inside = math.prod(loop.factor for loop in nest[1:])
    factor = nest[0].factor if nest[0].spatial else -(-bound // inside)
    loops = [replace(nest[0], factor=factor, last=factor), *nest[1:]]
    # The last index, written in the mixed radix of the loops, is where every loop stands in its last pass.
    rest = bound - 1
    fitting: list[_Pass] = []
    spatial = False
    for loop in reversed(loops):
        fitting.insert(0, replace(loop, last=rest % loop.factor + 1))
        rest //= loop.factor
    for loop in fitting:
        if loop.partial and (spatial or loop.spatial):
            break
        spatial = spatial or loop.spatial
    else:
        if rest == 0 and fitting[0].factor > 1 and not fitting[0].partial:
            return "write " + ", ".join(
                f"{loop.level} {loop.kind} {loop.token(dimension)}" for loop in fitting
            )
    return (
        f"spatial loops of {dimension} and the loops inside them must divide {bound};"
        f" those inside the outermost one must cover less than {bound}"
    )
