"""Units beside storage and compute: how often they are used, and what that costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from procrustes_model.errors import Issue, SpecError
from procrustes_model.model.result import LevelResult
from procrustes_model.model.sparse.result import ComponentResult, SparseComputes, sparse_of
from procrustes_model.vocabulary import Phase

if TYPE_CHECKING:
    from procrustes_model.spec.architecture import Architecture, Component

_ACTIONS = {"read": 0, "fill": 1, "update": 2}


def use_components(
    architecture: Architecture,
    phase: Phase | None,
    levels: tuple[LevelResult, ...],
    computes: SparseComputes,
    cycles: int,
) -> tuple[ComponentResult, ...]:
    """Return what the components of an architecture do.

    Parameters
    ----------
    architecture : Architecture
    phase : str or None
        A problem without a phase counts as forward.
    levels : tuple of LevelResult
        With sparse counts.
    computes : SparseComputes
    cycles : int

    Returns
    -------
    tuple of ComponentResult

    Raises
    ------
    SpecError
        When a component works on a level that does not exist.
    """
    found = []
    for component in architecture.components:
        uses = _uses(component, architecture, phase or Phase.FORWARD, levels, computes)
        idle = component.power_pj_per_cycle * component.instances * cycles
        area = None if component.area_um2 is None else component.area_um2 * component.instances
        energy = uses * component.energy_pj + idle
        found.append(ComponentResult(component.name, component.instances, uses, energy, area))
    return tuple(found)


def _uses(
    component: Component,
    architecture: Architecture,
    phase: Phase,
    levels: tuple[LevelResult, ...],
    computes: SparseComputes,
) -> float:
    """Return how often a component works, over all instances."""
    use = component.use
    if use is None or (use.phases is not None and phase not in use.phases):
        return 0.0
    if use.action == "compute":
        return computes.actual
    level = next((level for level in levels if level.name == use.level), None)
    if level is None:
        message = f"component '{component.name}' works on level '{use.level}', which does not exist"
        raise SpecError(
            Issue(message, f"there is {', '.join(one.name for one in levels)}", architecture.name)
        )
    uses = 0.0
    for counts in level.tensors:
        if use.tensor in (None, counts.tensor):
            uses += sparse_of(counts).actual[_ACTIONS[use.action]] * level.instances_used
    return uses
