"""``procrustes import timeloop`` as users call it, and other commands that meet such files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Run


@pytest.fixture
def small(data: Path, tmp_path: Path) -> Path:
    """Return a folder with a design in tagged nodes and its table of energies."""
    folder = tmp_path / "small"
    shutil.copytree(data / "timeloop" / "nodes", folder)
    shutil.copy(data / "timeloop" / "ERT.yaml", folder)
    return folder


def test_other_commands_name_the_one_that_translates(run: Run, small: Path) -> None:
    del small
    said = "this is a file of Timeloop; translate it: procrustes import timeloop FILES --out DIR\n"
    for command, file, place in (
        (("evaluate", "small/machine.yaml", "matmul/512", "small/nest.yaml"), "machine.yaml", "4:7"),
        (("search", "simple_3level", "small/layer.yaml"), "layer.yaml", "1:1"),
        (("validate", "small/nest.yaml"), "nest.yaml", "1:1"),
        (("validate", "small/ERT.yaml"), "ERT.yaml", "1:1"),
    ):
        done = run(*command)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"error: small/{file}:{place}: {said}" in done.stderr


def test_rules_of_another_version_are_a_file_of_their_own(run: Run, small: Path) -> None:
    done = run("import", "timeloop", "small", "--out", "new", "--rules", "2022")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("Wrote new/rules.yaml\n")
    files = [f"new/{name}.yaml" for name in ("architecture", "problem", "mapping")]
    fills = []
    for more in ((), ("--sparsity", "new/rules.yaml")):
        done = run("evaluate", *files, *more, "--json", "result.json", "--quiet")
        assert (done.returncode, done.stdout) == (0, "")
        found = json.loads((small.parent / "result.json").read_text(encoding="utf-8"))
        fills.append(sum(one["fills"] for level in found["levels"] for one in level["tensors"]))
    assert fills[0] < fills[1], "first fills of outputs count, too"


def test_a_refused_design_leaves_no_file(run: Run, tmp_path: Path, small: Path) -> None:
    (small / "ERT.yaml").unlink()
    done = run("import", "timeloop", "small", "--out", "out")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: small/machine.yaml:7:7: there are no energies of 'Far'; that tool")
    assert all(line.startswith("error: ") for line in done.stderr.splitlines())
    assert not (tmp_path / "out").exists()


def test_the_folder_to_write_into_is_new_or_empty(run: Run, tmp_path: Path, small: Path) -> None:
    del small
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note").write_text("", encoding="utf-8")
    for out, said in (("full", "is not empty"), ("full/note", "is no folder"), ("a/b", "does not exist")):
        done = run("import", "timeloop", "small", "--out", out)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr
    done = run("import", "timeloop", "small", "--out", "new", "--name", "mine")
    assert (done.returncode, done.stderr) == (0, "")
    names = {path.name for path in (tmp_path / "new").iterdir()}
    assert names == {"architecture.yaml", "problem.yaml", "mapping.yaml", "constraints.yaml"}
    files = [f"new/{name}.yaml" for name in ("architecture", "problem", "mapping")]
    assert run("evaluate", *files).returncode == 0
    found = run(
        "search",
        *files[:2],
        "--constraints",
        "new/constraints.yaml",
        "--method",
        "random",
        "--mappings",
        "500",
    )
    assert found.returncode == 0, found.stderr
