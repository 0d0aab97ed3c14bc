"""Weights of a checkpoint that are those of a network's layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from procrustes_model import SpecError
from procrustes_model.spec.load import load_network
from procrustes_model.training.checkpoints import find_masks, read_checkpoint
from procrustes_model.workloads.checkpoint_layers import layers_of

NETWORK = load_network(
    {
        "network": {
            "name": "small",
            "input": {"channels": 4, "height": 8, "width": 8},
            "layers": [
                {"name": "conv", "kind": "conv", "channels": 6, "kernel": 3, "padding": 1},
                {"name": "fc", "kind": "fully_connected", "input_channels": 384, "channels": 10},
            ],
        }
    }
)
CONV, FC = np.ones((6, 4, 3, 3)), np.ones((10, 384))
EMBEDDING = np.full((100, 32), 9.0)


def write(path: Path, **tensors: Any) -> Path:
    np.savez(path, **tensors)
    return path


@pytest.mark.parametrize("names", [("conv.weight", "fc.weight"), ("0.weight", "2.weight")])
def test_only_layers_are_weights(tmp_path: Path, names: tuple[str, str]) -> None:
    """By name, or in order by shape; embeddings are left out, and take no part in what is kept."""
    conv, fc = names
    path = write(tmp_path / "a.npz", **{"embed.weight": EMBEDDING, conv: CONV, "wte": EMBEDDING, fc: FC})
    assert len(read_checkpoint(path).weights) == 4
    found = layers_of(read_checkpoint(path), NETWORK)
    assert [weight.name for weight in found.weights] == [conv, fc]
    assert {one.name: one.why for one in found.left} == {
        "embed.weight": "no layer of small",
        "wte": "no layer of small",
    }
    masks = find_masks(found, keep=0.5)
    assert sum(layer.masks.sum() for layer in masks.layers) == round(0.5 * (CONV.size + FC.size))
    assert "No weights of a layer (no layer of small): 2: 'embed.weight', 'wte'." in masks.notes


def test_what_does_not_match(tmp_path: Path) -> None:
    wrong = write(tmp_path / "a.npz", **{"conv.weight": np.ones((6, 4, 5, 5)), "fc.weight": FC})
    with pytest.raises(SpecError, match=r"'conv.weight' has shape \[6, 4, 5, 5\], in small \[6, 4, 3, 3\]"):
        layers_of(read_checkpoint(wrong), NETWORK)
    other = write(tmp_path / "b.npz", **{"0.weight": FC, "1.weight": CONV})
    with pytest.raises(SpecError, match="no weights of this checkpoint are those of a layer of small"):
        layers_of(read_checkpoint(other), NETWORK)
