"""What single products received, from a file of masks to evaluations of each phase."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from procrustes_model import evaluate, load_architecture, load_mapping, load_sparsity
from procrustes_model.errors import SpecError
from procrustes_model.network.densities import find_states, zeros_of
from procrustes_model.network.sparse_options import find_layer_masks
from procrustes_model.spec.load import load_network, load_problem
from procrustes_model.training import (
    LayerMasks,
    MaskFile,
    OperandMasks,
    load_masks,
    load_operands,
    save_masks,
)
from procrustes_model.workloads.phases import in_phase

N, K, C, SIDE = 2, 4, 3, 4
LAYER: dict[str, Any] = {
    "name": "a",
    "shape": "conv",
    "dimensions": {"N": N, "K": K, "C": C, "P": SIDE, "Q": SIDE, "R": 3, "S": 3},
}


def draw(seed: int, *shape: int) -> Any:
    return np.random.default_rng(seed).random(shape) < 0.5


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """Return a file of two steps, and the masks of the second one."""
    both = {
        "forward": draw(0, 2, K, C, 3, 3),
        "backward": draw(1, 2, K, C, 3, 3),
        "inputs": draw(2, 2, N, C, SIDE + 3, SIDE + 2),
        "gradients": draw(3, 2, N, K, SIDE, SIDE),
        "update": draw(4, 2, N, K, SIDE, SIDE),
    }
    known = np.array([True, True])
    operands = {
        ("backward", "weights"): OperandMasks(both["backward"], known),
        ("forward", "inputs"): OperandMasks(both["inputs"], known),
        ("backward", "gradients"): OperandMasks(both["gradients"], known),
        ("weight_update", "gradients"): OperandMasks(both["update"], known),
    }
    half = np.full(2, 0.5)
    layer = LayerMasks("layer", both["forward"], half, half, half, operands=operands)
    save_masks(tmp_path / "masks.npz", MaskFile((layer,), (0, 10)))
    return tmp_path / "masks.npz", {name: masks[1] for name, masks in both.items()}


def test_each_phase_has_its_own(recorded: tuple[Path, dict[str, Any]]) -> None:
    """Inputs lose the row that no window reaches; an element takes a cycle for each product that is left."""
    path, masks = recorded
    problem = load_problem({"problem": LAYER})
    cut = masks["inputs"][:, :, : SIDE + 2]
    expected = {
        "forward": {"Weights": masks["forward"], "Inputs": cut},
        "backward": {"Weights": masks["backward"], "Outputs": masks["gradients"]},
        "weight_update": {"Weights": masks["forward"], "Inputs": cut, "Outputs": masks["update"]},
    }
    windows = sum(int(cut[:, :, r : r + SIDE, s : s + SIDE].sum()) for r, s in np.ndindex(3, 3))
    done = {
        "forward": int(masks["forward"].sum()) * N * SIDE**2,
        "backward": int(masks["backward"].sum()) * N * SIDE**2,
        "weight_update": windows * K,
    }
    machine, design = load_architecture("procrustes_16x16"), load_sparsity("procrustes")
    for phase, wanted in expected.items():
        one = in_phase(problem, phase)
        densities, found = find_layer_masks(path, None, None, one)
        assert densities == {}
        assert found.keys() == wanted.keys()
        assert all(np.array_equal(found[name], wanted[name]) for name in wanted)
        levels = [{"level": "DRAM"}, {"level": "GlobalBuffer"}, {"level": "RegFile"}]
        levels[0]["temporal"] = " ".join(f"{name}={bound}" for name, bound in one.dimensions.items())
        mapping = load_mapping({"mapping": {"levels": levels}}, machine, one)
        by_file = evaluate(machine, one, mapping, sparsity=design, densities=densities, masks=found)
        assert by_file.cycles == done[phase]
    densities, found = find_layer_masks(path, "layer", 10, in_phase(problem, "backward"), ["Outputs"])
    assert (densities, list(found)) == ({"Outputs": 0.5}, ["Weights"])


def test_shapes_that_do_not_fit(recorded: tuple[Path, dict[str, Any]]) -> None:
    path, _ = recorded
    for change, said in (
        ({"N": 3}, "[2, 3, 7, 6], the tensor [3, 3, 6, 6]"),
        ({"P": 8}, "the tensor [2, 3, 10, 6]"),
    ):
        problem = load_problem({"problem": {**LAYER, "dimensions": {**LAYER["dimensions"], **change}}})
        with pytest.raises(SpecError) as caught:
            find_layer_masks(path, None, None, problem)
        assert said in str(caught.value)
        assert "take the recorded batch, or say --density of it" in str(caught.value)


def test_networks_take_the_weights_of_each_direction(recorded: tuple[Path, dict[str, Any]]) -> None:
    path, masks = recorded
    layer = {"name": "layer", "kind": "conv", "channels": K, "kernel": 3}
    net = {"name": "net", "input": {"channels": C, "height": 6, "width": 6}, "layers": [layer]}
    state = find_states(load_network({"network": net}), masks=path)["layer"]
    assert state.weights == masks["forward"].mean()
    design = load_sparsity("procrustes")
    problem = load_problem({"problem": LAYER})
    for phase in ("forward", "backward"):
        found = zeros_of(in_phase(problem, phase), design, state).masks["Weights"]
        assert np.array_equal(found, masks[phase])


def test_what_is_unknown(tmp_path: Path) -> None:
    """Operands of the update are those of the phase before where nothing is said; unknown is not zero."""
    masks, inputs = draw(0, 2, K, C), draw(1, 2, N, C)
    inputs[0] = False
    unknown = np.zeros((2, K, C), bool)
    operands = {
        ("forward", "inputs"): OperandMasks(inputs, np.array([False, True])),
        ("backward", "weights"): OperandMasks(unknown, np.zeros(2, bool)),
    }
    half = np.full(2, 0.5)
    save_masks(
        tmp_path / "a.npz", MaskFile((LayerMasks("a", masks, half, half, half, operands=operands),), (0, 1))
    )
    again = load_masks(tmp_path / "a.npz").layers[0].operands
    assert again.keys() == operands.keys()
    assert list(load_operands(tmp_path / "a.npz", phase="forward", step=0)) == ["weights"]
    assert np.array_equal(load_operands(tmp_path / "a.npz", phase="weight_update")["inputs"], inputs[1])
    with pytest.raises(SpecError, match="the backward mask of 'a' is unknown at step 1"):
        load_operands(tmp_path / "a.npz", phase="backward")
    with pytest.raises(ValueError, match="a mask where it is unknown"):
        OperandMasks(inputs, np.array([True, False]))
    one = OperandMasks(inputs[:1], np.array([False]))
    with pytest.raises(ValueError, match="other steps of forward inputs"):
        LayerMasks("a", masks, half, half, half, operands={("forward", "inputs"): one})


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("operand_shape/forward/inputs/layer", np.array([2.5])),
        ("operand_shape/forward/inputs/layer", np.array([9, 9])),
        ("operand/forward/inputs/layer", np.zeros((1, 1), np.uint8)),
        ("operand_known/forward/inputs/layer", np.zeros(2, bool)),
        ("operand_known/forward/inputs/layer", np.zeros(3, bool)),
        ("operand_known/forward/inputs/layer", None),
    ],
)
def test_damaged_files(recorded: tuple[Path, dict[str, Any]], name: str, array: Any) -> None:
    path, _ = recorded
    arrays = dict(np.load(path))
    arrays.pop(name)
    np.savez(path, **arrays, **({} if array is None else {name: array}))
    for read in (load_masks, lambda file: load_operands(file, phase="forward")):
        with pytest.raises(SpecError, match="file of masks"):
            read(path)


def test_older_files(recorded: tuple[Path, dict[str, Any]]) -> None:
    """Version 1 has no operands: all phases have one mask."""
    path, masks = recorded
    arrays = {name: one for name, one in np.load(path).items() if not name.startswith("operand")}
    arrays["metadata"] = np.array(str(arrays["metadata"]).replace('"version": 2', '"version": 1'))
    np.savez(path, **arrays)
    assert load_masks(path).layers[0].operands == {}
    assert np.array_equal(load_operands(path, phase="backward")["weights"], masks["forward"])
