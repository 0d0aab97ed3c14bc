"""``procrustes evaluate`` with a sparse design, phases, densities and masks."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from procrustes_model.errors import SpecError
from procrustes_model.network.sparse_options import parse_densities
from procrustes_model.report.tables.csv import WIDE_COLUMNS
from procrustes_model.spec.load import load_problem
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


def test_where_there_are_no_nonzeros_nothing_sets_a_pace(run: Run, tmp_path: Path, root: Path) -> None:
    """Then words are no need per cycle, and no element has more work than another."""
    text = (root / "arch_specs" / "procrustes_16x16.yaml").read_text(encoding="utf-8")
    slow = text.replace("- name: DRAM\n", "- name: DRAM\n      write_bandwidth: 4\n")
    (tmp_path / "slow.yaml").write_text(slow, encoding="utf-8")
    rest = ("slow.yaml", *LAYER[2:], "--sparsity", "procrustes", "--density")
    done = run("evaluate", *rest, "W=0")
    assert done.returncode == 0, done.stderr
    assert "DRAM  50,177  write bandwidth: 200,704 words, has 4\n" in done.stdout
    said = "Imbalance none: Weights has no nonzeros, and so no processing element has work"
    assert said in " ".join(done.stdout.split())
    assert "words/cycle" not in done.stdout
    assert run("imbalance", *rest, "W=0").stdout.endswith("\nNo work: Weights has no nonzeros.\n")
    assert "slowest over mean" in run("evaluate", *rest, "W=1e-6").stdout


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
        (("--sparsity", "procrustes", "--masks", "none.npz"), "error: none.npz: no such file"),
        (("--sparsity", "procrustes", "--masks", "wrong.npy"), "has shape (2, 2)"),
        (("--sparsity", "procrustes", "--masks", "."), "is a directory"),
        (("--sparsity", "procrustes", "--masks", "text.npz"), "text.npz: not a .npy or .npz file"),
        (
            ("--sparsity", "procrustes", "--masks", "misspelt.npz"),
            "misspelt.npz: no tensor 'Wieghts' in problem vgg_s/conv3_2; did you mean 'Weights'?",
        ),
        (
            ("--sparsity", "procrustes", "--masks", "right.npz", "--density", "W=0.5"),
            "tensor 'Weights' is given both a density and a mask",
        ),
        (("--phase", "sideways"), "sideways"),
    ],
)
def test_bad_options(run: Run, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    np.save(tmp_path / "wrong.npy", np.ones((2, 2), np.bool_))
    np.savez(tmp_path / "misspelt.npz", Wieghts=np.ones((256, 256, 3, 3), np.bool_))
    np.savez(tmp_path / "right.npz", Weights=np.ones((256, 256, 3, 3), np.bool_))
    (tmp_path / "text.npz").write_text("no array\n")
    done = run(*LAYER, *arguments, "--csv", "out.csv")
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("W=0.1,W=0.2", "Weights is given twice in W=0.1,W=0.2; keep one of them"),
        ("W=0.1,Weights=0.1", "Weights is given twice"),
        ("", "--density is empty; write TENSOR=NUMBER,..."),
        ("W=0.1,", "a density is missing in 'W=0.1,'; write TENSOR=NUMBER,..."),
        ("=0.5", "'=0.5' is no density; write TENSOR=NUMBER,..."),
        ("W=0,1", "'1' is no density; write TENSOR=NUMBER,..."),
        ("W=nan", "'W=nan' is no density"),
    ],
)
def test_densities_are_written_as_pairs(text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_densities(text, load_problem("vgg_s/conv3_2"))
    assert len(caught.value.issues) == 1
    assert message in str(caught.value)


def test_columns_of_energy_add_up(run: Run, tmp_path: Path) -> None:
    full = ("evaluate", "procrustes_16x16_full", *LAYER[2:])
    done = run(*full, "-q", "--sparsity", "procrustes", "--phase", "all", "--csv-wide", "wide.csv")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "wide.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        further = [key for key in row if key not in WIDE_COLUMNS]
        areas = [float(row[key]) for key in further if key.startswith("area_um2_")]
        parts = [float(row[key]) for key in further if not key.startswith("area_um2_")]
        assert sum(areas) == pytest.approx(float(row["area_um2"]), rel=1e-12)
        assert sum(parts) == pytest.approx(float(row["energy_pj"]), rel=1e-12)
    assert {"energy_pj_balancing", "energy_pj_LoadBalancer"} <= rows[0].keys()


def test_phases_need_the_roles_of_a_layer(run: Run, tmp_path: Path) -> None:
    problem = """
problem:
  name: product
  dimensions: {M: 2, K: 2}
  shape:
    dimensions: [M, K]
    tensors:
      X: {projection: [M, K]}
      Z: {projection: [M], output: true}
"""
    (tmp_path / "product.yaml").write_text(problem, encoding="utf-8")
    done = run("search", "simple_3level", "product.yaml", "--phase", "bw")
    assert done.returncode == 2
    assert "has no training phases: none of its tensors" in done.stderr
    done = run("evaluate", "simple_3level", "matmul/512", "simple_3level/matmul_512", "--phase", "bw")
    assert done.returncode == 0, done.stderr
    assert "A[m,k] += B[k,n] * Z[m,n]" in done.stdout


UNBALANCED = """
sparsity:
  name: skips
  densities: {Weights: 0.5}
  formats: {Weights: {"*": bitmask}}
  compute: {skip: Weights}
  phases: {weight_update: {compute: {}}}
"""


def test_a_design_without_balancing_says_so_once(run: Run, tmp_path: Path) -> None:
    (tmp_path / "skips.yaml").write_text(UNBALANCED, encoding="utf-8")
    (tmp_path / "states.yaml").write_text(f"{UNBALANCED}  balancing: {{tensor: Weights}}\n", encoding="utf-8")
    arguments = (*LAYER, "--phase", "all", "--csv-wide", "wide.csv", "--sparsity")
    done = run(*arguments, "skips.yaml")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Imbalance    no balancing stated: work spread evenly (ideal)") == 2
    # In the weight update nothing is skipped.
    assert done.stdout.count("Imbalance    none: all processing elements have the same work") == 1
    said = " ".join(done.stdout.split())
    assert said.count("cycles are a lower bound") == 1
    assert "state in the design: balancing: {tensor: Weights}" in said
    with (tmp_path / "wide.csv").open(encoding="utf-8", newline="") as file:
        spread = [row["work_spread"] for row in csv.DictReader(file)]
    assert spread == ["even (ideal)", "even (ideal)", "even"]
    stated = run(*arguments, "states.yaml")
    assert "lower bound" not in stated.stdout
    assert "Imbalance    slowest over mean" in stated.stdout
    assert run(*arguments, "skips.yaml", "-q").stdout == ""


def test_a_search_without_balancing_says_so(run: Run, tmp_path: Path, specs: tuple[str, str, str]) -> None:
    design = "{name: skips, densities: {A: 0.5}, formats: {A: {'*': bitmask}}, compute: {skip: A}}"
    (tmp_path / "skips.yaml").write_text(f"sparsity: {design}\n", encoding="utf-8")
    done = run("search", *specs[:2], "--sparsity", "skips.yaml", "--objective", "cycles")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert said.count("cycles are a lower bound") == 1
    assert "give the compute units a storage level of their own, and state in the design" in said
