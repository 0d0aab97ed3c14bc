"""Requests: what is said once is the same everywhere, and what is stated is used or refused."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from procrustes_model import reproduce, run_network, train_cost
from procrustes_model.errors import SpecError
from procrustes_model.network.densities import find_states
from procrustes_model.network.request import ENGINES, RunRequest, TrainRequest
from procrustes_model.network.result import _upgrade
from procrustes_model.network.work import describe, load_work, states_of
from procrustes_model.options import Request, options_of
from procrustes_model.report.page.inputs import repeat_command
from procrustes_model.reproduction.request import ReproduceRequest
from procrustes_model.spec.load import load_network
from procrustes_model.spec.network_density import load_density
from procrustes_model.vocabulary import PHASES, Phase
from tests.network.conftest import TINY

VERBS: list[tuple[Callable[..., Any], type[Request]]] = [
    (run_network, RunRequest),
    (train_cost, TrainRequest),
    (reproduce, ReproduceRequest),
]
WRONG = {"constraints": {"name": "a", "levels": [{"level": "Dram"}]}}
SPARSE = {"sparsity": "procrustes"}


def asked(**options: Any) -> RunRequest:
    return RunRequest("procrustes_16x16", TINY, **options)


@pytest.mark.parametrize(("verb", "kind"), VERBS)
def test_a_verb_takes_and_documents_the_fields(verb: Callable[..., Any], kind: type[Request]) -> None:
    assert inspect.signature(verb).parameters == inspect.signature(kind).parameters
    text = inspect.getdoc(verb) or ""
    entries = re.findall(r"(?m)^(\w+) : .+\n    \S", text.partition("\nReturns\n")[0])
    assert sorted(entries) == sorted(inspect.signature(kind).parameters)
    assert text.count("Parameters\n----------\n") == text.count("Returns\n-------\n") == 1


def test_what_is_given_takes_its_usual_form() -> None:
    request = asked(
        phases=["wu", "forward"], dataflow="nk", seconds=0, out="here", densities="X=0.5", **SPARSE
    )
    assert request.phases == (Phase.FORWARD, Phase.WEIGHT_UPDATE)
    assert (request.dataflow, request.seconds, request.out) == ("KN", None, Path("here"))
    assert request.densities == {"Inputs": 0.5}
    assert request == asked(
        phases="fw,wu", dataflow="KN", seconds=None, out="here", densities={"Inputs": 0.5}, **SPARSE
    )
    assert asked().phases == PHASES and asked().given() == ["--architecture", "--network"]


def test_a_request_and_its_fields_ask_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    import procrustes_model.network.run as module

    seen: list[RunRequest] = []

    def keep(request: RunRequest) -> None:
        seen.append(request)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "load_work", keep)
    for call in (lambda: run_network(asked(batch=3)), lambda: run_network("procrustes_16x16", TINY, batch=3)):
        with pytest.raises(KeyboardInterrupt):
            call()
    assert seen[0] == seen[1] == asked(batch=3)
    with pytest.raises(TypeError, match="bach"):
        run_network("procrustes_16x16", TINY, bach=3)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"batch": 0}, "batch must be a whole number of at least 1, is '0'"),
        ({"batch": 1.5}, "batch must be a whole number"),
        ({"batch": True}, "batch must be a whole number"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"seconds": -1}, "seconds must be a number of seconds of at least 0"),
        ({"seconds": float("nan")}, "seconds must be a number"),
        ({"as_published": 1}, "as_published must be true or false"),
        ({"constraints": 3}, "constraints must be a file, a name, or a specification"),
        ({"objective": None}, "objective must be text"),
        ({"objective": "speed"}, "unknown objective 'speed'; one of energy, cycles, edp"),
        ({"phases": []}, "there is no phase; some of fw, bw, wu"),
        ({"phases": "fw,up"}, "unknown phase 'up'"),
        ({"dataflow": "KX"}, "unknown dataflow 'KX'"),
        ({"engine": "slurm"}, f"unknown engine 'slurm'; one of {', '.join(ENGINES)}"),
        ({"scheduler": "tcp://x:1"}, "needs the engine dask"),
        ({"scheduler": "tcp://x:1", "engine": "dask", "workers": 2}, "leave out --workers"),
        ({"dataflow": "KN", "constraints": "dataflow_kn"}, "both given"),
        ({"step": 1, **SPARSE}, "--step chooses among recorded masks; add --masks FILE"),
        ({"densities": {"Weigths": 0.5}, **SPARSE}, "'Weigths' is no tensor of a layer; choose from Weights"),
        ({"densities": {"Weights": 1.5}, **SPARSE}, "1.5 is no density of Weights"),
        ({"densities": {"Weights": 1}, "masks": "m.npz", **SPARSE}, "given twice: by density and by masks"),
        ({"densities": {"Weights": 1}, "profile": "p", **SPARSE}, "given twice: by density and by profile"),
        ({"profile": "p", "masks": "m.npz", **SPARSE}, "given twice: by profile and by masks"),
    ],
)
def test_what_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=re.escape(said)) as caught:
        asked(**options)
    assert len(caught.value.issues) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"densities": {"Weights": 0.5}}, "need a sparse design"),
        ({"profile": "resnet18"}, "need a sparse design"),
        ({"sparsity": "dense", "densities": {"Weights": 0.5}}, "need a sparse design"),
        ({"step": 1, "profile": "resnet18", **SPARSE}, "--step chooses among recorded masks"),
        ({"baseline": "procrustes", **SPARSE}, "are both 'procrustes'"),
        ({"densities": {"Outputs": 0.5}, **SPARSE}, "has no zeros in Outputs"),
        (
            {"constraints": {"constraints": {"name": "a", "levels": [{"level": "Dram"}]}}},
            "did you mean 'DRAM'",
        ),
    ],
)
def test_what_is_refused_once_it_is_read(options: dict[str, Any], said: str) -> None:
    request = asked(**options)
    with pytest.raises(SpecError, match=re.escape(said)):
        states_of(load_work(request))


def test_a_density_that_nothing_needs_is_refused() -> None:
    network = load_network(TINY)
    known = {"name": "p", "activations": {"default": 0.5}}
    with pytest.raises(SpecError, match="the density of Inputs is known of every layer"):
        find_states(network, profile=load_density({"density": known}), density={"Inputs": 0.3})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sparsity": None, "schedule": "masks.npz"}, "name a sparse design"),
        ({"iterations": 9}, "a schedule file says its own"),
        ({"mappings": "all"}, "unknown mappings 'all'; one of each, dense"),
    ],
)
def test_what_a_training_run_refuses(options: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        TrainRequest("procrustes_16x16", TINY, **{"schedule": "run.yaml", **options})
    assert TrainRequest("procrustes_16x16", TINY, "masks.npz", iterations=9).seconds == 60


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"quick": True, "workers": 2}, "no item is named for --quick, --workers"),
        ({"item": "conv512", "networks": ["vgg_s"]}, "conv512 is one layer, of no network"),
        ({"item": "energy", "out": None}, "out must be a folder"),
        ({"item": "energy", "rules": "mine"}, "unknown rules 'mine'; one of published, model"),
    ],
)
def test_what_a_reproduction_refuses(options: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        ReproduceRequest(**options)


def test_every_item_takes_what_all_are_asked_with() -> None:
    everything = ReproduceRequest("all", networks="vgg_s, resnet18")
    assert everything.about("energy").networks == ("vgg_s", "resnet18")
    assert everything.about("conv512").networks is None


def test_runs_of_version_1_are_read() -> None:
    work = load_work(asked(baseline="dense", dataflow="KN", densities="W=0.5", **SPARSE))
    inputs = describe(work, states_of(work))
    names = ("dataflow", "sparsity", "baseline", "density", "profile", "masks", "step")
    old = {name: value for name, value in inputs.items() if name not in names}
    old |= {"phases": ["forward"], "batch": 16, "seconds": None}
    old["designs"] = [
        {"name": "procrustes", "dataflow": "KN", "sparsity": inputs["sparsity"]},
        {"name": "dense", "dataflow": "KN", "sparsity": None},
    ]
    new = _upgrade(old)
    assert {"program", "densities"} | {
        one.recorded for one in options_of(RunRequest).values() if one.option.decides
    } == set(new)
    assert (
        repeat_command(type("Run", (), {"inputs": new}))  # type: ignore[arg-type]
        == "procrustes network architecture.yaml network.yaml --phases fw --baseline dense "
        "--density-profile densities.yaml --sparsity sparsity_procrustes.yaml --batch 16 --dataflow KN "
        "--seconds 0"
    )
