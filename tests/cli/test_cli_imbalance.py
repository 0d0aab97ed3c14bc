"""``procrustes imbalance``: text, CSV, plots, and options that are wrong."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from procrustes_model.report.tables.imbalance import IMBALANCE_COLUMNS
from tests.cli.conftest import Run

LAYER = ("imbalance", "procrustes_16x16", "vgg_s/conv3_2", "procrustes_16x16/vgg_s_conv3_2_kn")
SPARSE = ("--sparsity", "procrustes")


def rows_of(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_all_phases_are_drawn(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    done = run(*LAYER, *SPARSE, "--phase", "all", "--csv", "work.csv", "--plot", "work.png")
    assert done.returncode == 0, done.stderr
    assert "Work on Weights of 16 processing elements" in done.stdout
    assert done.stdout.count("slowest / mean") == 3
    rows = rows_of(tmp_path / "work.csv")
    assert rows[0].keys() == IMBALANCE_COLUMNS.keys()
    assert {row["version"] for row in rows} == {"2"}
    assert {row["phase"] for row in rows} == {"forward", "backward", "weight_update"}
    assert (tmp_path / "work.png").read_bytes().startswith(b"\x89PNG")
    first = (tmp_path / "work.png").read_bytes()
    assert run(*LAYER, *SPARSE, "--phase", "all", "-q", "--plot", "work.png").stdout == ""
    assert (tmp_path / "work.png").read_bytes() == first


def test_masks_are_counted(run: Run, tmp_path: Path) -> None:
    mask = np.zeros((256, 256, 3, 3), np.bool_)
    mask[::2] = True
    np.save(tmp_path / "mask.npy", mask)
    done = run(
        *LAYER, *SPARSE, "--masks", "mask.npy", "--csv", "work.csv", environment={"PYTHONIOENCODING": "ascii"}
    )
    assert done.returncode == 0, done.stderr
    assert "counted on the mask" in done.stdout
    assert "slowest / mean 1.000" in done.stdout
    assert done.stdout.isascii()
    assert {row["basis"] for row in rows_of(tmp_path / "work.csv")} == {"counted"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "imbalance needs a sparse design"),
        (("--sparsity", "dense"), "nothing is balanced in this phase"),
        ((*SPARSE, "--plot", "work.jpeg"), "--plot has no ending of a figure; one of .png, .svg, .pdf"),
        ((*SPARSE, "--plot", "no/work.png"), "--plot cannot be written"),
        ((*SPARSE, "--masks", "mask.npy", "--csv", "mask.npy"), "--csv would overwrite mask.npy"),
        ((*SPARSE, "--masks", "mask.npy"), "has shape (2, 2)"),
        ((*SPARSE, "--density", "W=nan"), "is no density"),
        ((*SPARSE, "--samples", "0"), "--samples"),
    ],
)
def test_bad_options(run: Run, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    np.save(tmp_path / "mask.npy", np.ones((2, 2), np.bool_))
    done = run(*LAYER, "--csv", "out.csv", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert not (tmp_path / "out.csv").exists()
