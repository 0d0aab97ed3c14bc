"""What went into a run is written so that it reads back equal."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
import yaml

from procrustes_model.cli import app
from procrustes_model.cli.requests import make_request
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.network.request import RunRequest
from procrustes_model.network.work import describe, load_work, states_of
from procrustes_model.report.page.inputs import input_files, repeat_command, repeat_request
from procrustes_model.shipped import list_shipped
from procrustes_model.spec.load import load_architecture, load_network, load_sparsity
from procrustes_model.spec.network_density import load_density

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
    options: dict[str, Any] = {"sparsity": "procrustes", "baseline": "dense", "dataflow": "KN", "seed": 3}
    options |= {"batch": 64, "phases": "wu,fw", "seconds": 90, "profile": "resnet18"}
    asked = RunRequest(**{"architecture": "procrustes_16x16", "network": "resnet18"} | options | changes)
    work = load_work(asked)
    inputs = describe(work, states_of(work))
    # As it is written and read.
    return SimpleNamespace(inputs=json.loads(json.dumps(inputs)), request=work.request)


@pytest.mark.parametrize("name", list_shipped("architecture"))
def test_architectures_read_back_equal(name: str) -> None:
    machine = load_architecture(name)
    text = input_files(run_of(architecture=machine))["architecture.yaml"]
    assert load_architecture(yaml.safe_load(text)) == machine


@pytest.mark.parametrize("name", list_shipped("sparsity"))
def test_designs_read_back_equal(name: str) -> None:
    design = load_sparsity(name)
    run = run_of(sparsity=design, baseline=None, profile=None)
    text = input_files(run)[f"sparsity_{name}.yaml"]
    assert load_sparsity(yaml.safe_load(text)) == design


@pytest.mark.parametrize("name", list_shipped("network"))
def test_networks_read_back_equal(name: str) -> None:
    network = load_network(name)
    run = run_of(network=network, profile=None)
    files = input_files(run)
    assert load_network(yaml.safe_load(files["network.yaml"])) == network
    assert "densities.yaml" not in files


def test_constraints_and_densities_read_back_equal() -> None:
    rules = load_constraints(CONSTRAINTS)
    files = input_files(run_of(constraints=CONSTRAINTS, dataflow="any"))
    assert load_constraints(yaml.safe_load(files["constraints.yaml"])) == rules
    assert load_density(yaml.safe_load(files["densities.yaml"])) == load_density("resnet18")


def test_the_command_says_what_differs_from_the_defaults() -> None:
    assert repeat_command(run_of()) == (
        "procrustes network architecture.yaml network.yaml --phases fw,wu --baseline sparsity_dense.yaml "
        "--density-profile densities.yaml --sparsity sparsity_procrustes.yaml --batch 64 --dataflow KN "
        "--seed 3 --seconds 90"
    )
    plain = {"sparsity": None, "baseline": None, "profile": None, "phases": "fw,bw,wu", "batch": None}
    command = repeat_command(run_of(**plain, dataflow="any", seed=0, seconds=60.0))
    assert command == "procrustes network architecture.yaml network.yaml"


SKIP: dict[str, Any] = {"compute": {"skip": "Weights"}}
CHANGES: list[dict[str, Any]] = [
    {},
    {"constraints": CONSTRAINTS, "dataflow": "any", "as_published": True, "seconds": None},
    {"profile": None, "densities": {"Weights": 0.1, "Inputs": 1 / 3}, "objective": "cycles"},
    {
        "sparsity": None,
        "profile": None,
        "baseline": {"sparsity": {"name": "a/b", "compute": {"skip": "Weights"}}},
    },
    {"seconds": 0.1, "phases": ["backward"], "batch": None, "sparsity": "procrustes_2020"},
]


@pytest.mark.parametrize("changes", CHANGES)
def test_the_command_asks_the_same(
    changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(**changes)
    for name, text in input_files(run).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    asked = parse(repeat_command(run))
    assert asked == repeat_request(run)
    assert load_work(asked).request == run.request


def test_recorded_masks_stay_where_they_are(tmp_path: Path) -> None:
    request = RunRequest("a.yaml", "n.yaml", sparsity="procrustes", masks=tmp_path / "a b.npz", step=7)
    assert parse(shlex.join(["procrustes", "network", *request.to_words()])) == request


def parse(command: str) -> RunRequest:
    """Return what the command line makes of a command."""
    _, verb, *words = shlex.split(command)
    group: Any = typer.main.get_command(app)
    return make_request(RunRequest, group.commands[verb].make_context(verb, words).params)
