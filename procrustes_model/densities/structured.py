"""n of every m neighbouring elements along a dimension are not zero.

Where m does not divide the elements, the last group is shorter: of its r elements min(n, r) are not zero.
Groups may run through several dimensions, flattened to one, and be of blocks that hold groups themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from procrustes_model.densities.rule import DensityRule
from procrustes_model.vocabulary import DensityModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def kept_along(nonzeros: int, group: int, length: int) -> int:
    """Return how many of `length` elements in a row are not zero, `nonzeros` of each `group`."""
    whole, rest = divmod(length, group)
    return whole * nonzeros + min(nonzeros, rest)


def _draw(
    shape: tuple[int, ...],
    nonzeros: int,  # noqa: ARG001
    group: tuple[int, int],
    axis: int,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Return a random mask with so many nonzeros in every group; see `DensityRule.draw`."""
    import numpy as np

    n, m = group
    others = [length for i, length in enumerate(shape) if i != axis]
    groups = -(-shape[axis] // m)
    order = rng.random((*others, groups, m))
    order[..., -1, m - (groups * m - shape[axis]) :] = 2.0  # not there: after all that are
    chosen = order.argsort(axis=-1).argsort(axis=-1) < n
    rows = chosen.reshape(*others, groups * m)[..., : shape[axis]]
    return np.ascontiguousarray(np.moveaxis(rows, -1, axis))


def _average(given: dict[str, Any]) -> float:
    share = given["nonzeros"] / given["group"]
    for n, m in given.get("of") or ():
        share *= n / m
    return float(share)


DENSITY = DensityRule(
    name="structured",
    rule="n of every m along a dimension",
    keys=("nonzeros", "group", "along"),
    optional=("short_groups", "of"),
    code=DensityModel.STRUCTURED,
    average=_average,
    draw=_draw,
)
