"""Compiling kernels before they are needed: for an image, or the machines of a cluster."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

from procrustes_model.mapper.search import briefly
from procrustes_model.mapper.task import compile_kernels, compile_labels


def list_parts() -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield what searches need by what is searched, each with what compiles it, unless it has been.

    Single evaluations need no compiled kernels, and what is compiled for one part serves the others.

    Yields
    ------
    (str, callable)
    """
    yield "dense searches", compile_kernels
    yield "partial mappings of dense searches", compile_labels
    yield "searches with zeros", lambda: compile_kernels(sparse=True)
    yield "partial mappings of searches with zeros", lambda: compile_labels(True)
    yield "searches with networks, wider sums and drains", lambda: compile_kernels(special=True)
    yield "searches on masks", lambda: compile_kernels(sparse=True, masks=True)
    for name, method, imperfect in (
        *(("random walks", "random", False), ("exhaustive searches", "exhaustive", False)),
        ("shorter last passes", "optimal", True),
    ):
        run = briefly(method, imperfect)
        yield name, functools.partial(compile_kernels, run=run)
