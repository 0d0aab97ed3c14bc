"""What a computation costs and how long it takes: by the phase, and by the bits of its operands."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from procrustes_model.errors import SpecError
from procrustes_model.spec.by_width import amount_at, in_phase
from procrustes_model.spec.tensors import stated_bits
from procrustes_model.spec.text.expressions import ExpressionError
from procrustes_model.vocabulary import Phase, Role

if TYPE_CHECKING:
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.problem import Problem


class Computing(NamedTuple):
    """One computation on one unit.

    Attributes
    ----------
    done, gated, skipped : float
        pJ.
    cycles : float
    """

    done: float
    gated: float
    skipped: float
    cycles: float


def operand_bits(architecture: Architecture, problem: Problem) -> tuple[int, int] | None:
    """Return the bits of the two operands of a problem: weights first, then inputs, then gradients.

    Without roles they stand in the order of the problem. None where there are not two. Those for which
    neither the problem nor the architecture states bits have the word of the innermost level that may keep
    them.
    """
    order = [name for role in Role if (name := problem.roles.get(role)) is not None]
    operands = [tensor.name for tensor in problem.tensors if not tensor.is_output]
    if len(operands) != 2:
        return None
    operands.sort(key=lambda name: order.index(name) if name in order else len(order))
    stated = stated_bits(architecture, problem)
    first, second = (
        stated.get(name)
        or next((level.word_bits for level in reversed(architecture.levels) if level.may_keep(name)), 0)
        for name in operands
    )
    return first, second


def find_computing(architecture: Architecture, problem: Problem) -> Computing:
    """Return what a computation costs.

    Raises
    ------
    SpecError
        Where nothing is said of the problem's phase, or an expression has no value.
    """
    unit, widths = architecture.compute, operand_bits(architecture, problem)
    phase = problem.phase or Phase.FORWARD
    found = []
    for key in ("energy_pj", "gated_energy_pj", "skipped_energy_pj", "cycles_per_compute"):
        path = ("architecture", "compute", key)
        amount = in_phase(getattr(unit, key), phase)
        if amount is None:
            message = f"{unit.name} has no '{key}' for the phase {phase} of {problem.name}"
            raise SpecError(architecture.issue(message, "state it for every phase that is evaluated", path))
        try:
            value = amount_at(amount, widths)
        except ExpressionError as error:
            message = f"'{key}' of {unit.name} for {problem.name}: {error.message}"
            raise SpecError(architecture.issue(message, error.hint, path)) from None
        if key == "cycles_per_compute" and value == 0:
            message = f"'{key}' of {unit.name} for {problem.name} is 0"
            raise SpecError(architecture.issue(message, "a computation takes time", path))
        found.append(value)
    return Computing(*found)
