"""``procrustes evaluate``, good input and bad."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from procrustes_model.errors import SpecError
from procrustes_model.kernels.cache import is_warm
from procrustes_model.model.evaluate import evaluate
from procrustes_model.spec.load import load_architecture, load_mapping, load_problem
from procrustes_model.versions import CSV_VERSION, KEY
from tests.cli.conftest import ARCHITECTURE, MAPPING, Run

SHIPPED = ("procrustes_16x16", "vgg_s/conv3_2", "procrustes_16x16/vgg_s_conv3_2_kn")


def test_prints_the_nest_the_table_and_what_limits(run: Run, specs: tuple[str, ...]) -> None:
    done = run("evaluate", *specs)
    assert done.returncode == 0
    assert "DRAM [ A 32 | B 24 | Z 48 ]" in done.stdout
    assert "parallel-for m in 0..2 (x)" in done.stdout
    assert "limited by DRAM" in done.stdout
    assert "read bandwidth: needs" in done.stdout
    assert "\x1b" not in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    assert [line for line in done.stderr.splitlines() if not line.startswith("compiling")] == []


def test_output_is_the_same_twice(run: Run, specs: tuple[str, ...]) -> None:
    assert run("evaluate", *specs).stdout == run("evaluate", *specs, environment={"FORCE_COLOR": "1"}).stdout


def test_shipped_names_work_in_an_empty_folder(run: Run) -> None:
    done = run("evaluate", *SHIPPED, process=True)
    assert done.returncode == 0
    assert "vgg_s/conv3_2 (forward) on procrustes_16x16" in done.stdout


def test_quiet_prints_nothing_and_writes_everything(run: Run, specs: tuple[str, ...], tmp_path: Path) -> None:
    done = run("evaluate", *specs, "-q", "--csv", "a.csv", "--csv-wide", "b.csv", "--json", "c.json")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    architecture, problem = (load_architecture(tmp_path / specs[0]), load_problem(tmp_path / specs[1]))
    result = evaluate(architecture, problem, load_mapping(tmp_path / specs[2], architecture, problem))
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    records = [{**record, KEY: CSV_VERSION} for record in result.to_records()]
    expected = [{key: str(value) for key, value in record.items()} for record in records]
    assert rows == expected
    with (tmp_path / "b.csv").open(encoding="utf-8", newline="") as file:
        (wide,) = csv.DictReader(file)
    assert float(wide["energy_pj"]) == result.energy_pj
    assert json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))["cycles"] == result.cycles
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted([*specs, "a.csv", "b.csv", "c.json"])


def test_ascii_where_the_terminal_has_no_more(run: Run, specs: tuple[str, ...]) -> None:
    done = run("evaluate", *specs, environment={"PYTHONIOENCODING": "ascii"}, process=True)
    assert done.returncode == 0
    assert done.stdout.isascii()


def test_says_that_it_compiles_when_nothing_is_cached(
    run: Run, specs: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one mapping takes so long that compiled kernels are worth waiting for; as a rule none are."""
    assert run("evaluate", *specs).stderr == ""
    assert is_warm()
    monkeypatch.setattr("procrustes_model.kernels.jit.COMPILED", True)
    monkeypatch.setattr("procrustes_model.kernels.jit.plain_time.spent", math.inf)
    with monkeypatch.context() as patch:
        patch.setattr("procrustes_model.kernels.cache.COMPILED", True)
        patch.setattr("procrustes_model.kernels.cache.cache_directory", lambda: tmp_path)
        assert run("evaluate", *specs).stderr == "compiling kernels (once after install) ...\n"


@pytest.mark.parametrize(
    "words",
    [
        "evaluate A P M --sparsity design.yaml",
        "imbalance A P M --sparsity design.yaml",
        "search A P --sparsity design.yaml",
        "search A P --constraints none.yaml",
        "network A vgg_s --sparsity design.yaml",
        "network A vgg_s --constraints none.yaml",
        "train-cost A vgg_s --schedule none.npz",
    ],
)
def test_errors_stand_before_what_is_compiled(
    run: Run, specs: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    """What is read is checked first: the design of this test names a level that is not there."""
    design = "sparsity:\n  name: own\n  densities: {A: 0.5}\n  actions: [{level: Bufer, skip: B, on: A}]\n"
    (tmp_path / "design.yaml").write_text(design, encoding="utf-8")
    monkeypatch.setattr("procrustes_model.kernels.cache.COMPILED", True)
    monkeypatch.setattr("procrustes_model.kernels.cache.cache_directory", lambda: tmp_path)
    names = dict(zip("APM", specs, strict=True))
    done = run(*(names.get(word, word) for word in words.split()))
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and "compiling" not in done.stderr


def test_errors_of_all_files_at_once(run: Run, specs: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / specs[0]).write_text(ARCHITECTURE.replace("word_bits: 8", "word_bits: -8"), encoding="utf-8")
    (tmp_path / specs[2]).write_text(MAPPING.replace("temporal:", "temporl:"), encoding="utf-8")
    done = run("evaluate", *specs[:1], "matmul/513", specs[2], "--csv", "out.csv", process=True)
    lines = done.stderr.splitlines()
    assert done.returncode == 2
    assert done.stdout == ""
    assert all(line.startswith("error: ") for line in lines)
    assert sum("arch.yaml:" in line for line in lines) == 2
    assert sum("mapping.yaml:" in line and "did you mean 'temporal'?" in line for line in lines) == 2
    assert sum("matmul/513" in line and "did you mean 'matmul/512'?" in line for line in lines) == 1
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("M=4", "M=5", "M"),
        ("M=2", "M=8", "M"),
        ("K=2\n      spatial_x", "K=2 Q=2\n      spatial_x", "unknown dimension 'Q'"),
        ("level: Buffer", "level: Bufer", "did you mean 'Buffer'?"),
        ("mapping:", "\tmapping:", "mapping.yaml:1:1"),
        (MAPPING, "", "empty"),
    ],
)
def test_bad_mappings(
    run: Run, specs: tuple[str, ...], tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in MAPPING
    (tmp_path / specs[2]).write_text(MAPPING.replace(old, new), encoding="utf-8")
    done = run("evaluate", *specs, "--json", "out.json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: mapping.yaml")
    assert message in done.stderr
    assert not (tmp_path / "out.json").exists()


def test_tiles_that_do_not_fit(run: Run, specs: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / specs[0]).write_text(ARCHITECTURE.replace("32 words", "3 words"), encoding="utf-8")
    done = run("evaluate", *specs, "--csv", "out.csv")
    assert done.returncode == 2
    assert "capacity" in done.stderr
    assert not (tmp_path / "out.csv").exists()
    architecture, problem = (load_architecture(tmp_path / specs[0]), load_problem(tmp_path / specs[1]))
    with pytest.raises(SpecError, match="capacity"):
        evaluate(architecture, problem, load_mapping(tmp_path / specs[2], architecture, problem))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--csv", "none/out.csv"), "error: none/out.csv: --csv cannot be written: No such folder"),
        (("--json", "."), "error: .: --json cannot be written: Is a directory"),
        (("--csv", "problem.yaml"), "error: problem.yaml: --csv would overwrite problem.yaml"),
        (("--csv", "x", "--json", "./x"), "error: x: --json would overwrite what --csv writes"),
    ],
)
def test_outputs_are_checked_before_the_work(
    run: Run, specs: tuple[str, ...], tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    done = run("evaluate", *specs, *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "compiling" not in done.stderr
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted(specs)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_folder_without_permission(run: Run, specs: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    done = run("evaluate", *specs, "--csv", "locked/out.csv")
    assert done.returncode == 2
    assert "Permission denied" in done.stderr


@pytest.mark.parametrize("arguments", [(), ("a", "b"), ("a", "b", "c", "--nothing")])
def test_wrong_usage(run: Run, arguments: tuple[str, ...]) -> None:
    done = run("evaluate", *arguments)
    assert done.returncode == 2
    assert "Usage: procrustes evaluate" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_under_standard_output(
    run: Run, specs: tuple[str, ...], tmp_path: Path, root: Path
) -> None:
    assert run("evaluate", *specs, "-q").returncode == 0
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-m", "procrustes_model", "evaluate", *specs],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(root)},
            stdout=full,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.endswith("error: standard output: No space left on device\n")


def test_closed_pipe_ends_it_quietly(tmp_path: Path, root: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "procrustes_model", "list"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(root)},
        stdout=writer,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_interrupt_ends_it_quietly(tmp_path: Path, root: Path) -> None:
    code = (
        "import os, signal, procrustes_model.shipped as s\n"
        "s.list_shipped = lambda kind: os.kill(os.getpid(), signal.SIGINT)\n"
        "import sys; sys.argv = ['procrustes', 'list']\n"
        "from procrustes_model.cli import main; main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (done.returncode, done.stderr) == (128 + signal.SIGINT, "")
