"""Containers in checkpoints, layers kept in several tensors, and what is no layer's weights."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from procrustes_model import SpecError
from procrustes_model.training import masks_from_checkpoint
from procrustes_model.training.checkpoints import read_checkpoint
from procrustes_model.training.containers import strip_wrappers
from tests.training.test_checkpoints import write_safetensors

RNG = np.random.default_rng(1)


def sparse(*shape: int, density: float = 0.4) -> np.ndarray:
    """Return weights of which about a share is not zero."""
    values: np.ndarray = (RNG.normal(size=shape) * (RNG.random(shape) < density)).astype(np.float32)
    return values


CONV, FC = sparse(4, 3, 3, 3), sparse(5, 8)
OTHER = {"conv.weight": np.ones((4, 3, 3, 3), np.float32), "fc.weight": np.ones((5, 8), np.float32)}


@pytest.fixture
def state(torch: Any) -> dict[str, Any]:
    """Return a state of a small network, as tensors."""
    arrays = {"conv.weight": CONV, "fc.weight": FC, "fc.bias": np.ones(5, np.float32)}
    return {name: torch.from_numpy(values) for name, values in arrays.items()}


def save(torch: Any, path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def check(path: Path, **options: Any) -> Any:
    """Check that a checkpoint has the weights of the small network, and return what was found."""
    found = masks_from_checkpoint(path, **options)
    assert [layer.name for layer in found.layers] == ["conv", "fc"]
    assert np.array_equal(found.mask("conv"), CONV != 0)
    assert np.array_equal(found.mask("fc"), FC != 0)
    return found


@pytest.mark.parametrize(
    "key", ["state_dict", "model", "model_state_dict", "module", "net", "params", "ema_state_dict"]
)
@pytest.mark.parametrize("name", ["a.pth", "a.pth.tar", "a.ckpt", "a.bin"])
def test_containers(torch: Any, state: dict[str, Any], tmp_path: Path, key: str, name: str) -> None:
    content = {
        "epoch": 3,
        "best_acc1": torch.tensor(71.0),
        "confusion": torch.ones(2, 2),
        "args": argparse.Namespace(lr=0.1),
        "best": np.float64(71.2),
        "optimizer": {"state": {0: {"exp_avg": torch.ones(4, 3, 3, 3)}}},
        key: state,
    }
    if key.startswith("ema"):
        del content["confusion"]
    path = save(torch, tmp_path / name, content)
    found = check(path)
    assert f"Taken of the file: '{key}'." in found.notes
    left = {one.name: one.why for one in read_checkpoint(path).left}
    assert left["fc.bias"] == "fewer than two dimensions"
    assert left["best_acc1"] == f"beside '{key}'"
    assert left["optimizer.state.0.exp_avg"] == "state of the training"
    kept = masks_from_checkpoint(path, keep=0.25)
    assert sum(layer.masks.sum() for layer in kept.layers) == round(0.25 * (CONV.size + FC.size))


def test_which_container(torch: Any, state: dict[str, Any], tmp_path: Path) -> None:
    """The weights and not their averages, unless these are asked for."""
    other = {name: torch.from_numpy(values) for name, values in OTHER.items()}
    path = save(torch, tmp_path / "a.pt", {"model_ema": other, "model": state, "optimizer": {}})
    found = check(path)
    assert "Taken of the file: 'model'; there is also 'model_ema' (--entry)." in found.notes
    averaged = masks_from_checkpoint(path, entry="model_ema")
    assert averaged.mask("fc").all()
    assert "Taken of the file: 'model_ema'; there is also 'model' (--entry)." in averaged.notes
    whole = masks_from_checkpoint(path, entry=".")
    assert [layer.name for layer in whole.layers] == [
        f"{key}.{name}" for key in ("model_ema", "model") for name in ("conv", "fc")
    ]
    with pytest.raises(
        SpecError, match=r"no entry 'modelema' in this checkpoint; did you mean 'model_ema'\?"
    ):
        read_checkpoint(path, "modelema")
    inner = save(torch, tmp_path / "b.pt", {"model": {"backbone": state, "state_dict": state}})
    check(inner)
    check(inner, entry="model.backbone")


def test_wrappers_are_stripped(torch: Any, state: dict[str, Any], tmp_path: Path) -> None:
    for wrap in ("module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."):
        check(save(torch, tmp_path / "a.pt", {wrap + name: one for name, one in state.items()}))
    averaged = {"n_averaged": torch.tensor(3)} | {f"module.{name}": one for name, one in state.items()}
    check(save(torch, tmp_path / "a.pt", averaged))
    assert strip_wrappers(["layer._orig_mod.weight", "my_orig_mod.bias"]) == [
        "layer.weight",
        "my_orig_mod.bias",
    ]
    moments = {"state": {0: {"exp_avg": torch.ones(4, 3, 3, 3)}}, "param_groups": [{"lr": 0.1}]}
    with pytest.raises(SpecError, match=r"holds no weights.*what is there: state of the training"):
        masks_from_checkpoint(save(torch, tmp_path / "b.pt", moments))
    check(save(torch, tmp_path / "b.pt", {"net": state, "optimizer_G": moments, "other": moments}))
    two = {"generator": {f"module.{name}": one for name, one in state.items()}, "critic": state}
    path = save(torch, tmp_path / "b.pt", two)
    assert [one.name for one in masks_from_checkpoint(path).layers] == [
        f"{key}.{name}" for key in two for name in ("conv", "fc")
    ]
    assert strip_wrappers(["module.a.weight", "b.weight"]) == ["module.a.weight", "b.weight"]


def test_pruned_modules(torch: Any, tmp_path: Path) -> None:
    """What torch.nn.utils.prune leaves is one layer, called as its weight, and its bias is none."""
    from torch.nn.utils import prune

    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Linear(8, 5))
    for module in net:
        prune.l1_unstructured(module, "weight", 0.75)
        prune.l1_unstructured(module, "bias", 0.5)
    path = save(torch, tmp_path / "a.pt", net.state_dict())
    found = masks_from_checkpoint(path)
    for i in range(2):
        assert np.array_equal(found.mask(str(i)), net[i].weight.detach().numpy() != 0)
    assert [layer.name for layer in found.layers] == ["0", "1"]
    left = {f"{i}.bias_{part}" for i in range(2) for part in ("orig", "mask")}
    assert {one.name for one in read_checkpoint(path).left} == left
    kept = masks_from_checkpoint(path, keep=0.1)
    assert not any((kept.mask(str(i)) & ~found.mask(str(i))).any() for i in range(2))


def test_parametrized_modules(torch: Any, tmp_path: Path) -> None:
    """The mask of a sparsifier is a part of the weights, or stands in its own state."""
    from torch.ao.pruning import WeightNormSparsifier

    net = torch.nn.Sequential(torch.nn.Linear(16, 8))
    sparsifier = WeightNormSparsifier(sparsity_level=0.75, sparse_block_shape=(1, 4))
    sparsifier.prepare(net, [{"tensor_fqn": "0.weight"}])
    sparsifier.step()
    expected = net[0].weight.detach().numpy() != 0
    assert 0.2 < expected.mean() < 0.3
    original, mask = net[0].parametrizations.weight.original, net[0].parametrizations.weight[0].mask
    names = ("0.parametrizations.weight.original", "0.parametrizations.weight.0.mask")
    path = save(torch, tmp_path / "a.pt", dict(zip(names, (original, mask), strict=True)))
    assert np.array_equal(masks_from_checkpoint(path).mask("0"), expected)
    masks = {name: dict(one) for name, one in sparsifier.state_dict()["state"].items()}
    path = save(torch, path, {"model": net.state_dict(), "sparsifier": {"state": masks}})
    found = masks_from_checkpoint(path, entry="sparsifier.state")
    assert np.array_equal(found.mask("0"), expected)
    alone = masks_from_checkpoint(path)
    assert any("may have more zeros" in note for note in alone.notes)
    assert any("'sparsifier' (--entry)" in note for note in alone.notes)


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("dim", [0, 1, None])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_weight_norm(torch: Any, tmp_path: Path, old: bool, dim: int | None) -> None:
    norm = torch.nn.utils.weight_norm if old else torch.nn.utils.parametrizations.weight_norm
    layer = torch.nn.Linear(8, 5)
    with torch.no_grad():
        layer.weight[::2, ::2] = 0  # no whole row or column
        layer.weight[2] *= 100
    net = torch.nn.Sequential(norm(layer, "weight", dim))
    found = masks_from_checkpoint(save(torch, tmp_path / "a.pt", net.state_dict()), keep=0.2)
    magnitudes = net[0].weight.detach().abs().numpy()
    assert np.array_equal(found.mask("0"), magnitudes >= np.sort(magnitudes.ravel())[-8])


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_spectral_norm(torch: Any, tmp_path: Path, old: bool) -> None:
    norm = torch.nn.utils.spectral_norm if old else torch.nn.utils.parametrizations.spectral_norm
    net = torch.nn.Sequential(norm(torch.nn.Conv2d(3, 4, 3))).eval()
    net(torch.ones(1, 3, 8, 8))
    found = masks_from_checkpoint(save(torch, tmp_path / "a.pt", net.state_dict()), threshold=0.05)
    assert np.array_equal(found.mask("0"), net[0].weight.detach().abs().numpy() > 0.05)


def test_masks_beside_weights(torch: Any, state: dict[str, Any], tmp_path: Path) -> None:
    """The buffers of ASP, and of layers that mask themselves."""
    dense = {name: torch.ones_like(one) for name, one in state.items()}
    asp = dense | {
        "conv.__weight_mma_mask": state["conv.weight"] != 0,
        "conv.__weight_mma_pruned_p": torch.ones(4, 3, 3, 3),
        "fc.mask": (state["fc.weight"] != 0).float(),
    }
    path = save(torch, tmp_path / "a.pt", asp)
    check(path)
    left = {one.name: one.why for one in read_checkpoint(path).left}
    assert left == {
        "fc.bias": "fewer than two dimensions",
        "conv.__weight_mma_pruned_p": "pruned part of a weight, kept to restore it",
    }


def test_unknown_parametrization(torch: Any, tmp_path: Path) -> None:
    """Zeros of an original stay zeros as a rule; how large the others become is not known."""
    path = save(torch, tmp_path / "a.pt", {"parametrizations.weight.original": torch.from_numpy(FC)})
    assert np.array_equal(masks_from_checkpoint(path).mask("weight"), FC != 0)
    with pytest.raises(SpecError, match="magnitudes of these weights are not known: 'weight'"):
        masks_from_checkpoint(path, keep=0.5)


def bitmask(values: np.ndarray, numbers: np.ndarray | None = None) -> dict[str, tuple[str, np.ndarray]]:
    """Return a matrix in the format sparse-bitmask."""
    kept = values != 0
    counts = kept.sum(1)
    return {
        "fc.shape": ("I64", np.array(values.shape)),
        "fc.compressed": ("F32", values[kept]) if numbers is None else ("I8", numbers),
        "fc.bitmask": ("U8", np.packbits(kept, axis=1, bitorder="little")),
        "fc.row_offsets": ("I64", np.cumsum(counts) - counts),
    }


def test_compressed_by_bitmasks(tmp_path: Path) -> None:
    values = sparse(6, 11)
    path = tmp_path / "model.safetensors"
    write_safetensors(path, bitmask(values))
    found = masks_from_checkpoint(path)
    assert np.array_equal(found.mask("fc"), values != 0)
    assert not read_checkpoint(path).left
    large = masks_from_checkpoint(path, threshold=0.5)
    assert np.array_equal(large.mask("fc"), np.abs(values) > 0.5)
    # 2:4 keeps two numbers of four, one of which may be zero.
    pairs = np.array([[1, 0, 2, 0], [0, 3, 0, 0]], np.float32)
    parts = bitmask(np.array([[1, 0, 2, 0], [0, 3, 0, 4]], np.float32))
    parts["fc.compressed"] = ("F32", np.array([[1, 2], [3, 0]], np.float32))
    parts["fc.shape"] = ("I64", np.array([[2], [4]]))
    del parts["fc.row_offsets"]
    write_safetensors(path, parts)
    assert np.array_equal(masks_from_checkpoint(path).mask("fc"), pairs != 0)
    write_safetensors(path, bitmask(values) | {"fc.compressed": ("F32", np.ones(3, np.float32))})
    with pytest.raises(SpecError, match="bits for 3 values"):
        masks_from_checkpoint(path)
    write_safetensors(path, bitmask(values) | {"fc.shape": ("I64", np.array([2**40, 2**40]))})
    with pytest.raises(SpecError, match="does not fit the bits"):
        masks_from_checkpoint(path)


def test_quantised(tmp_path: Path) -> None:
    """Integers are zero where they are the zero point, and as large as their scale says."""
    levels = np.array([[3, -2, 3, 7], [0, 1, -1, 1]], np.int8)
    scale, zero = np.array([[1.0], [10.0]], np.float32), np.array([3, 1], np.int8)
    path = tmp_path / "model.safetensors"
    tensors = {
        "fc.weight": ("I8", levels),
        "fc.weight_scale": ("F32", scale),
        "fc.weight_zero_point": ("I8", zero),
    }
    write_safetensors(path, tensors)
    expected = scale * (levels.astype(float) - zero[:, None])
    assert np.array_equal(masks_from_checkpoint(path).mask("fc"), expected != 0)
    found = masks_from_checkpoint(path, keep=0.25)
    assert np.array_equal(found.mask("fc"), np.abs(expected) >= 10)
    assert {one.name for one in read_checkpoint(path).left} == {"fc.weight_scale", "fc.weight_zero_point"}
    write_safetensors(path, {"fc.weight": ("I8", levels)})
    assert np.array_equal(masks_from_checkpoint(path).mask("fc"), levels != 0)
    with pytest.raises(SpecError, match="magnitudes of these weights are not known"):
        masks_from_checkpoint(path, keep=0.5)
    write_safetensors(path, {"fc.weight": ("U8", np.full((4, 4), 200, np.uint8)), "b": ("F32", FC)})
    assert [layer.name for layer in masks_from_checkpoint(path).layers] == ["b"]


@pytest.mark.parametrize("bits", [4, 8])
def test_packed(tmp_path: Path, bits: int) -> None:
    """Several integers in 32 bits; with zero points beside them they are not read, and nothing is guessed."""
    levels = RNG.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (3, 13))
    levels[RNG.random((3, 13)) < 0.5] = 0
    codes = np.zeros((3, -(-13 * bits // 32) * 32 // bits), np.uint32)
    codes[:, :13] = levels + 2 ** (bits - 1)
    words = np.zeros((3, codes.shape[1] * bits // 32), np.uint32)
    for i in range(32 // bits):
        words |= codes[:, i :: 32 // bits] << np.uint32(bits * i)
    scale = np.array([[1], [100], [10_000]], np.float32)
    tensors = {
        "fc.weight_packed": ("I32", words.view(np.int32)),
        "fc.weight_shape": ("I64", np.array([3, 13])),
        "fc.weight_scale": ("F32", scale),
    }
    path = tmp_path / "model.safetensors"
    write_safetensors(path, tensors)
    assert np.array_equal(masks_from_checkpoint(path).mask("fc"), levels != 0)
    found = masks_from_checkpoint(path, threshold=250)
    assert np.array_equal(found.mask("fc"), np.abs(levels * scale) > 250)
    write_safetensors(path, tensors | {"fc.weight_zero_point": ("I32", np.zeros((1, 1), np.int32))})
    with pytest.raises(SpecError, match="holds no weights"):
        masks_from_checkpoint(path)


def test_quantised_blocks(tmp_path: Path) -> None:
    """A scale for each block of 128 x 128, the last ones cut."""
    levels = np.ones((200, 130), np.uint8) * 0x38  # 1.0
    scale = np.array([[1, 2], [3, 4]], np.float32)
    tensors = {"fc.weight": ("F8_E4M3", levels), "fc.weight_scale_inv": ("F32", scale)}
    write_safetensors(tmp_path / "a.safetensors", tensors)
    found = masks_from_checkpoint(tmp_path / "a.safetensors", threshold=2.5).mask("fc")
    assert found[128:].all()
    assert not found[:128].any()


def test_floats_of_8_bits(torch: Any, tmp_path: Path) -> None:
    codes = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for kind, dtype in (("F8_E4M3", torch.float8_e4m3fn), ("F8_E5M2", torch.float8_e5m2)):
        path = tmp_path / f"{kind}.safetensors"
        write_safetensors(path, {"a": (kind, codes)})
        ours = read_checkpoint(path).weights[0].read()
        theirs = torch.from_numpy(codes).view(dtype).float().numpy()
        assert np.array_equal(ours, theirs, equal_nan=True)


@pytest.mark.filterwarnings("ignore:.*quantize:UserWarning")
def test_quantised_by_torch(torch: Any, tmp_path: Path) -> None:
    try:
        values = torch.quantize_per_tensor(torch.tensor([[0.0, 1.0], [2.0, -1.0]]), 1.0, 5, torch.quint8)
    except (RuntimeError, AttributeError):
        pytest.skip("this torch has no quantised tensors")
    path = save(torch, tmp_path / "a.pt", {"fc._packed_params._packed_params": (values, None)})
    assert masks_from_checkpoint(path).mask("fc").tolist() == [[False, True], [True, True]]


@pytest.mark.parametrize("kind", ["bool", "uint8", "int64"])
@pytest.mark.parametrize("where", ["npz", "safetensors", "pt", "nested pt", "masks beside"])
def test_files_of_masks(request: pytest.FixtureRequest, tmp_path: Path, kind: str, where: str) -> None:
    """Booleans, or integers of 0 and one other number, are masks where there are no weights."""
    arrays = {"conv.weight": CONV != 0, "fc_mask": FC != 0}
    arrays = {name: one if kind == "bool" else one.astype(kind) * 200 for name, one in arrays.items()}
    if where == "npz":
        np.savez(path := tmp_path / "a.npz", **arrays)
    elif where == "safetensors":
        types = {"bool": "BOOL", "uint8": "U8", "int64": "I64"}
        path = tmp_path / "a.safetensors"
        write_safetensors(path, {name: (types[kind], one) for name, one in arrays.items()})
    else:
        torch = request.getfixturevalue("torch")
        content: Any = {name: torch.from_numpy(one) for name, one in arrays.items()}
        if where == "nested pt":
            content = {"conv": {"weight": content["conv.weight"]}, "fc": {"mask": content["fc_mask"]}}
        if where == "masks beside":
            content = {"epoch": 1, "masks": content}
        path = save(torch, tmp_path / "a.pt", content)
    found = check(path)
    assert "The file holds masks, which are taken as they are." in found.notes
    with pytest.raises(SpecError, match="masks have no magnitudes"):
        masks_from_checkpoint(path, keep=0.1)
    np.savez(tmp_path / "integers.npz", qweight=np.arange(12).reshape(3, 4))
    with pytest.raises(SpecError, match=r"holds no weights.*what is there: integers"):
        masks_from_checkpoint(tmp_path / "integers.npz")


def test_what_is_no_layer(tmp_path: Path) -> None:
    """Nothing goes without a word, and nothing of it takes part in what is kept."""
    none = {
        "cls_token": np.full((1, 1, 8), 9.0),
        "pos_embed": np.full((1, 17, 8), 9.0),
        "blocks.0.relative_position_bias_table": np.full((9, 2), 9.0),
        "attn.bias": np.full((1, 1, 4, 4), 9.0),
        "norm.weight": np.full(8, 9.0),
        "fc.weight_scale": np.full((5, 1), 9.0),
        "empty": np.zeros((0, 4)),
        "phase": np.ones((2, 2), complex),
        "names": np.array([["a"]]),
        "index": np.arange(6).reshape(2, 3),
        "causal": np.tri(4, dtype=bool),
    }
    np.savez(path := tmp_path / "a.npz", **{"conv.weight": CONV, "fc.weight": FC}, **none)
    found = check(path)
    layers = {"bias_proj.weight": FC, "scale.weight": FC, "rescale": FC, "pos_embed.proj.weight": FC}
    np.savez(tmp_path / "b.npz", **layers)
    assert not read_checkpoint(tmp_path / "b.npz").left
    assert {one.name for one in read_checkpoint(path).left} == set(none)
    assert all(any(repr(name) in note for note in found.notes) for name in none)
    kept = masks_from_checkpoint(path, keep=0.5)
    assert sum(layer.masks.sum() for layer in kept.layers) == round(0.5 * (CONV.size + FC.size))


def test_kernels_with_outputs_last(tmp_path: Path) -> None:
    kernels = {"conv/kernel": CONV.transpose(2, 3, 1, 0), "fc/kernel:0": FC.T, "fc/bias": np.ones(5)}
    np.savez(tmp_path / "a.npz", **kernels)
    check(tmp_path / "a.npz")


def test_parts(torch: Any, state: dict[str, Any], tmp_path: Path) -> None:
    """A checkpoint in several files, with an index, of either kind; and the folder it is in."""
    write_safetensors(tmp_path / "model-1.safetensors", {"conv.weight": ("F32", CONV)})
    write_safetensors(tmp_path / "model-2.safetensors", {"fc.weight": ("F32", FC), "more": ("F32", FC)})
    index = tmp_path / "model.safetensors.index.json"
    places = {"conv.weight": "model-1.safetensors", "fc.weight": "model-2.safetensors"}
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    found = read_checkpoint(index)
    assert [weight.name for weight in found.weights] == ["conv.weight", "fc.weight", "more"]
    (tmp_path / "parts").mkdir()
    bins = {name: f"part-{i}.bin" for i, name in enumerate(state)}
    for name, part in bins.items():
        torch.save({name: state[name]}, tmp_path / "parts" / part)
    (tmp_path / "parts" / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": bins}))
    folder = check(tmp_path / "parts")
    assert "Read of this folder: 'pytorch_model.bin.index.json'." in folder.notes
    assert read_checkpoint(tmp_path).chosen == "model.safetensors.index.json"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "no valid JSON"),
        ("[" * 100_000, "no valid JSON"),
        ("[]", "no index"),
        ('{"weight_map": 3}', "no index"),
        ('{"weight_map": {"a": 3}}', "no index"),
        ('{"weight_map": {"a": "../a.safetensors"}}', "no file beside this index"),
        ('{"weight_map": {"a": "/etc/passwd"}}', "no file beside this index"),
        ('{"weight_map": {"a": "x.safetensors.index.json"}}', "no file beside this index"),
        ('{"weight_map": {"a": "b.txt"}}', "kind of checkpoint is not known"),
        ('{"weight_map": {"a": "none.safetensors"}}', "none.safetensors: no such file"),
        ('{"weight_map": {"b": "a.safetensors"}}', "parts lack 'b'"),
    ],
)
def test_bad_indexes(tmp_path: Path, content: str, message: str) -> None:
    write_safetensors(tmp_path / "a.safetensors", {"a": ("F32", FC)})
    (tmp_path / "x.safetensors.index.json").write_text(content)
    with pytest.raises(SpecError, match=message):
        read_checkpoint(tmp_path / "x.safetensors.index.json")


def test_folders(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no checkpoint in this folder"):
        read_checkpoint(tmp_path)
    for name in ("a", "b"):
        write_safetensors(tmp_path / f"{name}.safetensors", {"a": ("F32", FC)})
    with pytest.raises(SpecError, match=r"several checkpoints; name one of them: 'a.safetensors', 'b"):
        read_checkpoint(tmp_path)
    write_safetensors(tmp_path / "model.safetensors", {"a": ("F32", FC)})
    assert read_checkpoint(tmp_path).chosen == "model.safetensors"
