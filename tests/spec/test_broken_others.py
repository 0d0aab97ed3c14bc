"""Wrong networks, constraints, designs and components: what is stated is used or refused, with its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from procrustes_model.errors import SpecError
from procrustes_model.mapper.constraints import for_problem, load_constraints
from procrustes_model.spec.load import (
    load_architecture,
    load_mapping,
    load_network,
    load_problem,
    load_schedule,
    load_sparsity,
)
from procrustes_model.spec.network_density import load_density
from procrustes_model.spec.tensors import misspelt_tensors, strange_tensors
from tests.broken import check

NETWORK = "network:\n  name: n\n  layers:\n    - {name: a, kind: matmul, m: 1, k: 1, n: 1}\n"

NETWORK_CASES = [
    ("    - {name: b, knd: conv}\n", 5, 17, "unknown key 'knd'", "did you mean 'kind'?"),
    ("    - {name: b, k: 1}\n", 5, 7, "missing key 'kind'", "one of conv"),
    ("    - {name: b, layer: []}\n", 5, 17, "unknown key 'layer'", "did you mean 'layers'?"),
    ("    - {name: b, kind: [conv]}\n", 5, 23, "unknown kind of layer", "one of conv"),
    ("    - {}\n", 5, 7, "missing key 'kind'", None),
    ("    - false\n", 5, 7, "a layer must be 'key: value' pairs, is false", None),
]

CONSTRAINTS_CASES = [
    ("spatial_x: 16", 18, "rules for factors are written 'K=16 P<=7', this is 16", None),
    ("spatial_x: false", 18, "rules for factors are written", None),
    ("spatial_x:", 17, "this is empty", None),
    ("spatial_x: ' '", 18, "this is ' '", None),
    ("temporal: [K=2, 3]", 23, "this is 3", None),
    ("temporal: K=2 K=3", 21, "'K=' stands twice", "keep one"),
    ("temporal: K=0", 19, "a factor of K is at least 1, this is 0", None),
    ("temporal: K=99999999999", 19, "a factor of K is at most 2^31", None),
    ("temporal: K==2", 17, "'K==2' is no rule for a factor", "write K=16"),
    ("temporal: J=2", 17, "unknown dimension 'J'", "choose from"),
    ("temporal: {factors: {}}", 27, "this is {}", None),
    ("temporal: {order: [K, R, K]}", 32, "'K' stands twice", "once is enough"),
    ("temporal: {order: K}", 25, None, None),
    ("temporal: {dimension: [K]}", 18, "unknown key 'dimension'", "did you mean 'dimensions'?"),
    ("spatial_x: {order: [K, N]}", 19, "only temporal loops have an order", None),
    ("spatial_y: {dimensions: {N: 1}}", 31, "'dimensions' must be a list of dimensions, is {N: ...}", None),
    ("keep: {Weights: false}", 13, "'keep' must be a list of tensors", None),
    ("keep: [Weigths]", 14, "unknown tensor 'Weigths'", "did you mean 'Weights'?"),
    ("keep: [Weights, 3]", 23, "item 2 of 'keep' must be text, is 3", None),
    ("keep: ''", 13, "'keep' is an empty text", None),
    ("bypass: 0", 15, "'bypass' must be a list of tensors, is 0", None),
    ("bypas: [Weights]", 7, "unknown key 'bypas'", "did you mean 'bypass'?"),
]

DESIGN_CASES = [
    ("balancing: {policy: half_tile}", 15, "'policy' has no effect without 'tensor'"),
    ("balancing: {array: RegFile}", 15, "'array' has no effect without 'tensor'"),
    ("balancing: {tensor: W, pointer_reads: 2}", 26, "'pointer_reads' has no effect without 'pointer_level'"),
    ("balancing: {tensor: W, pointer_level: B}", 26, "'pointer_level' has no effect without 'pointer_reads'"),
    ("balancing: {tensor: W, pointer_share: 0.5}", 26, "'pointer_share' has no effect without"),
    ("balancing: {pointer_level: B, pointer_reads: 2}", 15, "'pointer_level' has no effect without 'tensor'"),
    ("compute: {gated_energy: 0.5}", 13, "'gated_energy' has no effect without 'gate'"),
    ("compute: {gate: W, skip: W}", 13, "'gate' has 'W', which is skipped already"),
    ("compute: {gate: [W, W]}", 19, "'gate' has 'W' twice"),
    ("capacity: {quantile: 0.9}", 3, "of size 'dense' takes no 'quantile'"),
    ("capacity: {overflow: spill}", 3, "of size 'dense' cannot spill"),
    ("actions: [{level: L, skip: A, on: W}, {level: L, gate: A, on: [W, X]}]", 41, "saved on 'W' twice"),
    (
        "rules: {stored_zeros: metadata_only}",
        11,
        "'stored_zeros' has no effect without a format of kind run_length or delta",
    ),
    ("rules: {access_box: joined}", 11, "'access_box' has no effect without actions"),
    ("rules: {capacity: added}", 11, "'capacity' has no effect without 'capacity: {size: quantile}'"),
    ("rules: {gated_operands: dropped}", 11, "'gated_operands' has no effect without an action that gates"),
]

REPLACED = """\
sparsity:
  name: d
  densities: {W: 0.5, X: 0.5}
  formats:
    W: {L: bitmask}
  actions: [{level: L, skip: Z, on: W}]
  capacity: {size: average}
  phases:
    forward: {densities: {W: 0.1}, formats: {W: {L: csr}}, actions: [], capacity: {size: maximum}}
    backward: {densities: {W: 0.2}, formats: {W: {L: csr}}, actions: [], capacity: {size: maximum}}
    weight_update: {densities: {W: 0.3}, formats: {W: {L: csr}}, actions: []}
"""


@pytest.mark.parametrize(("item", "line", "column", "message", "hint"), NETWORK_CASES)
def test_network(item: str, line: int, column: int, message: str, hint: str | None, write: Any) -> None:
    path = write(NETWORK + item)
    check(lambda: load_network(path), line, column, message, hint)
    with pytest.raises(SpecError) as caught:
        load_network(path)
    assert len(caught.value.issues) == 1


@pytest.mark.parametrize(("rule", "column", "message", "hint"), CONSTRAINTS_CASES)
def test_constraints(rule: str, column: int, message: str | None, hint: str | None, write: Any) -> None:
    path = write(f"constraints:\n  levels:\n    - level: RegFile\n      {rule}\n")
    machine, layer = load_architecture("procrustes_16x16"), load_problem("vgg_s/conv3_2")
    if message is None:
        assert load_constraints(path, machine, layer).levels[0].level == "RegFile"
    else:
        check(lambda: load_constraints(path, machine, layer), 4, column, message, hint)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("constraints: {levels: false}", 1, "'levels' must be a list, is false"),
        ("constraints: {levels: [RegFile]}", 1, "a level's rules must be 'key: value' pairs, is 'RegFile'"),
        ("constraints: {levels: [{keep: [Weights]}]}", 1, "missing key 'level'"),
        ("constraints: {levels: [{level: 3}]}", 1, "'level' must be the name of a level, is 3"),
        ("constraints:\n  levels: [{level: A}, {level: A}]", 2, "level 'A' stands twice"),
        ("constraints: {name: [x]}", 1, "'name' must be text"),
        ("constraints: {min_utilization: .nan}", 1, "must be a number from 0 to 1, is nan"),
        ("constraints: {min_utilization: true}", 1, "must be a number from 0 to 1, is true"),
    ],
)
def test_constraints_alone(text: str, line: int, message: str, write: Any) -> None:
    path = write(text)
    check(lambda: load_constraints(path), line, None, message, None)


def test_constraints_of_several_problems_leave_to_each_what_it_has() -> None:
    problems = [load_problem(name) for name in ("resnet18/conv2_2", "resnet18/fc")]
    machine = load_architecture("procrustes_16x16")
    rules = {
        "level": "RegFile",
        "temporal": {"factors": "R=3 K<=7", "order": ["R", "K"]},
        "keep": ["Weights"],
    }
    content = {"constraints": {"levels": [rules]}}
    with pytest.raises(SpecError, match="unknown dimension 'R'"):
        load_constraints(content, machine, problems[1])
    both = load_constraints(content, machine, problems)
    assert for_problem(both, problems[0]) == both
    (level,) = for_problem(both, problems[1]).levels
    assert [str(rule) for rule in level.loops["temporal"].factors] == ["K<=7"]
    assert (level.loops["temporal"].order, level.keep) == (("K",), ("Weights",))
    with pytest.raises(SpecError, match="constraints constraints: unknown dimension 'R'"):
        load_constraints(both, machine, problems[1])


@pytest.mark.parametrize("phases", [{}, {"backward": {"actions": []}}])
def test_gates_of_accesses_gate_computations_too(phases: dict[str, Any]) -> None:
    gate = [{"level": "L", "gate": "A", "on": "W"}]
    content: dict[str, Any] = {"name": "d", "compute": {"gated_energy": 0.5}, "phases": phases}
    stated = load_sparsity({"sparsity": {**content, "actions": gate}})
    assert stated.forward.compute.model_dump() == {"skip": (), "gate": (), "gated_energy": 0.5}
    for other in ({}, {"actions": gate, "rules": {"gated_operands": "dropped"}}):
        with pytest.raises(SpecError, match=r"sparsity\.compute\.gated_energy: 'gated_energy' has no effect"):
            load_sparsity({"sparsity": {**content, **other}})


@pytest.mark.parametrize(("section", "column", "message"), DESIGN_CASES)
def test_design(section: str, column: int, message: str, write: Any) -> None:
    path = write(f"sparsity:\n  name: d\n  {section}\n")
    check(lambda: load_sparsity(path), 3, column, message, None)


@pytest.mark.parametrize(
    ("load", "text", "message"),
    [
        (load_density, "density: {name: d, weights: {rule: uniform}}", "'rule' has no effect without"),
        (
            load_schedule,
            "schedule: {name: s, parts: [{iterations: 1, weights: {rule: erdos_renyi_kernel}}]}",
            "'rule' has no effect without 'overall' or 'times_fewer'",
        ),
    ],
)
def test_other_keys_without_an_effect(
    load: Callable[[Path], Any], text: str, message: str, write: Any
) -> None:
    path = write(text)
    check(lambda: load(path), 1, None, message, None)


def test_what_every_phase_replaces(write: Any) -> None:
    path = write(REPLACED)
    check(lambda: load_sparsity(path), 3, 15, "'W' is replaced in every phase: it has no effect here", None)
    with pytest.raises(SpecError) as caught:
        load_sparsity(path)
    assert [(one.line, one.column) for one in caught.value.issues] == [(3, 15), (5, 5), (6, 3)]
    used = REPLACED.replace("W: 0.3", "X: 0.3").replace("W: {L: csr}}, actions: []}", "X: {L: csr}}}")
    assert load_sparsity(write(used)).weight_update.densities["W"].average == 0.5


def test_a_rule_of_one_phase_holds_for_what_that_phase_has(write: Any) -> None:
    rules = "rules: {access_box: joined, gated_operands: dropped}"
    actions = "actions: [{level: L, gate: Z, on: W}]"
    for met in (
        f"{rules}\n  phases: {{forward: {{{actions}}}}}",
        f"phases: {{forward: {{{rules}, {actions}}}}}",
    ):
        assert load_sparsity(write(f"sparsity:\n  name: d\n  {met}\n")).forward.actions
    path = write(f"sparsity:\n  name: d\n  phases: {{backward: {{{rules}}}, forward: {{{actions}}}}}\n")
    check(lambda: load_sparsity(path), 3, 31, "'access_box' has no effect without actions", None)
    content = {"name": "d", "rules": {"access_box": "joined"}}
    with pytest.raises(SpecError, match=r"sparsity\.rules\.access_box: 'access_box' has no effect") as caught:
        load_sparsity({"sparsity": content})
    assert len(caught.value.issues) == 1


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        ({}, "costs nothing"),
        ({"use": {"level": "DRAM", "action": "read", "phases": []}}, "phases"),
        (
            {"use": {"level": "DRAM", "action": "read", "phases": ["forward", "forward"]}},
            "has 'forward' twice",
        ),
    ],
)
def test_components_without_an_effect(
    unit: dict[str, Any], message: str, architecture_data: dict[str, Any]
) -> None:
    architecture_data["architecture"]["components"] = [{"name": "U", **unit}]
    with pytest.raises(SpecError, match=message):
        load_architecture(architecture_data)


@pytest.mark.parametrize("when", ["always", "compression", "balancing", "pruning"])
def test_tensors_of_components(when: str, architecture_data: dict[str, Any]) -> None:
    unit = {"name": "U", "energy_pj": 1, "when": when, "use": {"level": "DRAM", "action": "read"}}
    layer = load_problem("resnet18/fc")
    for name, near in (("Weigths", "Weights"), ("Filter", None), ("Weights", None), ("A", None)):
        use = {**unit["use"], "tensor": name}  # type: ignore[dict-item]
        architecture_data["architecture"]["components"] = [{**unit, "use": use}]
        machine = load_architecture(architecture_data)
        found = [str(issue) for issue in strange_tensors(machine, layer)]
        assert bool(found) == (name in ("Weigths", "Filter"))
        alone = misspelt_tensors(machine, None)
        assert bool(alone) == (near is not None)
        assert bool(misspelt_tensors(machine, layer)) == bool(found)


def test_a_negative_zero_is_zero(architecture_data: dict[str, Any]) -> None:
    architecture_data["architecture"]["levels"][0]["energy_pj"]["read"] = -0.0
    assert str(load_architecture(architecture_data).levels[0].energy.read) == "0.0"


def test_half_of_a_character_is_no_text(architecture_data: dict[str, Any]) -> None:
    architecture_data["architecture"]["description"] = "\ud800"
    with pytest.raises(SpecError, match=r"architecture\.description: half of a character"):
        load_architecture(architecture_data)


def test_many_loops_of_one_dimension(write: Any, architecture: Any, problem: Any) -> None:
    loops = "M=2147483648 " * 500
    path = write(f"mapping:\n  levels:\n    - level: DRAM\n      temporal: {loops}\n")
    check(lambda: load_mapping(path, architecture, problem), 4, None, "M stands twice", None)
