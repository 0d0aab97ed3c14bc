"""Searches obey constraints, do not depend on threads, and say why nothing is valid."""

from __future__ import annotations

from typing import Any

import pytest

from procrustes_model import SpecError, evaluate, load_architecture, load_mapping, load_problem
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.mapper.obey import find_breach
from procrustes_model.mapper.pareto import find_pareto_front
from procrustes_model.mapper.search import search
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.problem import Problem

BUDGET = {"random": 50_000}
"""Mappings, by the methods that have a budget."""


@pytest.fixture(scope="module")
def machine() -> Architecture:
    return load_architecture("procrustes_16x16")


@pytest.fixture(scope="module")
def layer() -> Problem:
    dimensions = {"R": 3, "S": 3, "P": 6, "Q": 6, "C": 8, "K": 16, "N": 4}
    return load_problem({"problem": {"name": "small", "shape": "conv", "dimensions": dimensions}})


def _rules(*levels: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {"constraints": {"levels": list(levels), **others}}


def test_result_is_what_evaluate_says(machine: Architecture, layer: Problem) -> None:
    found = search(machine, layer)
    again = evaluate(machine, layer, load_mapping(found.mapping.to_dict(), machine, layer))
    assert (again.energy_pj, again.cycles) == (found.result.energy_pj, found.result.cycles)
    assert found.certificate.value == pytest.approx(again.energy_pj * again.cycles, rel=1e-12)
    assert found.certificate.proven
    assert found.certificate.gap == 0


@pytest.mark.parametrize("method", ["optimal", "random"])
def test_threads_do_not_change_the_answer(machine: Architecture, layer: Problem, method: Any) -> None:
    budget = BUDGET.get(method)
    found = [search(machine, layer, method=method, mappings=budget, seed=3, threads=n) for n in (1, 2)]
    assert found[0].mapping == found[1].mapping


@pytest.mark.parametrize("method", ["optimal", "random"])
def test_constraints_are_obeyed(machine: Architecture, layer: Problem, method: Any) -> None:
    rules = _rules(
        {
            "level": "GlobalBuffer",
            "temporal": {"factors": "N<=2 Q>=2", "order": ["P", "Q"]},
            "spatial_x": {"dimensions": ["C"], "factors": "C=8"},
            "spatial_y": {"dimensions": ["K", "N"]},
            "keep": ["Weights"],
        },
        {"level": "RegFile", "bypass": ["Inputs"]},
        min_utilization=0.4,
    )
    found = search(machine, layer, rules, "energy", method=method, mappings=BUDGET.get(method))
    buffer, registers = found.mapping.levels[1:]
    factors = {loop.dimension: loop.factor for loop in buffer.temporal}
    assert factors.get("N", 1) <= 2 <= factors["Q"]
    order = [loop.dimension for loop in buffer.temporal if loop.dimension in "PQ"]
    assert order == sorted(order)
    assert [(loop.dimension, loop.factor) for loop in buffer.spatial_x] == [("C", 8)]
    assert {loop.dimension for loop in buffer.spatial_y} <= {"K", "N"}
    assert "Weights" in buffer.keep
    assert "Inputs" not in registers.keep
    assert found.result.array_utilization >= 0.4
    constraints = load_constraints(rules, machine, layer)
    assert find_breach(found.mapping, constraints, machine, layer) is None


def test_front_holds_best_energy_and_fewest_cycles(machine: Architecture, layer: Problem) -> None:
    front = find_pareto_front(machine, layer)
    energy = [point.result.energy_pj for point in front]
    cycles = [point.result.cycles for point in front]
    assert energy == sorted(energy)
    assert cycles == sorted(cycles, reverse=True)
    assert energy[0] == pytest.approx(search(machine, layer, objective="energy").result.energy_pj, rel=1e-12)
    assert cycles[-1] == search(machine, layer, objective="cycles").result.cycles


def test_contradiction_is_named(machine: Architecture, layer: Problem) -> None:
    rules = _rules({"level": "GlobalBuffer", "spatial_x": "C=8 C<=4"})
    with pytest.raises(SpecError, match=r"C=8 \(without it") as raised:
        search(machine, layer, rules)
    assert "C<=4" in str(raised.value)


def test_fatal_capacity_is_named(machine: Architecture, layer: Problem) -> None:
    rules = _rules({"level": "RegFile", "temporal": "C=8 K=16 R=3", "keep": ["Weights"]})
    with pytest.raises(SpecError, match="fatal: capacity of 'RegFile', 256 words; the nearest miss needs 38"):
        search(machine, layer, rules)


def test_fatal_fanout_and_utilization_are_named(machine: Architecture, layer: Problem) -> None:
    wide = _rules({"level": "GlobalBuffer", "spatial_x": "C=8 N=4"})
    with pytest.raises(SpecError, match="fatal: fan-out of 'GlobalBuffer', 16 x 16") as raised:
        search(machine, layer, wide)
    assert "each rule alone lets through: 'GlobalBuffer' spatial_x C=8" in str(raised.value)
    narrow = {"level": "GlobalBuffer", "spatial_x": {"dimensions": ["P"]}, "spatial_y": {"dimensions": ["Q"]}}
    with pytest.raises(SpecError, match=r"fatal: min_utilization 0.5; the nearest miss found uses 14.1%"):
        search(machine, layer, _rules(narrow, min_utilization=0.5))


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"level": "GlobalBufer"}, "did you mean 'GlobalBuffer'"),
        ({"level": "RegFile", "temporal": "Z=2"}, "unknown dimension 'Z'"),
        ({"level": "RegFile", "temporal": "C~2"}, "C~2"),
        ({"level": "RegFile", "keep": ["Weights"], "bypass": ["Weights"]}, "kept and bypassed"),
        ({"level": "DRAM", "bypass": ["Weights"]}, "outermost"),
    ],
)
def test_wrong_constraints_are_explained(
    machine: Architecture, layer: Problem, rules: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        search(machine, layer, _rules(rules))


def test_time_limit_leaves_a_gap(machine: Architecture) -> None:
    dimensions = {"R": 3, "S": 3, "P": 56, "Q": 56, "C": 64, "K": 64, "N": 16}
    layer = {"problem": {"name": "large", "shape": "conv", "dimensions": dimensions}}
    found = search(machine, layer, seconds=1e-3)
    assert not found.certificate.proven
    assert found.certificate.lower_bound <= found.certificate.value
