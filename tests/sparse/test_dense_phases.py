"""Phases that a design leaves dense cost what the dense machine costs, and are one case with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from procrustes_model import evaluate, load_problem, load_sparsity, search
from procrustes_model.model.sparse.dense import costs_as_dense
from procrustes_model.network.densities import LayerState
from procrustes_model.network.plan import make_plan
from procrustes_model.network.request import RunRequest
from procrustes_model.network.work import load_work
from procrustes_model.spec.load import load_architecture, load_network
from procrustes_model.spec.zeros import Zeros
from procrustes_model.vocabulary import Phase

GROUPS = {"model": "structured", "nonzeros": 2, "group": 4, "along": "C"}
STORED = {"Weights": {"*": "coordinate"}}
SKIP = [{"level": "RegFile", "skip": "Inputs", "on": "Weights"}]

LEFT_DENSE: list[dict[str, Any]] = [
    {},
    {"formats": {"Weights": {}}},
    {"formats": {"Weights": {"*": "none"}}},
    {"densities": {"Weights": "dense"}},
    {"densities": {"Weights": {"model": "hypergeometric", "density": 1.0}}},
    {"densities": {"Weights": {**GROUPS, "group": 2}}, "compute": {"gate": "Weights", "gated_energy": 0.5}},
    {"densities": {"Weights": {**GROUPS, "group": 7, "short_groups": "dense"}}},
    {"balancing": {"policy": "half_tile", "tensor": "Weights", "array": "RegFile"}},
    {"capacity": {"size": "quantile", "quantile": 0.9}},
    {"capacity": {"size": "average"}},
]
CHANGED: list[dict[str, Any]] = [
    {"densities": {"Weights": GROUPS}},
    {"formats": STORED},
    {"densities": {"Weights": "dense"}, "actions": SKIP},
    {"compute": {"skip": "Weights"}},
    {
        "balancing": {
            "policy": "none",
            "tensor": "Weights",
            "pointer_level": "GlobalBuffer",
            "pointer_reads": 2,
        }
    },
    {"capacity": {"size": "average", "overflow": "spill"}},
    {"rules": {"output_fills": "all"}},
    {"rules": {"rounding": "whole_words"}},
]


def design(sections: dict[str, Any]) -> Any:
    return load_sparsity({"sparsity": {"name": "test", **sections}})


@pytest.mark.parametrize("machine", ["procrustes_16x16", "procrustes_16x16_full"])
@pytest.mark.parametrize("sections", LEFT_DENSE)
def test_what_is_left_dense_costs_as_much(
    sections: dict[str, Any], machine: str, forward: Any, update: Any
) -> None:
    architecture = load_architecture(machine)
    for _, problem, mapping in (forward, update):
        zeros = Zeros(design(sections))
        assert costs_as_dense(architecture, problem, zeros)
        dense = evaluate(architecture, problem, mapping)
        result = evaluate(architecture, problem, mapping, **zeros.arguments())
        assert (result.energy_pj, result.cycles) == (dense.energy_pj, dense.cycles)
        assert [(one.name, one.energy_pj) for one in result.components if one.energy_pj] == [
            (one.name, one.energy_pj) for one in dense.components if one.energy_pj
        ]


@pytest.mark.parametrize("sections", CHANGED)
def test_what_may_cost_more_or_less_is_not_dense(sections: dict[str, Any], forward: Any) -> None:
    assert not costs_as_dense(forward[0], forward[1], Zeros(design(sections)))


def test_densities_and_masks_beside_the_design_count(forward: Any) -> None:
    machine, problem, _ = forward
    groups = design({"densities": {"Weights": GROUPS}})
    assert costs_as_dense(machine, problem, Zeros(groups, {"Weights": 1.0}))
    assert not costs_as_dense(machine, problem, Zeros(groups, {"Weights": 0.5}))
    mask = np.ones((256, 256, 3, 3), np.bool_)
    assert not costs_as_dense(machine, problem, Zeros(groups, {}, {"Weights": mask}))
    wrong = design({"actions": [{"level": "Nowhere", "skip": "Inputs", "on": "Weights"}]})
    assert not costs_as_dense(machine, problem, Zeros(wrong))


def test_components_that_serve_pruning_work_in_its_dense_phases(update: Any) -> None:
    """They keep track of gradients there, for zeros that are met in the forward phase."""
    forward_only = design({"phases": {"forward": {"densities": {"Weights": GROUPS}, "formats": STORED}}})
    _, problem, mapping = update
    assert costs_as_dense(load_architecture("procrustes_16x16"), problem, Zeros(forward_only))
    full = load_architecture("procrustes_16x16_full")
    assert not costs_as_dense(full, problem, Zeros(forward_only))
    more = evaluate(full, problem, mapping, sparsity=forward_only)
    assert more.energy_pj > evaluate(full, problem, mapping).energy_pj


LAYERS = [{"name": "a", "kind": "fully_connected", "input_channels": 64, "channels": 32}]


def keys(sections: dict[str, Any], machine: str = "procrustes_16x16") -> dict[Any, str]:
    network = load_network({"network": {"name": "one", "batch": 16, "layers": LAYERS}})
    sparsity = {"sparsity": {"name": "test", **sections}}
    work = load_work(RunRequest(machine, network, sparsity=sparsity, baseline="dense"))
    entries = make_plan(work, {"a": LayerState()}).entries
    return {(entry.design, entry.phase): entry.key for entry in entries}


def test_a_phase_that_is_left_dense_is_the_case_of_the_dense_machine() -> None:
    update = {"compute": {}, "densities": {"Weights": "dense"}, "formats": {"Weights": {}}}
    sections = {
        "densities": {"Weights": GROUPS},
        "formats": STORED,
        "compute": {"skip": "Weights"},
        "phases": {"weight_update": update},
    }
    found = keys(sections)
    same = {phase: found["test", phase] == found["dense", phase] for phase in Phase}
    assert same == {Phase.FORWARD: False, Phase.BACKWARD: False, Phase.WEIGHT_UPDATE: True}
    full = keys(sections, "procrustes_16x16_full")
    assert full["test", Phase.WEIGHT_UPDATE] != full["dense", Phase.WEIGHT_UPDATE]


def test_a_search_under_the_dense_design_finds_the_same() -> None:
    problem = load_problem(
        {"problem": {"name": "p", "shape": "fully_connected", "dimensions": {"N": 8, "C": 16, "K": 8}}}
    )
    plain = search("procrustes_16x16", problem, seconds=None)
    dense = search("procrustes_16x16", problem, sparsity="dense", seconds=None)
    assert (plain.result.energy_pj, plain.result.cycles) == (dense.result.energy_pj, dense.result.cycles)
    assert plain.certificate.proven
    assert dense.certificate.proven
