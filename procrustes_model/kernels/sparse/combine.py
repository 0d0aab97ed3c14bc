"""What several actions and operands save together.

An event is counted once, however many actions see it: every leader counts with its smallest box that any of
them looks at, since a larger box that is empty contains it. Different leaders are independent, or counted
jointly where their masks are known.
"""

from __future__ import annotations

import numpy as np

from procrustes_model.kernels.dense.arrays import OK, Bools, Floats, Ints, ProblemArrays
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.arrays import (
    GATED,
    SKIPPED,
    ActionArrays,
    BoxArrays,
    DensityArrays,
    SavedArrays,
)
from procrustes_model.kernels.sparse.joint import count_jointly
from procrustes_model.kernels.sparse.masks import MaskArrays

NO_BOX, ELEMENT = -1, -2
"""In place of an action: a tensor leads nothing; what counts is a single element of it."""


@kernel
def _share_left(
    problem: ProblemArrays, densities: DensityArrays, masks: MaskArrays, extent: Ints, empty: Floats,
    chosen: Ints,
) -> float:  # fmt: skip
    """Return how likely no chosen box is empty.

    `extent` : int64[A, T, D]. `empty`: float64[A, T]. `chosen`: int64[T], the action whose box counts;
    NO_BOX, ELEMENT.
    """
    tensors, dimensions = len(chosen), len(problem.bounds)
    several = 0
    for t in range(tensors):
        if chosen[t] != NO_BOX and masks.known[t]:
            several += 1
    left = 1.0
    for t in range(tensors):
        if chosen[t] == NO_BOX or (several > 1 and masks.known[t]):
            continue
        left *= densities.met[t] if chosen[t] == ELEMENT else 1 - empty[chosen[t], t]
    if several > 1:
        known = np.zeros(tensors, np.bool_)
        box = np.ones((tensors, dimensions), np.int64)
        positions = 1.0
        for d in range(dimensions):
            positions *= problem.bounds[d]
        for t in range(tensors):
            known[t] = chosen[t] != NO_BOX and masks.known[t]
            if known[t] and chosen[t] != ELEMENT:
                for d in range(dimensions):
                    box[t, d] = min(extent[chosen[t], t, d], problem.bounds[d])
        origin = np.zeros(dimensions, np.int64)
        left *= count_jointly(problem, masks, known, box, origin, problem.bounds) / positions
    return left


@kernel
def _lead(
    actions: ActionArrays, level: Ints, effective: Bools, empty: Floats, at: int, target: int, kind: int,
    chosen: Ints,
) -> bool:  # fmt: skip
    """Choose each leader's box that is empty most often of a kind of action; return whether one changes.

    `level` : int64[A]; `effective`, `empty`: of [A, T]. Actions on `target` at level `at`, -1 for all levels.
    `chosen`: int64[T], changed.
    """
    changed = False
    for a in range(len(level)):
        if actions.target[a] != target or actions.kind[a] != kind or (at >= 0 and level[a] != at):
            continue
        for t in range(len(chosen)):
            if effective[a, t] and (chosen[t] < 0 or empty[a, t] > empty[chosen[t], t]):
                chosen[t] = a
                changed = True
    return changed


@kernel
def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 1.0


@kernel
def combine_accesses(
    problem: ProblemArrays,
    actions: ActionArrays,
    densities: DensityArrays,
    masks: MaskArrays,
    boxes: BoxArrays,
    empty: Floats,
    status: Ints,
    saved: SavedArrays,
) -> None:
    """Find what actions leave of accesses, from the outermost level inwards; skipping goes before gating.

    Parameters
    ----------
    problem : ProblemArrays
    actions : ActionArrays
    densities : DensityArrays
    masks : MaskArrays
    boxes : BoxArrays
    empty : float64[N, A, T]
    status : int64[N]
        Nothing is looked at for mappings that are not valid.
    saved : SavedArrays
        `left` and `tilt` are filled in.
    """
    mappings, levels, tensors, _ = saved.left.shape
    left, tilt = saved.left, saved.tilt
    several = np.sum(masks.known) > 1
    chosen, own = np.empty(tensors, np.int64), np.empty(tensors, np.int64)
    share = np.empty(2)
    for n in range(mappings):
        left[n] = tilt[n] = 1.0
        if status[n] != OK:
            continue
        for t in range(tensors):
            chosen[:] = NO_BOX
            before = denser = 1.0
            counted = several and masks.known[t] and t != problem.output
            for level in range(levels):
                arriving = denser
                skipped = denser
                for stage in range(2):
                    kind = SKIPPED if stage == 0 else GATED
                    share[stage] = share[0] if stage else before
                    if _lead(actions, boxes.level[n], boxes.effective[n], empty[n], level, t, kind, chosen):
                        share[stage] = _share_left(
                            problem, densities, masks, boxes.extent[n], empty[n], chosen
                        )
                        if counted:
                            own[:] = chosen
                            own[t] = ELEMENT
                            both = _share_left(problem, densities, masks, boxes.extent[n], empty[n], own)
                            denser = _ratio(both, densities.met[t])
                    left[n, level, t, stage] = share[stage]
                    skipped = skipped if stage else denser
                if counted:
                    tilt[n, level, t, 0] = _ratio(arriving, before)
                    tilt[n, level, t, 1] = _ratio(skipped - denser, share[0] - share[1])
                    tilt[n, level, t, 2] = _ratio(denser, share[1])
                before = share[1]


@kernel
def combine_computes(
    problem: ProblemArrays,
    actions: ActionArrays,
    densities: DensityArrays,
    masks: MaskArrays,
    boxes: BoxArrays,
    empty: Floats,
    compressed: Bools,
    status: Ints,
    saved: SavedArrays,
) -> None:
    """Find what is left of computations: what storage does not deliver is not computed, nor what meets zeros.

    Parameters
    ----------
    problem : ProblemArrays
    actions : ActionArrays
    densities : DensityArrays
    masks : MaskArrays
    boxes : BoxArrays
    empty : float64[N, A, T]
    compressed : bool[N, T]
        Whether the innermost level that keeps an operand stores it compressed: only then can its zeros be
        skipped. Those of an output, whose sums nobody wants, always can.
    status : int64[N]
        Nothing is looked at for mappings that are not valid.
    saved : SavedArrays
        `removed`, `empty` and `computes` are filled in.
    """
    tensors = len(densities.met)
    chosen, own = np.empty(tensors, np.int64), np.empty(tensors, np.int64)
    gated = np.empty(tensors)
    for n in range(len(status)):
        saved.removed[n] = 0.0
        saved.empty[n] = 0.0
        saved.computes[n] = 1.0
        if status[n] != OK:
            continue
        for stage in range(2):
            taken = saved.removed[n] if stage == 0 else gated
            for t in range(tensors):
                if t == problem.output:
                    continue
                own[:] = NO_BOX
                if stage == 0:
                    _lead(actions, boxes.level[n], boxes.effective[n], empty[n], -1, t, SKIPPED, own)
                if stage == 1 or actions.dropped:
                    _lead(actions, boxes.level[n], boxes.effective[n], empty[n], -1, t, GATED, own)
                _take_away(own, empty[n], saved.empty[n], taken, t)
        chosen[:] = NO_BOX
        share = 1.0
        for stage in range(4):
            changed = False
            for t in range(tensors):
                if stage < 2 and t != problem.output:
                    kind = SKIPPED if stage == 0 else GATED
                    changed |= _lead(
                        actions, boxes.level[n], boxes.effective[n], empty[n], -1, t, kind, chosen
                    )
                met = stage == 2 and actions.skip_compute[t] and (compressed[n, t] or t == problem.output)
                if met or (stage == 3 and actions.gate_compute[t]):
                    chosen[t] = ELEMENT
                    changed = True
            if changed:
                share = _share_left(problem, densities, masks, boxes.extent[n], empty[n], chosen)
            saved.computes[n, stage] = share


@kernel
def _take_away(own: Ints, empty: Floats, before: Floats, removed: Floats, target: int) -> None:
    """Set in `removed`, float64[T], what a target's actions take away beyond those of earlier targets.

    `own` : int64[T], the actions whose boxes count. `empty`: float64[A, T]. `before`: float64[T], how likely
    boxes are empty of what counts so far; grows.
    """
    left = 1.0
    for t in range(len(own)):
        if own[t] >= 0 and empty[own[t], t] > before[t]:
            left *= (1 - empty[own[t], t]) / (1 - before[t])
            before[t] = empty[own[t], t]
    removed[target] = 1 - left
