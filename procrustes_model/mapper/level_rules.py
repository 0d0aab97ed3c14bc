"""Constraints on mappings, level by level."""

from __future__ import annotations

from dataclasses import dataclass, field

KINDS = ("temporal", "spatial_x", "spatial_y")


@dataclass(frozen=True)
class FactorRule:
    """A bound on one factor.

    Attributes
    ----------
    dimension : str
    relation : str
        '=', '<=' or '>='.
    value : int
    """

    dimension: str
    relation: str
    value: int

    def allows(self, factor: int) -> bool:
        """Say whether `factor` obeys the rule."""
        if self.relation == "=":
            return factor == self.value
        return factor <= self.value if self.relation == "<=" else factor >= self.value

    def __str__(self) -> str:
        return f"{self.dimension}{self.relation}{self.value}"


@dataclass(frozen=True)
class LoopRules:
    """Rules for the loops of one kind at one level.

    Attributes
    ----------
    factors : tuple of FactorRule
    dimensions : tuple of str, optional
        The only dimensions that may have a loop; None means any.
    order : tuple of str
        Dimensions in the order in which their loops must nest, outermost first; others stand anywhere.
    """

    factors: tuple[FactorRule, ...] = ()
    dimensions: tuple[str, ...] | None = None
    order: tuple[str, ...] = ()


@dataclass(frozen=True)
class LevelRules:
    """Rules for one level.

    Attributes
    ----------
    level : str
    loops : dict
        'temporal', 'spatial_x', 'spatial_y' to `LoopRules`.
    keep, bypass : tuple of str
        Tensors that must, or must not, be kept; the others are free.
    """

    level: str
    loops: dict[str, LoopRules] = field(default_factory=dict)
    keep: tuple[str, ...] = ()
    bypass: tuple[str, ...] = ()


@dataclass(frozen=True)
class Constraints:
    """All rules that a search obeys.

    Attributes
    ----------
    levels : tuple of LevelRules
    min_utilization : float
        Least share of the compute units that a mapping must use.
    name : str
    """

    levels: tuple[LevelRules, ...] = ()
    min_utilization: float = 0.0
    name: str = "constraints"
