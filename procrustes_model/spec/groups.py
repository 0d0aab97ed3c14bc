"""Groups of n:m densities in a problem: what they run along, and how much of it they keep."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from procrustes_model.densities.structured import kept_along
from procrustes_model.spec.density import Density

if TYPE_CHECKING:
    from procrustes_model.spec.problem import Problem, Term


def side_of(problem: Problem, rank: tuple[Term, ...]) -> int:
    """Return how many elements a tensor has along one of its ranks."""
    return problem.length(rank)


def ranks_of_groups(problem: Problem, tensor: str, density: Density) -> tuple[tuple[Term, ...], ...]:
    """Return the ranks of a tensor that groups run through, the last one fastest; none if one is missing."""
    along = density.along if isinstance(density.along, tuple) else (density.along,)
    ranks = [rank for one in problem.tensors if one.name == tensor for rank in one.ranks]
    found = [
        next((rank for rank in ranks if any(term.dimension == name for term in rank)), None) for name in along
    ]
    return () if None in found else tuple(rank for rank in found if rank is not None)


def settle(density: Density, tensor: str, problem: Problem) -> Density:
    """Return what a density is in a problem: dense where groups do not divide and are then not pruned."""
    length = _length(problem, tensor, density)
    if density.short_groups != "dense" or length is None:
        return density
    block = math.prod(m for _, m in density.levels)
    return density if length % block == 0 else Density(model="dense")


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
    length = _length(problem, tensor, density)
    if not density.levels or length is None:
        return False
    shares = [density.average or 0.0]
    if len(density.levels) == 1:
        shares.append(kept_along(*density.levels[0], length) / length)
    return any(math.isclose(share, own, rel_tol=1e-9) for own in shares)


def share_of(density: Density, tensor: str, problem: Problem) -> float:
    """Return nonzeros / elements of a tensor in a problem: of groups, what they keep of its own elements.

    Of a mask, or of groups of blocks that do not divide the tensor, the share is that of whole ones; 1 where
    nothing is known.
    """
    density = settle(density, tensor, problem)
    length = _length(problem, tensor, density)
    if length is not None and len(density.levels) == 1:
        return kept_along(*density.levels[0], length) / length
    return 1.0 if density.average is None else density.average


def _length(problem: Problem, tensor: str, density: Density) -> int | None:
    """Return how many elements groups run through; None where there are no groups, or no such ranks."""
    ranks = ranks_of_groups(problem, tensor, density)
    return math.prod(side_of(problem, rank) for rank in ranks) if ranks else None
