"""A network with layers that are problems, from its file to its tables."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from procrustes_model import SpecError, evaluate, load_network, load_problem, train_cost
from procrustes_model.network.progress import RunProgress
from procrustes_model.network.result import NetworkResult, load_run
from procrustes_model.network.run import run_network
from procrustes_model.report.page.inputs import input_files
from procrustes_model.report.page.network import html_text, notes
from procrustes_model.report.tables.network import write_tables
from procrustes_model.report.terminal.network import format_layers
from procrustes_model.spec.network import Network, NetworkLayer
from procrustes_model.training import LayerMasks, MaskFile, save_masks
from procrustes_model.vocabulary import PHASES
from procrustes_model.workloads.problem_layers import (
    convolution,
    einsum,
    problem_layer,
    recurrent_product,
    transposed_convolution,
)

NETWORK = Network(
    name="odd",
    batch=2,
    layers=(
        NetworkLayer(name="conv", kind="conv", in_channels=2, out_channels=4, input_size=(2, 1)),
        transposed_convolution("up", weight=(4, 2, 2, 1), size=(2, 1), stride=(2, 1)),
        convolution("volume", weight=(2, 2, 1, 2, 1), size=(1, 3, 1)),
        recurrent_product("gates", inputs=4, outputs=8, steps=2),
        einsum("scores", "qd,kd->qk", {"q": 2, "k": 2, "d": 4}, weights=None, count=2),
        problem_layer("same_a", "matmul", {"M": 2, "K": 4, "N": 4}, batch_dimension="M"),
        problem_layer("same_b", "matmul", {"M": 2, "K": 4, "N": 4}, batch_dimension="M"),
    ),
)
ASKED: dict[str, Any] = {
    "dataflow": "KN",
    "sparsity": "procrustes",
    "baseline": "dense",
    "seconds": None,
    "workers": 1,
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[NetworkResult, Path]:
    folder = tmp_path_factory.mktemp("odd")
    given = {"Weights": 0.25, "Inputs": 0.5}
    result = run_network("procrustes_16x16", NETWORK, densities=given, out=folder, **ASKED)
    write_tables(result, folder)
    return result, folder


def test_every_phase_of_every_layer_is_there(ran: tuple[NetworkResult, Path]) -> None:
    result, folder = ran
    layers = {layer.name: layer for layer in NETWORK.layers}
    assert len(result.rows) == len(layers) * len(PHASES) * 2
    for row in result.rows:
        layer = layers[row.layer]
        assert row.entry.kind == layer.kind
        assert row.macs == 2 * layer.macs
        assert row.case.problem["phase"] == row.phase
        if row.design == "dense" or row.phase == "weight_update":
            continue
        assert row.entry.densities["Weights"] == (0.25 if layer.weights else 1.0)
    with (folder / "layers.csv").open(encoding="utf-8") as file:
        kinds = {one["layer"]: one["kind"] for one in csv.DictReader(file)}
    assert kinds == {name: layer.kind for name, layer in layers.items()}
    for pair in zip(result.select(layer="same_a"), result.select(layer="same_b"), strict=True):
        assert pair[0].entry.key == pair[1].entry.key
    assert "up" in format_layers(result)
    assert "Dataflow: KN: N over columns, M over rows in same_a, same_b." in notes(result)
    assert "kind: problem" in html_text(result)


def test_files_of_a_run_say_the_same(ran: tuple[NetworkResult, Path]) -> None:
    result, folder = ran
    assert load_run(folder).rows == result.rows
    written = input_files(result)["network.yaml"]
    (folder / "again.yaml").write_text(written)
    assert load_network(folder / "again.yaml") == NETWORK
    for row in result.select("dense"):
        problem = load_problem(folder / "problems" / f"{row.layer}_{row.phase.short}.yaml")
        assert problem == load_problem({"problem": row.entry.problem})
        mapping = folder / "mappings" / f"{row.layer}_{row.phase.short}_dense.yaml"
        found = evaluate("procrustes_16x16", problem, mapping)
        assert math.isclose(found.energy_pj, row.case.energy_pj, rel_tol=1e-12)
        assert found.cycles == row.case.cycles


def test_a_run_goes_on_where_it_was(ran: tuple[NetworkResult, Path]) -> None:
    result, folder = ran
    seen: list[RunProgress] = []
    given = {"Weights": 0.25, "Inputs": 0.5}
    again = run_network(
        "procrustes_16x16", NETWORK, densities=given, out=folder, progress=seen.append, **ASKED
    )
    assert again.rows == result.rows
    assert seen[-1].kept == seen[-1].total


def test_a_layer_costs_what_the_same_layer_of_a_kind_does(ran: tuple[NetworkResult, Path]) -> None:
    """Whatever its dimensions are called, under the same dataflow."""
    kinds = (
        NetworkLayer(name="same_a", kind="matmul", in_channels=4, out_channels=4, rows=2),
        NetworkLayer(
            name="scores", kind="matmul", in_channels=4, out_channels=2, rows=2, has_weights=False, count=2
        ),
    )
    other = Network(name="n", batch=2, layers=kinds)
    for theirs in run_network("procrustes_16x16", other, **ASKED | {"sparsity": None, "baseline": None}).rows:
        (ours,) = ran[0].select("dense", theirs.phase, theirs.layer)
        assert math.isclose(ours.case.energy_pj, theirs.case.energy_pj, rel_tol=1e-12)
        assert ours.case.cycles == theirs.case.cycles


def test_masks_are_counted_or_refused(tmp_path: Path) -> None:
    shapes = {"up": (4, 2, 2, 1), "volume": (2, 2, 1, 2, 1), "gates": (8, 4), "same_a": (4, 4)}
    rng = np.random.default_rng(0)

    def saved(shapes: dict[str, tuple[int, ...]]) -> Path:
        nothing = np.full(1, np.nan)
        layers = tuple(
            LayerMasks(name, rng.random((1, *shape)) < 0.5, nothing, nothing, nothing)
            for name, shape in shapes.items()
        )
        save_masks(tmp_path / "masks.npz", MaskFile(layers, (0,)))
        return tmp_path / "masks.npz"

    asked = {**ASKED, "phases": ["bw"], "baseline": None}
    result = run_network("procrustes_16x16", NETWORK, masks=saved(shapes), **asked)
    for row in result.rows:
        compute = row.case.result["compute"]["computes"]
        if row.layer in shapes:
            assert compute < row.macs
            assert row.case.work_spread == "counted"
    with pytest.raises(
        SpecError, match=r"the weights of 'up' have shape \[4, 2, 2, 3\], in odd \[4, 2, 2, 1\]"
    ):
        run_network("procrustes_16x16", NETWORK, masks=saved(shapes | {"up": (4, 2, 2, 3)}), **asked)


def test_a_training_run(tmp_path: Path) -> None:
    parts = [
        {"iterations": 10, "activations": {"default": 1.0}},
        {
            "iterations": 5,
            "weights": {"overall": 0.5, "rule": "erdos_renyi_kernel"},
            "gradients": {"layers": {"up": 0.5}},
        },
    ]
    schedule = {"schedule": {"name": "run", "parts": parts}}
    network = NETWORK.model_copy(update={"layers": NETWORK.layers[1::2]})
    cost = train_cost("procrustes_16x16", network, schedule, sparsity="procrustes", workers=1, out=tmp_path)
    assert cost.iterations == 15
    assert cost.parts[1].weight_density == pytest.approx(0.5)
    for part in (*cost.parts, cost.dense):
        assert {row.layer for row in part.rows} == {layer.name for layer in network.layers}
    assert sum(part.energy_pj for part in cost.parts) == cost.energy_pj


def test_a_design_whose_groups_need_another_dimension_is_refused() -> None:
    design = {
        "sparsity": {
            "name": "two_of_four",
            "phases": {
                "forward": {
                    "densities": {
                        "Weights": {"model": "structured", "nonzeros": 2, "group": 4, "along": "C"}
                    },
                    "compute": {"gate": ["Weights"]},
                }
            },
        }
    }
    asked = {"sparsity": design, "phases": ["fw"], "seconds": None, "workers": 1, "dataflow": "any"}
    layer = einsum("e", "bk,kd->bd", dict.fromkeys("bkd", 4), weights=1, batch="b")
    letters = Network(name="n", layers=(layer,))
    with pytest.raises(SpecError, match="tensor 'Weights' has no dimension 'C' for its groups"):
        run_network("procrustes_16x16", letters, **asked)
