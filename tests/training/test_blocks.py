"""Compressed sparse blocks: bit-exact round trips, traversals, and sizes."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from procrustes_model.training import CompressedBlocks, decode, encode, traverse, traverse_backward
from tests.training import naive

pytestmark = pytest.mark.quick

TYPES = (np.float16, np.float32, np.float64, np.int8, np.int64)


@st.composite
def tensors(draw: st.DrawFn) -> tuple[np.ndarray, tuple[int, ...]]:
    """Draw a tensor of odd shape, any density, and blocks that need not divide it."""
    shape = tuple(draw(st.lists(st.integers(0, 7), min_size=1, max_size=4)))
    block = tuple(draw(st.integers(1, 8)) for _ in shape)
    density = draw(st.sampled_from([0.0, 0.05, 0.3, 0.9, 1.0]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dense = rng.integers(1, 100, shape) * np.where(rng.random(shape) < density, rng.choice([-1, 1], shape), 0)
    return dense.astype(draw(st.sampled_from(TYPES))), block


def same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


@given(tensors())
def test_round_trip(case: tuple[np.ndarray, tuple[int, ...]]) -> None:
    dense, block = case
    blocks = encode(dense, block)
    assert same_bits(decode(blocks), dense)
    pointers, bits, values = naive.encode(dense, block)
    assert blocks.pointers.tolist() == pointers
    assert blocks.present().tolist() == bits
    assert blocks.values.tolist() == values


@given(tensors(), st.randoms(use_true_random=False))
def test_traversal(case: tuple[np.ndarray, tuple[int, ...]], random: object) -> None:
    """Reading in another order gives what encoding in that order gives, bit by bit."""
    dense, block = case
    axes = random.sample(range(dense.ndim), dense.ndim)  # type: ignore[attr-defined]
    flip = [dense.shape[axis] <= block[axis] and random.random() < 0.5 for axis in axes]  # type: ignore[attr-defined]
    found = traverse(encode(dense, block), axes, flip)
    turned = dense.transpose(axes)[tuple(slice(None, None, -1 if reverse else 1) for reverse in flip)]
    expected = encode(turned, tuple(block[axis] for axis in axes))
    for name in ("pointers", "bits", "values"):
        assert same_bits(getattr(found, name), getattr(expected, name))
    assert same_bits(decode(found), np.ascontiguousarray(turned))


@pytest.mark.parametrize("density", [0.0, 0.2, 1.0])
@pytest.mark.parametrize(
    ("shape", "block"), [((5, 3, 3, 3), (1, 1, 3, 3)), ((4, 7, 1, 5), (2, 3, 1, 5)), ((9, 10), (4, 4))]
)
def test_backward_pass(shape: tuple[int, ...], block: tuple[int, ...], density: float) -> None:
    rng = np.random.default_rng(0)
    weights = rng.normal(size=shape).astype(np.float32) * (rng.random(shape) < density)
    blocks = encode(weights, block)
    read = traverse_backward(blocks)
    turned = weights.swapaxes(0, 1)
    expected = turned[:, :, ::-1, ::-1] if weights.ndim == 4 else turned
    assert np.array_equal(decode(read), expected)
    again = traverse_backward(read)
    assert same_bits(again.values, blocks.values)
    assert same_bits(again.bits, blocks.bits)
    assert read.size_bits() == blocks.size_bits()


def test_odd_values_survive() -> None:
    nan = np.array([0x7FC00001, 0xFFC12345], np.uint32).view(np.float32)
    dense = np.array([-0.0, 0.0, np.inf, 1e-45, *nan], np.float32)
    blocks = encode(dense, (4,))
    assert same_bits(decode(blocks), dense)
    assert len(blocks.values) == 5


def test_tracked_zeros_are_stored() -> None:
    mask = np.array([[True, False], [False, True]])
    blocks = encode(np.array([[0.0, 0.0], [2.0, 0.0]]), (1, 2), mask)
    assert blocks.values.tolist() == [0.0, 2.0, 0.0]
    assert decode(blocks).tolist() == [[0.0, 0.0], [2.0, 0.0]]


@given(tensors(), st.integers(1, 40), st.integers(1, 64))
def test_size(case: tuple[np.ndarray, tuple[int, ...]], pointer_bits: int, word_bits: int) -> None:
    """A pointer per block, a bit per dense position, and the words of what is not zero."""
    dense, block = case
    blocks = encode(dense, block)
    count = prod(-(-side // length) for side, length in zip(dense.shape, block, strict=True))
    expected = count * pointer_bits + dense.size + word_bits * np.count_nonzero(dense)
    assert blocks.size_bits(word_bits, pointer_bits) == expected
    assert blocks.size_bits() == count * 20 + dense.size + 8 * blocks.values.nbytes
    assert len(blocks.pointers) == count
    assert len(blocks.bits) == -(-dense.size // 8)


def test_bad_input() -> None:
    blocks = encode(np.eye(4), (2, 2))
    with pytest.raises(ValueError, match="do not cut"):
        encode(np.eye(4), (2,))
    with pytest.raises(ValueError, match="do not cut"):
        encode(np.eye(4), (2, 0))
    with pytest.raises(ValueError, match="does not fit"):
        encode(np.eye(4), (2, 2), np.ones(4, bool))
    with pytest.raises(ValueError, match="one block must cover"):
        traverse(blocks, [0, 1], [True, False])
    with pytest.raises(ValueError, match="axes"):
        traverse(blocks, [0, 0])
    with pytest.raises(ValueError, match="two ranks"):
        traverse_backward(encode(np.ones(3), (3,)))
    for change in (
        {"block": (2,)},
        {"block": (0, 2)},
        {"pointers": blocks.pointers[1:]},
        {"values": np.ones(3)},
    ):
        with pytest.raises(ValueError, match=r"blocks|values"):
            CompressedBlocks(**(vars(blocks) | change))
