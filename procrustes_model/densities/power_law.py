"""Rows with few or many nonzeros, as of graphs: the i-th row has a share that falls as a power of i.

Rows are in the order of their nonzeros, the fullest first; exponent 0 gives all the same. Within a row every
placement is equally likely.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from procrustes_model.densities.hypergeometric import draw_anywhere
from procrustes_model.densities.rule import DensityRule
from procrustes_model.vocabulary import DensityModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def share_among_rows(rows: int, length: int, nonzeros: int, exponent: float) -> NDArray[np.int64]:
    """Return how many nonzeros every row has, int64[rows], as near to i^-exponent as whole numbers are.

    Parameters
    ----------
    rows, length : int
        How many rows there are, and the elements of each: none has more nonzeros.
    nonzeros : int
        Of all rows together.
    exponent : float
        At least 0.
    """
    import numpy as np

    weight = np.arange(1, rows + 1, dtype=np.float64) ** -exponent
    full = 0
    while True:  # rows that would get more than they have elements are full, and others share the rest
        share = (nonzeros - full * length) * weight[full:] / max(weight[full:].sum(), 1e-300)
        more = int(np.count_nonzero(share >= length))
        full += more
        if more == 0 or full == rows:
            break
    found = np.full(rows, length, np.int64)
    if full < rows:
        found[full:] = np.minimum(np.floor(share), length).astype(np.int64)
        missing = nonzeros - int(found.sum())
        order = full + np.argsort(-(share - np.floor(share)), kind="stable")
        found[order[:missing]] += 1
    return found


DENSITY = DensityRule(
    name="power_law",
    rule="rows of which the i-th has a share of i^-exponent, each nonzero anywhere in its row",
    keys=("density", "exponent", "rows"),
    code=DensityModel.ROWS,
    average=lambda given: float(given["density"]),
    draw=draw_anywhere,
)
