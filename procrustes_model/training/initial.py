"""Initial weights that are regenerated whenever they are needed, and decay to zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from procrustes_model.kernels.pruning.initial import InitialArrays, fill_initial

CUTOFF = 2.0**-24
"""Less than this share of an initial value is nothing: it no longer changes a float32 of its size."""


@dataclass(frozen=True)
class Initial:
    """What the initial weights of one layer follow from: a few numbers, whatever the layer's size.

    The weight at flat index i is a function of (seed, layer, i), the same on every machine.

    Attributes
    ----------
    seed : int
        From 0 to 2**63 - 1.
    layer : int
        Tells the layers of a network apart.
    scale : float
        Standard deviation.
    distribution : 'uniform' or 'normal'
        'normal' is the sum of four uniform numbers, as cheap hardware makes it; it ends at 3.46 standard
        deviations.

    Raises
    ------
    ValueError
        When a number is out of range.
    """

    seed: int
    layer: int
    scale: float
    distribution: Literal["uniform", "normal"] = "uniform"

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**63 or not 0 <= self.layer < 2**63:
            raise ValueError(f"seed {self.seed} and layer {self.layer} must be from 0 to 2**63 - 1")
        if not 0 <= self.scale < np.inf:
            raise ValueError(f"scale {self.scale} is no standard deviation")
        if self.distribution not in ("uniform", "normal"):
            raise ValueError(f"distribution '{self.distribution}' is neither 'uniform' nor 'normal'")


def initial_values(
    initial: Initial, shape: tuple[int, ...], dtype: Any = np.float32, decayed: float = 1.0
) -> NDArray[Any]:
    """Generate the initial weights of a layer.

    Parameters
    ----------
    initial : Initial
    shape : tuple of int
    dtype : data type
        numpy.float32 or numpy.float64.
    decayed : float
        What is left of them.

    Returns
    -------
    dtype[shape]
    """
    values = np.empty(shape, dtype)
    fill_initial(lower_initial(initial), decayed, values.reshape(-1))
    return values


def lower_initial(initial: Initial) -> InitialArrays:
    """Return the description as kernels take it."""
    return InitialArrays(initial.seed, initial.layer, float(initial.scale), initial.distribution == "normal")


def decay_further(decayed: float, decay: float, cutoff: float = CUTOFF) -> float:
    """Return what is left of initial values one iteration later.

    Parameters
    ----------
    decayed : float
        What is left now; 1 before the first iteration.
    decay : float
        Factor per iteration, from 0 to 1. With 0.9 and the default cutoff nothing is left after 158
        iterations.
    cutoff : float
        Less than this is nothing. With 0, zero comes when double precision underflows.

    Returns
    -------
    float
    """
    left = decayed * decay
    return left if left >= cutoff else 0.0
