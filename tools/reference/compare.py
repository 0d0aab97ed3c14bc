"""What all reference checks share: a mismatch, and how numbers are compared."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from procrustes_model.model.result import LevelResult, Result, TensorCounts


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One number that differs, and where it stands in the case's `expected`."""

    where: str
    expected: Any
    found: Any

    def __str__(self) -> str:
        return f"{self.where}: expected {self.expected}, found {self.found}"


def exact(where: str, expected: Any, found: float) -> Iterator[Mismatch]:
    """Yield a mismatch unless both are the same number."""
    if isinstance(expected, bool) or not isinstance(expected, int | float) or expected != found:
        yield Mismatch(where, expected, found)


def close(where: str, expected: Any, found: float, relative: float) -> Iterator[Mismatch]:
    """Yield a mismatch unless both agree to `relative`."""
    usable = isinstance(expected, int | float) and not isinstance(expected, bool)
    if not usable or not math.isclose(expected, found, rel_tol=relative, abs_tol=0.0):
        yield Mismatch(where, expected, found)


def levels_differ(expected: dict[str, Any], result: Result) -> Iterator[Mismatch]:
    """Yield a mismatch for every level or tensor that only one side has, and for other cycles of a level."""
    found = {level.name: level for level in result.levels}
    for name in expected["levels"].keys() - found.keys():
        yield Mismatch(f"levels.{name}", "a level", None)
    for name, level in found.items():
        wanted = expected["levels"].get(name)
        if wanted is None:
            if level.tensors:
                yield Mismatch(f"levels.{name}", None, "a level")
            continue
        yield from exact(f"levels.{name}.cycles", wanted["cycles"], level.cycles)
        kept = {counts.tensor for counts in level.tensors}
        for tensor in wanted["tensors"].keys() ^ kept:
            yield Mismatch(f"levels.{name}.tensors.{tensor}", tensor in wanted["tensors"], tensor in kept)


def shared_tensors(
    expected: dict[str, Any], result: Result
) -> Iterator[tuple[str, dict[str, Any], LevelResult, TensorCounts]]:
    """Yield every tensor at a level that both sides have: where, the expected numbers, and the found ones."""
    for level in result.levels:
        wanted = expected["levels"].get(level.name, {"tensors": {}})
        for counts in level.tensors:
            if counts.tensor in wanted["tensors"]:
                yield (
                    f"levels.{level.name}.tensors.{counts.tensor}",
                    wanted["tensors"][counts.tensor],
                    level,
                    counts,
                )
