"""Finds what ships, such as architectures, problems and networks, by name."""

from __future__ import annotations

import os
from pathlib import Path

from procrustes_model.errors import Issue, SpecError
from procrustes_model.spec.text.words import closest, with_article

KINDS = (
    *("architecture", "problem", "mapping", "shape", "sparsity", "constraints"),
    *("network", "density", "schedule", "sweep"),
)
_PACKAGE = Path(__file__).resolve().parent
_SUFFIX = ".yaml"
_WORKLOADS = {
    "problem": "problems",
    "shape": "shapes",
    "network": "networks",
    "density": "densities",
    "schedule": "schedules",
    "sweep": "sweeps",
}
_TOP_LEVEL = {
    "architecture": "arch_specs",
    "sparsity": "arch_specs/sparsity",
    "mapping": "mappings",
    "constraints": "mappings/constraints",
}


def _directory(kind: str) -> Path:
    """Return where one kind ships: in the wheel's `_data`, or beside the package in a checkout."""
    if kind in _WORKLOADS:
        return _PACKAGE / "workloads" / _WORKLOADS[kind]
    packed = _PACKAGE / "_data"
    return (packed if packed.is_dir() else _PACKAGE.parent) / _TOP_LEVEL[kind]


def list_shipped(kind: str) -> list[str]:
    """Return the names of everything of one kind that ships, sorted.

    Parameters
    ----------
    kind : str
        One of `KINDS`.

    Returns
    -------
    list of str
        Names as `resolve` and the command line take them, such as 'vgg_s/conv3_2'.
    """
    root = _directory(kind)
    inside = [folder for folder in map(_directory, KINDS) if root in folder.parents]
    files = [
        path for path in root.rglob(f"*{_SUFFIX}") if not any(folder in path.parents for folder in inside)
    ]
    return sorted(path.relative_to(root).with_suffix("").as_posix() for path in files)


def starter_files() -> list[Path]:
    """Return files to start from, in the order in which one reads them."""
    names = ("machine", "layer", "mapping", "design", "network", "sweep")
    return [_PACKAGE / "workloads" / "starter" / f"{name}{_SUFFIX}" for name in names]


def list_architectures() -> list[str]:
    """Return the names of the architectures that ship; each verb takes them."""
    return list_shipped("architecture")


def list_problems() -> list[str]:
    """Return the names of the problems that ship: single layers, as `evaluate` and `search` take them."""
    return list_shipped("problem")


def list_mappings() -> list[str]:
    """Return the names of the mappings that ship, each after the architecture that it is for."""
    return list_shipped("mapping")


def list_networks() -> list[str]:
    """Return the names of the networks that ship, as `run_network` takes them."""
    return list_shipped("network")


def list_sparsity() -> list[str]:
    """Return the names of the sparse designs that ship."""
    return list_shipped("sparsity")


def list_constraints() -> list[str]:
    """Return the names of the constraints that ship, as `search` and `run_network` take them."""
    return list_shipped("constraints")


def list_densities() -> list[str]:
    """Return the names of the densities by layer that ship, as `run_network` takes them as `profile`."""
    return list_shipped("density")


def list_schedules() -> list[str]:
    """Return the names of the schedules that ship, as `train_cost` takes them."""
    return list_shipped("schedule")


def list_sweeps() -> list[str]:
    """Return the names of the sweeps that ship, as `sweep` takes them."""
    return list_shipped("sweep")


def list_shapes() -> list[str]:
    """Return the names of the shapes that ship, as problems name them."""
    return list_shipped("shape")


def resolve(kind: str, name_or_path: str | os.PathLike[str]) -> Path:
    """Return the file that a user means.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    name_or_path : str or path
        An existing file, which wins, or the name of something that ships.

    Returns
    -------
    Path
        An existing file or directory.

    Raises
    ------
    SpecError
        Where there is neither; with the nearest names.
    """
    given = os.fspath(name_or_path)
    path = Path(given)
    if given and _exists(path) and not path.is_dir():
        return path
    names = list_shipped(kind)
    if given in names:
        return _directory(kind) / f"{given}{_SUFFIX}"
    if given and _exists(path):
        return path
    raise SpecError(_missing(kind, given, names))


def _exists(path: Path) -> bool:
    """Say whether there is a file or folder; not where no file can have such a name."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _missing(kind: str, given: str, names: list[str]) -> Issue:
    message = f"'{given[:200]}' is neither a file nor {with_article(kind)} that ships"
    same_end = [name for name in names if given and name.endswith("/" + given)]
    near = same_end[0] if same_end else closest(given, names)
    file = _near_file(given)
    for other in KINDS:
        if near is None and file is None and other != kind and given in list_shipped(other):
            return Issue(message, f"there is a shipped {other} of this name; are the arguments in order?")
    if near or file:
        return Issue(message, f"did you mean {' or '.join(repr(word) for word in (file, near) if word)}?")
    return Issue(message, f"choose from {', '.join(names[:12])}" if names else None)


def _near_file(given: str) -> str | None:
    path = Path(given)
    try:
        entries = sorted(entry.name for entry in path.parent.iterdir())[:2000]
    except (OSError, ValueError):
        return None
    near = closest(path.name, [entry for entry in entries if entry.endswith((_SUFFIX, ".yml"))])
    return str(path.parent / near) if near else None
