"""The installed wheel: complete, and usable from an empty directory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from procrustes_model.version import how_to_install


@pytest.fixture(scope="module")
def installed(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel, install it alone into a folder, and return the folder."""
    work = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(work), str(root)]
    subprocess.run(build, check=True, capture_output=True, text=True)
    (wheel,) = work.glob("procrustes_model-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", str(work / "site"), str(wheel)], check=True)
    return work / "site"


def run(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command in `folder`; kernels would compile anew for a new place, and need not."""
    environment = os.environ | {"PYTHONPATH": str(installed), "NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-m", "procrustes_model", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_evaluates_what_ships_by_name(installed: Path, tmp_path: Path) -> None:
    names = ["procrustes_16x16", "vgg_s/conv3_2", "procrustes_16x16/vgg_s_conv3_2_kn"]
    done = run(installed, tmp_path, "evaluate", *names, "--csv", "layer.csv")
    assert done.returncode == 0, done.stderr
    assert "GlobalBuffer" in done.stdout
    assert (tmp_path / "layer.csv").read_text().startswith("architecture,problem,phase,level,tensor,action,")


def test_lists_what_the_checkout_has(installed: Path, root: Path, tmp_path: Path) -> None:
    listed = run(installed, tmp_path, "list").stdout
    for file in (root / "arch_specs").glob("*.yaml"):
        assert file.stem in listed


def test_holds_nothing_but_the_package(installed: Path) -> None:
    (wheel,) = installed.parent.glob("*.whl")
    roots = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in roots if not name.endswith(".dist-info")} == {"procrustes_model"}
    package = installed / "procrustes_model"
    assert (package / "py.typed").exists()
    assert (package / "__init__.pyi").exists()


def test_has_its_tables_of_energies(installed: Path, tmp_path: Path) -> None:
    machine = """\
architecture:
  name: small
  clock: 1 GHz
  levels:
    - {name: DRAM, class: dram, memory: LPDDR4, scope: device, word_bits: 8}
    - {name: L1, class: sram, capacity: 1 KB, word_bits: 8, technology: 22 nm, device: hp}
  compute: {class: mac, type: fp, width: 32 bits, technology: 45 nm}
"""
    (tmp_path / "small.yaml").write_text(machine, encoding="utf-8")
    done = run(installed, tmp_path, "show", "small.yaml", "--resolved")
    assert done.returncode == 0, done.stderr
    assert "energy_pj: 4.6  # from a table" in done.stdout
    assert (installed / "procrustes_model" / "energies" / "tables" / "README.md").exists()


def test_renders_its_pages(installed: Path, root: Path) -> None:
    templates = Path("procrustes_model", "report", "page", "templates")
    names = {file.name for file in (root / templates).iterdir()}
    assert {"style.css", "script.js", "network.html.j2"} <= names
    assert {file.name for file in (installed / templates).iterdir()} == names


def test_messages_name_what_can_be_installed(root: Path) -> None:
    """What is on no index yet is named in one place, and documents name the checkout."""
    files = [*root.joinpath("procrustes_model").rglob("*"), *root.joinpath("docs").rglob("*.md")]
    named = [
        str(file.relative_to(root))
        for file in [*files, root / "README.md"]
        if file.suffix in (".py", ".md", ".j2")
        and re.search(r"pip install '?[^'. ]*procrustes", file.read_text("utf-8"))
    ]
    assert named == []
    assert how_to_install("plot") == "pip install '.[plot]' in the checkout"
    metadata = next(iter(root.glob("pyproject.toml"))).read_text("utf-8")
    used = {
        extra
        for file in files
        if file.suffix in (".py", ".j2")
        for extra in re.findall(r"how_to_install\(.(\w+).\)", file.read_text("utf-8"))
    }
    assert used and all(f"\n{extra} = [" in metadata for extra in used)
