"""A tensor as a sum of n:m terms and a rest, so that hardware for n:m runs any zeros."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from procrustes_model.training.patterns import NM


@dataclass(frozen=True, eq=False)
class Decomposed:
    """Terms that add up to a tensor with a rest; every element is in one of them.

    Attributes
    ----------
    terms : tuple of float[...]
        In order: each has the largest elements that the terms before have left.
    rest : float[...]
        What no term holds.
    """

    terms: tuple[NDArray[Any], ...]
    rest: NDArray[Any]

    @property
    def kept(self) -> float:
        """Nonzeros in terms / nonzeros; 1 of a tensor without any."""
        left = np.count_nonzero(self.rest)
        found = sum(int(np.count_nonzero(term)) for term in self.terms)
        return found / (found + left) if found + left else 1.0


def decompose(values: NDArray[Any], patterns: Sequence[NM], kind: str = "weights") -> Decomposed:
    """Take terms of n:m off a tensor, one after the other, the largest elements first.

    Parameters
    ----------
    values : float[...] or bool[...]
        With two dimensions at least.
    patterns : sequence of NM
        Of the terms.
    kind : str
        As `NM.mask` takes it.

    Returns
    -------
    Decomposed

    Raises
    ------
    ValueError
        When there is no term, or the tensor has not a dimension of one.
    """
    if not patterns:
        raise ValueError("a series has one term or more")
    rest, terms = values, []
    for pattern in patterns:
        mask = pattern.mask(rest.astype(np.float32) if rest.dtype == np.bool_ else rest, kind)
        zero = np.zeros((), values.dtype)
        terms.append(np.where(mask, rest, zero))
        rest = np.where(mask, zero, rest)
    return Decomposed(tuple(terms), rest)
