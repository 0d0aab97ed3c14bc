"""One iteration space, three training phases: what differs is the tensor that is written.

Which tensor that is follows from the roles that a shape declares; see `Problem.roles` and `Phase.writes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from procrustes_model.errors import Issue, SpecError
from procrustes_model.vocabulary import PHASES, Phase, Role

if TYPE_CHECKING:
    from procrustes_model.spec.problem import Problem

SPARSE_ROLES: dict[Phase, Role] = {
    Phase.FORWARD: Role.WEIGHTS,
    Phase.BACKWARD: Role.WEIGHTS,
    Phase.WEIGHT_UPDATE: Role.INPUT,
}
"""The tensor whose zeros save work when weights are pruned while a network trains: weights where they are
read, activations where weights are not. Gradients of outputs may be sparse too, where a network makes them
so."""

KNOWN_IN: dict[Role, tuple[Phase, ...]] = {
    Role.WEIGHTS: (Phase.FORWARD, Phase.BACKWARD, Phase.WEIGHT_UPDATE),
    Role.INPUT: (Phase.FORWARD, Phase.WEIGHT_UPDATE),
    Role.OUTPUT: (Phase.BACKWARD, Phase.WEIGHT_UPDATE),
}
"""The phases in which a tensor is what its density is known of: weights (in the weight update the gradients
of those that are kept), input activations, and gradients of outputs."""

_SUFFIXES = tuple(phase.suffix for phase in PHASES if phase.suffix)


def in_phase(problem: Problem, phase: Phase | str) -> Problem:
    """Return the training phase of the layer that `problem` is a phase of.

    Bounds and projections stay: the phases of a layer multiply the same pairs of elements, whatever its
    stride, and accumulate them into different tensors.

    Parameters
    ----------
    problem : Problem
        With a tensor of each role.
    phase : str
        'forward', 'backward' or 'weight_update'.

    Returns
    -------
    Problem
        The same problem where it is in that phase already.

    Raises
    ------
    SpecError
        When a role has no tensor.
    """
    phase = Phase.parse(phase)
    if problem.phase == phase:
        return problem
    check_roles(problem)
    shape = problem.shape
    for suffix in _SUFFIXES:
        shape = shape.removesuffix(suffix)
    written = problem.roles[phase.writes]
    tensors = tuple(
        tensor.model_copy(update={"is_output": tensor.name == written}) for tensor in problem.tensors
    )
    return problem.model_copy(
        update={
            "phase": phase,
            "shape": shape + phase.suffix,
            "tensors": tensors,
        }
    )


def check_roles(problem: Problem) -> None:
    """Raise where a problem has not a tensor of each role, as training phases need.

    Raises
    ------
    SpecError
    """
    missing = [role for role in Role if role not in problem.roles]
    if missing:
        names = ", ".join(tensor.name for tensor in problem.tensors)
        raise SpecError(
            Issue(
                f"{problem.name} has no training phases: none of its tensors {names} has the role "
                + " or ".join(missing),
                f"state them in shape {problem.shape}, such as 'role: {missing[0]}' beside a projection",
            )
        )
