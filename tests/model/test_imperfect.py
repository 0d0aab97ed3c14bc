"""Loops that are shorter in their last pass: kernels against the naive twin, and what is refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.dense import architecture_spec, mapping_spec, problem_spec

from procrustes_model import (
    SpecError,
    evaluate,
    evaluate_batch,
    explain,
    load_architecture,
    load_mapping,
    load_problem,
)
from procrustes_model.model.lower import lower_last_passes, lower_mapping
from tests.amount import amount
from tests.naive import imperfect as naive
from tests.naive.compare import assert_same
from tests.strategies import Spec, cases, imperfect_cases, with_drains

pytestmark = pytest.mark.quick


def arrays(problem: Any, mapping: Any) -> dict[str, np.ndarray]:
    """Return a mapping as the arrays of a batch of one."""
    return lower_mapping(problem, mapping)._asdict() | {"last": lower_last_passes(problem, mapping)}


def check_against_twin(case: tuple[Spec, Spec, Spec]) -> None:
    """Assert that a case gives the same numbers as in the naive twin."""
    architecture, problem = load_architecture(case[0]), load_problem(case[1])
    mapping = load_mapping(case[2], architecture, problem)
    assert_same(evaluate(architecture, problem, mapping), naive.evaluate(architecture, problem, mapping))


@settings(max_examples=amount(400, 80))
@given(imperfect_cases().flatmap(with_drains))
def test_counts_energy_and_cycles_equal_the_naive_twin(case: tuple[Spec, Spec, Spec]) -> None:
    check_against_twin(case)


@settings(max_examples=amount(40, 2))
@given(imperfect_cases(most=3000))
def test_larger_nests_too(case: tuple[Spec, Spec, Spec]) -> None:
    check_against_twin(case)


def test_the_twin_itself_gives_the_reference_counts(data: Path) -> None:
    reference = json.loads(gzip.decompress((data / "timeloop_imperfect.json.gz").read_bytes()))
    names = {"utilized_capacity": "tile_words"}
    for case in reference[:: amount(3, 30)]:
        architecture, problem = load_architecture(architecture_spec(case)), load_problem(problem_spec(case))
        found = naive.evaluate(architecture, problem, load_mapping(mapping_spec(case), architecture, problem))
        for level, expected in case["expected"]["levels"].items():
            for tensor, numbers in expected["tensors"].items():
                for key in ("reads", "fills", "updates", "utilized_capacity"):
                    assert found["counts"][level, tensor][names.get(key, key)] == numbers[key]
        assert found["total_cycles"] == case["expected"]["cycles"]


@settings(max_examples=amount(150, 5))
@given(cases())
def test_whole_passes_give_what_the_perfect_kernel_gives(case: tuple[Spec, Spec, Spec]) -> None:
    architecture, problem = load_architecture(case[0]), load_problem(case[1])
    nest = arrays(problem, load_mapping(case[2], architecture, problem))
    last = nest.pop("last")
    perfect = evaluate_batch(architecture, problem, **nest)
    imperfect = evaluate_batch(architecture, problem, **nest, last=last)
    for name in ("energy_pj", "cycles", "accesses", "status"):
        assert (getattr(perfect, name) == getattr(imperfect, name)).all()


@settings(max_examples=amount(60, 5))
@given(imperfect_cases().flatmap(with_drains), st.integers(1, 3))
def test_a_batch_holds_what_a_single_evaluation_gives(case: tuple[Spec, Spec, Spec], threads: int) -> None:
    architecture, problem = load_architecture(case[0]), load_problem(case[1])
    mapping = load_mapping(case[2], architecture, problem)
    nests = {name: np.repeat(array, 5, axis=0) for name, array in arrays(problem, mapping).items()}
    nests["last"][1, :, 0] = nests["temporal"][1]
    batch = evaluate_batch(architecture, problem, **nests, threads=threads)
    single = evaluate(architecture, problem, mapping)
    assert batch.status[[0, 2, 3, 4]].tolist() == [0] * 4
    assert batch.status[1] == (2 if mapping.imperfect else 0)
    assert batch.energy_pj[4] == pytest.approx(single.energy_pj, rel=1e-12)
    assert batch.cycles[4] == single.cycles


def machine(*levels: Spec) -> Spec:
    """Return an architecture whose levels L0, L1, ... cost 1 pJ per access."""
    cost = {"word_bits": 16, "energy_pj": {"read": 1, "write": 1}}
    storage = [{"name": f"L{i}", **cost, **level} for i, level in enumerate(levels)]
    return {"architecture": {"name": "a", "levels": storage, "compute": {"energy_pj": 1}}}


def matmul(m: int, k: int, n: int) -> Spec:
    return {"problem": {"name": "p", "shape": "matmul", "dimensions": {"M": m, "K": k, "N": n}}}


def schedule(*loops: str) -> Spec:
    nest = [{"level": f"L{i}", "temporal": text} for i, text in enumerate(loops)]
    return {"mapping": {"levels": nest}}


def test_a_small_nest_by_hand() -> None:
    """Seven elements in tiles of three: two whole tiles and one of one element."""
    architecture, problem = load_architecture(machine({}, {})), load_problem(matmul(7, 1, 2))
    by_rows = load_mapping(schedule("M=3 N=2", "M=3/1"), architecture, problem)
    result = evaluate(architecture, problem, by_rows)
    assert result.compute.computes == 14
    assert result.cycles == 3 * 2 * 3
    assert result.tensor("L1", "A").fills == 7
    assert result.tensor("L1", "A").tile_words == 3
    assert result.tensor("L1", "Z").updates == 14
    # The loop over M is right above: its short last tile is charged as a whole one.
    by_columns = load_mapping(schedule("N=2 M=3", "M=3/1"), architecture, problem)
    result = evaluate(architecture, problem, by_columns)
    assert result.tensor("L1", "A").fills == 2 * 9


def test_counts_beyond_the_limit_are_an_error() -> None:
    architecture, problem = load_architecture(machine({}, {})), load_problem(matmul(*[2**20 + 1] * 3))
    loops = schedule("M=2 K=2 N=2", " ".join(f"{d}={2**20}/1" for d in "MKN"))
    mapping = load_mapping(loops, architecture, problem)
    with pytest.raises(SpecError, match=r"a count exceeds 2\^62"):
        evaluate(architecture, problem, mapping)
    assert evaluate_batch(architecture, problem, **arrays(problem, mapping)).status.tolist() == [1]


def test_capacity_is_that_of_the_first_tile() -> None:
    problem = load_problem(matmul(7, 1, 1))
    for capacity, fits in ((7, True), (6, False)):
        architecture = load_architecture(machine({}, {"capacity_words": capacity}))
        mapping = load_mapping(schedule("M=3", "M=3/1"), architecture, problem)
        assert evaluate_batch(architecture, problem, **arrays(problem, mapping)).valid.tolist() == [fits]
    with pytest.raises(SpecError, match="1 too many"):
        evaluate(architecture, problem, mapping)


def test_batches_that_do_not_fit() -> None:
    architecture, problem = load_architecture(machine({}, {"mesh_x": 2})), load_problem(matmul(7, 1, 1))
    nest = arrays(problem, load_mapping(schedule("M=3", "M=3/1"), architecture, problem))
    for temporal, last, spatial, bound in (
        ((3, 3), (3, 2), 1, 7),  # covers 8
        ((2, 3), (2, 1), 1, 7),  # covers 4
        ((1, 7), (1, 3), 1, 3),  # partial and outermost
        ((2, 3), (2, 2), 2, 12),  # partial inside a spatial loop: covers 11
    ):
        changed = {name: array.copy() for name, array in nest.items()}
        changed["temporal"][0, :, 0], changed["last"][0, :, 0, 0] = temporal, last
        changed["spatial"][0, 0, 0, 0] = changed["last"][0, 0, 1, 0] = spatial
        other = load_problem(matmul(bound, 1, 1))
        assert evaluate_batch(architecture, other, **changed).status.tolist() == [2]
    for wrong, message in (
        (nest["last"][:, :1], "last has shape"),
        (nest["last"] * 0, "last passes must be positive"),
        (nest["last"][:, :, 0] * 0, "last passes must be positive"),
        (nest["last"] * 4, "at most the factors"),
    ):
        with pytest.raises(ValueError, match=message):
            evaluate_batch(architecture, problem, **(nest | {"last": wrong}))


def test_explain_says_that_it_cannot() -> None:
    architecture, problem = load_architecture(machine({}, {})), load_problem(matmul(7, 1, 1))
    mapping = load_mapping(schedule("M=3", "M=3/1"), architecture, problem)
    with pytest.raises(SpecError, match="M=3/1"):
        explain(architecture, problem, mapping, "L1", "A")
