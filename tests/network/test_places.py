"""Faults that show only beside another file have their line; nothing that is stated is dropped silently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from procrustes_model import train_cost
from procrustes_model.errors import SpecError
from procrustes_model.mapper.search import search
from procrustes_model.network.macs import count_macs
from procrustes_model.network.run import run_network
from tests.cli.conftest import Run, run

NETWORK = """\
network:
  name: two
  batch: 4
  input: {channels: 4, height: 4, width: 4}
  layers:
    - {name: a, kind: conv, channels: 8, kernel: 3, padding: 1}
    - {name: r, kind: elementwise, reads: [x], writes: [y]}
    - {name: b, kind: conv, channels: 8, kernel: 1}
"""
GRAPH = """\
network:
  name: graph
  batch: 1
  layers:
    - {name: sum, kind: spmm, m: 4, k: 4, n: 8, adjacency: rows.npy}
"""
__all__ = ["run"]
"""The fixture that runs the command line."""
PART = "schedule:\n  name: s\n  parts:\n    - iterations: 10\n"


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("two.yaml").write_text(NETWORK, encoding="utf-8")
    Path("graph.yaml").write_text(GRAPH, encoding="utf-8")


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("      layers: [{names: bb, weights: 0.1}]\n", r"s.yaml:5:24: part 1: two has no layer 'bb'"),
        ("      partitions: [[a], [bb]]\n", r"s.yaml:5:26: part 1: two has no layer 'bb'; did you mean 'b'"),
        ("      stop_gradient_at: bb\n", r"s.yaml:5:25: part 1: two has no layer 'bb'; did you mean 'b'"),
        ("      weights: {layers: {bb: 0.2}}\n", r"s.yaml:5:26: part 1: two has no layer 'bb'"),
        (
            "      partitions: 2\n",
            r"s.yaml:5:7: part 1: 'partitions' take turns being dense, and no weights are",
        ),
    ],
)
def test_what_a_schedule_says_of_a_network(part: str, said: str) -> None:
    Path("s.yaml").write_text(PART + part, encoding="utf-8")
    with pytest.raises(SpecError, match=said):
        train_cost("simple_3level", "two.yaml", "s.yaml", macs=True)


def test_levels_of_elementwise_layers() -> None:
    Path("two.yaml").write_text(NETWORK.replace("writes: [y]", "writes: [y], at: {y: Buffr}"))
    with pytest.raises(
        SpecError, match=r"two.yaml:7:69: 'y' begins or ends at 'Buffr', no level of simple_3"
    ):
        run_network("simple_3level", "two.yaml", phases="fw")


def test_shapes_of_given_matrices(run: Run) -> None:
    np.save("rows.npy", np.ones((3, 3)))
    with pytest.raises(SpecError, match=r"graph.yaml:5:49: sum: rows.npy: the mask of 'Weights' has shape"):
        count_macs("simple_3level", "graph.yaml", phases="fw")
    np.save("rows.npy", np.eye(4))
    done = run("network", "simple_3level", "graph.yaml", "--phases", "fw", "--macs")
    assert "note: zeros of sum save nothing without a sparse design; --sparsity names one" in done.stderr
    done = run("network", "simple_3level", "graph.yaml", "--phases", "fw", "--macs", "--sparsity", "gamma")
    assert "note" not in done.stderr


@pytest.mark.parametrize("phases", ["[fw, bw, wu]", "[fw, wu]"])
def test_the_first_data_gradient_is_what_rows_have(phases: str) -> None:
    Path("two.yaml").write_text(NETWORK.replace("padding: 1}", f"padding: 1, phases: {phases}}}"))
    Path("s.yaml").write_text(PART + "      weights: {overall: 0.5}\n", encoding="utf-8")
    ask: dict[str, Any] = {"macs": True}
    there = "bw" in phases
    assert count_macs("simple_3level", "two.yaml").first_data_gradient == there
    assert train_cost("simple_3level", "two.yaml", "s.yaml", **ask).first_data_gradient == there
    assert count_macs("simple_3level", "two.yaml", phases="fw").first_data_gradient
    assert not count_macs("simple_3level", "two.yaml", first_data_gradient=False).first_data_gradient


def test_a_random_search_says_what_it_knows() -> None:
    narrow = {"constraints": {"levels": [{"level": "RegFile", "temporal": "M=8 N=64 K=64"}]}}
    with pytest.raises(SpecError, match="no mapping was found at random, with 30 mappings; method 'optimal'"):
        search("simple_3level", "matmul/512", narrow, method="random", mappings=30, threads=1)
