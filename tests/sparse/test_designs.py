"""Designs as files: what is refused and where, formats and capacity by hand, components."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from procrustes_model import (
    SparseResult,
    SpecError,
    evaluate,
    load_architecture,
    load_mapping,
    load_problem,
    load_sparsity,
)
from procrustes_model.shipped import list_shipped, resolve

pytestmark = pytest.mark.quick


def _choosing(name: str) -> bool:
    """Say whether a design chooses among positions, which takes a mapping made for it."""
    return any(action.kind == "skip_positions" for action in load_sparsity(name).forward.actions)


@pytest.mark.parametrize("name", [name for name in list_shipped("sparsity") if not _choosing(name)])
def test_shipped_designs_load_and_apply_in_every_phase(name: str, forward: Any, update: Any) -> None:
    design = load_sparsity(name)
    dense = load_sparsity("dense_2020" if name.endswith("_2020") else "dense")
    for architecture, problem, mapping in (forward, update):
        result = evaluate(architecture, problem, mapping, sparsity=design)
        assert result.sparsity == design.name
        assert result.energy_pj <= evaluate(architecture, problem, mapping, sparsity=dense).energy_pj
        assert result.to_dict()["computes"]["dense"] == problem.computes
        total = sum(row["energy_pj"] for row in result.to_records())
        assert total == pytest.approx(result.energy_pj, rel=1e-12)


TEXT = """\
sparsity:
  name: wrong
  densities:
    W: 1.5
  formats:
    W: {L1: {kind: csv, pointer_bits: 20}}
  actions:
    - {level: L1, skip: Z}
  balancing: {policy: half}
  phases:
    forwards: {}
    backward:
      rules: {rounding: never}
"""


def test_every_issue_is_reported_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(TEXT)
    with pytest.raises(SpecError) as caught:
        load_sparsity(file)
    found = {(issue.line, issue.message.split(" must")[0].split(",")[0]) for issue in caught.value.issues}
    assert {line for line, _ in found} == {4, 6, 8, 9, 11, 13}
    assert "did you mean 'forward'?" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"densities": {"A": {"model": "structured", "nonzeros": 3, "group": 2, "along": "K"}}},
            "more nonzeros",
        ),
        ({"densities": {"A": {"model": "structured", "nonzeros": 1, "group": 2}}}, "needs 'along'"),
        ({"densities": {"A": {"model": "dense", "density": 0.5}}}, "takes no 'density'"),
        ({"actions": [{"level": "L1", "on": ["A"]}]}, "one of 'skip', 'gate', 'skip_space'"),
        ({"phases": []}, "'phases' must be a mapping"),
        ({"colour": 1}, "unknown key 'colour'"),
        (
            {"capacity": {"size": "quantile", "quantile": 1.99}},
            "'quantile' must be more than 0 and less than 1, .*, is 1.99",
        ),
        ({"capacity": {"quantile": 0.9}}, "of size 'dense' takes no 'quantile', a key of size 'quantile'"),
        ({"capacity": {"size": "maximum", "quantile": 0.9}}, "of size 'maximum' takes no 'quantile'"),
        ({"capacity": {"overflow": "spill"}}, "of size 'dense' cannot spill"),
        ({"capacity": {"quantile": 1.99}}, "'quantile' must be more than 0 and less than 1, .*, is 1.99"),
        (
            {"densities": {"A": "abc"}},
            r"densities\.A: the density of 'A' must be a number .*, is 'abc'; such as",
        ),
        ({"densities": {"A": 2}}, r"densities\.A: the density of 'A' must be from 0 to 1, is 2$"),
        ({"densities": {"A": math.nan}}, "must be from 0 to 1, is nan"),
        ({"densities": {"A": {"model": "fixed", "density": 2}}}, "'density' must be from 0 to 1, is 2"),
        ({"densities": {"A": {"mdel": "fixed"}}}, "unknown key 'mdel'; did you mean 'model'"),
        (
            {"formats": {"A": {"L1": {"kind": "csb", "block": "tiles"}}}},
            "'block' must be a whole number .*'tiles'$",
        ),
    ],
)
def test_wrong_content_is_refused(content: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        load_sparsity({"sparsity": {"name": "wrong", **content}})


def matmul(capacity: int | None = None) -> tuple[Any, Any, Any]:
    """Return a matmul on two levels and one unit: tiles of 16 x 8 words of A in the inner level."""
    far = {
        "name": "Far",
        "class": "dram",
        "word_bits": 16,
        "energy_pj": {"read": 10, "write": 10},
        "source": "t",
    }
    near = {
        "name": "Near",
        "class": "sram",
        "word_bits": 16,
        "energy_pj": {"read": 1, "write": 1},
        "source": "t",
    }
    if capacity:
        near["capacity_words"] = capacity
    compute = {"energy_pj": 2, "source": "t"}
    architecture = load_architecture(
        {"architecture": {"name": "two", "levels": [far, near], "compute": compute}}
    )
    problem = load_problem(
        {"problem": {"name": "m", "shape": "matmul", "dimensions": {"M": 16, "K": 32, "N": 4}}}
    )
    nest = [{"level": "Far", "temporal": "K=4"}, {"level": "Near", "temporal": "M=16 K=8 N=4"}]
    return architecture, problem, load_mapping({"mapping": {"levels": nest}}, architecture, problem)


def run(form: Any, words: int | None = None, **sections: Any) -> SparseResult:
    """Evaluate the matmul with A a quarter dense in one format."""
    architecture, problem, mapping = matmul(words)
    content = {"name": "t", "densities": {"A": 0.25}, "formats": {"A": {"*": form}}, **sections}
    return evaluate(architecture, problem, mapping, sparsity=load_sparsity({"sparsity": content}))


def entries_of(length: int, run: int) -> float:
    """Return entries of A's tile, in fibers so long: a zero ends a run after `run` zeros, or twice as many.

    Of A's 512 elements 128 are not zero, anywhere.
    """

    def all_zero(count: int) -> float:
        return math.comb(384, count) / math.comb(512, count)

    ends = range(run, length + 1, run)
    zeros = sum(all_zero(end) + (length - end) * (all_zero(end) - all_zero(end + 1)) for end in ends)
    return 32 + 128 / length * zeros


@pytest.mark.parametrize(
    ("form", "bits"),
    [
        ("none", 0.0),
        ("bitmask", 128.0),
        ("coordinate", 32 * 7.0),
        ("csr", 17 * 8.0 + 32 * 3),
        ({"kind": "delta", "run_bits": 4}, 17 * 8 + 32 * 4.0),
        ({"kind": "delta", "run_bits": 2}, 17 * 8 + entries_of(8, 4) * 2),
        ({"kind": "csb", "pointer_bits": 8, "block": 16}, 128 + 8 * 8.0),
        ({"kind": "csb", "pointer_bits": 8, "block": ["K"]}, 128 + 8 * 4.0),
        ({"kind": "csb", "pointer_bits": 8, "block": 48, "partial_blocks": "whole"}, 128 + 8 * 3.0),
        ({"kind": "run_length", "run_bits": 4}, entries_of(128, 16) * 4),
    ],
)
def test_metadata_of_a_tile(form: Any, bits: float) -> None:
    """A tile of 16 x 8 positions, 32 of them nonzero, four times filled: zeros that end a run are data."""
    data = 128.0 if form == "none" else 32.0
    if isinstance(form, dict) and "run_bits" in form:
        data = entries_of(128 if form["kind"] == "run_length" else 8, 2 ** form["run_bits"])
        old = run(form, rules={"stored_zeros": "metadata_only"}).sparse("Near", "A")
        assert old.actual[1] == 128
        assert old.metadata[1] == pytest.approx(4 * bits / 16)
        assert old.stored_words == pytest.approx(32 + bits / 16)
    near = run(form).sparse("Near", "A")
    assert near.dense[1] == 512
    assert near.metadata[1] == pytest.approx(4 * bits / 16)
    assert near.actual[1] == pytest.approx(4 * data)
    assert near.actual[0] == pytest.approx(4 * 512 * data / 128)
    assert near.stored_words == pytest.approx(data + bits / 16)


def test_blocks_that_are_not_full_can_be_dropped() -> None:
    form = {"kind": "csb", "pointer_bits": 8, "block": 100, "partial_blocks": "dropped"}
    assert run(form).sparse("Near", "A").metadata[1] == pytest.approx(5 * 108 / 16)


def test_capacity_takes_the_compressed_size() -> None:
    """Near holds 128 words of A, 32 of B and 64 of Z if dense; A takes 32 and 8 of metadata on average."""
    with pytest.raises(SpecError, match="capacity"):
        run("bitmask", 150)
    assert run("bitmask", 150, capacity={"size": "average"}).levels[1].used_words == 136
    with pytest.raises(SpecError, match="quantile size"):
        run("bitmask", 138, capacity={"size": "quantile", "quantile": 0.99})
    share = [math.comb(128, k) * math.comb(384, 128 - k) / math.comb(512, 128) for k in range(129)]
    least = next(k for k in range(129) if sum(share[: k + 1]) >= 0.99)
    roomy = run("bitmask", 152, capacity={"size": "quantile", "quantile": 0.99})
    assert roomy.sparse("Near", "A").stored_words == least + 8
    full = run("bitmask", capacity={"size": "maximum"})
    assert full.sparse("Near", "A").stored_words == 128 + 8


def test_what_does_not_fit_is_accessed_further_out() -> None:
    fits = run("bitmask", 136, capacity={"size": "average", "overflow": "spill"})
    spilt = run("bitmask", 68, capacity={"size": "average", "overflow": "spill"})
    assert fits.energy_pj < spilt.energy_pj
    assert spilt.levels[1].used_words == 68
    for tensor in ("A", "B", "Z"):
        near, far = spilt.sparse("Near", tensor), spilt.sparse("Far", tensor)
        before, beyond = fits.sparse("Near", tensor), fits.sparse("Far", tensor)
        assert near.actual[0] == pytest.approx(before.actual[0] / 2)
        assert far.actual[0] == pytest.approx(beyond.actual[0] + before.actual[0] / 2)


def test_groups_of_a_structured_tensor_are_even() -> None:
    """2:4 along K: tiles hold whole groups, so that boxes of three are never empty and no element waits."""
    density = {"model": "structured", "nonzeros": 2, "group": 4, "along": "K"}
    architecture, problem, mapping = matmul()
    content = {
        "name": "t",
        "densities": {"A": density},
        "formats": {"A": {"*": "bitmask"}},
        "compute": {"skip": "A"},
        "balancing": {"policy": "none", "tensor": "A"},
    }
    result = evaluate(architecture, problem, mapping, sparsity=load_sparsity({"sparsity": content}))
    assert result.cycles == problem.computes // 2
    assert result.imbalance is not None
    assert result.imbalance.after == 1.0
    content["densities"] = {"A": {**density, "along": "N"}}
    with pytest.raises(SpecError, match="no dimension 'N'"):
        evaluate(architecture, problem, mapping, sparsity=load_sparsity({"sparsity": content}))


def test_names_that_do_not_exist_are_reported_together(forward: Any) -> None:
    architecture, problem, mapping = forward
    content = {
        "name": "t",
        "densities": {"Weight": 0.5},
        "actions": [{"level": "RegFiles", "skip": "Outputs", "on": "Weights"}],
    }
    with pytest.raises(SpecError) as caught:
        evaluate(architecture, problem, mapping, sparsity=load_sparsity({"sparsity": content}))
    assert len(caught.value.issues) == 2
    assert "did you mean 'Weights'?" in str(caught.value)


DESIGN = """\
sparsity:
  name: lost
  densities: {Weights: 0.1, Wights: 0.5}
  formats:
    Weights:
      DRAM: {kind: csb, block: [R, T]}
      Nowhere: bitmask
  actions:
    - {level: RegFiles, skip: Outputs, on: Weights}
    - {level: RegFile, gate: Output, on: Weight}
  phases:
    forward:
      compute: {skip: [Weights, Imputs]}
      balancing: {tensor: W, array: MAC}
"""


def test_what_does_not_exist_is_reported_with_its_place(forward: Any, tmp_path: Path) -> None:
    architecture, problem, mapping = forward
    file = tmp_path / "lost.yaml"
    file.write_text(DESIGN)
    design = load_sparsity(file)
    with pytest.raises(SpecError) as caught:
        evaluate(architecture, problem, mapping, sparsity=design)
    issues = caught.value.issues
    assert {issue.file for issue in issues} == {str(file)}
    found = sorted((issue.line or 0, issue.message.rpartition(" no ")[2]) for issue in issues)
    assert found == [
        (3, "tensor 'Wights'"),
        (6, "dimension 'T' for blocks"),
        (7, "level 'Nowhere'"),
        (9, "level 'RegFiles'"),
        (10, "tensor 'Output'"),
        (10, "tensor 'Weight'"),
        (13, "tensor 'Imputs'"),
        (14, "level 'MAC'"),
        (14, "tensor 'W'"),
    ]


def test_blocks_may_have_dimensions_of_other_shapes_only() -> None:
    """R and S are a convolution's: 1 in a matmul. T is no shape's."""
    form = {"kind": "csb", "pointer_bits": 8, "block": ["K", "R", "S"]}
    assert run(form) == run({**form, "block": ["K"]})
    with pytest.raises(
        SpecError, match=r"the problem m has no dimension 'T' for blocks; choose from M, K, N"
    ):
        run({**form, "block": ["K", "T"]})


def test_added_units_are_charged_in_the_full_machine_only(forward: Any, update: Any) -> None:
    full = load_architecture("procrustes_16x16_full")
    for architecture, problem, mapping in (forward, update):
        for name in ("procrustes", "procrustes_2020"):
            design = load_sparsity(name)
            bare = evaluate(architecture, problem, mapping, sparsity=design)
            more = evaluate(full, problem, mapping, sparsity=design)
            assert bare.components == ()
            units = {unit.name: unit for unit in more.components}
            assert set(units) == {"QuantileEstimator", "WeightRecompute", "LoadBalancer"}
            added = sum(unit.energy_pj for unit in units.values())
            assert more.energy_pj == pytest.approx(bare.energy_pj + added)
            assert 0 < added < 0.05 * bare.energy_pj
            assert (units["QuantileEstimator"].uses > 0) == (problem.phase == "weight_update")
            assert (units["WeightRecompute"].uses > 0) == (problem.phase == "forward")


def test_a_component_of_a_level_that_does_not_exist_is_refused(forward: Any) -> None:
    architecture, problem, mapping = forward
    unit = load_architecture("procrustes_16x16_full").components[0]
    assert unit.use is not None
    lost = unit.model_copy(update={"use": unit.use.model_copy(update={"level": "Nowhere", "phases": None})})
    wrong = architecture.model_copy(update={"components": (lost,)})
    with pytest.raises(SpecError, match="'Nowhere', which does not exist"):
        evaluate(wrong, problem, mapping, sparsity=load_sparsity("dense"))


def test_a_component_of_a_tensor_that_does_not_exist_is_refused(forward: Any, tmp_path: Path) -> None:
    _, problem, mapping = forward
    text = resolve("architecture", "procrustes_16x16_full").read_text(encoding="utf-8")
    file = tmp_path / "machine.yaml"
    file.write_text(text.replace("{level: RegFile, tensor: Weights,", "{level: RegFile, tensor: Weigths,"))
    wrong = "has no tensor 'Weigths' for component 'WeightRecompute'; did you mean 'Weights'?"
    for design in ("procrustes", "dense", None):  # also where it does not work
        given = {} if design is None else {"sparsity": design}
        with pytest.raises(SpecError, match=f"machine.yaml:57:37: .*{re.escape(wrong)}"):
            evaluate(file, problem, mapping, **given)


def test_loops_with_one_iteration_do_not_matter() -> None:
    shape = {"shape": "fully_connected_weight_update", "dimensions": {"N": 1, "C": 16, "K": 20}}
    problem = load_problem({"problem": {"name": "x", **shape}})
    machine = load_architecture("procrustes_16x16")
    energies = set()
    for temporal in ("C=16", "C=16 N=1", "C=16 K=1", "N=1 C=16"):
        levels = [
            {"level": "DRAM", "keep": ["Inputs", "Outputs", "Weights"]},
            {"level": "GlobalBuffer", "keep": [], "spatial_x": "K=2", "spatial_y": "K=10"},
            {"level": "RegFile", "temporal": temporal, "keep": ["Outputs", "Weights"]},
        ]
        mapping = load_mapping({"mapping": {"levels": levels}}, machine, problem)
        for design in ("procrustes", "procrustes_2020"):
            chosen = load_sparsity(design)
            result = evaluate(machine, problem, mapping, sparsity=chosen, densities={"Inputs": 0.5})
            energies.add((design, result.energy_pj))
    assert len(energies) == 2


@pytest.mark.parametrize("zeros", [{"densities": {"B": 0.5}}, {"masks": {"B": np.ones((2, 2), np.bool_)}}])
def test_zeros_that_a_design_has_no_use_for_are_refused(zeros: Any) -> None:
    """They would change nothing: it says something of A only."""
    level = {"name": "L0", "word_bits": 16, "energy_pj": {"read": 1, "write": 1}}
    machine = {"architecture": {"name": "m", "levels": [level], "compute": {"energy_pj": 1}}}
    problem = {"problem": {"name": "p", "shape": "matmul", "dimensions": {"M": 2, "K": 2, "N": 2}}}
    mapping = {"mapping": {"levels": [{"level": "L0", "temporal": "M=2 K=2 N=2"}]}}
    design = {"sparsity": {"name": "only_a", "densities": {"A": 0.5}, "formats": {"A": {"L0": "bitmask"}}}}
    with pytest.raises(SpecError, match="only_a has no use for zeros of 'B', in any phase"):
        evaluate(machine, problem, mapping, sparsity=design, **zeros)
