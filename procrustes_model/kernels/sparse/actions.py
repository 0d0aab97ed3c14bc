"""What actions save of accesses and computations."""

from __future__ import annotations

import math

from procrustes_model.kernels.dense.arrays import READ, UPDATE, Bools, Floats, Ints
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.arrays import (
    GATED,
    ActionArrays,
    DensityArrays,
    SavedArrays,
    SparseCountArrays,
)


@kernel
def save_accesses(
    accesses: Ints,
    keep: Bools,
    output: int,
    saved: SavedArrays,
    whole: bool,
    counts: SparseCountArrays,
    removed: Floats,
) -> None:
    """Split accesses into actual, gated and skipped ones.

    What an outer level does not send does not arrive further in: there it is neither gated nor skipped.

    Parameters
    ----------
    accesses : int64[N, L, T, 3]
        If nothing were zero.
    keep : bool[N, L, T]
    output : int
    saved : SavedArrays
    whole : bool
        Round expected counts: down, the reads saved of an output up.
    counts : SparseCountArrays
        `actual`, `gated` and `skipped` are filled in.
    removed : float64[N, T]
        Filled in: share of a tensor's accesses that do not reach the compute units.
    """
    probability, kind = saved.probability, saved.kind
    actual, gated, skipped = counts.actual, counts.gated, counts.skipped
    mappings, levels, tensors, _ = accesses.shape
    for n in range(mappings):
        for t in range(tensors):
            above = 0.0
            for level in range(levels):
                for action in range(3):
                    arrive = float(accesses[n, level, t, action])
                    if above > 0:
                        lost = arrive * above
                        arrive -= math.floor(lost) if whole else lost
                    actual[n, level, t, action] = arrive
                    gated[n, level, t, action] = 0.0
                    skipped[n, level, t, action] = 0.0
                if not keep[n, level, t] or kind[n, level, t] == 0:
                    continue
                own = probability[n, level, t]
                share = 1 - (1 - own) / (1 - above) if above < 1 else 0.0
                for action in (READ, UPDATE):
                    lost = actual[n, level, t, action] * share
                    if whole:
                        lost = math.ceil(lost) if t == output and action == READ else math.floor(lost)
                    actual[n, level, t, action] -= lost
                    if kind[n, level, t] == GATED:
                        gated[n, level, t, action] = lost
                    else:
                        skipped[n, level, t, action] = lost
                above = own
            removed[n, t] = above


@kernel
def _met_density(met: float, whole: bool) -> float:
    """Return the density that computations see, rounded as a whole-word model does."""
    return math.floor(1e6 * met + 0.5) / 1e6 if whole else met


@kernel
def save_computes(
    computes: int,
    output: int,
    actions: ActionArrays,
    densities: DensityArrays,
    compressed: Bools,
    removed: Floats,
    counts: SparseCountArrays,
) -> None:
    """Split computations into actual, gated and skipped ones.

    What storage does not deliver is not computed. Of the rest, an operand that led such savings is denser
    than before.

    Parameters
    ----------
    computes : int
        If nothing were zero, over all units.
    output : int
    actions : ActionArrays
    densities : DensityArrays
    compressed : bool[N, T]
        Whether the innermost level that keeps an operand stores it compressed: only then can its zeros be
        skipped.
    removed : float64[N, T]
        As `save_accesses` leaves it.
    counts : SparseCountArrays
        `computes` is filled in.
    """
    tensors = removed.shape[1]
    whole = actions.whole
    met = densities.met
    for n in range(len(removed)):
        total = float(computes)
        for t in range(tensors):
            if t != output and removed[n, t] > 0:
                lost = total * removed[n, t]
                total -= math.floor(lost) if whole else lost
        skipped = 0.0
        gating = 0
        first = second = 1.0
        for t in range(tensors):
            if t == output or not (actions.skip_compute[t] or actions.gate_compute[t]):
                continue
            density = _met_density(met[t], whole)
            for a in range(len(actions.level)):
                led = actions.target[a]
                if actions.leaders[a, t] and led != output and removed[n, led] > 0:
                    left = 1 - _met_density(removed[n, led], whole)
                    density = min(1.0, density / left) if left > 0 else 0.0
            if actions.skip_compute[t] and compressed[n, t]:
                skipped += (total - skipped) * (1 - density)
            elif actions.gate_compute[t]:
                gating += 1
                first, second = (density, second) if gating == 1 else (first, second * density)
        total -= skipped
        gated = total * (first * (1 - second) + (1 - first) * second)
        gated += total * ((1 - first) * (1 - second))
        if whole:
            gated = math.floor(gated)
        counts.computes[n, 0] = total - gated
        counts.computes[n, 1] = gated
        counts.computes[n, 2] = skipped
