"""A run and a training run as people look at them: lines, rows, pages, figures."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations

import pytest

from procrustes_model.errors import SpecError
from procrustes_model.network.result import NetworkResult
from procrustes_model.network.train_result import PartCost, TrainCost
from procrustes_model.report.figures.style import figure_bytes
from procrustes_model.report.tables.network import json_text
from procrustes_model.vocabulary import PHASES


@pytest.fixture
def tiny_cost(tiny_run: NetworkResult) -> TrainCost:
    """Return a training run of two parts: the steps of a run on its design, then on its baseline."""
    sparse, dense = (tiny_run.select(design) for design in tiny_run.designs)
    parts = (PartCost(30, 0.25, sparse), PartCost(10, 1.0, dense))
    names = (tiny_run.architecture, tiny_run.network, "two_parts", tiny_run.design)
    return TrainCost(*names, tiny_run.batch, "each", parts, PartCost(40, 1.0, dense), 2, 2)


def test_a_run_is_two_lines_and_rows(tiny_run: NetworkResult) -> None:
    ratio, totals = tiny_run.ratio(), tiny_run.totals()
    head, costs = repr(tiny_run).split("\n")
    assert head == "<NetworkResult: tiny on procrustes_16x16, batch 8, procrustes, 5 layers"
    assert f" {totals.cycles:,} cycles, {ratio.energy:.2f}x less energy and" in costs
    records = tiny_run.to_records()
    assert len(records) == len(tiny_run.rows)
    assert all(isinstance(one["proven"], bool) for one in records)
    ours = [one["energy_pj"] for one in records if one["design"] == tiny_run.design]
    assert sum(ours) == pytest.approx(totals.energy_pj)
    assert tiny_run._repr_html_().count("<tr>") == 1 + 2 * 4
    told = json.loads(json_text(tiny_run))
    assert [one["cycles"] for one in told["layers"]] == [row.case.cycles for row in tiny_run.rows]
    assert told["totals"][3]["energy_pj"] == totals.energy_pj


def test_figures_of_a_run_hold_its_sums(tiny_run: NetworkResult) -> None:
    pytest.importorskip("matplotlib")
    (axis,) = tiny_run.plot().axes
    scale = {"energy [µJ]": 1e6, "energy [nJ]": 1e3}[axis.get_ylabel()]
    height = sum(patch.get_height() for patch in axis.patches) * scale
    whole = sum(tiny_run.totals(design).energy_pj for design in tiny_run.designs)
    assert height == pytest.approx(whole)
    (roof, *points), rows = tiny_run.plot("roofline").axes[0].lines, tiny_run.select(tiny_run.design)
    assert max(roof.get_ydata()) == 256
    assert sum(len(one.get_xdata()) for one in points) == len(rows)
    for phase, line in zip(PHASES, points, strict=True):
        done = [
            row.case.result["compute"]["computes"] / row.case.cycles for row in rows if row.phase == phase
        ]
        assert list(line.get_ydata()) == done and max(done) <= 256
    with pytest.raises(SpecError, match="unknown figure 'roof'"):
        tiny_run.plot("roof")


def test_a_training_run_is_drawn_step_by_step(tiny_cost: TrainCost) -> None:
    pytest.importorskip("matplotlib")
    assert repr(tiny_cost).startswith("<TrainCost: tiny on procrustes_16x16, procrustes, 40 iterations of ba")
    assert len(tiny_cost.to_records()) == 6
    assert ">30</td>" in tiny_cost._repr_html_() and ">dense</td>" in tiny_cost._repr_html_()
    upper, lower = tiny_cost.plot("steps").axes
    scale = {"energy / step [µJ]": 1e6, "energy / step [nJ]": 1e3}[upper.get_ylabel()]
    top = upper.patches[-1].get_data()
    assert list(top.edges) == [0, 30, 40]
    assert list(top.values * scale) == pytest.approx([part.step().energy_pj for part in tiny_cost.parts])
    # The last stack reaches the line of dense training.
    for axis in (upper, lower):
        ((_, level), *_), *_ = axis.collections[-1].get_segments()
        assert axis.patches[-1].get_data().values[-1] == pytest.approx(level)


def test_parts_at_once_stand_side_by_side(tiny_cost: TrainCost) -> None:
    pytest.importorskip("matplotlib")
    both = [replace(part, iterations=30, at_once=1) for part in tiny_cost.parts]
    cost = replace(tiny_cost, parts=(*both, replace(tiny_cost.parts[1], iterations=10)))
    upper, lower = cost.plot("steps").axes
    assert list(upper.patches[0].get_data().edges) == [0, 15, 30, 40]
    assert upper.get_xlim() == (0, 40)
    assert lower.get_xlabel() == "iterations, parts at once side by side"


def test_numbers_of_layers_do_not_overlap(tiny_run: NetworkResult) -> None:
    pytest.importorskip("matplotlib")
    figure = tiny_run.plot("roofline")
    figure_bytes(figure, ".svg")  # lays it out
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == [f"{number} {name}" for number, name in enumerate(tiny_run.layers, 1)]
    for axis in figure.axes:
        boxes = [text.get_window_extent() for text in axis.texts if text.get_text()[0].isdigit()]
        assert boxes
        assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]
