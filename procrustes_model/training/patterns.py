"""Which elements of arrays are kept: patterns, as masks by magnitude."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from procrustes_model.training.quantile import check_keep, select_exactly

Bools = NDArray[np.bool_]

FLATTENED = "flattened"
AXES: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "weights": MappingProxyType({"K": 0, "C": 1}),
        "inputs": MappingProxyType({"N": 0, "C": 1}),
        "gradients": MappingProxyType({"N": 0, "K": 1}),
    }
)
"""By kind of tensor, which dimension lies on which axis. Gradients are those of outputs."""


@dataclass(frozen=True)
class NM:
    """The n largest of every m neighbouring elements along a dimension; of equal ones the first.

    Attributes
    ----------
    nonzeros, group : int
        n and m.
    along : 'C', 'K', 'N' or 'flattened'
        Input channels, output channels, the batch. 'flattened', of weights only: through each filter, input
        channel fastest, then the kernel's columns, then its rows; groups run on from one position of the
        kernel to the next, so that any number of channels will do.
    short_groups : 'pruned' or 'dense'
        Where m does not divide the dimension: the last group, of r elements, keeps min(n, r) of them; or
        all elements are kept.

    Raises
    ------
    ValueError
        When a number is out of range, or a word unknown.
    """

    nonzeros: int
    group: int
    along: str = "C"
    short_groups: Literal["pruned", "dense"] = "pruned"

    def __post_init__(self) -> None:
        if not 1 <= self.nonzeros <= self.group:
            raise ValueError(f"{self.nonzeros} of {self.group}: n must be from 1 to m")
        if self.along not in ("C", "K", "N", FLATTENED):
            raise ValueError(f"along '{self.along}' is none of 'C', 'K', 'N' and '{FLATTENED}'")
        if self.short_groups not in ("pruned", "dense"):
            raise ValueError(f"short_groups '{self.short_groups}' is neither 'pruned' nor 'dense'")

    def mask(self, values: NDArray[Any], kind: str = "weights") -> Bools:
        """Return which elements are kept.

        Parameters
        ----------
        values : float[...]
            With two dimensions at least.
        kind : str
            One of `AXES`.

        Returns
        -------
        bool[...]

        Raises
        ------
        ValueError
            When such a tensor has not this dimension.
        """
        if values.ndim < 2:
            raise ValueError(f"{kind} of shape {list(values.shape)} have fewer than two dimensions")
        if self.along == FLATTENED:
            if kind != "weights":
                raise ValueError(f"along '{FLATTENED}' is of weights, not of {kind}")
            last = np.moveaxis(values, 1, -1)
            rows = self._largest(last.reshape(len(values), -1))
            return np.ascontiguousarray(np.moveaxis(rows.reshape(last.shape), -1, 1))
        axis = AXES[kind].get(self.along)
        if axis is None:
            raise ValueError(f"{kind} have no dimension {self.along}, but {' and '.join(AXES[kind])}")
        return np.ascontiguousarray(np.moveaxis(self._largest(np.moveaxis(values, axis, -1)), -1, axis))

    def masks(self, weights: Sequence[NDArray[Any]]) -> tuple[Bools, ...]:
        """Return which weights of several layers are kept."""
        return tuple(self.mask(one) for one in weights)

    def _largest(self, values: NDArray[Any]) -> Bools:
        """Return the elements kept in groups along the last axis."""
        length = values.shape[-1]
        if self.short_groups == "dense" and length % self.group:
            return np.ones(values.shape, np.bool_)
        groups = -(-length // self.group)
        magnitudes = np.full((*values.shape[:-1], groups * self.group), -1.0, values.dtype)
        magnitudes[..., :length] = _magnitudes(values)
        magnitudes = magnitudes.reshape(*values.shape[:-1], groups, self.group)
        before = np.zeros(magnitudes.shape, np.int64)
        for first in range(self.group):
            for second in range(first + 1, self.group):
                wins = magnitudes[..., first] >= magnitudes[..., second]
                before[..., second] += wins
                before[..., first] += ~wins
        kept: Bools = (before < self.nonzeros).reshape(*values.shape[:-1], groups * self.group)[..., :length]
        return kept


@dataclass(frozen=True)
class TopK:
    """The share `keep` of the elements that is largest, by sorting: round(keep x elements), at least one.

    Attributes
    ----------
    keep : float
        Above 0 and at most 1.
    per_layer : bool
        Of several layers: this share of each one, and not of all together.

    Raises
    ------
    ValueError
        When `keep` is no share.
    """

    keep: float
    per_layer: bool = False

    def __post_init__(self) -> None:
        check_keep(self.keep)

    def mask(self, values: NDArray[Any], kind: str = "weights") -> Bools:  # noqa: ARG002 - as other patterns
        """Return which elements are kept: bool[...]."""
        return select_exactly([_magnitudes(values)], self.keep)[0]

    def masks(self, weights: Sequence[NDArray[Any]]) -> tuple[Bools, ...]:
        """Return which weights of several layers are kept."""
        if self.per_layer:
            return tuple(self.mask(one) for one in weights)
        return select_exactly([_magnitudes(one) for one in weights], self.keep)


Pattern = NM | TopK


def _magnitudes(values: NDArray[Any]) -> NDArray[Any]:
    """Return magnitudes; what is not a number is infinite."""
    magnitudes = np.abs(values)
    return np.where(np.isnan(magnitudes), np.inf, magnitudes).astype(values.dtype, copy=False)
