"""Files of masks: round trips, the documented layout, and broken files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from procrustes_model import SpecError
from procrustes_model.training import (
    LayerMasks,
    MaskFile,
    load_mask,
    load_mask_densities,
    load_masks,
    save_masks,
)
from procrustes_model.training.masks import is_mask_file


def make(seed: int = 0) -> MaskFile:
    rng = np.random.default_rng(seed)
    layers = []
    for name, shape in (("features.0", (5, 3, 3, 3)), ("classifier", (10, 7)), ("one", (1, 1))):
        masks = rng.random((3, *shape)) < 0.3
        layers.append(
            LayerMasks(name, masks, masks.reshape(3, -1).mean(1), rng.random(3), np.array([0.5, np.nan, 1]))
        )
    return MaskFile(tuple(layers), (0, 10, 25), "a test")


def test_round_trip(tmp_path: Path) -> None:
    masks = make()
    save_masks(tmp_path / "masks.npz", masks)
    again = load_masks(tmp_path / "masks.npz")
    assert (again.steps, again.source) == (masks.steps, masks.source)
    for one, other in zip(masks.layers, again.layers, strict=True):
        assert one.name == other.name
        for kind in ("masks", "storage_density", "weight_density", "activation_density", "gradient_density"):
            assert np.array_equal(getattr(one, kind), getattr(other, kind), equal_nan=kind != "masks")
    assert [path.name for path in tmp_path.iterdir()] == ["masks.npz"]
    save_masks(tmp_path / "same.npz", again)
    assert (tmp_path / "same.npz").read_bytes() == (tmp_path / "masks.npz").read_bytes()


def test_layout(tmp_path: Path) -> None:
    """The file is what the module's docstring says, and needs nothing but NumPy."""
    masks = make()
    save_masks(tmp_path / "masks.npz", masks)
    with np.load(tmp_path / "masks.npz", allow_pickle=False) as loaded:
        metadata = json.loads(str(loaded["metadata"]))
        names = [layer.name for layer in masks.layers]
        assert metadata == {"format": "procrustes_masks", "version": 2, "layers": names, "source": "a test"}
        assert loaded["steps"].tolist() == [0, 10, 25]
        packed, shape = loaded["mask/features.0"], loaded["shape/features.0"]
        bits = np.unpackbits(packed, axis=1, count=135).reshape(3, *shape)
        assert np.array_equal(bits, masks.layers[0].masks)
        assert loaded["weight_density"].shape == (3, 3)
        assert loaded["weight_density"][1, 0] == masks.layers[0].masks[1].mean()


def test_no_steps(tmp_path: Path) -> None:
    none = np.zeros(0)
    empty = MaskFile((LayerMasks("a", np.zeros((0, 2, 3), bool), none, none, none),), ())
    save_masks(tmp_path / "empty.npz", empty)
    assert load_masks(tmp_path / "empty.npz").layers[0].masks.shape == (0, 2, 3)
    with pytest.raises(KeyError):
        empty.mask("a")


def test_one_mask() -> None:
    masks = make()
    assert masks.mask("classifier") is not None
    assert np.array_equal(masks.mask("classifier"), masks.layers[1].masks[2])
    assert np.array_equal(masks.mask("classifier", 10), masks.layers[1].masks[1])
    for arguments in (("nothing",), ("classifier", 11)):
        with pytest.raises(KeyError):
            masks.mask(*arguments)  # type: ignore[arg-type]


def test_failed_writing_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "masks.npz"
    target.mkdir()
    with pytest.raises(OSError, match=r"masks\.npz"):
        save_masks(target, make())
    assert list(tmp_path.iterdir()) == [target]


def _change(path: Path, **changes: Any) -> None:
    with np.load(path) as loaded:
        arrays = {name: loaded[name] for name in loaded.files}
    arrays |= changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metadata": None}, "no file of masks"),
        ({"metadata": np.array('{"format": "other", "version": 1}')}, "no file of masks"),
        ({"metadata": np.array("[]")}, "no valid file"),
        ({"metadata": np.array("{")}, "no valid file"),
        ({"steps": np.array([3, 2, 1])}, "do not ascend"),
        ({"steps": np.array([1])}, "3 masks for 1 steps"),
        ({"shape/one": np.array([5, 5])}, "packed bits"),
        ({"mask/one": None}, "lacks 'mask/one"),
        ({"storage_density": np.full((3, 3), 2.0)}, "from 0 to 1"),
        ({"gradient_density": np.zeros((3, 2))}, "no valid file"),
        ({"gradient_density": np.zeros((2, 3))}, "3 masks and gradient_density"),
        ({"steps": np.array([object()])}, "no valid file"),
    ],
)
def test_broken_files(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = tmp_path / "masks.npz"
    save_masks(path, make())
    _change(path, **changes)
    with pytest.raises(SpecError, match=message) as caught:
        load_masks(path)
    assert caught.value.issues[0].file == str(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"nonsense" * 9])
def test_no_archives(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "masks.npz"
    path.write_bytes(content)
    with pytest.raises(SpecError, match="no valid file"):
        load_masks(path)
    with pytest.raises(SpecError, match=r"missing.npz: no such file"):
        load_masks(tmp_path / "missing.npz")


def test_damage_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "masks.npz"
    save_masks(path, make())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SpecError, match="no valid file"):
        load_masks(path)


def test_layers_share_no_name() -> None:
    layer = make().layers[0]
    with pytest.raises(ValueError, match="share a name"):
        MaskFile((layer, layer), (0, 10, 25))
    with pytest.raises(ValueError, match="not bool"):
        LayerMasks("a", np.ones((1, 2)), np.ones(1), np.ones(1), np.ones(1))  # type: ignore[arg-type]
    for known, said in (([True], "another number of known ones"), ([True, False], "where it is unknown")):
        with pytest.raises(ValueError, match=said):
            LayerMasks("a", np.ones((2, 1), np.bool_), np.ones(2), np.ones(2), np.ones(2), np.array(known))


def test_torch_is_not_imported() -> None:
    program = "import sys; from procrustes_model.training import *; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_densities_alone(tmp_path: Path) -> None:
    masks = make()
    save_masks(tmp_path / "masks.npz", masks)
    found, same = load_mask_densities(tmp_path / "masks.npz"), masks.densities()
    assert (found.names, found.shapes, found.steps) == (same.names, same.shapes, same.steps)
    for kind in ("storage", "weights", "activations", "gradients"):
        assert np.array_equal(getattr(found, kind), getattr(same, kind), equal_nan=True)
    kept = sum(int(layer.masks[1].sum()) for layer in masks.layers)
    assert found.total("weights")[1] == pytest.approx(kept / (135 + 70 + 1), rel=1e-12)


def test_one_mask_alone(tmp_path: Path) -> None:
    masks, path = make(), tmp_path / "masks.npz"
    save_masks(path, masks)
    assert is_mask_file(path)
    assert np.array_equal(load_mask(path, "classifier"), masks.layers[1].masks[2])
    assert np.array_equal(load_mask(path, "features.0", 10), masks.layers[0].masks[1])
    for arguments, said in (
        ((), "masks of 3 layers; name one"),
        (("classifer",), "no layer 'classifer'; did you mean 'classifier'?"),
        (("one", 11), "step 11 was not recorded; recorded are 0, 10, 25"),
    ):
        with pytest.raises(SpecError, match=said):
            load_mask(path, *arguments)  # type: ignore[arg-type]
    one = MaskFile(masks.layers[2:], masks.steps)
    save_masks(path, one)
    assert load_mask(path).shape == (1, 1)
    _change(path, **{"mask/one": np.zeros((1, 1), np.uint8)})
    with pytest.raises(SpecError, match="fewer masks"):
        load_mask(path)
    np.savez(path, weight=np.ones(3))
    assert not is_mask_file(path)
    assert not is_mask_file(tmp_path / "missing.npz")
