"""A known number of nonzeros anywhere in the tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from procrustes_model.densities.rule import DensityRule
from procrustes_model.vocabulary import DensityModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def draw_anywhere(
    shape: tuple[int, ...],
    nonzeros: int,
    group: tuple[int, int],  # noqa: ARG001
    axis: int,  # noqa: ARG001
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Return a random mask with so many nonzeros; see `DensityRule.draw`."""
    import numpy as np

    mask = np.zeros(shape, np.bool_)
    mask.flat[rng.choice(mask.size, nonzeros, replace=False, shuffle=False)] = True
    return mask


DENSITY = DensityRule(
    name="hypergeometric",
    rule="a known number of nonzeros",
    keys=("density",),
    code=DensityModel.HYPERGEOMETRIC,
    average=lambda given: float(given["density"]),
    known_total=True,
    draw=draw_anywhere,
)
