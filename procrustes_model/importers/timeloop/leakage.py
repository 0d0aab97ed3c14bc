"""Leakage as components that spend power in every cycle."""

from __future__ import annotations

import math
from typing import Any

from procrustes_model.importers.timeloop.machine import Level, Machine

_SPATIAL = ("spatial_x", "spatial_y")


def add_leakage(machine: Machine, mapping: dict[str, Any] | None) -> None:
    """Add a component for the leakage of every level that leaks.

    That tool charges the instances that a mapping uses, a component here has a fixed number of them: those of
    the mapping that comes with the design.

    Parameters
    ----------
    machine : Machine
        Its components are added to.
    mapping : dict or None
        As a mapping file has it; None where the design has none.
    """
    used = 1
    for index, level in enumerate(machine.levels):
        if mapping is not None and index > 0:
            used *= _spread(mapping["levels"][index - 1])
        if level.leaks:
            _add(machine, level, None if mapping is None else used)


def _spread(level: dict[str, Any]) -> int:
    """Return over how many instances a level of a mapping spreads its loops."""
    loops = [loop for key in _SPATIAL for loop in level.get(key, "").split()]
    return math.prod(int(loop.partition("=")[2].partition("/")[0]) for loop in loops)


def _add(machine: Machine, level: Level, used: int | None) -> None:
    name, count = level.part.name, level.part.instances
    if used is None and count > 1:
        level.part.node.leave_out(
            f"leakage of '{name}', which that tool charges for the instances that a mapping uses",
            "there is no mapping; --partial leaves it out",
        )
        return
    if count > 1:
        level.part.node.findings.note(
            f"leakage of '{name}' is that of {used} of {count} instances, those that this mapping uses; "
            "that tool charges other mappings for theirs"
        )
    machine.components.append(
        {"name": f"{name} leakage", "instances": used or count, "power_pj_per_cycle": level.leaks}
    )
