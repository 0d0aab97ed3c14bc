"""What is kept is told from what other sources made: an edit at any depth changes what names it."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from procrustes_model.fingerprint import KERNELS, MODEL, hash_sources, list_imports, list_sources

PACKAGE = "procrustes_model"


def _folders(root: Path, parts: tuple[str, ...]) -> list[str]:
    """Return the folders of the package that hold sources, at every depth."""
    package = root / PACKAGE
    found = {source.parent for part in parts for source in (package / part).rglob("*.py")}
    return sorted(folder.relative_to(package).as_posix() for folder in found)


@pytest.fixture
def package(tmp_path: Path, root: Path) -> Path:
    """Return a copy of the package's sources."""
    only_sources = shutil.ignore_patterns("__pycache__", "*.yaml")
    return Path(shutil.copytree(root / PACKAGE, tmp_path / PACKAGE, ignore=only_sources))


def _both(package: Path) -> tuple[str, str]:
    return hash_sources(KERNELS, package), hash_sources(MODEL, package)


def test_there_are_folders_in_folders(root: Path) -> None:
    assert {"kernels", "kernels/search", "kernels/sparse"} <= set(_folders(root, KERNELS))
    assert {"mapper/optimal", "model/sparse", "spec/text"} <= set(_folders(root, MODEL))


def test_an_edit_in_any_folder_changes_them(package: Path, root: Path) -> None:
    """Kernels have both to change; what lies above them has that of results."""
    seen = [_both(package)]
    kernels = _folders(root, KERNELS)
    for folder in _folders(root, MODEL):
        source = max((package / folder).glob("*.py"))
        source.write_text(source.read_text(encoding="utf-8") + "# edited\n", encoding="utf-8")
        compiled, results = _both(package)
        assert (compiled != seen[-1][0]) == (folder in kernels), folder
        assert results not in [one for _, one in seen], folder
        seen.append((compiled, results))


@pytest.mark.parametrize("name", ["kernels/new.py", "kernels/search/new.py", "kernels/deep/deeper/new.py"])
def test_a_new_and_a_moved_source_change_both(package: Path, name: str) -> None:
    before = _both(package)
    new = package / name
    new.parent.mkdir(parents=True, exist_ok=True)
    new.write_text("", encoding="utf-8")
    added = _both(package)
    new.rename(new.with_name("moved.py"))
    for one, other, third in zip(before, added, _both(package), strict=True):
        assert len({one, other, third}) == 3


def test_words_that_all_share_change_both(package: Path) -> None:
    before = _both(package)
    (package / "vocabulary.py").write_text("", encoding="utf-8")
    assert all(one != other for one, other in zip(before, _both(package), strict=True))


def test_every_source_is_listed_once(root: Path) -> None:
    listed = list_sources(MODEL)
    assert len(set(listed)) == len(listed)
    assert {root / PACKAGE / name for name in ("kernels/search/walk.py", "vocabulary.py")} <= set(listed)


def _names(package: Path, place: Path) -> list[str]:
    """Return the folders of three modules' kernels, and the name of the program, of a copy of the package."""
    code = (
        "from procrustes_model.fingerprint import program_fingerprint\n"
        "from procrustes_model.kernels.cache import name_folder\n"
        f"print(*(name_folder('{PACKAGE}.kernels.' + one) for one in {MODULES}), program_fingerprint())\n"
    )
    environment = os.environ | {"PYTHONPATH": str(package.parent)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=place,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return done.stdout.split()


MODULES = ("dense.rounding", "dense.cost", "pipeline")


def test_both_are_what_the_program_goes_by(package: Path, tmp_path: Path) -> None:
    """The folders of compiled kernels, and the name of the program in runs, of a copy that is edited."""
    first = _names(package, tmp_path)
    assert [one.rpartition("-")[0] for one in first[:3]] == list(MODULES)
    for source, changed in (
        ("kernels/pipeline.py", (False, False, True)),
        ("kernels/dense/cost.py", (False, True, True)),
        ("mapper/optimal/paths.py", (False, False, False)),
        ("vocabulary.py", (False, True, True)),
    ):
        path = package / source
        path.write_text(path.read_text(encoding="utf-8") + "# edited\n", encoding="utf-8")
        second = _names(package, tmp_path)
        assert tuple(one != other for one, other in zip(first, second, strict=True)) == (*changed, True), (
            source
        )
        first = second


def _imported(source: Path, package: Path) -> set[Path]:
    """Return what a source imports of the package, as Python itself reads it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, source
            names.update((str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)))
    places = (package.parent.joinpath(*name.split(".")).with_suffix(".py") for name in names)
    return {place for place in places if place.is_file()}


def test_a_kernel_depends_on_all_that_it_imports(root: Path) -> None:
    package = root / PACKAGE
    known = set(list_sources(KERNELS))
    needs = {source: _imported(source, package) & known for source in known}
    for source in known:
        found, waiting = {source}, [source]
        while waiting:
            new = needs[waiting.pop()] - found
            found |= new
            waiting += new
        module = ".".join(source.relative_to(root).with_suffix("").parts)
        assert set(list_imports(module)) == found, module
