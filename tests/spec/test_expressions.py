"""Expressions: exact values, affine indices, sympy, and nothing that runs code or for ever."""

from __future__ import annotations

import sys
from fractions import Fraction
from subprocess import run

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from procrustes_model.spec.text.affine import affine_terms
from procrustes_model.spec.text.expressions import ExpressionError, evaluate, parse
from procrustes_model.spec.text.symbolic import to_sympy

VALUES = [
    ("2 + 3 * 4", 14),
    ("(2 + 3) * 4", 20),
    ("depth * width / 8", 131072),
    ("7 / 2", Fraction(7, 2)),
    ("7 // 2 + 7 % 2", 4),
    ("-2 ** 2", -4),
    ("2 ** -1", Fraction(1, 2)),
    ("2 ** 0.5", 2**0.5),
    ("min(3, depth, 5) + max(1, 2)", 5),
    ("ceil(7 / 2) - floor(7 / 2)", 1),
    ("log2(depth)", 14),
    ("0.1 + 0.2", 0.1 + 0.2),
    (" 3", 3),
]


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_value(text: str, value: object) -> None:
    expression = parse(text)
    result = evaluate(expression, {"depth": 16384, "width": 64})
    assert result == value
    assert not isinstance(result, Fraction) or result.denominator > 1
    symbols = {sympy.Symbol("depth", integer=True, positive=True): 16384}
    symbols[sympy.Symbol("width", integer=True, positive=True)] = 64
    assert float(to_sympy(expression).subs(symbols)) == pytest.approx(float(result))


REFUSED = [
    "__import__('os').system('true')",
    "().__class__",
    "x.y",
    "x[0]",
    "lambda: 1",
    "[1, 2]",
    "1 if 2 else 3",
    "1 < 2",
    "x := 3",
    "f'{x}'",
    "True",
    "None",
    "1j",
    "'a'",
    "exec(1)",
    "min(*x)",
    "min(1, key=2)",
    "min(1)",
    "log2(1, 2)",
    "",
    " ",
    "1 +",
    "1; 2",
    "1\n2",
    "x & 1",
    "not x",
    "9" * 5000,
    "(" * 10_000 + ")" * 10_000,
    "(" * 240 + "1" + ")" * 240,
    "-" * 400 + "1",
    "1" + "+1" * 150,
    "1e999",
    "\u2460",
    "\ud800",
    "\0",
]


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse(text)


USELESS = ["9**9**9", "2**128**2", "(2**100)**100", "2.0**1024", "1/0", "1//0", "1%0", "0**-1", "(-8)**(1/3)"]


@pytest.mark.parametrize(
    "text", [*USELESS, "log2(0)", "log2(-1)", "y", "1e200*1e200", "(-8)**0.5", "2**(-200)"]
)
def test_no_value(text: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(parse(text), {"x": 1})


@pytest.mark.parametrize("text", ["9**9**9", "(2**100)**100", "((2**128)**128)**128", "1/0", "log2(0)"])
def test_sympy_is_bounded(text: str) -> None:
    with pytest.raises(ExpressionError):
        to_sympy(parse(text))


@settings(deadline=None)
@given(st.text(alphabet="0123456789xy+-*/%().,e minaxlog2cf", max_size=40))
def test_any_text_is_a_value_or_an_error(text: str) -> None:
    try:
        value = evaluate(parse(text), {"x": 3, "y": Fraction(1, 2)})
    except ExpressionError as error:
        value = len(error.message)
    assert isinstance(value, (int, float, Fraction))


AFFINE = [
    ("P", (("P", 1),)),
    ("P*stride + R*dilation", (("P", 2), ("R", 3))),
    ("stride*P + dilation*(R + P)", (("P", 5), ("R", 3))),
    ("P + R + P", (("P", 2), ("R", 1))),
    ("4*P/2 - P", (("P", 1),)),
    ("-(-P) + (R - 0)", (("P", 1), ("R", 1))),
    ("1 - (1 - P)", (("P", 1),)),
]


@pytest.mark.parametrize(("text", "terms"), AFFINE)
def test_affine(text: str, terms: tuple[tuple[str, int], ...]) -> None:
    assert affine_terms(parse(text), ["P", "R"], {"stride": 2, "dilation": 3}) == terms


@pytest.mark.parametrize(
    "text", ["P*R", "P**2", "P//2", "P%2", "P/R", "2/P", "min(P, R)", "ceil(P)", "P - P", "P/2", "3"]
)
def test_not_affine(text: str) -> None:
    with pytest.raises(ExpressionError):
        affine_terms(parse(text), ["P", "R"], {})


def test_evaluating_does_not_import_sympy() -> None:
    code = (
        "import sys; from procrustes_model.spec.load import load_problem; "
        "load_problem('vgg_s/conv3_2'); sys.exit('sympy' in sys.modules or 'numba' in sys.modules)"
    )
    assert run([sys.executable, "-c", code], check=False).returncode == 0
