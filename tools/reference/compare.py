"""What all reference checks share: a mismatch, and how numbers are compared."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


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
