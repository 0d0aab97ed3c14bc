"""Layers as their definitions say, element by element, and problems as their indices say."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from procrustes_model.spec.problem import Problem

Array = NDArray[np.int64]


def walk(problem: Problem, operands: Mapping[str, Array]) -> tuple[Array, int]:
    """Return what a problem accumulates into its output, and how many products that takes.

    Parameters
    ----------
    problem : Problem
    operands : mapping of str to array
        By name, every tensor but the output.
    """
    output = problem.output
    result = np.zeros([problem.length(rank) for rank in output.ranks], np.int64)
    count = 0
    for point in itertools.product(*map(range, problem.dimensions.values())):
        at = dict(zip(problem.dimensions, point, strict=True))
        index = {
            tensor.name: tuple(
                sum(term.coefficient * at[term.dimension] for term in rank) for rank in tensor.ranks
            )
            for tensor in problem.tensors
        }
        product = 1
        for name, values in operands.items():
            product *= int(values[index[name]])
        result[index[output.name]] += product
        count += 1
    return result, count


def convolve(
    inputs: Array,
    weights: Array,
    *,
    groups: int,
    stride: Sequence[int],
    dilation: Sequence[int],
    before: Sequence[int],
    after: Sequence[int],
) -> tuple[Array, int]:
    """Return a convolution, output by output, and how many products it takes, those with zeros included.

    Parameters
    ----------
    inputs : int[N, C, ...]
    weights : int[K, C / groups, ...]
    """
    samples, _, *size = inputs.shape
    outputs, shared, *kernel = weights.shape
    padded = [n + a + b for n, a, b in zip(size, before, after, strict=True)]
    places = [
        len([p for p in range(0, n, step) if p + (k - 1) * tap < n])
        for n, k, step, tap in zip(padded, kernel, stride, dilation, strict=True)
    ]
    result, count = np.zeros((samples, outputs, *places), np.int64), 0
    for n, k, *place in np.ndindex(*result.shape):
        group = k // (outputs // groups)
        for c, *tap in np.ndindex(shared, *kernel):
            at = [
                p * s + t * d - b for p, s, t, d, b in zip(place, stride, tap, dilation, before, strict=True)
            ]
            count += 1
            if all(0 <= one < length for one, length in zip(at, size, strict=True)):
                value = inputs[(n, group * shared + c, *at)]
                result[(n, k, *place)] += value * weights[(k, c, *tap)]
    return result, count


def convolve_transposed(
    inputs: Array,
    weights: Array,
    *,
    groups: int,
    stride: Sequence[int],
    dilation: Sequence[int],
    padding: Sequence[int],
    output_padding: Sequence[int],
) -> Array:
    """Return a transposed convolution, input by input, as PyTorch and ONNX define it.

    Parameters
    ----------
    inputs : int[N, C, ...]
    weights : int[C, K / groups, ...]
    """
    samples, channels, *size = inputs.shape
    _, shared, *kernel = weights.shape
    numbers = zip(size, kernel, stride, dilation, padding, output_padding, strict=True)
    shape = [(n - 1) * s - 2 * p + d * (k - 1) + more + 1 for n, k, s, d, p, more in numbers]
    result = np.zeros((samples, groups * shared, *shape), np.int64)
    for n, c, *place in np.ndindex(*inputs.shape):
        group = c // (channels // groups)
        for k, *tap in np.ndindex(shared, *kernel):
            at = [
                p * s + t * d - q for p, s, t, d, q in zip(place, stride, tap, dilation, padding, strict=True)
            ]
            if all(0 <= one < length for one, length in zip(at, shape, strict=True)):
                result[(n, group * shared + k, *at)] += inputs[(n, c, *place)] * weights[(c, k, *tap)]
    return result


def random_operands(problem: Problem, seed: int) -> dict[str, Array]:
    """Return small whole numbers for every tensor of a problem, the output too."""
    rng = np.random.default_rng(seed)
    return {tensor.name: rng.integers(-4, 5, problem.lengths(tensor)) for tensor in problem.tensors}


def crop(full: Array, padding: Sequence[int], shape: Sequence[int]) -> Any:
    """Return the part of a map that padding leaves, with zeros where output padding adds some."""
    result = np.zeros((*full.shape[:2], *shape), np.int64)
    for place in np.ndindex(*shape):
        at = tuple(one + p for one, p in zip(place, padding, strict=True))
        if all(one < length for one, length in zip(at, full.shape[2:], strict=True)):
            result[(..., *place)] = full[(..., *at)]
    return result
