"""The lattice of the divisors of a problem's bounds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

import numpy as np

from procrustes_model.kernels.dense.arrays import Floats, Ints
from procrustes_model.kernels.search.arrays import Lattice
from procrustes_model.mapper.deadline import Deadline


def list_primes(number: int) -> list[int]:
    """Return the prime factors of `number`, with repetition."""
    primes, candidate = [], 2
    while candidate * candidate <= number:
        while number % candidate == 0:
            primes.append(candidate)
            number //= candidate
        candidate += 1
    return primes + [number] * (number > 1)


def list_divisors(bounds: Ints) -> tuple[Ints, Ints]:
    """Return the divisors of every bound, as in a lattice: int64[D, n], and how many there are, int64[D]."""
    rows = []
    for bound in bounds.tolist():
        row = [1]
        for prime, most in Counter(list_primes(bound)).items():
            row = [value * prime**power for power in range(most + 1) for value in row]
        rows.append(row)
    counts = np.array([len(row) for row in rows], np.int64)
    divisors = np.ones((len(rows), int(counts.max())), np.int64)
    for d, row in enumerate(rows):
        divisors[d, : len(row)] = row
    return divisors, counts


def make_lattice(bounds: Ints, deadline: Deadline | None = None) -> Lattice:
    """Return the lattice of the divisors of `bounds` (int64[D]).

    Raises
    ------
    OutOfTime
    """
    clock = deadline or Deadline()
    powers = [Counter(list_primes(int(bound))) for bound in bounds]
    axes = [(d, prime, most) for d, of in enumerate(powers) for prime, most in of.items()]
    divisors, counts = list_divisors(bounds)
    points = np.arange(math.prod(counts.tolist()))
    exponents = np.zeros((len(points), len(axes)), np.int64)
    axis_stride = np.ones(len(axes), np.int64)
    packed, spare, shift, weight = np.zeros_like(points), 0, 0, 1
    for axis, (_, _, most) in enumerate(axes):
        clock.check()
        axis_stride[axis] = weight
        exponents[:, axis] = points // weight % (most + 1)
        if shift + most.bit_length() < 62:
            packed += exponents[:, axis] << shift
        shift += most.bit_length() + 1
        spare |= 1 << (shift - 1)
        weight *= most + 1
    stride = np.ones(len(counts), np.int64)
    stride[1:] = np.cumprod(counts[:-1])
    indices = np.empty((len(points), len(counts)), np.int64)
    value = np.empty_like(indices)
    for d, count in enumerate(counts):
        clock.check()
        indices[:, d] = points // stride[d] % count
        value[:, d] = divisors[d, indices[:, d]]
    spare = spare if shift <= 62 else 0
    return Lattice(stride, divisors, counts, indices, value, axis_stride, exponents, packed, spare)


def least_inside(values: Floats, lattice: Lattice) -> None:
    """Replace each point's value (float64[V]) by the least among the points that divide it."""
    for along in _axes(values, lattice):
        for i in range(1, along.shape[1]):
            np.minimum(along[:, i], along[:, i - 1], out=along[:, i])


def least_outside(values: Floats, lattice: Lattice) -> None:
    """Replace each point's value (float64[V]) by the least among the points that it divides."""
    for along in _axes(values, lattice):
        for i in range(along.shape[1] - 2, -1, -1):
            np.minimum(along[:, i], along[:, i + 1], out=along[:, i])


def _axes(values: Floats, lattice: Lattice) -> Iterator[Floats]:
    """Yield views of values, float64[.., n, ..], whose middle axis is one prime of one dimension."""
    for stride, most in zip(lattice.axis_stride.tolist(), lattice.exponents[-1].tolist(), strict=True):
        yield values.reshape(-1, most + 1, stride)
