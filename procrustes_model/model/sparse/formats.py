"""Storage formats to the tables of terms that kernels read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from procrustes_model.formats import FORMATS
from procrustes_model.formats.rank import Cover, Term
from procrustes_model.kernels.sparse.arrays import HALF_TILE, INNERMOST, WHOLE_TILE, TermArrays
from procrustes_model.spec.sparsity import Format
from procrustes_model.vocabulary import Quantity

if TYPE_CHECKING:
    from procrustes_model.spec.problem import Problem

_BLOCKS = {"tile": WHOLE_TILE, "half_tile": HALF_TILE}


def lower_terms(stored: Sequence[Sequence[Format]], ranks: Sequence[int]) -> TermArrays:
    """Return the terms of the formats in which levels store tensors.

    Parameters
    ----------
    stored : sequence of sequences of Format
        By level and tensor.
    ranks : sequence of int
        Of the tensors.

    Returns
    -------
    TermArrays
    """
    most = max(len(_terms_of(one)) for row in stored for one in row)
    shape = (len(stored), len(ranks), most)
    lowered = TermArrays(
        listed=np.zeros(shape[:2], np.int64),
        depth=np.zeros(shape[:2], np.int64),
        quantity=np.zeros(shape, np.int64),
        width=np.zeros(shape, np.int64),
        first=np.zeros(shape, np.int64),
        end=np.zeros(shape, np.int64),
        coefficient=np.zeros(shape),
        run=np.zeros(shape[:2], np.int64),
        fibers=np.zeros(shape[:2], np.int64),
    )
    for level, row in enumerate(stored):
        for t, one in enumerate(row):
            terms = _terms_of(one)
            lowered.listed[level, t] = len(terms)
            for m, ((first, end), term) in enumerate(terms):
                at = level, t, m
                lowered.quantity[at], lowered.width[at] = _quantity(term, one), term.width
                lowered.first[at] = min(first, ranks[t])
                lowered.end[at] = INNERMOST if end is None or end >= ranks[t] else end
                lowered.coefficient[at] = _stated(term.coefficient, one)
                lowered.depth[level, t] = max(lowered.depth[level, t], lowered.first[at], lowered.end[at])
                if term.quantity is Quantity.ENTRIES:
                    lowered.run[level, t] = 1 << int(_stated(term.run_bits, one))
                    lowered.fibers[level, t] = lowered.first[at]
    return lowered


def is_implied(stored: Format) -> bool:
    """Return whether metadata alone say where the nonzeros are; a zero that ends a run looks like one."""
    if stored.ranks:
        return stored.ranks[-1].form.compressed and not stored.stores_runs
    return stored.compressed and not stored.stores_runs and stored.partial_blocks != "dropped"


def _terms_of(stored: Format) -> tuple[tuple[Cover, Term], ...]:
    """Return the terms of a format; one that lists its ranks has none."""
    return () if stored.ranks else FORMATS[stored.kind].terms


def _quantity(term: Term, stored: Format) -> Quantity:
    """Return what a term counts, given what is said of blocks that are not full."""
    whole = term.quantity is Quantity.BLOCKS and stored.partial_blocks == "whole"
    return Quantity.WHOLE_BLOCKS if whole else term.quantity


def _stated(value: float | str, stored: Format) -> float:
    """Return a number as it is, or what a format's key states."""
    return float(getattr(stored, value)) if isinstance(value, str) else float(value)


def positions_of(block: int | str | tuple[str, ...], problem: Problem) -> int:
    """Return the positions of a block, or the constant of one that depends on the mapping."""
    if isinstance(block, tuple):
        return math.prod(problem.dimensions.get(dimension, 1) for dimension in block)
    return _BLOCKS[block] if isinstance(block, str) else block
