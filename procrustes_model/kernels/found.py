"""What Numba finds out while it compiles, found out once: each kernel that is compiled asks for it again.

All of it holds while one kernel is compiled, and those that it calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import llvmlite.binding as llvm
from numba.core import types

_resolved: dict[tuple[Any, Any], Any] = {}
"""How Numba's own functions are called with arguments of some types, once it was found out."""


@contextmanager
def resolved_once() -> Iterator[None]:
    """Have Numba remember how its functions are called: for an operator it tries dozens of candidates."""
    kind: Any = types.Function
    find = kind.get_call_type

    def resolve(self: Any, context: Any, args: Any, named: Any) -> Any:
        if named:
            return find(self, context, args, named)
        key = self, tuple(args)
        found = _resolved.get(key)
        if found is None:
            found = _resolved[key] = find(self, context, args, named)
        return found

    kind.get_call_type = resolve
    try:
        yield
    finally:
        del kind.get_call_type


_sizes: dict[str, int] = {}
"""Bytes of types, by how they are written; LLVM tells those of code that is made up to ask."""


def find_size(context: Any, kind: Any) -> int:
    """Return the bytes that a type of LLVM takes, as `BaseContext.get_abi_sizeof` does."""
    size = _sizes.get(str(kind))
    if size is None:
        size = _sizes[str(kind)] = type(context).get_abi_sizeof(context, kind)
    return size


class Depth:
    """Counts kernels that are being compiled, each for the one before."""

    kernels = 0

    def __enter__(self) -> None:
        Depth.kernels += 1

    def __exit__(self, *_: object) -> None:
        Depth.kernels -= 1


@contextmanager
def already_known(context: Any) -> Iterator[None]:
    """Have a context not look for new functions, as it does for each kernel, while one compiles others.

    Parameters
    ----------
    context : BaseContext
        Numba's, of types or of code; copies of it go on looking.
    """
    kind = type(context)
    if not Depth.kernels or "refresh" in vars(kind):
        yield
        return
    find = kind.refresh

    def refresh(self: Any) -> None:
        if self is not context:
            find(self)

    kind.refresh = refresh
    try:
        yield
    finally:
        del kind.refresh


@contextmanager
def untimed() -> Iterator[None]:
    """Have Numba not measure the time of each call of LLVM, once for every kernel that waits for another."""
    lock = llvm.ffi.lib._lock
    before, lock._cblist = lock._cblist, []
    try:
        yield
    finally:
        lock._cblist = before
