"""What actions save of accesses and computations."""

from __future__ import annotations

import math

from procrustes_model.kernels.dense.arrays import READ, UPDATE, Bools, Floats, Ints
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.arrays import (
    HYPERGEOMETRIC,
    ActionArrays,
    DensityArrays,
    SavedArrays,
    SparseCountArrays,
)
from procrustes_model.kernels.sparse.library_chances import library_chance

STORED, SENT, SAVED = 0, 1, 2
"""Of `ActionArrays.off`: zeros that are stored, what is sent, what is saved."""


@kernel
def take_whole(count: float, share: float, up: bool, off: float) -> float:
    """Return a share of a count, rounded down, or `up`; `off`: what the share is taken to be off by."""
    taken = count * share + count * off
    return float(math.ceil(taken) if up else math.floor(taken))


@kernel
def is_target(actions: ActionArrays, tensor: int) -> bool:
    """Say whether an action saves accesses of a tensor, however few."""
    found = bool(actions.chosen[tensor])
    for a in range(len(actions.target)):
        found = found or actions.target[a] == tensor
    return found


@kernel
def save_accesses(
    accesses: Ints,
    keep: Bools,
    output: int,
    saved: SavedArrays,
    actions: ActionArrays,
    counts: SparseCountArrays,
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
    actions : ActionArrays
        Where `whole`, expected counts are rounded: down, the reads saved of an output up.
    counts : SparseCountArrays
        `actual`, `gated` and `skipped` are filled in.
    """
    mappings, levels, tensors, _ = accesses.shape
    for n in range(mappings):
        for t in range(tensors):
            above = 0.0
            for level in range(levels):
                for action in range(3):
                    arrive = float(accesses[n, level, t, action])
                    if above > 0:
                        lost = arrive * above
                        if actions.whole:
                            lost = take_whole(arrive, above, False, actions.off[SENT])
                        arrive -= lost
                    counts.actual[n, level, t, action] = arrive
                    counts.gated[n, level, t, action] = 0.0
                    counts.skipped[n, level, t, action] = 0.0
                if not keep[n, level, t]:
                    continue
                for stage in range(2):
                    own = 1 - saved.left[n, level, t, stage]
                    if own <= above:
                        continue
                    share = 1 - (1 - own) / (1 - above)
                    kind = counts.skipped if stage == 0 else counts.gated
                    for action in (READ, UPDATE):
                        lost = counts.actual[n, level, t, action] * share
                        if actions.whole:
                            words, up = counts.actual[n, level, t, action], t == output and action == READ
                            lost = take_whole(words, share, up, actions.off[SAVED])
                        counts.actual[n, level, t, action] -= lost
                        kind[n, level, t, action] = lost
                    above = own


@kernel
def _met_density(met: float, whole: bool) -> float:
    """Return the density that computations see, rounded as a whole-word model does."""
    return math.floor(1e6 * met + 0.5) / 1e6 if whole else met


@kernel
def _left_density(densities: DensityArrays, saved: SavedArrays, n: int, tensor: int) -> float:
    """Return the density of an operand among the computations that storage delivers, rounded."""
    left = 1 - _met_density(saved.empty[n, tensor], True)
    return min(1.0, _met_density(densities.met[tensor], True) / left) if left > 0 else 0.0


@kernel
def save_computes(computes: int, saved: SavedArrays, dropped: bool, counts: SparseCountArrays) -> None:
    """Split computations into actual, gated and skipped ones.

    A computation whose operand is gated takes its cycle, and is gated too. One whose operand is skipped on
    the way is none of these.

    Parameters
    ----------
    computes : int
        If nothing were zero, over all units.
    saved : SavedArrays
    dropped : bool
        Whether gated operands take no cycle.
    counts : SparseCountArrays
        `computes` is filled in.
    """
    for n in range(len(saved.computes)):
        left = saved.computes[n]
        gated = left[2] - left[3]
        if not dropped:
            gated += left[0] - left[1]
        counts.computes[n, 0] = computes * left[3]
        counts.computes[n, 1] = computes * gated
        counts.computes[n, 2] = computes * (left[1] - left[2])


@kernel
def _count_left_out(output: int, actions: ActionArrays, compressed: Bools, removed: Floats) -> int:
    """Return of how many of two operands storage saves computations.

    -1 where there are not two that are compressed, or where positions of one of them are chosen.
    """
    found, saved, chosen = 0, 0, 0
    for t in range(len(removed)):
        if t != output:
            found += 1 if compressed[t] else 3
            saved += 1 if removed[t] > 0 else 0
            chosen += 1 if actions.chosen[t] else 0
    return saved if found == 2 and chosen != 1 else -1


@kernel
def _skip_apart(total: float, output: int, densities: DensityArrays, empty: Floats, counts: Floats) -> None:
    """Count computations that meet one zero as skipped, and those that meet two, rounded apart, as none.

    Where storage saves computations of an operand alone, what is left of it may be denser than 1, as its
    density is rounded and how likely it is empty is not. `empty`: float64[T]. `counts`: float64[3], set.
    """
    one, none, both = 0.0, 1.0, 1.0
    first = True
    for t in range(len(empty)):
        if t != output:
            held = 1 - empty[t]
            density = _met_density(densities.met[t], True) / held if held > 0 else 0.0
            one = 0.0 if first else both * (1 - density) + none * density
            both, none, first = both * density, none * (1 - density), False
    counts[2] = take_whole(total, one, False, 0.0)
    counts[0] = total - counts[2] - take_whole(total, none, False, 0.0)
    counts[1] = 0.0


@kernel
def _skips_all(output: int, actions: ActionArrays) -> bool:
    """Say whether zeros of every operand are skipped where they meet."""
    skips = True
    for t in range(len(actions.skip_compute)):
        skips = skips and (t == output or actions.skip_compute[t])
    return skips


@kernel
def _count_apart(
    total: float, output: int, actions: ActionArrays, densities: DensityArrays, removed: Floats
) -> float:
    """Return what is left of computations where those of two zeros are rounded apart from the others."""
    left = nothing = 1.0
    for t in range(len(removed)):
        if t == output:
            continue
        density = _met_density(densities.met[t], True)
        if actions.chosen[t]:
            density = densities.met[t]
            if densities.library and densities.model[t] == HYPERGEOMETRIC:
                density = library_chance(densities.size[t], densities.nonzeros[t], 1, 1)
        nothing *= 1 - density
        left *= 1 - removed[t]
    return total - take_whole(total, nothing, False, 0.0) - take_whole(total, 1 - left - nothing, False, 0.0)


@kernel
def save_whole_computes(
    computes: int,
    output: int,
    actions: ActionArrays,
    densities: DensityArrays,
    compressed: Bools,
    saved: SavedArrays,
    counts: SparseCountArrays,
) -> None:
    """Split computations into actual, gated and skipped ones, rounding on the way as Sparseloop does.

    Of what storage delivers, an operand that led savings on the way is denser than before. Where all operands
    are compressed, and zeros that meet are none of the computations, what is skipped meets one nonzero.

    Parameters
    ----------
    computes : int
        If nothing were zero, over all units.
    output : int
    actions : ActionArrays
    densities : DensityArrays
    compressed : bool[N, T]
        As `combine_computes` takes it.
    saved : SavedArrays
    counts : SparseCountArrays
        `computes` is filled in.
    """
    tensors = len(densities.met)
    for n in range(len(saved.computes)):
        total = float(computes)
        out = _count_left_out(output, actions, compressed[n], saved.removed[n]) if actions.apart else -1
        apart = out == 2
        if apart:
            total = _count_apart(total, output, actions, densities, saved.removed[n])
        for t in range(0 if apart else tensors):
            off = actions.off[SENT] if t != output and is_target(actions, t) else 0.0
            total -= take_whole(total, saved.removed[n, t], False, off)
        if out == 1 and _skips_all(output, actions):
            _skip_apart(total, output, densities, saved.empty[n], counts.computes[n])
            continue
        gated = 0.0
        if not actions.dropped and saved.computes[n, 0] > 0:
            gated = take_whole(
                total, 1 - saved.computes[n, 1] / saved.computes[n, 0], False, actions.off[SAVED]
            )
            total -= gated
        skipped, nothing = 0.0, 0.0
        gating = 0
        first = second = zero = 1.0
        absent = actions.absent and not apart
        for t in range(tensors):
            density = _left_density(densities, saved, n, t)
            if t != output:
                absent = absent and compressed[n, t]
                zero *= 1 - density
            if actions.skip_compute[t] and (compressed[n, t] or t == output):
                skipped += (total - skipped) * (1 - density)
            elif actions.gate_compute[t]:
                gating += 1
                first, second = (density, second) if gating == 1 else (first, second * density)
        if absent:
            nothing = take_whole(total, zero, False, actions.off[STORED])
            skipped = float(math.floor(max(0.0, skipped - total * zero + total * actions.off[SAVED])))
        if apart:
            skipped = float(math.floor(skipped))
        left = total - skipped
        more = left * (first * (1 - second) + (1 - first) * second)
        more += left * ((1 - first) * (1 - second))
        more = math.floor(more)
        if absent and gating > 0:
            more -= nothing
        counts.computes[n, 0] = left - more - nothing
        counts.computes[n, 1] = gated + more
        counts.computes[n, 2] = skipped
