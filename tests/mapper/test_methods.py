"""All methods on one small space: with constraints, zeros, masks and shorter last passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from procrustes_model import evaluate, load_architecture, load_mapping, load_problem, load_sparsity, search
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.mapper.space import Space
from tests.amount import amount
from tests.mapper.cases import count_combinations

pytestmark = pytest.mark.quick

MACHINE: dict[str, Any] = {
    "architecture": {
        "name": "tiny",
        "levels": [
            {"name": "Far", "word_bits": 8, "energy_pj": {"read": 20, "write": 25}, "read_bandwidth": 2},
            {"name": "Near", "word_bits": 8, "capacity_words": 14, "energy_pj": {"read": 2, "write": 3}},
            {"name": "Register", "word_bits": 8, "capacity_words": 4, "mesh_x": 2, "mesh_y": 2}
            | {"energy_pj": {"read": 0.5, "write": 0.5, "update": 1}},
        ],
        "compute": {"energy_pj": 1},
    }
}
MATMUL = {"problem": {"name": "small", "shape": "matmul", "dimensions": {"M": 2, "K": 2, "N": 2}}}
SLIDE: dict[str, Any] = {
    "problem": {
        "name": "slide",
        "shape": {
            "name": "slide",
            "dimensions": ["P", "R", "C"],
            "tensors": {
                "A": {"projection": ["C", "R"]},
                "B": {"projection": ["C", "P + R"]},
                "Z": {"projection": ["P"], "output": True},
            },
        },
        "dimensions": {"P": 2, "R": 2, "C": 1},
    }
}
DESIGN: dict[str, Any] = {
    "sparsity": {
        "name": "skipping",
        "densities": {"A": 0.5},
        "formats": {"A": {"*": {"kind": "csb", "pointer_bits": 4, "block": 2}}},
        "actions": [{"level": "Register", "skip": "B", "on": "A"}],
        "compute": {"skip": "A"},
        "balancing": {"policy": "half_tile", "tensor": "A", "array": "Register"},
        "capacity": {"size": "quantile"},
    }
}
LARGEST = amount(300_000, 1_000)
"""Mappings of the largest space in which each is tried."""


def _rules(problem: dict[str, Any]) -> dict[str, Any]:
    """Return constraints of every kind."""
    first, second = list(problem["problem"]["dimensions"])[:2]
    far = {"level": "Far", "temporal": {"factors": f"{first}<=2", "order": [first, second]}}
    near = {"level": "Near", "spatial_x": {"dimensions": [first]}, "keep": ["A"], "bypass": ["Z"]}
    return {"constraints": {"levels": [far, near], "min_utilization": 0.25}}


@pytest.mark.parametrize("problem", [MATMUL, SLIDE], ids=["matmul", "slide"])
@pytest.mark.parametrize("constrained", [False, True], ids=["free", "constrained"])
@pytest.mark.parametrize("zeros", ["none", "expected", "masks"])
def test_all_methods_agree(problem: dict[str, Any], constrained: bool, zeros: str) -> None:
    given: dict[str, Any] = {"constraints": _rules(problem) if constrained else None, "threads": 1}
    sparse: dict[str, Any] = {} if zeros == "none" else {"sparsity": load_sparsity(DESIGN)}
    if zeros == "masks":
        shape = tuple(
            problem["problem"]["dimensions"][d] for d in (("M", "K") if problem is MATMUL else "CR")
        )
        sparse["masks"] = {"A": np.random.default_rng(0).random(shape) < 0.5}
    machine, work = load_architecture(MACHINE), load_problem(problem)
    size = count_combinations(Space(machine, work, load_constraints(given["constraints"], machine, work)))
    methods = {"optimal": None, "random": 64} | ({"exhaustive": None} if size <= LARGEST else {})
    objectives: tuple[Any, ...] = amount(("energy", "edp", "cycles"), ("edp" if constrained else "energy",))
    for objective in objectives:
        found = {
            method: search(
                machine,
                work,
                objective=objective,
                method=method,
                mappings=budget,
                **given,
                **sparse,  # type: ignore[arg-type]
            )
            for method, budget in methods.items()
        }
        value = {method: one.certificate.value for method, one in found.items()}
        bound = found["optimal"].certificate.lower_bound
        assert bound <= min(value.values()) * (1 + 1e-9)
        assert value.get("exhaustive", 0) <= min(value.values()) * (1 + 1e-9)
        if zeros == "none":
            assert found["optimal"].certificate.proven
            assert value["optimal"] <= min(value.values()) * (1 + 1e-9)
        for one in found.values():
            mapping = load_mapping(one.mapping.to_dict(), machine, work)
            again = evaluate(machine, work, mapping, **sparse)
            assert (again.energy_pj, again.cycles) == (one.result.energy_pj, one.result.cycles)


@pytest.mark.parametrize("method", amount(["optimal", "exhaustive"], ["optimal"]))
def test_shorter_last_passes_are_no_worse(method: Any) -> None:
    prime = {"problem": MATMUL["problem"] | {"dimensions": {"M": 3, "K": 2, "N": 1}}}
    machine, work = load_architecture(MACHINE), load_problem(prime)
    whole = search(machine, work, threads=1)
    found = search(machine, work, threads=1, imperfect=True, method=method, mappings=64)
    assert found.certificate.value <= whole.certificate.value * (1 + 1e-9)
    again = evaluate(machine, work, load_mapping(found.mapping.to_dict(), machine, work))
    assert (again.energy_pj, again.cycles) == (found.result.energy_pj, found.result.cycles)
