"""Amounts of compute units that follow the bits of the operands, or the training phase.

An amount is a number, an expression over `w` and `x`, the bits of the two operands, or one of these by phase.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic_core import PydanticKnownError

from procrustes_model.spec.schema import PartError
from procrustes_model.spec.text.document import Document
from procrustes_model.spec.text.expressions import ExpressionError, evaluate, parse
from procrustes_model.spec.text.words import did_you_mean, shorten
from procrustes_model.spec.text.yaml_text import Path
from procrustes_model.spec.values import BY_KEY, Values, read_number
from procrustes_model.vocabulary import PHASES, Phase

WIDTHS = ("w", "x")
"""What expressions call the bits of the first and of the second operand of the phase."""

LARGEST_AMOUNT = 1e15

Amount = float | str
"""A number, or the text of an expression over `w` and `x`."""


def _number(value: Any) -> float:
    """Return a number from 0 to 1e15, or raise what pydantic says of one that is not."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise PydanticKnownError("float_type")
    if not math.isfinite(value):
        raise PydanticKnownError("finite_number")
    if value < 0:
        raise PydanticKnownError("greater_than_equal", {"ge": 0.0})
    if value > LARGEST_AMOUNT:
        raise PydanticKnownError("less_than_equal", {"le": LARGEST_AMOUNT})
    return float(value) + 0.0


def _amount(value: Any) -> Amount:
    """Return one amount; an expression without `w` and `x` as its value."""
    if not isinstance(value, str):
        return _number(value)
    try:
        expression = parse(value)
        found = evaluate(expression, dict.fromkeys(WIDTHS, 1))
    except ExpressionError as error:
        raise PartError((), error.message, error.hint) from None
    return value if expression.names else _number(float(found))


def _read(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return _amount(value)
    if not value:
        raise PartError(
            (), "no phase is given an amount", f"such as {{forward: 1.2}}, of {', '.join(PHASES)}"
        )
    found = {}
    for key, one in value.items():
        if key not in set(PHASES):
            raise PartError((key,), f"unknown phase '{str(key)[:60]}'", did_you_mean(str(key), PHASES))
        try:
            found[Phase(key)] = _amount(one)
        except PydanticKnownError:
            message = f"'{key}' must be a number from 0 to 1e15, is {shorten(one)}"
            raise PartError((key,), message) from None
    return found


ByWidth = Annotated[float | str | dict[Phase, float | str], BeforeValidator(_read)]
"""An amount, or amounts by phase."""


def read_by_width(value: Any, path: Path, names: Values, document: Document) -> Any:
    """Return an amount as written with the attributes that it uses in place; by phase where it is.

    Parameters
    ----------
    value : Any
    path : tuple
        Where it stands.
    names : dict
        Attributes; one that is called `w` or `x` hides the operand's bits.
    document : Document
        Gets the issues.
    """
    if isinstance(value, Mapping):
        return {key: read_by_width(one, (*path, key), names, document) for key, one in value.items()}
    if isinstance(value, str):
        try:
            expression = parse(value)
        except ExpressionError:
            expression = None  # what is wrong is said by what reads numbers
        free = [name for name in WIDTHS if expression and name in expression.names and name not in names]
        if expression and free:
            try:
                evaluate(expression, {**names, **dict.fromkeys(free, 1)})
            except ExpressionError as error:
                document.complain(path, error.message, error.hint, offset=error.offset)
                return 1
            return _substituted(value, {name: names[name] for name in expression.names if name in names})
    return read_number(value, path, names, document, BY_KEY.get(str(path[-1]), BY_KEY["energy_pj"]))


def _substituted(text: str, values: Mapping[str, float | str]) -> str:
    for name, value in values.items():
        text = re.sub(rf"\b{re.escape(name)}\b", f"({value!r})", text)
    return text.strip()


def amount_at(amount: Amount, widths: tuple[int, int] | None) -> float:
    """Return an amount for operands of some bits; None: they are not two operands.

    Raises
    ------
    ExpressionError
        Where the expression has no value there, or one below 0.
    """
    if not isinstance(amount, str):
        return amount
    if widths is None:
        hint = "it takes a problem with two operands"
        raise ExpressionError("'w' and 'x' are the bits of the two operands", hint)
    value = float(evaluate(parse(amount), dict(zip(WIDTHS, widths, strict=True))))
    if not 0 <= value <= LARGEST_AMOUNT:
        raise ExpressionError(f"{amount} is {value:g} for operands of {widths[0]} and {widths[1]} bits")
    return value


def in_phase(amount: float | str | Mapping[Phase, Amount], phase: Phase) -> Amount | None:
    """Return the amount of a phase; None where none is given."""
    return amount.get(phase) if isinstance(amount, Mapping) else amount
