"""Conditions that users may write, such as ``capacity <= '64 KB' and dataflow != 'CN'``.

Comparisons between the arithmetic of `expressions`, joined by ``and``, ``or`` and ``not``; texts stand in
quotes, and are numbers where they are amounts. Nothing is ever run as Python.
"""

from __future__ import annotations

import ast
import operator
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from procrustes_model.spec.text.amounts import QUANTITIES, split_unit
from procrustes_model.spec.text.expressions import MAX_CHARACTERS, ExpressionError, cut
from procrustes_model.spec.text.expressions import evaluate as evaluate_arithmetic
from procrustes_model.spec.text.expressions import parse as parse_arithmetic
from procrustes_model.spec.text.words import did_you_mean

_GRAMMAR = "a condition is like a <= 2 * b and c != 'text' or d in (1, 2)"
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_NUMBER = int | float | Fraction


@dataclass(frozen=True)
class Condition:
    """A condition that keeps to the grammar.

    Attributes
    ----------
    text : str
        As written.
    tree : ast.expr
        Its parsed form.
    """

    text: str
    tree: ast.expr

    def holds(self, names: Mapping[str, Any]) -> bool:
        """Say whether the condition is true.

        Parameters
        ----------
        names : mapping of str to Any
            What the names stand for: numbers, texts, of which amounts are numbers, or truth values.

        Raises
        ------
        ExpressionError
            For unknown names, and comparisons of what cannot be compared.
        """
        return _truth(self.tree, self.text, {name: as_number(value) for name, value in names.items()})


def parse_condition(text: str) -> Condition:
    """Read a condition.

    Raises
    ------
    ExpressionError
        When it is none.
    """
    text = text.strip()
    if len(text) > MAX_CHARACTERS:
        raise ExpressionError(
            f"the condition has {len(text)} characters", f"at most {MAX_CHARACTERS} are read"
        )
    if not text.isascii() or "\n" in text:
        raise ExpressionError(f"'{cut(text)}' is no condition", "write it in one line of ASCII")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise ExpressionError(f"'{cut(text)}' is no condition", _GRAMMAR, (error.offset or 1) - 1) from None
    except (ValueError, MemoryError, RecursionError):
        raise ExpressionError(f"'{cut(text)}' is no condition", _GRAMMAR) from None
    _check(tree, text)
    return Condition(text, tree)


def as_number(value: Any) -> Any:
    """Return an amount such as ``64 KB`` as a number in its base unit; anything else as it is."""
    if not isinstance(value, str) or (parts := split_unit(value)) is None:
        return value
    number, unit = parts
    scale = next((one.units[unit] for one in QUANTITIES.values() if unit in one.units), Fraction(1))
    try:
        return evaluate_arithmetic(parse_arithmetic(number), {}) * (scale or 1)
    except ExpressionError:
        return value


def _check(node: ast.expr, text: str) -> None:
    """Raise unless a tree keeps to the grammar."""
    if isinstance(node, ast.BoolOp):
        for one in node.values:
            _check(one, text)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        _check(node.operand, text)
    elif isinstance(node, ast.Compare):
        for sign in node.ops:
            if not isinstance(sign, (ast.In, ast.NotIn, *_COMPARISONS)):
                raise ExpressionError("'is' is not allowed in a condition", _GRAMMAR, node.col_offset)
        for one in (node.left, *node.comparators):
            _check_value(one, text)
    elif not isinstance(node, ast.Name):
        raise ExpressionError(f"'{cut(_segment(text, node))}' is no condition", _GRAMMAR, node.col_offset)


def _check_value(node: ast.expr, text: str) -> None:
    if isinstance(node, ast.Tuple | ast.List):
        for one in node.elts:
            _check_value(one, text)
    elif not _is_plain(node):
        _arithmetic(node, text)


def _is_plain(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str | bool)
    )


def _segment(text: str, node: ast.expr) -> str:
    return text[node.col_offset : node.end_col_offset]


def _arithmetic(node: ast.expr, text: str) -> Any:
    try:
        return parse_arithmetic(_segment(text, node))
    except ExpressionError as error:
        error.offset = node.col_offset + (error.offset or 0)
        raise


def _truth(node: ast.expr, text: str, names: Mapping[str, Any]) -> bool:
    if isinstance(node, ast.BoolOp):
        found = (_truth(one, text, names) for one in node.values)
        return all(found) if isinstance(node.op, ast.And) else any(found)
    if isinstance(node, ast.UnaryOp):
        return not _truth(node.operand, text, names)
    if isinstance(node, ast.Name):
        value = _value(node, text, names)
        if not isinstance(value, bool):
            raise ExpressionError(f"'{cut(node.id)}' is not true or false", _GRAMMAR, node.col_offset)
        return value
    assert isinstance(node, ast.Compare)
    values = [_value(one, text, names) for one in (node.left, *node.comparators)]
    return all(
        _compare(sign, values[number], values[number + 1], node) for number, sign in enumerate(node.ops)
    )


def _value(node: ast.expr, text: str, names: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Tuple | ast.List):
        return tuple(_value(one, text, names) for one in node.elts)
    if isinstance(node, ast.Name):
        if node.id not in names:
            hint = did_you_mean(node.id, names)
            raise ExpressionError(f"unknown name '{cut(node.id)}'", hint, node.col_offset)
        return names[node.id]
    if isinstance(node, ast.Constant) and isinstance(node.value, str | bool):
        return as_number(node.value)
    numbers = {name: value for name, value in names.items() if _is_number(value)}
    arithmetic = _arithmetic(node, text)
    try:
        return evaluate_arithmetic(arithmetic, numbers)
    except ExpressionError as error:
        wrong = next((name for name in arithmetic.names if name in names and name not in numbers), None)
        if wrong is not None:
            error.message, error.hint = f"'{cut(wrong)}' is no number", "compare texts with == or in"
        error.offset = node.col_offset + (error.offset or 0)
        raise


def _is_number(value: Any) -> bool:
    return isinstance(value, _NUMBER) and not isinstance(value, bool)


def _compare(sign: ast.cmpop, left: Any, right: Any, node: ast.expr) -> bool:
    if isinstance(sign, ast.In | ast.NotIn):
        if not isinstance(right, tuple):
            raise ExpressionError("'in' needs a list, such as in (1, 2)", _GRAMMAR, node.col_offset)
        return (left in right) is isinstance(sign, ast.In)
    if not isinstance(sign, ast.Eq | ast.NotEq) and not (_is_number(left) and _is_number(right)):
        wrong = left if not _is_number(left) else right
        raise ExpressionError(
            f"'{cut(str(wrong))}' is no number", "compare texts with == or in", node.col_offset
        )
    return _COMPARISONS[type(sign)](left, right)
