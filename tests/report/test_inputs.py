"""What went into a run is written so that it reads back equal."""

from __future__ import annotations

from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.report.page.inputs import input_files, repeat_command
from procrustes_model.shipped import list_shipped
from procrustes_model.spec.load import load_architecture, load_network, load_sparsity
from procrustes_model.spec.network_density import load_density
from procrustes_model.vocabulary import Phase

CONSTRAINTS = {
    "constraints": {
        "name": "mine",
        "min_utilization": 0.5,
        "levels": [
            {
                "level": "GlobalBuffer",
                "spatial_x": {"dimensions": ["K"], "factors": "K<=8 C=1"},
                "temporal": {"order": "K C N"},
                "spatial_y": {"dimensions": []},
                "keep": ["Weights"],
                "bypass": ["Outputs"],
            }
        ],
    }
}


def run_of(**changes: Any) -> Any:
    """Return the head of a run; none of it is searched."""
    network = load_network("resnet18_2020")
    inputs = {
        "program": "0.1.0-abc",
        "architecture": load_architecture("procrustes_16x16").model_dump(mode="json"),
        "network": network.model_dump(mode="json"),
        "designs": [
            {
                "name": "procrustes",
                "dataflow": "KN",
                "sparsity": load_sparsity("procrustes").model_dump(mode="json"),
            },
            {"name": "dense", "dataflow": "KN", "sparsity": None},
        ],
        "constraints": None,
        "objective": "edp",
        "seconds": 60.0,
        "seed": 3,
        "as_published": False,
        "densities": {
            layer.name: {
                "weights": 0.125,
                "activations": 0.5,
                "gradients": None,
                "masked": False,
                "assumed": True,
            }
            for layer in network.layers
        },
    } | changes
    return SimpleNamespace(
        inputs=inputs,
        batch=64,
        phases=(Phase.FORWARD, Phase.WEIGHT_UPDATE),
        objective="edp",
        network="resnet18_2020",
    )


@pytest.mark.parametrize("name", list_shipped("architecture"))
def test_architectures_read_back_equal(name: str) -> None:
    machine = load_architecture(name)
    text = input_files(run_of(architecture=machine.model_dump(mode="json")))["architecture.yaml"]
    assert load_architecture(yaml.safe_load(text)) == machine


@pytest.mark.parametrize("name", list_shipped("sparsity"))
def test_designs_read_back_equal(name: str) -> None:
    design = load_sparsity(name)
    run = run_of(designs=[{"name": name, "dataflow": "KN", "sparsity": design.model_dump(mode="json")}])
    text = input_files(run)[f"sparsity_{name}.yaml"]
    assert load_sparsity(yaml.safe_load(text)) == design


@pytest.mark.parametrize("name", list_shipped("network"))
def test_networks_read_back_equal(name: str) -> None:
    network = load_network(name)
    run = run_of(network=network.model_dump(mode="json"), densities={})
    files = input_files(run)
    assert load_network(yaml.safe_load(files["network.yaml"])) == network
    assert "densities.yaml" not in files


def test_constraints_and_densities_read_back_equal() -> None:
    rules = load_constraints(CONSTRAINTS)
    files = input_files(run_of(constraints=asdict(rules)))
    assert load_constraints(yaml.safe_load(files["constraints.yaml"])) == rules
    profile = load_density(yaml.safe_load(files["densities.yaml"]))
    assert set(profile.weights.layers.values()) == {0.125}
    assert profile.activations.layers.keys() == {layer.name for layer in load_network("resnet18_2020").layers}


def test_the_command_names_everything() -> None:
    command = repeat_command(run_of())
    assert command == (
        "procrustes network architecture.yaml network.yaml --batch 64 --phases fw,wu --dataflow KN "
        "--sparsity sparsity_procrustes.yaml --baseline dense --density-profile densities.yaml "
        "--objective edp --seed 3 --seconds 60"
    )
    rules = asdict(load_constraints(CONSTRAINTS))
    other = repeat_command(run_of(constraints=rules, as_published=True, seconds=None))
    assert "--constraints constraints.yaml" in other and "--dataflow" not in other
    assert other.endswith("--seed 3 --seconds 0 --as-published")
