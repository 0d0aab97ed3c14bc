"""One iteration space, three training phases: what differs is the tensor that is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from procrustes_model.errors import Issue, SpecError
from procrustes_model.vocabulary import PHASES, Phase

if TYPE_CHECKING:
    from procrustes_model.spec.problem import Problem

OUTPUTS: dict[Phase, str] = {
    Phase.FORWARD: "Outputs",
    Phase.BACKWARD: "Inputs",
    Phase.WEIGHT_UPDATE: "Weights",
}
"""The tensor that each phase writes: activations, the gradient of inputs, the gradient of weights."""

_SUFFIXES = tuple(phase.suffix for phase in PHASES if phase.suffix)


def in_phase(problem: Problem, phase: Phase | str) -> Problem:
    """Return the training phase of the layer that `problem` is a phase of.

    Bounds and projections stay: the phases of a layer multiply the same pairs of elements, whatever its
    stride, and accumulate them into different tensors.

    Parameters
    ----------
    problem : Problem
        With the tensors Weights, Inputs and Outputs.
    phase : str
        'forward', 'backward' or 'weight_update'.

    Returns
    -------
    Problem
        The same problem where it is in that phase already.

    Raises
    ------
    SpecError
        When the problem has other tensors.
    """
    phase = Phase.parse(phase)
    if problem.phase == phase:
        return problem
    names = sorted(tensor.name for tensor in problem.tensors)
    if names != ["Inputs", "Outputs", "Weights"]:
        raise SpecError(
            Issue(
                f"{problem.name} has no training phases: its tensors are {', '.join(names)}",
                "phases need Weights, Inputs and Outputs",
            )
        )
    shape = problem.shape
    for suffix in _SUFFIXES:
        shape = shape.removesuffix(suffix)
    tensors = tuple(
        tensor.model_copy(update={"is_output": tensor.name == OUTPUTS[phase]}) for tensor in problem.tensors
    )
    return problem.model_copy(
        update={
            "phase": phase,
            "shape": shape + phase.suffix,
            "tensors": tensors,
        }
    )
