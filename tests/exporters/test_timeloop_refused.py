"""What Timeloop's files cannot say is refused with its place, and nothing else is."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from procrustes_model.errors import SpecError
from procrustes_model.exporters.timeloop import export_timeloop, gather
from procrustes_model.spec.load import load_architecture, load_mapping, load_problem, load_sparsity
from procrustes_model.spec.zeros import Zeros

MACHINE = """
architecture:
  name: small
  clock: 1 GHz
  levels:
    - {name: Far, word_bits: 16, words_per_access: 4, energy_pj: {read: 100, write: 110}}
    - name: Near
      word_bits: 16
      capacity_words: 128
      energy_pj: {read: 5.5, write: 6.25}
    - {name: Regs, word_bits: 16, mesh_x: 4, mesh_y: 2, energy_pj: {read: 0.5, write: 0.75}}
  compute: {name: MAC, energy_pj: 1.25}
"""
PROBLEM = """
problem:
  name: small
  dimensions: {C: 4, K: 8, R: 3, P: 8}
  shape:
    dimensions: [C, K, R, P]
    tensors:
      W: {projection: [C, K, R]}
      X: {projection: [C, R + 2*P]}
      Y: {projection: [K, P], output: true}
"""
MAPPING = """
mapping:
  name: small
  levels:
    - {level: Far, temporal: K=2 P=2}
    - {level: Near, temporal: C=2 R=3, spatial_x: K=4, spatial_y: C=2, keep: [X, Y]}
    - {level: Regs, temporal: P=4}
"""
DESIGN = """
sparsity:
  name: small
  densities: {W: 0.25, X: {model: fixed, density: 0.5}}
  actions:
    - {level: Regs, gate: X, on: W}
  compute: {gate: [W, X]}
  rules:
    rounding: whole_words
    probabilities: boost
    access_box: joined
    several_actions: strongest
    gated_operands: dropped
"""
FILES = {"machine": MACHINE, "problem": PROBLEM, "mapping": MAPPING, "design": DESIGN}


def complaints(folder: Path, texts: dict[str, str], sparse: bool) -> list[str]:
    """Return what is said of an export, files without their folder; nothing where it is written."""
    paths = {name: folder / f"{name}.yaml" for name in texts}
    for name, text in texts.items():
        paths[name].write_text(text, encoding="utf-8")
    machine, problem = load_architecture(paths["machine"]), load_problem(paths["problem"])
    zeros = Zeros(load_sparsity(paths["design"])) if sparse else None
    mapping = load_mapping(paths["mapping"], machine, problem)
    try:
        export_timeloop(gather(machine, problem, mapping, zeros, str(paths["problem"])))
    except SpecError as error:
        return [str(one).replace(f"{folder}/", "") for one in error.issues]
    return []


@pytest.mark.parametrize("sparse", [False, True])
def test_the_small_model_is_written(tmp_path: Path, sparse: bool) -> None:
    assert complaints(tmp_path, FILES, sparse) == []


def test_an_uneven_mapping_is_refused_at_its_second_entry(tmp_path: Path) -> None:
    names = list(yaml.safe_load(PROBLEM)["problem"]["shape"]["tensors"])
    levels = yaml.safe_load(MAPPING)["mapping"]["levels"]
    near = next(i for i, level in enumerate(levels) if level["level"] == "Near")
    levels[near : near + 1] = [{"level": "Near", "keep": names[:1]}, levels[near] | {"keep": names[1:]}]
    nest = yaml.safe_dump({"mapping": {"levels": levels}}, sort_keys=False)
    (found,) = complaints(tmp_path, {**FILES, "mapping": nest}, sparse=False)
    assert "this mapping is uneven: in Timeloop's files all tensors of a level have" in found
    assert "merge the entries of Near" in found


def test_instances_take_nothing_from_neighbours(tmp_path: Path) -> None:
    """That tool counts what neighbours pass on as not read, if not told otherwise."""
    paths = [tmp_path / f"{name}.yaml" for name in ("machine", "problem", "mapping")]
    for path, text in zip(paths, (MACHINE, PROBLEM, MAPPING), strict=True):
        path.write_text(text, encoding="utf-8")
    machine, problem = load_architecture(paths[0]), load_problem(paths[1])
    mapping = load_mapping(paths[2], machine, problem)
    text = export_timeloop(gather(machine, problem, mapping, None, str(paths[1]))).texts["mapping.yaml"]
    directives = yaml.safe_load(text)["mapping"]
    spatial = [one for one in directives if one["type"] == "spatial"]
    assert spatial
    assert all(one["no_link_transfer"] == ["W", "X", "Y"] for one in spatial)


REFUSED = [
    (
        "machine",
        "capacity_words: 128",
        "capacity_words: 128\n      beside: true",
        "'beside' of Near is true here",
    ),
    (
        "machine",
        "capacity_words: 128",
        "capacity_words: 128\n      drain_read: true",
        "'drain_read' of Near is true here, and would be false there",
    ),
    (
        "machine",
        "{name: MAC, energy_pj: 1.25}",
        "{name: MAC, energy_pj: 1.25, cycles_per_compute: 2}",
        "machine.yaml:12:61: 'cycles_per_compute' of MAC is 2 here, and would be 1",
    ),
    (
        "machine",
        "{name: MAC, energy_pj: 1.25}",
        "{name: MAC, energy_pj: 1.25, leakage_mw: 1}",
        "'leakage_mw' of MAC",
    ),
    (
        "machine",
        "{name: MAC, energy_pj: 1.25}",
        "{name: MAC, energy_pj: 1.25, fill_drain_cycles: 3}",
        "'fill_drain_cycles' of MAC",
    ),
    ("machine", "name: MAC", "name: M.AC", "'M.AC' cannot name a component"),
    ("machine", "name: MAC", "name: Wired", "machine.yaml:12:12: 'Wired' cannot name a component"),
    (
        "machine",
        "  clock: 1 GHz",
        "  clock: 1 GHz\n  bits: {W: 8}",
        "bits of W at Far is 8 here, and would be 16 there",
    ),
    (
        "machine",
        "  clock: 1 GHz",
        "  clock: 1 GHz\n  sum_bits: 32",
        "bits of a partial sum at Near is 32 here",
    ),
    (
        "machine",
        "capacity_words: 128",
        "capacity_words: 128\n      double_buffered: false\n      write_bandwidth: 2",
        "machine.yaml:10:24: 'double_buffered: false' of Near is true here",
    ),
    (
        "machine",
        "capacity_words: 128",
        "capacity_words: 128\n      network: {topology: bus, energy_pj_per_bit: 1}",
        "machine.yaml:10:16: 'network' of Near",
    ),
    (
        "machine",
        "compute:",
        "components: [{name: Fan, power_pj_per_cycle: 2}]\n  compute:",
        "machine.yaml:12:16: the component Fan is",
    ),
    ("problem", "W: {projection", "V.1: {projection", "'V.1' cannot name a data space"),
    (
        "problem",
        "  name: small\n",
        "  name: small\n  bits: {W: 4}\n",
        "bits of W at Far is 4 here, and would be 16 there",
    ),
    ("mapping", "spatial_y: C=2", "spatial_y: K=2", "K lies on both axes"),
    (
        "design",
        "rounding: whole_words\n    probabilities: boost",
        "rounding: exact",
        "the rule 'rounding' is 'exact' here, and would be 'whole_words' there",
    ),
    ("design", "    gated_operands: dropped\n", "", "the rule 'gated_operands' is 'take_cycle' here"),
    (
        "design",
        "compute: {gate: [W, X]}",
        "compute: {gate: [W]}",
        "design.yaml:7:19: 'gate' of computations is 'W' here, and would be 'W', 'X' there",
    ),
    (
        "design",
        "W: 0.25",
        "W: {model: structured, nonzeros: 2, group: 4, along: C}",
        "design.yaml:4:18: a density of W of model 'structured'",
    ),
    (
        "design",
        "  actions:",
        "  formats: {W: {Far: bitmask}}\n  actions:",
        "design.yaml:5:22: W at Far is stored as 'bitmask'; Timeloop has formats rank by rank",
    ),
    ("design", "  actions:", "  balancing: {tensor: W}\n  actions:", "'balancing'"),
    ("design", "  actions:", "  capacity: {size: average}\n  actions:", "'capacity'"),
]


@pytest.mark.parametrize(("file", "old", "new", "said"), REFUSED, ids=[one[3][:40] for one in REFUSED])
def test_what_cannot_be_said_is_refused(tmp_path: Path, file: str, old: str, new: str, said: str) -> None:
    texts = dict(FILES)
    assert texts[file].count(old) == 1, old
    texts[file] = texts[file].replace(old, new)
    if "K lies on both" in said:
        texts["mapping"] = texts["mapping"].replace("temporal: K=2 P=2", "temporal: P=2 C=2")
    if "beside" in said:
        texts["mapping"] = (
            texts["mapping"].replace("temporal: K=2 P=2", "temporal: ").replace("C=2 R=3", "C=2 R=3 K=2 P=2")
        )
    if "structured" in new:
        texts[file] = texts[file].replace("    probabilities: boost\n", "")
    if "V.1" in new:
        texts = {name: text.replace("W", "V.1") if name != "design" else text for name, text in texts.items()}
    found = complaints(tmp_path, texts, file == "design")
    assert any(said in one for one in found), found


RANKS = {
    "formats": {
        "W": {
            "Far": {
                "ranks": [
                    {"kind": "UOP", "payload_bits": 8, "metadata_bits": 8},
                    {"kind": "CP", "of": ["C", "R"], "metadata_bits": 8, "payload_bits": 0},
                ]
            }
        }
    },
    "capacity": {"size": "maximum"},
    "rules": {
        "format_ranks": "loops",
        "metadata_ports": "shared",
        "partial_sums": "compressed",
        "empty_tiles": "unused",
        "absent_operands": "absent",
        "last_accesses": "by_tile",
    },
}


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ((), None, ""),
        (("metadata",), None, "metadata of W lie with the data at Far; in Timeloop they have a store"),
        (("ranks", 1, "metadata_bits"), None, "metadata_bits of a rank CP of W at Far; Timeloop needs them"),
        (("ranks", 1, "metadata_bits"), 5, "the format of W at Far"),
        (("rules", "format_ranks"), "loops_2022", "the rule 'format_ranks' is 'loops_2022' here"),
    ],
)
def test_formats_need_what_timeloop_has(tmp_path: Path, path: tuple[Any, ...], value: Any, said: str) -> None:
    machine, ranked = yaml.safe_load(MACHINE), copy.deepcopy(RANKS)
    design = yaml.safe_load(DESIGN.replace("on: W", '"on": W'))
    far = machine["architecture"]["levels"][0]
    if path != ("metadata",):
        far["metadata"] = {"word_bits": 32}
    if path[:1] == ("ranks",):
        rank: Any = ranked["formats"]["W"]["Far"]["ranks"][path[1]]
        rank[path[2]] = value
        if value is None:
            del rank[path[2]]
    content = design["sparsity"]
    content["rules"] |= ranked.pop("rules")
    if path == ("metadata",):
        del content["rules"]["metadata_ports"]  # of a store that there is none of
    if path[:1] == ("rules",):
        content["rules"][path[1]] = value
    content |= ranked
    content["compute"] = {"gate": ["X", "W"]}
    texts = FILES | {"machine": json.dumps(machine), "design": json.dumps(design)}
    found = complaints(tmp_path, texts, sparse=True)
    assert any(said in one for one in found) if said else found == []
