"""Masks that follow a schedule: beside schedules written out, with the conventions of torch.optim."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pytest

from procrustes_model.training import NM, Alternate, Partitions, Ramp, Rewire, TopK
from tests.naive import less
from tests.training.test_operands import make, step

PARTS = [(3, None), (4, 0.25), (2, None), (3, 0.1), (2, None), (1, 0.5)]
SCHEDULES: dict[str, Any] = {
    "alternate": Alternate(tuple((n, None if keep is None else TopK(keep)) for n, keep in PARTS)),
    "alternate 2:4": Alternate(((4, NM(2, 4, "flattened")), (2, None), (4, NM(2, 4)))),
    "ramp": Ramp(0.1, 2, 14, 3),
    "ramp per layer": Ramp(0.2, 0, 12, 1, first=0.8, per_layer=True),
    "rewire": Rewire(0.3, 2, 13, fraction=0.5, seed=4),
    "partitions": Partitions(0.2, (1, 2), 3, rounds=2),
}
ITERATIONS = 17


def random_layers(seed: int) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype(np.float32) for shape in ((8, 3, 3, 3), (8, 8, 3, 3), (8, 32))]


def walk(schedule: Any, iterations: int = ITERATIONS) -> list[Any]:
    """Follow a schedule on random weights; return masks of every iteration, and what they follow from."""
    weights = random_layers(0)
    masks = schedule.start(weights)
    steps = [(masks, weights, None)]
    for iteration in range(1, iterations):
        weights = [one * mask for one, mask in zip(random_layers(iteration), masks, strict=True)]
        gradients = random_layers(1000 + iteration)
        masks = schedule.follow(iteration, weights, gradients, masks) or masks
        steps.append((masks, weights, gradients))
    return steps


def equal(masks: Any, expected: Any) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(masks, expected, strict=True))


def test_alternate() -> None:
    before, held = None, None
    for iteration, (masks, weights, _) in enumerate(walk(SCHEDULES["alternate"])):
        part, keep = less.alternate(PARTS, iteration)
        if part != before:
            held = (
                [np.ones(one.shape, bool) for one in weights]
                if keep is None
                else less.top_masks(weights, keep)
            )
        assert equal(masks, held)
        before = part
    assert [sum(mask.sum() for mask in masks) for masks, _, _ in walk(SCHEDULES["alternate"])[2:5]] == [
        1048,
        262,
        262,
    ]


def test_published_alternation() -> None:
    """AC/DC on ImageNet (arXiv 2106.12379): of 100 epochs 50 are sparse, the last 15 in a row."""
    sparse = TopK(0.1)
    parts = ((10, None), *((5, sparse), (5, None)) * 6, (5, sparse), (10, None), (15, sparse))
    lengths = [length for length, _ in Alternate(parts).parts]
    assert sum(lengths) == 100
    assert sum(length for length, pattern in parts if pattern) == 50


@pytest.mark.parametrize("name", ["ramp", "ramp per layer"])
def test_ramp(name: str) -> None:
    ramp = SCHEDULES[name]
    before: Any = None
    for iteration, (masks, weights, _) in enumerate(walk(ramp)):
        share = less.ramp(ramp.keep, ramp.first, ramp.begin, ramp.end, ramp.every, iteration)
        assert ramp.share(iteration) == pytest.approx(share)
        expected = (
            [less.top_masks([one], share)[0] for one in weights]
            if ramp.per_layer
            else less.top_masks(weights, share)
        )
        moved = before is None or share != less.ramp(
            ramp.keep, ramp.first, ramp.begin, ramp.end, ramp.every, iteration - 1
        )
        assert equal(masks, expected if moved else before)
        assert before is None or all((one <= other).all() for one, other in zip(masks, before, strict=True))
        before = masks
    assert ramp.share(ITERATIONS) == ramp.keep


def test_rewire() -> None:
    rewire = SCHEDULES["rewire"]
    before: Any = None
    for iteration, (masks, weights, gradients) in enumerate(walk(rewire)):
        assert [int(mask.sum()) for mask in masks] == [round(0.3 * mask.size) for mask in masks]
        if before is None:
            assert not equal(masks, Rewire(0.3, 2, 13).start(weights))
        elif iteration % 2 == 0 and iteration < 13:
            share = 0.25 * (1 + math.cos(iteration * math.pi / 13))
            layers = zip(weights, gradients, before, strict=True)
            assert equal(masks, [less.rewire(*layer, share) for layer in layers])
        else:
            assert equal(masks, before)
        before = masks


def test_partitions() -> None:
    before: Any = None
    for iteration, (masks, weights, _) in enumerate(walk(SCHEDULES["partitions"])):
        turn = iteration // 3
        expected = [less.top_masks([one], 0.2)[0] for one in weights] if before is None else list(before)
        if before is not None and iteration % 3 == 0 and turn <= 4:
            for place in [0] if turn % 2 else [1, 2]:
                expected[place] = less.top_masks([weights[place]], 0.2)[0]
        for place in ([1, 2] if turn % 2 else [0]) if turn < 4 else []:
            expected[place] = np.ones(weights[place].shape, bool)
        assert equal(masks, expected)
        before = masks


def test_published_partitions() -> None:
    """GaP (arXiv 2106.09857): three equal parts at 80 % train at a density of 0.4667."""
    schedule = Partitions(0.2, (1, 1, 1), 1)
    weights = [np.random.default_rng(i).normal(size=(10, 10)) for i in range(3)]
    masks = schedule.start(weights)
    for turn in range(1, 4):
        assert np.mean([mask.mean() for mask in masks]) == pytest.approx((1 + 2 * 0.2) / 3)
        masks = schedule.follow(turn, weights, [None] * 3, masks) or masks
    assert np.mean([mask.mean() for mask in masks]) == pytest.approx(0.2)


def make_all(torch: Any, name: str) -> tuple[Any, Any]:
    from procrustes_model.training import MaskedSGD

    network = make(torch)
    return network, MaskedSGD(network.parameters(), masks=SCHEDULES[name], lr=0.05, momentum=0.9)


def run(torch: Any, network: Any, optimizer: Any, steps: range) -> list[Any]:
    """Train; return the masks in use in every step, which weights of its products are not zero."""
    seen = []
    for number in steps:
        seen.append([mask.numpy().copy() for mask in optimizer.masks().values()])
        optimizer.zero_grad()
        step(torch, network, number)
        optimizer.step()
    return seen


@pytest.mark.parametrize("name", SCHEDULES)
def test_recorded_is_what_is_in_use(torch: Any, name: str) -> None:
    """Masks bit by bit, at every step; a weight that comes in is zero until a gradient reaches it."""
    from procrustes_model.training import Recorder

    network, optimizer = make_all(torch, name)
    weights = [network[place].weight for place in (0, 2, 5)]
    used = []
    with Recorder(network, optimizer, every=1) as recorder:
        seen = []
        for number in range(ITERATIONS):
            used.append([one.detach().numpy() != 0 for one in weights])
            seen += run(torch, network, optimizer, range(number, number + 1))
    for place, layer in enumerate(recorder.result().layers):
        for number in range(ITERATIONS):
            mask = seen[number][place]
            assert np.array_equal(layer.masks[number], used[number][place])
            assert layer.storage_density[number] == mask.mean()
            fresh = mask & ~seen[number - 1][place] if number else ~mask
            assert not used[number][place][~mask | fresh].any()
    assert sum(int(mask.sum()) for mask in used[-1]) > 0.8 * sum(int(mask.sum()) for mask in seen[-1])
    for weight, mask in optimizer.masks().items():
        assert not optimizer.base.state[weight]["momentum_buffer"][~mask].any()
    if name.startswith("alternate"):
        ends = np.cumsum([length for length, _ in SCHEDULES[name].parts])[:-1]
        changes = [i for i in range(1, ITERATIONS) if not equal(seen[i], seen[i - 1])]
        assert changes == [end for end in ends if end < ITERATIONS]


def test_is_gradient_descent_on_what_is_kept(torch: Any) -> None:
    """Two layers of plain SGD, beside a descent written out in NumPy, through dense and sparse parts."""
    from procrustes_model.training import MaskedSGD

    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Linear(6, 5, bias=False), torch.nn.Linear(5, 3, bias=False)
    ).double()
    inputs = torch.randn(7, 6, dtype=torch.float64)
    weights = [one.detach().numpy().copy() for one in network.parameters()]
    optimizer = MaskedSGD(network.parameters(), masks=SCHEDULES["alternate"], lr=0.02)

    def gradient(weights: list[Any], _: int) -> list[Any]:
        hidden = inputs.numpy() @ weights[0].T
        outputs = hidden @ weights[1].T
        return [(outputs @ weights[1]).T @ inputs.numpy(), outputs.T @ hidden]

    masks = [np.ones(one.shape, bool) for one in weights]
    for number in range(12):
        part, keep = less.alternate(PARTS, number)
        if number and part != less.alternate(PARTS, number - 1)[0]:
            masks = (
                [np.ones(one.shape, bool) for one in weights]
                if keep is None
                else less.top_masks(weights, keep)
            )
            weights = [one * mask for one, mask in zip(weights, masks, strict=True)]
        for mine, theirs in zip(network.parameters(), weights, strict=True):
            np.testing.assert_allclose(mine.detach().numpy(), theirs, rtol=1e-10)
        optimizer.zero_grad()
        (network(inputs).square().sum() / 2).backward()
        optimizer.step()
        weights = less.descend(weights, gradient, masks, 0.02, number)


@pytest.mark.parametrize("name", SCHEDULES)
def test_resume(torch: Any, name: str) -> None:
    """A run that is saved anywhere, loaded and continued is bitwise the run that was not interrupted."""
    whole = make_all(torch, name)
    run(torch, *whole, range(ITERATIONS))
    for stop in (1, 6, 11):
        first, second = make_all(torch, name), make_all(torch, name)
        run(torch, *first, range(stop))
        file = io.BytesIO()
        torch.save([one.state_dict() for one in first], file)
        file.seek(0)
        run(torch, *second, range(4))
        for one, state in zip(second, torch.load(file, weights_only=True), strict=True):
            one.load_state_dict(state)
        run(torch, *second, range(stop, ITERATIONS))
        for mine, theirs in zip(whole[0].parameters(), second[0].parameters(), strict=True):
            assert torch.equal(mine, theirs)
        for mine, theirs in zip(whole[1].masks().values(), second[1].masks().values(), strict=True):
            assert torch.equal(mine, theirs)
        assert [group["iteration"] for group in second[1].param_groups] == [ITERATIONS]


def test_groups_and_states(torch: Any) -> None:
    from procrustes_model.training import MaskedSGD, ProcrustesSGD

    network = make(torch)
    groups = [
        {"params": network[0].parameters(), "masks": None},
        {"params": network[2].parameters()},
        {"params": network[5].parameters(), "masks": Ramp(0.5, 0, 2), "lr": 0.2},
    ]
    optimizer = MaskedSGD(groups, torch.optim.AdamW, masks=Alternate(((1, TopK(0.25)),)), lr=0.01)
    assert set(optimizer.masks()) == {network[2].weight, network[5].weight}
    assert optimizer.storage_density() == (144 + 256) / (576 + 256)
    run(torch, network, optimizer, range(3))
    assert optimizer.compute_density() == (144 + 128) / (576 + 256)
    assert [group["lr"] for group in optimizer.param_groups] == [0.01, 0.01, 0.2]
    assert "masks: Ramp(keep=0.5" in repr(optimizer)

    state = optimizer.state_dict()
    other = make(torch)
    groups = [{"params": other[place].parameters()} for place in (0, 2, 5)]
    unlike = MaskedSGD(groups, masks=Alternate(((1, TopK(0.25)),)), lr=0.01)
    with pytest.raises(ValueError, match="the state is of other masks, None: these are Alternate"):
        unlike.load_state_dict(state)
    with pytest.raises(ValueError, match="another optimizer"):
        optimizer.load_state_dict(torch.optim.SGD(other.parameters(), lr=0.1).state_dict())
    with pytest.raises(ValueError, match="other masks, None"):
        optimizer.load_state_dict(ProcrustesSGD(make(torch).parameters(), keep=0.5, lr=0.1).state_dict())
    late = MaskedSGD(other.parameters(), masks=Alternate(((1, TopK(0.25)),)), lr=0.01)
    other.load_state_dict(make(torch).state_dict())
    step(torch, other, 0)
    with pytest.raises(RuntimeError, match="do not belong to the optimizer's masks"):
        late.step()


@pytest.mark.parametrize(
    ("do", "message"),
    [
        (lambda: Alternate(()), "one iteration or more"),
        (lambda: Alternate(((0, None),)), "one iteration or more"),
        (lambda: Ramp(0.1, 0, 10, 3), "from iteration 0 to 10 has no whole number of steps, each of 3"),
        (lambda: Ramp(0.5, 0, 10, first=0.2), "first 0.2 is less than keep 0.5"),
        (lambda: Rewire(0.5, 0, 10), "must be from 1"),
        (lambda: Rewire(0.5, 1, 10, 1.5), "fraction 1.5 must be from 0 to 1"),
        (lambda: Partitions(0.5, (), 1), "one layer or more"),
        (lambda: Partitions(0.5, (1, 0), 1), "one layer or more"),
        (lambda: Partitions(0.5, (1, 1), 1).start(random_layers(0)), "have 2 layers, there are 3"),
    ],
)
def test_mistakes(do: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        do()
