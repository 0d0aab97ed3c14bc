"""``procrustes network``: what it writes, what it refuses, and how it goes on after it was stopped."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Run

NETWORK = """\
network:
  name: tiny
  input: {channels: 2, height: 3, width: 3}
  layers:
    - {name: first, kind: conv, channels: 4, kernel: 3, padding: 1}
    - {name: depth, kind: depthwise, kernel: 3, padding: 1}
    - {name: mid, repeat: 2, kind: conv, channels: 4, kernel: 1}
"""
SPARSE = ("--sparsity", "procrustes", "--baseline", "dense", "--density", "W=0.25,X=0.5")
WRITTEN = ("--html", "report.html")
FIXED = ("--batch", "8", "--dataflow", "KN", "--seconds", "0")


SMALLER = """\
network:
  name: smaller
  input: {channels: 2, height: 2, width: 1}
  layers:
    - {name: first, kind: conv, channels: 4, kernel: 1}
    - {name: depth, kind: depthwise, kernel: 1}
"""


@pytest.fixture
def smaller(tmp_path: Path) -> str:
    """Write a network for which many processes are started, and return its file's name."""
    (tmp_path / "smaller.yaml").write_text(SMALLER, encoding="utf-8")
    return "smaller.yaml"


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    """Write a small network and return its file's name."""
    (tmp_path / "tiny.yaml").write_text(NETWORK, encoding="utf-8")
    return "tiny.yaml"


def _files(folder: Path) -> dict[str, bytes]:
    """Return all that a folder holds, but for temporary files that a kill may leave."""
    files = [file for file in folder.rglob("*") if file.is_file() and not file.name.startswith(".")]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def test_what_it_writes_evaluates_to_the_same(run: Run, tmp_path: Path, tiny: str) -> None:
    done = run("network", "procrustes_16x16", tiny, *FIXED, *SPARSE, "--out", "run", "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert "18 different cases" in done.stderr
    assert "dense / procrustes" in done.stdout
    assert "KN: C over columns, N over rows in 3 of 12 searches" in done.stdout
    with (tmp_path / "run" / "layers.csv").open(encoding="utf-8", newline="") as file:
        layers = list(csv.DictReader(file))
    (row,) = (
        one
        for one in layers
        if (one["layer"], one["phase"], one["design"]) == ("depth", "forward", "procrustes")
    )
    files = ("run/problems/depth_fw.yaml", "run/mappings/depth_fw_procrustes.yaml")
    options = ("--sparsity", "procrustes", "--density", "W=0.25", "--csv-wide", "again.csv", "-q")
    assert run("evaluate", "procrustes_16x16", *files, *options).returncode == 0
    with (tmp_path / "again.csv").open(encoding="utf-8", newline="") as file:
        (again,) = csv.DictReader(file)
    for column in ("energy_pj", "cycles", "utilization", "energy_pj_DRAM"):
        assert again[column] == row[column]


def test_it_goes_on_after_being_killed(run: Run, tmp_path: Path, root: Path, tiny: str) -> None:
    arguments = ("network", "procrustes_16x16", tiny, *FIXED, "--phases", "fw,bw", *WRITTEN, "--workers", "1")
    whole = run(*arguments, "--out", "whole", "--quiet")
    assert whole.returncode == 0, whole.stderr
    page = (tmp_path / "report.html").read_bytes()
    environment = os.environ | {"PYTHONPATH": str(root)}
    command = [sys.executable, "-m", "procrustes_model", *arguments, "--out", "killed"]
    cases = tmp_path / "killed" / "cases"
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not (cases.is_dir() and len(list(cases.glob("*.json"))) >= 2):
            time.sleep(0.01)
        process.kill()
    finished = len(list(cases.glob("*.json")))
    assert 2 <= finished <= 6
    again = run(*arguments, "--out", "killed")
    assert again.returncode == 0, again.stderr
    assert f"6 different cases, {finished} of them already in killed/" in again.stderr
    assert _files(tmp_path / "killed") == _files(tmp_path / "whole")
    assert (tmp_path / "report.html").read_bytes() == page
    assert b"procrustes network procrustes_16x16 tiny.yaml --phases fw,bw --batch 8" in page


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_an_interrupt_keeps_what_is_done(tmp_path: Path, root: Path, tiny: str) -> None:
    pytest.importorskip("joblib")
    command = [sys.executable, "-m", "procrustes_model", "network", "procrustes_16x16", tiny, *FIXED]
    environment = os.environ | {"PYTHONPATH": str(root)}
    with subprocess.Popen(
        [*command, "--out", "run", "--workers", "2"],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        encoding="utf-8",
        start_new_session=True,
    ) as process:
        cases = tmp_path / "run" / "cases"
        while process.poll() is None and not (cases.is_dir() and list(cases.glob("*.json"))):
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    # Should the last case have been finished just then, there was nothing left to interrupt.
    if process.returncode != 0:
        assert process.returncode == 130
        assert "Interrupted; " in errors and "--out run goes on" in errors
    assert "Traceback" not in errors
    assert not list((tmp_path / "run" / "cases").glob(".*"))


@pytest.mark.parametrize("engine", ["local", "dask"])
def test_workers_change_nothing(run: Run, tmp_path: Path, smaller: str, engine: str) -> None:
    pytest.importorskip("joblib")
    if engine == "dask":
        pytest.importorskip("distributed")
    designs = SPARSE if engine == "local" else ()
    arguments = ("network", "procrustes_16x16", smaller, *FIXED, *designs, *WRITTEN, "--phases", "fw", "-q")
    one = run(*arguments, "--out", "one", "--workers", "1")
    two = run(*arguments, "--out", "two", "--workers", "2", "--engine", engine)
    assert one.returncode == 0, one.stderr
    assert two.returncode == 0, two.stderr
    assert _files(tmp_path / "one") == _files(tmp_path / "two")
    again = run(*arguments, "--out", "two", "--workers", "2", "--engine", engine)
    assert again.returncode == 0, again.stderr
    assert _files(tmp_path / "one") == _files(tmp_path / "two")


def test_damaged_cases_are_told_and_searched_again(run: Run, tmp_path: Path, tiny: str) -> None:
    arguments = ("network", "procrustes_16x16", tiny, *FIXED, "--phases", "fw,bw", "--workers", "1")
    assert run(*arguments, "--out", "run").returncode == 0
    before = _files(tmp_path / "run")
    damages = (b"", b"\xff", b"[]", b"{}", b'{"format": "procrustes_case"}', None)
    for file, damage in zip(sorted((tmp_path / "run" / "cases").iterdir()), damages, strict=True):
        raw = file.read_bytes()
        file.write_bytes(raw[: len(raw) // 2] if damage is None else damage)
    again = run(*arguments, "--out", "run")
    assert again.returncode == 0
    warnings = [line for line in again.stderr.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 6 and warnings[-1] == "warning: and 1 more files of cases"
    assert all(".json: not used, and searched again: " in line for line in warnings[:-1])
    assert "\n6 different cases\n" in again.stderr
    assert _files(tmp_path / "run") == before
    assert "warning" not in run(*arguments, "--out", "run", "--quiet").stderr


def test_a_changed_machine_is_searched_again(run: Run, tmp_path: Path, tiny: str) -> None:
    shown = run("show", "procrustes_16x16").stdout
    (tmp_path / "arch.yaml").write_text(shown, encoding="utf-8")
    arguments = ("network", "arch.yaml", tiny, *FIXED, "--phases", "fw", "--workers", "1", "--out", "run")
    assert "3 different cases\n" in run(*arguments).stderr
    assert "3 of them already" in run(*arguments).stderr
    (tmp_path / "arch.yaml").write_text(
        shown.replace("energy_pj: 32.328", "energy_pj: 4.6"), encoding="utf-8"
    )
    assert "already" not in run(*arguments).stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("procrustes_16x16", "resnet81"), "'resnet81' is neither a file nor a network that ships"),
        (("procrustes_16x16", "resnet18", "--dataflow", "KX"), "unknown dataflow 'KX'"),
        (("procrustes_16x16", "resnet18", "--phases", "fw,up"), "unknown phase 'up'"),
        (("procrustes_16x16", "resnet18", "--phases", ","), "there is no phase"),
        (("procrustes_16x16", "resnet18", "--density", "W=0.1"), "need a sparse design"),
        (("procrustes_16x16", "resnet18", "--sparsity", "procrustes", "--density", "Z=1"), "is no tensor of"),
        (
            ("procrustes_16x16", "resnet18", "--sparsity", "procrustes", "--density", "Y=0.5"),
            "procrustes has no zeros in Outputs, in any phase",
        ),
        (
            (
                "procrustes_16x16",
                "tiny.yaml",
                "--sparsity",
                "procrustes",
                "--density-profile",
                "profile.yaml",
            ),
            "tiny has no layer 'conv9' with weights",
        ),
        (("procrustes_16x16", "resnet18", "--baseline", "dense"), "are both 'dense'"),
        (("procrustes_16x16", "resnet18", "--engine", "slurm"), "unknown engine 'slurm'"),
        (("procrustes_16x16", "resnet18", "--scheduler", "tcp://x:1"), "needs the engine dask"),
        (("procrustes_16x16", "resnet18", "--dataflow", "KN", "--constraints", "dataflow_kn"), "both given"),
        (("procrustes_16x16", "resnet18", "--out", "tiny.yaml"), "no folder for results"),
        (("resnet18", "procrustes_16x16"), "there is a shipped network of this name"),
    ],
)
def test_what_it_refuses(
    run: Run, tmp_path: Path, tiny: str, arguments: tuple[str, ...], message: str
) -> None:
    del tiny
    profile = "density: {name: p, weights: {layers: {conv9: 0.5}}}\n"
    (tmp_path / "profile.yaml").write_text(profile, encoding="utf-8")
    before = sorted(tmp_path.iterdir())
    done = run("network", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""
    assert sorted(tmp_path.iterdir()) == before


def test_layers_without_a_mapping_are_named(run: Run, tmp_path: Path, tiny: str) -> None:
    rule = "constraints:\n  name: full\n  min_utilization: 1.0\n"
    (tmp_path / "full.yaml").write_text(rule, encoding="utf-8")
    options = (
        "--constraints",
        "full.yaml",
        "--phases",
        "fw",
        "--workers",
        "1",
        "--out",
        "run",
        "--batch",
        "1",
    )
    done = run("network", "procrustes_16x16", tiny, *options)
    assert done.returncode == 2
    assert "error: depth (forward, dense): no mapping is valid" in done.stderr
    assert not (tmp_path / "run" / "run.json").exists()


def test_computations_alone(run: Run, tmp_path: Path) -> None:
    layer = "{name: a, kind: fully_connected, input_channels: 8, channels: 8, sparsity: half.yaml}"
    design = "{name: half, densities: {Weights: 0.5}, FORMATS, compute: {skip: Weights}}"
    design = design.replace("FORMATS", "formats: {Weights: {'*': bitmask}}")
    (tmp_path / "half.yaml").write_text(f"sparsity: {design}", encoding="utf-8")
    network = f"network: {{name: n, batch: 4, layers: [{layer}]}}"
    (tmp_path / "net.yaml").write_text(network, encoding="utf-8")
    done = run("network", "procrustes_16x16", "net.yaml", "--macs", "--csv", "macs.csv")
    assert done.returncode == 0, done.stderr
    assert "Wrote macs.csv" in done.stdout
    assert (tmp_path / "macs.csv").read_text(encoding="utf-8").count(",half,4,256,128") == 3
    wrong = run("network", "procrustes_16x16", "net.yaml", "--macs", "--html", "page.html")
    assert (wrong.returncode, "--html has no effect with --macs" in wrong.stderr) == (2, True)
