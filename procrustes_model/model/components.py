"""Units beside storage and compute: when they work, what they do, and what that costs.

A component spends energy for every word that its level reads, fills or updates, or for every computation that
is done, and power while time passes, used or not. All parts may leak while time passes.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from procrustes_model.errors import Issue, SpecError
from procrustes_model.spec.text.words import did_you_mean
from procrustes_model.vocabulary import Action, Phase, Role, Served

if TYPE_CHECKING:
    from procrustes_model.kernels.dense.arrays import CostArrays, Floats, Ints
    from procrustes_model.spec.architecture import Architecture, Component, ComponentUse
    from procrustes_model.spec.problem import Problem

_COMPUTE = "compute"


@dataclass(frozen=True, slots=True)
class ComponentResult:
    """A unit beside levels and computation.

    Attributes
    ----------
    name : str
    instances : int
    uses : float
        Over all instances.
    energy_pj : float
        Uses and power together.
    area_um2 : float or None
        Of all instances; None: not stated.
    cycles : int or None
        That its uses take; None where it has no rate.
    """

    name: str
    instances: int
    uses: float
    energy_pj: float
    area_um2: float | None
    cycles: int | None = None


@dataclass(frozen=True, slots=True)
class Leakage:
    """What a part leaks, or takes idle, while a mapping runs.

    Attributes
    ----------
    name : str
        Of a level, the compute level or a component.
    instances : int
        That leak: those that the machine has, or that a mapping uses where what is not used leaks nothing.
        Idle: that a mapping uses.
    power_mw : float or None
        Of all instances; None where the machine has no clock.
    energy_pj : float
        Power times time.
    action : str
        leak or idle.
    """

    name: str
    instances: int
    power_mw: float | None
    energy_pj: float
    action: str = "leak"


def lift_leakage(architecture: Architecture, used: Ints, cycles: int) -> tuple[Leakage, ...]:
    """Return what the parts of an architecture leak and take idle in a number of cycles; those that do.

    Parameters
    ----------
    architecture : Architecture
    used : int64[L + 1]
        Instances that the mapping uses; last, of the compute units.
    cycles : int
    """
    clock = architecture.clock_ghz or math.inf
    found = []
    for index, (part, count) in enumerate(architecture.parts):
        gated = index < len(used) and getattr(part, "leakage_gated", False)
        instances = int(used[index]) if gated else count
        if part.leakage_mw:
            power = part.leakage_mw * instances
            found.append(Leakage(part.name, instances, power, power / clock * cycles))
        if index < len(architecture.levels) and (idle := architecture.levels[index].energy.idle):
            spent = idle * int(used[index])
            at_clock = spent * architecture.clock_ghz if architecture.clock_ghz else None
            found.append(Leakage(part.name, int(used[index]), at_clock, spent * cycles, "idle"))
    return tuple(found)


Working = dict[str, frozenset[str]]
"""Components that work, by name, and the tensors of whose words each takes note."""


def working_components(
    architecture: Architecture,
    problem: Problem,
    served: Collection[Served] = (),
    compressed: Collection[str] = (),
) -> Working:
    """Return the components that work on a problem.

    Parameters
    ----------
    architecture : Architecture
    problem : Problem
        A problem without a phase counts as forward.
    served : collection of Served
        What the sparse design does in this phase, beside compressing.
    compressed : collection of str
        Tensors that some level stores without their zeros.

    Raises
    ------
    SpecError
        When one would work on a tensor, or on a role of a tensor, that the problem lacks.
    """
    phase, working = problem.phase or Phase.FORWARD, {}
    for index, component in enumerate(architecture.components):
        use = component.use
        if use is None or (use.phases is not None and phase not in use.phases):
            continue
        tensors = {tensor.name for tensor in problem.tensors}
        served_here = tensors
        if component.when == Served.COMPRESSION:
            served_here = tensors & set(compressed)
        elif component.when != Served.ALWAYS and component.when not in served:
            continue
        if served_here and use.tensor is not None and use.tensor not in tensors:
            message = f"{problem.name} has no tensor '{use.tensor}' for component '{component.name}'"
            path = ("architecture", "components", index, "use", "tensor")
            raise SpecError(architecture.issue(message, did_you_mean(use.tensor, sorted(tensors)), path))
        if served_here and use.role in tuple(Role) and use.role not in problem.roles:
            message = f"no tensor of {problem.name} has the role '{use.role}' of component '{component.name}'"
            path = ("architecture", "components", index, "use", "role")
            hint = "state roles in the problem's shape, or 'phases' in which it works"
            raise SpecError(architecture.issue(message, hint, path))
        served_here = {name for name in served_here if _serves(use, name, problem, compressed)}
        if served_here:
            working[component.name] = frozenset(served_here)
    return working


def _serves(use: ComponentUse, tensor: str, problem: Problem, compressed: Collection[str]) -> bool:
    """Say whether a component works on words of a tensor."""
    if use.role == "written":
        return tensor == problem.output.name
    if use.role == "read":
        return tensor != problem.output.name
    if use.role == "sparse":
        return tensor in compressed
    if use.role is not None:
        return problem.role_of(tensor) == use.role
    return use.tensor in (None, tensor)


def serves_computes(component: Component) -> bool:
    """Say whether a component works once per computation."""
    return component.use is not None and component.use.action == _COMPUTE


def has_rate(component: Component, working: Working) -> bool:
    """Say whether a component works and manages only so much in a cycle."""
    return component.per_cycle is not None and component.name in working


def words_served(
    component: Component, architecture: Architecture, problem: Problem, tensors: Collection[str]
) -> Floats:
    """Return which words of some tensors a component works on, 1 or 0, float64[L, T, 3].

    Raises
    ------
    SpecError
        When it works on a level that does not exist.
    """
    served = np.zeros((len(architecture.levels), len(problem.tensors), len(Action)))
    use = component.use
    if use is None or use.action == _COMPUTE:
        return served
    names = [level.name for level in architecture.levels]
    if use.level not in names:
        message = f"component '{component.name}' works on level '{use.level}', which does not exist"
        raise SpecError(Issue(message, f"there is {', '.join(names)}", architecture.name))
    for t, tensor in enumerate(problem.tensors):
        if tensor.name in tensors:
            served[names.index(use.level), t, Action[use.action.upper()]] = 1.0
    return served


def lift_components(
    architecture: Architecture,
    problem: Problem,
    working: Working,
    words: Floats,
    done: float,
    costs: CostArrays,
    cycles: int,
) -> tuple[ComponentResult, ...]:
    """Return what every component of an architecture did.

    Parameters
    ----------
    architecture : Architecture
    problem : Problem
    working : dict of str to set of str
        As `working_components` returns them.
    words : float64[L, T, 3]
        Read, filled, updated, over all used instances.
    done : float
        Computations done.
    costs : CostArrays
        Of a batch of one.
    cycles : int
    """
    found = []
    rated = iter(costs.cycles[0, 2 * len(architecture.levels) : -1].tolist())
    for one in architecture.components:
        uses = 0.0
        if one.name in working:
            served = words_served(one, architecture, problem, working[one.name])
            uses = done if serves_computes(one) else float((served * words).sum())
        energy = uses * one.energy_pj + one.power_pj_per_cycle * one.instances * cycles
        area = architecture.area.parts[one.name]
        taken = next(rated) if has_rate(one, working) else None
        found.append(ComponentResult(one.name, one.instances, float(uses), energy, area, taken))
    return tuple(found)
