"""The example of training with less, on few images: its masks, its energies, and its command."""

from __future__ import annotations

import csv
import importlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from procrustes_model.training import NM, load_mask_densities, load_masks


@pytest.fixture
def example(torch: Any, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ARG001
    """Return the module of the example, with two batches of images."""
    pytest.importorskip("sklearn", reason="the example's data is not installed: pip install scikit-learn")
    module = importlib.import_module("example_less")
    data = module.load_data()
    few = replace(
        data,
        train_images=data.train_images[:128],
        train_labels=data.train_labels[:128],
        test_images=data.test_images[:32],
        test_labels=data.test_labels[:32],
    )
    monkeypatch.setattr(module, "load_data", lambda: few)
    return module


@dataclass(frozen=True)
class Step:
    """Stands in for what a step costs."""

    energy_pj: float
    cycles: int


@dataclass(frozen=True)
class Cost:
    """Stands in for what a run costs: in proportion to the density of its weights."""

    densities: tuple[float, ...]

    def step(self) -> Step:
        """Return the cost of a step, the mean of those of its parts."""
        return Step(1e6 * sum(self.densities) / len(self.densities), 1000)

    @property
    def parts(self) -> list[Cost]:
        """The costs of every recorded step."""
        return [Cost((one,)) for one in self.densities]

    @property
    def dense(self) -> Any:
        """The cost of dense training."""
        return Whole(1e6 * len(self.densities), 1000, Cost((1.0,)))

    @property
    def energy_pj(self) -> float:
        """Of the run."""
        return 1e6 * sum(self.densities)

    @property
    def cycles(self) -> int:
        """Of the run."""
        return 1000


@dataclass(frozen=True)
class Whole:
    """Stands in for what dense training costs."""

    energy_pj: float
    cycles: int
    one: Cost

    def step(self) -> Step:
        """Return the cost of a step."""
        return self.one.step()


def test_command(
    example: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All but what runs cost, which searches would take long to say; tests/network has that."""
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install matplotlib")
    asked = []

    def cost(machine: str, network: Path, masks: Path, **options: Any) -> Cost:
        asked.append((machine, options["sparsity"], options["iterations"]))
        assert network.exists()
        return Cost(tuple(load_mask_densities(masks).total("weights")))

    monkeypatch.setattr(importlib.import_module("example_less_report"), "train_cost", cost)
    monkeypatch.setattr("sys.argv", ["example_less.py", str(tmp_path), "--epochs", "10", "--seeds", "1"])
    example.main()
    # Two iterations an epoch, the first of which is not part of what is recorded.
    assert asked == [
        ("tensor_core_like", "sparse_tensor_core", 21),
        ("procrustes_16x16", "procrustes", 21),
    ]
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out == f"{text}\n"
    names = {path.name for path in tmp_path.iterdir()}
    masks = {f"masks_{way}_seed0.npz" for way in ("dense", "2_of_4", "alternation")}
    assert names == {"epochs.png", "epochs.svg", "epochs.csv", "report.md", "digits.yaml", *masks}

    for layer in load_masks(tmp_path / "masks_2_of_4_seed0.npz").layers:
        pattern = NM(2, 4, short_groups="dense")
        for mask in layer.masks:
            assert np.array_equal(mask, pattern.mask(mask.astype(np.float32)))
    found = load_masks(tmp_path / "masks_alternation_seed0.npz")
    assert found.steps == tuple(range(1, 20, 2))
    density = found.densities().total("storage")
    assert density == pytest.approx([1, 0.1, 1, 0.1, 1, 0.1, 1, 0.1, 0.1, 0.1])

    rows = list(csv.DictReader((tmp_path / "epochs.csv").read_text().splitlines()))
    energies = [float(row["energy_pj"]) for row in rows if row["training"] == "2:4"]
    assert len(rows) == 30
    assert energies == pytest.approx([2e6 * (144 + 4608 / 2 + 33408 / 2) / 38160] * 10, rel=1e-2)
