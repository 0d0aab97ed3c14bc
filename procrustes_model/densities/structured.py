"""n of every m neighbouring elements along a dimension are not zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

from procrustes_model.densities.rule import DensityRule
from procrustes_model.vocabulary import DensityModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def _draw(
    shape: tuple[int, ...],
    nonzeros: int,  # noqa: ARG001
    group: tuple[int, int],
    axis: int,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Return a random mask with so many nonzeros in every whole group; see `DensityRule.draw`."""
    import numpy as np

    n, m = group
    others = [length for i, length in enumerate(shape) if i != axis]
    groups = -(-shape[axis] // m)
    chosen = rng.random((*others, groups, m)).argsort(axis=-1) < n
    rows = chosen.reshape(*others, groups * m)[..., : shape[axis]]
    return np.ascontiguousarray(np.moveaxis(rows, -1, axis))


DENSITY = DensityRule(
    name="structured",
    rule="n of every m along a dimension",
    keys=("nonzeros", "group", "along"),
    code=DensityModel.STRUCTURED,
    average=lambda given: float(given["nonzeros"] / given["group"]),
    draw=_draw,
)
