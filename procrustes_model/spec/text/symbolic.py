"""Expressions in sympy, for those who show or transform them; only these pay for importing it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from procrustes_model.spec.text.expressions import (
    LARGEST,
    MAX_EXPONENT,
    OPERATORS,
    Expression,
    ExpressionError,
    cut,
)

if TYPE_CHECKING:
    import sympy


def to_sympy(expression: Expression) -> sympy.Expr:
    """Return an expression in sympy, names as positive integer symbols.

    Parameters
    ----------
    expression : Expression
        What to convert; it has passed the whitelist.

    Returns
    -------
    sympy.Expr

    Raises
    ------
    ExpressionError
        For numbers beyond 2^256, so that no power grows without end.
    """
    import sympy

    return _convert(expression.tree, sympy)


def _convert(node: ast.expr, sympy: Any) -> Any:
    if isinstance(node, ast.Constant):
        return sympy.Integer(node.value) if isinstance(node.value, int) else sympy.Float(str(node.value))
    if isinstance(node, ast.Name):
        return sympy.Symbol(node.id, integer=True, positive=True)
    if isinstance(node, ast.UnaryOp):
        operand = _convert(node.operand, sympy)
        return -operand if isinstance(node.op, ast.USub) else operand
    if isinstance(node, ast.BinOp):
        left, right = _convert(node.left, sympy), _convert(node.right, sympy)
        value = _binary(OPERATORS[type(node.op)], left, right, sympy)
    else:
        assert isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        value = _call(node.func.id, [_convert(argument, sympy) for argument in node.args], sympy)
    if value.is_number and not (value.is_real and abs(value) <= LARGEST):
        raise ExpressionError(f"'{cut(ast.unparse(node))}' has no usable value")
    return value


def _binary(operator: str, left: Any, right: Any, sympy: Any) -> Any:
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    if operator == "*":
        return left * right
    if operator == "/":
        return left / right
    if operator == "//":
        return sympy.floor(left / right)
    if operator == "%":
        return sympy.Mod(left, right)
    if right.is_number and abs(right) > MAX_EXPONENT:
        raise ExpressionError(
            f"the exponent {cut(str(right))} is too large", f"at most {MAX_EXPONENT} is allowed"
        )
    return left**right


def _call(name: str, arguments: list[Any], sympy: Any) -> Any:
    if name == "log2":
        return sympy.log(arguments[0], 2)
    functions = {"min": sympy.Min, "max": sympy.Max, "ceil": sympy.ceiling, "floor": sympy.floor}
    return functions[name](*arguments)
