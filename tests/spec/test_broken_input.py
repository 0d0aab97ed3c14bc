"""What users get wrong: every message with its line and column."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from procrustes_model.errors import SpecError
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.load import load_architecture, load_mapping, load_problem
from procrustes_model.spec.problem import Problem

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

GOOD_MAPPING = """\
mapping:
  levels:
    - level: DRAM
      temporal: M=2 K=3
      keep: [A, B, Z]
    - level: Buffer
      temporal: [K=4, N=3]
      spatial_x: M=4
      spatial_y: N=2
    - level: RegFile
"""

MAPPING_CASES = [
    ("temporal: M=2", "temporal: M=2 Q=2", 4, 21, "unknown dimension 'Q'", "choose from M, K, N"),
    ("M=2 K=3", "M=2 k=3", 4, 21, "unknown dimension 'k'", "did you mean 'K'?"),
    (
        "M=2 K=3",
        "M=2 K=6",
        4,
        7,
        "the factors of K multiply to 24, its bound is 12",
        "DRAM temporal K=6 -> K=3",
    ),
    (
        "M=2 K=3",
        "M=1 K=3",
        4,
        7,
        "the factors of M multiply to 4, its bound is 8",
        "one factor 2 times larger",
    ),
    (
        "M=2 K=3",
        "M=2 K=5",
        4,
        7,
        "the factors of K multiply to 20, its bound is 12",
        "DRAM temporal K=5 -> K=3",
    ),
    ("K=4, N=3", "K=5, N=3", 4, 7, "the factors of K multiply to 15", "Buffer temporal K=5 -> K=4"),
    ("M=2 K=3", "K=3", 8, 7, "the factors of M multiply to 4, its bound is 8", "spatial_x M=4 -> M=8"),
    ("M=2 K=3", "M=2 K=0", 4, 23, "the factor of K must be at least 1, is 0", None),
    ("M=2 K=3", "M=2 K=-3", 4, 23, "the factor of K must be at least 1, is -3", None),
    ("M=2 K=3", "M=2 K=x", 4, 23, "the factor of K must be a whole number, is 'x'", None),
    ("M=2 K=3", "M=2 K=.nan", 4, 23, "the factor of K must be a whole number", None),
    ("M=2 K=3", "M=2 K=4294967296", 4, 23, "the factor of K must be at most 2^31", None),
    ("M=2 K=3", f"M=2 K={'9' * 5000}", 4, 23, "the factor of K must be at most 2^31", None),
    ("M=2 K=3", "M=2 K", 4, 21, "'K' is not a loop", "a loop is written 'K=16'"),
    ("M=2 K=3", "M=2 K=3 M=1", 4, 25, "M stands twice among these loops", "merge them into M=2"),
    ("temporal: M=2 K=3", "temporal: {M: 2}", 4, 17, "loops are written 'C=8 K=16'", None),
    ("temporal: M=2", "temporall: M=2", 4, 7, "unknown key 'temporall'", "did you mean 'temporal'?"),
    ("level: Buffer", "level: Bufer", 6, 14, "unknown level 'Bufer' in small", "did you mean 'Buffer'?"),
    ("level: Buffer", "level: MAC", 6, 14, "unknown level 'MAC'", "the compute level has no loops"),
    ("level: RegFile", "level: DRAM", 10, 14, "duplicate level 'DRAM'", "merge the two"),
    (
        "    - level: RegFile",
        "    - temporal: K=1",
        10,
        7,
        "missing key 'level'",
        "choose from DRAM, Buffer, RegFile",
    ),
    ("    - level: RegFile", "    - RegFile", 10, 7, "a level must be 'key: value' pairs", "'- level: DRAM'"),
    ("[A, B, Z]", "[A, B]", 5, 13, "Z is kept only at Buffer, RegFile", "DRAM is outermost"),
    ("[A, B, Z]", "[A, B, Y]", 5, 20, "unknown tensor 'Y'", "choose from A, B, Z"),
    ("[A, B, Z]", "[A, B, b, Z]", 5, 20, "unknown tensor 'b'", "did you mean 'B'?"),
    ("[A, B, Z]", "[A, B, Z, A]", 5, 23, "duplicate tensor 'A'", None),
    ("[A, B, Z]", "A", 5, 13, "'keep' must be a list of tensors, is 'A'", "[A, B, Z]"),
    ("[A, B, Z]", "[A, B, Z]\n      bypass: []", 6, 7, "'keep' and 'bypass' are both given", None),
    ("keep: [A, B, Z]", "keep: [A, B, Z]\n      keep: []", 6, 7, "duplicate key 'keep'", "line 5 already"),
    (
        "spatial_x: M=4",
        "spatial_x: M=4 K=2",
        8,
        18,
        "needs 8 RegFile instances below each Buffer",
        "there are 4",
    ),
    (
        "level: RegFile",
        "level: RegFile\n      spatial_y: N=2",
        11,
        18,
        "needs 2 MAC instances",
        "there is 1",
    ),
    ("  levels:", "  level:", 2, 3, "unknown key 'level'", "did you mean 'levels'?"),
    ("mapping:", "mapping: 3\nx:", 1, 10, "'mapping' must be 'key: value' pairs, is 3", None),
]

GOOD_PROBLEM = """\
problem:
  name: layer
  shape: conv
  dimensions: {R: 3, S: 3, P: 7, Q: 7, C: 4, K: 8, N: 2}
  coefficients: {stride_h: 2}
"""

PROBLEM_CASES = [
    ("name: layer", "name: layer\n  description: 3", 3, 16, "'description' must be text, is 3", None),
    (
        "shape: conv",
        "shape: convv",
        3,
        10,
        "'convv' is neither a file nor a shape that ships",
        "did you mean 'conv'?",
    ),
    ("  shape: conv\n", "", 1, 1, "missing key 'shape'", "such as 'shape: conv'"),
    ("shape: conv", "shape: 3", 3, 10, "'shape' must be a name or 'key: value' pairs", None),
    ("N: 2", "n: 2", 4, 52, "unknown dimension 'n' for shape conv", "did you mean 'N'?"),
    (", N: 2", "", 4, 3, "missing dimension N of shape conv", "such as 'N: 1'"),
    ("N: 2", "N: 0", 4, 55, "the bound of N must be at least 1, is 0", None),
    ("N: 2", "N: two", 4, 55, "the bound of N must be a whole number, is 'two'", None),
    ("N: 2", "N: 2.0", 4, 55, "the bound of N must be a whole number, is 2.0", None),
    ("N: 2", "N: .nan", 4, 55, "the bound of N must be a whole number, is nan", None),
    ("N: 2", "N: 2147483649", 4, 55, "the bound of N must be at most 2^31", None),
    ("N: 2", "N: 2, N: 3", 4, 58, "duplicate key 'N'", "it stands in line 4 already"),
    (
        "C: 4, K: 8, N: 2",
        "C: 2147483648, K: 2147483648, N: 2",
        4,
        3,
        "the product of the bounds is more than",
        None,
    ),
    ("N: 2", "X: 2", 4, 52, "unknown dimension 'X' for shape conv", "its dimensions are R, S, P,"),
    (
        "name: layer",
        "name: layer\n  phase: forward",
        3,
        3,
        "a problem has no key 'phase'",
        "the shape says it",
    ),
    ("stride_h", "stride", 5, 18, "unknown coefficient 'stride'", "did you mean 'stride_h'?"),
    ("stride_h: 2", "stride_h: 0", 5, 28, "coefficient 'stride_h' must be at least 1, is 0", None),
    (
        "{R: 3, S: 3, P: 7, Q: 7, C: 4, K: 8, N: 2}",
        "[R]",
        4,
        15,
        "'dimensions' must be 'key: value' pairs",
        None,
    ),
]

SHAPE = """\
problem:
  name: custom
  dimensions: {A: 4, B: 6}
  shape:
    dimensions: [A, B]
    coefficients: {two: 2}
    tensors:
      X: {projection: [A, B]}
      Z: {projection: [A + two*B], output: true}
"""

SHAPE_CASES = [
    ("[A, B]}", "[A, A*B]}", 8, 27, "a product of dimensions is not affine", "write a sum of dimensions"),
    ("[A, B]}", "[A, A/B]}", 8, 27, "a division by a dimension is not affine", None),
    ("[A, B]}", "[A, B//2]}", 8, 27, "a division or remainder is not affine", None),
    ("[A, B]}", "[A, 2**B]}", 8, 27, "a power or function of a dimension is not affine", None),
    ("[A, B]}", '[A, "max(A, B)"]}', 8, 28, "a power or function of a dimension is not affine", None),
    (
        "[A, B]}",
        "[A, A - B]}",
        8,
        27,
        "the coefficient of B in 'A - B' is -1",
        "a whole number of at least 1",
    ),
    ("[A, B]}", "[A, B/2]}", 8, 27, "the coefficient of B in 'B/2' is 1/2", None),
    ("[A, B]}", "[A, B + 1]}", 8, 27, "'B + 1' adds the constant 1", "leave it out"),
    ("[A, B]}", "[A, 3]}", 8, 27, "'3' uses no dimension", None),
    ("[A, B]}", "[A, B + C]}", 8, 31, "unknown name 'C'", None),
    ("[A, B]}", "[A, B + towo]}", 8, 31, "unknown name 'towo'", "did you mean 'two'?"),
    ("[A, B]}", "[]}", 8, 23, "'projection' must be a list with one index per rank", None),
    (
        "{projection: [A, B]}",
        "{projetion: [A, B]}",
        8,
        11,
        "unknown key 'projetion'",
        "did you mean 'projection'?",
    ),
    ("{projection: [A, B]}", "[A, B]", 8, 10, "tensor 'X' must be 'key: value' pairs", None),
    (", output: true", "", 7, 5, "exactly one tensor must have 'output: true', none has it", None),
    (
        "[A, B]}",
        "[A, B], output: true}",
        7,
        5,
        "exactly one tensor must have 'output: true', X and Z have it",
        None,
    ),
    ("output: true", "output: yes", 9, 44, "'output' must be true or false, is 'yes'", None),
    ("dimensions: [A, B]", "dimensions: [A, B, A]", 5, 24, "duplicate dimension 'A'", None),
    ("dimensions: [A, B]", "dimensions: [A, B, 3]", 5, 24, "the name of a dimension must be letters", None),
    ("{two: 2}", "{two: -2}", 6, 25, "coefficient 'two' must be at least 1, is -2", None),
    ("{two: 2}", "{A: 2}", 6, 20, "coefficient 'A' is a dimension already", None),
    ("    dimensions: [A", "    phase: forwards\n    dimensions: [A", 5, 12, "unknown phase", "'forward'?"),
]

TEXT_CASES: list[tuple[str | bytes, int | None, int | None, str, str | None]] = [
    ("", None, None, "the file is empty", None),
    ("# nothing\n", None, None, "the file has no content", None),
    ("architecture:\n  name: é\n".encode("latin-1"), 2, 9, "not UTF-8: byte 0xe9", "save the file as UTF-8"),
    ("architecture:\n  name: \0\n", 2, 9, "control character 0x00", None),
    ("architecture:\n\tname: x\n", 2, 1, "a tab is used as indentation", "YAML indents with spaces"),
    (
        "architecture:\n  a: 1\n  a: 2\n  levels: 3\n",
        3,
        3,
        "duplicate key 'a'",
        "it stands in line 2 already",
    ),
    ("architecture: {}\n---\narchitecture: {}\n", 2, 1, "a second document starts here", None),
    ("- 1\n", 1, 1, "this is a list", "an architecture starts with 'architecture:'"),
    ("text", 1, 1, "this is 'text'", None),
    ("architecture: !!python/object/apply:os.abort []\n", 1, 15, "tag ", "tags are not allowed"),
    ("architecture: !x 3\n", 1, 15, "tag '!x'", "tags are not allowed"),
    ("a: &a [1]\nb: *a\n", 1, 4, "anchor '&a'", "anchors and aliases are not allowed"),
    ("b: *a\n", 1, 4, "alias '*a'", "anchors and aliases are not allowed"),
    ("architecture: " + "[" * 50_000, 1, 46, "nested more than 32 deep", None),
    ("architecture: " + "{a: " * 50_000, 1, None, "nested more than 32 deep", None),
    ("architecture: {? [1] : 2}\n", 1, 18, "a key must be plain text", None),
    (
        "architecture: name: x\n",
        1,
        19,
        "not YAML: mapping values are not allowed",
        "a second ': ' in one line",
    ),
    ('architecture: "x\n', 2, 1, "not YAML: found unexpected end of stream", None),
    ("architecture: [1, 2\n", 2, 1, "not YAML", None),
    ("architecture: " + "9" * 5000, 1, 15, "a number of 5000 characters", None),
    ("architecture: [" + "1," * 200_000 + "]", 1, None, "more than 100000 entries", None),
    ("#" * 2_000_000, None, None, "the file has 2 MB", "at most 1 MB are read"),
]


def check(
    load: Callable[[], Any], line: int | None, column: int | None, message: str, hint: str | None
) -> None:
    """Assert that loading raises an issue with this text at this place."""
    with pytest.raises(SpecError) as caught:
        load()
    found = [issue for issue in caught.value.issues if message in issue.message]
    assert found, f"not found in:\n{caught.value}"
    assert found[0].file is not None
    assert found[0].line == line
    if column is not None:
        assert found[0].column == column, found[0]
    if hint is not None:
        assert hint in (found[0].hint or "")


def change(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(("old", "new", "line", "column", "message", "hint"), ARCHITECTURE_CASES)
def test_architecture(old, new, line, column, message, hint, write) -> None:  # type: ignore[no-untyped-def]
    path = write(change(GOOD_ARCHITECTURE, old, new))
    check(lambda: load_architecture(path), line, column, message, hint)


@pytest.mark.parametrize(("old", "new", "line", "column", "message", "hint"), MAPPING_CASES)
def test_mapping(old, new, line, column, message, hint, write, architecture, problem) -> None:  # type: ignore[no-untyped-def]
    path = write(change(GOOD_MAPPING, old, new))
    check(lambda: load_mapping(path, architecture, problem), line, column, message, hint)


@pytest.mark.parametrize(("old", "new", "line", "column", "message", "hint"), PROBLEM_CASES)
def test_problem(old, new, line, column, message, hint, write) -> None:  # type: ignore[no-untyped-def]
    path = write(change(GOOD_PROBLEM, old, new))
    check(lambda: load_problem(path), line, column, message, hint)


@pytest.mark.parametrize(("old", "new", "line", "column", "message", "hint"), SHAPE_CASES)
def test_shape(old, new, line, column, message, hint, write) -> None:  # type: ignore[no-untyped-def]
    path = write(change(SHAPE, old, new))
    check(lambda: load_problem(path), line, column, message, hint)


@pytest.mark.parametrize(("text", "line", "column", "message", "hint"), TEXT_CASES)
def test_text(text, line, column, message, hint, write) -> None:  # type: ignore[no-untyped-def]
    path = write(text)
    check(lambda: load_architecture(path), line, column, message, hint)


def test_the_unbroken_texts_are_right(write, architecture: Architecture, problem: Problem) -> None:  # type: ignore[no-untyped-def]
    assert load_architecture(write(GOOD_ARCHITECTURE)).levels[1].capacity_words == 1024
    assert load_mapping(write(GOOD_MAPPING), architecture, problem).levels[2].keep == ("A", "B", "Z")
    assert load_problem(write(GOOD_PROBLEM)).dimensions["N"] == 2
    assert load_problem(write(SHAPE)).output.ranks[0][1].coefficient == 2


def test_every_independent_issue_is_reported_in_the_order_of_the_file(  # type: ignore[no-untyped-def]
    write, architecture: Architecture, problem: Problem
) -> None:
    text = change(GOOD_MAPPING, "M=2 K=3", "M=1 k=3")
    text = change(text, "spatial_y: N=2", "spatial_y: N=3")
    text = change(text, "level: RegFile", "level: RegFiles\n      kep: []")
    with pytest.raises(SpecError) as caught:
        load_mapping(write(text), architecture, problem)
    found = [(issue.line, issue.message.split(",")[0]) for issue in caught.value.issues]
    assert found == [
        (4, "the factors of M multiply to 4"),
        (4, "unknown dimension 'k'"),
        (7, "the factors of N multiply to 9"),
        (9, "spatial_y N=3 needs 3 RegFile instances below each Buffer"),
        (10, "unknown level 'RegFiles' in small"),
        (11, "unknown key 'kep'"),
    ]


@pytest.mark.parametrize(
    ("good", "load", "old", "new"),
    [
        (GOOD_ARCHITECTURE, load_architecture, "compute:", "computes:"),
        (GOOD_ARCHITECTURE, load_architecture, "read: 6", "reads: 6"),
        (GOOD_ARCHITECTURE, load_architecture, "name: Buffer", "nme: Buffer"),
        (GOOD_PROBLEM, load_problem, "dimensions:", "dimension:"),
        (GOOD_PROBLEM, load_problem, "problem:", "problems:"),
        (GOOD_PROBLEM, load_problem, "N: 2", "n: 2"),
        (SHAPE, load_problem, "tensors:", "tensor:"),
        (SHAPE, load_problem, "output: true", "output: yes"),
    ],
)
def test_one_slip_is_one_issue(good, load, old, new, write) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SpecError) as caught:
        load(write(change(good, old, new)))
    assert len(caught.value.issues) == 1


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("x: 1\n")
    with pytest.raises(SpecError, match=r"did you mean '.*spec\.yaml'"):
        load_architecture(tmp_path / "spc.yaml")
    with pytest.raises(SpecError, match="this is a directory"):
        load_architecture(tmp_path)
    for name in ("", "a\0b", "x" * 100_000, "no/such/place.yaml"):
        with pytest.raises(SpecError, match="neither a file nor an architecture that ships"):
            load_architecture(name)
    with pytest.raises(SpecError, match="not as int"):
        load_architecture(3)  # type: ignore[arg-type]


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("x: 1\n")

    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # chmod would not stop root
    with pytest.raises(SpecError, match="no permission to read this file"):
        load_architecture(path)


def test_data_from_python_is_named_by_path(architecture_data: dict[str, Any]) -> None:
    levels = architecture_data["architecture"]["levels"]
    levels[1]["capacity_words"] = float("nan")
    levels[2]["mesh_x"] = object()
    with pytest.raises(SpecError) as caught:
        load_architecture(architecture_data)
    text = str(caught.value)
    assert "architecture.levels[1].capacity_words: 'capacity_words' must be a whole number, is nan" in text
    assert "architecture.levels[2].mesh_x: object is not text" in text
    assert all(issue.line is None for issue in caught.value.issues)


def test_data_that_contains_itself() -> None:
    data: dict[str, Any] = {}
    data["architecture"] = data
    with pytest.raises(SpecError, match="nested too deep"):
        load_architecture(data)
