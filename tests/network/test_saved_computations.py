"""Published ways to train with less, as designs and schedules that ship: computations that remain."""

from __future__ import annotations

from typing import Any

import pytest

from procrustes_model import TrainCost, count_macs, load_network, train_cost
from procrustes_model.vocabulary import PHASES, Phase

MACHINE = "procrustes_16x16"
ONE: dict[str, Any] = {
    "network": {
        "name": "one",
        "batch": 64,
        "layers": [{"name": "a", "kind": "fully_connected", "input_channels": 1000, "channels": 1000}],
    }
}


def gain(cost: TrainCost) -> float:
    """Return how many times more computations dense training has."""
    return cost.dense_computations().done / cost.computations().done


def counted(network: Any, schedule: Any, **options: Any) -> TrainCost:
    return train_cost(MACHINE, network, schedule, macs=True, **options)


def kept(n: int, m: int, length: int) -> float:
    """Return the share that groups of n:m keep of so many elements in a row, of the rest at most n."""
    return (length // m * n + min(n, length % m)) / length


def by_hand(name: str, shares: dict[Phase, tuple[int, int, str]], *, skipped: int, first: bool) -> float:
    """Return the gain of groups of n:m along channels by phase, layers of few input channels dense."""
    done = dense = 0.0
    for number, layer in enumerate(load_network(name).layers):
        for phase in PHASES:
            if phase == Phase.BACKWARD and number == 0 and not first:
                continue
            n, m, channels = shares.get(phase, (1, 1, "in_channels"))
            share = 1.0 if layer.in_channels <= skipped else kept(n, m, getattr(layer, channels))
            done += share * layer.macs
            dense += layer.macs
    return dense / done


@pytest.mark.parametrize(
    ("network", "first", "expected"),
    [
        ("resnet18", True, 1.8778),
        ("resnet18", False, 1.9151),
        ("resnet50", True, 1.9439),
        ("vgg16", True, 1.9889),
    ],
)
def test_bdwp(network: str, first: bool, expected: float) -> None:
    cost = counted(network, "bdwp", first_data_gradient=first)
    assert gain(cost) == pytest.approx(expected, abs=5e-5)
    shares = {Phase.FORWARD: (2, 8, "in_channels"), Phase.BACKWARD: (2, 8, "out_channels")}
    assert gain(cost) == pytest.approx(by_hand(network, shares, skipped=3, first=first), rel=1e-12)
    assert cost.first_data_gradient == first


@pytest.mark.parametrize(
    ("network", "dense_first", "along", "flat"),
    [("resnet18", 1.1846, 1.1948, 1.1999), ("resnet50", 1.1931, 1.1977, 1.2000)],
)
def test_sr_ste(network: str, dense_first: float, along: float, flat: float) -> None:
    assert gain(counted(network, "sr_ste_first_dense")) == pytest.approx(dense_first, abs=5e-5)
    assert gain(counted(network, "sr_ste")) == pytest.approx(flat, abs=5e-5)
    found = count_macs(MACHINE, network, sparsity="nm_forward")
    assert found.totals().dense / found.totals().done == pytest.approx(along, abs=5e-5)


@pytest.mark.parametrize(("network", "saved"), [("resnet18", 15.9), ("resnet50", 16.3), ("vgg16", 16.6)])
def test_sdgp(network: str, saved: float) -> None:
    cost = counted(network, "sdgp", first_data_gradient=False)
    assert 100 * (1 - 1 / gain(cost)) == pytest.approx(saved, abs=0.05)
    by_channels = by_hand(network, {Phase.BACKWARD: (2, 4, "out_channels")}, skipped=3, first=False)
    assert gain(cost) == pytest.approx(by_channels, rel=1e-12)


@pytest.mark.parametrize(
    ("schedule", "expected", "density"),
    [("acdc", 1 / 0.7, 0.55), ("acdc_sampled", 1 / 0.55, 0.55), ("acdc_2_4", 1.2, 0.75)],
)
def test_acdc(schedule: str, expected: float, density: float) -> None:
    """Half of the epochs are dense and cost as dense training does."""
    cost = counted(ONE, schedule)
    assert gain(cost) == pytest.approx(expected, rel=1e-12)
    assert cost.weight_density == pytest.approx(density, rel=1e-12)
    assert cost.iterations == 100 * 5005
    sparse = sum(part.iterations for part in cost.parts if part.weight_density < 1)
    assert sparse == 50 * 5005


def test_dense_parts_of_a_structured_design_are_dense() -> None:
    """A density of 1 under groups of 2:4 is dense, and the one that they keep leaves them."""
    parts = [{"iterations": 50, "weights": {"overall": share}} for share in (1.0, 0.5)]
    cost = counted(ONE, {"schedule": {"name": "s", "parts": parts}}, sparsity="nm_weights")
    assert gain(cost) == pytest.approx(1.2, rel=1e-12)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("gap", [0.4286, 0.4667, 0.5048]),
        ("gap_2", [0.5429, 0.6571]),
        ("gap_6", [0.3143] * 3 + [0.3524] * 3),
    ],
)
def test_gap(schedule: str, expected: list[float]) -> None:
    cost = counted("transformer_base", schedule)
    assert [part.weight_density for part in cost.parts] == pytest.approx(expected, abs=5e-5)
    assert cost.weight_density == pytest.approx(sum(expected) / len(expected), abs=5e-5)


FOUR: dict[str, Any] = {
    "network": {
        "name": "four",
        "batch": 64,
        "layers": [
            {"name": "p1", "kind": "fully_connected", "input_channels": 80, "channels": 80},
            *({"name": f"p{number}", "kind": "fully_connected", "channels": 80} for number in (2, 3, 4)),
        ],
    }
}


@pytest.mark.parametrize("partitions", [4, [["p1"], ["p2"], ["p3"], ["p4"]]])
def test_partitions_of_equal_layers(partitions: Any) -> None:
    """A dense layer and three of a fifth are 0.4 forward and backward: 3 / (0.4 + 0.4 + 1)."""
    part = {"iterations": 10, "weights": {"overall": 0.2}, "partitions": partitions}
    cost = counted(FOUR, {"schedule": {"name": "s", "sparsity": "masked_weights", "parts": [part]}})
    assert [part.weight_density for part in cost.parts] == pytest.approx([0.4] * 4)
    assert [part.dense for part in cost.parts] == ["p1", "p2", "p3", "p4"]
    assert gain(cost) == pytest.approx(3 / 1.8, rel=1e-12)
    assert cost.iterations == 40


def test_bits_of_static_fractrain() -> None:
    """Operations of 8 x 8, 8 x 16 and 8 x 16 bits against three of 8 x 8."""
    wide, narrow = (part.computations().bit_operations for part in counted(ONE, "fractrain_static").parts)
    assert wide is not None and narrow is not None
    assert wide / narrow == pytest.approx(5 / 3, rel=1e-12)


def test_bits_of_progressive_fractrain() -> None:
    """Forward FW x FW, backward and weight update FW x BW."""
    cost = counted(ONE, "fractrain")
    macs = 64 * 1000**2
    expected = [macs * (fw * fw + 2 * fw * bw) for fw, bw in ((3, 6), (4, 6), (6, 8), (8, 8))]
    assert [part.computations().bit_operations for part in cost.parts] == expected


def test_counts_are_those_of_searched_mappings() -> None:
    """No mapping changes the computations: what searches find has as many."""
    part = {"iterations": 3, "weights": {"overall": 0.25}, "activations": {"default": 0.5}}
    schedule = {"schedule": {"name": "s", "parts": [part]}}
    layers = [{"name": "a", "kind": "fully_connected", "input_channels": 8, "channels": 8}]
    small = {"network": {"name": "small", "batch": 8, "layers": layers}}
    searched = train_cost(MACHINE, small, schedule, mappings="dense", workers=1)
    alone = counted(small, schedule)
    for phase in PHASES:
        found, known = (one.parts[0].computations(phase) for one in (searched, alone))
        assert found.done == pytest.approx(known.done, rel=1e-9)
        assert (found.dense, found.bit_operations) == (known.dense, pytest.approx(known.bit_operations))
    assert searched.dense_computations() == alone.dense_computations()
