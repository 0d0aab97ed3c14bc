"""A band beside a diagonal: which elements are zero follows from their place, and is counted as on a mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from procrustes_model.densities.hypergeometric import draw_anywhere
from procrustes_model.densities.rule import DensityRule
from procrustes_model.vocabulary import DensityModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def place_band(shape: tuple[int, ...], axes: tuple[int, ...], given: dict[str, Any]) -> NDArray[np.bool_]:
    """Return the mask of a band around where the indices of two axes are equal; see `DensityRule.place`."""
    import numpy as np

    rows, columns = (np.arange(shape[axis]) for axis in axes)
    near = np.abs(rows[:, None] - columns[None, :]) <= given["band"]
    order = axes if axes[0] < axes[1] else axes[::-1]
    one = near if order == axes else near.T
    whole = one.reshape([length if axis in order else 1 for axis, length in enumerate(shape)])
    return np.array(np.broadcast_to(whole, shape))


DENSITY = DensityRule(
    name="banded",
    rule="a band beside a diagonal",
    keys=("band", "diagonal"),
    code=DensityModel.HYPERGEOMETRIC,
    average=lambda _: None,
    known_total=True,
    draw=draw_anywhere,
    place=place_band,
)
