"""Arithmetic that users may write in a specification, read from a whitelist of Python's grammar.

Nothing is ever run as Python. An expression is evaluated exactly over whole numbers and fractions; decimal
numbers are floats. `symbolic.to_sympy` turns one into sympy; evaluating does without, as importing sympy
takes 0.4 s.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from procrustes_model.spec.text.words import did_you_mean

MAX_CHARACTERS = 500
MAX_NODES = 200
MAX_DEPTH = 40
MAX_EXPONENT = 128
_MAX_BITS = 256
LARGEST = 2.0**_MAX_BITS

Number = int | float | Fraction

FUNCTIONS = ("min", "max", "ceil", "floor", "log2")
_UNREADABLE = re.compile(r"[^A-Za-z0-9_+*/%(),.\s-]")
OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
}


class ExpressionError(ValueError):
    """An expression that cannot be read or evaluated.

    Attributes
    ----------
    message, hint : str
        As in `Issue`.
    offset : int or None
        The character of the expression that is meant.
    """

    def __init__(self, message: str, hint: str | None = None, offset: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.offset = offset


@dataclass(frozen=True)
class Expression:
    """An expression that keeps to the whitelist.

    Attributes
    ----------
    text : str
        As written.
    tree : ast.expr
        Its parsed form.
    names : tuple of str
        The names it uses, in order of appearance.
    """

    text: str
    tree: ast.expr
    names: tuple[str, ...]


def parse(text: str) -> Expression:
    """Read an expression.

    Parameters
    ----------
    text : str
        Numbers, names, `+ - * / // % **`, parentheses, and min, max, ceil, floor, log2.

    Returns
    -------
    Expression

    Raises
    ------
    ExpressionError
        Where the text is anything else, or too long.
    """
    if len(text) > MAX_CHARACTERS:
        raise ExpressionError(
            f"the expression has {len(text)} characters", f"at most {MAX_CHARACTERS} are read"
        )
    strange = _UNREADABLE.search(text)
    if strange:
        raise ExpressionError(f"'{strange[0]}' is not allowed in an expression", _GRAMMAR, strange.start())
    start = len(text) - len(text.lstrip())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        offset = start + (error.offset or 1) - 1
        raise ExpressionError(f"'{cut(text)}' is not an expression", _GRAMMAR, offset) from None
    except (ValueError, MemoryError, RecursionError):
        raise ExpressionError(f"'{cut(text)}' is not an expression", _GRAMMAR) from None
    names: dict[str, None] = {}
    _check(tree, names, start, [MAX_NODES], MAX_DEPTH)
    return Expression(text, tree, tuple(names))


_GRAMMAR = f"numbers, names, + - * / // % **, parentheses and {', '.join(FUNCTIONS)} are read"


def _check(node: ast.expr, names: dict[str, None], start: int, budget: list[int], depth: int) -> None:
    """Raise unless the tree keeps to the whitelist; collect its names."""
    budget[0] -= 1
    offset = start + node.col_offset
    if budget[0] < 0 or depth < 0:
        raise ExpressionError("the expression is too large", "split it over several attributes", offset)
    children: list[ast.expr]
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        _bounded(node.value, offset)
        children = []
    elif isinstance(node, ast.Name):
        names[node.id] = None
        children = []
    elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        children = [node.left, node.right]
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.UAdd, ast.USub)):
        children = [node.operand]
    elif isinstance(node, ast.Call):
        children = _call_arguments(node, offset)
    else:
        raise ExpressionError(f"{_describe(node)} is not allowed in an expression", _GRAMMAR, offset)
    for child in children:
        _check(child, names, start, budget, depth - 1)


def _call_arguments(node: ast.Call, offset: int) -> list[ast.expr]:
    name = node.func.id if isinstance(node.func, ast.Name) else None
    if name not in FUNCTIONS:
        hint = did_you_mean(name, FUNCTIONS) if name else _GRAMMAR
        raise ExpressionError(f"unknown function '{cut(ast.unparse(node.func))}'", hint, offset)
    wanted = 2 if name in ("min", "max") else 1
    starred = any(isinstance(argument, ast.Starred) for argument in node.args)
    if node.keywords or starred or len(node.args) < wanted or (wanted == 1 and len(node.args) > 1):
        what = "at least two values" if wanted == 2 else "one value"
        raise ExpressionError(f"{name} takes {what}", None, offset)
    return node.args


def evaluate(expression: Expression, names: Mapping[str, Any]) -> Any:
    """Return the value of an expression.

    Parameters
    ----------
    expression : Expression
        What to evaluate.
    names : mapping of str to int, float, Fraction or Affine
        What the names stand for; anything with arithmetic of its own will do.

    Returns
    -------
    int, float, Fraction or Affine
        Whole results are int; division of whole numbers is exact.

    Raises
    ------
    ExpressionError
        For unknown names, division by zero, and values beyond 2^256.
    """
    start = len(expression.text) - len(expression.text.lstrip())
    return _evaluate(expression.tree, names, start)


def _evaluate(node: ast.expr, names: Mapping[str, Any], start: int) -> Any:
    offset = start + node.col_offset
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        if node.id not in names:
            raise ExpressionError(f"unknown name '{cut(node.id)}'", did_you_mean(node.id, names), offset)
        return names[node.id]
    try:
        if isinstance(node, ast.UnaryOp):
            operand = _evaluate(node.operand, names, start)
            value = -operand if isinstance(node.op, ast.USub) else operand
        elif isinstance(node, ast.BinOp):
            left = _evaluate(node.left, names, start)
            right = _evaluate(node.right, names, start)
            value = _binary(OPERATORS[type(node.op)], left, right)
        else:
            assert isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            arguments = [_evaluate(argument, names, start) for argument in node.args]
            value = _call(node.func.id, arguments)
    except ExpressionError as error:
        error.offset = offset if error.offset is None else error.offset
        raise
    except (OverflowError, ValueError, TypeError):
        raise ExpressionError(f"'{cut(ast.unparse(node))}' has no usable value", None, offset) from None
    return _bounded(value, offset)


def _binary(operator: str, left: Any, right: Any) -> Any:
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    if operator == "*":
        return left * right
    if operator == "**":
        return _power(left, right)
    if right == 0:
        raise ExpressionError("division by zero")
    if operator == "/":
        return Fraction(left) / right if isinstance(left, int) and isinstance(right, int) else left / right
    return left // right if operator == "//" else left % right


def _power(base: Any, exponent: Any) -> Any:
    if abs(exponent) > MAX_EXPONENT:
        raise ExpressionError(
            f"the exponent {cut(str(exponent))} is too large", f"at most {MAX_EXPONENT} is allowed"
        )
    if base == 0 and exponent < 0:
        raise ExpressionError("division by zero")
    if isinstance(base, int) and isinstance(exponent, int):
        return Fraction(base) ** exponent
    if base < 0 and exponent != int(exponent):
        raise ExpressionError("a root of a negative number")
    return base**exponent


def _call(name: str, arguments: list[Any]) -> Any:
    if name in ("min", "max"):
        return min(arguments) if name == "min" else max(arguments)
    (argument,) = arguments
    if name == "log2":
        if argument <= 0:
            raise ExpressionError("log2 of zero or less")
        return math.log2(argument)
    return math.ceil(argument) if name == "ceil" else math.floor(argument)


def _bounded(value: Any, offset: int) -> Any:
    """Return the value, whole ones as int, or raise where it is beyond all use."""
    if not isinstance(value, (int, float, Fraction)):
        return value
    if isinstance(value, Fraction) and value.denominator.bit_length() > _MAX_BITS:
        value = float(value)
    if not -LARGEST <= value <= LARGEST:
        raise ExpressionError("a value beyond 2^256, or not a number", None, offset)
    return int(value) if isinstance(value, Fraction) and value.denominator == 1 else value


def _describe(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return f"'{cut(str(node.value))}'"
    return f"'{cut(ast.unparse(node))}'"


def cut(text: str) -> str:
    """Return a text short enough for a message."""
    text = text.strip()
    return text if len(text) <= 60 else text[:57] + "..."
