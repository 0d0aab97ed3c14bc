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


_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    # Nothing calls a kernel by its address; what that needs would take a tenth of the time to compile.
    "no_cfunc_wrapper": True,
}


def _compile(function: Callable[P, R]) -> Callable[P, R]:
    """Compile with Numba in nopython mode, cached in `cache_directory`, without the GIL.

    Floating-point results keep their IEEE order of operations (no fast-math), so that a result does not
    depend on the machine or on how a batch is split.
    """
    import numba

    config: Any = numba.config
    directory = cache_directory()
    saved = config.CACHE_DIR
    config.CACHE_DIR = str(directory) if directory else saved
    try:
        compiled = numba.njit(cache=directory is not None, **_OPTIONS)(function)
    finally:
        config.CACHE_DIR = saved
    return cast("Callable[P, R]", compiled)


def _interpret(function: Callable[P, R]) -> Callable[P, R]:
    """Let arithmetic overflow and divide by zero in silence, as compiled code does."""
    return np.errstate(all="ignore")(function)


kernel = _compile if COMPILED else _interpret
"""The decorator."""
