"""Storage formats to the tables of terms that kernels read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from procrustes_model.formats import FORMATS
from procrustes_model.kernels.sparse.arrays import INNERMOST, TermArrays
from procrustes_model.spec.sparsity import Format


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
    most = max(len(FORMATS[one.kind].terms) for row in stored for one in row)
    shape = (len(stored), len(ranks), most)
    lowered = TermArrays(
        listed=np.zeros(shape[:2], np.int64),
        depth=np.zeros(shape[:2], np.int64),
        quantity=np.zeros(shape, np.int64),
        width=np.zeros(shape, np.int64),
        first=np.zeros(shape, np.int64),
        end=np.zeros(shape, np.int64),
        coefficient=np.zeros(shape),
        run=np.ones(shape),
    )
    for level, row in enumerate(stored):
        for t, one in enumerate(row):
            terms = FORMATS[one.kind].terms
            lowered.listed[level, t] = len(terms)
            for m, ((first, end), term) in enumerate(terms):
                at = level, t, m
                lowered.quantity[at], lowered.width[at] = term.quantity, term.width
                lowered.first[at] = min(first, ranks[t])
                lowered.end[at] = INNERMOST if end is None or end >= ranks[t] else end
                lowered.coefficient[at] = _stated(term.coefficient, one)
                lowered.depth[level, t] = max(lowered.depth[level, t], lowered.first[at], lowered.end[at])
                lowered.run[at] = 2.0 ** _stated(term.run_bits, one)
    return lowered


def _stated(value: float | str, stored: Format) -> float:
    """Return a number as it is, or what a format's key states."""
    return float(getattr(stored, value)) if isinstance(value, str) else float(value)
