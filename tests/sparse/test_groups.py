"""n:m groups, of which the last along a dimension may be shorter, against every pattern that they allow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from procrustes_model import (
    SpecError,
    evaluate,
    load_architecture,
    load_mapping,
    load_problem,
    load_sparsity,
)
from procrustes_model.densities.structured import DENSITY, kept_along
from procrustes_model.kernels.sparse.empty import groups_empty
from procrustes_model.model.sparse.masks import tensor_shape
from tests.amount import amount
from tests.naive.groups import count_patterns, empty_share, fibre_patterns, mask_patterns
from tests.strategies import SHAPES, Spec, architectures, mappings, problems

GROUPS = [(1, 2), (2, 4), (1, 4), (3, 4), (4, 4), (2, 8), (5, 6)]
MOST_PATTERNS = 80


@st.composite
def group_sizes(draw: st.DrawFn) -> tuple[int, int]:
    m = draw(st.integers(1, 6))
    return draw(st.integers(1, m)), m


@pytest.mark.quick
@settings(max_examples=amount(300, 60))
@given(group_sizes(), st.integers(1, 11), st.integers(1, 12), st.integers(1, 3))
def test_empty_boxes_are_those_of_all_patterns(
    groups: tuple[int, int], length: int, along: int, fibres: int
) -> None:
    found = groups_empty(*groups, length, along, fibres)
    assert found == pytest.approx(float(empty_share(*groups, length, along, fibres)), rel=1e-12, abs=1e-15)


@pytest.mark.quick
@pytest.mark.parametrize(("n", "m"), GROUPS)
@pytest.mark.parametrize("length", [1, 2, 3, 5, 6, 7, 8, 11])
def test_masks_keep_what_the_density_says(n: int, m: int, length: int) -> None:
    kept = kept_along(n, m, length)
    assert {sum(pattern) for pattern in fibre_patterns(n, m, length)} == {kept}
    rng = np.random.default_rng(length)
    drawn = np.array([DENSITY.draw((3, length, 2), 0, (n, m), 1, rng) for _ in range(300)])
    assert (drawn.sum(axis=2) == kept).all()
    patterns = fibre_patterns(n, m, length)
    seen = {tuple(row) for row in drawn.transpose(0, 1, 3, 2).reshape(-1, length).tolist()}
    assert seen <= set(patterns)
    assert len(seen) == len(patterns) or len(patterns) > 100
    for start in range(0, length, m):  # every element of a group is kept equally often
        mean = drawn[:, :, start : start + m].mean(axis=(0, 1, 3))
        size = len(mean)
        np.testing.assert_allclose(mean, min(n, size) / size, atol=0.06)


@st.composite
def grouped_cases(draw: st.DrawFn) -> tuple[Spec, Spec, Spec, str, str, tuple[int, int]]:
    """Draw a case, an operand, a dimension of it, and the groups along that."""
    problem = draw(problems(60).filter(lambda spec: spec["problem"]["name"] != "diagonal"))
    mapping = draw(mappings(problem, draw(st.integers(1, 3))))
    for level in mapping["mapping"]["levels"]:
        level["keep"] = sorted(problem["problem"]["shape"]["tensors"])
    tensors = SHAPES[problem["problem"]["name"]]["tensors"]
    operand = draw(st.sampled_from(sorted(name for name, one in tensors.items() if not one.get("output"))))
    loaded = load_problem(problem)
    ranks = next(tensor.ranks for tensor in loaded.tensors if tensor.name == operand)
    along = draw(st.sampled_from(sorted({term.dimension for rank in ranks for term in rank})))
    architecture = draw(architectures(mapping))
    for level in architecture["architecture"]["levels"]:
        level["words_per_access"] = 1  # a larger block is saved only where all of it can be
    return architecture, problem, mapping, operand, along, draw(group_sizes())


def axis_of(problem: Any, tensor: str, along: str) -> int:
    ranks = next(one.ranks for one in problem.tensors if one.name == tensor)
    return next(i for i, rank in enumerate(ranks) if any(term.dimension == along for term in rank))


@pytest.mark.quick
@settings(max_examples=amount(120, 15), deadline=None)
@given(grouped_cases(), st.data())
def test_expected_counts_are_the_mean_over_all_patterns(
    case: tuple[Spec, Spec, Spec, str, str, tuple[int, int]], data: st.DataObject
) -> None:
    operand, along, (n, m) = case[3:]
    architecture, problem = load_architecture(case[0]), load_problem(case[1])
    mapping = load_mapping(case[2], architecture, problem)
    axis, shape = axis_of(problem, operand, along), tensor_shape(problem, operand)
    assume(count_patterns(shape, n, m, axis) <= MOST_PATTERNS)
    names = [level.name for level in architecture.levels]
    others = [tensor.name for tensor in problem.tensors if tensor.name != operand]
    kind = data.draw(st.sampled_from(["skip", "gate"]))
    action = {
        "level": data.draw(st.sampled_from(names)),
        kind: data.draw(st.sampled_from(others)),
        "on": operand,
    }
    density = {"model": "structured", "nonzeros": n, "group": m, "along": along}
    content = {
        "name": "groups",
        "densities": {operand: density},
        "formats": {operand: {"*": "bitmask"}},
        "actions": [action],
        "capacity": {"size": "average"},
    }
    design = load_sparsity({"sparsity": content})
    expected = evaluate(architecture, problem, mapping, sparsity=design, check_capacity=False)
    counted = [
        evaluate(architecture, problem, mapping, sparsity=design, masks={operand: mask}, check_capacity=False)
        for mask in mask_patterns(shape, n, m, axis)
    ]
    mean = sum(one.computes.actual for one in counted) / len(counted)
    assert expected.computes.actual == pytest.approx(mean, rel=1e-9)
    slides = len(next(one.ranks for one in problem.tensors if one.name == operand)[axis]) > 1
    for level in architecture.levels:
        for tensor in problem.tensors:
            found = expected.sparse(level.name, tensor.name)
            each = [one.sparse(level.name, tensor.name) for one in counted]
            for what in ("actual", "gated", "skipped", "metadata"):
                if tensor.name == operand and slides and shape[axis] % m:
                    continue  # tiles that overlap are taken to be as dense as the whole tensor
                wanted = np.mean([getattr(one, what) for one in each], axis=0)
                np.testing.assert_allclose(getattr(found, what), wanted, rtol=1e-9, atol=1e-12)
            if tensor.name != operand or not slides:
                wanted = float(np.mean([one.stored_words for one in each]))
                assert found.stored_words == pytest.approx(wanted, rel=1e-9)


def convolution(channels: int, **density: Any) -> tuple[Any, Any, Any, dict[str, Any]]:
    """Return a layer with few channels on a small array, and a design with n:m groups along them."""
    words = {"word_bits": 16, "energy_pj": {"read": 10, "write": 10}}
    levels = [{"name": "Far", **words}, {"name": "Near", "mesh_x": 4, **words}]
    machine = load_architecture(
        {"architecture": {"name": "row", "levels": levels, "compute": {"energy_pj": 1}}}
    )
    bounds = {"R": 3, "S": 3, "P": 8, "Q": 8, "C": channels, "K": 16, "N": 1}
    problem = load_problem({"problem": {"name": "first", "shape": "conv", "dimensions": bounds}})
    nest = [
        {"level": "Far", "temporal": f"P=8 Q=8 C={channels} K=4", "spatial_x": "K=4"},
        {"level": "Near", "temporal": "R=3 S=3"},
    ]
    groups = {"model": "structured", "nonzeros": 2, "group": 4, "along": "C", **density}
    content = {
        "name": "groups",
        "densities": {"Weights": groups},
        "formats": {"Weights": {"*": "coordinate"}},
        "compute": {"skip": "Weights"},
    }
    return machine, problem, load_mapping({"mapping": {"levels": nest}}, machine, problem), content


@pytest.mark.parametrize(
    ("channels", "kept"), [(1, 1), (2, 2), (3, 2), (4, 2), (5, 3), (6, 4), (7, 4), (8, 4)]
)
def test_a_group_that_is_cut_short_keeps_what_it_can(channels: int, kept: int) -> None:
    machine, problem, mapping, content = convolution(channels)
    design = load_sparsity({"sparsity": content})
    result = evaluate(machine, problem, mapping, sparsity=design)
    assert dict(result.densities)["Weights"] == kept / channels
    assert result.computes.actual == problem.computes * kept / channels
    assert result.cycles == problem.computes // 4 * kept // channels
    mask = next(mask_patterns((1, channels, 1, 1), 2, 4, 1)).repeat(16, 0).repeat(3, 2).repeat(3, 3)
    counted = evaluate(machine, problem, mapping, sparsity=design, masks={"Weights": mask})
    assert counted.cycles == result.cycles
    assert counted.energy_pj == pytest.approx(result.energy_pj, rel=1e-12)


@pytest.mark.parametrize("channels", [1, 3, 4, 6, 8])
def test_a_design_may_keep_such_layers_dense(channels: int) -> None:
    machine, problem, mapping, content = convolution(channels, short_groups="dense")
    result = evaluate(machine, problem, mapping, sparsity=load_sparsity({"sparsity": content}))
    share = 0.5 if channels % 4 == 0 else 1.0
    assert dict(result.densities)["Weights"] == share
    assert result.computes.actual == problem.computes * share
    content["densities"] = (
        {} if share == 1 else {"Weights": {**content["densities"]["Weights"], "short_groups": "pruned"}}
    )
    assert evaluate(machine, problem, mapping, sparsity=load_sparsity({"sparsity": content})) == result


def test_only_groups_can_be_short() -> None:
    for density in (
        {"model": "fixed", "density": 0.5, "short_groups": "dense"},
        {"model": "dense", "short_groups": "pruned"},
    ):
        with pytest.raises(SpecError, match="takes no 'short_groups'"):
            load_sparsity({"sparsity": {"name": "d", "densities": {"A": density}}})
