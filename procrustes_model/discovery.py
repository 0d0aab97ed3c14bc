"""Tables whose entries are files: what the modules of a package define under one name."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable
from importlib import import_module
from typing import Any


def find_entries(package: str, path: Iterable[str], name: str) -> list[Any]:
    """Return what the modules of a package define as `name`, in the order of their file names.

    Parameters
    ----------
    package : str
        Its full name.
    path : iterable of str
        Its ``__path__``.
    name : str
        Modules without it are left out.
    """
    modules = (import_module(f"{package}.{one.name}") for one in pkgutil.iter_modules(path))
    return [getattr(module, name) for module in modules if hasattr(module, name)]
