"""Masks from checkpoints of every kind, and checkpoints that would run code."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from procrustes_model import SpecError
from procrustes_model.training import NM, load_masks, masks_from_checkpoint
from tests.naive import less

RNG = np.random.default_rng(0)
WEIGHTS = {
    "conv.weight": RNG.normal(size=(4, 3, 3, 3)).astype(np.float32),
    "conv.bias": np.ones(4, np.float32),
    "fc.weight": (RNG.normal(size=(5, 7)) * (RNG.random((5, 7)) < 0.4)).astype(np.float32),
    "counter": np.array([[1, 2]]),
}


def write_safetensors(path: Path, tensors: dict[str, tuple[str, np.ndarray]]) -> None:
    """Write a file as the format's description says."""
    header: dict[str, Any] = {"__metadata__": {"format": "np"}}
    data = b""
    for name, (kind, values) in tensors.items():
        offsets = [len(data), len(data) + values.nbytes]
        header[name] = {"dtype": kind, "shape": list(values.shape), "data_offsets": offsets}
        data += values.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


@pytest.fixture(params=["npz", "safetensors", "pt", "wrapped pt"])
def checkpoint(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return the same weights in a file of every kind."""
    if request.param == "npz":
        np.savez(tmp_path / "model.npz", **WEIGHTS)
        return tmp_path / "model.npz"
    if request.param == "safetensors":
        kinds = {"float32": "F32", "int64": "I64"}
        tensors = {name: (kinds[str(values.dtype)], values) for name, values in WEIGHTS.items()}
        write_safetensors(tmp_path / "model.safetensors", tensors)
        return tmp_path / "model.safetensors"
    torch = request.getfixturevalue("torch")
    content: Any = {name: torch.from_numpy(values) for name, values in WEIGHTS.items()}
    if request.param == "wrapped pt":
        content = {"epoch": 3, "optimizer": {"state": {0: torch.ones(2, 2)}}, "state_dict": content}
    torch.save(content, tmp_path / "model.pt")
    return tmp_path / "model.pt"


def test_every_kind(checkpoint: Path, tmp_path: Path) -> None:
    found = masks_from_checkpoint(checkpoint, tmp_path / "masks.npz")
    assert sorted(layer.name for layer in found.layers) == ["conv", "fc"]
    assert np.array_equal(found.mask("conv"), WEIGHTS["conv.weight"] != 0)
    assert np.array_equal(found.mask("fc"), WEIGHTS["fc.weight"] != 0)
    written = load_masks(tmp_path / "masks.npz")
    assert np.array_equal(written.mask("fc"), found.mask("fc"))
    assert written.source == f"{checkpoint.name}, threshold 0.0"
    large = masks_from_checkpoint(checkpoint, threshold=0.5)
    assert np.array_equal(large.mask("conv"), np.abs(WEIGHTS["conv.weight"]) > 0.5)
    kept = masks_from_checkpoint(checkpoint, keep=0.1)
    magnitudes = np.concatenate([np.abs(WEIGHTS[f"{name}.weight"]).ravel() for name in ("conv", "fc")])
    lowest = np.sort(magnitudes)[-round(0.1 * len(magnitudes))]
    assert np.array_equal(kept.mask("conv"), np.abs(WEIGHTS["conv.weight"]) >= lowest)
    assert np.array_equal(kept.mask("fc"), np.abs(WEIGHTS["fc.weight"]) >= lowest)


def test_patterns(checkpoint: Path) -> None:
    """Groups of the file's weights, as far as they are not zero."""
    weights = {name: WEIGHTS[f"{name}.weight"] for name in ("conv", "fc")}
    for along, axis in (("C", 1), ("K", 0)):
        found = masks_from_checkpoint(checkpoint, pattern=NM(1, 3, along))
        assert found.source == f"{checkpoint.name}, 1:3 along {along}"
        for name, values in weights.items():
            assert np.array_equal(found.mask(name), less.nm_mask(values, 1, 3, axis) & (values != 0))
    found = masks_from_checkpoint(checkpoint, pattern=NM(2, 4, "flattened"))
    assert np.array_equal(
        found.mask("conv"), less.flattened_mask(weights["conv"], 2, 4) & (weights["conv"] != 0)
    )
    with pytest.raises(ValueError, match="no dimension N"):
        masks_from_checkpoint(checkpoint, pattern=NM(2, 4, "N"))
    with pytest.raises(ValueError, match="not two of them"):
        masks_from_checkpoint(checkpoint, pattern=NM(2, 4), keep=0.5)


def test_short_floats(tmp_path: Path) -> None:
    values = np.array([[0.0, 1.5], [-2.0, 0.25]], np.float32)
    short = (values.view(np.uint32) >> 16).astype(np.uint16)
    tensors = {
        "a": ("BF16", short),
        "b": ("F16", values.astype(np.float16)),
        "c": ("F64", values.astype(float)),
    }
    write_safetensors(tmp_path / "model.safetensors", tensors)
    found = masks_from_checkpoint(tmp_path / "model.safetensors", threshold=0.3)
    for name in "abc":
        assert np.array_equal(found.mask(name), np.abs(values) > 0.3)


def test_what_the_library_wrote(tmp_path: Path) -> None:
    """The bytes that safetensors 0.8.0 gives for these arrays."""
    values = np.array([[0, 1.5, 0], [-2, 0, 0.25]], np.float32)
    header = (
        b'{"counter":{"dtype":"I64","shape":[1,2],"data_offsets":[0,16]},'
        b'"fc.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[16,40]}}'
    )
    data = np.array([[1, 2]]).tobytes() + values.tobytes()
    (tmp_path / "model.safetensors").write_bytes(b"\x80\0\0\0\0\0\0\0" + header + data)
    found = masks_from_checkpoint(tmp_path / "model.safetensors")
    assert np.array_equal(found.mask("fc"), values != 0)


def test_torch_types(torch: Any, tmp_path: Path) -> None:
    values = torch.tensor([[0.0, 1.5], [-2.0, 0.25]])
    content = {"a": values.to(torch.bfloat16), "b": torch.nn.Parameter(values), "c": values.to_sparse()}
    torch.save(content, tmp_path / "model.pth")
    found = masks_from_checkpoint(tmp_path / "model.pth", threshold=0.3)
    for name in "abc":
        assert found.mask(name).tolist() == [[False, True], [True, False]]


def test_what_is_not_a_number_is_kept(tmp_path: Path) -> None:
    np.savez(tmp_path / "model.npz", a=np.array([[np.nan, 0.0], [1.0, -np.inf]]))
    assert masks_from_checkpoint(tmp_path / "model.npz").mask("a").tolist() == [[True, False], [True, True]]
    assert masks_from_checkpoint(tmp_path / "model.npz", keep=0.5).mask("a").tolist() == [
        [True, False],
        [False, True],
    ]


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


def test_code_in_npz_does_not_run(tmp_path: Path) -> None:
    np.savez(tmp_path / "model.npz", a=np.array([[Evil(tmp_path / "ran")]], object))
    with pytest.raises(SpecError, match="cannot be read"):
        masks_from_checkpoint(tmp_path / "model.npz")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("legacy", [True, False])
def test_code_in_pt_does_not_run(torch: Any, tmp_path: Path, legacy: bool) -> None:
    content = {"weight": torch.ones(2, 2), "evil": Evil(tmp_path / "ran")}
    torch.save(content, tmp_path / "model.pt", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(SpecError, match="only tensors in plain containers"):
        masks_from_checkpoint(tmp_path / "model.pt")
    assert not (tmp_path / "ran").exists()


def test_plain_pickle_does_not_run(torch: Any, tmp_path: Path) -> None:
    del torch
    (tmp_path / "model.pt").write_bytes(pickle.dumps(Evil(tmp_path / "ran")))
    with pytest.raises(SpecError, match="cannot be read"):
        masks_from_checkpoint(tmp_path / "model.pt")
    assert not (tmp_path / "ran").exists()


def test_whole_model_is_refused(torch: Any, tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "model.pt")
    with pytest.raises(SpecError, match=r"model\.state_dict"):
        masks_from_checkpoint(tmp_path / "model.pt")


@pytest.mark.parametrize("suffix", [".pt", ".safetensors", ".npz", ".h5"])
@pytest.mark.parametrize("content", [b"", b"\x00" * 20, b"\xff" * 20, b"nonsense" * 4])
def test_broken_files(request: pytest.FixtureRequest, tmp_path: Path, suffix: str, content: bytes) -> None:
    if suffix == ".pt":
        request.getfixturevalue("torch")
    path = tmp_path / f"model{suffix}"
    path.write_bytes(content)
    with pytest.raises(SpecError, match=r"cannot be read|not known|no weights"):
        masks_from_checkpoint(path)


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"dtype": "F32"},
        {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 17]},
        {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [-2, -2], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [2, 2], "data_offsets": [-16, 0]},
        {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": "ab", "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [2, 2], "data_offsets": "a"},
    ],
)
def test_broken_headers(tmp_path: Path, entry: dict[str, Any]) -> None:
    text = json.dumps({"a": entry}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(16))
    with pytest.raises(SpecError, match="cannot be read"):
        masks_from_checkpoint(path)


def test_bad_options(tmp_path: Path) -> None:
    np.savez(tmp_path / "model.npz", **WEIGHTS)
    for options in (
        {"keep": 0.1, "threshold": 0.1},
        {"keep": 0.0},
        {"threshold": -1.0},
        {"threshold": np.nan},
    ):
        with pytest.raises(ValueError, match=r"not two of them|must be"):
            masks_from_checkpoint(tmp_path / "model.npz", **options)
    with pytest.raises(SpecError, match=r"missing.npz: no such file"):
        masks_from_checkpoint(tmp_path / "missing.npz")
    np.savez(tmp_path / "biases.npz", bias=np.ones(3))
    with pytest.raises(SpecError, match="holds no weights"):
        masks_from_checkpoint(tmp_path / "biases.npz")
    with (tmp_path / "array.npz").open("wb") as file:
        np.save(file, np.ones((2, 2)))
    with pytest.raises(SpecError, match="single array"):
        masks_from_checkpoint(tmp_path / "array.npz")
    np.savez(tmp_path / "twice.npz", **{"a": np.ones((2, 2)), "a.weight": np.ones((2, 2))})
    with pytest.raises(SpecError, match="share a name"):
        masks_from_checkpoint(tmp_path / "twice.npz")
