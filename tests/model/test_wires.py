"""Networks, wide sums, homes, shared ports and rates against the naive twin, on random nests."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from procrustes_model import (
    SpecError,
    evaluate,
    evaluate_batch,
    load_architecture,
    load_mapping,
    load_problem,
)
from procrustes_model.model.lower import lower_mapping
from tests.amount import amount
from tests.furnished import furnish, settle
from tests.naive import networks as naive
from tests.strategies import Spec, cases

pytestmark = pytest.mark.quick


def assert_same(result: Any, expected: dict[str, Any]) -> None:
    """Assert that all of a result is the twin's."""
    for level in result.levels:
        for t in level.tensors:
            if (level.name, t.tensor) in expected["counts"]:
                numbers = expected["counts"][level.name, t.tensor]
                found = (t.tile_words, t.reads, t.fills, t.updates)
                assert found == tuple(numbers[key] for key in ("tile_words", "reads", "fills", "updates"))
            assert t.energy_pj == pytest.approx(expected["energy"].get((level.name, t.tensor), 0.0), rel=1e-9)
        assert level.cycles == expected["cycles"][level.name]
    for network in result.networks:
        assert network.bits == pytest.approx(expected["traffic"].get(network.level, 0.0), rel=1e-9)
        for tensor, energy in network.energy_by_tensor_pj.items():
            assert energy == pytest.approx(expected["networks"][network.level, tensor], rel=1e-9)
        if network.cycles is not None:
            assert network.cycles == expected["cycles"][network.name]
    for component in result.components:
        assert component.cycles == expected["cycles"].get(component.name)
    assert result.cycles == expected["total_cycles"]
    assert result.energy_pj == pytest.approx(expected["total_energy"], rel=1e-9)


@settings(max_examples=amount(300, 120))
@given(cases(), st.integers(0, 10**9), st.booleans())
def test_machines_equal_the_naive_twin(case: tuple[Spec, Spec, Spec], seed: int, homes: bool) -> None:
    rng = random.Random(seed)  # noqa: S311
    problem = load_problem(case[1])
    tensors = [tensor.name for tensor in problem.tensors]
    furnish(rng, case[0], tensors, problem.output.name)
    levels = case[0]["architecture"]["levels"]
    if homes and len(levels) > 1:
        settle(rng, case[0], tensors)
        nest, later = case[2]["mapping"]["levels"], set()
        for level, here in zip(nest[::-1], levels[::-1], strict=True):
            mine = set(here.get("resident", ()))
            level["keep"] = sorted({*level["keep"], *mine} - later)
            later |= mine
    try:
        architecture = load_architecture(case[0])
        mapping = load_mapping(case[2], architecture, problem)
        result = evaluate(architecture, problem, mapping)
    except SpecError as error:
        if not (homes or "partial sums have" in str(error)):
            raise
        assume(False)
    assert_same(result, naive.evaluate(architecture, problem, mapping))
    batch = evaluate_batch(architecture, problem, *lower_mapping(problem, mapping))
    assert batch.valid[0] == (batch.status[0] == 0)
    if batch.valid[0]:
        assert batch.energy_pj[0] == pytest.approx(result.energy_pj, rel=1e-12)
        assert batch.cycles[0] == result.cycles


@settings(max_examples=amount(100, 40))
@given(cases(), st.integers(0, 10**9))
def test_networks_may_carry_zeros_too(case: tuple[Spec, Spec, Spec], seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311
    problem = load_problem(case[1])
    tensors = [tensor.name for tensor in problem.tensors]
    furnish(rng, case[0], tensors, problem.output.name)
    operand = next(tensor.name for tensor in problem.tensors if not tensor.is_output)
    design = {
        "name": "zeros",
        "densities": {operand: {"model": "fixed", "density": 0.5}},
        "formats": {operand: {"*": "bitmask"}},
        "compute": {"gate": operand},
        "rules": {"network_words": "dense"},
    }
    try:
        architecture = load_architecture(case[0])
        mapping = load_mapping(case[2], architecture, problem)
        result = evaluate(architecture, problem, mapping, sparsity={"sparsity": design})
    except SpecError as error:
        if "partial sums have" not in str(error):
            raise
        assume(False)
    expected = naive.evaluate(architecture, problem, mapping)
    for network in result.networks:
        assert network.bits == pytest.approx(expected["traffic"].get(network.level, 0.0), rel=1e-9)
        for tensor, energy in network.energy_by_tensor_pj.items():
            assert energy == pytest.approx(expected["networks"][network.level, tensor], rel=1e-9)


@pytest.mark.parametrize("words", ["sent", "dense"])
def test_instances_without_a_tile_send_nothing(words: str) -> None:
    wire = {"topology": "link", "hop_pj_per_bit": 0.25, "sums": "stay"}
    level = {"word_bits": 8, "energy_pj": {"read": 1, "write": 1}}
    levels = [{"name": "Far", **level}, {"name": "Near", **level, "network": wire}]
    levels[1] |= {"mesh_x": 8}
    machine = {"name": "m", "levels": levels, "compute": {"energy_pj": 1}}
    architecture = load_architecture({"architecture": machine})
    bounds = {"C": 8, "K": 2, "N": 1}
    problem = load_problem({"problem": {"name": "fc", "shape": "fully_connected", "dimensions": bounds}})
    nest = [{"level": "Far", "spatial_x": "C=8"}, {"level": "Near", "temporal": "K=2"}]
    mapping = load_mapping({"mapping": {"name": "n", "levels": nest}}, architecture, problem)
    design = {
        "name": "zeros",
        "densities": {"Inputs": {"model": "fixed", "density": 0.25}},
        "formats": {"Inputs": {"*": {"kind": "coordinate"}}},
        "rules": {"rounding": "whole_words", "empty_tiles": "unused", "network_words": words},
    }
    result = evaluate(architecture, problem, mapping, sparsity={"sparsity": design})
    counts = result.tensor("Near", "Inputs").sparse
    assert (counts.used_instances, counts.actual[0]) == (2, 2)
    bits = counts.actual[0] * 8 * counts.used_instances + counts.metadata[0] * 8 * counts.used_instances
    (network,) = result.networks
    assert network.energy_by_tensor_pj["Inputs"] == 0.25 * (bits if words == "sent" else 2 * 8 * 8)
