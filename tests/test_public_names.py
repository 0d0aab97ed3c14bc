"""The front door: every public name is the object itself, whatever else has been imported."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import procrustes_model

OPTIONAL = {"torch"}
"""Packages that a module of this one may need and that may not be installed."""


def homes() -> dict[str, str]:
    """Return the module that the stub names for each public name."""
    stub = Path(procrustes_model.__file__).with_suffix(".pyi")
    return {
        alias.name: f"procrustes_model.{node.module}"
        for node in ast.parse(stub.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def import_everything() -> None:
    """Import every module of the package."""
    for found in pkgutil.walk_packages(procrustes_model.__path__, "procrustes_model."):
        if found.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(found.name)
        except ModuleNotFoundError as error:
            if error.name not in OPTIONAL:
                raise


@pytest.mark.parametrize("everything", [False, True])
def test_names_are_the_objects(everything: bool) -> None:
    if everything:
        import_everything()
    for name, home in homes().items():
        expected = getattr(importlib.import_module(home), name)
        assert getattr(procrustes_model, name) is expected, name
        assert expected.__name__ == name


def test_no_module_hides_a_name() -> None:
    """Importing a submodule sets it as an attribute of the package, over what is loaded when used."""
    modules = {found.name for found in pkgutil.iter_modules(procrustes_model.__path__)}
    assert not modules & set(homes())


def test_lists_are_the_stub() -> None:
    assert procrustes_model.__all__ == sorted(homes())
    assert dir(procrustes_model) == sorted(homes())
    assert isinstance(procrustes_model.__version__, str)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = procrustes_model.no_such_name  # type: ignore[attr-defined]


def test_nothing_is_loaded_early() -> None:
    """Importing the package imports no module of it but the version, and nothing that takes time."""
    code = (
        "import sys; import procrustes_model; "
        "print(*(name for name in sys.modules if name.partition('.')[0] in "
        "('procrustes_model', 'numba', 'numpy', 'sympy', 'pydantic', 'jinja2', 'matplotlib', 'rich')))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert set(done.stdout.split()) == {"procrustes_model", "procrustes_model.version"}
