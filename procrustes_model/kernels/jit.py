"""The one decorator of all kernels: compiled without the interpreter, without the GIL, and cached."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numba

from procrustes_model.kernels.cache import cache_directory

config: Any = numba.config
P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` with Numba in nopython mode, cached in `cache_directory`.

    Floating-point results keep their IEEE order of operations (no fast-math), so that a result does
    not depend on the machine or on how a batch is split.
    """
    directory = cache_directory()
    saved = config.CACHE_DIR
    config.CACHE_DIR = str(directory) if directory else saved
    try:
        compiled = numba.njit(cache=directory is not None, nogil=True, error_model="numpy")(function)
    finally:
        config.CACHE_DIR = saved
    return cast("Callable[P, R]", compiled)
