"""Which tensor of a checkpoint or a recording holds which weights of a network from a PyTorch module."""

# ruff: noqa: E402  # without torch nothing of this is imported

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")

from torch import nn
from torch.nn.utils import prune

from procrustes_model.errors import SpecError
from procrustes_model.spec.load import load_network
from procrustes_model.training.checkpoints import find_masks, masks_from_checkpoint, read_checkpoint
from procrustes_model.training.masks import load_mask, save_masks
from procrustes_model.workloads.checkpoint_layers import layers_of
from procrustes_model.workloads.from_torch import masks_from_module, network_from_torch
from procrustes_model.workloads.layer_matching import layer_mask, match_layers
from tests.workloads.torch_families import FAMILIES, Conv1D

torch.set_num_threads(1)


def test_masks_of_a_module_are_those_that_it_multiplies_with() -> None:
    torch.manual_seed(0)
    module, example = FAMILIES["gpt2"]()
    for one in module.modules():
        if isinstance(one, Conv1D):
            prune.l1_unstructured(one, "weight", 0.75)
    network = network_from_torch(module, example)
    masks = masks_from_module(module, example)
    assert match_layers(masks.densities(), network).keys() == {
        layer.name for layer in network.layers if layer.weights
    }
    for place in ("h.0.c_attn", "h.1.c_proj"):
        kept = module.get_submodule(place).weight_mask.numpy() != 0
        assert np.array_equal(masks.mask(place), kept)
        layer = next(layer for layer in network.layers if layer.name == place)
        # A checkpoint has them inputs first, also where there are as many outputs.
        assert np.array_equal(layer_mask(kept, layer, place), kept.T)
    with pytest.raises(SpecError, match=r"on the device 'meta'"):
        masks_from_module(nn.Linear(2, 2, device="meta"), torch.zeros(1, 2, device="meta"))


def test_parts_of_packed_weights(tmp_path: Path) -> None:
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    with torch.no_grad():
        attention.in_proj_weight[8:16] = 0
    module = nn.ModuleDict({"attention": attention})
    module.forward = lambda x, y: attention(x, y, y)[0]  # type: ignore[method-assign]
    network = network_from_torch(module, (torch.randn(2, 3, 8), torch.randn(2, 5, 8)))
    names = [layer.name for layer in network.layers if layer.weights]
    assert names[:2] == ["attention.in_proj_weight[0:8]", "attention.in_proj_weight[8:24]"]
    torch.save(module.state_dict(), tmp_path / "own.pt")
    masks = masks_from_checkpoint(tmp_path / "own.pt")
    save_masks(tmp_path / "masks.npz", masks)
    found = match_layers(masks.densities(), network)
    assert [found[name] for name in names[:2]] == ["attention.in_proj_weight"] * 2

    from procrustes_model.workloads.mask_profile import profile_from_masks

    profile = profile_from_masks(masks, network)
    assert [profile.weights.layers[name] for name in names[:2]] == [1, 0.5]
    whole = load_mask(tmp_path / "masks.npz", "attention.in_proj_weight")
    layer = next(layer for layer in network.layers if layer.name == names[1])
    assert np.array_equal(layer_mask(whole, layer, "attention.in_proj_weight"), whole[8:])


def test_uses_of_one_layer_match_its_weights(tmp_path: Path) -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.embedding = nn.Linear(4, 4), nn.Embedding(9, 4)
            self.head = nn.Linear(4, 9, bias=False)
            self.head.weight = self.embedding.weight

        def forward(self, words: Any) -> Any:
            return self.head(self.fc(self.fc(self.embedding(words))))

    module, words = Shared(), torch.zeros(2, 3, dtype=torch.long)
    network = network_from_torch(module, words)
    state = module.state_dict()
    del state["head.weight"]
    torch.save(state, tmp_path / "own.pt")
    masks = masks_from_checkpoint(tmp_path / "own.pt").densities()
    assert match_layers(masks, network) == {"fc_1": "fc", "fc_2": "fc", "head": "embedding"}
    wrapped = replace(masks, names=tuple(f"module._orig_mod.{name}" for name in masks.names))
    found = match_layers(wrapped, network)
    assert found == {name: f"module._orig_mod.{one}" for name, one in match_layers(masks, network).items()}
    torch.save({"fc.weight": state["fc.weight"], "heads.weight": torch.zeros(9, 4)}, tmp_path / "odd.pt")
    with pytest.raises(SpecError, match=r"the network Shared has no layer 'heads'; did you mean 'head'"):
        match_layers(masks_from_checkpoint(tmp_path / "odd.pt").densities(), network)


def test_recordings_match() -> None:
    from procrustes_model.training import ProcrustesSGD, Recorder

    torch.manual_seed(0)
    module = nn.Sequential(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), nn.Linear(8, 3))
    optimizer = ProcrustesSGD(module.parameters(), keep=0.2, lr=0.1)
    with Recorder(module, optimizer, every=1) as recorder:
        module(torch.randn(4, 5, 8)).sum().backward()
        optimizer.step()
    network = network_from_torch(module, torch.zeros(4, 5, 8))
    found = match_layers(recorder.result().densities(), network)
    assert found["0.self_attn.in_proj_weight"] == "0.self_attn"
    assert set(found) == {layer.name for layer in network.layers if layer.weights}


def test_the_order_of_a_product_is_written(tmp_path: Path) -> None:
    module = nn.Sequential(Conv1D(4, 4), Conv1D(4, 6))
    network = network_from_torch(module, torch.zeros(2, 1, 4))
    assert [layer.kind for layer in network.layers] == ["fully_connected"] * 2
    file = tmp_path / "network.yaml"
    file.write_text(network.to_yaml(), encoding="utf-8")
    assert load_network(file).layers[0].inputs_first
    assert len(network.distinct) == 2
    data = {"name": "c", "kind": "conv", "channels": 2, "kernel": 1, "inputs_first": True}
    with pytest.raises(SpecError, match="inputs_first"):
        load_network({"network": {"name": "n", "input": {"channels": 3}, "layers": [data]}})


def own_masks(module: Any, folder: Path) -> Any:
    """Return what a checkpoint of a module holds."""
    torch.save(module.state_dict(), folder / "own.pt")
    return masks_from_checkpoint(folder / "own.pt").densities()


def test_modules_that_have_two_names(tmp_path: Path) -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
            self.second = nn.ModuleList([self.first[0], nn.Linear(4, 2)])

        def forward(self, x: Any) -> Any:
            return self.second[1](self.second[0](self.first[1](x)))

    network = network_from_torch(Twice(), torch.zeros(2, 4))
    assert network.tied_tensors == (("second.0", "first.0"),)
    found = match_layers(own_masks(Twice(), tmp_path), network)
    assert found == {name: name for name in ("first.1", "first.0", "second.1")}


def test_long_names_match_by_their_end(tmp_path: Path) -> None:
    module = nn.Linear(4, 4)
    for _ in range(6):
        module = nn.ModuleDict({"a_name_of_twenty_one": module})
    inner = next(one for one in module.modules() if isinstance(one, nn.Linear))
    module.forward = inner.forward
    network = network_from_torch(module, torch.zeros(2, 4))
    (name,) = (layer.name for layer in network.layers)
    assert len(name) == 90 and name.startswith("...")
    assert match_layers(own_masks(module, tmp_path), network) == {
        name: ".".join(["a_name_of_twenty_one"] * 6)
    }


def test_axes_of_weights_may_lie_in_another_order(tmp_path: Path) -> None:
    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.into = nn.Parameter(torch.randn(2, 6, 3))
            self.out = nn.Parameter(torch.randn(2, 3, 5))
            self.patch = nn.Conv2d(1, 7, (1, 5))

        def forward(self, x: Any) -> Any:
            heads = torch.einsum("bti,hid->bhtd", x, self.into)
            mixed = torch.einsum("bhtd,hdo->bto", heads, self.out)
            return mixed @ self.patch.weight.flatten(1).t()

    torch.manual_seed(0)
    module = Heads()
    with torch.no_grad():
        module.into[1, :, 2] = 0
        module.out[0, 1] = 0
    network = network_from_torch(module, torch.randn(4, 3, 6))
    masks = own_masks(module, tmp_path)
    layers = {layer.name: layer for layer in network.layers}
    assert match_layers(masks, network) == {name: name for name in ("into", "out", "patch")}
    # Outputs first: of head 1, component 2; of head 0, component 1.
    into = layer_mask((module.into != 0).numpy(), layers["into"], "into")
    assert np.array_equal(np.flatnonzero(~into.any(1)), [5]) and into.shape == (6, 6)
    out = layer_mask((module.out != 0).numpy(), layers["out"], "out")
    assert np.array_equal(np.flatnonzero(~out.any(0)), [1]) and out.shape == (5, 6)


def test_shapes_that_do_not_agree_are_said_as_files_have_them(tmp_path: Path) -> None:
    network = network_from_torch(nn.Sequential(nn.Linear(4, 6)), torch.zeros(2, 3, 4))
    masks = own_masks(nn.Sequential(nn.Linear(4, 7)), tmp_path)
    with pytest.raises(SpecError, match=r"weights of '0' have shape \[7, 4\], in Sequential \[6, 4\]"):
        match_layers(masks, network)
    names = load_network(
        {
            "network": {
                "name": "n",
                "layers": [{"name": "qkv[0:4]", "kind": "matmul", "m": 2, "k": 4, "n": 4}],
            }
        }
    )
    torch.save({"qkv.weight": torch.zeros(3, 4)}, tmp_path / "short.pt")
    with pytest.raises(SpecError, match=r"weights of 'qkv' have shape \[3, 4\], in n \[4, 4\]"):
        match_layers(masks_from_checkpoint(tmp_path / "short.pt").densities(), names)


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "vit", "experts"])
def test_what_is_no_layer_takes_no_part_in_keep(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module, example = FAMILIES[name]()
    network = network_from_torch(module, example)
    torch.save(module.state_dict(), tmp_path / "own.pt")
    masks = find_masks(layers_of(read_checkpoint(tmp_path / "own.pt"), network), keep=0.25)
    found = match_layers(masks.densities(), network)
    assert set(found) == {layer.name for layer in network.layers if layer.weights}
    assert set(found.values()) == {one.name for one in masks.layers}
    assert sum(int(one.masks.sum()) for one in masks.layers) == round(network.weights / 4)
