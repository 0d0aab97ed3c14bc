"""Who works on what: the one place that knows how pieces of tiles are given to processing elements.

A new rule is a code in `vocabulary.Assignment` and its lines in `assign`; all that counts, draws or
expects work calls that.
"""

from __future__ import annotations

from procrustes_model.kernels.dense.arrays import Ints
from procrustes_model.kernels.jit import kernel
from procrustes_model.vocabulary import Assignment

# Whole numbers, which compiled code compares faster than members.
OWN, FOLD, GREEDY = int(Assignment.OWN), int(Assignment.FOLD), int(Assignment.GREEDY)

BUCKETS = 4096
"""Different amounts of work up to which sorting counts them."""


@kernel
def sort_pieces(works: Ints, most: int, bucket: Ints) -> None:
    """Sort whole numbers from 0 to `most`; by counting where they are few different ones."""
    if most >= len(bucket):
        works.sort()
        return
    bucket[: most + 1] = 0
    for work in works:
        bucket[work] += 1
    place = 0
    for work in range(most + 1):
        for _ in range(bucket[work]):
            works[place] = work
            place += 1


@kernel
def _fill_least(works: Ints, loads: Ints) -> None:
    """Add works, sorted upwards, to loads: the largest first, each to the least load so far.

    `loads` are kept as a heap: that at a place `i` is at most those at `2 * i + 1` and `2 * i + 2`, so that
    the first is the least.
    """
    parts = len(loads)
    loads[:] = 0
    for i in range(len(works) - 1, -1, -1):
        load, at, below = loads[0] + works[i], 0, 1
        while below < parts:
            if below + 1 < parts and loads[below + 1] < loads[below]:
                below += 1
            if load <= loads[below]:
                break
            loads[at] = loads[below]
            at, below = below, 2 * below + 1
        loads[at] = load


@kernel
def assign(assignment: int, pieces: int, works: Ints, most: int, bucket: Ints, loads: Ints) -> int:
    """Give the pieces of one array-level tile to its processing elements; return the largest load.

    Every rule but OWN gives each of a few pieces that are not empty to an element of its own, as long as
    there are enough of these.

    Parameters
    ----------
    assignment : int
        One of `vocabulary.Assignment`.
    pieces : int
        Of each element's tile.
    works : int64[parts * pieces]
        Work of the pieces, those of one element side by side; may be sorted on return.
    most : int
        The most work that a piece can be.
    bucket : int64[BUCKETS]
        Room to sort in.
    loads : int64[parts]
        Filled in: work of the elements, in any order.
    """
    parts = len(loads)
    if assignment == FOLD:
        sort_pieces(works, most, bucket)
        for i in range(parts):
            load = 0
            for layer in range(pieces):
                load += works[layer * parts + (i if layer % 2 == 0 else parts - 1 - i)]
            loads[i] = load
    elif assignment == GREEDY:
        sort_pieces(works, most, bucket)
        _fill_least(works, loads)
    else:
        for i in range(parts):
            load = 0
            for piece in range(pieces):
                load += works[i * pieces + piece]
            loads[i] = load
    return int(loads.max())
