"""Layers as training problems, against the definition of a convolution and its gradients."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from procrustes_model import Problem
from procrustes_model.spec.network import NetworkLayer
from procrustes_model.workloads.layer import training_problem, training_problems
from procrustes_model.workloads.phases import SPARSE_ROLES

LAYERS = {
    "conv": {"in_channels": 2, "out_channels": 3, "kernel": (3, 2), "input_size": (7, 6), "padding": (1, 0)},
    "strided": {
        "in_channels": 2,
        "out_channels": 2,
        "kernel": (3, 3),
        "input_size": (7, 8),
        "stride": (2, 3),
    },
    "dilated": {
        "in_channels": 1,
        "out_channels": 2,
        "kernel": (2, 2),
        "input_size": (7, 7),
        "dilation": (2, 3),
    },
    "grouped": {"in_channels": 4, "out_channels": 6, "groups": 2, "kernel": (3, 1), "input_size": (5, 3)},
    "depthwise": {"in_channels": 3, "out_channels": 3, "groups": 3, "kernel": (3, 3), "input_size": (6, 6)},
    "fully_connected": {"in_channels": 6, "out_channels": 4},
}


def layer_of(name: str) -> NetworkLayer:
    """Return one of the layers above."""
    kind = name if name in ("grouped", "depthwise", "fully_connected") else "conv"
    return NetworkLayer(name=name, kind=kind, **LAYERS[name])


def run(problem: Problem, operands: dict[str, np.ndarray]) -> np.ndarray:
    """Return the output of a problem, operation by operation."""
    shapes = {
        tensor.name: tuple(
            1 + sum(t.coefficient * (problem.dimensions[t.dimension] - 1) for t in rank)
            for rank in tensor.ranks
        )
        for tensor in problem.tensors
    }
    output = np.zeros(shapes[problem.output.name])
    inputs = [tensor for tensor in problem.tensors if not tensor.is_output]
    for index in itertools.product(*(range(bound) for bound in problem.dimensions.values())):
        at = dict(zip(problem.dimensions, index, strict=True))
        product = 1.0
        for tensor in problem.tensors:
            place = tuple(sum(t.coefficient * at[t.dimension] for t in rank) for rank in tensor.ranks)
            if tensor in inputs:
                product *= operands[tensor.name].reshape(shapes[tensor.name])[place]
            else:
                target = place
        output[target] += product
    return output


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_gradients_are_those_of_the_forward_phase(name: str) -> None:
    """Linear maps: <y, dy> = <x, dx> = <w, dw> for any values."""
    problems = training_problems(layer_of(name), batch=2)
    rng = np.random.default_rng(0)
    forward = problems["forward"]
    sizes = {
        tensor.name: tuple(
            1 + sum(t.coefficient * (forward.dimensions[t.dimension] - 1) for t in rank)
            for rank in tensor.ranks
        )
        for tensor in forward.tensors
    }
    values = {tensor: rng.random(size) for tensor, size in sizes.items()}
    y = run(forward, values)
    pairing = float((y * values["Outputs"]).sum())
    dx = run(problems["backward"], values)
    dw = run(problems["weight_update"], values)
    assert dx.shape == sizes["Inputs"]
    assert dw.shape == sizes["Weights"]
    assert float((dx * values["Inputs"]).sum()) == pytest.approx(pairing)
    assert float((dw * values["Weights"]).sum()) == pytest.approx(pairing)
    other = rng.random(sizes["Weights"])
    moved = run(forward, values | {"Weights": other})
    assert float((dw * other).sum()) == pytest.approx(float((moved * values["Outputs"]).sum()))


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_all_phases_have_the_layer_s_operations(name: str) -> None:
    layer = layer_of(name)
    for phase, problem in training_problems(layer, batch=3, network="net").items():
        assert problem.phase == phase
        assert problem.computes == 3 * layer.macs
        assert problem.name.startswith(f"net/{name}_")
        assert problem.output.role == phase.writes
        assert SPARSE_ROLES[phase] in {tensor.role for tensor in problem.tensors if not tensor.is_output}


def test_published_numbers_take_stride_one_at_the_output_size() -> None:
    layer = layer_of("strided")
    for phase in ("forward", "backward", "weight_update"):
        problem = training_problem(layer, phase, as_published=True)
        assert all(t.coefficient == 1 for tensor in problem.tensors for rank in tensor.ranks for t in rank)
        assert (problem.dimensions["P"], problem.dimensions["Q"]) == layer.output_size
    gathered = training_problem(layer, "backward", as_published=True)
    assert gathered.shape == "conv_backward_gather"
    outputs = next(tensor for tensor in gathered.tensors if tensor.name == "Outputs")
    assert [len(rank) for rank in outputs.ranks] == [1, 1, 2, 2]


def test_products_of_activations_are_grouped() -> None:
    attention = NetworkLayer(
        name="qk", kind="matmul", in_channels=64, out_channels=16, rows=16, has_weights=False, count=12
    )
    problem = training_problem(attention, "forward", batch=2)
    assert problem.computes == 2 * attention.macs
    assert problem.dimensions["G"] == 24
    with pytest.raises(ValueError, match="at least one sample"):
        training_problem(attention, "forward", batch=0)
