"""Training with less, written out: patterns, the three products of a layer, schedules of masks."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np


def keep_in_row(row: list[float], n: int, m: int) -> list[bool]:
    """Keep the n largest magnitudes of every m, of equal ones the first; of fewer at the end n, too."""
    kept = []
    for start in range(0, len(row), m):
        group = [abs(x) for x in row[start : start + m]]
        best = sorted(range(len(group)), key=lambda i: (-group[i], i))[:n]
        kept += [i in best for i in range(len(group))]
    return kept


def nm_mask(values: Any, n: int, m: int, axis: int) -> Any:
    """Walk along an axis, for each position of the others."""
    mask = np.zeros(values.shape, bool)
    others = [range(side) if i != axis else (0,) for i, side in enumerate(values.shape)]
    for index in product(*others):
        places = [(*index[:axis], i, *index[axis + 1 :]) for i in range(values.shape[axis])]
        for place, kept in zip(places, keep_in_row([values[p] for p in places], n, m), strict=True):
            mask[place] = kept
    return mask


def flattened_mask(weights: Any, n: int, m: int) -> Any:
    """Walk through each filter: rows of the kernel, columns, input channels, the last fastest."""
    mask = np.zeros(weights.shape, bool)
    k_side, c_side, r_side, s_side = weights.shape
    for k in range(k_side):
        places = [(k, c, r, s) for r in range(r_side) for s in range(s_side) for c in range(c_side)]
        for place, kept in zip(places, keep_in_row([weights[p] for p in places], n, m), strict=True):
            mask[place] = kept
    return mask


def top_masks(arrays: list[Any], keep: float) -> list[Any]:
    """Sort all elements, and keep the largest share; of equal ones the first."""
    places = [(i, index) for i, one in enumerate(arrays) for index in np.ndindex(one.shape)]
    count = max(1, round(keep * len(places)))
    order = sorted(range(len(places)), key=lambda j: (-abs(arrays[places[j][0]][places[j][1]]), j))
    masks = [np.zeros(one.shape, bool) for one in arrays]
    for j in order[:count]:
        masks[places[j][0]][places[j][1]] = True
    return masks


def rounded(values: Any, bits: int) -> Any:
    """Round to the nearest of 2^bits - 1 numbers around zero."""
    step = max(abs(x) for x in values.ravel()) / (2 ** (bits - 1) - 1)
    return np.array([round(x / step) * step for x in values.ravel()]).reshape(values.shape)


def forward(inputs: Any, weights: Any, padding: int = 0) -> Any:
    """Convolve with stride 1, sum by sum."""
    padded = np.pad(inputs, ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2))
    n_side, _, height, width = padded.shape
    k_side, c_side, r_side, s_side = weights.shape
    outputs = np.zeros((n_side, k_side, height - r_side + 1, width - s_side + 1))
    for n, k, p, q in np.ndindex(outputs.shape):
        for c, r, s in product(range(c_side), range(r_side), range(s_side)):
            outputs[n, k, p, q] += padded[n, c, p + r, q + s] * weights[k, c, r, s]
    return outputs


def backward(gradients: Any, weights: Any, shape: tuple[int, ...], padding: int = 0) -> Any:
    """Return the gradients of inputs: every product of the forward pass, the other way."""
    n_side, c_side, height, width = shape
    padded = np.zeros((n_side, c_side, height + 2 * padding, width + 2 * padding))
    for n, k, p, q in np.ndindex(gradients.shape):
        for c, r, s in np.ndindex(weights.shape[1:]):
            padded[n, c, p + r, q + s] += gradients[n, k, p, q] * weights[k, c, r, s]
    return padded[:, :, padding : padding + height, padding : padding + width]


def update(gradients: Any, inputs: Any, shape: tuple[int, ...], padding: int = 0) -> Any:
    """Return the gradients of weights: every product of the forward pass, the third way."""
    padded = np.pad(inputs, ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2))
    weights = np.zeros(shape)
    for n, k, p, q in np.ndindex(gradients.shape):
        for c, r, s in np.ndindex(shape[1:]):
            weights[k, c, r, s] += gradients[n, k, p, q] * padded[n, c, p + r, q + s]
    return weights


def alternate(parts: list[tuple[int, float | None]], iteration: int) -> tuple[int, float | None]:
    """Return in which part an iteration is, and the share kept in it."""
    calendar = [(i, keep) for i, (length, keep) in enumerate(parts) for _ in range(length)]
    return calendar[iteration] if iteration < len(calendar) else calendar[-1]


def ramp(keep: float, first: float, begin: int, end: int, every: int, iteration: int) -> float:
    """Return the share kept in an iteration."""
    share = first
    for step in range(begin, min(iteration, end) + 1, every):
        left = (end - step) / (end - begin)
        share = keep + (first - keep) * left * left * left
    return share


def rewire(weights: Any, gradients: Any, mask: Any, share: float) -> Any:
    """Drop the smallest of the kept weights, then let as many of the largest gradients in."""
    kept = [i for i in np.ndindex(mask.shape) if mask[i]]
    number = math.floor(share * len(kept))
    ranks = {i: place for place, i in enumerate(np.ndindex(mask.shape))}
    stays = sorted(kept, key=lambda i: (-abs(weights[i]), ranks[i]))[: len(kept) - number]
    out = sorted(set(ranks) - set(stays), key=lambda i: (-abs(gradients[i]), ranks[i]))
    result = np.zeros(mask.shape, bool)
    for i in stays + out[:number]:
        result[i] = True
    return result


def descend(
    weights: list[Any],
    gradient: Callable[[list[Any], int], list[Any]],
    masks: list[Any],
    rate: float,
    step: int,
) -> list[Any]:
    """Take a step of plain gradient descent, with the weights that masks leave out at zero."""
    moved = gradient(weights, step)
    return [
        np.where(mask, one - rate * change, 0)
        for one, change, mask in zip(weights, moved, masks, strict=True)
    ]
