"""Instances that zeros leave out and positions that are chosen, against walks over every mask."""

from __future__ import annotations

import json
import math
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
    search,
)
from procrustes_model.cli.inputs import load_all
from procrustes_model.kernels.sparse.arrays import (
    HYPERGEOMETRIC,
    ActionArrays,
    SavedArrays,
    SparseCountArrays,
)
from procrustes_model.kernels.sparse.packing import _mean_steps
from procrustes_model.kernels.sparse.whole import count_whole
from tests.naive.packing import mean_steps, mean_used, whole_counts

pytestmark = pytest.mark.xdist_group("packing")
"""One worker: what only these take is compiled once."""

PROBLEM: dict[str, Any] = {
    "problem": {
        "name": "small",
        "dimensions": {"M": 2, "K": 4, "N": 2},
        "shape": {
            "dimensions": ["M", "K", "N"],
            "tensors": {
                "A": {"projection": ["M", "K"]},
                "B": {"projection": ["K", "N"]},
                "Z": {"projection": ["M", "N"], "output": True},
            },
        },
    }
}


def machine(mesh: int, *, clustered: bool = False) -> dict[str, Any]:
    """Return a machine with a mesh of registers, or of units below one of them."""
    far = {"name": "Far", "word_bits": 8, "energy_pj": {"read": 10, "write": 10}}
    near = {"name": "Near", "word_bits": 8, "energy_pj": {"read": 1, "write": 1}}
    compute: dict[str, Any] = {"name": "MAC", "energy_pj": 1}
    (compute if clustered else near)["mesh_x"] = mesh
    return {"architecture": {"name": "m", "levels": [far, near], "compute": compute}}


def run(mesh: int, levels: list[dict[str, Any]], *, clustered: bool = False, **design: Any) -> Any:
    mapping = {"mapping": {"name": "n", "levels": levels}}
    sparsity = {"sparsity": {"name": "s", **design}}
    return evaluate(machine(mesh, clustered=clustered), PROBLEM, mapping, sparsity=sparsity)


SPACE = [{"level": "Far", "temporal": "M=2 K=2", "spatial_x": "K=2"}, {"level": "Near", "temporal": "N=2"}]
ON_A: dict[str, Any] = {
    "formats": {"A": {"Far": "bitmask", "Near": "bitmask"}},
    "actions": [
        {"level": "Far", "skip_space": "B", "on": "A"},
        {"level": "Far", "skip_space": "Z", "on": "A"},
    ],
}


@pytest.mark.parametrize("nonzeros", [1, 3, 5, 8])
def test_instances_with_an_empty_tile_are_left_out_as_often_as_in_a_walk(nonzeros: int) -> None:
    result = run(2, SPACE, densities={"A": nonzeros / 8}, **ON_A)
    problem = load_problem(PROBLEM)
    mapping = load_mapping(
        {"mapping": {"name": "n", "levels": SPACE}}, load_architecture(machine(2)), problem
    )
    used = mean_used(problem, mapping, problem.tensors[0], 0, nonzeros)
    assert result.sparse("Near", "A").used_instances == pytest.approx(float(2 * used), rel=1e-12)
    assert result.computes.actual == pytest.approx(float(16 * used), rel=1e-12)
    assert result.compute.cycles == 8  # the instances that are left work as long as before


def test_what_is_left_out_in_space_makes_room_for_more() -> None:
    near = {"level": "Near", "temporal": "N=2", "keep": ["A"]}  # what is kept longer meets more
    wide = [{"level": "Far", "temporal": "M=2", "spatial_x": "K=4"}, near]
    half = {"A": {"model": "fixed", "density": 0.5}}
    result = run(2, wide, densities=half, **ON_A)
    assert (result.compute.instances_used, result.compute.cycles) == (2, 4)
    assert result.computes.actual == 8
    with pytest.raises(SpecError, match="exceed the architecture's fan-out"):
        run(2, wide, densities={"A": {"model": "fixed", "density": 0.75}}, **ON_A)
    with pytest.raises(SpecError, match="exceed the architecture's fan-out"):
        run(2, wide, densities={"A": 0.5}, **ON_A)  # all four of a row may be nonzero


def test_an_instance_that_gets_anything_is_not_left_out() -> None:
    alone = {**ON_A, "actions": ON_A["actions"][:1]}  # sums still come from every instance
    result = run(2, SPACE, densities={"A": 0.25}, **alone)
    assert result.compute.cycles < 8  # fewer computations on as many units
    assert result.sparse("Near", "Z").used_instances == 2


def test_fanout_without_such_an_action_is_checked_in_the_mapping() -> None:
    wide = [{"level": "Far", "temporal": "M=2", "spatial_x": "K=4"}, {"level": "Near", "temporal": "N=2"}]
    with pytest.raises(SpecError, match="needs 4 Near instances below each Far"):
        run(2, wide, densities={"A": 0.5}, formats=ON_A["formats"])


def test_commands_read_mappings_with_the_room_that_a_design_leaves(tmp_path: Path) -> None:
    near = {"level": "Near", "temporal": "N=2", "keep": ["A"]}
    wide = [{"level": "Far", "temporal": "M=2", "spatial_x": "K=4"}, near]
    contents = {
        "arch": machine(2),
        "problem": PROBLEM,
        "nest": {"mapping": {"name": "n", "levels": wide}},
        "design": {"sparsity": {"name": "s", "densities": {"A": 0.5}, **ON_A}},
    }
    files = {name: str(tmp_path / f"{name}.yaml") for name in contents}
    for name, content in contents.items():
        Path(files[name]).write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(SpecError, match="needs 4 Near instances"):
        load_all(files["arch"], files["problem"], files["nest"])
    *_, mapping = load_all(files["arch"], files["problem"], files["nest"], files["design"])
    assert mapping.levels[0].spatial_x[0].factor == 4


@pytest.mark.parametrize(("positions", "wide"), [(4, 2), (6, 3), (8, 4), (6, 4), (5, 5)])
@pytest.mark.parametrize("nonzeros", [1, 4, 7])
@pytest.mark.parametrize("library", [False, True])
def test_steps_of_positions_are_those_of_every_mask(
    positions: int, wide: int, nonzeros: int, library: bool
) -> None:
    steps, _, total = _mean_steps(HYPERGEOMETRIC, 9, nonzeros, nonzeros / 9, positions, wide, 0, library)
    assert steps == pytest.approx(float(mean_steps(positions, wide, 9, nonzeros)), rel=1e-12)
    assert total == pytest.approx(1, abs=1e-15)


def test_positions_that_are_chosen_take_the_steps_of_a_walk() -> None:
    levels = [
        {"level": "Far", "temporal": "M=2"},
        {"level": "Near", "temporal": "N=2 K=2", "spatial_x": "K=2"},
    ]
    result = run(
        2,
        levels,
        clustered=True,
        densities={"A": 3 / 8},
        formats={"A": {"Near": "bitmask"}},
        actions=[{"level": "Near", "skip_positions": "A"}],
    )
    steps = mean_steps(4, 2, 8, 3)
    assert result.computes.actual == pytest.approx(6, rel=1e-12)
    assert result.compute.cycles == math.ceil(2 * 2 * steps)


def test_reads_of_others_follow_the_steps_that_are_left() -> None:
    levels = [
        {"level": "Far", "temporal": "N=2"},
        {"level": "Near", "temporal": "M=2 K=2", "spatial_x": "K=2"},
    ]
    chosen = [{"level": "Near", "skip_positions": "B"}]
    result = run(
        2,
        levels,
        clustered=True,
        densities={"B": 3 / 8},
        formats={"B": {"Near": "bitmask"}},
        actions=chosen,
    )
    assert result.sparse("Near", "A").actual[0] == result.sparse("Near", "A").dense[0]  # K moves both
    other = [
        {"level": "Far", "temporal": "K=4"},
        {"level": "Near", "temporal": "M=2 N=1", "spatial_x": "N=2"},
    ]
    result = run(
        2,
        other,
        clustered=True,
        densities={"B": 3 / 8},
        formats={"B": {"Near": "bitmask"}},
        actions=chosen,
    )
    left = float(mean_steps(2, 2, 8, 3))
    assert result.sparse("Near", "A").actual[0] == pytest.approx(left * result.sparse("Near", "A").dense[0])


@pytest.mark.parametrize("seed", range(20))
def test_whole_words_are_taken_away_in_the_order_of_the_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    accesses = rng.integers(0, 1000, (1, 3, 2, 3))
    accesses[..., 2] = accesses[..., 0] + accesses[..., 2]
    dense, compressed = rng.random((1, 4, 2)), rng.random((3, 2)) < 0.5
    steps = np.sort(rng.random((2, 6)), axis=1)[:, ::-1]
    left = steps.reshape(2, 3, 2).transpose(1, 0, 2)[None].copy()
    keep = np.ones((1, 3, 2), np.bool_)
    blank = (1, 3, 2, 3)
    saved = SavedArrays(left, np.ones(blank), np.zeros((1, 2)), np.zeros((1, 2)), np.ones((1, 4)))
    counts = SparseCountArrays(*(np.zeros(blank) for _ in SparseCountArrays._fields))
    none, no = np.zeros(0, np.int64), np.zeros(2, np.bool_)
    actions = ActionArrays(
        level=none,
        target=none,
        kind=none,
        leaders=np.zeros((0, 2), np.bool_),
        skip_compute=no,
        gate_compute=no,
        whole=True,
        joined=False,
        dropped=False,
        strongest=False,
        absent=False,
        apart=False,
        chosen=no,
        off=np.zeros(3),
    )
    steps = np.ones(accesses.shape)
    count_whole(accesses, keep, 1, compressed, dense, True, True, steps, actions, saved, counts)
    for t in range(2):
        above = 0.0
        for level in range(3):
            shares = [("above", above)]
            for stage, kind in enumerate(("skipped", "gated")):
                own = 1 - left[0, level, t, stage]
                shares.append((kind, 1 - (1 - own) / (1 - above)))
                above = own
            density = dense[0, level, t] if compressed[level, t] else 1.0
            wanted = whole_counts(tuple(accesses[0, level, t].tolist()), density, shares, t == 1)
            for kind, words in wanted.items():
                assert getattr(counts, kind)[0, level, t].tolist() == words


def test_of_several_actions_the_strongest_counts_alone() -> None:
    levels = [{"level": "Far", "temporal": "M=2 K=2 N=2"}, {"level": "Near", "temporal": "K=2"}]
    on_a, on_b = ({"level": "Near", "skip": "Z", "on": leader} for leader in ("A", "B"))
    densities = {"A": 0.25, "B": 0.5}
    together = run(1, levels, densities=densities, actions=[on_b, on_a])
    rules = {"several_actions": "strongest"}
    strongest = run(1, levels, densities=densities, actions=[on_b, on_a], rules=rules)
    alone = run(1, levels, densities={"A": 0.25}, actions=[on_a])
    assert strongest.sparse("Near", "Z").actual == alone.sparse("Near", "Z").actual
    assert together.sparse("Near", "Z").actual < alone.sparse("Near", "Z").actual


def test_a_computation_of_absent_operands_is_none() -> None:
    levels = [{"level": "Far", "temporal": "M=2 K=4 N=2"}, {"level": "Near"}]
    formats = {"A": {"Near": "bitmask"}, "B": {"Near": "bitmask"}}
    densities = {"A": 0.5, "B": 0.5}
    rules = {"rounding": "whole_words", "absent_operands": "absent"}
    done = run(1, levels, densities=densities, formats=formats, rules=rules).computes
    assert (done.actual, done.gated, done.skipped) == (12, 0, 0)
    skip = {"skip": ["A", "B"]}
    done = run(1, levels, densities=densities, formats=formats, compute=skip, rules=rules).computes
    assert (done.actual, done.gated, done.skipped) == (4, 0, 8)


def test_instances_without_a_tile_are_not_used() -> None:
    levels = [{"level": "Far", "temporal": "M=2 K=2 N=2", "spatial_x": "K=2"}, {"level": "Near"}]
    formats = {"A": {"Far": "bitmask", "Near": "bitmask"}}
    rules = {"rounding": "whole_words", "empty_tiles": "unused"}
    one = run(2, levels, densities={"A": 0.5}, formats=formats, rules=rules).sparse("Near", "A")
    assert (one.used_instances, one.actual) == (1.0, one.dense)
    counted = run(2, levels, densities={"A": 0.5}, formats=formats, rules={"rounding": "whole_words"})
    assert counted.sparse("Near", "A").used_instances == 2
    assert counted.sparse("Near", "A").actual[0] == one.dense[0] / 2


def test_of_a_compressed_tensor_only_nonzeros_are_skipped() -> None:
    levels = [{"level": "Far", "temporal": "M=2 K=4 N=2"}, {"level": "Near"}]
    formats = {"A": {"Near": "bitmask"}}
    action = {"level": "Near", "skip": "A", "on": "B"}
    one = run(1, levels, densities={"A": 0.5, "B": 0.25}, formats=formats, actions=[action]).sparse(
        "Near", "A"
    )
    assert one.dense[0] == 16
    assert (one.actual[0], one.skipped[0]) == pytest.approx((16 * 0.5 * 0.25, 16 * 0.5 * 0.75))


ERRORS = [
    ({"level": "Far", "skip_space": "B"}, "'on' must be"),
    ({"level": "Far", "skip_space": "B", "on": []}, "'on' names the tensors whose zeros save accesses"),
    ({"level": "Far", "skip_positions": "B", "on": "A"}, "'on' has no effect: positions of 'B'"),
    (
        {"level": "Far", "skip_positions": "B", "skip": "A"},
        "an action has one of 'skip', 'gate', 'skip_space'",
    ),
]


@pytest.mark.parametrize(("action", "said"), ERRORS)
def test_actions_that_make_room_are_checked(action: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        load_sparsity({"sparsity": {"name": "s", "actions": [action]}})


def test_positions_that_nothing_knows_cannot_be_chosen() -> None:
    levels = [{"level": "Far", "temporal": "M=2 K=4 N=2"}, {"level": "Near"}]
    action = {"level": "Near", "skip_positions": "A"}
    with pytest.raises(SpecError, match="nothing says which positions of 'A' are not zero"):
        run(1, levels, densities={"A": 0.5}, actions=[action])
    formats = {"A": {"Far": "bitmask"}}
    with pytest.raises(SpecError, match="Near gets 'A' uncompressed"):
        run(1, levels, densities={"A": 0.5}, formats=formats, actions=[action])


MAKES_ROOM: list[dict[str, Any]] = [
    {**ON_A, "densities": {"A": 0.25}},
    {
        "densities": {"A": 3 / 8},
        "formats": {"A": {"Near": "bitmask"}},
        "actions": [{"level": "Near", "skip_positions": "A"}],
    },
    {
        "densities": {"A": 0.25, "B": 0.5},
        "formats": {"A": {"*": "bitmask"}},
        "rules": {"rounding": "whole_words", "empty_tiles": "unused"},
    },
    {
        "densities": {"A": 0.25, "B": 0.5},
        "actions": [{"level": "Near", "skip": "Z", "on": "A"}, {"level": "Near", "skip": "Z", "on": "B"}],
        "rules": {"several_actions": "strongest"},
    },
]


@pytest.mark.parametrize("design", MAKES_ROOM)
def test_searches_find_what_trying_everything_finds_and_claim_no_more(design: dict[str, Any]) -> None:
    sparsity = {"sparsity": {"name": "s", **design}}
    tried = search(machine(2), PROBLEM, sparsity=sparsity, objective="energy", method="exhaustive")
    found = search(machine(2), PROBLEM, sparsity=sparsity, objective="energy")
    assert 0 < found.certificate.lower_bound <= tried.result.energy_pj * (1 + 1e-9)
    assert found.result.energy_pj == pytest.approx(tried.result.energy_pj)
    wider = any("skip_space" in action for action in design.get("actions", ()))
    assert tried.certificate.proven != wider


SLIDING: dict[str, Any] = {
    "problem": {"name": "line", "shape": "conv", "dimensions": dict.fromkeys("SQCKN", 1) | {"P": 6, "R": 3}}
}


def slide(levels: list[dict[str, Any]], stride: int = 1, **rules: str) -> Any:
    problem = {"problem": SLIDING["problem"] | {"coefficients": {"stride_h": stride}}}
    design = {
        "name": "s",
        "densities": {"Inputs": 0.5},
        "formats": {"Inputs": {"*": "bitmask"}},
        "actions": [{"level": "Near", "skip_positions": "Inputs"}],
        "compute": {"skip": "Inputs"},
        "rules": rules,
    }
    mapping = {"mapping": {"name": "n", "levels": levels}}
    return evaluate(machine(3, clustered=True), problem, mapping, sparsity={"sparsity": design})


@pytest.mark.parametrize(
    ("use", "said"),
    [
        ("together", "hands out elements of 'Inputs' several times, by loops over P, R"),
        ("mean", "would save nothing"),
    ],
)
def test_elements_of_a_window_that_slides_are_not_handed_out_several_times(use: str, said: str) -> None:
    """18 steps of a window over 8 elements: there are not 18 positions of which some are zero."""
    both = [{"level": "Far"}, {"level": "Near", "temporal": "P=6", "spatial_x": "R=3"}]
    with pytest.raises(SpecError, match=said):
        slide(both, position_use=use)
    window = [{"level": "Far", "temporal": "P=6"}, {"level": "Near", "spatial_x": "R=3"}]
    assert slide(window, position_use=use).computes.actual == 9


def test_windows_that_do_not_overlap_have_positions_of_their_own() -> None:
    both = [{"level": "Far"}, {"level": "Near", "temporal": "P=6", "spatial_x": "R=3"}]
    assert slide(both, stride=3).computes.actual == 9


def test_positions_of_several_elements_are_refused_with_their_number() -> None:
    levels = [{"level": "Far", "temporal": "M=2 N=2"}, {"level": "Near", "temporal": "K=2"}]
    design = {"formats": {"A": {"*": "bitmask"}}, "actions": [{"level": "Far", "skip_positions": "A"}]}
    levels[0]["temporal"] += " K=2"
    with pytest.raises(SpecError, match="Far hands out positions of 'A' of 2 elements each, and chooses"):
        run(1, levels, densities={"A": 0.5}, **design)


def test_searches_on_sliding_windows_find_counts() -> None:
    """Windows that overlap over more steps than there are elements had none."""
    small = {"R": 3, "S": 3, "P": 6, "Q": 6, "C": 8, "K": 16, "N": 4}
    problem = {"problem": {"name": "c", "shape": "conv", "dimensions": small}}
    found = search("eyeriss_like", problem, sparsity="outerspace", method="random", mappings=3000, seed=1)
    assert 0 < found.result.energy_pj < math.inf
    json.dumps(found.result.to_dict(), allow_nan=False)
