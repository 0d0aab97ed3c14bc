"""Arithmetic that users may write in a specification, read from a whitelist of Python's grammar.

Nothing is ever run as Python. An expression is evaluated exactly over whole numbers and fractions (decimal
numbers are floats), or turned into sympy by `to_sympy`; plain evaluation does not import sympy, which takes 0.4 s.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import reduce
from typing import TYPE_CHECKING, Any

from procrustes_model.spec.words import did_you_mean

if TYPE_CHECKING:
    import sympy

MAX_CHARACTERS = 500
MAX_NODES = 200
MAX_DEPTH = 40
MAX_EXPONENT = 128
_MAX_BITS = 256
_LARGEST = 2.0**_MAX_BITS

Number = int | float | Fraction

FUNCTIONS = ("min", "max", "ceil", "floor", "log2")
_OPERATORS: dict[type[ast.operator], str] = {
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
        raise ExpressionError(f"the expression has {len(text)} characters", f"at most {MAX_CHARACTERS} are read")
    start = len(text) - len(text.lstrip())
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        offset = start + (error.offset or 1) - 1
        raise ExpressionError(f"'{_cut(text)}' is not an expression", _GRAMMAR, offset) from None
    except (ValueError, MemoryError, RecursionError):
        raise ExpressionError(f"'{_cut(text)}' is not an expression", _GRAMMAR) from None
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
    elif isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
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
        raise ExpressionError(f"unknown function '{_cut(ast.unparse(node.func))}'", hint, offset)
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
        What the names stand for.

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
            raise ExpressionError(f"unknown name '{_cut(node.id)}'", did_you_mean(node.id, names), offset)
        return names[node.id]
    try:
        if isinstance(node, ast.UnaryOp):
            operand = _evaluate(node.operand, names, start)
            value = -operand if isinstance(node.op, ast.USub) else operand
        elif isinstance(node, ast.BinOp):
            left = _evaluate(node.left, names, start)
            right = _evaluate(node.right, names, start)
            value = _binary(_OPERATORS[type(node.op)], left, right)
        else:
            assert isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            arguments = [_evaluate(argument, names, start) for argument in node.args]
            value = _call(node.func.id, arguments)
    except ExpressionError as error:
        error.offset = offset if error.offset is None else error.offset
        raise
    except (OverflowError, ValueError, TypeError):
        raise ExpressionError(f"'{_cut(ast.unparse(node))}' has no usable value", None, offset) from None
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
    if not isinstance(right, Affine) and right == 0:
        raise ExpressionError("division by zero")
    if operator == "/":
        return Fraction(left) / right if isinstance(left, int) and isinstance(right, int) else left / right
    return left // right if operator == "//" else left % right


def _power(base: Any, exponent: Any) -> Any:
    if isinstance(base, Affine) or isinstance(exponent, Affine):
        raise _not_affine("a power")
    if abs(exponent) > MAX_EXPONENT:
        raise ExpressionError(f"the exponent {_cut(str(exponent))} is too large", f"at most {MAX_EXPONENT} is allowed")
    if base == 0 and exponent < 0:
        raise ExpressionError("division by zero")
    if isinstance(base, int) and isinstance(exponent, int):
        return Fraction(base) ** exponent
    if base < 0 and exponent != int(exponent):
        raise ExpressionError("a root of a negative number")
    return base**exponent


def _call(name: str, arguments: list[Any]) -> Any:
    if any(isinstance(argument, Affine) for argument in arguments):
        raise _not_affine(name)
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
    if isinstance(value, Affine):
        return value
    if isinstance(value, Fraction) and value.denominator.bit_length() > _MAX_BITS:
        value = float(value)
    if not -_LARGEST <= value <= _LARGEST:
        raise ExpressionError("a value beyond 2^256, or not a number", None, offset)
    return int(value) if isinstance(value, Fraction) and value.denominator == 1 else value


@dataclass(frozen=True)
class Affine:
    """A sum of dimensions times constants, plus a constant: what a projection may be.

    Attributes
    ----------
    coefficients : dict of str to number
        By dimension, in order of appearance.
    constant : number
    """

    coefficients: dict[str, Number] = field(default_factory=dict)
    constant: Number = 0

    def _plus(self, other: Any, sign: int) -> Affine:
        other = other if isinstance(other, Affine) else Affine({}, other)
        total = dict(self.coefficients)
        for name, value in other.coefficients.items():
            total[name] = total.get(name, 0) + sign * value
        return Affine(total, self.constant + sign * other.constant)

    def _times(self, factor: Number) -> Affine:
        scaled = {name: value * factor for name, value in self.coefficients.items()}
        return Affine(scaled, self.constant * factor)

    def __add__(self, other: Any) -> Affine:
        return self._plus(other, 1)

    def __radd__(self, other: Any) -> Affine:
        return Affine({}, other)._plus(self, 1)

    def __sub__(self, other: Any) -> Affine:
        return self._plus(other, -1)

    def __rsub__(self, other: Any) -> Affine:
        return Affine({}, other)._plus(self, -1)

    def __neg__(self) -> Affine:
        return self._times(-1)

    def __mul__(self, other: Any) -> Affine:
        if isinstance(other, Affine):
            raise _not_affine("a product of dimensions")
        return self._times(other)

    def __rmul__(self, other: Any) -> Affine:
        return self._times(other)

    def __truediv__(self, other: Any) -> Affine:
        if isinstance(other, Affine):
            raise _not_affine("a division by a dimension")
        return self._times(1 / Fraction(other))

    def _refuse(self, other: Any) -> Affine:
        raise _not_affine("a division")

    __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = _refuse


def _not_affine(what: str) -> ExpressionError:
    return ExpressionError(f"{what} is not affine", "write a sum of dimensions, each times a whole number")


def affine_terms(
    expression: Expression, dimensions: list[str], coefficients: Mapping[str, int]
) -> tuple[tuple[str, int], ...]:
    """Return an index expression as (dimension, coefficient) pairs.

    Parameters
    ----------
    expression : Expression
        Such as `P*stride_h + R*dilation_h`.
    dimensions : list of str
        The problem's dimensions.
    coefficients : mapping of str to int
        The values of the other names.

    Returns
    -------
    tuple of (str, int)
        In order of appearance; every coefficient is positive.

    Raises
    ------
    ExpressionError
        Where it is not a sum of dimensions times positive whole numbers.
    """
    names: dict[str, Any] = {**coefficients, **{name: Affine({name: 1}) for name in dimensions}}
    value = evaluate(expression, names)
    if not isinstance(value, Affine) or not value.coefficients:
        raise ExpressionError(f"'{_cut(expression.text)}' uses no dimension", "an index is a sum of dimensions")
    if value.constant != 0:
        message = f"'{_cut(expression.text)}' adds the constant {value.constant}"
        raise ExpressionError(message, "leave it out: an offset changes no tile and no count")
    for name, factor in value.coefficients.items():
        if factor != int(factor) or factor < 1:
            message = f"the coefficient of {name} in '{_cut(expression.text)}' is {factor}"
            raise ExpressionError(message, "it must be a whole number of at least 1")
    return tuple((name, int(factor)) for name, factor in value.coefficients.items())


def to_sympy(expression: Expression) -> sympy.Expr:
    """Return an expression in sympy, names as positive integer symbols.

    Parameters
    ----------
    expression : Expression
        What to convert; it has passed the whitelist.

    Returns
    -------
    sympy.Expr
    """
    import sympy

    functions: dict[str, Callable[..., Any]] = {
        "min": sympy.Min,
        "max": sympy.Max,
        "ceil": sympy.ceiling,
        "floor": sympy.floor,
        "log2": lambda value: sympy.log(value, 2),
    }

    def convert(node: ast.expr) -> Any:
        if isinstance(node, ast.Constant):
            return sympy.Integer(node.value) if isinstance(node.value, int) else sympy.Float(str(node.value))
        if isinstance(node, ast.Name):
            return sympy.Symbol(node.id, integer=True, positive=True)
        if isinstance(node, ast.UnaryOp):
            return -convert(node.operand) if isinstance(node.op, ast.USub) else convert(node.operand)
        if isinstance(node, ast.BinOp):
            return _sympy_binary(sympy, _OPERATORS[type(node.op)], convert(node.left), convert(node.right))
        assert isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        return functions[node.func.id](*(convert(argument) for argument in node.args))

    return convert(expression.tree)


def _sympy_binary(sympy: Any, operator: str, left: Any, right: Any) -> Any:
    if operator == "//":
        return sympy.floor(left / right)
    if operator == "%":
        return sympy.Mod(left, right)
    if operator == "**":
        if right.is_number and abs(right) > MAX_EXPONENT:
            raise ExpressionError(f"the exponent {_cut(str(right))} is too large", f"at most {MAX_EXPONENT}")
        return left**right
    one = {"+": sympy.Add, "*": sympy.Mul}
    if operator in one:
        return reduce(one[operator], (left, right))
    return left - right if operator == "-" else left / right


def _describe(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return f"'{_cut(str(node.value))}'"
    return f"'{_cut(ast.unparse(node))}'"


def _cut(text: str) -> str:
    text = text.strip()
    return text if len(text) <= 60 else text[:57] + "..."
