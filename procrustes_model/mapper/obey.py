"""Whether a mapping from elsewhere is one that a search may find."""

from __future__ import annotations

import numpy as np

from procrustes_model.mapper.constraints import make_rules
from procrustes_model.mapper.level_rules import KINDS, Constraints
from procrustes_model.model.lower import lower_mapping
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.mapping import Mapping
from procrustes_model.spec.problem import Problem


def find_breach(
    mapping: Mapping, constraints: Constraints, architecture: Architecture, problem: Problem
) -> str | None:
    """Return what constraints do not allow of a mapping, in words; None where they allow all of it.

    Parameters
    ----------
    mapping : Mapping
        For this architecture and problem, with whole passes.
    constraints : Constraints
    architecture : Architecture
    problem : Problem
    """
    if mapping.uneven:
        return "tensors of a level may not have their tiles at several loops"
    nest = lower_mapping(problem, mapping)
    factors = np.concatenate([nest.temporal[0][:, None], nest.spatial[0]], axis=1)  # int64[L, 3, D]
    levels, kinds, bounds = factors.shape
    # Rules are asked about the mapping's own factors alone, the one of level l and kind k at 3 l + k.
    rules = make_rules(constraints, architecture, problem, factors.reshape(levels * kinds, bounds).T)
    dimensions, tensors = list(problem.dimensions), [tensor.name for tensor in problem.tensors]
    for i, level in enumerate(architecture.levels):
        for k, kind in enumerate(KINDS):
            for d, name in enumerate(dimensions):
                if not rules.factors[i, k, d, kinds * i + k]:
                    return f"{level.name} may not have {name}={factors[i, k, d]} {kind}"
        place = np.argsort(nest.order[0, i])
        for outer, inner in np.argwhere(rules.outside[i]):
            if min(factors[i, 0, [outer, inner]]) > 1 and place[outer] > place[inner]:
                return f"{dimensions[outer]} must be outside {dimensions[inner]} at {level.name}"
        for t, wanted in enumerate(rules.keep[i]):
            if wanted >= 0 and nest.keep[0, i, t] != wanted:
                return f"{level.name} {'must' if wanted else 'may not'} keep {tensors[t]}"
    units = int(nest.spatial.prod())
    if units < rules.least_units:
        return f"{units} compute units are used, and not {rules.least_units}"
    return None
