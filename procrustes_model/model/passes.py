"""Last passes as kernels take them."""

from __future__ import annotations

import numpy as np

from procrustes_model.kernels.dense.arrays import Ints, NestArrays
from procrustes_model.kernels.imperfect.unequal import LastArrays


def read_last(nests: NestArrays, last: Ints) -> LastArrays:
    """Return last passes as kernels take them.

    Parameters
    ----------
    nests : NestArrays
    last : int64[N, L, D] or int64[N, L, 3, D]
        Factors in the last pass over their dimension: in time; or in time, on x and on y.

    Returns
    -------
    LastArrays

    Raises
    ------
    ValueError
        Where they are not factors that such loops can have.
    """
    mappings, levels, dimensions = nests.temporal.shape
    spatial = nests.spatial
    if last.ndim == 4:
        if last.shape != (mappings, levels, 3, dimensions):
            raise ValueError(f"last has shape {last.shape}, expected {(mappings, levels, 3, dimensions)}")
        temporal, spatial = np.ascontiguousarray(last[:, :, 0]), last[:, :, 1:]
    elif last.shape == nests.temporal.shape:
        temporal = last
    else:
        raise ValueError(f"last has shape {last.shape}, expected {nests.temporal.shape}")
    if (last < 1).any() or (temporal > nests.temporal).any() or (spatial > nests.spatial).any():
        raise ValueError("last passes must be positive and at most the factors")
    filled = (spatial[:, :, 1] - 1) * nests.spatial[:, :, 0] + spatial[:, :, 0]
    return LastArrays(temporal, np.ascontiguousarray(filled))
