"""The one decorator of all kernels, and the one switch: compiled by Numba and cached, or plain Python.

With ``NUMBA_DISABLE_JIT=1`` in the environment kernels run as plain Python and numba is never imported:
slowly, with nothing to compile, under a debugger and with their coverage counted. Results are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np

from procrustes_model.kernels.cache import COMPILED, cache_directory

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    # Nothing calls a kernel by its address; what that needs would take a tenth of the time to compile.
    "no_cfunc_wrapper": True,
}


_references: list[type] = []
"""Classes whose way of being passed the compiler has not been told yet."""


def by_reference(cls: type[T]) -> type[T]:
    """Have kernels pass a class of named tuples by reference, as `kernels.by_reference` describes.

    For classes that are made in Python: no kernel makes one.
    """
    _references.append(cls)
    return cls


def _register_references() -> None:
    """Tell the compiler of classes that it has not been told of, when what takes them is compiled."""
    from procrustes_model.kernels.by_reference import register

    while _references:
        register(_references.pop())


def _compile(function: Callable[P, R], **options: Any) -> Callable[P, R]:
    """Compile with Numba in nopython mode, cached in `cache_directory`, without the GIL.

    Floating-point results keep their IEEE order of operations (no fast-math), so that a result does not
    depend on the machine or on how a batch is split.
    """
    import numba

    _register_references()
    config: Any = numba.config
    directory = cache_directory()
    saved = config.CACHE_DIR
    config.CACHE_DIR = str(directory) if directory else saved
    try:
        compiled = numba.njit(cache=directory is not None, **_OPTIONS, **options)(function)
    finally:
        config.CACHE_DIR = saved
    return cast("Callable[P, R]", compiled)


def _interpret(function: Callable[P, R]) -> Callable[P, R]:
    """Let arithmetic overflow and divide by zero in silence, as compiled code does."""
    return np.errstate(all="ignore")(function)


def _inline(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a kernel as part of what calls it."""
    return _compile(function, inline="always")


kernel = _compile if COMPILED else _interpret
"""The decorator."""

step = _inline if COMPILED else _interpret
"""The decorator of kernels that do little but call another one.

Numba compiles what a kernel calls once more with that kernel: one that stands between doubles the time.
"""
