"""Designs that ship beside Procrustes', held to published numbers, to those of other tools, and to walks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from procrustes_model.model.evaluate import evaluate
from procrustes_model.model.result import Result
from procrustes_model.model.sparse.result import SparseCounts
from procrustes_model.reproduction.validation import load_validations


def product(rows: int, inner: int, columns: int) -> dict[str, Any]:
    """Return a product of matrices as a pointwise convolution: rows of inputs by columns of weights."""
    bounds = {"R": 1, "S": 1, "Q": 1, "N": 1, "P": rows, "C": inner, "K": columns}
    return {"problem": {"name": "product", "shape": "conv", "dimensions": bounds}}


def counts(result: Result, level: str, tensor: str) -> SparseCounts:
    found: SparseCounts = result.sparse(level, tensor)  # type: ignore[attr-defined]
    return found


EYERISS = {
    # Reads of a scratchpad of weights, done and gated; inputs read, outputs written in DRAM; dense cycles.
    "conv3": (1_054_311, 2_779_545, 380_161, 78_654, 3_833_856),
    "conv5": (440_894, 1_476_034, 158_976, 17_306, 1_916_928),
}
"""Stored outputs of the artifact of Sparseloop (Wu et al., MICRO 2022, table 7), whole words."""


@pytest.mark.parametrize("layer", EYERISS)
def test_eyeriss_gates_weights_and_codes_activations(layer: str) -> None:
    validation = load_validations()["eyeriss_rlc"]
    number = [point.name for point in validation.points].index(layer)
    found = validation.case(number, 0).sparse()
    done, gated, inputs, outputs, cycles = EYERISS[layer]
    weights = counts(found, "WeightScratchpad", "Weights")
    assert weights.actual[0] == pytest.approx(done, abs=1)
    assert weights.gated[0] == pytest.approx(gated, abs=1)
    assert counts(found, "DRAM", "Inputs").actual[0] == pytest.approx(inputs, abs=1)
    assert counts(found, "DRAM", "Outputs").actual[2] == pytest.approx(outputs, abs=1)
    # Gating takes the cycle: the chip is as fast as if nothing were zero. That artifact's model drops it.
    assert found.cycles == cycles


@pytest.mark.parametrize("layer", range(8))
def test_an_element_of_eyeriss_v2_takes_the_published_cycles(layer: int) -> None:
    validation = load_validations()["eyeriss_v2"]
    point = validation.points[layer]
    found = validation.case(layer, 1).sparse()
    (published,) = set(point.published.values())
    assert found.cycles == pytest.approx(published, rel=1e-12)
    # A product updates a sum, and takes a weight from its scratchpad.
    assert found.computes.actual == published
    assert counts(found, "SumScratchpad", "Outputs").actual[2] == pytest.approx(published, rel=1e-12)
    assert counts(found, "WeightScratchpad", "Weights").actual[0] == pytest.approx(published, rel=1e-12)


def test_a_sparse_tensor_core_takes_half_the_cycles_and_two_bits_a_weight() -> None:
    mapping = "tensor_core_like/resnet18_conv4_2_output_stationary"
    dense = evaluate("tensor_core_like", "resnet18/conv4_2", mapping)
    found = evaluate("tensor_core_like", "resnet18/conv4_2", mapping, sparsity="sparse_tensor_core")
    assert found.cycles * 2 == dense.cycles
    weights = counts(found, "HBM", "Weights")
    assert weights.actual[0] == weights.dense[0] / 2
    assert weights.metadata[0] * 16 == weights.actual[0] * 2
    # Four output channels share the inputs that they get: one of them needs it in all but 1 of 16 cases.
    inputs = dense.tensor("OperandBuffer", "Inputs")
    assert counts(found, "OperandBuffer", "Inputs").actual[0] == inputs.reads * 15 / 16


COMPUTES = {
    (0.1, 0.2): 171_798_980,
    (0.5, 0.2): 858_993_665,
    (0.9, 0.2): 1_546_188_760,
    (0.1, 0.5): 429_497_345,
    (0.5, 0.5): 2_147_483_649,
    (0.7, 0.5): 3_006_477_313,
    (0.3, 1.0): 2_576_982_016,
    (1.0, 1.0): 8_589_934_592,
}
"""By densities of weights and inputs: computations of a product of 2048 x 2048 x 2048 on a dual-side sparse
tensor core as Sparseloop counts them, in whole numbers (outputs in
github.com/Arcana-2236/sparseloop-results)."""


@pytest.mark.parametrize("densities", COMPUTES)
def test_a_dual_side_tensor_core_computes_what_meets(densities: tuple[float, float]) -> None:
    weights, inputs = densities
    mapping = {
        "mapping": {
            "levels": [
                {"level": "HBM", "temporal": "K=64 P=64"},
                {"level": "SumBuffer", "temporal": "C=2048"},
                {"level": "LineBuffer", "temporal": "P=4 K=2", "spatial_x": "K=16", "spatial_y": "P=8"},
            ]
        }
    }
    given = {"Weights": weights, "Inputs": inputs}
    found = evaluate("dstc_like", product(2048, 2048, 2048), mapping, sparsity="dstc", densities=given)
    assert found.computes.actual == pytest.approx(COMPUTES[densities], rel=2e-6)


UPDATES = {
    (0.1, 0.2): 1_342_180,
    (0.5, 0.2): 6_710_887,
    (0.9, 0.2): 12_079_597,
    (0.1, 0.5): 3_355_449,
    (0.5, 0.5): 16_777_216,
    (0.9, 0.5): 30_198_993,
    (0.5, 1.0): 33_554_432,
}
"""By densities of weights and inputs: updates of sums in one of 128 elements of a Gustavson machine as
Sparseloop counts them, for a product of 2048 x 2048 x 2048 (outputs in
github.com/Arcana-2236/sparseloop-results)."""


def gamma_nest(rows: int, inner: int, columns: int) -> dict[str, Any]:
    return {
        "mapping": {
            "levels": [
                {"level": "HBM", "temporal": f"P={rows} C={inner // 64}"},
                {"level": "FiberCache", "temporal": f"K={columns}"},
                {"level": "Accumulator", "temporal": "C=64"},
            ]
        }
    }


@pytest.mark.parametrize("densities", UPDATES)
def test_a_gustavson_machine_adds_what_meets(densities: tuple[float, float]) -> None:
    weights, inputs = densities
    # The rows of one of the 128 elements.
    found = evaluate(
        "gamma_pe",
        product(16, 2048, 2048),
        gamma_nest(16, 2048, 2048),
        sparsity="gamma",
        densities={"Weights": weights, "Inputs": {"model": "fixed", "density": inputs}},
        check_capacity=False,
    )
    sums = counts(found, "Accumulator", "Outputs")
    assert sums.dense[2] == 2048 * 2048 * 16
    assert sums.actual[2] == pytest.approx(UPDATES[densities], rel=2e-5)


def test_gamma_reads_the_rows_that_nonzeros_ask_for() -> None:
    """GAMMA (ASPLOS 2021): a row of inputs is read once, and each of its nonzeros takes a row of weights."""
    rng = np.random.default_rng(0)
    inputs, weights = rng.random((1, 64, 48, 1)) < 0.1, rng.random((40, 64, 1, 1)) < 0.2
    taken = 0
    for row in range(48):
        for channel in np.flatnonzero(inputs[0, :, row, 0]):
            taken += int(weights[:, channel, 0, 0].sum())
    found = evaluate(
        "gamma_pe",
        product(48, 64, 40),
        gamma_nest(48, 64, 40),
        sparsity="gamma",
        masks={"Inputs": inputs, "Weights": weights},
    )
    assert counts(found, "FiberCache", "Weights").actual[0] == taken
    assert found.computes.actual == taken
    assert found.compute.cycles == taken
    assert counts(found, "HBM", "Inputs").actual[0] == inputs.sum()
    assert counts(found, "HBM", "Weights").actual[0] == weights.sum()


def test_an_outer_product_machine_reads_operands_once_and_writes_all_products() -> None:
    """OuterSPACE (HPCA 2018): nonzeros of both operands are read once; a channel's meet, each with each."""
    mapping = {
        "mapping": {
            "levels": [
                {"level": "HBM", "temporal": "C=64"},
                {"level": "RowCaches", "temporal": "P=8", "spatial_x": "P=16", "spatial_y": "P=16"},
                {"level": "Registers", "temporal": "K=512"},
            ]
        }
    }
    given = {"Inputs": {"model": "fixed", "density": 0.25}, "Weights": {"model": "fixed", "density": 0.125}}
    found = evaluate(
        "outerspace_like", product(2048, 64, 512), mapping, sparsity="outerspace", densities=given
    )
    # Of a channel's inputs 512 are not zero, and 64 of its weights.
    assert counts(found, "HBM", "Inputs").actual[0] == 64 * 512
    assert counts(found, "HBM", "Weights").actual[0] == 64 * 64
    products = 64 * 512 * 64
    assert counts(found, "HBM", "Outputs").actual[2] == found.computes.actual == products
    # Nonzeros fill the 256 elements twice, and each is multiplied by the nonzeros of the row.
    assert found.compute.cycles == 64 * 2 * 64
    dense = evaluate("outerspace_like", product(2048, 64, 512), mapping)
    assert dense.compute.cycles == 64 * 8 * 512
