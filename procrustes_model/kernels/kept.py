"""Keeps compiled kernels in the folders that `kernels.cache` names.

It extends Numba's cache of functions in `numba.core.caching`, the same in all releases that pyproject allows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator

from procrustes_model.kernels.cache import cache_directory, links_kernels, name_folder


class _ByContent(_CacheLocator):
    """Says where kernels of a module are kept: what the folder's name does not tell apart is the same."""

    def __init__(self, function: Callable[..., Any], file: str) -> None:
        directory = cache_directory()
        assert directory is not None
        self._path = str(directory / name_folder(function.__module__, file))
        self._py_file = file  # named where Numba warns of what cannot be kept
        self._line = function.__code__.co_firstlineno

    def get_cache_path(self) -> str:
        return self._path

    def get_source_stamp(self) -> str:
        return ""

    def get_disambiguator(self) -> str:
        return str(self._line)

    @classmethod
    def from_function(cls, function: Callable[..., Any], file: str) -> _ByContent:
        return cls(function, file)


class _PartByContent(_ByContent):
    """The same of code that others link: of what Python calls there may be another file."""

    def get_disambiguator(self) -> str:
        return f"{self._line}.part"


class _Kept(CompileResultCacheImpl):
    _locator_classes: list[Any] = [_ByContent]  # noqa: RUF012  # one for all, as there

    def rebuild(self, target_context: Any, payload: Any) -> Any:
        if not links_kernels():
            return super().rebuild(target_context, payload)  # type: ignore[no-untyped-call]
        from procrustes_model.kernels.linked import linked

        with linked(target_context):
            return super().rebuild(target_context, payload)  # type: ignore[no-untyped-call]


class _KeptPart(_Kept):
    _locator_classes: list[Any] = [_PartByContent]  # noqa: RUF012


class _Cache(FunctionCache):
    _impl_class = _Kept

    def load_overload(self, signature: Any, target: Any) -> Any:
        if not links_kernels():
            return super().load_overload(signature, target)  # type: ignore[no-untyped-call]
        from procrustes_model.kernels.found import already_known

        with already_known(target):
            return super().load_overload(signature, target)  # type: ignore[no-untyped-call]


class _PartCache(_Cache):
    _impl_class = _KeptPart


def keep(dispatcher: Any, part: bool) -> None:
    """Have what a dispatcher compiles kept, and loaded if it is there.

    Parameters
    ----------
    dispatcher : numba.core.dispatcher.Dispatcher
        Of a kernel that has not been compiled yet.
    part : bool
        Whether other kernels call it, and not Python.
    """
    cache: Any = _PartCache if part else _Cache
    dispatcher._cache = cache(dispatcher.py_func)
