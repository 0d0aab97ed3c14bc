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
def next_inside(strides: Ints, limits: Ints, digits: Ints, point: int) -> int:
    """Move on to the next point that divides another; -1 after the last.

    Parameters
    ----------
    strides : int64[A]
    limits : int64[A]
        Exponents of the other point.
    digits : int64[A]
        Exponents of `point`; changed.
    point : int
    """
    for axis in range(len(digits)):
        if digits[axis] < limits[axis]:
            digits[axis] += 1
            return int(point + strides[axis])
        point -= digits[axis] * strides[axis]
        digits[axis] = 0
    return -1


@kernel
def _product(vector: Ints, most: int) -> int:
    """Return the product of a vector; any number above `most` where it is above that."""
    product = 1
    for d in range(len(vector)):
        product *= vector[d]
        if product > most:
            break
    return product


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
    value, indices, exponents = lattice.value, lattice.indices, lattice.exponents
    part = np.empty(len(indices), np.int64)
    digits = np.empty(exponents.shape[1], np.int64)
    for point in range(len(part)):
        part[point] = -1
        whole = _product(value[point], columns * rows)
        if whole > columns * rows:
            continue
        for axis in range(len(digits)):
            digits[axis] = 0
        x = 0
        while x >= 0 and part[point] < 0:
            size = _product(value[x], columns)
            fits = size <= columns and whole <= rows * size
            for d in range(len(lattice.stride)):
                i, k = indices[point, d], indices[x, d]
                fits = fits and allow_x[d, k] and allow_y[d, i - k]
            if fits:
                part[point] = x
            x = next_inside(lattice.axis_stride, exponents[point], digits, x)
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
def _thinnest_parts(model: Model, lattice: Lattice, first: int, last: int, least: Floats) -> None:
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
def fetch_floor(
    model: Model, lattice: Lattice, members: Ints, first: int, last: int, floor: Floor, thin: Floats
) -> None:
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
    thin : float64[T, V]
        The least share of a tile that is fetched where a window slides: ones at first; filled in.
    """
    _thinnest_parts(model, lattice, first, last, thin)
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
