"""Build the wheel and the source distribution, check them, install the wheel and evaluate from nowhere.

    python tools/check_distribution.py [--python PYTHON ...] [--offline]

Each PYTHON gets a clean environment with the wheel and what it depends on, and evaluates a mapping that ships
in an empty folder. By default that is every one of python3.11, python3.12 and python3.13 that is found. With
``--offline`` nothing is downloaded: this interpreter's own packages stand in for what the wheel depends on,
and other interpreters are left out. ``twine check`` is run where twine is installed.
Exits with 0 when all is well.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = ("python3.11", "python3.12", "python3.13")
NAMES = ("procrustes_16x16", "vgg_s/conv3_2", "procrustes_16x16/vgg_s_conv3_2_kn")


def run(*command: str | Path, folder: Path | None = None, **variables: str) -> str:
    """Run a command and return what it prints; end where it fails."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=kept | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def build(folder: Path) -> Path:
    """Build both distributions, check them, and return the wheel."""
    run(sys.executable, "-m", "hatchling", "build", "--directory", folder, folder=ROOT)
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    print(f"built {wheel.name} and {source.name}")
    if importlib.util.find_spec("twine"):
        run(sys.executable, "-m", "twine", "check", "--strict", wheel, source)
        print("twine check: passed")
    else:
        print("twine check: left out, twine is not installed")
    return wheel


def install(python: str, wheel: Path, folder: Path, *, offline: bool) -> Path:
    """Make an environment with the wheel, and return its interpreter."""
    run(python, "-m", "venv", *(["--without-pip"] if offline else []), folder)
    inside = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if offline:
        where = run(inside, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        pip: list[str | Path] = [
            sys.executable,
            "-m",
            "pip",
            "--quiet",
            "--disable-pip-version-check",
            "--python",
            inside,
        ]
        run(*pip, "install", "--no-deps", "--no-index", wheel)
        # A folder that is named so is searched last, and its own links are not followed.
        Path(where, "borrowed.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    else:
        run(inside, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", wheel)
    return inside


def main() -> int:
    """Check what would be published."""
    parser = argparse.ArgumentParser(description="Build, check and install what would be published.")
    parser.add_argument("--python", nargs="+", help="interpreters; default: those of 3.11 to 3.13 found")
    parser.add_argument("--offline", action="store_true", help="download nothing; this interpreter alone")
    asked = parser.parse_args()
    found = asked.python or [one for one in VERSIONS if shutil.which(one)] or [sys.executable]
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        wheel = build(work / "dist")
        for number, python in enumerate([sys.executable] if asked.offline else found):
            inside = install(python, wheel, work / f"environment{number}", offline=asked.offline)
            empty = work / f"empty{number}"
            empty.mkdir()
            where = run(
                inside, "-c", "import procrustes_model; print(procrustes_model.__file__)", folder=empty
            )
            if not Path(where.strip()).is_relative_to(work):
                sys.exit(f"the wheel is not what is imported, but {where}")
            command = (inside, "-m", "procrustes_model", "evaluate", *NAMES, "--csv", "-")
            rows = run(*command, folder=empty, NUMBA_DISABLE_JIT="1").splitlines()
            if len(rows) < 2 or any(empty.iterdir()):
                sys.exit(f"no table, or files that nobody asked for: {rows}")
            version = run(inside, "--version").strip()
            print(f"{version}: installed, evaluated {len(rows) - 1} rows in an empty folder")
    return 0


if __name__ == "__main__":
    sys.exit(main())
