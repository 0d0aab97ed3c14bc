"""Systems that ship as data: counts that follow from their papers, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from procrustes_model import evaluate, load_network, training_memory
from procrustes_model.network.run import run_network
from procrustes_model.workloads.layer import training_problem
from procrustes_model.workloads.phases import in_phase


def test_conversions_of_crossbars() -> None:
    """TxSim: one per output of a crossbar and input vector; sliced, also per slice and bit of an input."""
    plain = evaluate("txsim", "txsim/fc", "txsim/txsim_fc")
    sliced = evaluate("txsim", "txsim/fc_sliced", "txsim/txsim_fc_sliced")
    conversions = [one.uses for run in (plain, sliced) for one in run.components if one.name == "ADC"]
    assert conversions == [1024 * 32, 16 * 64 * 32 * 32]
    # Inputs and outputs pass a buffer at 10 pJ and tiles at 0.1 pJ; a cell computes at 0.001 pJ.
    words = 2048 * 10 + 32768 * 10 + 2048 * 16 * 2 * 0.1 + 32768 * 0.1
    assert plain.energy_pj == pytest.approx(words + 64 * 1024 * 32 * 0.001 + 2048 * 16 * 0.4 + 32768 * 2)
    assert plain.energy_pj == pytest.approx(0.4387e6, rel=1e-3)


def test_a_graph_costs_its_nonzeros() -> None:
    """SGNN on Cora: 13,264 nonzeros times the features; dense layers as they are."""
    network = load_network("sgnn_cora")
    macs = {layer.name: layer.macs for layer in network.layers}
    assert (macs["dense1"], macs["dense2"]) == (2708 * 1433 * 128, 2708 * 128 * 7)
    design: dict[str, Any] = {
        "sparsity": {"name": "skips", "densities": {"Weights": 0.5}, "compute": {"skip": "Weights"}}
    }
    design["sparsity"] |= {"formats": {"Weights": {"*": "coordinate"}}}
    graph = network.layers[2]
    nest = {"mapping": {"levels": [{"level": "DRAM", "temporal": "C=2708 K=2708 N=128"}]}}
    zeros = {name: density.density for name, density in graph.densities}
    asked: dict[str, Any] = {"sparsity": design, "densities": zeros, "check_capacity": False}
    found = evaluate("simple_3level", training_problem(graph, "forward"), nest, **asked)
    assert found.compute.computes == pytest.approx(13264 * 128, rel=1e-12)


def test_spikes_are_their_own_bitmask() -> None:
    """784 x 128 x 25 bits in words of 16: 156,800 words, and no values beside them."""
    network = load_network("snn_mnist")
    assert network.macs == 25 * (784 * 1000 + 1000 * 10)
    first = network.model_copy(update={"layers": network.layers[:1], "elementwise": ()})
    run = run_network("simple_3level", first, sparsity="spikes", phases=["fw"], seconds=5, workers=1)
    counts = {
        (row["tensor"], row["action"]): row["count"]
        for row in run.rows[0].case.rows
        if row["level"] == "DRAM"
    }
    assert counts["Inputs", "read"] == 0
    assert counts["Inputs", "metadata_read"] == 784 * 128 * 25 / 16
    assert run.rows[0].computes == pytest.approx(0.1 * 784 * 1000 * 25 * 128)
    # Backpropagation through time keeps spikes, one bit each, and the membrane of every step.
    memory = training_memory(network)
    membranes = (1000 + 10) * 25 * 128 * 32
    assert memory.traffic["saved activations"].stored == (784 + 1000) * 25 * 128 + membranes


def test_a_series_of_terms_costs_what_its_terms_do() -> None:
    """TASD: 2:4 + 1:8."""
    layer = load_network("lstm_ptb").layers[-1]
    problem = in_phase(training_problem(layer, "forward"), "forward")
    bounds = {"C": 16, "K": 4, "N": 4}
    small = {"problem": {"name": "p", "shape": problem.shape, "dimensions": bounds}}
    nest = {"mapping": {"levels": [{"level": "DRAM", "temporal": "C=16 K=4 N=4"}]}}
    found = evaluate("simple_3level", small, nest, sparsity="tasd", check_capacity=False)
    assert found.compute.computes == (2 / 4 + 1 / 8) * 16 * 4 * 4


@pytest.mark.parametrize(
    ("name", "elements"),
    [
        ("resnet50_split_layer4_2", 2048 * 7 * 7),
        ("resnet50_split_layer4_0", 2048 * 7 * 7),
        ("resnet50_split_layer3_4", 1024 * 14 * 14),
    ],
)
def test_a_network_in_two_parts(name: str, elements: int) -> None:
    network, whole = load_network(name), load_network("resnet50")
    (crossing,) = network.crossings
    assert (crossing.elements, crossing.bits) == (elements, 8)
    assert [layer.model_copy(update={"machine": None}) for layer in network.layers] == list(whole.layers)
    assert network.branches == whole.branches


def test_a_recurrent_network() -> None:
    """Two layers of 650 units in 35 steps, and 10,000 words: arXiv 1409.2329."""
    network = load_network("lstm_ptb")
    assert network.weights == 2 * 2 * 4 * 650 * 650 + 650 * 10000
    assert network.macs == 35 * network.weights
