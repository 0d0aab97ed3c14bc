"""Positions that a level hands out: which loops can, and what is wrong where they cannot."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from procrustes_model.kernels.dense.arrays import BAD_DESIGN, OK, Ints, NestArrays, ProblemArrays
from procrustes_model.kernels.sparse.arrays import HYPERGEOMETRIC, DensityArrays, PackArrays

if TYPE_CHECKING:
    from procrustes_model.spec.mapping import Mapping
    from procrustes_model.spec.problem import Problem


def refuse_repeated(
    problem: ProblemArrays, densities: DensityArrays, pack: PackArrays, nests: NestArrays, status: Ints
) -> None:
    """Set BAD_DESIGN where loops hand out an element several times, as those of a window that slides do.

    Where the use of units is a mean, as in Timeloop, only where more are handed out than may be drawn.

    Parameters
    ----------
    problem : ProblemArrays
    densities : DensityArrays
    pack : PackArrays
    nests : NestArrays
    status : int64[N]
    """
    for level, t in zip(pack.level.tolist(), pack.target.tolist(), strict=True):
        factors = nests.temporal[:, level] * nests.spatial[:, level].prod(axis=1)
        positions = factors[:, problem.rank[t] >= 0].prod(axis=1)
        repeated = (positions > densities.size[t]) & (densities.model[t] == HYPERGEOMETRIC)
        if not pack.mean:
            for rank in np.unique(problem.rank[t][problem.rank[t] >= 0]):
                own = problem.rank[t] == rank
                extent = 1 + ((factors[:, own] - 1) * problem.coefficient[t, own]).sum(axis=1)
                repeated |= factors[:, own].prod(axis=1) > extent
        status[(status == OK) & repeated] = BAD_DESIGN


def refused_positions(
    problem: Problem, mapping: Mapping, level: int, tensor: str, *, mean: bool
) -> str | None:
    """Return why a level cannot choose among positions of a tensor under a mapping, or None where it can.

    Parameters
    ----------
    problem : Problem
    mapping : Mapping
    level : int
        Index.
    tensor : str
    mean : bool
        Whether the use of units is a mean, for which elements may be handed out several times.
    """
    spec = next(one for one in problem.tensors if one.name == tensor)
    own, inside = dict.fromkeys(problem.dimensions, 1), dict.fromkeys(problem.dimensions, 1)
    for index, one in enumerate(mapping.levels[level:]):
        for loop in (*one.temporal, *one.spatial_x, *one.spatial_y):
            (inside if index else own)[loop.dimension] *= loop.factor
    words = 1
    for rank in spec.ranks:
        words *= 1 + sum(term.coefficient * (inside[term.dimension] - 1) for term in rank)
    name = mapping.levels[level].level
    if words > 1:
        return f"{name} hands out positions of '{tensor}' of {words:,} elements each, and chooses single ones"
    for rank in () if mean else spec.ranks:
        extent = 1 + sum(term.coefficient * (own[term.dimension] - 1) for term in rank)
        if math.prod(own[term.dimension] for term in rank) > extent:
            dimensions = ", ".join(term.dimension for term in rank)
            return f"{name} hands out elements of '{tensor}' several times, by loops over {dimensions}"
    return None
