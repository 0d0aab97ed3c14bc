"""Layers that state zeros of their own: sparse products with a given matrix, and any other operand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from procrustes_model import SpecError, load_network
from procrustes_model.network.result import load_run
from procrustes_model.network.run import run_network
from procrustes_model.workloads.problem_layers import einsum

DESIGN: dict[str, Any] = {
    "sparsity": {
        "name": "skips",
        "densities": {"Weights": 0.5},
        "formats": {"Weights": {"*": {"kind": "coordinate"}}},
        "compute": {"skip": "Weights"},
    }
}
ASKED: dict[str, Any] = {"sparsity": DESIGN, "seconds": None, "workers": 1}


def graph(tmp_path: Path, **other: Any) -> dict[str, Any]:
    """Return a network of a sparse product on 6 nodes with 3 features, and a layer after it."""
    rng = np.random.default_rng(1)
    np.savez(tmp_path / "graph.npz", edges=rng.random((6, 4)) < 0.4)
    layers = [
        {"name": "agg", "kind": "spmm", "m": 6, "k": 4, "n": 3, **other},
        {"name": "gemm", "kind": "matmul", "m": 6, "k": 3, "n": 2},
    ]
    return {"network": {"name": "graph", "layers": layers}}


def test_products_are_the_nonzeros_times_the_features(tmp_path: Path) -> None:
    written = graph(tmp_path, adjacency="graph.npz")
    (tmp_path / "net.yaml").write_text(yaml.safe_dump(written))
    nonzeros = int(np.load(tmp_path / "graph.npz")["edges"].sum())
    network = load_network(tmp_path / "net.yaml")
    counted = run_network("simple_3level", network, out=tmp_path / "run", **ASKED)
    expected = run_network("simple_3level", graph(tmp_path, nonzeros=nonzeros), **ASKED)
    for run in (counted, expected):
        rows = [row for row in run.rows if row.layer == "agg"]
        assert [row.phase.short for row in rows] == ["fw", "bw"]  # nobody trains a graph
        for row in rows:
            assert row.entry.kind == "spmm"
            assert row.macs == 6 * 4 * 3
            assert row.computes == pytest.approx(nonzeros * 3)
            assert row.entry.densities["Weights"] == pytest.approx(nonzeros / 24)
        assert sum(row.computes for row in run.rows if row.layer == "gemm") == 3 * 36 * 0.5
    assert load_run(tmp_path / "run").rows == counted.rows
    assert run_network("simple_3level", network, out=tmp_path / "run", **ASKED).rows == counted.rows


def test_a_given_matrix_is_no_parameter(tmp_path: Path) -> None:
    network = load_network(graph(tmp_path, density=0.25))
    assert network.weights == 6
    assert network.macs == 6 * 4 * 3 + 6 * 3 * 2
    assert load_network(yaml.safe_load(network.to_yaml())) == network
    more = load_network(graph(tmp_path, density=0.25, densities={"Inputs": 0.5}))
    assert load_network(yaml.safe_load(more.to_yaml())) == more
    assert [name for name, _ in more.layers[0].densities] == ["Weights", "Inputs"]
    by_nonzeros = load_network(graph(tmp_path, nonzeros=6))
    assert by_nonzeros == network
    dense = run_network("simple_3level", network, phases=["fw"], seconds=None, workers=1)
    assert dense.rows[0].computes == 72


def test_samples_share_the_matrix(tmp_path: Path) -> None:
    run = run_network("simple_3level", graph(tmp_path, nonzeros=5), phases=["fw"], batch=4, **ASKED)
    assert run.rows[0].computes == pytest.approx(5 * 3 * 4)


def test_any_layer_may_state_zeros_of_its_operands(tmp_path: Path) -> None:
    """In place of what is said of all layers, by any density model, also of operands without a role."""
    np.save(tmp_path / "mask.npy", np.eye(4, dtype=bool))
    half = {"model": "structured", "nonzeros": 1, "group": 2, "along": "C"}
    layers = [
        {
            "name": "a",
            "kind": "fully_connected",
            "input_channels": 4,
            "channels": 4,
            "densities": {"Weights": half},
        },
        {"name": "b", "kind": "fully_connected", "channels": 4, "densities": {"Weights": 0.75}},
        {"name": "c", "kind": "fully_connected", "channels": 4, "densities": {"Weights": 1}},
        {
            "name": "d",
            "kind": "fully_connected",
            "channels": 4,
            "densities": {"Weights": {"model": "mask", "mask": str(tmp_path / "mask.npy")}},
        },
        {"name": "e", "kind": "fully_connected", "channels": 4},
    ]
    network = load_network({"network": {"name": "n", "layers": layers}})
    assert load_network(yaml.safe_load(network.to_yaml())) == network
    run = run_network("simple_3level", network, phases=["fw"], densities={"Weights": 0.25}, **ASKED)
    assert [row.computes for row in run.rows] == [8, 12, 16, 4, 4]
    assert [row.entry.densities.get("Weights") for row in run.rows] == [0.5, 0.75, 1, 0.25, 0.25]


def test_which_operand_is_sparse_follows_from_its_role() -> None:
    layer = einsum("e", "bk,kd->bd", dict.fromkeys("bkd", 4), weights=1, batch="b")
    network = load_network({"network": {"name": "n", "layers": [yaml.safe_load(_text(layer))]}})
    run = run_network("simple_3level", network, phases=["fw", "bw"], **ASKED)
    assert [row.computes for row in run.rows] == [16, 16]


def _text(layer: Any) -> str:
    content = layer.problem.to_dict()
    item = {"name": "e", "kind": "problem", "shape": content["shape"], "dimensions": content["dimensions"]}
    return yaml.safe_dump(item | {"batch_dimension": "b", "densities": {"Weights": 0.25}})


def test_a_profile_and_a_layer_do_not_say_the_same(tmp_path: Path) -> None:
    network = graph(tmp_path, density=0.25)
    network["network"]["layers"][1]["densities"] = {"Weights": 0.5}
    profile = {"density": {"name": "p", "weights": {"layers": {"gemm": 0.1}}}}
    with pytest.raises(SpecError, match="the density of Weights of 'gemm' is stated by graph, too"):
        run_network("simple_3level", network, profile=profile, **ASKED)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({}, "nothing says how many of A are not zero; one of density, nonzeros, adjacency"),
        ({"density": 0.1, "nonzeros": 3}, "'density' and 'nonzeros' are given"),
        ({"nonzeros": 25}, "A has 24 elements, and not 25"),
        ({"density": 1.5}, "'density' must be from 0 to 1"),
        ({"densities": {"Weight": 0.5}, "density": 0.5}, "no tensor 'Weight' for 'densities'"),
        ({"densities": {"Inputs": 2}, "density": 0.5}, "the density of 'Inputs' must be from 0 to 1, is 2"),
        ({"densities": {"Weights": 0.5}, "density": 0.5}, "'density' says what is zero of A"),
        ({"densities": {}, "density": 0.5}, "'densities' must be"),
        ({"channels": 3, "density": 0.5}, "a layer of kind spmm takes no 'channels'"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_network(graph(tmp_path, **changed))
    assert message in str(caught.value)


def test_a_mask_that_does_not_fit_is_named(tmp_path: Path) -> None:
    written = graph(tmp_path, adjacency=str(tmp_path / "graph.npz"))
    written["network"]["layers"][0] |= {"m": 5}
    with pytest.raises(SpecError, match=r"graph.npz.*6"):
        run_network("simple_3level", written, **ASKED)
