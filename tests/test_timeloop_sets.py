"""The check of Timeloop's sets: one that is right is equal, and every error that is planted is reported."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from check_timeloop import kind_of
from timeloop_sets.check import DIFFERS, EQUAL, KNOWN, REFUSED, ROUNDED, Verdict, check_set

from procrustes_model import load_architecture, load_mapping, load_problem
from tests.importers.sets import MACHINE, MAPPING, PROBLEM, TENSORS, make_set
from tests.importers.sparse_sets import make_sparse_set
from tests.naive import networks

INPUTS = {"machine": "inputs/machine.yaml", "layer": "inputs/layer.yaml", "nest": "inputs/nest.yaml"}


@pytest.fixture
def small(data: Path, tmp_path: Path) -> Path:
    """Return a set whose inputs are a tree."""
    return make_set(data, tmp_path / "small")


@pytest.mark.parametrize("dialect", ["tree", "nodes", "flat"])
def test_a_set_is_equal_in_every_dialect(data: Path, tmp_path: Path, dialect: str) -> None:
    (verdict,) = check_set(make_set(data, tmp_path / dialect, dialect))
    assert (verdict.outcome, verdict.reasons, verdict.but) == (EQUAL, [], "")


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    file.write_text(text.replace(old, new), encoding="utf-8")


PLANTED = [
    ("price of a read", "ERT.yaml", "read, energy: 5.5", "read, energy: 5.50002"),
    ("dearest argument", "ERT.yaml", "energy: 100", "energy: 80"),
    ("price of a write", "ERT.yaml", "energy: 0.75", "energy: 0.5"),
    ("price of an update", "ERT.yaml", "- {name: update, energy: 6.5}", ""),
    ("price of a computation", "ERT.yaml", "energy: 1.25", "energy: 1.250003"),
    ("leakage", "ERT.yaml", "energy: 0.0625", "energy: 0.063"),
    ("factor elsewhere", "inputs/nest.yaml", "R=3 C2 K=1 P=1", "R=1 C2 K=1 P=1"),
    ("factor too many", "inputs/nest.yaml", "factors: P=4", "factors: P=4 R=3"),
    ("order", "inputs/nest.yaml", "permutation: RCKP", "permutation: CRKP"),
    ("outer order", "inputs/nest.yaml", "permutation: PK", "permutation: KP"),
    ("axis", "inputs/nest.yaml", "split: 1", "split: 2"),
    ("bypass", "inputs/nest.yaml", "keep: [X, Y], bypass: [W]", "keep: [X, Y]"),
    ("words of an access", "inputs/machine.yaml", "width: 64, word-bits: 16", "width: 32, word-bits: 16"),
    ("bits of a word", "inputs/machine.yaml", "block-size: 2, word-bits: 16", "block-size: 4, word-bits: 8"),
    ("capacity", "inputs/machine.yaml", "memory_depth: 64", "memory_depth: 65"),
    ("too small", "inputs/machine.yaml", "depth: 12", "depth: 11"),
    ("bandwidth", "inputs/machine.yaml", "read_bandwidth: 3", "read_bandwidth: 2"),
    ("bandwidth that limits nothing", "inputs/machine.yaml", "write_bandwidth: 4", "write_bandwidth: 5"),
    ("instances", "inputs/machine.yaml", "PE[0..7]", "PE[0..15]"),
    ("mesh", "inputs/machine.yaml", "datawidth: 16, meshX: 4, w", "datawidth: 16, meshX: 2, w"),
    ("class", "inputs/machine.yaml", "class: regfile", "class: latch"),
    ("cluster", "inputs/machine.yaml", "datawidth: 16, meshX: 4, w", "meshX: 4, cluster-size: 2, w"),
    ("coefficient", "inputs/layer.yaml", "Step: 2", "Step: 1"),
    ("bound", "inputs/layer.yaml", "K: 8", "K: 4"),
    ("projection", "inputs/layer.yaml", "[[[C]], [[K]], [[R]]]", "[[[C]], [[K]]]"),
    ("output", "inputs/layer.yaml", "        read-write: True\n", ""),
    ("rule of counting", "README", "2025", "2022"),
    ("rule of pricing", "README", "2025", "2020"),
]


@pytest.mark.parametrize(
    ("file", "old", "new"), [one[1:] for one in PLANTED], ids=[one[0] for one in PLANTED]
)
def test_a_planted_error_is_reported(small: Path, file: str, old: str, new: str) -> None:
    edit(small / file, old, new)
    (verdict,) = check_set(small)
    assert verdict.outcome in (DIFFERS, REFUSED)
    assert verdict.reasons


@pytest.mark.parametrize("file", ["ERT.yaml", "expected.json", *INPUTS.values()])
def test_a_dropped_file_is_reported(small: Path, file: str) -> None:
    (small / file).unlink()
    (verdict,) = check_set(small)
    assert verdict.outcome != EQUAL
    assert verdict.reasons


def numbers(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all numbers of exact output in nested data."""
    if isinstance(tree, dict):
        return [found for key, value in tree.items() for found in numbers(value, (*path, key))]
    if isinstance(tree, list):
        return [found for index, value in enumerate(tree) for found in numbers(value, (*path, index))]
    return [path] if isinstance(tree, int | float) else []


def _counts(output: dict[str, Any], path: tuple[Any, ...]) -> bool:
    """Say whether a number is one that has to agree: no mark, and not of a tensor that a level bypasses."""
    level = output["levels"][path[1]] if path[0] == "levels" else {}
    if "keep" in path or (level.get("name") == "MAC" and "stats" in path):
        return False
    by_tensor = len(path) == 5 and isinstance(path[-1], int)
    return not by_tensor or bool(level["exact"]["other"]["keep"][path[-1]])


def test_every_number_of_the_output_is_compared(small: Path) -> None:
    output = json.loads((small / "expected.json").read_text(encoding="utf-8"))
    compared = [path for path in numbers(output) if _counts(output, path)]
    assert len(compared) > 50
    for path in compared:
        wrong = json.loads(json.dumps(output))
        place = wrong
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] += 1 if isinstance(place[path[-1]], int) else max(0.02, 1e-4 * place[path[-1]])
        (small / "expected.json").write_text(json.dumps(wrong), encoding="utf-8")
        (verdict,) = check_set(small)
        assert verdict.outcome == DIFFERS, path


def test_energies_of_networks_are_missed(small: Path) -> None:
    output = json.loads((small / "expected.json").read_text(encoding="utf-8"))
    output["networks_exact"] = [{"energy": [0.0, 7.5, 0.0]}]
    (small / "expected.json").write_text(json.dumps(output), encoding="utf-8")
    (verdict,) = check_set(small)
    assert verdict.reasons == ["energy of networks: expected 7.5, found 0.0"]


def test_networks_are_compared_at_the_price_of_a_hop_that_the_output_states(small: Path) -> None:
    output = json.loads((small / "expected.json").read_text(encoding="utf-8"))
    machine = copy.deepcopy(MACHINE)
    near = machine["architecture"]["levels"][1]
    near["network"] = {"topology": "mesh", "hop_pj_per_bit": 0.025 / near["word_bits"], "sums": "stay"}
    specs = load_architecture(machine), load_problem(PROBLEM)
    sent = networks.evaluate(*specs, load_mapping(MAPPING, *specs))["networks"]
    energy = [sent["Near", tensor] for tensor in TENSORS]
    output["networks"] = {"0": {"raw": {"name": "Near <==> Regs"}, "tensors": {}}}
    output["networks_exact"] = [{"energy_per_hop": [0.025] * 3, "energy": energy}]

    def check() -> Any:
        (small / "expected.json").write_text(json.dumps(output), encoding="utf-8")
        (verdict,) = check_set(small)
        return verdict

    assert check().reasons == []
    assert min(energy) > 0
    output["networks_exact"][0]["energy"] = [energy[0], energy[1] * 1.00001, energy[2]]
    assert len(check().reasons) == 1
    output["networks_exact"] = [{"energy_per_hop": [0.026] * 3, "energy": energy}]
    assert len(check().reasons) == 3
    output["networks_exact"][0]["link_transfer_energy"] = [0, 1, 0]
    assert check().reasons[0].startswith("energy of networks: expected")


def test_outputs_that_a_set_calls_wrong_are_told_apart(small: Path) -> None:
    edit(small / "README", "rules: 2025", "rules: 2022\nknown: first fills are not charged here")
    (verdict,) = check_set(small)
    assert (verdict.outcome, verdict.but) == (KNOWN, "first fills are not charged here")


def test_the_nest_is_taken_from_the_output_where_there_is_no_mapping(small: Path) -> None:
    (small / INPUTS["nest"]).unlink()
    output = json.loads((small / "expected.json").read_text(encoding="utf-8"))
    nests = {
        "Far": ["for K in [0:2)", "for P in [0:2)"],
        "Near": [
            "for C in [0:2)",
            "for R in [0:3)",
            "for C in [0:2) (Spatial-Y)",
            "for K in [0:4) (Spatial-X)",
        ],
        "Regs": ["for P in [0:4)"],
    }
    for level in output["levels"]:
        level["loop_nest"] = nests.get(level["name"], [])
    (small / "expected.json").write_text(json.dumps(output), encoding="utf-8")
    (verdict,) = check_set(small)
    assert (verdict.outcome, verdict.reasons, verdict.but) == (EQUAL, [], "")


@pytest.mark.parametrize(
    ("damage", "status", "said"),
    [
        (Path.exists, 0, "1 equal, 0 differs, 0 refused"),
        (lambda folder: edit(folder / "ERT.yaml", "5.5", "5.6"), 1, "0 equal, 1 differs, 0 refused"),
        (lambda folder: (folder / "ERT.yaml").unlink(), 1, "0 equal, 0 differs, 1 refused"),
    ],
)
def test_the_script_exits_as_it_says(
    root: Path, small: Path, damage: Callable[[Path], Any], status: int, said: str
) -> None:
    damage(small)
    command = [sys.executable, str(root / "tools" / "check_timeloop.py"), "--strict", str(small.parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (status, "")
    assert said in done.stdout
    assert done.stdout.startswith({0: EQUAL, 1: DIFFERS if "1 differs" in said else REFUSED}[status])


def test_a_sparse_set_is_equal(tmp_path: Path) -> None:
    (verdict,) = check_set(make_sparse_set(tmp_path / "sparse"))
    assert (verdict.outcome, verdict.reasons, verdict.but) == (EQUAL, [], "")


def test_every_number_of_a_sparse_output_is_compared(tmp_path: Path) -> None:
    folder = make_sparse_set(tmp_path / "sparse")
    output = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    compared = [path for path in numbers(output) if _counts(output, path)]
    assert len(compared) > 50
    for path in compared:
        wrong = json.loads(json.dumps(output))
        place = wrong
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] += 2
        (folder / "expected.json").write_text(json.dumps(wrong), encoding="utf-8")
        (verdict,) = check_set(folder)
        assert verdict.outcome == DIFFERS, path


FORMAT = "      representation-format: {data-spaces: [{name: A, ranks: [{format: CP}]}]}\n"
PLANTED_IN_SPARSE = [
    ("density", "inputs/layer.yaml", "density: 0.25", "density: 0.5"),
    ("distribution", "inputs/layer.yaml", "distribution: fixed-structured", "distribution: banded"),
    ("kind", "inputs/sparse.yaml", "gating, target: B", "skipping, target: B"),
    ("target", "inputs/sparse.yaml", "gating, target: B", "gating, target: Z"),
    ("leader", "inputs/sparse.yaml", "target: B, condition-on: [A]", "target: B, condition-on: [Z]"),
    ("format", "inputs/sparse.yaml", "      action-", FORMAT + "      action-"),
    ("bits of an access", "inputs/machine.yaml", "64, width: 8", "64, width: 16"),
    ("price of gated reads", "ERT.yaml", "{name: write", "{name: gated_read, energy: 0.5}, {name: write"),
    ("rule of pricing", "README", "2025", "2022"),
]


@pytest.mark.parametrize(
    ("file", "old", "new"), [one[1:] for one in PLANTED_IN_SPARSE], ids=[one[0] for one in PLANTED_IN_SPARSE]
)
def test_an_error_planted_in_a_sparse_set_is_reported(tmp_path: Path, file: str, old: str, new: str) -> None:
    folder = make_sparse_set(tmp_path / "sparse")
    edit(folder / file, old, new)
    (verdict,) = check_set(folder)
    assert verdict.outcome in (DIFFERS, REFUSED)
    assert verdict.reasons


def test_reasons_of_one_kind_are_counted_together() -> None:
    refused = [
        Verdict("a", REFUSED, ["inputs/x.yaml:3:4: the class 'vault' of 'Near' is unknown"]),
        Verdict("b", REFUSED, ["ERT.yaml:13:7: the class 'tape' of 'Far' is unknown"]),
    ]
    assert {kind_of(one) for one in refused} == {"the class '...' of '...' is unknown"}
    differing = [Verdict("c", DIFFERS, [f"Near X reads: expected {n}, found {n + 0.5}"]) for n in (7, 12)]
    assert {kind_of(one) for one in differing} == {"Near X reads: expected #, found #"}


def change(folder: Path, **counts: list[float]) -> None:
    """Change counts of the first level of a set's output that holds tensors, and what they cost."""
    file = folder / "expected.json"
    output = json.loads(file.read_text(encoding="utf-8"))
    level = next(one for one in output["levels"] if one["exact"]["kind"] == "storage")
    level["exact"] |= counts
    file.write_text(json.dumps(output), encoding="utf-8")


def test_what_hangs_on_a_rounding_error_is_told_apart(tmp_path: Path) -> None:
    """Of 16 words 12 are gated, or 11 if the share is a little less; 10 is an error, as a 13th is."""
    folder = make_sparse_set(tmp_path / "sparse")
    change(folder, random_reads=[16, 5, 3], gated_reads=[0, 11, 12], energy=[32.0, 10.0, 3 * 2.0 + 4 * 3.0])
    (verdict,) = check_set(folder)
    assert verdict.outcome == ROUNDED
    assert len(verdict.reasons) == 3
    for gated in (10, 13):
        change(folder, random_reads=[16, 16 - gated, 3], gated_reads=[0, gated, 12])
        assert check_set(folder)[0].outcome == DIFFERS


def test_prices_that_no_table_has_are_those_of_the_output(small: Path) -> None:
    edit(small / "README", "rules: 2025", "rules: 2025\nenergies: that tool's own (no ERT)")
    (small / "ERT.yaml").unlink()
    (verdict,) = check_set(small)
    assert verdict.outcome == DIFFERS
    assert "that the output states" in verdict.but
    assert {reason.split(": ")[0].split()[-1] for reason in verdict.reasons} <= {"energy", "leakage", "uJ"}
