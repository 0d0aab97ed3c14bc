"""Streams that are closed or full, pipes in place of files, and names that would command a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a POSIX shell and /dev/full")
EVALUATE = "evaluate arch.yaml problem.yaml mapping.yaml"


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        (f"{EVALUATE} >&-", 2, "error: standard output: Bad file descriptor\n"),
        (f"{EVALUATE} >/dev/full", 2, "error: standard output: No space left on device\n"),
        ("--help >/dev/full", 2, "error: standard output: No space left on device\n"),
        (f"{EVALUATE} >&- 2>&-", 2, ""),
        (f"{EVALUATE} -q --csv out.csv 0<&- >&- 2>&-", 0, ""),
        (f"{EVALUATE} -q --csv /dev/full", 2, "error: /dev/full: No space left on device\n"),
        (f"{EVALUATE} -q --csv pipe", 2, "error: pipe: nothing reads this pipe\n"),
        ("validate gone.yaml 2>/dev/full", 2, ""),
        ("validate gone.yaml 2>&-", 2, ""),
        ("validate pipe", 2, "error: pipe: this is no regular file; give a YAML file, no pipe or device\n"),
    ],
)
@pytest.mark.usefixtures("specs")
def test_streams(command: str, status: int, message: str, tmp_path: Path, root: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    done = subprocess.run(
        ["sh", "-c", f'"$0" -m procrustes_model {command}', sys.executable],  # noqa: S607
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (status, message)
    if "out.csv" in command:
        assert (tmp_path / "out.csv").read_text(encoding="utf-8").startswith("architecture,problem")
    assert not list(tmp_path.glob(".*.tmp"))


NAMES = [
    'architecture: {"\\e]0;TITLE\\a\\e[31mred": 1}\n',
    'problem: {name: x, shape: "\\e[2J", dimensions: {M: 1}}\n',
    'problem: {name: x, shape: matmul, dimensions: {"M\\nerror: faked:1:1: fine": 1, K: 1, N: 1}}\n',
    'network: {name: x, layers: [{name: "\\e[1m", kind: "\\e[1m"}]}\n',
    'sparsity: {name: x, rules: {"\\x9b2J": 1}}\n',
    'constraints: {levels: [{level: x, temporal: "\\e=1"}]}\n',
    'schedule: {name: "\\u202e", parts: []}\n',
]


@pytest.mark.parametrize("text", NAMES)
def test_no_name_commands_a_terminal(text: str, run: Run, tmp_path: Path) -> None:
    file = "names\x1b[31m.yaml"
    (tmp_path / file).write_text(text, encoding="utf-8")
    done = run("validate", file)
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert lines and all(line.startswith("error: names\\x1b[31m.yaml:1:") for line in lines)
    assert all(line.isprintable() for line in lines)
    for arguments in (("validate", "gone\x1b[31m"), ("--no\x1b[31m",), ("show", "\x1b[31m")):
        done = run(*arguments)
        assert done.returncode == 2
        assert "\x1b" not in done.stderr and "\\x1b[31m" in done.stderr


def test_validate_checks_for_what_is_given(run: Run, tmp_path: Path) -> None:
    rules = "constraints:\n  levels:\n    - {level: RegFile, keep: [Weigths]}\n"
    (tmp_path / "rules.yaml").write_text(rules, encoding="utf-8")
    assert run("validate", "rules.yaml").returncode == 0
    done = run("validate", "rules.yaml", "--problem", "vgg_s/conv3_2")
    assert "rules.yaml:3:31: unknown tensor 'Weigths'; did you mean 'Weights'?" in done.stderr
    machine = run("show", "procrustes_16x16_full").stdout.replace("tensor: Weights", "tensor: Filter", 1)
    (tmp_path / "machine.yaml").write_text(machine, encoding="utf-8")
    assert run("validate", "machine.yaml").returncode == 0  # a problem may have it
    done = run("validate", "machine.yaml", "--problem", "vgg_s/conv3_2")
    assert "neither vgg_s/conv3_2 nor a shape that ships has a tensor 'Filter'" in done.stderr
    done = run("validate", "conv", "--problem", "vgg_s/conv3_2")
    assert (done.returncode, done.stderr) == (2, "error: no file is checked for --problem; leave it out\n")


def test_a_name_is_no_formula_of_a_spreadsheet(run: Run, tmp_path: Path) -> None:
    text = "network: {name: ../../evil, layers: [{name: =1, kind: matmul, m: 1, k: 1, n: 1}]}\n"
    (tmp_path / "net.yaml").write_text(text, encoding="utf-8")
    done = run("network", "simple_3level", "net.yaml", "--phases", "fw", "--workers", "1", "--csv", "-")
    assert done.returncode == 0, done.stderr
    assert ",'=1,matmul," in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.yaml"]
