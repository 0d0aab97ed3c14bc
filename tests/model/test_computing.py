"""What computations cost by operands and phases, and when units wait for their array or a level."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from procrustes_model import (
    SpecError,
    evaluate,
    load_architecture,
    load_mapping,
    load_problem,
    load_sparsity,
    search,
)
from procrustes_model.report.terminal.resolved import format_resolved
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.architecture_written import write_architecture
from procrustes_model.spec.problem import Problem
from procrustes_model.vocabulary import PHASES
from procrustes_model.workloads.phases import in_phase
from tests.naive import systolic

LEVEL = {"word_bits": 32, "energy_pj": {"read": 1, "write": 2}}
LAYER = {"name": "fc", "shape": "fully_connected", "dimensions": {"C": 8, "K": 4, "N": 2}}


def machine(compute: dict[str, Any], **inner: Any) -> Architecture:
    levels = [{"name": "DRAM", **LEVEL}, {"name": "Buffer", **LEVEL, **inner}]
    return load_architecture(
        {"architecture": {"name": "m", "attributes": {"unit": 64}, "levels": levels, "compute": compute}}
    )


def problem(phase: str = "forward", **bits: int) -> Problem:
    layer = load_problem({"problem": {**LAYER, "bits": bits} if bits else {**LAYER}})
    return in_phase(layer, phase)


def run(architecture: Architecture, layer: Problem, sparsity: Any = None) -> Any:
    nest = {
        "levels": [{"level": "DRAM"}, {"level": "Buffer", "temporal": "C=8 K=4 N=2"}],
        "name": "nest",
    }
    mapping = load_mapping({"mapping": nest}, architecture, layer)
    return evaluate(architecture, layer, mapping, sparsity=sparsity)


def test_energy_follows_the_bits_of_operands() -> None:
    architecture = machine({"energy_pj": "3.1 * w * x / (unit * 16)"})
    assert run(architecture, problem(Weights=4, Inputs=8)).compute.energy_pj == pytest.approx(
        64 * 3.1 * 32 / 1024
    )
    assert run(architecture, problem()).compute.energy_pj == pytest.approx(64 * 3.1)
    written = load_architecture({"architecture": write_architecture(architecture.model_dump(mode="json"))})
    assert written.compute == architecture.compute
    assert "3.1 * w * x / ((64) * 16)" in format_resolved(architecture)


def test_operands_are_those_of_the_phase() -> None:
    architecture = machine({"energy_pj": "100 * w + x"})
    bits = {"Weights": 2, "Inputs": 4, "Outputs": 16}
    each = {p: run(architecture, problem(p, **bits)).compute.energy_pj / 64 for p in PHASES}
    assert each == {"forward": 204.0, "backward": 216.0, "weight_update": 416.0}


def test_forward_in_8_bits_and_gradients_in_16_take_five_thirds() -> None:
    architecture = machine({"energy_pj": "w * x / unit", "cycles_per_compute": "w * x / unit"})
    narrow = dict.fromkeys(("Weights", "Inputs", "Outputs"), 8)

    def total(gradient: int) -> tuple[float, int]:
        results = [run(architecture, problem("forward", **narrow))]
        results += [run(architecture, problem(p, **narrow | {"Outputs": gradient})) for p in PHASES[1:]]
        return sum(one.compute.energy_pj for one in results), sum(one.compute.cycles for one in results)

    assert [a / b for a, b in zip(total(16), total(8), strict=True)] == [5 / 3, 5 / 3]


def test_energy_by_phase() -> None:
    architecture = machine({"energy_pj": {"forward": 0.0397, "backward": 0.278}})
    assert run(architecture, problem("backward")).compute.energy_pj == pytest.approx(64 * 0.278)
    with pytest.raises(SpecError, match="MAC has no 'energy_pj' for the phase weight_update of fc"):
        run(architecture, problem("weight_update"))


def test_bit_serial_units_take_cycles_and_are_used_fully() -> None:
    result = run(machine({"energy_pj": 1, "cycles_per_compute": "ceil(x / 2)"}), problem(Inputs=5))
    assert (result.cycles, result.compute.cycles_per_compute, result.utilization) == (192, 3, 1)
    assert result.to_dict()["compute"]["cycles_per_compute"] == 3
    assert "cycles_per_compute" not in run(machine({"energy_pj": 1}), problem()).to_dict()["compute"]


@pytest.mark.parametrize(
    ("compute", "message"),
    [
        ({"energy_pj": "w * y"}, "unknown name 'y'"),
        ({"energy_pj": "w * "}, "is not an expression"),
        ({"energy_pj": -1}, "'energy_pj' must be at least 0, is -1"),
        ({"energy_pj": {"forwards": 1}}, "unknown phase 'forwards'"),
        ({"energy_pj": {}}, "no phase is given an amount"),
        ({"energy_pj": {"forward": "much"}}, "unknown name 'much'"),
        ({"energy_pj": 1, "cycles_per_compute": 0}, "'cycles_per_compute' must be more than 0, is 0"),
        ({"energy_pj": 1, "fill_drain_cycles": 3}, "there is one compute unit, no array"),
    ],
)
def test_what_makes_no_sense_is_refused(compute: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message.replace("(", r"\(")):
        machine(compute)


def test_expressions_without_a_value_name_their_place(tmp_path: Path) -> None:
    file = tmp_path / "machine.yaml"
    levels = [{"name": "DRAM", **LEVEL}]
    content = {"name": "m", "levels": levels, "compute": {"energy_pj": "4 - w"}}
    file.write_text(yaml.safe_dump({"architecture": content}, sort_keys=False))
    architecture = load_architecture(file)
    mapping = {"mapping": {"name": "n", "levels": [{"level": "DRAM", "temporal": "C=8 K=4 N=2"}]}}
    with pytest.raises(SpecError, match=r"machine.yaml:\d+:\d+: 'energy_pj' of MAC for fc: 4 - w is -28"):
        evaluate(architecture, problem(), load_mapping(mapping, architecture, problem()))
    single = load_problem(
        {
            "problem": {
                "name": "sum",
                "shape": {
                    "name": "sum",
                    "dimensions": ["C", "K"],
                    "tensors": {
                        "A": {"projection": ["C", "K"]},
                        "Z": {"projection": ["K"], "output": True},
                    },
                },
                "dimensions": {"C": 4, "K": 2},
            }
        }
    )
    nest = {"mapping": {"name": "n", "levels": [{"level": "DRAM", "temporal": "C=4 K=2"}]}}
    with pytest.raises(SpecError, match="the bits of the two operands"):
        evaluate(architecture, single, load_mapping(nest, architecture, single))


GATED: dict[str, Any] = {
    "name": "d",
    "densities": {"Weights": {"model": "fixed", "density": 0.5}},
    "formats": {"Weights": {"Buffer": "bitmask"}},
    "compute": {"skip": "Weights"},
}


def test_gated_and_skipped_computations_have_prices() -> None:
    unit = {"energy_pj": 10, "gated_energy_pj": "w / 32", "skipped_energy_pj": 0.5}
    gating = load_sparsity({"sparsity": {**GATED, "formats": {}, "compute": {"gate": "Weights"}}})
    skipping = load_sparsity({"sparsity": GATED})
    share = load_sparsity(
        {"sparsity": {**GATED, "formats": {}, "compute": {"gate": "Weights", "gated_energy": 0.2}}}
    )
    assert run(machine(unit), problem(), gating).compute.energy_pj == pytest.approx(320 + 32)
    assert run(machine(unit), problem(), skipping).compute.energy_pj == pytest.approx(320 + 16)
    assert run(machine(unit), problem(), share).compute.energy_pj == pytest.approx(320 + 64)


def test_a_level_double_buffered_takes_half_and_one_that_is_not_lets_units_wait() -> None:
    compute = {"energy_pj": 1}
    tiles = 8 * 4 + 8 * 2 + 4 * 2
    assert run(machine(compute, capacity_words=tiles), problem()).cycles == 64
    assert run(machine(compute, capacity_words=2 * tiles, double_buffered=True), problem()).cycles == 64
    with pytest.raises(SpecError, match="take 56 words, its capacity is 55"):
        run(machine(compute, capacity_words=2 * tiles - 1, double_buffered=True), problem())
    waiting = machine(compute, write_bandwidth=2, double_buffered=False)
    assert run(waiting, problem()).cycles == 64 + (8 * 4 + 8 * 2) // 2
    with pytest.raises(SpecError, match="has no effect without a capacity"):
        machine(compute, double_buffered=True)
    with pytest.raises(SpecError, match="has no effect without 'write_bandwidth'"):
        machine(compute, double_buffered=False)


def test_idle_levels_take_energy_every_cycle() -> None:
    energy = {"read": 1, "write": 2, "idle": 0.25}
    result = run(machine({"energy_pj": 1}, energy_pj=energy), problem())
    plain = run(machine({"energy_pj": 1}), problem())
    assert result.energy_pj == plain.energy_pj + 64 * 0.25
    assert [(one.name, one.action, one.power_mw) for one in result.leakage] == [("Buffer", "idle", None)]
    assert [row["energy_pj"] for row in result.to_records() if row["action"] == "idle"] == [16]


@settings(max_examples=25)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 5), st.integers(1, 3), st.integers(1, 3))
def test_an_array_that_fills_and_drains_equals_a_systolic_one(
    rows: int, columns: int, steps: int, folds_k: int, folds_m: int
) -> None:
    if rows * columns == 1:
        columns = 2
    rng = np.random.default_rng(rows + 10 * columns + steps)
    weights = rng.integers(-9, 9, (rows * folds_k, columns * folds_m))
    operands = rng.integers(-9, 9, (steps, rows * folds_k))
    product, cycles = systolic.multiply(weights, operands, rows, columns)
    assert (product == operands @ weights).all()
    level = {"word_bits": 8, "energy_pj": {"read": 1, "write": 1}}
    architecture = load_architecture(
        {
            "architecture": {
                "name": "systolic",
                "attributes": {"rows": rows, "columns": columns},
                "levels": [
                    {"name": "Buffer", **level},
                    {"name": "PE", "mesh_x": "columns", "mesh_y": "rows", **level, "tensors": ["Weights"]},
                ],
                "compute": {"energy_pj": 1, "fill_drain_cycles": "2 * rows + columns - 2"},
            }
        }
    )
    bounds = {"C": rows * folds_k, "K": columns * folds_m, "N": steps}
    layer = load_problem({"problem": {"name": "fc", "shape": "fully_connected", "dimensions": bounds}})
    outer = {
        "level": "Buffer",
        "temporal": f"C={folds_k} K={folds_m}",
        "spatial_x": f"K={columns}",
        "spatial_y": f"C={rows}",
        "keep": ["Weights", "Inputs", "Outputs"],
    }
    inner = {"level": "PE", "temporal": f"N={steps}", "keep": ["Weights"]}
    mapping = load_mapping({"mapping": {"name": "ws", "levels": [outer, inner]}}, architecture, layer)
    assert evaluate(architecture, layer, mapping).cycles == cycles


def test_a_search_knows_what_computations_take() -> None:
    unit = {"energy_pj": "w * x / 64", "cycles_per_compute": 2.5, "mesh_x": 4}
    found = search(machine(unit), problem(Weights=8, Inputs=4), objective="edp")
    assert found.certificate.proven
    assert found.result.cycles == 40
    again = copy.deepcopy(found.mapping.to_dict())
    layer = problem(Weights=8, Inputs=4)
    assert evaluate(machine(unit), layer, load_mapping(again, machine(unit), layer)).energy_pj == (
        found.result.energy_pj
    )
