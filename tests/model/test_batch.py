"""`evaluate_batch` against `evaluate`, and what it refuses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from procrustes_model import evaluate, evaluate_batch, load_architecture, load_mapping, load_problem
from procrustes_model.model.batch import DENSE_BLOCK as BLOCK
from procrustes_model.model.lower import lower_mapping
from tests.amount import amount
from tests.strategies import Spec, architectures, mappings, mesh_of, problems


@st.composite
def batches(draw: st.DrawFn) -> tuple[Spec, Spec, list[Spec]]:
    """Draw a problem, three mappings of it, and an architecture with room for each of them."""
    problem = draw(problems())
    drawn = [draw(mappings(problem, 3)) for _ in range(3)]
    architecture = draw(architectures(drawn[0]))
    below = [*architecture["architecture"]["levels"][1:], architecture["architecture"]["compute"]]
    for i, child in enumerate(below):
        for axis in ("x", "y"):
            nests = [mapping["mapping"]["levels"][i] for mapping in drawn]
            child[f"mesh_{axis}"] = max(mesh_of(nest[f"spatial_{axis}"]) for nest in nests)
    return architecture, problem, drawn


def stacked(problem: Any, chosen: list[Any]) -> dict[str, np.ndarray]:
    """Return mappings as the arrays of one batch."""
    nests = [lower_mapping(problem, mapping) for mapping in chosen]
    return {name: np.concatenate([getattr(nest, name) for nest in nests]) for name in nests[0]._fields}


@pytest.mark.quick
@settings(max_examples=amount(100, 5))
@given(batches(), st.integers(1, 4))
def test_a_batch_holds_what_single_evaluations_give(
    batch: tuple[Spec, Spec, list[Spec]], threads: int
) -> None:
    architecture, problem = load_architecture(batch[0]), load_problem(batch[1])
    chosen = [load_mapping(mapping, architecture, problem) for mapping in batch[2]]
    result = evaluate_batch(architecture, problem, **stacked(problem, chosen), threads=threads)
    assert result.valid.all()
    for i, mapping in enumerate(chosen):
        single = evaluate(architecture, problem, mapping)
        assert result.energy_pj[i] == pytest.approx(single.energy_pj, rel=1e-12)
        assert result.cycles[i] == single.cycles
        for level_index, level in enumerate(single.levels):
            for tensor in level.tensors:
                position = [t.name for t in problem.tensors].index(tensor.tensor)
                counts = result.accesses[i, level_index, position].tolist()
                assert counts == [tensor.reads, tensor.fills, tensor.updates]


@pytest.fixture
def small() -> dict[str, Any]:
    """Return a machine, a problem and the arrays of one valid mapping."""
    levels = [
        {
            "name": "Far",
            "class": "dram",
            "word_bits": 16,
            "energy_pj": {"read": 1, "write": 1},
            "source": "test",
        },
        {
            "name": "Near",
            "class": "sram",
            "word_bits": 16,
            "capacity_words": 48,
            "mesh_x": 2,
            "energy_pj": {"read": 1, "write": 1},
            "source": "test",
        },
    ]
    compute = {"energy_pj": 1, "source": "test"}
    ones = np.ones((1, 2, 3), np.int64)
    return {
        "architecture": load_architecture(
            {"architecture": {"name": "a", "levels": levels, "compute": compute}}
        ),
        "problem": load_problem(
            {"problem": {"name": "p", "shape": "matmul", "dimensions": {"M": 4, "K": 4, "N": 4}}}
        ),
        "temporal": ones * [[[1], [4]]],
        "order": np.zeros((1, 2, 3), np.int64) + np.arange(3),
        "spatial": np.ones((1, 2, 2, 3), np.int64),
        "keep": np.ones((1, 2, 3), np.bool_),
    }


@pytest.mark.quick
def test_reasons_for_invalid_mappings(small: dict[str, Any]) -> None:
    assert evaluate_batch(**small).status.tolist() == [0]
    factors = small | {"temporal": small["temporal"] * 2}
    fanout = small | {"temporal": small["temporal"] // [[[1], [4]]], "spatial": small["spatial"].copy()}
    fanout["spatial"][0, 0, 0] = 4
    keep = small | {"keep": np.array([[[True, False, True], [True, True, True]]])}
    roomless = small["architecture"].model_copy(
        update={
            "levels": (
                small["architecture"].levels[0],
                small["architecture"].levels[1].model_copy(update={"capacity_words": 47}),
            )
        }
    )
    capacity = small | {"architecture": roomless}
    for arguments, status in ((factors, 2), (fanout, 3), (keep, 4), (capacity, 5)):
        result = evaluate_batch(**arguments)
        assert result.status.tolist() == [status]
        assert math.isnan(result.energy_pj[0]) and result.cycles.tolist() == [-1]
        assert not result.valid.any()


def test_a_short_last_block_changes_nothing_else(small: dict[str, Any]) -> None:
    """The first thread's mappings do not fit; the last of its blocks is a short one."""
    levels = list(small["architecture"].levels)
    levels[1] = levels[1].model_copy(update={"capacity_words": 47})
    architecture = small["architecture"].model_copy(update={"levels": tuple(levels)})
    half = BLOCK + 100
    nests = {
        name: np.repeat(small[name], 2 * half, axis=0) for name in ("temporal", "order", "spatial", "keep")
    }
    nests["temporal"][half:] = nests["temporal"][half:, ::-1].copy()
    for last in (None, nests["temporal"]):
        for threads in (1, 2, 2, 2, 2, 2):
            result = evaluate_batch(architecture, small["problem"], **nests, last=last, threads=threads)
            assert result.status.tolist() == [5] * half + [0] * half


@pytest.mark.quick
def test_wrong_arrays_are_refused(small: dict[str, Any]) -> None:
    for wrong, message in (
        ({"temporal": np.ones((1, 3, 3))}, "temporal has shape"),
        ({"keep": np.ones((2, 2, 3))}, "keep has shape"),
        ({"temporal": np.zeros((1, 2, 3), np.int64)}, "positive"),
        ({"order": np.zeros((1, 2, 3), np.int64)}, "permutation"),
    ):
        with pytest.raises(ValueError, match=message):
            evaluate_batch(**(small | wrong))


@pytest.mark.quick
def test_an_empty_batch_is_fine(small: dict[str, Any]) -> None:
    empty = {name: small[name][:0] for name in ("temporal", "order", "spatial", "keep")}
    assert evaluate_batch(small["architecture"], small["problem"], **empty).energy_pj.shape == (0,)


@pytest.mark.parametrize("factor", [9, 2**31, 2**62])
def test_a_factor_above_its_bound_is_a_status(factor: int) -> None:
    """Kernels count tiles before they multiply factors: one wrong mapping must not end the batch."""
    shape = {
        "name": "backward",
        "dimensions": ["C", "R", "P"],
        "coefficients": {"s": 2, "d": 3},
        "tensors": {
            "W": {"projection": ["C", "R"]},
            "X": {"projection": ["C", "P*s + R*d"], "output": True},
            "Y": {"projection": ["P"]},
        },
    }
    dimensions = {"C": 4, "R": 3, "P": 6}
    problem = {"problem": {"name": "backward", "shape": shape, "dimensions": dimensions}}
    temporal = np.ones((2, 3, 3), np.int64)
    temporal[:, 0] = [4, 3, 6]
    spatial = np.ones((2, 3, 2, 3), np.int64)
    spatial[1, 0, 0, 0] = factor
    order = np.tile(np.arange(3), (2, 3, 1))
    found = evaluate_batch("simple_3level", problem, temporal, order, spatial, np.ones((2, 3, 3), bool))
    assert found.status.tolist() == [0, 2]
    assert np.isnan(found.energy_pj[1]) and found.cycles[1] == -1
