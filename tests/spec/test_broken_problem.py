"""Wrong problems and shapes: every message with its line and column."""

from __future__ import annotations

import pytest

from procrustes_model.errors import SpecError
from procrustes_model.spec.load import load_problem
from tests.broken import change, check

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
    ("{two: 2}", "{two: 2, pad: 1}", 6, 28, "no projection uses the coefficient 'pad'", None),
    ("two*B", "towo*B", 9, 28, "unknown name 'towo'", "did you mean 'two'?"),
    ("{two: 2}", "{A: 2}", 6, 20, "coefficient 'A' is a dimension already", None),
    ("    dimensions: [A", "    phase: forwards\n    dimensions: [A", 5, 12, "unknown phase", "'forward'?"),
]


@pytest.mark.parametrize(("old", "new", "line", "column", "message", "hint"), PROBLEM_CASES)
def test_problem(old, new, line, column, message, hint, write) -> None:  # type: ignore[no-untyped-def]
    path = write(change(GOOD_PROBLEM, old, new))
    check(lambda: load_problem(path), line, column, message, hint)


@pytest.mark.parametrize(("old", "new", "line", "column", "message", "hint"), SHAPE_CASES)
def test_shape(old, new, line, column, message, hint, write) -> None:  # type: ignore[no-untyped-def]
    path = write(change(SHAPE, old, new))
    check(lambda: load_problem(path), line, column, message, hint)


def test_the_unbroken_texts_are_right(write) -> None:  # type: ignore[no-untyped-def]
    assert load_problem(write(GOOD_PROBLEM)).dimensions["N"] == 2
    assert load_problem(write(SHAPE)).output.ranks[0][1].coefficient == 2


@pytest.mark.parametrize(
    ("good", "old", "new"),
    [
        (GOOD_PROBLEM, "dimensions:", "dimension:"),
        (GOOD_PROBLEM, "problem:", "problems:"),
        (GOOD_PROBLEM, "N: 2", "n: 2"),
        (SHAPE, "tensors:", "tensor:"),
        (SHAPE, "output: true", "output: yes"),
    ],
)
def test_one_slip_is_one_issue(good: str, old: str, new: str, write) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SpecError) as caught:
        load_problem(write(change(good, old, new)))
    assert len(caught.value.issues) == 1
