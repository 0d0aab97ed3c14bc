"""The lattice of divisors: what can be said of every point before any mapping is looked at."""

from __future__ import annotations

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, Floats, Ints
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.search.arrays import SIMPLE, SKEWED, Floor, Lattice, Model


@kernel
def box_words(coefficient: Ints, vector: Ints) -> int:
    """Return the words of the bounding box of `vector` (int64[D]) under `coefficient` (int64[R, D])."""
    words = 1
    for r in range(coefficient.shape[0]):
        side = 1
        for d in range(coefficient.shape[1]):
            side += coefficient[r, d] * (vector[d] - 1)
        words *= side
    return words


@kernel
def overlap_words(coefficient: Ints, vector: Ints, dimension: int, step: int) -> int:
    """Return what a tile shares with itself after `dimension` has moved on by `step` elements."""
    words = 1
    for r in range(coefficient.shape[0]):
        side = 1 - coefficient[r, dimension] * step
        for d in range(coefficient.shape[1]):
            side += coefficient[r, d] * (vector[d] - 1)
        words *= max(0, side)
    return words


@kernel
def least_inside(values: Floats, lattice: Lattice) -> None:
    """Replace each point's value (float64[V]) by the least among the points that divide it."""
    for axis in range(len(lattice.axis_stride)):
        stride = lattice.axis_stride[axis]
        for point in range(stride, len(values)):
            if lattice.exponents[point, axis]:
                values[point] = min(values[point], values[point - stride])


@kernel
def divide_bounds(exponents: Ints, packed: Ints, spare: int, a: int, b: int) -> bool:
    """Say whether the product of two points divides the bounds.

    Parameters
    ----------
    exponents : int64[V, A]
    packed : int64[V]
    spare : int
        As in `Lattice`.
    a, b : int
    """
    if spare:
        return bool(((packed[-1] | spare) - packed[a] - packed[b]) & spare == spare)
    for axis in range(exponents.shape[1]):
        if exponents[a, axis] + exponents[b, axis] > exponents[-1, axis]:
            return False
    return True


@kernel
def _within(lattice: Lattice, allowed: Bools, most: int) -> Ints:
    """Return the points whose product is at most `most` and whose factors are all allowed."""
    found = np.empty(len(lattice.indices), np.int64)
    n = 0
    for point in range(len(lattice.indices)):
        product = 1
        good = True
        for d in range(len(lattice.stride)):
            product *= lattice.value[point, d]
            if product > most or not allowed[d, lattice.indices[point, d]]:
                good = False
                break
        if good:
            found[n] = point
            n += 1
    return found[:n]


@kernel
def spatial_vectors(lattice: Lattice, columns: int, rows: int, allow_x: Bools, allow_y: Bools) -> Ints:
    """Find all products of a vector on x and one on y.

    Parameters
    ----------
    lattice : Lattice
    columns, rows : int
        Fan-out.
    allow_x, allow_y : bool[D, n]
        Which divisors may be spread on the axis.

    Returns
    -------
    int64[V]
        For every point that is such a product the part on x, else -1.
    """
    part = np.full(len(lattice.indices), -1, np.int64)
    exponents, packed, spare = lattice.exponents, lattice.packed, lattice.spare
    for x in _within(lattice, allow_x, columns):
        for y in _within(lattice, allow_y, rows):
            if part[min(x + y, len(part) - 1)] < 0 and divide_bounds(exponents, packed, spare, x, y):
                part[x + y] = x
    return part


@kernel
def _least_fetch(model: Model, vector: Ints, tensor: int, dimension: int, words: int) -> float:
    """Bound the words of an average fetch from below when the innermost relevant loop is over `dimension`."""
    rest = model.bounds[dimension] // vector[dimension]
    if rest <= 1:
        return float(words)
    if model.kind[tensor] == SKEWED:
        return 0.0
    coefficient = model.coefficient[tensor]
    kept = overlap_words(coefficient, vector, dimension, vector[dimension])
    least = float(words - kept)
    for r in range(coefficient.shape[0]):
        if coefficient[r, dimension] == 0:
            continue
        for d in range(len(vector)):
            if d != dimension and coefficient[r, d] != 0 and model.bounds[d] > vector[d]:
                # the loop over d may undo the moves of this one: then its steps are free, and only the
                # second and later iterations of this loop are sure to cost
                prime = 2
                while prime * prime <= rest and rest % prime:
                    prime += 1
                if rest % prime:
                    prime = rest
                return least * (1.0 - 1.0 / prime)
    return least


@kernel
def thinnest_parts(model: Model, lattice: Lattice, first: int, last: int, least: Floats) -> None:
    """Bound the share of a tile that is fetched where a window slides.

    Parameters
    ----------
    model : Model
    lattice : Lattice
    first, last : int
        Points to look at.
    least : float64[T, V]
        Ones at first; filled in.
    """
    for t in range(len(model.kind)):
        for point in range(first, last):
            if model.kind[t] == SIMPLE:
                break
            vector = lattice.value[point]
            words = box_words(model.coefficient[t], vector)
            for d in range(len(vector)):
                if not model.irrelevant[t, d]:
                    kept = overlap_words(model.coefficient[t], vector, d, vector[d])
                    least[t, point] = min(least[t, point], 1 - kept / words)


@kernel
def fetch_floor(model: Model, lattice: Lattice, members: Ints, first: int, last: int, floor: Floor) -> None:
    """Bound what fetching costs for every point as the tile of a child.

    Parameters
    ----------
    model : Model
    lattice : Lattice
    members : int64[C, D]
        Classes of dimensions.
    first, last : int
        Points to look at.
    floor : Floor
        Filled in; `rest` holds ones at first.
    """
    classes, tensors, points = len(members), len(model.kind), len(lattice.indices)
    words, rest, tile, is_open = floor.words, floor.rest, floor.tile, floor.open
    for point in range(first, last):
        vector = lattice.value[point]
        visits = 1.0
        for d in range(len(vector)):
            visits *= model.bounds[d] // vector[d]
        for c in range(classes):
            is_open[c, point] = point == points - 1
            for d in members[c]:
                if d >= 0 and vector[d] < model.bounds[d]:
                    is_open[c, point] = True
        for t in range(tensors):
            size = box_words(model.coefficient[t], vector)
            tile[t, point] = size
            least = float(size)
            for d in range(len(vector)):
                if model.irrelevant[t, d]:
                    rest[t, point] *= model.bounds[d] // vector[d]
                elif model.kind[t] != SIMPLE:
                    least = min(least, _least_fetch(model, vector, t, d, size))
            for c in range(classes):
                fetch = least
                if not model.irrelevant[t, members[c, 0]]:
                    fetch = float(size)
                    if model.kind[t] != SIMPLE:
                        for d in members[c]:
                            if d >= 0:
                                fetch = min(fetch, _least_fetch(model, vector, t, d, size))
                words[c, t, point] = fetch * visits
