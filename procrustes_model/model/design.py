"""Everything about a problem on an architecture that does not depend on the mapping, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from procrustes_model.kernels.dense.arrays import MachineArrays, ProblemArrays, RuleArrays
from procrustes_model.model.components import Working, working_components
from procrustes_model.model.lower import lower_machine, lower_problem
from procrustes_model.spec.rules import Rules

if TYPE_CHECKING:
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.problem import Problem

OWN_RULES = Rules()
"""Counting by this model's own rules."""


@dataclass(frozen=True, slots=True)
class Design:
    """A problem on an architecture; here nothing is zero.

    Attributes
    ----------
    problem : ProblemArrays
    machine : MachineArrays
    rules : RuleArrays
    components : dict of str to set of str
        Those that work, with the tensors that they work on.
    """

    problem: ProblemArrays
    machine: MachineArrays
    rules: RuleArrays
    components: Working


def lower_rules(rules: Rules) -> RuleArrays:
    """Return rules as kernels take them."""
    return RuleArrays(
        all_fills=rules.output_fills == "all",
        forgetful=rules.overlap == "innermost",
        whole_words=rules.rounding == "whole_words",
        dearest=rules.access_energy == "largest",
        dense_wires=rules.network_words == "dense",
    )


def lower_dense(architecture: Architecture, problem: Problem, rules: Rules = OWN_RULES) -> Design:
    """Return a problem on an architecture where nothing is zero.

    Raises
    ------
    SpecError
        When a tensor or the number of operations is beyond 2^62, a component works on no level, or the
        architecture states bits of a tensor that the problem lacks.
    """
    components = working_components(architecture, problem)
    return Design(
        problem=lower_problem(problem),
        machine=lower_machine(architecture, problem, components),
        rules=lower_rules(rules),
        components=components,
    )
