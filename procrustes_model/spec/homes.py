"""Where tensors begin and end: at the outermost storage, unless a machine or a problem says otherwise."""

from __future__ import annotations

from procrustes_model.errors import Issue, SpecError
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.problem import Problem
from procrustes_model.spec.text.words import did_you_mean


def find_home(architecture: Architecture, problem: Problem, tensor: str) -> int:
    """Return the index of the level where a tensor begins and ends.

    What a problem says of where operands start and the output ends goes before what the machine says.

    Raises
    ------
    SpecError
        When the problem names a level that does not exist or may not keep the tensor.
    """
    stated = problem.homes.get(tensor)
    if stated is None:
        return architecture.home(tensor)
    names = [level.name for level in architecture.levels]
    if stated not in names:
        message = f"'{tensor}' begins or ends at '{stated}', no level of {architecture.name}"
        raise SpecError(Issue(message, did_you_mean(stated, names), problem.name))
    home = names.index(stated)
    if not architecture.levels[home].may_keep(tensor):
        message = f"'{tensor}' cannot begin or end at {stated}, which may not keep it"
        raise SpecError(Issue(message, f"its 'tensors' in {architecture.name} say so", problem.name))
    return home


def may_keep(architecture: Architecture, problem: Problem, level: int, tensor: str) -> bool:
    """Return whether a level may keep a tensor of a problem: none outside of where it begins."""
    home = find_home(architecture, problem, tensor)
    return level >= home and architecture.levels[level].may_keep(tensor)
