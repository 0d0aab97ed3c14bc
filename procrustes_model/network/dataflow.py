"""Dataflows as constraints that fit any layer and any machine with an array."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from procrustes_model.errors import Issue, SpecError
from procrustes_model.mapper.constraints import Constraints, LevelRules, LoopRules, load_constraints
from procrustes_model.vocabulary import ANY_DATAFLOW

if TYPE_CHECKING:
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.problem import Problem


def dataflow_constraints(
    dataflow: str, architecture: Architecture, problem: Problem
) -> tuple[Constraints, str]:
    """Return a dataflow as constraints for one problem, and a note where the problem bends it.

    A depthwise layer has no K: its output channels are C, and CK becomes CN, as in the Procrustes authors'
    scripts. The channels of a grouped layer are those of all its groups: K and C may be spread together with
    G. Another dimension that the layer lacks counts as 1, as the map of a fully connected layer in PQ.

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


def _adapt(dimensions: list[str], problem: Problem) -> list[tuple[str, ...]]:
    """Return, for each side of the array, the dimensions of the problem that stand for one of a dataflow."""
    has = problem.dimensions
    if "C" in has and "K" not in has:
        wanted = ["C" if one == "K" else one for one in dimensions]
        if wanted == ["C", "C"]:
            wanted[1] = "N"
        dimensions = wanted
    grouped = ("G",) if "G" in has else ()
    return [
        tuple(name for name in (one, *(grouped if one in ("C", "K") else ())) if name in has)
        for one in dimensions
    ]


def _above_array(architecture: Architecture) -> str:
    """Return the level below which the machine fans out most."""
    count = len(architecture.levels)
    fanout = [architecture.instances(i + 1) // architecture.instances(i) for i in range(count)]
    if max(fanout) == 1:
        raise SpecError(
            Issue(f"{architecture.name} has no array to spread a dataflow over", "write --dataflow any")
        )
    return architecture.levels[fanout.index(max(fanout))].name
