"""Small networks whose searches take no time."""

from __future__ import annotations

from typing import Any

import pytest

from procrustes_model.network.result import NetworkResult
from procrustes_model.network.run import run_network

TINY: dict[str, Any] = {
    "network": {
        "name": "tiny",
        "input": {"channels": 2, "height": 3, "width": 3},
        "layers": [
            {"name": "first", "kind": "conv", "channels": 4, "kernel": 3, "padding": 1},
            {"name": "mid", "repeat": 2, "kind": "conv", "channels": 4, "kernel": 1},
            {"name": "depth", "kind": "depthwise", "kernel": 1},
            {"name": "last", "kind": "fully_connected", "channels": 4},
        ],
    }
}


@pytest.fixture(scope="session")
def tiny_run() -> NetworkResult:
    """Return a run of all phases with a baseline."""
    return run_network(
        "procrustes_16x16",
        TINY,
        batch=8,
        dataflow="KN",
        sparsity="procrustes",
        baseline="dense",
        densities={"Weights": 0.25, "Inputs": 0.5},
        workers=1,
        seconds=None,
    )
