"""Rows whose nonzeros follow a power law, against every mask that they allow."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from procrustes_model import SpecError, evaluate, load_architecture, load_mapping, load_problem, load_sparsity
from procrustes_model.densities.power_law import share_among_rows
from procrustes_model.kernels.sparse.rows import rows_empty, rows_quantile
from tests.amount import amount
from tests.naive.rows import count_masks, held_by_boxes, row_masks
from tests.sparse.means import MACHINE, check_means
from tests.strategies import Spec, architectures, mappings

MOST_MASKS = 400


@pytest.mark.quick
@given(st.integers(1, 40), st.integers(1, 30), st.floats(0, 1), st.floats(0, 4))
def test_shares_are_whole_and_fall_as_a_power(
    rows: int, length: int, density: float, exponent: float
) -> None:
    nonzeros = math.floor(density * rows * length)
    found = share_among_rows(rows, length, nonzeros, exponent)
    assert found.sum() == nonzeros
    assert (np.diff(found) <= 0).all()
    assert found.min() >= 0
    assert found.max() <= length
    free = np.flatnonzero(found < length)
    if (
        len(free) > 1
    ):  # of two rows that are not full, one has the power's share of the other, but for rounding
        first, last = free[0], free[-1]
        ratio = ((last + 1) / (first + 1)) ** -exponent
        assert abs(found[last] - found[first] * ratio) <= 1 + ratio


def test_a_graph_has_known_degrees() -> None:
    assert share_among_rows(5, 10, 16, 1.0).tolist() == [7, 4, 2, 2, 1]
    assert share_among_rows(4, 3, 8, 2.0).tolist() == [3, 3, 1, 1]
    assert share_among_rows(4, 5, 8, 0.0).tolist() == [2, 2, 2, 2]


@st.composite
def rows_of(draw: st.DrawFn) -> tuple[list[int], int, int, int]:
    length = draw(st.integers(1, 5))
    nonzeros = sorted(draw(st.lists(st.integers(0, length), min_size=1, max_size=6)), reverse=True)
    assume(count_masks(nonzeros, length) <= MOST_MASKS)
    return nonzeros, length, draw(st.integers(1, len(nonzeros))), draw(st.integers(1, length))


def runs_of(nonzeros: list[int]) -> Any:
    values = sorted(set(nonzeros), reverse=True)
    return np.array([(value, nonzeros.count(value)) for value in values], np.int64)


@pytest.mark.quick
@settings(max_examples=amount(200, 60), deadline=None)
@given(rows_of(), st.sampled_from([0.3, 0.5, 0.9, 0.99, 1.0]))
def test_boxes_are_those_of_all_masks(case: tuple[list[int], int, int, int], share: float) -> None:
    nonzeros, length, side, width = case
    held = held_by_boxes(nonzeros, length, side, width)
    runs = runs_of(nonzeros)
    found = rows_empty(runs, length, side, width)
    assert found == pytest.approx(float(held.get(0, 0)), rel=1e-12, abs=1e-15)
    least = next(k for k in sorted(held) if sum(held[i] for i in held if i <= k) >= share * (1 - 1e-12))
    assert rows_quantile(runs, length, side, width, share) == least


SHAPE: dict[str, Any] = {
    "name": "graph",
    "dimensions": ["V", "U", "F"],
    "tensors": {
        "A": {"projection": ["V", "U"]},
        "X": {"projection": ["U", "F"]},
        "Y": {"projection": ["V", "F"], "output": True},
    },
}


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Spec, Spec, Spec, Spec]:
    bounds = {name: draw(st.integers(1, 4)) for name in "VUF"}
    problem = {"problem": {"name": "graph", "shape": SHAPE, "dimensions": bounds}}
    mapping = draw(mappings(problem, draw(st.integers(1, 3))))
    for level in mapping["mapping"]["levels"]:
        level["keep"] = ["A", "X", "Y"]
    machine = draw(architectures(mapping))
    for level in machine["architecture"]["levels"]:
        level["words_per_access"] = 1
    density = {
        "density": draw(st.sampled_from([0.1, 0.3, 0.6])),
        "exponent": draw(st.sampled_from([0, 1, 2.5])),
    }
    return machine, problem, mapping, {"model": "power_law", "rows": "V"} | density


@pytest.mark.quick
@settings(max_examples=amount(120, 15), deadline=None)
@given(graphs(), st.data())
def test_expected_counts_are_the_mean_over_all_masks(
    case: tuple[Spec, Spec, Spec, Spec], data: st.DataObject
) -> None:
    density, bounds = case[3], case[1]["problem"]["dimensions"]
    architecture, problem = load_architecture(case[0]), load_problem(case[1])
    mapping = load_mapping(case[2], architecture, problem)
    nonzeros = math.ceil(density["density"] * bounds["V"] * bounds["U"])
    rows = share_among_rows(bounds["V"], bounds["U"], nonzeros, density["exponent"])
    assume(count_masks(rows.tolist(), bounds["U"]) <= 60)
    level = data.draw(st.sampled_from([one.name for one in architecture.levels]))
    action = {"level": level, data.draw(st.sampled_from(["skip", "gate"])): data.draw(st.sampled_from("XY"))}
    ranked = {"ranks": [{"kind": "CP", "of": ["V"]}, {"kind": "B", "of": ["U"]}]}
    content = {
        "name": "graph",
        "densities": {"A": density},
        "formats": {"A": {"*": data.draw(st.sampled_from(["bitmask", "coordinate", "csr", ranked]))}},
        "actions": [action | {"on": "A"}],
        "compute": {"skip": "A"},
        "capacity": {"size": "average"},
    }
    design = load_sparsity({"sparsity": content})
    expected = evaluate(architecture, problem, mapping, sparsity=design, check_capacity=False)
    counted = [
        evaluate(architecture, problem, mapping, sparsity=design, masks={"A": mask}, check_capacity=False)
        for mask in row_masks(rows.tolist(), bounds["U"])
    ]
    check_means(expected, counted)


GRAPH: Spec = {"problem": {"name": "g", "shape": SHAPE, "dimensions": {"V": 4, "U": 8, "F": 2}}}
NEST: Spec = {
    "mapping": {"levels": [{"level": "Far", "temporal": "V=2 F=2", "spatial_x": "V=2"}, {"level": "Near"}]}
}
NEST["mapping"]["levels"][1]["temporal"] = "U=8"
LAW: Spec = {"model": "power_law", "density": 0.5, "exponent": 1, "rows": "V"}


def outcome(density: Spec, **sections: Any) -> Any:
    content = {"name": "d", "densities": {"A": density}, "formats": {"A": {"Near": "coordinate"}}} | sections
    return evaluate(MACHINE, GRAPH, NEST, sparsity={"sparsity": content})


def test_the_fullest_row_must_fit() -> None:
    rows = share_among_rows(4, 8, 16, 1.0)
    full, mean = outcome(LAW, capacity={"size": "maximum"}), outcome(LAW, capacity={"size": "average"})
    ratio = full.sparse("Near", "A").stored_words / mean.sparse("Near", "A").stored_words
    assert dict(mean.densities)["A"] == 0.5
    assert rows.tolist() == [8, 4, 2, 2]  # a tile is a row
    assert ratio == pytest.approx(8 / 4)


@pytest.mark.parametrize(
    ("density", "sections", "said"),
    [
        ({"rows": "F"}, {}, "tensor 'A' has no dimension 'F' for its rows; its dimensions are U, V"),
        ({"exponent": -1}, {}, "'exponent' must be"),
        (
            {},
            {"balancing": {"tensor": "A"}},
            "rows of 'A' of unequal density are not followed over the array",
        ),
        ({}, {"formats": {"A": {"Near": "run_length"}}}, "runs of zeros in rows of 'A'"),
    ],
)
def test_what_is_not_counted_is_refused(density: Spec, sections: Spec, said: str) -> None:
    with pytest.raises(SpecError) as error:
        outcome(LAW | density, **sections)
    assert said in str(error.value)
