"""Several masks at once: how often no box of several tensors is empty, counted position by position.

A dimension of one of the tensors only is *its own*, one of several is shared. For every position of the
shared dimensions the tensors are independent of each other: what is left is the product, over tensors, of
what each has over its own dimensions. For single elements that is one look into a table of sums.
"""

from __future__ import annotations

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, Ints, ProblemArrays
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.masks import MaskArrays, count_work, list_corners, walked_dimensions


@kernel
def _gcd(a: int, b: int) -> int:
    while b:
        a, b = b, a % b
    return a


@kernel
def _first_of_step(at: Ints, steps: Ints, span: Ints, listed: Ints, count: int, number: int) -> int:
    """Set `at`, int64[D], to where step `number` of the listed dimensions starts; return its positions."""
    weight = 1
    for i in range(count):
        d = listed[i]
        times = (span[d] + steps[d] - 1) // steps[d]
        at[d] = number % times * steps[d]
        number //= times
        weight *= min(steps[d], span[d] - at[d])
    return int(weight)


@kernel
def _count_own(
    problem: ProblemArrays, masks: MaskArrays, tensor: int, box: Ints, at: Ints, origin: Ints, span: Ints,
    listed: Ints, count: int, walked: Ints, walks: int,
) -> int:  # fmt: skip
    """Count the positions of a tensor's own dimensions at which its box is not empty.

    `box`, `at`, `origin`, `span` : int64[D]. `at`: of the shared dimensions, from `origin`. `listed`: the
    tensor's own dimensions, `count` of them. `walked`, `walks`: of `walked_dimensions`.
    """
    dimensions = len(span)
    corner, sign = np.empty(1 << dimensions, np.int64), np.empty(1 << dimensions, np.int64)
    start, extent, here = np.empty((3, dimensions), np.int64)
    single = True
    times = 1
    for d in range(dimensions):
        start[d], extent[d], here[d] = origin[d], 1, 0
        if problem.rank[tensor, d] >= 0:
            start[d] = origin[d] + at[d] // box[d] * box[d]
            extent[d] = min(box[d], span[d] - at[d] // box[d] * box[d])
            single = single and box[d] == 1
    for i in range(count):
        d = listed[i]
        times *= (span[d] + box[d] - 1) // box[d]
        if single:
            start[d], extent[d] = origin[d], span[d]
    if single:
        corners = list_corners(problem, masks, tensor, extent, corner, sign)
        return count_work(problem, masks, tensor, start, extent, walked, walks, corner, sign, corners)
    found: int = 0
    for number in range(times):
        weight = _first_of_step(here, box, span, listed, count, number)
        for i in range(count):
            d = listed[i]
            start[d], extent[d] = origin[d] + here[d], min(box[d], span[d] - here[d])
        corners = list_corners(problem, masks, tensor, extent, corner, sign)
        if count_work(problem, masks, tensor, start, extent, walked, walks, corner, sign, corners) > 0:
            found += weight
    return int(found)


@kernel
def count_boxes(
    problem: ProblemArrays, masks: MaskArrays, owner: Ints, box: Ints, origin: Ints, span: Ints
) -> float:
    """Count the positions of a region at which none of several boxes is empty; see `count_jointly`.

    `owner` : int64[B], the tensor of each box; one may have several. `box`: int64[B, D].
    """
    boxes, dimensions = box.shape
    users = np.zeros(dimensions, np.int64)
    step = np.zeros(dimensions, np.int64)
    for b in range(boxes):
        for d in range(dimensions):
            if problem.rank[owner[b], d] >= 0:
                users[d] += 1
                step[d] = _gcd(box[b, d], step[d])
    shared, own = np.empty(dimensions, np.int64), np.empty((boxes, dimensions), np.int64)
    owned, walks = np.zeros(boxes, np.int64), np.zeros(boxes, np.int64)
    walked = np.empty((boxes, len(problem.term_dimension)), np.int64)
    count = 0
    steps = 1
    free = 1.0
    for d in range(dimensions):
        if users[d] == 0:
            free *= span[d]
        elif users[d] > 1:
            shared[count] = d
            steps *= (span[d] + step[d] - 1) // step[d]
            count += 1
    for b in range(boxes):
        walks[b] = walked_dimensions(problem, masks, owner[b], walked[b])
        for d in range(dimensions):
            if users[d] == 1 and problem.rank[owner[b], d] >= 0:
                own[b, owned[b]] = d
                owned[b] += 1
    at = np.zeros(dimensions, np.int64)
    total = 0.0
    for number in range(steps):
        left = float(_first_of_step(at, step, span, shared, count, number))
        for b in range(boxes):
            if left > 0:
                left *= _count_own(
                    problem, masks, owner[b], box[b], at, origin, span, own[b], owned[b], walked[b], walks[b]
                )
        total += left
    return total * free


@kernel
def count_jointly(
    problem: ProblemArrays, masks: MaskArrays, chosen: Bools, box: Ints, origin: Ints, span: Ints
) -> float:
    """Count the positions of a region at which no chosen tensor's box is empty.

    Parameters
    ----------
    problem : ProblemArrays
    masks : MaskArrays
    chosen : bool[T]
        Tensors with a mask.
    box : int64[T, D]
        The region falls into boxes of this extent, side by side from its start; those at the end may be
        shorter.
    origin, span : int64[D]
        Where the region starts, and its extent.

    Returns
    -------
    float
        Positions of all dimensions, a whole number.
    """
    owner = np.nonzero(chosen)[0]
    return count_boxes(problem, masks, owner, box[owner], origin, span)
