"""Levels named by role: what they are on every machine that ships, and that designs work on all of these."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from procrustes_model.errors import SpecError
from procrustes_model.model.evaluate import evaluate
from procrustes_model.model.evaluator import Evaluator
from procrustes_model.model.sparse.lower import lower_sparsity
from procrustes_model.network.run import run_network
from procrustes_model.shipped import list_shipped, resolve
from procrustes_model.spec.level_roles import array_begins, levels_of, place_levels
from procrustes_model.spec.load import load_architecture, load_network, load_problem, load_sparsity
from procrustes_model.spec.problem import Problem
from procrustes_model.vocabulary import PHASES, LevelRole, Phase
from procrustes_model.workloads.layer import training_problem
from tests.network.conftest import TINY

MACHINES = list_shipped("architecture")
OUTSIDE = {
    "crossbar_64x64": 3,
    "dstc_like": 3,
    "eyeriss_like": 2,
    "eyeriss_v1": 2,
    "eyeriss_v2": 3,
    "eyeriss_v2_pe": 1,
    "gamma_pe": 2,
    "ipu_like": 1,
    "nvdla_like": 3,
    "outerspace_like": 2,
    "procrustes_16x16": 2,
    "procrustes_16x16_full": 2,
    "procrustes_16x16_horowitz": 2,
    "procrustes_32x32": 2,
    "simba_like": 5,
    "simple_3level": 2,
    "tensor_core_like": 3,
    "tpu_like": 3,
    "txsim": 2,
}
"""By machine, the levels outside the array."""


@pytest.fixture(scope="module")
def layer() -> dict[Phase, Problem]:
    """Return a convolution in all phases."""
    (first, *_) = load_network(TINY).layers
    return {phase: training_problem(first, phase) for phase in PHASES}


def roles_of(machine: Any, problem: Problem, tensor: str) -> dict[str, list[str]]:
    architecture = load_architecture(machine)
    return {
        role.value: [architecture.levels[i].name for i in levels_of(role, architecture, problem, tensor)]
        for role in LevelRole
    }


@pytest.mark.parametrize("machine", OUTSIDE)
def test_where_the_array_of_a_machine_begins(machine: str) -> None:
    assert list(OUTSIDE) == MACHINES
    assert array_begins(load_architecture(machine)) == OUTSIDE[machine]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("tensor", ["Weights", "Inputs", "Outputs"])
def test_a_level_has_one_role_beside_innermost(
    machine: str, tensor: str, layer: dict[Phase, Problem]
) -> None:
    problem = layer[Phase.FORWARD]
    roles = roles_of(machine, problem, tensor)
    (innermost,) = roles.pop("innermost")
    found = [level for levels in roles.values() for level in levels]
    assert len(set(found)) == len(found)
    assert innermost == found[-1]


@pytest.mark.parametrize(
    ("machine", "tensor", "off_chip", "shared", "array", "innermost"),
    [
        ("procrustes_16x16", "Weights", ["DRAM"], ["GlobalBuffer"], ["RegFile"], "RegFile"),
        ("eyeriss_like", "Outputs", ["DRAM"], ["GlobalBuffer"], ["OutputScratchpad"], "OutputScratchpad"),
        ("eyeriss_v2", "Weights", ["DRAM"], [], ["WeightScratchpad"], "WeightScratchpad"),
        ("eyeriss_v2", "Inputs", ["DRAM"], ["InputBuffer"], ["InputScratchpad"], "InputScratchpad"),
        ("simba_like", "Weights", ["DRAM"], ["WeightBuffer"], ["WeightRegisters"], "WeightRegisters"),
        ("simba_like", "Inputs", ["DRAM"], ["GlobalBuffer", "InputBuffer"], [], "InputBuffer"),
        ("tpu_like", "Outputs", ["HBM"], ["VectorMemory", "Accumulators"], [], "Accumulators"),
        (
            "tensor_core_like",
            "Weights",
            ["HBM"],
            ["L2", "SharedMemory"],
            ["RegisterFile", "OperandBuffer"],
            "OperandBuffer",
        ),
        ("ipu_like", "Weights", [], [], ["TileMemory"], "TileMemory"),
        ("crossbar_64x64", "Weights", [], [], ["Cells"], "Cells"),
        ("crossbar_64x64", "Inputs", ["DRAM"], ["GlobalBuffer", "TileBuffer"], [], "TileBuffer"),
    ],
)
def test_roles_on_machines_that_ship(
    machine: str,
    tensor: str,
    off_chip: list[str],
    shared: list[str],
    array: list[str],
    innermost: str,
    layer: dict[Phase, Problem],
) -> None:
    expected = {"off_chip": off_chip, "shared": shared, "array": array, "innermost": [innermost]}
    assert roles_of(machine, layer[Phase.FORWARD], tensor) == expected


def test_a_level_without_room_for_a_partial_sum_has_no_role_for_the_output(
    layer: dict[Phase, Problem],
) -> None:
    """NVDLA's registers hold two weights of 8 bits, and sums of gradients have 34."""
    assert roles_of("nvdla_like", layer[Phase.FORWARD], "Weights")["innermost"] == ["WeightRegisters"]
    assert roles_of("nvdla_like", layer[Phase.WEIGHT_UPDATE], "Weights")["innermost"] == ["ConvolutionBuffer"]


def test_without_a_mesh_the_array_is_what_is_innermost() -> None:
    levels = [
        {"name": name, "word_bits": 8, "energy_pj": {"read": 1, "write": 1}, **more}
        for name, more in (
            ("Far", {}),
            ("Near", {}),
            ("A", {"tensors": ["A"]}),
            ("B", {"tensors": ["B"], "beside": True}),
        )
    ]
    content = {"name": "one", "levels": levels, "compute": {"energy_pj": 1}}
    problem = load_problem(
        {"problem": {"name": "p", "shape": "matmul", "dimensions": {"M": 2, "K": 2, "N": 2}}}
    )
    roles = {tensor: roles_of({"architecture": content}, problem, tensor) for tensor in "AZ"}
    assert roles["A"] == {"off_chip": ["Far"], "shared": ["Near"], "array": ["A"], "innermost": ["A"]}
    assert roles["Z"] == {"off_chip": ["Far"], "shared": ["Near"], "array": [], "innermost": ["Near"]}


NAMES = {
    "off_chip: {": "DRAM: {",
    "shared: {": "GlobalBuffer: {",
    "array: bitmask": "RegFile: bitmask",
    "array: {": "RegFile: {",
    "level: innermost": "level: RegFile",
    "array: array": "array: RegFile",
    "[shared, off_chip, array]": "GlobalBuffer",
}


@pytest.mark.parametrize("design", ["procrustes", "procrustes_2020"])
def test_roles_are_the_levels_of_procrustes(design: str, layer: dict[Phase, Problem], tmp_path: Path) -> None:
    text = resolve("sparsity", design).read_text()
    for role, name in NAMES.items():
        text = text.replace(role, name)
    assert not any(f"{role.value}:" in text for role in LevelRole if role is not LevelRole.ARRAY)
    by_name = tmp_path / "named.yaml"
    by_name.write_text(text)
    machine = load_architecture("procrustes_16x16")
    for phase, problem in layer.items():
        placed, missing = place_levels(load_sparsity(design), machine, problem)
        assert not missing
        assert placed.phase(phase) == load_sparsity(by_name).phase(phase)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("design", list_shipped("sparsity"))
def test_every_design_meets_every_machine(design: str, machine: str, layer: dict[Phase, Problem]) -> None:
    """It fits in all phases, or what does not fit is said once."""
    for problem in layer.values():
        issues = ()
        try:
            lower_sparsity(load_architecture(machine), problem, load_sparsity(design))
        except SpecError as error:
            issues = error.issues
        assert len(issues) <= 1
        assert not issues or not design.startswith(("procrustes", "dense"))


@pytest.mark.parametrize("mapping", [one for one in list_shipped("mapping") if "resnet18" in one])
@pytest.mark.parametrize("design", ["procrustes", "procrustes_2020"])
def test_procrustes_on_mappings_that_ship(design: str, mapping: str) -> None:
    machine, _, name = mapping.partition("/")
    problem = next(one for one in list_shipped("problem") if name.startswith(one.replace("/", "_")))
    if (design, machine) in (("procrustes", "nvdla_like"), ("procrustes", "simba_like")):
        # A pointer for every half of a tile of one weight: it takes more than it saves.
        with pytest.raises(SpecError, match="tiles at level") as caught:
            evaluate(machine, problem, mapping, sparsity=design)
        assert len(caught.value.issues) == 1
        return
    found = evaluate(machine, problem, mapping, sparsity=design)
    assert found.cycles <= evaluate(machine, problem, mapping).cycles
    assert found.computes.actual < load_problem(problem).computes


@pytest.mark.parametrize("machine", ["tpu_like", "ipu_like", "simba_like"])
def test_a_design_runs_on_machines_that_are_called_otherwise(machine: str) -> None:
    result = run_network(
        machine, TINY, batch=2, sparsity="procrustes_2020", phases=["forward"], workers=1, seconds=0.5
    )
    assert {row.entry.design for row in result.rows} == {"procrustes_2020"}


LOST = """\
sparsity:
  name: lost
  densities: {Weights: 0.1}
  formats:
    Weights: {DRAM: bitmask, Buffet: bitmask, "*": bitmask}
  actions:
    - {level: RegFiles, skip: Inputs, on: Weights}
    - {level: RegFiles, skip: Outputs, on: Weights}
  compute: {skip: Weights}
"""


def test_levels_that_a_machine_lacks_are_one_error_of_a_network(tmp_path: Path) -> None:
    file = tmp_path / "lost.yaml"
    file.write_text(LOST)
    with pytest.raises(SpecError) as caught:
        run_network("tpu_like", TINY, sparsity=file, workers=1, seconds=0.1)
    (issue,) = caught.value.issues
    assert (issue.file, issue.line) == (str(file), 5)
    assert issue.message == "lost: the architecture tpu_like has no levels 'DRAM', 'Buffet', 'RegFiles'"
    assert "off_chip, shared, array, innermost" in str(issue.hint)


def test_tensors_that_layers_lack_are_one_error_of_a_network(tmp_path: Path) -> None:
    file = tmp_path / "lost.yaml"
    file.write_text(
        "sparsity:\n  name: lost\n  formats: {Wights: {'*': bitmask}}\n  compute: {skip: [Wights, Imputs]}\n"
    )
    with pytest.raises(SpecError) as caught:
        run_network("tpu_like", TINY, sparsity=file, workers=1, seconds=0.1)
    (issue,) = caught.value.issues
    assert (issue.file, issue.line) == (str(file), 3)
    assert issue.message == "lost: conv has no tensor 'Wights', 'Imputs'"
    assert issue.hint == "it has Weights, Inputs, Outputs"


def test_a_role_that_no_level_has_is_one_error(tmp_path: Path) -> None:
    file = tmp_path / "waits.yaml"
    file.write_text(
        LOST.replace("DRAM: bitmask, Buffet: bitmask, ", "")
        .replace("RegFiles, skip: Inputs", "array, skip: Inputs")
        .replace("RegFiles, skip: Outputs", "array, skip: Outputs")
    )
    with pytest.raises(SpecError) as caught:
        run_network("tpu_like", TINY, sparsity=file, phases=["forward"], workers=1, seconds=0.1)
    (issue,) = caught.value.issues
    assert (issue.file, issue.line, issue.column) == (str(file), 7, 15)
    assert issue.message == (
        "lost: no level of tpu_like that may keep 'Inputs' has the role 'array'; so array for 'Outputs'"
    )
    assert run_network(
        "tensor_core_like", TINY, sparsity=file, phases=["forward"], batch=2, workers=1, seconds=0.5
    ).rows


def test_a_format_of_no_level_is_an_error_and_one_among_others_is_not(layer: dict[Phase, Problem]) -> None:
    content: dict[str, Any] = {"name": "t", "densities": {"Weights": 0.5}}
    off_chip = content | {"formats": {"Weights": {"off_chip": "bitmask"}}}
    machine, problem = load_architecture("ipu_like"), layer[Phase.FORWARD]
    with pytest.raises(SpecError, match="no level of ipu_like that may keep 'Weights' has the role"):
        Evaluator(machine, problem, sparsity={"sparsity": off_chip})
    both = content | {"formats": {"Weights": {"off_chip": "bitmask", "innermost": "csr"}}}
    placed, missing = place_levels(load_sparsity({"sparsity": both}), machine, problem)
    assert not missing
    assert list(placed.forward.formats["Weights"]) == ["TileMemory"]


def test_names_come_before_roles_and_innermost_before_the_others(layer: dict[Phase, Problem]) -> None:
    formats = {"off_chip": "bitmask", "array": "csr", "innermost": "coordinate", "RegisterFile": "run_length"}
    content: dict[str, Any] = {"name": "t", "formats": {"Weights": formats}, "densities": {"Weights": 0.5}}
    placed, _ = place_levels(
        load_sparsity({"sparsity": content}), load_architecture("tensor_core_like"), layer[Phase.FORWARD]
    )
    kinds = {level: one.kind for level, one in placed.forward.formats["Weights"].items()}
    assert kinds == {"HBM": "bitmask", "RegisterFile": "run_length", "OperandBuffer": "coordinate"}


def test_an_action_at_a_role_is_one_at_each_of_its_levels(layer: dict[Phase, Problem]) -> None:
    action = {"level": "array", "skip": "Inputs", "on": "Weights"}
    content: dict[str, Any] = {"name": "t", "actions": [action, {**action, "level": "SharedMemory"}]}
    design = load_sparsity({"sparsity": content})
    machine, problem = load_architecture("tensor_core_like"), layer[Phase.FORWARD]
    placed, _ = place_levels(design, machine, problem)
    assert [one.level for one in placed.forward.actions] == ["RegisterFile", "OperandBuffer", "SharedMemory"]
    content["actions"][1]["level"] = "RegisterFile"
    with pytest.raises(SpecError, match="at RegisterFile are saved on 'Weights' twice; keep one"):
        Evaluator(machine, problem, sparsity={"sparsity": content})
