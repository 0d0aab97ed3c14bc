"""Initial weights from a counter: any one of them at any time, none of them stored."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from procrustes_model.kernels.dense.arrays import Floats
from procrustes_model.kernels.jit import by_reference, kernel

_GOLDEN = 0x9E3779B97F4A7C15
_UNIFORM = math.sqrt(3.0) / (1 << 24)
_NORMAL = math.sqrt(0.75) / (1 << 16)


@by_reference
class InitialArrays(NamedTuple):
    """What the initial weights of one layer follow from.

    Attributes
    ----------
    seed, layer : int
    scale : float
        Standard deviation.
    normal : bool
        Nearly normal, the sum of four uniform numbers; else uniform.
    """

    seed: int
    layer: int
    scale: float
    normal: bool


@kernel
def _mix(state: Any) -> Any:
    """Return the output of a splitmix64 generator in `state`, uint64."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


@kernel
def key_of(initial: InitialArrays) -> Any:
    """Return where the layer's counter starts, uint64."""
    return _mix(_mix(np.uint64(initial.seed) + np.uint64(_GOLDEN)) + np.uint64(initial.layer))


@kernel
def initial_value(initial: InitialArrays, key: Any, index: int) -> float:
    """Return the initial weight at a flat index: whole-number arithmetic, rounded twice at most."""
    bits = _mix(key + np.uint64(index) * np.uint64(_GOLDEN))
    if not initial.normal:
        return initial.scale * (_UNIFORM * (2 * np.int64(bits >> np.uint64(40)) + 1 - (1 << 24)))
    total = np.int64(4 - 4 * (1 << 16))
    for part in range(4):
        total += 2 * np.int64((bits >> np.uint64(16 * part)) & np.uint64(0xFFFF))
    return initial.scale * (_NORMAL * total)


@kernel
def fill_initial(initial: InitialArrays, decayed: float, values: Floats) -> None:
    """Fill `values`, float[N], with the initial weights times `decayed`."""
    key = key_of(initial)
    for i in range(len(values)):
        values[i] = decayed * initial_value(initial, key, i)
