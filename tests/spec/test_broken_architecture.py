"""Wrong architectures: every message with its line and column."""

from __future__ import annotations

import pytest

from procrustes_model.errors import SpecError
from procrustes_model.spec.load import load_architecture
from tests.broken import change, check

GOOD_ARCHITECTURE = """\
architecture:
  name: small
  attributes: {pes: 4, note: 45nm}
  levels:
    - name: DRAM
      word_bits: 16
      energy_pj: {read: 100, write: 100}
    - name: Buffer
      word_bits: 16
      capacity: 2 KB
      energy_pj: {read: 6, write: 7}
    - name: RegFile
      mesh_x: pes
      mesh_y: 2
      word_bits: 16
      energy_pj: {read: 1, write: 1}
  compute: {energy_pj: 1}
"""

# replace this, by that; line, column, message, hint
ARCHITECTURE_CASES = [
    ("architecture:", "architectur:", 1, 1, "unknown key 'architectur'", "did you mean 'architecture'?"),
    ("architecture:", "problem:", 1, 1, "this describes a problem", "an architecture starts with"),
    ("  name: small\n", "", 1, 1, "missing key 'name'", None),
    ("  name: small\n", "  name: 3\n", 2, 9, "'name' must be text", None),
    ("compute:", "computes:", 17, 3, "unknown key 'computes'", "did you mean 'compute'?"),
    ("levels:", "leves:", 4, 3, "unknown key 'leves'", "did you mean 'levels'?"),
    (
        "      word_bits: 16\n      cap",
        "      word_bitz: 16\n      cap",
        9,
        7,
        "unknown key 'word_bitz'",
        "word_bits",
    ),
    ("name: RegFile", "name: Buffer", 12, 13, "the name 'Buffer' stands above already", "rename"),
    ("  levels:", "  bits: {A: 0}\n  levels:", 4, 13, "'A' must be at least 1, is 0", None),
    ("  levels:", "  bits: {A: pess}\n  levels:", 4, 13, "unknown name 'pess'", "did you mean 'pes'?"),
    ("  levels:", "  bits: 4\n  levels:", 4, 9, "'bits' must be 'key: value' pairs, is 4", None),
    ("mesh_y: 2", "mesh_y: 2.5", 14, 15, "'mesh_y' must be a whole number, is 2.5", None),
    ("mesh_y: 2", "mesh_y: true", 14, 15, "'mesh_y' must be a whole number, is true", None),
    ("mesh_y: 2", "mesh_y: [2]", 14, 15, "'mesh_y' must be a whole number, is a list of 1 item", None),
    ("mesh_y: 2", "mesh_y: 0", 14, 15, "'mesh_y' must be at least 1, is 0", None),
    ("mesh_y: 2", "mesh_y: -2", 14, 15, "'mesh_y' must be at least 1, is -2", None),
    ("mesh_y: 2", "mesh_y: 4294967296", 14, 15, "'mesh_y' must be at most 2147483648", None),
    ("mesh_y: 2", "mesh_y: 3:20", 14, 16, "':' is not allowed in an expression", None),
    ("mesh_y: 2", "mesh_y:", 14, 14, "'mesh_y' must be a whole number, is empty", None),
    ("mesh_x: pes", "mesh_x: pess", 13, 15, "unknown name 'pess'", "did you mean 'pes'?"),
    ("mesh_x: pes", "mesh_x: 2 * pess", 13, 19, "unknown name 'pess'", "did you mean 'pes'?"),
    ("mesh_x: pes", "mesh_x: note", 13, 15, "attribute 'note' is the text '45nm', not a number", None),
    ("mesh_x: pes", "mesh_x: pes / 3", 13, 15, "'mesh_x' must be a whole number", None),
    ("mesh_x: pes", "mesh_x: pes / 0", 13, 15, "division by zero", None),
    ("mesh_x: pes", "mesh_x: 9**9**9", 13, 15, "the exponent 387420489 is too large", None),
    ("mesh_x: pes", f"mesh_x: {'(' * 10_000}1", 13, 15, "the expression has 10001 characters", None),
    ("mesh_x: pes", f"mesh_x: {'(' * 240}1{')' * 240}", 13, None, "is not an expression", None),
    ("mesh_x: pes", "mesh_x: exit()", 13, 15, "unknown function 'exit'", None),
    ("mesh_x: pes", "mesh_x: pes.real", 13, 15, "'pes.real' is not allowed in an expression", None),
    ("read: 6", "read: .nan", 11, 25, "'read' must be a finite number, is nan", None),
    ("read: 6", "read: -.inf", 11, 25, "'read' must be", None),
    ("read: 6", "read: -1", 11, 25, "'read' must be at least 0, is -1", None),
    ("read: 6", "read: 1e300", 11, 25, "'read' must be at most", None),
    ("read: 6", "reads: 6", 11, 19, "unknown key 'reads'", "did you mean 'read'?"),
    (
        "{read: 6, write: 7}",
        "6",
        11,
        18,
        "'energy_pj' must be 'key: value' pairs, is 6",
        "read, write, update",
    ),
    ("energy_pj: {read: 6", "energy: {read: 6", 11, 7, "unknown key 'energy'", "did you mean 'energy_pj'?"),
    ("write: 7}", "}", 11, 7, "missing key 'write'", "pJ per write"),
    ("capacity: 2 KB", "capacty: 2 KB", 10, 7, "unknown key 'capacty'", "did you mean 'capacity'?"),
    (
        "capacity: 2 KB",
        "capacity_words: 2 KB",
        10,
        23,
        "'capacity_words' must be a number without a unit, is '2 KB'",
        "write 'capacity: 2 KB'",
    ),
    ("2 KB", "1.5 words", 10, 17, "the capacity 1.5 words is 1.5 words", "it must be a whole number"),
    ("{energy_pj: 1}", "{energy_pj: 1}\n  components: 3", 18, 15, "'components' must be a list, is 3", None),
    ("{energy_pj: 1}", "{energy_pj: 1}\n  components: [3]", 18, 16, "a component must be 'key: value'", None),
    (
        "{energy_pj: 1}",
        "{energy_pj: 1}\n  components: [{name: U, use: {level: DRM, action: read}}]",
        18,
        39,
        "no level 'DRM' for the action 'read'",
        "did you mean 'DRAM'?",
    ),
    (
        "{energy_pj: 1}",
        "{energy_pj: 1}\n  components: [{name: U, use: {level: DRAM, action: compute}}]",
        18,
        39,
        "no level 'DRAM' for the action 'compute'",
        "choose from MAC",
    ),
    (
        "{energy_pj: 1}",
        "{energy_pj: 1}\n  components: [{name: DRAM}]",
        18,
        23,
        "the name 'DRAM' stands",
        "rename",
    ),
    ("name: DRAM", "name: DRAM\n      tensors: [A, 3]", 6, 20, "item 2 of 'tensors' must be text", None),
    ("pes: 4", "pes: 3 +", 13, 15, "attribute 'pes' is the text '3 +', not a number", "stand before it"),
    ("pes: 4", "if: 4", 3, 16, "the name of attribute 'if' must be letters", None),
    ("2 KB", "2", 10, 17, "'capacity' must be a number and a unit", "such as '128 KB'"),
    ("2 KB", "2 kiB", 10, 17, "'capacity' must be a number and a unit", "such as '128 KB'"),
    ("2 KB", "3 B", 10, 17, "the capacity 3 B is 1.5 words of 16 bits", "whole number"),
    ("2 KB", "0 KB", 10, 17, "the capacity 0 KB is 0 words", "whole number"),
    ("2 KB", "1e9 GB", 10, 17, "the capacity 1e9 GB is", "whole number from 1 to 2147483648"),
    ("2 KB", "2 KB\n      capacity_words: 3", 10, 7, "'capacity' and 'capacity_words' are both given", None),
    (
        "mesh_y: 2",
        "mesh_y: 2147483648",
        1,
        1,
        "the meshes multiply to 8589934592 compute units, more than 2147483648",
        None,
    ),
    ("{energy_pj: 1}", "{}", 17, 3, "missing key 'energy_pj'", "pJ per computation"),
    ("{energy_pj: 1}", "1", 17, 12, "'compute' must be 'key: value' pairs, is 1", "such as"),
    (
        "    - name: DRAM\n",
        "    - 7\n    - name: DRAM\n",
        5,
        7,
        "a storage level must be 'key: value' pairs, is 7",
        None,
    ),
    ("name: DRAM", "name: DRAM\n      tensors: Weights", 6, 16, "'tensors' must be a list", None),
]


@pytest.mark.parametrize(("old", "new", "line", "column", "message", "hint"), ARCHITECTURE_CASES)
def test_architecture(old, new, line, column, message, hint, write) -> None:  # type: ignore[no-untyped-def]
    path = write(change(GOOD_ARCHITECTURE, old, new))
    check(lambda: load_architecture(path), line, column, message, hint)


def test_the_unbroken_text_is_right(write) -> None:  # type: ignore[no-untyped-def]
    assert load_architecture(write(GOOD_ARCHITECTURE)).levels[1].capacity_words == 1024


@pytest.mark.parametrize(
    ("old", "new"),
    [("compute:", "computes:"), ("read: 6", "reads: 6"), ("name: Buffer", "nme: Buffer")],
)
def test_one_slip_is_one_issue(old: str, new: str, write) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SpecError) as caught:
        load_architecture(write(change(GOOD_ARCHITECTURE, old, new)))
    assert len(caught.value.issues) == 1
