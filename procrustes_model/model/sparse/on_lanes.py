"""Sparse designs on lanes: what is the same for all mappings."""

from __future__ import annotations

import numpy as np

from procrustes_model.kernels.dense.arrays import OK, NestArrays
from procrustes_model.kernels.lanes.sparse_shape import SparseShape, Zeros, acts_alike, sparse_shape_of
from procrustes_model.model.sparse.buffers import Memo, make_buffers
from procrustes_model.model.sparse.lower import SparseDesign
from procrustes_model.model.sparse.steps import evaluate_block


def _has_more(design: SparseDesign) -> bool:
    """Say whether a design has what code on lanes never counts."""
    return (
        bool(design.masks.known.any())
        or design.choices is not None
        or design.packs
        or design.has_loop_ranks
        or design.overflow == "spill"
        or design.counting.empty_tiles == "unused"
    )


def find_zeros(design: SparseDesign) -> Zeros | None:
    """Return a design as code on lanes takes it; None where that does not count all that it has.

    What it saves of all mappings alike is taken from one of them.
    """
    if _has_more(design):
        return None
    levels, tensors = design.compressed.shape
    zeros = Zeros(
        densities=design.densities,
        actions=design.actions,
        formats=design.formats,
        balance=design.balance,
        size=design.capacity_size,
        left=np.ones((levels, tensors, 2)),
        computes=np.ones(3),
    )
    if not acts_alike(design.machine, zeros):
        return None
    bounds = design.problem.bounds
    nest = NestArrays(
        np.ones((1, levels, len(bounds)), np.int64),
        np.tile(np.arange(len(bounds)), (1, levels, 1)),
        np.ones((1, levels, 2, len(bounds)), np.int64),
        np.ones((1, levels, tensors), np.bool_),
    )
    nest.temporal[0, 0] = bounds
    buffers = make_buffers(design, 1)
    evaluate_block(design, nest, buffers, Memo(), check=False)
    if buffers.status[0] != OK:
        return None
    return zeros._replace(left=buffers.saved.left[0], computes=buffers.counts.computes[0])


def shape_of_sparse(design: SparseDesign, zeros: Zeros | None) -> SparseShape | None:
    """Return what code is made for; None where there is none."""
    return None if zeros is None else sparse_shape_of(design.problem, design.machine, design.rules, zeros)
