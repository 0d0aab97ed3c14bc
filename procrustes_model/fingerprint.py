"""What identifies this program to what it keeps: a hash of the sources that results depend on."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from procrustes_model.version import __version__

_PACKAGE = Path(__file__).resolve().parent

KERNELS = ("kernels",)
"""What compiled kernels depend on, beside the words of the package."""

MODEL = ("densities", "formats", "kernels", "mapper", "model", "policies", "spec", "workloads")
"""What the result of a search depends on, beside the words of the package."""

_SHARED = ("vocabulary.py",)


def list_sources(folders: tuple[str, ...], package: Path = _PACKAGE) -> list[Path]:
    """Return the Python sources in some folders of the package, at any depth, and the shared ones, in order.

    Parameters
    ----------
    folders : tuple of str
    package : Path
    """
    shared = [package / name for name in _SHARED]
    nested = [source for folder in folders for source in (package / folder).rglob("*.py")]
    return sorted(source for source in (*shared, *nested) if source.is_file())


def hash_sources(folders: tuple[str, ...], package: Path = _PACKAGE) -> str:
    """Return a hash of the names and contents of `list_sources`, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for source in list_sources(folders, package):
        digest.update(source.relative_to(package).as_posix().encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()


@functools.cache
def program_fingerprint() -> str:
    """Return what identifies this program: its version, and a hash of all that results depend on."""
    return f"{__version__}-{hash_sources(MODEL)[:16]}"
