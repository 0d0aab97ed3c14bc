"""A recorded step, counted on the masks of all that its products received, beside PyTorch's own sums."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from procrustes_model import evaluate, load_architecture, load_mapping, load_sparsity
from procrustes_model.spec.load import load_network
from procrustes_model.training import NM, TopK, load_operands, save_masks
from procrustes_model.vocabulary import Phase
from procrustes_model.workloads.layer import training_problem
from procrustes_model.workloads.recorded_masks import masks_in_phase

PAIRS = {
    Phase.FORWARD: ("Weights", "Inputs"),
    Phase.BACKWARD: ("Weights", "Outputs"),
    Phase.WEIGHT_UPDATE: ("Inputs", "Outputs"),
}
NETWORK = {
    "network": {
        "name": "net",
        "input": {"channels": 3, "height": 7, "width": 6},
        "batch": 4,
        "layers": [
            {"name": "0", "kind": "conv", "channels": 8, "kernel": 3, "stride": 2, "padding": 1},
            {"name": "2", "kind": "conv", "channels": 8, "kernel": 3, "padding": 1},
            {"name": "5", "kind": "fully_connected", "channels": 4},
        ],
    }
}


def record(torch: Any, path: Path) -> None:
    """Write the operands of one step, each of which has fewer than all."""
    from procrustes_model.training import Operands, Recorder, use_operands

    torch.manual_seed(0)
    nn = torch.nn
    network = nn.Sequential(
        *(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(96, 4)),
    )
    less = Operands(
        forward_weights=NM(2, 4),
        backward_weights=NM(2, 4, "K"),
        backward_gradients=TopK(0.3),
        forward_inputs=TopK(0.4),
        update_gradients=TopK(0.5),
    )
    use_operands(network, less)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    with Recorder(network, optimizer, every=1, operands=True) as recorder:
        images = torch.randn(4, 3, 7, 6, requires_grad=True)
        nn.functional.cross_entropy(network(images), torch.arange(4)).backward()
        optimizer.step()
    save_masks(path, recorder.result())


def products(torch: Any, layer: Any, phase: Phase, path: Path) -> int:
    """Return how many products of two nonzeros a phase has: sums over masks, as PyTorch makes them."""
    found = {
        kind: torch.from_numpy(mask.astype(np.float64))
        for kind, mask in load_operands(path, layer.name, phase=phase).items()
    }
    if layer.kind == "fully_connected":
        one, other = found.values()
        axes = {Phase.FORWARD: "kc,nc->", Phase.BACKWARD: "kc,nk->", Phase.WEIGHT_UPDATE: "nc,nk->"}
        return int(torch.einsum(axes[phase], one, other))
    aten, stride = torch.nn.functional, layer.stride
    shape = (layer.out_channels, layer.in_channels, *layer.kernel)
    weights = found.get("weights", torch.ones(shape, dtype=torch.float64)).requires_grad_()
    padded = [int(side) + 2 for side in layer.input_size]
    inputs = found.get("inputs", torch.ones(4, layer.in_channels, *padded, dtype=torch.float64))
    outputs = aten.conv2d(inputs, weights, stride=stride)
    return int((outputs * found.get("gradients", torch.ones_like(outputs))).sum())


@pytest.mark.parametrize("phase", PAIRS)
def test_products_of_nonzeros(torch: Any, tmp_path: Path, phase: Phase) -> None:
    path = tmp_path / "masks.npz"
    record(torch, path)
    one, other = PAIRS[phase]
    both = {
        "densities": {one: 0.5, other: 0.5},
        "formats": {one: {"*": "bitmask"}, other: {"*": "bitmask"}},
        "compute": {"skip": [one, other]},
    }
    design = load_sparsity({"sparsity": {"name": "both", "phases": {phase.value: both}}})
    machine = load_architecture("procrustes_16x16")
    for layer in load_network(NETWORK).layers:
        problem = training_problem(layer, phase, batch=4)
        masks = masks_in_phase(str(path), layer.name, 0, problem)
        bounds = " ".join(f"{name}={bound}" for name, bound in problem.dimensions.items())
        levels = [{"level": "DRAM", "temporal": bounds}, {"level": "GlobalBuffer"}, {"level": "RegFile"}]
        mapping = load_mapping({"mapping": {"levels": levels}}, machine, problem)
        read = {name: mask for name, mask in masks.items() if name in (one, other)}
        result = evaluate(machine, problem, mapping, sparsity=design, masks=read)
        expected = products(torch, layer, phase, path)
        assert 0 < result.cycles == expected < 0.5 * np.prod(list(problem.dimensions.values()))
