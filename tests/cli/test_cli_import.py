"""``procrustes import`` and ``reproduce`` as users call them."""

from __future__ import annotations

from pathlib import Path

import pytest

from procrustes_model.reproduction.system import load_systems
from tests.cli.conftest import Run

NO_ONNX = "onnx is not installed: pip install '.[onnx]'"


def write_onnx(file: Path) -> None:
    """Write a model of one convolution."""
    onnx = pytest.importorskip("onnx", reason=NO_ONNX)
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    node = helper.make_node("Conv", ["x", "conv.weight"], ["y"])
    weight = helper.make_tensor("conv.weight", kind, [2, 3, 3, 3], [0.0] * 54)
    inputs = [helper.make_tensor_value_info("x", kind, ["n", 3, 8, 8])]
    outputs = [helper.make_tensor_value_info("y", kind, None)]
    graph = helper.make_graph([node], "g", inputs, outputs, [weight])
    file.write_bytes(helper.make_model(graph).SerializeToString())


def test_import_writes_a_network_that_validates(run: Run, tmp_path: Path) -> None:
    write_onnx(tmp_path / "little.onnx")
    done = run("import", "little.onnx", "--out", "little.yaml", "--batch", "32")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "little: 1 layer, 1 shape, 1.944 k multiply-accumulates per sample, 54 weights\nWrote little.yaml\n"
    )
    text = (tmp_path / "little.yaml").read_text(encoding="utf-8")
    assert run("import", "little.onnx", "--batch", "32").stdout == text
    assert "- {name: conv, kind: conv, channels: 2, kernel: 3}" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.onnx"], "error: nowhere.onnx: no such file\n"),
        (["resnet18"], "error: resnet18: no such file; a shipped network needs no import\n"),
        (["bad.onnx"], "error: bad.onnx: this is no ONNX model, or one without nodes\n"),
        (["bad.onnx", "--out", "bad.onnx"], "would overwrite bad.onnx"),
        (["little.onnx", "--input-shape", "3x"], "--input-shape must be sizes such as 1x3x224x224, is '3x'"),
        (["little.onnx", "--input-shape", "1x3"], "has 4 axes, not the 2 of the shape given"),
        (["little.onnx", "--input-shape", "1x3x2x2"], "the kernel spans 3, more than its padded input of 2"),
    ],
)
def test_import_says_what_is_wrong(run: Run, tmp_path: Path, arguments: list[str], said: str) -> None:
    write_onnx(tmp_path / "little.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    done = run("import", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_reproduce_lists_its_items(run: Run, tmp_path: Path) -> None:
    done = run("reproduce")
    assert (done.returncode, done.stderr) == (0, "")
    names = [line.split()[0] for line in done.stdout.splitlines() if not line.startswith(" ")]
    studies = ["energy", "cycles", "dataflows", "imbalance", "scaling", "conv512"]
    validations = ["dstc", "eyeriss_rlc", "eyeriss_v2", "formats", "stc"]
    assert names == [*studies, *validations, *load_systems(), "systems", "all"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cylces"], "error: there is no item 'cylces'; did you mean 'cycles'?\n"),
        (["energy", "--networks", "vgg16"], "error: 'vgg16' is no network of the evaluation; did you mean"),
        (["energy", "--rules", "mine"], "unknown rules 'mine'; one of published, model"),
    ],
)
def test_reproduce_says_what_is_wrong(run: Run, arguments: list[str], said: str) -> None:
    done = run("reproduce", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
