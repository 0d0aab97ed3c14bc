"""Sparse optimizations of every dialect become the design written by hand, or are refused with place."""

from __future__ import annotations

import copy
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from procrustes_model.errors import SpecError
from procrustes_model.importers.timeloop import Translation, translate
from procrustes_model.importers.timeloop.output import report_lines, write_files
from procrustes_model.model.evaluator import Evaluator
from procrustes_model.spec.load import load_sparsity
from tests.importers.sets import MACHINE, MAPPING, PROBLEM

TARGETS = """
  targets:
    - name: Regs
      action-optimization:
        - {type: gating, target: X, condition-on: [W]}
        - type: gating
          options: [{target: Y, condition-on: [W]}]
    - name: MAC
      compute-optimization: [{type: gating}]
"""
DENSITIES = "densities: {W: {distribution: hypergeometric, density: 0.25}, X: 0.5, Y: 1.0}"
DESIGN: dict[str, Any] = {
    "sparsity": {
        "name": "by hand",
        "densities": {"W": 0.25, "X": {"model": "fixed", "density": 0.5}},
        "actions": [
            {"level": "Regs", "gate": "X", "on": ["W"]},
            {"level": "Regs", "gate": "Y", "on": ["W"]},
        ],
        "compute": {"gate": ["W", "X"], "gated_energy": 1},
        "rules": {"rounding": "whole_words", "access_box": "joined", "gated_operands": "dropped"},
    }
}


@pytest.fixture
def small(data: Path, tmp_path: Path) -> Path:
    """Return a folder with a sparse design in tagged nodes and its table of energies."""
    return sparse(data, tmp_path, "nodes", f"sparse_optimizations:{TARGETS}")


def sparse(data: Path, tmp_path: Path, dialect: str, optimizations: str) -> Path:
    folder = tmp_path / dialect
    shutil.copytree(data / "timeloop" / dialect, folder)
    shutil.copy(data / "timeloop" / "ERT.yaml", folder)
    layer = (folder / "layer.yaml").read_text(encoding="utf-8")
    assert layer.count("  instance:") <= 1
    (folder / "layer.yaml").write_text(layer.rstrip() + f"\n  {DENSITIES}\n", encoding="utf-8")
    (folder / "sparse.yaml").write_text(optimizations, encoding="utf-8")
    return folder


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    file.write_text(text.replace(old, new), encoding="utf-8")


def by_hand() -> Any:
    mapping = copy.deepcopy(MAPPING)
    orders = ({"K": 2, "P": 2}, {"C": 2, "R": 3}, {"P": 4})
    # Loops of one iteration decide what that tool joins: dimensions that no permutation names are outermost.
    named = (("K", "P"), ("C", "R"), ("P",))
    for level, factors, inner in zip(mapping["mapping"]["levels"], orders, named, strict=True):
        outer = [name for name in reversed(PROBLEM["problem"]["shape"]["dimensions"]) if name not in inner]
        level["temporal"] = [f"{name}={factors.get(name, 1)}" for name in (*outer, *inner)]
    return Evaluator(MACHINE, PROBLEM, sparsity=DESIGN).evaluate(mapping)


def evaluated(found: Translation) -> Any:
    files = found.files
    return Evaluator(
        files["architecture.yaml"], files["problem.yaml"], sparsity=files["sparsity.yaml"]
    ).evaluate(files["mapping.yaml"])


@pytest.mark.parametrize("dialect", ["tree", "nodes", "flat"])
def test_every_dialect_gives_the_numbers_of_the_design_written_by_hand(
    data: Path, tmp_path: Path, dialect: str
) -> None:
    folder = sparse(data, tmp_path, dialect, f"sparse_optimizations:{TARGETS}")
    result, wanted = evaluated(translate([folder])), by_hand()
    found = {level.name: level for level in result.levels if level.tensors}
    for level in wanted.levels:
        for mine, theirs in zip(level.tensors, found[level.name].tensors, strict=True):
            assert mine.sparse == theirs.sparse
    assert result.computes == wanted.computes
    assert result.cycles == wanted.cycles
    assert result.densities == wanted.densities


def test_optimizations_inside_components_say_the_same(small: Path) -> None:
    wanted = translate([small]).files["sparsity.yaml"]
    (small / "sparse.yaml").unlink()
    change(
        small / "machine.yaml",
        "          class: storage\n",
        "          class: storage\n          sparse_optimizations:\n            action_optimization:\n"
        "              - {type: gating, target: X, condition_on: W}\n"
        "              - {type: gating, target: Y, condition_on: [W]}\n",
    )
    change(
        small / "machine.yaml",
        "      class: intmac\n",
        "      class: intmac\n      sparse_optimizations: {compute_optimization: [{type: gating}]}\n",
    )
    assert translate([small]).files["sparsity.yaml"] == wanted


def test_the_rules_of_a_year_are_those_of_the_design(small: Path) -> None:
    files = translate([small], rules="2022").files
    assert "rules.yaml" not in files
    assert files["sparsity.yaml"]["sparsity"]["rules"]["output_fills"] == "all"


def test_densities_without_an_effect_are_dropped(small: Path) -> None:
    change(small / "sparse.yaml", "    - name: MAC\n      compute-optimization: [{type: gating}]\n", "")
    found = translate([small])
    assert found.files["sparsity.yaml"]["sparsity"]["densities"].keys() == {"W"}
    assert any("whose zeros save nothing: X, Y" in line for line in report_lines(found))


def test_optimizations_that_say_nothing_leave_a_dense_design(data: Path, tmp_path: Path) -> None:
    nothing = "sparse_optimizations: {targets: [{name: Far, representation-format: {data-spaces: []}}]}"
    assert "sparsity.yaml" not in translate([sparse(data, tmp_path, "tree", nothing)]).files


FORMATS = """
sparse_optimizations:
  targets:
    - name: Far
      representation-format:
        data-spaces:
          - name: W
            rank-application-order: inner-to-outer
            ranks:
              - {format: UOP, payload-word-bits: 0}
              - {format: rle, flattened-rankIDs: [[C, R]], metadata-word-bits: 3}
    - name: Near
      action-optimization:
        - {type: skipping-spatial, target: X, condition-on: [W]}
        - {type: skipping, target: Y, condition-on: [W]}
        - {type: position-skipping, target: W, condition-on: []}
"""


def test_formats_and_actions_that_make_room_have_words(data: Path, tmp_path: Path) -> None:
    folder = sparse(data, tmp_path, "tree", FORMATS)
    stored = "class: DRAM\n          attributes: {metadata_storage_width: 64, metadata_datawidth: 5, "
    machine = (folder / "machine.yaml").read_text(encoding="utf-8")
    found = re.sub(r"class: DRAM\n\s+attributes: \{", stored, machine)
    assert found != machine
    (folder / "machine.yaml").write_text(found, encoding="utf-8")
    newest = translate([folder])
    ranks = newest.files["sparsity.yaml"]["sparsity"]["formats"]["W"]["Far"]["ranks"]
    # The version of 2025 does not find the bits of a payload under a key with hyphens: it takes the level's.
    assert ranks[0]["payload_bits"] == 5
    assert any("'payload-word-bits' is not read" in line for line in report_lines(newest))
    older = translate([folder], rules="2021").files["sparsity.yaml"]["sparsity"]["rules"]
    assert (older["format_ranks"], older["metadata_ports"]) == ("loops", "own")
    files = translate([folder], rules="2022").files
    content = files["sparsity.yaml"]["sparsity"]
    rules = content["rules"]
    assert (rules["format_ranks"], rules["metadata_ports"]) == ("loops_2022", "shared")
    assert files["architecture.yaml"]["architecture"]["levels"][0]["metadata"]["word_bits"] == 64
    # Fields of 3 bits are widened so that rows of 64 bits hold a whole number of them.
    ranks = [
        {"kind": "UOP", "metadata_bits": 5, "payload_bits": 0},
        {"kind": "RLE", "of": ["C", "R"], "metadata_bits": 4, "payload_bits": 5},
    ]
    assert content["formats"] == {"W": {"Far": {"ranks": ranks, "begin": "innermost"}}}
    assert content["actions"] == [
        {"level": "Near", "skip_space": "X", "on": ["W"]},
        {"level": "Near", "skip": "Y", "on": ["W"]},
        {"level": "Near", "skip_positions": "W"},
    ]
    assert content["capacity"] == {"size": "maximum"}
    assert load_sparsity(files["sparsity.yaml"]).forward.formats["W"]["Far"].begin == "innermost"
    wanted = {"stored_zeros": "metadata_only", "several_actions": "strongest", "position_use": "mean"}
    assert wanted.items() <= content["rules"].items()


@pytest.mark.parametrize(
    ("rules", "kind", "wanted"),
    [
        ("2025", "gating", {"gated": {"read": 0.25, "write": 0.5, "update": 0.5}}),
        ("2025", "skipping", {"skipped": {"read": 0.25, "write": 0.5, "update": 0.5}}),
        ("2022", "skipping", {"skipped": {"read": 3.0, "write": 4.0, "update": 4.0}}),
    ],
)
def test_metadata_of_saved_accesses_have_the_prices_of_their_year(
    data: Path, tmp_path: Path, rules: str, kind: str, wanted: dict[str, Any]
) -> None:
    text = FORMATS.replace("name: Near", "name: Far", 1).split("        - {type: skipping, ")[0]
    text = text.replace(
        "type: skipping-spatial, target: X, condition-on: [W]", f"type: {kind}, target: W, condition-on: [X]"
    )
    text = text.replace("    - name: Far\n      action", "      action")
    folder = sparse(data, tmp_path, "tree", text.replace("metadata-word-bits: 3", "metadata-word-bits: 0"))
    actions = "{name: metadata_read, energy: 3.0}, {name: metadata_write, energy: 4.0}, "
    actions += "{name: gated_metadata_read, energy: 0.25}, {name: gated_metadata_write, energy: 0.5}"
    content = yaml.safe_load((folder / "ERT.yaml").read_text(encoding="utf-8"))
    far = next(one for one in content["ERT"]["tables"] if one["name"].split("[")[0].endswith("Far"))
    far["actions"] += yaml.safe_load(f"[{actions}]")
    (folder / "ERT.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    level = translate([folder], rules=rules).files["architecture.yaml"]["architecture"]["levels"][0]
    assert wanted.items() <= level["energy_pj"]["metadata"].items()


def test_what_decompresses_is_a_component(data: Path, tmp_path: Path) -> None:
    text = FORMATS.replace("name: W", "name: X").replace("[[C, R]]", "[[C, P]]").split("    - name: Near")[0]
    folder = sparse(data, tmp_path, "tree", text.replace("metadata-word-bits: 3", "metadata-word-bits: 0"))
    content = yaml.safe_load((folder / "ERT.yaml").read_text(encoding="utf-8"))
    near = next(one for one in content["ERT"]["tables"] if one["name"].split("[")[0].endswith("Near"))
    near["actions"].append({"name": "decompression_count", "energy": 0.125})
    (folder / "ERT.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    components = translate([folder]).files["architecture.yaml"]["architecture"]["components"]
    use = {"level": "Near", "tensor": "X", "action": "fill"}
    assert {"name": "Near decompression of X", "energy_pj": 0.125, "use": use} in components


def test_an_action_on_what_its_level_bypasses_saves_further_out(small: Path) -> None:
    change(
        small / "sparse.yaml",
        "{type: gating, target: X, condition-on: [W]}",
        "{type: gating, target: W, condition-on: [X]}",
    )
    change(small / "sparse.yaml", "    - name: Regs", "    - name: Near")
    found = translate([small])
    assert found.files["sparsity.yaml"]["sparsity"]["actions"][0] == {
        "level": "Far",
        "gate": "W",
        "on": ["X"],
    }
    assert any("'Near' bypasses W" in note for note in found.findings.notes)


def list_nonzeros(small: Path, digits: str) -> None:
    change(
        small / "layer.yaml",
        "{distribution: hypergeometric, density: 0.25}",
        "{distribution: actual-data, data_file_path: /elsewhere/weights.txt}",
    )
    (small / "lists").mkdir()
    (small / "lists" / "weights.txt").write_text(digits, encoding="utf-8")


def test_nonzeros_that_a_file_lists_become_a_mask(small: Path, tmp_path: Path) -> None:
    # The first rank, of 4 channels, lies side by side; then 8 filters, then 3 taps.
    list_nonzeros(small, "1000\n" + "0" * 92)
    found = translate([small])
    assert found.files["sparsity.yaml"]["sparsity"]["densities"]["W"] == {"model": "mask", "mask": "W.npy"}
    assert found.masks["W"].shape == (4, 8, 3)
    assert np.argwhere(found.masks["W"]).tolist() == [[0, 0, 0]]
    list_of = {path.name for path in write_files(found, tmp_path / "out")}
    assert "W.npy" in list_of
    assert np.load(tmp_path / "out" / "W.npy").sum() == 1
    assert load_sparsity(tmp_path / "out" / "sparsity.yaml").forward.densities["W"].mask is not None


@pytest.mark.parametrize(
    ("digits", "said"),
    [("1" * 95, "95 digits for 96 elements"), ("2" * 96, "0 for a zero"), ("1" * 9999, "is larger than W")],
)
def test_lists_that_are_not_of_the_tensor_are_refused(small: Path, digits: str, said: str) -> None:
    list_nonzeros(small, digits)
    with pytest.raises(SpecError, match=said):
        translate([small])


REFUSED = [
    (
        "sparse.yaml",
        "name: Regs",
        "name: Rags",
        "sparse.yaml:3:13: unknown target 'Rags'; did you mean 'Regs'?",
    ),
    (
        "sparse.yaml",
        "type: gating, target",
        "type: grating, target",
        "sparse.yaml:5:18: unknown type 'grating'",
    ),
    ("sparse.yaml", "[W]}\n        -", "[V]}\n        -", "sparse.yaml:5:51: unknown data space 'V'"),
    ("sparse.yaml", "target: X, ", "", "sparse.yaml:5:11: an action has no 'target'"),
    ("sparse.yaml", "[W]}\n        -", "[]}\n        -", "'gating' is conditioned on nothing"),
    (
        "sparse.yaml",
        "[{target: Y",
        "[{target: X, condition-on: [W]}, {target: Y",
        "several options, of which",
    ),
    ("sparse.yaml", "name: MAC", "name: Near", "'compute-optimization' cannot be said of 'Near'"),
    ("sparse.yaml", "[{type: gating}]", "[{type: dropping}]", "unknown type 'dropping' of what saves"),
    ("sparse.yaml", "    - name: MAC", "    - name: Regs", "'compute-optimization' cannot be said of 'Regs'"),
    ("sparse.yaml", "action-optimization", "action-optimisation", "did you mean 'action_optimization'?"),
    ("sparse.yaml", "  targets", "  levels", "levels stand below 'targets'"),
    ("layer.yaml", "hypergeometric", "banded", "a band of nonzeros of 'W': that cannot be read yet"),
    ("layer.yaml", "hypergeometric, density: 0.25", "real-data", "names no file"),
    ("layer.yaml", "hypergeometric, density: 0.25", "real-data, data_file_path: a.txt", "no file 'a.txt'"),
    ("layer.yaml", "hypergeometric", "gauss", "unknown distribution 'gauss'"),
    ("layer.yaml", "X: 0.5", "X: 1.5", "a density is from 0 to 1"),
    ("layer.yaml", "X: 0.5", "V: 0.5", "a density of 'V', which is no data space"),
    ("layer.yaml", ", density: 0.25", "", "the density of 'W' has no number"),
    ("layer.yaml", "density: 0.25", "density: 0.25, workload_tensor_size: 9", "a size of 'W' beside its own"),
]


@pytest.mark.parametrize(("file", "old", "new", "said"), REFUSED, ids=[one[3][-30:] for one in REFUSED])
def test_what_cannot_be_said_is_refused(small: Path, file: str, old: str, new: str, said: str) -> None:
    change(small / file, old, new)
    with pytest.raises(SpecError) as caught:
        translate([small])
    assert any(said in str(issue) for issue in caught.value.issues), caught.value
