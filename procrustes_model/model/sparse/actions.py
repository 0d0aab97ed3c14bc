"""Actions of a sparse design to arrays: those that save accesses, and those that make room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from procrustes_model.kernels.sparse.arrays import GATED, SKIPPED, SPACED, ActionArrays, PackArrays

if TYPE_CHECKING:
    from procrustes_model.kernels.dense.arrays import MachineArrays
    from procrustes_model.model.sparse.names import Names
    from procrustes_model.spec.sparsity import SparsePhase

_CODES = {"gate": GATED, "skip": SKIPPED, "skip_space": SPACED}
"""Of actions that look at boxes of leaders; positions are chosen without any."""


def lower_actions(phase: SparsePhase, tensors: int, names: Names) -> ActionArrays:
    """Return what saves accesses and computations; names that do not exist are noted.

    Parameters
    ----------
    phase : SparsePhase
    tensors : int
        Of the problem.
    names : Names
    """
    numbered = [one for one in enumerate(phase.actions) if one[1].kind in _CODES]
    numbered.sort(key=lambda item: _CODES[item[1].kind])
    ordered = [action for _, action in numbered]
    leaders = np.zeros((len(ordered), tensors), np.bool_)
    for i, (number, action) in enumerate(numbered):
        for name in action.on:
            leaders[i, names.tensor(name, "actions", number, "on")] = True
    chosen = np.zeros(tensors, np.bool_)
    for number, action in enumerate(phase.actions):
        if action.kind == "skip_positions":
            chosen[names.tensor(action.target, "actions", number, action.kind)] = True
    operands = {}
    for kind in ("skip", "gate"):
        operands[kind] = np.zeros(tensors, np.bool_)
        for name in getattr(phase.compute, kind):
            operands[kind][names.tensor(name, "compute", kind)] = True
    return ActionArrays(
        level=np.array([names.level(one.level) for _, one in numbered], np.int64),
        target=np.array([names.tensor(one.target, "actions", n, one.kind) for n, one in numbered], np.int64),
        kind=np.array([_CODES[action.kind] for action in ordered], np.int64),
        leaders=leaders,
        skip_compute=operands["skip"],
        gate_compute=operands["gate"],
        whole=names.rules.rounding == "whole_words",
        joined=names.rules.access_box == "joined",
        dropped=names.rules.gated_operands == "dropped",
        strongest=names.rules.several_actions == "strongest",
        absent=names.rules.absent_operands != "seen",
        apart=names.rules.absent_operands == "absent_2022",
        chosen=chosen,
        off=np.zeros(3),
    )


def lower_pack(phase: SparsePhase, machine: MachineArrays, names: Names) -> PackArrays:
    """Return where zeros make room.

    Parameters
    ----------
    phase : SparsePhase
    machine : MachineArrays
    names : Names
    """
    spaced = np.zeros(len(machine.capacity), np.bool_)
    chosen: list[tuple[int, int]] = []
    for number, action in enumerate(phase.actions):
        if action.kind == "skip_space":
            spaced[names.level(action.level)] = True
        elif action.kind == "skip_positions":
            level = names.level(action.level)
            chosen.append((level, names.tensor(action.target, "actions", number, action.kind)))
    return PackArrays(
        spaced=spaced,
        fanout=machine.fanout,
        level=np.array([level for level, _ in chosen], np.int64),
        target=np.array([target for _, target in chosen], np.int64),
        mean=names.rules.position_use == "mean",
    )
