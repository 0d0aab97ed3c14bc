"""The work of single processing elements without a mask, against what evaluations expect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from procrustes_model import (
    SpecError,
    evaluate,
    load_architecture,
    load_mapping,
    load_problem,
    load_sparsity,
    measure_imbalance,
    plot_imbalance,
)
from procrustes_model.kernels.imbalance.policies import OWN
from procrustes_model.kernels.imbalance.sampled import grouped_largest
from procrustes_model.model.sparse import imbalance


@pytest.mark.parametrize("phase", ["forward", "update"])
@pytest.mark.parametrize("density", [0.05, 0.3, 0.8])
def test_sampled_work_is_as_expected(phase: str, density: float, request: pytest.FixtureRequest) -> None:
    architecture, problem, mapping = request.getfixturevalue(phase)
    tensor = "Weights" if phase == "forward" else "Inputs"
    design, given = load_sparsity("procrustes"), {tensor: density}
    expected = evaluate(architecture, problem, mapping, sparsity=design, densities=given).imbalance
    work = measure_imbalance(architecture, problem, mapping, design, densities=given, seed=1)
    assert expected is not None
    assert (work.of.basis, work.of.tensor, work.of.cut) == ("sampled", tensor, expected.cut)
    assert work.before.shape == (work.of.masks * expected.rounds, expected.parts)
    assert work.ratios == pytest.approx((expected.before, expected.after), rel=0.02)
    again = measure_imbalance(architecture, problem, mapping, design, densities=given, seed=1)
    np.testing.assert_array_equal(work.before, again.before)


def test_work_that_is_too_much_is_refused(forward: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is listed: 80 bytes of every element for every mask."""
    design, given = load_sparsity("procrustes"), {"Weights": 0.3}
    elements = measure_imbalance(*forward, design, densities=given, samples=1).before.size
    monkeypatch.setattr(imbalance, "MOST_BYTES", 80 * 3 * elements)
    assert measure_imbalance(*forward, design, densities=given, samples=3).of.masks == 3
    with pytest.raises(
        SpecError, match=f"of {elements:,} processing elements for each of 4 masks.*fewer samples"
    ):
        measure_imbalance(*forward, design, densities=given, samples=4)
    monkeypatch.setattr(imbalance, "MOST_BYTES", 80 * elements - 1)
    with pytest.raises(SpecError, match="larger tiles below the array"):
        measure_imbalance(*forward, design, {"Weights": np.ones((256, 256, 3, 3), bool)})


@pytest.mark.parametrize("density", [0.0, 1.0, {"model": "fixed", "density": 0.3}])
def test_what_is_everywhere_the_same_is_even(forward: Any, density: Any, tmp_path: Path) -> None:
    work = measure_imbalance(*forward, load_sparsity("procrustes"), densities={"Weights": density})
    assert work.ratios == pytest.approx((1.0, 1.0), rel=1e-12)
    assert (work.before == 1).all()
    drawn = work.histogram()
    assert np.count_nonzero(drawn.before) == np.count_nonzero(drawn.after) == 1
    plot_imbalance([drawn], tmp_path / "even.svg")
    assert (tmp_path / "even.svg").read_bytes().startswith(b"<?xml")


def test_bins_are_as_wide_as_whole_amounts_of_work(forward: Any) -> None:
    work = measure_imbalance(*forward, load_sparsity("procrustes"), densities={"Weights": 0.5})
    mean = work.mean.mean()
    for bins in (1, 7, 40, 1000):
        drawn = work.histogram(bins)
        assert len(drawn.edges) <= bins + 1
        widths = np.diff(drawn.edges)[1:-1] * mean
        np.testing.assert_allclose(widths, np.round(widths))


def test_a_design_that_balances_nothing_is_refused(forward: Any) -> None:
    with pytest.raises(SpecError, match="nothing is balanced in this phase"):
        measure_imbalance(*forward, load_sparsity("dense"))


@pytest.mark.parametrize("along", ["C", "K", "R"])
@pytest.mark.parametrize(("nonzeros", "group"), [(2, 4), (1, 4), (3, 8), (2, 2)])
def test_groups_that_tiles_cut_are_uneven(forward: Any, along: str, nonzeros: int, group: int) -> None:
    """Tiles hold one of C and two of K, which balancing cuts in two, and the three of R, a group of three."""
    architecture, problem, mapping = forward
    design = load_sparsity("procrustes")
    density = {"model": "structured", "nonzeros": nonzeros, "group": group, "along": along}
    given = {"Weights": density}
    expected = evaluate(architecture, problem, mapping, sparsity=design, densities=given).imbalance
    work = measure_imbalance(architecture, problem, mapping, design, densities=given)
    assert expected is not None
    even = nonzeros == group or along == "R"
    assert work.of.basis == ("even" if even else "sampled")
    assert (expected.before > 1) != even
    assert work.ratios == pytest.approx((expected.before, expected.after), rel=0.02)


CUT = [
    # Channels, n, m; loops outside, over columns and rows, inside a tile.
    (6, 2, 4, "C=2 K=2", "K=8", "", "C=3 K=4"),
    (6, 2, 4, "C=3 K=2", "K=8", "", "C=2 K=4"),
    (6, 2, 4, "K=2", "K=8", "C=2", "C=3 K=4"),
    (6, 2, 4, "K=2", "K=8", "C=3", "C=2 K=4"),
    (9, 1, 8, "K=2", "K=8", "C=3", "C=3 K=4"),
    (8, 1, 4, "K=2", "K=8", "C=4", "C=2 K=4"),
    (12, 2, 4, "C=4 K=2", "K=8", "", "C=3 K=4"),
    (3, 2, 4, "K=2", "K=8", "C=3", "K=4"),
]


def on_a_square(case: tuple[Any, ...], policy: str, rows: int) -> tuple[Any, Any]:
    """Return what is expected, and measured on random masks, of a layer with n:m groups along channels."""
    channels, n, m, far, x, y, near = case
    energy = {"word_bits": 16, "energy_pj": {"read": 1, "write": 1}}
    levels = [{"name": "Far", **energy}, {"name": "Near", "mesh_x": 8, "mesh_y": 8, **energy}]
    machine = load_architecture(
        {"architecture": {"name": "square", "levels": levels, "compute": {"energy_pj": 1}}}
    )
    sizes = {"R": rows, "S": rows, "P": 2, "Q": 2, "C": channels, "K": 64, "N": 1}
    problem = load_problem({"problem": {"name": "layer", "shape": "conv", "dimensions": sizes}})
    nest = [
        {"level": "Far", "temporal": far, "spatial_x": x, "spatial_y": y},
        {"level": "Near", "temporal": f"{near} R={rows} S={rows} P=2 Q=2"},
    ]
    mapping = load_mapping({"mapping": {"levels": nest}}, machine, problem)
    content = {
        "name": "groups",
        "densities": {"Weights": {"model": "structured", "nonzeros": n, "group": m, "along": "C"}},
        "formats": {"Weights": {"*": "bitmask"}},
        "compute": {"skip": "Weights"},
        "balancing": {"policy": policy, "tensor": "Weights", "array": "Near"},
    }
    design = load_sparsity({"sparsity": content})
    expected = evaluate(machine, problem, mapping, sparsity=design).imbalance
    return expected, measure_imbalance(machine, problem, mapping, design, samples=200)


@pytest.mark.parametrize("policy", ["half_tile", "longest_first"])
@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("case", CUT)
def test_groups_that_are_cut_or_short_wait_as_long_as_masks_do(
    case: tuple[Any, ...], rows: int, policy: str
) -> None:
    """Tiles differ by chance where they cut groups, and always where some hold the shorter group."""
    expected, work = on_a_square(case, policy, rows)
    assert work.of.basis == "sampled"
    assert work.ratios == pytest.approx((expected.before, expected.after), rel=0.02)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("groups", "length", "along", "across", "apart", "fibres", "largest"),
    [
        ((1, 2), 4, 1, 2, 1, 1, 1),  # neighbours share a group: one has it all
        ((1, 2), 4, 1, 2, 2, 1, 0.75),  # they do not: each has one or none
        ((2, 4), 6, 2, 3, 1, 3, 6),  # the last has a group of two, kept whole
        ((1, 4), 12, 6, 1, 1, 2, 3),  # one element waits for nobody
    ],
)
def test_small_arrays_by_hand(
    groups: tuple[int, int], length: int, along: int, across: int, apart: int, fibres: int, largest: float
) -> None:
    found = grouped_largest(np.array([*groups, 0]), length, along, across, apart, fibres, 1, 1, False, OWN)
    assert found == pytest.approx(largest, rel=0.02)


@pytest.mark.parametrize(
    ("channels", "n", "m", "inside"), [(8, 2, 4, 1), (8, 2, 8, 2), (12, 2, 8, 3), (20, 1, 8, 5)]
)
def test_neighbours_may_hold_tiles_that_are_apart(channels: int, n: int, m: int, inside: int) -> None:
    """Loops inside the array's pass over neighbouring tiles in every element, one after the other."""
    energy = {"word_bits": 16, "energy_pj": {"read": 1, "write": 1}}
    levels = [{"name": "Far", **energy}, {"name": "Mid", "mesh_x": 8, "mesh_y": 2, **energy}]
    levels.append({"name": "Near", **energy})
    machine = load_architecture(
        {"architecture": {"name": "three", "levels": levels, "compute": {"energy_pj": 1}}}
    )
    problem = load_problem(
        {"problem": {"name": "m", "shape": "matmul", "dimensions": {"M": 32, "K": channels, "N": 2}}}
    )
    nest = [
        {"level": "Far", "temporal": "M=2", "spatial_x": "M=8", "spatial_y": "K=2"},
        {"level": "Mid", "temporal": f"K={channels // 2 // inside}"},
        {"level": "Near", "temporal": f"M=2 K={inside} N=2"},
    ]
    mapping = load_mapping({"mapping": {"levels": nest}}, machine, problem)
    content = {
        "name": "groups",
        "densities": {"A": {"model": "structured", "nonzeros": n, "group": m, "along": "K"}},
        "formats": {"A": {"*": "bitmask"}},
        "compute": {"skip": "A"},
        "balancing": {"policy": "half_tile", "tensor": "A", "array": "Near"},
    }
    design = load_sparsity({"sparsity": content})
    expected = evaluate(machine, problem, mapping, sparsity=design).imbalance
    work = measure_imbalance(machine, problem, mapping, design, samples=500)
    assert expected is not None
    assert work.ratios == pytest.approx((expected.before, expected.after), rel=0.02)


def test_a_short_group_that_every_tile_holds_is_even() -> None:
    for inside, outside in (("C=6 K=4", "K=2"), ("C=6", "K=8")):
        expected, work = on_a_square((6, 2, 4, outside, "K=8", "", inside), "half_tile", 3)
        assert work.of.basis == "even"
        assert (expected.before, expected.after) == work.ratios == (1, 1)


def test_tiles_that_hold_the_short_group_always_wait_for_nobody() -> None:
    """2:4 along six channels, three elements with two channels each: 1, 1 and 2 of 2 are kept on average."""
    expected, work = on_a_square((6, 2, 4, "K=2", "K=8", "C=3", "C=2 K=4"), "none", 3)
    assert expected.before == pytest.approx(1.5, rel=1e-12)
    assert work.ratios[0] == pytest.approx(1.5, rel=1e-12)


@pytest.mark.parametrize("policy", ["half_tile", "none"])
@pytest.mark.parametrize(
    ("nonzeros", "group", "along"), [(1, 2, "K"), (2, 4, "K"), (1, 4, "K"), (2, 4, "C"), (3, 8, "C")]
)
def test_tiles_that_hold_groups_whole_are_even(nonzeros: int, group: int, along: str, policy: str) -> None:
    """Balancing cuts tiles along K, and groups along it too: halves differ, but their sum is the same."""
    energy = {"word_bits": 16, "energy_pj": {"read": 1, "write": 1}}
    levels = [{"name": "Far", **energy}, {"name": "Near", "mesh_x": 8, **energy}]
    machine = load_architecture(
        {"architecture": {"name": "row", "levels": levels, "compute": {"energy_pj": 1}}}
    )
    sizes = {"R": 3, "S": 3, "P": 2, "Q": 2, "C": 16, "K": 32, "N": 1}
    problem = load_problem({"problem": {"name": "layer", "shape": "conv", "dimensions": sizes}})
    loops = [("Far", "C=2", "K=8"), ("Near", "C=8 K=4 R=3 S=3 P=2 Q=2", "")]
    nest = [{"level": name, "temporal": inside, "spatial_x": x} for name, inside, x in loops]
    mapping = load_mapping({"mapping": {"levels": nest}}, machine, problem)
    density = {"model": "structured", "nonzeros": nonzeros, "group": group, "along": along}
    balancing = {"policy": policy, "tensor": "Weights", "array": "Near"}
    formats = {"Weights": {"*": "bitmask"}}
    design = {"name": "groups", "formats": formats, "compute": {"skip": "Weights"}, "balancing": balancing}
    sparsity = load_sparsity({"sparsity": design | {"densities": {"Weights": density}}})
    expected = evaluate(machine, problem, mapping, sparsity=sparsity)
    work = measure_imbalance(machine, problem, mapping, sparsity)
    assert expected.imbalance is not None
    assert (expected.imbalance.before, expected.imbalance.after) == work.ratios == (1, 1)
    assert expected.cycles == problem.computes * nonzeros // group // 8
