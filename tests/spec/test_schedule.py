"""Training runs as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from procrustes_model.errors import SpecError
from procrustes_model.spec.load import load_schedule

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
