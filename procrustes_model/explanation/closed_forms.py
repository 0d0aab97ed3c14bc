"""A mapping's loop nest in symbols: extents, moves and transfers as closed forms in the loop bounds.

Written apart from the kernels, from the definitions in the documentation of the model, so that the two can
be held against each other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import sympy

if TYPE_CHECKING:
    from procrustes_model.spec.mapping import Mapping
    from procrustes_model.spec.problem import Problem, Tensor

Expr = Any  # sympy carries no types
Axis = Literal["temporal", "x", "y"]
Brings = Literal["whole tile", "new part", "nothing"]


class Gcd(sympy.Function):  # type: ignore[misc]
    """Greatest common divisor of integers; sympy's own is that of polynomials."""

    @classmethod
    def eval(cls, a: Expr, b: Expr) -> Expr:
        """Evaluate once both are numbers, or one is 1."""
        if a == 1 or b == 1:
            return sympy.Integer(1)
        if a.is_Integer and b.is_Integer:
            return sympy.Integer(math.gcd(int(a), int(b)))
        return None


@dataclass(frozen=True)
class Loop:
    """One loop of more than one iteration.

    Attributes
    ----------
    level : int
        Index of its storage level, 0 outermost.
    dimension : str
    axis : str
        ``temporal``, or the axis ``x`` or ``y`` of the fan-out below the level.
    bound : int
    symbol : sympy.Symbol
        Stands for the bound; named after dimension, level and axis.
    """

    level: int
    dimension: str
    axis: Axis
    bound: int
    symbol: Expr


@dataclass(frozen=True)
class Part:
    """A named number with the way it comes about.

    Attributes
    ----------
    symbol : sympy.Symbol
        Its name in the formulas of other parts.
    formula : sympy.Expr
        In loop bounds and in the symbols of `uses`.
    uses : tuple of Part
        The parts that stand in the formula.
    expression : sympy.Expr
        The same in loop bounds alone.
    value : int
        With the mapping's bounds put in.
    """

    symbol: Expr
    formula: Expr
    uses: tuple[Part, ...]
    expression: Expr
    value: int


@dataclass(frozen=True)
class Move:
    """What one temporal loop above a level does to the tile kept there.

    Attributes
    ----------
    loop : Loop
    times : int
        How often it steps in the whole run.
    brings : str
        ``whole tile``, ``new part`` (the rest overlaps the tile before) or ``nothing``.
    reason : str
        In words, with the loops that decide it; true at the mapping's bounds.
    """

    loop: Loop
    times: int
    brings: Brings
    reason: str


class SymbolicNest:
    """The loops of a mapping, each bound a symbol.

    Parameters
    ----------
    problem : Problem
    mapping : Mapping

    Attributes
    ----------
    loops : tuple of Loop
        Outermost first; within a level temporal, then x, then y. Loops of one iteration are left out.
    bounds : dict
        Symbol to bound.
    """

    def __init__(self, problem: Problem, mapping: Mapping) -> None:
        self._names: set[str] = set()
        self.bounds: dict[Expr, Expr] = {}
        loops: list[Loop] = []
        for index, level in enumerate(mapping.levels):
            groups: tuple[tuple[Axis, Iterable[Any]], ...] = (
                ("temporal", level.temporal),
                ("x", level.spatial_x),
                ("y", level.spatial_y),
            )
            for axis, group in groups:
                for loop in group:
                    if loop.factor > 1:
                        suffix = "" if axis == "temporal" else f"_{axis}"
                        symbol = self.symbol(f"{loop.dimension}_{level.level}{suffix}")
                        loops.append(Loop(index, loop.dimension, axis, loop.factor, symbol))
                        self.bounds[symbol] = sympy.Integer(loop.factor)
        self.loops = tuple(loops)
        self.dimensions = tuple(problem.dimensions)

    def symbol(self, name: str) -> Expr:
        """Return a new positive integer symbol called `name`, or nearly so where that is taken."""
        base = name = re.sub(r"\W", "_", name)
        number = 1
        while name in self._names:
            number += 1
            name = f"{base}_{number}"
        self._names.add(name)
        return sympy.Symbol(name, integer=True, positive=True)

    def part(self, name: str, formula: Expr, uses: Sequence[Part] = ()) -> Part:
        """Return `formula` as a part called `name`, with its value."""
        expression = sympy.sympify(formula).xreplace({one.symbol: one.expression for one in uses}).doit()
        return Part(self.symbol(name), formula, tuple(uses), expression, self.value(expression))

    def value(self, expression: Expr) -> int:
        """Return `expression`, of loop bounds alone, at the mapping's bounds."""
        number = sympy.sympify(expression).xreplace(self.bounds).doit()
        if not number.is_Integer:
            raise ValueError(f"{expression} is {number} at the bounds, not an integer")
        return int(number)

    def temporal_above(self, level: int) -> list[Loop]:
        """Return the temporal loops of the levels outside `level`, outermost first."""
        return [loop for loop in self.loops if loop.level < level and loop.axis == "temporal"]

    def fanout(self, level: int) -> list[Loop]:
        """Return the spatial loops of `level`."""
        return [loop for loop in self.loops if loop.level == level and loop.axis != "temporal"]

    def below(self, level: int) -> list[Loop]:
        """Return all loops of `level` and of the levels inside it."""
        return [loop for loop in self.loops if loop.level >= level]

    def extents(self, tensor: Tensor, loops: Sequence[Loop]) -> list[Expr]:
        """Return the extent of every rank of `tensor` while `loops` run."""
        extents = []
        for rank in tensor.ranks:
            # 1 + sum of c * (size - 1), with the constants drawn together.
            covered = [(term.coefficient, _covered(loops, term.dimension)) for term in rank]
            moving = [(coefficient, size) for coefficient, size in covered if size != 1]
            constant = 1 - sum(coefficient for coefficient, _ in moving)
            extents.append(total([*(product([coefficient, size]) for coefficient, size in moving), constant]))
        return extents

    def step(self, tensor: Tensor, loop: Loop) -> list[Expr]:
        """Return how far one step of `loop` moves the index of every rank of `tensor`."""
        inner = self.loops[self.loops.index(loop) + 1 :]
        return [
            coefficient_of(tensor, rank, loop.dimension) * _covered(inner, loop.dimension).doit()
            for rank in range(len(tensor.ranks))
        ]


def coefficient_of(tensor: Tensor, rank: int, dimension: str) -> int:
    """Return the coefficient of `dimension` in the index of `rank`; 0 where it does not occur."""
    return sum(term.coefficient for term in tensor.ranks[rank] if term.dimension == dimension)


def product(factors: Iterable[Expr]) -> Expr:
    """Return a product that keeps the order of its factors when printed."""
    kept = [arg for factor in factors if factor != 1 for arg in sympy.Mul.make_args(sympy.sympify(factor))]
    return kept[0] if len(kept) == 1 else sympy.Mul(*kept, evaluate=False)


def total(terms: Iterable[Expr]) -> Expr:
    """Return a sum that keeps the order of its terms when printed."""
    kept = [arg for term in terms if term != 0 for arg in sympy.Add.make_args(sympy.sympify(term))]
    return kept[0] if len(kept) == 1 else sympy.Add(*kept, evaluate=False)


def less_one(size: Expr) -> Expr:
    """Return ``size - 1``, printed that way round."""
    return sympy.Add(size, -1, evaluate=False)


def _covered(loops: Sequence[Loop], dimension: str) -> Expr:
    """Return how many indices of `dimension` the `loops` cover together."""
    return product([sympy.Integer(1), *(loop.symbol for loop in loops if loop.dimension == dimension)])
