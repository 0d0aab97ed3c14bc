"""Figures hold the numbers that results hold, and names as they are."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("matplotlib")

from matplotlib.patches import Rectangle

from procrustes_model.errors import SpecError
from procrustes_model.mapper.result import SearchResult
from procrustes_model.model.evaluate import evaluate
from procrustes_model.model.result import Result
from procrustes_model.report.figures.bars import color_parts
from procrustes_model.report.figures.evaluation import (
    ALONE,
    cycles_by_part,
    draw_capacity,
    draw_energy,
    energy_by_tensor,
)
from procrustes_model.report.figures.front import draw_front
from procrustes_model.report.figures.kinds import EVALUATION
from procrustes_model.report.figures.mapping import draw_mapping
from procrustes_model.report.figures.roofline import draw_roofline, plain_number
from procrustes_model.report.figures.scales import prefix_of
from procrustes_model.report.figures.style import figure_bytes, new_figure

MACHINE: dict[str, Any] = {
    "architecture": {
        "name": "two_levels",
        "levels": [
            {"name": "DRAM", "word_bits": 8, "read_bandwidth": 1, "energy_pj": {"read": 10, "write": 10}},
            {
                "name": "Buffer",
                "capacity": "32 words",
                "word_bits": 8,
                "shared_bandwidth": 64,
                "energy_pj": {"read": 1, "write": 1},
            },
        ],
        "compute": {"energy_pj": 0.5, "mesh_x": 4},
    }
}
PROBLEM: dict[str, Any] = {
    "problem": {"name": "little", "shape": "matmul", "dimensions": {"M": 8, "K": 4, "N": 6}}
}
MAPPING: dict[str, Any] = {
    "mapping": {
        "name": "by_hand",
        "levels": [
            {"level": "DRAM", "temporal": "M=4 N=6 K=2"},
            {"level": "Buffer", "temporal": "K=2", "spatial_x": "M=2", "bypass": ["B"]},
        ],
    }
}


@pytest.fixture(scope="module")
def evaluated() -> Result:
    """Return a result that DRAM limits."""
    return evaluate(MACHINE, PROBLEM, MAPPING)


def bars(axis: Any) -> dict[int, float]:
    """Return the length of every lying bar, by its place from the top."""
    found: dict[int, float] = {}
    for patch in axis.patches:
        place = round(patch.get_y() + patch.get_height() / 2)
        found[place] = found.get(place, 0.0) + patch.get_width()
    return found


def test_a_name_with_dollars_is_no_formula() -> None:
    figure, (axis,) = new_figure(1.5)
    axis.bar(["$\\frac{1$", "a$b$c"], [1, 2], label="$x_{$")
    axis.set_title("$$")
    axis.legend()
    assert b"frac{1$" in figure_bytes(figure, ".svg")
    assert figure_bytes(figure, ".png").startswith(b"\x89PNG")


def test_bars_of_energy_and_cycles_are_those_of_the_result(evaluated: Result) -> None:
    left, right = draw_energy([evaluated]).axes
    energies = energy_by_tensor(evaluated)
    assert list(energies) == ["DRAM", "Buffer", evaluated.compute.name]
    assert sum(sum(part.values()) for part in energies.values()) == pytest.approx(evaluated.energy_pj)
    assert energies["DRAM"] == {one.tensor: one.energy_pj for one in evaluated.levels[0].tensors}
    assert energies[evaluated.compute.name] == {ALONE: evaluated.compute.energy_pj}
    assert left.get_xlabel() == "energy [nJ]"
    assert bars(left) == pytest.approx(
        {place: sum(part.values()) / 1e3 for place, part in enumerate(energies.values())}
    )
    assert right.get_xlabel() == "cycles of each part alone"
    assert bars(right) == pytest.approx(dict(enumerate(cycles_by_part(evaluated).values())))
    assert right.lines[0].get_xdata()[0] == evaluated.cycles


def test_bars_of_capacity_are_shares_of_it(evaluated: Result) -> None:
    (axis,) = draw_capacity([evaluated]).axes
    level = evaluated.level("Buffer")
    assert bars(axis) == pytest.approx({0: 100 * level.used_words / 32})
    assert [text.get_text() for text in axis.get_yticklabels()] == ["Buffer"]


def test_a_drawn_mapping_has_a_box_for_every_tile(evaluated: Result) -> None:
    (axis,) = draw_mapping([evaluated]).axes
    boxes = [one for one in axis.patches if isinstance(one, Rectangle) and one.get_edgecolor()[3] == 1]
    texts = [text.get_text() for text in axis.texts]
    kept = [one for level in evaluated.levels for one in level.tensors if one.tile_words]
    tiles = [text for text in texts if "\n" in text]
    assert [text.split("\n")[0] for text in tiles] == [f"{one.tile_words:,}" for one in kept]
    assert len([one for one in boxes if 1 < one.get_width() < 48]) == len(kept) == 5
    assert "parallel-for m in 0..2 (x)" in texts and "for k in 0..2" in texts
    with pytest.raises(SpecError, match="no mapping to draw"):
        draw_mapping([by_hand(1, 1)])


def test_an_uneven_mapping_is_drawn_entry_by_entry() -> None:
    levels = [dict(level) for level in MAPPING["mapping"]["levels"]]
    index = next(i for i, level in enumerate(levels) if level["level"] == "Buffer")
    kept = [one.tensor for one in evaluate(MACHINE, PROBLEM, MAPPING).level("Buffer").tensors]
    levels[index : index + 1] = [
        {"level": "Buffer", "keep": kept[:1]},
        {key: one for key, one in levels[index].items() if key != "bypass"} | {"keep": kept[1:]},
    ]
    result = evaluate(MACHINE, PROBLEM, {"mapping": {"levels": levels}})
    (axis,) = draw_mapping([result]).axes
    texts = [text.get_text() for text in axis.texts]
    assert texts.count("Buffer") == 2
    assert len([text for text in texts if "% full" in text]) == 1
    assert len([text for text in texts if "\n" in text]) == 5


def test_a_level_that_limits_is_on_its_slope(evaluated: Result) -> None:
    """One word per cycle: operations per cycle are operations per word that is read."""
    reads = sum(one.reads for one in evaluated.level("DRAM").tensors)
    assert evaluated.bottleneck == "DRAM" and evaluated.cycles == reads
    slow, fast = draw_roofline([evaluated]).axes[:2]
    roof, points = slow.lines
    assert slow.get_title(loc="left") == "DRAM, reads: 1 words/cycle"
    assert points.get_xdata() == pytest.approx([192 / reads])
    assert points.get_ydata() == pytest.approx([192 / reads])
    assert list(roof.get_ydata())[1:] == [4.0, 4.0] and roof.get_xdata()[1] == 4.0
    words = sum(one.reads + one.fills + one.updates for one in evaluated.level("Buffer").tensors)
    assert fast.lines[1].get_xdata() == pytest.approx([192 / words])
    assert [plain_number(one) for one in (0.5, 200, 1e3, 2e7)] == ["0.5", "200", "1k", "20M"]


def by_hand(energy_pj: float, cycles: int) -> Result:
    """Return a result of nothing but compute."""
    from procrustes_model.model.result import ComputeResult

    compute = ComputeResult("MAC", 1, 1, 1, energy_pj, cycles)
    return Result("toy", "$p$", None, "m", (), compute, cycles, "MAC", ())


def test_a_front_marks_the_least_product() -> None:
    points = [by_hand(*pair) for pair in ((1e6, 5_000), (2e6, 2_000), (9e6, 1_000))]
    front = [SearchResult("energy", "optimal", None, one, None, (), 0.0) for one in points]  # type: ignore[arg-type]
    steps, dots, best = draw_front(front).axes[0].lines
    assert list(dots.get_xdata()) == [5, 2, 1] and list(dots.get_ydata()) == pytest.approx([1, 2, 9])
    assert (best.get_xdata()[0], best.get_ydata()[0]) == pytest.approx((2, 2))
    assert steps.get_drawstyle() == "steps-pre"  # to fewer cycles at the energy of those
    with pytest.raises(SpecError, match="no mapping on the front"):
        draw_front([])


def test_the_same_result_is_the_same_file(evaluated: Result) -> None:
    one, two = (figure_bytes(evaluated.plot("capacity"), ".svg") for _ in range(2))
    assert one == two and b"<dc:date>" not in one
    assert all(evaluated.plot(name).axes for name in EVALUATION)
    with pytest.raises(SpecError, match="unknown figure 'rooflin'; did you mean 'roofline'"):
        evaluated.plot("rooflin")


@pytest.mark.parametrize("count", [3, 9, 14, 40])
def test_no_level_has_the_colour_of_another(count: int) -> None:
    names = [f"L{number}" for number in range(count)]
    colors = color_parts([*names, "MAC", *(f"other{number}" for number in range(8))], "MAC")
    assert len(set(colors.values())) == len(colors) == count + 9


@pytest.mark.parametrize(
    ("unit", "most", "text", "shown"),
    [
        ("J", 2.5e-6, "µJ", 2.5),
        ("J", 12.0, "J", 12.0),
        ("", 3.2e9, "10⁹", 3.2),
        ("J x cycles", 4.5e6, "10⁶ J x cycles", 4.5),
        ("pJ", 0.0, "pJ", 0.0),
        ("s", 2e-3, "ms", 2.0),
        ("mm²", 5e-4, "10⁻⁶ mm²", 500.0),
    ],
)
def test_powers_of_ten_stand_at_the_axis(unit: str, most: float, text: str, shown: float) -> None:
    found, scale = prefix_of(unit, most)
    assert found == text and most * scale == pytest.approx(shown)
