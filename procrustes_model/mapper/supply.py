"""What supplies levels with tensors, with how many elements, and how many instances share them."""

from __future__ import annotations

import math

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, Ints
from procrustes_model.kernels.dense.sharing import distinct_positions
from procrustes_model.kernels.jit import once
from procrustes_model.kernels.search.arrays import SIMPLE, SKEWED, Model


def list_parents(keep: Bools) -> Ints:
    """Return the innermost level outside each that keeps a tensor, int64[L + 1, T]; -1 where there is none.

    `keep` : bool[L, T]. The last row is that of the compute units.
    """
    parent = np.full((len(keep) + 1, keep.shape[1]), -1, np.int64)
    for level, kept in enumerate(keep):
        parent[level + 1] = np.where(kept, level, parent[level])
    return parent


def count_elements(model: Model, tensor: int) -> float:
    """Return how many elements of a tensor are moved for sure; 1 where one dimension moves ranks."""
    if model.kind[tensor] == SKEWED:
        return 1.0
    ones = np.ones_like(model.bounds)
    return float(once(lambda: distinct_positions(model.problem, tensor, model.bounds, ones)))


def most_shared(model: Model, mesh: list[int], tensor: int) -> float:
    """Return how many instances may share a tile across networks that reach `mesh` each, at most."""
    instances = math.prod(mesh)
    if model.kind[tensor] != SIMPLE:
        return float(instances)
    return float(min(instances, math.prod(model.bounds[model.irrelevant[tensor]].tolist())))
