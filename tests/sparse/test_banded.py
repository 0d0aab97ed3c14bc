"""A band beside a diagonal is counted as the mask that it is."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from procrustes_model import (
    SpecError,
    evaluate,
    load_architecture,
    load_mapping,
    load_problem,
    load_sparsity,
    measure_imbalance,
)
from procrustes_model.densities.banded import place_band
from tests.amount import amount
from tests.strategies import Spec

MACHINE: Spec = {
    "architecture": {
        "name": "row",
        "levels": [
            {"name": "Far", "word_bits": 16, "energy_pj": {"read": 10, "write": 10}},
            {"name": "Near", "word_bits": 16, "mesh_x": 2, "energy_pj": {"read": 1, "write": 1}},
        ],
        "compute": {"energy_pj": 1},
    }
}


def band_of(shape: tuple[int, ...], axes: tuple[int, int], band: int) -> np.ndarray[Any, Any]:
    """Return the mask, element by element."""
    mask = np.zeros(shape, np.bool_)
    for index in np.ndindex(*shape):
        mask[index] = abs(index[axes[0]] - index[axes[1]]) <= band
    return mask


@pytest.mark.quick
@given(
    st.lists(st.integers(1, 6), min_size=2, max_size=4), st.integers(0, 6), st.randoms(use_true_random=False)
)
def test_a_band_is_where_indices_are_near(shape: list[int], band: int, chance: Any) -> None:
    first, second = chance.sample(range(len(shape)), 2)
    found = place_band(tuple(shape), (first, second), {"band": band})
    np.testing.assert_array_equal(found, band_of(tuple(shape), (first, second), band))


@pytest.mark.quick
@settings(max_examples=amount(60, 12), deadline=None)
@given(
    st.integers(1, 4), st.integers(1, 6), st.integers(0, 4), st.sampled_from(["bitmask", "csr", "run_length"])
)
def test_a_band_counts_as_its_mask(rows: int, columns: int, band: int, stored: str) -> None:
    bounds = {"M": 2 * rows, "K": columns, "N": 2}
    problem = {"problem": {"name": "p", "shape": "matmul", "dimensions": bounds}}
    nest = [{"level": "Far", "temporal": f"M={rows} N=2", "spatial_x": "M=2"}, {"level": "Near"}]
    nest[1]["temporal"] = f"K={columns}"
    content: Spec = {
        "name": "d",
        "densities": {"A": {"model": "banded", "band": band, "diagonal": ["K", "M"]}},
        "formats": {"A": {"*": stored}},
        "actions": [{"level": "Far", "skip": "B", "on": "A"}],
        "compute": {"skip": "A"},
        "balancing": {"policy": "none", "tensor": "A"},
        "capacity": {"size": "maximum"},
    }
    mapping = {"mapping": {"levels": nest}}
    found = evaluate(MACHINE, problem, mapping, sparsity={"sparsity": content})
    mask = band_of((2 * rows, columns), (0, 1), band)
    content["densities"] = {}
    counted = evaluate(MACHINE, problem, mapping, sparsity={"sparsity": content}, masks={"A": mask})
    assert dataclasses.replace(found, sparsity=counted.sparsity) == counted
    assert dict(found.densities)["A"] == mask.mean()
    assert found.computes.actual == 2 * mask.sum()


SQUARE: Spec = {"problem": {"name": "p", "shape": "matmul", "dimensions": {"M": 8, "K": 8, "N": 2}}}
NEST: Spec = {
    "mapping": {
        "levels": [
            {"level": "Far", "temporal": "M=4 N=2", "spatial_x": "M=2"},
            {"level": "Near", "temporal": "K=8"},
        ]
    }
}


def design(density: Spec) -> Spec:
    content = {"name": "d", "densities": {"A": {"model": "banded", "band": 1} | density}}
    return {"sparsity": content | {"formats": {"A": {"*": "bitmask"}}, "balancing": {"tensor": "A"}}}


def test_uneven_rows_are_counted() -> None:
    sparse = design({"diagonal": ["M", "K"]})
    assert dict(evaluate(MACHINE, SQUARE, NEST, sparsity=sparse).densities)["A"] == 22 / 64
    machine, problem = load_architecture(MACHINE), load_problem(SQUARE)
    mapping = load_mapping(NEST, machine, problem)
    work = measure_imbalance(machine, problem, mapping, load_sparsity(sparse))
    assert work.of.basis == "counted"


@pytest.mark.parametrize(
    ("density", "said"),
    [
        ({"diagonal": ["M", "M"]}, "'diagonal' has 'M' twice"),
        ({"diagonal": ["M"]}, "diagonal"),
        ({"diagonal": ["M", "N"]}, "tensor 'A' has no rank of 'N' for its diagonal; its dimensions are K, M"),
        ({"diagonal": ["M", "K"], "band": -1}, "'band' must be"),
        ({"diagonal": ["M", "K"], "group": 2}, "takes no 'group'"),
        ({}, "needs 'diagonal'"),
    ],
)
def test_bands_that_are_none_are_refused(density: Spec, said: str) -> None:
    with pytest.raises(SpecError) as error:
        evaluate(MACHINE, SQUARE, NEST, sparsity=design(density))
    assert said in str(error.value)
