"""Wrong mappings: every message with its line and column."""

from __future__ import annotations

import pytest

from procrustes_model.errors import SpecError
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.load import load_mapping
from procrustes_model.spec.problem import Problem
from tests.broken import change, check

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


@pytest.mark.parametrize(("old", "new", "line", "column", "message", "hint"), MAPPING_CASES)
def test_mapping(old, new, line, column, message, hint, write, architecture, problem) -> None:  # type: ignore[no-untyped-def]
    path = write(change(GOOD_MAPPING, old, new))
    check(lambda: load_mapping(path, architecture, problem), line, column, message, hint)


def test_the_unbroken_text_is_right(write, architecture: Architecture, problem: Problem) -> None:  # type: ignore[no-untyped-def]
    assert load_mapping(write(GOOD_MAPPING), architecture, problem).levels[2].keep == ("A", "B", "Z")


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
