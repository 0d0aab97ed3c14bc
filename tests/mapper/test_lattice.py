"""The lattice of divisors: what lies inside and outside of a point, and what can be spread over an array."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from procrustes_model.kernels.search.lattice import spatial_vectors
from procrustes_model.mapper.lattice import least_inside, least_outside, make_lattice

BOUNDS = [(12, 1, 6), (8, 9), (1,), (30, 4, 2), (7, 49)]


@pytest.mark.quick
@pytest.mark.parametrize("bounds", BOUNDS)
def test_the_least_inside_and_outside(bounds: tuple[int, ...]) -> None:
    lattice = make_lattice(np.array(bounds))
    values = np.random.default_rng(1).random(len(lattice.value))
    inside, outside = values.copy(), values.copy()
    least_inside(inside, lattice)
    least_outside(outside, lattice)
    for point, vector in enumerate(lattice.value):
        assert inside[point] == values[(vector % lattice.value == 0).all(axis=1)].min()
        assert outside[point] == values[(lattice.value % vector == 0).all(axis=1)].min()


@pytest.mark.quick
@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("mesh", [(1, 1), (4, 1), (4, 6), (7, 14)])
def test_what_can_be_spread(bounds: tuple[int, ...], mesh: tuple[int, int]) -> None:
    """Of every product of a vector on x and one on y that rules allow, the first on x is named."""
    lattice = make_lattice(np.array(bounds))
    allowed = np.random.default_rng(2).random((2, *lattice.divisors.shape)) < 0.7
    allowed[:, :, 0] = True
    part = spatial_vectors(lattice, *mesh, *allowed)
    points = range(len(lattice.value))
    of = {tuple(vector.tolist()): point for point, vector in enumerate(lattice.value)}
    fits = [
        [
            lattice.value[p].prod() <= most and rules[range(len(bounds)), lattice.indices[p]].all()
            for p in points
        ]
        for most, rules in zip(mesh, allowed, strict=True)
    ]
    wanted = np.full(len(part), -1)
    for x, y in itertools.product(points, points):
        product = of.get(tuple((lattice.value[x] * lattice.value[y]).tolist()))
        if product is not None and fits[0][x] and fits[1][y] and wanted[product] < 0:
            wanted[product] = x
    assert part.tolist() == wanted.tolist()
