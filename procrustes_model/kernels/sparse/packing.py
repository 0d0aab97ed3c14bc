"""What is packed closer where zeros are left out in space: instances, and positions of a tensor.

An instance whose tile of a leader is empty gets nothing, and the next tile takes its place: fewer instances
are needed than there are tiles. Positions that a level hands out are chosen among those that are not zero, as
many at a time as there are instances: fewer steps are needed than there are positions.
"""

from __future__ import annotations

import math

import numpy as np

from procrustes_model.kernels.dense.arrays import (
    BAD_DESIGN,
    BAD_FANOUT,
    FILL,
    OK,
    READ,
    UPDATE,
    Bools,
    Floats,
    Ints,
    LoopArrays,
    NestArrays,
    ProblemArrays,
)
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.actions import SENT, take_whole
from procrustes_model.kernels.sparse.arrays import (
    DENSE,
    FIXED,
    HYPERGEOMETRIC,
    SPACED,
    ActionArrays,
    BoxArrays,
    DensityArrays,
    PackArrays,
    SparseCountArrays,
    UseArrays,
)
from procrustes_model.kernels.sparse.empty import box_chance, box_words
from procrustes_model.kernels.sparse.fullest import most_nonzeros
from procrustes_model.kernels.sparse.library_chances import library_chance


@kernel
def _knows(keep: Bools, compressed: Bools, level: int, tensor: int) -> bool:
    """Say whether what serves a tensor at a level or further out knows its zeros; of [L, T]."""
    while level > 0 and not keep[level, tensor]:
        level -= 1
    return bool(keep[level, tensor] and compressed[level, tensor])


@kernel
def _grow_in_time(nests: NestArrays, n: int, level: int, target: int, moves: Bools, box: Ints) -> None:
    """Grow `box`, int64[D], by the loops during which a tile of a target stays, which dimensions `moves`."""
    for at in range(level, -1, -1):
        for position in range(len(box) - 1, -1, -1):
            d = nests.order[n, at, position]
            if nests.temporal[n, at, d] == 1:
                continue
            if moves[d]:
                return
            box[d] *= nests.temporal[n, at, d]
        if nests.keep[n, at, target]:
            return


@kernel
def find_spaced_boxes(
    problem: ProblemArrays, nests: NestArrays, loops: LoopArrays, compressed: Bools, actions: ActionArrays,
    boxes: BoxArrays,
) -> None:  # fmt: skip
    """Find what has to be empty for an instance to be left out: its tile of a leader, while its work stays.

    A leader has an effect where loops in space at the action's level tell its tiles apart, and where it comes
    from a level that knows its zeros.

    Parameters
    ----------
    problem : ProblemArrays
    nests : NestArrays
    loops : LoopArrays
    compressed : bool[L, T]
    actions : ActionArrays
    boxes : BoxArrays
        Those of actions in space are filled in.
    """
    levels = nests.keep.shape[1]
    for n in range(len(boxes.level)):
        for a in range(len(actions.level)):
            if actions.kind[a] != SPACED:
                continue
            level, t = actions.level[a], actions.target[a]
            boxes.level[n, a] = level
            child = level + 1
            while child < levels and not nests.keep[n, child, t]:
                child += 1
            for leader in range(len(problem.rank)):
                boxes.effective[n, a, leader] = False
                if not actions.leaders[a, leader] or not _knows(nests.keep[n], compressed, level, leader):
                    continue
                box = boxes.extent[n, a, leader]
                box[:] = loops.below[n, level + 1]
                shared = False
                for axis in range(2):
                    for d in range(len(box)):
                        if nests.spatial[n, level, axis, d] > 1 and problem.rank[leader, d] >= 0:
                            boxes.effective[n, a, leader] = True
                            shared = shared or problem.rank[t, d] >= 0
                if shared and child < levels:
                    _grow_in_time(nests, n, level, t, problem.rank[t] >= 0, box)


@kernel
def _room(
    problem: ProblemArrays, densities: DensityArrays, spatial: Ints, tensor: int, inner: Ints, known: bool,
    room: Floats,
) -> None:  # fmt: skip
    """Shrink `room`, float64[2], columns and rows, to the tiles of a tensor that may be nonempty at once.

    `spatial` : int64[2, D]. `inner`: int64[D], the box of one instance. `known`: the tensor has a mask.
    """
    box = inner.copy()
    for axis in range(2):
        for d in range(len(box)):
            factor = spatial[axis, d]
            if factor > 1 and problem.rank[tensor, d] >= 0 and not known:
                box[d] *= factor
                words = box_words(problem, tensor, box)
                most = most_nonzeros(problem, densities, tensor, box, words)
                room[axis] *= min(float(factor), max(1.0, math.ceil(most - 1e-9))) / factor
            elif factor > 1:
                box[d] *= factor


@kernel
def pack_instances(
    problem: ProblemArrays, densities: DensityArrays, known: Bools, compressed: Bools, nests: NestArrays,
    loops: LoopArrays, actions: ActionArrays, pack: PackArrays, boxes: BoxArrays, empty: Floats,
    instances: Ints, use: UseArrays, status: Ints,
) -> None:  # fmt: skip
    """Find how many instances are left below levels that leave some out, and whether they fit the fan-out.

    An instance is left out where nothing is sent to it: of every tensor its zeros, or those of what leads it.

    Parameters
    ----------
    problem : ProblemArrays
    densities : DensityArrays
    known : bool[T]
        Tensors with a mask.
    compressed : bool[L, T]
    nests : NestArrays
    loops : LoopArrays
    actions : ActionArrays
    pack : PackArrays
    boxes : BoxArrays
    empty : float64[N, A, T]
    instances : int64[N, L + 1]
        Shrinks.
    use : UseArrays
        Filled in.
    status : int64[N]
        Set to BAD_FANOUT where what is left does not fit.
    """
    mappings, levels, tensors = nests.keep.shape
    share, own, room = np.empty((levels + 1, tensors)), np.empty(2), np.empty((tensors, 2))
    for n in range(mappings):
        share[:] = 1.0
        for level in range(levels):
            if not pack.spaced[level] or status[n] != OK:
                continue
            room[:] = 1.0
            inner = loops.below[n, level + 1]
            for t in range(tensors):
                left, found = 1.0, False
                if _knows(nests.keep[n], compressed, level, t):
                    for d in range(len(inner)):
                        spread = nests.spatial[n, level, 0, d] * nests.spatial[n, level, 1, d]
                        found = found or (spread > 1 and problem.rank[t, d] >= 0)
                    if found:
                        left *= 1 - box_chance(problem, densities, t, inner)
                        _room(problem, densities, nests.spatial[n, level], t, inner, known[t], room[t])
                for a in range(len(actions.level)):
                    if actions.kind[a] != SPACED or boxes.level[n, a] != level or actions.target[a] != t:
                        continue
                    for leader in range(tensors):
                        if boxes.effective[n, a, leader] and leader != t:
                            left *= 1 - empty[n, a, leader]
                            box = boxes.extent[n, a, leader]
                            _room(
                                problem,
                                densities,
                                nests.spatial[n, level],
                                leader,
                                box,
                                known[leader],
                                room[t],
                            )
                for inside in range(level + 1, levels + 1):
                    share[inside, t] *= left
            own[:] = 0.0
            for t in range(tensors):
                own = np.maximum(own, room[t])
            for axis in range(2):
                wide = 1
                for d in range(len(inner)):
                    wide *= nests.spatial[n, level, axis, d]
                if math.floor(wide * own[axis] + 1e-9) > pack.fanout[level, axis]:
                    status[n] = BAD_FANOUT
            for inside in range(level + 1, levels + 1):
                before = instances[n, inside]
                instances[n, inside] = max(1, math.floor(before * own[0] * own[1] + 1e-9))
                shrunk = before / instances[n, inside]
                for t in range(tensors):
                    share[inside, t] *= shrunk
        if status[n] != OK:
            continue
        inside_one = False
        for level in range(levels):
            if inside_one:
                use.tensors[n, level] = share[level]
            inside_one = inside_one or pack.spaced[level]
        use.units[n] *= share[levels].max()


@kernel
def _library_steps(
    size: int, nonzeros: int, positions: int, wide: int, least: int
) -> tuple[float, float, float]:
    """Return the same from the chances of a library, whose errors count."""
    total = some = steps = use = 0.0
    for k in range(max(0, positions - (size - nonzeros)), min(positions, nonzeros) + 1):
        p = library_chance(size, nonzeros, positions, k)
        needed = max(least, -(-k // wide))
        total += p
        steps += p * needed
        if k > 0:
            some += p
            use += p * k / (wide * needed)
    return steps, use / some if some > 0 else 1.0, total


@kernel
def _mean_steps(
    model: int, size: int, nonzeros: int, average: float, positions: int, wide: int, least: int, library: bool
) -> tuple[float, float, float]:
    """Return the expected steps of a group of positions, and the mean use of instances by one with nonzeros.

    Last, what the chances of all numbers of nonzeros add up to: 1, but for the errors of a `library`.

    Parameters
    ----------
    model : int
        One of `vocabulary.DensityModel`.
    size, nonzeros, average
        Of the tensor.
    positions : int
        Of the group.
    wide : int
        Positions of a step.
    least : int
        Steps that a group without any nonzero takes.
    """
    if model == DENSE or nonzeros == size:
        return float(-(-positions // wide)), 1.0, 1.0
    if model == HYPERGEOMETRIC and library:
        return _library_steps(size, nonzeros, positions, wide, least)
    mean = positions * average
    low, high = math.floor(mean), math.ceil(mean)
    first = mean - low
    if model == HYPERGEOMETRIC:
        low, high = max(0, positions - (size - nonzeros)), min(positions, nonzeros)
        first = float(min(high, max(low, (positions + 1) * (nonzeros + 1) // (size + 2))))
    total = some = steps = use = 0.0
    for side in range(2):
        # From the most likely number of nonzeros down, then from the next one up.
        k, p = float(low + side), first if side else 1 - first
        if model == HYPERGEOMETRIC:
            k = first + side
            p = _next(size, nonzeros, positions, first) if side else 1.0
        while low <= k <= high and p > 0:
            needed = max(least, -(-k // wide))
            total += p
            steps += p * needed
            if k > 0:
                some += p
                use += p * k / (wide * needed)
            if model != HYPERGEOMETRIC:
                break
            p = (
                p * _next(size, nonzeros, positions, k)
                if side
                else p / _next(size, nonzeros, positions, k - 1)
            )
            k += 1 if side else -1
    return steps / total, use / some if some > 0 else 1.0, 1.0


@kernel
def _next(size: int, nonzeros: int, positions: int, k: float) -> float:
    """Return how much more likely k + 1 nonzeros among so many positions are than k; 1 where none can be."""
    more = (nonzeros - k) * (positions - k)
    less = (k + 1) * (size - nonzeros - positions + k + 1)
    return more / less if k >= 0 and less > 0 else 1.0


@kernel
def pack_positions(
    problem: ProblemArrays, densities: DensityArrays, nests: NestArrays, loops: LoopArrays, pack: PackArrays,
    use: UseArrays, status: Ints,
) -> None:  # fmt: skip
    """Find how many steps are left where positions are chosen.

    With the chances of a library, all that the innermost level of a tensor moves is a sum over them.

    Parameters
    ----------
    problem : ProblemArrays
    densities : DensityArrays
    nests : NestArrays
    loops : LoopArrays
    pack : PackArrays
    use : UseArrays
        `steps` shrinks.
    status : int64[N]
        Set to BAD_DESIGN where a position has several elements, or its groups are cut.
    """
    mappings, levels, tensors = nests.keep.shape
    for n in range(mappings):
        for i in range(len(pack.level)):
            level, t = pack.level[i], pack.target[i]
            if status[n] != OK:
                continue
            wide, rounds = _group(problem, nests, n, level, t)
            model = densities.model[t]
            if box_words(problem, t, loops.below[n, level + 1]) > 1 or model not in (
                DENSE,
                FIXED,
                HYPERGEOMETRIC,
            ):
                status[n] = BAD_DESIGN
                continue
            steps, _, total = _steps_of(densities, t, wide, rounds, pack.mean)
            for other in range(tensors):
                moved = other in (t, problem.output)
                for d in range(len(problem.bounds)):
                    moved = moved or (
                        nests.temporal[n, level, d] > 1
                        and problem.rank[t, d] >= 0
                        and problem.rank[other, d] >= 0
                    )
                for inside in range(level, levels):
                    if not moved:
                        use.steps[n, inside, other, READ] *= steps / rounds
                        if inside > level:
                            use.steps[n, inside, other, FILL] *= steps / rounds
                last = levels - 1
                while last >= 0 and not nests.keep[n, last, other]:
                    last -= 1
                if total != 1 and last >= 0:
                    for action in (READ, FILL, UPDATE):
                        if moved or action == UPDATE or (action == FILL and last <= level):
                            use.steps[n, last, other, action] *= total


@kernel
def _group(problem: ProblemArrays, nests: NestArrays, n: int, level: int, tensor: int) -> tuple[int, int]:
    """Return the positions of a step of a level that hands out a tensor's, and the steps of a group."""
    wide = rounds = 1
    for d in range(len(problem.bounds)):
        if problem.rank[tensor, d] >= 0:
            wide *= nests.spatial[n, level, 0, d] * nests.spatial[n, level, 1, d]
            rounds *= nests.temporal[n, level, d]
    return wide, rounds


@kernel
def _steps_of(
    densities: DensityArrays, tensor: int, wide: int, rounds: int, mean: bool
) -> tuple[float, float, float]:
    """Return what `_mean_steps` says of a group of a tensor's positions."""
    return _mean_steps(
        densities.model[tensor],
        densities.size[tensor],
        densities.nonzeros[tensor],
        densities.average[tensor],
        wide * rounds,
        wide,
        1 if mean else 0,
        densities.library,
    )


@kernel
def use_units(
    problem: ProblemArrays, densities: DensityArrays, nests: NestArrays, pack: PackArrays, instances: Ints,
    use: UseArrays, status: Ints,
) -> None:  # fmt: skip
    """Find how well compute units are used where positions are chosen.

    Parameters
    ----------
    problem : ProblemArrays
    densities : DensityArrays
    nests : NestArrays
    pack : PackArrays
    instances : int64[N, L + 1]
    use : UseArrays
        `units` shrinks.
    status : int64[N]
        Mappings that are not valid are left out.
    """
    levels = nests.keep.shape[1]
    for n in range(len(status)):
        if pack.mean:
            # Then units that are left out in space count as used.
            use.units[n] = 1.0 / instances[n, levels]
            for level in range(levels):
                for d in range(len(problem.bounds)):
                    use.units[n] *= nests.spatial[n, level, 0, d] * nests.spatial[n, level, 1, d]
        for i in range(len(pack.level)):
            level, t = pack.level[i], pack.target[i]
            if status[n] != OK:
                continue
            wide, rounds = _group(problem, nests, n, level, t)
            steps, mean, _ = _steps_of(densities, t, wide, rounds, pack.mean)
            held = wide * rounds * densities.average[t]
            use.units[n] *= mean if pack.mean else held / (wide * steps) if steps > 0 else 1.0


@kernel
def skip_steps(use: UseArrays, actions: ActionArrays, counts: SparseCountArrays) -> None:
    """Leave out of `actual` the accesses of steps that are not taken; whole words of them where rounded."""
    mappings, levels, tensors, _ = counts.actual.shape
    for n in range(mappings):
        for level in range(levels):
            for t in range(tensors):
                for action in (READ, FILL, UPDATE):
                    share = use.steps[n, level, t, action]
                    if share != 1:
                        words = counts.actual[n, level, t, action]
                        lost = words * (1 - share)
                        if actions.whole:
                            lost = take_whole(words, 1 - share, False, actions.off[SENT])
                        counts.actual[n, level, t, action] -= lost
