"""One iteration space, three training phases: what differs is the tensor that is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from procrustes_model.errors import Issue, SpecError

if TYPE_CHECKING:
    from procrustes_model.spec.problem import Phase, Problem

OUTPUTS: dict[Phase, str] = {"forward": "Outputs", "backward": "Inputs", "weight_update": "Weights"}
"""The tensor that each phase writes: activations, the gradient of inputs, the gradient of weights."""

_SUFFIXES = ("_backward", "_weight_update")


def in_phase(problem: Problem, phase: Phase) -> Problem:
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
            "shape": shape if phase == "forward" else f"{shape}_{phase}",
            "tensors": tensors,
        }
    )
