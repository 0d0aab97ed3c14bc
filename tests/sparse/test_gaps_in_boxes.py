"""Leaders with gaps: what strides leave between windows, and nothing meets, keeps no box from being empty."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from procrustes_model import evaluate

SHAPE: dict[str, Any] = {
    "name": "windows",
    "dimensions": ["P", "Q", "R"],
    "coefficients": {"stride": 1, "dilation": 1},
    "tensors": {
        "Weights": {"projection": ["R"]},
        "Inputs": {"projection": ["P*stride + Q + R*dilation"]},
        "Outputs": {"projection": ["P", "Q"], "output": True},
    },
}


def _computes(bounds: dict[str, int], coefficients: dict[str, int], **zeros: Any) -> float:
    """Return what is left where an element of the weights serves a whole array of outputs."""
    loops = {"temporal": f"R={bounds['R']}", "spatial_x": f"P={bounds['P']}", "spatial_y": f"Q={bounds['Q']}"}
    level = {"name": "Buffer", "word_bits": 16, "energy_pj": {"read": 1, "write": 1}}
    compute = {"energy_pj": 1, "mesh_x": bounds["P"], "mesh_y": bounds["Q"]}
    problem = {"name": "p", "shape": SHAPE, "dimensions": bounds, "coefficients": coefficients}
    actions = [{"level": "Buffer", "skip": "Weights", "on": "Inputs"}]
    result = evaluate(
        {"architecture": {"name": "array", "levels": [level], "compute": compute}},
        {"problem": problem},
        {"mapping": {"levels": [{"level": "Buffer", **loops, "keep": list(SHAPE["tensors"])}]}},
        sparsity={"sparsity": {"name": "sampled", "actions": actions}},
        **zeros,
    )
    return float(result.compute.computes)


@pytest.mark.parametrize(
    ("bounds", "coefficients"),
    [
        ({"P": 3, "Q": 1, "R": 1}, {"stride": 2, "dilation": 1}),  # a 1x1 convolution of stride 2
        ({"P": 2, "Q": 1, "R": 2}, {"stride": 4, "dilation": 1}),
        ({"P": 2, "Q": 2, "R": 1}, {"stride": 5, "dilation": 1}),
        ({"P": 3, "Q": 2, "R": 2}, {"stride": 1, "dilation": 3}),
    ],
)
@pytest.mark.parametrize("nonzeros", [1, 2])
def test_what_nothing_meets_is_not_in_a_box(
    bounds: dict[str, int], coefficients: dict[str, int], nonzeros: int
) -> None:
    step, reach = coefficients["stride"], coefficients["dilation"]
    size = 1 + step * (bounds["P"] - 1) + bounds["Q"] - 1 + reach * (bounds["R"] - 1)
    outputs = list(itertools.product(range(bounds["P"]), range(bounds["Q"])))
    left = []
    for places in itertools.combinations(range(size), nonzeros):
        mask = np.isin(np.arange(size), places)
        met = [any(mask[step * p + q + reach * r] for p, q in outputs) for r in range(bounds["R"])]
        left.append(sum(met) * len(outputs))
        if len(left) % 5 == 1:
            assert _computes(bounds, coefficients, masks={"Inputs": mask}) == pytest.approx(left[-1])
    expected = _computes(bounds, coefficients, densities={"Inputs": nonzeros / size})
    assert expected == pytest.approx(np.mean(left))
