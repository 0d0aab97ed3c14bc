"""Training runs as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from procrustes_model.errors import SpecError
from procrustes_model.shipped import list_shipped
from procrustes_model.spec.layer_rule import Groups
from procrustes_model.spec.load import load_schedule
from procrustes_model.spec.network_density import WeightDensity
from procrustes_model.spec.schedule import SchedulePart

TEXT = """\
schedule:
  name: tenfold
  parts:
    - iterations: 1000
    - iterations: 2000
      weights: {overall: 0.5, rule: erdos_renyi_kernel}
      activations: {default: 0.6, layers: {a: 1.0}}
      gradients: {default: 0.4}
"""


def test_file(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(TEXT, encoding="utf-8")
    schedule = load_schedule(tmp_path / "run.yaml")
    assert load_schedule(schedule) is schedule
    assert (schedule.name, schedule.iterations, len(schedule.parts)) == ("tenfold", 3000, 2)
    first, second = schedule.parts
    assert first.weights.kept is None
    assert (second.weights.kept, second.activations.layers) == (0.5, {"a": 1.0})
    assert second.gradients.default == 0.4


def part(**changes: Any) -> dict[str, Any]:
    return {"schedule": {"name": "run", "parts": [{"iterations": 5}, {"iterations": 7, **changes}]}}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (part(iterations=0), "'iterations' must be at least 1, is 0"),
        (part(iterations=1.5), "'iterations' must be a whole number, is 1.5"),
        (part(weigths={}), "unknown key 'weigths'; did you mean 'weights'?"),
        (part(weights=0.1), "'weights' must be 'key: value' pairs, is 0.1; its keys are overall"),
        (part(weights={"overall": 2}), "'overall' must be at most 1, is 2"),
        (part(weights={"overall": 0.1, "times_fewer": 10}), "are both given"),
        (part(activations={"layers": {"a": -1}}), "'a' must be at least 0, is -1"),
        ({"schedule": {"name": "run"}}, "missing key 'parts'; a list of parts"),
        ({"schedule": {"name": "run", "parts": []}}, "'parts'"),
        ({"schedule": {"name": "run", "parts": 5}}, "'parts' must be a list, is 5"),
        ({"schedule": {"name": "run", "parts": [5]}}, "item 1 of 'parts' must be 'key: value' pairs, is 5"),
        ({"schedule": {"name": "run", "part": [{"iterations": 1}]}}, "did you mean 'parts'?"),
        ({"schedule": {"parts": [{"iterations": 1}]}}, "missing key 'name'"),
        ({"network": {}}, "this describes a network, not a schedule"),
    ],
)
def test_what_is_wrong_is_said(content: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_schedule(content)
    assert said in str(caught.value)
    assert len(caught.value.issues) == 1


def test_places(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(TEXT.replace("2000", "-2").replace("0.6", "six"), encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        load_schedule(file)
    assert [(one.line, one.column) for one in caught.value.issues] == [(5, 19), (7, 30)]


def loaded(*parts: dict[str, Any], **more: Any) -> list[SchedulePart]:
    return list(load_schedule({"schedule": {"name": "run", "parts": list(parts), **more}}).parts)


def test_epochs_and_repetition() -> None:
    inner = {"repeat": 2, "parts": [{"epochs": 0.5}, {"epochs": 2, "steps_per_epoch": 7}]}
    parts = loaded({"epochs": 3}, {"repeat": 2, "parts": [inner, {"iterations": 1}]}, steps_per_epoch=100)
    once = [50, 14]
    assert [one.iterations for one in parts] == [300, *once, *once, 1, *once, *once, 1]
    assert [one.iterations for one in loaded({"iterations": 4, "repeat": 2})] == [4, 4]
    group = {"repeat": 3, "steps_per_epoch": 5, "parts": [{"epochs": 2}]}
    assert [one.iterations for one in loaded(group)] == [10, 10, 10]


def test_a_ramp_is_the_cubic_of_zhu_and_gupta() -> None:
    """Evenly spaced moments, the first at `from` and the last at `to`; lengths differ by one step at most."""
    ramp = {"from": 1.0, "to": 0.1, "steps": 4}
    parts = loaded({"iterations": 10, "weights": {"overall": ramp, "rule": "erdos_renyi_kernel"}})
    assert [one.iterations for one in parts] == [2, 3, 2, 3]
    expected = [0.1 + 0.9 * (1 - i / 3) ** 3 for i in range(4)]
    found = [one.weights for one in parts]
    assert all(isinstance(one, WeightDensity) and one.rule == "erdos_renyi_kernel" for one in found)
    assert [one.kept for one in found if isinstance(one, WeightDensity)] == pytest.approx(expected)
    even = loaded({"iterations": 3, "weights": {"overall": {**ramp, "steps": 3, "power": 1}}})
    assert [one.weights.overall for one in even if isinstance(one.weights, WeightDensity)] == pytest.approx(
        [1.0, 0.55, 0.1]
    )


def test_a_part_may_state_designs_groups_masks_and_rules(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("sparsity: {name: mine, densities: {Weights: 0.5}}", encoding="utf-8")
    (tmp_path / "run.yaml").write_text(
        """\
schedule:
  name: run
  sparsity: dense
  parts:
    - {iterations: 1, sparsity: mine.yaml, weights: {model: structured, nonzeros: 2, group: 4}}
    - iterations: 2
      masks: masks.npz
      step: 3
      phases: [fw, bw]
      stop_gradient_at: b
      layers:
        - {names: "conv*", kinds: conv, inputs: [multiple of 8, at least 16], sparsity: mine.yaml}
        - {position: last, weights: 0, bits: {Weights: 4}}
    - {iterations: 3, partitions: [[a, b], [c]], parallel: true}
""",
        encoding="utf-8",
    )
    schedule = load_schedule(tmp_path / "run.yaml")
    first, second, third = schedule.parts
    assert schedule.sparsity is not None and schedule.sparsity.name == "dense"
    assert first.sparsity is not None and first.sparsity.name == "mine"
    assert isinstance(first.weights, Groups) and (first.weights.nonzeros, first.weights.along) == (2, None)
    assert (second.masks, second.step) == (str(tmp_path / "masks.npz"), 3)
    assert [phase.short for phase in second.phases] == ["fw", "bw"]
    assert second.layers[0].names == ("conv*",) and second.layers[0].inputs == (
        "multiple of 8",
        "at least 16",
    )
    assert second.layers[1].weights == 0.0
    assert (third.partitions, third.parallel, schedule.iterations) == ((("a", "b"), ("c",)), True, 9)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (part(epochs=2), "given twice: by 'iterations' and by 'epochs'"),
        (part(steps_per_epoch=2), "the part is counted in iterations"),
        (part(repeat=0), "'repeat' must be at least 1, is 0"),
        (part(sparsity="procrustez"), "did you mean 'procrustes'?"),
        (part(sparsity=3), "'sparsity' must be a name, a file or 'key: value' pairs, is 3"),
        (part(sparsity={"name": "a", "density": {}}), "unknown key 'density'"),
        (part(phases=["frward"]), "must be a list of phases, some of forward, backward, weight_update"),
        (part(phases=[]), "must be a list of phases"),
        (part(weights={"model": "structured", "nonzeros": 3, "group": 2}), "more nonzeros than its group"),
        (part(weights={"model": "structured", "nonzeros": 3}), "missing key 'group'"),
        (part(weights={"overall": {"from": 1.0, "to": 0.1}}), "missing key 'steps'"),
        (part(weights={"overall": {"from": 1.0, "to": 0.1, "steps": 8}}), "a ramp of 8 steps needs as many"),
        (part(weights={"overall": {"from": 1.0, "to": 0.0, "steps": 2}}), "'to' must be more than 0"),
        (part(masks="m.npz", weights={"overall": 0.5}), "given twice: by 'weights' and by 'masks'"),
        (part(step=1), "'step' has no effect without 'masks'"),
        (part(parallel=True), "'parallel' has no effect without 'partitions'"),
        (part(layers={"a": {}}), "'layers' must be a list of rules"),
        (part(layers=[{"sparsity": "dense"}]), "a rule chooses layers by some of names, kinds"),
        (part(layers=[{"names": "a"}]), "a rule says something of its layers, by some of sparsity"),
        (part(layers=[{"name": "a", "weights": 1}]), "unknown key 'name'; did you mean 'names'?"),
        (part(layers=[{"names": "a", "weights": 2}]), "'weights' must be a number from 0 to 1, is 2"),
        (part(layers=[{"kinds": "pool", "weights": 1}]), "must be one of 'conv'"),
        (part(layers=[{"inputs": "multiples of 8", "weights": 1}]), "must be a count, 'at least 16'"),
        ({"schedule": {"name": "a", "parts": [{"epochs": 1}]}}, "nothing says how many training steps"),
        ({"schedule": {"name": "a", "parts": [{}]}}, "missing key 'iterations'; training steps; or 'epochs'"),
        (
            {"schedule": {"name": "a", "steps_per_epoch": 3, "parts": [{"epochs": 0.5}]}},
            "0.5 epochs of 3 steps must be a whole number of training steps",
        ),
        (
            {"schedule": {"name": "a", "steps_per_epoch": 3, "parts": [{"iterations": 1}]}},
            "'steps_per_epoch' has no effect: no part is counted in epochs",
        ),
        (
            {"schedule": {"name": "a", "parts": [{"repeat": 2, "parts": []}]}},
            "'parts' must be a list of parts",
        ),
        (
            {"schedule": {"name": "a", "parts": [{"repeat": 1000, "parts": [{"iterations": 1}] * 11}]}},
            "the schedule has more than 10000 parts",
        ),
    ],
)
def test_what_is_wrong_with_more_than_densities(content: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_schedule(content)
    assert said in str(caught.value)
    assert len(caught.value.issues) == 1


def test_places_of_nested_parts_and_of_designs_in_place(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(
        """\
schedule:
  name: run
  parts:
    - repeat: 2
      parts:
        - {iterations: 0}
        - iterations: 1
          sparsity: {name: a, densities: {Weights: 2}}
""",
        encoding="utf-8",
    )
    with pytest.raises(SpecError) as caught:
        load_schedule(file)
    assert [(one.line, one.column) for one in caught.value.issues] == [(6, 24), (8, 52)]


@pytest.mark.parametrize("name", list_shipped("schedule"))
def test_shipped_schedules(name: str) -> None:
    schedule = load_schedule(name)
    assert schedule.name == name
    assert schedule.source and schedule.description
