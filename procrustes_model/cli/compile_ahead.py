"""``procrustes compile``: kernels ahead of the first search."""

from __future__ import annotations

import time

from procrustes_model.cli.errors import reported_errors
from procrustes_model.cli.say import say
from procrustes_model.errors import Issue, SpecError


def compile_command() -> None:
    """Compile what searches need, once, instead of before the first search.

    For images and for the machines of a cluster: kernels are kept in a folder of the user's cache, or in
    NUMBA_CACHE_DIR. It takes minutes; a search alone compiles only what it needs.
    """
    with reported_errors():
        from procrustes_model.kernels.cache import COMPILED, cache_directory

        directory = cache_directory()
        if not COMPILED:
            raise SpecError(Issue("kernels are plain Python here", "leave NUMBA_DISABLE_JIT out"))
        if directory is None:
            hint = "name one that can be written: NUMBA_CACHE_DIR=FOLDER"
            raise SpecError(Issue("there is no folder to keep compiled kernels in", hint))
        from procrustes_model.mapper.ahead import list_parts

        for name, compile_part in list_parts():
            say(f"{name} ...", err=True)
            begun = time.perf_counter()
            compile_part()
            say(f"{name}: {time.perf_counter() - begun:.0f} s", err=True)
        say(f"Compiled into {directory}")
