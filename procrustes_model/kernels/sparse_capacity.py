"""What has to fit into a level, and what happens when it does not."""

from __future__ import annotations

import math

from procrustes_model.kernels.arrays import BAD_CAPACITY, FILL, OK, READ, UPDATE, Bools, Floats, Ints
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse_arrays import HYPERGEOMETRIC, DensityArrays, SparseCountArrays


@kernel
def widen_stored(
    densities: DensityArrays, tile: Ints, compressed: Bools, deviations: float, stored: Floats
) -> None:
    """Add to the expected size of compressed tiles what a number of standard deviations takes.

    The nonzeros of a tile are hypergeometric: variance v d (1 - d) (size - v) / (size - 1) for v of size
    elements.

    Parameters
    ----------
    densities : DensityArrays
    tile : int64[N, L, T]
    compressed : bool[L, T]
    deviations : float
        Standard deviations; the quantile is that of a normal distribution.
    stored : float64[N, L, T]
        Grows, to at most the dense size on top of the metadata.
    """
    mappings, levels, tensors = tile.shape
    for n in range(mappings):
        for level in range(levels):
            for t in range(tensors):
                if (
                    stored[n, level, t] == 0
                    or not compressed[level, t]
                    or densities.model[t] != HYPERGEOMETRIC
                ):
                    continue
                words, size, density = (
                    float(tile[n, level, t]),
                    float(densities.size[t]),
                    densities.average[t],
                )
                variance = words * density * (1 - density) * max(0.0, size - words) / max(1.0, size - 1)
                stored[n, level, t] += min(deviations * math.sqrt(variance), words * (1 - density))


@kernel
def check_stored(capacity: Ints, stored: Floats, status: Ints) -> None:
    """Set `status`, int64[N], to BAD_CAPACITY where `stored` exceeds `capacity`, int64[L]."""
    mappings, levels, tensors = stored.shape
    for n in range(mappings):
        for level in range(levels):
            used = 0.0
            for t in range(tensors):
                used += stored[n, level, t]
            if used > capacity[level] * (1 + 1e-12) and status[n] == OK:
                status[n] = BAD_CAPACITY


@kernel
def spill(capacity: Ints, instances: Ints, keep: Bools, counts: SparseCountArrays, status: Ints) -> None:
    """Access what does not fit one level further out, where the tensor is kept.

    Every tensor of a level spills the same share. Its reads and updates go to the outer level, data and
    metadata; its fills are not done. What does not fit into the outermost level makes a mapping invalid.

    Parameters
    ----------
    capacity : int64[L]
    instances : int64[N, L + 1]
    keep : bool[N, L, T]
    counts : SparseCountArrays
        `actual` and `metadata` change; `stored` shrinks to what fits.
    status : int64[N]
    """
    stored = counts.stored
    mappings, levels, tensors = stored.shape
    for n in range(mappings):
        for level in range(levels - 1, -1, -1):
            used = 0.0
            for t in range(tensors):
                used += stored[n, level, t]
            if status[n] != OK or used <= capacity[level] * (1 + 1e-12):
                continue
            if level == 0:
                status[n] = BAD_CAPACITY
                continue
            share = 1 - capacity[level] / used
            for t in range(tensors):
                if not keep[n, level, t]:
                    continue
                stored[n, level, t] *= 1 - share
                outer = level - 1
                while not keep[n, outer, t]:
                    outer -= 1
                each = instances[n, level] / instances[n, outer]
                for kind in range(2):
                    words = counts.actual if kind == 0 else counts.metadata
                    for action in (READ, UPDATE):
                        words[n, outer, t, action] += each * share * words[n, level, t, action]
                    for action in (READ, FILL, UPDATE):
                        words[n, level, t, action] *= 1 - share
