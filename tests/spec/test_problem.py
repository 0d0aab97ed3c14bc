"""Problems and shapes, and that the shapes compute what they say for every stride and dilation."""

from __future__ import annotations

import itertools
from typing import Any

import pydantic
import pytest

from procrustes_model.shipped import list_shipped
from procrustes_model.spec.load import load_problem
from procrustes_model.spec.problem import Problem, Tensor
from procrustes_model.spec.shape import load_shape

CONV = {"R": 3, "S": 2, "P": 3, "Q": 2, "C": 2, "K": 2, "N": 1}
COEFFICIENTS = {"stride_h": 2, "stride_w": 1, "dilation_h": 1, "dilation_w": 3}


def make(shape: str, bounds: dict[str, int], coefficients: dict[str, int] | None = None) -> Problem:
    content: dict[str, Any] = {"name": "x", "shape": shape, "dimensions": bounds}
    if coefficients:
        content["coefficients"] = coefficients
    return load_problem({"problem": content})


def coordinates(tensor: Tensor, point: dict[str, int]) -> tuple[int, ...]:
    return tuple(sum(term.coefficient * point[term.dimension] for term in rank) for rank in tensor.ranks)


def products(problem: Problem) -> set[tuple[tuple[str, tuple[int, ...]], ...]]:
    """Return every multiply-accumulate as the coordinates it touches, sorted by tensor."""
    names = list(problem.dimensions)
    points = itertools.product(*(range(bound) for bound in problem.dimensions.values()))
    found = set()
    for values in points:
        point = dict(zip(names, values, strict=True))
        found.add(tuple(sorted((tensor.name, coordinates(tensor, point)) for tensor in problem.tensors)))
    return found


@pytest.mark.parametrize("family", ["conv", "depthwise", "fully_connected"])
def test_the_three_phases_multiply_the_same_pairs(family: str) -> None:
    """A product W*I that adds to O gives dI += W*dO and dW += I*dO, and nothing else does."""
    bounds = {"conv": CONV, "fully_connected": {"C": 3, "K": 4, "N": 2}}.get(family)
    bounds = bounds or {name: bound for name, bound in CONV.items() if name != "K"}
    coefficients = None if family == "fully_connected" else COEFFICIENTS
    phases = [make(family + suffix, bounds, coefficients) for suffix in ("", "_backward", "_weight_update")]
    assert products(phases[0]) == products(phases[1]) == products(phases[2])
    assert [phase.output.name for phase in phases] == ["Outputs", "Inputs", "Weights"]
    assert [phase.phase for phase in phases] == ["forward", "backward", "weight_update"]
    assert len(products(phases[0])) == phases[0].computes


def test_conv_is_a_convolution() -> None:
    """Against the definition of a strided, dilated convolution."""
    expected = set()
    for r, s, p, q, c, k in itertools.product(range(3), range(2), range(3), range(2), range(2), range(2)):
        row, column = 2 * p + r, q + 3 * s
        touched = [("Weights", (k, c, r, s)), ("Inputs", (0, c, row, column)), ("Outputs", (0, k, p, q))]
        expected.add(tuple(sorted(touched)))
    assert products(make("conv", CONV, COEFFICIENTS)) == expected


def test_the_gather_form_is_the_backward_phase_at_stride_1() -> None:
    """The gradient padded by R-1, the kernel turned around: inner products are those of the scatter form."""
    height, rows = 4, 3
    scatter = make("conv_backward", dict.fromkeys(CONV, 1) | {"R": rows, "P": height})
    size = height + rows - 1
    gather = make("conv_backward_gather", dict.fromkeys(CONV, 1) | {"R": rows, "P": size})

    def pairs(problem: Problem) -> set[tuple[int, int, int]]:
        found = set()
        for item in products(problem):
            places = dict(item)
            found.add((places["Weights"][2], places["Outputs"][2], places["Inputs"][2]))
        return found

    turned = {(rows - 1 - r, o - (rows - 1), i) for r, o, i in pairs(gather)}
    assert {item for item in turned if 0 <= item[1] < height} == pairs(scatter)


@pytest.mark.parametrize("name", list_shipped("problem"))
def test_shipped_problems(name: str) -> None:
    problem = load_problem(name)
    assert problem.name == name
    assert problem.computes > 0


@pytest.mark.parametrize("name", list_shipped("shape"))
def test_shipped_shapes(name: str) -> None:
    shape = load_shape(name)
    assert shape.name == name
    assert shape.phase == next(
        (phase for phase in ("backward", "weight_update") if phase in name), shape.phase
    )


def test_a_shape_beside_the_problem_and_in_place(tmp_path: Any) -> None:
    shape = (
        "shape:\n  dimensions: [I]\n  tensors: {X: {projection: [I]}, Y: {projection: [2*I], output: true}}\n"
    )
    (tmp_path / "mine.yaml").write_text(shape)
    text = "problem:\n  name: x\n  dimensions: {I: 3}\n  shape: mine.yaml\n"
    (tmp_path / "problem.yaml").write_text(text)
    beside = load_problem(tmp_path / "problem.yaml")
    indented = "".join(f"  {line}\n" for line in shape.splitlines())
    in_place = text.replace("  shape: mine.yaml\n", indented)
    (tmp_path / "in_place.yaml").write_text(in_place)
    assert beside == load_problem(tmp_path / "in_place.yaml")
    assert beside.output.ranks[0][0].coefficient == 2


def test_dimensions_named_like_yaml_booleans() -> None:
    assert list(load_problem("matmul/512").dimensions) == ["M", "K", "N"]


def test_a_problem_checks_itself(problem: Problem) -> None:
    data = {name: getattr(problem, name) for name in Problem.model_fields}
    cases: list[tuple[dict[str, Any], str]] = [
        ({"dimensions": {"M": 2**31, "K": 2**31, "N": 4}}, "more than 2"),
        ({"dimensions": {"M": 2}}, "no bound for K, N"),
        ({"tensors": problem.tensors[:2]}, "exactly one tensor must be the output"),
        ({"tensors": problem.tensors * 2}, "tensor names must differ"),
    ]
    for change, message in cases:
        with pytest.raises(pydantic.ValidationError, match=message):
            Problem(**(data | change))
