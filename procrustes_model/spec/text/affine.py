"""Sums of dimensions times constants: what an index of a tensor may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from procrustes_model.spec.text.expressions import Expression, ExpressionError, Number, cut, evaluate


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

    def _refuse(self, _: Any) -> Affine:
        raise _not_affine("a division or remainder")

    __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = _refuse

    def _refuse_function(self, *_: Any) -> Any:
        raise _not_affine("a power or function of a dimension")

    __abs__ = __ceil__ = __floor__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse_function


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
        raise ExpressionError(
            f"'{cut(expression.text)}' uses no dimension", "an index is a sum of dimensions"
        )
    if value.constant != 0:
        message = f"'{cut(expression.text)}' adds the constant {value.constant}"
        raise ExpressionError(message, "leave it out: an offset changes no tile and no count")
    for name, factor in value.coefficients.items():
        if factor != int(factor) or factor < 1:
            message = f"the coefficient of {name} in '{cut(expression.text)}' is {factor}"
            raise ExpressionError(message, "it must be a whole number of at least 1")
    return tuple((name, int(factor)) for name, factor in value.coefficients.items())
