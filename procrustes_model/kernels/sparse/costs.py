"""Energy and cycles of what is left to do."""

from __future__ import annotations

import math

import numpy as np

from procrustes_model.kernels.dense.arrays import FILL, OK, READ, UPDATE, Ints, MachineArrays
from procrustes_model.kernels.dense.evaluate import stretch
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.arrays import BalanceArrays, SparseCostArrays, SparseCountArrays

_NEAR = 1e-13
"""A count this near to a whole number, relative to itself, is that number: it carries rounding errors."""


@kernel
def _round_up(count: float) -> float:
    """Return the next whole number, or the one that `count` is but for rounding errors."""
    nearest = math.floor(count + 0.5)
    return nearest if abs(count - nearest) <= _NEAR * count else math.ceil(count)


@kernel
def _accesses_for(words: float, block: int) -> float:
    """Return the accesses of `block` words that move `words`, the last one perhaps not full."""
    whole = _round_up(words)
    if block == 1:
        return whole
    return math.ceil(whole / block) if whole - words < 0.5 else math.ceil(words / block)


@kernel
def sparse_energy(
    machine: MachineArrays,
    instances: Ints,
    largest: bool,
    gated_energy: float,
    balance: BalanceArrays,
    counts: SparseCountArrays,
    costs: SparseCostArrays,
) -> None:
    """Charge every access that is done, metadata, pointers, and computations.

    Parameters
    ----------
    machine : MachineArrays
    instances : int64[N, L + 1]
    largest : bool
        All accesses of a tensor at a level together, each at the energy of the dearest action.
    gated_energy : float
        Of a gated computation, as a share of a done one.
    balance : BalanceArrays
    counts : SparseCountArrays
    costs : SparseCostArrays
        All but `cycles` and `limit` are filled in.
    """
    actual, metadata, computes = counts.actual, counts.metadata, counts.computes
    energy, metadata_energy, price = costs.energy, costs.metadata_energy, machine.energy
    mappings, levels, tensors, _ = actual.shape
    for n in range(mappings):
        total = 0.0
        for level in range(levels):
            block = machine.words_per_access[level]
            used = instances[n, level]
            dearest = max(price[level, READ], price[level, FILL], price[level, UPDATE])
            for t in range(tensors):
                for kind in range(2):
                    words = actual[n, level, t] if kind == 0 else metadata[n, level, t]
                    spent = energy[n, level, t] if kind == 0 else metadata_energy[n, level, t]
                    together = words[READ] + words[FILL] + words[UPDATE]
                    for action in range(3):
                        if largest:
                            share = words[action] / together if together > 0 else 0.0
                            spent[action] = used * dearest * _accesses_for(together, block) * share
                        else:
                            spent[action] = used * price[level, action] * _accesses_for(words[action], block)
                        total += spent[action]
        costs.pointer_energy[n] = 0.0
        if balance.pointer_level >= 0:
            level = balance.pointer_level
            one = price[level, READ]
            if largest:
                one = max(one, price[level, FILL], price[level, UPDATE])
            costs.pointer_energy[n] = _round_up(counts.pointers[n]) * one * balance.pointer_energy
        done = computes[n, 0] + computes[n, 1] * gated_energy
        costs.compute_energy[n] = done * machine.compute_energy
        costs.total[n] = total + costs.pointer_energy[n] + costs.compute_energy[n]


@kernel
def sparse_cycles(
    machine: MachineArrays,
    instances: Ints,
    computes: int,
    met: float,
    balanced: bool,
    counts: SparseCountArrays,
    costs: SparseCostArrays,
) -> None:
    """Find the cycles of the slowest processing element, and stretch them where a bandwidth falls short.

    Gated accesses use bandwidth, metadata too.

    Parameters
    ----------
    machine : MachineArrays
    instances : int64[N, L + 1]
    computes : int
        If nothing were zero, over all units.
    met : float
        Density that computations see of the tensor that is balanced.
    balanced : bool
        Whether processing elements wait for each other: `counts.work` is then what the slowest does. It
        counts where all zeros of the balanced tensor save their cycle.
    counts : SparseCountArrays
    costs : SparseCostArrays
        `cycles` and `limit` are filled in.
    """
    actual, gated, metadata, bandwidth = counts.actual, counts.gated, counts.metadata, machine.bandwidth
    mappings, levels, tensors, _ = actual.shape
    for n in range(mappings):
        busy = counts.computes[n, 0] + counts.computes[n, 1]
        even = busy / instances[n, levels]
        if balanced and busy <= computes * met * (1 + 1e-9):
            # What is saved beyond the zeros of the balanced tensor is saved evenly.
            others = busy / (computes * met) if met > 0 else 0.0
            others = 1.0 if abs(others - 1) < 1e-9 else others
            even = computes // instances[n, levels] * counts.work[n] * others
        steps = max(1.0, _round_up(even))
        costs.cycles[n, levels] = np.int64(steps)
        for level in range(levels):
            read = write = 0.0
            for t in range(tensors):
                words = actual[n, level, t, READ] + gated[n, level, t, READ] + metadata[n, level, t, READ]
                read += words / steps
                words = actual[n, level, t, FILL] + actual[n, level, t, UPDATE] + gated[n, level, t, UPDATE]
                words += metadata[n, level, t, FILL] + metadata[n, level, t, UPDATE]
                write += words / steps
            costs.cycles[n, level], costs.limit[n, level] = stretch(
                bandwidth, level, read, write, costs.cycles[n, levels]
            )


@kernel
def mark_invalid(status: Ints, costs: SparseCostArrays) -> None:
    """Set `total` to NaN where `status`, int64[N], is not OK."""
    for n in range(len(status)):
        if status[n] != OK:
            costs.total[n] = np.nan
