"""What several actions and operands save together.

An event is counted once, however many actions see it. Of a leader's boxes one that contains another counts
for nothing: where it is empty, so is the other. Boxes of which none contains another, such as a row for one
target and a column for another, are counted together. Different leaders are independent, or counted jointly
where their masks are known.
"""

from __future__ import annotations

import numpy as np

from procrustes_model.kernels.dense.arrays import OK, Bools, Floats, Ints, ProblemArrays
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.arrays import (
    GATED,
    HYPERGEOMETRIC,
    NESTED,
    ROWS,
    SKIPPED,
    SPACED,
    STRUCTURED,
    ActionArrays,
    BoxArrays,
    DensityArrays,
    SavedArrays,
)
from procrustes_model.kernels.sparse.empty import box_chance, box_empty, box_words
from procrustes_model.kernels.sparse.joint import count_boxes
from procrustes_model.kernels.sparse.library_chances import library_chance
from procrustes_model.kernels.sparse.masks import MaskArrays

NO_BOX = -1
"""In place of an action: a tensor leads nothing."""


@kernel
def _contains(problem: ProblemArrays, tensor: int, outer: Ints, inner: Ints) -> bool:
    """Return whether one box of a tensor, int64[D], contains another that lies around the same element."""
    contains = True
    for d in range(len(outer)):
        contains = contains and (problem.rank[tensor, d] < 0 or outer[d] >= inner[d])
    return contains


@kernel
def _list_boxes(problem: ProblemArrays, extent: Ints, chosen: Bools, tensor: int, listed: Ints) -> int:
    """List the chosen boxes of a tensor that contain none of the others; return how many.

    `extent` : int64[A, T, D]. `chosen`: bool[A + 1, T]. `listed`: int64[A + 1], filled in; A is an element.
    """
    element = len(chosen) - 1
    if chosen[element, tensor]:
        listed[0] = element
        return 1
    count = 0
    for a in range(element):
        if not chosen[a, tensor]:
            continue
        least = True
        for b in range(element):
            if a == b or not chosen[b, tensor] or not least:
                continue
            if _contains(problem, tensor, extent[a, tensor], extent[b, tensor]):
                alike = _contains(problem, tensor, extent[b, tensor], extent[a, tensor])
                least = alike and a < b
        if least:
            listed[count] = a
            count += 1
    return count


@kernel
def _common(extent: Ints, listed: Ints, count: int, members: int, tensor: int, common: Ints) -> int:
    """Set `common`, int64[D], to what the boxes of a set have in common; return how many they are."""
    found = 0
    for i in range(count):
        if members >> i & 1:
            for d in range(len(common)):
                one = extent[listed[i], tensor, d]
                common[d] = one if found == 0 else min(common[d], one)
            found += 1
    return found


@kernel
def _none_empty(
    problem: ProblemArrays, densities: DensityArrays, tensor: int, extent: Ints, listed: Ints, count: int
) -> float:
    """Return how likely none of several boxes of a tensor is empty, of which none contains another.

    Counted over all sets of boxes: how likely the elements of all of a set are zero, with alternating sign.
    Elements are those of the boxes, less what pairs have in common, and so on. Of n:m groups what two boxes
    have beside their common part is taken to be independent.
    """
    grouped = densities.model[tensor] in (STRUCTURED, NESTED, ROWS)
    common = np.empty(len(problem.bounds), np.int64)
    left = 1.0
    for members in range(1, 1 << count):
        words, chance = 0, 1.0
        size = 0
        part = members
        while part > 0:
            found = _common(extent, listed, count, part, tensor, common)
            size = max(size, found)
            if grouped:
                one = box_chance(problem, densities, tensor, common)
                if one > 0:
                    chance *= one if found % 2 else 1 / one
                else:
                    chance = 0.0
                    break
            else:
                words += box_words(problem, tensor, common) * (1 if found % 2 else -1)
            part = (part - 1) & members
        if not grouped:
            model, whole = densities.model[tensor], densities.size[tensor]
            chance = box_empty(model, whole, densities.nonzeros[tensor], densities.average[tensor], words)
        left += chance if size % 2 == 0 else -chance
    return max(0.0, left)


@kernel
def _share_left(
    problem: ProblemArrays, densities: DensityArrays, masks: MaskArrays, extent: Ints, empty: Floats,
    chosen: Bools,
) -> float:  # fmt: skip
    """Return how likely no chosen box is empty.

    `extent` : int64[A, T, D]. `empty`: float64[A, T]. `chosen`: bool[A + 1, T], boxes of actions and, last,
    of a single element.
    """
    element, tensors = len(chosen) - 1, len(densities.met)
    dimensions = len(problem.bounds)
    listed = np.empty(element + 1, np.int64)
    owner = np.empty((element + 1) * tensors, np.int64)
    box = np.ones((len(owner), dimensions), np.int64)
    known = 0
    for t in range(tensors):
        for i in range(_list_boxes(problem, extent, chosen, t, listed) if masks.known[t] else 0):
            owner[known] = t
            if listed[i] != element:
                box[known] = np.minimum(extent[listed[i], t], problem.bounds)
            known += 1
    left = 1.0
    for t in range(tensors):
        count = _list_boxes(problem, extent, chosen, t, listed)
        if count == 0 or (known > 1 and masks.known[t]):
            continue
        if count > 1:
            left *= _none_empty(problem, densities, t, extent, listed, count)
        else:
            left *= densities.met[t] if listed[0] == element else 1 - empty[listed[0], t]
    if known > 1:
        positions = 1.0
        for d in range(dimensions):
            positions *= problem.bounds[d]
        origin = np.zeros(dimensions, np.int64)
        left *= count_boxes(problem, masks, owner[:known], box[:known], origin, problem.bounds) / positions
    return left


@kernel
def _choose(
    actions: ActionArrays, level: Ints, effective: Bools, at: int, target: int, kind: int, chosen: Bools
) -> bool:
    """Choose the leaders' boxes of a kind of action; return whether one is new. Arguments as of `_lead`.

    `chosen` : bool[A + 1, T], changed.
    """
    changed = False
    for a in range(len(level)):
        if actions.target[a] != target or actions.kind[a] != kind or (at >= 0 and level[a] != at):
            continue
        for t in range(effective.shape[1]):
            if effective[a, t] and not chosen[a, t]:
                chosen[a, t] = True
                changed = True
    return changed


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
    count = len(actions.level)
    chosen, own = np.empty((count + 1, tensors), np.bool_), np.empty((count + 1, tensors), np.bool_)
    share = np.empty(2)
    for n in range(mappings):
        left[n] = tilt[n] = 1.0
        if status[n] != OK:
            continue
        for t in range(tensors):
            chosen[:] = False
            before = denser = 1.0
            counted = several and masks.known[t] and t != problem.output
            for level in range(levels):
                arriving = denser
                skipped = denser
                for stage in range(2):
                    kind = SKIPPED if stage == 0 else GATED
                    share[stage] = share[0] if stage else before
                    if _choose(actions, boxes.level[n], boxes.effective[n], level, t, kind, chosen):
                        share[stage] = _share_left(
                            problem, densities, masks, boxes.extent[n], empty[n], chosen
                        )
                        if counted:
                            own[:] = chosen
                            own[count, t] = True
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
    chosen, own = np.empty((len(actions.level) + 1, tensors), np.bool_), np.empty(tensors, np.int64)
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
                    _lead(actions, boxes.level[n], boxes.effective[n], empty[n], -1, t, SPACED, own)
                if stage == 1 or actions.dropped:
                    _lead(actions, boxes.level[n], boxes.effective[n], empty[n], -1, t, GATED, own)
                _take_away(own, empty[n], saved.empty[n], taken, t)
                if actions.chosen[t] and stage == 0 and saved.empty[n, t] < 1:
                    # Of these operands zeros are never delivered.
                    kept = min(1.0, densities.met[t] / (1 - saved.empty[n, t]))
                    if densities.library and densities.model[t] == HYPERGEOMETRIC:
                        size, nonzeros = densities.size[t], densities.nonzeros[t]
                        kept = 1 - library_chance(size, nonzeros, 1, 0)
                    taken[t] = 1 - (1 - taken[t]) * kept
                    saved.empty[n, t] = 1 - densities.met[t]
        chosen[:] = False
        share = 1.0
        for stage in range(4):
            changed = False
            for t in range(tensors):
                if stage < 2 and t != problem.output:
                    kind = SKIPPED if stage == 0 else GATED
                    changed |= _choose(actions, boxes.level[n], boxes.effective[n], -1, t, kind, chosen)
                    if stage == 0:
                        changed |= actions.chosen[t] and not chosen[-1, t]
                        chosen[-1, t] = chosen[-1, t] or actions.chosen[t]
                        changed |= _choose(actions, boxes.level[n], boxes.effective[n], -1, t, SPACED, chosen)
                met = stage == 2 and actions.skip_compute[t] and (compressed[n, t] or t == problem.output)
                if met or (stage == 3 and actions.gate_compute[t]):
                    chosen[-1, t] = True
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
