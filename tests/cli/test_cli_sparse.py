"""``procrustes evaluate`` with a sparse design, phases, densities and masks."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Run

LAYER = ("evaluate", "procrustes_16x16", "vgg_s/conv3_2", "procrustes_16x16/vgg_s_conv3_2_kn")


def test_all_phases_add_up(run: Run, tmp_path: Path) -> None:
    arguments = ("--sparsity", "procrustes", "--phase", "all", "--density", "W=0.1,X=0.5")
    done = run(*LAYER, *arguments, "--csv-wide", "wide.csv", "--json", "all.json")
    assert done.returncode == 0, done.stderr
    assert "Computes     10.0% done, 0.0% gated, 90.0% skipped" in done.stdout
    with (tmp_path / "wide.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["phase"] for row in rows] == ["forward", "backward", "weight_update"]
    results = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    assert [result["cycles"] for result in results] == [int(row["cycles"]) for row in rows]
    total = next(line for line in done.stdout.splitlines() if line.startswith("all phases"))
    assert total.split()[-1] == f"{sum(result['cycles'] for result in results):,}"


def test_the_dense_design_costs_what_no_design_costs(run: Run, tmp_path: Path) -> None:
    run(*LAYER, "-q", "--csv", "plain.csv")
    run(*LAYER, "-q", "--csv", "dense.csv", "--sparsity", "dense")
    assert (tmp_path / "plain.csv").read_text() == (tmp_path / "dense.csv").read_text()


def test_masks_are_counted(run: Run, tmp_path: Path) -> None:
    mask = np.zeros((256, 256, 3, 3), np.bool_)
    mask[::2] = True
    np.savez(tmp_path / "masks.npz", Weights=mask)
    np.save(tmp_path / "mask.npy", mask)
    by_name = run(*LAYER, "--sparsity", "procrustes", "--masks", "masks.npz")
    assert by_name.returncode == 0, by_name.stderr
    assert "densities Weights 0.5000" in by_name.stdout
    assert "counted on the mask" in by_name.stdout
    assert run(*LAYER, "--sparsity", "procrustes", "--masks", "mask.npy").stdout == by_name.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--density", "W=0.1"), "need a sparse design"),
        (("--sparsity", "procrustez"), "did you mean 'procrustes'?"),
        (("--sparsity", "procrustes", "--density", "Q=0.1"), "'Q' is no tensor"),
        (("--sparsity", "procrustes", "--density", "W=1.5"), "'W=1.5' is no density"),
        (("--sparsity", "procrustes", "--density", "W"), "'W' is no density"),
        (("--sparsity", "procrustes", "--masks", "none.npz"), "there is no such file"),
        (("--sparsity", "procrustes", "--masks", "wrong.npy"), "has shape (2, 2)"),
        (("--phase", "sideways"), "sideways"),
    ],
)
def test_bad_options(run: Run, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    np.save(tmp_path / "wrong.npy", np.ones((2, 2), np.bool_))
    done = run(*LAYER, *arguments, "--csv", "out.csv")
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out.csv").exists()


def test_phases_need_the_tensors_of_a_layer(run: Run) -> None:
    done = run("evaluate", "simple_3level", "matmul/512", "simple_3level/matmul_512", "--phase", "bw")
    assert done.returncode == 2
    assert "phases need Weights, Inputs and Outputs" in done.stderr
