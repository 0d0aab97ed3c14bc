"""No file imports itself by way of others: imports in functions and for type checkers count too.

What packages may know of each other is in pyproject.toml, and checked by import-linter.
"""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

KNOWN: set[tuple[str, str]] = set()
"""Imports that close a circle, (file, what it imports): to become fewer, never more."""

Imports = dict[str, set[str]]


@pytest.fixture(scope="module")
def imports(root: Path) -> Imports:
    """Return what each source file of the package and of the tools imports among them."""
    package = sorted((root / "procrustes_model").rglob("*.py*"))
    files = {module_of(file.relative_to(root)): file for file in package if file.suffix in (".py", ".pyi")}
    # Tools are scripts, and import each other by their bare names.
    tools = (root / "tools").rglob("*.py")
    files |= {module_of(file.relative_to(root / "tools")): file for file in tools}
    named = {name: file.relative_to(root).as_posix() for name, file in files.items()}
    return {
        named[name]: {named[one] for one in imported_by(name, file, set(files))}
        for name, file in files.items()
    }


def module_of(file: Path) -> str:
    """Return the module that a file is; the face of a package and its stub are one."""
    parts = file.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_by(name: str, file: Path, modules: set[str]) -> set[str]:
    """Return the modules that a file imports anywhere."""
    package = name if file.stem == "__init__" else name.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = f"{package}.{node.module}" if node.level else str(node.module)
            assert node.level < 2, f"{file}:{node.lineno}: a relative import of a parent is not followed here"
            found |= {inner if (inner := f"{base}.{alias.name}") in modules else base for alias in node.names}
    return found & modules


def circle_without(imports: Imports, ignored: set[tuple[str, str]]) -> list[str]:
    """Return the files of a circle that does not need these imports; empty where there is none."""
    graph = {file: {one for one in known if (file, one) not in ignored} for file, known in imports.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_circles(imports: Imports) -> None:
    circle = circle_without(imports, KNOWN)
    assert not circle, f"imported by the next: {' <- '.join(circle)}"


@pytest.mark.parametrize("known", sorted(KNOWN))
def test_known_circles_are_there(imports: Imports, known: tuple[str, str]) -> None:
    assert circle_without(imports, KNOWN - {known}), f"no circle any more, remove it: {known}"


def test_circles_are_found(tmp_path: Path) -> None:
    """In functions, for type checkers, and through a package's face."""
    one, two = tmp_path / "one.py", tmp_path / "two.py"
    one.write_text("def f():\n    from a import two\n")
    two.write_text("if TYPE_CHECKING:\n    from .one import f\n")
    modules = {"a.one", "a.two"}
    found = {"a.one": imported_by("a.one", one, modules), "a.two": imported_by("a.two", two, modules)}
    assert found == {"a.one": {"a.two"}, "a.two": {"a.one"}}
    assert set(circle_without(found, set())) == modules
    assert not circle_without(found, {("a.one", "a.two")})
