"""What identifies this program to what it keeps: a hash of the sources that results depend on."""

from __future__ import annotations

import functools
import hashlib
import re
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


_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(?P<module>procrustes_model[\w.]*)[ \t]+import[ \t]+(?P<names>\([^)]*\)|[^\n]*)"
    r"|import[ \t]+(?P<plain>procrustes_model[^\n]*))",
    re.MULTILINE,
)
"""An import of the package, wherever it stands: `ast` would take longer than loading what is kept."""


@functools.cache
def _read(source: Path) -> tuple[bytes, frozenset[str]]:
    """Return what a source holds, and names of what it may import: modules, and what may be in one."""
    content = source.read_bytes()
    names: set[str] = set()
    for found in _IMPORT.finditer(content.decode()):
        if module := found["module"]:
            names.add(module)
            names.update(f"{module}.{name}" for name in re.findall(r"\w+", found["names"]))
        else:
            names.update(re.findall(r"[\w.]+", found["plain"]))
    return content, frozenset(names)


def list_imports(module: str, folders: tuple[str, ...] = KERNELS, package: Path = _PACKAGE) -> list[Path]:
    """Return the sources that a module depends on, in order: its own, and all that it imports at any depth.

    Parameters
    ----------
    module : str
        Its whole name, such as ``procrustes_model.kernels.dense.nest``.
    folders : tuple of str
        Others than those in these folders, and the words of the package, do not count.
    package : Path
    """
    sources = {
        ".".join((package.name, *source.relative_to(package).with_suffix("").parts)): source
        for source in list_sources(folders, package)
    }
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in sources and name not in found:
            found[name] = sources[name]
            waiting += _read(sources[name])[1]
    return [found[name] for name in sorted(found)]


def hash_imports(module: str, folders: tuple[str, ...] = KERNELS, package: Path = _PACKAGE) -> str:
    """Return a hash of the names and contents of `list_imports`, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for source in list_imports(module, folders, package):
        digest.update(source.relative_to(package).as_posix().encode())
        digest.update(_read(source)[0])
    return digest.hexdigest()


@functools.cache
def program_fingerprint() -> str:
    """Return what identifies this program: its version, and a hash of all that results depend on."""
    return f"{__version__}-{hash_sources(MODEL)[:16]}"
