"""Sums that are read where they lie before they are sent up, where something is zero."""

from __future__ import annotations

from procrustes_model.kernels.dense.arrays import (
    UPDATE,
    Bools,
    CountArrays,
    Floats,
    MachineArrays,
)
from procrustes_model.kernels.jit import kernel


@kernel
def count_expected_drains(
    machine: MachineArrays, keep: Bools, output: int, dense: CountArrays, actual: Floats, drained: Floats
) -> None:
    """Count a read for every word of the output that a level sends up: as many as arrive further out.

    What an action saves of updates there is not sent, nor are zeros of sums that are stored compressed there.
    Tiles are taken to fit.

    Parameters
    ----------
    machine : MachineArrays
    keep : bool[N, L, T]
    output : int
    dense : CountArrays
        If nothing were zero; `moved` and `accesses` are read.
    actual : float64[N, L, T, 3]
    drained : float64[N, L]
        Filled in.
    """
    mappings, levels, _ = keep.shape
    for n in range(mappings):
        parent = -1
        for level in range(levels):
            drained[n, level] = 0.0
            if not keep[n, level, output]:
                continue
            if parent >= 0 and machine.drains[level]:
                updates = dense.accesses[n, parent, output, UPDATE]
                share = actual[n, parent, output, UPDATE] / updates if updates > 0 else 0.0
                drained[n, level] = dense.moved[n, level, output] * share
            parent = level
