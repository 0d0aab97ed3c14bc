"""The balancer: against pairing by hand, and against what the cost model counts and charges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from procrustes_model import evaluate, load_architecture, load_mapping, load_problem, load_sparsity
from procrustes_model.model.sparse.imbalance import measure_imbalance
from procrustes_model.training import balance_half_tiles, encode, traverse
from tests.training import naive


@pytest.mark.quick
@given(rounds=st.integers(1, 4), parts=st.integers(1, 6), data=st.data())
def test_pairs(rounds: int, parts: int, data: st.DataObject) -> None:
    count = 2 * rounds * parts
    sizes = np.array(data.draw(st.lists(st.integers(0, 5), min_size=count, max_size=count)))
    result = balance_half_tiles(np.concatenate([[0], np.cumsum(sizes)]), rounds, parts)
    assert result.pointer_reads == 2 * count
    halves = sizes.reshape(rounds, 2 * parts)
    assert np.array_equal(result.work_before, halves.reshape(rounds, parts, 2).sum(2))
    for number in range(rounds):
        assert sorted(result.halves[number].ravel()) == list(range(2 * parts))
        assert sorted(result.work_after[number]) == sorted(naive.balance(halves[number].tolist()))
        assert np.array_equal(halves[number][result.halves[number]].sum(1), result.work_after[number])
        assert np.all(np.diff(halves[number][result.halves[number]], axis=1) >= 0)
    assert result.cycles_after <= result.cycles_before


@pytest.mark.quick
def test_bad_pointers() -> None:
    with pytest.raises(ValueError, match="5 pointers"):
        balance_half_tiles(np.zeros(4, np.int64), 1, 2)
    with pytest.raises(ValueError, match="ascend"):
        balance_half_tiles(np.array([0, 2, 1]), 1, 1)


def test_cost_model() -> None:
    """Sizes, work and pointer reads of actual masks are those that the cost model charges."""
    architecture, problem = load_architecture("procrustes_16x16"), load_problem("vgg_s/conv3_2")
    mapping = load_mapping("procrustes_16x16/vgg_s_conv3_2_kn", architecture, problem)
    design = load_sparsity("procrustes")
    rng = np.random.default_rng(0)
    shares = rng.beta(1, 4, (256, 256, 1, 1))
    weights = (rng.random((256, 256, 3, 3)) < shares).astype(np.float32)
    result = evaluate(architecture, problem, mapping, sparsity=design, masks={"Weights": weights})
    work = measure_imbalance(architecture, problem, mapping, design, {"Weights": weights})

    # Stored with a kernel per block; read channel by channel, where a kernel is half a tile.
    blocks = encode(weights, (1, 1, 3, 3))
    read = traverse(blocks, [1, 0, 2, 3])
    pointers = np.append(read.pointers, len(read.values))
    balanced = balance_half_tiles(pointers, rounds=2048, parts=16)

    counts, imbalance = result.sparse("DRAM", "Weights"), result.imbalance
    assert imbalance is not None
    assert counts.metadata[0] * 32 == blocks.metadata_bits()
    assert counts.stored_words * 32 == blocks.size_bits(word_bits=32)
    assert (imbalance.rounds, imbalance.parts) == (2048, 16)
    assert imbalance.pointer_reads == balanced.pointer_reads
    assert sorted(work.cycles_before) == sorted(balanced.work_before.max(axis=1))
    assert sorted(work.cycles_after) == sorted(balanced.work_after.max(axis=1))
    mean = balanced.work_before.mean()
    assert imbalance.before == pytest.approx(balanced.cycles_before / 2048 / mean)
    assert imbalance.after == pytest.approx(balanced.cycles_after / 2048 / mean)
