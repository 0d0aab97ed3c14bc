"""Where compiled kernels are kept, and whether they are there already.

Numba notices a changed source file only by its date and size, and never a change in a kernel that
another one calls. The folder is therefore named after the contents of all kernel sources: a new
release or an edit compiles afresh, and nothing stale is ever run. This module imports no numba.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from pathlib import Path

from procrustes_model.fingerprint import KERNELS, hash_sources

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
    """Return the folder of the compiled kernels of this version, made if need be.

    Returns
    -------
    Path or None
        None where no such folder can be written: kernels are then compiled in every process.
    """
    place = str(Path(__file__).resolve())  # Numba keeps an index for each place
    digest = hashlib.sha256((place + hash_sources(KERNELS)).encode())
    try:
        directory = _user_cache() / _APPLICATION / f"kernels-{digest.hexdigest()[:16]}"
        directory.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return directory if os.access(directory, os.W_OK) else None


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
    return directory is not None and any(directory.rglob(f"*.{kernel}-*.nbc"))
