"""How much a test tries: all of it, or a little of it where kernels run as plain Python (``make quick``)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import pytest

from procrustes_model.kernels.cache import COMPILED

T = TypeVar("T")


def amount(compiled: T, plain: T) -> T:
    """Return the first where kernels are compiled, and the second where they are plain Python."""
    return compiled if COMPILED else plain


def first_quick(values: Iterable[T], count: int) -> list[Any]:
    """Return values as parameters of a test of which the first `count` run in ``make quick``, too."""
    return [
        pytest.param(
            *(value if isinstance(value, tuple) else (value,)), marks=[pytest.mark.quick] if i < count else []
        )
        for i, value in enumerate(values)
    ]
