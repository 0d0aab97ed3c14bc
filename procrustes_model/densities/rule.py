"""What a density model is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from procrustes_model.vocabulary import DensityModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Draw = Callable[[tuple[int, ...], int, tuple[int, int], int, np.random.Generator], NDArray[np.bool_]]
    Place = Callable[[tuple[int, ...], tuple[int, ...], dict[str, Any]], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class DensityRule:
    """How it is known which elements of a tensor are zero.

    Attributes
    ----------
    name : str
        What users write.
    rule : str
        What it says of a tensor, as the reference puts it.
    keys : tuple of str
        Keys that it needs beside `model`.
    optional : tuple of str
        Keys that it may have; it takes no others.
    code : DensityModel
        By which kernels tell how likely a box is empty.
    average : callable
        From the values of the keys, by key, to nonzeros / elements; None where only a mask tells. Of groups
        that are whole: see `structured.kept_along` for others.
    known_total : bool
        Whether the tensor has a whole number of nonzeros, all placements equally likely.
    draw : callable or None
        From a shape, the nonzeros of the whole tensor, n and m of groups, the axis that groups run along,
        and a generator to a random mask, every one of this model equally likely. None: there is nothing to
        draw, as every tile has the same share of nonzeros.
    place : callable or None
        From a shape, the axes of the dimensions that keys name, and the values of the keys to the mask that
        they say: it is then counted. None: they say no mask.
    """

    name: str
    rule: str
    keys: tuple[str, ...]
    code: DensityModel
    average: Callable[[dict[str, Any]], float | None]
    optional: tuple[str, ...] = ()
    known_total: bool = False
    draw: Draw | None = None
    place: Place | None = None

    @property
    def varies(self) -> bool:
        """Whether tiles may have different numbers of nonzeros, so that there is imbalance."""
        return self.draw is not None
