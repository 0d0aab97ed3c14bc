"""Groups of n:m densities in a problem: what they run along, and how much of it they keep."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from procrustes_model.densities.structured import kept_along
from procrustes_model.spec.sparsity import Density

if TYPE_CHECKING:
    from procrustes_model.spec.problem import Problem, Term


def side_of(problem: Problem, rank: tuple[Term, ...]) -> int:
    """Return how many elements a tensor has along one of its ranks."""
    return problem.length(rank)


def rank_of_groups(problem: Problem, tensor: str, density: Density) -> tuple[Term, ...] | None:
    """Return the rank of a tensor that groups run along; None where there are no groups, or no such rank."""
    if density.along is None:
        return None
    ranks = (rank for one in problem.tensors if one.name == tensor for rank in one.ranks)
    return next((rank for rank in ranks if any(term.dimension == density.along for term in rank)), None)


def settle(density: Density, tensor: str, problem: Problem) -> Density:
    """Return what a density is in a problem: dense where groups do not divide and are then not pruned."""
    rank = rank_of_groups(problem, tensor, density)
    if density.short_groups != "dense" or density.group is None or rank is None:
        return density
    return density if side_of(problem, rank) % density.group == 0 else Density(model="dense")


def keeps(density: Density, tensor: str, problem: Problem, share: float) -> bool:
    """Say whether groups keep a stated share of a tensor: n/m, or what is kept of its own elements.

    Parameters
    ----------
    density : Density
    tensor : str
    problem : Problem
    share : float
        Nonzeros / elements.
    """
    rank = rank_of_groups(problem, tensor, density)
    if density.nonzeros is None or density.group is None or rank is None:
        return False
    length = side_of(problem, rank)
    kept = kept_along(density.nonzeros, density.group, length) / length
    return any(math.isclose(share, own, rel_tol=1e-9) for own in (density.nonzeros / density.group, kept))
