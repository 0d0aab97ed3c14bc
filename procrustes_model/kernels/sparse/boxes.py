"""Which part of a leader has to be empty for an access to a target to be saved.

An access moves a tile of the target. It is saved when everything the leader pairs with this tile is
zero: while the tile stays, loops that do not move it go on, and sweep a box of the leader.
`find_boxes` is this model's rule, `find_joined_boxes` a published tool's.
"""

from __future__ import annotations

import math

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, Ints, LoopArrays, NestArrays, ProblemArrays
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.arrays import ActionArrays, BoxArrays


@kernel
def _list_loops(temporal: Ints, order: Ints, spatial: Ints, first: int, last: int, seq: Ints) -> int:
    """List the loops of levels `first` (innermost) to `last` from the inside, and return how many.

    A level's spatial loops come first, x before y, then its temporal loops. Loops of bound 1 are left out but
    for the very last. `seq` : int64[3, L * 3 * D], filled with dimension, bound and whether spatial.
    """
    length = 0
    dimensions = temporal.shape[1]
    for level in range(first, last - 1, -1):
        for axis in range(2):
            for d in range(dimensions):
                if spatial[level, axis, d] > 1:
                    seq[0, length], seq[1, length], seq[2, length] = d, spatial[level, axis, d], 1
                    length += 1
        for position in range(dimensions - 1, -1, -1):
            d = order[level, position]
            if temporal[level, d] > 1 or (level == last and position == 0):
                seq[0, length], seq[1, length], seq[2, length] = d, temporal[level, d], 0
                length += 1
    return length


@kernel
def _target_loop(seq: Ints, length: int, rank: Ints, at_compute: bool, fan: int) -> int:
    """Return the loop that completes the target's tile; -1 where the tile is a single element.

    `rank` : int64[D], -1 where a dimension does not move the target. `fan`: how many spatial loops stand
    between the innermost level and the compute units; they are first in `seq`.
    """
    last = fan if at_compute else length
    for q in range(last):
        if seq[1, q] > 1 and rank[seq[0, q]] >= 0:
            return q
    return last - 1


@kernel
def _words(
    rank_start: Ints, term_start: Ints, dimension: Ints, coefficient: Ints, tensor: int, extent: Ints
) -> int:
    """Return the words of a tensor's bounding box over `extent`, int64[D]."""
    words = 1
    for rank in range(rank_start[tensor], rank_start[tensor + 1]):
        side = 1
        for term in range(term_start[rank], term_start[rank + 1]):
            side += coefficient[term] * (extent[dimension[term]] - 1)
        words *= side
    return words


@kernel
def _used_loops(
    seq: Ints, length: int, target: int, rank: Ints, at_compute: bool, box: Ints, used: Ints
) -> int:
    """Grow `box` by the loops that run while the target's tile stays; list them in `used`; return how many.

    These are the spatial loops further out and, for a tile that a spatial loop completes, the temporal loops
    up to the first one that moves it.
    """
    used[0] = target
    count = 1
    spatial_target = target >= 0 and seq[2, target] == 1
    found = not spatial_target
    for q in range(target + 1, length):
        d, bound, spatial = seq[0, q], seq[1, q], seq[2, q] == 1
        if bound == 1:
            continue
        moves = rank[d] >= 0
        if spatial or (not found and not at_compute and not moves):
            box[d] *= bound
            used[count] = q
            count += 1
        if spatial_target and not spatial and (at_compute or moves):
            found = True
    return count


@kernel
def _shares(seq: Ints, used: Ints, count: int, rank: Ints, led: Ints, factors: Ints) -> bool:
    """Count in `factors`, int64[D], how the leader's box falls apart over the target's positions.

    A loop over a dimension of both pairs each part of the box with a part of the target's tile. Return
    False where the order of loops keeps the leader from saving anything: parts of the target meet the
    leader in turn.
    """
    factors[:] = 1
    target = used[0]
    if target < 0:
        return True
    met = False
    for i in range(count):
        d = seq[0, used[i]]
        if seq[2, target] == 1 and met and led[d] >= 0:
            return False
        if led[d] >= 0 and rank[d] >= 0:
            factors[d] *= seq[1, used[i]]
            met = True
    return True


@kernel
def _share_out(box: Ints, factors: Ints, words: int, block: int, grown: int) -> None:
    """Divide `box` among the positions of shared dimensions, a block of `block` words at least.

    `factors` : int64[D], in how many parts a dimension falls. `words`: of the target's tile before.
    `grown`: the dimension along which a tile smaller than a block grows, -1 where no loop moves it.
    """
    parts = 1
    for d in range(len(factors)):
        parts *= factors[d]
    scale = math.ceil(block / (words / parts)) * 1.0
    for d in range(len(factors)):
        if factors[d] > 1:
            box[d] = math.ceil(box[d] / (factors[d] / scale))
            scale /= factors[d]
    if scale > 1 and grown >= 0:
        box[grown] = int(box[grown] * scale)


@kernel
def _innermost(temporal: Ints, order: Ints) -> int:
    """Return the dimension of the innermost temporal loop with a bound above 1; -1 where there is none."""
    for level in range(len(temporal) - 1, -1, -1):
        for position in range(order.shape[1] - 1, -1, -1):
            if temporal[level, order[level, position]] > 1:
                return int(order[level, position])
    return -1


@kernel
def _find_child(keep: Bools, level: int, tensor: int) -> tuple[int, int]:
    """Return the level that serves a tensor at or outside `level`, and the next one that keeps it.

    `keep` : bool[L, T]. With no such level further in, the latter is L: compute units.
    """
    levels = len(keep)
    while level > 0 and not keep[level, tensor]:
        level -= 1
    child = level + 1
    while child < levels and not keep[child, tensor]:
        child += 1
    return level, child


@kernel
def _share_step(spatial: Ints, level: int, child: int, rank: Ints, joined: int, box: Ints) -> int:
    """Grow `box`, int64[D], by what an access serves at the same time; return how many are left to join.

    Instances that the target does not tell apart share what is moved. Of others, neighbours share an access
    as far as it has words: `joined` tiles.

    `spatial` : int64[L, 2, D]. `rank`: int64[D], -1 where a dimension does not move the target.
    """
    for at in range(child - 1, level - 1, -1):
        for axis in range(2):
            for d in range(len(rank)):
                part = spatial[at, axis, d]
                if rank[d] >= 0:
                    part = min(joined, part)
                    joined = -(-joined // part)
                box[d] *= part
    return joined


@kernel
def _share_time(temporal: Ints, order: Ints, child: int, rank: Ints, joined: int, box: Ints) -> None:
    """Grow `box`, int64[D], by what is met while a tile stays, and by the tiles that share its access.

    Loops that do not move the tile sweep the box, up to the first one that does. Words that are left of the
    access hold what comes next.

    `temporal`, `order` : int64[L, D].
    """
    stays = True
    for level in range(child - 1, -1, -1):
        for position in range(len(rank) - 1, -1, -1):
            d = order[level, position]
            part = temporal[level, d]
            if part == 1:
                continue
            stays = stays and rank[d] < 0
            if not stays:
                part = min(joined, part)
                joined = -(-joined // part)
            box[d] *= part


@kernel
def find_boxes(
    problem: ProblemArrays,
    nests: NestArrays,
    loops: LoopArrays,
    block: Ints,
    actions: ActionArrays,
    boxes: BoxArrays,
) -> None:
    """Find what has to be empty for every action to save an access: all that meets what it moves.

    Compute units take one element at a time, and an access serves one step. A tile of a level stays until a
    loop moves it.

    Parameters
    ----------
    problem : ProblemArrays
    nests : NestArrays
    loops : LoopArrays
    block : int64[L, T]
        Elements per access.
    actions : ActionArrays
    boxes : BoxArrays
        Filled in.
    """
    dimensions = len(problem.bounds)
    levels = nests.keep.shape[1]
    box = np.empty(dimensions, np.int64)
    for n in range(len(boxes.level)):
        for a in range(len(actions.level)):
            t = actions.target[a]
            level, child = _find_child(nests.keep[n], actions.level[a], t)
            box[:] = loops.below[n, child]
            words = _words(
                problem.rank_start,
                problem.term_start,
                problem.term_dimension,
                problem.term_coefficient,
                t,
                box,
            )
            joined = -(-block[level, t] // words)
            joined = _share_step(nests.spatial[n], level, child, problem.rank[t], joined, box)
            if child < levels:
                _share_time(nests.temporal[n], nests.order[n], child, problem.rank[t], joined, box)
            boxes.level[n, a] = level
            boxes.effective[n, a] = actions.leaders[a]
            boxes.extent[n, a] = box


@kernel
def find_joined_boxes(
    problem: ProblemArrays,
    nests: NestArrays,
    loops: LoopArrays,
    block: Ints,
    actions: ActionArrays,
    boxes: BoxArrays,
) -> None:
    """Find what has to be empty for every action to save an access, as Sparseloop has it.

    An access of several words at compute units takes in the loops further out, loops of one iteration decide
    what the outermost one is, and where parts of a tile meet the leader in turn nothing is saved.

    Parameters
    ----------
    problem : ProblemArrays
    nests : NestArrays
    loops : LoopArrays
    block : int64[L, T]
        Elements per access.
    actions : ActionArrays
    boxes : BoxArrays
        Filled in.
    """
    rank_start, term_start = problem.rank_start, problem.term_start
    dimension, coefficient, rank = problem.term_dimension, problem.term_coefficient, problem.rank
    temporal, order, spatial, keep = nests.temporal, nests.order, nests.spatial, nests.keep
    below, leaders = loops.below, actions.leaders
    mappings, levels, dimensions = temporal.shape
    tensors = keep.shape[2]
    seq = np.empty((3, levels * 3 * dimensions + 1), np.int64)
    used = np.empty(levels * 3 * dimensions + 1, np.int64)
    tile, box, factors = (
        np.empty(dimensions, np.int64),
        np.empty(dimensions, np.int64),
        np.empty(dimensions, np.int64),
    )
    for n in range(mappings):
        for a in range(len(actions.level)):
            t = actions.target[a]
            level, child = _find_child(keep[n], actions.level[a], t)
            boxes.level[n, a] = level
            at_compute = child == levels
            length = _list_loops(temporal[n], order[n], spatial[n], child - 1, level, seq)
            fan = 0
            for axis in range(2):
                for d in range(dimensions):
                    fan += 1 if spatial[n, levels - 1, axis, d] > 1 else 0
            target = _target_loop(seq, length, rank[t], at_compute, fan)
            tile[:] = below[n, child]
            for q in range(target + 1):
                tile[seq[0, q]] *= seq[1, q]
            # A compute unit of its own takes one element, and the innermost loop moves it.
            grown = seq[0, target] if target >= 0 else _innermost(temporal[n], order[n])
            box[:] = tile
            count = _used_loops(seq, length, target, rank[t], at_compute, box, used)
            words = _words(rank_start, term_start, dimension, coefficient, t, tile)
            for leader in range(tensors):
                boxes.effective[n, a, leader] = False
                if not leaders[a, leader]:
                    continue
                effective = _shares(seq, used, count, rank[t], rank[leader], factors)
                boxes.effective[n, a, leader] = effective
                boxes.extent[n, a, leader] = box
                if effective:
                    _share_out(boxes.extent[n, a, leader], factors, words, block[level, t], grown)
