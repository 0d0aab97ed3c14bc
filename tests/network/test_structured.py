"""What is said of a network's zeros holds under n:m groups, or is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from procrustes_model import (
    evaluate,
    load_architecture,
    load_mapping,
    load_problem,
    load_sparsity,
    train_cost,
)
from procrustes_model.errors import SpecError
from procrustes_model.network.densities import LayerState, find_states, zeros_of
from procrustes_model.network.plan import make_plan
from procrustes_model.network.request import RunRequest
from procrustes_model.network.work import load_work, states_of
from procrustes_model.spec.load import load_network
from procrustes_model.spec.network_density import load_density
from procrustes_model.spec.zeros import Zeros
from procrustes_model.training.masks import LayerMasks, MaskFile, save_masks
from procrustes_model.workloads.layer import training_problem
from procrustes_model.workloads.phases import PHASES

NETWORK: dict[str, Any] = {
    "network": {
        "name": "small",
        "batch": 4,
        "input": {"channels": 3, "height": 4, "width": 4},
        "layers": [
            {"name": "first", "kind": "conv", "channels": 8, "kernel": 3, "padding": 1},
            {"name": "second", "kind": "conv", "channels": 8, "kernel": 1},
            {"name": "scores", "kind": "matmul", "m": 4, "k": 8, "n": 4, "weights": False},
        ],
    }
}
TWO_OF_FOUR = {"model": "structured", "nonzeros": 2, "group": 4, "along": "C"}


def design(**densities: Any) -> dict[str, Any]:
    """Return a design that skips the zeros of the weights, and of whatever else has densities."""
    names = list(densities or {"Weights": 0})
    return {
        "sparsity": {
            "name": "groups",
            "densities": densities or {"Weights": TWO_OF_FOUR},
            "formats": {name: {"*": "coordinate"} for name in names},
            "compute": {"skip": names},
        }
    }


def zeros(sparsity: Any = None, **said: Any) -> dict[str, Zeros]:
    """Return what is zero in each layer's forward phase, under a design, when something is said of it."""
    network = load_network(NETWORK)
    request = RunRequest("procrustes_16x16", network, sparsity=sparsity or design(), **said)
    work = load_work(request)
    states, chosen = states_of(work), work.designs[0].sparsity
    assert chosen is not None
    return {
        layer.name: zeros_of(training_problem(layer, "forward"), chosen, states[layer.name])
        for layer in network.layers
    }


def densities(sparsity: Any = None, **said: Any) -> list[Any]:
    return [one.densities.get("Weights") for one in zeros(sparsity, **said).values()]


DENSE = {"model": "dense"}


def anywhere(density: float) -> dict[str, Any]:
    return {"model": "hypergeometric", "density": density}


def test_groups_stay_where_nothing_is_said() -> None:
    assert densities() == [None, None, DENSE]  # a product of activations has no weights to prune
    only_inputs = {"density": {"name": "p", "activations": {"default": 0.5}}}
    both = design(Weights=TWO_OF_FOUR, Inputs=0.5)
    assert densities(both, profile=only_inputs) == [None, None, DENSE]


def test_a_stated_density_replaces_groups() -> None:
    assert densities(densities={"Weights": 0.25}) == [anywhere(0.25), anywhere(0.25), DENSE]
    assert densities(densities="W=1") == [DENSE, DENSE, DENSE]
    profile = {"density": {"name": "p", "weights": {"layers": {"first": 1.0, "second": 0.1}}}}
    assert densities(profile=profile) == [DENSE, anywhere(0.1), DENSE]


def test_what_groups_keep_leaves_them() -> None:
    """Of three channels 2:4 keeps two: either number states it."""
    assert densities(densities={"Weights": 0.5}) == [None, None, DENSE]
    profile = {"density": {"name": "p", "weights": {"layers": {"first": 2 / 3, "second": 0.5}}}}
    assert densities(profile=profile) == [None, None, DENSE]


def masks(path: Path, density: float = 0.5) -> Path:
    rng = np.random.default_rng(1)
    layers = []
    for layer in load_network(NETWORK).layers[:2]:
        mask = rng.random((1, *layer.weight_shape)) < density
        layers.append(
            LayerMasks(layer.name, mask, mask.mean(axis=(1, 2, 3, 4)), np.full(1, 0.3), np.full(1, np.nan))
        )
    save_masks(path, MaskFile(tuple(layers), (10,)))
    return path


def test_masks_replace_groups(tmp_path: Path) -> None:
    file = masks(tmp_path / "masks.npz", 0.4)
    found = zeros(masks=file)
    assert found["first"].masks["Weights"].shape == (8, 3, 3, 3)
    kept = {name: float(found[name].masks["Weights"].mean()) for name in ("first", "second")}
    assert densities(profile=file) == [*(anywhere(share) for share in kept.values()), DENSE]


def test_assumed_activations_leave_groups() -> None:
    both = design(Weights=TWO_OF_FOUR, Inputs=TWO_OF_FOUR)
    said = {"density": {"name": "p", "weights": {"overall": 0.25}}}
    assert "Inputs" not in zeros(both, profile=said)["second"].densities
    said["density"]["activations"] = {"default": 0.25}
    assert zeros(both, profile=said)["second"].densities["Inputs"] == anywhere(0.25)


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"densities": {"Weights": 0.5}}, "groups has no zeros in Weights"),
        (
            {"profile": {"density": {"name": "p", "weights": {"overall": 0.5}}}},
            "groups has no zeros in Weights",
        ),
        ({"masks": "masks.npz"}, "groups has no zeros in Weights"),
    ],
)
def test_weights_that_a_design_does_not_prune_are_refused(
    said: dict[str, Any], wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    masks(tmp_path / "masks.npz")
    with pytest.raises(SpecError, match=wrong):
        zeros(design(Inputs=TWO_OF_FOUR), **said)
    profile = zeros(design(Inputs=0.5), profile=tmp_path / "masks.npz")
    assert profile["first"].densities["Inputs"]["density"] == 0.3  # of what is recorded, a part will do
    activations = {"density": {"name": "p", "activations": {"default": 0.4}}}
    with pytest.raises(SpecError, match="groups has no zeros in Inputs, in any phase"):
        zeros(design(Weights=0.5), profile=activations)


def test_a_schedule_refuses_weights_that_a_design_does_not_prune() -> None:
    parts = [{"iterations": 1}, {"iterations": 1, "weights": {"overall": 0.5}}]
    schedule = {"schedule": {"name": "s", "parts": parts}}
    with pytest.raises(SpecError, match="part 2: groups has no zeros in Weights, in any phase"):
        train_cost("procrustes_16x16", NETWORK, schedule, sparsity=design(Inputs=0.5))


def test_masks_of_the_design_itself_are_replaced(tmp_path: Path) -> None:
    np.save(tmp_path / "own.npy", np.ones((8, 8, 1, 1)))
    own = design(Weights={"model": "mask", "mask": str(tmp_path / "own.npy")})
    layer = load_network(NETWORK).layers[1]
    problem = training_problem(layer, "forward")
    found = zeros_of(problem, load_sparsity(own), LayerState(weights=0.5))
    assert found.densities == {"Weights": anywhere(0.5)}
    assert zeros_of(problem, load_sparsity(own), LayerState()).densities == {}


SCHEDULE = {
    "schedule": {
        "name": "half",
        "parts": [
            {"iterations": 50},
            {"iterations": 50, "weights": {"overall": 0.5}},
            {"iterations": 50, "weights": {"overall": 0.25}},
        ],
    }
}


def test_dense_parts_of_a_schedule_are_dense() -> None:
    """Forward and backward take 1, 1/2 and 1/4 of the steps, the weight update all of them."""
    written = design()
    written["sparsity"]["phases"] = {
        "weight_update": {"compute": {}, "densities": {"Weights": "dense"}, "formats": {"Weights": {}}}
    }
    layers = [{"name": "a", "kind": "fully_connected", "input_channels": 64, "channels": 64}]
    network = {"network": {"name": "one", "batch": 16, "layers": layers}}
    cost = train_cost("procrustes_16x16", network, SCHEDULE, sparsity=written, mappings="dense", workers=1)
    dense = cost.dense.step().cycles
    assert [part.step().cycles for part in cost.parts] == [dense, dense * 2 // 3, dense // 2]
    machine, sparsity = load_architecture("procrustes_16x16"), load_sparsity(written)
    shares: list[Any] = [{"model": "dense"}, TWO_OF_FOUR, 0.25]
    for part, share in zip(cost.parts, shares, strict=True):
        for row in part.rows[:2]:
            problem = load_problem({"problem": row.entry.problem})
            mapping = load_mapping(row.case.mapping, machine, problem)
            again = evaluate(machine, problem, mapping, sparsity=sparsity, densities={"Weights": share})
            assert (row.case.cycles, row.case.energy_pj) == (again.cycles, pytest.approx(again.energy_pj))


def test_a_number_means_the_same_to_a_single_evaluation() -> None:
    """Actions tell groups from zeros that lie anywhere."""
    written = design()
    written["sparsity"]["actions"] = [{"level": "RegFile", "skip": "Inputs", "on": "Weights"}]
    machine, sparsity = load_architecture("procrustes_16x16"), load_sparsity(written)
    problem = load_problem("vgg_s/conv3_2")
    mapping = load_mapping("procrustes_16x16/vgg_s_conv3_2_kn", machine, problem)

    def run(share: Any) -> Any:
        return evaluate(machine, problem, mapping, sparsity=sparsity, densities={"Weights": share})

    own = evaluate(machine, problem, mapping, sparsity=sparsity)
    assert run(0.5) == own
    assert dict(run(0.25).densities)["Weights"] == 0.25
    assert run(1.0).cycles == 2 * own.cycles


def test_states_that_mean_the_same_are_one_case() -> None:
    network = load_network(NETWORK)
    work = load_work(RunRequest("procrustes_16x16", network, sparsity=design()))
    unsaid, half = find_states(network), find_states(network, density={"Weights": 0.5})
    profile = load_density({"density": {"name": "p", "activations": {"default": 0.5}}})
    keys = [
        {entry.key for entry in make_plan(work, states).entries}
        for states in (unsaid, half, find_states(network, profile=profile))
    ]
    assert keys[0] == keys[1] == keys[2]
    assert len(keys[0]) == 3 * len(PHASES)
