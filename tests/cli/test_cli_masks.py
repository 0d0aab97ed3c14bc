"""``procrustes masks``, and ``procrustes evaluate --masks`` on what it writes."""

from __future__ import annotations

import csv
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from procrustes_model.training import LayerMasks, MaskFile, load_masks, save_masks
from tests.cli.conftest import Run
from tests.naive import less

SHAPE = (256, 256, 3, 3)
LAYER = (
    "evaluate",
    "procrustes_16x16",
    "vgg_s/conv3_2",
    "procrustes_16x16/vgg_s_conv3_2_kn",
    "--sparsity",
    "procrustes",
)


class Evil:
    """Makes a folder when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("ran",)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path / "model.npz"
    weights = {
        "conv.weight": rng.normal(size=(8, 4, 3, 3)),
        "fc.weight": rng.normal(size=(5, 7)),
        "fc.bias": np.ones(5),
    }
    np.savez(path, **weights)
    return path


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Write two layers at two steps, of which one fits conv3_2."""
    rng = np.random.default_rng(0)
    layers = []
    for name, shape, unknown in (("conv3_2", SHAPE, False), ("fc", (10, 7), True)):
        masks = rng.random((2, *shape)) < 0.1
        masks[0] = True
        densities = np.full(2, np.nan) if unknown else np.array([0.5, 0.25])
        layers.append(LayerMasks(name, masks, np.array([1.0, 0.1]), densities, densities))
    save_masks(tmp_path / "recorded.npz", MaskFile(tuple(layers), (0, 100), "a test"))
    return tmp_path / "recorded.npz"


def test_from_checkpoint(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    done = run("masks", "from-checkpoint", "model.npz", "--keep", "0.2", "--out", "masks.npz")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    table = [line.split() for line in lines[2:10] if "─" not in line]
    assert [cells[0] for cells in table] == ["Layer", "conv", "fc", "all"]
    assert table[3][1:] == ["323", "0.2012", "0.2012"]
    assert lines[-1] == "Wrote masks.npz"
    found = load_masks(tmp_path / "masks.npz")
    assert sum(layer.masks.sum() for layer in found.layers) == 65
    assert run("masks", "show", "masks.npz").stdout.splitlines() == lines[:-2]
    quiet = run("masks", "from-checkpoint", "model.npz", "--threshold", "0.5", "-o", "some.npz", "-q")
    assert (quiet.returncode, quiet.stdout) == (0, "")
    groups = ("masks", "from-checkpoint", "model.npz", "--pattern", "2:4")
    for along, axis in (((), 1), (("--along", "K"), 0)):
        assert run(*groups, *along, "-o", f"along{axis}.npz").returncode == 0
    with np.load(checkpoint) as weights:
        for layer in load_masks(tmp_path / "some.npz").layers:
            assert np.array_equal(layer.masks[0], np.abs(weights[f"{layer.name}.weight"]) > 0.5)
        for axis in (0, 1):
            mask = load_masks(tmp_path / f"along{axis}.npz").mask("conv")
            assert np.array_equal(mask, less.nm_mask(weights["conv.weight"], 2, 4, axis))


def test_what_is_no_weight_is_listed(run: Run, tmp_path: Path) -> None:
    """By both commands, with names that cannot upset a terminal."""
    weights = {
        "conv.weight": np.ones((8, 4, 3, 3)),
        "\x1b[31mbias": np.ones(8),
        "cls_token": np.ones((1, 1, 4)),
    }
    np.savez(tmp_path / "model.npz", **weights)
    done = run("masks", "from-checkpoint", "model.npz", "--out", "masks.npz")
    assert (done.returncode, done.stderr) == (0, "")
    shown = run("masks", "show", "masks.npz").stdout
    for text in (done.stdout, shown):
        assert "No weights of a layer (fewer than two dimensions): '\\x1b[31mbias'." in text
        assert "No weights of a layer (tokens and positions): 'cls_token'." in text
        assert "\x1b" not in text


def test_entry_and_network(run: Run, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    weights = {"fc.weight": torch.zeros(5, 7), "embed.weight": torch.zeros(9, 7)}
    averages = {name: torch.ones_like(one) for name, one in weights.items()}
    torch.save({"model": weights, "model_ema": averages}, tmp_path / "model.pth.tar")
    (tmp_path / "net.yaml").write_text(
        "network:\n  name: small\n  layers:\n"
        "    - {name: fc, kind: fully_connected, input_channels: 7, channels: 5}\n",
        encoding="utf-8",
    )
    command = ("masks", "from-checkpoint", "model.pth.tar", "--out", "masks.npz")
    done = run(*command, "--network", "net.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Taken of the file: 'model'; there is also 'model_ema' (--entry)." in done.stdout
    assert "No weights of a layer (no layer of small): 'embed.weight'." in done.stdout
    assert [one.name for one in load_masks(tmp_path / "masks.npz").layers] == ["fc"]
    assert not load_masks(tmp_path / "masks.npz").mask("fc").any()
    assert run(*command, "--entry", "model_ema", "-q").returncode == 0
    assert load_masks(tmp_path / "masks.npz").mask("fc").all()


def test_show(run: Run, recorded: Path, tmp_path: Path) -> None:
    del recorded
    done = run("masks", "show", "recorded.npz", "--step", "0", "--csv", "masks.csv")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0][-2:] == ["step", "0"]
    assert ["conv3_2", "256x256x3x3", "589,824", "1.0000", "1.0000", "0.5000", "0.5000"] in rows
    assert ["fc", "10x7", "70", "1.0000", "1.0000", "-", "-"] in rows
    assert ["0", "1.0000", "1.0000"] in rows
    with (tmp_path / "masks.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert [(row["step"], row["layer"]) for row in table] == [
        ("0", "conv3_2"),
        ("0", "fc"),
        ("100", "conv3_2"),
        ("100", "fc"),
    ]
    assert (table[2]["activation_density"], table[3]["activation_density"]) == ("0.25", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("from-checkpoint", "none.npz", "--out", "out.npz"), "error: none.npz: no such file"),
        (("from-checkpoint", "model.npz"), "Missing option '--out'"),
        (("from-checkpoint", "model.npz", "--out", "out.pt"), "files of masks end in .npz; such as out.npz"),
        (("from-checkpoint", "model.npz", "--out", "model.npz"), "--out would overwrite model.npz"),
        (("from-checkpoint", "model.npz", "--out", "no/out.npz"), "--out cannot be written"),
        (("from-checkpoint", "model.npz", "--out", "out.npz", "--keep", "20"), "20 % is --keep 0.2"),
        (("from-checkpoint", "model.npz", "--out", "out.npz", "--keep", "nan"), "is nan"),
        (("from-checkpoint", "model.npz", "--out", "out.npz", "--threshold", "-1"), "must be 0 or more"),
        (
            ("from-checkpoint", "model.npz", "--out", "out.npz", "--threshold", "1", "--keep", "0.1"),
            "--threshold and --keep are both given",
        ),
        (
            ("from-checkpoint", "model.npz", "--out", "out.npz", "--pattern", "2:4", "--keep", "0.1"),
            "--keep and --pattern are both given",
        ),
        (
            ("from-checkpoint", "model.npz", "--out", "out.npz", "--pattern", "4:2"),
            "--pattern must be n:m with n from 1 to m, is '4:2'; such as 2:4",
        ),
        (("from-checkpoint", "model.npz", "--out", "out.npz", "--along", "C"), "--along is of --pattern"),
        (
            ("from-checkpoint", "model.npz", "--out", "out.npz", "--pattern", "2:4", "--along", "R"),
            "unknown dimension 'R'",
        ),
        (("from-checkpoint", "recorded.npz", "--out", "out.npz"), "this is a file of masks already"),
        (("from-checkpoint", "model.h5", "--out", "out.npz"), "it ends in .pt, .pth, .safetensors, .npz"),
        (("from-checkpoint", "model.npz", "--out", "out.npz", "--entry", "ema"), "no entry 'ema'"),
        (
            ("from-checkpoint", "model.npz", "--out", "out.npz", "--network", "vgg_s"),
            "are those of a layer of",
        ),
        (("show", "model.npz"), "model.npz: this is no file of masks"),
        (("show", "none.npz"), "none.npz: no such file"),
        (("show", "recorded.npz", "--step", "3"), "step 3 was not recorded; recorded are 0, 100"),
        (("show", "recorded.npz", "--csv", "recorded.npz"), "--csv would overwrite recorded.npz"),
    ],
)
def test_bad_input(
    run: Run, checkpoint: Path, recorded: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    del checkpoint, recorded
    before = sorted(tmp_path.iterdir())
    done = run("masks", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_code_does_not_run(run: Run, tmp_path: Path) -> None:
    np.savez(tmp_path / "evil.npz", weight=np.array([[Evil()]], object))
    (tmp_path / "evil.pt").write_bytes(pickle.dumps({"weight": Evil()}))
    np.savez(tmp_path / "masks.npz", metadata=np.array([Evil()], object), steps=[], weight_density=[])
    for arguments in (
        ("masks", "from-checkpoint", "evil.npz", "--out", "out.npz"),
        ("masks", "from-checkpoint", "evil.pt", "--out", "out.npz"),
        ("masks", "show", "masks.npz"),
        (*LAYER, "--masks", "masks.npz"),
    ):
        done = run(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.splitlines()[-1].startswith("error: ")  # the kernels may have been compiled first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.npz", "evil.pt", "masks.npz"]


def test_evaluate_recorded_masks(run: Run, recorded: Path, tmp_path: Path) -> None:
    """The layer's mask is that of the weights, and what else is known is the density of what is read."""
    chosen = ("--masks", "recorded.npz", "--layer", "conv3_2")
    done = run(*LAYER, "--phase", "all", *chosen)
    assert done.returncode == 0, done.stderr
    mask = load_masks(recorded).mask("conv3_2")
    np.savez(tmp_path / "by_tensor.npz", Weights=mask)
    texts = done.stdout.split("\n\n")
    for phase, density in (("fw", "X=0.25"), ("bw", "Y=0.25"), ("wu", "X=0.25,Y=0.25")):
        same = run(*LAYER, "--phase", phase, "--masks", "by_tensor.npz", "--density", density)
        assert same.returncode == 0, same.stderr
        assert set(same.stdout.strip().split("\n\n")) <= set(texts), phase
    assert f"densities Weights {mask.mean():.5f}, Inputs 0.2500, Outputs 1.000" in done.stdout
    first = run(*LAYER, "--phase", "fw", *chosen, "--step", "0", "--density", "X=0.75")
    assert "densities Weights 1.000, Inputs 0.7500, Outputs 1.000" in first.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--masks", "recorded.npz"), "masks of 2 layers; name one of them (--layer): conv3_2, fc"),
        (("--masks", "recorded.npz", "--layer", "conv32"), "no layer 'conv32'; did you mean 'conv3_2'?"),
        (("--masks", "recorded.npz", "--layer", "conv3_2", "--step", "7"), "recorded are 0, 100"),
        (("--masks", "recorded.npz", "--layer", "fc"), "have shape [10, 7], the weights of vgg_s/conv3_2"),
        (("--layer", "fc"), "--layer chooses among masks; add --masks FILE"),
        (("--step", "1"), "--step chooses among masks"),
        (("--masks", "by_tensor.npz", "--layer", "fc"), "this file has masks by tensor"),
        (
            ("--masks", "recorded.npz", "--layer", "conv3_2", "--density", "W=0.5"),
            "given both a density and a mask",
        ),
    ],
)
def test_bad_masks(
    run: Run, recorded: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    np.savez(tmp_path / "by_tensor.npz", Weights=load_masks(recorded).mask("conv3_2"))
    done = run(*LAYER, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
