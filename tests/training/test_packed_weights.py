"""Weights in the layouts of GPTQ, AWQ and bitsandbytes, written bit by bit; layouts that are refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from procrustes_model import SpecError
from procrustes_model.training import masks_from_checkpoint
from procrustes_model.training.checkpoints import read_checkpoint
from tests.training.test_checkpoints import write_safetensors

pytestmark = pytest.mark.quick

RNG = np.random.default_rng(3)
INPUTS, OUTPUTS, GROUPS = 64, 32, 2
Parts = dict[str, tuple[str, np.ndarray]]


def words_of(codes: Sequence[int], bits: int) -> list[int]:
    """Return integers one after another in words of 32 bits, from the lowest bit."""
    stream = sum(int(code) << (bits * i) for i, code in enumerate(codes))
    return [(stream >> (32 * i)) & 0xFFFFFFFF for i in range(len(codes) * bits // 32)]


def packed(codes: np.ndarray, bits: int, axis: int) -> np.ndarray:
    words = [words_of(row, bits) for row in (codes if axis else codes.T)]
    values = np.array(words, np.uint32).view(np.int32)
    return values if axis else values.T.copy()


def grouped(bits: int, zero: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return codes of inputs and outputs, zero points of groups, of which none is 0, and scales."""
    codes = RNG.integers(0, 2**bits, (INPUTS, OUTPUTS))
    zeros = RNG.integers(1, 2**bits, (GROUPS, OUTPUTS)) if zero is None else np.full((GROUPS, OUTPUTS), zero)
    return codes, zeros, RNG.choice([1.0, 4.0], (GROUPS, OUTPUTS)).astype(np.float32)


def gptq(codes: np.ndarray, kept: np.ndarray, scales: np.ndarray, bits: int) -> Parts:
    return {
        "fc.qweight": ("I32", packed(codes, bits, 0)),
        "fc.qzeros": ("I32", packed(kept, bits, 1)),
        "fc.scales": ("F32", scales),
    }


def dense(codes: np.ndarray, zeros: np.ndarray, scales: np.ndarray, group: Sequence[int]) -> np.ndarray:
    """Return the weights by their definition, outputs first."""
    found = np.zeros((codes.shape[1], codes.shape[0]))
    for i, of in enumerate(group):
        for j in range(codes.shape[1]):
            found[j, i] = (codes[i, j] - zeros[of, j]) * scales[of, j]
    return found


def save(path: Path, parts: Parts) -> Path:
    write_safetensors(path / "model.safetensors", parts)
    return path / "model.safetensors"


def check(path: Path, expected: np.ndarray) -> None:
    (weight,) = read_checkpoint(path).weights
    assert weight.name == "fc.weight" and weight.shape == expected.shape
    assert np.allclose(weight.read(), expected)
    assert np.array_equal(masks_from_checkpoint(path).mask("fc"), expected != 0)
    middle = float(np.median(np.abs(expected)))
    assert np.array_equal(masks_from_checkpoint(path, threshold=middle).mask("fc"), np.abs(expected) > middle)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("less", [1, 0])
def test_gptq(tmp_path: Path, bits: int, less: int) -> None:
    """With zero points in the middle the format need not be said; with others it must be."""
    codes, zeros, scales = grouped(bits, 2 ** (bits - 1))
    group = np.arange(INPUTS) // (INPUTS // GROUPS)
    path = save(tmp_path, gptq(codes, zeros - less, scales, bits))
    check(path, dense(codes, zeros, scales, group))
    codes, zeros, scales = grouped(bits, None)
    save(tmp_path, gptq(codes, zeros - less, scales, bits))
    with pytest.raises(SpecError, match=r"GPTQ with an offset.*quantize_config.json"):
        masks_from_checkpoint(path)
    said = {"quant_method": "gptq"} | ({} if less else {"checkpoint_format": "gptq_v2"})
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": said}))
    check(path, dense(codes, zeros, scales, group))
    # The order of the inputs is the layer's, whichever group they are in.
    group = RNG.permutation(group)
    save(tmp_path, gptq(codes, zeros - less, scales, bits) | {"fc.g_idx": ("I32", group.astype(np.int32))})
    check(path, dense(codes, zeros, scales, group))
    assert {one.name for one in read_checkpoint(path).left} == {"fc.qzeros", "fc.scales", "fc.g_idx"}


def test_gptq_of_a_state(torch: Any, tmp_path: Path) -> None:
    codes, zeros, scales = grouped(4, None)
    parts = gptq(codes, zeros - 1, scales, 4) | {"fc.bias": ("F32", np.ones(OUTPUTS, np.float32))}
    state = {name: torch.from_numpy(values) for name, (_, values) in parts.items()}
    state["fc.scales"] = state["fc.scales"].half()
    torch.save(state, tmp_path / "a.pt")
    (tmp_path / "quantize_config.json").write_text('{"bits": 4, "sym": false}')
    check(tmp_path / "a.pt", dense(codes, zeros, scales, np.arange(INPUTS) // 32))


def test_gptq_refused(tmp_path: Path) -> None:
    codes, zeros, scales = grouped(4, 8)
    parts = gptq(codes, zeros - 1, scales, 4)
    odd = np.zeros(INPUTS, np.int32)
    odd[5] = GROUPS
    for more, message in (
        ({"fc.g_idx": ("I32", odd)}, "'fc.g_idx' names groups that are not there"),
        ({"fc.g_idx": ("I32", odd[1:])}, "inputs are in which of 2 groups is not clear"),
        ({"fc.scales": ("F32", scales[:, 1:])}, "layout that is not known"),
        ({"fc.qweight": ("I64", np.zeros((8, 32), np.int64))}, "layout that is not known"),
        ({"fc.workspace": ("I32", odd)}, "packed in tiles for Marlin's kernels"),
    ):
        path = save(tmp_path, parts | more)
        with pytest.raises(SpecError, match=message):
            masks_from_checkpoint(path)
    save(tmp_path, gptq(codes, np.where(zeros < 0, 0, 15), scales, 4))
    (tmp_path / "config.json").write_text('{"quantization_config": {"quant_method": "gptq"}}')
    with pytest.raises(SpecError, match="stands for 16 in some programs and for 0 in others"):
        masks_from_checkpoint(path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(SpecError, match=r"config.json: this is no valid JSON"):
        masks_from_checkpoint(path)


def test_awq(tmp_path: Path) -> None:
    codes, zeros, scales = grouped(4, None)
    order = [0, 2, 4, 6, 1, 3, 5, 7]
    places = [8 * block + one for block in range(OUTPUTS // 8) for one in order]
    parts = {
        "fc.qweight": ("I32", packed(codes[:, places], 4, 1)),
        "fc.qzeros": ("I32", packed(zeros[:, places], 4, 1)),
        "fc.scales": ("F32", scales),
    }
    check(save(tmp_path, parts), dense(codes, zeros, scales, np.arange(INPUTS) // 32))
    # For the kernels 'gemv' outputs come first; of 64 inputs that looks like GPTQ with groups of 8.
    parts["fc.qzeros"] = ("I32", np.zeros((OUTPUTS, 1), np.int32))
    parts["fc.scales"] = ("F32", np.zeros((OUTPUTS, 8), np.float32))
    for inputs, message in (
        (1024, "layout that is not known here"),
        (64, "in which of 32 groups is not clear"),
    ):
        parts["fc.qweight"] = ("I32", np.zeros((OUTPUTS, inputs // 8), np.int32))
        with pytest.raises(SpecError, match=message):
            masks_from_checkpoint(save(tmp_path, parts))


def test_rows_of_8_bits(tmp_path: Path) -> None:
    values = RNG.integers(-3, 4, (5, 8)).astype(np.int8)
    largest = np.array([1, 2, 3, 4, 5], np.float32)
    parts: Parts = {
        "fc.SCB": ("F32", largest),
        "fc.weight": ("I8", values),
        "fc.weight_format": ("U8", np.array(0, np.uint8)),
    }
    check(save(tmp_path, parts), values * largest[:, None] / 127)
    with pytest.raises(SpecError, match="tiles of a GPU"):
        masks_from_checkpoint(save(tmp_path, parts | {"fc.weight_format": ("U8", np.array(1, np.uint8))}))
    with pytest.raises(SpecError, match=r"'fc.SCB' does not fit 'fc.weight'"):
        masks_from_checkpoint(save(tmp_path, parts | {"fc.SCB": ("F32", largest[1:])}))


def blocks(kind: str, *, nested: bool) -> tuple[Parts, np.ndarray]:
    """Return weights of 4 bits in blocks of 16, the second of which is all zero, and what they are."""
    sides, block = (7, 9), 16
    codes = RNG.integers(0, 16, 63)
    table = RNG.normal(size=16).astype(np.float32)
    table[[7] if kind == "nf4" else [0, 8]] = 0
    largest = np.array([2, 0, 1, 0.5], np.float32)
    said: dict[str, Any] = {"quant_type": kind, "blocksize": block, "dtype": "float16", "shape": sides}
    even = [*codes, 0]
    parts: Parts = {
        "fc.weight": ("U8", np.array([[16 * even[i] + even[i + 1]] for i in range(0, 64, 2)], np.uint8)),
        "fc.weight.absmax": ("F32", largest),
        "fc.weight.quant_map": ("F32", table),
    }
    if nested:
        said |= {"nested_blocksize": 3, "nested_offset": 0.25, "nested_dtype": "float32"}
        held, inner = np.array([3, 0, 255, 7], np.uint8), RNG.normal(size=256).astype(np.float32)
        parts["fc.weight.absmax"] = ("U8", held)
        parts["fc.weight.nested_quant_map"] = ("F32", inner)
        parts["fc.weight.nested_absmax"] = ("F32", np.array([2, 10], np.float32))
        largest = np.array([inner[one] * (10 if i == 3 else 2) + 0.25 for i, one in enumerate(held)])
    text = np.frombuffer(json.dumps(said).encode(), np.uint8)
    parts[f"fc.weight.quant_state.bitsandbytes__{kind}"] = ("U8", text)
    values = [table[code] * largest[i // block] for i, code in enumerate(codes)]
    return parts, np.array(values).reshape(sides)


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
@pytest.mark.parametrize("nested", [False, True])
def test_blocks_of_4_bits(tmp_path: Path, kind: str, nested: bool) -> None:
    parts, expected = blocks(kind, nested=nested)
    check(save(tmp_path, parts), expected)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("{", "no valid state"),
        ("[]", "no valid state"),
        ('{"shape": [7, 9]}', "no valid state"),
        ('{"shape": [7, -9], "blocksize": 16}', "no valid state"),
        ('{"shape": [], "blocksize": 16}', "no valid state"),
        ('{"shape": [true, 9], "blocksize": 16}', "no valid state"),
        ('{"shape": [7, 9], "blocksize": 0}', "no valid state"),
        ('{"shape": [7000000000, 9000000000], "blocksize": 16}', "does not fit the parts"),
        ('{"shape": [7, 9], "blocksize": 32}', "does not fit the parts"),
        ('{"shape": [7, 9], "blocksize": 16, "nested_offset": [1]}', "no valid state"),
        ("[" * 5_000, "no valid state"),
        (" " * 20_000, "no valid state"),
    ],
)
def test_states_of_blocks_refused(tmp_path: Path, state: str, message: str) -> None:
    parts, _ = blocks("nf4", nested=False)
    text = np.frombuffer(state.encode(), np.uint8)
    with pytest.raises(SpecError, match=message):
        masks_from_checkpoint(
            save(tmp_path, parts | {"fc.weight.quant_state.bitsandbytes__nf4": ("U8", text)})
        )


def test_parts_of_blocks_refused(tmp_path: Path) -> None:
    parts, _ = blocks("nf4", nested=False)
    for more, message in (
        ({"fc.weight": ("F32", np.ones((8, 1), np.float32))}, "quant_storage uint8"),
        ({"fc.weight.quant_map": ("F32", np.ones(15, np.float32))}, "does not fit the parts"),
    ):
        with pytest.raises(SpecError, match=message):
            masks_from_checkpoint(save(tmp_path, parts | more))
    del parts["fc.weight.absmax"]
    with pytest.raises(SpecError, match="does not fit the parts"):
        masks_from_checkpoint(save(tmp_path, parts))
    parts, _ = blocks("nf4", nested=True)
    parts["fc.weight.absmax"] = ("F32", np.ones(4, np.float32))
    with pytest.raises(SpecError, match="not of 8 bits"):
        masks_from_checkpoint(save(tmp_path, parts))


@pytest.mark.parametrize(
    "names",
    [("B", "s", "workspace"), ("B_24", "B_meta", "s"), ("weight_packed", "scale_packed", "meta")],
)
def test_marlin_is_refused_by_name(tmp_path: Path, names: tuple[str, ...]) -> None:
    parts = {f"model.fc.{name}": ("I32", np.zeros((4, 64), np.int32)) for name in names}
    with pytest.raises(SpecError, match="Marlin's kernels, which are not read; take the checkpoint"):
        masks_from_checkpoint(save(tmp_path, parts))
