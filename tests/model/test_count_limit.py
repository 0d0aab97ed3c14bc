"""Counts are exact up to 2^62; beyond, every verb refuses in the same words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from procrustes_model import SpecError, evaluate, evaluate_batch, load_architecture, load_problem, search
from procrustes_model.kernels.dense.nest import is_beyond
from procrustes_model.vocabulary import Status

SIDE = 2**31
BEYOND = r"a count exceeds 2\^62"
DESIGN = {"sparsity": {"name": "half", "densities": {"A": 0.5}}}
SHAPE: dict[str, Any] = {
    "name": "product",
    "dimensions": ["M", "N"],
    "tensors": {
        "A": {"projection": ["M", "N"]},
        "B": {"projection": ["M", "N"]},
        "Z": {"projection": ["M", "N"], "output": True},
    },
}


def _machine(bandwidth: float | None = None) -> Any:
    levels = [
        {"name": name, "word_bits": 16, "energy_pj": {"read": 1, "write": 1}} for name in ("Far", "Near")
    ]
    levels[1]["capacity_words"] = 64
    if bandwidth is not None:
        levels[0]["read_bandwidth"] = bandwidth
    return load_architecture({"architecture": {"name": "a", "levels": levels, "compute": {"energy_pj": 1}}})


def _problem(m: int, n: int) -> Any:
    return load_problem({"problem": {"name": "p", "shape": SHAPE, "dimensions": {"M": m, "N": n}}})


def _mapping(m: int, n: int) -> dict[str, Any]:
    return {"mapping": {"levels": [{"level": "Far", "temporal": f"M={m} N={n}"}, {"level": "Near"}]}}


def _batch(machine: Any, problem: Any, m: int, n: int, **options: Any) -> Any:
    temporal = np.ones((1, 2, 2), np.int64)
    temporal[0, 0] = m, n
    order, spatial = np.tile(np.arange(2), (1, 2, 1)), np.ones((1, 2, 2, 2), np.int64)
    return evaluate_batch(machine, problem, temporal, order, spatial, np.ones((1, 2, 3), bool), **options)


@pytest.mark.parametrize("options", [{}, {"sparsity": DESIGN}], ids=["dense", "sparse"])
@pytest.mark.parametrize("side", [SIDE - 1, SIDE])
def test_all_verbs_accept_what_reaches_the_limit(side: int, options: dict[str, Any]) -> None:
    machine, problem = _machine(), _problem(SIDE, side)
    result = evaluate(machine, problem, _mapping(SIDE, side), **options)
    batch = _batch(machine, problem, SIDE, side, **options)
    assert batch.status.tolist() == [Status.OK]
    assert (batch.energy_pj[0], batch.cycles[0]) == (result.energy_pj, result.cycles)
    assert result.cycles == SIDE * side
    for method, budget in (("optimal", None), ("random", 2_000)):
        found = search(machine, problem, None, "energy", method=method, mappings=budget, threads=1, **options)  # type: ignore[call-overload]
        assert found.result.cycles == SIDE * side
        assert found.result.energy_pj <= result.energy_pj
    assert search(machine, problem, None, "energy", threads=1).certificate.proven


@pytest.mark.parametrize("options", [{}, {"sparsity": DESIGN}], ids=["dense", "sparse"])
def test_all_verbs_refuse_what_goes_beyond(options: dict[str, Any]) -> None:
    machine, problem = _machine(bandwidth=0.25), _problem(SIDE, SIDE)
    with pytest.raises(SpecError, match=BEYOND):
        evaluate(machine, problem, _mapping(SIDE, SIDE), **options)
    batch = _batch(machine, problem, SIDE, SIDE, **options)
    assert batch.status.tolist() == [Status.OVERFLOW]
    assert np.isnan(batch.energy_pj[0])
    for method, budget in (("optimal", None), ("random", 64)):
        with pytest.raises(SpecError, match=BEYOND):
            search(machine, problem, method=method, mappings=budget, threads=1, **options)  # type: ignore[call-overload]


@pytest.mark.quick
def test_more_operations_are_no_problem_that_can_be_read() -> None:
    with pytest.raises(SpecError, match=r"the product of the bounds is more than 2\^62"):
        load_problem(
            {"problem": {"name": "p", "shape": "matmul", "dimensions": {"M": SIDE, "K": SIDE, "N": 2}}}
        )


@pytest.mark.quick
@pytest.mark.parametrize("a", [1, 2, 3, 7, 2**20 - 1, 2**31, 2**31 + 1, 2**61 - 1, 2**62])
def test_the_limit_is_exact(a: int) -> None:
    most = 2**62 // a
    assert not is_beyond(np.int64(a), np.int64(most))
    assert is_beyond(np.int64(a), np.int64(most + 1))
    assert is_beyond(np.int64(a), np.int64(2**62)) == (a > 1)


def test_records_of_computations_are_exact_beyond_what_a_double_holds() -> None:
    side = 3**17
    result = evaluate(_machine(), _problem(side, side), _mapping(side, side))
    assert side * side > 2**53 and float(side * side) != side * side
    assert result.computes_per_instance == side * side
    assert [row["count"] for row in result.to_records() if row["action"] == "compute"] == [side * side]
