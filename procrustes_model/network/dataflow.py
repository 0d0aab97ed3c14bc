"""Dataflows as constraints that fit any layer and any machine with an array."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from procrustes_model.errors import Issue, SpecError
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.mapper.level_rules import Constraints, FactorRule, LevelRules, LoopRules
from procrustes_model.spec.network_problem import stands_alone
from procrustes_model.vocabulary import ANY_DATAFLOW, Phase, Role

if TYPE_CHECKING:
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.problem import Problem


def dataflow_constraints(
    dataflow: str, architecture: Architecture, problem: Problem
) -> tuple[Constraints, str]:
    """Return a dataflow as constraints for one problem, and a note where the problem bends it.

    What K, C and N are in a problem its roles say: output channels move an index of the weights and the
    output, input channels of the weights and the input, samples of the input and the output; each of its own.
    Where several do, the one of that name is taken, or all where none has it. What moves an index of all
    three counts groups, which may be spread together with K and C. A depthwise layer has nothing else: its
    channels C are groups of one, and CK becomes CN, as in the Procrustes authors' scripts. P and Q are taken
    by their names. What the layer lacks counts as 1, as the map of a fully connected layer in PQ.

    Parameters
    ----------
    dataflow : str
        One of `vocabulary.DATAFLOWS`, or `ANY_DATAFLOW`.
    architecture : Architecture
        The array is the level with the largest mesh.
    problem : Problem

    Returns
    -------
    constraints : Constraints
    note : str
        Empty where the dataflow holds as it is.

    Raises
    ------
    SpecError
        When the architecture has no array.
    """
    if dataflow == ANY_DATAFLOW:
        return Constraints(name=ANY_DATAFLOW), ""
    written = load_constraints(f"dataflow_{dataflow.lower()}")
    (rules,) = written.levels
    chosen: dict[str, LoopRules] = {}
    spread = []
    dims = [(rules.loops[axis].dimensions or ())[0] for axis in ("spatial_x", "spatial_y")]
    for axis, dimensions in zip(("spatial_x", "spatial_y"), _adapt(dims, problem), strict=True):
        chosen[axis] = LoopRules(dimensions=dimensions)
        spread.append("+".join(dimensions) or "1")
    level = LevelRules(_above_array(architecture), chosen)
    note = "" if spread == dims else f"{dataflow}: {spread[0]} over columns, {spread[1]} over rows"
    return replace(written, levels=(level,)), note


def in_sequence(
    constraints: Constraints, dimension: str | None, architecture: Architecture, problem: Problem
) -> Constraints:
    """Return constraints under which the steps of a dimension follow each other, one after all of another.

    Its loop is at the outermost storage, outside all others, so that no part of a step is done with another
    step's. What stays where it is from one step to the next, such as weights that fit, is still used again.

    Parameters
    ----------
    constraints : Constraints
    dimension : str or None
        None: nothing waits.
    architecture : Architecture
    problem : Problem
        The weight update waits for nothing: it adds up what all steps have left.
    """
    if dimension is None or problem.phase == Phase.WEIGHT_UPDATE:
        return constraints
    level = architecture.levels[architecture.outermost].name
    whole = FactorRule(dimension, "=", problem.dimensions[dimension])
    others = [name for name in problem.dimensions if name != dimension]
    orders = [
        LevelRules(level, {"temporal": LoopRules(factors=(whole,), order=(dimension, other))})
        for other in others
    ]
    return replace(constraints, levels=(*constraints.levels, *orders))


_MOVES: dict[str, frozenset[Role]] = {
    "K": frozenset({Role.WEIGHTS, Role.OUTPUT}),
    "C": frozenset({Role.WEIGHTS, Role.INPUT}),
    "N": frozenset({Role.INPUT, Role.OUTPUT}),
}
"""The tensors of which a dimension of a dataflow moves an index of its own; it moves none of the third."""


def _adapt(dimensions: list[str], problem: Problem) -> list[tuple[str, ...]]:
    """Return, for each side of the array, the dimensions of the problem that stand for one of a dataflow."""
    sides = [_standing_for(name, problem) for name in dimensions]
    if sides[0] and sides[0] == sides[1]:
        sides[1] = _standing_for("N", problem)
    return sides


def _standing_for(name: str, problem: Problem) -> tuple[str, ...]:
    """Return the dimensions of the problem that stand for one of a dataflow."""
    if name not in _MOVES:
        return (name,) if name in problem.dimensions else ()
    fitting = _moving(_MOVES[name], problem)
    own = (name,) if name in fitting else fitting
    return own if name == "N" else own + _moving(frozenset(Role), problem)


def _moving(roles: frozenset[Role], problem: Problem) -> tuple[str, ...]:
    """Return the dimensions that move an index of their own of the tensors of these roles, and no other."""
    tensors = {problem.role_of(tensor.name): tensor for tensor in problem.tensors}
    return tuple(
        name
        for name in problem.dimensions
        if all(
            stands_alone(name, tensor) if role in roles else name not in tensor.dimensions
            for role, tensor in tensors.items()
            if role is not None
        )
    )


def _above_array(architecture: Architecture) -> str:
    """Return the level below which the machine fans out most."""
    count = len(architecture.levels)
    fanout = [architecture.instances(i + 1) // architecture.instances(i) for i in range(count)]
    if max(fanout) == 1:
        raise SpecError(
            Issue(f"{architecture.name} has no array to spread a dataflow over", "write --dataflow any")
        )
    return architecture.levels[fanout.index(max(fanout))].name
