"""What the three products of a layer are given: beside sums of products, and beside what is recorded."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from procrustes_model.training import NM, TopK, load_masks, load_operands, save_masks
from tests.naive import less

WAYS = ("dense", "sr_ste", "flattened", "two_directions", "gradients", "top_k", "bits", "both", "update")


def operands(way: str) -> Any:
    """Return what products are given, in ways that are published, and a mixed one."""
    from procrustes_model.training import Bits, Operands

    return {
        "dense": Operands(),
        "sr_ste": Operands(forward_weights=NM(2, 4), decay=2e-4),
        "flattened": Operands(forward_weights=NM(2, 4, "flattened"), decay=0.1),
        "two_directions": Operands(forward_weights=NM(2, 4), backward_weights=NM(2, 4, "K")),
        "gradients": Operands(backward_gradients=NM(2, 4, "K")),
        "top_k": Operands(forward_weights=TopK(0.2), update_inputs=TopK(0.3), forward_inputs=TopK(0.3)),
        "bits": Operands(
            forward_weights=Bits(4),
            forward_inputs=Bits(4),
            backward_gradients=Bits(6),
            update_gradients=Bits(6),
        ),
        "both": Operands(forward_weights=(NM(2, 4), Bits(5)), backward_weights=Bits(5), decay=0.5),
        "update": Operands(
            update_inputs=NM(1, 2, "N"), update_gradients=NM(1, 2, "N"), backward_weights=None
        ),
    }[way]


def used_by_hand(way: str, weights: Any, inputs: Any, gradients: Any) -> dict[str, Any]:
    """Return what each product is given, written out: weights [K, C, R, S]."""
    used: dict[str, Any] = {
        "forward": (weights, inputs),
        "backward": (weights, gradients),
        "update": (inputs, gradients),
        "mask": None,
    }
    if way in ("sr_ste", "two_directions", "both"):
        used["mask"] = less.nm_mask(weights, 2, 4, 1)
    if way == "flattened":
        used["mask"] = less.flattened_mask(weights, 2, 4)
    if way == "top_k":
        used["mask"] = less.top_masks([weights], 0.2)[0]
        kept = inputs * less.top_masks([inputs], 0.3)[0]
        used["forward"], used["update"] = (weights, kept), (kept, gradients)
    if used["mask"] is not None:
        used["forward"] = (weights * used["mask"], used["forward"][1])
        used["backward"] = (weights * used["mask"], gradients)
    if way == "two_directions":
        used["backward"] = (weights * less.nm_mask(weights, 2, 4, 0), gradients)
    if way == "gradients":
        used["backward"] = (weights, gradients * less.nm_mask(gradients, 2, 4, 1))
    if way == "bits":
        lower, received = less.rounded(inputs, 4), less.rounded(gradients, 6)
        used["forward"] = (less.rounded(weights, 4), lower)
        used["backward"], used["update"] = (less.rounded(weights, 4), received), (lower, received)
    if way == "both":
        used["forward"] = (less.rounded(weights * used["mask"], 5), inputs)
        used["backward"] = (less.rounded(weights, 5), gradients)
    if way == "update":
        halves = [one * less.nm_mask(one, 1, 2, 0) for one in (inputs, gradients)]
        used["update"] = (halves[0], halves[1])
    return used


@pytest.mark.parametrize("kind", ["convolution", "fully connected"])
@pytest.mark.parametrize("way", WAYS)
def test_products_are_sums_of_products(torch: Any, way: str, kind: str) -> None:
    from procrustes_model.training import use_operands

    torch.manual_seed(3)
    padding = 1 if kind == "convolution" else 0
    layer = torch.nn.Conv2d(6, 8, 3, padding=1) if padding else torch.nn.Linear(6, 8)
    layer = layer.double()
    assert use_operands(layer, operands(way)) == [""]
    inputs = torch.randn(*((4, 6, 3, 2) if padding else (4, 6)), dtype=torch.float64, requires_grad=True)
    outputs = layer(inputs)
    received = torch.randn_like(outputs)
    outputs.backward(received)

    def four(tensor: Any) -> Any:
        found = tensor.detach().numpy()
        return found if padding else found[:, :, None, None]

    weights, images, gradients = four(layer.weight), four(inputs), four(received)
    used = used_by_hand(way, weights, images, gradients)
    bias = layer.bias.detach().numpy()[None, :, None, None]
    expected = less.forward(used["forward"][1], used["forward"][0], padding) + bias
    of_inputs = less.backward(used["backward"][1], used["backward"][0], images.shape, padding)
    of_weights = less.update(used["update"][1], used["update"][0], weights.shape, padding)
    if operands(way).decay:
        of_weights = of_weights + operands(way).decay * (1 - used["mask"]) * weights
    np.testing.assert_allclose(four(outputs), expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(four(inputs.grad), of_inputs, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(four(layer.weight.grad), of_weights, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(layer.bias.grad.numpy(), gradients.sum((0, 2, 3)), rtol=1e-10)


def layers(torch: Any) -> list[tuple[Any, tuple[int, ...]]]:
    """Return layers of every kind, and shapes of inputs."""
    nn = torch.nn
    return [
        (nn.Linear(5, 3), (2, 7, 5)),
        (nn.Linear(5, 3, bias=False), (5,)),
        (nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2), (2, 4, 9)),
        (nn.Conv2d(4, 6, (3, 2), padding="same", dilation=2), (2, 4, 7, 6)),
        (nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular", bias=False), (4, 7, 6)),
        (nn.Conv2d(4, 6, 3, padding="valid"), (2, 4, 7, 6)),
        (nn.Conv3d(2, 4, 2), (2, 2, 3, 4, 3)),
    ]


def test_all_operands_are_the_plain_layer(torch: Any) -> None:
    from procrustes_model.training import Operands, use_operands

    torch.manual_seed(0)
    for layer, shape in layers(torch):
        plain, inputs = copy.deepcopy(layer), torch.randn(shape, requires_grad=True)
        again = inputs.detach().clone().requires_grad_()
        use_operands(layer, Operands())
        one, other = layer(inputs), plain(again)
        assert torch.allclose(one, other, atol=1e-6)
        (one.square().sum()).backward()
        (other.square().sum()).backward()
        assert torch.allclose(inputs.grad, again.grad, atol=1e-5)
        for mine, theirs in zip(layer.parameters(), plain.parameters(), strict=True):
            assert torch.allclose(mine.grad, theirs.grad, rtol=1e-4, atol=1e-4)
        assert layer.state_dict().keys() == plain.state_dict().keys()
        assert "operands=Operands(" in repr(copy.deepcopy(layer))


def make(torch: Any) -> Any:
    torch.manual_seed(0)
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32, 8),
    )


def step(torch: Any, network: Any, number: int) -> Any:
    """Run forward and backward on images that follow from a number."""
    generator = torch.Generator().manual_seed(number)
    images, labels = torch.randn(4, 3, 6, 6, generator=generator), torch.arange(4) + number % 4
    loss = torch.nn.functional.cross_entropy(network(images), labels)
    loss.backward()
    return loss


@pytest.mark.parametrize("way", WAYS)
def test_recorded_is_what_is_in_use(torch: Any, way: str, tmp_path: Path) -> None:
    """Masks bit by bit, at every step; the densities of gradients are those of the backward product."""
    from procrustes_model.training import Recorder, use_operands
    from procrustes_model.training.operands import apply_parts

    network, given = make(torch), operands(way)
    names = use_operands(network, given, leave_out=["0"])
    assert names == ["2", "5"]
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    expected: list[Any] = []
    received: list[Any] = []
    inputs: list[Any] = []
    kept: list[Any] = []
    for name in names:
        network[int(name)].register_full_backward_hook(lambda *args: received.append(args[2][0]))
        network[int(name)].register_forward_hook(lambda *args: inputs.append(args[1][0].detach()))
    with Recorder(network, optimizer, every=1, operands=True) as recorder:
        for number in range(3):
            optimizer.zero_grad()
            weights = [network[int(name)].weight.detach().clone() for name in names]
            kept.append(weights)
            expected.append([apply_parts(given.forward_weights, one, "weights")[0] != 0 for one in weights])
            step(torch, network, number)
            optimizer.step()
    found = recorder.result()
    assert [layer.name for layer in found.layers] == ["0", "2", "5"]
    assert found.layers[0].weight_density.tolist() == [1.0] * 3
    save_masks(tmp_path / "masks.npz", found)
    for place, layer in enumerate(load_masks(tmp_path / "masks.npz").layers[1:]):
        for row, masks in enumerate(expected):
            assert np.array_equal(layer.masks[row], masks[place].numpy())
            gradient = received[2 * row + 1 - place].reshape(4, 8, *(() if place else (2, 2)))
            used = apply_parts(given.backward_gradients, gradient, "gradients")[0]
            assert layer.gradient_density[row] == float((used != 0).double().mean())
            check_operands(
                given,
                tmp_path / "masks.npz",
                layer.name,
                row,
                (kept[row][place], inputs[2 * row + place], gradient),
            )
    names_inside = set(np.load(tmp_path / "masks.npz").files)
    for phase, tensor in (
        ("backward", "weights"),
        ("weight_update", "inputs"),
        ("weight_update", "gradients"),
    ):
        # What is the same as in another product is not written.
        assert (f"operand/{phase}/{tensor}/2" in names_inside) == ((way, f"{phase} {tensor}") in DIFFERENT)
        assert f"operand/{phase}/{tensor}/0" not in names_inside
    assert load_operands(tmp_path / "masks.npz", "0", 1, phase="forward")["inputs"].shape == (4, 3, 6, 6)


DIFFERENT = {
    ("two_directions", "backward weights"),
    ("both", "backward weights"),
    ("gradients", "weight_update gradients"),
    ("update", "weight_update inputs"),
    ("update", "weight_update gradients"),
}


def check_operands(given: Any, path: Path, layer: str, row: int, tensors: tuple[Any, Any, Any]) -> None:
    """Compare what a file says of each product with what its operands become."""
    from procrustes_model.training.operands import AS_FORWARD, apply_parts

    weights, inputs, gradients = tensors
    forward = {"weights": (given.forward_weights, weights), "inputs": (given.forward_inputs, inputs)}
    same = given.backward_weights == AS_FORWARD
    backward = {
        "weights": forward["weights"] if same else (given.backward_weights, weights),
        "gradients": (given.backward_gradients, gradients),
    }
    update = {
        "inputs": forward["inputs"] if given.update_inputs == AS_FORWARD else (given.update_inputs, inputs),
        "gradients": (given.update_gradients, gradients),
    }
    for phase, used in (("forward", forward), ("backward", backward), ("weight_update", update)):
        found = load_operands(path, layer, row, phase=phase)
        assert found.keys() == used.keys()
        for kind, (parts, tensor) in used.items():
            values = apply_parts(parts, tensor, kind)[0].numpy()
            if kind == "inputs" and values.ndim == 4:
                values = np.pad(values, ((0, 0), (0, 0), (1, 1), (1, 1)))
            assert np.array_equal(found[kind], values != 0)


def test_schedule_and_resume(torch: Any) -> None:
    """Bits grow; a run that is saved within a part and continued is the run that was not, bit by bit."""
    from procrustes_model.training import Bits, Operands, OperandSchedule

    parts = [
        (4, Operands(forward_weights=Bits(3), forward_inputs=Bits(4), backward_gradients=Bits(6))),
        (4, Operands(forward_weights=NM(2, 4), decay=2e-4)),
        (1, Operands()),
    ]

    def make_all() -> list[Any]:
        network = make(torch)
        return [
            network,
            torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9),
            OperandSchedule(network, parts, min_channels=4),
        ]

    def run(network: Any, optimizer: Any, schedule: Any, steps: range) -> list[Any]:
        seen = []
        for number in steps:
            seen.append(network[2].operands)
            optimizer.zero_grad()
            step(torch, network, number)
            optimizer.step()
            schedule.step()
        return seen

    whole = make_all()
    assert run(*whole, range(11)) == [parts[0][1]] * 4 + [parts[1][1]] * 4 + [parts[2][1]] * 3
    assert type(whole[0][0]) is torch.nn.Conv2d
    for stop in (2, 6, 9):
        first, second = make_all(), make_all()
        run(*first, range(stop))
        file = io.BytesIO()
        torch.save([one.state_dict() for one in first], file)
        file.seek(0)
        run(*second, range(3))
        for one, state in zip(second, torch.load(file, weights_only=True), strict=True):
            one.load_state_dict(state)
        run(*second, range(stop, 11))
        for mine, theirs in zip(whole[0].parameters(), second[0].parameters(), strict=True):
            assert torch.equal(mine, theirs)


def test_frozen_parts_and_other_types(torch: Any) -> None:
    from procrustes_model.training import use_operands

    network = make(torch)
    use_operands(network, operands("sr_ste"))
    network[2].weight.requires_grad_(False)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        step(torch, network, 0)
    assert network[2].weight.grad is None
    assert network[0].weight.grad.dtype == torch.float32
    half = make(torch).to(torch.bfloat16)
    use_operands(half, operands("two_directions"))
    half(torch.randn(4, 3, 6, 6, dtype=torch.bfloat16)).sum().backward()
    assert half[0].weight.grad.isfinite().all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda o: o.Operands(forward_weights=8), "forward_weights: 8 is neither NM"),
        (lambda o: o.Operands(backward_gradients=NM(2, 4)), "gradients have no dimension C, but N and K"),
        (lambda o: o.Operands(forward_weights=NM(2, 4, "N")), "weights have no dimension N"),
        (lambda o: o.Operands(forward_weights="as forward"), "forward_weights: 'as forward' is neither"),
        (lambda o: o.Operands(decay=1.0), "which have no mask here"),
        (lambda o: o.Operands(forward_weights=TopK(0.5), decay=-1.0), "decay -1.0 must be 0 or more"),
        (lambda o: o.Bits(1), "1 bits must be from 2 to 24"),
    ],
)
def test_mistakes(torch: Any, make: Callable[[Any], Any], message: str) -> None:  # noqa: ARG001
    from procrustes_model.training import operands as module

    with pytest.raises(ValueError, match=message):
        make(module)


@pytest.mark.parametrize(
    ("pattern", "options", "message"),
    [
        (None, {"leave_out": ["1"]}, "no convolution or fully connected layer: 1"),
        (None, {"min_channels": 99}, "no layer is left"),
        (NM(2, 8, "K"), {}, "'grouped' has 4 output channels in each of its 2 groups"),
        (
            None,
            {"leave_out": ["grouped"]},
            "'own' is a Own, which computes in a way of its own: leave it out",
        ),
    ],
)
def test_layers_that_cannot(torch: Any, pattern: Any, options: dict[str, Any], message: str) -> None:
    """Nothing has changed where one layer is refused."""
    from procrustes_model.training import Operands, OperandSchedule, use_operands

    network = make(torch)
    network.add_module("grouped", torch.nn.Conv2d(6, 8, 3, groups=2))
    network.add_module("own", type("Own", (torch.nn.Linear,), {})(4, 4))
    with pytest.raises(ValueError, match=message):
        use_operands(network, Operands(forward_weights=pattern), **options)
    assert type(network[0]) is torch.nn.Conv2d
    assert "grouped" in use_operands(network, Operands(forward_weights=NM(2, 4)), leave_out=["own"])
    with pytest.raises(ValueError, match="parts of one iteration or more"):
        OperandSchedule(network, [(0, Operands())])
