"""One search of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from procrustes_model.mapper.level_rules import Constraints
    from procrustes_model.mapper.request import Method
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.problem import Problem
    from procrustes_model.spec.zeros import Zeros


@dataclass(frozen=True)
class Way:
    """How a case is searched, as `SearchRequest` has it: by proof, among whole passes, unless stated."""

    method: Method = "optimal"
    mappings: int | None = None
    imperfect: bool = False
    effort: int | None = None


PROVEN = Way()


@dataclass(frozen=True, eq=False)
class Case:
    """One search. Layers that differ in nothing but their name share it.

    Attributes
    ----------
    key : str
        Hash of all that the result depends on: architecture, bounds and projections of the problem,
        constraints, objective, the sparse design in this phase, densities, masks, seed, and this program.
    architecture : Architecture
    problem : Problem
        Named by its shape and bounds.
    constraints : Constraints
    objective : str
    zeros : Zeros or None
        None: nothing is zero.
    seed : int
    way : Way
    """

    key: str
    architecture: Architecture
    problem: Problem
    constraints: Constraints
    objective: str
    zeros: Zeros | None
    seed: int
    way: Way = PROVEN

    @property
    def effort(self) -> float:
        """A guess of how long the search takes compared with others, so that the longest start first."""
        ways = 1.0
        for bound in self.problem.dimensions.values():
            ways *= sum(1 for factor in range(1, int(bound**0.5) + 1) if bound % factor == 0)
        return ways * (2 if self.zeros is not None else 1)
