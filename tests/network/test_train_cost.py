"""A training run costs what its steps cost, one by one."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from procrustes_model import TrainCost, evaluate, load_mapping, load_problem, load_sparsity, train_cost
from procrustes_model.errors import SpecError
from procrustes_model.network import engine
from procrustes_model.network.case import Case
from procrustes_model.report.tables.train_cost import train_cost_text
from procrustes_model.report.terminal.train_cost import format_train_cost
from procrustes_model.spec.load import load_architecture, load_network
from procrustes_model.training import LayerMasks, MaskFile, save_masks
from procrustes_model.workloads.layer import PHASES
from procrustes_model.workloads.recorded_schedule import schedule_from_masks

NETWORK = {
    "network": {
        "name": "tiny",
        "batch": 16,
        "layers": [
            {"name": "a", "kind": "fully_connected", "input_channels": 32, "channels": 16},
            {"name": "b", "kind": "fully_connected", "channels": 16},
            {"name": "c", "kind": "fully_connected", "channels": 16},
        ],
    }
}
HALF = {"iterations": 20, "weights": {"overall": 0.5}, "activations": {"default": 0.75}}
SCHEDULE: dict[str, Any] = {
    "schedule": {
        "name": "run",
        "parts": [
            {"iterations": 10, "activations": {"default": 1.0}},
            HALF,
            {**HALF, "iterations": 3},
            {
                "iterations": 100,
                "weights": {"overall": 0.1, "layers": {"c": 0.0}},
                "activations": {"default": 0.5, "layers": {"a": 1.0}},
                "gradients": {"default": 0.25},
            },
        ],
    }
}


@dataclass(frozen=True)
class Watched:
    """A run into a folder, and the cases that were searched in it."""

    cost: TrainCost
    searched: list[Case]
    folder: Path


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    searched: list[Case] = []
    solve = engine.solve

    def watch(case: Case, limit: float | None) -> Any:
        searched.append(case)
        return solve(case, limit)

    folder = tmp_path_factory.mktemp("each")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "solve", watch)
        cost = train_cost("procrustes_16x16", NETWORK, SCHEDULE, out=folder, workers=1)
    return Watched(cost, searched, folder)


@pytest.fixture(scope="module", params=["each", "dense"])
def cost(request: pytest.FixtureRequest) -> TrainCost:
    if request.param == "each":
        watched: Watched = request.getfixturevalue("watched")
        return watched.cost
    return train_cost("procrustes_16x16", NETWORK, SCHEDULE, mappings=request.param, workers=1)


def test_sums(cost: TrainCost) -> None:
    """Every step again, one iteration after the other, with the mappings that were found."""
    machine, design = load_architecture("procrustes_16x16"), load_sparsity("procrustes")
    densities = [
        dict.fromkeys("abc", (1.0, 1.0)),
        dict.fromkeys("abc", (0.5, 0.75)),
        dict.fromkeys("abc", (0.5, 0.75)),
        # A tenth of 1,024 weights falls on the 768 of a and b.
        {"a": (102.4 / 768, 1.0), "b": (102.4 / 768, 0.5), "c": (0.0, 0.5)},
    ]
    energy, cycles = 0.0, 0
    for part, known in zip(cost.parts, densities, strict=True):
        assert len(part.rows) == 9
        step = 0.0
        for row in part.rows:
            problem = load_problem({"problem": row.entry.problem})
            mapping = load_mapping(row.case.mapping, machine, problem)
            weights, inputs = known[row.layer]
            sparse = {"Inputs": inputs} if row.phase == "weight_update" else {"Weights": weights}
            if row.phase == "weight_update":
                sparse["Weights"] = weights
            again = evaluate(machine, problem, mapping, sparsity=design, densities=sparse)
            assert again.energy_pj == pytest.approx(row.case.energy_pj, rel=1e-9)
            assert again.cycles == row.case.cycles
            step += again.energy_pj
            cycles += part.iterations * again.cycles
        energy += part.iterations * step
    assert cost.energy_pj == pytest.approx(energy, rel=1e-9)
    assert cost.cycles == cycles
    assert cost.iterations == 133
    assert [part.weight_density for part in cost.parts] == pytest.approx([1, 0.5, 0.5, 0.1])


def test_dense_training(cost: TrainCost) -> None:
    machine = load_architecture("procrustes_16x16")
    energy = 0.0
    for row in cost.dense.rows:
        problem = load_problem({"problem": row.entry.problem})
        energy += evaluate(machine, problem, load_mapping(row.case.mapping, machine, problem)).energy_pj
    assert cost.dense.energy_pj == pytest.approx(133 * energy, rel=1e-12)
    assert cost.states == 3


def test_csv_adds_up(cost: TrainCost) -> None:
    rows = list(csv.DictReader(io.StringIO(train_cost_text(cost))))
    assert [row["phase"] for row in rows] == [*PHASES] * 4
    assert {row["version"] for row in rows} == {"2"}
    energy = sum(int(row["iterations"]) * float(row["energy_pj"]) for row in rows)
    assert energy == pytest.approx(cost.energy_pj, rel=1e-12)
    assert sum(int(row["iterations"]) * int(row["cycles"]) for row in rows) == cost.cycles
    assert sum(int(row["iterations"]) * int(row["dense_cycles"]) for row in rows) == cost.dense.cycles


def test_text(cost: TrainCost) -> None:
    text = format_train_cost(replace(cost, clock_ghz=1e-6))
    assert "tiny on procrustes_16x16, batch 16, schedule run: 133 training steps" in text
    assert f"Time at 1e-06 GHz: {cost.cycles / 1e3:.4g} s".split(".")[0] in text
    assert "assumed" not in text
    assert "lower bound" not in text
    last = [line.split() for line in text.splitlines() if line.split()[:1] in (["run"], ["dense"])]
    assert [line[1] for line in last] == ["133", "133"]


def test_work_that_is_taken_to_be_spread_evenly(cost: TrainCost) -> None:
    told = {"work_spread": "even (ideal)", "assumed_even": ["Weights"], "imbalance": None}
    parts = tuple(
        replace(
            part,
            rows=tuple(
                replace(row, case=replace(row.case, result=row.case.result | told)) for row in part.rows
            ),
        )
        for part in cost.parts
    )
    text = format_train_cost(replace(cost, parts=parts))
    assert text.count("Cycles are a lower bound: procrustes skips computations for zeros of Weights") == 1


@pytest.mark.xdist_group("cost")
def test_each_state_is_searched_once(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    first = watched.cost
    keys = {row.case.key for part in (*first.parts, first.dense) for row in part.rows}
    assert {case.key for case in watched.searched} == keys
    assert len(watched.searched) == len(keys) == first.searches
    monkeypatch.setattr(engine, "solve", lambda case, _: pytest.fail(f"{case.key} is searched again"))
    again = train_cost("procrustes_16x16", NETWORK, SCHEDULE, out=watched.folder, workers=1)
    assert (again.energy_pj, again.cycles) == (first.energy_pj, first.cycles)


def recorded(steps: tuple[int, ...]) -> MaskFile:
    rng = np.random.default_rng(0)
    layers = []
    for name, shape in (("a", (16, 32)), ("b", (16, 16)), ("c", (16, 16))):
        share = np.linspace(1, 0.25, len(steps)).reshape(-1, 1, 1)
        masks = rng.random((len(steps), *shape)) < share
        half = np.full(len(steps), 0.5)
        layers.append(LayerMasks(name, masks, half, half, np.full(len(steps), np.nan)))
    return MaskFile(tuple(layers), steps, "a test")


def test_recorded_run(tmp_path: Path) -> None:
    masks, network = recorded((4, 10, 30)), load_network(NETWORK)
    schedule = schedule_from_masks(masks, network)
    assert [part.iterations for part in schedule.parts] == [6, 20, 20]
    assert schedule_from_masks(masks, network, 31).parts[2].iterations == 1
    assert schedule.parts[1].weights.layers["b"] == masks.layers[1].masks[1].mean()
    assert schedule.parts[1].activations.layers == {"a": 0.5, "b": 0.5, "c": 0.5}
    assert schedule.parts[1].gradients.layers == {}
    save_masks(tmp_path / "masks.npz", masks)
    options: dict[str, Any] = {"mappings": "dense", "workers": 1, "out": tmp_path / "cases"}
    from_file = train_cost("procrustes_16x16", network, tmp_path / "masks.npz", **options)
    from_schedule = train_cost("procrustes_16x16", network, schedule, **options)
    assert from_file.energy_pj == from_schedule.energy_pj
    assert from_file.iterations == 46


@pytest.mark.parametrize(
    ("steps", "iterations", "said"),
    [
        ((), None, "no step was recorded"),
        ((3,), None, "only one step was recorded: nothing says for how many iterations it stands"),
        ((3, 5), 5, "cannot end at iteration 5: step 5 was recorded; --iterations 6 or more"),
    ],
)
def test_recorded_runs_that_have_no_end(steps: tuple[int, ...], iterations: int | None, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        schedule_from_masks(recorded(steps), load_network(NETWORK), iterations)


def test_recorded_layers_are_missing() -> None:
    masks = MaskFile(recorded((0, 1)).layers[:2], (0, 1))
    with pytest.raises(SpecError, match="no masks of c of tiny"):
        schedule_from_masks(masks, load_network(NETWORK))


@pytest.mark.parametrize(
    ("part", "options", "said"),
    [
        ({"weights": {"layers": {"aa": 0.5}}}, {}, "part 2: tiny has no layer 'aa'"),
        ({"gradients": {"layers": {"d": 0.5}}}, {}, "part 2: tiny has no layer 'd'; choose from a, b, c"),
        ({"weights": {"overall": 0.1, "layers": {"a": 1.0}}}, {}, "part 2: the fixed densities do not fit"),
        ({}, {"iterations": 9}, "a schedule file says its own"),
        ({}, {"sparsity": "dense"}, "name a sparse design"),
        ({}, {"mappings": "all"}, "unknown mappings 'all'; one of each, dense"),
        ({}, {"dataflow": "NX"}, "dataflow"),
    ],
)
def test_wrong_input(part: dict[str, Any], options: dict[str, Any], said: str) -> None:
    schedule = {"schedule": {"name": "run", "parts": [{"iterations": 1}, {"iterations": 1, **part}]}}
    with pytest.raises(SpecError, match=said):
        train_cost("procrustes_16x16", NETWORK, schedule, **options)
