"""Where compiled kernels are kept, and whether they are there already.

Numba notices a changed source file only by its date and size, and never a change in a kernel that
another one calls. Kernels of a module are therefore kept in a folder that is named after the contents of the
module and of all that it imports: an edit compiles afresh what depends on it, nothing stale is ever run,
and copies of the same sources share what is compiled. This module imports no numba.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from pathlib import Path

from procrustes_model.fingerprint import KERNELS, hash_imports, hash_sources

_APPLICATION = "procrustes_model"

COMPILED = os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")
"""The switch of all kernels: whether they are compiled, or run as plain Python; see `kernels.jit`."""


def _user_cache() -> Path:
    """Return the folder that the platform sets aside for caches of this user."""
    if override := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(override)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


@functools.cache
def cache_directory() -> Path | None:
    """Return the folder of compiled kernels, made if need be.

    Returns
    -------
    Path or None
        None where no such folder can be written: kernels are then compiled in every process.
    """
    try:
        directory = _user_cache() / _APPLICATION / "kernels"
        directory.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return directory if os.access(directory, os.W_OK) else None


@functools.cache
def name_folder(module: str, file: str | None = None) -> str:
    """Return the name of the folder, in `cache_directory`, of a module's kernels.

    Parameters
    ----------
    module : str
        Its whole name, such as ``procrustes_model.kernels.dense.nest``.
    file : str, optional
        Where it is, if it is not of this package: then it depends on all kernels of it.
    """
    if file is not None and not module.startswith("procrustes_model."):
        content = hashlib.sha256(Path(file).read_bytes() + hash_sources(KERNELS).encode())
        return f"{module}-{content.hexdigest()[:16]}"
    return f"{module.removeprefix('procrustes_model.kernels.')}-{hash_imports(module)[:16]}"


def is_warm(kernel: str = "evaluate_nests") -> bool:
    """Return whether `kernel` has been compiled by an earlier process, or needs not be.

    Parameters
    ----------
    kernel : str
        Name of a kernel function.
    """
    if not COMPILED:
        return True
    directory = cache_directory()
    if directory is None:
        return False
    kept = {file.parent.name for file in directory.glob(f"*/*.{kernel}-*.nbc")}
    return any(name == name_folder(f"procrustes_model.kernels.{name.rpartition('-')[0]}") for name in kept)


@functools.cache
def links_kernels() -> bool:
    """Say whether kernels are linked (`kernels.linked`): with the releases of Numba that it extends."""
    from importlib.metadata import version

    return version("numba").startswith("0.68.")
