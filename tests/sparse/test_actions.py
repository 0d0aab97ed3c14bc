"""Several actions, what gating costs, sampled outputs, and what would have no effect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from procrustes_model import (
    Evaluator,
    SpecError,
    evaluate,
    load_architecture,
    load_mapping,
    load_problem,
    load_sparsity,
    search,
)
from procrustes_model.vocabulary import Status

LEVEL = {"word_bits": 16, "energy_pj": {"read": 1, "write": 1}}
ARCHITECTURE = load_architecture(
    {
        "architecture": {
            "name": "array",
            "levels": [
                {"name": "DRAM", **LEVEL},
                {"name": "Buffer", **LEVEL},
                {"name": "RegFile", "mesh_x": 32, **LEVEL},
            ],
            "compute": {"energy_pj": 1},
        }
    }
)
PROBLEM = load_problem(
    {
        "problem": {
            "name": "three_operands",
            "shape": {
                "name": "three",
                "dimensions": ["I", "J"],
                "tensors": {
                    "A": {"projection": ["I", "J"]},
                    "B": {"projection": ["J"]},
                    "C": {"projection": ["I"]},
                    "Z": {"projection": ["I"], "output": True},
                },
            },
            "dimensions": {"I": 64, "J": 64},
        }
    }
)
NEST = {
    "levels": [
        {"level": "DRAM"},
        {"level": "Buffer", "temporal": "J=64 I=2", "spatial_x": "I=32"},
        {"level": "RegFile"},
    ]
}
A_BITMASK = {"A": {"*": "bitmask"}}


def evaluated(nest: Any = NEST, **design: Any) -> Any:
    """Evaluate a design on the array."""
    mapping = load_mapping({"mapping": nest}, ARCHITECTURE, PROBLEM)
    sparsity = load_sparsity({"sparsity": {"name": "d", **design}})
    return evaluate(ARCHITECTURE, PROBLEM, mapping, sparsity=sparsity)


@pytest.mark.parametrize("kind", ["skip", "gate"])
def test_two_actions_with_one_leader_count_its_zeros_once(kind: str) -> None:
    actions = [{"level": "RegFile", kind: name, "on": "A"} for name in ("B", "C")]
    found = evaluated(densities={"A": 0.1}, actions=actions)
    assert found.computes.actual == pytest.approx(410, rel=1e-12)  # of 4,096: ceil(409.6)
    assert found.sparse("RegFile", "B").actual[0] == pytest.approx(410 / 32, rel=1e-12)
    assert found.computes.gated == pytest.approx(3686 if kind == "gate" else 0, rel=1e-12)
    assert found.cycles == (128 if kind == "gate" else 13)


def test_an_operand_that_is_skipped_already_loses_nothing_more() -> None:
    actions = [{"level": "RegFile", "skip": name, "on": "A"} for name in ("B", "C")]
    found = evaluated(densities={"A": 0.1}, formats=A_BITMASK, actions=actions, compute={"skip": "A"})
    assert found.computes.actual == pytest.approx(410, rel=1e-12)
    assert found.computes.skipped == pytest.approx(0, abs=1e-9)


def test_different_leaders_are_independent() -> None:
    actions = [{"level": "RegFile", "skip": "C", "on": name} for name in ("A", "B")]
    found = evaluated(densities={"A": 0.25, "B": 0.5}, actions=actions)
    assert found.computes.actual == pytest.approx(4096 / 8, rel=1e-12)
    counts = found.sparse("RegFile", "C")
    assert counts.skipped[0] == pytest.approx(counts.dense[0] * 7 / 8, rel=1e-12)


def test_skipping_goes_before_gating() -> None:
    actions = [
        {"level": "RegFile", "gate": "C", "on": "A"},
        {"level": "RegFile", "skip": "C", "on": "B"},
    ]
    found = evaluated(densities={"A": 0.25, "B": 0.5}, actions=actions)
    counts = found.sparse("RegFile", "C")
    assert counts.skipped[0] == pytest.approx(counts.dense[0] / 2, rel=1e-12)
    assert counts.gated[0] == pytest.approx(counts.dense[0] * 3 / 8, rel=1e-12)
    assert (found.computes.actual, found.computes.gated) == pytest.approx((512, 1536), rel=1e-12)


def test_a_level_further_in_saves_on_top_of_what_does_not_arrive() -> None:
    """Also where it saves less by itself."""
    actions = [
        {"level": "Buffer", "skip": "B", "on": "C"},
        {"level": "RegFile", "skip": "B", "on": "A"},
    ]
    nest = {
        "levels": [
            {"level": "DRAM", "temporal": "I=64 J=64"},
            {"level": "Buffer"},
            {"level": "RegFile"},
        ]
    }
    found = evaluated(nest, densities={"A": 0.75, "C": 0.25}, actions=actions)
    outer, inner = found.sparse("Buffer", "B"), found.sparse("RegFile", "B")
    assert outer.skipped[0] == pytest.approx(outer.dense[0] * 0.75, rel=1e-12)
    assert inner.skipped[0] == pytest.approx(inner.dense[0] * 0.25 * 0.25, rel=1e-12)
    assert inner.actual[0] == pytest.approx(inner.dense[0] * 0.25 * 0.75, rel=1e-12)


@pytest.mark.parametrize(("rule", "cycles"), [("take_cycle", 128), ("dropped", 13)])
def test_what_is_gated_takes_its_cycle(rule: str, cycles: int) -> None:
    """With or without a bandwidth; another tool's rule drops it."""
    actions = [{"level": "RegFile", "gate": "B", "on": "A"}]
    found = evaluated(densities={"A": 0.1}, actions=actions, rules={"gated_operands": rule})
    assert found.cycles == cycles
    assert found.computes.actual == pytest.approx(410, rel=1e-12)


def test_an_output_can_be_sampled() -> None:
    """Sums that nobody wants are not computed, and what they would read is skipped."""
    found = evaluated(
        densities={"Z": 0.25},
        compute={"skip": "Z"},
        actions=[{"level": "RegFile", "skip": "B", "on": "Z"}, {"level": "RegFile", "skip": "Z", "on": "Z"}],
    )
    assert found.computes.actual == pytest.approx(1024, rel=1e-12)
    assert found.cycles == 32
    for tensor, action in (("B", 0), ("Z", 2)):
        counts = found.sparse("RegFile", tensor)
        assert counts.actual[action] == pytest.approx(counts.dense[action] / 4, rel=1e-12)


def test_a_storage_level_skips_without_a_format() -> None:
    found = evaluated(densities={"A": 0.5}, actions=[{"level": "Buffer", "skip": "A", "on": "A"}])
    counts = found.sparse("Buffer", "A")
    assert counts.skipped[0] == pytest.approx(counts.dense[0] / 2, rel=1e-12)


IDLE = [
    (
        {"compute": {"skip": "B"}},
        NEST,
        "'B' never arrives compressed: its zeros cannot be skipped",
    ),
    (
        {"actions": [{"level": "RegFile", "skip": "B", "on": "A"}]},
        {"levels": [*NEST["levels"][:2], {"level": "RegFile", "bypass": ["B"]}]},
        "RegFile bypasses 'B', whose accesses the design d saves there",
    ),
    (
        {"formats": {"A": {"DRAM": "bitmask"}}, "compute": {"skip": "A"}},
        NEST,
        "compute units get 'A' from RegFile, uncompressed: the design d cannot skip its zeros",
    ),
]


@pytest.mark.parametrize(("design", "nest", "message"), IDLE)
def test_what_has_no_effect_is_refused(design: Any, nest: Any, message: str) -> None:
    with pytest.raises(SpecError) as raised:
        evaluated(nest, densities={"A": 0.1, "B": 0.5}, **design)
    assert message in str(raised.value)


def test_a_level_that_cannot_keep_a_tensor_saves_nothing_of_it(tmp_path: Path) -> None:
    machine = yaml.safe_load(
        """
        architecture:
          name: two
          levels:
            - {name: DRAM, word_bits: 16, energy_pj: {read: 1, write: 1}}
            - {name: Weights, word_bits: 16, tensors: [A], energy_pj: {read: 1, write: 1}}
          compute: {energy_pj: 1}
        """
    )
    path = tmp_path / "design.yaml"
    path.write_text(
        "sparsity:\n  name: d\n  densities: {A: 0.1}\n  actions:\n    - {level: Weights, skip: B, on: A}\n"
    )
    with pytest.raises(SpecError) as raised:
        Evaluator(machine, PROBLEM, sparsity=path)
    issue = raised.value.issues[0]
    assert issue.message == "Weights of two does not keep 'B': nothing is saved"
    assert (issue.line, issue.column) == (5, 15)


def test_a_format_where_the_tensor_is_never_kept_is_refused(tmp_path: Path) -> None:
    machine = yaml.safe_load(
        """
        architecture:
          name: two
          levels:
            - {name: DRAM, word_bits: 16, energy_pj: {read: 1, write: 1}}
            - {name: Weights, word_bits: 16, tensors: [A], energy_pj: {read: 1, write: 1}}
          compute: {energy_pj: 1}
        """
    )
    path = tmp_path / "design.yaml"
    path.write_text(
        "sparsity:\n  name: d\n  densities: {A: 0.1, B: 0.5}\n  formats:\n"
        "    A: {DRAM: bitmask, Weights: bitmask}\n    B: {DRAM: bitmask, Weights: bitmask}\n"
    )
    with pytest.raises(SpecError) as raised:
        Evaluator(machine, PROBLEM, sparsity=path)
    (issue,) = raised.value.issues
    assert issue.message == "Weights of two does not keep 'B': nothing is stored so"
    assert (issue.line, issue.column) == (6, 33)
    path.write_text(path.read_text().replace("B: {DRAM: bitmask, Weights: bitmask}", 'B: {"*": bitmask}'))
    # One for every level means those that keep it.
    Evaluator(machine, PROBLEM, sparsity=path)


def test_batches_and_searches_keep_what_a_design_saves() -> None:
    design = {
        "name": "d",
        "densities": {"A": 0.1},
        "formats": A_BITMASK,
        "actions": [{"level": "RegFile", "skip": "B", "on": "A"}],
        "compute": {"skip": "A"},
    }
    sparsity = load_sparsity({"sparsity": design})
    evaluator = Evaluator(ARCHITECTURE, PROBLEM, sparsity=sparsity)
    keep = np.ones((2, 3, 4), np.bool_)
    keep[1, 2, 1] = False
    temporal = np.ones((2, 3, 2), np.int64)
    temporal[:, 0] = 64
    order = np.tile(np.arange(2), (2, 3, 1))
    batch = evaluator.evaluate_batch(temporal, order, np.ones((2, 3, 2, 2), np.int64), keep)
    assert batch.status.tolist() == [Status.OK, Status.BAD_DESIGN]
    found = search(ARCHITECTURE, PROBLEM, sparsity=sparsity, seconds=5)
    assert "B" in found.mapping.levels[2].keep
    with pytest.raises(SpecError, match="RegFile bypasses 'B'"):
        search(
            ARCHITECTURE,
            PROBLEM,
            sparsity=sparsity,
            constraints={"constraints": {"levels": [{"level": "RegFile", "bypass": ["B"]}]}},
        )
