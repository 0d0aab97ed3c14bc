"""The example, shortened: its gradients meet the target, its result repeats, and its command runs."""

from __future__ import annotations

import csv
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from procrustes_model.training import Streamed, load_masks, select_exactly, tracking


@pytest.fixture(scope="module")
def example() -> Any:
    """Return the module of the example, on one thread."""
    torch = pytest.importorskip(
        "torch", reason="torch is not installed: pip install 'procrustes-model[torch]'"
    )
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
    monkeypatch.setattr(
        "sys.argv", ["example_training.py", str(tmp_path / "out"), "--epochs", "2", "--seeds", "1"]
    )
    example.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["weights", "dense", "5x", "10x"]
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    masks = ["masks_10x_seed0.npz", "masks_1x_seed0.npz", "masks_5x_seed0.npz"]
    assert names == ["accuracy.csv", "accuracy_density.png", *masks]
    with (tmp_path / "out" / "accuracy.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    found = load_masks(tmp_path / "out" / "masks_5x_seed0.npz")
    assert [layer.name for layer in found.layers] == ["0", "3", "8", "10"]
    assert found.steps == (0, 18)
