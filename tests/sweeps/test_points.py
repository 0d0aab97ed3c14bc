"""The points of a sweep: axes, their combinations, conditions, and what is said of wrong ones."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from procrustes_model.errors import SpecError
from procrustes_model.spec.sweep import load_sweep
from procrustes_model.spec.text.conditions import ExpressionError, parse_condition
from procrustes_model.sweeps.points import expand, short_names
from procrustes_model.sweeps.verb import sweep
from tests.sweeps.conftest import BUFFER, sweep_of

WIDTH = "architecture.compute.mesh_x"


def values(**content: Any) -> list[tuple[Any, ...]]:
    _, points = expand(load_sweep(sweep_of(**content)))
    assert [point.number for point in points] == list(range(1, len(points) + 1))
    return [tuple(point.values.values()) for point in points]


def test_combinations() -> None:
    axes = {BUFFER: ["16 words", "32 words", "1 KB"], WIDTH: [1, 2, 4]}
    assert values(axes=axes) == list(itertools.product(*axes.values()))
    assert values(axes=axes, combine="zip") == list(zip(*axes.values(), strict=True))
    points = [{BUFFER: "1 KB", WIDTH: 3}, {WIDTH: 1, BUFFER: "2 KB"}]
    assert values(points=points) == [("1 KB", 3), ("2 KB", 1)]


def test_conditions_leave_points_out() -> None:
    axes = {BUFFER: ["1 KB", "2 KB", "64 KB"], WIDTH: [1, 2, 4]}
    where = ["capacity <= '2 KB' or mesh_x == 4", "not (capacity == '1 KB' and mesh_x in (1, 2))"]
    kept = values(axes=axes, where=where)
    bits = {"1 KB": 2**13, "2 KB": 2**14, "64 KB": 2**19}
    assert kept == [
        (size, width)
        for size, width in itertools.product(*axes.values())
        if (bits[size] <= 2**14 or width == 4) and not (size == "1 KB" and width in (1, 2))
    ]


def test_one_axis_sets_several_paths() -> None:
    axes = {"side": {"set": ["architecture.compute.mesh_x", "architecture.compute.mesh_y"], "values": [2, 3]}}
    _, points = expand(load_sweep(sweep_of(axes=axes, set={BUFFER: "1 KB"})))
    assert [[(change.path[-1], change.value) for change in point.changes] for point in points] == [
        [("capacity", "1 KB"), ("mesh_x", side), ("mesh_y", side)] for side in (2, 3)
    ]


def test_short_names_are_the_ends_that_no_other_path_has() -> None:
    paths = (
        "architecture.levels.A.capacity",
        "architecture.levels.B.capacity",
        "dataflow",
        "densities.W",
        "a.levels[0].x",
    )
    assert list(short_names(paths).values()) == ["A_capacity", "B_capacity", "dataflow", "W", "x"]


NAMES = {"a": 3, "b": "64 KB", "c": "KN", "d": True, "e": 0.5}


@pytest.mark.parametrize(("text", "holds"), [
    ("a < 4", True), ("1 < a <= 3 < 5", True), ("1 < a <= 2", False), ("a * 2 + 1 == 7", True),
    ("a % 2 == 0", False), ("b == '64 KB'", True), ("b >= '32 KB'", True), ("b == 524288", True),
    ("b / '8 B' == 1", None), ("b / 64 > '1 KB'", False), ("c == 'KN'", True), ("c != 'CN'", True),
    ("c in ('CN', 'CK')", False), ("c not in ['CN']", True), ("d", True), ("not d", False),
    ("d and a == 3", True), ("a == 1 or e == 1 / 2", True), ("max(a, 5) == 5", True),
])  # fmt: skip
def test_conditions(text: str, holds: bool | None) -> None:
    if holds is None:
        with pytest.raises(ExpressionError):
            parse_condition(text)
    else:
        assert parse_condition(text).holds(NAMES) is holds


@pytest.mark.parametrize(("text", "said"), [
    ("a <", "is no condition"), ("a + 1", "is no condition"), ("__import__('os')", "is no condition"),
    ("a", "is not true or false"), ("a is 3", "'is' is not allowed"), ("x < 3", "unknown name 'x'"),
    ("c < 3", "'KN' is no number"), ("c * 2 == 3", "'c' is no number"), ("a < 1 / 0", "division by zero"),
    ("a == open('x')", "not allowed in an expression"), ("a.b == 3", "not allowed"),
    ("a in 3", "'in' needs a list"), ("a < 9 ** 999", "the exponent"), ("a" * 600, "600 characters"),
    ("(lambda: 1)() == 1", "not allowed"), ("a == [x for x in (1,)]", "not allowed"),
    ("é == 1", "no condition"),
])  # fmt: skip
def test_what_is_no_condition(text: str, said: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_condition(text).holds(NAMES)
    assert said in caught.value.message


HEAD = "sweep:\n  name: a\n  search: {architecture: machine.yaml, problem: little.yaml}\n"
SEEDS = "  axes: {seed: [1, 2]}\n"


@pytest.mark.parametrize(("text", "said"), [
    ("  axes: {|archtecture.levels.Buffer.capacity: [1 KB]}",
     "search has no 'archtecture'; did you mean 'architecture'?"),
    ("  axes: {architecture.levels.Bufer.capacity: [|1 KB]}",
     "no 'Bufer' in architecture.levels; did you mean 'Buffer'?"),
    ("  axes: {architecture.levels.Buffer.capasity: [|1 KB]}",
     "unknown key 'capasity'; did you mean 'capacity'?"),
    ("  axes: {architecture.levels.Buffer.capacity: [1 KB, |3]}",
     "'capacity' must be a number and a unit, is 3"),
    ("  axes: {dataflow: [KN, |XY]}", "unknown dataflow 'XY'"),
    ("  axes: {objective: [edp, |speed]}", "unknown objective 'speed'"),
    ("  axes: {problem: [little.yaml, |litle.yaml]}", "did you mean 'little.yaml'"),
    ("  axes: {|seconds: [1, 2]}", "'seconds' is the same for all searches; state it under 'search'"),
    ("  axes: {|dataflow.x: [KN]}", "'dataflow' has no parts; write 'dataflow' alone"),
    ("  axes: {sparsity.name: [|x]}", "'search' states no 'sparsity'"),
    ("  axes: {densities.W: [0.5, |1.5]}", "{W: ...} gives no densities; numbers from 0 to 1 by tensor"),
    ("  axes: {densities.W: [|half]}", "{W: ...} gives no densities"),
    ("  axes: {densities: [W=0.5, |W=a]}", "'W=a' gives no densities"),
    ("  axes: {densities.W: [0.5]}", "wrong.yaml:3:3: point 1 (W 0.5): --density and --masks need"),
    ("  axes: {dataflow: |KN}", "the axis 'dataflow' must be a list of values, is 'KN'"),
    ("  axes: {|dataflow: []}", "'values' must be a list of at least 1, is an empty list"),
    ("  axes: {flow: {set: dataflow, |value: [KN]}}", "unknown key 'value'; did you mean 'values'?"),
    ("  axes: {|the flow: {set: dataflow, values: [KN]}}", "'the flow' is no name of an axis"),
    ("  axes: {dataflow: [KN], flow: {set: dataflow, values: [|KN]}}",
     "the axes 'dataflow' and 'flow' both set dataflow"),
    ("  axes: {dataflow: [KN], seed: [1, 2]}\n  combine: |zip",
     "zip needs axes of one length: dataflow 1, seed 2"),
    ("  axes: {dataflow: [KN], seed: [1, 2]}\n  combine: |all", "'combine' must be one of 'grid' or 'zip'"),
    (f"{SEEDS}  where: |sed == 1", "unknown name 'sed'; did you mean 'seed'?"),
    (f"{SEEDS}  where: [seed > 0, 1 < 2 * |sed]", "unknown name 'sed'; did you mean 'seed'?"),
    (f"{SEEDS}  where: [seed > 0, seed +]", "no condition"),
    (f"{SEEDS}  where: |seed > 5", "no point is left"),
    (f"{SEEDS}  pareto: |energy", "'energy' is no column of which less is better; "),
    ("  points: [{seed: 1}, |{sed: 2}]", "this point has no 'seed'"),
    ("  points: [{seed: 1}, {seed: 2, |sed: 2}]", "'sed' is not in the first point; did you mean 'seed'?"),
    ("  |points: [{seed: 1}]\n  axes: {seed: [1]}", "'axes' and 'points' are both given"),
    ("", "there are no axes; write 'axes', or a list 'points'"),
    ("  |axis: {seed: [1]}", "unknown key 'axis'; did you mean 'axes'?"),
    ("  |evaluate: {}\n  axes: {seed: [1]}", "'evaluate' and 'search' are both given"),
    ("  set: {|seeds: 1}\n  axes: {seed: [1]}", "search has no 'seeds'; did you mean 'seed'?"),
])  # fmt: skip
def test_mistakes_have_places(text: str, said: str, tmp_path: Path) -> None:
    check_mistake(HEAD + text, said, tmp_path / "wrong.yaml")


@pytest.mark.parametrize(("search", "said"), [
    ("{architecture: machine.yaml}", "'search' states no 'problem'"),
    ("{architecture: machine.yaml, problem: little.yaml, |sed: 3}",
     "search has no 'sed'; did you mean 'seed'?"),
    ("{architecture: machine.yaml, problem: |litle.yaml}", "did you mean 'little.yaml'?"),
    ("{architecture: machine.yaml, problem: little.yaml, seed: |x}",
     "seed must be a whole number of at least 0, is 'x'"),
])  # fmt: skip
def test_mistakes_of_what_is_run(search: str, said: str, tmp_path: Path) -> None:
    text = f"sweep:\n  name: a\n  search: {search}\n  axes: {{dataflow: [any]}}"
    check_mistake(text, said, tmp_path / "wrong.yaml")


def check_mistake(text: str, said: str, path: Path) -> None:
    """Hold what is said of a sweep to what it should be, and its place to the bar in the text."""
    before, bar, _ = text.partition("|")
    path.write_text(text.replace("|", "") + "\n")
    with pytest.raises(SpecError) as caught:
        sweep(path, workers=1)
    assert said in str(caught.value)
    line = before.rpartition("\n")[2]
    assert f":{before.count(chr(10)) + 1}:{len(line) + 1}: " in str(caught.value) or not bar, str(
        caught.value
    )


def test_too_many_points() -> None:
    with pytest.raises(SpecError, match="1,000,000 points; at most 100,000 are run"):
        values(axes={"seed": list(range(1000)), WIDTH: list(range(1, 1001))})
