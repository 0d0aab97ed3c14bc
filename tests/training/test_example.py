"""The example, shortened: its gradients meet the target, its result repeats, and its command runs."""

from __future__ import annotations

import csv
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from procrustes_model.spec.load import load_network
from procrustes_model.training import Streamed, load_masks, select_exactly, tracking


@pytest.fixture(scope="module")
def example() -> Any:
    """Return the module of the example, on one thread."""
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
    pytest.importorskip("sklearn", reason="the example's data is not installed: pip install scikit-learn")
    torch.set_num_threads(1)
    return importlib.import_module("example_training")


@pytest.fixture(scope="module")
def digits(example: Any) -> Any:
    return example.load_data()


@pytest.mark.parametrize("factor", [5, 10])
def test_tracked_fraction(example: Any, digits: Any, factor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """After 72 steps, every step of the example's own gradients is within 5 %, and close to sorting."""
    fractions, agreements = [], []
    select = tracking.select_by_quantile

    def watched(values: Any, keep: float, *rest: Any) -> Streamed:
        result = select(values, keep, *rest)
        found, exact = (
            np.concatenate([mask.ravel() for mask in masks])
            for masks in (result.selected, select_exactly(values, keep))
        )
        fractions.append(found.mean())
        agreements.append((found & exact).sum() / exact.sum())
        return result

    monkeypatch.setattr(tracking, "select_by_quantile", watched)
    run = example.train(digits, factor, 0, 10)
    assert len(fractions) == 180
    assert np.all(np.abs(np.array(fractions[72:]) * factor - 1) < 0.05)
    assert min(agreements[72:]) > 0.95
    assert run.epochs[-1].storage_density == pytest.approx(1 / factor, rel=0.05)


def test_same_seed_same_result(example: Any, digits: Any) -> None:
    one, other, different = (example.train(digits, 5, seed, 2) for seed in (0, 0, 1))
    assert one.epochs == other.epochs
    for layer, again in zip(one.masks.layers, other.masks.layers, strict=True):
        assert np.array_equal(layer.masks, again.masks)
        assert np.array_equal(layer.activation_density, again.activation_density)
        assert np.array_equal(layer.gradient_density, again.gradient_density)
    assert one.epochs != different.epochs


def test_accuracy(example: Any, digits: Any) -> None:
    """A sanity check only: what the example shows takes all of its runs."""
    dense, sparse = (example.train(digits, factor, 0, 14).epochs[-1] for factor in (1, 5))
    assert dense.accuracy > 0.97
    assert sparse.accuracy > 0.95
    assert sparse.compute_density == sparse.storage_density


def test_command(
    example: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install matplotlib")
    monkeypatch.setattr(example, "FACTORS", (1, 5))
    options = ["--epochs", "2", "--seeds", "1", "--seconds", "1"]
    monkeypatch.setattr("sys.argv", ["example_training.py", str(tmp_path / "out"), *options])
    example.main()
    folder = tmp_path / "out"
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out == f"{text}\n"
    for start in ("| dense ", "| 5x fewer ", "| 5x fewer, sorted ", "| 5x conv2 ", "| 5x all "):
        assert f"\n{start}" in text
    names = {path.name for path in folder.iterdir()}
    tables = {"epochs.csv", "masks_against_densities.csv", "report.md", "digits.yaml"}
    masks = {"masks_1x_seed0.npz", "masks_5x_seed0.npz"}
    assert names == {"epochs.png", "epochs.svg", "searches", *tables, *masks}
    rows = list(csv.DictReader((folder / "epochs.csv").read_text().splitlines()))
    assert [(row["factor"], row["sorted"], row["energy_pj"] != "") for row in rows] == [
        *(("1", "0", True),) * 2,
        *(("5", "0", True),) * 2,
        *(("5", "1", False),) * 2,
    ]
    found = load_masks(folder / "masks_5x_seed0.npz")
    network = load_network(folder / "digits.yaml")
    assert [layer.name for layer in found.layers] == [layer.name for layer in network.layers]
    assert found.steps == (0, 18)
    compared = list(csv.DictReader((folder / "masks_against_densities.csv").read_text().splitlines()))
    # Nothing is pruned yet: initial values have not decayed, and masks say no more than densities.
    assert all(row["expected_cycles"] == row["counted_cycles"] for row in compared)
    assert len(compared) == 16
