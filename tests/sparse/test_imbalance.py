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
    """Tiles hold one of C and two of K, which balancing cuts in two."""
    architecture, problem, mapping = forward
    design = load_sparsity("procrustes")
    density = {"model": "structured", "nonzeros": nonzeros, "group": group, "along": along}
    given = {"Weights": density}
    expected = evaluate(architecture, problem, mapping, sparsity=design, densities=given).imbalance
    work = measure_imbalance(architecture, problem, mapping, design, densities=given)
    assert expected is not None
    assert work.of.basis == ("even" if nonzeros == group else "sampled")
    assert (expected.before > 1) == (nonzeros < group)
    if along == "C":  # groups are neither in a tile nor over the array: elements vary alone
        assert work.ratios == pytest.approx((expected.before, expected.after), rel=0.01)
    else:
        assert work.ratios[1] == pytest.approx(expected.after, rel=0.04)


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
