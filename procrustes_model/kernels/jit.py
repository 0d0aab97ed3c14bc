"""The one decorator of all kernels: compiled by Numba and cached, or plain Python; results are the same.

A kernel is compiled when it is first called, or plain Python within `once`, which single evaluations use:
they then import no numba and wait for nothing. With ``NUMBA_DISABLE_JIT=1`` in the environment kernels always
run as plain Python: under a debugger, with their coverage counted.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Generic, ParamSpec, TypeVar, cast

import numpy as np

from procrustes_model.kernels.cache import COMPILED, cache_directory, is_warm, links_kernels

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


def _compile_once(dispatcher: Any, signature: Any) -> Any:
    """Compile for a signature, as `Dispatcher.compile` does: what has been takes no time, nor timers."""
    made = dispatcher.overloads.get(tuple(signature)) if isinstance(signature, tuple) else None
    return type(dispatcher).compile(dispatcher, signature) if made is None else made.entry_point


def _forget_literals(dispatcher: Any) -> None:
    """Have kernels that pass a number as it is written call the same code as those that pass a variable.

    Numba would compile a kernel once more for every number, and what it calls with that, too. Nor is there
    one more for an integer where a parameter is annotated as `float`.
    """
    from numba.core import types

    unliteral: Callable[[Any], Any] = types.unliteral
    parameters = dispatcher.py_func.__code__.co_varnames
    annotations = dispatcher.py_func.__annotations__
    resolve = dispatcher.get_call_template

    def take(name: str, kind: Any) -> Any:
        kind = unliteral(kind)
        return types.float64 if annotations.get(name) == "float" and isinstance(kind, types.Integer) else kind

    def resolve_by_kind(args: Any, named: Any) -> Any:
        kinds = {name: take(name, kind) for name, kind in named.items()}
        return resolve(tuple(map(take, parameters, args)), kinds)

    dispatcher.get_call_template = resolve_by_kind
    dispatcher.compile = functools.partial(_compile_once, dispatcher)


def _compile(function: Callable[P, R], **options: Any) -> Callable[P, R]:
    """Compile with Numba in nopython mode, cached in `cache_directory`, without the GIL.

    Floating-point results keep their IEEE order of operations (no fast-math), so that a result does not
    depend on the machine or on how a batch is split.
    """
    import numba

    _register_references()
    options = {**_OPTIONS, **options}
    if links_kernels():
        from procrustes_model.kernels.linked import LinkingCompiler

        options["pipeline_class"] = LinkingCompiler
    compiled = numba.njit(**options)(function)
    _forget_literals(compiled)
    if cache_directory():
        from procrustes_model.kernels.kept import keep

        keep(compiled, part="no_cpython_wrapper" in options)
    return cast("Callable[P, R]", compiled)


class Kernel(Generic[P, R]):
    """A kernel that is compiled when it is first needed, for Python and for kernels that call it.

    Attributes
    ----------
    py_func : callable
        The kernel as plain Python.
    targetoptions : dict of str to Any
        What Numba reads of a kernel that is compiled as part of another one.
    """

    def __init__(self, function: Callable[P, R], **options: Any) -> None:
        functools.update_wrapper(self, function)
        self.py_func = function
        self.targetoptions = options

    @functools.cached_property
    def compiled(self) -> Callable[P, R]:
        """The kernel as Python calls it."""
        return _compile(self.py_func, **self.targetoptions)

    @functools.cached_property
    def part(self) -> Callable[P, R]:
        """The kernel as other ones call it: code that is linked into theirs."""
        if not links_kernels():
            return self.compiled
        return _compile(self.py_func, no_cpython_wrapper=True, **self.targetoptions)

    @property
    def _numba_type_(self) -> Any:
        """What Numba takes a kernel for that another one calls: its dispatcher."""
        from numba.core import types

        return types.Dispatcher(self.part)

    def __call__(self, *args: P.args, **named: P.kwargs) -> R:
        """Run the kernel."""
        until = _plain_until.get()
        if until is None:
            return self.compiled(*args, **named)
        if time.perf_counter() > until:
            raise _TakesLongError
        return self.py_func(*args, **named)


class _Brief(Kernel[P, R]):
    """A kernel of a few numbers: plain Python is done with it where a call of compiled code begins."""

    def __call__(self, *args: P.args, **named: P.kwargs) -> R:
        """Run the kernel as it is written, unless Python refuses what compiled code makes infinite."""
        try:
            return self.py_func(*args, **named)
        except ArithmeticError:
            return super().__call__(*args, **named)


class _TakesLongError(Exception):
    """Plain Python has taken as long as loading compiled kernels, or compiling them, would."""


_plain_until: ContextVar[float | None] = ContextVar("plain_until", default=None)
"""Where kernels are plain Python, the time at which they have taken too long; see `time.perf_counter`."""

announce_compiled: ContextVar[Callable[[], None] | None] = ContextVar("announce_compiled", default=None)
"""What `once` calls before compiled kernels take over, which may have to be compiled."""

_ALLOWANCE = {True: 0.5, False: 15.0}
"""Seconds of plain Python in a process, by whether kernels have been compiled before: what those take."""


class _PlainTime:
    """Seconds that kernels of this process have taken as plain Python."""

    spent = 0.0


plain_time = _PlainTime()
"""The clock of `once`."""


@functools.cache
def _was_warm() -> bool:
    """Return whether kernels were compiled when this process first asked: looking takes a while."""
    return is_warm()


def once(run: Callable[[], T]) -> T:
    """Run kernels for little work, as plain Python until a process has spent more on that than it saves.

    Parameters
    ----------
    run : callable
        What calls kernels. It may be stopped and called again, so it makes what it writes into.

    Returns
    -------
    T
        What `run` returns, which does not depend on how its kernels are run.
    """
    if not COMPILED or _plain_until.get() is not None:
        return run()
    left = _ALLOWANCE[_was_warm()] - plain_time.spent
    if left > 0:
        start = time.perf_counter()
        token = _plain_until.set(start + left)
        try:
            with np.errstate(all="ignore"):  # arithmetic overflows in silence, as in compiled code
                return run()
        except _TakesLongError:
            pass
        finally:
            _plain_until.reset(token)
            plain_time.spent += time.perf_counter() - start
    if (announce := announce_compiled.get()) is not None:
        announce()
    return run()


def always_compiled() -> None:
    """Have `once` run compiled kernels from now on, for a process that has much to evaluate, one by one."""
    plain_time.spent = float("inf")


def _lazily(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a kernel when it is first needed."""
    return cast("Callable[P, R]", Kernel(function))


def _lazily_inline(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a kernel as part of what calls it."""
    return cast("Callable[P, R]", Kernel(function, inline="always"))


def _interpret(function: Callable[P, R]) -> Callable[P, R]:
    """Let arithmetic overflow and divide by zero in silence, as compiled code does."""
    return np.errstate(all="ignore")(function)


def _lazily_brief(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a kernel for others that call it."""
    return cast("Callable[P, R]", _Brief(function))


kernel = _lazily if COMPILED else _interpret
"""The decorator."""

brief = _lazily_brief if COMPILED else _interpret
"""The decorator of kernels of a few numbers, which call none but such: Python runs them as written."""

step = _lazily_inline if COMPILED else _interpret
"""The decorator of kernels that do little but call another one.

Numba compiles what a kernel calls once more with that kernel: one that stands between doubles the time.
"""
