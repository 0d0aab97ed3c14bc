"""What parts of a schedule say of single layers, and turns that run at once."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from procrustes_model import TrainCost, train_cost
from procrustes_model.errors import SpecError
from procrustes_model.report.figures.train_cost import curves
from procrustes_model.report.tables.train_cost import train_cost_json, train_cost_text
from procrustes_model.report.terminal.train_cost import format_train_cost
from procrustes_model.training import LayerMasks, MaskFile, save_masks
from procrustes_model.vocabulary import PHASES, Phase

MACHINE = "procrustes_16x16"
NETWORK: dict[str, Any] = {
    "network": {
        "name": "three",
        "batch": 4,
        "input": {"channels": 4, "height": 4, "width": 4},
        "layers": [
            {"name": "conv1", "kind": "conv", "channels": 8, "kernel": 3, "padding": 1},
            {"name": "depth", "kind": "depthwise", "kernel": 3, "padding": 1},
            {"name": "conv2", "kind": "conv", "channels": 16, "kernel": 1},
        ],
    }
}
MACS = {"conv1": 4 * 16 * 8 * 4 * 9, "depth": 4 * 16 * 8 * 9, "conv2": 4 * 16 * 16 * 8}


def counted(*parts: dict[str, Any], network: dict[str, Any] = NETWORK, **options: Any) -> TrainCost:
    written = [{"iterations": 10, **part} for part in parts]
    return train_cost(MACHINE, network, {"schedule": {"name": "s", "parts": written}}, macs=True, **options)


def shares(cost: TrainCost, part: int = 0) -> dict[str, list[float]]:
    """Return by layer the computations done / all, of the phases that it takes part in."""
    found: dict[str, list[float]] = {name: [] for name in MACS}
    for row in cost.parts[part].counted:
        assert row.computations.dense == MACS[row.layer]
        found[row.layer].append(round(row.computations.done / row.computations.dense, 6))
    return found


MASKED = {"sparsity": "masked_weights", "weights": {"overall": 0.5}}


def test_rules_choose_by_name_kind_position_and_channels() -> None:
    rules = [
        {"kinds": "depthwise", "sparsity": "dense"},
        {"names": "conv?", "outputs": "at least 16", "weights": 0.25},
        {"position": "first", "weights": 0.75, "phases": ["forward", "weight_update"]},
        {"inputs": "multiple of 5", "weights": 0.0},
    ]
    assert shares(counted({**MASKED, "layers": rules})) == {
        "conv1": [0.75, 1.0],
        "depth": [1.0, 1.0, 1.0],
        "conv2": [0.25, 0.25, 1.0],
    }


def test_the_last_rule_holds_and_groups_take_the_place_of_densities() -> None:
    groups = {"model": "structured", "nonzeros": 1, "group": 4}
    rules = [{"names": "conv*", "weights": 0.25}, {"names": "conv2", "weights": {**groups, "along": "C"}}]
    found = shares(counted({"sparsity": "masked_weights", "layers": rules}))
    assert found["conv1"][:2] == found["conv2"][:2] == [0.25, 0.25]
    dense = {"kinds": "depthwise", "sparsity": "dense"}  # it has no K
    weights = {**groups, "nonzeros": 3}
    one = counted({"sparsity": "nm_both_directions", "weights": weights, "layers": [dense]})
    assert shares(one)["conv2"] == [0.75, 0.75, 1.0]  # along C and along K, as the design says
    with pytest.raises(SpecError, match="groups of 1:4 need 'along': masked_weights has no groups"):
        counted({"sparsity": "masked_weights", "weights": groups})


def test_a_design_of_a_part_says_the_densities_that_the_part_does_not() -> None:
    dense = {"kinds": "depthwise", "sparsity": "dense"}
    cost = counted({"sparsity": "nm_forward", "layers": [dense]}, {"sparsity": "dense"}, {**MASKED})
    assert shares(cost)["conv2"] == [0.5, 1.0, 1.0]
    assert shares(cost, 1)["conv2"] == [1.0, 1.0, 1.0]
    assert cost.design == "nm_forward, dense, masked_weights"
    assert [part.designs for part in cost.parts] == [
        ("nm_forward", "dense"),
        ("dense",),
        ("masked_weights",),
    ]
    weights = {"conv1": 288, "depth": 72, "conv2": 128}
    kept = sum(size * (1.0 if name == "depth" else 0.5) for name, size in weights.items())
    assert cost.parts[0].weight_density == pytest.approx(kept / sum(weights.values()))
    own = {**NETWORK["network"], "layers": [dict(one) for one in NETWORK["network"]["layers"]]}
    own["layers"][2]["sparsity"] = "dense"  # a layer's own design comes before that of a part
    assert shares(counted(MASKED, network={"network": own}))["conv2"] == [1.0, 1.0, 1.0]


def test_gradients_stop_at_a_layer() -> None:
    assert shares(counted({"stop_gradient_at": "depth", "sparsity": "dense"})) == {
        "conv1": [1.0],
        "depth": [1.0, 1.0],
        "conv2": [1.0, 1.0, 1.0],
    }
    frozen = counted({"phases": ["fw", "bw"], "sparsity": "dense"}, first_data_gradient=False)
    assert shares(frozen) == {"conv1": [1.0], "depth": [1.0, 1.0], "conv2": [1.0, 1.0]}
    assert frozen.dense_computations().done == 10 * (3 * sum(MACS.values()) - MACS["conv1"])


def test_recorded_masks_are_counted_on(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    known, unknown = np.full(2, 0.5), np.full(2, np.nan)
    shapes = {"conv1": (8, 4, 3, 3), "depth": (8, 1, 3, 3), "conv2": (16, 8, 1, 1)}
    masks = {name: rng.random((2, *shape)) < 0.5 for name, shape in shapes.items()}
    layers = [
        LayerMasks(name, mask, mask.reshape(2, -1).mean(axis=1), known, unknown)
        for name, mask in masks.items()
    ]
    save_masks(tmp_path / "m.npz", MaskFile(tuple(layers), (5, 9)))
    recorded = {"sparsity": "masked_weights", "masks": str(tmp_path / "m.npz")}
    parts = [{**recorded, **one} for one in ({"step": 5}, {})]
    cost = counted(*parts)
    for number, part in enumerate(cost.parts):
        whole = sum(mask[number].sum() for mask in masks.values()) / sum(m[0].size for m in masks.values())
        assert part.weight_density == pytest.approx(whole)
        share = round(float(masks["conv2"][number].mean()), 6)
        assert shares(cost, number)["conv2"] == [share, share, 1.0]


def test_turns_at_once() -> None:
    """As many steps and as much energy as one after the other; of the time that of the longest."""
    layers = [{"name": "a", "kind": "fully_connected", "input_channels": 8, "channels": 8}]
    layers.append({"name": "b", "kind": "fully_connected", "channels": 16})
    network = {"network": {"name": "two", "batch": 4, "layers": layers}}
    turns: dict[str, Any] = {"iterations": 10, **MASKED, "partitions": [["a"], ["b"]]}
    schedule = {"schedule": {"name": "s", "parts": [turns, {"iterations": 5, **MASKED}]}}
    after = train_cost(MACHINE, network, schedule, mappings="dense", workers=1)
    turns["parallel"] = True
    once = train_cost(MACHINE, network, schedule, mappings="dense", workers=1)
    assert (once.energy_pj, once.iterations) == (pytest.approx(after.energy_pj), 25)
    cycles = [part.cycles for part in once.parts]
    assert after.cycles == sum(cycles) and once.cycles == max(cycles[:2]) + cycles[2]
    assert (once.dense_cycles, after.dense_cycles) == tuple(
        steps * once.dense.step().cycles for steps in (15, 25)
    )
    assert (once.machines, after.machines) == (2, 1)
    assert "on 2 machines" in format_train_cost(once) and "machines" not in format_train_cost(after)
    edges, densities, costs = curves(once)
    assert edges == [0, 10, 15]
    kept = [part.weight_density for part in once.parts]
    assert densities == pytest.approx([(kept[0] + kept[1]) / 2, kept[2]])
    assert costs[1] == pytest.approx(once.parts[2].step().energy_pj / once.dense.step().energy_pj)


def test_tables_of_computations() -> None:
    cost = counted({**MASKED, "bits": {"Weights": 8}}, MASKED, first_data_gradient=False)
    rows = list(csv.DictReader(io.StringIO(train_cost_text(cost))))
    assert [row["phase"] for row in rows] == [*PHASES] * 2
    done = sum(int(row["iterations"]) * float(row["computes"]) for row in rows)
    assert done == pytest.approx(cost.computations().done)
    assert {(row["energy_pj"], row["first_data_gradient"], row["design"]) for row in rows} == {
        ("", "false", "masked_weights")
    }
    data = json.loads(train_cost_json(cost))
    assert data["run"]["done"] == pytest.approx(done) and data["first_data_gradient"] is False
    text = format_train_cost(cost)
    assert "The data gradient of the first layer is not counted." in text
    assert "Bit gain" in text and "Bits in part 1: Weights 8." in text
    with pytest.raises(SpecError, match="computations alone were counted"):
        _ = cost.energy_pj


@pytest.mark.parametrize(
    ("part", "options", "said"),
    [
        ({**MASKED, "partitions": [["conv3"]]}, {}, "part 1: three has no layer 'conv3'; did you mean 'conv"),
        (
            {**MASKED, "partitions": [["conv*"], ["conv1"]]},
            {},
            "'conv1' is in partition 1 and in partition 2",
        ),
        ({**MASKED, "partitions": 4}, {}, "4 partitions of 3 layers with weights"),
        ({**MASKED, "stop_gradient_at": "fc"}, {}, "part 1: three has no layer 'fc'"),
        ({"layers": [{"names": "cnv1", "weights": 0.5}]}, {}, "three has no layer 'cnv1'"),
        ({"sparsity": "dense", "weights": {"overall": 0.5}}, {}, "dense has no zeros in Weights"),
        (
            {"sparsity": "gradient_nm", "layers": [{"names": "conv1", "weights": 0.5}]},
            {},
            "rule 1 of 'layers' has zeros in weights, and gradient_nm has none there",
        ),
        ({"weights": {"overall": 0.5}}, {"sparsity": "dense"}, "no sparse design says what they save"),
        ({"sparsity": "dense"}, {}, "dense training costs what the comparison says"),
        (MASKED, {"sparsity": "eyeriss_v1"}, "'--sparsity' has no effect: the schedule states the design"),
        (MASKED, {"seconds": 3}, "--seconds has no effect with --macs: nothing is searched"),
        (MASKED, {"mappings": "dense"}, "--mappings has no effect with --macs"),
    ],
)
def test_what_parts_cannot_say(part: dict[str, Any], options: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError) as caught:
        counted(part, **options)
    assert said in str(caught.value)


def test_a_later_rule_keeps_what_an_earlier_one_says_of_weights() -> None:
    one = {"name": "a", "kind": "fully_connected", "input_channels": 16, "channels": 4}
    rules: list[dict[str, Any]] = [
        {"names": "a", "weights": 0.5},
        {"position": "first", "sparsity": "masked_weights"},
    ]
    found = []
    for ordered in (rules, rules[::-1]):
        part = {"iterations": 1, "sparsity": "masked_weights", "layers": ordered}
        schedule = {"schedule": {"name": "s", "parts": [part]}}
        network = {"network": {"name": "n", "layers": [one]}}
        cost = train_cost("procrustes_16x16", network, schedule, macs=True)
        found.append((cost.computations(Phase.FORWARD).done, cost.parts[0].weight_density))
    assert found == [(32, 0.5)] * 2


def test_the_density_of_weights_is_that_of_what_is_computed() -> None:
    """A layer's own zeros count; a design without zeros in weights keeps them all."""
    layers: list[dict[str, Any]] = [
        {"name": "a", "kind": "fully_connected", "input_channels": 16, "channels": 4},
        {"name": "b", "kind": "fully_connected", "channels": 16, "sparsity": "gradient_nm"},
    ]
    layers[0]["densities"] = {"Weights": 0.25}
    schedule = {"schedule": {"name": "s", "parts": [{"iterations": 1, "sparsity": "masked_weights"}]}}
    network = {"network": {"name": "n", "layers": layers}}
    (part,) = train_cost("procrustes_16x16", network, schedule, macs=True).parts
    assert part.weight_density == (0.25 + 1) / 2
    assert part.computations(Phase.FORWARD).done == 64 / 4 + 64
