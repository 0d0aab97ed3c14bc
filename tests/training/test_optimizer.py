"""The optimizer for PyTorch: the algorithm on arrays, with the conventions of torch.optim."""

from __future__ import annotations

import copy
import io
from typing import Any

import numpy as np
import pytest

from procrustes_model.training import Initial, Quantile, initial_values, track


def make(torch: Any, **options: Any) -> tuple[Any, Any]:
    """Return a small network and its optimizer."""
    from procrustes_model.training import ProcrustesSGD

    torch.manual_seed(0)
    nn = torch.nn
    network = nn.Sequential(
        nn.Conv2d(2, 6, 3),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(6 * 16, 12),
        nn.ReLU(),
        nn.Linear(12, 4),
    )
    settings = {"keep": 0.2, "lr": 0.05, "momentum": 0.9, "quantile": Quantile(rate=0.01)} | options
    return network, ProcrustesSGD(network.parameters(), **settings)


def run(torch: Any, network: Any, optimizer: Any, steps: range, scheduler: Any = None) -> None:
    """Take steps on data that follows from their numbers."""
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        images = torch.randn(8, 2, 6, 6, generator=generator)
        labels = torch.randint(4, (8,), generator=generator)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()


def same(torch: Any, one: Any, other: Any) -> bool:
    """Return whether networks and masks of (network, optimizer) pairs are the same, bit by bit."""
    weights = zip(one[0].state_dict().values(), other[0].state_dict().values(), strict=True)
    masks = zip(one[1].masks().values(), other[1].masks().values(), strict=True)
    return all(torch.equal(a, b) for pairs in (weights, masks) for a, b in pairs)


@pytest.mark.parametrize("quantile", [None, Quantile(rate=0.01)])
def test_is_the_algorithm_on_arrays(torch: Any, quantile: Quantile | None) -> None:
    """Plain SGD moves weights by rate times gradient; the rest is `track`."""
    network, optimizer = make(torch, momentum=0.0, quantile=quantile, seed=5)
    places = [0, 4, 6]
    layers = [network[i] for i in places]
    numbers = [[id(one) for one in network.parameters()].index(id(layer.weight)) for layer in layers]
    scales = [optimizer.state[layer.weight]["scale"] for layer in layers]
    initials = [Initial(5, number, scale) for number, scale in zip(numbers, scales, strict=True)]
    weights = [
        initial_values(one, tuple(layer.weight.shape)) for one, layer in zip(initials, layers, strict=True)
    ]
    left, estimate = 1.0, None
    for step in range(60):
        for one, layer in zip(weights, layers, strict=True):
            assert np.array_equal(one, layer.weight.detach().numpy())
        run(torch, network, optimizer, range(step, step + 1))
        moved = [
            torch.add(torch.from_numpy(one), layer.weight.grad, alpha=-0.05).numpy()
            for one, layer in zip(weights, layers, strict=True)
        ]
        result = track(moved, initials, 0.2, decayed=left, quantile=quantile, estimate=estimate)
        weights, left, estimate = list(result.weights), result.decayed, result.estimate
        for mask, layer in zip(result.tracked, layers, strict=True):
            assert np.array_equal(mask, optimizer.masks()[layer.weight].numpy())


def test_densities(torch: Any) -> None:
    network, optimizer = make(torch, quantile=None)
    assert (optimizer.storage_density(), optimizer.compute_density()) == (0.0, 1.0)
    run(torch, network, optimizer, range(10))
    assert optimizer.storage_density() == pytest.approx(0.2, abs=1e-3)
    assert optimizer.compute_density() == 1.0
    run(torch, network, optimizer, range(10, 170))
    assert optimizer.compute_density() == optimizer.storage_density()
    weights = [network[i].weight for i in (0, 4, 6)]
    total = sum(weight.numel() for weight in weights)
    assert sum(int(weight.count_nonzero()) for weight in weights) == round(0.2 * total)


def test_exclusions(torch: Any) -> None:
    """Norms and biases are trained as without this optimizer; groups may differ or be left out."""
    network, optimizer = make(torch)
    assert set(optimizer.masks()) == {network[i].weight for i in (0, 4, 6)}
    assert bool((network[1].weight == 1).all())

    from procrustes_model.training import ProcrustesSGD

    before = network[0].weight.detach().clone()
    groups = [
        {"params": network[0].parameters(), "keep": None},
        {"params": network[4].parameters(), "keep": 0.5, "quantile": None, "decay": 0.5},
        {"params": network[6].parameters(), "lr": 0.2},
    ]
    optimizer = ProcrustesSGD(groups, keep=0.1, lr=0.01)
    assert torch.equal(network[0].weight, before)
    assert set(optimizer.masks()) == {network[4].weight, network[6].weight}
    assert [group["lr"] for group in optimizer.param_groups] == [0.01, 0.01, 0.2]
    run(torch, network, optimizer, range(30))
    assert bool((network[0].weight != before).all())
    assert optimizer.masks()[network[4].weight].float().mean() == pytest.approx(0.5, abs=1e-3)
    assert [group["iteration"] for group in optimizer.param_groups] == [0, 30, 30]
    assert optimizer.param_groups[1]["decayed"] == 0.0
    assert optimizer.param_groups[2]["decayed"] > 0.0


def test_initialisation(torch: Any) -> None:
    """The standard deviation that a network came with is kept; seeds and layers tell values apart."""
    network, _ = make(torch)
    spread = network[4].weight.std().item()
    other, optimizer = make(torch, seed=1)
    assert other[4].weight.std().item() == pytest.approx(spread, rel=0.1)
    assert not torch.equal(network[4].weight, other[4].weight)
    number = optimizer.state[other[4].weight]["layer"]
    scale = optimizer.state[other[4].weight]["scale"]
    assert np.array_equal(
        other[4].weight.detach().numpy(), initial_values(Initial(1, number, scale), (12, 96))
    )


def test_momentum_of_forgotten_weights_is_forgotten(torch: Any) -> None:
    network, optimizer = make(torch)
    run(torch, network, optimizer, range(5))
    for weight, mask in optimizer.masks().items():
        assert not optimizer.base.state[weight]["momentum_buffer"][~mask].any()
        assert optimizer.base.state[weight]["momentum_buffer"][mask].any()


@pytest.mark.parametrize(
    ("base", "options"),
    [
        ("SGD", {"momentum": 0.9, "nesterov": True}),
        ("RMSprop", {"momentum": 0.9}),
        ("Adagrad", {}),
        ("AdamW", {}),
    ],
)
def test_resume(torch: Any, base: str, options: dict[str, Any]) -> None:
    """A run that is saved, loaded and continued is bitwise the run that was not interrupted."""
    from procrustes_model.training import ProcrustesSGD

    def make_all() -> tuple[Any, Any, Any]:
        network, _ = make(torch)
        settings = {"keep": 0.2, "quantile": Quantile(rate=0.01), "lr": 0.01} | options
        optimizer = ProcrustesSGD(network.parameters(), getattr(torch.optim, base), **settings)
        return network, optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 60)

    whole = make_all()
    run(torch, whole[0], whole[1], range(40), whole[2])
    first = make_all()
    run(torch, first[0], first[1], range(25), first[2])
    file = io.BytesIO()
    torch.save([one.state_dict() for one in first], file)
    file.seek(0)
    second = make_all()
    run(torch, second[0], second[1], range(3), second[2])
    for one, state in zip(second, torch.load(file, weights_only=True), strict=True):
        one.load_state_dict(state)
    assert all(mask.dtype == torch.bool for mask in second[1].masks().values())
    run(torch, second[0], second[1], range(25, 40), second[2])
    assert same(torch, whole, second)
    assert whole[1].param_groups[0]["lr"] == second[1].param_groups[0]["lr"] < 0.01
    for key in ("estimate", "decayed", "iteration", "comparisons", "updates"):
        assert whole[1].param_groups[0][key] == second[1].param_groups[0][key]


def test_same_seed_same_result(torch: Any) -> None:
    pairs = [make(torch, seed=seed) for seed in (3, 3, 4)]
    for network, optimizer in pairs:
        run(torch, network, optimizer, range(20))
    assert same(torch, pairs[0], pairs[1])
    assert not same(torch, pairs[0], pairs[2])


def test_wrong_weights_are_noticed(torch: Any) -> None:
    """Making the optimizer after the model was loaded would silently train from other weights."""
    network, optimizer = make(torch)
    run(torch, network, optimizer, range(5))
    saved, state = copy.deepcopy(network.state_dict()), optimizer.state_dict()
    other, resumed = make(torch)
    resumed.load_state_dict(state)
    with pytest.raises(RuntimeError, match="do not belong"):
        run(torch, other, resumed, range(5, 6))
    other.load_state_dict(saved)
    run(torch, other, resumed, range(5, 6))


def test_state_of_another_optimizer(torch: Any) -> None:
    network, optimizer = make(torch)
    with pytest.raises(ValueError, match="another optimizer"):
        optimizer.load_state_dict(torch.optim.SGD(network.parameters(), lr=0.1).state_dict())
    with pytest.raises(ValueError, match="parameter group"):
        optimizer.load_state_dict(make(torch)[1].state_dict() | {"base": {"state": {}, "param_groups": []}})


def test_conventions(torch: Any) -> None:
    """Closures, hooks, named parameters, added groups, zero_grad, schedulers."""
    from procrustes_model.training import ProcrustesSGD

    network = torch.nn.Linear(4, 3)
    optimizer = ProcrustesSGD(network.named_parameters(), keep=0.5, lr=0.1)
    assert isinstance(optimizer, torch.optim.Optimizer)
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    calls = []
    optimizer.register_step_post_hook(lambda *_: calls.append(1))

    def closure() -> Any:
        optimizer.zero_grad()
        loss = network(torch.ones(2, 4)).square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure) > 0
    assert calls == [1]
    extra = torch.nn.Linear(3, 3)
    optimizer.add_param_group({"params": [extra.weight], "param_names": ["extra"], "keep": 0.25})
    assert optimizer.base.param_groups is optimizer.param_groups
    assert optimizer.state[extra.weight]["layer"] == 2
    torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    extra(network(torch.ones(2, 4))).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    assert all(one.grad is None for one in network.parameters())
    optimizer.step()
    assert "keep: 0.25" in repr(optimizer)


@pytest.mark.parametrize("layout", ["double", "bfloat16", "channels last"])
def test_other_types(torch: Any, layout: str) -> None:
    from procrustes_model.training import ProcrustesSGD

    network = torch.nn.Conv2d(4, 8, 3, bias=False)
    images = torch.randn(2, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    if layout == "channels last":
        network = network.to(memory_format=torch.channels_last)
    else:
        network, images = network.to(getattr(torch, layout)), images.to(getattr(torch, layout))
    optimizer = ProcrustesSGD(network.parameters(), keep=0.25, quantile=None, lr=0.1)
    for _ in range(170):
        optimizer.zero_grad()
        (network(images) - 1).square().mean().backward()
        optimizer.step()
    assert optimizer.storage_density() == 0.25
    assert optimizer.compute_density() <= 0.25
    mask = optimizer.masks()[network.weight]
    assert not network.weight[~mask].any()


@pytest.mark.parametrize(
    "options",
    [
        {"keep": 0.0},
        {"keep": 1.5},
        {"decay": -0.1},
        {"decay": 1.1},
        {"cutoff": 2.0},
        {"seed": -1},
        {"distribution": "x"},
    ],
)
def test_bad_options(torch: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|neither"):
        make(torch, **options)
